//! What could be better at an account, in one plain sentence each? (RFC 8314, RFC 1870; sealpost.toml(5))

use std::time::Duration;

use jiff::Timestamp;

use super::{
    look::ANSWER,
    say::octets,
    seen::{Contact, Examination, Way, mechanism},
};
use crate::{
    host::{config::Config, probe::Sight, pump::NO_ANSWER},
    mail::{
        policy::{Channel, Policy, Start},
        tls::Failure,
    },
    smtp::sasl::Choice,
};

mod certificate;
mod names;

/// Servers take some 10 to 50 MB.
const SMALL: u64 = 5_000_000;
/// From here on a name service is slow, for each send waits for it.
const SLOW: Duration = Duration::from_secs(1);

/// Everything that is worth saying, what is urgent first.
pub(super) fn of(seen: &Examination<'_>, config: &Config, now: Timestamp) -> Vec<String> {
    let mut advice = Vec::new();
    advice.extend(patience(seen, config));
    advice.extend(seen.warnings.iter().map(|warning| match warning.advice() {
        Some(hint) => format!("{}: {hint}", warning.summary()),
        None => warning.summary(),
    }));
    if let Some(visit) = seen.visit() {
        advice.extend(certificate::of(seen, visit, now));
        advice.extend(plaintext(seen, &visit.sight));
        advice.extend(login(seen, &visit.sight));
        advice.extend(size(&visit.sight, config.limits.message_size));
    }
    advice.extend(seen.ways.iter().filter_map(|way| otherwise(seen, way)));
    advice.extend(names::of(seen));
    if seen.resolved >= SLOW {
        let seconds = seen.resolved.as_secs_f64();
        advice.push(format!("the name service took {seconds:.1} s, and every send waits for it: see /etc/resolv.conf"));
    }
    advice.extend(seen.others().filter_map(|other| elsewhere(seen, other)));
    if seen.verdict.is_err() && !seen.account.fallback.is_empty() {
        advice.push(format!("a send would go on to the fallback: {}", seen.account.fallback.join(", ")));
    }
    advice
}

/// A check gives up earlier than a send may.
fn patience(seen: &Examination<'_>, config: &Config) -> Option<String> {
    let because = seen.verdict.as_ref().err()?.because();
    let timeouts = config.limits.timeouts;
    let longest = [timeouts.greeting, timeouts.command, timeouts.handshake].into_iter().max()?;
    (because.starts_with(NO_ANSWER) && longest > ANSWER).then(|| {
        let (most, given) = (longest.as_secs(), ANSWER.as_secs());
        format!("a send waits for an answer longer than the {given} s of a check, up to {most} s: it may get through, slowly")
    })
}

fn plaintext(seen: &Examination<'_>, sight: &Sight) -> Option<String> {
    let offers = sight.clear.as_ref().is_some_and(|offer| offer.known.starttls);
    match seen.account.tls.demand.policy {
        // Where TLS is gone the memory said so.
        Policy::Opportunistic if seen.warnings.is_empty() && seen.verdict == Ok(Channel::Plaintext) => {
            Some("mail goes to this server in plaintext, for all on the way to read; ask its owner for TLS".to_owned())
        }
        Policy::Required
            if sight.clear.is_some() && !offers && is_news(seen) && seen.account.tls.demand.start == Start::Starttls =>
        {
            Some("if this server offered STARTTLS before, somebody on the way may be taking it out".to_owned())
        }
        _ => None,
    }
}

/// The memory had nothing to say of a server without STARTTLS; else its hint is better.
fn is_news(seen: &Examination<'_>) -> bool {
    let hint = seen.verdict.as_ref().err().and_then(|error| error.advice());
    hint.is_none_or(|hint| hint == Failure::StarttlsNotSupported.advice())
}

fn login(seen: &Examination<'_>, sight: &Sight) -> Option<String> {
    let server = sight.server()?;
    let Some(auth) = &seen.account.auth else {
        let offers = !server.auth.is_empty();
        return offers
            .then(|| "the server offers AUTH, and the account has no [auth]: it may refuse recipients elsewhere".to_owned());
    };
    match (auth.choice, mechanism(sight, auth, Choice::Auto)) {
        (Choice::Only(only), Some(Ok(best))) if best != only && !best.shows_secret() => {
            let (shows, only, best) = (only.shows_secret(), only.name(), best.name());
            Some(if shows {
                format!(
                    "mechanism = \"{only}\" shows the server the password; it offers {best} too, which does not: leave mechanism out"
                )
            } else {
                format!("mechanism = \"{only}\" is weaker than {best}, which the server offers too: leave mechanism out")
            })
        }
        _ if auth.allow_unverified && seen.verdict == Ok(Channel::Verified) => {
            Some("the server is verified: allow_unverified only helps whoever poses as it, leave it out".to_owned())
        }
        _ => None,
    }
}

fn size(sight: &Sight, largest: u64) -> Option<String> {
    let limit = sight.server()?.size?;
    let told = octets(limit);
    if largest != u64::MAX && limit < largest {
        return Some(format!("SIZE {told} is smaller than message_size, {}: larger mails will be refused", octets(largest)));
    }
    (limit < SMALL).then(|| format!("SIZE {told} is little: larger mails will be refused"))
}

/// What another port, or another beginning, would do.
fn otherwise(seen: &Examination<'_>, way: &Way) -> Option<String> {
    let (port, fine) = (way.port, way.problem.is_none());
    if !way.speaks {
        return None;
    }
    if !seen.account.tls.demand.policy.wants_tls() {
        let would = if fine { "\"required\"" } else { "\"opportunistic\"" };
        return Some(format!("policy is \"off\", but the server offers STARTTLS, and it works: policy = {would} would use it"));
    }
    let same = seen.contacts.iter().filter_map(|contact| contact.address).any(|address| address.port() == port);
    match (same, way.start) {
        (true, Start::Implicit) => Some(format!("port {port} speaks TLS from the first byte: set start = \"implicit\"")),
        (true, Start::Starttls) => Some(format!("port {port} begins in plaintext and offers STARTTLS: set start = \"starttls\"")),
        (false, Start::Implicit) if fine && seen.verdict.is_ok() => Some(format!(
            "this server offers {port}, TLS from the first byte: port = {port} saves two round trips, and nobody can strip STARTTLS"
        )),
        (false, Start::Implicit) if fine => {
            Some(format!("this server speaks TLS from the first byte on port {port}: set port = {port}"))
        }
        (false, Start::Starttls) if fine => Some(format!("this server offers STARTTLS on port {port}: set port = {port}")),
        (false, _) => None,
    }
}

/// What is different at another address of the same host.
fn elsewhere(seen: &Examination<'_>, other: &Contact) -> Option<String> {
    let (address, used) = (other.address?, seen.visit()?);
    let Some(visit) = other.visits.last() else {
        let why = other.connected.as_ref().err()?;
        return Some(format!("{address} does not answer ({why}): a send that tries it loses time"));
    };
    if let (Some(problem), Ok(_)) = (&visit.sight.report.problem, &seen.verdict) {
        return Some(format!("a send that meets {address} would fail: {}", problem.because));
    }
    let leaf = |sight: &Sight| sight.tls.as_ref().and_then(|tls| tls.chain.first()).map(|leaf| leaf.sha256.clone());
    let differs = leaf(&used.sight) != leaf(&visit.sight);
    differs.then(|| format!("{address} shows another certificate than the address that was used"))
}
