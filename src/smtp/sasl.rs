//! What is said to prove who we are? (RFC 4954, 4616, 5802, 7677)

use std::fmt;

use zeroize::Zeroizing;

use crate::{error::printable, mail::policy::AuthPermit};

mod mask;
mod scram;
pub mod verifier;

pub use mask::Mask;

/// What a mechanism says in one step, before base64; overwritten when dropped, because it may hold the secret.
pub type Message = Zeroizing<Vec<u8>>;

/// What a secret is, which decides the mechanisms that can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A password.
    Password,
    /// An access token of `OAuth` 2 (RFC 6750), good for an hour or so.
    Token,
    /// There is none: something else speaks for the account.
    Nothing,
}

/// A password or token: overwritten when dropped, never shown.
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<String>,
    kind: Kind,
}

impl Secret {
    /// A password. Takes the text over; the caller's copy is gone with the move.
    pub fn new(text: String) -> Self {
        Self { text: Zeroizing::new(text), kind: Kind::Password }
    }

    /// An access token.
    pub fn token(text: String) -> Self {
        Self { text: Zeroizing::new(text), kind: Kind::Token }
    }

    /// No secret, for an account that a client certificate speaks for.
    pub fn nothing() -> Self {
        Self { text: Zeroizing::default(), kind: Kind::Nothing }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text itself, for the one flight that needs it.
    pub fn expose(&self) -> &str {
        &self.text
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

    /// The mechanism of that name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::BEST_FIRST.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// All of them, in the order of preference: a proof rather than the secret, then one round trip rather than two.
    pub const BEST_FIRST: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

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

/// Chooses a mechanism among the names that EHLO `offered` behind AUTH.
///
/// # Errors
/// None of those that the account takes is offered, or those that are would show the secret where the permit forbids it.
pub fn choose(offered: &[&str], choice: Choice, permit: &AuthPermit) -> Result<Mechanism, SaslError> {
    let wanted = |mechanism: &Mechanism| choice == Choice::Auto || choice == Choice::Only(*mechanism);
    let is_offered = |mechanism: &Mechanism| offered.iter().any(|name| name.eq_ignore_ascii_case(mechanism.name()));
    let mut common = Mechanism::BEST_FIRST.into_iter().filter(wanted).filter(is_offered).peekable();
    let Some(first) = common.peek().copied() else {
        return Err(SaslError::NotOffered { offered: offered.join(" ") });
    };
    common.find(|mechanism| may_use(*mechanism, permit)).ok_or(SaslError::NotPermitted(first))
}

/// The client's side of one authentication: what is said, step by step. Base64 and line ends are the caller's.
pub struct Exchange(State);

enum State {
    Plain { message: Message, said: bool },
    Login { user: String, secret: Secret, said: u8 },
    Scram(Box<scram::Client>),
}

impl Exchange {
    /// Prepares an exchange. `nonce` are fresh random octets, 18 or more, which only SCRAM uses.
    ///
    /// # Errors
    /// The permit does not allow this mechanism; user or secret can't be said in it.
    pub fn new(mechanism: Mechanism, credentials: &Credentials, permit: &AuthPermit, nonce: &[u8]) -> Result<Self, SaslError> {
        if !may_use(mechanism, permit) {
            return Err(SaslError::NotPermitted(mechanism));
        }
        let Credentials { user, secret, .. } = credentials;
        Ok(Self(match mechanism {
            Mechanism::Plain => State::Plain { message: plain(user, secret)?, said: false },
            Mechanism::Login => State::Login { user: user.clone(), secret: secret.clone(), said: 0 },
            Mechanism::ScramSha256 => State::Scram(Box::new(scram::Client::new(user, secret, nonce)?)),
        }))
    }

    /// The initial response that may stand beside AUTH; `None` where the server speaks first. Asking for it counts as saying it:
    /// a caller that can't (the line would be too long, RFC 4954 section 4) doesn't ask, and gives it as first answer.
    pub fn initial(&mut self) -> Option<Message> {
        match &mut self.0 {
            State::Plain { message, said } => {
                *said = true;
                Some(message.clone())
            }
            State::Login { .. } => None,
            State::Scram(client) => Some(client.first()),
        }
    }

    /// The answer to one 334 and its decoded challenge.
    ///
    /// # Errors
    /// The server breaks the exchange or can't prove that it knows the password: answer `*` and give up.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        match &mut self.0 {
            State::Plain { message, said: said @ false } => {
                *said = true;
                Ok(message.clone())
            }
            // The prompts differ from server to server ("Username:", "User Name\0", nothing); their order does not.
            State::Login { user, said: said @ 0, .. } => {
                *said = 1;
                Ok(Zeroizing::new(user.clone().into_bytes()))
            }
            State::Login { secret, said: said @ 1, .. } => {
                *said = 2;
                Ok(Zeroizing::new(secret.expose().as_bytes().to_vec()))
            }
            State::Scram(client) => client.answer(challenge),
            State::Plain { .. } | State::Login { .. } => Err(SaslError::Broken("another challenge after everything was said")),
        }
    }

    /// To be asked when the server says 235: whether it may. `data` is what a server sent along with it, decoded.
    ///
    /// # Errors
    /// The server skipped a step, or never proved that it knows the password (SCRAM): treat it as an impostor.
    pub fn finished(&mut self, data: Option<&[u8]>) -> Result<(), SaslError> {
        match &mut self.0 {
            State::Plain { said: true, .. } | State::Login { said: 2, .. } => Ok(()),
            State::Scram(client) => client.finished(data),
            State::Plain { .. } | State::Login { .. } => Err(SaslError::Broken("success before anything was proven")),
        }
    }
}

/// Why an authentication can't begin or go on; a server's 4yz or 5yz is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// The server offers none of the mechanisms that the account takes.
    NotOffered {
        /// What it offers, separated by spaces; empty: no AUTH at all.
        offered: String,
    },
    /// This mechanism shows the secret, and the connection is not verified.
    NotPermitted(Mechanism),
    /// User or secret can't be said in this mechanism, and why.
    Unfit(&'static str),
    /// The server broke the mechanism's rules, and how.
    Broken(&'static str),
    /// The server named an error within SCRAM; foreign text.
    Server(String),
    /// The server could not prove that it knows the password: an impostor, or a man in the middle.
    Impostor(&'static str),
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered { offered } if offered.is_empty() => f.write_str("the server does not offer AUTH"),
            Self::NotOffered { offered } => {
                write!(f, "the server offers no mechanism that the account takes, only {}", printable(offered))
            }
            Self::NotPermitted(mechanism) => {
                write!(f, "{} would show the secret to a server that is not verified", mechanism.name())
            }
            Self::Unfit(why) => f.write_str(why),
            Self::Broken(how) => write!(f, "the server broke the exchange: {how}"),
            Self::Server(word) => write!(f, "the server ended the exchange: {}", printable(word)),
            Self::Impostor(how) => write!(f, "the server did not prove that it knows the password: {how}"),
        }
    }
}

impl std::error::Error for SaslError {}

fn may_use(mechanism: Mechanism, permit: &AuthPermit) -> bool {
    permit.allows_reusable() || !mechanism.shows_secret()
}

/// RFC 4616: no authorization identity, NUL, user, NUL, password.
fn plain(user: &str, secret: &Secret) -> Result<Message, SaslError> {
    let password = secret.expose();
    if user.contains('\0') || password.contains('\0') {
        return Err(SaslError::Unfit("PLAIN can't carry a NUL in user or password"));
    }
    let mut message = Zeroizing::new(Vec::with_capacity(user.len() + password.len() + 2));
    for part in [user, password] {
        message.push(0);
        message.extend_from_slice(part.as_bytes());
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
