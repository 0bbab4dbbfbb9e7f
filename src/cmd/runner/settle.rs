//! How is it written down what became of a message, so that a crash anywhere loses nothing and repeats as little as can be?

use super::{Runner, debts::Debt, lock, transition};
use crate::{
    error::{Error, Exit},
    host::{
        journal::Id,
        spool::{Claim, Place, State},
    },
    mail::queued::Standing,
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
    /// Writes down how a message stands; what can't be written is a debt, and keeps the message locked meanwhile.
    pub(super) fn settle(&self, mut claim: Box<Claim<'a>>, state: State) {
        let fared = fared(&state);
        let id = claim.id;
        match self.write_down(&mut claim, &state) {
            Ok(()) => {
                if let Some(told) = self.wish.told {
                    told(Done { id, fared });
                }
            }
            Err(error) => {
                self.complain(Some((id, &claim.entry)), &error);
                lock(&self.debts).owe(Debt { claim, state });
            }
        }
    }

    /// Each step is durable before the next one; all of them can be repeated.
    pub(super) fn write_down(&self, claim: &mut Claim<'a>, state: &State) -> Result<(), Error> {
        if fared(state) == Fared::Delivered {
            return claim.finish();
        }
        if claim.entry.state != *state {
            claim.note(state.clone())?;
        }
        self.report(claim)?;
        if fared(state) == Fared::Failed { claim.shift(Place::Failed) } else { Ok(()) }
    }

    /// A message of an account that the configuration does not have (any more).
    pub(super) fn postpone(&self, claim: Box<Claim<'a>>) {
        let name = &claim.entry.head.account;
        let doing = format!("sending message {} of the queue", claim.id);
        let error = Error::new(Exit::TempFail, doing, format!("the configuration has no account {name} any more"))
            .hint(format!("write [accounts.{name}] again, or remove the message: sealpost queue remove {}", claim.id));
        self.complain(Some((claim.id, &claim.entry)), &error);
        let (setting, entry) = (self.setting, &claim.entry);
        let mut state = transition::untried(setting.world, &setting.config.queue, entry, &error);
        transition::expire(self.now(), &setting.config.queue, entry, &mut state);
        self.settle(claim, state);
    }
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
