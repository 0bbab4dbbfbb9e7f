//! What do several accounts, tried in turn, come to for each recipient? (sealpost.toml(5), `fallback`)

use crate::{
    error::{Error, Exit},
    mail::{
        envelope::Recipient,
        outcome::{Fate, Outcome},
    },
};

/// What a delivery came to.
pub struct Delivered {
    /// One for each recipient.
    pub outcomes: Vec<Outcome>,
    /// Why the attempt that counts ended early, where it did.
    pub problem: Option<Error>,
    /// Why a fallback was of no help.
    pub setback: Option<Error>,
}

/// What the accounts tried so far came to.
#[derive(Default)]
pub(super) struct Tally {
    settled: Vec<Outcome>,
    /// In the order of the recipients that are left.
    deferred: Vec<Outcome>,
    problem: Option<Error>,
    setback: Option<Error>,
}

impl Tally {
    /// Takes in how an account ended for `recipients`, in their order; gives back who is left for the next account.
    pub(super) fn add(&mut self, recipients: Vec<Recipient>, outcomes: Vec<Outcome>, problem: Option<Error>) -> Vec<Recipient> {
        let mut before = std::mem::take(&mut self.deferred).into_iter();
        let mut left = Vec::new();
        let mut kept = false;
        for (recipient, outcome) in recipients.into_iter().zip(outcomes) {
            // Who was told "later" once, of him that stays true, whatever is wrong with the fallback itself.
            let earlier = before.next().filter(|e| e.exit == Exit::TempFail && is_trouble(&outcome, problem.as_ref()));
            kept |= earlier.is_some();
            let outcome = earlier.unwrap_or(outcome);
            if outcome.fate == Fate::Deferred {
                left.push(recipient);
                self.deferred.push(outcome);
            } else {
                self.settled.push(outcome);
            }
        }
        if kept {
            self.setback = problem;
        } else {
            self.problem = problem.or(self.problem.take());
        }
        left
    }

    /// One outcome for each recipient.
    pub(super) fn finish(mut self) -> Delivered {
        self.settled.extend(self.deferred);
        Delivered { outcomes: self.settled, problem: self.problem, setback: self.setback }
    }
}

/// Whether an outcome comes from what went wrong at the account (no such host, no password, the login refused) and says nothing
/// of the recipient or the message: at a fallback that must not turn "later" into "never".
fn is_trouble(outcome: &Outcome, problem: Option<&Error>) -> bool {
    outcome.fate != Fate::Accepted && outcome.fate != Fate::Unknown && problem.is_some_and(|p| p.exit() == outcome.exit)
}
