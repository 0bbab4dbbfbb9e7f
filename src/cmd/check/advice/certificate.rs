//! What is there to say of a server's certificate, and of who is trusted? (RFC 5280, RFC 7671; sealpost.toml(5), `trust`)

use jiff::Timestamp;

use crate::{
    cmd::check::{
        say::{days_left, pin},
        seen::{Examination, Visit},
    },
    host::probe::Seal,
    mail::{
        policy::{Policy, Trust},
        tls::{Failure, Finding, Standing},
    },
    smtp::leaf,
};

/// Days before its end in which a certificate is worth a word: whoever renews by machine has done it by then.
const SOON: i64 = 21;

pub(super) fn of(seen: &Examination<'_>, visit: &Visit, now: Timestamp) -> Vec<String> {
    let Some(tls) = &visit.sight.tls else { return Vec::new() };
    let mut advice = Vec::new();
    advice.extend(dates(tls, now));
    advice.extend(trust(seen, visit, tls));
    advice.extend(short_lived(seen, tls));
    advice
}

fn dates(tls: &Seal, now: Timestamp) -> Option<String> {
    let own = tls.chain.first()?;
    if days_left(&own.not_before, now).is_some_and(|days| days >= 0) {
        return Some(format!("the certificate is not valid before {}: is this machine's clock right?", own.not_before));
    }
    let ends = tls.chain.iter().enumerate().filter_map(|(index, shown)| Some((days_left(&shown.not_after, now)?, index)));
    let (days, index) = ends.min()?;
    let which = if index == 0 { "the certificate".to_owned() } else { format!("certificate {} of the chain", index + 1) };
    match days {
        ..0 if index > 0 && tls.verdict.is_ok() => {
            Some(format!("{which} has expired: this machine does without it, others may not"))
        }
        ..0 => Some(format!("{which} has expired: its operator must renew it; is this machine's clock right?")),
        0 => Some(format!("{which} expires within a day")),
        1 => Some(format!("{which} expires tomorrow")),
        2..=SOON => Some(format!("{which} expires in {days} days")),
        _ => None,
    }
}

fn trust(seen: &Examination<'_>, visit: &Visit, tls: &Seal) -> Option<String> {
    let demand = seen.account.tls.demand;
    let trusts = |name| visit.opinions.iter().any(|opinion| opinion.name == name && opinion.trusts());
    match (demand.policy, demand.trust, &tls.verdict) {
        (_, Trust::Any, _) if trusts("system") => Some(
            "trust is \"any\" and the certificate is valid: trust = \"system\" would work, and nobody could pose as the server"
                .to_owned(),
        ),
        (_, Trust::System, Err(_)) if seen.account.tls.ca_file.is_some() && trusts("system") => {
            Some("ca_file does not vouch for this server, but the system's authorities do: leave ca_file out".to_owned())
        }
        (_, Trust::Pin | Trust::Tofu | Trust::Dane, Err(_)) if trusts("system") => Some(format!(
            "trust = \"{}\" fails, but the system's authorities vouch for this server: trust = \"system\" would work",
            demand.trust.as_str()
        )),
        // Of a date or a name that is wrong the operator is to be told; a pin would only hide it.
        (_, Trust::System, Err(Finding { failure: Failure::CertificateNotTrusted, .. })) | (_, Trust::Any, _) => {
            let key = pin(&tls.chain.first()?.spki_sha256)?;
            Some(format!("if the server's owner confirms that it is its key, pin it so: trust = \"pin\", pins = [\"{key}\"]"))
        }
        (Policy::Opportunistic, _, Ok(Standing::Proven)) => {
            Some("policy is \"opportunistic\" and the certificate is trusted: \"required\" would work".to_owned())
        }
        _ => None,
    }
}

/// A pin of the certificate itself ends with the certificate.
fn short_lived(seen: &Examination<'_>, tls: &Seal) -> Option<String> {
    let (leaf, pins) = (tls.chain.first()?, &seen.account.tls.pins);
    let has = |digest: &str| pins.iter().any(|pin| leaf::hex(pin) == digest);
    if seen.account.tls.demand.trust != Trust::Pin || !has(&leaf.sha256) || has(&leaf.spki_sha256) {
        return None;
    }
    let key = pin(&leaf.spki_sha256)?;
    Some(format!("the pin ends with this certificate; one of its key may outlive the renewal: pins = [\"{key}\"]"))
}
