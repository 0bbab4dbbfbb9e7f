//! What does each address show, and would another port or another beginning do better? (RFC 8314; sessions without a message)

use std::{
    borrow::Cow,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use super::seen::{Contact, Examination, Visit, Way};
use crate::{
    cmd::deliver::{
        Delivery, after,
        before::Before,
        login::{self, Login},
        words::problem_of,
    },
    host::{
        config::{Account, Config, Protocol},
        dial::{self, Unreachable},
        net::Link,
        probe::{self, Patience, Sight},
        tls::Connector,
        world::World,
    },
    mail::policy::{self, Channel, Demand, Policy, Prior, Start},
    smtp::client::Report,
};

/// A person waits: no answer is waited for longer, however patient a send would be.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How long the session may take that decides.
const SESSION: Duration = Duration::from_secs(120);
/// How long one answer may take that is only for advice.
const CURIOSITY: Duration = Duration::from_secs(5);
/// How long everything may take that is only for advice.
const CURIOSITIES: Duration = Duration::from_secs(30);
/// Submission, by STARTTLS and under TLS from the first byte (RFC 6409 3.1, RFC 8314 3.3).
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;

/// Whoever looks, and with what.
pub(super) struct Looker<'a> {
    world: &'a dyn World,
    config: &'a Config,
    account: &'a Account,
    connector: Connector,
    before: Before,
    /// When the time for curiosity is over.
    until: Instant,
}

impl<'a> Looker<'a> {
    pub(super) fn new(
        world: &'a dyn World,
        config: &'a Config,
        account: &'a Account,
        connector: Connector,
        before: Before,
    ) -> Self {
        Self { world, config, account, connector, before, until: Instant::now() + CURIOSITIES }
    }

    /// Holds a session over the connection, and at the same time looks at the other addresses and at port 465.
    pub(super) fn look(
        &self,
        seen: &mut Examination<'_>,
        dialled: Result<Link, Unreachable>,
        took: Duration,
        login: Option<&Login>,
    ) {
        seen.found(dialled.as_ref(), took);
        let used = seen.used;
        let peer = seen.contacts.get(used.unwrap_or_default()).and_then(|contact| contact.address);
        let others = seen.contacts.iter().enumerate().filter(|(index, _)| used.is_some_and(|used| used != *index));
        let others: Vec<_> = others.filter_map(|(index, contact)| Some((index, contact.address?))).collect();
        thread::scope(|scope| {
            let look = |address| thread::Builder::new().spawn_scoped(scope, move || self.visit(address));
            let waiting: Vec<_> = others.into_iter().filter_map(|(index, address)| Some((index, look(address).ok()?))).collect();
            let twin = peer.filter(|peer| self.may_have_twin(peer.port()));
            let twin =
                twin.map(|peer| thread::Builder::new().spawn_scoped(scope, move || self.way(peer, SUBMISSIONS, Start::Implicit)));
            if let (Ok(link), Some(contact)) = (dialled, used.and_then(|used| seen.contacts.get_mut(used))) {
                let patience = Patience { timeouts: self.config.limits.timeouts.at_most(ANSWER), until: Instant::now() + SESSION };
                contact.visits = self.visits(link, contact.address, patience, login);
            }
            for (index, thread) in waiting {
                if let (Ok(found), Some(contact)) = (thread.join(), seen.contacts.get_mut(index)) {
                    *contact = found;
                }
            }
            seen.ways.extend(twin.and_then(Result::ok).and_then(|thread| thread.join().ok()));
        });
        if let Some(Visit { sight, .. }) = seen.visit() {
            let channel = sight.met.as_ref().map_or(Channel::Plaintext, policy::Met::channel);
            let report = Report { met: sight.met.clone(), ..sight.report.clone() };
            let after = after::compare(self.config, self.account, &self.before, &report);
            let problem = problem_of(self.account, &report).map(|problem| match after.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
            seen.verdict = problem.map_or(Ok(channel), Err);
            seen.warnings.extend(after.warnings);
        }
        if let Some(peer) = peer {
            self.try_otherwise(seen, peer);
        }
    }

    /// One of the other addresses.
    fn visit(&self, address: SocketAddr) -> Contact {
        let begun = Instant::now();
        match self.connect(address, self.soon()) {
            Ok(link) => {
                let connected = Ok(begun.elapsed());
                Contact { address: Some(address), connected, visits: self.visits(link, Some(address), self.curiosity(), None) }
            }
            Err(why) => Contact { address: Some(address), connected: Err(why), visits: Vec::new() },
        }
    }

    fn curiosity(&self) -> Patience {
        Patience { timeouts: self.config.limits.timeouts.at_most(CURIOSITY), until: self.until }
    }

    /// Until when curiosity waits for a connection.
    fn soon(&self) -> Instant {
        (Instant::now() + self.config.limits.connect.min(CURIOSITY)).min(self.until)
    }

    fn connect(&self, address: SocketAddr, deadline: Instant) -> Result<Link, String> {
        dial::race(&[address], self.account.source_address, deadline).map_err(|mut failures| match failures.pop() {
            Some(failure) => failure.why,
            None => Unreachable::from(failures).to_string(),
        })
    }

    /// One session, and where policy answers a failed handshake so, another one in plaintext, with the same server; so also with a new
    /// token for one that was refused.
    fn visits(&self, link: Link, address: Option<SocketAddr>, patience: Patience, login: Option<&Login>) -> Vec<Visit> {
        let mut prior = self.before.prior.clone();
        let mut connector = Cow::Borrowed(&self.connector);
        let (mut login, mut renewed) = (login.cloned(), false);
        let mut visits = Vec::new();
        let mut link = Some(link);
        while let Some(open) = link.take() {
            let sight = self.session(&connector, open, patience, (self.before.demand, &prior), login.as_ref());
            if sight.report.token_refused && !std::mem::replace(&mut renewed, true) {
                // As a send does, which tells the same of a token that can't be renewed.
                if login::renew(self.world, self.config, self.account, &mut login).unwrap_or(false) {
                    link = self.again(address, patience);
                }
            } else if let (Some(finding), None) = (&sight.report.retry_in_plaintext, &prior.failed_handshake) {
                prior.failed_handshake = Some(finding.clone());
                link = self.again(address, patience);
            } else if let Some(finding) = sight.report.finding.clone().filter(|_| sight.report.unseen)
                && let Ok(seeing) = connector.looking_away(finding)
            {
                (connector, prior.sealed_before) = (Cow::Owned(seeing), true);
                link = self.again(address, patience);
                if link.is_some() {
                    continue;
                }
            }
            visits.push(Visit { sight, opinions: Vec::new(), hides_chain: false });
        }
        visits
    }

    fn again(&self, address: Option<SocketAddr>, patience: Patience) -> Option<Link> {
        let budget = self.config.limits.connect;
        match address {
            Some(address) => self.connect(address, (Instant::now() + budget).min(patience.until)).ok(),
            None => dial::dial(self.account, budget).ok(),
        }
    }

    fn session(
        &self,
        connector: &Connector,
        link: Link,
        patience: Patience,
        known: (Demand, &Prior),
        login: Option<&Login>,
    ) -> Sight {
        let plan = Delivery::plan(self.world, self.config, self.account, &link, login.cloned(), known);
        probe::run(link, connector, patience, plan)
    }

    /// Only a submission port has a twin, and a server that may be asked is one that the account asks anyway.
    fn may_have_twin(&self, port: u16) -> bool {
        let Account { tls, protocol, .. } = self.account;
        let wants = tls.demand.policy.wants_tls() && tls.demand.start == Start::Starttls;
        wants && *protocol == Protocol::Smtp && matches!(port, 25 | SUBMISSION)
    }

    /// Where the account's own way led nowhere, or has no TLS: would another one?
    fn try_otherwise(&self, seen: &mut Examination<'_>, peer: SocketAddr) {
        let start = self.account.tls.demand.start;
        let silent = seen.visit().is_some_and(|visit| visit.sight.greeting.is_none() && visit.sight.tls.is_none());
        let stripped = seen.visit().and_then(|visit| visit.sight.clear.as_ref()).is_some_and(|offer| offer.known.starttls);
        if !self.account.tls.demand.policy.wants_tls() {
            if stripped {
                seen.ways.push(self.way(peer, peer.port(), Start::Starttls));
            }
            return;
        }
        if silent && seen.verdict.is_err() {
            let other = if start == Start::Implicit { Start::Starttls } else { Start::Implicit };
            seen.ways.push(self.way(peer, peer.port(), other));
        }
        let works = seen.verdict.is_ok() || seen.ways.iter().any(|way| way.problem.is_none());
        if !works && start == Start::Implicit && peer.port() == SUBMISSIONS && self.account.protocol == Protocol::Smtp {
            seen.ways.push(self.way(peer, SUBMISSION, Start::Starttls));
        }
    }

    fn way(&self, peer: SocketAddr, port: u16, start: Start) -> Way {
        let link = match self.connect(SocketAddr::new(peer.ip(), port), self.soon()) {
            Ok(link) => link,
            Err(why) => return Way { port, start, speaks: false, problem: Some(why) },
        };
        let demand = Demand { policy: Policy::Required, start, ..self.before.demand };
        let sight = self.session(&self.connector, link, self.curiosity(), (demand, &Prior::default()), None);
        Way {
            port,
            start,
            speaks: sight.tls.is_some() || sight.report.unseen,
            problem: sight.report.problem.map(|problem| problem.because),
        }
    }
}
