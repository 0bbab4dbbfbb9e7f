//! How is a check told to a script? (RFC 8259; the keys of TLS and certificates are those of the log)

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    examine::{Contact, Examination},
    mail::Sent,
};
use crate::{
    error::Error,
    host::probe::{Seal, Sight},
    mail::{
        policy::Channel,
        tls::{Certificate, Verdict},
    },
    smtp::reply::Capabilities,
};

/// Everything about one account.
pub(super) fn of(seen: &Examination<'_>, advice: &[String], mail: Option<&Sent>) -> Value {
    let account = seen.account;
    let demand = account.tls.demand;
    let error = seen.verdict.as_ref().err();
    let addresses = seen.contacts.iter().enumerate().map(|(index, contact)| address(contact, seen.used == Some(index)));
    json!({
        "account": account.name,
        "target": account.target.to_string(),
        "policy": demand.policy.as_str(),
        "trust": demand.trust.as_str(),
        "start": demand.start.as_str(),
        "would_send": error.is_none(),
        "exit": error.map_or(0, |error| error.exit().code()),
        "result": result(seen),
        "error": error.map(Error::summary),
        "hint": error.and_then(Error::advice),
        "resolved_ms": milliseconds(seen.resolved),
        "addresses": addresses.collect::<Vec<_>>(),
        "login": login(seen),
        "implicit_tls_on_465": seen.implicit_too,
        "advice": advice,
        "test_mail": mail.map(|sent| json!({
            "to": sent.to,
            "sent": sent.error.is_none(),
            "exit": sent.exit.code(),
            "reply": sent.reply,
            "error": sent.error.as_ref().map(Error::summary),
            "hint": sent.error.as_ref().and_then(Error::advice),
        })),
    })
}

fn result(seen: &Examination<'_>) -> &'static str {
    match seen.verdict {
        Ok(Channel::Verified) => "verified",
        Ok(Channel::Unverified) => "unverified",
        Ok(Channel::Plaintext) => "plaintext",
        Err(_) => "none",
    }
}

fn address(contact: &Contact, used: bool) -> Value {
    json!({
        "address": contact.address.map(|address| address.ip().to_string()),
        "port": contact.address.map(|address| address.port()),
        "used": used,
        "connected_ms": contact.connected.as_ref().ok().map(|took| milliseconds(*took)),
        "error": contact.connected.as_ref().err(),
        "sessions": contact.sights.iter().map(session).collect::<Vec<_>>(),
    })
}

fn session(sight: &Sight) -> Value {
    let steps = sight.steps.iter().map(|(step, took)| json!({"step": step, "ms": milliseconds(*took)}));
    json!({
        "steps": steps.collect::<Vec<_>>(),
        "before_tls": sight.clear.as_ref().map(capabilities),
        "under_tls": sight.sealed.as_ref().map(capabilities),
        "tls": sight.tls.as_ref().map(tls),
        "failure": sight.report.finding.as_ref().map(|finding| finding.failure.as_str()),
        "detail": sight.report.finding.as_ref().map(|finding| finding.detail.as_str()),
        "problem": sight.report.problem.as_ref().map(|problem| problem.because.as_str()),
        "auth": sight.report.auth.map(crate::smtp::sasl::Mechanism::name),
    })
}

fn capabilities(server: &Capabilities) -> Value {
    json!({
        "starttls": server.starttls,
        "pipelining": server.pipelining,
        "chunking": server.chunking,
        "8bitmime": server.eight_bit,
        "smtputf8": server.smtputf8,
        "dsn": server.dsn,
        "requiretls": server.requiretls,
        "size": server.size,
        "auth": server.auth,
    })
}

fn tls(seal: &Seal) -> Value {
    let mut trust: Map<String, Value> =
        seal.opinions.iter().map(|(name, verdict)| ((*name).to_owned(), opinion(verdict))).collect();
    trust.insert("account".to_owned(), opinion(&seal.verdict));
    json!({
        "version": seal.facts.version,
        "cipher": seal.facts.cipher,
        "group": seal.facts.group,
        "chain": seal.chain.iter().map(certificate).collect::<Vec<_>>(),
        "trust": trust,
        "pins": seal.chain.first().map(|leaf| json!({
            "key": format!("sha256:{}", leaf.spki_sha256),
            "certificate": format!("sha256:{}", leaf.sha256),
        })),
    })
}

fn opinion(verdict: &Verdict) -> Value {
    let finding = verdict.as_ref().err();
    json!({
        "trusted": finding.is_none(),
        "failure": finding.map(|finding| finding.failure.as_str()),
        "detail": finding.map(|finding| finding.detail.as_str()),
    })
}

fn certificate(shown: &Certificate) -> Value {
    json!({
        "subject": shown.subject,
        "issuer": shown.issuer,
        "names": shown.names,
        "not_before": shown.not_before,
        "not_after": shown.not_after,
        "sha256": shown.sha256,
        "spki_sha256": shown.spki_sha256,
    })
}

/// The secret itself is nowhere near: of it there is whether it can be had.
fn login(seen: &Examination<'_>) -> Value {
    let (Some(auth), Some(login)) = (&seen.account.auth, seen.login()) else { return Value::Null };
    let secret = seen.secret.as_ref().and_then(|secret| secret.as_ref().err());
    json!({
        "user": auth.user,
        "secret": secret.is_none(),
        "secret_error": secret.map(Error::summary),
        "mechanism": login.mechanism.as_ref().and_then(|chosen| chosen.as_ref().ok()).map(|mechanism| mechanism.name()),
        "mechanism_error": login.mechanism.as_ref().and_then(|chosen| chosen.as_ref().err()),
        "accepted": login.accepted,
    })
}

/// To a hundredth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
