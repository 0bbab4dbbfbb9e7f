//! How does a reader learn of new lines without asking all the time, and survive rotation and truncation? (inotify(7))

use std::{
    fs::{File, Metadata},
    io::{self, Seek as _},
    mem::MaybeUninit,
    ops::ControlFlow,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
};

use super::{Gaps, LONGEST, Lines, Visitor, broken, open, same, show};

/// How long to wait where the kernel tells of changes: changes on a network file system it does not see.
const WATCHED: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// How long to wait where it does not.
const UNWATCHED: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

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
    mut growing: Option<Lines<File>>,
    visit: &mut Visitor<'_>,
    caught_up: &mut dyn FnMut() -> ControlFlow<()>,
    output: BorrowedFd<'_>,
    gaps: &mut Gaps,
) -> ControlFlow<()> {
    if let Some(lines) = &mut growing {
        drain(path, lines, visit, gaps)?;
    }
    caught_up()?;
    loop {
        if let Some(fresh) = successor(path, growing.as_ref()) {
            // The last lines of the old file may have come after it was read.
            if let Some(old) = &mut growing {
                drain(path, old, visit, gaps)?;
                if let Some(line) = old.rest() {
                    show(&line, visit, gaps)?;
                }
            }
            drain(path, growing.insert(fresh), visit, gaps)?;
            continue;
        }
        watch.wait(output)?;
        if let Some(lines) = &mut growing {
            drain(path, lines, visit, gaps)?;
        }
    }
}

fn drain(path: &Path, lines: &mut Lines<File>, visit: &mut Visitor<'_>, gaps: &mut Gaps) -> ControlFlow<()> {
    loop {
        match lines.advance() {
            Ok(Some(line)) => show(&line, visit, gaps)?,
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => {
                gaps.failures.push(broken(path, &error));
                return ControlFlow::Break(());
            }
        }
    }
}

/// What is to be read instead of `growing`, where that is no longer what the log's name stands for: another file, or the same
/// one, cut shorter than what was read of it.
fn successor(path: &Path, growing: Option<&Lines<File>>) -> Option<Lines<File>> {
    let file = open(path).ok()?;
    let old = growing.map(Lines::source);
    if same(file.metadata().ok().as_ref(), old.and_then(|old| old.metadata().ok()).as_ref()) {
        let is_cut = |old: &File| Ok::<_, io::Error>(length(&file)? < seen(old)?);
        if !old.is_some_and(|old| is_cut(old).unwrap_or(false)) {
            return None;
        }
    }
    Some(Lines::new(file, LONGEST))
}

fn length(file: &File) -> io::Result<u64> {
    file.metadata().as_ref().map(Metadata::len).map_err(|error| error.kind().into())
}

/// Octets that were read.
fn seen(mut file: &File) -> io::Result<u64> {
    file.stream_position()
}
