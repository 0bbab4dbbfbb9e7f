//! Where does a message wait, so that nothing loses it and nobody else reads it? (RFC 5321 6.1)
//!
//! # The states
//!
//! A spool is a directory of its owner (0700). One message is one file, and the name of the file says how it stands; each step is
//! one call, and whoever dies before or after it leaves one of these rows.
//!
//! | file | state | moved on by | swept by |
//! |---|---|---|---|
//! | `queue/ID.new` | being written; nobody was told that it is safe | rename to `queue/ID`, then fsync of `queue` | [`Spool::sweep`], where its lock is free: its writer is dead |
//! | `queue/ID` | safe; the next attempt is due at its mtime | unlink when all have it; rename to `held` or `failed` | nobody |
//! | `held/ID` | safe; waits until somebody releases it | rename to `queue/ID` | nobody |
//! | `failed/ID` | failed for good, told of where that is possible | rename to `queue/ID` when somebody releases it | [`Spool::sweep`], after `keep_failed` |
//! | `odd/NAME` | no message of ours; set aside, never sent | a person | nobody |
//!
//! Whoever works on a message holds a lock (flock) on its file, which dies with the process. The octets of the message are never
//! changed; what becomes of it is appended, a line a change, and fsync'd before anything else is tried. A line that was torn by a
//! power cut is no line: the one before it counts.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{Mode, OFlags, fstat, mkdirat, open, openat, renameat},
    io::Errno,
};

mod claim;
mod content;
mod entry;
mod format;
mod glance;
mod lead;
mod list;
mod pauses;
mod sync;
mod write;

use self::sync::GroupSync;
pub use self::{
    claim::{Claim, Claimed},
    content::Stored,
    entry::{Entry, Head, State},
    lead::Lead,
    list::{Found, Waiting},
    pauses::{Pause, Pauses},
};
use crate::error::{Error, Exit};

/// Where in a spool a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits for its next attempt.
    Queue,
    /// It waits for a person.
    Held,
    /// It failed for good.
    Failed,
    /// It is no message of ours.
    Odd,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Held, Self::Failed, Self::Odd];

    /// The name of its directory.
    pub fn as_str(self) -> &'static str {
        ["queue", "held", "failed", "odd"][self as usize]
    }
}

/// A directory in which messages wait. Threads may share one, and so may processes share its directory.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    root: OwnedFd,
    owner: (u32, u32),
    places: [OnceLock<Directory>; 4],
}

#[derive(Debug)]
struct Directory {
    fd: OwnedFd,
    sync: GroupSync,
}

impl Spool {
    /// Opens the spool at `path`, and makes it where it is missing.
    ///
    /// # Errors
    /// [`Exit::TempFail`]: it can't be made or opened; [`Exit::Config`]: it is somebody else's, or others may write in it.
    pub fn make(path: &Path) -> Result<Self, Error> {
        if let Some(spool) = Self::open(path)? {
            return Ok(spool);
        }
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| private_dir(rustix::fs::CWD, path)).map_err(|error| trouble("making the spool", path, &error))?;
        Self::open(path)?.ok_or_else(|| trouble("making the spool", path, &io::ErrorKind::NotFound.into()))
    }

    /// Opens the spool at `path`; `None` where there is none.
    ///
    /// # Errors
    /// As [`Spool::make`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let doing = "opening the spool";
        let root = match open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(trouble(doing, path, &error.into())),
        };
        let stat = fstat(&root).map_err(|error| trouble(doing, path, &error.into()))?;
        let own = rustix::process::geteuid();
        if stat.st_uid != own.as_raw() && !own.is_root() {
            let because = format!("{} belongs to another user", path.display());
            return Err(Error::new(Exit::Config, doing, because).hint("name another `dir` under [queue]"));
        }
        if stat.st_mode & 0o022 != 0 {
            let because = format!("others may write in {}", path.display());
            return Err(Error::new(Exit::Config, doing, because).hint(format!("run: chmod 700 {}", path.display())));
        }
        let owner = (stat.st_uid, stat.st_gid);
        Ok(Some(Self { path: path.to_owned(), root, owner, places: Default::default() }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The octets that are free on its file system, for whom is not root.
    ///
    /// # Errors
    /// The system does not say.
    pub fn free(&self) -> Result<u64, Error> {
        let stat = rustix::fs::fstatvfs(&self.root).map_err(|error| trouble("looking at the spool", &self.path, &error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The directory of a place, made where it is missing.
    fn directory(&self, place: Place) -> io::Result<&Directory> {
        let cell = &self.places[place as usize];
        if let Some(directory) = cell.get() {
            return Ok(directory);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(&self.root, place.as_str(), flags, Mode::empty());
        let fd = match open() {
            Err(Errno::NOENT) => {
                private_dir(self.root.as_fd(), Path::new(place.as_str()))?;
                self.hand_over(&open()?)?;
                rustix::fs::fsync(&self.root)?;
                open()?
            }
            opened => opened?,
        };
        let stat = fstat(&fd)?;
        if stat.st_uid != self.owner.0 || stat.st_mode & 0o022 != 0 {
            return Err(io::Error::other(format!("others may write in its directory {}", place.as_str())));
        }
        Ok(cell.get_or_init(|| Directory { fd, sync: GroupSync::default() }))
    }

    /// What root makes in a spool of the service's belongs to the service.
    fn hand_over(&self, fd: &impl AsFd) -> io::Result<()> {
        let (uid, gid) = self.owner;
        if rustix::process::geteuid().as_raw() == uid {
            return Ok(());
        }
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(io::Error::from)
    }

    /// Makes what was renamed or unlinked in a place survive a power cut.
    fn settle(&self, place: Place) -> io::Result<()> {
        let directory = self.directory(place)?;
        directory.sync.run(|| rustix::fs::fsync(&directory.fd).map_err(io::Error::from))
    }

    /// Moves a file from one place to another, durably: there first, so that a power cut leaves it in one of them at least.
    fn shift(&self, name: &str, from: Place, to: Place) -> io::Result<()> {
        renameat(&self.directory(from)?.fd, name, &self.directory(to)?.fd, name)?;
        self.settle(to)?;
        self.settle(from)
    }
}

/// A directory that nobody else may enter.
fn private_dir(at: impl AsFd, path: &Path) -> io::Result<()> {
    match mkdirat(at, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The error of a spool that does not work; may work later.
fn trouble(doing: &str, path: &Path, error: &io::Error) -> Error {
    let because = error.to_string();
    let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
    let hint = match (error.kind(), Errno::from_io_error(error)) {
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => "make room there",
        (_, Some(Errno::MFILE | Errno::NFILE)) => "too many files are open: raise the limit (ulimit -n), or try again later",
        (_, Some(Errno::FBIG)) => "raise the file size limit of the calling process (ulimit -f)",
        (io::ErrorKind::ReadOnlyFilesystem, _) => "mount it for writing, or name another `dir` under [queue]",
        (io::ErrorKind::PermissionDenied, _) => "it must belong to who runs sealpost; or name another `dir` under [queue]",
        _ => "name another `dir` under [queue], or mend what the system says",
    };
    Error::new(Exit::TempFail, format!("{doing} {}", path.display()), because).hint(hint)
}

#[cfg(test)]
mod tests;
