//! What does a server show to somebody who wants to know its key? (no mail and no secret is sent)

use std::time::{Duration, Instant};

use crate::{
    cmd::deliver::{Delivery, no_connection, problem_of},
    error::{Error, Exit},
    host::{
        config::{self, Account, Config},
        dial,
        memory::digest,
        probe::{self, Patience},
        tls::{self, Connector, Known},
        world::World,
    },
    mail::{
        policy::{Demand, OnDowngrade, Policy, Prior, Request, Start, Tlsa, Trust},
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

/// Connects as the account would, whoever the server is, and looks.
///
/// # Errors
/// It can't be reached, does not begin TLS, or shows no certificate with a key that can be read.
pub(super) fn meet(world: &dyn World, config: &Config, account: &Account) -> Result<Shown, Error> {
    let start = account.tls.demand.start;
    let demand = |trust| Demand {
        policy: Policy::Required,
        trust,
        start,
        on_downgrade: OnDowngrade::Warn,
        tlsa: Tlsa::Unasked,
        request: Request::Nothing,
    };
    let with = |trust| config::Tls { demand: demand(trust), ..account.tls.clone() };
    let connector = Connector::new(&with(Trust::Any), &account.target, Known::Nothing)?;
    let link = dial::dial(account, config.limits.connect).map_err(|why| no_connection(account, &why))?;
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
