//! Must TLS be, who is believed, and may we go on? (sealpost(1), "TLS policy"; RFC 3207, 7435, 8314)
//!
//! The one place that decides. [`after_ehlo`] says what follows the server's capabilities, [`judge`] weighs a handshake, and
//! only this file can make the two permissions: [`Met`], without which no MAIL is said, and [`AuthPermit`], without which no
//! secret is used.

use super::{
    outcome::Enhanced,
    tls::{Failure, Finding, Standing, Verdict},
};

/// Whether TLS must be (ordered from careless to strict; ask the predicates, never compare).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// No TLS, even where it is offered.
    Off,
    /// TLS where the server can; what trust would have said is recorded.
    Opportunistic,
    /// TLS with a trusted peer, or nothing is sent.
    Required,
}

impl Policy {
    /// The word in the configuration and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
        }
    }

    /// Whether a message may only leave under TLS.
    pub fn must_encrypt(self) -> bool {
        self == Self::Required
    }

    /// Whether a peer that is not trusted ends the attempt.
    pub fn must_trust(self) -> bool {
        self == Self::Required
    }

    /// Whether STARTTLS is asked for when it is offered.
    pub fn wants_tls(self) -> bool {
        self != Self::Off
    }
}

/// Who is believed to be the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// A chain to a certification authority, and the name.
    System,
    /// A configured digest of the certificate or its key.
    Pin,
    /// The key that was seen first.
    Tofu,
    /// TLSA records under DNSSEC (RFC 7672).
    Dane,
    /// Anybody: encryption without a check.
    Any,
}

impl Trust {
    /// The word in the configuration and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Pin => "pin",
            Self::Tofu => "tofu",
            Self::Dane => "dane",
            Self::Any => "any",
        }
    }
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// After EHLO, by STARTTLS (RFC 3207).
    Starttls,
    /// Before the greeting (RFC 8314, "implicit TLS").
    Implicit,
}

impl Start {
    /// The word in the configuration and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// What to do about a host that offered STARTTLS before and no longer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnDowngrade {
    /// Record it and go on.
    Warn,
    /// Send nothing.
    Refuse,
}

/// What DNSSEC says of the TLSA records of a host (RFC 7672 2.2), for accounts with `trust = "dane"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tlsa {
    /// Nobody asked yet, or the account trusts in another way.
    Unasked,
    /// There are records that can be matched: they make TLS and a match mandatory.
    Usable,
    /// There are records, and none that we understand: TLS is mandatory, and nobody can be authenticated.
    Unusable,
    /// There are none, or the zone is not signed.
    Absent,
}

/// What is asked of TLS for the whole way of a message, beyond the connection to the smarthost (RFC 8689).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Request {
    /// Nothing.
    #[default]
    Nothing,
    /// `REQUIRETLS`: whoever passes the message on does so under TLS to a verified server, or not at all. Of the account, or of MAIL.
    Require,
    /// `REQUIRETLS` where it is to be had: of a report on a message that had it, which is better read without than lost (RFC 8689 5).
    Prefer,
    /// `TLS-Required: No`: better in plaintext than not at all. Of the message.
    Waive,
}

impl Request {
    /// The words in the log.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Require | Self::Prefer => Some("requiretls"),
            Self::Waive => Some("tls-required-no"),
        }
    }
}

/// What an account asks of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Whether TLS must be.
    pub policy: Policy,
    /// Who is believed.
    pub trust: Trust,
    /// When TLS begins.
    pub start: Start,
    /// What a stripped STARTTLS means.
    pub on_downgrade: OnDowngrade,
    /// What DNSSEC says, where `trust` is `dane`; see [`Demand::informed`].
    pub tlsa: Tlsa,
    /// What is asked for the rest of the way; see [`Demand::of_message`].
    pub request: Request,
}

impl Demand {
    /// Whether a message may only leave under TLS: TLSA records make opportunistic TLS mandatory (RFC 7672 2.2).
    pub fn must_encrypt(self) -> bool {
        self.policy.must_encrypt() || (self.obeys_dane() && self.tlsa != Tlsa::Absent)
    }

    /// Whether a peer that is not trusted ends the attempt.
    pub fn must_trust(self) -> bool {
        // Before anybody asked, the strictest answer is assumed.
        self.policy.must_trust() || (self.obeys_dane() && matches!(self.tlsa, Tlsa::Usable | Tlsa::Unasked))
    }

    /// The demand for a message that asks for this.
    ///
    /// `TLS-Required: No` in its header (RFC 8689 3) sets aside what the other side publishes: TLSA records make nothing mandatory for it. The account's own policy is this
    /// side's and stays, and the field counts for nothing where the account says REQUIRETLS (RFC 8689 4.1).
    #[must_use]
    pub fn of_message(self, asked: Request) -> Self {
        let request = if self.request == Request::Nothing { asked } else { self.request };
        Self { request, ..self }
    }

    /// Whether a connection may ever meet what REQUIRETLS takes: TLS, and a server that is verified.
    pub fn can_promise(self) -> bool {
        self.policy.wants_tls() && self.trust != Trust::Any
    }

    /// Whether what DNSSEC says of the server, or that it can't be asked, may keep a message from being sent.
    pub fn obeys_dane(self) -> bool {
        self.trusts_dane() && self.request != Request::Waive
    }

    /// The demand on a connection to a host of which DNSSEC says `tlsa`.
    ///
    /// # Errors
    /// `dane-required`, where the policy is `required` and there is no record that could be matched: no connection is needed to know
    /// that nothing may be sent.
    pub fn informed(self, tlsa: Tlsa) -> Result<Self, Finding> {
        if self.trusts_dane() && self.policy.must_trust() {
            match tlsa {
                Tlsa::Absent => return Err(Finding::new(Failure::DaneRequired, "DNSSEC says that there are no TLSA records")),
                Tlsa::Unusable => {
                    return Err(Finding::new(Failure::TlsaInvalid, "there are TLSA records, but none of a usable kind"));
                }
                Tlsa::Unasked | Tlsa::Usable => {}
            }
        }
        Ok(Self { tlsa, ..self })
    }

    /// Whether there is anything to hold a peer against: without, nobody is called verified, whatever was said of it.
    fn can_verify(self) -> bool {
        self.trust != Trust::Any && !(self.trusts_dane() && matches!(self.tlsa, Tlsa::Absent | Tlsa::Unusable))
    }

    /// Whether DNSSEC is to be asked for TLSA records before the connection.
    pub fn trusts_dane(self) -> bool {
        self.policy.wants_tls() && self.trust == Trust::Dane
    }

    /// Whether the key that was seen first is to be known before the connection, and remembered after it.
    pub fn trusts_first_use(self) -> bool {
        self.policy.wants_tls() && self.trust == Trust::Tofu
    }

    /// Whether what the server showed before is to be known before the connection: a key, or TLS that plaintext could take the
    /// place of.
    pub fn minds_the_past(self) -> bool {
        let may_go_clear = self.policy == Policy::Opportunistic && self.start == Start::Starttls;
        self.trusts_first_use() || may_go_clear
    }

    /// Whether `on_downgrade` forbids plaintext. A handshake that just failed counts as TLS seen before: the server offered
    /// it a moment ago, and garbage behind the 220 is the cheapest way to strip it.
    fn refuses_downgrade(self, prior: &Prior) -> bool {
        self.on_downgrade == OnDowngrade::Refuse && (prior.sealed_before || prior.failed_handshake.is_some())
    }
}

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
    if demand.must_encrypt() || demand.start == Start::Implicit || demand.refuses_downgrade(prior) {
        return Next::Stop(finding);
    }
    Next::Clear(Met { channel: Channel::Plaintext, finding: Some(finding), downgrade: prior.sealed_before, first_use: false })
}

#[cfg(test)]
mod tests;
