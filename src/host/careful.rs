//! How is a file read that a configuration names, whatever stands at its path? (never waits, never without end)

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

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
    let mut bytes = Vec::new();
    open_bounded(path, largest + 1)?.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(io::Error::other(format!("it is larger than {} MiB", largest >> 20)));
    }
    Ok(bytes)
}
