//! What did a session come to, for the one message or for each of several? (RFC 5321 4.2)

use std::borrow::Cow;

use super::{Session, State};
use crate::{
    error::Exit,
    mail::{
        outcome::{Fate, Outcome, Reply},
        policy::Met,
        tls::Finding,
        trouble::Trouble,
    },
    smtp::sasl::Mechanism,
};

/// Why the session ended before every recipient had a reply of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What becomes of the recipients that nothing else decided.
    pub fate: Fate,
    /// The exit code that goes with it.
    pub exit: Exit,
    /// What happened, for a person; may hold foreign text.
    pub because: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The reply that ended it.
    pub reply: Option<Reply>,
    /// What ails the server or the account, where it would have met any message.
    pub trouble: Option<Trouble>,
}

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each recipient, in their order.
    pub outcomes: Vec<Outcome>,
    /// What ended it early, if anything did.
    pub problem: Option<Problem>,
    /// Whether STARTTLS was offered; `None` where EHLO was not reached or TLS is implicit.
    pub offered: Option<bool>,
    /// How the message was protected; `None` where nothing of it was said.
    pub met: Option<Met>,
    /// What was wrong with TLS where nothing of the message was said.
    pub finding: Option<Finding>,
    /// MAIL may say REQUIRETLS, and did where MAIL was said.
    pub requiretls: bool,
    /// The server reports on what it takes, as NOTIFY asks it to (RFC 3461).
    pub dsn: bool,
    /// The mechanism that authenticated us.
    pub auth: Option<Mechanism>,
    /// The server refused the access token: a new one may be taken. It is never true of a password.
    pub token_refused: bool,
    /// The handshake failed in a way that policy answers with a new connection in plaintext.
    pub retry_in_plaintext: Option<Finding>,
    /// A certificate was refused that nobody saw: another connection may show it, for policy to decide.
    pub unseen: bool,
    /// The connection had served before and was of no more use, and the server has nothing of this message: it goes on another
    /// connection, as if this one had not been tried.
    pub spent: bool,
}

impl Report {
    /// What ails the server or the account, where the next message would fare no better.
    pub fn trouble(&self) -> Option<Trouble> {
        let hung_up = || self.outcomes.iter().any(|outcome| outcome.reply.as_ref().is_some_and(|reply| reply.code == 421));
        self.problem.as_ref().and_then(|problem| problem.trouble).or_else(|| hung_up().then_some(Trouble::Busy))
    }

    /// Shows every text that may come from the server.
    fn foreign(&mut self, mut show: impl FnMut(&mut String)) {
        self.problem.iter_mut().for_each(|problem| show(&mut problem.because));
        self.finding.iter_mut().for_each(|finding| show(&mut finding.detail));
        let replies = self.outcomes.iter_mut().filter_map(|outcome| outcome.reply.as_mut());
        for reply in replies.chain(self.problem.iter_mut().filter_map(|problem| problem.reply.as_mut())) {
            reply.lines.iter_mut().for_each(&mut show);
        }
    }
}

impl Session {
    /// What it came to; every recipient has an outcome. No word of it holds the secret, whatever the server said.
    pub fn report(mut self) -> Report {
        self.take_report()
    }

    /// The same of the message that is over, where the session may go on. It can be taken once.
    pub fn take_report(&mut self) -> Report {
        let outcomes = self.outcomes.take().unwrap_or_else(|| self.undecided());
        let unused = self.met.as_ref().filter(|_| !self.begun).and_then(Met::finding);
        let mut report = Report {
            outcomes,
            finding: self.finding.take().or_else(|| unused.cloned()),
            problem: self.problem.take(),
            offered: self.offered,
            met: self.met.clone().filter(|_| self.begun),
            requiretls: self.requiretls,
            dsn: self.server.dsn,
            auth: self.auth,
            token_refused: self.token_refused,
            retry_in_plaintext: self.retry.take(),
            unseen: self.unseen,
            spent: self.spent,
        };
        report.foreign(|text| {
            if let Cow::Owned(masked) = self.mask.hide(text) {
                *text = masked;
            }
        });
        report
    }

    /// Who is decided of so far, while the message is still on its way to the others. Between two MAILs this stays as it is, but that a
    /// server which gets out of step casts doubt on what it accepted.
    pub fn settled(&self) -> Vec<Outcome> {
        let State::Mail(transaction) = &self.state else { return Vec::new() };
        // What is refused before the first MAIL is refused again by the next attempt.
        if transaction.mails() == 0 {
            return Vec::new();
        }
        transaction.outcomes().into_iter().filter(|outcome| outcome.fate != Fate::Deferred).collect()
    }
}
