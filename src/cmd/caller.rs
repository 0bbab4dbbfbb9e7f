//! How does an answer reach the caller? (one write each; the exit code is all there is where a stream is closed)

use std::io::{self, Write};

use crate::error::{Error, Exit};

/// How the caller wants to hear of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorMode {
    /// `-oep`: on standard error.
    #[default]
    Print,
    /// `-oem`: by mail; here as `-oep`, for the caller waits and can be told.
    Mail,
    /// `-oew`: written to the terminal of the user; here as `-oep`.
    Write,
    /// `-oee`: by mail, and the exit code is 0 once it is in the queue.
    Berkeley,
    /// `-oeq`: by the exit code alone.
    Quiet,
}

/// Says what went wrong in one write to standard error, unless the caller asked for silence, and returns the code.
pub fn complain(program: &str, errors: ErrorMode, error: &Error) -> Exit {
    if errors != ErrorMode::Quiet {
        // Where standard error is closed the exit code is all there is.
        let _ = io::stderr().write_all(error.render(program).as_bytes());
    }
    error.exit()
}

/// Writes to standard output; a reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::IoErr,
        _ => Exit::Ok,
    }
}
