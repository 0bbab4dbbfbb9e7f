//! How did one attempt end, and what is written down where it came to no session?

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    Delivery,
    record::Logged,
    words::{no_connection, withheld},
};
use crate::{
    error::{Error, Exit},
    host::{
        config::Account,
        dial::Unreachable,
        journal::{Record, Rejection, Span, Submission},
    },
    mail::{
        envelope::{Envelope, Recipient},
        outcome::{Fate, Outcome},
        policy::Demand,
        tls::Finding,
        trouble::Trouble,
    },
};

/// The library refused a certificate that it did not show.
pub(super) struct Unseen {
    pub(super) finding: Finding,
    pub(super) peer: Option<SocketAddr>,
}

/// How one attempt ended.
pub(super) struct Ended {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) problem: Option<Error>,
    pub(super) retry_in_plaintext: Option<Finding>,
    /// Whether there was no connection at all.
    pub(super) unreached: bool,
    /// It did not count: another is to see whom it met.
    pub(super) unseen: Option<Unseen>,
    /// The server refused the access token: there is another, or it can't be had.
    pub(super) renewal: Option<Result<(), Error>>,
    /// What ails the account as a whole.
    pub(super) trouble: Option<Trouble>,
}

impl Ended {
    /// Whether it may go better later.
    pub(super) fn is_temporary(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.exit == Exit::TempFail)
    }

    /// There is nothing to be done about it at once.
    pub(super) fn without(outcomes: Vec<Outcome>, problem: impl Into<Option<Error>>, trouble: impl Into<Option<Trouble>>) -> Self {
        let (problem, trouble) = (problem.into(), trouble.into());
        Self { outcomes, problem, retry_in_plaintext: None, unreached: false, unseen: None, renewal: None, trouble }
    }
}

impl Delivery<'_> {
    /// Nobody answers, or not in time.
    pub(super) fn unreachable(
        &mut self,
        account: &Account,
        demand: Demand,
        envelope: &Envelope,
        (why, finding): (&Unreachable, Option<&Finding>),
        begun: Instant,
    ) -> Ended {
        let error = no_connection(account, why);
        self.narrator.note(&error.summary());
        let outcomes = undecided(envelope, error.exit());
        let log = Logged::new(demand, &envelope.sender, finding);
        self.record(account, &outcomes, Some(&error), log, begun);
        Ended { unreached: true, ..Ended::without(outcomes, error, Trouble::Unreachable) }
    }

    /// What is known of the server beforehand is enough to send it nothing; may work later.
    pub(super) fn withhold(&mut self, account: &Account, envelope: &Envelope, finding: &Finding) -> Ended {
        let error = withheld(account, finding);
        self.narrator.note(&error.summary());
        let outcomes = undecided(envelope, Exit::TempFail);
        let log = Logged::new(account.tls.demand.of_message(self.asked), &envelope.sender, Some(finding));
        self.record(account, &outcomes, Some(&error), log, Instant::now());
        Ended::without(outcomes, error, Trouble::TlsUnmet)
    }

    /// The account can't even be tried.
    pub(super) fn reject(&mut self, account: &Account, envelope: &Envelope, error: Error) -> Ended {
        let recipients: Vec<_> = envelope.recipients.iter().map(|r| r.address.clone()).collect();
        let rejection = Rejection { account: Some(account), recipients: &recipients, error: &error };
        let span = Span { end: self.world.timestamp(), took: Duration::ZERO };
        let submission = Submission { sender: Some(&envelope.sender), ..self.submission };
        let record = Record::rejected(span, &submission, &rejection);
        let kept = record.clone().kept(Exit::Ok);
        self.put(if self.submission.queue { kept.clone() } else { record }, || kept);
        Ended::without(undecided(envelope, error.exit()), error, Trouble::Unusable)
    }
}

/// Nothing was said of anybody.
pub(super) fn undecided(envelope: &Envelope, exit: Exit) -> Vec<Outcome> {
    let outcome = |recipient: &Recipient| Outcome {
        recipient: recipient.address.clone(),
        fate: Fate::Deferred,
        exit,
        reply: None,
        server: None,
    };
    envelope.recipients.iter().map(outcome).collect()
}
