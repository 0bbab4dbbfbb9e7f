//! How is the send log read again: whole, with what was rotated, or as it grows? (sealpost(1), "sealpost log")

pub mod entry;
pub mod filter;
pub mod summary;

mod follow;
mod lenient;
mod lines;
mod part;
mod place;
mod rotated;
#[cfg(test)]
mod tests;
mod unpack;

use std::{
    fs::{File, Metadata},
    io::{self, ErrorKind, Read},
    ops::ControlFlow,
    os::{fd::BorrowedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};

use self::{
    entry::Entry,
    filter::Filter,
    follow::{Growing, Watch},
};
use crate::error::{Error, Exit};

/// How far a record may stand behind a later one, and a file system's clock from the log's: what is older than what is asked for by
/// more than this is passed over unread.
const LEEWAY: SignedDuration = SignedDuration::from_hours(24);

/// What looks at each record that is wanted, with the line that it stands in; `Break` ends the reading.
pub type Visitor<'a> = dyn FnMut(&str, Entry) -> ControlFlow<()> + 'a;

/// Which records are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What each must be.
    pub filter: Filter,
    /// Only the last ones are of use, so many of them. More may be shown: what stands before them need not be read.
    pub last: Option<usize>,
}

/// The send log with its rotated parts. At most one line of it is in memory.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    /// Held from the beginning, so that a rotation meanwhile can't hide it; `None` between a rotation and the next send.
    current: Option<File>,
    parts: Vec<PathBuf>,
}

/// What a reading left out.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Lines that are no records.
    pub strangers: u64,
    /// Parts that could not be read, or not to their end.
    pub failures: Vec<Error>,
}

impl Ledger {
    /// Finds the log and its rotated parts.
    ///
    /// # Errors
    /// There is no log, or it can't be read; [`Exit::NoInput`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let current = match part::open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(path, &error)),
        };
        // A directory that may be passed through and not listed hides rotated parts; the log itself is there.
        let parts = rotated::beside(path).unwrap_or_default();
        if current.is_none() && parts.is_empty() {
            let hint =
                "nothing was sent yet, or it is elsewhere: `sealpost config show` says where [log] puts it, --file names one";
            return Err(Error::new(Exit::NoInput, reading(path), "there is no such file").hint(hint));
        }
        Ok(Self { path: path.to_owned(), current, parts })
    }

    /// Shows every record that is wanted to `visit`, the oldest part first. What can't hold one is not read.
    pub fn read(mut self, wanted: &Wanted, visit: &mut Visitor<'_>) -> Gaps {
        let mut reading = Reading { filter: &wanted.filter, visit, gaps: Gaps::default() };
        let beginning = self.beginning(wanted);
        if self.older(&beginning, &mut reading).is_continue()
            && let Some(file) = self.current.take()
        {
            let _ = part::read(&self.path, file, beginning.offset, &mut reading);
        }
        reading.gaps
    }

    /// As [`read`](Self::read), then waits for more, through rotations and truncations, until `visit` breaks or nobody reads
    /// `output` any more. `caught_up` is told when everything that was there has been shown.
    pub fn follow(
        mut self,
        wanted: &Wanted,
        visit: &mut Visitor<'_>,
        caught_up: &mut dyn FnMut() -> ControlFlow<()>,
        output: BorrowedFd<'_>,
    ) -> Gaps {
        let watch = Watch::new(&self.path);
        let mut reading = Reading { filter: &wanted.filter, visit, gaps: Gaps::default() };
        let beginning = self.beginning(wanted);
        if self.older(&beginning, &mut reading).is_continue() {
            let growing = self.current.take().map(|file| Growing::lines(file, beginning.offset));
            let _ = follow::run(&self.path, &watch, growing, &mut reading, caught_up, output);
        }
        reading.gaps
    }

    fn beginning(&self, wanted: &Wanted) -> Beginning {
        let since = wanted.filter.since;
        let current = self.current.as_ref();
        let enough = wanted.last.zip(current).and_then(|(last, file)| place::of_last(file, last, &wanted.filter));
        if let Some(offset) = enough {
            return Beginning { since, has_older: false, offset };
        }
        let offset = since.zip(current).map_or(0, |(since, file)| place::of_time(file, since));
        // Where even the current part holds older records than the oldest wanted, the rotated ones hold nothing else.
        Beginning { since, has_older: offset == 0, offset }
    }

    fn older(&mut self, beginning: &Beginning, reading: &mut Reading<'_, '_>) -> ControlFlow<()> {
        let current = self.current.as_ref().and_then(|file| file.metadata().ok());
        for path in std::mem::take(&mut self.parts).into_iter().filter(|_| beginning.has_older) {
            let file = match part::open(&path) {
                // Rotated on, or removed, since the directory was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    reading.gaps.failures.push(unreadable(&path, &error));
                    continue;
                }
                Ok(file) => file,
            };
            let metadata = file.metadata().ok();
            let rotated_meanwhile = same(metadata.as_ref(), current.as_ref());
            let too_old = beginning.since.is_some_and(|since| metadata.is_some_and(|metadata| ended_before(&metadata, since)));
            if !rotated_meanwhile && !too_old {
                let offset = beginning.since.map_or(0, |since| place::of_time(&file, since));
                part::read(&path, file, offset, reading)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Shows every record that is wanted of a stream that is no file.
pub fn read_stream(stream: impl Read, wanted: &Wanted, visit: &mut Visitor<'_>) -> Gaps {
    let mut reading = Reading { filter: &wanted.filter, visit, gaps: Gaps::default() };
    let _ = part::whole(Path::new("-"), stream, &mut reading);
    reading.gaps
}

/// Where the oldest record stands that is wanted.
struct Beginning {
    since: Option<Timestamp>,
    /// Perhaps in a rotated part.
    has_older: bool,
    /// Else at this octet of the current one.
    offset: u64,
}

/// What happens to each line.
struct Reading<'a, 'v> {
    filter: &'a Filter,
    visit: &'a mut Visitor<'v>,
    gaps: Gaps,
}

impl Reading<'_, '_> {
    fn show(&mut self, line: &lines::Line<'_>) -> ControlFlow<()> {
        let parsed = match line {
            // A newline alone is what the writer puts between half a line and the next one.
            lines::Line::Whole([]) => return ControlFlow::Continue(()),
            lines::Line::Whole(octets) => Entry::parse(octets),
            lines::Line::Overlong => None,
        };
        match parsed {
            Some((text, entry)) if self.filter.admits(&entry) => (self.visit)(text, entry),
            Some(_) => ControlFlow::Continue(()),
            None => {
                self.gaps.strangers += 1;
                ControlFlow::Continue(())
            }
        }
    }
}

fn same(one: Option<&Metadata>, other: Option<&Metadata>) -> bool {
    one.is_some() && one.map(|m| (m.dev(), m.ino())) == other.map(|m| (m.dev(), m.ino()))
}

fn ended_before(metadata: &Metadata, since: Timestamp) -> bool {
    let written = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    written.and_then(|time| time.checked_add(LEEWAY).ok()).is_some_and(|time| time < since)
}

fn reading(path: &Path) -> String {
    format!("reading the send log {}", path.display())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "the log belongs to who sends: ask as root, or name your own with --file",
        ErrorKind::Unsupported => "install that program, or unpack the file and pipe it in: `… | sealpost log --file -`",
        _ => "name a log with --file",
    };
    Error::new(Exit::NoInput, reading(path), words(error)).hint(hint)
}

fn broken(path: &Path, error: &io::Error) -> Error {
    let because = match error.kind() {
        ErrorKind::UnexpectedEof => "the compressed file ends in the middle".to_owned(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => format!("the compressed file is damaged ({error})"),
        _ => words(error),
    };
    Error::new(Exit::NoInput, reading(path), because).hint("what stands before that place was read")
}

/// What the system says, without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}
