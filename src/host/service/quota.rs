//! How much may one user hand in, so that there is room for the others? (sealpost.toml(5), `[serve]`)
//!
//! What waits is counted in the spool when the service starts, and again when a user would be refused by a count that may be old: a
//! message that has left is not subtracted one by one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    host::{
        config::Serve,
        spool::{Spool, Usage},
    },
};

/// Minutes over which the rate is counted.
const HOUR: usize = 60;
/// After how many octets of a message that comes in the room on the disk is looked at: about as many as stay in memory.
const STEP: u64 = 256 << 10;
/// Counting anew takes at most this part of the time.
const PART: u32 = 20;
/// Counts that are younger than this are believed.
const FRESH: Duration = Duration::from_secs(1);

/// Why a user can't hand in this message now, or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Too many within the last hour.
    Rate(u32),
    /// Too many wait.
    Messages(u32),
    /// With it too many octets would wait.
    Octets(u64),
    /// It alone is more than may wait.
    TooLarge(u64),
    /// The spool's file system has no more room than is kept free.
    Room,
}

impl Excess {
    /// Code and enhanced code of the reply.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rate(_) => "450 4.7.1",
            Self::Messages(_) | Self::Octets(_) => "452 4.2.2",
            Self::TooLarge(_) => "552 5.3.4",
            Self::Room => "452 4.3.1",
        }
    }
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rate(most) => write!(f, "you handed in {most} messages within an hour, which is the limit"),
            Self::Messages(most) => write!(f, "{most} messages of yours wait already, which is the limit"),
            Self::Octets(most) => write!(f, "more than {most} octets of yours would wait, which is the limit"),
            Self::TooLarge(most) => write!(f, "it is larger than the {most} octets of yours that may wait"),
            Self::Room => f.write_str("the queue's file system is nearly full"),
        }
    }
}

/// What each user has handed in. Root, which could do all this without the service, is not counted.
#[derive(Debug)]
pub struct Quota {
    began: Instant,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    users: HashMap<u32, Account>,
    counted: Instant,
    /// How long that took.
    took: Duration,
}

/// What one user has handed in.
#[derive(Debug)]
struct Account {
    waiting: Usage,
    /// Octets of messages that are not whole yet.
    under_way: u64,
    /// Messages of each of the last minutes; which minute each is of follows from `latest`.
    minutes: [u32; HOUR],
    /// The latest minute that counts, since the service began.
    latest: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self { waiting: Usage::default(), under_way: 0, minutes: [0; HOUR], latest: 0 }
    }
}

impl Account {
    /// The messages of the last hour.
    fn recent(&mut self, minute: u64) -> u32 {
        let passed = usize::try_from(minute.saturating_sub(self.latest)).unwrap_or(HOUR).min(HOUR);
        for ago in 0..passed {
            *self.slot(minute - ago as u64) = 0;
        }
        self.latest = self.latest.max(minute);
        self.minutes.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn note(&mut self, minute: u64) {
        self.recent(minute);
        *self.slot(minute) += 1;
    }

    fn slot(&mut self, minute: u64) -> &mut u32 {
        let at = usize::try_from(minute % HOUR as u64).unwrap_or(0);
        &mut self.minutes[at]
    }

    fn check(&self, limits: &Serve, size: u64) -> Result<(), Excess> {
        if self.waiting.messages >= u64::from(limits.queue_per_user) {
            return Err(Excess::Messages(limits.queue_per_user));
        }
        if self.waiting.octets.saturating_add(size) > limits.bytes_per_user {
            return Err(Excess::Octets(limits.bytes_per_user));
        }
        Ok(())
    }
}

impl Account {
    /// Whether so many octets more, of messages that are not whole yet, would be too many.
    fn has_no_room(&self, octets: u64, limits: &Serve) -> bool {
        [self.under_way, octets].into_iter().fold(self.waiting.octets, u64::saturating_add) > limits.bytes_per_user
    }
}

impl Quota {
    /// Counts what waits.
    ///
    /// # Errors
    /// The spool can't be read.
    pub fn new(spool: &Spool) -> Result<Self, Error> {
        let began = Instant::now();
        let users = spool.usage()?.into_iter().map(|(uid, waiting)| (uid, Account { waiting, ..Account::default() }));
        let table = Table { users: users.collect(), counted: Instant::now(), took: began.elapsed() };
        Ok(Self { began, table: Mutex::new(table) })
    }

    /// Whether a message of this size may come now; nothing is counted yet.
    ///
    /// # Errors
    /// It may not.
    pub fn look(&self, uid: u32, size: u64, limits: &Serve, spool: &Spool) -> Result<(), Excess> {
        self.with(uid, size, limits, spool, |_, _| ())
    }

    /// Counts a message that is about to be kept.
    ///
    /// # Errors
    /// It may not be.
    pub fn take(&self, uid: u32, size: u64, limits: &Serve, spool: &Spool) -> Result<(), Excess> {
        self.with(uid, size, limits, spool, |account, minute| {
            account.waiting.messages += 1;
            account.waiting.octets += size;
            account.note(minute);
        })
    }

    /// The share of a message that is on its way in; nothing yet.
    pub fn share(&self, uid: u32) -> Share<'_> {
        Share { quota: self, uid, octets: 0 }
    }

    /// It could not be kept after all.
    pub fn give_back(&self, uid: u32, size: u64) {
        if let Some(account) = self.lock().users.get_mut(&uid) {
            // Who tries again while the disk is full is not to be refused for that later.
            let latest = account.latest;
            let noted = account.slot(latest);
            *noted = noted.saturating_sub(1);
            account.waiting.messages = account.waiting.messages.saturating_sub(1);
            account.waiting.octets = account.waiting.octets.saturating_sub(size);
        }
    }

    fn with(&self, uid: u32, size: u64, limits: &Serve, spool: &Spool, then: impl FnOnce(&mut Account, u64)) -> Result<(), Excess> {
        if spool.free().is_ok_and(|free| free.saturating_sub(size) < limits.free_space) {
            return Err(Excess::Room);
        }
        if uid == 0 {
            return Ok(());
        }
        if size > limits.bytes_per_user {
            return Err(Excess::TooLarge(limits.bytes_per_user));
        }
        let minute = self.began.elapsed().as_secs() / 60;
        let mut table = self.lock();
        let account = table.users.entry(uid).or_default();
        if account.recent(minute) >= limits.messages_per_hour {
            return Err(Excess::Rate(limits.messages_per_hour));
        }
        if account.check(limits, size).is_err() {
            table = self.recounted(table, spool);
        }
        let account = table.users.entry(uid).or_default();
        account.check(limits, size)?;
        then(account, minute);
        Ok(())
    }

    /// The table, counted anew where the last count may be old.
    fn recounted<'q>(&'q self, mut table: MutexGuard<'q, Table>, spool: &Spool) -> MutexGuard<'q, Table> {
        if !table.is_old() {
            return table;
        }
        table.counted = Instant::now();
        drop(table);
        self.recount(spool);
        self.lock()
    }

    /// Counts what waits anew. The others go on meanwhile; what they add while this counts may be seen or not.
    fn recount(&self, spool: &Spool) {
        let began = Instant::now();
        let Ok(usage) = spool.usage() else { return };
        let minute = self.began.elapsed().as_secs() / 60;
        let mut table = self.lock();
        table.counted = Instant::now();
        table.took = began.elapsed();
        table.replace(&usage, minute);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message that is not whole yet takes of its user's room; given back when this is dropped. Without it the connections of one
/// user, each with half a message, would fill the disk that all share.
#[derive(Debug)]
pub struct Share<'q> {
    quota: &'q Quota,
    uid: u32,
    octets: u64,
}

impl Share<'_> {
    /// Counts so many octets more.
    ///
    /// # Errors
    /// They would be too many, together with what waits; or the file system is nearly full.
    pub fn grow(&mut self, octets: u64, limits: &Serve, spool: &Spool) -> Result<(), Excess> {
        let total = self.octets.saturating_add(octets);
        // What is small stays in memory, and nobody asks the file system at every piece.
        if self.octets / STEP != total / STEP && spool.free().is_ok_and(|free| free < limits.free_space) {
            return Err(Excess::Room);
        }
        let mut table = self.quota.lock();
        if self.uid != 0 {
            if table.users.entry(self.uid).or_default().has_no_room(octets, limits) {
                table = self.quota.recounted(table, spool);
            }
            if table.users.entry(self.uid).or_default().has_no_room(octets, limits) {
                return Err(Excess::Octets(limits.bytes_per_user));
            }
        }
        table.users.entry(self.uid).or_default().under_way += octets;
        self.octets = total;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.quota.lock().users.get_mut(&self.uid) {
            account.under_way = account.under_way.saturating_sub(self.octets);
        }
    }
}

impl Table {
    fn is_old(&self) -> bool {
        self.counted.elapsed() > FRESH.max(self.took * PART)
    }

    /// Whoever has nothing waiting and handed in nothing lately is forgotten.
    fn replace(&mut self, usage: &BTreeMap<u32, Usage>, minute: u64) {
        for (uid, account) in &mut self.users {
            account.waiting = usage.get(uid).copied().unwrap_or_default();
        }
        self.users.retain(|_, account| account.waiting != Usage::default() || account.under_way > 0 || account.recent(minute) > 0);
        for (uid, waiting) in usage {
            self.users.entry(*uid).or_default().waiting = *waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Serve {
        Serve {
            socket: "/nonexistent".into(),
            listen: Vec::new(),
            free_senders: Vec::new(),
            connections: 1,
            connections_per_user: 1,
            messages_per_hour: 5,
            queue_per_user: 3,
            bytes_per_user: 100,
            free_space: 0,
        }
    }

    fn quota() -> (tempfile::TempDir, Spool, Quota) {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::make(&scratch.path().join("spool")).unwrap();
        let quota = Quota::new(&spool).unwrap();
        (scratch, spool, quota)
    }

    #[test]
    fn one_user_is_stopped_and_the_others_are_not() {
        let (_scratch, spool, quota) = quota();
        let take = |uid, size| quota.take(uid, size, &limits(), &spool);
        assert_eq!([take(1, 40), take(1, 40)], [Ok(()), Ok(())]);
        assert_eq!(take(1, 40), Err(Excess::Octets(100)));
        assert_eq!(take(1, 101), Err(Excess::TooLarge(100)));
        assert_eq!([take(1, 0), take(1, 0)], [Ok(()), Err(Excess::Messages(3))]);
        assert_eq!([take(2, 100), take(0, 1000)], [Ok(()), Ok(())]);
        quota.give_back(1, 40);
        assert_eq!(quota.look(1, 20, &limits(), &spool), Ok(()));
    }

    #[test]
    fn a_count_that_may_be_old_is_made_anew_before_anybody_is_refused() {
        let (_scratch, spool, quota) = quota();
        let take = || quota.take(1, 10, &limits(), &spool);
        assert_eq!([take(), take(), take(), take()], [Ok(()), Ok(()), Ok(()), Err(Excess::Messages(3))]);
        // Nothing of it is in the spool (any more).
        quota.lock().counted -= Duration::from_secs(60);
        assert_eq!([take(), take(), take()], [Ok(()), Ok(()), Err(Excess::Rate(5))]);
    }

    #[test]
    fn an_hour_later_a_message_does_not_count_any_more() {
        let mut account = Account::default();
        (0..3).for_each(|_| account.note(7));
        assert_eq!(account.recent(7), 3);
        account.note(8);
        assert_eq!([account.recent(8), account.recent(66)], [4, 4]);
        assert_eq!([account.recent(67), account.recent(68), account.recent(1000)], [1, 0, 0]);
    }

    #[test]
    fn halves_of_messages_count_as_long_as_they_are_there() {
        let (_scratch, spool, quota) = quota();
        let (mut one, mut other) = (quota.share(1), quota.share(1));
        assert_eq!([one.grow(60, &limits(), &spool), other.grow(40, &limits(), &spool)], [Ok(()), Ok(())]);
        assert_eq!(other.grow(1, &limits(), &spool), Err(Excess::Octets(100)));
        assert_eq!(quota.share(2).grow(100, &limits(), &spool), Ok(()));
        // Counting what waits anew forgets nobody's.
        quota.recount(&spool);
        assert_eq!(other.grow(1, &limits(), &spool), Err(Excess::Octets(100)));
        drop(one);
        assert_eq!(other.grow(60, &limits(), &spool), Ok(()));
        drop(other);
        assert_eq!(quota.take(1, 60, &limits(), &spool), Ok(()));
        assert_eq!(quota.share(1).grow(41, &limits(), &spool), Err(Excess::Octets(100)));
        let full = Serve { free_space: u64::MAX, ..limits() };
        assert_eq!(quota.share(0).grow(STEP, &full, &spool), Err(Excess::Room));
    }

    #[test]
    fn what_could_not_be_kept_counts_neither_as_waiting_nor_as_handed_in() {
        let (_scratch, spool, quota) = quota();
        for _ in 0..20 {
            assert_eq!(quota.take(1, 100, &limits(), &spool), Ok(()));
            quota.give_back(1, 100);
        }
    }

    #[test]
    fn what_the_file_system_keeps_free_is_kept_from_root_too() {
        let (_scratch, spool, quota) = quota();
        let limits = Serve { free_space: u64::MAX, ..limits() };
        assert_eq!(quota.look(0, 1, &limits, &spool), Err(Excess::Room));
    }
}
