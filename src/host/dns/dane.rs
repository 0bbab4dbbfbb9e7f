//! Which TLSA records are a server's, and whose name are they under? (RFC 7672 2.2, RFC 7671 7)

use std::net::IpAddr;

use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{
    Dane, Security, Trouble,
    message::{self, shown},
    walk::{Answer, Content, Validator},
};
use crate::{mail::policy::Tlsa, smtp::tlsa};

/// Aliases of aliases that are followed.
const ALIASES: usize = 8;
/// Addresses that are kept.
const ADDRESSES: usize = 32;
/// Records that are kept: each may have 64 KiB.
const RECORDS: usize = 64;

/// Where a name leads by way of aliases.
pub(super) struct Led {
    pub(super) name: Name,
    /// Whether every step, and the last answer, is signed.
    pub(super) security: Security,
    /// Whether the first alias is signed; `None` without one.
    alias: Option<Security>,
    pub(super) records: Vec<Record>,
}

/// Follows `name` to its records of a type.
///
/// # Errors
/// Nobody answers, an answer is false, or the aliases don't end.
pub(super) fn follow(validator: &Validator<'_>, name: &Name, kind: RecordType) -> Result<Led, Trouble> {
    let mut led = Led { name: name.clone(), security: Security::Secure, alias: None, records: Vec::new() };
    for _ in 0..=ALIASES {
        let Answer { security, content } = validator.look(&led.name, kind)?;
        if security == Security::Insecure {
            led.security = security;
        }
        match content {
            Content::Alias(target) => {
                led.alias.get_or_insert(security);
                led.name = target;
            }
            Content::Records(records) => return Ok(Led { records, ..led }),
            Content::NoData { .. } | Content::NoName => return Ok(led),
        }
    }
    Err(Trouble { bogus: false, words: format!("{} is an alias of too many aliases, or of itself", shown(name)) })
}

/// Finds the records of `host` for `port`, and says where it looked, in `dane`.
pub(super) fn find(validator: &Validator<'_>, dane: &mut Dane, port: u16) -> Result<(Tlsa, String), Trouble> {
    let host = named(&dane.host)?;
    let four = follow(validator, &host, RecordType::A)?;
    let six = follow(validator, &host, RecordType::AAAA)?;
    dane.expanded = shown(&four.name);
    dane.addresses = both(&four, &six);
    let secure = [four.security, six.security].iter().all(|security| *security == Security::Secure) && four.name == six.name;
    dane.security = Some(if secure { Security::Secure } else { Security::Insecure });
    if dane.addresses.is_empty() {
        return Ok((Tlsa::Absent, format!("{} has no address in the DNS", dane.host)));
    }
    // The alias itself may be signed though what it leads to is not: then its own name can have records (RFC 7671 7).
    let own = secure || four.alias == Some(Security::Secure);
    let bases = [secure.then_some(&four.name), own.then_some(&host)];
    for base in bases.into_iter().flatten() {
        let name = owner(base, port)?;
        if dane.asked.last() == Some(&shown(&name)) {
            continue;
        }
        dane.asked.push(shown(&name));
        let led = follow(validator, &name, RecordType::TLSA)?;
        if led.security == Security::Secure && !led.records.is_empty() {
            dane.base = shown(base);
            dane.records = led.records.iter().filter_map(record).take(RECORDS).collect();
            return Ok(told(dane));
        }
    }
    let words = if own {
        format!("there are no signed TLSA records at {}", dane.asked.join(" or "))
    } else {
        format!("the addresses of {} are not signed, so there can be no TLSA records to believe", dane.host)
    };
    Ok((Tlsa::Absent, words))
}

fn told(dane: &Dane) -> (Tlsa, String) {
    let place = dane.asked.last().map(String::as_str).unwrap_or_default();
    let count = dane.records.len();
    match tlsa::assess(&dane.records) {
        Tlsa::Usable => (Tlsa::Usable, format!("{count} TLSA records at {place}, signed")),
        other => {
            let why = dane.records.iter().find_map(tlsa::Record::unusable).unwrap_or("it can't be read");
            (other, format!("{count} TLSA records at {place}, signed, and none of a usable kind: {why}"))
        }
    }
}

/// `_port._tcp.base` (RFC 6698 3).
fn owner(base: &Name, port: u16) -> Result<Name, Trouble> {
    let made = base.prepend_label(b"_tcp".as_slice()).and_then(|name| name.prepend_label(format!("_{port}").as_bytes()));
    made.map_err(|_| Trouble { bogus: false, words: format!("{} is too long a name to have TLSA records", shown(base)) })
}

/// The name that `text` is.
pub(super) fn named(text: &str) -> Result<Name, Trouble> {
    message::name(text).ok_or_else(|| Trouble { bogus: false, words: format!("{text} is no name that the DNS could have") })
}

fn both(four: &Led, six: &Led) -> Vec<IpAddr> {
    let address = |record: &Record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    six.records.iter().chain(&four.records).filter_map(address).take(ADDRESSES).collect()
}

fn record(record: &Record) -> Option<tlsa::Record> {
    let RData::TLSA(tlsa) = &record.data else { return None };
    let data = tlsa.cert_data.clone();
    Some(tlsa::Record { usage: tlsa.cert_usage.into(), selector: tlsa.selector.into(), matching: tlsa.matching.into(), data })
}
