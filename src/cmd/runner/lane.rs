//! Which messages of one account are next, and who works on them?

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::host::{config::Account, journal::Id};

/// Names that a lane holds at the most: the oldest, so that memory is constant however many wait.
const MOST: usize = 4096;
/// How long the first worker may take to come back with a success before others are sent after it.
const SCOUTING: Duration = Duration::from_secs(5);
/// How long a message may wait for a worker before another one is hired for it.
pub(super) const HURRY: Duration = Duration::from_secs(1);
/// How long it is until a server that had no room for one connection more is asked again whether it has.
const NARROW: Duration = Duration::from_secs(60);
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
    /// While the look that began the round is under way: those that were handed out. Names come in any order, so a message may be met
    /// after a later one is gone.
    taken: Option<HashSet<Id>>,
    /// There are more in this round than `jobs` holds.
    more: bool,
    workers: usize,
    busy: usize,
    /// Workers at the most, for as long as the server takes no more.
    width: usize,
    /// When there was one less, or one more again.
    narrowed: Option<Instant>,
    /// A message has gone through just now: the server works, and may be asked by several.
    is_proven: bool,
    /// When the last message was taken, or the last worker hired.
    moved: Option<Instant>,
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
        state.taken = is_new_round.then(HashSet::new);
        if is_new_round {
            state.cursor = None;
            if state.narrowed.is_some_and(|narrowed| narrowed.elapsed() > NARROW) {
                state.width = self.most.min(state.width + 1);
                state.narrowed = Some(Instant::now());
            }
            state.is_proven &= state.workers > 0;
        }
    }

    /// Takes in a message that was met in the queue.
    pub(super) fn push(&self, id: Id) {
        let mut state = self.state();
        let is_new = match &state.taken {
            Some(taken) => !taken.contains(&id),
            None => state.cursor.is_none_or(|cursor| id > cursor),
        };
        if is_new {
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
        state.taken = state.taken.take().filter(|taken| taken.len() < MOST);
        if let Some(taken) = &mut state.taken {
            taken.insert(id);
        }
        state.busy += 1;
        state.moved = Some(Instant::now());
        Some(id)
    }

    /// A worker is done with a message.
    pub(super) fn done(&self) {
        self.state().busy -= 1;
    }

    /// Whether there are more in this round than are held, and few are left of these.
    pub(super) fn is_hungry(&self) -> bool {
        let state = self.state();
        state.more && state.jobs.len() < FEW
    }

    /// Whether another worker is needed; then it counts as there. A server that is down is not asked by several at once: the first
    /// one has to come back with a success, or to take its time. And a connection more is not worth it for one message that
    /// will be taken in a moment.
    pub(super) fn hire(&self) -> bool {
        let mut state = self.state();
        let is_needed = state.wants_worker() && (state.workers == 0 || state.may_hurry());
        if is_needed {
            state.workers += 1;
            state.moved = Some(Instant::now());
        }
        is_needed
    }

    /// Whether another worker may be needed in a moment.
    pub(super) fn is_holding_back(&self) -> bool {
        self.state().wants_worker()
    }

    /// Whether the server works; whether that is news for whoever hires.
    pub(super) fn prove(&self, works: bool) -> bool {
        let mut state = self.state();
        let is_news = works && !state.is_proven && !state.jobs.is_empty();
        state.is_proven = works;
        is_news
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
            state.narrowed = Some(Instant::now());
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

    fn wants_worker(&self) -> bool {
        !self.closed && self.workers < self.width.min(self.busy + self.jobs.len())
    }

    fn may_hurry(&self) -> bool {
        let rested = self.moved.map_or(Duration::MAX, |moved| moved.elapsed());
        if self.is_proven { self.jobs.len() > self.workers || rested > HURRY } else { rested > SCOUTING }
    }

    fn is_idle(&self) -> bool {
        self.busy == 0 && self.jobs.is_empty()
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
        let lane = lane(3, 0..5);
        assert!(lane.hire() && !lane.hire() && lane.is_holding_back());
        assert!(lane.prove(true) && !lane.prove(true));
        assert!(lane.hire() && lane.hire() && !lane.hire() && !lane.is_holding_back());
        // Two of three are turned away: the third one stays, and would be the last.
        assert!(lane.next(Duration::ZERO).is_some());
        assert!(lane.narrow() && lane.narrow() && !lane.narrow());
        assert_eq!(lane.next(Duration::ZERO), None);
        lane.leave();
        assert_eq!(lane.next(Duration::ZERO), None);
        lane.leave();
        assert!(lane.next(Duration::ZERO).is_some());
        assert!(!lane.hire());
        // It is not asked again at once.
        lane.begin(true);
        assert!(!lane.hire());
        lane.state().narrowed = Instant::now().checked_sub(2 * NARROW);
        lane.begin(true);
        assert!(lane.hire());
        lane.prove(false);
        assert!(!lane.hire());
    }

    #[test]
    fn what_is_met_after_a_later_one_was_taken_has_its_turn_in_the_same_look_and_nothing_has_it_twice() {
        let lane = lane(1, 0..0);
        lane.begin(true);
        lane.push(id(7));
        assert_eq!(lane.next(Duration::ZERO), Some(id(7)));
        lane.push(id(7));
        lane.push(id(2));
        assert_eq!((lane.next(Duration::ZERO), lane.next(Duration::ZERO)), (Some(id(2)), None));
        // The next look of the same round goes on from there.
        lane.begin(false);
        lane.push(id(2));
        assert_eq!(lane.next(Duration::ZERO), None);
    }

    #[test]
    fn a_single_message_is_worth_no_second_connection() {
        let lane = lane(3, 0..2);
        assert!(lane.hire() && lane.next(Duration::ZERO).is_some());
        assert!(lane.prove(true));
        assert!(!lane.hire() && lane.is_holding_back());
        lane.push(id(2));
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
