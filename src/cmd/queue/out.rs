//! How does a long answer reach standard output, and what if nobody reads it to its end?

use std::{
    io::{self, BufWriter, StdoutLock, Write as _},
    ops::ControlFlow,
};

use serde::Serialize;

use crate::{error::Exit, host::journal};

/// Standard output, with a buffer.
pub(super) struct Out {
    out: BufWriter<StdoutLock<'static>>,
    broken: Option<Exit>,
}

impl Out {
    /// Takes standard output for itself.
    pub(super) fn new() -> Self {
        Self { out: BufWriter::with_capacity(64 << 10, io::stdout().lock()), broken: None }
    }

    /// Prints; breaks where nobody reads any more.
    pub(super) fn put(&mut self, octets: &[u8]) -> ControlFlow<()> {
        let written = self.out.write_all(octets);
        self.judge(written)
    }

    /// Prints a value as a line of JSON.
    pub(super) fn object(&mut self, value: &impl Serialize) -> ControlFlow<()> {
        self.put(&line(value))
    }

    /// Prints what is left; the exit code.
    pub(super) fn finish(mut self) -> Exit {
        let flushed = self.out.flush();
        let _ = self.judge(flushed);
        self.broken.unwrap_or(Exit::Ok)
    }

    /// A reader that has seen enough (`| head`) is no error.
    fn judge(&mut self, written: io::Result<()>) -> ControlFlow<()> {
        let Err(error) = written else { return ControlFlow::Continue(()) };
        let enough = error.kind() == io::ErrorKind::BrokenPipe;
        self.broken.get_or_insert(if enough { Exit::Ok } else { Exit::IoErr });
        ControlFlow::Break(())
    }
}

/// A value as a line of JSON, its newline included; nothing in it can end it before that, or drive a terminal.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    // serde's signature allows for errors, and no value of ours makes one.
    journal::json::line(value).unwrap_or_default()
}

/// Says something to the person. Where standard error is closed the exit code is all there is.
pub(super) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
