//! What is said to prove who we are, and to whom? (RFC 4422, 4954)

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::error::printable;

mod bearer;
mod cram;
mod exchange;
pub mod gssapi;
mod mask;
mod mechanism;
mod scram;
pub mod verifier;

pub use exchange::{Exchange, Setting};
pub use mask::Mask;
pub use mechanism::{Choice, Mechanism, Terms, choose};

/// What a mechanism says in one step, before base64; overwritten when dropped, because it may hold the secret.
pub type Message = Zeroizing<Vec<u8>>;

/// What a login can be bound to: the `tls-exporter` of a TLS 1.3 connection (RFC 9266).
pub type Binding = [u8; 32];

/// What a secret is, which decides the mechanisms that can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A password.
    Password,
    /// An access token of `OAuth` 2 (RFC 6750), good for an hour or so.
    Token,
    /// A Kerberos ticket, which proves who we are to one server and can't be used by it.
    Ticket,
    /// There is none: something else speaks for the account.
    Nothing,
}

/// A password or token: overwritten when dropped, never shown.
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<String>,
    kind: Kind,
    purse: Option<gssapi::Purse>,
}

impl Secret {
    /// A password. Takes the text over; the caller's copy is gone with the move.
    pub fn new(text: String) -> Self {
        Self { text: Zeroizing::new(text), kind: Kind::Password, purse: None }
    }

    /// An access token.
    pub fn token(text: String) -> Self {
        Self { text: Zeroizing::new(text), kind: Kind::Token, purse: None }
    }

    /// No secret, for an account that a client certificate speaks for.
    pub fn nothing() -> Self {
        Self { text: Zeroizing::default(), kind: Kind::Nothing, purse: None }
    }

    /// Tickets, which stay with whoever holds them.
    pub fn tickets_of(holder: Arc<dyn gssapi::Tickets>) -> Self {
        Self { text: Zeroizing::default(), kind: Kind::Ticket, purse: Some(gssapi::Purse(holder)) }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text itself, for the one flight that needs it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The tickets, where it is that.
    pub fn tickets(&self) -> Option<&dyn gssapi::Tickets> {
        self.purse.as_ref().map(|purse| &*purse.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is wrong with a challenge that comes when all was said.
const ANOTHER: &str = "another challenge after everything was said";

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
    /// The host and port that the connection goes to, which OAUTHBEARER says and a ticket is for; `None` for a unix socket.
    pub server: Option<(String, u16)>,
}

/// What the server says is wrong, within a mechanism: a word of SCRAM, the JSON of `OAuth`. Foreign text, not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint(String);

impl Complaint {
    /// Most characters that anybody is shown.
    const SHOWN: usize = 1000;

    /// As long as a challenge may be.
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// All of it, to look for words in.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// In one line, and not endless; the secret goes before anything is cut.
    pub fn shown(&self, mask: &Mask) -> String {
        let line = mask.hide(&self.0).split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(Self::SHOWN).collect()
    }
}

/// Why an authentication can't begin or go on; a server's 4yz or 5yz is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// The server offers none of the mechanisms that the account takes.
    NotOffered {
        /// What it offers, separated by spaces; empty: no AUTH at all.
        offered: String,
        /// What the account would need for what is offered.
        lacks: Option<Kind>,
    },
    /// This mechanism shows the secret, and the connection is not verified.
    NotPermitted(Mechanism),
    /// This mechanism binds the login to the channel, and the connection has none to bind it to.
    Unbindable(Mechanism),
    /// User or secret can't be said in this mechanism, and why.
    Unfit(&'static str),
    /// The server broke the mechanism's rules, and how.
    Broken(&'static str),
    /// The server could not prove that it knows the password: an impostor, or a man in the middle.
    Impostor(&'static str),
    /// There is no ticket for this server.
    NoTicket(gssapi::NoTicket),
    /// The server's token does not prove who it is, and why, in the words of the library.
    Token(String),
    /// The server takes a login only together with a security layer of the mechanism's own.
    Layered,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered { offered, .. } if offered.is_empty() => f.write_str("the server does not offer AUTH"),
            Self::NotOffered { offered, .. } => {
                write!(f, "the server offers no mechanism that the account takes, only {}", printable(offered))
            }
            Self::NotPermitted(mechanism) => {
                write!(f, "{} would show the secret to a server that is not verified", mechanism.name())
            }
            Self::Unbindable(mechanism) => {
                write!(f, "{} binds the login to TLS 1.3, which this connection does not have", mechanism.name())
            }
            Self::Unfit(why) => f.write_str(why),
            Self::Broken(how) => write!(f, "the server broke the exchange: {how}"),
            Self::Impostor(how) => write!(f, "the server did not prove that it knows the password: {how}"),
            Self::NoTicket(why) => f.write_str(&why.because),
            Self::Token(why) => write!(f, "the server did not prove who it is: {why}"),
            Self::Layered => f.write_str("it asks for a security layer within the connection, and sealpost has none but TLS"),
        }
    }
}

impl std::error::Error for SaslError {}

impl SaslError {
    /// What to do about it, where that can be said.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NotOffered { lacks: Some(Kind::Token), .. } => {
                Some("this server takes no passwords, only access tokens (OAuth): say with token_command where one comes from")
            }
            Self::NotOffered { lacks: Some(Kind::Password), .. } => {
                Some("this server takes no access tokens, only passwords: say with password_command or password_file where it is")
            }
            Self::NotOffered { offered, .. } if offered.is_empty() => {
                Some("is this the port for submission (587 or 465)? a server that needs no login takes an account without auth")
            }
            Self::NotOffered { .. } => Some("leave mechanism out, to take the best that both sides know"),
            Self::Unfit(scram::USER | scram::PASSWORD) => {
                Some("choose one of letters, digits and common signs; mechanism = \"PLAIN\" takes any, where the server offers it")
            }
            Self::Unbindable(_) => Some("leave mechanism out, or name the one without -PLUS"),
            Self::NoTicket(why) => Some(why.hint),
            Self::Token(_) => Some(
                "the ticket is for another server than the one that answered, or for an older key of it: check host, server_name and \
                 its keytab",
            ),
            Self::Layered => Some("have the server take GSSAPI without a layer where there is TLS, or use another mechanism"),
            _ => None,
        }
    }
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
