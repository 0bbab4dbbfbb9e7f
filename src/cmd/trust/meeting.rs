//! What does a server show to somebody who wants to know its key? (no mail and no secret is sent)

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use crate::{
    cmd::deliver::{
        Delivery,
        before::{self, Astray},
        words::{no_connection, problem_of, withheld},
    },
    error::{Error, Exit},
    host::{
        config::{self, Account, Config},
        dial,
        memory::digest,
        net::Link,
        probe::{self, Patience},
        tls::{self, Connector, Known},
        world::World,
    },
    mail::{
        policy::{Demand, Policy, Prior, Start, Trust},
        tls::Certificate,
    },
};

/// A person waits: nothing is waited for longer, however patient a send would be.
const PATIENCE: Duration = Duration::from_secs(30);
/// The whole of the look takes no longer.
const SESSION: Duration = Duration::from_secs(120);

/// What a server showed.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// Its certificate.
    pub(super) certificate: Certificate,
    /// SHA-256 of that certificate.
    pub(super) certificate_digest: [u8; 32],
    /// SHA-256 of its key: what is remembered.
    pub(super) key: [u8; 32],
    /// Whether the system's authorities, or those of the account, vouch for it.
    pub(super) is_vouched_for: bool,
    /// STARTTLS began it.
    pub(super) starttls: bool,
}

/// Connects as the account would; where it stands for several servers, to the first that is reached.
///
/// # Errors
/// There is no server, or none can be reached.
pub(super) fn reach<'c>(world: &dyn World, config: &Config, account: &'c Account) -> Result<(Cow<'c, Account>, Link), Error> {
    let deadline = Instant::now() + config.limits.connect;
    let routes = before::routes(world, config, account, config.limits.connect).map_err(|astray| match astray {
        Astray::Finding(finding) => withheld(account, &finding),
        Astray::Unreachable(why) => no_connection(account, &why),
    })?;
    let mut left = routes.len();
    let mut last = None;
    for route in routes {
        match dial::dial(&route, before::share(deadline, left)) {
            Ok(link) => return Ok((route, link)),
            Err(why) => last = Some(no_connection(&route, &why)),
        }
        left -= 1;
    }
    Err(last.unwrap_or_else(|| Error::new(Exit::NoHost, format!("looking at {}", account.target), "it stands for no server")))
}

/// Looks at the server at the other end, whoever it is.
///
/// # Errors
/// It does not begin TLS, or shows no certificate with a key that can be read.
pub(super) fn meet(world: &dyn World, config: &Config, account: &Account, link: Link) -> Result<Shown, Error> {
    let start = account.tls.demand.start;
    let demand = |trust| Demand::new(Policy::Required, trust, start);
    let with = |trust| config::Tls { demand: demand(trust), ..account.tls.clone() };
    let connector = Connector::new(&with(Trust::Any), &account.target, Known::Nothing)?;
    let plan = Delivery::plan(world, config, account, &link, None, (demand(Trust::Any), &Prior::default()));
    let patience = Patience { timeouts: config.limits.timeouts.at_most(PATIENCE), until: Instant::now() + SESSION };
    let sight = probe::run(link, &connector, patience, plan);
    let nothing = |because: &str| Error::new(Exit::Protocol, format!("looking at {}", account.target), because);
    let Some(seal) = sight.tls else {
        let error = problem_of(account, &sight.report).unwrap_or_else(|| nothing("it did not begin TLS"));
        return Err(error.hint("there is no key without TLS: are the port, and how TLS begins there (start), right?"));
    };
    let certificate = seal.chain.into_iter().next().ok_or_else(|| nothing("it showed no certificate"))?;
    let key = digest(&certificate.spki_sha256).ok_or_else(|| nothing("its certificate has no key that can be read"))?;
    Ok(Shown {
        certificate_digest: digest(&certificate.sha256).unwrap_or_default(),
        key,
        certificate,
        is_vouched_for: tls::opinion(&with(Trust::System), &account.target, Known::Nothing, &seal.ders).is_ok(),
        starttls: start == Start::Starttls,
    })
}
