//! What becomes of one message at an account and its fallbacks? (sealpost(1))

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

pub(super) mod after;
pub(super) mod before;
pub(super) mod login;
mod recollection;
mod tally;

use before::{Astray, Before};
use login::Login;
pub use tally::Delivered;
use tally::Tally;

use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Config, Protocol, Target},
        dial::{self, Unreachable},
        journal::{Attempt, Journal, Protection, Record, Rejection, Seen, Span, Submission, line},
        memory,
        narrate::Narrator,
        net::Link,
        pump::Pump,
        tls::Connector,
        world::World,
    },
    mail::{
        address::ReversePath,
        content::Content,
        envelope::Envelope,
        outcome::{Fate, Outcome, exit_code},
        policy::{Demand, Policy, Prior, Reach, Request},
        tls::{Facts, Finding},
    },
    smtp::{
        client::{Plan, Report, Session},
        sasl::Credentials,
    },
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
    attempts: u32,
    /// The message says `TLS-Required: No`.
    tls_waived: bool,
}

/// The library refused a certificate that it did not show.
struct Unseen {
    finding: Finding,
    peer: Option<SocketAddr>,
}

/// How one attempt ended.
struct Ended {
    outcomes: Vec<Outcome>,
    problem: Option<Error>,
    retry_in_plaintext: Option<Finding>,
    /// Whether there was no connection at all.
    unreached: bool,
    /// It did not count: another is to see whom it met.
    unseen: Option<Unseen>,
    /// The server refused the access token.
    token_refused: bool,
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
        Self { world, config, journal, narrator, submission, sender, warnings: Vec::new(), attempts: 0, tls_waived: false }
    }

    /// Tries `account`, then its fallbacks for whom it deferred. What is refused or unknown stays so: a second server must not
    /// overrule the one, nor deliver twice for the other.
    pub fn run(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Delivered {
        let fallbacks = account.fallback.iter().filter_map(|name| self.config.account(name));
        let accounts: Vec<&Account> = std::iter::once(account).chain(fallbacks).collect();
        let mut rest = envelope.clone();
        self.tls_waived = content.facts().tls_waived;
        let mut tally = Tally::default();
        for (index, account) in accounts.into_iter().enumerate() {
            let ended = if index == 0 { self.at(account, &rest, content) } else { self.fall_back(account, &mut rest, content) };
            rest.recipients = tally.add(rest.recipients, ended.outcomes, ended.problem);
            if rest.recipients.is_empty() {
                break;
            }
        }
        tally.finish()
    }

    /// A fallback has its own idea of who may be the sender.
    fn fall_back(&mut self, account: &Account, envelope: &mut Envelope, content: &mut dyn Content) -> Ended {
        match (self.sender)(account) {
            Ok(sender) => envelope.sender = sender,
            Err(error) => return self.reject(account, envelope, error),
        }
        self.at(account, envelope, content)
    }

    /// One account, which may stand for several servers: the first that is reached decides.
    fn at(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Ended {
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
        for (index, route) in routes.iter().enumerate() {
            let budget = before::share(deadline, routes.len() - index);
            let ended = self.along(route, (&mut login, budget), envelope, content);
            if !ended.unreached {
                return ended;
            }
            // One that may be there later keeps those that don't exist from having the last word.
            last = last.filter(|last: &Ended| last.is_temporary() && !ended.is_temporary()).or(Some(ended));
        }
        last.unwrap_or_else(|| Ended { unreached: true, ..Ended::without(undecided(envelope, Exit::TempFail), None) })
    }

    /// One server, which may take `budget` to be found and reached: an attempt, and where policy allows it a second one in plaintext
    /// after a failed handshake.
    fn along(
        &mut self,
        account: &Account,
        (login, budget): (&mut Option<Login>, Duration),
        envelope: &Envelope,
        content: &mut dyn Content,
    ) -> Ended {
        let deadline = Instant::now() + budget;
        let demand = account.tls.demand.of_message(self.tls_waived);
        if demand.request == Request::Waive {
            self.narrator.note("the message says TLS-Required: No: what the server's domain publishes makes TLS no duty for it");
        }
        let mut before = match before::find_out(self.world, self.config, account, demand, budget) {
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
            let ended = self.attempt(account, (&connector, begun, budget), login.clone(), &before, envelope, content);
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
            if ended.token_refused && !std::mem::replace(&mut renewed, true) {
                match login::renew(self.world, self.config, account, login) {
                    Ok(true) => {
                        self.narrator.note("the server refused the token: once more with a new one");
                        continue;
                    }
                    Ok(false) => return ended,
                    Err(error) => return self.reject(account, envelope, error),
                }
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

    fn attempt(
        &mut self,
        account: &Account,
        (connector, begun, budget): (&Connector, Instant, Duration),
        credentials: Option<Login>,
        before: &Before,
        envelope: &Envelope,
        content: &mut dyn Content,
    ) -> Ended {
        self.narrator.note(&format!("account {}: connecting to {}", account.name, account.target));
        let link = match dial::dial_known(account, &before.addresses, budget) {
            Ok(link) => link,
            Err(why) => return self.unreachable(account, before.demand, envelope, (&why, connector.refusal()), begun),
        };
        let peer = link.peer().filter(|_| account.proxy.is_none());
        let plan = Self::plan(self.world, self.config, account, &link, credentials, (before.demand, &before.prior));
        let mut session = Session::new(plan, envelope, content.facts());
        let timeouts = self.config.limits.timeouts;
        let mut pump = Pump { link, connector, timeouts, narrator: self.narrator, until: None, witness: None };
        let facts = pump.run(&mut session, content);
        let mut report = session.report();
        // Nothing of the message was said, and the record of the connection that is to follow tells what this one found.
        if let Some(finding) = report.finding.take_if(|_| report.unseen && cfg!(feature = "native-tls")) {
            let unseen = Some(Unseen { finding, peer });
            return Ended { unseen, ..Ended::without(report.outcomes, None) };
        }
        let after = after::look_back(self.world, self.config, account, before, &report, facts.as_ref());
        let mut problem = problem_of(account, &report);
        if let Some(hint) = after.hint {
            problem = problem.map(|problem| problem.hint(hint));
        }
        self.warn(after.warnings);
        let log = Logged {
            demand: before.demand,
            sender: &envelope.sender,
            address: peer.map(|p| p.ip()),
            report: Some(&report),
            facts: facts.as_ref(),
            finding: report.finding.as_ref(),
            sealed_before: after.sealed_before,
            remark: after.remark.as_deref(),
        };
        self.record(account, &report.outcomes, problem.as_ref(), log, begun);
        let Report { outcomes, retry_in_plaintext, token_refused, .. } = report;
        Ended { outcomes, problem, retry_in_plaintext, token_refused, unreached: false, unseen: None }
    }

    /// What a connection of this account is for.
    pub(super) fn plan(
        world: &dyn World,
        config: &Config,
        account: &Account,
        link: &Link,
        credentials: Option<Login>,
        (demand, prior): (Demand, &Prior),
    ) -> Plan {
        let (credentials, nonce) = credentials.unzip();
        // Of a service this is the server that it came to.
        let server = match &account.target {
            Target::Name(host, port) => Some((host.clone(), *port)),
            Target::Address(address, port) => Some((address.to_string(), *port)),
            Target::Unix(_) | Target::Service(_) => None,
        };
        let credentials = credentials.map(|credentials| Credentials { server, ..credentials });
        Plan {
            server: memory::name(account),
            lmtp: account.protocol == Protocol::Lmtp,
            hello: account.hello.clone().unwrap_or_else(|| hello(world, link)),
            demand,
            prior: prior.clone(),
            credentials,
            // What leads to a proxy on this machine goes on from there.
            reach: if account.proxy.is_some() { Reach::Network } else { link.reach() },
            nonce: nonce.unwrap_or_default(),
            batch: config.limits.recipients,
        }
    }

    fn unreachable(
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
        Ended { unreached: true, ..Ended::without(outcomes, error) }
    }

    /// What is known of the server beforehand is enough to send it nothing; may work later.
    fn withhold(&mut self, account: &Account, envelope: &Envelope, finding: &Finding) -> Ended {
        let error = withheld(account, finding);
        self.narrator.note(&error.summary());
        let outcomes = undecided(envelope, Exit::TempFail);
        let log = Logged::new(account.tls.demand.of_message(self.tls_waived), &envelope.sender, Some(finding));
        self.record(account, &outcomes, Some(&error), log, Instant::now());
        Ended::without(outcomes, error)
    }

    /// The account can't even be tried.
    fn reject(&mut self, account: &Account, envelope: &Envelope, error: Error) -> Ended {
        let recipients: Vec<_> = envelope.recipients.iter().map(|r| r.address.clone()).collect();
        let rejection = Rejection { account: Some(account), recipients: &recipients, error: &error };
        let span = Span { end: self.world.timestamp(), took: Duration::ZERO };
        let submission = Submission { sender: Some(&envelope.sender), ..self.submission };
        let record = Record::rejected(span, &submission, &rejection);
        self.warn(self.journal.write(&record));
        Ended::without(undecided(envelope, error.exit()), error)
    }

    /// What was asked for the rest of the way; of a bounce that went without REQUIRETLS nothing was.
    fn request(&self, account: &Account, report: Option<&Report>) -> Request {
        let unpromised = report.is_some_and(|report| report.met.is_some() && !report.requiretls);
        match account.tls.demand.of_message(self.tls_waived).request {
            Request::Require if unpromised => Request::Nothing,
            request => request,
        }
    }

    fn record(&mut self, account: &Account, outcomes: &[Outcome], problem: Option<&Error>, log: Logged<'_>, begun: Instant) {
        self.attempts += 1;
        let report = log.report;
        let protection = match (report.and_then(|r| r.met.as_ref()), log.finding) {
            (Some(met), _) => Protection::Met(met),
            (None, Some(finding)) => Protection::Unmet { finding, sealed_before: log.sealed_before },
            (None, None) => Protection::Unreached,
        };
        let reply = report.and_then(|r| r.problem.as_ref().and_then(|p| p.reply.as_ref()).or_else(|| decisive(&r.outcomes)));
        let attempt = Attempt {
            account,
            demand: log.demand,
            address: log.address,
            number: self.attempts,
            auth: report.and_then(|r| r.auth),
            outcomes,
            reply,
            error: problem,
            exit: exit_code(outcomes),
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
        let record = Record::attempt(span, &submission, &attempt);
        self.narrator.note(&line::summary(&record));
        self.warn(self.journal.write(&record));
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

impl Ended {
    /// Whether it may go better later.
    fn is_temporary(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.exit == Exit::TempFail)
    }

    /// Nothing was said to any server.
    fn without(outcomes: Vec<Outcome>, problem: impl Into<Option<Error>>) -> Self {
        let problem = problem.into();
        Self { outcomes, problem, retry_in_plaintext: None, unreached: false, unseen: None, token_refused: false }
    }
}

/// What a record tells of the connection.
#[derive(Clone, Copy)]
struct Logged<'r> {
    demand: Demand,
    sender: &'r ReversePath,
    address: Option<IpAddr>,
    report: Option<&'r Report>,
    facts: Option<&'r Facts>,
    /// Why the policy is not met.
    finding: Option<&'r Finding>,
    sealed_before: bool,
    /// What the memory adds.
    remark: Option<&'r str>,
}

impl<'r> Logged<'r> {
    /// Nothing was connected to, for the reason that `finding` gives, if it is one of TLS.
    fn new(demand: Demand, sender: &'r ReversePath, finding: Option<&'r Finding>) -> Self {
        Self { demand, sender, address: None, report: None, facts: None, finding, sealed_before: false, remark: None }
    }
}

/// The reply that decided over the message: of the worst recipient, or of all.
fn decisive(outcomes: &[Outcome]) -> Option<&crate::mail::outcome::Reply> {
    let worst = crate::mail::outcome::worst(outcomes);
    outcomes.iter().find(|o| o.fate == worst && o.reply.is_some()).and_then(|o| o.reply.as_ref())
}

/// The host's full name, else an address literal (RFC 5321 4.1.4).
fn hello(world: &dyn World, link: &Link) -> String {
    let name = world.host_name();
    match link.local().map(|local| local.ip().to_canonical()) {
        Some(std::net::IpAddr::V4(address)) if !name.contains('.') => format!("[{address}]"),
        Some(std::net::IpAddr::V6(address)) if !name.contains('.') => format!("[IPv6:{address}]"),
        _ => name,
    }
}

/// What it means for a message that its smarthost can't be reached.
pub(super) fn no_connection(account: &Account, why: &Unreachable) -> Error {
    let (exit, hint) = match why {
        Unreachable::NoSuchHost(_) => (Exit::NoHost, "check the spelling of host in the configuration"),
        Unreachable::NotNow(_) => (Exit::TempFail, "check host and port; the message is still with the caller"),
    };
    Error::new(exit, doing(account), format!("cannot connect: {why}")).hint(hint)
}

/// What it means for a message that enough is known of its smarthost to send it nothing.
pub(super) fn withheld(account: &Account, finding: &Finding) -> Error {
    let because = format!("TLS policy \"{}\" not met: {finding}", account.tls.demand.policy.as_str());
    Error::new(Exit::TempFail, doing(account), because).hint(finding.failure.advice())
}

/// What ended a session early, as the caller reads it.
pub(super) fn problem_of(account: &Account, report: &Report) -> Option<Error> {
    let problem = report.problem.as_ref()?;
    let error = Error::new(problem.exit, doing(account), problem.because.clone());
    Some(match &problem.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    })
}

fn doing(account: &Account) -> String {
    let sealed = if account.tls.demand.policy == Policy::Off { ", without TLS" } else { "" };
    format!("sending through account {} ({}{sealed})", account.name, account.target)
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Address(address, port) => std::net::SocketAddr::new(*address, *port).fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Service(domain) => write!(f, "srv:{domain}"),
        }
    }
}

fn undecided(envelope: &Envelope, exit: Exit) -> Vec<Outcome> {
    let outcome = |recipient: &crate::mail::envelope::Recipient| Outcome {
        recipient: recipient.address.clone(),
        fate: Fate::Deferred,
        exit,
        reply: None,
    };
    envelope.recipients.iter().map(outcome).collect()
}
