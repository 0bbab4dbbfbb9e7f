//! Does any alias file, loops included, expand in bounded time?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::mail::{
    address::Spec,
    aliases::{Aliases, Hosts},
    list::Mailbox,
};

fuzz_target!(|bytes: &[u8]| {
    let (aliases, _) = Aliases::parse_bytes(bytes);
    let hosts = Hosts::new(["client.test"]);
    for name in ["root", "a@localhost", "default"] {
        if let Ok(spec) = Spec::parse(name) {
            let _ = aliases.expand(&Mailbox { display: None, spec, verbatim: false }, &hosts);
        }
    }
});
