//! Do msmtp and Postfix themselves say of their configurations what ours says of what became of them?

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use sealpost::{
    host::{
        config::{self, Account, Config, Target},
        world::Pretend,
    },
    mail::policy::Start,
};

use crate::{
    common::Scratch,
    kit::{Case, cases},
};

#[test]
fn msmtp_would_go_to_the_same_server_as_the_same_sender_and_the_same_user() {
    if !exists("msmtp") {
        println!("SKIPPED: msmtp is not installed");
        return;
    }
    let mut compared = 0;
    for case in cases().iter().filter(|case| case.name.starts_with("msmtp-") && case.arguments.len() == 1) {
        let config = ours(case);
        let accounts = config.accounts.iter().map(|account| vec!["-a".to_owned(), account.name.clone()]);
        let senders = config.accounts.iter().filter_map(|account| account.from.as_ref()).filter(|_| !made_of_login(case));
        let senders = senders.map(|from| vec!["-f".to_owned(), from.to_string()]);
        for words in accounts.chain(senders).chain([Vec::new()]) {
            let Some(theirs) = msmtp(case, &words) else { continue };
            let (wanted, sender) = match words.as_slice() {
                [flag, name] if flag == "-a" => (Some(name.as_str()), None),
                [_, sender] => (None, Some(sender.as_str())),
                _ => (None, None),
            };
            let account = config.choose(wanted, sender).unwrap();
            let mut ours = facts(account, sender);
            if sender.is_none() && made_of_login(case) {
                ours.insert("from".to_owned(), String::new());
            }
            assert_eq!(ours, theirs, "{} {words:?}", case.name);
            compared += 1;
        }
    }
    assert!(compared >= 50, "{compared} compared: does msmtp still take these configurations?");
}

/// What counts, as msmtp calls it.
fn facts(account: &Account, sender: Option<&str>) -> BTreeMap<String, String> {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let demand = account.tls.demand;
    let (host, port) = match &account.target {
        Target::Name(name, port) => (name.clone(), port.to_string()),
        Target::Address(address, port) => (address.to_string(), port.to_string()),
        Target::Unix(path) => (path.display().to_string(), String::new()),
        Target::Service(_) => unreachable!("msmtp has no services"),
    };
    let from = sender.map(str::to_owned).or_else(|| account.from.as_ref().map(ToString::to_string));
    BTreeMap::from([
        ("host".to_owned(), host),
        ("port".to_owned(), port),
        ("tls".to_owned(), on(demand.must_encrypt())),
        ("implicit".to_owned(), on(demand.must_encrypt() && demand.start == Start::Implicit)),
        ("from".to_owned(), from.unwrap_or_default()),
        ("user".to_owned(), account.auth.as_ref().map(|auth| auth.user.clone()).unwrap_or_default()),
    ])
}

/// The same of `msmtp --pretend`; `None` where msmtp does not take the configuration, or wants no such sender.
fn msmtp(case: &Case, words: &[String]) -> Option<BTreeMap<String, String>> {
    let scratch = Scratch::new();
    // msmtp runs what a configuration names: here that is nothing but a word of the shell itself.
    let harmless = |line: &str| match line.trim_start().split(' ').next() {
        Some("passwordeval") => "passwordeval echo x\n".to_owned(),
        Some("eval") => String::new(),
        _ => format!("{line}\n"),
    };
    let config = scratch.write("msmtprc", text(case).lines().map(harmless).collect::<String>());
    let program = path_of("msmtp").unwrap();
    let mut command = Command::new(program);
    command.arg("-C").arg(&config).args(words).args(["--pretend", "you@example.com"]);
    command.env_clear().env("HOME", "/home/ann").env("PATH", "/nonexistent").env("LC_ALL", "C");
    let output = command.output().unwrap();
    if !output.status.success() {
        return None;
    }
    let said = settings(&output, " = ");
    let get = |key: &str| said.get(key).filter(|value| *value != "(not set)").cloned().unwrap_or_default();
    let is_on = |key: &str| said.get(key).is_some_and(|value| value == "on");
    let (host, port) = match get("socket") {
        none if none.is_empty() => (get("host"), get("port")),
        socket => (socket, String::new()),
    };
    let implicit = is_on("tls") && !is_on("tls_starttls");
    let user = if get("auth") == "none" { String::new() } else { get("user") };
    // A pattern is the sender of nobody, and what is made of the caller's login is said in another way here.
    let from = get("from");
    let from = if from.contains(['*', '%']) || made_of_login(case) { None } else { Some(from) };
    // What msmtp would do without TLS is done so where nobody logs in, or on this machine alone.
    let tls = (is_on("tls") && !host.starts_with('/')) || !(user.is_empty() || host.starts_with("127."));
    Some(BTreeMap::from([
        ("host".to_owned(), host),
        ("port".to_owned(), port),
        ("tls".to_owned(), if tls { "on" } else { "off" }.to_owned()),
        ("implicit".to_owned(), if implicit { "on" } else { "off" }.to_owned()),
        ("from".to_owned(), from.unwrap_or_default()),
        ("user".to_owned(), user),
    ]))
}

fn made_of_login(case: &Case) -> bool {
    text(case).lines().map(str::trim_start).any(|line| line.starts_with("from %") || line.starts_with("auto_from"))
}

/// The configuration of msmtp.
fn text(case: &Case) -> String {
    fs::read_to_string(case.root.join(case.arguments[0].trim_start_matches('/'))).unwrap()
}

#[test]
fn postfix_means_the_same_by_its_parameters() {
    if !exists("postconf") {
        println!("SKIPPED: postfix is not installed");
        return;
    }
    let mut compared = 0;
    for case in cases().iter().filter(|case| case.name.starts_with("postfix-") && !case.name.ends_with("-mistakes")) {
        let config = ours(case);
        // Of a sender of whom no table tells.
        let account = config.choose(None, Some("x@nobody.example")).unwrap();
        let mut command = Command::new("postconf");
        command.arg("-c").arg(case.root.join("etc/postfix"));
        let output = command.args(["-x", "relayhost", "smtp_helo_name", "myorigin", "myhostname"]).output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", case.name);
        let theirs = settings(&output, " = ");
        // Another parameter says where mail goes.
        let Some(relay) = theirs.get("relayhost") else { continue };
        let relay = relay.split([',', ' ']).next().unwrap();
        let (host, port) = relay.trim_start_matches('[').split_once("]:").unwrap_or((relay.trim_matches(['[', ']']), "25"));
        let port = match port {
            "submission" => "587",
            "smtps" => "465",
            number => number,
        };
        let target = match &account.target {
            Target::Name(name, port) => format!("{name} {port}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(target, format!("{host} {port}"), "{}", case.name);
        if let Some(hello) = &account.hello {
            assert_eq!(*hello, theirs["smtp_helo_name"], "{}", case.name);
        }
        if let Some(domain) = &config.mail_domain {
            assert_eq!(*domain, theirs["myorigin"], "{}", case.name);
        }
        compared += 1;
    }
    assert!(compared >= 10, "{compared} compared");
}

/// `key = value` lines.
fn settings(output: &Output, separator: &str) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// What became of a case.
fn ours(case: &Case) -> Config {
    let text = fs::read_to_string(case.root.join("expected.toml")).unwrap();
    let world = Pretend { state_dir: Some("/home/ann/.local/state/sealpost".into()), ..Pretend::default() };
    let world = world.with_env("HOME", "/home/ann");
    config::parse(&world, Path::new("/home/ann/config.toml"), &text).unwrap()
}

fn exists(program: &str) -> bool {
    path_of(program).is_some()
}

fn path_of(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}
