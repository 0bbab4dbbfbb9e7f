//! Does a TLSA record, however broken, match nothing that it is not of, and never let a stranger pass?

#![no_main]

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{CertificateDer, UnixTime};
use sealpost::smtp::{certificate::by_tlsa, tlsa::Record};

fuzz_target!(|input: (&[u8], Vec<&[u8]>)| {
    let (rdata, chain) = input;
    let Some(record) = Record::parse(rdata) else { return };
    assert_eq!(record.association().is_some(), record.unusable().is_none());
    assert!(record.to_string().len() < 200);
    let chain: Vec<CertificateDer<'_>> = chain.into_iter().map(CertificateDer::from).collect();
    if by_tlsa(&chain, std::slice::from_ref(&record), &[], UnixTime::since_unix_epoch(Default::default())).is_ok() {
        // Without a name only the server's own record can have matched.
        assert_eq!(record.usage, 3);
        assert!(record.association().is_some_and(|one| one.matches(&chain[0])));
    }
});
