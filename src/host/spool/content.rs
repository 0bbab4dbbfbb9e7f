//! How is a message of the spool said, in the form that the server wants? (RFC 6152)

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::entry::Head;
use crate::{
    host::store::{Input, Intake, Message, Options},
    mail::content::{Content, Facts, Form},
};

/// The octets of a message that waits; they are in the form in which they leave, so nothing needs to be done to them, except for
/// a server without 8BITMIME.
#[derive(Debug)]
pub struct Stored {
    file: File,
    /// The spool, where there is room for more of it: a service that is confined has no other place.
    beside: PathBuf,
    start: u64,
    facts: Facts,
    given: u64,
    /// The same, re-encoded.
    recoded: Option<Box<Message>>,
    is_recoded: bool,
}

impl Stored {
    pub(super) fn new(file: File, beside: &Path, start: u64, head: &Head) -> Self {
        let facts = Facts { size: head.size, eight_bit: head.eight_bit, tls_waived: head.tls_waived };
        Self { file, beside: beside.to_owned(), start, facts, given: 0, recoded: None, is_recoded: false }
    }

    /// The first octets, at most as many; for the header in a report.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn beginning(&self, most: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.facts.size).map_or(most, |size| size.min(most));
        let mut octets = vec![0; length];
        self.file.read_exact_at(&mut octets, self.start)?;
        Ok(octets)
    }

    fn recode(&mut self) -> io::Result<&mut Message> {
        let message = if let Some(message) = self.recoded.take() {
            message
        } else {
            let options = Options { limit: u64::MAX, ignore_dots: true, temp_dir: Some(self.beside.clone()) };
            let mut reader = Reader { file: &self.file, at: self.start, end: self.start + self.facts.size };
            let draft = Intake::read(Input::Stream(&mut reader), &options).map_err(|e| io::Error::other(e.summary()))?;
            Box::new(draft.as_it_is().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.summary()))?)
        };
        Ok(self.recoded.insert(message))
    }
}

impl Content for Stored {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn rewind(&mut self, form: Form) -> io::Result<u64> {
        self.is_recoded = form == Form::SevenBit && self.facts.eight_bit;
        if self.is_recoded {
            return self.recode()?.rewind(form);
        }
        self.given = 0;
        Ok(self.facts.size)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        if self.is_recoded {
            return self.recode()?.fill(out, limit);
        }
        let left = self.facts.size - self.given;
        let length = usize::try_from(left).map_or(limit, |left| left.min(limit));
        let begin = out.len();
        out.resize(begin + length, 0);
        self.file.read_exact_at(&mut out[begin..], self.start + self.given).inspect_err(|_| out.truncate(begin))?;
        self.given += length as u64;
        Ok(self.given == self.facts.size)
    }
}

struct Reader<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.file.read_at(&mut buffer[..left], self.at)?;
        if length == 0 && left > 0 {
            // Cut short since it was claimed: half a message is none.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length as u64;
        Ok(length)
    }
}
