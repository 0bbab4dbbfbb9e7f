//! What becomes of one message at an account and its fallbacks? (sealpost(1))

use std::time::Instant;

use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Config, Protocol, Target},
        dial::{self, Unreachable},
        journal::{Attempt, Journal, Protection, Record, Rejection, Seen, Span, Submission, line},
        narrate::Narrator,
        net::Link,
        pump::Pump,
        secrets,
        tls::Connector,
        world::World,
    },
    mail::{
        content::Content,
        envelope::Envelope,
        outcome::{Fate, Outcome, exit_code},
        policy::{Policy, Prior},
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
    /// What could not be logged, to be said in the end.
    pub unlogged: Vec<Error>,
    attempts: u32,
}

/// What a delivery came to.
pub struct Delivered {
    /// One for each recipient.
    pub outcomes: Vec<Outcome>,
    /// Why the attempt that counts ended early, where it did.
    pub problem: Option<Error>,
    /// Why a fallback was of no help.
    pub setback: Option<Error>,
}

/// How one attempt ended.
struct Ended {
    outcomes: Vec<Outcome>,
    problem: Option<Error>,
    retry_in_plaintext: Option<Finding>,
}

impl<'a> Delivery<'a> {
    /// A delivery that has not begun.
    pub fn new(
        world: &'a dyn World,
        config: &'a Config,
        journal: &'a Journal,
        narrator: &'a Narrator,
        submission: Submission<'a>,
    ) -> Self {
        Self { world, config, journal, narrator, submission, unlogged: Vec::new(), attempts: 0 }
    }

    /// Tries `account`, then its fallbacks for whom it deferred. What is refused or unknown stays so: a second server must not
    /// overrule the one, nor deliver twice for the other.
    pub fn run(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Delivered {
        let fallbacks = account.fallback.iter().filter_map(|name| self.config.account(name));
        let accounts: Vec<&Account> = std::iter::once(account).chain(fallbacks).collect();
        let mut rest = envelope.clone();
        let mut delivered = Delivered { outcomes: Vec::new(), problem: None, setback: None };
        let mut deferred: Vec<Outcome> = Vec::new();
        for account in accounts {
            let ended = self.at(account, &rest, content);
            let before = std::mem::take(&mut deferred).into_iter().map(Some).chain(std::iter::repeat_with(|| None));
            let mut kept = false;
            // Outcomes are in the order of the recipients, and so are those that the account before deferred.
            let recipients = std::mem::take(&mut rest.recipients).into_iter();
            for ((recipient, outcome), before) in recipients.zip(ended.outcomes).zip(before) {
                let outcome =
                    match before.filter(|before| before.exit == Exit::TempFail && is_trouble(&outcome, ended.problem.as_ref())) {
                        Some(before) => {
                            kept = true;
                            before
                        }
                        None => outcome,
                    };
                if outcome.fate == Fate::Deferred {
                    rest.recipients.push(recipient);
                    deferred.push(outcome);
                } else {
                    delivered.outcomes.push(outcome);
                }
            }
            if kept {
                delivered.setback = ended.problem;
            } else {
                delivered.problem = ended.problem.or(delivered.problem);
            }
            if deferred.is_empty() {
                break;
            }
        }
        delivered.outcomes.extend(deferred);
        delivered
    }

    /// One account: an attempt, and where policy allows it a second one in plaintext after a failed handshake.
    fn at(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Ended {
        let prepared = Self::credentials(self.world, account).and_then(|credentials| {
            let connector = Connector::new(&account.tls, &account.target)?;
            Ok((credentials, connector))
        });
        let (credentials, connector) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.reject(account, envelope, error),
        };
        let mut prior = Prior::default();
        loop {
            let ended = self.attempt(account, &connector, credentials.clone(), &prior, envelope, content);
            match &ended.retry_in_plaintext {
                Some(finding) if prior.failed_handshake.is_none() => {
                    self.narrator.note("the account is opportunistic: once more in plaintext");
                    prior.failed_handshake = Some(finding.clone());
                }
                _ => return ended,
            }
        }
    }

    /// The secret, and randomness for the mechanisms that want it; nothing is asked for where the account does not log in.
    pub(super) fn credentials(world: &dyn World, account: &Account) -> Result<Option<(Credentials, [u8; 18])>, Error> {
        let Some(auth) = &account.auth else { return Ok(None) };
        let secret = secrets::fetch(world, &account.name, auth)?;
        let mut nonce = [0; 18];
        world.random(&mut nonce)?;
        let user = auth.user.clone();
        Ok(Some((Credentials { user, secret, choice: auth.choice, allow_unverified: auth.allow_unverified }, nonce)))
    }

    fn attempt(
        &mut self,
        account: &Account,
        connector: &Connector,
        credentials: Option<(Credentials, [u8; 18])>,
        prior: &Prior,
        envelope: &Envelope,
        content: &mut dyn Content,
    ) -> Ended {
        let begun = Instant::now();
        self.attempts += 1;
        self.narrator.note(&format!("account {}: connecting to {}", account.name, account.target));
        let link = match dial::dial(account, self.config.limits.connect) {
            Ok(link) => link,
            Err(unreachable) => return self.unreachable(account, envelope, &unreachable, begun),
        };
        let peer = link.peer().filter(|_| account.proxy.is_none());
        let plan = Self::plan(self.world, self.config, account, &link, credentials, prior);
        let mut session = Session::new(plan, envelope, content.facts());
        let mut pump = Pump { link, connector, timeouts: self.config.limits.timeouts, narrator: self.narrator, witness: None };
        let facts = pump.run(&mut session, content);
        let report = session.report();
        let problem = problem_of(account, &report);
        let log = Logged {
            address: peer.map(|p| p.ip()),
            report: Some(&report),
            facts: facts.as_ref(),
            sealed_before: prior.sealed_before,
        };
        self.record(account, &report.outcomes, problem.as_ref(), log, begun);
        Ended { outcomes: report.outcomes, problem, retry_in_plaintext: report.retry_in_plaintext }
    }

    /// What a connection of this account is for.
    pub(super) fn plan(
        world: &dyn World,
        config: &Config,
        account: &Account,
        link: &Link,
        credentials: Option<(Credentials, [u8; 18])>,
        prior: &Prior,
    ) -> Plan {
        let (credentials, nonce) = credentials.unzip();
        Plan {
            lmtp: account.protocol == Protocol::Lmtp,
            hello: account.hello.clone().unwrap_or_else(|| hello(world, link)),
            demand: account.tls.demand,
            prior: prior.clone(),
            credentials,
            reach: link.reach(),
            nonce: nonce.unwrap_or_default(),
            batch: config.limits.recipients,
        }
    }

    fn unreachable(&mut self, account: &Account, envelope: &Envelope, why: &Unreachable, begun: Instant) -> Ended {
        let error = no_connection(account, why);
        self.narrator.note(&error.summary());
        let outcomes = undecided(envelope, error.exit());
        let log = Logged { address: None, report: None, facts: None, sealed_before: false };
        self.record(account, &outcomes, Some(&error), log, begun);
        Ended { outcomes, problem: Some(error), retry_in_plaintext: None }
    }

    /// The account can't even be tried.
    fn reject(&mut self, account: &Account, envelope: &Envelope, error: Error) -> Ended {
        let recipients: Vec<_> = envelope.recipients.iter().map(|r| r.address.clone()).collect();
        let rejection = Rejection { account: Some(account), recipients: &recipients, error: &error };
        let span = Span { end: self.world.timestamp(), took: std::time::Duration::ZERO };
        let record = Record::rejected(span, &self.submission, &rejection);
        self.unlogged.extend(self.journal.write(&record));
        Ended { outcomes: undecided(envelope, error.exit()), problem: Some(error), retry_in_plaintext: None }
    }

    fn record(&mut self, account: &Account, outcomes: &[Outcome], problem: Option<&Error>, log: Logged<'_>, begun: Instant) {
        let report = log.report;
        let protection = match report.and_then(|r| r.met.as_ref().map(Protection::Met).or_else(|| unmet(r, log.sealed_before))) {
            Some(protection) => protection,
            None => Protection::Unreached,
        };
        let reply = report.and_then(|r| r.problem.as_ref().and_then(|p| p.reply.as_ref()).or_else(|| decisive(&r.outcomes)));
        let attempt = Attempt {
            account,
            address: log.address,
            number: self.attempts,
            auth: report.and_then(|r| r.auth),
            outcomes,
            reply,
            error: problem,
            exit: exit_code(outcomes),
            seen: Seen { offered: report.and_then(|r| r.offered), facts: log.facts },
            protection,
        };
        let span = Span { end: self.world.timestamp(), took: begun.elapsed() };
        let record = Record::attempt(span, &self.submission, &attempt);
        self.narrator.note(&line::summary(&record));
        self.unlogged.extend(self.journal.write(&record));
    }
}

/// What a record tells of the connection.
#[derive(Clone, Copy)]
struct Logged<'r> {
    address: Option<std::net::IpAddr>,
    report: Option<&'r Report>,
    facts: Option<&'r Facts>,
    sealed_before: bool,
}

/// Whether an outcome comes from what went wrong at the account (no such host, no password, the login refused) and says nothing
/// of the recipient or the message: at a fallback that must not turn "later" into "never".
fn is_trouble(outcome: &Outcome, problem: Option<&Error>) -> bool {
    outcome.fate != Fate::Accepted && outcome.fate != Fate::Unknown && problem.is_some_and(|p| p.exit() == outcome.exit)
}

fn unmet(report: &Report, sealed_before: bool) -> Option<Protection<'_>> {
    report.finding.as_ref().map(|finding| Protection::Unmet { finding, sealed_before })
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
