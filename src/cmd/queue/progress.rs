//! How far is a long run of the queue? (a bar on a terminal, nothing elsewhere)

use std::{
    io::{self, IsTerminal as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use serde::Serialize;

use super::{out::say, table::span};
use crate::cmd::runner::Fared;

/// The bar is drawn no more often than this.
const OFTEN: Duration = Duration::from_millis(100);
/// Columns of the bar itself.
const WIDTH: usize = 20;

/// What became of the messages so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// All have it.
    pub(super) sent: u64,
    /// Somebody is to be tried again.
    pub(super) deferred: u64,
    /// Somebody never gets it.
    pub(super) failed: u64,
}

/// A run that is watched; threads share it.
pub(super) struct Progress {
    begun: Instant,
    total: u64,
    shows: bool,
    state: Mutex<(Tally, Option<Instant>)>,
}

impl Progress {
    /// Of a run that begins now, for so many messages.
    pub(super) fn new(total: u64, is_quiet: bool) -> Self {
        let shows = !is_quiet && total > 0 && io::stderr().is_terminal();
        Self { begun: Instant::now(), total, shows, state: Mutex::default() }
    }

    /// A message was worked on.
    pub(super) fn count(&self, fared: Fared) {
        let mut state = self.state();
        let (tally, drawn) = &mut *state;
        match fared {
            Fared::Delivered => tally.sent += 1,
            Fared::Waits => tally.deferred += 1,
            Fared::Failed => tally.failed += 1,
        }
        if self.shows && drawn.is_none_or(|drawn| drawn.elapsed() >= OFTEN) {
            *drawn = Some(Instant::now());
            say(&format!("\r\x1b[K{}", bar(*tally, self.total, self.begun.elapsed())));
        }
    }

    /// Takes the bar away; what became of all.
    pub(super) fn finish(&self) -> Tally {
        let (tally, drawn) = *self.state();
        if drawn.is_some() {
            say("\r\x1b[K");
        }
        tally
    }

    fn state(&self) -> MutexGuard<'_, (Tally, Option<Instant>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Messages that were worked on.
    pub(super) fn all(self) -> u64 {
        self.sent + self.deferred + self.failed
    }
}

/// `[=====>    ] 512/1024  sent 500  deferred 10  failed 2  850/s  1s left`; 80 columns at the most, for counts below a million.
fn bar(tally: Tally, total: u64, took: Duration) -> String {
    let done = tally.all();
    let total = total.max(done).max(1);
    let filled = usize::try_from(done.saturating_mul(WIDTH as u64) / total).unwrap_or(0).min(WIDTH);
    let bar = format!("{}{}", "=".repeat(filled), " ".repeat(WIDTH - filled));
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1000) / millis;
    let left = (total - done).saturating_mul(millis) / done.max(1) / 1000;
    let left = span(SignedDuration::from_secs(i64::try_from(left).unwrap_or(i64::MAX)));
    let Tally { sent, deferred, failed } = tally;
    format!("[{bar}] {done}/{total} sent {sent} deferred {deferred} failed {failed} {rate}/s {left} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_tells_how_far_it_is_how_fast_and_how_long_it_will_take() {
        let tally = Tally { sent: 400, deferred: 90, failed: 10 };
        let text = "[==========          ] 500/1000 sent 400 deferred 90 failed 10 250/s 2s left";
        assert_eq!(bar(tally, 1000, Duration::from_secs(2)), text);
        // More came meanwhile than were counted in the beginning.
        assert!(bar(tally, 10, Duration::ZERO).starts_with("[====================] 500/500 "));
        let many = Tally { sent: 99_000, deferred: 0, failed: 0 };
        assert!(bar(many, 99_999, Duration::from_secs(99)).len() <= 80);
    }
}
