//! How is a file read that a configuration names, whatever stands at its path? (never waits, never without end)

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::io::Errno;

use crate::error::{Error, Exit};

/// What it means that a file can't be read: that the configuration is wrong, or that the system is short of something just now, and
/// who tries again later loses nothing.
pub(super) fn exit(error: &io::Error) -> Exit {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO | Errno::STALE) => Exit::TempFail,
        _ => Exit::Config,
    }
}

/// What can be done about an error with such a code: `mend` the configuration, where that is what is wrong.
pub(super) fn advised(error: Error, mend: impl Into<String>) -> Error {
    match error.exit() {
        Exit::TempFail => {
            error.hint("the system is short of something: try again later, or raise the limits of the caller (ulimit)")
        }
        _ => error.hint(mend),
    }
}

/// Opens `path` to be read, without waiting for whoever might write into a FIFO.
///
/// # Errors
/// What open(2) says.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// As [`open`], for a file that is read through: of at most `largest` octets, and no FIFO.
///
/// # Errors
/// What open(2) says; it is a FIFO.
pub(super) fn open_bounded(path: &Path, largest: u64) -> io::Result<io::Take<File>> {
    let file = open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is a FIFO"));
    }
    Ok(file.take(largest))
}

/// The whole file, which has at most `largest` octets.
///
/// # Errors
/// What open(2) and read(2) say; it is a FIFO, or larger.
pub(super) fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    // Most fit; a buffer without room would be filled 32 octets at a time.
    let mut bytes = Vec::with_capacity(4096);
    open_bounded(path, largest + 1)?.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(io::Error::other(format!("it is larger than {} MiB", largest >> 20)));
    }
    Ok(bytes)
}

/// What tells this state of a file from another one: which it is, how long, and when it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl From<&Metadata> for State {
    fn from(metadata: &Metadata) -> Self {
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), size: metadata.size(), changed }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, inode, size, changed: (seconds, nanoseconds) } = self;
        write!(f, "{device} {inode} {size} {seconds}.{nanoseconds}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_somebody_has_to_mend() {
        let exit = |errno: Errno| exit(&errno.into());
        assert_eq!([Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO].map(exit), [Exit::TempFail; 4]);
        assert_eq!([Errno::NOENT, Errno::ACCESS, Errno::ISDIR].map(exit), [Exit::Config; 3]);
        assert_eq!(super::exit(&io::Error::other("it is a FIFO")), Exit::Config);
    }
}
