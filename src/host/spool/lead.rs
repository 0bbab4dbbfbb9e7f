//! Who runs a queue, so that it is one process at a time? (flock(2))

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat, statat},
    io::Errno,
};

use super::{Place, Spool, trouble};
use crate::error::Error;

/// The file whose lock the leader holds.
const NAME: &str = "run.lock";

/// The right to run a queue; it ends with the process, or when it is dropped.
#[derive(Debug)]
pub struct Lead {
    file: OwnedFd,
}

impl Spool {
    /// Becomes the leader; `None`: another process is it, and will see what was added before this was asked.
    ///
    /// # Errors
    /// The lock can't be made or opened.
    pub fn lead(&self) -> Result<Option<Lead>, Error> {
        let fault = |error: io::Error| trouble("taking the lead of the queue in", self.path(), &error);
        let file = self.open_lock().map_err(fault)?;
        self.lock(file).map_err(fault)
    }

    /// Becomes the leader by a lock that whoever started this process took for it; `None`: this is no such lock.
    ///
    /// # Errors
    /// The system does not say.
    pub fn lead_on(&self, given: OwnedFd) -> Result<Option<Lead>, Error> {
        let fault = |error: io::Error| trouble("taking the lead of the queue in", self.path(), &error);
        let (known, stat) = match (statat(&self.root, NAME, AtFlags::SYMLINK_NOFOLLOW), fstat(&given)) {
            (Ok(known), Ok(stat)) => (known, stat),
            (Err(Errno::NOENT), _) => return Ok(None),
            (Err(error), _) | (_, Err(error)) => return Err(fault(error.into())),
        };
        if (known.st_dev, known.st_ino) != (stat.st_dev, stat.st_ino) {
            return Ok(None);
        }
        self.lock(given).map_err(fault)
    }

    /// Where messages appear when they are added, for who watches; made where it is missing.
    ///
    /// # Errors
    /// It can't be made or opened.
    pub fn arrivals(&self) -> Result<PathBuf, Error> {
        let made = self.directory(Place::Queue).map(|_| self.path().join(Place::Queue.as_str()));
        made.map_err(|error| trouble("opening the queue in", self.path(), &error))
    }

    fn open_lock(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.root, NAME, flags, Mode::RUSR | Mode::WUSR)?;
        let stat = fstat(&file)?;
        if stat.st_uid != self.owner.0 && stat.st_uid == rustix::process::geteuid().as_raw() {
            self.hand_over(&file)?;
        } else if !self.is_lock(&stat) {
            return Err(io::Error::other(format!("{NAME} is not its own")));
        }
        Ok(file)
    }

    fn is_lock(&self, stat: &Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == self.owner.0
    }

    fn lock(&self, file: OwnedFd) -> io::Result<Option<Lead>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Where the file was taken away meanwhile, this is a lock that nobody else meets.
        let (held, stat) = (fstat(&file)?, statat(&self.root, NAME, AtFlags::SYMLINK_NOFOLLOW));
        let is_same = stat.is_ok_and(|now| (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino));
        Ok(is_same.then_some(Lead { file }))
    }
}

impl Lead {
    /// The lock for a process that is started in place of this one: it goes on as long as any of both holds it.
    pub fn into_file(self) -> File {
        self.file.into()
    }
}

impl AsFd for Lead {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}
