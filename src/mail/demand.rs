//! What does an account ask of TLS, and what follows from that alone? (sealpost.toml(5), "ACCOUNTS: TLS"; RFC 7672, 8689)

use super::tls::{Failure, Finding};

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
    /// One that takes plaintext where TLS was before for a warning, and asks for nothing beyond this connection.
    pub fn new(policy: Policy, trust: Trust, start: Start) -> Self {
        Self { policy, trust, start, on_downgrade: OnDowngrade::Warn, tlsa: Tlsa::Unasked, request: Request::Nothing }
    }

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
    /// `TLS-Required: No` in its header (RFC 8689 3) sets aside what the other side publishes: TLSA records make nothing mandatory
    /// for it. The account's own policy is this side's and stays, and the field counts for nothing where the account says REQUIRETLS
    /// (RFC 8689 4.1).
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
    pub(super) fn can_verify(self) -> bool {
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
}
