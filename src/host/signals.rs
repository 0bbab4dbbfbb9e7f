//! Which signal must not end us before the caller has its answer? (setrlimit(2), signal(7))

use nix::sys::signal::{SigSet, Signal};

/// Makes a write beyond the caller's file size limit (`ulimit -f`) fail, instead of killing us: a mail that is sent must not
/// look lost because its log record did not fit. What we start gets an empty mask from the standard library.
pub fn outlive_file_size_limit() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // It can't fail for a signal that exists.
    let _ = signals.thread_block();
}
