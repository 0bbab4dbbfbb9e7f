//! Who works on a message, and how is what becomes of it made durable?

use std::{ffi::OsStr, fs::File, io, os::unix::fs::FileExt as _};

use rustix::{
    fs::{FallocateFlags, FlockOperation, Mode, OFlags, Stat, fallocate, flock, fstat, openat},
    io::{Errno, retry_on_intr},
};

use super::{
    Directory, Place, Spool, Stored,
    entry::{Entry, State},
    format,
    list::CAUTION,
    names, read, trouble,
};
use crate::{error::Error, host::journal::Id};

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
    /// Where the message begins.
    at: u64,
    /// Where the next change is to be written.
    end: u64,
    /// There may be octets behind that.
    is_torn: bool,
}

/// Whether a message can be worked on.
#[derive(Debug)]
pub enum Claimed<'s> {
    /// It is ours.
    Ours(Box<Claim<'s>>),
    /// Somebody else works on it; or a program that is being started has not let go of it yet, for a moment.
    Busy,
    /// It is not there (any more).
    Gone,
    /// It is no message of ours, and why; in words that follow its name.
    Odd(String),
}

impl Spool {
    /// Takes a message to work on. Its octets are compared with what was written.
    ///
    /// # Errors
    /// It can't be opened or read, for now.
    pub fn claim(&self, place: Place, id: Id) -> Result<Claimed<'_>, Error> {
        let doing = || format!("reading message {id} of the queue in");
        self.take(place, id).map_err(|error| trouble(&doing(), self.path(), &error))
    }

    fn take(&self, place: Place, id: Id) -> io::Result<Claimed<'_>> {
        let Some(directory) = self.existing(place)? else { return Ok(Claimed::Gone) };
        let name = id.to_string();
        let name = OsStr::new(&name);
        let file = match retry_on_intr(|| openat(&directory.fd, name, OFlags::RDWR | CAUTION, Mode::empty())) {
            Ok(file) => File::from(file),
            Err(error) => return self.unopened(directory, name, error),
        };
        let stat = fstat(&file)?;
        if let Some(why) = self.oddity(&stat) {
            return Ok(Claimed::Odd(why));
        }
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Claimed::Busy),
            Err(error) => return Err(error.into()),
        }
        // Between open and lock it may have been finished, changed or moved: then this file is not what stands under the name.
        let Some(mut stat) = names::stat(&directory.fd, name)?.filter(|now| names::same(now, &stat)) else {
            return Ok(Claimed::Gone);
        };
        if stat.st_nlink > 1 {
            if !self.stays(place, name, &stat)? {
                return Ok(Claimed::Gone);
            }
            stat = fstat(&file)?;
        }
        if stat.st_nlink > 1 {
            return Ok(Claimed::Odd("has a second name".to_owned()));
        }
        Ok(match read::read(&file, &stat)? {
            Ok(known) if !known.is_whole(&file)? => Claimed::Odd("is not what was written: its checksum is another".to_owned()),
            Ok(known) => {
                let mut claim = Claim::new(self, place, id, file, known.entry, known.at, known.end);
                claim.is_torn = known.is_torn;
                Claimed::Ours(Box::new(claim))
            }
            Err(why) => Claimed::Odd(why),
        })
    }

    fn unopened(&self, directory: &Directory, name: &OsStr, error: Errno) -> io::Result<Claimed<'_>> {
        match error {
            Errno::NOENT => return Ok(Claimed::Gone),
            Errno::LOOP => return Ok(Claimed::Odd("is a symbolic link".to_owned())),
            // A socket, a device that is not there, a directory; or somebody else's. If it is a file of ours, something else is wrong.
            Errno::ACCESS | Errno::NXIO | Errno::NODEV | Errno::ISDIR => {}
            error => return Err(error.into()),
        }
        let Some(stat) = names::stat(&directory.fd, name)? else { return Ok(Claimed::Gone) };
        self.oddity(&stat).map(Claimed::Odd).ok_or_else(|| error.into())
    }

    /// Ends what a power cut left half renamed or half moved, by the one who has the lock: the quietest place keeps it. Whether that
    /// is `place`.
    fn stays(&self, place: Place, name: &OsStr, stat: &Stat) -> io::Result<bool> {
        let has = |directory: &Directory, name: &OsStr| -> io::Result<bool> {
            Ok(names::stat(&directory.fd, name)?.is_some_and(|found| names::same(&found, stat)))
        };
        let mut quietest = None;
        for other in Place::QUIETEST {
            let Some(directory) = self.existing(other)? else { continue };
            let raw = names::unfinished(name);
            if other == Place::Queue && has(directory, &raw)? {
                directory.change(|fd| names::unlink(fd, &raw))?;
            }
            if !has(directory, name)? {
                continue;
            }
            if quietest.is_none() {
                quietest = Some(other);
                // This name may not be on the disk yet.
                directory.change(|_| Ok(()))?;
            } else {
                directory.change(|fd| names::unlink(fd, name))?;
            }
        }
        Ok(quietest == Some(place))
    }

    /// Why this can't be a message of ours, whatever stands in it.
    pub(super) fn oddity(&self, stat: &Stat) -> Option<String> {
        if !read::is_file(stat) {
            Some("is no file".to_owned())
        } else if stat.st_uid != self.owner.0 {
            Some("belongs to another user".to_owned())
        } else {
            None
        }
    }
}

impl<'s> Claim<'s> {
    pub(super) fn new(spool: &'s Spool, place: Place, id: Id, file: File, entry: Entry, at: u64, end: u64) -> Self {
        Self { spool, place, id, file, entry, at, end, is_torn: false }
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The octets of the message. Who still reads them keeps it locked.
    ///
    /// # Errors
    /// The file can't be opened a second time.
    pub fn content(&self) -> io::Result<Stored> {
        Ok(Stored::new(self.file.try_clone()?, self.spool.path(), self.at, &self.entry.head))
    }

    /// Takes the room that [`Claim::note`] will need, before an attempt of which only a note can tell who got the message: one to
    /// several recipients. For a single one nothing is done: either [`Claim::finish`] tells, which needs no room, or nobody
    /// got it.
    ///
    /// # Errors
    /// There is no room. Tried all the same, it might reach some recipients again and again.
    pub fn reserve(&mut self) -> Result<(), Error> {
        let recipients = self.entry.state.recipients.len() as u64;
        if recipients < 2 {
            return Ok(());
        }
        let room = format::USUAL_CHANGE + recipients * format::USUAL_STANDING;
        let cut = self.cut();
        let taken = cut.and_then(|()| match retry_on_intr(|| fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.end, room)) {
            // Not every file system can.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            taken => Ok(taken?),
        });
        taken.map_err(|error| self.trouble("making room for what becomes of", &error))
    }

    /// Remembers, durably, how it stands now. It is due at `state.next` from now on, even where this fails.
    ///
    /// # Errors
    /// It can't be written: what was known before counts, in the spool as in `entry`. Where somebody has the message now who is said
    /// to wait, who drops this claim sends it there again: keep it, and try again later; [`Claim::reserve`] makes this
    /// unlikely. Where nobody waits any more, [`Claim::finish`] needs no room.
    pub fn note(&mut self, state: State) -> Result<(), Error> {
        match self.append(&state) {
            Ok(length) => {
                self.end += length;
                self.entry.state = state;
                Ok(())
            }
            Err(error) => {
                self.is_torn = true;
                Err(self.trouble("noting what became of", &error))
            }
        }
    }

    /// Everybody has it, or knows that it failed: it leaves the queue.
    ///
    /// # Errors
    /// It can't be removed, or that may not survive a power cut; it can be tried again.
    pub fn finish(&self) -> Result<(), Error> {
        let directory = self.spool.directory(self.place);
        let removed = directory.and_then(|d| d.change(|fd| names::unlink(fd, OsStr::new(&self.id.to_string()))));
        removed.map_err(|error| self.trouble("removing", &error))
    }

    /// Moves it to another place, durably.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn shift(&mut self, to: Place) -> Result<(), Error> {
        if self.place == to {
            return Ok(());
        }
        let moved = self.spool.shift(OsStr::new(&self.id.to_string()), self.place, to);
        moved.map_err(|error| self.trouble("moving", &error))?;
        self.place = to;
        Ok(())
    }

    fn append(&mut self, state: &State) -> io::Result<u64> {
        let line = format::change(state)?;
        let written = self.cut().and_then(|()| self.file.write_all_at(&line, self.end));
        // Where there is no room for the line, too: it would be due at once, again and again.
        let put_off = read::set_due(&self.file, state.next);
        // Not fdatasync, which may leave the time behind.
        written.and(put_off)?;
        // A line that is there though this failed is true, and whoever reads it may rely on it as long as there is power.
        names::fsync(&self.file)?;
        Ok(line.len() as u64)
    }

    /// Removes what a power cut, or a disk that was full, left behind the last whole line.
    fn cut(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.end)?;
            self.is_torn = false;
        }
        Ok(())
    }

    fn trouble(&self, doing: &str, error: &io::Error) -> Error {
        trouble(&format!("{doing} message {} of the queue in", self.id), self.spool.path(), error)
    }
}
