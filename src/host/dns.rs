//! What does the DNS say of a server, and may it be believed? (RFC 4033, 7672, 2782, 6186, 8314)
//!
//! Nothing here is asked for a send whose account neither trusts DANE nor names a service: no file is read, no socket opened.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use self::{anchor::Anchor, servers::Servers, walk::Validator};
use super::{careful, config, world::World};
use crate::{
    mail::{
        policy::{Start, Tlsa},
        tls::{Failure, Finding},
    },
    smtp::tlsa,
};

mod anchor;
mod dane;
mod denial;
pub mod message;
mod servers;
mod service;
mod signature;
mod walk;

/// The largest file of trust anchors, in octets.
const LARGEST_ANCHOR: u64 = 1 << 20;

/// How far an answer may be believed; one that DNSSEC proves false is never an answer, but a [`Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// Signed, from the root down.
    Secure,
    /// A zone on the way is not signed, which is proven: anybody may have said it.
    Insecure,
}

/// Why there is no answer that may be used; may be better later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whether DNSSEC proves the answer false, rather than that nobody answered.
    pub bogus: bool,
    /// What was asked and what came of it, for a person.
    pub words: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<Trouble> for Finding {
    fn from(trouble: Trouble) -> Self {
        Self::new(Failure::DnssecInvalid, trouble.words)
    }
}

/// What was found about the TLSA records of one host and port (RFC 7672 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dane {
    /// The host as the account names it.
    pub host: String,
    /// What that is an alias of; the host itself without CNAMEs.
    pub expanded: String,
    /// Whether the addresses are signed; `None` where that could not be found out.
    pub security: Option<Security>,
    /// The addresses that the DNS has.
    pub addresses: Vec<IpAddr>,
    /// Where TLSA records were looked for, `_25._tcp.mx.example.com`: one or two names, the last one counts. None where the
    /// addresses are not signed.
    pub asked: Vec<String>,
    /// The TLSA base domain: SNI, and the first name that a certificate may bear (RFC 7672 3.2.2).
    pub base: String,
    /// The records at the last of `asked`, usable or not.
    pub records: Vec<tlsa::Record>,
    /// The name server that answered last.
    pub server: Option<SocketAddr>,
    /// What it comes to, or why nothing may be sent.
    pub outcome: Result<Tlsa, Finding>,
    /// What it comes to in words for a person.
    pub words: String,
}

impl Dane {
    /// Of a host that has no records, as far as can be known; `why`, for a person.
    pub fn absent(host: &str, why: &str) -> Self {
        Self {
            host: host.to_owned(),
            expanded: host.to_owned(),
            security: None,
            addresses: Vec::new(),
            asked: Vec::new(),
            base: host.to_owned(),
            records: Vec::new(),
            server: None,
            outcome: Ok(Tlsa::Absent),
            words: why.to_owned(),
        }
    }

    /// The names that a certificate may bear where names count: the base domain, then the host (RFC 7672 3.2.2).
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![self.base.clone()];
        names.extend(Some(self.host.clone()).filter(|host| *host != self.base));
        names
    }
}

/// A host that offers a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Lower ones are tried first.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
}

impl Offer {
    /// Whether the host is the domain, or below it.
    pub fn is_within(&self, domain: &str) -> bool {
        let (host, domain) = (self.host.to_ascii_lowercase(), domain.to_ascii_lowercase());
        host.strip_suffix(&domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// What SRV records say of one service of a domain (RFC 2782, 6186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What was asked: `_submissions._tcp.example.com`.
    pub name: String,
    /// How TLS begins there.
    pub start: Start,
    /// Whether the answer is signed.
    pub security: Security,
    /// Whether the domain says that it does not offer the service (a target of ".").
    pub declined: bool,
    /// Who offers it, in the order in which they are to be tried (priority, then chance by weight).
    pub offers: Vec<Offer>,
}

/// Asks the name servers of this machine, or of `[dns]`, and validates what they say.
pub struct Resolver<'w> {
    servers: Servers<'w>,
    anchors: Vec<Anchor>,
    now: u32,
    world: &'w dyn World,
}

impl<'w> Resolver<'w> {
    /// Reads which servers there are and whom to trust; asks nobody yet. All questions together take no longer than `budget`.
    ///
    /// # Errors
    /// No trust anchor can be read.
    pub fn new(world: &'w dyn World, settings: &config::Dns, budget: Duration) -> Result<Self, Trouble> {
        let anchors = match &settings.trust_anchor {
            None => anchor::root(),
            Some(path) => {
                let told =
                    |why: String| Trouble { bogus: false, words: format!("can't use trust_anchor {}: {why}", path.display()) };
                let text = careful::read(path, LARGEST_ANCHOR).map_err(|error| told(error.to_string()))?;
                anchor::parse(&String::from_utf8_lossy(&text)).map_err(told)?
            }
        };
        let servers = Servers::new(world, &settings.servers, Instant::now() + budget);
        // DNSSEC has 32 bits for the time, in a circle.
        let now = u32::try_from(world.timestamp().as_second() & 0xffff_ffff).unwrap_or_default();
        Ok(Self { servers, anchors, now, world })
    }

    /// What there is to know of the TLSA records of `host` for `port`.
    pub fn dane(&self, host: &str, port: u16) -> Dane {
        let mut dane = Dane::absent(host, "");
        match dane::find(&self.validator(), &mut dane, port) {
            Ok((tlsa, words)) => (dane.outcome, dane.words) = (Ok(tlsa), words),
            Err(trouble) => {
                dane.words.clone_from(&trouble.words);
                dane.outcome = Err(trouble.into());
            }
        }
        dane.server = self.servers.answered();
        dane
    }

    /// What `_submissions._tcp` and `_submission._tcp` of `domain` say, in this order (RFC 8314 5.1); a service without records is
    /// left out.
    ///
    /// # Errors
    /// The DNS could not be asked, or gave a false answer.
    pub fn submission(&self, domain: &str) -> Result<Vec<Service>, Trouble> {
        service::find(&self.validator(), self.world, domain)
    }

    /// Who takes mail for `domain` (MX), the preferred first; to guess from whose customer it is.
    ///
    /// # Errors
    /// The DNS could not be asked, or gave a false answer.
    pub fn exchangers(&self, domain: &str) -> Result<Vec<String>, Trouble> {
        service::exchangers(&self.validator(), domain)
    }

    fn validator(&self) -> Validator<'_> {
        Validator::new(&self.servers, &self.anchors, self.now)
    }
}
