//! How is the send log read again: whole, with what was rotated, or as it grows? (sealpost(1), "sealpost log")

pub mod entry;
pub mod filter;
pub mod summary;

mod follow;
mod lines;
mod rotated;
#[cfg(test)]
mod tests;

use std::{
    fs::{File, Metadata},
    io::{self, BufReader, ErrorKind, Read},
    ops::ControlFlow,
    os::{
        fd::BorrowedFd,
        unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use rustix::fs::OFlags;

use self::{
    entry::Entry,
    follow::{Growing, Watch},
    lines::{LONGEST, Line, Lines},
};
use crate::error::{Error, Exit};

/// By how much the clocks of a file system and of the log may disagree where a part is passed over for its age.
const LEEWAY: Duration = Duration::from_secs(86_400);

/// What looks at each record, with the line that it stands in; `Break` ends the reading.
pub type Visitor<'a> = dyn FnMut(&str, Entry) -> ControlFlow<()> + 'a;

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
    /// Lines that are no records of a send.
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
        let current = match open(path) {
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

    /// Shows every record to `visit`, the oldest first. A part that was last written before `since` is passed over.
    pub fn read(mut self, since: Option<Timestamp>, visit: &mut Visitor<'_>) -> Gaps {
        let mut gaps = Gaps::default();
        if self.older(since, visit, &mut gaps).is_continue()
            && let Some(file) = self.current.take()
        {
            let _ = part(&self.path, file, visit, &mut gaps);
        }
        gaps
    }

    /// As [`read`](Self::read), then waits for more, through rotations and truncations, until `visit` breaks or nobody reads
    /// `output` any more. `caught_up` is told when everything that was there has been shown.
    pub fn follow(
        mut self,
        since: Option<Timestamp>,
        visit: &mut Visitor<'_>,
        caught_up: &mut dyn FnMut() -> ControlFlow<()>,
        output: BorrowedFd<'_>,
    ) -> Gaps {
        let watch = Watch::new(&self.path);
        let mut gaps = Gaps::default();
        if self.older(since, visit, &mut gaps).is_continue() {
            let growing = self.current.take().map(Growing::lines);
            let _ = follow::run(&self.path, &watch, growing, visit, caught_up, output, &mut gaps);
        }
        gaps
    }

    fn older(&mut self, since: Option<Timestamp>, visit: &mut Visitor<'_>, gaps: &mut Gaps) -> ControlFlow<()> {
        let current = self.current.as_ref().and_then(|file| file.metadata().ok());
        for path in std::mem::take(&mut self.parts) {
            let file = match open(&path) {
                // Rotated on, or removed, since the directory was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    gaps.failures.push(unreadable(&path, &error));
                    continue;
                }
                Ok(file) => file,
            };
            let metadata = file.metadata().ok();
            let rotated_meanwhile = same(metadata.as_ref(), current.as_ref());
            let too_old = since.is_some_and(|since| metadata.is_some_and(|metadata| ended_before(&metadata, since)));
            if !rotated_meanwhile && !too_old {
                part(&path, file, visit, gaps)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Shows every record of a stream that is no file.
pub fn read_stream(stream: impl Read, visit: &mut Visitor<'_>) -> Gaps {
    let mut gaps = Gaps::default();
    let _ = whole(Path::new("-"), stream, visit, &mut gaps);
    gaps
}

/// One part from its beginning to its end, compressed or not.
fn part(path: &Path, file: File, visit: &mut Visitor<'_>, gaps: &mut Gaps) -> ControlFlow<()> {
    match inflated(file) {
        Ok(stream) => whole(path, stream, visit, gaps),
        Err(error) => {
            gaps.failures.push(unreadable(path, &error));
            ControlFlow::Continue(())
        }
    }
}

fn whole(path: &Path, stream: impl Read, visit: &mut Visitor<'_>, gaps: &mut Gaps) -> ControlFlow<()> {
    let mut lines = Lines::new(stream, LONGEST);
    loop {
        match lines.advance() {
            Ok(Some(line)) => show(&line, visit, gaps)?,
            Ok(None) => break,
            Err(error) => {
                gaps.failures.push(broken(path, &error));
                break;
            }
        }
    }
    lines.rest().map_or(ControlFlow::Continue(()), |line| show(&line, visit, gaps))
}

fn show(line: &Line<'_>, visit: &mut Visitor<'_>, gaps: &mut Gaps) -> ControlFlow<()> {
    let parsed = match line {
        // A newline alone is what the writer puts between half a line and the next one.
        Line::Whole([]) => return ControlFlow::Continue(()),
        Line::Whole(octets) => Entry::parse(octets),
        Line::Overlong => None,
    };
    let Some((text, entry)) = parsed else {
        gaps.strangers += 1;
        return ControlFlow::Continue(());
    };
    visit(text, entry)
}

/// By its first octets, whatever it is called.
fn inflated(file: File) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 4];
    let length = file.read_at(&mut magic, 0)?;
    let foreign =
        |by: &str| Err(io::Error::new(ErrorKind::Unsupported, format!("it is compressed by {by}: only gzip is read here")));
    match &magic[..length] {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
        [0xfd, b'7', b'z', b'X'] => foreign("xz"),
        [b'B', b'Z', b'h', _] => foreign("bzip2"),
        [0x28, 0xb5, 0x2f, 0xfd] => foreign("zstd"),
        [0x04, 0x22, 0x4d, 0x18] => foreign("lz4"),
        _ => Ok(Box::new(file)),
    }
}

/// Opens a regular file, without waiting for a FIFO's writer.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")) }
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
        ErrorKind::Unsupported => "decompress it, or pipe it in: `xzcat FILE | sealpost log --file -`",
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
