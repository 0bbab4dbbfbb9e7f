//! What is said to prove who we are? (RFC 4954, 4616, 5802, 7677)

use std::fmt;

use zeroize::Zeroizing;

/// A password or token: overwritten when dropped, never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; the caller's copy is gone with the move.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one flight that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 7677.
    ScramSha256,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login.
    Login,
}

impl Mechanism {
    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Whether the secret itself crosses the wire, so that whoever reads it can use it again.
    pub fn shows_secret(self) -> bool {
        !matches!(self, Self::ScramSha256)
    }
}

/// Which mechanism an account wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The strongest that the server offers and the permit allows.
    Auto,
    /// This one or none.
    Only(Mechanism),
}

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Authentication identity.
    pub user: String,
    /// Its secret.
    pub secret: Secret,
    /// Which mechanism.
    pub choice: Choice,
    /// `allow_unverified` of the account.
    pub allow_unverified: bool,
}
