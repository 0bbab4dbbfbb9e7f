//! How is one file of the log read, from some place to its end? (nothing waits, nothing grows in memory)

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek as _, SeekFrom},
    ops::ControlFlow,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

use super::{
    Reading, broken,
    lines::{LONGEST, Lines},
    unpack::unpacked,
    unreadable,
};

/// Opens a regular file, without waiting for a FIFO's writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")) }
}

/// Shows what stands behind `offset`; a compressed file is read whole.
pub(super) fn read(path: &Path, mut file: File, offset: u64, reading: &mut Reading<'_, '_>) -> ControlFlow<()> {
    let stream = file.seek(SeekFrom::Start(offset)).and_then(|_| unpacked(file));
    match stream {
        Ok(stream) => whole(path, stream, reading),
        Err(error) => {
            reading.gaps.failures.push(unreadable(path, &error));
            ControlFlow::Continue(())
        }
    }
}

/// Shows the lines of a stream to its end, the last one also where it has none.
pub(super) fn whole(path: &Path, stream: impl Read, reading: &mut Reading<'_, '_>) -> ControlFlow<()> {
    let mut lines = Lines::new(stream, LONGEST);
    loop {
        match lines.advance() {
            Ok(Some(line)) => reading.show(&line)?,
            Ok(None) => break,
            Err(error) => {
                reading.gaps.failures.push(broken(path, &error));
                break;
            }
        }
    }
    lines.rest().map_or(ControlFlow::Continue(()), |line| reading.show(&line))
}
