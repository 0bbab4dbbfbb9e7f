//! Does a certificate, however broken, leave nothing but a description?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::smtp::leaf;

fuzz_target!(|bytes: &[u8]| {
    let seen = leaf::describe(bytes);
    assert_eq!(seen.sha256.len(), 64);
    let _ = leaf::public_key(bytes);
});
