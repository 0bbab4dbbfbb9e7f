//! Is a memory of servers read or refused, and read again as it was written?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::host::memory::Servers;

fuzz_target!(|bytes: &[u8]| {
    let Ok(servers) = Servers::parse(bytes) else { return };
    let text = servers.text().unwrap();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert_eq!(Servers::parse(text.as_bytes()), Ok(servers));
});
