//! What do `[queue]` and `[serve]` say: when does a message wait, for how long, and who may hand one in? (sealpost.toml(5))

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Origin,
    section::Section,
    state::state,
    values::{Fault, shown},
};
use crate::{error::Error, host::world::World};

/// `[queue]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// When a message waits.
    pub mode: Mode,
    /// The spool; it may have to be made. `None`: none was named, and no home is known to put one in.
    pub dir: Option<PathBuf>,
    /// How old a message may become before it is given up (RFC 5321 4.5.4.1: 4–5 days).
    pub max_age: Duration,
    /// How long what failed for good is kept.
    pub keep_failed: Duration,
    /// How many connections at once an account may have.
    pub connections: usize,
    /// After what time the sender is told that a message still waits; `None`: never.
    pub warn_after: Option<Duration>,
    /// How long after its first attempt a message is tried again.
    pub retry_first: Duration,
    /// The longest time between two attempts.
    pub retry_most: Duration,
}

/// `mode` of `[queue]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Never: the caller keeps what can't go now.
    Off,
    /// What can't go now.
    Fallback,
    /// Always, before the first attempt.
    Always,
}

impl Mode {
    const WORDS: [(&str, Self); 3] = [("off", Self::Off), ("fallback", Self::Fallback), ("always", Self::Always)];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// `[serve]`: what `sealpost serve` offers to local programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Where the service listens, and where sendmail looks for it.
    pub socket: PathBuf,
    /// Loopback addresses on which SMTP is spoken for programs that know no socket.
    pub listen: Vec<SocketAddr>,
    /// Logins that may choose any envelope sender, besides root.
    pub free_senders: Vec<String>,
    /// Connections at once, of all users together and of one.
    pub connections: usize,
    /// See `connections`.
    pub connections_per_user: usize,
    /// Messages that one user may hand in within an hour; root has no limit.
    pub messages_per_hour: u32,
    /// Messages of one user that may wait at the same time.
    pub queue_per_user: u32,
    /// Octets of one user's messages that may wait at the same time.
    pub bytes_per_user: u64,
    /// Free octets that the spool's file system keeps: with less nothing is accepted.
    pub free_space: u64,
}

/// Where the service listens, where nobody says otherwise.
pub const SOCKET: &str = "/run/sealpost/submit.sock";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn queue(section: &Section<'_>, origin: &Origin, world: &dyn World) -> Result<Queue, Error> {
    let mode = section.word("mode", &Mode::WORDS)?;
    let dir = section.path("dir")?.or_else(|| usual(origin, world));
    if let Some(mode) = mode.as_ref().filter(|mode| mode.value != Mode::Off && dir.is_none()) {
        let fault = Fault::new("there is no place for a queue: no home directory is known");
        return Err(mode.error(fault.hint("name one: `dir` under [queue] (SEALPOST_QUEUE_DIR)")));
    }
    let first = section.duration("retry_first")?.unwrap_or(MINUTE);
    let most = section.duration("retry_most")?.unwrap_or(4 * HOUR);
    if let Some(place) = section.place("retry_first").or_else(|| section.place("retry_most")).filter(|_| first > most) {
        return Err(place.error(Fault::new("retry_first is longer than retry_most")));
    }
    let warn_after = if section.is_none("warn_after")? { None } else { Some(section.duration("warn_after")?.unwrap_or(4 * HOUR)) };
    Ok(Queue {
        mode: mode.map_or(Mode::Off, |mode| mode.value),
        dir,
        max_age: section.duration("max_age")?.unwrap_or(5 * DAY),
        keep_failed: section.duration("keep_failed")?.unwrap_or(30 * DAY),
        connections: count(section, "connections", 4, 1000)?,
        warn_after,
        retry_first: first,
        retry_most: most,
    })
}

pub(super) fn serve(section: &Section<'_>) -> Result<Serve, Error> {
    let listen = section.list("listen", loopback)?;
    let number = |key, default: u32| -> Result<u32, Error> {
        Ok(section.integer(key, 1, u64::from(u32::MAX))?.and_then(|n| u32::try_from(n).ok()).unwrap_or(default))
    };
    Ok(Serve {
        socket: section.path("socket")?.unwrap_or_else(|| SOCKET.into()),
        listen: listen.into_iter().map(|found| found.value).collect(),
        free_senders: section.list("free_senders", |text| Ok(text.to_owned()))?.into_iter().map(|found| found.value).collect(),
        connections: count(section, "connections", 200, 10_000)?,
        connections_per_user: count(section, "connections_per_user", 50, 10_000)?,
        messages_per_hour: number("messages_per_hour", 1000)?,
        queue_per_user: number("queue_per_user", 5000)?,
        bytes_per_user: section.size("bytes_per_user")?.unwrap_or(1 << 30),
        free_space: section.size("free_space")?.unwrap_or(64 << 20),
    })
}

/// A place to listen that only programs of this machine reach.
fn loopback(text: &str) -> Result<SocketAddr, Fault> {
    let address: Option<SocketAddr> = text.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    let address = address.ok_or_else(|| Fault::new(format!("{} is not an address with a port", shown(text))));
    let because = match address {
        Ok(address) if address.ip().to_canonical().is_loopback() => return Ok(address),
        Ok(_) => Fault::new("only addresses of the loopback are listened on"),
        Err(fault) => fault,
    };
    Err(because.hint("like `127.0.0.1:25` or `[::1]:25`"))
}

/// The system's spool for root, else one among the caller's own state.
fn usual(origin: &Origin, world: &dyn World) -> Option<PathBuf> {
    let system = Path::new("/var/spool/sealpost");
    let dir = state(origin, world, system)?;
    Some(if dir == system { dir } else { dir.join("queue") })
}

fn count(section: &Section<'_>, key: &str, default: usize, most: u64) -> Result<usize, Error> {
    Ok(section.integer(key, 1, most)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(default))
}
