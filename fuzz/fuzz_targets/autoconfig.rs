//! Does every server that comes out of a document of autoconfig have a port, and names of one line?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::host::autoconfig;

fuzz_target!(|text: &str| {
    for server in autoconfig::parse(text).unwrap_or_default() {
        assert_ne!(server.port, 0);
        for name in std::iter::once(&server.host).chain(&server.user) {
            assert!(!name.is_empty() && !name.chars().any(char::is_control), "{name:?}");
        }
    }
});
