//! Which part of a record tells of TLS? (sealpost(1), "The log")

use serde::Serialize;

use super::text::{Name, Words};
use crate::mail::{
    policy::{Channel, Demand, Met, Request},
    tls::{Facts, Failure, Finding},
};

/// Names of a certificate that are kept: some carry thousands.
const NAMES: usize = 100;

/// What policy made of one connection. `verified` can only be logged with the permission that [`crate::mail::policy`] gave.
#[derive(Clone, Copy, Debug)]
pub enum Protection<'a> {
    /// The policy was met.
    Met(&'a Met),
    /// The policy was not met, or the handshake failed: nothing was sent on this connection.
    Unmet {
        /// Why.
        finding: &'a Finding,
        /// This host offered TLS on an earlier day: a STARTTLS that is missing now was stripped.
        sealed_before: bool,
    },
    /// It never came to a decision: no connection, or no session on it.
    Unreached,
}

/// What the connection itself showed of TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// Whether EHLO offered STARTTLS; `None` where it was never asked (implicit TLS, no connection).
    pub offered: Option<bool>,
    /// The facts of the handshake, also of one whose certificate was refused.
    pub facts: Option<&'a Facts>,
    /// What was asked for the rest of the message's way.
    pub request: Request,
    /// What the memory of servers adds to the detail.
    pub remark: Option<&'a str>,
}

/// The object under `tls`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Tls {
    pub(super) policy: Option<&'static str>,
    pub(super) trust: Option<&'static str>,
    start: Option<&'static str>,
    pub(super) request: Option<&'static str>,
    offered: Option<bool>,
    pub(super) result: &'static str,
    pub(super) version: Option<Name>,
    pub(super) cipher: Option<Name>,
    pub(super) group: Option<Name>,
    resumed: Option<bool>,
    pub(super) failure: Option<&'static str>,
    pub(super) detail: Option<Words>,
    pub(super) downgrade: bool,
    certificate: Option<Certificate>,
    /// What the connection had to meet, for those who put it in other words.
    #[serde(skip)]
    pub(super) demand: Option<Demand>,
}

#[derive(Clone, Debug, Serialize)]
struct Certificate {
    subject: Words,
    issuer: Words,
    names: Vec<Name>,
    not_before: Option<Name>,
    not_after: Option<Name>,
    sha256: Name,
    spki_sha256: Name,
}

impl Tls {
    pub(super) fn new(demand: Option<Demand>, seen: Seen<'_>, protection: Protection<'_>) -> Self {
        let facts = seen.facts;
        let name = |of: fn(&Facts) -> &Option<String>| facts.and_then(|f| of(f).as_deref()).map(Name::new);
        let finding = finding(protection);
        Self {
            policy: demand.map(|d| d.policy.as_str()),
            trust: demand.map(|d| d.trust.as_str()),
            start: demand.map(|d| d.start.as_str()),
            request: seen.request.as_str(),
            offered: seen.offered,
            result: result(protection),
            version: name(|f| &f.version),
            cipher: name(|f| &f.cipher),
            group: name(|f| &f.group),
            resumed: facts.and_then(|f| f.resumed),
            failure: finding.map(|f| f.failure.as_str()),
            detail: detail(protection, seen.remark),
            downgrade: downgrade(protection),
            certificate: facts.and_then(|f| f.certificate.as_ref()).map(Certificate::new),
            demand,
        }
    }
}

impl Certificate {
    fn new(seen: &crate::mail::tls::Certificate) -> Self {
        let date = |text: &str| (!text.is_empty()).then(|| Name::new(text));
        let mut names: Vec<_> = seen.names.iter().take(NAMES).map(|n| Name::new(n)).collect();
        if seen.names.len() > NAMES {
            names.push(Name::new("…"));
        }
        Self {
            subject: Words::new(&seen.subject),
            issuer: Words::new(&seen.issuer),
            names,
            not_before: date(&seen.not_before),
            not_after: date(&seen.not_after),
            sha256: Name::new(&seen.sha256),
            spki_sha256: Name::new(&seen.spki_sha256),
        }
    }
}

fn result(protection: Protection<'_>) -> &'static str {
    match protection {
        Protection::Met(met) => match met.channel() {
            Channel::Verified => "verified",
            Channel::Unverified => "unverified",
            Channel::Plaintext => "plaintext",
        },
        Protection::Unmet { .. } | Protection::Unreached => "none",
    }
}

fn finding(protection: Protection<'_>) -> Option<&Finding> {
    match protection {
        Protection::Met(met) => met.finding(),
        Protection::Unmet { finding, .. } => Some(finding),
        Protection::Unreached => None,
    }
}

fn detail(protection: Protection<'_>, remark: Option<&str>) -> Option<Words> {
    let detail = match (protection, finding(protection)) {
        (_, Some(finding)) => Some(finding.detail.as_str()),
        (Protection::Met(met), None) if met.first_use() => Some("the server's key is met for the first time"),
        (_, None) => None,
    };
    match (detail, remark) {
        (Some(detail), Some(remark)) => Some(Words::new(&format!("{detail}; {remark}"))),
        (detail, remark) => detail.or(remark).map(Words::new),
    }
}

/// A certificate that is refused on a host that had TLS before is no downgrade; a missing STARTTLS is.
fn downgrade(protection: Protection<'_>) -> bool {
    match protection {
        Protection::Met(met) => met.downgrade(),
        Protection::Unmet { finding, sealed_before } => sealed_before && finding.failure == Failure::StarttlsNotSupported,
        Protection::Unreached => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{
        policy::{Policy, Prior, Start, Trust, after_ehlo, judge},
        tls::Standing,
    };

    fn demand(policy: Policy, trust: Trust) -> Demand {
        Demand::new(policy, trust, Start::Starttls)
    }

    #[test]
    fn the_result_is_what_the_policy_said() {
        let expired = || Finding::new(Failure::CertificateExpired, "expired in May");
        let table = [
            (judge(demand(Policy::Required, Trust::System), Ok(Standing::Proven)), "verified", None),
            (judge(demand(Policy::Required, Trust::Any), Ok(Standing::Unchecked)), "unverified", None),
            (judge(demand(Policy::Opportunistic, Trust::System), Err(expired())), "unverified", Some("certificate-expired")),
            (judge(demand(Policy::Required, Trust::System), Err(expired())), "none", Some("certificate-expired")),
        ];
        for (judged, result, failure) in table {
            let protection = match &judged {
                Ok(met) => Protection::Met(met),
                Err(finding) => Protection::Unmet { finding, sealed_before: true },
            };
            let tls = Tls::new(None, Seen::default(), protection);
            assert_eq!((tls.result, tls.failure, tls.downgrade), (result, failure, false));
        }
    }

    #[test]
    fn a_stripped_starttls_is_a_downgrade_whether_it_was_sent_or_not() {
        use crate::mail::policy::Next;
        let prior = Prior { sealed_before: true, failed_handshake: None };
        let Next::Clear(met) = after_ehlo(demand(Policy::Opportunistic, Trust::System), false, &prior) else { panic!("plaintext") };
        let sent = Tls::new(None, Seen { offered: Some(false), ..Seen::default() }, Protection::Met(&met));
        assert_eq!((sent.result, sent.failure, sent.downgrade), ("plaintext", Some("starttls-not-supported"), true));
        let Next::Stop(finding) = after_ehlo(demand(Policy::Required, Trust::System), false, &prior) else { panic!("refused") };
        for sealed_before in [true, false] {
            let stopped = Tls::new(None, Seen::default(), Protection::Unmet { finding: &finding, sealed_before });
            assert_eq!((stopped.result, stopped.downgrade), ("none", sealed_before));
        }
    }

    #[test]
    fn a_certificate_with_thousands_of_names_is_cut_visibly() {
        let many = crate::mail::tls::Certificate { names: vec!["a.example".into(); 5000], ..Default::default() };
        let kept = Certificate::new(&many).names;
        assert_eq!((kept.len(), kept.last().map(Name::as_str)), (101, Some("…")));
    }
}
