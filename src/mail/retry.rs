//! When is it tried again, and when is it given up? (RFC 5321 4.5.4.1)
//!
//! Time is the wall clock's, for a queue outlives the machine's uptime; and wall clocks jump, by decades where a machine without a
//! battery starts in 1970. So no decision rests on the clock alone: a message is given up only after as many attempts as patience
//! takes, and what is said to be due farther ahead than anything can be is due now.

use std::time::Duration;

use jiff::Timestamp;

/// However long a message waits, so many attempts are patience enough: with the default times they take eight hours.
const PATIENCE: u32 = 10;
/// Attempts beyond these are not counted.
const COUNTED: u32 = 10_000;

/// Times that double, from one failure in a row to the next, and differ by chance: what failed together is not tried together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this, chance aside.
    pub most: Duration,
    /// How much longer or shorter by chance, in percent; at most 100.
    pub spread: u8,
}

impl Backoff {
    /// How long an account is left alone whose server can't be reached.
    pub const UNREACHABLE: Self = Self::new(60, 30 * 60, 20);
    /// How long an account is left alone whose server says that it is busy (421): there are others who were told the same.
    pub const BUSY: Self = Self::new(5, 5 * 60, 50);
    /// How long an account is left alone whose login is refused, or which only a person can mend: who goes on trying a password gets
    /// the account locked.
    pub const REFUSED: Self = Self::new(15 * 60, 4 * 3600, 20);

    const fn new(first: u64, most: u64, spread: u8) -> Self {
        Self { first: Duration::from_secs(first), most: Duration::from_secs(most), spread }
    }

    /// The time after so many failures in a row (none counts as one); `chance` is random.
    pub fn after(self, failures: u32, chance: u32) -> Duration {
        let spread = u128::from(self.spread.min(100));
        // From 100 - spread to 100 + spread percent, in steps of 2^-32.
        let percent = ((100 - spread) << 32) + 2 * spread * u128::from(chance);
        scaled(self.plain(failures), percent, 100 << 32)
    }

    /// The longest time that there can be.
    pub fn longest(self) -> Duration {
        scaled(self.most.max(self.first), 100 + u128::from(self.spread.min(100)), 100)
    }

    /// Whether a time is over that was to last until `until`. What would last longer than anything can was noted by another clock.
    pub fn is_over(self, until: Timestamp, now: Timestamp) -> bool {
        Duration::try_from(until.duration_since(now)).map_or(true, |left| left.is_zero() || left > self.longest())
    }

    /// The time without chance.
    fn plain(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most.max(self.first))
    }
}

/// What a queue says of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The times between two attempts. RFC 5321 would have half an hour at the least, after two attempts in the first; that is for
    /// servers of others who may be down. Here the server is one's own smarthost, an account that is down pauses as a whole, and what
    /// is tried again soon is a greylisted recipient, or a full queue.
    pub backoff: Backoff,
    /// How old a message becomes before it is given up.
    pub max_age: Duration,
    /// How old it becomes before its sender is told that it is late; `None`: that is never told.
    pub warn_after: Option<Duration>,
}

/// How a message has fared so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it came.
    pub arrived: Timestamp,
    /// Now, just after an attempt has failed: only then a message is given up.
    pub now: Timestamp,
    /// How often it was tried; or how often its account was in a row since, all in vain, where that is more: while an account pauses,
    /// one message is tried for all. What was before it came says nothing of how long it has waited.
    pub attempts: u32,
}

impl Life {
    /// `None`: it came in the future, so nobody knows.
    fn age(self) -> Option<Duration> {
        Duration::try_from(self.now.duration_since(self.arrived)).ok()
    }
}

impl Schedule {
    /// The times of a configuration: from `first` on doubled, up to `most`.
    pub fn new(first: Duration, most: Duration, max_age: Duration, warn_after: Option<Duration>) -> Self {
        Self { backoff: Backoff { first, most, spread: 20 }, max_age, warn_after }
    }

    /// How long a message waits after so many attempts; `chance` is random.
    pub fn next(&self, attempts: u32, chance: u32) -> Duration {
        self.backoff.after(attempts, chance)
    }

    /// Whether a message is due that is to be tried at `next`.
    pub fn is_due(&self, next: Timestamp, now: Timestamp) -> bool {
        self.backoff.is_over(next, now)
    }

    /// Whether a message is given up after the attempt that failed just now: it is too old, and was tried half as often as such an age
    /// allows, or ten times. One that came in the future is given up after twice as many attempts as its time would have seen.
    pub fn is_expired(&self, life: Life) -> bool {
        match life.age() {
            Some(age) => age >= self.max_age && life.attempts >= self.least(self.max_age),
            None => life.attempts >= self.tries_within(self.max_age).saturating_mul(2),
        }
    }

    /// Whether the sender is to be told that a message is late. Asked after [`Schedule::is_expired`], and once only.
    pub fn is_late(&self, life: Life) -> bool {
        let Some(after) = self.warn_after else { return false };
        life.age().is_some_and(|age| age >= after) && life.attempts >= self.least(after)
    }

    /// Attempts without which nobody can say that `span` was waited.
    fn least(&self, span: Duration) -> u32 {
        (self.tries_within(span) / 2).clamp(1, PATIENCE)
    }

    /// Attempts within `span`, where nothing delays them; at least the first.
    fn tries_within(&self, span: Duration) -> u32 {
        let (mut tries, mut left) = (1, span);
        while tries < COUNTED {
            match left.checked_sub(self.backoff.plain(tries)) {
                Some(rest) => (tries, left) = (tries + 1, rest),
                None => break,
            }
        }
        tries
    }
}

/// `time * part / whole`, to the nanosecond; what is too long becomes 584 years.
fn scaled(time: Duration, part: u128, whole: u128) -> Duration {
    let nanos = time.as_nanos().saturating_mul(part) / whole;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);
    const EVEN: u32 = 1 << 31;

    fn usual() -> Schedule {
        Schedule::new(MINUTE, 4 * HOUR, 5 * DAY, Some(4 * HOUR))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn life(age: i64, attempts: u32) -> Life {
        let arrived = at(1_800_000_000);
        Life { arrived, now: arrived + SignedDuration::from_secs(age), attempts }
    }

    #[test]
    fn a_message_is_tried_after_a_minute_then_ever_more_seldom() {
        let waits: Vec<u64> = (1..=11).map(|attempts| usual().next(attempts, EVEN).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240]);
        assert_eq!(usual().next(0, EVEN), MINUTE);
        assert_eq!((usual().next(1, 0), usual().next(u32::MAX, u32::MAX).as_secs()), (48 * MINUTE / 60, 17_279));
    }

    #[test]
    fn an_account_pauses_by_what_ails_it() {
        let pauses = |backoff: Backoff| [1, 2, 3, 9].map(|failures| backoff.after(failures, EVEN).as_secs());
        assert_eq!(pauses(Backoff::UNREACHABLE), [60, 120, 240, 1800]);
        assert_eq!(pauses(Backoff::BUSY), [5, 10, 20, 300]);
        assert_eq!(pauses(Backoff::REFUSED), [900, 1800, 3600, 14_400]);
        assert_eq!(Backoff::BUSY.after(1, 0), Duration::from_millis(2500));
    }

    #[test]
    fn a_message_is_given_up_when_it_is_old_and_was_tried_often() {
        let days = |n: i64| n * 86_400;
        assert!(!usual().is_expired(life(days(5) - 1, 40)));
        assert!(usual().is_expired(life(days(5), 10)));
        // The clock jumped a year ahead.
        assert!(!usual().is_expired(life(days(365), 1)) && !usual().is_expired(life(days(365), 9)));
        // It jumped a year back.
        assert!(!usual().is_expired(life(-days(365), 70)));
        assert!(usual().is_expired(life(-days(365), 74)));
        let hasty = Schedule::new(MINUTE, 4 * HOUR, HOUR, None);
        assert!(!hasty.is_expired(life(3600, 2)) && hasty.is_expired(life(3600, 3)));
        let once = Schedule::new(MINUTE, 4 * HOUR, Duration::ZERO, None);
        assert!(once.is_expired(life(0, 1)) && !once.is_expired(life(0, 0)));
        let restless = Schedule::new(Duration::ZERO, Duration::ZERO, DAY, None);
        assert!(restless.is_expired(life(days(1), 10)));
    }

    #[test]
    fn a_sender_is_told_of_a_delay_that_really_was() {
        assert!(!usual().is_late(life(4 * 3600 - 1, 9)));
        assert!(usual().is_late(life(4 * 3600, 4)));
        assert!(!usual().is_late(life(4 * 3600, 3)), "the clock jumped");
        assert!(!usual().is_late(life(-4 * 3600, 50)));
        assert!(!Schedule { warn_after: None, ..usual() }.is_late(life(86_400, 50)));
    }

    #[test]
    fn what_is_due_in_an_impossible_future_is_due_now() {
        let now = at(1_800_000_000);
        let due = |ahead: i64| usual().is_due(now + SignedDuration::from_secs(ahead), now);
        assert!(due(0) && due(-1) && due(-86_400 * 365));
        assert!(!due(1) && !due(4 * 3600) && !due(17_280));
        assert!(due(17_281) && due(86_400 * 365));
        assert!(usual().is_due(Timestamp::MAX, Timestamp::MIN) && usual().is_due(Timestamp::MIN, Timestamp::MAX));
    }

    /// A queue in which every attempt fails, under a clock that jumps once; how long a message really waited, and what its clock said.
    fn given_up_after(jump: i64, at_attempt: u32, chance: u32) -> (Duration, u32) {
        let (mut waited, mut attempts, mut shift) = (Duration::ZERO, 0, 0);
        loop {
            attempts += 1;
            if attempts == at_attempt {
                shift = jump;
            }
            let now = at(1_800_000_000 + shift + i64::try_from(waited.as_secs()).unwrap());
            if usual().is_expired(Life { arrived: at(1_800_000_000), now, attempts }) {
                return (waited, attempts);
            }
            waited += usual().next(attempts, chance);
        }
    }

    proptest! {
        #[test]
        fn no_time_is_longer_than_the_longest_or_shorter_than_chance_makes_it(first in 0u64..1_000_000, most in 0u64..10_000_000, spread in 0u8..=200, failures: u32, chance: u32) {
            let backoff = Backoff::new(first, most, spread);
            let time = backoff.after(failures, chance);
            prop_assert!(time <= backoff.longest());
            prop_assert!(spread >= 100 || time >= backoff.first * (100 - u32::from(spread)) / 100);
            let now = at(1_800_000_000);
            let until = now + SignedDuration::try_from(time).unwrap();
            prop_assert_eq!(backoff.is_over(until, now), time.is_zero());
            prop_assert!(backoff.is_over(until, until));
        }

        #[test]
        fn times_grow_with_failures(first in 1u64..10_000, most in 1u64..1_000_000, failures in 0u32..100, chance: u32) {
            let backoff = Backoff::new(first, most, 20);
            prop_assert!(backoff.after(failures, chance) <= backoff.after(failures + 1, chance));
        }

        #[test]
        fn no_jump_of_the_clock_loses_a_message_at_once_or_keeps_it_for_ever(jump in -3_000_000_000i64..3_000_000_000, at_attempt in 1u32..60, chance: u32) {
            let (waited, attempts) = given_up_after(jump, at_attempt, chance);
            prop_assert!(attempts >= 10 && waited >= 5 * HOUR, "{waited:?}, {attempts}");
            prop_assert!(waited <= 20 * DAY, "{waited:?}, {attempts}");
        }

        #[test]
        fn without_a_jump_a_message_waits_as_long_as_it_may(chance: u32) {
            let (waited, _) = given_up_after(0, 1, chance);
            prop_assert!(waited >= 5 * DAY && waited <= 5 * DAY + 5 * HOUR);
        }

        #[test]
        fn any_numbers_are_taken(first: u64, most: u64, age: u64, spread: u8, attempts: u32, chance: u32, from in -9_000_000_000i64..9_000_000_000, now in -9_000_000_000i64..9_000_000_000) {
            let schedule = Schedule { backoff: Backoff::new(first, most, spread), max_age: Duration::from_secs(age), warn_after: Some(Duration::MAX) };
            let life = Life { arrived: at(from), now: at(now), attempts };
            let _ = (schedule.next(attempts, chance), schedule.is_expired(life), schedule.is_late(life), schedule.is_due(at(from), at(now)));
        }
    }
}
