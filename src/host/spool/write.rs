//! How does a message get into the spool, whole or not at all?

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, renameat, unlinkat};

use super::{Claim, Directory, Entry, Place, Spool, claim, format, trouble};
use crate::{
    error::Error,
    host::journal::Id,
    mail::content::{Content, Form},
};

/// Octets that are written at once.
const PIECE: usize = 256 << 10;

impl Spool {
    /// Puts a message into the queue. When this returns the message is safe: its file and the name of it are on the disk. It is
    /// locked by the [`Claim`], so nobody else tries it before that is dropped.
    ///
    /// # Errors
    /// [`crate::error::Exit::TempFail`]: it can't be written; nothing of it is left, and the caller has it still.
    pub fn add(&self, id: Id, mut entry: Entry, content: &mut dyn Content) -> Result<Claim<'_>, Error> {
        let doing = "queueing the message in";
        self.put(id, &mut entry, content).map_err(|error| trouble(doing, self.path(), &error))
    }

    fn put(&self, id: Id, entry: &mut Entry, content: &mut dyn Content) -> io::Result<Claim<'_>> {
        let directory = self.directory(Place::Queue)?;
        let name = id.to_string();
        let raw = format!("{name}.new");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&directory.fd, &raw, flags, Mode::RUSR | Mode::WUSR)?);
        let written = self.fill(&file, entry, content);
        let named = written.and_then(|end| Ok((end, self.name(directory, &raw, &name)?)));
        match named {
            Ok((end, ())) => Ok(Claim::new(self, Place::Queue, id, file, entry.clone(), end)),
            Err(error) => {
                // What can't be removed is swept.
                let _ = unlinkat(&directory.fd, &raw, AtFlags::empty());
                Err(error)
            }
        }
    }

    /// Writes the whole file, and waits until it is on the disk; its length.
    fn fill(&self, mut file: &File, entry: &mut Entry, content: &mut dyn Content) -> io::Result<u64> {
        flock(file, FlockOperation::NonBlockingLockExclusive)?;
        self.hand_over(&file.as_fd())?;
        entry.head.size = content.rewind(Form::EightBit)?;
        let mut piece = format::front(&entry.head)?;
        let front = piece.len() as u64;
        let mut written = 0;
        loop {
            let before = piece.len();
            let last = content.fill(&mut piece, PIECE)?;
            written += (piece.len() - before) as u64;
            if last && written == entry.head.size {
                break;
            }
            if last || written > entry.head.size {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the message changed while it was being written"));
            }
            if piece.len() >= PIECE {
                file.write_all(&piece)?;
                piece.clear();
            }
        }
        // A message that nobody tried yet is due when it came, and needs no line to say so.
        let change = if entry.state.attempts == 0 { Vec::new() } else { format::change(&entry.state)? };
        piece.extend_from_slice(&change);
        file.write_all(&piece)?;
        if entry.state.attempts > 0 {
            claim::set_due(file, entry.state.next)?;
        }
        file.sync_all()?;
        Ok(front + written + change.len() as u64)
    }

    /// From here on it is a message that waits.
    fn name(&self, directory: &Directory, raw: &str, name: &str) -> io::Result<()> {
        renameat(&directory.fd, raw, &directory.fd, name)?;
        self.settle(Place::Queue).inspect_err(|_| {
            // Whether the name survives a power cut is not known: the caller is told "no", so it must not be sent.
            let _ = unlinkat(&directory.fd, name, AtFlags::empty());
        })
    }
}
