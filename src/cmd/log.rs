//! What became of which mail, and what did TLS do for it? (`sealpost log`)

use std::{
    collections::VecDeque,
    io::{self, BufWriter, StdoutLock, Write as _},
    ops::ControlFlow,
    os::fd::AsFd as _,
    path::Path,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::Timestamp;

use self::line::{Table, raw};
use super::{
    caller::{ErrorMode, complain},
    screen::Screen,
    selection::{Selection, Source},
};
use crate::{
    error::{Error, Exit},
    host::{
        journal::{Id, Status},
        ledger::{self, Gaps, Ledger, Wanted, entry::TlsResult, filter::Filter},
        world::World,
    },
};

mod line;

/// Records that `--follow` begins with, as tail(1) does.
const BEGINNING: usize = 10;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  sealpost log --since 2h                 the last two hours
  sealpost log --since yesterday --until yesterday
                                          all of yesterday
  sealpost log --status sent --tls unverified --tls plaintext
                                          what went to nobody in particular
  sealpost log --recipient admin -n 5     the last five mails to admin
  sealpost log --status failed --json     for a program
  sealpost log --follow                   wait for more";

/// Show the log: a line for each attempt, with what TLS did for it.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Of this account only
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// With this status only; may be given several times
    #[arg(long, value_name = "STATUS", value_parser = statuses())]
    status: Vec<Status>,
    /// With this TLS result only; may be given several times
    #[arg(long, value_name = "RESULT", value_parser = results())]
    tls: Vec<TlsResult>,
    /// To a recipient whose address has this in it
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Of this submission: its id or the beginning of it, or its Message-ID
    #[arg(long)]
    id: Option<String>,
    /// The last N only
    #[arg(short = 'n', long, value_name = "N", value_parser = lines())]
    lines: Option<usize>,
    /// Go on with what is being written; begins with the last 10, unless --since or -n says otherwise
    #[arg(short = 'f', long)]
    follow: bool,
    /// Print the lines of the log as they are
    #[arg(long)]
    json: bool,
}

/// Prints what is wanted; the exit code says whether all of the log could be read.
///
/// # Errors
/// There is no log, or it can't be read at all.
pub fn run(world: &dyn World, options: &Options) -> Result<Exit, Error> {
    let wanted = Wanted { filter: options.filter(world)?, last: options.last() };
    let source = options.selection.source(world)?;
    let now = options.selection.now(world);
    let screen = Screen::of_stdout(world);
    let mut page = Page::new(options, Table::new(now.time_zone().clone(), now.year(), screen), screen);
    let mut visit = |text: &str, entry| page.add(text, &entry);
    let gaps = match &source {
        Source::Stream if options.follow => return Err(endless_stream()),
        Source::Stream => ledger::read_stream(io::stdin().lock(), &wanted, &mut visit),
        Source::Log(path) if options.follow => return Ok(follow(Ledger::open(path)?, &wanted, page)),
        Source::Log(path) => Ledger::open(path)?.read(&wanted, &mut visit),
    };
    let _ = page.finish();
    Ok(page.broken.unwrap_or_else(|| tell(&gaps)))
}

/// The rows that tell of one submission since `since`; none where there is no log that can be read.
pub(super) fn history(world: &dyn World, log: &Path, (id, since): (Id, Timestamp), screen: Screen) -> Vec<String> {
    let filter = Filter { id: Some(id.to_string()), since: Some(since), ..Filter::default() };
    let now = world.now();
    let mut table = Table::new(now.time_zone().clone(), now.year(), screen);
    let mut rows = Vec::new();
    if let Ok(ledger) = Ledger::open(log) {
        let mut visit = |_: &str, entry| {
            rows.push(table.row(&entry));
            ControlFlow::Continue(())
        };
        ledger.read(&Wanted { filter, last: None }, &mut visit);
    }
    rows
}

/// Says on standard error what could not be read.
pub(super) fn tell(gaps: &Gaps) -> Exit {
    if gaps.strangers > 0 {
        let (noun, verb) = if gaps.strangers == 1 { ("line", "is no record") } else { ("lines", "are no records") };
        let _ = writeln!(io::stderr(), "sealpost: {} {noun} of the log {verb}, and left out", gaps.strangers);
    }
    gaps.failures.iter().fold(Exit::Ok, |_, error| complain("sealpost", ErrorMode::Print, error))
}

/// Strangers are not told of: nobody waits for the end.
fn follow(ledger: Ledger, wanted: &Wanted, page: Page) -> Exit {
    let page = std::cell::RefCell::new(page);
    let mut visit = |text: &str, entry| page.borrow_mut().add(text, &entry);
    let gaps = ledger.follow(wanted, &mut visit, &mut || page.borrow_mut().go_live(), io::stdout().as_fd());
    let broken = page.borrow().broken;
    broken.unwrap_or_else(|| tell(&Gaps { strangers: 0, ..gaps }))
}

impl Options {
    fn filter(&self, world: &dyn World) -> Result<Filter, Error> {
        Ok(Filter {
            account: self.account.clone(),
            statuses: self.status.clone(),
            results: self.tls.clone(),
            recipient: self.recipient.clone(),
            id: self.id.clone(),
            ..self.selection.filter(world)?
        })
    }

    fn last(&self) -> Option<usize> {
        let beginning = (self.follow && !self.selection.has_beginning()).then_some(BEGINNING);
        self.lines.or(beginning)
    }
}

/// What is printed, and when.
struct Page {
    out: BufWriter<StdoutLock<'static>>,
    table: Table,
    json: bool,
    terminal: bool,
    /// The last lines so far, where only these are wanted, and how many they are.
    waiting: Option<(VecDeque<String>, usize)>,
    /// Each line is printed at once.
    live: bool,
    /// Standard output takes no more.
    broken: Option<Exit>,
}

impl Page {
    fn new(options: &Options, table: Table, screen: Screen) -> Self {
        let waiting = options.last().map(|last| (VecDeque::new(), last));
        let out = BufWriter::new(io::stdout().lock());
        Self { out, table, json: options.json, terminal: screen.columns.is_some(), waiting, live: false, broken: None }
    }

    fn add(&mut self, text: &str, entry: &ledger::entry::Entry) -> ControlFlow<()> {
        let shown = if self.json { raw(text, self.terminal) } else { self.table.row(entry) };
        match &mut self.waiting {
            Some((lines, last)) => {
                lines.push_back(shown);
                if lines.len() > *last {
                    lines.pop_front();
                }
                ControlFlow::Continue(())
            }
            None => self.print(&shown),
        }
    }

    fn print(&mut self, text: &str) -> ControlFlow<()> {
        let written = self.out.write_all(text.as_bytes());
        let done = if self.live { written.and_then(|()| self.out.flush()) } else { written };
        self.judge(done)
    }

    /// Prints what waited, and from now on every line at once.
    fn go_live(&mut self) -> ControlFlow<()> {
        self.finish()?;
        self.live = true;
        ControlFlow::Continue(())
    }

    fn finish(&mut self) -> ControlFlow<()> {
        for line in self.waiting.take().map(|(lines, _)| lines).unwrap_or_default() {
            self.print(&line)?;
        }
        let flushed = self.out.flush();
        self.judge(flushed)
    }

    /// A reader that has seen enough (`| head`) is no error.
    fn judge(&mut self, written: io::Result<()>) -> ControlFlow<()> {
        let Err(error) = written else { return ControlFlow::Continue(()) };
        let enough = error.kind() == io::ErrorKind::BrokenPipe;
        self.broken = Some(if enough { Exit::Ok } else { Exit::IoErr });
        ControlFlow::Break(())
    }
}

fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.into_iter().chain(Status::WAITING).map(Status::as_str))
        .try_map(|word| Status::parse(&word).ok_or("no such status"))
}

fn results() -> impl TypedValueParser<Value = TlsResult> {
    PossibleValuesParser::new(TlsResult::ALL.map(TlsResult::as_str)).try_map(|word| TlsResult::parse(&word).ok_or("no such result"))
}

fn lines() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32).range(..=1_000_000).try_map(usize::try_from)
}

fn endless_stream() -> Error {
    Error::new(Exit::Usage, "following standard input", "it is read to its end anyway").hint("leave --follow out")
}
