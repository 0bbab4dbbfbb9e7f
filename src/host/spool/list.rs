//! What is in a spool, found without holding all of it in memory?

use std::{ffi::CString, fs::File, io};

use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat},
    io::Errno,
};

use super::{Place, Spool, claim, entry::Entry, trouble};
use crate::{error::Error, host::journal::Id};

/// A file being written is swept no earlier than this after its last change, whatever its lock says.
const GRACE_SECONDS: i64 = 3600;

/// A message that waits, as its name and mtime tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub id: Id,
    /// When its next attempt is due (in `failed`: when it failed).
    pub due: Timestamp,
}

/// What stands under a name of a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A message.
    Message(Waiting),
    /// No message of ours: this name.
    Odd(String),
}

impl Spool {
    /// Goes through a place in no order, without opening any file; what is being written is left out.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn names(&self, place: Place) -> Result<impl Iterator<Item = Found> + '_, Error> {
        let fault = |error: io::Error| trouble("reading the queue in", self.path(), &error);
        let directory = self.directory(place).map_err(fault)?;
        let dir = Dir::read_from(&directory.fd).map_err(|error| fault(error.into()))?;
        Ok(dir.filter_map(move |entry| {
            let name = entry.ok()?.file_name().to_owned();
            self.found(place, &name)
        }))
    }

    fn found(&self, place: Place, name: &CString) -> Option<Found> {
        let text = name.to_string_lossy();
        let id = match text.as_ref() {
            "." | ".." => return None,
            text => Id::parse(text),
        };
        let being_written = || text.strip_suffix(".new").and_then(Id::parse).is_some();
        let stat = statat(&self.directory(place).ok()?.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        match (id, stat) {
            // Gone since the directory was read.
            (_, Err(_)) => None,
            (Some(id), Ok(stat)) if place != Place::Odd && self.oddity(&stat).is_none() => {
                Some(Found::Message(Waiting { id, due: claim::due(&stat) }))
            }
            (None, Ok(_)) if being_written() => None,
            _ => Some(Found::Odd(text.into_owned())),
        }
    }

    /// Looks at a message without taking it; `None`: it is gone, or no message of ours.
    ///
    /// # Errors
    /// It can't be opened or read, for now.
    pub fn peek(&self, place: Place, id: Id) -> Result<Option<Entry>, Error> {
        self.look(place, id).map_err(|error| trouble(&format!("reading message {id} of the queue in"), self.path(), &error))
    }

    fn look(&self, place: Place, id: Id) -> io::Result<Option<Entry>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.directory(place)?.fd, id.to_string(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        if self.oddity(&stat).is_some() {
            return Ok(None);
        }
        Ok(claim::read(&file, &stat)?.ok().map(|(entry, _)| entry))
    }

    /// Puts aside what is no message of ours, so that nobody meets it again.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn set_aside(&self, place: Place, name: &str) -> Result<(), Error> {
        self.shift(name, place, Place::Odd)
            .map_err(|error| trouble(&format!("setting aside {name} of the queue in"), self.path(), &error))
    }

    /// Removes what dead writers left, and what failed before `failed_before`; how many of each.
    ///
    /// # Errors
    /// A directory can't be read; what can't be removed waits for the next time.
    pub fn sweep(&self, now: Timestamp, failed_before: Timestamp) -> Result<(usize, usize), Error> {
        let fault = |error: io::Error| trouble("sweeping the queue in", self.path(), &error);
        let dead = self.sweep_unfinished(now).map_err(fault)?;
        let mut old = 0;
        for found in self.names(Place::Failed)? {
            if let Found::Message(waiting) = found
                && waiting.due < failed_before
            {
                old += usize::from(self.remove(Place::Failed, &waiting.id.to_string()));
            }
        }
        Ok((dead, old))
    }

    fn sweep_unfinished(&self, now: Timestamp) -> io::Result<usize> {
        let directory = self.directory(Place::Queue)?;
        let mut dead = 0;
        for entry in Dir::read_from(&directory.fd)? {
            let name = entry?.file_name().to_owned();
            if !name.to_bytes().ends_with(b".new") {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let Ok(file) = openat(&directory.fd, &name, flags, Mode::empty()) else { continue };
            let idle = now.as_second() - claim::due(&fstat(&file)?).as_second();
            // A writer locks it before its first octet.
            if idle.abs() > GRACE_SECONDS && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                dead += usize::from(unlinkat(&directory.fd, &name, AtFlags::empty()).is_ok());
            }
        }
        Ok(dead)
    }

    fn remove(&self, place: Place, name: &str) -> bool {
        self.directory(place).is_ok_and(|directory| unlinkat(&directory.fd, name, AtFlags::empty()).is_ok())
    }
}
