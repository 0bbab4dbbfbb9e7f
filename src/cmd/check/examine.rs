//! What is found when an account is tried without a message? (every address, TLS, the login; sealpost(1), "sealpost check")

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    cmd::deliver::{
        Delivery,
        before::{self, Before},
        no_connection, problem_of, withheld,
    },
    error::Error,
    host::{
        config::{self, Account, Auth, Config, Protocol, Timeouts},
        dial::{self, Unreachable},
        net::Link,
        probe::{self, Sight},
        tls::{Connector, Known},
        world::World,
    },
    mail::policy::{self, Channel, Demand, OnDowngrade, Policy, Prior, SecretRule, Start, Trust},
    smtp::sasl::{self, Choice, Credentials, Mechanism, Terms},
};

/// A person waits: nothing is waited for longer, however patient a send would be.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a question may take whose answer is only advice.
const CURIOSITY: Duration = Duration::from_secs(5);
/// Submission under implicit TLS (RFC 8314 3.3).
const SUBMISSIONS: u16 = 465;

type Login = Option<(Credentials, [u8; 18])>;

/// An account as it was found.
#[derive(Debug)]
pub(super) struct Examination<'c> {
    pub(super) account: &'c Account,
    /// How long the name service took.
    pub(super) resolved: Duration,
    /// The addresses in the order in which a send tries them; one without address for a proxy or a unix socket.
    pub(super) contacts: Vec<Contact>,
    /// Which of them a send would take.
    pub(super) used: Option<usize>,
    /// Whether the secret can be had; `None` without `[auth]`.
    pub(super) secret: Option<Result<(), Error>>,
    /// Whether the same server speaks SMTP under TLS on port 465 too; `None` where that was not asked.
    pub(super) implicit_too: Option<bool>,
    /// How a send would be protected, or why it would fail.
    pub(super) verdict: Result<Channel, Error>,
}

/// One address, and what was seen there.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) address: Option<SocketAddr>,
    /// How long it took to connect, or why that failed.
    pub(super) connected: Result<Duration, String>,
    /// The connections made, the last one counts: a second one is the retry in plaintext of an opportunistic account.
    pub(super) sights: Vec<Sight>,
}

/// How the login went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedIn {
    /// Which mechanism is used, or why none; `None` where it did not come to that.
    pub(super) mechanism: Option<Result<Mechanism, String>>,
    /// Whether the server took it; `None` where it was not tried.
    pub(super) accepted: Option<bool>,
}

impl Examination<'_> {
    /// What was seen on the connection that a send would have used.
    pub(super) fn sight(&self) -> Option<&Sight> {
        self.contacts.get(self.used?)?.sights.last()
    }

    /// The addresses beside the one that a send would use.
    pub(super) fn others(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter().enumerate().filter(|(index, _)| Some(*index) != self.used).map(|(_, contact)| contact)
    }

    /// How the login went; `None` without `[auth]`.
    pub(super) fn login(&self) -> Option<LoggedIn> {
        let auth = self.account.auth.as_ref()?;
        let Some(sight) = self.sight() else { return Some(LoggedIn { mechanism: None, accepted: None }) };
        let mechanism = mechanism(sight, auth);
        let tried = self.secret == Some(Ok(())) && matches!(mechanism, Some(Ok(_)));
        let accepted = match (sight.report.auth, tried && sight.report.problem.is_some()) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => None,
        };
        Some(LoggedIn { mechanism, accepted })
    }
}

/// Tries `account` as a send would, up to where MAIL would be said, and looks at its other addresses too, without logging in there.
pub(super) fn examine<'c>(world: &dyn World, config: &Config, account: &'c Account) -> Examination<'c> {
    let begun = Instant::now();
    let addresses = dial::addresses(account, config.limits.connect);
    let resolved = begun.elapsed();
    Examination { resolved, ..examine_at(world, config, account, addresses) }
}

/// The same with the addresses known.
pub(super) fn examine_at<'c>(
    world: &dyn World,
    config: &Config,
    account: &'c Account,
    addresses: Result<Vec<SocketAddr>, Unreachable>,
) -> Examination<'c> {
    let credentials = Delivery::credentials(world, config, account);
    let before = before::find_out(world, config, account);
    let withheld = before.as_ref().err().map(|finding| withheld(account, finding));
    let nothing = || Before { demand: account.tls.demand, known: Known::Nothing, prior: Prior::default() };
    let Before { demand, known, prior } = before.unwrap_or_else(|_| nothing());
    let connector = Connector::new(&account.tls, &account.target, known);
    let budget = config.limits.connect;
    let begun = Instant::now();
    let dialled = match &addresses {
        Ok(found) if found.is_empty() => dial::dial(account, budget),
        Ok(found) => dial::race(found, account.source_address, begun + budget),
        Err(why) => Err(why.clone()),
    };
    let took = begun.elapsed();
    let secret = account.auth.as_ref().map(|_| credentials.as_ref().map(|_| ()).map_err(Clone::clone));
    let mut seen = Examination {
        account,
        resolved: Duration::ZERO,
        contacts: contacts(&addresses.unwrap_or_default(), &dialled),
        used: None,
        secret,
        implicit_too: None,
        verdict: Ok(Channel::Plaintext),
    };
    let unusable = credentials.as_ref().err().or(withheld.as_ref()).or(connector.as_ref().err()).cloned();
    match (dialled, connector) {
        (Ok(link), Ok(connector)) => {
            let looker = Looker { world, config, account, connector, demand, prior, judges: judges(account) };
            looker.look(&mut seen, link, took, &credentials.unwrap_or_default());
        }
        (Ok(link), Err(_)) => {
            let used = seen.contacts.iter().position(|contact| contact.address == link.peer()).unwrap_or_default();
            seen.used = Some(used);
            seen.contacts[used].connected = Ok(took);
        }
        (Err(why), _) => seen.verdict = Err(no_connection(account, &why)),
    }
    if let Some(error) = unusable {
        seen.verdict = Err(error);
    }
    seen
}

/// Every address, before anything is known of it but that it exists.
fn contacts(addresses: &[SocketAddr], dialled: &Result<Link, Unreachable>) -> Vec<Contact> {
    let unknown = |address| Contact { address, connected: Err("not reached".to_owned()), sights: Vec::new() };
    match (addresses, dialled) {
        ([], Ok(_)) => vec![unknown(None)],
        (addresses, _) => addresses.iter().map(|address| unknown(Some(*address))).collect(),
    }
}

/// Whoever looks, and with what.
struct Looker<'a> {
    world: &'a dyn World,
    config: &'a Config,
    account: &'a Account,
    connector: Connector,
    demand: Demand,
    prior: Prior,
    judges: Vec<(&'static str, config::Tls, Known)>,
}

impl Looker<'_> {
    /// Holds a session over `link`, and at the same time looks at the other addresses and at port 465.
    fn look(&self, seen: &mut Examination<'_>, link: Link, took: Duration, login: &Login) {
        let peer = link.peer().filter(|_| self.account.proxy.is_none());
        let used = seen.contacts.iter().position(|contact| contact.address == peer).unwrap_or_default();
        thread::scope(|scope| {
            let mut waiting = Vec::new();
            for (index, address) in seen.contacts.iter().enumerate().filter_map(|(i, c)| Some((i, c.address?))) {
                if index != used {
                    let spawned = thread::Builder::new().spawn_scoped(scope, move || self.visit(address));
                    waiting.extend(spawned.ok().map(|thread| (index, thread)));
                }
            }
            let twin = peer.filter(|peer| self.may_have_twin(*peer));
            let twin = twin.and_then(|peer| thread::Builder::new().spawn_scoped(scope, move || self.speaks_implicit(peer)).ok());
            seen.contacts[used] = Contact { address: peer, connected: Ok(took), sights: self.sessions(link, login.as_ref()) };
            for (index, thread) in waiting {
                if let Ok(contact) = thread.join() {
                    seen.contacts[index] = contact;
                }
            }
            seen.implicit_too = twin.and_then(|thread| thread.join().ok());
        });
        seen.used = Some(used);
        if let Some(sight) = seen.contacts[used].sights.last() {
            let channel = sight.met.as_ref().map_or(Channel::Plaintext, policy::Met::channel);
            seen.verdict = problem_of(self.account, &sight.report).map_or(Ok(channel), Err);
        }
    }

    fn visit(&self, address: SocketAddr) -> Contact {
        let begun = Instant::now();
        match self.connect(address, self.config.limits.connect.min(CURIOSITY)) {
            Ok(link) => {
                let took = begun.elapsed();
                Contact { address: Some(address), connected: Ok(took), sights: self.sessions(link, None) }
            }
            Err(why) => Contact { address: Some(address), connected: Err(told(address, &why)), sights: Vec::new() },
        }
    }

    fn connect(&self, address: SocketAddr, budget: Duration) -> Result<Link, Unreachable> {
        dial::race(&[address], self.account.source_address, Instant::now() + budget)
    }

    /// One session, and where policy answers a failed handshake so, another one in plaintext.
    fn sessions(&self, link: Link, login: Option<&(Credentials, [u8; 18])>) -> Vec<Sight> {
        let timeouts = capped(self.config.limits.timeouts, PATIENCE);
        let mut prior = self.prior.clone();
        let mut sights = Vec::new();
        let mut link = Some(link);
        while let Some(open) = link.take() {
            let plan = Delivery::plan(self.world, self.config, self.account, &open, login.cloned(), (self.demand, &prior));
            let sight = probe::run(open, &self.connector, timeouts, plan, &self.judges);
            if let (Some(finding), None) = (&sight.report.retry_in_plaintext, &prior.failed_handshake) {
                prior.failed_handshake = Some(finding.clone());
                link = dial::dial(self.account, self.config.limits.connect).ok();
            }
            sights.push(sight);
        }
        sights
    }

    /// Only a submission port has a twin, and a server that may be asked is one that the account asks anyway.
    fn may_have_twin(&self, peer: SocketAddr) -> bool {
        let Account { tls, protocol, .. } = self.account;
        let wants = tls.demand.policy.wants_tls() && tls.demand.start == Start::Starttls;
        wants && *protocol == Protocol::Smtp && matches!(peer.port(), 25 | 587)
    }

    fn speaks_implicit(&self, peer: SocketAddr) -> bool {
        let Ok(link) = self.connect(SocketAddr::new(peer.ip(), SUBMISSIONS), CURIOSITY) else { return false };
        let mut plan = Delivery::plan(self.world, self.config, self.account, &link, None, (self.demand, &Prior::default()));
        plan.demand.start = Start::Implicit;
        let timeouts = capped(self.config.limits.timeouts, CURIOSITY);
        probe::run(link, &self.connector, timeouts, plan, &[]).report.problem.is_none()
    }
}

/// The kinds of trust beside the account's own, each as a setting: the system's authorities, `ca_file`, `pins`.
fn judges(account: &Account) -> Vec<(&'static str, config::Tls, Known)> {
    let with = |trust| {
        let mut tls = account.tls.clone();
        tls.demand = policy::Demand { policy: Policy::Required, trust, on_downgrade: OnDowngrade::Warn, ..tls.demand };
        tls
    };
    let mut judges = vec![("system", config::Tls { ca_file: None, ..with(Trust::System) }, Known::Nothing)];
    if account.tls.ca_file.is_some() {
        judges.push(("ca_file", with(Trust::System), Known::Nothing));
    }
    if !account.tls.pins.is_empty() {
        judges.push(("pin", with(Trust::Pin), Known::Nothing));
    }
    judges
}

/// Which mechanism would be used on this connection, by the rules of a send.
fn mechanism(sight: &Sight, auth: &Auth) -> Option<Result<Mechanism, String>> {
    let (met, server) = (sight.met.as_ref()?, sight.server()?);
    let explicit_mechanism = matches!(auth.choice, Choice::Only(_));
    let rule = SecretRule { allow_unverified: auth.allow_unverified, explicit_mechanism };
    let permit = policy::may_authenticate(met, sight.reach, rule);
    let offered: Vec<&str> = server.auth.iter().map(String::as_str).collect();
    let chosen = permit.map_err(str::to_owned).and_then(|permit| {
        let bindable = sight.tls.as_ref().is_some_and(|tls| tls.bindable);
        let (choice, kind) = (auth.choice, auth.source.kind());
        let chosen = sasl::choose(&Terms { offered: &offered, choice, kind, permit: &permit, bindable });
        chosen.map_err(|error| error.to_string())
    });
    Some(chosen)
}

/// Why one address did not answer, without the address itself.
fn told(address: SocketAddr, why: &Unreachable) -> String {
    let why = why.to_string();
    why.strip_prefix(&format!("{address}: ")).map_or_else(|| why.clone(), str::to_owned)
}

fn capped(timeouts: Timeouts, most: Duration) -> Timeouts {
    let Timeouts { handshake, greeting, command, mail, rcpt, data, block, end } = timeouts;
    Timeouts {
        handshake: handshake.min(most),
        greeting: greeting.min(most),
        command: command.min(most),
        mail: mail.min(most),
        rcpt: rcpt.min(most),
        data: data.min(most),
        block: block.min(most),
        end: end.min(most),
    }
}
