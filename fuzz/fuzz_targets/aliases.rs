//! Does any alias file, loops included, expand in bounded time?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::mail::{
    address::Local,
    aliases::{Aliases, Hosts},
};

fuzz_target!(|bytes: &[u8]| {
    let (aliases, _) = Aliases::parse_bytes(bytes);
    let hosts = Hosts::new(["client.test"]);
    for name in ["root", "a", "default"] {
        if let Ok(local) = Local::parse(name) {
            let _ = aliases.expand(&local, &hosts);
        }
    }
});
