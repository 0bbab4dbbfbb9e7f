//! The reader over text: what is right, and where each fault is shown.

use std::{path::Path, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    error::Error,
    host::world::Pretend,
    mail::policy::{Demand, OnDowngrade, Policy, Request, Start, Tlsa, Trust},
    smtp::sasl::{Choice, Mechanism},
};

mod documents;
mod faults;
mod places;
mod queue;

fn read(text: &str) -> Result<Config, Error> {
    let path = Path::new("/etc/sealpost/config.toml");
    let world = Pretend { state_dir: Some("/home/alice/.local/state/sealpost".into()), ..Pretend::default() }
        .with_env("HOME", "/home/alice");
    parse(&world, path, text)
}

/// An account with `lines` in its tables.
fn account(lines: &str) -> Result<Account, Error> {
    read(&format!("[accounts.relay]\nhost = \"smtp.example.com\"\n{lines}")).map(|config| config.accounts[0].clone())
}

#[test]
fn two_lines_are_a_configuration_and_the_defaults_are_strict() {
    let config = read("[accounts.relay]\nhost = \"smtp.example.com.\"\n").unwrap();
    assert_eq!(config.default_account.as_deref(), Some("relay"));
    assert_eq!(config.aliases, Aliases::Default);
    let log = Log { file: Some("/home/alice/.local/state/sealpost/log.jsonl".into()), syslog: true, notation: Notation::Result };
    assert_eq!(config.log, log);
    assert_eq!(config.memory, Memory::File("/home/alice/.local/state/sealpost/memory.json".into()));
    let limits =
        Limits { message_size: u64::MAX, connect: Duration::from_secs(30), timeouts: Timeouts::default(), recipients: 100 };
    assert_eq!(config.limits, limits);
    let account = &config.accounts[0];
    assert_eq!(account.target, Target::Name("smtp.example.com".into(), 587));
    assert_eq!(account.protocol, Protocol::Smtp);
    assert_eq!(account.from_policy, None);
    let strict = Demand {
        policy: Policy::Required,
        trust: Trust::System,
        start: Start::Starttls,
        on_downgrade: OnDowngrade::Warn,
        tlsa: Tlsa::Unasked,
        request: Request::Nothing,
    };
    assert_eq!(account.tls.demand, strict);
    assert!(account.auth.is_none());
}

#[test]
fn every_key_of_the_manual_is_understood() {
    let config = read(include_str!("tests/whole.toml")).unwrap();
    assert_eq!(config.default_account.as_deref(), Some("relay"));
    assert_eq!(config.mail_domain.as_deref(), Some("example.com"));
    assert_eq!(config.qualify, Qualify::Local);
    assert_eq!(config.aliases, Aliases::File("/etc/aliases".into()));
    assert_eq!(config.log, Log { file: Some("/var/log/sealpost/log.jsonl".into()), syslog: false, notation: Notation::Postfix });
    assert_eq!(config.memory, Memory::File("/var/lib/sealpost/memory.json".into()));
    assert_eq!(config.limits.message_size, 100 << 20);
    assert_eq!(config.limits.connect, Duration::from_secs(20));
    assert_eq!(config.limits.timeouts.mail, Duration::from_secs(120), "reply_timeout stands for all");
    assert_eq!(config.limits.timeouts.end, Duration::from_secs(900), "but for those that are written");
    let servers: Vec<String> = config.dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.1:5353", "[2001:db8::53]:53"]);
    assert_eq!(config.dns.trust_anchor.as_deref(), Some(Path::new("/etc/sealpost/root.key")));
    let relay = config.account("relay").unwrap();
    assert_eq!(relay.from.as_ref().unwrap().to_string(), "cron@example.com");
    assert_eq!(relay.matches, ["*@example.com"]);
    assert_eq!(relay.from_policy, Some(FromPolicy::Login));
    assert!(relay.rewrite_from);
    assert_eq!(relay.hello.as_deref(), Some("host.example.com"));
    assert_eq!(relay.fallback, ["second"]);
    assert_eq!(relay.source_address, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(relay.proxy, Some(Proxy { host: "127.0.0.1".into(), port: 9050 }));
    assert_eq!(relay.tls.ca_file.as_deref(), Some(Path::new("/etc/ssl/relay-ca.pem")));
    assert_eq!(relay.tls.crl_file.as_deref(), Some(Path::new("/etc/sealpost/relay-crl.pem")), "relative to the file");
    assert_eq!(relay.tls.server_name.as_deref(), Some("smtp.example.com"));
    assert_eq!((relay.tls.min_version, relay.tls.backend), (Version::Tls13, Backend::Rustls));
    assert_eq!(relay.tls.client_identity, Some(("/etc/sealpost/client.pem".into(), "/etc/sealpost/client.key".into())));
    assert_eq!(relay.tls.demand.on_downgrade, OnDowngrade::Refuse);
    let auth = relay.auth.as_ref().unwrap();
    assert_eq!((auth.user.as_str(), auth.choice, auth.allow_unverified), ("cron", Choice::Only(Mechanism::ScramSha256), true));
    assert!(matches!(&auth.source, SecretSource::File(path) if path == Path::new("/home/alice/.relay")));
    assert_eq!(relay.tls.demand.request, Request::Require);
    let backup = config.account("backup").unwrap();
    assert_eq!(backup.protocol, Protocol::Lmtp);
    assert_eq!(backup.target, Target::Unix("/run/dovecot/lmtp".into()));
    let pinned = config.account("pinned").unwrap();
    assert_eq!((pinned.tls.demand.trust, pinned.tls.pins.len()), (Trust::Pin, 1));
}

#[test]
fn accounts_keep_the_order_of_the_file() {
    let config = read("[accounts.zebra]\nhost = \"a\"\n[accounts.apple]\nhost = \"b\"\n[accounts.mango]\nhost = \"c\"\n").unwrap();
    let names: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["zebra", "apple", "mango"]);
    assert_eq!(config.default_account, None);
}

#[test]
fn port_and_start_follow_each_other() {
    let name = |port| Target::Name("smtp.example.com".into(), port);
    for (lines, target, start) in [
        ("", name(587), Start::Starttls),
        ("port = 465", name(465), Start::Implicit),
        ("port = 25", name(25), Start::Starttls),
        ("tls.start = \"implicit\"", name(465), Start::Implicit),
        ("tls.start = \"starttls\"", name(587), Start::Starttls),
        ("port = 465\ntls.start = \"starttls\"", name(465), Start::Starttls),
        ("port = 2465\ntls.start = \"implicit\"", name(2465), Start::Implicit),
        ("protocol = \"lmtp\"", name(24), Start::Starttls),
    ] {
        let account = account(lines).unwrap();
        assert_eq!((account.target, account.tls.demand.start), (target, start), "{lines}");
    }
}

#[test]
fn an_empty_path_is_none_where_none_makes_sense() {
    let config = read("aliases = \"\"\n[log]\nfile = \"\"\n[limits]\nmessage_size = 0\n[accounts.a]\nhost = \"::1\"\n").unwrap();
    assert_eq!((config.aliases, config.log.file), (Aliases::None, None));
    assert_eq!(config.limits.message_size, u64::MAX);
    assert_eq!(config.accounts[0].target, Target::Address("::1".parse().unwrap(), 587));
}

#[test]
fn each_way_to_a_password_is_read() {
    let source = |line: &str| account(&format!("[accounts.relay.auth]\nuser = \"cron\"\n{line}\n")).unwrap().auth.unwrap().source;
    assert!(matches!(source("password = \"x\""), SecretSource::Inline(secret) if secret.expose() == "x"));
    assert!(matches!(source("password_env = \"RELAY\""), SecretSource::Environment(name) if name == "RELAY"));
    assert!(matches!(source("password_command = \"pass show x\""), SecretSource::Command(command) if command == "pass show x"));
    assert!(matches!(source("credential = \"relay\""), SecretSource::Credential(name) if name == "relay"));
    assert!(matches!(source("keyring = true"), SecretSource::Keyring));
    assert!(matches!(source("netrc = true"), SecretSource::Netrc));
    assert!(matches!(source("netrc = false"), SecretSource::Prompt));
    let command = |line: &str| match source(line) {
        SecretSource::TokenCommand { command, cache } => (command, cache),
        other => panic!("{other:?}"),
    };
    assert_eq!(command("token_command = \"pizauth show x\""), ("pizauth show x".to_owned(), true));
    assert_eq!(command("token_command = \"x\"\ntoken_cache = false"), ("x".to_owned(), false));
    assert!(matches!(source(""), SecretSource::Prompt));
    assert!(!format!("{:?}", source("password = \"hunter2\"")).contains("hunter2"));
}

#[test]
fn providers_are_known_by_name_and_others_by_their_endpoints() {
    let client = |lines: &str| {
        let text = format!("[accounts.relay.auth]\nuser = \"me\"\n[accounts.relay.auth.oauth]\nclient_id = \"x\"\n{lines}\n");
        match account(&text).unwrap().auth.unwrap().source {
            SecretSource::OAuth(client) => client,
            other => panic!("{other:?}"),
        }
    };
    let url = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(|endpoint| endpoint.url.clone());
    let google = client("provider = \"google\"\nclient_secret = \"hunter2\"");
    assert_eq!(google.token.url, "https://oauth2.googleapis.com/token");
    assert_eq!((url(&google.device), google.scope.as_str()), (None, "https://mail.google.com/"));
    assert!(!format!("{google:?}").contains("hunter2"));
    let microsoft = client("provider = \"microsoft\"\ntenant = \"example.com\"\nkeyring = true");
    assert_eq!(url(&microsoft.device).unwrap(), "https://login.microsoftonline.com/example.com/oauth2/v2.0/devicecode");
    assert_eq!((microsoft.keep, microsoft.redirect_host), (Keep::Keyring, "localhost"));
    let own = client(
        "token_endpoint = \"https://id.example.com/t\"\ndevice_endpoint = \"https://id.example.com/d\"\ntoken_file = \"t.json\"",
    );
    assert_eq!((own.scope.as_str(), url(&own.authorization)), ("", None));
    assert_eq!(own.keep, Keep::File("/etc/sealpost/t.json".into()));
    // What is written comes before what is known.
    assert_eq!(client("provider = \"google\"\nscope = \"mail\"").scope, "mail");
}

#[test]
fn plaintext_logins_are_for_this_machine_and_named_mechanisms() {
    let login = |host: &str, mechanism: &str| {
        let text = format!(
            "[accounts.a]\nhost = \"{host}\"\ntls.policy = \"off\"\n[accounts.a.auth]\nuser = \"u\"\npassword_env = \"P\"\nmechanism = \"{mechanism}\"\n"
        );
        read(&text).is_ok()
    };
    for host in ["127.0.0.1", "::1", "localhost", "smtp.localhost", "unix:/run/x"] {
        assert!(login(host, "PLAIN"), "{host}");
        assert!(!login(host, "auto"), "{host}");
    }
    for host in ["192.0.2.1", "smtp.example.com", "localhost-not"] {
        assert!(!login(host, "PLAIN"), "{host}");
    }
}

#[test]
fn the_account_is_the_wanted_or_the_fitting_or_the_default_one() {
    let text = "default_account = \"b\"\n[accounts.a]\nhost = \"a\"\nmatch = [\"*@A.example\"]\n[accounts.b]\nhost = \"b\"\n\
                [accounts.c]\nhost = \"c\"\nmatch = [\"root@*\", \"*@a.example\"]\n";
    let config = read(text).unwrap();
    let chosen = |wanted, sender| config.choose(wanted, sender).unwrap().name.clone();
    assert_eq!(chosen(Some("c"), Some("x@a.example")), "c", "-a comes before match");
    assert_eq!(chosen(None, Some("x@a.example")), "a", "the first that fits");
    assert_eq!(chosen(None, Some("root@b.example")), "c");
    assert_eq!(chosen(None, Some("x@b.example")), "b");
    assert_eq!(chosen(None, None), "b");
}

#[test]
fn who_is_named_by_an_account_takes_it_where_nothing_else_says_which() {
    let text = "default_account = \"b\"\n[accounts.a]\nhost = \"a\"\nmatch = [\"*@a.example\"]\n\
                from_by_user = { root = \"ops@a.example\", ann = \"ann@a.example\" }\n\
                [accounts.b]\nhost = \"b\"\nfrom_by_user = { ann = \"ann@b.example\" }\n\
                [accounts.c]\nhost = \"c\"\nfrom_by_user = { root = \"root@c.example\" }\n";
    let config = read(text).unwrap();
    let chosen = |wanted, sender, caller| config.choose_for(wanted, sender, Some(caller)).unwrap().name.clone();
    assert_eq!(chosen(None, None, "root"), "a", "the first that names the caller");
    assert_eq!(chosen(None, None, "ann"), "b", "the default one, where it does");
    assert_eq!(chosen(None, None, "bob"), "b");
    assert_eq!(chosen(None, Some("x@a.example"), "bob"), "a");
    assert_eq!(chosen(None, Some("x@b.example"), "root"), "b", "whoever asks for a sender is nobody in particular");
    assert_eq!(chosen(Some("c"), Some("x@a.example"), "root"), "c");
}

#[test]
fn a_choice_that_fails_names_the_accounts() {
    let several = read("[accounts.relay]\nhost = \"a\"\n[accounts.backup]\nhost = \"b\"\n").unwrap();
    let fault = |wanted| several.choose(wanted, None).unwrap_err().render("sendmail");
    assert_eq!(
        fault(Some("rely")),
        "sendmail: choosing an account: there is no account `rely`\nsendmail: hint: did you mean `relay`? the accounts are `relay` and `backup`\n"
    );
    assert_eq!(
        fault(None),
        "sendmail: choosing an account: there are several, and nothing says which\n\
         sendmail: hint: set `default_account`, or choose with -a: `relay` or `backup`\n"
    );
    let only = read("[accounts.relay]\nhost = \"a\"\n").unwrap();
    assert_eq!(only.choose(None, Some("x@y")).unwrap().name, "relay");
    assert_eq!(only.choose(Some("zebra"), None).unwrap_err().advice(), Some("the only account is `relay`"));
    assert_eq!(only.choose(Some("zebra"), None).unwrap_err().exit(), crate::error::Exit::Config);
}

/// The line that an error names.
fn line_of(error: &Error) -> Option<usize> {
    let summary = error.summary();
    let rest = summary.strip_prefix("reading /etc/sealpost/config.toml:")?;
    rest.split(':').next()?.parse().ok()
}

fn scrambled() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("[accounts.relay]\n".to_owned()),
        Just("[accounts.relay.auth]\nuser = \"u\"\n".to_owned()),
        Just("host = \"h\"\n".to_owned()),
        Just("password = \"hunter2\"\n".to_owned()),
        Just("password = \"\"\"\nhunter2\n\"\"\"\n".to_owned()),
        Just("tls = { policy = \"off\", pins = [\n\"x\"] }\n".to_owned()),
        Just("[limits]\nmessage_size = ".to_owned()),
        "[a-z_.]{1,9} = [0-9\"a-z\\[\\]{}']{0,9}\n",
        "\\PC{0,9}",
        "[\"'=\\[\\]{}#\\n\\r\\t\u{0}\u{feff}é]{0,6}",
    ];
    proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_line_of_its_own(text in scrambled()) {
        if let Err(error) = read(&text) {
            let line = line_of(&error);
            let lines = text.matches('\n').count() + 1;
            prop_assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{}", error.render("t"));
        }
    }

    #[test]
    fn no_password_is_in_any_error(before in scrambled(), key in "password|pasword|pass|passwrd|pw|Password|\"password\"|auth\\.password", gap in "( = |=| |: |\n= )\"?", after in scrambled()) {
        let text = format!("{before}\n{key}{gap}correct-horse-battery\"\n{after}");
        if let Err(error) = read(&text) {
            let rendered = error.render("t");
            prop_assert!(!rendered.contains("horse"), "{rendered}");
        }
    }
}
