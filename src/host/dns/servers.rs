//! How are name servers asked: which, how often, how long, and whom to believe that it is them? (RFC 1035 4.2, 5452, 7766; resolv.conf(5))

use std::{
    cell::{Cell, RefCell},
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use hickory_proto::op::Message;

use super::{
    Trouble,
    message::{Question, Reply},
    walk::Exchange,
};
use crate::host::{careful, world::World};

/// Where the system says which servers to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The largest that is read of it.
const LARGEST: u64 = 1 << 20;
/// Servers that are asked; the C library asks three.
const SERVERS: usize = 4;
/// How long the first server has for a datagram; in the next rounds twice as long, and again.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often all servers are asked.
const ROUNDS: u32 = 3;
/// Datagrams that are no answer, before the server counts as silent: somebody is guessing.
const STRANGERS: usize = 100;

/// The servers, and until when they may take to answer everything.
pub(super) struct Servers<'w> {
    world: &'w dyn World,
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    /// Which one answered last; it is asked first.
    last: Cell<usize>,
    answered: Cell<Option<SocketAddr>>,
    /// The largest datagram, once one was needed.
    buffer: RefCell<Vec<u8>>,
}

/// Why one server gave no answer.
enum Silence {
    /// It does not answer, or not in a way that can be used.
    Server(String),
    /// The time for everything is over.
    Over,
}

impl<'w> Servers<'w> {
    /// Those of `configured`, else of the system. All answers together take until `deadline`.
    pub(super) fn new(world: &'w dyn World, configured: &[SocketAddr], deadline: Instant) -> Self {
        let addresses = if configured.is_empty() { system(Path::new(RESOLV_CONF)) } else { configured.to_vec() };
        Self { world, addresses, deadline, last: Cell::new(0), answered: Cell::new(None), buffer: RefCell::default() }
    }

    /// The server that answered last.
    pub(super) fn answered(&self) -> Option<SocketAddr> {
        self.answered.get()
    }

    fn by_datagram(&self, server: SocketAddr, question: &Question, patience: Duration) -> Result<Message, Silence> {
        let (id, query) = self.query(question)?;
        let deadline = self.deadline.min(Instant::now() + patience);
        let mut stranger = None;
        let mut receive = || -> io::Result<Option<Message>> {
            // A port of the kernel's choosing, at random, and nobody heard but the server.
            let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(server)?;
            socket.send(&query)?;
            let mut buffer = self.buffer.borrow_mut();
            buffer.resize(usize::from(u16::MAX), 0);
            for _ in 0..STRANGERS {
                socket.set_read_timeout(Some(left(deadline)?))?;
                let length = match socket.recv(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                };
                match question.weigh(buffer.get(..length).unwrap_or_default(), id) {
                    Reply::Answer(message) => return Ok(Some(*message)),
                    Reply::Truncated => return Ok(None),
                    Reply::Failed(code) => return Err(io::Error::other(format!("it answers {code}"))),
                    Reply::Foreign(why) => stranger = Some(why),
                }
            }
            Err(io::ErrorKind::TimedOut.into())
        };
        match receive() {
            Ok(Some(message)) => Ok(message),
            Ok(None) => self.by_stream(server, question, patience),
            Err(error) => Err(self.silence(&error, stranger)),
        }
    }

    fn by_stream(&self, server: SocketAddr, question: &Question, patience: Duration) -> Result<Message, Silence> {
        let (id, query) = self.query(question)?;
        let deadline = self.deadline.min(Instant::now() + 2 * patience);
        let exchange = || -> io::Result<Reply> {
            let mut stream = TcpStream::connect_timeout(&server, left(deadline)?)?;
            let length = u16::try_from(query.len()).map_err(io::Error::other)?.to_be_bytes();
            stream.set_write_timeout(Some(left(deadline)?))?;
            stream.write_all(&[&length, query.as_slice()].concat())?;
            let mut length = [0; 2];
            fill(&mut stream, &mut length, deadline)?;
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            fill(&mut stream, &mut answer, deadline)?;
            Ok(question.weigh(&answer, id))
        };
        match exchange() {
            Ok(Reply::Answer(message)) => Ok(*message),
            Ok(Reply::Failed(code)) => Err(Silence::Server(format!("it answers {code}"))),
            Ok(Reply::Truncated) => Err(Silence::Server("its answer is cut even by TCP".to_owned())),
            Ok(Reply::Foreign(why)) => Err(Silence::Server(format!("what it sends by TCP is not the answer: {why}"))),
            Err(error) => Err(self.silence(&error, None)),
        }
    }

    fn query(&self, question: &Question) -> Result<(u16, Vec<u8>), Silence> {
        let mut id = [0; 2];
        self.world.random(&mut id).map_err(|error| Silence::Server(error.summary()))?;
        let id = u16::from_be_bytes(id);
        let query = question.ask(id).ok_or_else(|| Silence::Server("the question can't be put".to_owned()))?;
        Ok((id, query))
    }

    fn silence(&self, error: &io::Error, stranger: Option<&str>) -> Silence {
        let timed_out = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        match (timed_out, stranger) {
            (true, _) if Instant::now() >= self.deadline => Silence::Over,
            (true, Some(why)) => Silence::Server(format!("what it sends is not the answer: {why}")),
            (true, None) => Silence::Server("no answer in time".to_owned()),
            (false, _) => Silence::Server(error.to_string()),
        }
    }
}

impl Exchange for Servers<'_> {
    fn ask(&self, question: &Question) -> Result<Message, Trouble> {
        let mut why: Vec<String> = Vec::new();
        let count = self.addresses.len();
        'rounds: for round in 0..ROUNDS {
            why.clear();
            for turn in 0..count {
                let index = (self.last.get() + turn) % count;
                let Some(server) = self.addresses.get(index).copied() else { continue };
                match self.by_datagram(server, question, PATIENCE * (1 << round)) {
                    Ok(message) => {
                        self.last.set(index);
                        self.answered.set(Some(server));
                        return Ok(message);
                    }
                    Err(Silence::Server(error)) => why.push(format!("{server}: {error}")),
                    Err(Silence::Over) => {
                        why.push(format!("{server}: no answer in time"));
                        break 'rounds;
                    }
                }
            }
        }
        let why = if why.is_empty() { "there is no name server to ask".to_owned() } else { why.join("; ") };
        Err(Trouble { bogus: false, words: format!("the DNS has no answer for {question}: {why}") })
    }
}

/// Reads a whole buffer before the deadline, however slowly it drips.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(rest) {
            Ok(0) => return Err(io::Error::other("it closed the connection")),
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is left until the deadline: never nothing, which would mean for ever.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The servers that a resolv.conf names; the one on this machine where it names none, or is not there (resolv.conf(5)).
fn system(path: &Path) -> Vec<SocketAddr> {
    let text = careful::read(path, LARGEST).unwrap_or_default();
    let servers = named(&String::from_utf8_lossy(&text));
    if servers.is_empty() { vec![SocketAddr::from(([127, 0, 0, 1], 53))] } else { servers }
}

fn named(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let word = (words.next()? == "nameserver").then(|| words.next())??;
        // `fe80::1%eth0` means something to the C library alone.
        Some(SocketAddr::new(word.parse().ok()?, 53))
    };
    text.lines().filter_map(address).take(SERVERS).collect()
}

#[cfg(test)]
mod tests;
