//! Which signal must not end us before the caller has its answer, and what does a signal tell a service? (setrlimit(2), signal(7))

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// Makes a write beyond the caller's file size limit (`ulimit -f`) fail, instead of killing us: a mail that is sent must not
/// look lost because its log record did not fit. What we start gets an empty mask from the standard library.
pub fn outlive_file_size_limit() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // It can't fail for a signal that exists.
    let _ = signals.thread_block();
}

/// A service has as many files open as it may: sockets of clients, and messages. How many that are.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// More are never open.
    const MOST: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(MOST, |most| most.min(MOST));
    if limit.current.is_some_and(|current| current < wanted) {
        // With the old limit fewer clients are served at once.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(MOST)
}

/// What a service is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGTERM, SIGINT: end, when what is under way is done.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: [`Orders::done`] was called.
    Done,
}

/// Signals that are waited for instead of ending the process.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    signals: SigSet,
}

impl Orders {
    /// From now on signals wait; to be called before any other thread begins, which would get them.
    ///
    /// # Errors
    /// The system refuses.
    pub fn take() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
            signals.add(signal);
        }
        signals.thread_block()?;
        Ok(Self { signals })
    }

    /// Waits for the next one.
    ///
    /// # Errors
    /// The system refuses.
    pub fn wait(&self) -> io::Result<Order> {
        Ok(match self.signals.wait()? {
            Signal::SIGHUP => Order::Reload,
            Signal::SIGUSR1 => Order::Done,
            _ => Order::Stop,
        })
    }

    /// Wakes the thread that waits.
    pub fn done(&self) {
        // It can't fail for the own process.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), Signal::SIGUSR1);
    }

    /// From now on orders to stop end the process again. To be called by the thread that waits: the others never hear of them.
    pub fn give_back(mut self) {
        self.signals.remove(Signal::SIGUSR1);
        // It can't fail for signals that exist.
        let _ = self.signals.thread_unblock();
    }
}
