//! A message in memory, for who puts it into a spool without the program.

use std::io;

use sealpost::mail::content::{Content, Facts, Form};

/// Its octets, and how many of them were given out.
pub(crate) struct Text(Vec<u8>, usize);

impl Text {
    pub(crate) fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(octets.into(), 0)
    }
}

impl Content for Text {
    fn facts(&self) -> Facts {
        Facts { size: self.0.len() as u64, eight_bit: !self.0.is_ascii(), tls_waived: false }
    }

    fn rewind(&mut self, _: Form) -> io::Result<u64> {
        self.1 = 0;
        Ok(self.0.len() as u64)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        let end = self.0.len().min(self.1 + limit);
        out.extend_from_slice(&self.0[self.1..end]);
        self.1 = end;
        Ok(end == self.0.len())
    }
}
