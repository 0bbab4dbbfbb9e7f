//! What is found when an account is tried without a message? (every address, TLS, the login; sealpost(1), "sealpost check")

use std::{
    borrow::Cow,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use super::{
    look::Looker,
    opinions,
    records::{self, Records},
    seen::{Contact, Examination},
};
use crate::{
    cmd::{
        addressing::{self, MailDomain},
        deliver::{
            before::{self, Astray, Before},
            login::{self, Login},
            words::{no_connection, withheld},
        },
    },
    error::{Error, Exit},
    host::{
        config::{Account, Backend, Config, Target},
        dial::{self, Failure, Unreachable},
        net::Link,
        tls::Connector,
        world::World,
    },
    mail::address::ReversePath,
};

/// Nobody asked the DNS.
const NOT_ASKED: Result<Records, &str> = Err("not asked");

/// What a send has before it looks for a server.
pub(super) struct Outset<'c> {
    wanted: &'c Account,
    sender: Result<ReversePath, Error>,
    credentials: Result<Option<Login>, Error>,
}

/// Tries `account` as a send would, up to where MAIL would be said; looks at its other addresses without logging in there, and at the
/// same time asks the DNS what else there is to know. Of several servers that a service has the first that is reached is looked at.
pub(super) fn examine<'c>(world: &dyn World, config: &Config, account: &'c Account) -> Examination<'c> {
    let outset = Outset::of(world, config, account);
    let deadline = Instant::now() + config.limits.connect;
    let routes = match before::routes(world, config, account, config.limits.connect) {
        Ok(routes) => routes,
        Err(astray) => {
            let error = match astray {
                Astray::Finding(finding) => withheld(account, &finding),
                Astray::Unreachable(why) => no_connection(account, &why),
            };
            return outset.seen(Cow::Borrowed(account), outset.fault().unwrap_or(error));
        }
    };
    let mut seen = None;
    for (index, route) in routes.iter().enumerate() {
        let (found, settled) = along(world, config, &outset, route, before::share(deadline, routes.len() - index));
        if settled {
            return found;
        }
        // As a send has it: one that may be there later keeps those that don't exist from having the last word.
        seen = seen.filter(|seen: &Examination<'_>| seen.is_temporary() && !found.is_temporary()).or(Some(found));
    }
    seen.unwrap_or_else(|| outset.seen(Cow::Borrowed(account), unlooked()))
}

/// One server of an account, which may take `budget` to be found and reached, and whether a send would go no further.
fn along<'c>(
    world: &dyn World,
    config: &Config,
    outset: &Outset<'c>,
    route: &Cow<'c, Account>,
    budget: Duration,
) -> (Examination<'c>, bool) {
    let (mut seen, settled) = thread::scope(|scope| {
        let asked = thread::Builder::new().spawn_scoped(scope, || records::ask(world, config, route, outset.wanted, budget));
        let (seen, settled) = examine_at(world, config, outset, route, (None, budget));
        let records = asked.ok().and_then(|thread| thread.join().ok()).unwrap_or(NOT_ASKED);
        (Examination { records, ..seen }, settled)
    });
    for visit in seen.contacts.iter_mut().flat_map(|contact| &mut contact.visits) {
        if let Some(tls) = &visit.sight.tls {
            visit.hides_chain = seen.account.tls.backend == Backend::NativeTls && tls.ders.len() == 1;
            visit.opinions = opinions::of(config, &seen.account, (tls, visit.hides_chain), seen.records.as_ref());
        }
    }
    (seen, settled)
}

/// The same without other questions; `addresses` are given by who knows better than the name service.
pub(super) fn examine_at<'c>(
    world: &dyn World,
    config: &Config,
    outset: &Outset<'c>,
    account: &Cow<'c, Account>,
    (addresses, budget): (Option<Result<Vec<SocketAddr>, Unreachable>>, Duration),
) -> (Examination<'c>, bool) {
    let deadline = Instant::now() + budget;
    let left = || deadline.saturating_duration_since(Instant::now());
    let before = before::find_out(world, config, account, account.tls.demand, budget);
    let withheld = before.as_ref().err().map(|finding| withheld(account, finding));
    let before = before.unwrap_or_else(|_| Before::nothing(account));
    let connector = Connector::new(&account.tls, &account.target, before.known.clone());
    // In the order in which a send would come upon them.
    let unusable = outset.fault().or(withheld).or(connector.as_ref().err().cloned());
    let begun = Instant::now();
    let addresses = addresses.unwrap_or_else(|| dial::addresses(account, &before.addresses, left()));
    let resolved = begun.elapsed();
    let begun = Instant::now();
    let (contacts, dialled) = connect(account, addresses, deadline);
    let took = begun.elapsed();
    let mut seen = Examination {
        resolved,
        contacts,
        warnings: before.recollection.trouble.iter().map(|trouble| trouble.error.clone()).collect(),
        ..outset.seen(account.clone(), unlooked())
    };
    let login = outset.credentials.as_ref().ok().and_then(Option::as_ref).filter(|_| unusable.is_none());
    match connector {
        Ok(connector) => Looker::new(world, config, account, connector, before).look(&mut seen, dialled, took, login),
        Err(_) => seen.found(dialled.as_ref(), took),
    }
    let settled = seen.used.is_some() || unusable.is_some();
    if let Some(error) = unusable {
        seen.verdict = Err(error);
    }
    (seen, settled)
}

impl<'c> Outset<'c> {
    pub(super) fn of(world: &dyn World, config: &Config, wanted: &'c Account) -> Self {
        let sender = addressing::sender(None, wanted, &MailDomain::new(world, config));
        Self { wanted, sender, credentials: login::fetch(world, config, wanted) }
    }

    /// What keeps a send from looking for a server at all.
    fn fault(&self) -> Option<Error> {
        self.sender.as_ref().err().or(self.credentials.as_ref().err()).cloned()
    }

    /// What was seen before anybody looked.
    fn seen(&self, account: Cow<'c, Account>, verdict: Error) -> Examination<'c> {
        let holder = |login: &Login| login.0.secret.tickets().map(|tickets| tickets.holder().clone());
        let secret = self.credentials.as_ref().map(|login| login.as_ref().and_then(holder)).map_err(Clone::clone);
        Examination {
            wanted: self.wanted,
            sender: self.sender.clone(),
            secret: account.auth.as_ref().map(|_| secret),
            account,
            resolved: Duration::ZERO,
            contacts: Vec::new(),
            used: None,
            ways: Vec::new(),
            records: NOT_ASKED,
            warnings: Vec::new(),
            verdict: Err(verdict),
        }
    }
}

fn unlooked() -> Error {
    Error::new(Exit::TempFail, "checking the account", "no server was looked at")
}

/// Connects as a send would; every address before anything is known of it but that it exists, or that it does not answer.
fn connect(
    account: &Account,
    addresses: Result<Vec<SocketAddr>, Unreachable>,
    deadline: Instant,
) -> (Vec<Contact>, Result<Link, Unreachable>) {
    let contact = |address, why: &str| Contact { address, connected: Err(why.to_owned()), visits: Vec::new() };
    let addresses = match addresses {
        Ok(addresses) if addresses.is_empty() => {
            let dialled = dial::dial(account, deadline.saturating_duration_since(Instant::now()));
            let why = dialled.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let why = match &account.target {
                Target::Unix(path) => why.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&why),
                _ => &why,
            };
            return (vec![contact(None, why)], dialled);
        }
        Ok(addresses) => addresses,
        Err(why) => return (Vec::new(), Err(why)),
    };
    let raced = dial::race(&addresses, account.source_address, deadline);
    let failures = raced.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    let why = |address: &SocketAddr| failures.iter().find(|failure| failure.address == *address);
    let told = |address: &SocketAddr| why(address).map_or("not tried", |Failure { why, .. }| why.as_str());
    let contacts = addresses.iter().map(|address| contact(Some(*address), told(address))).collect();
    (contacts, raced.map_err(Unreachable::from))
}
