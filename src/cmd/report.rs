//! What was encrypted, how well, and what went wrong, in sums? (`sealpost report`)

use std::{
    io::{self, IsTerminal as _},
    ops::ControlFlow,
    path::PathBuf,
};

use clap::{Args, ValueEnum, ValueHint};
use jiff::{SignedDuration, Timestamp};

use super::{
    caller::print,
    log,
    selection::{Selection, Source},
};
use crate::{
    error::{Error, Exit},
    host::{
        config,
        journal::{Id, id::RANDOM},
        ledger::{self, Gaps, Ledger, summary::Summary},
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
    let source = options.selection.source(world)?;
    let (report, gaps) = summed(world, options, &source)?;
    let format = if options.json { Format::Json } else { options.format };
    let written = match format {
        Format::Text => text::render(&report, style(world, options)),
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

fn summed(world: &dyn World, options: &Options, source: &Source) -> Result<(Report, Gaps), Error> {
    let now = world.now();
    let filter = options.selection.filter(world);
    let mut summary = Summary::new(now.time_zone().clone());
    let mut visit = |_: &str, entry| {
        if filter.admits(&entry) {
            summary.add(&entry);
        }
        ControlFlow::Continue(())
    };
    let gaps = match source {
        Source::Stream => ledger::read_stream(io::stdin().lock(), &mut visit),
        Source::Log(path) => Ledger::open(path)?.read(filter.since, &mut visit),
    };
    let (since, until) = (filter.since, filter.until);
    Ok((Report { summary, strangers: gaps.strangers, now: now.timestamp(), since, until }, gaps))
}

fn style(world: &dyn World, options: &Options) -> text::Style {
    let chart = options.output.is_none() && io::stdout().is_terminal();
    text::Style { chart, colour: chart && world.env("NO_COLOR").is_none_or(|value| value.is_empty()) }
}

/// Who reports: the mail domain of the configuration, where one is in force, else the host's.
fn author(world: &dyn World, options: &Options) -> Result<tlsrpt::Author, Error> {
    let configured = config::load(world, options.selection.config()).ok().and_then(|config| config.mail_domain);
    let domain = configured.or_else(|| world.mail_name()).unwrap_or_else(|| world.host_name());
    let mut random = [0; RANDOM];
    world.random(&mut random)?;
    Ok(tlsrpt::Author { report_id: format!("{}@{domain}", Id::new(world.timestamp(), random)), domain })
}
