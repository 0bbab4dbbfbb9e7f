//! What does the contract promise of each TLS situation? (written from its words, not from the code that keeps it)
//!
//! `policy` says whether TLS must be, `trust` who is believed; `required` enforces trust, `opportunistic` records what trust would
//! have said and goes on. What a cell of [`TABLE`] holds is changed by four things only: the start, `on_downgrade`, what is
//! remembered, and whether a secret would have to be shown.

use sealpost::mail::{
    policy::{OnDowngrade, Policy, Reach, Start, Tlsa, Trust},
    tls::{Failure, Standing},
};

/// Everything that the outcome may depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) start: Start,
    pub(crate) on_downgrade: OnDowngrade,
    /// What DNSSEC says, where somebody asks.
    pub(crate) tlsa: Tlsa,
    /// The message says `TLS-Required: No`.
    pub(crate) waived: bool,
    /// This host had TLS on an earlier day.
    pub(crate) sealed_before: bool,
    pub(crate) server: Server,
    pub(crate) login: Login,
    pub(crate) reach: Reach,
}

/// What the server does about TLS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Server {
    /// STARTTLS is not among its keywords.
    Silent,
    /// It knows no EHLO.
    Ancient,
    /// It offers STARTTLS and answers it with something else than 220.
    Refuses,
    /// More plaintext follows the 220.
    Injects,
    /// The handshake fails.
    Breaks,
    /// The handshake fails when the client believes to be through.
    BreaksLate,
    /// The handshake is done, and the account's trust has nothing against the peer.
    Known(Standing),
    /// The handshake is done, and this is what is wrong with the peer.
    Bad(Failure),
}

/// Who logs in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Login {
    Nobody,
    /// By PLAIN, which shows the password.
    Plain,
    /// By PLAIN, with `allow_unverified`.
    PlainToAnybody,
    /// By SCRAM, which does not.
    Scram,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// `sent`, `deferred`, `failed`.
    pub(crate) status: &'static str,
    /// The channel on which the message went.
    pub(crate) result: &'static str,
    pub(crate) failure: Option<Failure>,
    pub(crate) downgrade: bool,
    /// What the server hears, connection by connection: the verbs up to MAIL, those under TLS in capitals.
    pub(crate) said: Vec<&'static str>,
}

/// How one cell of the contract's table ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Plaintext, because nobody asks for more.
    Plain,
    /// Plaintext on this connection, with the reason noted.
    Noted,
    /// Plaintext on a new connection, with the reason noted.
    Anew,
    /// TLS, the peer not authenticated.
    Unverified,
    /// TLS with an authenticated peer.
    Verified,
    /// Nothing is sent.
    No,
}

use End::{Anew, No, Noted, Plain, Unverified, Verified};

/// What DNSSEC makes of the three policies: usable TLSA records are as `required`, unusable ones want encryption alone (RFC 7672 2.2).
const COLUMNS: [&str; 4] = ["off", "opportunistic", "encrypt", "required"];

#[rustfmt::skip]
const TABLE: [(&str, [End; 4]); 7] = [
    //                                 off    opportunistic  encrypt     required
    ("STARTTLS is not offered",       [Plain, Noted,         No,         No]),
    ("offered, then refused",         [Plain, Noted,         No,         No]),
    ("bytes behind the 220",          [Plain, No,            No,         No]),
    ("the handshake fails",           [Plain, Anew,          No,         No]),
    ("the peer is not trusted",       [Plain, Unverified,    Unverified, No]),
    ("nobody vouches for the peer",   [Plain, Unverified,    Unverified, Unverified]),
    ("the peer is trusted",           [Plain, Verified,      Verified,   Verified]),
];

impl Situation {
    /// What must come of it.
    pub(crate) fn promise(self) -> Outcome {
        let column = match self.column() {
            Ok(column) => column,
            Err(failure) => return self.nothing(failure, vec![]),
        };
        let (row, failure) = self.row();
        let cell = TABLE.iter().find(|(name, _)| *name == row).unwrap().1[COLUMNS.iter().position(|c| *c == column).unwrap()];
        let end = if self.forbids_plaintext(cell) { No } else { cell };
        self.ended(end, failure)
    }

    /// Which column of the table holds, or why no connection is made at all.
    fn column(self) -> Result<&'static str, Failure> {
        let asks_dns = self.trust == Trust::Dane && self.policy != Policy::Off;
        match (self.policy, self.tlsa) {
            (Policy::Off, _) => Ok("off"),
            (Policy::Required, Tlsa::Absent) if asks_dns => Err(Failure::DaneRequired),
            (Policy::Required, Tlsa::Unusable) if asks_dns => Err(Failure::TlsaInvalid),
            (Policy::Required, _) => Ok("required"),
            // RFC 8689 3: what the other side publishes is set aside.
            (Policy::Opportunistic, _) if self.waived => Ok("opportunistic"),
            (Policy::Opportunistic, Tlsa::Usable | Tlsa::Unasked) if asks_dns => Ok("required"),
            (Policy::Opportunistic, Tlsa::Unusable) if asks_dns => Ok("encrypt"),
            (Policy::Opportunistic, _) => Ok("opportunistic"),
        }
    }

    fn row(self) -> (&'static str, Option<Failure>) {
        match self.server {
            Server::Silent | Server::Ancient => ("STARTTLS is not offered", Some(Failure::StarttlsNotSupported)),
            Server::Refuses => ("offered, then refused", Some(Failure::StarttlsNotSupported)),
            Server::Injects => ("bytes behind the 220", Some(Failure::ValidationFailure)),
            Server::Breaks | Server::BreaksLate => ("the handshake fails", Some(Failure::ValidationFailure)),
            // Without TLSA records there is nobody whom the peer could fail to be.
            Server::Bad(_) if self.has_tlsa(Tlsa::Absent) => ("nobody vouches for the peer", None),
            Server::Bad(failure) => ("the peer is not trusted", Some(failure)),
            // Who trusts anybody has verified nobody, nor has who has no records to go by.
            Server::Known(Standing::Proven) if self.trust != Trust::Any && !self.is_without_records() => {
                ("the peer is trusted", None)
            }
            Server::Known(_) => ("nobody vouches for the peer", None),
        }
    }

    fn is_without_records(self) -> bool {
        self.has_tlsa(Tlsa::Absent) || self.has_tlsa(Tlsa::Unusable)
    }

    fn has_tlsa(self, tlsa: Tlsa) -> bool {
        self.trust == Trust::Dane && self.tlsa == tlsa
    }

    /// Whether there is no plaintext to go on in: on a port of implicit TLS, or by `on_downgrade = "refuse"` where TLS was there before,
    /// be it a moment ago.
    fn forbids_plaintext(self, cell: End) -> bool {
        let refuses = self.on_downgrade == OnDowngrade::Refuse;
        match cell {
            Anew => refuses || self.start == Start::Implicit,
            Noted => (refuses && self.sealed_before) || self.start == Start::Implicit,
            _ => false,
        }
    }

    fn ended(self, end: End, failure: Option<Failure>) -> Outcome {
        let mut said = self.until(end);
        let result = match end {
            No => return self.nothing(failure.unwrap(), said),
            Plain | Noted | Anew => "plaintext",
            Unverified => "unverified",
            Verified => "verified",
        };
        let failure = if end == Plain { None } else { failure };
        let downgrade = self.sealed_before && matches!(end, Noted | Anew);
        let sealed = matches!(end, Unverified | Verified);
        let (login, status) = self.login_on(end);
        said.extend(login.map(|verb| if sealed { verb } else { lower(verb) }));
        if status == "sent" {
            said.push(if sealed { "MAIL" } else { "mail" });
            return Outcome { status, result, failure, downgrade, said };
        }
        said.push(if sealed { "QUIT" } else { "quit" });
        let downgrade = self.sealed_before && failure == Some(Failure::StarttlsNotSupported);
        Outcome { status, result: "none", failure, downgrade, said }
    }

    /// What is said before the login, or before the client leaves.
    fn until(self, end: End) -> Vec<&'static str> {
        if end == Plain {
            return if self.server == Server::Ancient { vec!["ehlo", "helo"] } else { vec!["ehlo"] };
        }
        let mut said = match (self.start, self.server) {
            (Start::Implicit, _) => vec![],
            (Start::Starttls, Server::Silent) => vec!["ehlo"],
            // HELO can't bring TLS: where it must be, nobody asks.
            (Start::Starttls, Server::Ancient) if end == No => vec!["ehlo"],
            (Start::Starttls, Server::Ancient) => vec!["ehlo", "helo"],
            (Start::Starttls, _) => vec!["ehlo", "starttls"],
        };
        match (self.server, end) {
            (Server::Silent | Server::Ancient | Server::Refuses, No) => said.push("quit"),
            (Server::BreaksLate, _) if self.start == Start::Starttls => said.push("EHLO"),
            _ => {}
        }
        match end {
            Anew => said.extend(["/", "ehlo"]),
            Unverified | Verified => said.push("EHLO"),
            _ => {}
        }
        said
    }

    /// AUTH, where it is said, and what becomes of the message. A password goes out only under TLS with a verified peer, unless
    /// `allow_unverified`; in plaintext never, this machine and a named mechanism excepted, and not in place of a broken handshake.
    fn login_on(self, end: End) -> (Option<&'static str>, &'static str) {
        let permitted = match (self.login, end) {
            (Login::Nobody, _) => return (None, "sent"),
            (_, Verified) => true,
            (login, Unverified) => login != Login::Plain,
            (_, Plain | Noted) => self.reach == Reach::Local,
            (_, Anew | No) => false,
        };
        match (permitted, self.server) {
            (false, _) => (None, "deferred"),
            // Without EHLO there is no AUTH, and mail of an account that logs in never goes without.
            (true, Server::Ancient) => (None, "failed"),
            (true, _) => (Some("AUTH"), "sent"),
        }
    }

    fn nothing(self, failure: Failure, said: Vec<&'static str>) -> Outcome {
        let downgrade = self.sealed_before && failure == Failure::StarttlsNotSupported;
        Outcome { status: "deferred", result: "none", failure: Some(failure), downgrade, said }
    }
}

fn lower(verb: &'static str) -> &'static str {
    if verb == "AUTH" { "auth" } else { verb }
}
