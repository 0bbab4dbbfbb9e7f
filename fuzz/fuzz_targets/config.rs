//! Is a configuration read or refused with its place, whatever stands in it?

#![no_main]

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _};

use libfuzzer_sys::fuzz_target;
use sealpost::host::{config::load, world::Pretend};

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("sealpost-fuzz-{}.toml", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(bytes).unwrap();
    match load(&Pretend::default(), Some(&path)) {
        Ok(config) => {
            let names: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
            assert!(config.default_account.as_deref().is_none_or(|name| names.contains(&name)), "no account by that name");
        }
        Err(error) => assert!(!error.render("sealpost").replace('\n', "").chars().any(char::is_control)),
    }
});
