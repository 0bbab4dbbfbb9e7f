//! What does a TLSA record say, and can anything be matched with it? (RFC 6698 2.1, 7671, 7672 3.1)

use std::fmt;

use ring::digest::{SHA256, SHA512, digest};

use super::leaf;
use crate::mail::policy::Tlsa;

/// Octets kept of one record: RDATA can't be longer.
const LONGEST: usize = 65_535;
/// Octets of a record's data that a person is shown.
const SHOWN: usize = 64;

/// A TLSA record as it stands in the DNS, whether it makes sense or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Certificate usage.
    pub usage: u8,
    /// Selector.
    pub selector: u8,
    /// Matching type.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

/// Whom a usable record speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// DANE-TA(2): an authority that must have issued the server's certificate.
    Authority,
    /// DANE-EE(3): the server itself.
    Server,
}

/// What of a certificate is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Cert(0): the whole certificate.
    Certificate,
    /// SPKI(1): its public key.
    Key,
}

/// How it is matched, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Matching {
    /// SHA2-256(1).
    Sha256,
    /// SHA2-512(2).
    Sha512,
    /// Full(0): octet by octet.
    Full,
}

/// A record that can be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Association<'r> {
    /// Whom it speaks of.
    pub usage: Usage,
    /// What is matched.
    pub selector: Selector,
    /// How.
    pub matching: Matching,
    /// With what.
    pub data: &'r [u8],
}

impl Record {
    /// Reads RDATA; `None` where it is too short to be a record at all.
    pub fn parse(rdata: &[u8]) -> Option<Self> {
        let [usage, selector, matching, data @ ..] = rdata else { return None };
        let data = data.get(..data.len().min(LONGEST))?.to_vec();
        Some(Self { usage: *usage, selector: *selector, matching: *matching, data })
    }

    /// What it asks for, where that can be matched at all: PKIX-TA(0) and PKIX-EE(1) are not for SMTP (RFC 7672 3.1.3), and what
    /// is unknown or malformed does not count (RFC 7671 4, RFC 6698 4.1).
    pub fn association(&self) -> Option<Association<'_>> {
        let usage = match self.usage {
            2 => Usage::Authority,
            3 => Usage::Server,
            _ => return None,
        };
        let selector = match self.selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return None,
        };
        let matching = match (self.matching, self.data.len()) {
            // A certificate or a key is a DER SEQUENCE; any shorter or other is neither.
            (0, 2..) if self.data.first() == Some(&0x30) => Matching::Full,
            (1, 32) => Matching::Sha256,
            (2, 64) => Matching::Sha512,
            _ => return None,
        };
        Some(Association { usage, selector, matching, data: &self.data })
    }

    /// Why nothing can be matched with it; `None` where something can.
    pub fn unusable(&self) -> Option<&'static str> {
        if self.association().is_some() {
            return None;
        }
        Some(match (self.usage, self.selector, self.matching) {
            (0 | 1, ..) => "usages 0 and 1 are not for mail (RFC 7672 3.1.3)",
            (4.., ..) => "its usage is unknown",
            (_, 2.., _) => "its selector is unknown",
            (_, _, 3..) => "its matching type is unknown",
            _ if self.data.is_empty() => "it has no data",
            (_, _, 0) => "its data is no certificate and no key",
            _ => "its data is not as long as the digest",
        })
    }
}

/// As in a zone file: `3 1 1 9f86…`, the data cut where it is long.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.data.get(..SHOWN).unwrap_or(&self.data);
        let more = if shown.len() < self.data.len() { "…" } else { "" };
        write!(f, "{} {} {} {}{more}", self.usage, self.selector, self.matching, leaf::hex(shown))
    }
}

impl Association<'_> {
    /// Whether the record speaks of the certificate `der`.
    pub fn matches(&self, der: &[u8]) -> bool {
        let selected = match self.selector {
            Selector::Certificate => Some(der),
            Selector::Key => leaf::public_key(der),
        };
        selected.is_some_and(|selected| match self.matching {
            Matching::Full => selected == self.data,
            Matching::Sha256 => digest(&SHA256, selected).as_ref() == self.data,
            Matching::Sha512 => digest(&SHA512, selected).as_ref() == self.data,
        })
    }
}

/// The records that count: usable ones, and of several digests for one usage and selector only the strongest (RFC 7671 9). Full(0)
/// is no digest and always counts.
pub fn usable(records: &[Record]) -> Vec<Association<'_>> {
    let all: Vec<_> = records.iter().filter_map(Record::association).collect();
    let outdone = |one: &Association<'_>| {
        let stronger =
            |other: &Association<'_>| (other.usage, other.selector, other.matching) == (one.usage, one.selector, Matching::Sha512);
        one.matching == Matching::Sha256 && all.iter().any(stronger)
    };
    all.iter().filter(|one| !outdone(one)).copied().collect()
}

/// What records that DNSSEC vouches for come to.
pub fn assess(records: &[Record]) -> Tlsa {
    if records.is_empty() {
        Tlsa::Absent
    } else if records.iter().any(|record| record.association().is_some()) {
        Tlsa::Usable
    } else {
        Tlsa::Unusable
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Record {
        Record { usage, selector, matching, data: data.to_vec() }
    }

    #[test]
    fn which_records_can_be_matched() {
        let der: &[u8] = &[0x30, 0];
        let table: &[(Record, Option<&str>)] = &[
            (record(3, 1, 1, &[7; 32]), None),
            (record(3, 0, 2, &[7; 64]), None),
            (record(2, 0, 0, der), None),
            (record(2, 1, 0, der), None),
            (record(0, 0, 1, &[7; 32]), Some("usages 0 and 1 are not for mail (RFC 7672 3.1.3)")),
            (record(1, 1, 1, &[7; 32]), Some("usages 0 and 1 are not for mail (RFC 7672 3.1.3)")),
            (record(4, 1, 1, &[7; 32]), Some("its usage is unknown")),
            (record(255, 1, 1, &[7; 32]), Some("its usage is unknown")),
            (record(3, 2, 1, &[7; 32]), Some("its selector is unknown")),
            (record(3, 1, 3, &[7; 32]), Some("its matching type is unknown")),
            (record(3, 1, 1, &[7; 31]), Some("its data is not as long as the digest")),
            (record(3, 1, 2, &[7; 32]), Some("its data is not as long as the digest")),
            (record(3, 1, 1, &[]), Some("it has no data")),
            (record(3, 0, 0, &[]), Some("it has no data")),
            (record(3, 0, 0, &[7; 32]), Some("its data is no certificate and no key")),
        ];
        for (record, why) in table {
            assert_eq!(record.unusable(), *why, "{record}");
            assert_eq!(record.association().is_some(), why.is_none(), "{record}");
            let expected = if why.is_none() { Tlsa::Usable } else { Tlsa::Unusable };
            assert_eq!(assess(std::slice::from_ref(record)), expected);
        }
        assert_eq!(assess(&[]), Tlsa::Absent);
        assert_eq!(assess(&[record(0, 0, 0, der), record(3, 0, 0, der)]), Tlsa::Usable);
    }

    #[test]
    fn of_several_digests_the_strongest_counts_for_each_usage_and_selector() {
        let all = [
            record(3, 1, 1, &[1; 32]),
            record(3, 1, 2, &[2; 64]),
            record(3, 0, 1, &[3; 32]),
            record(2, 1, 1, &[4; 32]),
            record(3, 1, 0, &[0x30, 0]),
            // Malformed, so that it outdoes nobody.
            record(2, 1, 2, &[5; 63]),
        ];
        let left: Vec<(u8, usize)> = usable(&all).iter().map(|one| (one.data[0], one.data.len())).collect();
        assert_eq!(left, [(2, 64), (3, 32), (4, 32), (0x30, 2)]);
    }

    #[test]
    fn a_record_is_shown_as_in_a_zone_file_and_never_endless() {
        assert_eq!(record(3, 1, 1, &[0xab, 0xcd]).to_string(), "3 1 1 abcd");
        let long = record(2, 0, 0, &vec![0x30; 60_000]).to_string();
        assert!(long.ends_with('…') && long.len() < 150, "{long}");
    }

    #[test]
    fn what_is_too_short_is_no_record() {
        assert_eq!(Record::parse(&[3, 1]), None);
        assert_eq!(Record::parse(&[3, 1, 1]), Some(record(3, 1, 1, &[])));
    }

    proptest! {
        #[test]
        fn a_record_is_what_its_octets_say(rdata in prop::collection::vec(any::<u8>(), 0..80), der in prop::collection::vec(any::<u8>(), 0..80)) {
            match Record::parse(&rdata) {
                None => prop_assert!(rdata.len() < 3),
                Some(record) => {
                    prop_assert_eq!([&[record.usage, record.selector, record.matching], record.data.as_slice()].concat(), rdata);
                    prop_assert_eq!(record.association().is_none(), record.unusable().is_some());
                    if let Some(one) = record.association() {
                        let _ = one.matches(&der);
                    }
                }
            }
        }

        #[test]
        fn digests_match_what_they_are_of_and_nothing_else(mut der in prop::collection::vec(any::<u8>(), 1..80), at in any::<prop::sample::Index>()) {
            let data = digest(&SHA256, &der).as_ref().to_vec();
            let whole = record(3, 0, 1, &data);
            prop_assert!(whole.association().is_some_and(|one| one.matches(&der)));
            *at.get_mut(&mut der) ^= 1;
            prop_assert!(!whole.association().is_some_and(|one| one.matches(&der)));
        }
    }
}
