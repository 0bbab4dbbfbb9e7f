//! What does an account want of TLS? (sealpost.toml(5), "ACCOUNTS: TLS")

use std::path::PathBuf;

use crate::mail::policy::{Demand, Policy, Start, Trust};

/// `[accounts.NAME.tls]`.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Policy, trust, start and downgrade rule.
    pub demand: Demand,
    /// Anchors instead of the system's store.
    pub ca_file: Option<PathBuf>,
    /// Revocation lists.
    pub crl_file: Option<PathBuf>,
    /// SHA-256 digests of the certificate or its `SubjectPublicKeyInfo`.
    pub pins: Vec<[u8; 32]>,
    /// Name for SNI and verification; `None`: the host.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: Version,
    /// Which library seals.
    pub backend: Backend,
    /// Certificate chain and key to show when the server asks.
    pub client_identity: Option<(PathBuf, PathBuf)>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0; not with rustls.
    Tls10,
    /// 1.1; not with rustls.
    Tls11,
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl Version {
    /// The words of the configuration.
    pub(in crate::host) const WORDS: [(&str, Self); 4] =
        [("1.0", Self::Tls10), ("1.1", Self::Tls11), ("1.2", Self::Tls12), ("1.3", Self::Tls13)];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Why `backend = "native-tls"` can't be had.
pub(in crate::host) const WITHOUT_NATIVE_TLS: &str = "this sealpost was built without native-tls";

/// A library that speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// rustls.
    Rustls,
    /// The system's own (OpenSSL), by way of native-tls; only in a sealpost that was built with it.
    NativeTls,
}

impl Backend {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rustls => "rustls",
            Self::NativeTls => "native-tls",
        }
    }
}

impl Tls {
    /// What fulfils this demand with nothing but what is at hand: the system's authorities, no certificate of ours, rustls.
    pub fn new(demand: Demand) -> Self {
        Self {
            demand,
            ca_file: None,
            crl_file: None,
            pins: Vec::new(),
            server_name: None,
            min_version: Version::Tls12,
            backend: Backend::Rustls,
            client_identity: None,
        }
    }

    /// TLS with a server that an authority vouches for: the system's, or one of `ca_file`.
    pub(in crate::host) fn verified(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, ..Self::new(Demand::new(Policy::Required, Trust::System, Start::Implicit)) }
    }
}
