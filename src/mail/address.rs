//! What is a mail address, and how is a bare name made into one? (RFC 5321 4.1.2, 5322 3.4, 6531, 5890)

use std::fmt;

/// A complete addr-spec: local part and domain, safe to put between `<` and `>` of MAIL and RCPT.
///
/// Only the parsers of this file make one. Holds no control character, no space outside quotes; the local part is kept as it
/// was written (quotes included where needed), the domain is without trailing dot, IDN as A-labels where the local part is
/// ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    local: String,
    domain: String,
}

impl Address {
    /// The local part, quoted where RFC 5321 wants quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain or address literal.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it can only be said with SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii() || !self.domain.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// The envelope sender: an address, or nobody (`<>`, for messages that must never bounce).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `MAIL FROM:<>`.
    Null,
    /// `MAIL FROM:<address>`.
    Address(Address),
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(f),
        }
    }
}
