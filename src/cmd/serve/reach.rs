//! Which files does the service need, as its configuration tells? (sealpost.toml(5))

use std::path::{Path, PathBuf};

use crate::host::{
    config::{Account, Aliases, Config, Memory, Origin, SecretSource},
    sandbox::Reach,
    spool::Spool,
    world::World,
};

/// The first account that starts a command, which may need anything.
pub(super) fn commander(config: &Config) -> Option<&str> {
    let starts = |account: &&Account| {
        let source = account.auth.as_ref().map(|auth| &auth.source);
        // The keyring's own program is started, too.
        matches!(source, Some(SecretSource::Command(_) | SecretSource::TokenCommand { .. } | SecretSource::Keyring))
    };
    config.accounts.iter().find(starts).map(|account| account.name.as_str())
}

/// What is read and written.
pub(super) fn of(world: &dyn World, config: &Config, file: Option<&Path>, spool: &Spool) -> Reach {
    let mut reach = Reach::default().with_system();
    reach.write.push(spool.path().to_owned());
    // Where its name is to be removed again; a socket of the manager's is elsewhere, or not ours to remove.
    reach.write.extend(config.serve.socket.parent().map(Path::to_owned));
    reach.write.extend(config.log.file.as_deref().and_then(made).map(Path::to_owned));
    if let Memory::File(path) = &config.memory {
        reach.write.extend(made(path).map(Path::to_owned));
    }
    // Tokens are kept there, where an account has any.
    reach.write.extend(config.state_dir(world));
    let origin = match &config.origin {
        Origin::File(path) => Some(path.as_path()),
        Origin::Environment => None,
    };
    file.into_iter().chain(origin).for_each(|path| reach.reads_beside(path));
    if let Aliases::File(path) = &config.aliases {
        reach.reads_beside(path);
    }
    config.dns.trust_anchor.iter().for_each(|path| reach.reads_beside(path));
    reach.read.extend(world.env("CREDENTIALS_DIRECTORY").map(PathBuf::from));
    for name in ["HOME", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZDIR"] {
        let path = world.env(name).map(PathBuf::from);
        // Of the home only what is asked for there.
        reach.read.extend(path.map(|path| if name == "HOME" { path.join(".netrc") } else { path }));
    }
    for account in &config.accounts {
        account_files(account, &mut reach);
    }
    reach
}

fn account_files(account: &Account, reach: &mut Reach) {
    let tls = &account.tls;
    let identity = tls.client_identity.iter().flat_map(|(chain, key)| [chain, key]);
    tls.ca_file.iter().chain(&tls.crl_file).chain(identity).for_each(|path| reach.reads_beside(path));
    if let crate::host::config::Target::Unix(path) = &account.target {
        reach.reads_beside(path);
    }
    if let Some(SecretSource::File(path)) = account.auth.as_ref().map(|auth| &auth.source) {
        reach.reads_beside(path);
    }
}

/// The directory of a file, made now where it is missing: later it could not be.
fn made(file: &Path) -> Option<&Path> {
    let directory = file.parent()?;
    let _ = std::fs::create_dir_all(directory);
    Some(directory)
}
