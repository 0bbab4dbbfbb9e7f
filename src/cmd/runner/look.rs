//! What in the queue is due, and when is the next look due?

use std::{
    collections::HashSet,
    ffi::OsStr,
    io,
    sync::{Mutex, atomic::Ordering},
    thread::Scope,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::{LONG, Runner, SHORT, SKIPPED, lock, transition::schedule};
use crate::{
    error::{Error, Exit},
    host::{
        journal::Id,
        spool::{Claimed, Found, Place, Waiting},
    },
};

/// Of its time a run spends this part looking through the queue, at the most.
const SHARE: u32 = 10;
/// After so many looks in a row since which nothing was worked on, nothing was passed over.
const VAIN: u32 = 8;
/// How often what is old is swept away.
const SWEEP: Duration = Duration::from_secs(3600);

/// What a look through the queue came to.
#[derive(Debug, Default)]
pub(super) struct Look {
    ended: Option<Instant>,
    cost: Duration,
    /// When the next message is due, of those that were not.
    next: Option<Timestamp>,
    /// Messages that had been worked on when it began.
    pub(super) acted: u64,
    /// Looks in a row since which nothing was worked on.
    idle: u32,
    /// Messages may have been passed over that nobody has worked on: there is to be another look when the lanes are idle.
    pub(super) is_partial: bool,
}

impl Look {
    /// Whether the last one was long enough ago.
    pub(super) fn may_be_repeated(&self) -> bool {
        self.rest().is_zero()
    }

    /// How long it is until then.
    pub(super) fn rest(&self) -> Duration {
        self.ended.map_or(Duration::ZERO, |ended| (self.cost * SHARE).saturating_sub(ended.elapsed()))
    }

    /// Something is due then.
    pub(super) fn expect(&mut self, due: Timestamp) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }

    /// How long to wait for others to be done with what they work on.
    pub(super) fn others(&self) -> Duration {
        (SHORT / 5).saturating_mul(1 << self.idle.min(16)).min(LONG)
    }
}

impl Runner<'_> {
    /// Hands what is due to the lanes.
    pub(super) fn look<'s>(&'s self, scope: &'s Scope<'s, '_>, last: &Look) -> Look {
        let begun = Instant::now();
        let acted = self.acted.load(Ordering::SeqCst);
        let idle = if acted == last.acted { last.idle + 1 } else { 0 };
        let mut is_partial = false;
        for lane in &self.lanes {
            // A lane that is idle begins anew; one that is at work goes on from where it is, and what lies behind is not seen.
            let is_new_round = lane.is_idle() && !lane.has_more();
            is_partial |= !is_new_round && idle < VAIN;
            lane.begin(is_new_round);
        }
        lock(&self.skipped).clear();
        lock(&self.busy).clear();
        self.hear_of_pauses();
        let mut look = Look { acted, idle, is_partial, ..Look::default() };
        match self.setting.spool.names(Place::Queue) {
            Ok(names) => self.meet_all(names, scope, &mut look),
            Err(error) => self.complain(None, &error),
        }
        Look { ended: Some(Instant::now()), cost: begun.elapsed(), ..look }
    }

    /// Hands what is due to the lanes, as long as any account works: where none does, nothing is gained by going through a long queue.
    fn meet_all<'s>(&'s self, mut names: impl Iterator<Item = Found>, scope: &'s Scope<'s, '_>, look: &mut Look) {
        while !self.is_stopping() {
            if let Some(end) = self.end_of_all_pauses(self.now()) {
                return look.expect(end);
            }
            let Some(found) = names.next() else { return };
            if let Some(due) = self.meet(found) {
                look.expect(due);
            }
            self.staff(scope);
        }
    }

    /// Hands one message to its lane, if it is due; when it is, if not.
    fn meet(&self, found: Found) -> Option<Timestamp> {
        let waiting = match found {
            Found::Message(waiting) => waiting,
            Found::Odd(name) => {
                self.set_aside(&name, "is no message of ours");
                return None;
            }
        };
        let now = self.now();
        if !self.wish.now && !self.is_due(waiting.due, now) {
            return Some(waiting.due);
        }
        let lane = match self.lanes.as_slice() {
            [only, _homeless] => only,
            _ => self.lane(&self.setting.spool.peek(Place::Queue, waiting.id).ok()??.head.account),
        };
        let paused = lane.account.and_then(|account| self.paused_until(account, now));
        if paused.is_none() {
            lane.push(waiting.id);
        }
        paused
    }

    /// Due is what should have left by now, and what is further ahead than any schedule puts it: the clock was set back.
    pub(super) fn is_due(&self, due: Timestamp, now: Timestamp) -> bool {
        schedule(&self.setting.config.queue).is_due(due, now)
    }

    /// How long until something is due.
    pub(super) fn until_next(&self, look: &Look) -> Option<Duration> {
        let ahead = look.next?.duration_since(self.now());
        Some(Duration::try_from(ahead).unwrap_or_default().max(Duration::from_millis(1)))
    }

    /// Whether something is due that this run has not tried, now that somebody else could have the lead. What others worked on a
    /// moment ago they may have left to us since; who still does will see that we are gone.
    pub(super) fn has_missed_any(&self) -> bool {
        if self.in_debt().is_some() {
            return false;
        }
        let Ok(mut names) = self.setting.spool.names(Place::Queue) else { return false };
        let now = self.now();
        let (skipped, busy) = (lock(&self.skipped).clone(), lock(&self.busy).clone());
        let is_missed = |waiting: &Waiting| {
            self.is_due(waiting.due, now)
                && !skipped.contains(&waiting.id)
                && self.has_open_lane(waiting.id, now)
                && (!busy.contains(&waiting.id) || self.is_free(waiting.id))
        };
        skipped.len() < SKIPPED
            && busy.len() < SKIPPED
            && names.any(|found| matches!(&found, Found::Message(waiting) if is_missed(waiting)))
    }

    fn is_free(&self, id: Id) -> bool {
        matches!(self.setting.spool.claim(Place::Queue, id), Ok(Claimed::Ours(_)))
    }

    /// Whether others work on something that is due.
    pub(super) fn is_busy(&self) -> bool {
        !lock(&self.busy).is_empty()
    }

    fn has_open_lane(&self, id: Id, now: Timestamp) -> bool {
        let Ok(Some(entry)) = self.setting.spool.peek(Place::Queue, id) else { return false };
        self.lane(&entry.head.account).account.is_none_or(|account| self.paused_until(account, now).is_none())
    }

    /// A message that can't be worked on now.
    pub(super) fn skip(&self, id: Id) {
        remember(&self.skipped, id);
    }

    /// A message that somebody else works on.
    pub(super) fn leave_to_others(&self, id: Id) {
        remember(&self.busy, id);
    }

    /// Puts aside what is no message, and says so.
    pub(super) fn set_aside(&self, name: &OsStr, why: &str) {
        let doing = format!("setting aside {} of the queue in {}", name.to_string_lossy(), self.setting.spool.path().display());
        let moved = self.setting.spool.set_aside(Place::Queue, name);
        let told = || Error::new(Exit::DataErr, doing, format!("it {why}")).hint("it is in odd/ now; look at it");
        self.complain(None, &moved.err().unwrap_or_else(told));
    }

    /// Removes what is left of dead writers, and what failed long ago; once an hour.
    pub(super) fn sweep_now_and_then(&self) {
        let mut swept = lock(&self.swept);
        if swept.is_some_and(|swept| swept.elapsed() < SWEEP) {
            return;
        }
        *swept = Some(Instant::now());
        self.complain_anew();
        let now = self.now();
        let kept = SignedDuration::try_from(self.setting.config.queue.keep_failed).unwrap_or(SignedDuration::MAX);
        let failed_before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        if let Err(error) = self.setting.spool.sweep(now, failed_before) {
            self.complain(None, &error);
        }
    }
}

fn remember(set: &Mutex<HashSet<Id>>, id: Id) {
    let mut set = lock(set);
    if set.len() < SKIPPED {
        set.insert(id);
    }
}

/// The error of a system that has no descriptors left.
pub(super) fn no_alarm(error: &io::Error) -> Error {
    Error::new(Exit::OsErr, "getting ready to run the queue", error.to_string()).hint("raise the limit of open files (ulimit -n)")
}

/// The error of a system that has no threads left.
pub(super) fn no_thread(error: &io::Error) -> Error {
    Error::new(Exit::OsErr, "running the queue with several connections", error.to_string())
        .hint("raise the limit of processes (ulimit -u)")
}
