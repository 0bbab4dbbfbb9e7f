//! How is it written down what became of a message, so that a crash anywhere loses nothing and repeats as little as can be?

use super::{
    Runner,
    debts::Debt,
    lock,
    transition::{self, Step},
};
use crate::{
    error::{Error, Exit},
    host::{
        journal::Id,
        spool::{Claim, Place, State},
    },
    mail::{
        bounce::Kind,
        queued::{Last, Standing},
    },
};

/// What became of a message that was worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fared {
    /// All have it.
    Delivered,
    /// Somebody is to be tried again.
    Waits,
    /// Somebody never gets it.
    Failed,
}

/// A message that was worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its name.
    pub id: Id,
    /// What became of it.
    pub fared: Fared,
}

impl<'a> Runner<'a> {
    /// Queues the report on those whom an attempt before the queue reached; see [`transition::relayed`].
    ///
    /// # Errors
    /// It can't be written.
    pub(in crate::cmd) fn report_relayed(&self, claim: &Claim<'a>, relayed: &[(usize, Option<Last>)]) -> Result<(), Error> {
        self.report(claim, Kind::Relayed, relayed).map(drop)
    }

    /// Writes down how a message stands; what can't be written is a debt, and keeps the message locked meanwhile. False where it is left
    /// as it was, to be met again.
    pub(super) fn settle(&self, mut claim: Box<Claim<'a>>, step: Step) -> bool {
        let done = Done { id: claim.id, fared: fared(&step.state) };
        match self.write_down(&mut claim, &step) {
            Ok(()) => {
                if let Some(told) = self.wish.told {
                    told(done);
                }
                true
            }
            Err(error) => {
                self.complain(Some((claim.id, &claim.entry)), &error);
                if is_noted(&claim, &step) {
                    return self.put_off(claim);
                }
                lock(&self.debts).owe(Debt { claim, step });
                true
            }
        }
    }

    /// Who has the message and who never gets it is written down, and what is left to do about it is tried again as an attempt would be:
    /// others need not wait for a report that can't be written. Whether that could be noted.
    fn put_off(&self, mut claim: Box<Claim<'a>>) -> bool {
        let state = claim.entry.state.clone();
        let wait = transition::schedule(&self.setting.config.queue).next(state.attempts, transition::chance(self.setting.world));
        let next = state.next.max(transition::later(self.now(), wait));
        let noted = claim.note(State { next, ..state });
        if let Err(error) = &noted {
            self.complain(Some((claim.id, &claim.entry)), error);
            self.skip(claim.id);
        }
        noted.is_ok()
    }

    /// Each change is durable before the next one, and all of them can be repeated: first who has the message, and who never gets it;
    /// then the report on these; then that the sender was told.
    pub(super) fn write_down(&self, claim: &mut Claim<'a>, step: &Step) -> Result<(), Error> {
        let fared = fared(&step.state);
        if fared == Fared::Delivered && step.relayed.is_empty() {
            return claim.finish();
        }
        let mut state = step.state.clone();
        if claim.entry.state.attempts == state.attempts {
            // It got this far before.
            state.told |= claim.entry.state.told;
            state.warned |= claim.entry.state.warned;
        }
        if fared == Fared::Failed {
            // From now on it counts how long it is kept.
            state.next = state.tried.unwrap_or(state.next);
        }
        if claim.entry.state != state {
            claim.note(state.clone())?;
        }
        // Where this is as far as it gets, that word is lost: better than a message that goes out again.
        self.report(claim, Kind::Relayed, &step.relayed)?;
        if fared == Fared::Delivered {
            return claim.finish();
        }
        let failed = step.failed.iter().filter_map(|place| Some((*place, state.recipients.get(*place)?.last().cloned())));
        let is_told = !state.told && self.report(claim, Kind::Failure, &failed.collect::<Vec<_>>())?;
        let is_warned = step.is_late && !state.warned && self.report(claim, Kind::Delay, &waiting(&state))?;
        if is_told || is_warned {
            claim.note(State { told: state.told || is_told, warned: state.warned || is_warned, ..state })?;
        }
        if fared == Fared::Failed { claim.shift(Place::Failed) } else { Ok(()) }
    }

    /// A message of an account that the configuration does not have (any more).
    pub(super) fn postpone(&self, claim: Box<Claim<'a>>) {
        self.has_acted();
        let name = &claim.entry.head.account;
        let doing = format!("sending message {} of the queue", claim.id);
        let error = Error::new(Exit::TempFail, doing, format!("the configuration has no account {name} any more"))
            .hint(format!("write [accounts.{name}] again, or remove the message: sealpost queue remove {}", claim.id));
        self.complain(Some((claim.id, &claim.entry)), &error);
        let (setting, entry) = (self.setting, &claim.entry);
        let step = transition::untried(setting.world, &setting.config.queue, entry, &error);
        let step = step.aged(&setting.config.queue, entry, self.now(), None);
        self.settle(claim, step);
    }
}

/// Whether a crash from here on would send nothing twice, and lose no word on who was passed on, which is not written down.
fn is_noted(claim: &Claim<'_>, step: &Step) -> bool {
    let (known, state) = (&claim.entry.state, &step.state);
    step.relayed.is_empty() && (known.attempts, &known.recipients) == (state.attempts, &state.recipients)
}

/// Who waits, and what was heard last of each.
fn waiting(state: &State) -> Vec<(usize, Option<Last>)> {
    let all = state.recipients.iter().enumerate();
    all.filter(|(_, standing)| standing.is_waiting()).map(|(place, standing)| (place, standing.last().cloned())).collect()
}

fn fared(state: &State) -> Fared {
    let any = |is: fn(&Standing) -> bool| state.recipients.iter().any(is);
    if any(|standing| matches!(standing, Standing::Waiting(_))) {
        Fared::Waits
    } else if any(|standing| matches!(standing, Standing::Failed(_))) {
        Fared::Failed
    } else {
        Fared::Delivered
    }
}
