//! Where is it written what became of each send, and how is it that this never stops a mail? (sealpost(1), "The log")

pub mod json;
pub mod line;

mod file;
pub mod id;
mod journald;
mod notation;
mod pairs;
mod record;
mod syslog;
#[cfg(test)]
mod tests;
pub mod text;
mod tls;

use std::{
    io::{self, ErrorKind},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

pub use self::{
    id::Id,
    record::{Attempt, Event, Happening, Record, Rejection, Span, Status, Submission},
    tls::{Protection, Seen},
};
use crate::{
    error::{Error, Exit},
    host::config::{Log, Notation},
};

/// How long the system's log may keep a mail waiting. Not zero: its queue is short (`net.unix.max_dgram_qlen`), and a burst of
/// mails would lose lines to a daemon that is alive.
const PATIENCE: Duration = Duration::from_millis(100);

/// The send log with its sinks: the file, and journald or syslog. Nothing is opened before the first record.
///
/// Threads may share one, and so may processes share its file.
#[derive(Debug)]
pub struct Journal {
    file: Option<PathBuf>,
    system: Option<Sockets>,
    notation: Notation,
    tag: String,
    file_failed: AtomicBool,
    system_failed: AtomicBool,
}

/// Where the system's log listens.
#[derive(Clone, Debug)]
pub struct Sockets {
    /// journald's native protocol; asked first.
    pub journald: PathBuf,
    /// Syslog; asked where journald does not listen.
    pub syslog: PathBuf,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { journald: "/run/systemd/journal/socket".into(), syslog: "/dev/log".into() }
    }
}

impl Journal {
    /// The log as `[log]` wants it; `tag` is the name in the system's log (`-L`), `sealpost` where nothing of it is usable.
    pub fn new(log: &Log, tag: Option<&str>, sockets: Sockets) -> Self {
        Self {
            file: log.file.clone(),
            system: log.syslog.then_some(sockets),
            notation: log.notation,
            tag: usable(tag.unwrap_or_default()),
            file_failed: AtomicBool::new(false),
            system_failed: AtomicBool::new(false),
        }
    }

    /// Writes a record to every sink, and gives back what to say on stderr, where one could not be written. A sink that fails
    /// again and again says so once, until it has worked in between. A system without any log daemon (a container) is silence.
    #[must_use = "what could not be logged is said to the user"]
    pub fn write(&self, record: &Record) -> Vec<Error> {
        let file = self.file.as_deref().map(|path| to_file(path, record));
        let system = self.system.as_ref().map(|sockets| self.to_system(sockets, record));
        let once = |result: Option<Result<(), Error>>, failed: &AtomicBool| match result? {
            Ok(()) => {
                failed.store(false, Ordering::Relaxed);
                None
            }
            Err(error) => (!failed.swap(true, Ordering::Relaxed)).then_some(error),
        };
        [once(file, &self.file_failed), once(system, &self.system_failed)].into_iter().flatten().collect()
    }

    fn to_system(&self, sockets: &Sockets, record: &Record) -> Result<(), Error> {
        let journald = send(&sockets.journald, || journald::datagram(record, self.notation, &self.tag));
        let sent = match journald {
            Ok(Heard::Nobody) => {
                send(&sockets.syslog, || syslog::datagram(record, self.notation, &self.tag, process::id()).into_bytes())
            }
            heard => heard,
        };
        sent.map(|_| ()).map_err(|e| {
            let hint = "look after the log daemon, or set syslog = false in [log] (SEALPOST_LOG_SYSLOG)";
            let because = match e.kind() {
                ErrorKind::WouldBlock => "the log daemon does not read what it is sent".into(),
                _ => e.to_string(),
            };
            Error::new(Exit::IoErr, "writing the send log to the system's log", because).hint(hint)
        })
    }
}

fn to_file(path: &Path, record: &Record) -> Result<(), Error> {
    let line = json::line(record).map_err(|e| Error::new(Exit::Software, "writing the send log", e.to_string()))?;
    file::append(path, &line)
}

/// Whether somebody listens at a socket.
enum Heard {
    Somebody,
    Nobody,
}

/// Sends what `datagram` makes, if there is a socket and somebody behind it.
fn send(path: &Path, datagram: impl FnOnce() -> Vec<u8>) -> io::Result<Heard> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(Heard::Nobody),
        connected => connected?,
    }
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send(&datagram())?;
    Ok(Heard::Somebody)
}

/// A tag of syslog: at most 32 characters (RFC 3164 5.3), none that would end it.
fn usable(tag: &str) -> String {
    let tame = |c: char| if c.is_ascii_graphic() && !matches!(c, '[' | ']' | ':') { c } else { '_' };
    let tag: String = tag.chars().take(32).map(tame).collect();
    if tag.is_empty() { "sealpost".into() } else { tag }
}
