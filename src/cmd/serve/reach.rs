//! Which files does the service need, as its configuration tells? (sealpost.toml(5))

use std::path::{Path, PathBuf};

use crate::host::{
    config::{Account, Aliases, ClientSecret, Config, Keep, Memory, OAuth, Origin, SecretSource},
    sandbox::{self, Reach},
    spool::Spool,
    world::World,
};

/// The first account that starts a command, which may need anything.
pub(super) fn commander(config: &Config) -> Option<&str> {
    let starts = |account: &&Account| match account.auth.as_ref().map(|auth| &auth.source) {
        // The keyring's own program is started, too.
        Some(SecretSource::Command(_) | SecretSource::TokenCommand { .. } | SecretSource::Keyring) => true,
        Some(SecretSource::OAuth(client)) => client.keep == Keep::Keyring,
        _ => false,
    };
    config.accounts.iter().find(starts).map(|account| account.name.as_str())
}

/// What is read and written.
pub(super) fn of(world: &dyn World, config: &Config, file: Option<&Path>, spool: &Spool) -> Reach {
    let mut reach = Reach::default().with_system();
    reach.write.push(spool.path().to_owned());
    // Where its name is to be removed again; a socket of the manager's is elsewhere, or not ours to remove.
    reach.write.extend(sandbox::directory(&config.serve.socket).map(Path::to_owned));
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
    for name in ["HOME", "NETRC", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZDIR"] {
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
    match account.auth.as_ref().map(|auth| &auth.source) {
        Some(SecretSource::File(path)) => reach.reads_beside(path),
        Some(SecretSource::OAuth(client)) => client_files(client, reach),
        _ => {}
    }
}

/// New tokens are written beside the old ones.
fn client_files(client: &OAuth, reach: &mut Reach) {
    client.ca_file.iter().for_each(|path| reach.reads_beside(path));
    if let ClientSecret::File(path) = &client.client_secret {
        reach.reads_beside(path);
    }
    if let Keep::File(path) = &client.keep {
        reach.write.extend(made(path).map(Path::to_owned));
    }
}

/// The directory of a file, made now where it is missing: later it could not be.
fn made(file: &Path) -> Option<&Path> {
    let directory = sandbox::directory(file)?;
    let _ = std::fs::create_dir_all(directory);
    Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{config, world::Pretend};

    fn reach(scratch: &Path, auth: &str) -> (Reach, Option<String>) {
        let text = format!(
            "[log]\nfile = \"\"\n[memory]\nfile = \"\"\n[queue]\ndir = \"spool\"\n[accounts.relay]\nhost = \"mx\"\n[accounts.relay.auth]\nuser = \"me\"\n{auth}"
        );
        let world = Pretend::default();
        let config = config::parse(&world, &scratch.join("config.toml"), &text).unwrap();
        let spool = Spool::make(&scratch.join("spool")).unwrap();
        (of(&world, &config, None, &spool), commander(&config).map(str::to_owned))
    }

    #[test]
    fn a_file_that_is_named_alone_is_where_the_service_was_started() {
        let scratch = tempfile::tempdir().unwrap();
        let text = "[log]\nfile = \"log.jsonl\"\n[memory]\nfile = \"memory.json\"\n[queue]\ndir = \"spool\"\n[accounts.relay]\nhost = \"mx\"\n";
        let world = Pretend::default();
        let config = config::parse(&world, Path::new("config.toml"), text).unwrap();
        let reach = of(&world, &config, Some(Path::new("config.toml")), &Spool::make(&scratch.path().join("spool")).unwrap());
        assert!(reach.read.contains(&PathBuf::from(".")) && reach.write.contains(&PathBuf::from(".")), "{reach:?}");
        assert!(!reach.read.iter().chain(&reach.write).any(|path| path.as_os_str().is_empty()), "{reach:?}");
    }

    #[test]
    fn tokens_of_a_provider_can_be_renewed_wherever_they_are_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let client = "mechanism = \"XOAUTH2\"\n[accounts.relay.auth.oauth]\nprovider = \"google\"\nclient_id = \"x\"\n";
        let more = "client_secret_file = \"secrets/client\"\nca_file = \"ca/ca.pem\"\ntoken_file = \"tokens/token.json\"\n";
        let (reach, commander) = reach(scratch.path(), &format!("{client}{more}"));
        assert!(reach.write.contains(&scratch.path().join("tokens")) && scratch.path().join("tokens").is_dir(), "{reach:?}");
        assert!(["secrets", "ca"].iter().all(|name| reach.read.contains(&scratch.path().join(name))), "{reach:?}");
        assert_eq!(commander, None);
        let (_, commander) = self::reach(scratch.path(), &format!("{client}keyring = true\n"));
        assert_eq!(commander.as_deref(), Some("relay"), "the keyring's program is started");
    }
}
