//! What becomes of one message at an account and its fallbacks? (sealpost(1))

use std::time::Instant;

pub(super) mod before;
mod tally;

use before::Before;
pub use tally::Delivered;
use tally::Tally;

use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Config, Protocol, Target},
        dial::{self, Unreachable},
        journal::{Attempt, Journal, Protection, Record, Rejection, Seen, Span, Submission, line},
        narrate::Narrator,
        net::Link,
        pump::Pump,
        secrets::{self, Errand},
        tls::Connector,
        world::World,
    },
    mail::{
        address::ReversePath,
        content::Content,
        envelope::Envelope,
        outcome::{Fate, Outcome, exit_code},
        policy::{Demand, Policy, Prior, Reach},
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
    /// What could not be logged, to be said in the end.
    pub unlogged: Vec<Error>,
    attempts: u32,
}

/// How one attempt ended.
struct Ended {
    outcomes: Vec<Outcome>,
    problem: Option<Error>,
    retry_in_plaintext: Option<Finding>,
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
        Self { world, config, journal, narrator, submission, sender, unlogged: Vec::new(), attempts: 0 }
    }

    /// Tries `account`, then its fallbacks for whom it deferred. What is refused or unknown stays so: a second server must not
    /// overrule the one, nor deliver twice for the other.
    pub fn run(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Delivered {
        let fallbacks = account.fallback.iter().filter_map(|name| self.config.account(name));
        let accounts: Vec<&Account> = std::iter::once(account).chain(fallbacks).collect();
        let mut rest = envelope.clone();
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

    /// One account: an attempt, and where policy allows it a second one in plaintext after a failed handshake.
    fn at(&mut self, account: &Account, envelope: &Envelope, content: &mut dyn Content) -> Ended {
        let mut credentials = match Self::credentials(self.world, self.config, account) {
            Ok(credentials) => credentials,
            Err(error) => return self.reject(account, envelope, error),
        };
        let before = match before::find_out(self.world, self.config, account) {
            Ok(before) => before,
            Err(finding) => return self.withhold(account, envelope, &finding),
        };
        let connector = match Connector::new(&account.tls, &account.target, before.known) {
            Ok(connector) => connector,
            Err(error) => return self.reject(account, envelope, error),
        };
        let Before { demand, mut prior, .. } = before;
        let mut renewed = false;
        loop {
            let plan = (demand, &prior);
            let ended = self.attempt(account, &connector, credentials.clone(), plan, envelope, content);
            if ended.token_refused && !std::mem::replace(&mut renewed, true) {
                match self.renew(account, &mut credentials) {
                    Ok(true) => continue,
                    Ok(false) => return ended,
                    Err(error) => return self.reject(account, envelope, error),
                }
            }
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
    pub(super) fn credentials(
        world: &dyn World,
        config: &Config,
        account: &Account,
    ) -> Result<Option<(Credentials, [u8; 18])>, Error> {
        let Some(auth) = &account.auth else { return Ok(None) };
        let secret = secrets::fetch(&Errand { world, config, account, auth })?;
        let mut nonce = [0; 18];
        world.random(&mut nonce)?;
        let server = match &account.target {
            Target::Name(host, port) => Some((host.clone(), *port)),
            Target::Address(address, port) => Some((address.to_string(), *port)),
            Target::Unix(_) => None,
        };
        let (user, choice, allow_unverified) = (auth.user.clone(), auth.choice, auth.allow_unverified);
        Ok(Some((Credentials { user, secret, choice, allow_unverified, server }, nonce)))
    }

    /// Puts another token in place of one that the server refused; whether there is another.
    fn renew(&self, account: &Account, credentials: &mut Option<(Credentials, [u8; 18])>) -> Result<bool, Error> {
        let (Some((credentials, nonce)), Some(auth)) = (credentials, &account.auth) else { return Ok(false) };
        let errand = Errand { world: self.world, config: self.config, account, auth };
        let Some(secret) = secrets::renew(&errand, &credentials.secret)? else { return Ok(false) };
        self.narrator.note("the server refused the token: once more with a new one");
        credentials.secret = secret;
        self.world.random(nonce)?;
        Ok(true)
    }

    fn attempt(
        &mut self,
        account: &Account,
        connector: &Connector,
        credentials: Option<(Credentials, [u8; 18])>,
        (demand, prior): (Demand, &Prior),
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
        let plan = Self::plan(self.world, self.config, account, &link, credentials, (demand, prior));
        let mut session = Session::new(plan, envelope, content.facts());
        let mut pump = Pump { link, connector, timeouts: self.config.limits.timeouts, narrator: self.narrator, witness: None };
        let facts = pump.run(&mut session, content);
        let report = session.report();
        let problem = problem_of(account, &report);
        let log = Logged {
            sender: &envelope.sender,
            address: peer.map(|p| p.ip()),
            report: Some(&report),
            facts: facts.as_ref(),
            finding: report.finding.as_ref(),
            sealed_before: prior.sealed_before,
        };
        self.record(account, &report.outcomes, problem.as_ref(), log, begun);
        let Report { outcomes, retry_in_plaintext, token_refused, .. } = report;
        Ended { outcomes, problem, retry_in_plaintext, token_refused }
    }

    /// What a connection of this account is for.
    pub(super) fn plan(
        world: &dyn World,
        config: &Config,
        account: &Account,
        link: &Link,
        credentials: Option<(Credentials, [u8; 18])>,
        (demand, prior): (Demand, &Prior),
    ) -> Plan {
        let (credentials, nonce) = credentials.unzip();
        Plan {
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

    fn unreachable(&mut self, account: &Account, envelope: &Envelope, why: &Unreachable, begun: Instant) -> Ended {
        let error = no_connection(account, why);
        self.narrator.note(&error.summary());
        let outcomes = undecided(envelope, error.exit());
        let log =
            Logged { sender: &envelope.sender, address: None, report: None, facts: None, finding: None, sealed_before: false };
        self.record(account, &outcomes, Some(&error), log, begun);
        Ended { outcomes, problem: Some(error), retry_in_plaintext: None, token_refused: false }
    }

    /// What is known of the server beforehand is enough to send it nothing; may work later.
    fn withhold(&mut self, account: &Account, envelope: &Envelope, finding: &Finding) -> Ended {
        let error = withheld(account, finding);
        self.attempts += 1;
        self.narrator.note(&error.summary());
        let outcomes = undecided(envelope, Exit::TempFail);
        let sender = &envelope.sender;
        let log = Logged { sender, address: None, report: None, facts: None, finding: Some(finding), sealed_before: false };
        self.record(account, &outcomes, Some(&error), log, Instant::now());
        Ended { outcomes, problem: Some(error), retry_in_plaintext: None, token_refused: false }
    }

    /// The account can't even be tried.
    fn reject(&mut self, account: &Account, envelope: &Envelope, error: Error) -> Ended {
        let recipients: Vec<_> = envelope.recipients.iter().map(|r| r.address.clone()).collect();
        let rejection = Rejection { account: Some(account), recipients: &recipients, error: &error };
        let span = Span { end: self.world.timestamp(), took: std::time::Duration::ZERO };
        let submission = Submission { sender: Some(&envelope.sender), ..self.submission };
        let record = Record::rejected(span, &submission, &rejection);
        self.unlogged.extend(self.journal.write(&record));
        Ended { outcomes: undecided(envelope, error.exit()), problem: Some(error), retry_in_plaintext: None, token_refused: false }
    }

    fn record(&mut self, account: &Account, outcomes: &[Outcome], problem: Option<&Error>, log: Logged<'_>, begun: Instant) {
        let report = log.report;
        let protection = match (report.and_then(|r| r.met.as_ref()), log.finding) {
            (Some(met), _) => Protection::Met(met),
            (None, Some(finding)) => Protection::Unmet { finding, sealed_before: log.sealed_before },
            (None, None) => Protection::Unreached,
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
        let submission = Submission { sender: Some(log.sender), ..self.submission };
        let record = Record::attempt(span, &submission, &attempt);
        self.narrator.note(&line::summary(&record));
        self.unlogged.extend(self.journal.write(&record));
    }
}

/// What a record tells of the connection.
#[derive(Clone, Copy)]
struct Logged<'r> {
    sender: &'r ReversePath,
    address: Option<std::net::IpAddr>,
    report: Option<&'r Report>,
    facts: Option<&'r Facts>,
    /// Why the policy is not met.
    finding: Option<&'r Finding>,
    sealed_before: bool,
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
