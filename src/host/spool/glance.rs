//! How does somebody look into a message, or have it tried sooner, without being in the way of who works on it?

use std::{fs::File, io};

use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, fstat, openat, utimensat},
    io::Errno,
};

use super::{Entry, Place, Spool, Stored, claim, format, trouble};
use crate::{error::Error, host::journal::Id};

impl Spool {
    /// What is known of a message, and its octets, without its lock; `None`: it is gone, or no message of ours.
    ///
    /// # Errors
    /// It can't be opened or read, for now.
    pub fn glance(&self, place: Place, id: Id) -> Result<Option<(Entry, Stored)>, Error> {
        self.open_unlocked(place, id)
            .map_err(|error| trouble(&format!("reading message {id} of the queue in"), self.path(), &error))
    }

    fn open_unlocked(&self, place: Place, id: Id) -> io::Result<Option<(Entry, Stored)>> {
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
        let Ok((entry, _)) = claim::read(&file, &stat)? else { return Ok(None) };
        let mut first = [0; format::FIRST];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut first, 0)?;
        let Ok(layout) = format::Layout::parse(&first) else { return Ok(None) };
        let stored = Stored::new(file, layout.content_at(), &entry.head);
        Ok(Some((entry, stored)))
    }

    /// Makes a message of the queue due, whoever works on it. It is no harm if a power cut undoes that.
    ///
    /// # Errors
    /// It can't be changed; that it is gone is no error.
    pub fn hasten(&self, id: Id, due: Timestamp) -> Result<(), Error> {
        let time = Timespec { tv_sec: due.as_second(), tv_nsec: due.subsec_nanosecond().max(0).into() };
        let times = Timestamps { last_access: time, last_modification: time };
        let set = self.directory(Place::Queue).and_then(|directory| {
            match utimensat(&directory.fd, id.to_string(), &times, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        set.map_err(|error| trouble(&format!("hastening message {id} of the queue in"), self.path(), &error))
    }
}
