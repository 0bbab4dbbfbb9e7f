//! What is allowed and nevertheless unwise, or sure to fail later?

use std::{fs::File, io, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use crate::{
    error::Error,
    host::{
        config::{Account, Aliases, Auth, Config, Origin, SecretSource, Target},
        dns::Resolver,
        memory,
        secrets::{self, Errand, oauth},
        world::World,
    },
    mail::policy::{Policy, Trust},
};

/// Everything that `config check` warns of, a sentence each.
pub(super) fn of(world: &dyn World, config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Origin::File(path) = &config.origin
        && let Ok(metadata) = path.metadata()
        && (metadata.mode() & 0o022 != 0 || ![0, world.uid()].contains(&metadata.uid()))
    {
        warnings.push("others can change this file, and so decide where your mail goes".to_owned());
    }
    if let Aliases::File(path) = &config.aliases {
        warnings.extend(unreadable("aliases", path));
    }
    if config.accounts.iter().any(|account| account.tls.demand.minds_the_past()) {
        warnings.extend(memory::read(&config.memory).err().map(|trouble| advised(&trouble.error)));
    }
    if config.accounts.iter().any(asks_the_dns) {
        warnings.extend(Resolver::new(world, &config.dns, Duration::ZERO).err().map(|trouble| trouble.words));
    }
    if config.default_account.is_none() {
        warnings.push("no default_account: mail that no `match` and no -a chooses an account for is refused".to_owned());
    }
    for account in &config.accounts {
        let of_account = [
            tls(account),
            fallbacks(config, account),
            files(account),
            account.auth.as_ref().map_or_else(Vec::new, |auth| login(world, config, account, auth)),
        ];
        warnings.extend(of_account.into_iter().flatten().map(|warning| format!("account {}: {warning}", account.name)));
    }
    warnings
}

/// Whether its mails need what `[dns]` says.
fn asks_the_dns(account: &Account) -> bool {
    account.tls.demand.trusts_dane() || matches!(account.target, Target::Service(_))
}

fn tls(account: &Account) -> Vec<String> {
    let demand = account.tls.demand;
    let mut warnings = Vec::new();
    match demand.policy {
        Policy::Off if !is_local(account) => warnings.push("policy \"off\": mail crosses the network for all to read".to_owned()),
        Policy::Required if demand.trust == Trust::Any => {
            warnings.push("trust \"any\": TLS with whoever answers; an attacker on the way can read along".to_owned());
        }
        _ => {}
    }
    if account.tls.ca_file.is_some() && demand.trust != Trust::System {
        warnings.push(format!("ca_file has no effect with trust \"{}\"", demand.trust.as_str()));
    }
    let has_tls_settings = account.tls.ca_file.is_some() || !account.tls.pins.is_empty() || account.tls.client_identity.is_some();
    if demand.policy == Policy::Off && has_tls_settings {
        warnings.push("policy \"off\" leaves ca_file, pins and client_cert without effect".to_owned());
    }
    warnings
}

/// Whoever can keep a server from answering decides where its mail goes instead.
fn fallbacks(config: &Config, account: &Account) -> Vec<String> {
    let ours = account.tls.demand;
    let asks_less = |other: &&Account| {
        let theirs = other.tls.demand;
        let less = (ours.must_encrypt() && !theirs.must_encrypt()) || (ours.must_trust() && !theirs.must_trust());
        less && !is_local(other)
    };
    let fallbacks = account.fallback.iter().filter_map(|name| config.account(name));
    fallbacks.filter(asks_less).map(|other| format!("its fallback {} asks less of TLS", other.name)).collect()
}

/// Whether what goes there stays on this machine.
fn is_local(account: &Account) -> bool {
    match &account.target {
        Target::Unix(_) => true,
        Target::Address(address, _) => address.to_canonical().is_loopback(),
        Target::Name(name, _) => name.eq_ignore_ascii_case("localhost"),
        Target::Service(_) => false,
    }
}

fn files(account: &Account) -> Vec<String> {
    let (cert, key) = account.tls.client_identity.as_ref().map(|(cert, key)| (cert, key)).unzip();
    let named = [
        ("ca_file", account.tls.ca_file.as_ref()),
        ("crl_file", account.tls.crl_file.as_ref()),
        ("client_cert", cert),
        ("client_key", key),
    ];
    let mut warnings: Vec<String> = named.into_iter().filter_map(|(key, path)| unreadable(key, path?)).collect();
    if let Some(key) = key
        && key.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
    {
        warnings.push(format!("client_key {} can be read by others", key.display()));
    }
    warnings
}

fn login(world: &dyn World, config: &Config, account: &Account, auth: &Auth) -> Vec<String> {
    let demand = account.tls.demand;
    let mut warnings = Vec::new();
    if demand.policy == Policy::Opportunistic && !matches!(demand.trust, Trust::Pin | Trust::Tofu) {
        warnings.push(
            "policy \"opportunistic\" with a login: the password never goes out in plaintext, so where TLS fails the mail is deferred; \
             pin the certificate, or say \"required\""
                .to_owned(),
        );
    }
    if auth.allow_unverified {
        warnings.push("allow_unverified: the password may be shown to a server that nobody verified".to_owned());
    }
    warnings.extend(secret(&Errand { world, config, account, auth }));
    warnings
}

/// What is wrong with the place of the secret, as far as looking harms nothing: a command or a keyring might ask somebody for something.
fn secret(errand: &Errand<'_>) -> Option<String> {
    let problem = match &errand.auth.source {
        SecretSource::File(_) | SecretSource::Environment(_) | SecretSource::Netrc => secrets::fetch(errand).err(),
        // A unit's credentials are not there when somebody checks its configuration.
        SecretSource::Credential(_) if errand.world.env("CREDENTIALS_DIRECTORY").is_some() => secrets::fetch(errand).err(),
        SecretSource::OAuth(client) => match oauth::is_agreed(errand, client) {
            Ok(true) => None,
            Ok(false) => Some(oauth::nobody_agreed(errand, client)),
            Err(error) => Some(error),
        },
        SecretSource::Ticket => secrets::look_for_ticket(errand).err(),
        SecretSource::Prompt => {
            return Some("the password is asked for on the terminal: cron and daemons have none".to_owned());
        }
        SecretSource::Command(_)
        | SecretSource::Inline(_)
        | SecretSource::Credential(_)
        | SecretSource::Keyring
        | SecretSource::TokenCommand { .. }
        | SecretSource::Nowhere => None,
    };
    problem.map(|error| advised(&error))
}

fn advised(error: &Error) -> String {
    match error.advice() {
        Some(advice) => format!("{} ({advice})", error.summary()),
        None => error.summary(),
    }
}

fn unreadable(key: &str, path: &Path) -> Option<String> {
    // A directory opens, and can't be read; a FIFO would keep us waiting.
    let opened =
        path.metadata().and_then(|metadata| if metadata.is_file() { File::open(path).map(drop) } else { Err(not_a_file()) });
    opened.err().map(|error| format!("{key} {} can't be read: {error}", path.display()))
}

fn not_a_file() -> io::Error {
    io::Error::other("it is not a regular file")
}
