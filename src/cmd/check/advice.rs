//! What could be better at an account, in one plain sentence each? (RFC 8314, RFC 1870; sealpost.toml(5))

use jiff::Timestamp;

use super::examine::{Contact, Examination};
use crate::{
    host::{
        config::Config,
        probe::{Seal, Sight},
    },
    mail::{
        policy::{Channel, Policy, Start, Trust},
        tls::Standing,
    },
    smtp::sasl::{Choice, Mechanism},
};

/// Days before its end in which a certificate is worth a word: whoever renews by machine has done it by then.
const SOON: i64 = 21;

/// Everything that is worth saying, what is urgent first.
pub(super) fn of(seen: &Examination<'_>, config: &Config, now: Timestamp) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(sight) = seen.sight() {
        if let Some(tls) = &sight.tls {
            advice.extend(expiry(tls, now));
            advice.extend(trust(seen, tls));
        }
        advice.extend(plaintext(seen, sight));
        advice.extend(login(seen, sight));
        advice.extend(size(sight, config.limits.message_size));
    }
    advice.extend(seen.others().filter_map(|other| elsewhere(seen, other)));
    if seen.implicit_too == Some(true) {
        advice.push(
            "the server also speaks TLS from the first byte on port 465: port = 465 saves two round trips, and nobody can strip \
             STARTTLS"
                .to_owned(),
        );
    }
    if seen.verdict.is_err() && !seen.account.fallback.is_empty() {
        advice.push(format!("a send would go on to the fallback: {}", seen.account.fallback.join(", ")));
    }
    advice
}

/// How many whole days are left until `date` (RFC 3339); negative when it is past.
pub(super) fn days_left(date: &str, now: Timestamp) -> Option<i64> {
    let end: Timestamp = date.parse().ok()?;
    Some((end.as_second() - now.as_second()).div_euclid(86_400))
}

fn expiry(tls: &Seal, now: Timestamp) -> Option<String> {
    let ends = tls.chain.iter().enumerate().filter_map(|(index, shown)| Some((days_left(&shown.not_after, now)?, index)));
    let (days, index) = ends.min()?;
    let which = if index == 0 { "the certificate".to_owned() } else { format!("certificate {} of the chain", index + 1) };
    match days {
        ..0 => Some(format!("{which} has expired: its operator must renew it; is this machine's clock right?")),
        0 => Some(format!("{which} expires within a day")),
        1 => Some(format!("{which} expires tomorrow")),
        2..=SOON => Some(format!("{which} expires in {days} days")),
        _ => None,
    }
}

fn trust(seen: &Examination<'_>, tls: &Seal) -> Vec<String> {
    let demand = seen.account.tls.demand;
    let says = |judge: &str| tls.opinions.iter().find(|(name, _)| *name == judge).map(|(_, verdict)| verdict.is_ok());
    let system = says("system") == Some(true);
    let mut advice = Vec::new();
    match (demand.policy, demand.trust, &tls.verdict) {
        (_, Trust::Any, _) if system => {
            advice.push(
                "trust is \"any\" and the certificate is valid: trust = \"system\" would work, and nobody could pose as the server"
                    .to_owned(),
            );
        }
        (_, Trust::System, Err(_)) if seen.account.tls.ca_file.is_some() && system => {
            advice.push("ca_file does not vouch for this server, but the system's authorities do: leave ca_file out".to_owned());
        }
        (Policy::Opportunistic, _, Ok(Standing::Proven)) => {
            advice.push("policy is \"opportunistic\" and the certificate is valid: \"required\" would work".to_owned());
        }
        (_, _, Err(_)) | (_, Trust::Any, _) => {
            advice.push(
                "if the server's owner confirms the key above: trust = \"pin\" with that line believes this server and no other"
                    .to_owned(),
            );
        }
        _ => {}
    }
    advice
}

fn plaintext(seen: &Examination<'_>, sight: &Sight) -> Option<String> {
    let offers = sight.clear.as_ref().is_some_and(|server| server.starttls);
    match seen.account.tls.demand.policy {
        Policy::Off if offers => Some(
            "policy is \"off\", but the server offers STARTTLS: \"opportunistic\" would encrypt, \"required\" insist".to_owned(),
        ),
        Policy::Opportunistic if seen.verdict == Ok(Channel::Plaintext) => {
            Some("mail goes to this server in plaintext, for all on the way to read; ask its owner for TLS".to_owned())
        }
        Policy::Required if sight.clear.is_some() && !offers && seen.account.tls.demand.start == Start::Starttls => {
            Some("if this server offered STARTTLS before, somebody on the way may be taking it out".to_owned())
        }
        _ => None,
    }
}

fn login(seen: &Examination<'_>, sight: &Sight) -> Option<String> {
    let server = sight.server()?;
    let scram = Mechanism::ScramSha256.name();
    match &seen.account.auth {
        None if !server.auth.is_empty() => {
            Some("the server offers AUTH, and the account has no [auth]: it may refuse recipients elsewhere".to_owned())
        }
        Some(auth) => match auth.choice {
            Choice::Only(only) if only.shows_secret() && server.auth.iter().any(|name| name == scram) => Some(format!(
                "mechanism = \"{}\" shows the server the password; it offers {scram} too, which does not: leave mechanism out",
                only.name()
            )),
            _ => None,
        },
        None => None,
    }
}

fn size(sight: &Sight, largest: u64) -> Option<String> {
    let limit = sight.server()?.size?;
    (largest != u64::MAX && limit < largest)
        .then(|| format!("SIZE {} is smaller than message_size, {}: larger mails will be refused", octets(limit), octets(largest)))
}

/// What is different at another address of the same host.
fn elsewhere(seen: &Examination<'_>, other: &Contact) -> Option<String> {
    let address = other.address?;
    seen.used?;
    let Some(sight) = other.sights.last() else {
        let why = other.connected.as_ref().err()?;
        return Some(format!("{address} does not answer ({why}): a send that tries it loses time"));
    };
    if let (Some(problem), Ok(_)) = (&sight.report.problem, &seen.verdict) {
        return Some(format!("a send that meets {address} would fail: {}", problem.because));
    }
    let leaf = |sight: &Sight| sight.tls.as_ref().and_then(|tls| tls.chain.first()).map(|leaf| leaf.sha256.clone());
    let differs = seen.sight().is_some_and(|used| leaf(used) != leaf(sight));
    differs.then(|| format!("{address} shows another certificate than the address that was used"))
}

/// A number of octets as a person says it: `10 MiB`, `35882577`.
pub(super) fn octets(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| count >> shift > 0 && count.is_multiple_of(1 << shift)) {
        Some((shift, unit)) => format!("{} {unit}", count >> shift),
        None if count >= 10 << 20 => format!("{} MB", count / 1_000_000),
        None => count.to_string(),
    }
}
