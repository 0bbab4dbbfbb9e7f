//! How does a file get a new content so that no reader ever sees half of it? (rename(2))

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, OFlags, RenameFlags, fcntl_getfl, fcntl_setfl, renameat_with},
    io::Errno,
    process::geteuid,
    rand::{GetRandomFlags, getrandom},
};

use crate::error::{Error, Exit};

/// Puts `bytes` in place of what `path` held, with this mode whatever the umask: into a file beside it, which then takes its
/// name; of several at once the last one stays, whole. What is no regular file (a terminal, a pipe that is being read) is
/// written to. A symbolic link of one's own stays, and what it points to is replaced; another user's is refused, which could
/// point to what that user may not write.
///
/// # Errors
/// The file can't be made or written; [`Exit::CantCreat`].
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    put(path, bytes, mode).map_err(|error| trouble(path, &error, "make room there; the old content is still in place"))
}

/// A new content that lies beside its file, on the disk, until it takes that file's place; before that it is gone with the value.
pub struct Staged {
    beside: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// Writes `bytes` beside what `path` leads to, a regular file or nothing, with this mode whatever the umask.
    ///
    /// # Errors
    /// As [`replace`]; what is there is no regular file.
    pub fn new(path: &Path, bytes: &[u8], mode: u32) -> Result<Self, Error> {
        Self::try_new(path, bytes, mode).map_err(|error| trouble(path, &error, "make room there"))
    }

    fn try_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        let link = link(path)?;
        let target = match fs::canonicalize(path) {
            Ok(target) if target.is_file() => target,
            Err(_) if link.is_none() => path.to_owned(),
            _ => return Err(io::Error::other("it is no regular file")),
        };
        // From here on it is removed if this fails.
        let staged = Self { beside: beside(&target)?, target };
        fill(&staged.beside, bytes, mode)?;
        Ok(staged)
    }

    /// Takes the file's place; with `over` that of one that is there.
    ///
    /// # Errors
    /// Somebody made one meanwhile, or the directory can't be written to; [`Exit::CantCreat`].
    pub fn place(self, over: bool) -> Result<(), Error> {
        let placed = if over { fs::rename(&self.beside, &self.target) } else { rename_to_nothing(&self.beside, &self.target) };
        placed.map_err(|error| trouble(&self.target, &error, "make room there"))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already, where it took its place.
        let _ = fs::remove_file(&self.beside);
    }
}

fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system knows how; that somebody makes the file between these two lines is for them to answer for.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => renamed.map_err(Into::into),
    }
}

fn trouble(path: &Path, error: &io::Error, full: &str) -> Error {
    let because = error.to_string();
    let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full,
        _ => "does its directory exist, and may you write there?",
    };
    Error::new(Exit::CantCreat, format!("writing {}", path.display()), because).hint(hint)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let link = link(path)?;
    match fs::canonicalize(path) {
        Ok(target) if target.is_file() => swap(&target, bytes, mode),
        Ok(target) => pour(&target, bytes),
        // /dev/stdout leads to what has no name where it is a pipe.
        Err(_) if link.is_some() => pour(path, bytes),
        Err(_) => swap(path, bytes, mode),
    }
}

/// The symbolic link at `path`, if there is one, and is one's own.
fn link(path: &Path) -> io::Result<Option<fs::Metadata>> {
    let link = fs::symlink_metadata(path).ok().filter(|metadata| metadata.file_type().is_symlink());
    if link.as_ref().is_some_and(|link| link.uid() != 0 && link.uid() != geteuid().as_raw()) {
        return Err(io::Error::other("it is a symbolic link of another user"));
    }
    Ok(link)
}

/// Writes to a device or a pipe, without waiting for a reader that is not there.
fn pour(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::options().write(true).custom_flags(flags.bits().cast_signed()).open(target)?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    file.write_all(bytes)
}

fn swap(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path)?;
    let written = fill(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A name beside `path` that nobody else takes, not even a process of the same number in another container. It begins with a dot and
/// ends in no usual way: a directory of *.prom files is being read while this is written.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::IsADirectory.into()) };
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let tail = random.iter().fold(String::from("."), |mut tail, octet| {
        let _ = write!(tail, "{octet:02x}");
        tail
    });
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(tail);
    beside.push(".new");
    Ok(path.with_file_name(beside))
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, thread};

    use super::*;

    #[test]
    fn a_reader_of_the_old_file_keeps_it_and_nothing_is_left_beside_the_new_one() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sealpost.prom");
        replace(&path, b"old\n", 0o644).unwrap();
        let (before, old) = (fs::metadata(&path).unwrap(), File::open(&path).unwrap());
        replace(&path, b"new\n", 0o644).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((io::read_to_string(old).unwrap(), fs::read_to_string(&path).unwrap()), ("old\n".into(), "new\n".into()));
        assert_ne!(before.ino(), after.ino());
        assert_eq!(after.mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let scratch = tempfile::tempdir().unwrap();
        let (file, link) = (scratch.path().join("file"), scratch.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"new", 0o600).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let null = scratch.path().join("null");
        symlink("/dev/null", &null).unwrap();
        replace(&null, b"nothing", 0o600).unwrap();
        assert!(null.is_symlink() && !Path::new("/dev/null").is_file());
        let (mut reader, writer) = io::pipe().unwrap();
        let stream = scratch.path().join("stream");
        symlink(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)), &stream).unwrap();
        replace(&stream, b"poured", 0o600).unwrap();
        assert!(stream.is_symlink());
        let mut read = [0; 9];
        assert_eq!(io::Read::read(&mut reader, &mut read).unwrap(), 6);
    }

    #[test]
    fn what_is_staged_takes_its_place_or_is_gone() {
        let scratch = tempfile::tempdir().unwrap();
        let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
        fs::write(&old, "old").unwrap();
        drop(Staged::new(&old, b"dropped", 0o600).unwrap());
        let error = Staged::new(&old, b"x", 0o600).unwrap().place(false).unwrap_err();
        assert!(error.because().contains("exists"), "{error}");
        assert_eq!(fs::read_to_string(&old).unwrap(), "old");
        Staged::new(&old, b"replaced", 0o600).unwrap().place(true).unwrap();
        Staged::new(&new, b"made", 0o644).unwrap().place(false).unwrap();
        assert_eq!([&old, &new].map(|path| fs::read_to_string(path).unwrap()), ["replaced", "made"]);
        assert_eq!(fs::metadata(&new).unwrap().mode() & 0o777, 0o644);
        assert!(Staged::new(scratch.path(), b"x", 0o600).is_err() && Staged::new(Path::new("/dev/null"), b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_place_that_does_not_exist_is_an_error_with_a_hint() {
        let error = replace(Path::new("/nonexistent/x.prom"), b"", 0o644).unwrap_err();
        assert_eq!(error.exit(), Exit::CantCreat);
        assert!(error.render("sealpost").contains("writing /nonexistent/x.prom: No such file"), "{error}");
    }

    #[test]
    fn of_many_at_once_one_stays_whole_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sealpost.prom");
        let contents: Vec<Vec<u8>> = (b'a'..b'i').map(|letter| vec![letter; 100_000]).collect();
        thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| (0..10).for_each(|_| replace(&path, content, 0o644).unwrap()));
            }
        });
        assert!(contents.contains(&fs::read(&path).unwrap()));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_pipe_is_written_to_if_somebody_reads_it_and_not_waited_for() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(replace(&path, b"nobody reads", 0o644).unwrap_err().because().contains("No such device"));
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let mut reader = File::options().read(true).custom_flags(nonblocking).open(&path).unwrap();
        replace(&path, b"read", 0o644).unwrap();
        let mut read = [0; 9];
        assert_eq!(io::Read::read(&mut reader, &mut read).unwrap(), 4);
    }

    #[test]
    fn a_full_disk_a_directory_and_another_users_link_are_refused_and_leave_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let full = replace(Path::new("/dev/full"), b"x", 0o644).unwrap_err();
        assert!(full.because().contains("No space left") && full.advice().unwrap().contains("make room"), "{full}");
        assert!(replace(scratch.path(), b"x", 0o644).unwrap_err().because().contains("Is a directory"));
        if geteuid().is_root() {
            let (file, link) = (scratch.path().join("file"), scratch.path().join("link"));
            fs::write(&file, "kept").unwrap();
            symlink(&file, &link).unwrap();
            std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
            let error = replace(&link, b"x", 0o644).unwrap_err();
            assert_eq!(error.because(), "it is a symbolic link of another user");
            assert_eq!(fs::read(&file).unwrap(), b"kept");
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
        }
    }
}
