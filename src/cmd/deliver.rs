//! What becomes of one message at an account and its fallbacks? (sealpost(1))

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) mod after;
pub(super) mod before;
mod ended;
mod kept;
pub(super) mod login;
mod plan;
mod recollection;
mod record;
mod settled;
mod tally;
pub(super) mod words;

use before::{Astray, Before};
use ended::{Ended, Unseen, undecided};
pub use kept::Kept;
use kept::Line;
use login::Login;
use record::Logged;
pub use settled::Settled;
pub use tally::Delivered;
use tally::Tally;
use words::problem_of;

use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Config},
        dial::{self},
        journal::{Journal, Submission},
        narrate::{Narrator, Unfinished},
        net::Link,
        pump::Pump,
        tls::Connector,
        world::World,
    },
    mail::{
        address::ReversePath,
        content::Content,
        envelope::Envelope,
        outcome::{Fate, Outcome},
        policy::{Demand, Request},
        tls::Facts,
    },
    smtp::client::{Plan, Report, Session},
};

/// What every attempt of one submission shares.
pub struct Delivery<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// The configuration.
    pub config: &'a Config,
    /// The send log.
    pub journal: &'a Journal,
    /// The terminal.
    pub narrator: &'a Narrator,
    /// What the log says of the submission in every record.
    pub submission: Submission<'a>,
    /// The envelope sender that an account allows, which a fallback is asked for anew.
    pub sender: &'a dyn Fn(&Account) -> Result<ReversePath, Error>,
    /// What could not be logged or remembered, or is less than before: to be said in the end, whatever became of the message.
    pub warnings: Vec<Error>,
    /// How many attempts there were before, and those of this delivery: the number in a record.
    pub attempts: u32,
    /// Who is told whom the message has reached for good, before anything else is tried for the others.
    pub settled: Option<&'a mut Settled<'a>>,
    /// Accounts not to be tried now, by name: one that was of no use a moment ago is left in peace, and its fallback tried at once.
    pub resting: Option<&'a dyn Fn(&str) -> bool>,
    /// Records that wait for [`Delivery::publish`], for a caller who keeps the message and for a queue that does; `None`: each is written
    /// at once.
    pub late: Option<Vec<record::Either>>,
    unreported: Vec<Outcome>,
    /// What the message asks of TLS.
    asked: Request,
    /// Connections are kept for the next message; one is there.
    keeps: bool,
    kept: Option<Kept>,
    /// Whom the message has reached could not be written down.
    is_halted: bool,
    /// Whatever becomes of the attempt that is under way, it is not the last word: there is another account or server to be tried, or one
    /// before it said "later".
    goes_on: bool,
}

impl<'a> Delivery<'a> {
    /// A delivery that has not begun.
    pub fn new(
        world: &'a dyn World,
        config: &'a Config,
        journal: &'a Journal,
        narrator: &'a Narrator,
        submission: Submission<'a>,
        sender: &'a dyn Fn(&Account) -> Result<ReversePath, Error>,
    ) -> Self {
        Self {
            world,
            config,
            journal,
            narrator,
            submission,
            sender,
            warnings: Vec::new(),
            attempts: 0,
            settled: None,
            resting: None,
            late: None,
            unreported: Vec::new(),
            asked: Request::Nothing,
            keeps: false,
            kept: None,
            is_halted: false,
            goes_on: false,
        }
    }

    /// Tries `account`, then its fallbacks for whom it deferred. What is refused or unknown stays so: a second server must not
    /// overrule the one, nor deliver twice for the other.
    pub fn run(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Delivered {
        let fallbacks = account.fallback.iter().filter_map(|name| self.config.account(name));
        let accounts: Vec<&Account> = std::iter::once(account).chain(fallbacks).collect();
        let mut rest = Arc::new(envelope.clone());
        self.asked = match envelope.request {
            // What MAIL says counts more than the header (RFC 8689 4.1).
            Request::Nothing if content.facts().tls_waived => Request::Waive,
            request => request,
        };
        let mut tally = Tally::default();
        let rests = |account: &Account| self.resting.is_some_and(|rests| rests(&account.name));
        let tried: Vec<(usize, &Account)> = accounts.into_iter().enumerate().filter(|(_, account)| !rests(account)).collect();
        for (turn, (index, account)) in tried.iter().copied().enumerate() {
            self.goes_on = turn + 1 < tried.len() || tally.is_for_later();
            let ended = if index == 0 { self.at(account, &rest, content) } else { self.fall_back(account, &mut rest, content) };
            tally.ails(&account.name, ended.trouble);
            let recipients = std::mem::take(&mut Arc::make_mut(&mut rest).recipients);
            Arc::make_mut(&mut rest).recipients = tally.add(recipients, ended.outcomes, ended.problem);
            if rest.recipients.is_empty() || !self.settle(tally.settled()) {
                break;
            }
        }
        tally.finish(&rest, std::mem::take(&mut self.unreported))
    }

    /// A fallback has its own idea of who may be the sender.
    fn fall_back(&mut self, account: &Account, envelope: &mut Arc<Envelope>, content: &mut dyn Content) -> Ended {
        match (self.sender)(account) {
            Ok(sender) => Arc::make_mut(envelope).sender = sender,
            Err(error) => return self.reject(account, envelope, error),
        }
        self.at(account, envelope, content)
    }

    /// One account, which may stand for several servers: the first that is reached decides.
    fn at(&mut self, account: &Account, envelope: &Arc<Envelope>, content: &mut dyn Content) -> Ended {
        if let Some(ended) = self.along_kept(account, envelope, content) {
            return ended;
        }
        let mut login = match login::fetch(self.world, self.config, account) {
            Ok(login) => login,
            Err(error) => return self.reject(account, envelope, error),
        };
        let deadline = Instant::now() + self.config.limits.connect;
        let routes = match before::routes(self.world, self.config, account, self.config.limits.connect) {
            Ok(routes) => routes,
            Err(Astray::Finding(finding)) => return self.withhold(account, envelope, &finding),
            Err(Astray::Unreachable(why)) => {
                return self.unreachable(account, account.tls.demand, envelope, (&why, None), Instant::now());
            }
        };
        let mut last = None;
        let goes_on = self.goes_on;
        for (index, route) in routes.iter().enumerate() {
            self.goes_on = goes_on || index + 1 < routes.len() || last.as_ref().is_some_and(Ended::is_temporary);
            let budget = before::share(deadline, routes.len() - index);
            let ended = self.along(route, (&mut login, budget), envelope, content);
            if !ended.unreached {
                return ended;
            }
            // One that may be there later keeps those that don't exist from having the last word.
            last = last.filter(|last: &Ended| last.is_temporary() && !ended.is_temporary()).or(Some(ended));
        }
        last.unwrap_or_else(|| Ended { unreached: true, ..Ended::without(undecided(envelope, Exit::TempFail), None, None) })
    }

    /// One server, which may take `budget` to be found and reached: an attempt, and where policy allows it a second one in plaintext
    /// after a failed handshake.
    fn along(
        &mut self,
        account: &Account,
        (login, budget): (&mut Option<Login>, Duration),
        envelope: &Arc<Envelope>,
        content: &mut dyn Content,
    ) -> Ended {
        let deadline = Instant::now() + budget;
        let mut before = match before::find_out(self.world, self.config, account, self.demand(account), budget) {
            Ok(before) => before,
            Err(finding) => return self.withhold(account, envelope, &finding),
        };
        let mut connector = match Connector::new(&account.tls, &account.target, before.known.clone()) {
            Ok(connector) => connector,
            Err(error) => return self.reject(account, envelope, error),
        };
        if let Some(told) = &before.told {
            self.narrator.note(told);
        }
        let mut renewed = false;
        let mut begun = Instant::now();
        let mut budget = deadline.saturating_duration_since(begun);
        loop {
            let ended = self.attempt(account, (&connector, begun, budget), (login, !renewed), &before, envelope, content);
            // It was reached: another connection is a matter of its own.
            budget = self.config.limits.connect;
            if let Some(Unseen { finding, peer }) = ended.unseen {
                self.narrator.note("the library refused the certificate unseen: once more, to see it");
                connector = match connector.looking_away(finding) {
                    Ok(connector) => connector,
                    Err(error) => return self.reject(account, envelope, error),
                };
                // A STARTTLS that is gone by then was there a moment ago.
                before.prior.sealed_before = true;
                before.addresses = peer.iter().map(SocketAddr::ip).collect();
                continue;
            }
            begun = Instant::now();
            match ended.renewal {
                Some(Ok(())) => {
                    self.narrator.note("the server refused the token: once more with a new one");
                    renewed = true;
                    continue;
                }
                Some(Err(error)) => return self.reject(account, envelope, error),
                None => {}
            }
            match &ended.retry_in_plaintext {
                Some(finding) if before.prior.failed_handshake.is_none() => {
                    self.narrator.note("the account is opportunistic: once more in plaintext");
                    before.prior.failed_handshake = Some(finding.clone());
                }
                _ => return ended,
            }
        }
    }

    /// What the account asks of TLS for this message.
    fn demand(&self, account: &Account) -> Demand {
        let demand = account.tls.demand.of_message(self.asked);
        if demand.request == Request::Waive {
            self.narrator.note("the message says TLS-Required: No: what the server's domain publishes makes TLS no duty for it");
        }
        demand
    }

    fn attempt(
        &mut self,
        account: &Account,
        (connector, begun, budget): (&Connector, Instant, Duration),
        (login, renewable): (&mut Option<Login>, bool),
        before: &Before,
        envelope: &Arc<Envelope>,
        content: &mut dyn Content,
    ) -> Ended {
        self.narrator.note(&format!("account {}: connecting to {}", account.name, account.target));
        let mut link = match dial::dial_known(account, &before.addresses, budget) {
            Ok(link) => link,
            Err(why) => return self.unreachable(account, before.demand, envelope, (&why, connector.refusal()), begun),
        };
        let peer = link.peer().filter(|_| account.proxy.is_none());
        let plan = Self::plan(self.world, self.config, account, &link, login.clone(), (before.demand, &before.prior));
        let mut session = Session::new(Plan { keep: self.keeps, ..plan }, Arc::clone(envelope), content.facts());
        let facts = self.pump(&mut link, connector, &mut session, content);
        let mut report = session.take_report();
        // Nothing of the message was said, and the record of the connection that is to follow tells what this one found.
        if let Some(finding) = report.finding.take_if(|_| report.unseen && cfg!(feature = "native-tls")) {
            let unseen = Some(Unseen { finding, peer });
            return Ended { unseen, ..Ended::without(report.outcomes, None, None) };
        }
        let renewal = if report.token_refused && renewable { self.renew(account, login) } else { None };
        if let Some(Ok(())) = renewal {
            // A token that has run out is no refusal of the message, which is about to be tried with another.
            report.outcomes.iter_mut().for_each(Outcome::put_off);
        }
        let mut after = after::look_back(self.world, self.config, account, before, &report, facts.as_ref());
        self.warn(std::mem::take(&mut after.warnings));
        let line = Line { demand: before.demand, peer, facts, after };
        let is_known = report.met.is_some();
        let ended = Ended { renewal, ..self.conclude(account, envelope, report, &line, begun) };
        if session.is_idle() {
            let kept = Kept::new(account, line, (link, connector, session), begun);
            // What nothing was said on, the memory has not taken in.
            self.kept = Some(kept).filter(|_| is_known);
        }
        ended
    }

    /// Lets the session talk until its message is over.
    fn pump(&mut self, link: &mut Link, connector: &Connector, session: &mut Session, content: &mut dyn Content) -> Option<Facts> {
        let timeouts = self.config.limits.timeouts;
        let narrator = self.narrator;
        let is_told = self.settled.is_some();
        let mut tell = |outcomes: &[Outcome]| self.settle_or_fail(outcomes);
        let settled = is_told.then_some(&mut tell as _);
        let unfinished = Unfinished::default();
        Pump { link, connector: Some(connector), timeouts, narrator, unfinished, until: None, witness: None, settled }
            .run(session, content)
    }

    /// Writes down what became of a message on a connection.
    fn conclude(&mut self, account: &Account, envelope: &Envelope, mut report: Report, line: &Line, begun: Instant) -> Ended {
        let trouble = report.trouble();
        if self.submission.queue || self.late.is_some() {
            postpone(&mut report);
        }
        let mut problem = problem_of(account, &report);
        if let Some(hint) = &line.after.hint {
            problem = problem.map(|problem| problem.hint(hint));
        }
        let log = Logged {
            demand: line.demand,
            sender: &envelope.sender,
            address: line.peer.map(|peer| peer.ip()),
            report: Some(&report),
            facts: line.facts.as_ref(),
            finding: report.finding.as_ref(),
            sealed_before: line.after.sealed_before,
            remark: line.after.remark.as_deref(),
        };
        self.record(account, &report.outcomes, problem.as_ref(), log, begun);
        let Report { mut outcomes, retry_in_plaintext, dsn, .. } = report;
        // One that a fallback, or a host of a service, spoke for is reported as that one's.
        let server: Option<Arc<str>> = account.target.host().map(Arc::from);
        for outcome in &mut outcomes {
            outcome.server.clone_from(&server);
        }
        if !dsn {
            self.unreported.extend(outcomes.iter().filter(|outcome| outcome.fate == Fate::Accepted).cloned());
        }
        Ended { retry_in_plaintext, ..Ended::without(outcomes, problem, trouble) }
    }

    /// Another token in the place of one that the server refused; `None` where there is no other.
    fn renew(&self, account: &Account, login: &mut Option<Login>) -> Option<Result<(), Error>> {
        login::renew(self.world, self.config, account, login).map(|renewed| renewed.then_some(())).transpose()
    }

    /// Says the same once, however many attempts met it.
    fn warn(&mut self, warnings: Vec<Error>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

/// For a queue a refusal that would have met any message decides over none: it keeps them all and lets the account rest.
fn postpone(report: &mut Report) {
    let refusal = report.problem.as_mut().filter(|problem| problem.fate == Fate::Refused && problem.trouble.is_some());
    let Some(refusal) = refusal else { return };
    refusal.fate = Fate::Deferred;
    for outcome in report.outcomes.iter_mut().filter(|outcome| outcome.fate == Fate::Refused) {
        outcome.fate = Fate::Deferred;
    }
}
