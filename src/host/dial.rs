//! How is a connection made, whichever of the host's addresses works? (RFC 8305, RFC 1928)

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt},
};

use super::{
    config::{Account, Proxy, Target},
    net::{Link, timespec},
    socks,
};

/// How long an address may keep the next one waiting (RFC 8305 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Most addresses that are tried.
const ADDRESSES: usize = 16;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The name does not exist, says the name service, for good.
    NoSuchHost(String),
    /// Anything that may be better later.
    NotNow(String),
}

/// Why one address could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub address: SocketAddr,
    /// Why, in the system's words.
    pub why: String,
}

/// What lies between this machine and a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<'a> {
    /// The proxy that connects, and resolves names.
    pub proxy: Option<&'a Proxy>,
    /// The local address to connect from.
    pub source: Option<IpAddr>,
}

impl<'a> From<&'a Account> for Way<'a> {
    fn from(account: &'a Account) -> Self {
        Self { proxy: account.proxy.as_ref(), source: account.source_address }
    }
}

/// Of every address that was tried; none was where `source_address` fits none of them.
impl From<Vec<Failure>> for Unreachable {
    fn from(failures: Vec<Failure>) -> Self {
        if failures.is_empty() {
            return Self::NotNow("no address of the host fits source_address".to_owned());
        }
        let words: Vec<_> = failures.iter().map(|failure| format!("{}: {}", failure.address, failure.why)).collect();
        Self::NotNow(words.join("; "))
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchHost(why) | Self::NotNow(why) => f.write_str(why),
        }
    }
}

/// As [`dial`], to addresses of the smarthost that are `known`; its name is looked up only where there are none.
///
/// # Errors
/// Why no address could be reached.
pub fn dial_known(account: &Account, known: &[IpAddr], budget: Duration) -> Result<Link, Unreachable> {
    let addresses = ordered(account, known);
    if addresses.is_empty() {
        return dial(account, budget);
    }
    Ok(race(&addresses, account.source_address, Instant::now() + budget)?)
}

/// Addresses of the smarthost that are `known`, in the order in which [`race`] tries them; none where they are not asked for.
pub fn ordered(account: &Account, known: &[IpAddr]) -> Vec<SocketAddr> {
    match &account.target {
        Target::Name(_, port) if account.proxy.is_none() => interleave(known, *port),
        _ => Vec::new(),
    }
}

/// Connects to the account's smarthost, through its proxy where it has one, all within `budget`.
///
/// # Errors
/// Why no address could be reached.
pub fn dial(account: &Account, budget: Duration) -> Result<Link, Unreachable> {
    dial_for(account, &account.target, budget)
}

/// Connects to a server that the account needs besides its smarthost, in the same way.
///
/// # Errors
/// Why no address could be reached.
pub fn dial_for(account: &Account, target: &Target, budget: Duration) -> Result<Link, Unreachable> {
    dial_by(account.into(), target, budget)
}

/// Connects to a server by this way, all within `budget`.
///
/// # Errors
/// Why no address could be reached.
pub fn dial_by(way: Way<'_>, target: &Target, budget: Duration) -> Result<Link, Unreachable> {
    let deadline = Instant::now() + budget;
    let source = way.source;
    if let Some(proxy) = way.proxy {
        let (host, port) = match target {
            Target::Name(name, port) => (name.clone(), *port),
            Target::Address(address, port) => (address.to_string(), *port),
            Target::Unix(_) => return Err(Unreachable::NotNow("a unix socket can't be reached through a proxy".to_owned())),
            Target::Service(domain) => return Err(unresolved(domain)),
        };
        let mut link = race(&resolve(&proxy.host, proxy.port, deadline)?, source, deadline)?;
        socks::connect(&mut link, &host, port, deadline)
            .map_err(|why| Unreachable::NotNow(format!("proxy {}: {why}", proxy.host)))?;
        return Ok(link);
    }
    match target {
        Target::Name(name, port) => Ok(race(&resolve(name, *port, deadline)?, source, deadline)?),
        Target::Address(address, port) => Ok(race(&[SocketAddr::new(*address, *port)], source, deadline)?),
        Target::Service(domain) => Err(unresolved(domain)),
        Target::Unix(path) => unix(path, deadline),
    }
}

/// The addresses of the account's smarthost in the order in which [`race`] tries them, those that are `known` or what its name leads
/// to; none where its proxy knows them, or there is none to know (a unix socket).
///
/// # Errors
/// Why the name has no address.
pub fn addresses(account: &Account, known: &[IpAddr], budget: Duration) -> Result<Vec<SocketAddr>, Unreachable> {
    match &account.target {
        _ if account.proxy.is_some() => Ok(Vec::new()),
        Target::Name(..) if !known.is_empty() => Ok(ordered(account, known)),
        Target::Name(name, port) => resolve(name, *port, Instant::now() + budget),
        Target::Address(address, port) => Ok(vec![SocketAddr::new(*address, *port)]),
        Target::Service(_) | Target::Unix(_) => Ok(Vec::new()),
    }
}

fn unresolved(domain: &str) -> Unreachable {
    Unreachable::NotNow(format!("nobody looked up who offers submission for {domain}"))
}

/// Asks the system's name service, which knows no deadline of its own: the answer is waited for in a thread that may be left behind.
fn resolve(name: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Unreachable> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let owned = name.to_owned();
    let thread = std::thread::Builder::new().name("resolver".to_owned()).spawn(move || sender.send(look_up(&owned)));
    let found = match thread {
        Ok(_) => receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        // A caller under a limit (RLIMIT_NPROC) gets its mail out all the same; only the deadline is the name service's own.
        Err(_) => Ok(look_up(name)),
    };
    match found {
        Ok(Ok(addresses)) => Ok(interleave(&addresses, port)),
        Ok(Err(error)) => {
            let gone = matches!(error.kind(), LookupErrorKind::NoName | LookupErrorKind::NoData);
            let why = format!("{name}: {}", io::Error::from(error));
            Err(if gone { Unreachable::NoSuchHost(why) } else { Unreachable::NotNow(why) })
        }
        Err(_) => Err(Unreachable::NotNow(format!("{name}: the name service did not answer in time"))),
    }
}

fn look_up(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints))?;
    Ok(found.filter_map(Result::ok).map(|info| info.sockaddr.ip()).collect())
}

/// The addresses without duplicates, families in turn, beginning with the one that the system prefers (RFC 8305 4).
fn interleave(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let mut unique: Vec<IpAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) = unique.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] || order.len() >= ADDRESSES {
            return order;
        }
        order.extend(pair.into_iter().flatten().map(|address| SocketAddr::new(address, port)));
    }
}

/// One connection that is being made.
struct Attempt {
    fd: OwnedFd,
    address: SocketAddr,
}

/// Connects to the first address that answers; each gets a head start before the next joins.
///
/// # Errors
/// Why none of them could be reached.
pub fn race(addresses: &[SocketAddr], source: Option<IpAddr>, deadline: Instant) -> Result<Link, Vec<Failure>> {
    let usable = |address: &&SocketAddr| source.is_none_or(|s| s.is_ipv4() == address.is_ipv4());
    let mut waiting = addresses.iter().filter(usable);
    let mut running: Vec<Attempt> = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    let mut next = waiting.next();
    loop {
        if let Some(address) = next.take() {
            match begin(*address, source) {
                Ok((attempt, true)) => return Ok(Link::new(attempt.fd, Some(attempt.address))),
                Ok((attempt, false)) => running.push(attempt),
                Err(why) => failures.push(Failure { address: *address, why }),
            }
        }
        if running.is_empty() {
            next = waiting.next();
            if next.is_some() {
                continue;
            }
            return Err(failures);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            failures.extend(running.iter().map(|a| Failure { address: a.address, why: "no answer in time".to_owned() }));
            return Err(failures);
        }
        let more = waiting.clone().next().is_some();
        let settled = settle(&mut running, if more { left.min(STAGGER) } else { left }, &mut failures);
        match settled {
            Some(attempt) => return Ok(Link::new(attempt.fd, Some(attempt.address))),
            None => next = waiting.next(),
        }
    }
}

/// Waits for one of the attempts; takes failed ones out and gives the first that is connected.
fn settle(running: &mut Vec<Attempt>, patience: Duration, failures: &mut Vec<Failure>) -> Option<Attempt> {
    let mut fds: Vec<PollFd<'_>> = running.iter().map(|a| PollFd::from_borrowed_fd(a.fd.as_fd(), PollFlags::OUT)).collect();
    // An interrupted poll is a short wait; the caller's deadline holds all the same.
    let _ = poll(&mut fds, Some(&timespec(patience)));
    let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    for index in (0..ready.len()).rev().filter(|i| ready[*i]) {
        let attempt = running.remove(index);
        match sockopt::socket_error(&attempt.fd) {
            Ok(Ok(())) => return Some(attempt),
            Ok(Err(errno)) | Err(errno) => failures.push(Failure { address: attempt.address, why: words(errno) }),
        }
    }
    None
}

/// Starts to connect; true when the connection is there at once.
fn begin(address: SocketAddr, source: Option<IpAddr>) -> Result<(Attempt, bool), String> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None).map_err(words)?;
    sockopt::set_tcp_nodelay(&fd, true).map_err(words)?;
    if let Some(source) = source {
        rustix::net::bind(&fd, &SocketAddr::new(source, 0)).map_err(|e| format!("source_address {source}: {}", words(e)))?;
    }
    match rustix::net::connect(&fd, &address) {
        Ok(()) => Ok((Attempt { fd, address }, true)),
        Err(rustix::io::Errno::INPROGRESS) => Ok((Attempt { fd, address }, false)),
        Err(errno) => Err(words(errno)),
    }
}

/// Why the service of this machine did not take a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoService {
    /// Nobody listens there.
    Absent,
    /// Somebody does, and it could not be reached all the same.
    Trouble(String),
}

impl fmt::Display for NoService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the service does not run"),
            Self::Trouble(why) => write!(f, "the service can't be reached: {why}"),
        }
    }
}

/// Connects to the service's socket; waits until `deadline` where it has more connections than it takes.
///
/// # Errors
/// Why it could not be reached.
pub fn service(path: &Path, deadline: Instant) -> Result<Link, NoService> {
    use rustix::io::Errno;
    connect_unix(path, deadline).map_err(|errno| match errno {
        Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR => NoService::Absent,
        Errno::AGAIN => NoService::Trouble("it has more connections than it takes".to_owned()),
        errno => NoService::Trouble(words(errno)),
    })
}

fn unix(path: &Path, deadline: Instant) -> Result<Link, Unreachable> {
    connect_unix(path, deadline).map_err(|errno| {
        let why = match errno {
            rustix::io::Errno::AGAIN => "its queue of connections is full".to_owned(),
            errno => words(errno),
        };
        Unreachable::NotNow(format!("{}: {why}", path.display()))
    })
}

/// Waits where the server's queue of connections is full: only a blocking connect does, and poll(2) can't (unix(7)).
fn connect_unix(path: &Path, deadline: Instant) -> Result<Link, rustix::io::Errno> {
    let address = SocketAddrUnix::new(path)?;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(left.max(Duration::from_millis(1))))?;
        match rustix::net::connect(&fd, &address) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    }
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(Link::new(fd, None))
}

/// The system's words for an error, in lower case, without its number.
fn words(errno: rustix::io::Errno) -> String {
    let text = io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_unix_socket_whose_queue_is_full_is_waited_for() {
        let path = std::env::temp_dir().join(format!("sealpost-dial-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let queued = UnixStream::connect(&path).unwrap();
        let (begun, patience) = (Instant::now(), Duration::from_millis(50));
        let refused = unix(&path, begun + patience).map(|_| ()).unwrap_err();
        assert!(refused.to_string().ends_with("its queue of connections is full"), "{refused}");
        assert!(begun.elapsed() >= patience);
        listener.accept().unwrap();
        assert!(unix(&path, Instant::now() + Duration::from_secs(5)).is_ok());
        drop(queued);
        std::fs::remove_file(&path).unwrap();
    }
}
