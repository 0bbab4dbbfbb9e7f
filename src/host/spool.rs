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
//! | `queue/ID` | safe; the next attempt is due at its mtime | unlink when all have it; a second name in `held` or `failed` | nobody |
//! | `held/ID` | safe; waits until somebody releases it | a second name in `queue` | nobody |
//! | `failed/ID` | failed for good, told of where that is possible | a second name in `queue` when somebody releases it | [`Spool::sweep`], after `keep_failed` |
//! | two of these | the power went while it was being renamed or moved | whoever claims it first removes the name that is less quiet | as `ID.new` |
//! | `odd/NAME` | no message of ours; set aside, never sent | a person | nobody |
//!
//! Whoever works on a message holds a lock (flock) on its file, which dies with the process. The octets of the message are never
//! changed; what becomes of it is appended, a line a change, and fsync'd before anything else is tried. A line that was torn by a
//! power cut is no line: the one before it counts.
//!
//! A message can reach somebody twice where the process or the machine dies between the server's last 250 and [`Claim::finish`]
//! (or [`Claim::note`], when others still wait), and nowhere else.

use std::{
    ffi::OsStr,
    fs::DirBuilder,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::DirBuilderExt as _,
    },
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Stat, chmodat, fchmod, fchown, fstat, mkdirat, open, openat, stat, statat},
    io::{Errno, retry_on_intr},
    process::geteuid,
};

mod claim;
mod content;
mod entry;
mod format;
mod glance;
mod lead;
mod list;
mod names;
mod pauses;
mod read;
mod sum;
mod sync;
mod usage;
mod write;

pub use self::{
    claim::{Claim, Claimed},
    content::Stored,
    entry::{Entry, Head, State},
    lead::Lead,
    list::{Found, Named, Waiting},
    pauses::{Pause, Pauses},
    usage::Usage,
};
use self::{names::fsync, sync::GroupSync};
use crate::{
    error::{Error, Exit},
    host::journal::Id,
};

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

    /// The places of messages, the quietest first.
    const QUIETEST: [Self; 3] = [Self::Failed, Self::Held, Self::Queue];

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

impl Directory {
    /// Changes its names, and returns when that survives a power cut.
    fn change(&self, change: impl FnOnce(&OwnedFd) -> io::Result<()>) -> io::Result<()> {
        let ticket = self.sync.ticket();
        change(&self.fd)?;
        Ok(self.sync.settle(ticket, || fsync(&self.fd))?)
    }
}

/// The mode of a directory of which nobody has made sure yet that its name survives a power cut: whoever finds it fsyncs the
/// directory above before the first message is said to be safe, and takes the mark away. Without it the second process could
/// call a message safe while the first is still on its way to that fsync.
const FRESH: u32 = 0o1000;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Spool {
    /// Opens the spool at `path`, and makes it where it is missing.
    ///
    /// # Errors
    /// [`Exit::TempFail`]: it can't be made or opened; [`Exit::Config`]: it is somebody else's, or others may write in it.
    pub fn make(path: &Path) -> Result<Self, Error> {
        if let Some(spool) = Self::open(path)? {
            return Ok(spool);
        }
        // What root makes may be on the way of the service's user.
        let mode = if geteuid().is_root() { 0o755 } else { 0o700 };
        let above = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let made = above.map_or(Ok(()), |parent| DirBuilder::new().recursive(true).mode(mode).create(parent));
        made.and_then(|()| private_dir(CWD, path)).map_err(|error| trouble("making the spool", path, &error))?;
        Self::open(path)?.ok_or_else(|| trouble("making the spool", path, &io::ErrorKind::NotFound.into()))
    }

    /// Opens the spool at `path`; `None` where there is none.
    ///
    /// # Errors
    /// As [`Spool::make`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let doing = "opening the spool";
        let fault = |error: Errno| trouble(doing, path, &error.into());
        let root = match retry_on_intr(|| open(path, DIRECTORY, Mode::empty())) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let stat = fstat(&root).map_err(fault)?;
        let own = geteuid();
        if stat.st_uid != own.as_raw() && !own.is_root() {
            let because = format!("{} belongs to another user", path.display());
            return Err(Error::new(Exit::Config, doing, because).hint("name another `dir` under [queue] (SEALPOST_QUEUE_DIR)"));
        }
        if stat.st_mode & 0o022 != 0 {
            let because = format!("others may write in {}", path.display());
            return Err(Error::new(Exit::Config, doing, because).hint(format!("run: chmod 700 {}", path.display())));
        }
        if stat.st_mode & FRESH != 0 {
            names::settle_way(path, stat.st_dev).map_err(|error| trouble(doing, path, &error))?;
            // Where it can't be taken away, the next one does the same again.
            let _ = fchmod(&root, Mode::from_raw_mode(stat.st_mode & 0o777) | Mode::RWXU);
        }
        let owner = (stat.st_uid, stat.st_gid);
        Ok(Some(Self { path: path.to_owned(), root, owner, places: Default::default() }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is open is still what stands at its path: whoever removes or replaces a spool, or the queue in it, under a process that
    /// goes on leaves it with directories in which nothing can be made, or nobody finds it.
    pub fn is_in_place(&self) -> bool {
        let stands = |open: &OwnedFd, at: rustix::io::Result<Stat>| match (fstat(open), at) {
            (Ok(open), Ok(there)) => names::same(&open, &there),
            // Where the system does not say, nothing is known to be wrong; whoever uses it hears of it.
            (_, at) => !matches!(at, Err(Errno::NOENT)),
        };
        let places = Place::ALL.iter().filter_map(|place| Some((place.as_str(), &self.places[*place as usize].get()?.fd)));
        let mut places = places.map(|(name, fd)| stands(fd, statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW)));
        stands(&self.root, stat(&self.path)) && places.all(|is_there| is_there)
    }

    /// The octets that are free on its file system, for whom is not root.
    ///
    /// # Errors
    /// The system does not say.
    pub fn free(&self) -> Result<u64, Error> {
        let stat = rustix::fs::fstatvfs(&self.root).map_err(|error| trouble("looking at the spool", &self.path, &error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Where a message is; `None`: nowhere (any more).
    ///
    /// # Errors
    /// The system does not say.
    pub fn find(&self, id: Id) -> Result<Option<Place>, Error> {
        self.seek(id).map_err(|error| trouble("looking at the queue in", &self.path, &error))
    }

    fn seek(&self, id: Id) -> io::Result<Option<Place>> {
        let name = id.to_string();
        // It may be moved meanwhile, to or from the queue.
        for place in [Place::Queue, Place::Held, Place::Failed, Place::Queue] {
            if let Some(directory) = self.existing(place)?
                && names::stat(&directory.fd, OsStr::new(&name))?.is_some()
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The directory of a place, made where it is missing.
    fn directory(&self, place: Place) -> io::Result<&Directory> {
        if let Some(directory) = self.existing(place)? {
            return Ok(directory);
        }
        private_dir(self.root.as_fd(), Path::new(place.as_str()))?;
        self.existing(place)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory of a place, where there is one: who only looks makes nothing.
    fn existing(&self, place: Place) -> io::Result<Option<&Directory>> {
        let (cell, name) = (&self.places[place as usize], place.as_str());
        if let Some(directory) = cell.get() {
            return Ok(Some(directory));
        }
        let fd = match retry_on_intr(|| openat(&self.root, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let mut stat = fstat(&fd)?;
        if stat.st_uid != self.owner.0 && stat.st_uid == geteuid().as_raw() {
            // Just made by root, or by root that died on the way.
            self.hand_over(&fd)?;
            stat.st_uid = self.owner.0;
        }
        if stat.st_uid != self.owner.0 {
            return Err(io::Error::other(format!("its directory {name} belongs to another user")));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(io::Error::other(format!("others may write in its directory {name}")));
        }
        if stat.st_mode & FRESH != 0 {
            fsync(&self.root)?;
            // Where it can't be taken away, the next one does the same again.
            let _ = fchmod(&fd, Mode::RWXU);
        }
        Ok(Some(cell.get_or_init(|| Directory { fd, sync: GroupSync::default() })))
    }

    /// What root makes in a spool of the service's belongs to the service.
    fn hand_over(&self, fd: &impl AsFd) -> io::Result<()> {
        let (uid, gid) = self.owner;
        if geteuid().as_raw() == uid {
            return Ok(());
        }
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        Ok(fchown(fd, Some(uid), Some(gid))?)
    }

    /// Moves a message from one place to another, durably. It has both names until the new one is safe: a rename is two changes to
    /// a file system without a journal, of which a power cut may keep the wrong one.
    fn shift(&self, name: &OsStr, from: Place, to: Place) -> io::Result<()> {
        let (old, new) = (self.directory(from)?, self.directory(to)?);
        let linked = new.change(|fd| match names::link(&old.fd, name, fd) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Another message by this name is none of ours.
                self.put_aside(to, name)?;
                names::link(&old.fd, name, fd)
            }
            linked => linked,
        });
        match linked {
            Ok(()) => old.change(|fd| names::unlink(fd, name)),
            Err(error) if names::knows_no_links(&error) => {
                new.change(|fd| names::rename(&old.fd, name, fd, name))?;
                old.change(|_| Ok(()))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives what stands in a place a name in `odd` that is free.
    fn put_aside(&self, place: Place, name: &OsStr) -> io::Result<()> {
        let (from, to) = (self.directory(place)?, self.directory(Place::Odd)?);
        for number in 0..=names::MOST_OF_ONE_NAME {
            let other = names::numbered(name, number);
            match names::rename(&from.fd, name, &to.fd, &other) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                moved => return moved.and_then(|()| to.change(|_| Ok(()))).and_then(|()| from.change(|_| Ok(()))),
            }
        }
        Err(io::Error::other("too many of this name were set aside before"))
    }
}

/// A directory that nobody else may enter, whatever the umask; or the one that is there.
fn private_dir(at: impl AsFd, path: &Path) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o700 | FRESH);
    match mkdirat(&at, path, mode) {
        // Root could be led to a file of somebody else's, and needs no permission to open the directory.
        Ok(()) if geteuid().is_root() => Ok(()),
        Ok(()) => Ok(chmodat(&at, path, mode, AtFlags::empty())?),
        Err(Errno::EXIST) => Ok(()),
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
        (io::ErrorKind::ReadOnlyFilesystem, _) => "mount it for writing, or name another `dir` under [queue] (SEALPOST_QUEUE_DIR)",
        (io::ErrorKind::PermissionDenied, _) => {
            "it must belong to who runs sealpost; or name another `dir` under [queue] (SEALPOST_QUEUE_DIR)"
        }
        (io::ErrorKind::AlreadyExists, _) => "a message of this name waits there already",
        (_, Some(Errno::IO)) => "look at what the kernel says of the disk (dmesg)",
        _ => "name another `dir` under [queue] (SEALPOST_QUEUE_DIR), or mend what the system says",
    };
    Error::new(Exit::TempFail, format!("{doing} {}", path.display()), because).hint(hint)
}

#[cfg(test)]
mod tests;
