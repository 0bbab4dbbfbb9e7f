//! Which messages of one account are next, and who works on them?

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::host::{config::Account, journal::Id};

/// Names that a lane holds at the most: the oldest, so that memory is constant however many wait.
const MOST: usize = 4096;
/// With so few left it asks for more.
const FEW: usize = MOST / 8;

/// The messages of one account, or of none that the configuration has.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    pub(super) account: Option<&'a Account>,
    /// Workers at the most.
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeSet<Id>,
    /// Messages up to here were handed out in this round.
    cursor: Option<Id>,
    /// There are more in this round than `jobs` holds.
    more: bool,
    workers: usize,
    busy: usize,
    /// Workers at the most, for as long as the server takes no more.
    width: usize,
    closed: bool,
}

impl<'a> Lane<'a> {
    /// A lane for `most` workers at a time.
    pub(super) fn new(account: Option<&'a Account>, most: usize) -> Self {
        Self { account, most, state: Mutex::new(State { width: most, ..State::default() }), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a look through the queue; in a new round each message may be handed out once more.
    pub(super) fn begin(&self, is_new_round: bool) {
        let mut state = self.state();
        state.more = false;
        if is_new_round {
            state.cursor = None;
            state.width = self.most;
        }
    }

    /// Takes in a message that was met in the queue.
    pub(super) fn push(&self, id: Id) {
        let mut state = self.state();
        if state.cursor.is_none_or(|cursor| id > cursor) {
            state.insert(id);
            self.changed.notify_one();
        }
    }

    /// Takes in a message that nobody has met, wherever this round is.
    pub(super) fn offer(&self, id: Id) {
        self.state().insert(id);
        self.changed.notify_one();
    }

    /// A worker takes the next message; `None`: it may go home. Waits at most `patience` for one.
    pub(super) fn next(&self, patience: Duration) -> Option<Id> {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed && state.workers <= state.width;
        let (mut state, _) = self.changed.wait_timeout_while(self.state(), patience, idle).unwrap_or_else(PoisonError::into_inner);
        if state.closed || state.workers > state.width {
            return None;
        }
        let id = state.jobs.pop_first()?;
        state.cursor = state.cursor.max(Some(id));
        state.busy += 1;
        Some(id)
    }

    /// A worker is done with a message; whether somebody should look for more.
    pub(super) fn done(&self) -> bool {
        let mut state = self.state();
        state.busy -= 1;
        state.is_idle() || state.is_hungry()
    }

    /// Whether another worker is needed; then it counts as there.
    pub(super) fn hire(&self) -> bool {
        let mut state = self.state();
        let is_needed = !state.closed && state.workers < state.width.min(state.busy + state.jobs.len());
        state.workers += usize::from(is_needed);
        is_needed
    }

    /// A worker goes home.
    pub(super) fn leave(&self) {
        self.state().workers -= 1;
    }

    /// The server takes no more connections than there are: one worker less, where another one is left; whether that is so.
    pub(super) fn narrow(&self) -> bool {
        let mut state = self.state();
        let is_shared = state.workers > 1 && state.width > 1;
        if is_shared {
            state.width = state.width.min(state.workers) - 1;
        }
        is_shared
    }

    /// Nothing that waits is begun.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.jobs.clear();
        state.more = false;
    }

    /// Everybody goes home after what they are at.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// After [`Lane::close`], when everybody has gone: there is work again.
    pub(super) fn open(&self) {
        let mut state = self.state();
        state.closed = false;
        state.jobs.clear();
    }

    /// Whether nobody works on anything, and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    /// Whether there are more in this round, and few are left to do.
    pub(super) fn is_hungry(&self) -> bool {
        self.state().is_hungry()
    }

    /// Whether there are more in this round than were held.
    pub(super) fn has_more(&self) -> bool {
        self.state().more
    }
}

impl State {
    fn insert(&mut self, id: Id) {
        if self.closed {
            return;
        }
        self.jobs.insert(id);
        if self.jobs.len() > MOST {
            self.jobs.pop_last();
            self.more = true;
        }
    }

    fn is_idle(&self) -> bool {
        self.busy == 0 && self.jobs.is_empty()
    }

    fn is_hungry(&self) -> bool {
        self.more && self.jobs.len() < FEW
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn id(n: usize) -> Id {
        Id::new(Timestamp::from_millisecond(i64::try_from(n).unwrap()).unwrap(), [0; 10])
    }

    fn lane(most: usize, jobs: impl Iterator<Item = usize>) -> Lane<'static> {
        let lane = Lane::new(None, most);
        jobs.for_each(|n| lane.push(id(n)));
        lane
    }

    #[test]
    fn each_message_is_handed_out_once_a_round_the_oldest_first_however_many_there_are() {
        const ALL: usize = 3 * MOST + 7;
        let lane = lane(1, std::iter::empty());
        assert!(!lane.hire());
        let mut taken = Vec::new();
        loop {
            lane.begin(taken.is_empty());
            // A directory tells its names in no order.
            (0..ALL).rev().for_each(|n| lane.push(id(n)));
            assert!(taken.len() == ALL || lane.hire() || lane.is_hungry() || lane.has_more());
            let before = taken.len();
            while let Some(id) = lane.next(Duration::ZERO) {
                taken.push(id);
                lane.done();
            }
            assert!(taken.len() - before <= MOST);
            if taken.len() == before {
                break;
            }
        }
        assert_eq!(taken, (0..ALL).map(id).collect::<Vec<_>>());
        // What comes meanwhile may have an older name, after the clock was set back.
        lane.begin(false);
        lane.push(id(3));
        assert_eq!(lane.next(Duration::ZERO), None);
        lane.offer(id(3));
        assert_eq!(lane.next(Duration::ZERO), Some(id(3)));
        lane.begin(true);
        lane.push(id(2));
        assert_eq!(lane.next(Duration::ZERO), Some(id(2)));
    }

    #[test]
    fn there_are_no_more_workers_than_work_and_than_the_server_takes() {
        let lane = lane(3, 0..2);
        assert!(lane.hire() && lane.hire() && !lane.hire());
        lane.push(id(2));
        lane.push(id(3));
        assert!(lane.hire() && !lane.hire());
        // Two of three are turned away: the third one stays, and would be the last.
        assert!(lane.next(Duration::ZERO).is_some());
        assert!(lane.narrow() && lane.narrow() && !lane.narrow());
        assert_eq!(lane.next(Duration::ZERO), None);
        lane.leave();
        assert_eq!(lane.next(Duration::ZERO), None);
        lane.leave();
        assert!(lane.next(Duration::ZERO).is_some());
        assert!(!lane.hire());
        lane.begin(true);
        assert!(lane.hire());
    }

    #[test]
    fn whoever_waits_for_work_hears_that_there_is_none_any_more() {
        let lane = lane(2, 0..1);
        assert!(lane.hire());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let first = lane.next(Duration::from_secs(3600));
                (first, lane.next(Duration::from_secs(3600)))
            });
            lane.close();
            let (_, then) = waiting.join().unwrap();
            assert_eq!(then, None);
        });
        lane.push(id(5));
        assert!(!lane.hire());
    }
}
