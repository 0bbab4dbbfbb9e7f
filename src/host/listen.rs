//! How does the sink listen: a smarthost on a thread per connection, for development, the demo and the tests?
//!
//! Everything that a message needs stays with its connection; a message is told of (by [`Event::Delivered`]) before its client
//! hears 250, so whoever sent one finds it in [`Sink::events`].

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::{connection::Connection, identity::Identity, maildir::Maildir};
use crate::{
    mail::tls::Facts,
    smtp::{
        sasl::verifier::Login,
        server::{
            Transaction,
            fault::{Faults, Link},
        },
    },
};

mod connection;
mod identity;
mod maildir;

/// More connections than this wait in the kernel's queue: a thread each is fine for a sink, without bound it is not.
const MOST_CONNECTIONS: usize = 64;
/// As many wait there as the system allows.
const BACKLOG: i32 = 4096;

/// What kind of smarthost the sink plays.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// When TLS begins.
    pub tls: Tls,
    /// Where certificate and key come from.
    pub certificate: Certificate,
    /// LMTP instead of SMTP.
    pub lmtp: bool,
    /// Who must log in.
    pub login: Option<Login>,
    /// AUTH is offered without TLS too.
    pub auth_in_clear: bool,
    /// REQUIRETLS is offered under TLS.
    pub requiretls: bool,
    /// Where messages go.
    pub store: Store,
    /// Largest message in octets.
    pub message_size: u64,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

impl Default for Settings {
    /// STARTTLS with a throw-away CA on any free port of the loopback, no login, messages in memory.
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Tls::Starttls,
            certificate: Certificate::ThrowAway,
            lmtp: false,
            login: None,
            auth_in_clear: false,
            requiretls: false,
            store: Store::Memory,
            message_size: 100 << 20,
            faults: Faults::default(),
        }
    }
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// After STARTTLS.
    Starttls,
    /// Before the greeting.
    Implicit,
}

/// Where certificate and key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// A CA that lives as long as the sink, and a certificate for localhost and the address that is listened on.
    ThrowAway,
    /// PEM files.
    Files {
        /// The chain, leaf first.
        chain: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Into [`Kept::Memory`].
    Memory,
    /// Into a Maildir, made where it is missing.
    Maildir(PathBuf),
    /// Only its first octets, as many as this at most, into [`Kept::Memory`]; the rest is counted and forgotten.
    Beginning(usize),
}

/// What happened at the sink.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message was taken.
    Delivered(Box<Delivery>),
    /// A connection ended badly.
    Trouble {
        /// Whose.
        peer: SocketAddr,
        /// How.
        what: String,
    },
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Who brought it.
    pub peer: SocketAddr,
    /// Its envelope.
    pub transaction: Transaction,
    /// The TLS that it came through; `None`: plaintext.
    pub tls: Option<Facts>,
    /// The name that the client asked for in TLS.
    pub sni: Option<String>,
    /// Octets, after dot-unstuffing.
    pub size: u64,
    /// A CR or LF stood alone in it.
    pub bare_line_ends: bool,
    /// Where it is now.
    pub kept: Kept,
}

/// Where a message is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Here, octet by octet, or as much of it as was to be kept.
    Memory(Vec<u8>),
    /// In this file of a Maildir.
    File(PathBuf),
}

/// A running sink; it stops when it is dropped.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    /// The throw-away CA in PEM, for a client's `ca_file`; `None` with a certificate from files. Under the fault `self-signed` it
    /// did not sign the certificate.
    pub ca_pem: Option<String>,
    /// What happens.
    pub events: Receiver<Event>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts to listen.
    ///
    /// # Errors
    /// The address is taken, the certificate can't be read or made, the Maildir can't be made; in words for a person.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let Identity { config, ca_pem } = Identity::load(&settings)?;
        let maildir = match &settings.store {
            Store::Maildir(directory) => Some(Maildir::open(directory)?),
            Store::Memory | Store::Beginning(_) => None,
        };
        let listener = TcpListener::bind(settings.address)?;
        // As many as cron may start at once: one that finds the queue full waits in vain for a greeting, under SYN cookies.
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        let (sender, events) = channel();
        let shared = Arc::new(Shared { settings, config, maildir, run: Mutex::default(), changed: Condvar::new() });
        let acceptor = thread::Builder::new().name("sink".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared, &sender)
        })?;
        Ok(Self { address, ca_pem, events, shared, acceptor: Some(acceptor) })
    }

    /// Takes no new connections, lets the running ones end for as long as `grace`, cuts the rest. What they still tell is in
    /// [`Sink::events`].
    pub fn stop(&mut self, grace: Duration) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.run().stopping = true;
        self.shared.changed.notify_all();
        // The acceptor sleeps in accept(2); a connection wakes it.
        let _ = TcpStream::connect_timeout(&reachable(self.address), Duration::from_secs(1));
        let _ = acceptor.join();
        let deadline = Instant::now() + grace;
        let mut run = self.shared.run();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if run.open.is_empty() {
                return;
            }
            if left.is_zero() {
                break;
            }
            run = self.shared.changed.wait_timeout(run, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        for stream in run.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        while !run.open.is_empty() {
            run = self.shared.changed.wait(run).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    config: Arc<rustls::ServerConfig>,
    maildir: Option<Maildir>,
    run: Mutex<Run>,
    /// A connection ended, or the sink is to stop.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Run {
    stopping: bool,
    /// Handles of the open connections, to cut them by.
    open: HashMap<u64, TcpStream>,
    accepted: u64,
}

impl Shared {
    /// A thread that panicked leaves nothing half-done behind this lock.
    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, and says whether the sink is to stop.
    fn pause(&self, for_long: Duration) -> bool {
        let run = self.run();
        let wait = self.changed.wait_timeout_while(run, for_long, |run| !run.stopping);
        wait.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    fn spoils(&self, link: Link) -> bool {
        self.settings.faults.spoils(link)
    }

    /// Registers a connection as soon as there is room; `None` when the sink is to stop.
    fn admit(&self, stream: &TcpStream) -> io::Result<Option<u64>> {
        let run = self.run();
        let full = |run: &mut Run| !run.stopping && run.open.len() >= MOST_CONNECTIONS;
        let mut run = self.changed.wait_while(run, full).unwrap_or_else(PoisonError::into_inner);
        if run.stopping {
            return Ok(None);
        }
        run.accepted += 1;
        let number = run.accepted;
        run.open.insert(number, stream.try_clone()?);
        Ok(Some(number))
    }

    fn dismiss(&self, number: u64) {
        self.run().open.remove(&number);
        self.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, events: &Sender<Event>) {
    loop {
        let admitted = listener.accept().and_then(|(stream, peer)| Ok((shared.admit(&stream)?, stream, peer)));
        match admitted {
            Ok((Some(number), stream, peer)) => serve(shared, events, number, stream, peer),
            Ok((None, ..)) => return,
            // Out of descriptors, most likely: some will be closed.
            Err(_) if shared.pause(Duration::from_millis(50)) => return,
            Err(_) => {}
        }
    }
}

fn serve(shared: &Arc<Shared>, events: &Sender<Event>, number: u64, stream: TcpStream, peer: SocketAddr) {
    let started = thread::Builder::new().name(format!("sink {peer}")).spawn({
        let (shared, events) = (Arc::clone(shared), events.clone());
        move || {
            if let Err(error) = Connection::new(&shared, &events, stream, peer).and_then(Connection::serve) {
                // Nobody listens any more: then nobody wants to know.
                let _ = events.send(Event::Trouble { peer, what: error.to_string() });
            }
            shared.dismiss(number);
        }
    });
    if started.is_err() {
        shared.dismiss(number);
    }
}

/// An address under which a listener on `address` can be reached from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

#[cfg(test)]
mod tests;
