//! What does the log say of an attempt? (sealpost(1), "The log")

use std::{net::IpAddr, time::Instant};

use super::Delivery;
use crate::{
    error::Error,
    host::{
        config::Account,
        journal::{Attempt, Protection, Record, Seen, Span, Submission, line},
    },
    mail::{
        address::ReversePath,
        outcome::{self, Fate, Outcome, Reply, exit_code, exit_code_kept},
        policy::{Demand, Request},
        tls::{Facts, Finding},
    },
    smtp::client::Report,
};

/// What a record tells of the connection.
#[derive(Clone, Copy)]
pub(super) struct Logged<'r> {
    pub(super) demand: Demand,
    pub(super) sender: &'r ReversePath,
    pub(super) address: Option<IpAddr>,
    pub(super) report: Option<&'r Report>,
    pub(super) facts: Option<&'r Facts>,
    /// Why the policy is not met.
    pub(super) finding: Option<&'r Finding>,
    pub(super) sealed_before: bool,
    /// What the memory adds.
    pub(super) remark: Option<&'r str>,
}

/// What the log says of one attempt, which depends on who has the message then.
pub struct Either {
    /// The caller: what is deferred has 75, and what has another code has failed.
    returned: Record,
    /// A queue, which tries again whatever was not refused by the server itself.
    kept: Record,
}

impl<'r> Logged<'r> {
    /// Nothing was connected to, for the reason that `finding` gives, if it is one of TLS.
    pub(super) fn new(demand: Demand, sender: &'r ReversePath, finding: Option<&'r Finding>) -> Self {
        Self { demand, sender, address: None, report: None, facts: None, finding, sealed_before: false, remark: None }
    }
}

impl Delivery<'_> {
    /// Writes the record of an attempt, and counts it.
    pub(super) fn record(
        &mut self,
        account: &Account,
        outcomes: &[Outcome],
        problem: Option<&Error>,
        log: Logged<'_>,
        begun: Instant,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        let report = log.report;
        let protection = match (report.and_then(|r| r.met.as_ref()), log.finding) {
            (Some(met), _) => Protection::Met(met),
            (None, Some(finding)) => Protection::Unmet { finding, sealed_before: log.sealed_before },
            (None, None) => Protection::Unreached,
        };
        let reply = report.and_then(|r| r.problem.as_ref().and_then(|p| p.reply.as_ref()).or_else(|| decisive(&r.outcomes)));
        let returned = self.returned(outcomes);
        let returned = Attempt {
            account,
            demand: log.demand,
            address: log.address,
            number: self.attempts,
            auth: report.and_then(|r| r.auth),
            outcomes: &returned,
            reply,
            error: problem,
            exit: exit_code(&returned),
            seen: Seen {
                offered: report.and_then(|r| r.offered),
                facts: log.facts,
                request: self.request(account, report),
                remark: log.remark,
            },
            protection,
        };
        let span = Span { end: self.world.timestamp(), took: begun.elapsed() };
        let submission = Submission { sender: Some(log.sender), ..self.submission };
        let exit = exit_code_kept(outcomes);
        let kept = Attempt { outcomes, exit, ..returned };
        let kept = || Record::attempt(span, &submission, &kept).kept(exit);
        let record = if submission.queue { kept() } else { Record::attempt(span, &submission, &returned) };
        self.narrator.note(&line::summary(&record));
        self.put(record, kept);
    }

    /// The outcomes for a caller who keeps the message, where nobody else tries it again.
    fn returned(&self, outcomes: &[Outcome]) -> Vec<Outcome> {
        let mut returned = outcomes.to_vec();
        for outcome in &mut returned {
            match outcome.fate {
                Fate::Deferred if self.goes_on => outcome.put_off(),
                _ => outcome.conclude(),
            }
        }
        returned
    }

    /// Writes a record, or keeps it, and what it is where a queue takes the message, until that is known.
    pub(super) fn put(&mut self, record: Record, kept: impl FnOnce() -> Record) {
        match &mut self.late {
            Some(late) => late.push(Either { returned: record, kept: kept() }),
            None => self.warn(self.journal.write(&record)),
        }
    }

    /// Writes the records that were kept back.
    pub fn publish(&mut self, is_queued: bool) {
        for Either { returned, kept } in self.late.take().unwrap_or_default() {
            self.warn(self.journal.write(if is_queued { &kept } else { &returned }));
        }
    }

    /// What was asked for the rest of the way; of a bounce that went without REQUIRETLS nothing was.
    fn request(&self, account: &Account, report: Option<&Report>) -> Request {
        let unpromised = report.is_some_and(|report| report.met.is_some() && !report.requiretls);
        match account.tls.demand.of_message(self.asked).request {
            Request::Require | Request::Prefer if unpromised => Request::Nothing,
            request => request,
        }
    }
}

/// The reply that decided over the message: of the worst recipient, or of all.
fn decisive(outcomes: &[Outcome]) -> Option<&Reply> {
    let worst = outcome::worst(outcomes);
    outcomes.iter().find(|o| o.fate == worst && o.reply.is_some()).and_then(|o| o.reply.as_ref())
}
