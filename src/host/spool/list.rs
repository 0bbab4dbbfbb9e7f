//! What is in a spool, found without holding all of it in memory?

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::ffi::OsStrExt as _,
};

use jiff::Timestamp;
use rustix::{
    fs::{Dir, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat},
    io::{Errno, retry_on_intr},
};

use super::{
    Directory, Place, Spool,
    entry::Entry,
    names,
    read::{self, Known},
    trouble,
};
use crate::{error::Error, host::journal::Id};

/// A file being written is swept no earlier than this after its last change, whatever its lock says: its writer locks it right after
/// it made it, and root gives it away then.
const GRACE_SECONDS: i64 = 3600;

/// Never follows a link, waits for nobody at a FIFO, never becomes our terminal.
pub(super) const CAUTION: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

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
    /// No message of ours: this name, as foreign as what it names.
    Odd(OsString),
}

/// The same, where nobody has looked yet at what has the name of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// What has the name of a message.
    Message(Id),
    /// No message of ours.
    Odd(OsString),
}

impl Spool {
    /// Goes through a place in no order, without opening any file; what is being written is left out. Who moves or finishes
    /// messages meanwhile may make it miss, or show twice, the ones that are moved.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn names(&self, place: Place) -> Result<impl Iterator<Item = Found> + '_, Error> {
        self.each(place, move |directory, name| self.found(directory, place, name))
    }

    /// The same without a look at what has the name of a message: whoever opens it sees what it is.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn named(&self, place: Place) -> Result<impl Iterator<Item = Named> + '_, Error> {
        let named = move |directory: &Directory, name: &OsStr| match id(name.as_bytes()) {
            Some(id) if place != Place::Odd => Some(Named::Message(id)),
            _ => match self.found(directory, place, name)? {
                Found::Message(waiting) => Some(Named::Message(waiting.id)),
                Found::Odd(name) => Some(Named::Odd(name)),
            },
        };
        self.each(place, named)
    }

    fn each<T>(&self, place: Place, make: impl Fn(&Directory, &OsStr) -> Option<T>) -> Result<impl Iterator<Item = T>, Error> {
        let fault = |error: io::Error| trouble("reading the queue in", self.path(), &error);
        let found = match self.existing(place).map_err(fault)? {
            None => None,
            Some(directory) => {
                let dir = Dir::read_from(&directory.fd).map_err(|error| fault(error.into()))?;
                Some(dir.filter_map(move |entry| make(directory, OsStr::from_bytes(entry.ok()?.file_name().to_bytes()))))
            }
        };
        Ok(found.into_iter().flatten())
    }

    fn found(&self, directory: &Directory, place: Place, name: &OsStr) -> Option<Found> {
        let octets = name.as_bytes();
        if octets == b"." || octets == b".." {
            return None;
        }
        // `None`: gone since the directory was read.
        let stat = names::stat(&directory.fd, name).ok().flatten()?;
        let odd = || Some(Found::Odd(name.to_owned()));
        if place == Place::Odd {
            return odd();
        }
        match (id(octets), unfinished(octets)) {
            (Some(id), _) if self.oddity(&stat).is_none() => Some(Found::Message(Waiting { id, due: read::due(&stat) })),
            (_, true) if self.may_be_written(&stat) => None,
            _ => odd(),
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
        Ok(self.known(place, id)?.map(|(_, known)| known.entry))
    }

    pub(super) fn known(&self, place: Place, id: Id) -> io::Result<Option<(File, Known)>> {
        let Some(directory) = self.existing(place)? else { return Ok(None) };
        let name = id.to_string();
        let file = match retry_on_intr(|| openat(&directory.fd, &name, OFlags::RDONLY | CAUTION, Mode::empty())) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        if self.oddity(&stat).is_some() {
            return Ok(None);
        }
        Ok(read::read(&file, &stat)?.ok().map(|known| (file, known)))
    }

    /// Puts aside what is no message of ours, so that nobody meets it again. In `odd` it keeps its name, with a number where that is
    /// taken.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn set_aside(&self, place: Place, name: impl AsRef<OsStr>) -> Result<(), Error> {
        let name = name.as_ref();
        self.put_aside(place, name).map_err(|error| {
            trouble(&format!("setting aside {} of the queue in", name.to_string_lossy().escape_default()), self.path(), &error)
        })
    }

    /// Removes what dead writers left, and what failed before `failed_before`; how many of each.
    ///
    /// # Errors
    /// A directory can't be read; what can't be removed waits for the next time.
    pub fn sweep(&self, now: Timestamp, failed_before: Timestamp) -> Result<(usize, usize), Error> {
        let fault = |error: io::Error| trouble("sweeping the queue in", self.path(), &error);
        let dead = self.sweep_unfinished(now).map_err(fault)?;
        let mut old = 0;
        if let Some(directory) = self.existing(Place::Failed).map_err(fault)? {
            for found in self.names(Place::Failed)? {
                if let Found::Message(waiting) = found
                    && waiting.due < failed_before
                {
                    let name = waiting.id.to_string();
                    // Not while somebody releases it.
                    old += usize::from(self.remove_if(directory, OsStr::new(&name), |stat| read::due(stat) < failed_before));
                }
            }
        }
        Ok((dead, old))
    }

    fn sweep_unfinished(&self, now: Timestamp) -> io::Result<usize> {
        let Some(directory) = self.existing(Place::Queue)? else { return Ok(0) };
        let is_old = |stat: &Stat| (now.as_second() - read::due(stat).as_second()).abs() > GRACE_SECONDS;
        let mut dead = 0;
        for entry in Dir::read_from(&directory.fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if unfinished(name.to_bytes()) {
                dead += usize::from(self.remove_if(directory, OsStr::from_bytes(name.to_bytes()), is_old));
            }
        }
        Ok(dead)
    }

    /// Removes what somebody began to write and left; false where its writer lives.
    pub(super) fn remove_unfinished(&self, directory: &Directory, name: &OsStr) -> io::Result<bool> {
        let gone = self.remove_if(directory, name, |_| true);
        Ok(gone || names::stat(&directory.fd, name)?.is_none())
    }

    /// Removes a file of which nobody holds the lock; whether it did.
    fn remove_if(&self, directory: &Directory, name: &OsStr, is_due: impl Fn(&Stat) -> bool) -> bool {
        let Ok(Some(stat)) = names::stat(&directory.fd, name) else { return false };
        if !self.may_be_written(&stat) || !is_due(&stat) {
            return false;
        }
        match openat(&directory.fd, name, OFlags::RDONLY | CAUTION, Mode::empty()) {
            Ok(file) => {
                let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
                // It may have been changed or moved before the lock was free.
                let now = names::stat(&directory.fd, name).ok().flatten();
                let is_it = now.is_some_and(|now| names::same(&now, &stat) && is_due(&now));
                is_free && is_it && names::unlink(&directory.fd, name).is_ok()
            }
            // Root died before it gave it away.
            Err(Errno::ACCESS) => names::unlink(&directory.fd, name).is_ok(),
            Err(_) => false,
        }
    }

    /// A file of ours, or one that root is about to give us.
    fn may_be_written(&self, stat: &Stat) -> bool {
        self.oddity(stat).is_none() || stat.st_uid == 0 && read::is_file(stat)
    }
}

fn id(name: &[u8]) -> Option<Id> {
    std::str::from_utf8(name).ok().and_then(Id::parse)
}

/// Whether a name is of a message that is being written.
fn unfinished(name: &[u8]) -> bool {
    name.strip_suffix(b".new").and_then(id).is_some()
}
