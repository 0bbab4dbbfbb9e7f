//! How would Postfix note what TLS did? (postconf(5) of Postfix 3.11, `smtp_log_tls_feature_status`)
//!
//! The level that was aimed at, `:` and the one that was reached where that is another, `!` in front where the policy forbade to go
//! on, `?` behind where it never came to a decision, mostly for a lost connection.

use super::tls::Tls;
use crate::mail::{
    policy::{Demand, OnDowngrade, Policy, Start, Tlsa, Trust},
    tls::Failure,
};

/// `secure`, `may:none`, `!dane-only`, `encrypt?`, `secure/requiretls`; nothing where it never came to an account.
pub(super) fn postfix(tls: &Tls) -> Option<String> {
    let noted = noted(tls, tls.demand?);
    Some(match tls.request {
        // What a message was refused for that had the promise to be kept, and what was never asked, the record does not tell apart.
        Some(request) if request == REQUIRETLS && tls.result == "none" => format!("{noted}/{REQUIRETLS}?"),
        Some(request) if request == REQUIRETLS => format!("{noted}/{REQUIRETLS}"),
        _ => noted,
    })
}

const REQUIRETLS: &str = "requiretls";

fn noted(tls: &Tls, demand: Demand) -> String {
    let level = level(demand);
    let is_sealed = tls.version.is_some();
    let failure = tls.failure;
    match tls.result {
        "plaintext" if level != "none" => format!("{level}:none"),
        // Nobody vouched for the server, though the level says that somebody does: the key was met for the first time.
        "unverified" if matches!(level, "fingerprint" | "secure" | "dane" | "dane-only") => format!("{level}:encrypt"),
        "none" if failure.is_some() && forbids(demand, tls) => format!("!{level}"),
        // It was decided, and went wrong later: at the login, for instance.
        "none" if !is_sealed && failure == Some(Failure::StarttlsNotSupported.as_str()) => format!("{level}:none"),
        "none" if !is_sealed => format!("{level}?"),
        _ => level.to_owned(),
    }
}

/// The level of `smtp_tls_security_level` that demands the same.
///
/// `secure` and not `verify`: the name that is checked is never taken from DNS. With implicit TLS there is no plaintext to fall back
/// to, whatever the policy. DANE without usable records is what Postfix makes of it too.
pub(super) fn level(demand: Demand) -> &'static str {
    match (demand.policy, demand.trust, demand.tlsa) {
        (Policy::Off, ..) => "none",
        (Policy::Required, Trust::System, _) => "secure",
        (Policy::Required, Trust::Pin | Trust::Tofu, _) => "fingerprint",
        (Policy::Required, Trust::Dane, _) => "dane-only",
        (Policy::Opportunistic, Trust::Dane, Tlsa::Usable | Tlsa::Unasked) if demand.obeys_dane() => "dane",
        (Policy::Required, Trust::Any, _) => "encrypt",
        (Policy::Opportunistic, Trust::Dane, Tlsa::Unusable) if demand.obeys_dane() => "encrypt",
        (Policy::Opportunistic, ..) if demand.start == Start::Implicit => "encrypt",
        (Policy::Opportunistic, ..) => "may",
    }
}

/// Whether it was the policy that kept the message back, and not the connection that was lost in a handshake.
fn forbids(demand: Demand, tls: &Tls) -> bool {
    let is_sealed = tls.version.is_some();
    let handshake_failed = !is_sealed && tls.failure != Some(Failure::StarttlsNotSupported.as_str());
    demand.must_trust()
        || (demand.must_encrypt() || demand.start == Start::Implicit) && !is_sealed
        || demand.on_downgrade == OnDowngrade::Refuse && (tls.downgrade || handshake_failed)
}

#[cfg(test)]
mod tests;
