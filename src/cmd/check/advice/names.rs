//! What is there to say of TLSA and SRV records? (RFC 7672, RFC 6186)

use crate::{
    cmd::check::seen::Examination,
    host::{config::Target, dns::Service},
    mail::policy::{Tlsa, Trust},
};

pub(super) fn of(seen: &Examination<'_>) -> Vec<String> {
    dane(seen).into_iter().chain(service(seen)).collect()
}

fn dane(seen: &Examination<'_>) -> Option<String> {
    let demand = seen.account.tls.demand;
    let dane = seen.records.as_ref().ok()?.dane.as_ref().ok()?;
    if demand.trust == Trust::Dane || !demand.policy.wants_tls() {
        return None;
    }
    let matches = seen.visit()?.opinions.iter().any(|opinion| opinion.name == "dane" && opinion.trusts());
    match dane.outcome {
        Ok(Tlsa::Usable) if matches => Some("TLSA records exist: trust = \"dane\" would work".to_owned()),
        Ok(Tlsa::Usable) => Some("TLSA records exist, but they don't match this server: its operator must mend them".to_owned()),
        _ => None,
    }
}

/// Where the domain points, if that is not where the account goes.
fn service(seen: &Examination<'_>) -> Option<String> {
    let Target::Name(host, port) = &seen.account.target else { return None };
    let (domain, services) = seen.records.as_ref().ok()?.submission.as_ref()?;
    let services = services.as_ref().ok()?;
    let offers =
        |service: &Service| service.offers.iter().any(|offer| offer.host.eq_ignore_ascii_case(host) && offer.port == *port);
    let first = services.iter().find_map(|service| service.offers.first())?;
    if services.iter().any(offers) {
        return None;
    }
    Some(format!("{domain} names {}:{} for submission, and the account goes elsewhere", first.host, first.port))
}
