//! How does a message get into the spool, whole or not at all?

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, fchmod, flock, openat},
    io::{Errno, retry_on_intr},
};

use super::{
    Claim, Directory, Entry, Place, Spool,
    format::{self, Front},
    names::{self, fsync},
    read, trouble,
};
use crate::{
    error::Error,
    host::journal::Id,
    mail::content::{Content, Form},
};

/// Octets that are written at once.
const PIECE: usize = 256 << 10;

const OWN: Mode = Mode::RUSR.union(Mode::WUSR);

impl Spool {
    /// Puts a message into the queue. When this returns the message is safe: its file and the name of it are on the disk. It is
    /// locked by the [`Claim`], so nobody else tries it before that is dropped. What the content says of itself (size, 8-bit)
    /// goes into the head, whatever stood there.
    ///
    /// # Errors
    /// [`crate::error::Exit::TempFail`]: it can't be written, or a message of this name waits already ([`Spool::find`]); nothing
    /// of it is left that counts, and the caller has it still.
    pub fn add(&self, id: Id, entry: Entry, content: &mut dyn Content) -> Result<Claim<'_>, Error> {
        self.put(id, entry, content).map_err(|error| trouble("queueing the message in", self.path(), &error))
    }

    fn put(&self, id: Id, mut entry: Entry, content: &mut dyn Content) -> io::Result<Claim<'_>> {
        let directory = self.directory(Place::Queue)?;
        let name = OsString::from(id.to_string());
        let raw = names::unfinished(&name);
        let file = self.create(directory, &raw)?;
        let written = self.fill(&file, &mut entry, content).and_then(|extent| {
            name_it(directory, &raw, &name)?;
            Ok(extent)
        });
        match written {
            Ok((at, end)) => Ok(Claim::new(self, Place::Queue, id, file, entry, at, end)),
            Err(error) => {
                // What can't be removed is swept.
                let _ = names::unlink(&directory.fd, &raw);
                Err(error)
            }
        }
    }

    fn create(&self, directory: &Directory, raw: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || retry_on_intr(|| openat(&directory.fd, raw, flags, OWN));
        let file = match create() {
            // Whoever began to write this very message is dead; only reports have a name that comes twice.
            Err(Errno::EXIST) if self.remove_unfinished(directory, raw)? => create(),
            created => created,
        };
        Ok(File::from(file?))
    }

    /// Writes the whole file, and waits until it is on the disk; where the message begins, and where the file ends.
    fn fill(&self, mut file: &File, entry: &mut Entry, content: &mut dyn Content) -> io::Result<(u64, u64)> {
        // Waits for a sweeper that looks at it at best.
        retry_on_intr(|| flock(file, FlockOperation::LockExclusive))?;
        // Whatever the umask: what its owner can't open would be nobody's.
        fchmod(file, OWN)?;
        self.hand_over(&file)?;
        let (facts, size) = (content.facts(), content.rewind(Form::EightBit)?);
        (entry.head.size, entry.head.eight_bit, entry.head.tls_waived) = (size, facts.eight_bit, facts.tls_waived);
        let (mut front, mut piece) = Front::new(&mut entry.head)?;
        let (at, mut written, mut flushed) = (piece.len() as u64, 0, false);
        loop {
            let before = piece.len();
            let last = content.fill(&mut piece, PIECE)?;
            front.feed(&piece[before..]);
            written += (piece.len() - before) as u64;
            if last && written == size {
                break;
            }
            if last || written > size {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the message changed while it was being written"));
            }
            if piece.len() >= PIECE {
                file.write_all(&piece)?;
                piece.clear();
                flushed = true;
            }
        }
        let change = format::change(&entry.state)?;
        piece.extend_from_slice(&change);
        let first = front.line();
        if flushed {
            file.write_all(&piece)?;
            file.write_all_at(first.as_bytes(), 0)?;
        } else {
            piece[..first.len()].copy_from_slice(first.as_bytes());
            file.write_all(&piece)?;
        }
        read::set_due(file, entry.state.next)?;
        fsync(file)?;
        Ok((at, at + written + change.len() as u64))
    }
}

/// From here on it is a message that waits.
fn name_it(directory: &Directory, raw: &OsStr, name: &OsStr) -> io::Result<()> {
    let mut is_named = false;
    let named = directory.change(|fd| {
        names::rename(fd, raw, fd, name)?;
        is_named = true;
        Ok(())
    });
    named.inspect_err(|_| {
        if is_named {
            // Whether the name survives a power cut is not known. The caller is told "no", and will try again: it must not be
            // sent, and is not as long as no power cut brings it back.
            let _ = names::unlink(&directory.fd, name);
        }
    })
}
