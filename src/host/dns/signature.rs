//! Is a set of records signed by a key of its zone, now? (RFC 4035 5.3, RFC 4034 3, 6840)

use std::cell::Cell;

use hickory_proto::{
    dnssec::{
        Verifier as _,
        rdata::{DNSKEY, DNSSECRData, RRSIG},
    },
    rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber, rdata::CNAME, rdata::SRV},
};

/// Signatures of one set that are looked at; an honest set has one, or two while keys or algorithms change.
const SIGNATURES: usize = 8;
/// Records of one set: more don't fit any honest use.
const RECORDS: usize = 256;

/// The records of one owner and type, and what claims to sign them.
#[derive(Debug)]
pub(super) struct Set<'m> {
    pub(super) name: &'m Name,
    pub(super) records: Vec<&'m Record>,
    pub(super) signatures: Vec<&'m RRSIG>,
}

impl<'m> Set<'m> {
    /// The set of `name` and `kind` in a section.
    pub(super) fn find(section: &'m [Record], name: &'m Name, kind: RecordType) -> Self {
        let own = |record: &&Record| record.dns_class == DNSClass::IN && record.name == *name;
        let records = section.iter().filter(|record| own(record) && record.record_type() == kind).take(RECORDS).collect();
        let signature = |record: &'m Record| match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(signature)) if signature.input().type_covered == kind => Some(signature),
            _ => None,
        };
        let signatures = section.iter().filter(own).filter_map(signature).take(SIGNATURES).collect();
        Self { name, records, signatures }
    }

    /// Who claims to have signed it: zones that `name` lies in.
    pub(super) fn signers(&self) -> Vec<Name> {
        let mut signers: Vec<Name> = Vec::new();
        for signer in self.signatures.iter().map(|signature| &signature.input().signer_name) {
            if signer.zone_of(self.name) && !signers.contains(signer) {
                signers.push(signer.clone());
            }
        }
        signers
    }

    /// Whether the keys of `zone` have signed it, and how many labels the signed owner has: fewer than the owner's own where it
    /// came of a wildcard. `left` counts down what may be spent on signatures.
    ///
    /// # Errors
    /// Why no signature is good.
    pub(super) fn verify(&self, zone: &Name, keys: &[DNSKEY], now: u32, left: &Cell<u32>) -> Result<u8, String> {
        let mut why = format!("no signature of {zone}");
        let records = self.canonical();
        for signature in self.signatures.iter().filter(|signature| signature.input().signer_name == *zone) {
            let input = signature.input();
            if input.num_labels > self.name.num_labels() {
                "its signature is for a longer name".clone_into(&mut why);
                continue;
            }
            if let Err(error) = in_time(signature, now) {
                why = error;
                continue;
            }
            "it is signed with a key that its zone does not have".clone_into(&mut why);
            for key in keys.iter().filter(|key| fits(key, signature)) {
                if left.get() == 0 {
                    return Err("checking it would take too long".to_owned());
                }
                left.set(left.get() - 1);
                if key.verify_rrsig(self.name, DNSClass::IN, signature, records.iter()).is_ok() {
                    return Ok(input.num_labels);
                }
                "its signature is wrong".clone_into(&mut why);
            }
        }
        Err(why)
    }

    /// The records as they are signed, as far as the library does not see to it: names within them in lower case before they are
    /// sorted, one TTL, no duplicates (RFC 4034 6.2, 6.3).
    fn canonical(&self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let mut record = (*record).clone();
            record.ttl = 0;
            match &mut record.data {
                RData::SRV(SRV { target, .. }) | RData::CNAME(CNAME(target)) => *target = target.to_lowercase(),
                _ => {}
            }
            if !records.contains(&record) {
                records.push(record);
            }
        }
        records
    }
}

/// RFC 4034 3.1.5: dates in the arithmetic of serial numbers.
fn in_time(signature: &RRSIG, now: u32) -> Result<(), String> {
    let input = signature.input();
    let date = |time: SerialNumber| crate::smtp::leaf::rfc3339(i64::from(time.get()));
    if SerialNumber::new(now) > input.sig_expiration {
        return Err(format!("its signature expired at {}", date(input.sig_expiration)));
    }
    if SerialNumber::new(now) < input.sig_inception {
        return Err(format!("its signature is not valid before {}: is this machine's clock right?", date(input.sig_inception)));
    }
    Ok(())
}

/// Whether the key may have made the signature at all (RFC 4035 5.3.1, RFC 5011 2.1).
fn fits(key: &DNSKEY, signature: &RRSIG) -> bool {
    let input = signature.input();
    usable(key) && key.algorithm() == input.algorithm && key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag)
}

/// A key of a zone that was not revoked.
pub(super) fn usable(key: &DNSKEY) -> bool {
    key.zone_key() && !key.revoke()
}
