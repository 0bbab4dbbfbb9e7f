//! What must be known of a server before it is connected to? (sealpost(1), "TLS policy")

use std::{borrow::Cow, net::IpAddr};

use super::recollection::Recollection;
use crate::{
    host::{
        config::{Account, Config, Target},
        dial::Unreachable,
        dns::{Dane, Offer, Resolver, Security, Service, Trouble},
        tls::Known,
        world::World,
    },
    mail::{
        policy::{Demand, Prior, Tlsa},
        tls::Finding,
    },
};

/// What was found out.
#[derive(Debug)]
pub(in crate::cmd) struct Before {
    /// What the connection must meet: the account's demand, and what DNSSEC adds to it.
    pub(in crate::cmd) demand: Demand,
    /// What the account's trust compares the peer with.
    pub(in crate::cmd) known: Known,
    /// What the server showed on earlier days.
    pub(in crate::cmd) prior: Prior,
    /// Where that comes from.
    pub(in crate::cmd) recollection: Recollection,
    /// The server's addresses, where they were found on the way; else its name is still to be looked up.
    pub(in crate::cmd) addresses: Vec<IpAddr>,
    /// What the DNS says of it, for a person who looks on.
    pub(in crate::cmd) told: Option<String>,
}

impl Before {
    /// What there is to go by where nothing could be found out.
    pub(in crate::cmd) fn nothing(account: &Account) -> Self {
        Self {
            demand: account.tls.demand,
            known: Known::Nothing,
            prior: Prior::default(),
            recollection: Recollection::default(),
            addresses: Vec::new(),
            told: None,
        }
    }
}

/// Why a service leads nowhere.
#[derive(Debug)]
pub(in crate::cmd) enum Astray {
    /// What the DNS says is false: nothing may be sent on its word.
    Finding(Finding),
    /// Nobody offers the service, or nobody could be asked.
    Unreachable(Unreachable),
}

/// The account, or, where it names a service, one account for each server that offers it, in the order in which they are to be
/// tried (RFC 6186, 8314).
///
/// # Errors
/// Why there is nowhere to go.
pub(in crate::cmd) fn routes<'a>(
    world: &dyn World,
    config: &Config,
    account: &'a Account,
) -> Result<Vec<Cow<'a, Account>>, Astray> {
    let Target::Service(domain) = &account.target else { return Ok(vec![Cow::Borrowed(account)]) };
    let astray = |trouble: Trouble| match trouble.bogus {
        true => Astray::Finding(trouble.into()),
        false => Astray::Unreachable(Unreachable::NotNow(trouble.words)),
    };
    let resolver = Resolver::new(world, &config.dns, config.limits.connect).map_err(astray)?;
    let services = resolver.submission(domain).map_err(astray)?;
    let routes = services.iter().flat_map(|service| service.offers.iter().map(|offer| route(account, domain, service, offer)));
    let routes: Vec<_> = routes.map(Cow::Owned).collect();
    if routes.is_empty() {
        let why = match services.is_empty() {
            true => format!("{domain}: there are no SRV records that name a server for submission"),
            false => format!("{domain}: its SRV records say that it offers no submission"),
        };
        return Err(Astray::Unreachable(Unreachable::NoSuchHost(why)));
    }
    Ok(routes)
}

/// The account as one that names the server itself. A name that anybody may have put there is believed only within the domain
/// (RFC 6186 6); else the certificate must be the domain's own.
fn route(account: &Account, domain: &str, service: &Service, offer: &Offer) -> Account {
    let mut route = Account { target: Target::Name(offer.host.clone(), offer.port), ..account.clone() };
    route.tls.demand.start = service.start;
    if service.security == Security::Insecure {
        if route.tls.server_name.is_none() && !offer.is_within(domain) {
            route.tls.server_name = Some(domain.to_owned());
        }
        // RFC 7673 3.1: without a signature there is nobody whose TLSA records could count.
        route.tls.demand.tlsa = Tlsa::Absent;
    }
    route
}

/// Finds out what the account's trust and policy need, and nothing for those that need nothing; `demand` is the account's for this
/// message.
///
/// # Errors
/// Why nothing may be sent, whatever the server will say.
pub(in crate::cmd) fn find_out(world: &dyn World, config: &Config, account: &Account, demand: Demand) -> Result<Before, Finding> {
    let found = match &account.target {
        Target::Name(host, port) if demand.trusts_dane() => Some(dane(world, config, demand, host, *port)?),
        _ => None,
    };
    let demand = match &found {
        Some(found) => informed(demand, found)?,
        None => demand.informed(Tlsa::Unasked)?,
    };
    let recollection = Recollection::of(config, account);
    let prior = Prior { sealed_before: recollection.sealed_before(demand), failed_handshake: None };
    Ok(match found {
        Some(found) => {
            let (names, told) = (found.names(), Some(found.words));
            let known = Known::Tlsa { records: found.records, names };
            Before { demand, known, prior, recollection, addresses: found.addresses, told }
        }
        None => Before { demand, known: recollection.known(demand)?, prior, recollection, addresses: Vec::new(), told: None },
    })
}

/// What DNSSEC says of the server (RFC 7672 2.2).
///
/// # Errors
/// Something false, or nothing; not where the message waives what the other side publishes, and the account does not insist.
fn dane(world: &dyn World, config: &Config, demand: Demand, host: &str, port: u16) -> Result<Dane, Finding> {
    if demand.tlsa == Tlsa::Absent {
        return Ok(Dane::absent(host, "the SRV records of the service are not signed"));
    }
    let found = Resolver::new(world, &config.dns, config.limits.connect).map(|resolver| resolver.dane(host, port));
    let found = found.unwrap_or_else(|trouble| Dane { outcome: Err(trouble.clone().into()), ..Dane::absent(host, &trouble.words) });
    match &found.outcome {
        Err(finding) if demand.obeys_dane() || demand.must_trust() => Err(finding.clone()),
        Err(_) => Ok(Dane::absent(host, &found.words)),
        Ok(_) => Ok(found),
    }
}

fn informed(demand: Demand, found: &Dane) -> Result<Demand, Finding> {
    let tlsa = found.outcome.clone().unwrap_or(Tlsa::Absent);
    match demand.informed(tlsa) {
        // Who has no address can't be sent to in any case: that is what the caller should hear.
        Err(_) if found.security.is_some() && found.addresses.is_empty() => Ok(Demand { tlsa, ..demand }),
        other => other.map_err(|finding| Finding::new(finding.failure, found.words.clone())),
    }
}
