//! Does a check come to what a send comes to: the same code, the same words, the same protection?

use sealpost::{
    host::listen::{Settings, Sink},
    smtp::server::fault::{FAULTS, Fault, Faults, Premise},
};

use crate::{
    account, auth, check,
    common::{MESSAGE, PASSWORD, Run, Sealpost, USER, reveals_secret},
    configured, oddities, sink,
};

/// Faults that strike after the login, or only some messages: what a check can't see.
const LATER: [&str; 13] = [
    "tiny-size",
    "mail-451",
    "mail-550",
    "rcpt-451",
    "rcpt-550",
    "rcpt-550-all",
    "data-421",
    "data-452",
    "data-554",
    "drop-after-dot",
    "half-reply",
    "reply-354-after-dot",
    "unsolicited",
];

/// What is different between a check and a send with the same account.
fn differences(page: &Run, run: &Run, sent: Option<&Run>) -> Vec<String> {
    let mut wrong = oddities(page);
    let told = account(run);
    if reveals_secret(run.stdout.as_bytes()) {
        wrong.push("the secret in JSON".to_owned());
    }
    let wanted = sent.map_or(0, |run| run.code);
    if [page.code, run.code] != [wanted; 2] || told["would_send"].as_bool() != Some(wanted == 0) {
        wrong.push(format!("exit {} and {} instead of {wanted}\n{}\n{sent:?}", page.code, run.code, page.stdout));
    }
    let Some(sent) = sent else { return wrong };
    let line = |start: &str| sent.stderr.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned();
    let words = (told["error"].as_str().unwrap_or_default(), told["hint"].as_str().unwrap_or_default());
    let (error, hint) = (line("sendmail: "), line("sendmail: hint: "));
    // What a send that went well warns of is advice.
    if wanted != 0 && words != (error.as_str(), hint.as_str()) {
        wrong.push(format!("other words: {words:?} instead of {:?}", (error, hint)));
    }
    // A submission that ended before an attempt has no result.
    let result = sent.last().pointer("/tls/result").cloned().unwrap_or_default();
    if told["result"] != result && !result.is_null() {
        wrong.push(format!("protected otherwise: {} instead of {result}", told["result"]));
    }
    wrong
}

fn compare(sealpost: &Sealpost) -> Vec<String> {
    // The checks come first: a send remembers.
    let (page, run) = (check(sealpost, &[]), check(sealpost, &["--json"]));
    let sent = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    differences(&page, &run, Some(&sent))
}

#[test]
fn the_verdict_on_every_fault_is_what_a_send_comes_to() {
    let mut wrong = Vec::new();
    for fault in &FAULTS {
        if fault.name == "stop-reading" {
            continue; // strikes in the message, and costs a send its patience
        }
        wrong.extend(of_fault(fault).into_iter().map(|what| format!("{}: {what}", fault.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn of_fault(fault: &'static Fault) -> Vec<String> {
    let login = fault.premise() == Some(Premise::Login);
    let implicit = fault.premise() == Some(Premise::Implicit);
    let sink = sink(&[fault.name], login, implicit);
    let start = if implicit { "start = \"implicit\", " } else { "" };
    let auth = if login { auth() } else { String::new() };
    let sealpost = configured(&sink, &format!("{start}ca_file = \"ca.pem\""), &auth);
    if LATER.contains(&fault.name) {
        return differences(&check(&sealpost, &[]), &check(&sealpost, &["--json"]), None);
    }
    compare(&sealpost)
}

/// Settings of an account against a sink: faults, whether it wants a login, the lines of `tls`, and the rest of the account.
struct Row(&'static [&'static str], bool, &'static str, &'static str);

const CA: &str = "ca_file = \"ca.pem\"";

/// Settings on which it depends whether a mail goes.
const ROWS: [Row; 31] = [
    Row(&[], false, "policy = \"off\"", ""),
    Row(&[], false, "trust = \"any\"", ""),
    Row(&[], false, "policy = \"opportunistic\"", ""),
    Row(&["self-signed"], false, "policy = \"opportunistic\"", ""),
    Row(&["expired"], false, "policy = \"opportunistic\"", ""),
    Row(&["no-starttls"], false, "policy = \"opportunistic\"", ""),
    Row(&["no-starttls"], false, "policy = \"opportunistic\", on_downgrade = \"refuse\"", ""),
    Row(&["no-ehlo"], false, "policy = \"opportunistic\"", ""),
    Row(&["starttls-454"], false, "policy = \"opportunistic\"", ""),
    Row(&["starttls-close"], false, "policy = \"opportunistic\"", ""),
    Row(&["starttls-close"], false, "policy = \"opportunistic\", on_downgrade = \"refuse\"", ""),
    Row(&["starttls-garbage"], false, "policy = \"opportunistic\"", ""),
    Row(&["handshake-garbage"], false, "policy = \"opportunistic\"", ""),
    Row(&[], false, "start = \"implicit\"", ""),
    Row(&[], false, "trust = \"pin\", pins = [\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"]", ""),
    Row(&[], false, "ca_file = \"/nonexistent.pem\"", ""),
    Row(&[], false, "ca_file = \"ca.pem\", crl_file = \"/nonexistent.pem\"", ""),
    Row(&[], false, "ca_file = \"ca.pem\", client_cert = \"/nonexistent.pem\"", ""),
    Row(&[], false, "ca_file = \"ca.pem\", server_name = \"other.test\"", ""),
    Row(&[], false, "ca_file = \"ca.pem\", min_version = \"1.3\"", ""),
    Row(&[], false, "ca_file = \"ca.pem\", requiretls = true", ""),
    Row(&[], false, CA, "from_policy = \"fixed\"\nfrom = \"me@client.test\""),
    Row(&[], false, CA, "source_address = \"::1\""),
    Row(&[], true, CA, "auth = { user = \"cron\", password_file = \"/nonexistent\" }"),
    Row(&[], true, CA, "auth = { user = \"cron\", password_command = \"exit 3\" }"),
    Row(&[], true, CA, "auth = { user = \"cron\", password_command = \"echo wrong\" }"),
    Row(&[], true, CA, "auth = { user = \"cron\", password_env = \"NOT_SET\" }"),
    Row(&["self-signed"], true, "policy = \"opportunistic\"", "AUTH"),
    Row(&["self-signed"], true, "policy = \"opportunistic\"", "PLAIN"),
    Row(&["self-signed"], true, "policy = \"opportunistic\"", "UNVERIFIED"),
    Row(&["no-starttls"], true, "policy = \"opportunistic\"", "AUTH"),
];

#[test]
fn the_verdict_on_every_setting_is_what_a_send_comes_to() {
    hold(&ROWS);
}

/// The same for a library that hides what it refuses.
#[cfg(feature = "native-tls")]
#[test]
fn the_verdict_of_native_tls_is_what_a_send_comes_to() {
    hold(&[
        Row(&[], false, "ca_file = \"ca.pem\", backend = \"native-tls\"", ""),
        Row(&["self-signed"], false, "ca_file = \"ca.pem\", backend = \"native-tls\"", ""),
        Row(&["wrong-name"], false, "ca_file = \"ca.pem\", backend = \"native-tls\"", ""),
        Row(&["expired"], false, "policy = \"opportunistic\", ca_file = \"ca.pem\", backend = \"native-tls\"", ""),
        Row(&["self-signed"], true, "policy = \"opportunistic\", backend = \"native-tls\"", "AUTH"),
        Row(&["starttls-close"], false, "policy = \"opportunistic\", backend = \"native-tls\"", ""),
    ]);
}

fn hold(rows: &[Row]) {
    let mut wrong = Vec::new();
    for Row(faults, login, tls, more) in rows {
        let sink = sink(faults, *login, false);
        let written = |extra: &str| format!("auth = {{ user = {USER:?}, password = {PASSWORD:?}{extra} }}");
        let more = match *more {
            "AUTH" => auth(),
            "PLAIN" => written(", mechanism = \"PLAIN\""),
            "UNVERIFIED" => written(", mechanism = \"PLAIN\", allow_unverified = true"),
            other => other.to_owned(),
        };
        let sealpost = configured(&sink, tls, &more);
        wrong.extend(compare(&sealpost).into_iter().map(|what| format!("{faults:?}, {tls}, {more}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_nobody_is_reached_the_verdict_is_a_sends() {
    let mut wrong = Vec::new();
    for account in [
        "host = \"127.0.0.1\"\nport = 1",
        "host = \"localhost\"\nport = 1",
        "host = \"no-such-host.invalid\"",
        "host = \"unix:/nonexistent/socket\"\ntls = { policy = \"off\" }",
        "host = \"127.0.0.1\"\nproxy = \"socks5://127.0.0.1:1\"",
        "host = \"127.0.0.1\"\nproxy = \"socks5://no-such-host.invalid:1080\"",
    ] {
        let sealpost = Sealpost::new(&format!("[accounts.relay]\n{account}\n"));
        wrong.extend(compare(&sealpost).into_iter().map(|what| format!("{account}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_remembered_counts_as_it_does_for_a_send_and_a_check_adds_nothing_to_it() {
    let rows: [(&str, &[&str], &str); 6] = [
        ("trust = \"tofu\"", &[], "the server's key changed"),
        ("trust = \"tofu\"", &["no-starttls"], "may be taking TLS out"),
        ("policy = \"opportunistic\", trust = \"tofu\"", &[], "the server's key changed"),
        ("policy = \"opportunistic\", trust = \"any\"", &["no-starttls"], "TLS was there before"),
        ("policy = \"opportunistic\", trust = \"any\", on_downgrade = \"refuse\"", &["no-starttls"], "sealpost trust forget"),
        ("trust = \"any\"", &["no-starttls"], "starttls-not-supported"),
    ];
    for (tls, faults, wanted) in rows {
        // No client calls from there, so that nobody takes the port between the first sink and the second.
        let apart = Settings { address: "127.0.0.2:0".parse().unwrap(), ..Settings::default() };
        let first = Sink::start(apart).unwrap();
        let port = first.address.port();
        let sealpost = Sealpost::new(&format!("[accounts.relay]\nhost = \"127.0.0.2\"\nport = {port}\ntls = {{ {tls} }}\n"));
        assert_eq!(check(&sealpost, &[]).code, 0, "{tls}");
        assert!(!sealpost.scratch.path().join("memory.json").exists(), "{tls}: a check remembers");
        assert_eq!(compare(&sealpost), Vec::<String>::new(), "{tls}, the first time");
        assert_eq!(compare(&sealpost), Vec::<String>::new(), "{tls}, the second time");
        let address = first.address;
        drop(first);
        let second = Settings { address, faults: Faults::named(faults.iter().copied()), ..Settings::default() };
        let second = Sink::start(second).unwrap();
        assert_eq!(compare(&sealpost), Vec::<String>::new(), "{tls}, {faults:?}");
        let page = check(&sealpost, &[]);
        let text = page.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(wanted), "{tls}, {faults:?}: {wanted}\n{}", page.stdout);
        drop(second);
    }
}
