//! What does a worker of a lane do with each message? (claim, attempt, and what became of it)

use std::time::Duration;

use super::{
    Runner, SHORT,
    lane::Lane,
    sender,
    transition::{self, Step},
};
use crate::{
    cmd::deliver::{Delivered, Delivery, Kept},
    error::{Error, Exit},
    host::{
        config::Account,
        journal::Id,
        spool::{Claim, Claimed, Entry, Place},
    },
    mail::{outcome::Outcome, trouble::Trouble},
};

/// How long a worker waits for another message with its connection open.
const PATIENCE: Duration = Duration::from_secs(2);

impl<'a> Runner<'a> {
    /// A worker's day: message after message, on one connection as far as it goes.
    pub(super) fn work(&self, lane: &Lane<'a>) {
        let mut kept = None;
        while !self.is_stopping() {
            if self.in_debt().is_some() || lane.account.is_some_and(|a| self.paused_until(a, self.now()).is_some()) {
                lane.clear();
                break;
            }
            let Some(id) = lane.next(PATIENCE) else { break };
            self.handle(lane, id, &mut kept);
            lane.done();
            if lane.is_hungry() {
                self.poke();
            } else if lane.is_idle() {
                self.alarm.ring();
            }
        }
        lane.leave();
        self.alarm.ring();
    }

    /// Tries a message that was added just now, here and now, unless its account pauses; what can't be written down is tried for
    /// some seconds.
    pub fn try_now(&self, claim: Claim<'a>) {
        let lane = self.lane(&claim.entry.head.account);
        match lane.account {
            Some(account) if self.paused_until(account, self.now()).is_some() => return,
            Some(account) => drop(self.attempt(Box::new(claim), account, None, &mut None)),
            None => self.postpone(Box::new(claim)),
        }
        while !self.pay_debts() && self.in_debt() == Some(false) {
            self.alarm.wait(Some(SHORT));
        }
    }

    fn handle(&self, lane: &Lane<'a>, id: Id, kept: &mut Option<Kept>) {
        let claim = match self.setting.spool.claim(Place::Queue, id) {
            Ok(Claimed::Ours(claim)) => claim,
            Ok(Claimed::Gone) => return,
            Ok(Claimed::Busy) => return self.leave_to_others(id),
            Ok(Claimed::Odd(why)) => {
                self.set_aside(id.to_string().as_ref(), &why);
                // Where it can't be moved it is no more than what can't be read: this run meets it no second time.
                return self.skip(id);
            }
            Err(error) => {
                self.complain(None, &error);
                return self.skip(id);
            }
        };
        let own = self.lane(&claim.entry.head.account);
        if !std::ptr::eq(own, lane) {
            drop(claim);
            return own.offer(id);
        }
        if !self.is_wanted(&claim) {
            return self.skip(id);
        }
        match lane.account {
            Some(account) => drop(self.attempt(claim, account, Some(lane), kept)),
            None => self.postpone(claim),
        }
    }

    /// Whether a message is still to be tried: somebody may have done so since it was met.
    fn is_wanted(&self, claim: &Claim<'a>) -> bool {
        let Entry { state, .. } = &claim.entry;
        // What this run has tried is due again where it was its turn, and there was no room for its connection.
        let is_untried = self.wish.now && state.tried.is_none_or(|tried| tried < self.began);
        (is_untried || self.is_due(state.next, self.now())) && self.wish.only.is_none_or(|only| only(claim.id, &claim.entry))
    }

    /// Tries a message that is ours, and writes down what became of it.
    pub(super) fn attempt(
        &self,
        mut claim: Box<Claim<'a>>,
        account: &Account,
        lane: Option<&Lane<'a>>,
        kept: &mut Option<Kept>,
    ) -> Option<Delivered> {
        let entry = claim.entry.clone();
        let envelope = entry.waiting();
        if envelope.recipients.is_empty() {
            if self.settle(claim, Step::new(&entry, entry.state.clone())) {
                self.has_acted();
            }
            return None;
        }
        let content = claim.reserve().and_then(|()| claim.content().map_err(|error| unreadable(&error)));
        let mut content = match content {
            Ok(content) => content,
            Err(error) => {
                self.complain(Some((claim.id, &entry)), &error);
                self.skip(claim.id);
                return None;
            }
        };
        self.has_acted();
        let setting = self.setting;
        let submission = entry.head.submission(claim.id);
        let sender = |account: &Account| sender::of(setting.world, setting.config, &entry.head, account);
        let resting = |name: &str| self.is_resting(name);
        let mut settled = |outcomes: &[Outcome]| claim.note(transition::meanwhile(&entry, outcomes));
        let mut delivery = Delivery::new(setting.world, setting.config, setting.journal, setting.narrator, submission, &sender);
        delivery.attempts = entry.state.attempts;
        delivery.settled = Some(&mut settled);
        delivery.resting = Some(&resting);
        let delivered = delivery.run_kept(kept, account, &envelope, &mut content);
        for warning in std::mem::take(&mut delivery.warnings) {
            self.complain(None, &warning);
        }
        let relayed = transition::relayed(&entry, &delivered.unreported);
        // As long as it is open the message is locked.
        drop(content);
        let is_narrowed = self.learn(account, &delivered, lane);
        let mut step = transition::after(setting.world, &setting.config.queue, &entry, &delivered);
        if is_narrowed {
            // It was its turn, and there was no room for one connection more.
            step.state.next = self.now();
        }
        step.relayed = relayed;
        let step = step.aged(&setting.config.queue, &entry, self.now(), Some(self.failures(account)));
        self.settle(claim, step);
        Some(delivered)
    }

    /// What the attempt tells of the accounts; whether there is one connection less from now on, and no more than that is wrong.
    fn learn(&self, account: &Account, delivered: &Delivered, lane: Option<&Lane<'a>>) -> bool {
        let mut is_narrowed = false;
        for (name, trouble) in delivered.troubles.iter().filter(|(_, trouble)| trouble.is_worth_a_pause()) {
            let Some(ailing) = self.setting.config.account(name) else { continue };
            if *trouble == Trouble::Busy && name == &account.name && lane.is_some_and(Lane::narrow) {
                is_narrowed = true;
            } else {
                self.pause(ailing, *trouble, delivered.problem.as_ref());
            }
        }
        let is_in_trouble = delivered.troubles.iter().any(|(name, trouble)| *name == account.name && trouble.is_worth_a_pause());
        let works = !is_in_trouble && !self.is_resting(&account.name);
        if works {
            self.resume(account);
        }
        if lane.is_some_and(|lane| lane.prove(works || is_narrowed)) {
            self.alarm.ring();
        }
        is_narrowed
    }
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(Exit::TempFail, "reading a message of the queue", error.to_string()).hint("it waits on, and is tried again")
}
