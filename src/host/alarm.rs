//! How does one thread wait for the others, for a time, and for files that other processes put into a directory? (poll(2), inotify(7))

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
};

/// Rung by any thread, heard by the one that waits. What rings while nobody waits is heard at once by who waits next.
#[derive(Debug)]
pub struct Alarm {
    bell: PipeWriter,
    ear: PipeReader,
    watch: Option<OwnedFd>,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang.
    Ring,
    /// A file came, or the directory went.
    Files,
    /// The time is over.
    Time,
}

impl Alarm {
    /// An alarm that rings by itself when a file is moved into `directory`, or that directory goes; see [`Alarm::watches`].
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let (ear, bell) = io::pipe()?;
        never_wait(&ear)?;
        never_wait(&bell)?;
        // Without a watch the others still ring; inotify instances are few.
        Ok(Self { bell, ear, watch: watch(directory).ok() })
    }

    /// Whether files that come are noticed.
    pub fn watches(&self) -> bool {
        self.watch.is_some()
    }

    /// Wakes who waits.
    pub fn ring(&self) {
        // Full means that it rings already.
        let _ = (&self.bell).write(&[0]);
    }

    /// Waits until it rings, for `most` at the most.
    pub fn wait(&self, most: Option<Duration>) -> Woken {
        self.listen(most, self.watch.as_ref())
    }

    /// The same for who looks at the directory after it anyway: no file that comes wakes it, and those that came are taken as heard.
    pub fn rest(&self, most: Option<Duration>) -> Woken {
        let woken = self.listen(most, None);
        self.hush(false, true);
        woken
    }

    fn listen(&self, most: Option<Duration>, watch: Option<&OwnedFd>) -> Woken {
        let most = most.map(|most| Timespec {
            tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: most.subsec_nanos().into(),
        });
        let mut ears = vec![PollFd::new(&self.ear, PollFlags::IN)];
        ears.extend(watch.map(|watch| PollFd::new(watch, PollFlags::IN)));
        // An interrupted wait is one that was short.
        let rung = poll(&mut ears, most.as_ref()).unwrap_or(0);
        let is_ready = |at: usize| rung > 0 && ears.get(at).is_some_and(|ear| !ear.revents().is_empty());
        let (has_ring, has_files) = (is_ready(0), is_ready(1));
        self.hush(has_ring, has_files);
        match rung {
            0 => Woken::Time,
            _ if has_files => Woken::Files,
            _ => Woken::Ring,
        }
    }

    /// Takes what has rung so far as heard.
    fn hush(&self, has_ring: bool, has_files: bool) {
        let mut heard = [0; 4096];
        while has_ring && (&self.ear).read(&mut heard).is_ok_and(|n| n == heard.len()) {}
        if let Some(watch) = self.watch.as_ref().filter(|_| has_files) {
            while rustix::io::read(watch, &mut heard).is_ok_and(|n| n > 0) {}
        }
    }
}

fn never_wait(fd: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}

#[cfg(target_os = "linux")]
fn watch(directory: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let what = WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
    add_watch(&watch, directory, what)?;
    Ok(watch)
}

#[cfg(not(target_os = "linux"))]
fn watch(_: &Path) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    #[test]
    fn a_ring_and_a_file_that_comes_wake_who_waits_and_each_is_heard_once() {
        let scratch = tempfile::tempdir().unwrap();
        let (queue, beside) = (scratch.path().join("queue"), scratch.path().join("file"));
        fs::create_dir(&queue).unwrap();
        let alarm = Alarm::new(&queue).unwrap();
        assert!(alarm.watches());
        // None of these would return without what rings.
        alarm.ring();
        assert_eq!(alarm.wait(None), Woken::Ring);
        thread::scope(|scope| {
            scope.spawn(|| alarm.ring());
            alarm.wait(None);
        });
        fs::write(&beside, "").unwrap();
        fs::rename(&beside, queue.join("file")).unwrap();
        assert_eq!(alarm.wait(None), Woken::Files);
        for _ in 0..100_000 {
            alarm.ring();
        }
        alarm.wait(None);
        assert_eq!(alarm.wait(Some(Duration::ZERO)), Woken::Time);
        // Who looks at the files after its rest is neither woken by them nor told of them again.
        fs::write(queue.join("other"), "").unwrap();
        fs::rename(queue.join("other"), queue.join("file")).unwrap();
        assert_eq!(alarm.rest(Some(Duration::ZERO)), Woken::Time);
        assert_eq!(alarm.wait(Some(Duration::ZERO)), Woken::Time);
        fs::remove_dir_all(&queue).unwrap();
        assert_eq!(alarm.wait(None), Woken::Files);
    }
}
