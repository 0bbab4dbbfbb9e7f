//! Is what an account is made of still what it was? (by where its files are, how long, and when they were changed; never by what they hold)

use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::{
    careful::State,
    config::{Account, Config, SecretSource},
};

/// Octets of a hash that tell two states apart; nobody has a reason to forge one.
const KEPT: usize = 8;

/// What tells this state of an account from another one: the configuration as it was read, and the files that it names for the account
/// as they are now. What a command prints is not among it.
pub fn of_account(config: &Config, account: &Account) -> String {
    let tls = &account.tls;
    let password = account.auth.as_ref().and_then(|auth| match &auth.source {
        SecretSource::File(path) => Some(path),
        _ => None,
    });
    let identity = tls.client_identity.iter().flat_map(|(chain, key)| [chain, key]);
    let files: Vec<&PathBuf> = password.into_iter().chain(&tls.ca_file).chain(&tls.crl_file).chain(identity).collect();
    let states: Vec<String> = files.into_iter().map(|path| state(path)).collect();
    let hash = digest(
        &SHA256,
        format!("{}\n{}", config.stamp.map(|state| state.to_string()).unwrap_or_default(), states.join("\n")).as_bytes(),
    );
    hash.as_ref().iter().take(KEPT).map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().concat()
}

fn state(path: &Path) -> String {
    std::fs::metadata(path).as_ref().map_or_else(|_| "none".to_owned(), |metadata| State::from(metadata).to_string())
}
