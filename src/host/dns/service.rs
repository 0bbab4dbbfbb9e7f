//! Who offers submission for a domain, and in which order are they tried? (RFC 6186 3, 8314 5.1, 2782)

use hickory_proto::rr::{Name, RData, RecordType, rdata::SRV};
use rustls::pki_types::ServerName;

use super::{
    Offer, Service, Trouble,
    dane::{Led, follow, named},
    message::shown,
    walk::Validator,
};
use crate::{host::world::World, mail::policy::Start};

/// The services in the order in which they are tried: TLS from the first byte, then STARTTLS.
const SERVICES: [(&str, Start); 2] = [("_submissions", Start::Implicit), ("_submission", Start::Starttls)];
/// Offers that are kept of one service.
const OFFERS: usize = 32;

/// What SRV records say.
///
/// # Errors
/// Nobody answers, or an answer is false.
pub(super) fn find(validator: &Validator<'_>, world: &dyn World, domain: &str) -> Result<Vec<Service>, Trouble> {
    let domain = named(domain)?;
    let mut found = Vec::new();
    for (label, start) in SERVICES {
        let made = domain.prepend_label(b"_tcp".as_slice()).and_then(|name| name.prepend_label(label.as_bytes()));
        let Ok(name) = made else { continue };
        found.extend(service(world, &name, start, &follow(validator, &name, RecordType::SRV)?));
    }
    Ok(found)
}

/// The mail exchangers of `domain`, the preferred first.
///
/// # Errors
/// Nobody answers, or an answer is false.
pub(super) fn exchangers(validator: &Validator<'_>, domain: &str) -> Result<Vec<String>, Trouble> {
    let led = follow(validator, &named(domain)?, RecordType::MX)?;
    let mut found: Vec<(u16, String)> = led
        .records
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, shown(&mx.exchange))),
            _ => None,
        })
        .take(OFFERS)
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, host)| host).collect())
}

fn service(world: &dyn World, name: &Name, start: Start, led: &Led) -> Option<Service> {
    let records = led.records.iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => Some(srv),
        _ => None,
    });
    let records: Vec<&SRV> = records.take(OFFERS).collect();
    if records.is_empty() {
        return None;
    }
    let declined = matches!(records.as_slice(), [only] if only.target.is_root());
    // An address is no name, and what can't be in a certificate is no host's (RFC 2782, RFC 952).
    let is_host = |name: &Name| matches!(ServerName::try_from(shown(name)), Ok(ServerName::DnsName(_)));
    let usable = records.iter().filter(|srv| is_host(&srv.target) && srv.port != 0);
    let offers = usable.map(|srv| Offer { host: shown(&srv.target), port: srv.port, priority: srv.priority, weight: srv.weight });
    let mut chance = vec![0; OFFERS * 4];
    // Without randomness the order is that of the weights.
    let _ = world.random(&mut chance);
    let offers = ordered(offers.collect(), &chance);
    Some(Service { name: shown(name), start, security: led.security, declined, offers })
}

/// RFC 2782: by priority, and within one by chance, as likely as the weights are heavy; four octets of `chance` for each choice.
fn ordered(mut offers: Vec<Offer>, chance: &[u8]) -> Vec<Offer> {
    let mut chance = chance.chunks_exact(4).map(|four| u64::from(u32::from_be_bytes([four[0], four[1], four[2], four[3]])));
    // Those of weight 0 come first, so that they have a small chance.
    offers.sort_by_key(|offer| (offer.priority, offer.weight != 0));
    let mut order = Vec::with_capacity(offers.len());
    while let Some(first) = offers.first() {
        let peers = offers.iter().take_while(|offer| offer.priority == first.priority);
        let total: u64 = peers.clone().map(|offer| u64::from(offer.weight)).sum();
        let drawn = chance.next().unwrap_or_default() % (total + 1);
        let mut sum = 0;
        let chosen = peers.map(|offer| {
            sum += u64::from(offer.weight);
            sum
        });
        let chosen = chosen.into_iter().position(|sum| sum >= drawn).unwrap_or_default();
        order.push(offers.remove(chosen));
    }
    order
}

#[cfg(test)]
mod tests;
