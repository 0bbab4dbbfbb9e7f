//! How does a service listen for local programs, and stay there for the others whatever one of them does? (sealpost(1), `serve`)
//!
//! Each client has a thread with a small stack. Who it is is the kernel's word: of a unix socket the credentials of whoever connected,
//! of the loopback the owner of the other end's socket. Nobody may have more connections than a share, and root always gets one.

use std::{
    collections::HashMap,
    io::{self, PipeReader, PipeWriter, Write as _},
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SocketFlags, accept_with, sockopt},
};

pub mod door;
pub mod peer;
pub mod quota;
mod staff;
pub mod supervisor;

use self::{door::Name, peer::Unknown, staff::Staff};

/// What a thread of a client gets; it holds no messages.
const STACK: usize = 512 << 10;
/// How long nobody is let in when the system has no descriptors left: until some are closed.
const REST: Duration = Duration::from_millis(100);
/// Connections that root gets beyond all others.
const RESERVE: usize = 10;

/// Where a service listens.
#[derive(Debug)]
pub enum Door {
    /// On a socket in the file system; its name, where that is ours.
    Unix(UnixListener, Option<Name>),
    /// On the loopback.
    Loopback(TcpListener),
}

/// How many clients there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// All together, root's apart.
    pub all: usize,
    /// Of one user.
    pub each: usize,
}

/// A client that was let in.
#[derive(Debug)]
pub struct Guest {
    /// Who it is: the kernel's word.
    pub uid: u32,
    /// The connection, which does not block.
    pub stream: OwnedFd,
}

/// Why somebody was sent away unheard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Everybody's connections are too many.
    Full,
    /// This user's are.
    Greedy(u32),
    /// The kernel does not say who it is.
    Unknown,
    /// There is no thread for it.
    Unstaffed,
}

/// Who looks after clients. Threads share it.
pub trait Host: Sync {
    /// Serves one to its end; `bell` is readable when the service stops.
    fn serve(&self, guest: Guest, bell: BorrowedFd<'_>);
    /// Hears of whom the service sent away.
    fn turned_away(&self, why: Turned);
    /// Is called by whoever lets clients in, as a sign of life.
    fn tick(&self);
}

/// A service that listens.
#[derive(Debug)]
pub struct Service {
    doors: Mutex<Vec<Door>>,
    /// How often [`Host::tick`] wants to be called.
    pulse: Option<Duration>,
    ear: PipeReader,
    bell: PipeWriter,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    caps: Caps,
    all: usize,
    each: HashMap<u32, usize>,
}

impl Door {
    /// Whether it is in the file system.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(..))
    }

    /// Its address on the loopback.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(..) => None,
            Self::Loopback(listener) => listener.local_addr().ok(),
        }
    }
}

impl Turned {
    /// What it hears.
    fn reply(self) -> &'static [u8] {
        match self {
            Self::Full | Self::Unstaffed => b"421 4.3.2 the service has too many connections, try again later\r\n",
            Self::Greedy(_) => b"421 4.7.0 you have too many connections, end one or try again later\r\n",
            Self::Unknown => b"421 4.7.0 the system does not say who you are\r\n",
        }
    }
}

impl Service {
    /// A service that listens at `doors`, with a sign of life at least every `pulse`.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new(doors: Vec<Door>, caps: Caps, pulse: Option<Duration>) -> io::Result<Self> {
        for door in &doors {
            match door {
                Door::Unix(listener, _) => listener.set_nonblocking(true)?,
                Door::Loopback(listener) => listener.set_nonblocking(true)?,
            }
        }
        let (ear, bell) = io::pipe()?;
        let inside = Inside { caps, all: 0, each: HashMap::new() };
        Ok(Self { doors: Mutex::new(doors), pulse, ear, bell, inside: Mutex::new(inside) })
    }

    /// Lets clients in until [`Service::stop`], and waits for those that are in.
    pub fn run(&self, host: &dyn Host) {
        let doors = std::mem::take(&mut *self.doors.lock().unwrap_or_else(PoisonError::into_inner));
        let mut pulse = self.pulse.map(Pulse::new);
        let staff = Staff::new();
        thread::scope(|scope| {
            while let Some(ready) = self.wait(&doors, pulse.as_ref()) {
                for door in ready {
                    // A door that has nobody waiting any more says so.
                    match accept(door) {
                        Ok(stream) => self.receive(scope, &staff, host, door, stream),
                        Err(error) if is_passing(&error) => {}
                        Err(_) => self.rest(),
                    }
                }
                if pulse.as_mut().is_some_and(Pulse::beats) {
                    host.tick();
                }
            }
            // Whoever comes now finds nobody, instead of waiting for nothing while the others finish.
            drop(doors);
            staff.close();
        });
    }

    /// Lets nobody in any more, and has those that are in told.
    pub fn stop(&self) {
        // Nothing ever reads it: it stays heard.
        let _ = (&self.bell).write(&[0]);
    }

    /// From now on so many are let in; who is in stays.
    pub fn set_caps(&self, caps: Caps) {
        self.inside().caps = caps;
    }

    /// The doors at which somebody waits, perhaps none; `None`: the service is to stop.
    fn wait<'d>(&self, doors: &'d [Door], pulse: Option<&Pulse>) -> Option<Vec<&'d Door>> {
        let mut fds: Vec<PollFd<'_>> = doors.iter().map(|door| PollFd::from_borrowed_fd(door.as_fd(), PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.ear, PollFlags::IN));
        let timeout = pulse.and_then(|pulse| Timespec::try_from(pulse.left()).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) if fds.last().is_some_and(|ear| !ear.revents().is_empty()) => return None,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => {
                self.rest();
                return Some(Vec::new());
            }
        }
        let ready = doors.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Some(ready.map(|(door, _)| door).collect())
    }

    /// Out of descriptors or memory: asking again at once would only take what time there is.
    fn rest(&self) {
        let timeout = Timespec::try_from(REST).ok();
        let _ = poll(&mut [PollFd::new(&self.ear, PollFlags::IN)], timeout.as_ref());
    }

    fn receive<'scope, 'env, 's: 'env>(
        &'s self,
        scope: &'scope thread::Scope<'scope, 'env>,
        staff: &'env Staff<(OwnedFd, Place<'s>)>,
        host: &'env dyn Host,
        door: &Door,
        stream: OwnedFd,
    ) {
        // Who is on the loopback takes a while to find out: that is done by its thread.
        let known = match door {
            Door::Unix(..) => Some(peer::of_unix(&stream)),
            Door::Loopback(_) => None,
        };
        let uid = match known {
            Some(Ok(uid)) => Some(uid),
            Some(Err(Unknown)) => return turn_away(host, &stream, Turned::Unknown),
            None => None,
        };
        let place = match self.admit(uid) {
            Ok(place) => place,
            Err(why) => return turn_away(host, &stream, why),
        };
        let Err(task) = staff.offer((stream, place)) else { return };
        // Where no thread can be had the connection is closed with the closure that holds it; it can't even be told.
        let started = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
            let mut task = Some(task);
            while let Some((stream, place)) = task {
                self.attend(host, stream, place);
                task = staff.next();
            }
        });
        if started.is_err() {
            host.turned_away(Turned::Unstaffed);
            self.rest();
        }
    }

    fn attend(&self, host: &dyn Host, stream: OwnedFd, mut place: Place<'_>) {
        let uid = match place.uid {
            Some(uid) => uid,
            None => match peer::of_loopback(&stream).map_err(|Unknown| Turned::Unknown).and_then(|uid| place.belongs_to(uid)) {
                Ok(uid) => uid,
                Err(why) => return turn_away(host, &stream, why),
            },
        };
        host.serve(Guest { uid, stream }, self.ear.as_fd());
    }

    fn admit(&self, uid: Option<u32>) -> Result<Place<'_>, Turned> {
        let mut inside = self.inside();
        let reserve = if uid == Some(0) { RESERVE } else { 0 };
        if inside.all >= inside.caps.all + reserve {
            return Err(Turned::Full);
        }
        if let Some(uid) = uid {
            inside.enter(uid)?;
        }
        inside.all += 1;
        Ok(Place { service: self, uid })
    }

    /// A thread that panicked leaves nothing half-done behind this lock.
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn enter(&mut self, uid: u32) -> Result<(), Turned> {
        let own = self.each.get(&uid).copied().unwrap_or_default();
        if own >= self.caps.each && uid != 0 {
            return Err(Turned::Greedy(uid));
        }
        self.each.insert(uid, own + 1);
        Ok(())
    }
}

/// A client's share of the service; given back when it is dropped.
struct Place<'s> {
    service: &'s Service,
    uid: Option<u32>,
}

impl Place<'_> {
    /// Now it is known whose it is.
    fn belongs_to(&mut self, uid: u32) -> Result<u32, Turned> {
        self.service.inside().enter(uid)?;
        self.uid = Some(uid);
        Ok(uid)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.service.inside();
        inside.all -= 1;
        if let Some(uid) = self.uid
            && let Some(own) = inside.each.get_mut(&uid)
        {
            *own -= 1;
            if *own == 0 {
                inside.each.remove(&uid);
            }
        }
    }
}

/// When the next sign of life is due.
struct Pulse {
    every: Duration,
    next: Instant,
}

impl Pulse {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    fn beats(&mut self) -> bool {
        let is_due = self.left().is_zero();
        if is_due {
            self.next = Instant::now() + self.every;
        }
        is_due
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener, _) => listener.as_fd(),
            Self::Loopback(listener) => listener.as_fd(),
        }
    }
}

fn accept(door: &Door) -> io::Result<OwnedFd> {
    let stream = accept_with(door, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    if let Door::Loopback(_) = door {
        // A reply is written whole.
        let _ = sockopt::set_tcp_nodelay(&stream, true);
    }
    Ok(stream)
}

/// Whether it concerns one client, or nobody.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::WouldBlock | K::Interrupted | K::ConnectionAborted | K::ConnectionReset)
}

/// One line, as far as it goes without waiting.
fn turn_away(host: &dyn Host, stream: &OwnedFd, why: Turned) {
    let _ = rustix::io::write(stream, why.reply());
    host.turned_away(why);
}

#[cfg(test)]
mod tests;
