//! Where does a body wait until it is said, and how is it read again?

use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::CHUNK;
use crate::error::{Error, Exit};

/// What stays in memory.
pub(super) const IN_MEMORY: usize = 256 << 10;

/// The octets of a body as they were given.
#[derive(Debug)]
pub(super) struct Hold {
    place: Place,
    /// How many.
    length: u64,
    temp_dir: Option<PathBuf>,
    window: Window,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    /// A file without a name.
    Temporary(File, PathBuf),
    /// The caller's own file, from this offset on.
    Caller(File, u64),
}

/// The part of a file that was read last.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    octets: Vec<u8>,
}

impl Hold {
    /// Nothing yet; what will not fit in memory goes to a temporary file.
    pub(super) fn memory(temp_dir: Option<PathBuf>) -> Self {
        Self { place: Place::Memory(Vec::new()), length: 0, temp_dir, window: Window::default() }
    }

    /// What is appended is in `file` already, from `start` on.
    pub(super) fn file((file, start): (File, u64)) -> Self {
        Self { place: Place::Caller(file, start), length: 0, temp_dir: None, window: Window::default() }
    }

    /// Leaves out what was read before the body.
    pub(super) fn skip(&mut self, octets: u64) {
        if let Place::Caller(_, start) = &mut self.place {
            *start += octets;
        }
    }

    /// Keeps a chunk.
    pub(super) fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if let Place::Memory(octets) = &mut self.place {
            if octets.len() + chunk.len() <= IN_MEMORY {
                octets.extend_from_slice(chunk);
                self.length += chunk.len() as u64;
                return Ok(());
            }
            let octets = std::mem::take(octets);
            let (file, path) = temporary(self.temp_dir.as_deref())?;
            write(&file, &path, &octets)?;
            self.place = Place::Temporary(file, path);
        }
        if let Place::Temporary(file, path) = &self.place {
            write(file, path, chunk)?;
        }
        self.length += chunk.len() as u64;
        Ok(())
    }

    /// Forgets what is behind `length`.
    pub(super) fn truncate(&mut self, length: u64) {
        self.length = self.length.min(length);
    }

    /// Octets at `position`, at least one unless the end is reached.
    ///
    /// # Errors
    /// The file can't be read, or has become shorter.
    pub(super) fn chunk(&mut self, position: u64) -> io::Result<&[u8]> {
        let (file, start) = match &self.place {
            Place::Memory(octets) => {
                let end = usize::try_from(self.length).map_or(octets.len(), |l| l.min(octets.len()));
                let from = usize::try_from(position).map_or(end, |p| p.min(end));
                return Ok(&octets[from..end]);
            }
            Place::Temporary(file, _) => (file, 0),
            Place::Caller(file, start) => (file, *start),
        };
        let Window { start: from, octets } = &mut self.window;
        if !(*from..*from + octets.len() as u64).contains(&position) && position < self.length {
            let wanted = usize::try_from(self.length - position).map_or(CHUNK, |left| left.min(CHUNK));
            octets.resize(wanted, 0);
            *from = position;
            let read = read_at(file, octets, start + position);
            octets.truncate(*read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the input file became shorter while it was being sent"));
            }
        }
        Ok(usize::try_from(position - *from).ok().and_then(|at| octets.get(at..)).unwrap_or_default())
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes behind what is there.
fn write(mut file: &File, path: &Path, chunk: &[u8]) -> Result<(), Error> {
    file.write_all(chunk).map_err(|e| no_room(path, &e))
}

fn no_room(path: &Path, error: &io::Error) -> Error {
    let doing = format!("keeping the message in {} until it is sent", path.display());
    let advice = match rustix::io::Errno::from_io_error(error) {
        Some(rustix::io::Errno::FBIG) => "raise the file size limit of the calling process (ulimit -f)",
        _ => "free some space there, or set TMPDIR to a directory that has some",
    };
    Error::new(Exit::TempFail, doing, error.to_string()).hint(advice)
}

/// A file that only this process can reach, and where it lies.
fn temporary(preferred: Option<&Path>) -> Result<(File, PathBuf), Error> {
    let places = preferred.into_iter().chain([Path::new("/var/tmp"), Path::new("/tmp")]);
    let mut failure = None;
    for dir in places {
        match nameless(dir).or_else(|_| unlinked(dir)).and_then(above_standard) {
            Ok(file) => return Ok((file, dir.to_owned())),
            Err(e) => failure = failure.or(Some(no_room(dir, &e))),
        }
    }
    Err(failure.unwrap_or_else(|| Error::new(Exit::TempFail, "keeping the message", "there is no temporary directory")))
}

fn nameless(dir: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(dir, OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?)
}

/// For file systems without `O_TMPFILE`: a name that can't be guessed, gone at once.
fn unlinked(dir: &Path) -> io::Result<OwnedFd> {
    let path = dir.join(format!(".sealpost-{:016x}", RandomState::new().hash_one(std::process::id())));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::unlinkat(CWD, &path, AtFlags::empty())?;
    Ok(file)
}

/// Not one of 0, 1 and 2, into which others write without asking.
fn above_standard(file: OwnedFd) -> io::Result<File> {
    if file.as_raw_fd() > 2 { Ok(file.into()) } else { file.try_clone().map(File::from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(hold: &mut Hold) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            match hold.chunk(out.len() as u64).unwrap() {
                [] => return out,
                chunk => out.extend_from_slice(chunk),
            }
        }
    }

    #[test]
    fn what_is_kept_comes_back_from_memory_and_from_the_file() {
        for size in [0, 1, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 5] {
            let text: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut hold = Hold::memory(None);
            text.chunks(10_000).for_each(|c| hold.append(c).unwrap());
            assert_eq!(matches!(hold.place, Place::Memory(_)), size <= IN_MEMORY);
            assert!(all(&mut hold) == text, "{size}");
            hold.truncate(size as u64 / 2);
            assert!(all(&mut hold).len() >= size / 2);
            assert!(all(&mut hold) == text[..size / 2], "{size} cut");
        }
    }

    #[test]
    fn the_temporary_file_has_no_name_and_belongs_to_its_owner() {
        for make in [nameless, unlinked] {
            let file = above_standard(make(&std::env::temp_dir()).unwrap()).unwrap();
            let stat = rustix::fs::fstat(&file).unwrap();
            assert_eq!((stat.st_nlink, stat.st_mode & 0o777), (0, 0o600));
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_passed_over() {
        let (_, place) = temporary(Some(Path::new("/nonexistent"))).unwrap();
        assert_eq!(place, Path::new("/var/tmp"));
    }

    #[test]
    fn a_full_disk_is_said_and_may_be_better_later() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = write(&full, Path::new("/var/tmp"), b"x").unwrap_err();
        assert_eq!(error.exit(), Exit::TempFail);
        assert!(error.summary().contains("/var/tmp") && error.advice().unwrap().contains("TMPDIR"), "{error}");
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_and_not_an_end() {
        let file = File::from(nameless(&std::env::temp_dir()).unwrap());
        (&file).write_all(&[b'a'; 100]).unwrap();
        let mut hold = Hold::file((file.try_clone().unwrap(), 0));
        hold.append(&[b'a'; 100]).unwrap();
        file.set_len(0).unwrap();
        assert_eq!(hold.chunk(0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
