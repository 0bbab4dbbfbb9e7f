//! Which accounts are left alone for now, and since when do they fare better?

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Runner, lock};
use crate::{
    error::Error,
    host::{
        config::Account,
        memory,
        spool::{Pause, Pauses},
    },
    mail::outcome::Trouble,
};

impl Runner<'_> {
    /// A person wants what is due to be tried now, whatever was before: no account pauses, and the queue is looked at.
    pub fn hurry(&self) {
        lock(&self.pauses).end_all(self.now());
        self.poke();
    }

    /// When somebody takes the messages of this account again; `None`: now. Its fallbacks take them too.
    pub(super) fn paused_until(&self, account: &Account, now: Timestamp) -> Option<Timestamp> {
        let pauses = lock(&self.pauses);
        if pauses.is_empty() {
            return None;
        }
        let fallbacks = account.fallback.iter().filter_map(|name| self.setting.config.account(name));
        let ends = std::iter::once(account).chain(fallbacks).map(|account| self.end_of_pause(&pauses, account, now));
        // The earliest; an account without a pause is none.
        ends.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// When the first of all accounts works again, where none does now.
    pub(super) fn end_of_all_pauses(&self, now: Timestamp) -> Option<Timestamp> {
        let accounts = self.lanes.iter().filter_map(|lane| lane.account);
        accounts.map(|account| self.paused_until(account, now)).collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Whether the account of this name is left alone.
    pub(super) fn is_resting(&self, name: &str) -> bool {
        self.setting.config.account(name).is_some_and(|account| self.is_paused(account))
    }

    /// Whether this very account is left alone.
    pub(super) fn is_paused(&self, account: &Account) -> bool {
        self.end_of_pause(&lock(&self.pauses), account, self.now()).is_some()
    }

    fn end_of_pause(&self, pauses: &Pauses, account: &Account, now: Timestamp) -> Option<Timestamp> {
        let pause = pauses.of(&account.name, &memory::name(account))?;
        // What ends later than any pause lasts is of a clock that was set back.
        let most = SignedDuration::try_from(self.setting.config.queue.retry_most).unwrap_or(SignedDuration::MAX);
        (pause.until > now && pause.until.duration_since(now) <= most.saturating_mul(2)).then_some(pause.until)
    }

    /// An account does not work: nothing is tried with it for a while, by no process.
    pub(super) fn pause(&self, account: &Account, trouble: Trouble, problem: Option<&Error>) {
        let server = memory::name(account);
        let before = lock(&self.pauses).of(&account.name, &server).cloned();
        let times = before.map_or(0, |pause| pause.times).saturating_add(1);
        let until = self.now().saturating_add(SignedDuration::try_from(self.length(trouble, times)).unwrap_or_default());
        let because = problem.map_or("it does not work", Error::because).to_owned();
        let until = until.unwrap_or(Timestamp::MAX);
        self.keep(account, Some(Pause { server, until, times, because }));
    }

    /// An account works.
    pub(super) fn resume(&self, account: &Account) {
        if lock(&self.pauses).of(&account.name, &memory::name(account)).is_some() {
            self.keep(account, None);
        }
    }

    fn keep(&self, account: &Account, pause: Option<Pause>) {
        lock(&self.pauses).set(&account.name, pause.clone());
        if let Err(error) = self.setting.spool.change_pauses(|pauses| pauses.set(&account.name, pause)) {
            self.complain(None, &error);
        }
    }

    fn length(&self, trouble: Trouble, times: u32) -> Duration {
        let queue = &self.setting.config.queue;
        let first = if trouble == Trouble::LoginRefused { queue.retry_first * 15 } else { queue.retry_first };
        first.saturating_mul(1 << (times - 1).min(20)).min(queue.retry_most)
    }
}
