//! Which server is meant by a word on the command line: an account, a host, a host and its port?

use std::{borrow::Cow, path::Path};

use serde_json::json;

use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Account, Config},
        memory::{self, Servers},
        world::World,
    },
    mail::policy::{Policy, Start},
};

/// The account to connect as: the one of that name, else the one that has this server, else one made for it.
///
/// # Errors
/// The host is none, it stands for several ports, or its account has no TLS.
pub(super) fn account<'c>(
    world: &dyn World,
    config: &'c Config,
    text: &str,
    start: Option<Start>,
) -> Result<Cow<'c, Account>, Error> {
    let account = match config.account(text).map_or_else(|| with_server(config, text), |account| Ok(Some(account)))? {
        Some(account) => Cow::Borrowed(account),
        None => Cow::Owned(stranger(world, text, start)?),
    };
    if account.tls.demand.policy == Policy::Off {
        let because = format!("account {} has policy = \"off\": it never begins TLS, so there is no key", account.name);
        return Err(Error::new(Exit::Config, format!("connecting to {text}"), because).hint("set its policy, or name HOST:PORT"));
    }
    Ok(account)
}

/// The names of what is remembered that a word stands for.
///
/// # Errors
/// Nothing is remembered by that name.
pub(super) fn remembered(config: &Config, servers: &Servers, text: &str) -> Result<Vec<String>, Error> {
    let text = config.account(text).map_or_else(|| text.to_owned(), memory::name);
    let names: Vec<String> = servers.iter().map(|(name, _)| name).filter(|name| fits(name, &text)).map(str::to_owned).collect();
    if names.is_empty() {
        let error = Error::new(Exit::NoInput, format!("forgetting {text}"), "nothing is remembered by that name");
        return Err(error.hint("sealpost trust list shows the names"));
    }
    Ok(names)
}

/// The account that has this server; one that goes by first use, if there are several.
fn with_server<'c>(config: &'c Config, text: &str) -> Result<Option<&'c Account>, Error> {
    let mut fitting: Vec<&Account> = config.accounts.iter().filter(|account| fits(&memory::name(account), text)).collect();
    fitting.sort_by_key(|account| !account.tls.demand.trusts_first_use());
    let mut names: Vec<String> = fitting.iter().map(|account| memory::name(account)).collect();
    names.sort();
    names.dedup();
    if names.len() > 1 {
        let error = Error::new(Exit::Usage, format!("connecting to {text}"), "accounts have several ports of it");
        return Err(error.hint(format!("name one: {}", names.join(", "))));
    }
    Ok(fitting.first().copied())
}

/// Whether a remembered name is meant by what was written: in full, or without the port.
fn fits(name: &str, text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    // What is behind `srv:` or `unix:` is no port.
    let numbered = name.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = numbered.map_or(name, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    [name, host, bare].iter().any(|form| form.eq_ignore_ascii_case(text))
}

/// An account for a server that no other account has: it is read as if it stood in a file, so that the same rules hold.
fn stranger(world: &dyn World, text: &str, start: Option<Start>) -> Result<Account, Error> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port.map(str::parse::<u16>).transpose();
    let port = port.ok().filter(|port| *port != Some(0)).ok_or_else(|| {
        Error::new(Exit::Usage, format!("connecting to {text}"), "it is no account, and no HOST:PORT")
            .hint("like smtp.example.com:587")
    })?;
    let port = port.map(|port| format!("port = {port}\n")).unwrap_or_default();
    let start = start.map(|start| format!("tls.start = {}\n", json!(start.as_str()))).unwrap_or_default();
    let page = format!("[accounts.{}]\nhost = {}\n{port}tls.trust = \"tofu\"\n{start}", json!(text), json!(host));
    let made =
        config::parse(world, Path::new("the command line"), &page).ok().and_then(|config| config.accounts.into_iter().next());
    made.ok_or_else(|| {
        Error::new(Exit::Usage, format!("connecting to {text}"), "it is no account, and no host")
            .hint("name an account, a host, or HOST:PORT")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::world::Pretend;

    const ACCOUNTS: &str = "default_account = \"relay\"\n[accounts.relay]\nhost = \"Relay.test\"\nport = 25\ntls.trust = \"tofu\"\n\
                            [accounts.twin]\nhost = \"relay.test\"\nport = 465\n[accounts.six]\nhost = \"::1\"\nport = 25\n\
                            [accounts.spare]\nhost = \"relay.test\"\nport = 25\n[accounts.clear]\nhost = \"clear.test\"\ntls.policy = \"off\"\n";

    fn config() -> Config {
        config::parse(&Pretend::default(), Path::new("x.toml"), ACCOUNTS).unwrap()
    }

    #[test]
    fn a_word_is_an_account_or_its_server_or_a_stranger() {
        let config = config();
        for (text, start, wanted) in [
            ("relay", None, Ok(("relay", "relay.test:25"))),
            ("RELAY.test:25", None, Ok(("relay", "relay.test:25"))),
            ("relay.test:465", None, Ok(("twin", "relay.test:465"))),
            ("::1", None, Ok(("six", "[::1]:25"))),
            ("[::1]:25", None, Ok(("six", "[::1]:25"))),
            ("relay.test", None, Err("several ports")),
            ("clear", None, Err("policy = \"off\"")),
            ("other.test", None, Ok(("other.test", "other.test:587"))),
            ("other.test", Some(Start::Implicit), Ok(("other.test", "other.test:465"))),
            ("other.test:2525", Some(Start::Implicit), Ok(("other.test:2525", "other.test:2525"))),
            ("192.0.2.1:25", None, Ok(("192.0.2.1:25", "192.0.2.1:25"))),
            ("[2001:db8::1]:25", None, Ok(("[2001:db8::1]:25", "[2001:db8::1]:25"))),
            ("2001:db8::1", None, Ok(("2001:db8::1", "[2001:db8::1]:587"))),
            ("other.test:0", None, Err("HOST:PORT")),
            ("other.test:smtp", None, Err("HOST:PORT")),
            ("not a host", None, Err("no host")),
            ("x\"]\nhost = \"y", None, Err("no host")),
            ("", None, Err("no host")),
        ] {
            let found = account(&Pretend::default(), &config, text, start);
            let found = found.map(|account| (account.name.clone(), memory::name(&account)));
            match (found, wanted) {
                (Ok(found), Ok((name, server))) => assert_eq!(found, (name.to_owned(), server.to_owned()), "{text}"),
                (Err(error), Err(word)) => assert!(error.summary().contains(word), "{text}: {error}"),
                (found, wanted) => panic!("{text}: {found:?} instead of {wanted:?}"),
            }
        }
        let implicit = account(&Pretend::default(), &config, "other.test:465", None).unwrap();
        assert_eq!(implicit.tls.demand.start, Start::Implicit);
    }

    #[test]
    fn a_host_without_a_port_stands_for_all_of_its_ports() {
        let mut servers = Servers::default();
        for name in ["relay.test:25", "relay.test:465", "[::1]:25", "unix:/run/x", "my.relay.test:25", "srv:relay.test"] {
            servers.entry(name);
        }
        let found = |text| remembered(&config(), &servers, text).map_err(|error| error.exit());
        assert_eq!(found("relay.test"), Ok(vec!["relay.test:25".to_owned(), "relay.test:465".to_owned()]));
        assert_eq!(found("Relay.Test:465"), Ok(vec!["relay.test:465".to_owned()]));
        assert_eq!(found("relay"), Ok(vec!["relay.test:25".to_owned()]));
        assert_eq!(found("::1"), Ok(vec!["[::1]:25".to_owned()]));
        assert_eq!(found("unix:/run/x"), Ok(vec!["unix:/run/x".to_owned()]));
        assert_eq!(found("SRV:relay.test"), Ok(vec!["srv:relay.test".to_owned()]));
        assert_eq!(found("srv"), Err(Exit::NoInput));
        assert_eq!(found("test"), Err(Exit::NoInput));
        assert_eq!(found(""), Err(Exit::NoInput));
    }
}
