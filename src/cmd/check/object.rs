//! How is a check told to a script? (RFC 8259; the keys of TLS and certificates are those of the log)
//!
//! Every key is there in every answer, null where nothing is known; sealpost(1) lists them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Checked,
    opinions::Opinion,
    records::Records,
    say::pin,
    seen::{Contact, Examination, Visit, Way},
};
use crate::{
    error::Error,
    host::{
        config::Protocol,
        dns::{Dane, Security, Service, Trouble},
        probe::{Offer, Seal},
    },
    mail::{
        policy::{Channel, Request},
        tls::{Certificate, Standing},
    },
    smtp::{
        sasl::{Kind, Mechanism},
        tlsa::Record,
    },
};

/// Everything about one account.
pub(super) fn of(checked: &Checked<'_>) -> Value {
    let seen = &checked.seen;
    let account = &seen.account;
    let demand = account.tls.demand;
    let error = seen.verdict.as_ref().err();
    let addresses = seen.contacts.iter().enumerate().map(|(index, contact)| address(contact, seen.used == Some(index)));
    json!({
        "account": account.name,
        "target": seen.wanted.target.to_string(),
        "server": account.target.to_string(),
        "protocol": if account.protocol == Protocol::Lmtp { "lmtp" } else { "smtp" },
        "policy": demand.policy.as_str(),
        "trust": demand.trust.as_str(),
        "start": demand.start.as_str(),
        "backend": account.tls.backend.as_str(),
        "requiretls": demand.request == Request::Require,
        "sender": seen.sender.as_ref().ok().map(ToString::to_string),
        "would_send": error.is_none(),
        "exit": error.map_or(0, |error| error.exit().code()),
        "result": result(seen),
        "error": error.map(Error::summary),
        "hint": error.and_then(Error::advice),
        "resolved_ms": milliseconds(seen.resolved),
        "addresses": addresses.collect::<Vec<_>>(),
        "dns": seen.records.as_ref().ok().map(dns),
        "login": login(seen),
        "ways": seen.ways.iter().map(way).collect::<Vec<_>>(),
        "advice": checked.advice,
        "test_mail": checked.mail.as_ref().map(|posted| json!({
            "to": posted.to,
            "sent": posted.error.is_none(),
            "exit": posted.exit.code(),
            "reply": posted.reply,
            "error": posted.error.as_ref().map(Error::summary),
            "hint": posted.error.as_ref().and_then(Error::advice),
            "warnings": posted.warnings.iter().map(Error::summary).collect::<Vec<_>>(),
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
        "sessions": contact.visits.iter().map(session).collect::<Vec<_>>(),
    })
}

fn session(Visit { sight, opinions, hides_chain }: &Visit) -> Value {
    let report = &sight.report;
    let steps = sight.steps.iter().map(|(step, took)| json!({"step": step, "ms": milliseconds(*took)}));
    json!({
        "greeting": sight.greeting,
        "steps": steps.collect::<Vec<_>>(),
        "before_tls": sight.clear.as_ref().map(capabilities),
        "under_tls": sight.sealed.as_ref().map(capabilities),
        "tls": sight.tls.as_ref().map(|seal| tls(seal, opinions, *hides_chain)),
        "failure": report.finding.as_ref().map(|finding| finding.failure.as_str()),
        "detail": report.finding.as_ref().map(|finding| finding.detail.as_str()),
        "problem": report.problem.as_ref().map(|problem| problem.because.as_str()),
        "auth": report.auth.map(Mechanism::name),
    })
}

fn capabilities(Offer { known, lines }: &Offer) -> Value {
    json!({
        "starttls": known.starttls,
        "pipelining": known.pipelining,
        "chunking": known.chunking,
        "8bitmime": known.eight_bit,
        "smtputf8": known.smtputf8,
        "dsn": known.dsn,
        "requiretls": known.requiretls,
        "size": known.size,
        "auth": known.auth,
        "lines": lines,
    })
}

fn tls(seal: &Seal, opinions: &[Opinion], hides_chain: bool) -> Value {
    let trust: Map<String, Value> = opinions.iter().map(|one| (one.name.to_owned(), opinion(one))).collect();
    json!({
        "version": seal.facts.version,
        "cipher": seal.facts.cipher,
        "group": seal.facts.group,
        "chain": seal.chain.iter().map(certificate).collect::<Vec<_>>(),
        "chain_is_whole": !hides_chain,
        "trust": trust,
        "pins": seal.chain.first().map(|leaf| json!({"key": pin(&leaf.spki_sha256), "certificate": pin(&leaf.sha256)})),
    })
}

/// A yes without a proof is none.
fn opinion(opinion: &Opinion) -> Value {
    let standing = opinion.says.as_ref().ok().and_then(|verdict| verdict.as_ref().ok());
    let finding = opinion.says.as_ref().ok().and_then(|verdict| verdict.as_ref().err());
    let detail = finding.map(|finding| finding.detail.as_str()).or(opinion.says.as_ref().err().map(String::as_str));
    json!({
        "trusted": opinion.says.as_ref().ok().map(|verdict| *verdict == Ok(Standing::Proven)),
        "first_use": standing.map(|standing| *standing == Standing::FirstUse),
        "failure": finding.map(|finding| finding.failure.as_str()),
        "detail": detail,
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

fn dns(records: &Records) -> Value {
    let domain = records.submission.as_ref().map(|(domain, _)| domain);
    let services = records.submission.as_ref().map(|(_, services)| services);
    let trouble = |trouble: &Trouble| trouble.words.clone();
    json!({
        "tlsa": records.dane.as_ref().ok().map(dane),
        "tlsa_error": records.dane.as_ref().err().map(trouble),
        "srv_domain": domain,
        "srv": services.and_then(|services| services.as_ref().ok()).map(|services| services.iter().map(service).collect::<Vec<_>>()),
        "srv_error": services.and_then(|services| services.as_ref().err()).map(trouble),
    })
}

fn dane(dane: &Dane) -> Value {
    let finding = dane.outcome.as_ref().err();
    let record = |record: &Record| json!({"record": record.to_string(), "usable": record.unusable().is_none()});
    json!({
        "asked": dane.asked,
        "secure": dane.security.map(|security| security == Security::Secure),
        "base": dane.base,
        "records": dane.records.iter().map(record).collect::<Vec<_>>(),
        "failure": finding.map(|finding| finding.failure.as_str()),
        "detail": finding.map_or(dane.words.as_str(), |finding| finding.detail.as_str()),
    })
}

fn service(service: &Service) -> Value {
    let offer = |offer: &crate::host::dns::Offer| json!({"host": offer.host, "port": offer.port, "priority": offer.priority, "weight": offer.weight});
    json!({
        "name": service.name,
        "secure": service.security == Security::Secure,
        "declined": service.declined,
        "offers": service.offers.iter().map(offer).collect::<Vec<_>>(),
    })
}

/// The secret itself is nowhere near: of it there is whether it can be had.
fn login(seen: &Examination<'_>) -> Value {
    let (Some(auth), Some(login)) = (&seen.account.auth, seen.login()) else { return Value::Null };
    let secret = seen.secret.as_ref().and_then(|secret| secret.as_ref().err());
    let holder = seen.secret.as_ref().and_then(|secret| secret.as_ref().ok()?.as_ref());
    json!({
        "user": auth.user,
        "secret": (auth.source.kind() != Kind::Nothing).then_some(secret.is_none()),
        "secret_error": secret.map(Error::summary),
        "principal": holder.map(|holder| &holder.principal),
        "mechanism": login.mechanism.as_ref().and_then(|chosen| chosen.as_ref().ok()).map(|mechanism| mechanism.name()),
        "mechanism_error": login.mechanism.as_ref().and_then(|chosen| chosen.as_ref().err()),
        "accepted": login.accepted,
    })
}

fn way(way: &Way) -> Value {
    json!({"port": way.port, "start": way.start.as_str(), "tls": way.speaks, "error": way.problem})
}

/// To a hundredth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
