//! How does a line get into the log file whole, whoever else writes there and whatever has been planted in its place?
//!
//! The file is opened for each line: the log may be rotated under a running daemon without a signal, and a send writes one
//! line.

use std::{
    borrow::Cow,
    fs::{DirBuilder, File, Permissions},
    io::{self, ErrorKind, Write},
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    io::Errno,
    process::geteuid,
};

use crate::error::{Error, Exit};

/// How often, a millisecond apart, the lock is asked for: anyone who may read the log could hold it against us.
const TURNS: usize = 100;

/// Threads of one process take turns here, where each is woken when the one before is done; with the lock of the file alone they would
/// sleep in each other's way. Nothing stands behind it that a panic could leave half done.
static WRITER: Mutex<()> = Mutex::new(());

/// Appends a line that ends in a newline.
///
/// # Errors
/// Why the line is not in the file; the mail does not care.
pub(super) fn append(path: &Path, line: &[u8]) -> Result<(), Error> {
    let done = match stream(path) {
        Some(stream) => stream.and_then(|file| whole(&file, line)),
        None => put(open(path)?, line),
    };
    done.map_err(|e| failed(path, &e))
}

/// Writes the line with one write(2), which `O_APPEND` keeps whole among all writers of one machine.
///
/// Only a disk that fills up takes a part of it. The rest is not sent after that part: another process may have come in
/// between, and both lines would be lost. Instead the whole line is tried once more behind a newline (which usually tells why
/// there is no room), and who finds a torn line at the end starts with a newline too. So a torn line stands alone, and every
/// other line is whole.
///
/// A line that is just being written looks torn as well. Hence the lock: only who holds it judges the end of the file. Who
/// can't get it in time writes all the same.
fn put(file: File, line: &[u8]) -> io::Result<()> {
    for turn in 0..TURNS {
        if turn > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        // Not kept over the sleep: whoever holds the file's lock against us makes each thread wait once, not one after the other.
        let _turn = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked != Err(Errno::WOULDBLOCK) {
            let is_torn = locked.is_ok() && ends_torn(&file);
            let done = add(&file, line, is_torn);
            // Ends the file's lock before the next thread has its turn.
            drop(file);
            return done;
        }
    }
    add(&file, line, false)
}

fn add(file: &File, line: &[u8], is_torn: bool) -> io::Result<()> {
    let fresh = || [b"\n", line].concat();
    let first = if is_torn { Cow::Owned(fresh()) } else { Cow::Borrowed(line) };
    if write_once(file, &first)? == first.len() { Ok(()) } else { whole(file, &fresh()) }
}

/// Whether the last octet of a regular file is something else than a newline. What can't be read is taken to be whole.
fn ends_torn(file: &File) -> bool {
    let size = file.metadata().map_or(0, |m| if m.is_file() { m.len() } else { 0 });
    let mut last = [b'\n'];
    size > 0 && file.read_at(&mut last, size - 1).is_ok_and(|n| n == 1) && last != *b"\n"
}

fn whole(file: &File, line: &[u8]) -> io::Result<()> {
    if write_once(file, line)? == line.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
}

fn write_once(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The standard streams go by name, because their /dev entries are links, and under systemd to sockets that can't be opened.
fn stream(path: &Path) -> Option<io::Result<File>> {
    let copy = match path.to_str()? {
        "/dev/stdout" => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" => io::stderr().as_fd().try_clone_to_owned(),
        _ => return None,
    };
    Some(copy.map(File::from))
}

/// Opens what stands at `path`, or makes it.
fn open(path: &Path) -> Result<File, Error> {
    let file = match existing(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => match created(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => existing(path),
            made => made,
        },
        found => found,
    };
    let file = file.map_err(|e| failed(path, &e))?;
    trustworthy(&file, path)?;
    Ok(file)
}

/// Never waits (a FIFO without a reader), never follows a link in the last place, never becomes our terminal.
const CAUTION: OFlags = OFlags::APPEND.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Readable too, to see how the last line ends; a file that may only be written (0622) is served without that.
fn existing(path: &Path) -> io::Result<File> {
    let opened = match rustix::fs::open(path, CAUTION | OFlags::RDWR, Mode::empty()) {
        Err(Errno::ACCESS) => rustix::fs::open(path, CAUTION | OFlags::WRONLY, Mode::empty()),
        opened => opened,
    };
    Ok(File::from(opened?))
}

/// Makes the file: 0600, for root 0640, whatever the umask. A missing directory is made only when it bears our name, as the
/// default places do: another one that is missing is more likely misspelt.
fn created(path: &Path) -> io::Result<File> {
    let (file_mode, directory_mode) = if geteuid().is_root() { (0o640, 0o750) } else { (0o600, 0o700) };
    if let Some(directory) = path.parent().filter(|d| d.ends_with("sealpost")) {
        DirBuilder::new().recursive(true).mode(directory_mode).create(directory)?;
    }
    let flags = CAUTION | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(file_mode))?);
    file.set_permissions(Permissions::from_mode(file_mode))?;
    Ok(file)
}

/// A regular file with one name, that belongs to us, to root, or to whom its directory belongs; or /dev/null.
fn trustworthy(file: &File, path: &Path) -> Result<(), Error> {
    let facts = file.metadata().map_err(|e| failed(path, &e))?;
    let kind = facts.file_type();
    if kind.is_char_device() && path == Path::new("/dev/null") {
        return Ok(());
    }
    let why = if kind.is_fifo() {
        "it is a FIFO"
    } else if !kind.is_file() {
        "it is not a regular file"
    } else if facts.nlink() > 1 {
        "it is a hard link to a file that has another name too"
    } else if !owner_is_ours(facts.uid(), path) {
        "it belongs to another user"
    } else {
        return Ok(());
    };
    Err(error(path, why, "name another file in [log] (SEALPOST_LOG_FILE), or remove what stands there"))
}

fn owner_is_ours(owner: u32, path: &Path) -> bool {
    let directory = || path.parent().and_then(|d| d.metadata().ok());
    owner == 0 || owner == geteuid().as_raw() || directory().is_some_and(|d| d.uid() == owner)
}

fn failed(path: &Path, why: &io::Error) -> Error {
    let hint = match why.kind() {
        ErrorKind::NotFound => "create the directory, or name another file in [log] (SEALPOST_LOG_FILE)",
        _ if Errno::from_io_error(why) == Some(Errno::LOOP) => {
            "symbolic links are not followed: name the file itself in [log] (SEALPOST_LOG_FILE)"
        }
        ErrorKind::FileTooLarge => "rotate the log, or raise the file size limit of the calling process (ulimit -f)",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that file system",
        _ => "name a file in [log] (SEALPOST_LOG_FILE) that you may write, or none with file = \"\"",
    };
    let because = why.to_string();
    error(path, because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words), hint)
}

fn error(path: &Path, why: &str, hint: &str) -> Error {
    Error::new(Exit::CantCreat, format!("writing the send log {}", path.display()), why).hint(hint)
}

#[cfg(test)]
mod tests;
