//! What was encrypted, how well, and what went wrong, in sums? (`sealpost report`)

use std::{io, ops::ControlFlow, path::PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use jiff::{SignedDuration, Timestamp, ZonedDateTime, tz::TimeZone};

use super::{
    caller::print,
    log,
    screen::Screen,
    selection::{Selection, Source},
};
use crate::{
    error::{Error, Exit},
    host::{
        config,
        journal::{Id, id::RANDOM},
        ledger::{self, Gaps, Ledger, Wanted, summary::Summary},
        replace::replace,
        world::World,
    },
};

mod json;
mod prometheus;
mod text;
mod tlsrpt;

/// From when on the end of a certificate is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);

/// What a file of ours lets others do: the `node_exporter` runs as a user of its own.
const MODE: u32 = 0o644;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  sealpost report --since 7d              the last week, host by host
  sealpost report --format tlsrpt --since 2026-11-23 --until 2026-11-23
                                          one day, as RFC 8460 has it
  sealpost report --format prometheus --output sealpost.prom
                                          for the node_exporter, from cron";

/// Sum up what TLS did: per host and day, with failures, downgrades and certificates that end soon.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Answer in this form
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// With --format tlsrpt: who reports; default: the mail domain
    #[arg(long, value_name = "NAME", value_parser = told)]
    organization: Option<String>,
    /// With --format tlsrpt: whom to ask; default: postmaster at the mail domain
    #[arg(long, value_name = "ADDRESS", value_parser = told, value_hint = ValueHint::EmailAddress)]
    contact: Option<String>,
    /// Write to this file, which is replaced whole, instead of to standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person, in 80 columns
    Text,
    /// One JSON object
    Json,
    /// A TLS report of RFC 8460
    Tlsrpt,
    /// Gauges for a textfile collector
    Prometheus,
}

/// What a report tells.
struct Report {
    summary: Summary,
    /// Lines that were no records.
    strangers: u64,
    /// Parts of the log that could not be read, or not to their end.
    unread: usize,
    /// When it is made.
    now: Timestamp,
    /// The stretch of time that was asked about.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Report {
    /// The stretch that was asked about, as far as nobody said from the first to the last record.
    fn span(&self) -> (Timestamp, Timestamp) {
        let (first, last) = self.summary.span.unwrap_or((self.now, self.now));
        let start = self.since.unwrap_or(first);
        (start, self.until.unwrap_or(last).max(start))
    }
}

/// Prints or writes the report; the exit code says whether all of the log could be read.
///
/// # Errors
/// There is no log, it can't be read at all, or the output can't be written.
pub fn run(world: &dyn World, options: &Options) -> Result<Exit, Error> {
    let format = if options.json { Format::Json } else { options.format };
    if format != Format::Tlsrpt && (options.organization.is_some() || options.contact.is_some()) {
        let why = "--organization and --contact say who sends a TLS report";
        return Err(Error::new(Exit::Usage, "making a report", why).hint("add --format tlsrpt, or leave them out"));
    }
    let now = match format {
        // A day of a report is one of UTC (RFC 8460 4.1).
        Format::Tlsrpt => world.now().with_time_zone(TimeZone::UTC),
        _ => options.selection.now(world),
    };
    let (report, gaps) = summed(world, options, &now)?;
    let written = match format {
        Format::Text => text::render(&report, screen(world, options)),
        Format::Json => json::render(&report),
        Format::Tlsrpt => tlsrpt::render(&report, &author(world, options)?),
        Format::Prometheus => prometheus::render(&report),
    };
    let done = match &options.output {
        Some(file) => replace(file, written.as_bytes(), MODE).map(|()| Exit::Ok)?,
        None => print(&written),
    };
    let told = log::tell(&gaps);
    Ok(if done == Exit::Ok { told } else { done })
}

fn summed(world: &dyn World, options: &Options, now: &ZonedDateTime) -> Result<(Report, Gaps), Error> {
    let wanted = Wanted { filter: options.selection.filter_in(now)?, last: None };
    let source = options.selection.source(world)?;
    let mut summary = Summary::new(now.time_zone().clone());
    let mut visit = |_: &str, entry| {
        summary.add(&entry);
        ControlFlow::Continue(())
    };
    let gaps = match &source {
        Source::Stream => ledger::read_stream(io::stdin().lock(), &wanted, &mut visit),
        Source::Log(path) => Ledger::open(path)?.read(&wanted, &mut visit),
    };
    let (since, until) = (wanted.filter.since, wanted.filter.until);
    let (strangers, unread) = (gaps.strangers, gaps.failures.len());
    Ok((Report { summary, strangers, unread, now: now.timestamp(), since, until }, gaps))
}

fn screen(world: &dyn World, options: &Options) -> Screen {
    match options.output {
        Some(_) => Screen { columns: None, colour: false, utf8: true },
        None => Screen::of_stdout(world),
    }
}

/// Who reports: the mail domain of the configuration, where one is in force, else the host's.
fn author(world: &dyn World, options: &Options) -> Result<tlsrpt::Author, Error> {
    let configured = config::load(world, options.selection.config()).ok().and_then(|config| config.mail_domain);
    let domain = configured.or_else(|| world.mail_name()).unwrap_or_else(|| world.host_name());
    let mut random = [0; RANDOM];
    world.random(&mut random)?;
    Ok(tlsrpt::Author {
        organization: options.organization.clone().unwrap_or_else(|| domain.clone()),
        contact: options.contact.clone().unwrap_or_else(|| format!("postmaster@{domain}")),
        report_id: format!("{}@{domain}", Id::new(world.timestamp(), random)),
    })
}

/// Words that tell somebody something.
fn told(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) { Err("it says nothing".to_owned()) } else { Ok(text.to_owned()) }
}
