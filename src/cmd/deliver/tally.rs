//! What do several accounts, tried in turn, come to for each recipient? (sealpost.toml(5), `fallback`)

use super::{undecided, words::problem_of};
use crate::{
    error::{Error, Exit},
    host::config::Account,
    mail::{
        envelope::{Envelope, Recipient},
        outcome::{Fate, Outcome},
        policy::Unpromised,
        trouble::Trouble,
    },
    smtp::client::Report,
};

/// What a delivery came to.
pub struct Delivered {
    /// One for each recipient.
    pub outcomes: Vec<Outcome>,
    /// Why the attempt that counts ended early, where it did.
    pub problem: Option<Error>,
    /// Why a fallback was of no help.
    pub setback: Option<Error>,
    /// The accounts that would be of no more use to the next message, by name, and why; in the order in which they were tried.
    pub troubles: Vec<(String, Trouble)>,
    /// Whom a server took that sends no reports itself (RFC 3461 5.2.2): if somebody is owed one, it is ours to send.
    pub unreported: Vec<Outcome>,
    /// How many accounts were tried.
    tried: usize,
}

impl Delivered {
    /// What a single session came to, that no other is to follow.
    pub(in crate::cmd) fn of_session(account: &Account, report: Report) -> Self {
        let problem = problem_of(account, &report);
        Self { outcomes: report.outcomes, problem, setback: None, troubles: Vec::new(), unreported: Vec::new(), tried: 1 }
    }

    /// Why nobody who is left can be sent to, where it is that no account's server promises TLS for the rest of the way (RFC 8689
    /// 4.2.1): a queue sends a report at once, with the code that this has.
    pub fn unpromised(&self) -> Option<Unpromised> {
        let whys = self.troubles.iter().map(|(_, trouble)| match trouble {
            Trouble::Unpromised(why) => Some(*why),
            _ => None,
        });
        whys.collect::<Option<Vec<_>>>()?.pop().filter(|_| self.tried == self.troubles.len())
    }
}

/// What the accounts tried so far came to.
#[derive(Default)]
pub(super) struct Tally {
    settled: Vec<Outcome>,
    /// In the order of the recipients that are left.
    deferred: Vec<Outcome>,
    problem: Option<Error>,
    setback: Option<Error>,
    troubles: Vec<(String, Trouble)>,
    tried: usize,
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

    /// Takes in what ails an account that was tried.
    pub(super) fn ails(&mut self, account: &str, trouble: Option<Trouble>) {
        self.tried += 1;
        self.troubles.extend(trouble.map(|trouble| (account.to_owned(), trouble)));
    }

    /// Whether somebody was told to come later.
    pub(super) fn is_for_later(&self) -> bool {
        self.deferred.iter().any(|outcome| outcome.exit == Exit::TempFail)
    }

    /// Who is settled so far.
    pub(super) fn settled(&self) -> &[Outcome] {
        &self.settled
    }

    /// One outcome for each recipient; `rest` are those who are left, `unreported` those of whom nobody sends a report.
    pub(super) fn finish(mut self, rest: &Envelope, unreported: Vec<Outcome>) -> Delivered {
        if self.tried == 0 {
            self.deferred = undecided(rest, Exit::TempFail);
        }
        self.settled.extend(self.deferred);
        let Self { settled: outcomes, problem, setback, troubles, tried, .. } = self;
        Delivered { outcomes, problem, setback, troubles, unreported, tried }
    }
}

/// Whether an outcome comes from what went wrong at the account (no such host, no password, the login refused) and says nothing
/// of the recipient or the message: at a fallback that must not turn "later" into "never".
fn is_trouble(outcome: &Outcome, problem: Option<&Error>) -> bool {
    outcome.fate != Fate::Accepted && outcome.fate != Fate::Unknown && problem.is_some_and(|p| p.exit() == outcome.exit)
}
