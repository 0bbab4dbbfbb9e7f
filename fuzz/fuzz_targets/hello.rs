//! Does the same come of a server's handshake however it is cut, and never more than one could have sent?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::smtp::hello::Listener;

fuzz_target!(|bytes: &[u8]| {
    let (mut whole, mut drops) = (Listener::default(), Listener::default());
    whole.feed(bytes);
    bytes.chunks(1).for_each(|octet| drops.feed(octet));
    assert_eq!(whole.agreed(), drops.agreed());
    assert_eq!(whole.renegotiates(), drops.renegotiates());
    let shown: usize = whole.agreed().chain.iter().map(Vec::len).sum();
    assert!(shown <= bytes.len());
});
