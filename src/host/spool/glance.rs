//! How does somebody look into a message, or have it tried sooner, without being in the way of who works on it?

use std::io;

use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, utimensat},
    io::Errno,
};

use super::{Entry, Place, Spool, Stored, read, trouble};
use crate::{error::Error, host::journal::Id};

impl Spool {
    /// What is known of a message, and its octets, without its lock; `None`: it is gone, or no message of ours.
    ///
    /// # Errors
    /// It can't be opened or read, for now.
    pub fn glance(&self, place: Place, id: Id) -> Result<Option<(Entry, Stored)>, Error> {
        let known = self.known(place, id);
        let known = known.map_err(|error| trouble(&format!("reading message {id} of the queue in"), self.path(), &error))?;
        Ok(known.map(|(file, known)| {
            let stored = Stored::new(file, self.path(), known.at, &known.entry.head);
            (known.entry, stored)
        }))
    }

    /// Makes a message of the queue due, whoever works on it. It is no harm if a power cut undoes that.
    ///
    /// # Errors
    /// It can't be changed; that it is gone is no error.
    pub fn hasten(&self, id: Id, due: Timestamp) -> Result<(), Error> {
        let set = self.set_time(id, due);
        set.map_err(|error| trouble(&format!("hastening message {id} of the queue in"), self.path(), &error))
    }

    fn set_time(&self, id: Id, due: Timestamp) -> io::Result<()> {
        let Some(directory) = self.existing(Place::Queue)? else { return Ok(()) };
        match utimensat(&directory.fd, id.to_string(), &read::times_of(due), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
