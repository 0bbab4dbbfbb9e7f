//! What has been decided of each recipient, and by which reply? (RFC 5321 4.2; the first word stands)

use super::Certainty;
use crate::{
    error::Exit,
    mail::{
        envelope::Recipient,
        outcome::{Fate, Outcome, Reply},
    },
};

/// One line per recipient of the envelope, in their order.
pub(super) struct Ledger(Vec<Option<Decision>>);

#[derive(Clone, Debug)]
struct Decision {
    fate: Fate,
    exit: Exit,
    reply: Option<Reply>,
    certainty: Certainty,
}

impl Ledger {
    /// Nobody is decided.
    pub(super) fn new(recipients: usize) -> Self {
        Self(vec![None; recipients])
    }

    /// Who is undecided.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, decision)| decision.is_none()).map(|(index, _)| index)
    }

    /// Whether nothing was said of `index` yet.
    pub(super) fn is_open(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(Option::is_none)
    }

    /// Decides over one recipient.
    pub(super) fn decide(&mut self, index: usize, fate: Fate, exit: Exit, reply: Option<&Reply>) {
        let certainty = Certainty::Certain;
        if let Some(slot) = self.0.get_mut(index) {
            slot.get_or_insert_with(|| Decision { fate, exit, reply: reply.map(Reply::shortened), certainty });
        }
    }

    /// Decides over all who are open.
    pub(super) fn decide_rest(&mut self, fate: Fate, exit: Exit, reply: Option<&Reply>) {
        for index in 0..self.0.len() {
            self.decide(index, fate, exit, reply);
        }
    }

    /// Decides over all who are open by a refusal of the message itself, which the next batch would only hear again.
    pub(super) fn refuse_rest(&mut self, reply: &Reply, permanent: Exit) {
        let (fate, exit) = if reply.is_transient() { (Fate::Deferred, Exit::TempFail) } else { (Fate::Refused, permanent) };
        self.decide_rest(fate, exit, Some(reply));
    }

    /// Decides over one recipient by the reply that ended the content; `permanent` is what a refusal for good means.
    pub(super) fn settle(&mut self, index: usize, reply: &Reply, permanent: Exit, certainty: Certainty) {
        let is_open = self.is_open(index);
        let (fate, exit) = match reply.code / 100 {
            2 => (Fate::Accepted, Exit::Ok),
            4 => (Fate::Deferred, Exit::TempFail),
            _ => (Fate::Refused, permanent),
        };
        self.decide(index, fate, exit, Some(reply));
        if let Some(Some(decision)) = self.0.get_mut(index).filter(|_| is_open) {
            decision.certainty = certainty;
        }
    }

    /// How certain each decision is, in the order of the recipients.
    pub(super) fn certainty(&self) -> Vec<Certainty> {
        self.0.iter().map(|decision| decision.as_ref().map_or(Certainty::Certain, |decision| decision.certainty)).collect()
    }

    /// Whether there is a success that is not certain.
    pub(super) fn is_uncertain(&self) -> bool {
        let doubtful = |decision: &Decision| decision.fate == Fate::Accepted && decision.certainty != Certainty::Certain;
        self.0.iter().flatten().any(doubtful)
    }

    /// One outcome for each of `recipients`; who is still open may be tried again.
    pub(super) fn outcomes(&self, recipients: &[Recipient]) -> Vec<Outcome> {
        let lines = recipients.iter().zip(&self.0);
        let outcome = |(recipient, decision): (&Recipient, &Option<Decision>)| {
            let recipient = recipient.address.clone();
            match decision.clone() {
                Some(Decision { fate, exit, reply, .. }) => Outcome { recipient, fate, exit, reply, server: None },
                None => Outcome { recipient, fate: Fate::Deferred, exit: Exit::TempFail, reply: None, server: None },
            }
        };
        lines.map(outcome).collect()
    }
}
