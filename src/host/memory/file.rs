//! How is the memory read and replaced, whoever else does so, and whatever has been planted in its place?

use std::{
    fs::{DirBuilder, File},
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags},
    io::Errno,
    process::geteuid,
};

use super::{
    Servers, Trouble,
    text::{LARGEST, Unusable},
};
use crate::error::{Error, Exit};

/// How often, ten milliseconds apart, the lock is asked for: a mail waits for it.
const TURNS: usize = 200;
const TURN: Duration = Duration::from_millis(10);

/// Spoilt files that are kept; somebody should have looked by then.
const MOST_ASIDE: usize = 99;

/// Never waits (a FIFO), never follows a link in the last place, never becomes our terminal.
const CAUTION: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<Servers, Trouble> {
    read_at(CWD, path, path)
}

/// Changes the file at `path`, alone.
pub(super) fn change<T>(path: &Path, change: impl FnOnce(&mut Servers) -> T) -> Result<T, Trouble> {
    let Some(name) = path.file_name().map(Path::new) else {
        return Err(writing(path, &ErrorKind::IsADirectory.into()));
    };
    let directory = lock(path)?;
    let (before, spoilt) = match read_at(&directory, name, path) {
        Ok(servers) => (servers, false),
        Err(trouble) if trouble.spoilt => (Servers::default(), true),
        Err(trouble) => return Err(trouble),
    };
    let mut after = before.clone();
    let value = change(&mut after);
    if after == before {
        return Ok(value);
    }
    let Some(text) = after.text() else {
        let error = Error::new(Exit::CantCreat, doing("writing", path), "it is full, and no key may be forgotten unasked");
        return Err(Trouble { error: error.hint("sealpost trust forget lets you say which"), spoilt: false });
    };
    if spoilt {
        set_aside(&directory, name, path)?;
    }
    replace(&directory, name, text.as_bytes()).map_err(|error| writing(path, &error))?;
    Ok(value)
}

fn read_at(directory: impl AsFd, name: &Path, path: &Path) -> Result<Servers, Trouble> {
    let file = match rustix::fs::openat(directory, name, CAUTION | OFlags::RDONLY, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(Servers::default()),
        Err(Errno::LOOP) => return Err(foreign(path, "it is a symbolic link, and none is followed there")),
        Err(errno) => return Err(unreadable(path, &errno.into())),
    };
    let facts = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !facts.is_file() {
        return Err(foreign(path, "it is not a regular file"));
    }
    if ![0, geteuid().as_raw()].contains(&facts.uid()) {
        return Err(foreign(path, "it belongs to another user"));
    }
    if facts.mode() & 0o022 != 0 {
        return Err(foreign(path, "others may write to it"));
    }
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > LARGEST {
        return Err(spoilt(path, format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Servers::parse(&text).map_err(|unusable| match unusable {
        Unusable::Corrupt(why) => spoilt(path, why),
        Unusable::Newer => foreign(path, "a later version of sealpost wrote it"),
    })
}

/// Waits its turn to be the only one who changes the file. The lock is on the directory, since the file itself is replaced, and
/// ends when that is closed.
fn lock(path: &Path) -> Result<OwnedFd, Trouble> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::from(directory(parent).map_err(|error| writing(path, &error))?);
    let facts = directory.metadata().map_err(|error| writing(path, &error))?;
    if ![0, geteuid().as_raw()].contains(&facts.uid()) {
        return Err(foreign(path, "its directory belongs to another user"));
    }
    if facts.mode() & 0o1002 == 0o0002 {
        return Err(foreign(path, "everybody may remove files of its directory"));
    }
    for turn in 0..TURNS {
        if turn > 0 {
            thread::sleep(TURN);
        }
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            locked => return locked.map(|()| directory.into()).map_err(|errno| writing(path, &errno.into())),
        }
    }
    Err(writing(path, &io::Error::other("another process keeps it locked")))
}

/// Opens the directory. One that is missing is made only when it bears our name, as the default places do: another one is more
/// likely misspelt.
fn directory(path: &Path) -> io::Result<OwnedFd> {
    let open = || rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    match open() {
        Err(Errno::NOENT) if path.ends_with("sealpost") => {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            Ok(open()?)
        }
        opened => Ok(opened?),
    }
}

/// Gives a spoilt file another name, one that is free.
fn set_aside(directory: &OwnedFd, name: &Path, path: &Path) -> Result<(), Trouble> {
    for number in 1..=MOST_ASIDE {
        let other = beside(name, &format!(".corrupt-{number}"));
        match rustix::fs::renameat_with(directory, name, directory, &other, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(writing(path, &errno.into())),
        }
    }
    Err(foreign(path, "it is spoilt, and so many were before it that nobody seems to look"))
}

/// Puts `text` in the file's place, so that whoever reads finds the old text or the new one, whenever the power goes. Only who
/// holds the lock comes here, so a new file that is there already was left by a process that was killed.
fn replace(directory: &OwnedFd, name: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(name, ".new");
    let make = || {
        let flags = CAUTION | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        rustix::fs::openat(directory, &new, flags, Mode::RUSR | Mode::WUSR)
    };
    let file = match make() {
        Err(Errno::EXIST) => rustix::fs::unlinkat(directory, &new, AtFlags::empty()).and_then(|()| make())?,
        made => made?,
    };
    let written = fill(File::from(file), text).and_then(|()| Ok(rustix::fs::renameat(directory, &new, directory, name)?));
    if let Err(error) = written {
        let _ = rustix::fs::unlinkat(directory, &new, AtFlags::empty());
        return Err(error);
    }
    match rustix::fs::fsync(directory) {
        // A file system that has no such thing for directories.
        Err(Errno::INVAL) => Ok(()),
        synced => Ok(synced?),
    }
}

/// 0600 whatever the umask.
fn fill(mut file: File, text: &[u8]) -> io::Result<()> {
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(text)?;
    file.sync_all()
}

fn beside(name: &Path, ending: &str) -> PathBuf {
    let mut other = name.as_os_str().to_owned();
    other.push(ending);
    other.into()
}

fn doing(what: &str, path: &Path) -> String {
    format!("{what} the memory of servers {}", path.display())
}

/// What is there is ours, and no memory.
fn spoilt(path: &Path, why: String) -> Trouble {
    let error = Error::new(Exit::DataErr, doing("reading", path), why);
    Trouble {
        error: error.hint("nothing in it is believed; it is kept beside, as .corrupt-N, when there is something to remember"),
        spoilt: true,
    }
}

/// What is there is not ours to touch.
fn foreign(path: &Path, why: &str) -> Trouble {
    let error = Error::new(Exit::NoInput, doing("reading", path), why);
    Trouble { error: error.hint("look what stands there, and move it away; or name another file in [memory]"), spoilt: false }
}

fn unreadable(path: &Path, error: &io::Error) -> Trouble {
    let hint = "let yourself read it, or name another file in [memory]";
    Trouble { error: Error::new(Exit::NoInput, doing("reading", path), plain(error)).hint(hint), spoilt: false }
}

fn writing(path: &Path, error: &io::Error) -> Trouble {
    let hint = match error.kind() {
        ErrorKind::NotFound => "create the directory, or name another file in [memory]",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that file system",
        ErrorKind::FileTooLarge => "raise the file size limit of the calling process (ulimit -f)",
        _ => "name a file in [memory] (SEALPOST_MEMORY_FILE) that you may write, or none with file = \"\"",
    };
    Trouble { error: Error::new(Exit::CantCreat, doing("writing", path), plain(error)).hint(hint), spoilt: false }
}

fn plain(error: &io::Error) -> String {
    let because = error.to_string();
    because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words).to_owned()
}
