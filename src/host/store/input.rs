//! How is a message read from whatever the caller made standard input?

use std::{
    fs::File,
    io::{self, Read},
    os::fd::BorrowedFd,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FileType, SeekFrom, fstat, seek},
    io::Errno,
};

use super::hold::IN_MEMORY;
use crate::error::{Error, Exit};

/// Where a message comes from.
pub enum Input<'a> {
    /// A descriptor, normally standard input: a pipe, a socket, a terminal, a file (which is not copied if it is large).
    Descriptor(BorrowedFd<'a>),
    /// Anything else that can be read.
    Stream(&'a mut dyn Read),
}

impl Input<'_> {
    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Descriptor(fd) if rustix::termios::isatty(fd))
    }

    /// The file and the offset in it, where the message can be read a second time from where it is.
    ///
    /// A small file is rather copied: that costs nothing and no change of it can disturb us.
    pub(super) fn in_place(&self) -> Option<(File, u64)> {
        let Self::Descriptor(fd) = self else { return None };
        let stat = fstat(fd).ok()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return None;
        }
        let offset = seek(fd, SeekFrom::Current(0)).ok()?;
        let left = u64::try_from(stat.st_size).ok()?.checked_sub(offset)?;
        if left <= IN_MEMORY as u64 {
            return None;
        }
        Some((File::from(fd.try_clone_to_owned().ok()?), offset))
    }

    /// Reads some octets; 0 at the end.
    ///
    /// # Errors
    /// `EX_NOINPUT` where there is no input, `EX_IOERR` where it can't be read.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.try_read(buffer).map_err(|e| {
            let (exit, advice) = match Errno::from_io_error(&e) {
                Some(Errno::BADF) => (Exit::NoInput, "the message is expected on standard input, which is closed or can't be read"),
                Some(Errno::ISDIR) => (Exit::NoInput, "the message is expected on standard input, which is a directory"),
                _ => (Exit::IoErr, "nothing was sent"),
            };
            Error::new(exit, "reading the message", e.to_string()).hint(advice)
        })
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Descriptor(fd) => rustix::io::read(*fd, &mut *buffer).map_err(io::Error::from),
                Self::Stream(stream) => stream.read(buffer),
            };
            match (read, &self) {
                (Err(e), _) if e.kind() == io::ErrorKind::Interrupted => {}
                // The caller's end of the pipe may have made it non-blocking for us too.
                (Err(e), Self::Descriptor(fd)) if e.kind() == io::ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(fd, PollFlags::IN)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                (read, _) => return read,
            }
        }
    }

    /// Reads and forgets what is left, `most` octets of it: a writer is not to die of a closed pipe because of us.
    pub(super) fn drain(&mut self, buffer: &mut [u8], most: u64) {
        let writer = match &*self {
            Self::Descriptor(fd) => {
                !self.is_terminal() && fstat(fd).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) != FileType::RegularFile)
            }
            Self::Stream(_) => true,
        };
        let mut drained = 0;
        while writer && drained < most {
            match self.try_read(buffer) {
                Ok(0) | Err(_) => return,
                Ok(length) => drained += length as u64,
            }
        }
    }
}

/// Discards what is left on `fd` (normally standard input): for a caller that refuses the message without looking at it.
pub fn drain(fd: BorrowedFd<'_>) {
    Input::Descriptor(fd).drain(&mut vec![0; super::CHUNK], super::MOST_DRAINED);
}
