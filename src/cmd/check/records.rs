//! What does the DNS say of a server, beyond its addresses? (TLSA and SRV records; RFC 7672, RFC 6186, RFC 8314)

use std::time::Duration;

use crate::host::{
    config::{Account, Config, Target},
    dns::{Dane, Resolver, Service, Trouble},
    world::World,
};

/// How long all questions together may take: a name server that is slower than this is none to rely on.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked, and what came of it.
#[derive(Debug)]
pub(super) struct Records {
    /// The TLSA records of the smarthost, or why nobody could be asked.
    pub(super) dane: Result<Dane, Trouble>,
    /// Whose SRV records were asked for, and what they say; `None` where no domain is known.
    pub(super) submission: Option<(String, Result<Vec<Service>, Trouble>)>,
}

/// Asks about the smarthost of `account`, and about the service that `wanted` names, else the one of its domain.
///
/// # Errors
/// Why there is nothing to ask, or it may not be asked: a proxy looks names up itself, so that nobody here sees them.
pub(super) fn ask(world: &dyn World, config: &Config, account: &Account, wanted: &Account) -> Result<Records, &'static str> {
    let (host, port) = match &account.target {
        _ if account.proxy.is_some() => return Err("not asked: it would be seen beside the proxy"),
        Target::Name(host, _) if is_local(host) => return Err("not asked: the DNS knows nothing of this machine's own name"),
        Target::Name(host, port) => (host, port),
        Target::Address(..) => return Err("not asked: TLSA records belong to a name, and the account has an address"),
        Target::Service(_) => return Err("not asked: no server is known"),
        Target::Unix(_) => return Err("not asked: TLSA records belong to a name, and a socket has none"),
    };
    let domain = match &wanted.target {
        Target::Service(domain) => Some(domain.clone()),
        _ => domain(account, host),
    };
    Ok(match Resolver::new(world, &config.dns, PATIENCE) {
        Ok(resolver) => Records {
            dane: Ok(resolver.dane(host, *port)),
            submission: domain.map(|domain| (domain.clone(), resolver.submission(&domain))),
        },
        Err(trouble) => Records { submission: domain.map(|domain| (domain, Err(trouble.clone()))), dane: Err(trouble) },
    })
}

/// Names of this machine, which no DNS knows (RFC 6761 6.3).
fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The domain that the account sends for: that of `from`, of a login that is an address, else of the smarthost itself.
fn domain(account: &Account, host: &str) -> Option<String> {
    let from = account.from.as_ref().map(|from| from.domain().to_owned());
    let login = || account.auth.as_ref().and_then(|auth| Some(auth.user.rsplit_once('@')?.1.to_owned()));
    let above = || host.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.')).map(str::to_owned);
    from.or_else(login).or_else(above).filter(|domain| !domain.is_empty() && !domain.starts_with('['))
}
