//! What if it can't be written down what became of a message? (a full disk, a read-only file system)
//!
//! A message that went out and still stands in the queue as if it had not would go out again. So it stays locked, nothing else is
//! begun, and the run tries to write it down before it does anything: again and again in a service, some times in a run that ends.

use std::time::{Duration, Instant};

use super::{Runner, lock, transition::Step};
use crate::host::spool::Claim;

/// How long it is until the second try; each wait is twice the last one.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// Tries after which a run gives up that is to end.
const TRIES: u32 = 4;

/// A message, and how it stands in truth.
#[derive(Debug)]
pub(super) struct Debt<'a> {
    pub(super) claim: Box<Claim<'a>>,
    pub(super) step: Step,
}

/// What is to be written down.
#[derive(Debug, Default)]
pub(super) struct Debts<'a> {
    owed: Vec<Debt<'a>>,
    tries: u32,
    next: Option<Instant>,
}

impl<'a> Debts<'a> {
    pub(super) fn owe(&mut self, debt: Debt<'a>) {
        self.owed.push(debt);
        self.next.get_or_insert_with(|| Instant::now() + FIRST);
    }

    fn put_off(&mut self) {
        self.tries += 1;
        self.next = Some(Instant::now() + FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST));
    }
}

impl Runner<'_> {
    /// Tries to write down what could not be; whether all is written.
    pub(super) fn pay_debts(&self) -> bool {
        let mut debts = lock(&self.debts);
        if debts.owed.is_empty() {
            return true;
        }
        if debts.next.is_some_and(|next| Instant::now() < next) {
            return false;
        }
        let mut paid = std::mem::take(&mut debts.owed);
        // Nobody else comes to it meanwhile: what fails now is put back.
        paid.retain_mut(|Debt { claim, step }| self.write_down(claim, step).is_err());
        debts.owed = paid;
        if debts.owed.is_empty() {
            debts.tries = 0;
            debts.next = None;
        } else {
            debts.put_off();
        }
        debts.owed.is_empty()
    }

    /// Whether something is owed, and if so, whether it was tried often enough.
    pub(super) fn in_debt(&self) -> Option<bool> {
        let debts = lock(&self.debts);
        (!debts.owed.is_empty()).then_some(debts.tries >= TRIES)
    }
}
