//! What was seen of TLS on one connection? (RFC 8446, RFC 8460 4.3 for the names of failures)

use std::fmt;

/// Why TLS is not what was wished for, in the words of RFC 8460 section 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// STARTTLS was not offered, or was refused.
    StarttlsNotSupported,
    /// The certificate does not name the server.
    CertificateHostMismatch,
    /// The certificate is expired or not yet valid.
    CertificateExpired,
    /// No trusted anchor vouches for the certificate.
    CertificateNotTrusted,
    /// Anything else: a failed handshake, bytes behind the STARTTLS reply, a pin that does not match.
    ValidationFailure,
    /// TLSA records exist and none matches or is usable.
    TlsaInvalid,
    /// DNSSEC validation failed.
    DnssecInvalid,
    /// DANE was demanded and there are no TLSA records.
    DaneRequired,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 8] = [
        Self::StarttlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
    ];

    /// The failure that RFC 8460 calls so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == name)
    }

    /// The result type as RFC 8460 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
        }
    }

    /// What a person can do about it where it kept a message from being sent.
    pub fn advice(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => {
                "policy = \"opportunistic\" would send in plaintext; ask the provider for its TLS port first"
            }
            Self::CertificateHostMismatch => "host (or server_name) must be a name that the certificate has",
            Self::CertificateExpired => "the server's operator must renew the certificate; check this machine's clock too",
            Self::CertificateNotTrusted => {
                "if its operator confirms the certificate: ca_file names another authority, trust = \"pin\" believes this one alone"
            }
            Self::ValidationFailure => "the log's tls.detail and certificate say what was seen",
            Self::TlsaInvalid => "the server's operator must publish TLSA records that match the certificate",
            Self::DnssecInvalid => {
                "the zone's operator must mend DNSSEC, or what this machine asks and trusts ([dns]) is at fault; it is tried again"
            }
            Self::DaneRequired => "the zone has no TLSA records: another trust can check this server, such as \"system\"",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure together with the words of the library or the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The RFC 8460 result type.
    pub failure: Failure,
    /// What the library or the server said about it; foreign text, to be escaped where it is shown.
    pub detail: String,
}

impl Finding {
    /// A finding with its detail.
    pub fn new(failure: Failure, detail: impl Into<String>) -> Self {
        Self { failure, detail: detail.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.failure, self.detail)
    }
}

/// How well a peer is known that trust has nothing against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It proved to be who the account trusts.
    Proven,
    /// It is met for the first time, and its key is to be remembered: nobody vouched for it yet (`trust = "tofu"`).
    FirstUse,
    /// Nobody looked.
    Unchecked,
}

/// What the trust configured for an account says of the peer that finished the handshake; never a decision to send.
pub type Verdict = Result<Standing, Finding>;

/// The certificate that the server showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Subject as an RFC 4514-like string.
    pub subject: String,
    /// Issuer as an RFC 4514-like string.
    pub issuer: String,
    /// DNS names and IP addresses of subjectAltName.
    pub names: Vec<String>,
    /// RFC 3339, UTC; empty where the certificate could not be read.
    pub not_before: String,
    /// RFC 3339, UTC; empty where the certificate could not be read.
    pub not_after: String,
    /// SHA-256 of the certificate, lower-case hex.
    pub sha256: String,
    /// SHA-256 of the `SubjectPublicKeyInfo`, lower-case hex.
    pub spki_sha256: String,
}

/// The facts of one finished handshake; `None` where the TLS library does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: Option<String>,
    /// The cipher suite by its IANA name.
    pub cipher: Option<String>,
    /// The key exchange group by its IANA name.
    pub group: Option<String>,
    /// Whether the session was resumed.
    pub resumed: Option<bool>,
    /// The leaf that the server showed.
    pub certificate: Option<Certificate>,
}
