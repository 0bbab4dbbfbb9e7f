//! Which ways to log in are there, and which is the best that both sides know? (RFC 4422, 4954)
//!
//! The order of `auto` is deliberate. First what proves that both sides know the password, without showing it, and on the very
//! channel of this connection (SCRAM bound to TLS); then the same unbound; the stronger hash before the weaker. Then the password
//! itself: it is only ever shown to a server that TLS has verified, and PLAIN takes one round trip where LOGIN takes two. CRAM-MD5
//! comes last although it shows nothing: it proves nothing about the server, what it says can be guessed from at the speed of
//! MD5, and many a server offers it whose hashed passwords can't answer it. So it is for where nothing else is offered, or where
//! the peer is not verified and the password itself must not be shown. EXTERNAL is never guessed, only named: a certificate that
//! TLS wants need not be one that logs in. So is GSSAPI: a ticket that somebody got for something else is no reason to ask a KDC about
//! each mail, and the same configuration must not mean one login where sealpost is built with Kerberos and another where it is not.
//! It shows nothing that could be used again, so it asks for no more than SCRAM does: TLS, verified or not.
//!
//! A mechanism that fails is the last one of its attempt. To go on with a weaker one is what a man in the middle would like us to
//! do, and a wrong password that is tried in six ways locks an account.

use super::{Kind, SaslError, Secret, scram};
use crate::mail::policy::AuthPermit;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 7677, bound to the channel (RFC 9266).
    ScramSha256Plus,
    /// RFC 5802, bound to the channel (RFC 9266).
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login.
    Login,
    /// RFC 2195.
    CramMd5,
    /// RFC 7628.
    OauthBearer,
    /// Google's and Microsoft's, from before RFC 7628.
    Xoauth2,
    /// RFC 4422, appendix A: the client certificate.
    External,
    /// RFC 4752: a Kerberos ticket.
    Gssapi,
}

impl Mechanism {
    /// All of them, in the order of preference.
    pub const BEST_FIRST: [Self; 11] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::OauthBearer,
        Self::Xoauth2,
        Self::External,
        Self::Gssapi,
    ];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
            Self::Gssapi => "GSSAPI",
        }
    }

    /// The mechanism of that name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::BEST_FIRST.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// What it proves the account with.
    pub fn takes(self) -> Kind {
        match self {
            Self::OauthBearer | Self::Xoauth2 => Kind::Token,
            Self::External => Kind::Nothing,
            Self::Gssapi => Kind::Ticket,
            _ => Kind::Password,
        }
    }

    /// Whether the secret itself crosses the wire, so that whoever reads it can use it again.
    pub fn shows_secret(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OauthBearer | Self::Xoauth2)
    }

    /// Whether it says user and secret as `SASLprep` (RFC 4013) makes them, which has no place for some characters.
    pub fn prepares(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus | Self::ScramSha256 | Self::ScramSha1)
    }

    /// Whether it binds the login to the TLS that carries it, so that nobody can relay it.
    pub fn binds(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }
}

/// Which mechanism an account wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The strongest that the server offers, and that secret and permit allow.
    Auto,
    /// This one or none.
    Only(Mechanism),
}

/// Everything that the choice of a mechanism depends on.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The names that EHLO offered behind AUTH.
    pub offered: &'a [&'a str],
    /// What the account wants.
    pub choice: Choice,
    /// What its secret is.
    pub kind: Kind,
    /// What the connection allows.
    pub permit: &'a AuthPermit,
    /// User and secret, where they are known: SCRAM has no place for some characters.
    pub login: Option<(&'a str, &'a Secret)>,
    /// The connection has a channel that a login can be bound to (`host::tls::Handshake::channel_binding`).
    pub bindable: bool,
}

/// Chooses a mechanism.
///
/// # Errors
/// None of those that the account takes is offered, or those that are can't be used on this connection, and why.
pub fn choose(terms: &Terms<'_>) -> Result<Mechanism, SaslError> {
    let wanted = |mechanism: &Mechanism| match terms.choice {
        Choice::Auto => mechanism.takes() == terms.kind,
        Choice::Only(only) => *mechanism == only,
    };
    let mut refused = None;
    for mechanism in Mechanism::BEST_FIRST.into_iter().filter(wanted).filter(|mechanism| is_offered(terms.offered, *mechanism)) {
        match usable(mechanism, terms) {
            Ok(()) => return Ok(mechanism),
            // A weaker one's reason tells more: that TLS 1.3 would bind a login helps nobody whose peer is not verified.
            Err(why) => {
                refused =
                    refused.filter(|earlier| !matches!(earlier, SaslError::Unbindable(_) | SaslError::Unfit(_))).or(Some(why));
            }
        }
    }
    Err(refused.unwrap_or_else(|| SaslError::NotOffered { offered: terms.offered.join(" "), lacks: lacks(terms) }))
}

/// Whether any mechanism is offered that binds the login to the channel.
pub(super) fn binding_is_offered(offered: &[&str]) -> bool {
    Mechanism::BEST_FIRST.into_iter().any(|mechanism| mechanism.binds() && is_offered(offered, mechanism))
}

fn is_offered(offered: &[&str], mechanism: Mechanism) -> bool {
    offered.iter().any(|name| name.eq_ignore_ascii_case(mechanism.name()))
}

fn usable(mechanism: Mechanism, terms: &Terms<'_>) -> Result<(), SaslError> {
    if mechanism.takes() != terms.kind {
        return Err(SaslError::Unfit(match mechanism.takes() {
            Kind::Password => "the mechanism takes a password, and the account has none",
            Kind::Token => "the mechanism takes an access token, and the account has none",
            Kind::Ticket => "the mechanism takes a Kerberos ticket and no secret",
            Kind::Nothing => "the mechanism takes a client certificate and no secret",
        }));
    }
    if mechanism.shows_secret() && !terms.permit.allows_reusable() {
        return Err(SaslError::NotPermitted(mechanism));
    }
    if mechanism.prepares()
        && let Some(why) = terms.login.and_then(|(user, secret)| scram::obstacle(user, secret))
    {
        return Err(SaslError::Unfit(why));
    }
    if mechanism.binds() && !terms.bindable {
        return Err(SaslError::Unbindable(mechanism));
    }
    if mechanism == Mechanism::External && !terms.permit.is_sealed() {
        return Err(SaslError::Unfit("EXTERNAL shows a certificate, for which there must be TLS"));
    }
    Ok(())
}

/// What the account would need for the mechanisms that are offered, where it has something else.
fn lacks(terms: &Terms<'_>) -> Option<Kind> {
    let others = Mechanism::BEST_FIRST.into_iter().filter(|mechanism| is_offered(terms.offered, *mechanism));
    let other = others.map(Mechanism::takes).find(|kind| matches!(kind, Kind::Password | Kind::Token))?;
    (terms.choice == Choice::Auto && other != terms.kind).then_some(other)
}
