//! Must TLS be, who is believed, and may we go on? (sealpost(1), "TLS policy"; RFC 3207, 7435, 8314)
//!
//! The one place that decides. [`after_ehlo`] says what follows the server's capabilities, [`judge`] weighs a handshake, and
//! only this file can make the two permissions: [`Met`], without which no MAIL is said, and [`AuthPermit`], without which no
//! secret is used.

pub use super::demand::{Demand, OnDowngrade, Policy, Request, Start, Tlsa, Trust};
use super::{
    outcome::Enhanced,
    tls::{Failure, Finding, Standing, Verdict},
};

/// What is known of a server before this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prior {
    /// It had TLS on an earlier day, or may have had it and nobody can tell.
    pub sealed_before: bool,
    /// A handshake failed on the connection just before this one; with this the connection is a retry in plaintext.
    pub failed_handshake: Option<Finding>,
}

/// What follows EHLO.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Say STARTTLS.
    Seal,
    /// Go on in plaintext.
    Clear(Met),
    /// Send nothing; may work later.
    Stop(Finding),
}

/// How the message is protected on its way to the smarthost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// TLS, and the peer is who the account trusts.
    Verified,
    /// TLS with an unauthenticated peer.
    Unverified,
    /// No TLS.
    Plaintext,
}

/// The policy of the account is met on this connection: the permission to say MAIL. Only this file can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Met {
    channel: Channel,
    finding: Option<Finding>,
    downgrade: bool,
    first_use: bool,
}

impl Met {
    /// How the message is protected.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// What was less than perfect although the policy is met.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// Whether this host had TLS before and has none now.
    pub fn downgrade(&self) -> bool {
        self.downgrade
    }

    /// Whether the peer's key was met for the first time, so that it should be remembered.
    pub fn first_use(&self) -> bool {
        self.first_use
    }

    /// Whether plaintext took the place of a handshake that failed: there no secret goes, not even to this machine, where
    /// another may have taken the port.
    fn follows_failed_handshake(&self) -> bool {
        let finding = self.finding.as_ref();
        self.channel == Channel::Plaintext && finding.is_some_and(|finding| finding.failure != Failure::StarttlsNotSupported)
    }
}

/// Decides what follows EHLO (or HELO, which offers nothing), `offered` telling whether STARTTLS was among the capabilities.
pub fn after_ehlo(demand: Demand, offered: bool, prior: &Prior) -> Next {
    if !demand.policy.wants_tls() {
        return Next::Clear(Met { channel: Channel::Plaintext, finding: None, downgrade: false, first_use: false });
    }
    if let Some(finding) = &prior.failed_handshake {
        return clear(demand, finding.clone(), prior);
    }
    if offered {
        return Next::Seal;
    }
    clear(demand, Finding::new(Failure::StarttlsNotSupported, "the server does not offer STARTTLS"), prior)
}

/// Decides what follows a STARTTLS that the server offered and then refused with `reply`.
pub fn after_refusal(demand: Demand, reply: &str, prior: &Prior) -> Next {
    clear(demand, Finding::new(Failure::StarttlsNotSupported, format!("the server refused STARTTLS: {reply}")), prior)
}

/// What a person can do where `server` (as the command line names it) had TLS before and has none now.
pub fn advice_on_downgrade(demand: Demand, server: &str) -> String {
    let taken = "somebody on the way may be taking TLS out: ask the server's owner";
    if demand.must_encrypt() {
        format!("{taken}, before you think of another policy")
    } else {
        format!("{taken}; if it is gone for good: sealpost trust forget {server}")
    }
}

/// What a person can do where the key of `server` (as the command line names it) is new and nobody vouched for it.
pub fn advice_on_key(server: &str) -> String {
    format!("ask the server's owner for its key; if it is the one that this shows, accept it: sealpost trust add {server}")
}

/// Whether a handshake that just failed may be followed by a new connection in plaintext.
///
/// With implicit TLS there is nothing to fall back to: the port speaks TLS only, so it is "not sent" there too. Bytes behind
/// the 220 of STARTTLS are an attack and no failed handshake: nothing follows them, under any policy.
pub fn may_retry_in_plaintext(demand: Demand) -> bool {
    let stripped = demand.on_downgrade == OnDowngrade::Refuse;
    demand.policy.wants_tls() && demand.start == Start::Starttls && !demand.must_encrypt() && !stripped
}

/// Weighs what the trust of the account said of a peer that finished the handshake.
///
/// # Errors
/// The finding, where the policy demands a trusted peer.
pub fn judge(demand: Demand, verdict: Verdict) -> Result<Met, Finding> {
    let first_use = verdict == Ok(Standing::FirstUse);
    let met = |channel, finding| Met { channel, finding, downgrade: false, first_use };
    match verdict {
        Ok(Standing::Proven) if demand.can_verify() => Ok(met(Channel::Verified, None)),
        // Encryption without authentication: never called verified.
        Ok(_) => Ok(met(Channel::Unverified, None)),
        Err(finding) if demand.must_trust() => Err(finding),
        // There is nothing to hold the server against, and the account is content with that.
        Err(finding) if finding.failure == Failure::DaneRequired && demand.trusts_dane() && demand.tlsa == Tlsa::Absent => {
            Ok(met(Channel::Unverified, None))
        }
        Err(finding) => Ok(met(Channel::Unverified, Some(finding))),
    }
}

/// Why a message can't have the promise that it, or its account, wants (RFC 8689 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpromised {
    /// The server does not know REQUIRETLS.
    NotOffered,
    /// There is no TLS, or nobody vouches for the server.
    Unverified,
}

impl Unpromised {
    /// What a report of the failure says (RFC 8689 7, 4.2.1).
    pub fn enhanced(self) -> Enhanced {
        let detail = match self {
            Self::NotOffered => 30,
            Self::Unverified => 10,
        };
        Enhanced { class: 5, subject: 7, detail }
    }

    /// What happened, for a person.
    pub fn because(self) -> &'static str {
        match self {
            Self::NotOffered => "requiretls is asked for, and the server does not offer REQUIRETLS (5.7.30)",
            Self::Unverified => "requiretls is asked for, and the server is not verified (5.7.10)",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotOffered => "name a server that offers it; without requiretls the mail goes on as the server likes",
            Self::Unverified => "make sure that the key is the server's, and let the account trust it",
        }
    }
}

/// Decides whether MAIL says REQUIRETLS, `offered` telling whether the server does, now, under TLS; `bounce` is for mail without a
/// return path (RFC 8689 2, 4.2.1).
///
/// # Errors
/// Why the message may not be said at all: it would go on from the server without the promise.
pub fn may_require_tls(demand: Demand, met: &Met, offered: bool, bounce: bool) -> Result<bool, Unpromised> {
    match (demand.request, met.channel) {
        (Request::Require | Request::Prefer, Channel::Verified) if offered => Ok(true),
        (Request::Nothing | Request::Waive | Request::Prefer, _) => Ok(false),
        // A bounce is not to be lost for want of the promise (RFC 8689 5).
        (Request::Require, Channel::Verified) if bounce => Ok(false),
        (Request::Require, Channel::Verified) => Err(Unpromised::NotOffered),
        (Request::Require, _) => Err(Unpromised::Unverified),
    }
}

/// Where the connection goes, as far as the protection of a secret is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The bytes stay on this machine: a loopback address or a unix socket.
    Local,
    /// Anything else.
    Network,
}

/// What the account says about secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretRule {
    /// `allow_unverified`: a reusable secret may go to a server whose certificate was not verified.
    pub allow_unverified: bool,
    /// The mechanism is named in the configuration (not `auto`).
    pub explicit_mechanism: bool,
}

/// The permission to authenticate, and with which kinds of mechanism. Only [`may_authenticate`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct AuthPermit {
    reusable: bool,
    sealed: bool,
}

impl AuthPermit {
    /// Whether the secret itself may be shown to the server (PLAIN, LOGIN, tokens), rather than only a proof (SCRAM, a Kerberos
    /// ticket).
    pub fn allows_reusable(&self) -> bool {
        self.reusable
    }

    /// Whether the connection is under TLS, so that a client certificate can speak (EXTERNAL).
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }
}

/// Decides whether the account's secret may be used on this connection (sealpost(1), "TLS policy").
///
/// # Errors
/// Why not, for a person.
pub fn may_authenticate(met: &Met, reach: Reach, rule: SecretRule) -> Result<AuthPermit, &'static str> {
    match met.channel {
        Channel::Verified => Ok(AuthPermit { reusable: true, sealed: true }),
        Channel::Unverified => Ok(AuthPermit { reusable: rule.allow_unverified, sealed: true }),
        Channel::Plaintext if reach == Reach::Local && rule.explicit_mechanism && !met.follows_failed_handshake() => {
            Ok(AuthPermit { reusable: true, sealed: false })
        }
        Channel::Plaintext => Err("the connection is not encrypted, and the account has a secret that would have to cross it"),
    }
}

fn clear(demand: Demand, finding: Finding, prior: &Prior) -> Next {
    if demand.must_encrypt() || demand.start == Start::Implicit || refuses_downgrade(demand, prior) {
        return Next::Stop(finding);
    }
    Next::Clear(Met { channel: Channel::Plaintext, finding: Some(finding), downgrade: prior.sealed_before, first_use: false })
}

/// Whether `on_downgrade` forbids plaintext. A handshake that just failed counts as TLS seen before: the server offered
/// it a moment ago, and garbage behind the 220 is the cheapest way to strip it.
fn refuses_downgrade(demand: Demand, prior: &Prior) -> bool {
    demand.on_downgrade == OnDowngrade::Refuse && (prior.sealed_before || prior.failed_handshake.is_some())
}

#[cfg(test)]
mod tests;
