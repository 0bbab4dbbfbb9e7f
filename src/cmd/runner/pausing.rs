//! Which accounts are left alone for now, and since when do they fare better?

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{
    Runner, lock,
    transition::{chance, later},
};
use crate::{
    error::Error,
    host::{
        config::{Account, Config, Queue},
        memory,
        spool::{Pause, Pauses},
        stamp,
        world::World,
    },
    mail::{retry::Backoff, trouble::Trouble},
};

/// When this account is tried again; `None`: now. So it is where somebody may have mended it.
pub(in crate::cmd) fn end_of_pause(config: &Config, pauses: &Pauses, account: &Account, now: Timestamp) -> Option<Timestamp> {
    if pauses.is_empty() {
        return None;
    }
    let pause = pauses.of(&account.name, &memory::name(account))?;
    let is_in_force = !Backoff::REFUSED.is_over(pause.until, now) && pause.stamp == stamp::of_account(config, account);
    is_in_force.then_some(pause.until)
}

/// When somebody takes the messages of this account again, itself or one that it falls back to; `None`: now.
pub(in crate::cmd) fn end_of_pauses(config: &Config, pauses: &Pauses, account: &Account, now: Timestamp) -> Option<Timestamp> {
    let own = end_of_pause(config, pauses, account, now)?;
    let fallbacks = account.fallback.iter().filter_map(|name| config.account(name));
    // An account without a pause has no end of one.
    let ends = fallbacks.map(|fallback| end_of_pause(config, pauses, fallback, now));
    Some(ends.collect::<Option<Vec<_>>>()?.into_iter().fold(own, Timestamp::min))
}

/// Whether this account did not work the last time.
pub(in crate::cmd) fn is_known(pauses: &Pauses, account: &Account) -> bool {
    !pauses.is_empty() && pauses.of(&account.name, &memory::name(account)).is_some()
}

/// Notes that an account does not work: nothing is tried with it for a while, by no process.
pub(in crate::cmd) fn pause(
    config: &Config,
    pauses: &mut Pauses,
    account: &Account,
    (trouble, problem): (Trouble, Option<&Error>),
    world: &dyn World,
) {
    let (now, chance) = (world.timestamp(), chance(world));
    let (server, stamp) = (memory::name(account), stamp::of_account(config, account));
    // What was changed, and does not work either, begins anew.
    let before = pauses.of(&account.name, &server).filter(|pause| pause.stamp == stamp).map_or(0, |pause| pause.times);
    let times = before.saturating_add(1);
    let until = later(now, backoff(&config.queue, trouble).after(times, chance));
    let because = problem.map_or("it does not work", Error::because).to_owned();
    pauses.set(&account.name, Some(Pause { server, until, times, because, stamp }));
}

/// How long an account is left alone; never longer at first than a message would be.
fn backoff(queue: &Queue, trouble: Trouble) -> Backoff {
    let hasty = |backoff: Backoff| Backoff {
        first: backoff.first.min(queue.retry_first),
        most: backoff.most.min(queue.retry_most),
        ..backoff
    };
    match trouble {
        Trouble::LoginRefused | Trouble::Unusable => Backoff::REFUSED,
        Trouble::Busy => hasty(Backoff::BUSY),
        Trouble::Unreachable | Trouble::Broken | Trouble::TlsUnmet | Trouble::Unpromised(_) => hasty(Backoff::UNREACHABLE),
    }
}

impl Runner<'_> {
    /// A person wants what is due to be tried now, whatever was before: no account pauses, and the queue is looked at.
    pub fn hurry(&self) {
        let now = self.now();
        lock(&self.pauses).end_all(now);
        if let Err(error) = self.setting.spool.change_pauses(|pauses| pauses.end_all(now)) {
            self.keeps_pauses.store(true, Ordering::SeqCst);
            self.complain(None, &error);
        }
        self.poke();
    }

    /// When somebody takes the messages of this account again; `None`: now.
    pub(super) fn paused_until(&self, account: &Account, now: Timestamp) -> Option<Timestamp> {
        end_of_pauses(self.setting.config, &lock(&self.pauses), account, now)
    }

    /// When the first of all accounts works again, where none does now.
    pub(super) fn end_of_all_pauses(&self, now: Timestamp) -> Option<Timestamp> {
        let accounts = self.lanes.iter().filter_map(|lane| lane.account);
        accounts.map(|account| self.paused_until(account, now)).collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Whether the account of this name is left alone.
    pub(super) fn is_resting(&self, name: &str) -> bool {
        let account = self.setting.config.account(name);
        account.is_some_and(|account| end_of_pause(self.setting.config, &lock(&self.pauses), account, self.now()).is_some())
    }

    /// How often this account was tried in a row in vain.
    pub(super) fn failures(&self, account: &Account) -> u32 {
        lock(&self.pauses).of(&account.name, &memory::name(account)).map_or(0, |pause| pause.times)
    }

    /// An account does not work.
    pub(super) fn pause(&self, account: &Account, trouble: Trouble, problem: Option<&Error>) {
        let mut pauses = lock(&self.pauses);
        pause(self.setting.config, &mut pauses, account, (trouble, problem), self.setting.world);
        let noted = pauses.of(&account.name, &memory::name(account)).cloned();
        drop(pauses);
        self.write_pause(account, noted);
    }

    /// An account works.
    pub(super) fn resume(&self, account: &Account) {
        let mut pauses = lock(&self.pauses);
        if is_known(&pauses, account) {
            pauses.set(&account.name, None);
            drop(pauses);
            self.write_pause(account, None);
        }
    }

    /// Learns what other processes have noted.
    pub(super) fn hear_of_pauses(&self) {
        if !self.wish.now && !self.keeps_pauses.load(Ordering::SeqCst) {
            *lock(&self.pauses) = self.setting.spool.pauses();
        }
    }

    fn write_pause(&self, account: &Account, pause: Option<Pause>) {
        if let Err(error) = self.setting.spool.change_pauses(|pauses| pauses.set(&account.name, pause)) {
            // Then it is obeyed here at least.
            self.keeps_pauses.store(true, Ordering::SeqCst);
            self.complain(None, &error);
        }
    }
}
