//! How does a name in a directory change, without replacing another and on file systems that know less?

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, RenameFlags, Stat, fstat, linkat, open, renameat, renameat_with, statat, unlinkat},
    io::{Errno, retry_on_intr},
};

use super::DIRECTORY;

/// Files of one name that are set aside; somebody should have looked by then.
pub(super) const MOST_OF_ONE_NAME: u32 = 9999;

/// What a message is called while it is being written.
pub(super) fn unfinished(name: &OsStr) -> OsString {
    let mut raw = name.to_owned();
    raw.push(".new");
    raw
}

/// What stands under a name; `None`: nothing.
pub(super) fn stat(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Moves a name; what has the other name already stays, and that is the error.
pub(super) fn rename(from: &OwnedFd, name: &OsStr, to: &OwnedFd, other: &OsStr) -> io::Result<()> {
    match renameat_with(from, name, to, other, RenameFlags::NOREPLACE) {
        // NFS, and others that know no flags: names are random, so nobody takes this one in between.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match stat(to, other)? {
            Some(_) => Err(Errno::EXIST.into()),
            None => Ok(renameat(from, name, to, other)?),
        },
        renamed => Ok(renamed?),
    }
}

/// Gives a file the same name in another directory; well where it has it already.
pub(super) fn link(from: &OwnedFd, name: &OsStr, to: &OwnedFd) -> io::Result<()> {
    match linkat(from, name, to, name, AtFlags::empty()) {
        Err(Errno::EXIST) if is_one(stat(from, name)?, stat(to, name)?) => Ok(()),
        linked => Ok(linked?),
    }
}

fn is_one(one: Option<Stat>, other: Option<Stat>) -> bool {
    one.zip(other).is_some_and(|(one, other)| same(&one, &other))
}

/// Whether two names are of the same file.
pub(super) fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Whether the file system has no second names; FAT says EPERM.
pub(super) fn knows_no_links(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK))
}

/// Removes a name; well where it is gone.
pub(super) fn unlink(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}

/// A name, and the next ones that are tried where it is taken.
pub(super) fn numbered(name: &OsStr, number: u32) -> OsString {
    let mut other = name.to_owned();
    if number > 0 {
        other.push(format!(".{number}"));
    }
    other
}

/// Forces a file or a directory to the disk.
pub(super) fn fsync(fd: impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(&fd))
}

/// Makes the names of the directories on the way to `path` survive a power cut: nobody knows which of them are new. `device` is its
/// own; what lies above the root of its file system was not made by us.
pub(super) fn settle_way(path: &Path, device: u64) -> io::Result<()> {
    for directory in std::path::absolute(path)?.ancestors().skip(1) {
        match retry_on_intr(|| open(directory, DIRECTORY, Mode::empty())) {
            Ok(fd) if fstat(&fd)?.st_dev == device => fsync(&fd)?,
            Ok(_) => break,
            // Who may not even read it has made nothing in it.
            Err(Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
