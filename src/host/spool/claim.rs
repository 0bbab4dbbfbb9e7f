//! Who works on a message, and how is what becomes of it made durable?

use std::{fs::File, io, os::unix::fs::FileExt as _};

use jiff::Timestamp;
use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps, flock, fstat, futimens, openat, statat,
        unlinkat,
    },
    io::Errno,
};

use super::{
    Place, Spool, Stored,
    entry::{Entry, State},
    format::{self, FIRST, Layout},
    trouble,
};
use crate::{error::Error, host::journal::Id};

/// Octets that are read at once of a head, or of the lines of a state.
const PIECE: usize = 4096;
/// More lines of state than this are not ours: a message has some dozens of attempts.
const LONGEST_STATE: u64 = 256 << 20;

/// A message that this process works on; dropped, the message waits on.
#[derive(Debug)]
pub struct Claim<'s> {
    spool: &'s Spool,
    place: Place,
    /// Its name.
    pub id: Id,
    file: File,
    /// What is known of it.
    pub entry: Entry,
    /// Where the next change is to be written.
    end: u64,
}

/// Whether a message can be worked on.
#[derive(Debug)]
pub enum Claimed<'s> {
    /// It is ours.
    Ours(Box<Claim<'s>>),
    /// Somebody else works on it.
    Busy,
    /// It is not there (any more).
    Gone,
    /// It is no message of ours, and why; in words that follow its name.
    Odd(String),
}

impl Spool {
    /// Takes a message to work on.
    ///
    /// # Errors
    /// It can't be opened or read, for now.
    pub fn claim(&self, place: Place, id: Id) -> Result<Claimed<'_>, Error> {
        let doing = || format!("reading message {id} of the queue in");
        self.take(place, id).map_err(|error| trouble(&doing(), self.path(), &error))
    }

    fn take(&self, place: Place, id: Id) -> io::Result<Claimed<'_>> {
        let (name, directory) = (id.to_string(), self.directory(place)?);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&directory.fd, &name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(Claimed::Gone),
            Err(Errno::LOOP) => return Ok(Claimed::Odd("is a symbolic link".to_owned())),
            Err(Errno::ISDIR) => return Ok(Claimed::Odd("is a directory".to_owned())),
            Err(Errno::NXIO) => return Ok(Claimed::Odd("is a socket".to_owned())),
            Err(Errno::ACCESS) => return Ok(Claimed::Odd("belongs to another user".to_owned())),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        if let Some(why) = self.oddity(&stat) {
            return Ok(Claimed::Odd(why));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Claimed::Busy),
            Err(error) => return Err(error.into()),
        }
        // Between open and lock it may have been finished, or moved: then this file is not what stands under the name.
        match statat(&directory.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(now) if now.st_ino == stat.st_ino && now.st_dev == stat.st_dev => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(Claimed::Gone),
            Err(error) => return Err(error.into()),
        }
        // Whoever held the lock before may have changed it since.
        let stat = fstat(&file)?;
        Ok(match read(&file, &stat)? {
            Ok((entry, end)) => Claimed::Ours(Box::new(Claim::new(self, place, id, file, entry, end))),
            Err(why) => Claimed::Odd(why),
        })
    }

    /// Why this can't be a message of ours.
    pub(super) fn oddity(&self, stat: &Stat) -> Option<String> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::RegularFile if stat.st_uid != self.owner.0 => Some("belongs to another user".to_owned()),
            FileType::RegularFile if stat.st_nlink > 1 => Some("has a second name".to_owned()),
            FileType::RegularFile => None,
            _ => Some("is no file".to_owned()),
        }
    }
}

impl<'s> Claim<'s> {
    pub(super) fn new(spool: &'s Spool, place: Place, id: Id, file: File, entry: Entry, end: u64) -> Self {
        Self { spool, place, id, file, entry, end }
    }

    /// The octets of the message.
    ///
    /// # Errors
    /// The file can't be opened a second time.
    pub fn content(&self) -> io::Result<Stored> {
        let at = self.end_of_head()?;
        Ok(Stored::new(self.file.try_clone()?, at, &self.entry.head))
    }

    /// Remembers, durably, how it stands now.
    ///
    /// # Errors
    /// It can't be written; what was known before stays.
    pub fn note(&mut self, state: State) -> Result<(), Error> {
        self.end += self.append(&state).map_err(|error| self.trouble("noting what became of", &error))?;
        self.entry.state = state;
        Ok(())
    }

    /// Everybody has it, or knows that it failed: it leaves the queue.
    ///
    /// # Errors
    /// It can't be removed, or that may not survive a power cut; it may be tried again.
    pub fn finish(&self) -> Result<(), Error> {
        let removed = self.spool.directory(self.place).and_then(|directory| {
            match unlinkat(&directory.fd, self.id.to_string(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        removed.and_then(|()| self.spool.settle(self.place)).map_err(|error| self.trouble("removing", &error))
    }

    /// Moves it to another place, durably.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn shift(&mut self, to: Place) -> Result<(), Error> {
        if self.place == to {
            return Ok(());
        }
        let moved = self.spool.shift(&self.id.to_string(), self.place, to);
        moved.map_err(|error| self.trouble("moving", &error))?;
        self.place = to;
        Ok(())
    }

    fn append(&self, state: &State) -> io::Result<u64> {
        let line = format::change(state)?;
        // What a power cut left behind the last whole line.
        self.file.set_len(self.end)?;
        self.file.write_all_at(&line, self.end)?;
        set_due(&self.file, state.next)?;
        self.file.sync_data()?;
        Ok(line.len() as u64)
    }

    fn end_of_head(&self) -> io::Result<u64> {
        let mut first = [0; FIRST];
        self.file.read_exact_at(&mut first, 0)?;
        Layout::parse(&first).map(Layout::content_at).map_err(io::Error::other)
    }

    fn trouble(&self, doing: &str, error: &io::Error) -> Error {
        trouble(&format!("{doing} message {} of the queue in", self.id), self.spool.path(), error)
    }
}

/// The mtime says when the next attempt is due, so that nobody needs to open a file to know.
pub(super) fn set_due(file: &File, due: Timestamp) -> io::Result<()> {
    let time = Timespec { tv_sec: due.as_second(), tv_nsec: due.subsec_nanosecond().max(0).into() };
    Ok(futimens(file, &Timestamps { last_access: time, last_modification: time })?)
}

/// When a file's next attempt is due.
pub(super) fn due(stat: &Stat) -> Timestamp {
    Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads the entry of a file, and where its next change goes; or why it is none.
pub(super) fn read(file: &File, stat: &Stat) -> io::Result<Result<(Entry, u64), String>> {
    let mut front = vec![0; PIECE];
    let length = read_up_to(file, &mut front, 0)?;
    front.truncate(length);
    let layout = match Layout::parse(&front) {
        Ok(layout) => layout,
        Err(why) => return Ok(Err(why)),
    };
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let Some(left) = size.checked_sub(layout.state_at()) else {
        return Ok(Err("is shorter than it says".to_owned()));
    };
    let head_end = usize::try_from(layout.content_at()).unwrap_or(usize::MAX);
    if front.len() < head_end {
        front.resize(head_end, 0);
        file.read_exact_at(&mut front[PIECE.min(length)..], PIECE.min(length) as u64)?;
    }
    let head = match format::head(&front[FIRST..head_end], layout) {
        Ok(head) => head,
        Err(why) => return Ok(Err(why)),
    };
    if left > LONGEST_STATE {
        return Ok(Err("has a state that is not ours".to_owned()));
    }
    let mut lines = vec![0; usize::try_from(left).unwrap_or(0)];
    file.read_exact_at(&mut lines, layout.state_at())?;
    let (entry, whole) = format::state(&lines, &head, due(stat));
    Ok(Ok((entry, layout.state_at() + whole as u64)))
}

fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
