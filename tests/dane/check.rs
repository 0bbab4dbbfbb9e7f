//! Does `sealpost check` say of TLSA and SRV records what a send comes to, and what they would be good for?

use std::sync::OnceLock;

use serde_json::Value;

use crate::{
    common::{
        MESSAGE, Run, Sealpost,
        zone::{Dns, Signing, Zone, free_port},
    },
    kit::{Server, Shape, client},
};

struct World {
    dns: Dns,
    server: Server,
}

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(World::start).as_ref()
}

impl World {
    fn start() -> Option<Self> {
        let server = Server::start(Shape { names: &["mx.test", "localhost"], ..Shape::default() });
        let (port, closed) = (server.port(), free_port());
        let test = [
            "mx A 127.0.0.1\nwrong A 127.0.0.1\nbare A 127.0.0.1\nodd A 127.0.0.1\n".to_owned(),
            server.record("mx", "3 1 1"),
            server.wrong_record("wrong", "3 1 1"),
            server.record("odd", "1 1 1"),
            format!("_submission._tcp.way SRV 10 0 {closed} mx\n_submission._tcp.way SRV 20 0 {port} mx\n"),
            format!("_submission._tcp.shut SRV 10 0 {closed} mx\n"),
            "_submission._tcp.none SRV 0 0 0 .\n".to_owned(),
        ];
        let zones = [
            Zone::new("test", Signing::Nsec, test.concat()),
            Zone::new("plain", Signing::None, format!("mx A 127.0.0.1\n{}", server.record("mx", "3 1 1"))),
            Zone::new("expired", Signing::Expired, format!("mx A 127.0.0.1\n{}", server.record("mx", "3 1 1"))),
        ];
        Some(Self { dns: Dns::start(&zones)?, server })
    }

    fn account(&self, host: &str, tls: &str) -> Sealpost {
        let port = if host.starts_with("srv:") { String::new() } else { format!("port = {}", self.server.port()) };
        let sealpost = client(&self.dns.table(), &format!("host = {host:?}\n{port}"), tls);
        sealpost.scratch.write("ca.pem", &self.server.ca);
        sealpost
    }
}

fn check(sealpost: &Sealpost, more: &[&str]) -> Run {
    let config = sealpost.scratch.path().join("config.toml");
    sealpost.command(&[&["check", "-C", config.to_str().unwrap()], more].concat(), b"")
}

/// What is different between a check and a send, and the page in one line.
fn compare(sealpost: &Sealpost) -> (Vec<String>, String) {
    let (page, told) = (check(sealpost, &[]), check(sealpost, &["--json"]));
    let sent = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}"));
    let told = &told["accounts"][0];
    let line = |start: &str| sent.stderr.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    if (page.code, told["exit"].as_i64()) != (sent.code, Some(sent.code.into())) {
        wrong.push(format!("exit {}, a send {}", page.code, sent.code));
    }
    let words = (told["error"].as_str().unwrap_or_default(), told["hint"].as_str().unwrap_or_default());
    if sent.code != 0 && words != (&line("sendmail: "), &line("sendmail: hint: ")) {
        wrong.push(format!("{words:?}, a send {}", sent.stderr));
    }
    if told["result"].as_str() != Some(sent.field("/tls/result")) {
        wrong.push(format!("{}, a send {}", told["result"], sent.field("/tls/result")));
    }
    wrong.extend(page.stdout.lines().filter(|line| line.len() > 80).map(|line| format!("too wide: {line}")));
    (wrong, page.stdout.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_check_of_records_comes_to_what_a_send_comes_to_and_says_why() {
    let Some(world) = world() else { return };
    let dane = "trust = \"dane\"";
    let opportunistic = "trust = \"dane\"\npolicy = \"opportunistic\"";
    let own = "ca_file = \"ca.pem\"";
    let mut wrong = Vec::new();
    for (host, tls, wanted) in [
        ("mx.test", dane, "dane trusted"),
        ("mx.test", opportunistic, "the server verified"),
        ("wrong.test", dane, "tlsa-invalid"),
        ("wrong.test", opportunistic, "tlsa-invalid"),
        ("bare.test", dane, "dane-required"),
        ("bare.test", opportunistic, "the server not verified"),
        ("odd.test", dane, "usages 0 and 1 are not for mail"),
        ("odd.test", opportunistic, "the server not verified"),
        ("mx.plain", dane, "dane-required"),
        ("mx.expired", dane, "dnssec-invalid"),
        ("mx.expired", opportunistic, "dnssec-invalid"),
        ("nobody.test", dane, "addresses none"),
        // The system's own name service does not know the zones of these tests.
        ("mx.test", own, "TLSA 1 TLSA records at"),
        ("srv:way.test", own, "named by the SRV records of way.test"),
        ("srv:way.test", dane, "dane-required"),
        ("srv:shut.test", own, "cannot connect"),
        ("srv:none.test", own, "cannot connect"),
        ("srv:empty.test", own, "cannot connect"),
    ] {
        let (differences, page) = compare(&world.account(host, tls));
        wrong.extend(differences.into_iter().map(|what| format!("{host}, {tls}: {what}")));
        if !page.contains(wanted) {
            wrong.push(format!("{host}, {tls}: {wanted:?} is not in {page}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_nobody_answers_the_check_says_so_and_goes_on() {
    let Some(world) = world() else { return };
    let dns = format!("[dns]\nservers = [\"127.0.0.1:{}\"]\n", free_port());
    let sealpost = client(&dns, &format!("host = \"vm.localdomain\"\nport = {}", world.server.port()), "ca_file = \"ca.pem\"");
    let run = check(&sealpost, &[]);
    let page = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("dns TLSA") && page.contains("verdict"), "{run:?}");
}
