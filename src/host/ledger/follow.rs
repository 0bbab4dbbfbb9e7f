//! How does a reader learn of new lines without asking all the time, and survive rotation and truncation? (inotify(7))

use std::{
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    ops::ControlFlow,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
};

use super::{
    Reading, broken,
    lines::{LONGEST, Lines},
    part::open,
    same,
};

/// How long to wait where the kernel tells of changes: changes on a network file system it does not see.
const WATCHED: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// How long to wait where it does not.
const UNWATCHED: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// Octets that are remembered, to see whether they still stand: the end of a record, which no other one has.
const LAST: usize = 256;

/// Tells when something may have changed in the directory of the log.
pub(super) struct Watch(Option<OwnedFd>);

impl Watch {
    /// Watches the directory rather than the file: a rotation makes a new file under the old name.
    pub(super) fn new(log: &Path) -> Self {
        let directory = log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).and_then(|watch| {
            inotify::add_watch(&watch, directory, events)?;
            Ok(watch)
        });
        Self(watch.ok())
    }

    /// Waits until something may have changed; `Break` when nobody reads `output` any more.
    fn wait(&self, output: BorrowedFd<'_>) -> ControlFlow<()> {
        let gone = PollFlags::ERR | PollFlags::HUP;
        let mut fds = vec![PollFd::from_borrowed_fd(output, PollFlags::empty())];
        fds.extend(self.0.as_ref().map(|watch| PollFd::new(watch, PollFlags::IN)));
        // A signal only makes us look too early.
        let _ = poll(&mut fds, Some(if self.0.is_some() { &WATCHED } else { &UNWATCHED }));
        let is_gone = fds.first().is_some_and(|fd| fd.revents().intersects(gone));
        self.forget();
        if is_gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// What happened is found out by looking; the events themselves are only the bell.
    fn forget(&self) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        while let Some(watch) = &self.0 {
            match rustix::io::read(watch, &mut buffer) {
                Ok((events, _)) if !events.is_empty() => {}
                _ => break,
            }
        }
    }
}

/// Shows what the log has, and what is added to it.
pub(super) fn run(
    path: &Path,
    watch: &Watch,
    mut growing: Option<Lines<Growing>>,
    reading: &mut Reading<'_, '_>,
    caught_up: &mut dyn FnMut() -> ControlFlow<()>,
    output: BorrowedFd<'_>,
) -> ControlFlow<()> {
    if let Some(lines) = &mut growing {
        drain(path, lines, reading)?;
    }
    caught_up()?;
    loop {
        match changed(path, growing.as_ref()) {
            Some(Change::Rotated(fresh)) => {
                // The last lines of the old file may have come after it was read.
                if let Some(old) = &mut growing {
                    drain(path, old, reading)?;
                    if let Some(line) = old.rest() {
                        reading.show(&line)?;
                    }
                }
                growing = Some(fresh);
            }
            Some(Change::Cut(fresh)) => growing = Some(fresh),
            None => {}
        }
        if let Some(lines) = &mut growing {
            drain(path, lines, reading)?;
        }
        watch.wait(output)?;
    }
}

fn drain(path: &Path, lines: &mut Lines<Growing>, reading: &mut Reading<'_, '_>) -> ControlFlow<()> {
    loop {
        match lines.advance() {
            Ok(Some(line)) => reading.show(&line)?,
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => {
                reading.gaps.failures.push(broken(path, &error));
                return ControlFlow::Break(());
            }
        }
    }
}

/// What became of the file that is being read, and what to read instead.
enum Change {
    /// The log's name stands for another file.
    Rotated(Lines<Growing>),
    /// The file was emptied, and may have grown again.
    Cut(Lines<Growing>),
}

fn changed(path: &Path, growing: Option<&Lines<Growing>>) -> Option<Change> {
    let file = open(path).ok()?;
    let old = growing.map(Lines::source);
    if !same(file.metadata().ok().as_ref(), old.and_then(|old| old.file.metadata().ok()).as_ref()) {
        return Some(Change::Rotated(Growing::lines(file, 0)));
    }
    old.is_some_and(Growing::is_cut).then(|| Change::Cut(Growing::lines(file, 0)))
}

/// A file that is read while it is written. Its size alone does not tell that it was emptied: it may have grown beyond what was
/// read of it since.
pub(super) struct Growing {
    file: File,
    /// The last octets that were read, and where they end.
    last: Vec<u8>,
    end: u64,
    is_cut: bool,
}

impl Growing {
    /// From the octet `end` on.
    pub(super) fn lines(file: File, end: u64) -> Lines<Self> {
        Lines::new(Self { file, last: Vec::new(), end, is_cut: false }, LONGEST)
    }

    fn is_cut(&self) -> bool {
        self.is_cut || !self.stands().unwrap_or(true)
    }

    /// Whether the last octets that were read are still where they were.
    fn stands(&self) -> io::Result<bool> {
        let mut now = vec![0; self.last.len()];
        let length = self.file.read_at(&mut now, self.end.saturating_sub(self.last.len() as u64))?;
        Ok(now.get(..length) == Some(&self.last))
    }
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.end)?;
        // Looked at after the reading: what was read is its continuation only if it still stands.
        if !self.stands()? {
            self.is_cut = true;
            return Ok(0);
        }
        let read = buffer.get(..length).unwrap_or_default();
        self.last.extend_from_slice(&read[length.saturating_sub(LAST)..]);
        self.last.drain(..self.last.len().saturating_sub(LAST));
        self.end += length as u64;
        Ok(length)
    }
}
