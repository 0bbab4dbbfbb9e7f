//! How do bytes travel, each with a deadline, in plaintext or under TLS? (RFC 5321 4.5.3.2; one write per flight)

use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt,
};
use zeroize::Zeroize as _;

use super::tls::{Broken, Handshake};
use crate::{mail::policy::Reach, smtp::client::Flight};

/// Octets that are read at once: replies are short, and memory that is not touched costs nothing.
const PIECE: usize = 4096;

/// Most octets that are kept of a server that talks while we write.
const EARLY_LIMIT: usize = 64 * 1024;

/// Most reads under TLS that may give nothing to hear before the deadline is looked at.
const FRUITLESS_READS: usize = 16;

/// Why the link is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed or reset the connection, or the network failed.
    Broken(String),
    /// The deadline passed.
    TimedOut,
    /// The bytes under TLS are no TLS, or forged.
    Tls(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "connection lost: {why}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Tls(why) => write!(f, "connection lost: TLS: {why}"),
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken("the server closed it".to_owned()),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Broken("the server reset it".to_owned()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// One connection. The socket never blocks; every wait is a poll with a deadline.
pub struct Link {
    socket: Socket,
    peer: Option<SocketAddr>,
    tls: Option<Box<Handshake>>,
    /// What was heard and nobody took.
    early: Vec<u8>,
    /// What was taken last.
    taken: Vec<u8>,
    /// Where TLS puts what it opens.
    clear: Vec<u8>,
}

impl Link {
    /// Wraps a connected, non-blocking stream socket; `peer` is `None` for a unix socket.
    pub fn new(fd: OwnedFd, peer: Option<SocketAddr>) -> Self {
        Self {
            socket: Socket { fd, tcp: peer.is_some() },
            peer,
            tls: None,
            early: Vec::new(),
            taken: Vec::new(),
            clear: Vec::new(),
        }
    }

    /// The address at the other end; `None` for a unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The socket of this machine that it is, to be read and written without deadlines.
    ///
    /// # Errors
    /// The system refuses.
    pub fn into_unix_stream(self) -> io::Result<UnixStream> {
        rustix::io::ioctl_fionbio(&self.socket.fd, false)?;
        Ok(UnixStream::from(self.socket.fd))
    }

    /// Our own address on this connection, for an address literal in EHLO.
    pub fn local(&self) -> Option<SocketAddr> {
        self.peer?;
        rustix::net::getsockname(&self.socket.fd).ok().and_then(|address| SocketAddr::try_from(address).ok())
    }

    /// Whether the bytes stay on this machine.
    pub fn reach(&self) -> Reach {
        match self.peer {
            Some(peer) if !peer.ip().to_canonical().is_loopback() => Reach::Network,
            _ => Reach::Local,
        }
    }

    /// Writes the flight with as few writes as the kernel allows: one. What the server says meanwhile is kept for [`Link::hear`].
    ///
    /// # Errors
    /// The link is lost or the deadline passed; then the flight did not leave as a whole.
    pub fn say(&mut self, flight: Flight<'_>, deadline: Instant) -> Result<(), Lost> {
        let mut slices = [flight.head, flight.content, flight.tail].map(IoSlice::new);
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        if let Some(handshake) = &mut self.tls {
            // Together, so that a small flight is one record: a server that finds BDAT at a record's end answers what it has
            // before it reads on, and Nagle's algorithm then holds its last reply back for a round trip.
            while !rest.is_empty() {
                let taken = handshake.seal(rest)?;
                IoSlice::advance_slices(&mut rest, taken);
            }
            return self.flush(deadline);
        }
        while !rest.is_empty() {
            match self.socket.write_vectored(rest) {
                Ok(0) => return Err(Lost::from(io::Error::from(io::ErrorKind::BrokenPipe))),
                Ok(n) => IoSlice::advance_slices(&mut rest, n),
                Err(error) => self.until_writable(error, deadline)?,
            }
        }
        Ok(())
    }

    /// Reads once, waiting until the deadline; the octets that came.
    ///
    /// # Errors
    /// The link is lost (end of stream included) or the deadline passed.
    pub fn hear(&mut self, deadline: Instant) -> Result<&[u8], Lost> {
        if self.early.is_empty() {
            self.flush(deadline)?;
            while !self.read_available()? {
                self.socket.acknowledge_at_once();
                self.socket.wait(PollFlags::IN, deadline)?;
            }
        }
        Ok(self.take_early())
    }

    /// What has arrived already, without waiting; empty where nothing has.
    ///
    /// # Errors
    /// The link is lost.
    pub fn glance(&mut self) -> Result<&[u8], Lost> {
        if self.early.is_empty() {
            self.read_available()?;
        }
        Ok(self.take_early())
    }

    /// Does the handshake. Our last flight of it may still be unsent when this returns: it leaves together with what is said
    /// next, or before what is heard next, which saves a round trip against Nagle's algorithm at either end.
    ///
    /// # Errors
    /// Why it failed; the connection is dead.
    pub fn seal(&mut self, handshake: Handshake, deadline: Instant) -> Result<&Handshake, Broken> {
        let mut handshake = Box::new(handshake);
        let late = || Broken::Failed("no answer to the TLS handshake in time".to_owned());
        while handshake.is_handshaking() {
            // Messages that say nothing may come without end, and then nothing is waited for.
            if Instant::now() >= deadline {
                return Err(late());
            }
            let step = if handshake.wants_write() {
                handshake.write_tls(&mut self.socket).map(|_| PollFlags::OUT)
            } else {
                handshake.read_tls(&mut self.socket).map(|n| if n == 0 { PollFlags::HUP } else { PollFlags::IN })
            };
            match step {
                Ok(PollFlags::HUP) => {
                    return Err(Broken::Failed("the server closed the connection during the TLS handshake".to_owned()));
                }
                Ok(PollFlags::IN) => {
                    if let Err(why) = handshake.process() {
                        // The alert tells the server why; whether it arrives changes nothing.
                        let _ = handshake.write_tls(&mut self.socket);
                        return Err(why);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let wish = if handshake.wants_write() { PollFlags::OUT } else { PollFlags::IN };
                    would_block(error).and_then(|()| self.socket.wait(wish, deadline)).map_err(|lost| match lost {
                        Lost::TimedOut => late(),
                        other => Broken::Failed(format!("during the TLS handshake: {other}")),
                    })?;
                }
            }
        }
        Ok(self.tls.insert(handshake))
    }

    /// Overwrites what was heard, where that held secrets.
    pub(super) fn wipe(&mut self) {
        self.early.zeroize();
        self.taken.zeroize();
        self.clear.zeroize();
    }

    /// Nothing has been read that nobody took: what must hold before a handshake begins (RFC 3207 6).
    pub fn is_quiet(&self) -> bool {
        self.early.is_empty()
    }

    /// Puts octets back that were read too far, for the next [`Link::hear`].
    pub(super) fn give_back(&mut self, octets: Vec<u8>) {
        self.early = octets;
    }

    fn flush(&mut self, deadline: Instant) -> Result<(), Lost> {
        while let Some(handshake) = &mut self.tls
            && handshake.wants_write()
        {
            if let Err(error) = handshake.write_tls(&mut self.socket) {
                self.until_writable(error, deadline)?;
            }
        }
        Ok(())
    }

    /// Waits until the socket takes more, listening meanwhile: a server that refuses in the middle of a message says so, and
    /// one whose replies nobody read would stop reading.
    fn until_writable(&mut self, error: io::Error, deadline: Instant) -> Result<(), Lost> {
        would_block(error)?;
        let listen = if self.early.len() < EARLY_LIMIT { PollFlags::IN } else { PollFlags::empty() };
        let ready = self.socket.wait(PollFlags::OUT | listen, deadline)?;
        if ready.contains(PollFlags::IN) {
            self.read_available()?;
        }
        Ok(())
    }

    /// Moves what the socket has into `early`; whether anything is there.
    fn read_available(&mut self) -> Result<bool, Lost> {
        let Some(handshake) = &mut self.tls else {
            self.early.reserve(PIECE);
            return match self.socket.read_behind(&mut self.early) {
                Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => Ok(true),
                Err(error) => would_block(error).map(|()| !self.early.is_empty()),
            };
        };
        self.clear.resize(PIECE, 0);
        // Records without content (tickets, key updates) may come without end: the caller looks at its deadline in between.
        for _ in 0..FRUITLESS_READS {
            match handshake.open(&mut self.clear) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(n) => {
                    self.early.extend_from_slice(&self.clear[..n]);
                    return Ok(true);
                }
                Err(error) => would_block(error)?,
            }
            match handshake.read_tls(&mut self.socket) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => handshake.process().map_err(|broken| Lost::Tls(broken.to_string()))?,
                Err(error) => return would_block(error).map(|()| !self.early.is_empty()),
            }
        }
        Ok(!self.early.is_empty())
    }

    fn take_early(&mut self) -> &[u8] {
        std::mem::swap(&mut self.early, &mut self.taken);
        self.early.clear();
        &self.taken
    }
}

/// The descriptor, readable and writable without blocking.
struct Socket {
    fd: OwnedFd,
    tcp: bool,
}

impl Socket {
    /// Waits for one of `flags`, or an error condition, which the next read or write then shows.
    fn wait(&self, flags: PollFlags, deadline: Instant) -> Result<PollFlags, Lost> {
        wait_for(self.fd.as_fd(), flags, deadline)
    }

    /// Reads once into the room that `octets` has left.
    fn read_behind(&self, octets: &mut Vec<u8>) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, spare_capacity(octets)))?)
    }

    /// Before a wait: a server whose Nagle algorithm holds its reply until our acknowledgement must not wait for the delayed one.
    fn acknowledge_at_once(&self) {
        if self.tcp {
            let _ = sockopt::set_tcp_quickack(&self.fd, true);
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut *buffer))?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, bytes))?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::writev(&self.fd, slices))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until `fd` has one of `flags` (or an error), or the deadline passes.
///
/// # Errors
/// [`Lost::TimedOut`], or what poll(2) says.
pub(super) fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Instant) -> Result<PollFlags, Lost> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::TimedOut);
        }
        let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(fds[0].revents()),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    }
}

/// A duration as the kernel takes it; years are cut to what fits.
pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration.min(Duration::from_secs(1 << 30))).unwrap_or_default()
}

fn would_block(error: io::Error) -> Result<(), Lost> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(error.into()) }
}
