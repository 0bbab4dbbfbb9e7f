//! Is each row of the DANE part of "TLS policy" in sealpost(1) what happens, with the DNS in each state that it can be in?

use std::{sync::OnceLock, thread};

use crate::{
    common::zone::{Dns, Signing, Zone},
    kit::{Server, Shape, came, check, client, send, send_dane},
};

/// Everything that these tests share.
struct World {
    dns: Dns,
    /// Its certificate is expired and for another name: DANE-EE does not care.
    server: Server,
    /// Its certificate is in order, for ta.test, and its chain has the authority.
    chain: Server,
    /// The same without the authority's certificate.
    alone: Server,
    /// As `chain`, and expired.
    late: Server,
    /// It strips STARTTLS.
    clear: Server,
    /// Its handshake breaks.
    noise: Server,
}

/// What the certificates below an authority are for.
const TA: &[&str] = &["ta.test", "ta200.test", "ta201.test", "ta202.test", "ta210.test", "ta211.test", "ta212.test", "nick.test"];

/// Where a host's port is.
type Port = fn(&World) -> u16;

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(World::start).as_ref()
}

impl World {
    fn start() -> Option<Self> {
        let other = Shape { names: &["elsewhere.invalid"], expired: true, ..Shape::default() };
        let named = Shape { names: TA, ..Shape::default() };
        let server = Server::start(other);
        let chain = Server::start(named);
        let alone = Server::start(Shape { alone: true, ..named });
        let late = Server::start(Shape { expired: true, ..named });
        let clear = Server::start(Shape { fault: "no-starttls", ..named });
        let noise = Server::start(Shape { fault: "handshake-garbage", ..named });
        let servers = [&server, &chain, &alone, &late, &clear, &noise];
        let spoilt =
            |name, signing, spoil| Zone { spoil, ..Zone::new(name, signing, address("mx") + &server.record("mx", "3 1 1")) };
        let zones = [
            Zone::new("test", Signing::Nsec, test_zone(&server, &chain, servers)),
            Zone::new("three", Signing::Nsec3, address("mx") + &server.record("mx", "3 1 1") + &address("bare") + &wild(&server)),
            Zone::new("optout", Signing::OptOut, address("mx") + &server.record("mx", "3 1 1") + &address("bare")),
            Zone::new("plain.optout", Signing::None, address("mx") + &server.record("mx", "3 1 1")),
            Zone::new("deep.three", Signing::Nsec3, address("mx") + &server.record("mx", "3 1 1") + &address("bare")),
            Zone::new("plain.three", Signing::None, address("mx") + &server.record("mx", "3 1 1")),
            Zone::new("plain", Signing::None, address("mx") + &server.record("mx", "3 1 1")),
            Zone::new("expired", Signing::Expired, address("mx") + &server.record("mx", "3 1 1")),
            Zone::new("wrong", Signing::WrongKey, address("mx") + &server.record("mx", "3 1 1")),
            spoilt("forged", Signing::Nsec, |text| spoil(&text, "TLSA\t3 1 1", |line| line.replace("TLSA\t3 1 1", "TLSA\t3 1 2"))),
            spoilt("stripped", Signing::Nsec, |text| spoil(&text, "RRSIG\tTLSA", |_| String::new())),
            spoilt("denied", Signing::Nsec, |text| spoil(&text, "TLSA", |_| String::new())),
            spoilt("moved", Signing::Nsec, |text| {
                spoil(&text, "mx.moved.\t3600\tIN\tA\t", |line| line.replace("127.0.0.1", "127.0.0.2"))
            }),
        ];
        let dns = Dns::start(&zones)?;
        Some(Self { dns, server, chain, alone, late, clear, noise })
    }
}

fn address(host: &str) -> String {
    format!("{host} A 127.0.0.1\n")
}

/// A host whose records are at a wildcard.
fn wild(server: &Server) -> String {
    format!("{}*._tcp.wild TLSA 3 1 1 {}\n", address("wild"), server.data("3 1 1"))
}

/// Changes the lines that hold `mark`.
fn spoil(text: &str, mark: &str, change: impl Fn(&str) -> String) -> String {
    assert!(text.contains(mark), "{mark:?} is not in {text}");
    text.lines().map(|line| if line.contains(mark) { change(line) } else { line.to_owned() } + "\n").collect()
}

fn test_zone(server: &Server, chain: &Server, servers: [&Server; 6]) -> String {
    let mut zone = wild(server);
    for kind in ["3 0 0", "3 0 1", "3 0 2", "3 1 0", "3 1 1", "3 1 2"] {
        let host = format!("ee{}", kind.replace(' ', ""));
        zone += &(address(&host) + &server.record(&host, kind));
    }
    for kind in ["2 0 0", "2 0 1", "2 0 2", "2 1 0", "2 1 1", "2 1 2"] {
        let host = format!("ta{}", kind.replace(' ', ""));
        zone += &address(&host);
        zone += &servers.iter().map(|one| one.record(&host, kind)).collect::<String>();
    }
    zone += &(address("ta") + &chain.record("ta", "2 1 1") + &address("bare") + &address("other"));
    zone += &format!("named CNAME ta\nnick CNAME unnamed\n{}{}", address("unnamed"), chain.record("unnamed", "2 1 1"));
    zone += &(chain.record("other", "2 0 1") + &server.wrong_record("other", "3 1 1"));
    for (host, kind) in [("unusable", "0 0 1"), ("pkix", "1 1 1"), ("usable", "3 1 1")] {
        zone += &address(host);
        for one in servers {
            zone += &format!("{} TLSA {kind} {}\n", one.owner(host), "ab".repeat(32));
        }
    }
    for (host, data) in [("strange", "3 7 1 abcd"), ("short", "3 1 1 abcd"), ("long", "3 1 2 abcd"), ("newer", "3 1 9 abcd")] {
        zone += &format!("{}{} TLSA {data}\n", address(host), server.owner(host));
    }
    // An usable one among those that are not; the stronger digest alone counts.
    zone += &(address("mixed")
        + &server.record("mixed", "3 1 1")
        + &format!("{} TLSA 1 1 1 {}\n", server.owner("mixed"), "ab".repeat(32)));
    zone += &(address("agile") + &server.record("agile", "3 1 1") + &server.wrong_record("agile", "3 1 2"));
    zone += &(address("strong") + &server.wrong_record("strong", "3 1 1") + &server.record("strong", "3 1 2"));
    // So many that no datagram holds them.
    zone += &(address("many") + &server.record("many", "3 1 1"));
    for n in 0..60 {
        zone += &format!("{} TLSA 3 1 1 {}\n", server.owner("many"), format!("{n:02x}").repeat(32));
    }
    zone += "alias CNAME ee311\nsecond CNAME alias\nloop CNAME pool\npool CNAME loop\naway CNAME mx.plain.\nown CNAME mx.plain.\n";
    zone += "lost CNAME nobody\nthree CNAME mx.three.\nnosuch CNAME mx.forged.\n";
    zone += &server.record("own", "3 1 1");
    zone += &(format!("kept CNAME bare\n{}", server.record("kept", "3 1 1")));
    zone += &(address("shared") + &format!("{} CNAME tlsa.three.\n", server.owner("shared")));
    zone += &(address("shared2") + &format!("{} CNAME {}.test.\n", server.owner("shared2"), server.owner("ee311")));
    zone += &(address("shared3") + &format!("{} CNAME {}.plain.\n", server.owner("shared3"), server.owner("mx")));
    zone + "branch DNAME three.\n"
}

const SERVER: Port = |world| world.server.port();
const CHAIN: Port = |world| world.chain.port();
const ALONE: Port = |world| world.alone.port();
const LATE: Port = |world| world.late.port();
const CLEAR: Port = |world| world.clear.port();
const NOISE: Port = |world| world.noise.port();

const VERIFIED: &str = "0 verified";
const MISMATCH: &str = "75 none tlsa-invalid";
const BOGUS: &str = "75 none dnssec-invalid";
/// No records: what a required account gets, and an opportunistic one.
const ABSENT: (&str, &str) = ("75 none dane-required", "0 unverified");
/// None that can be used.
const UNUSABLE: (&str, &str) = ("75 none tlsa-invalid", "0 unverified tlsa-invalid");

const fn both(same: &'static str) -> (&'static str, &'static str) {
    (same, same)
}

/// Host, server, what comes of policy required and of opportunistic.
const ROWS: &[(&str, Port, (&str, &str))] = &[
    // DANE-EE: neither the name nor the dates of this certificate are right.
    ("ee300.test", SERVER, both(VERIFIED)),
    ("ee301.test", SERVER, both(VERIFIED)),
    ("ee302.test", SERVER, both(VERIFIED)),
    ("ee310.test", SERVER, both(VERIFIED)),
    ("ee311.test", SERVER, both(VERIFIED)),
    ("ee312.test", SERVER, both(VERIFIED)),
    ("EE311.Test.", SERVER, both(VERIFIED)),
    // DANE-TA: the authority comes with the chain, or is in the record itself.
    ("ta200.test", CHAIN, both(VERIFIED)),
    ("ta201.test", CHAIN, both(VERIFIED)),
    ("ta202.test", CHAIN, both(VERIFIED)),
    ("ta210.test", CHAIN, both(VERIFIED)),
    ("ta211.test", CHAIN, both(VERIFIED)),
    ("ta212.test", CHAIN, both(VERIFIED)),
    // Of an alias and what it leads to, one name suffices.
    ("named.test", CHAIN, both(VERIFIED)),
    ("nick.test", CHAIN, both(VERIFIED)),
    ("unnamed.test", CHAIN, both("75 none certificate-host-mismatch")),
    ("ta200.test", ALONE, both(VERIFIED)),
    ("ta210.test", ALONE, both(VERIFIED)),
    ("ta201.test", ALONE, both(MISMATCH)),
    ("ta211.test", LATE, both("75 none certificate-expired")),
    ("ta210.test", LATE, both("75 none certificate-expired")),
    ("other.test", CHAIN, both("75 none certificate-host-mismatch")),
    // Records that speak of another.
    ("other.test", SERVER, both(MISMATCH)),
    ("agile.test", SERVER, both(MISMATCH)),
    ("strong.test", SERVER, both(VERIFIED)),
    ("mixed.test", SERVER, both(VERIFIED)),
    ("many.test", SERVER, both(VERIFIED)),
    ("wild.test", SERVER, both(VERIFIED)),
    ("wild.three", SERVER, both(VERIFIED)),
    // None at all: denied by NSEC and NSEC3, left out, or in a zone that is not signed.
    ("bare.test", SERVER, ABSENT),
    ("ee311.test", CHAIN, ABSENT),
    ("bare.three", SERVER, ABSENT),
    ("bare.deep.three", SERVER, ABSENT),
    ("bare.optout", SERVER, ABSENT),
    ("mx.plain", SERVER, ABSENT),
    ("mx.plain.three", SERVER, ABSENT),
    ("mx.plain.optout", SERVER, ABSENT),
    ("mx.three", SERVER, both(VERIFIED)),
    ("mx.deep.three", SERVER, both(VERIFIED)),
    ("mx.optout", SERVER, both(VERIFIED)),
    // None that is of use.
    ("unusable.test", SERVER, UNUSABLE),
    ("pkix.test", SERVER, UNUSABLE),
    ("strange.test", SERVER, UNUSABLE),
    ("short.test", SERVER, UNUSABLE),
    ("long.test", SERVER, UNUSABLE),
    ("newer.test", SERVER, UNUSABLE),
    // A server without TLS.
    ("usable.test", CLEAR, both("75 none starttls-not-supported")),
    ("unusable.test", CLEAR, ("75 none tlsa-invalid", "75 none starttls-not-supported")),
    ("bare.test", CLEAR, ("75 none dane-required", "0 plaintext starttls-not-supported")),
    ("usable.test", NOISE, both("75 none validation-failure")),
    ("unusable.test", NOISE, ("75 none tlsa-invalid", "75 none validation-failure")),
    ("bare.test", NOISE, ("75 none dane-required", "0 plaintext validation-failure")),
    // False answers, and none.
    ("mx.expired", SERVER, both(BOGUS)),
    ("mx.wrong", SERVER, both(BOGUS)),
    ("mx.forged", SERVER, both(BOGUS)),
    ("mx.stripped", SERVER, both(BOGUS)),
    ("mx.denied", SERVER, both(BOGUS)),
    ("mx.moved", SERVER, both(BOGUS)),
    ("mx.dead", SERVER, both(BOGUS)),
    ("nosuch.test", SERVER, both(BOGUS)),
    ("loop.test", SERVER, both(BOGUS)),
    // Aliases: the expanded name's records, else the alias's own; none of an expansion that is not signed.
    ("alias.test", SERVER, both(VERIFIED)),
    ("second.test", SERVER, both(VERIFIED)),
    ("three.test", SERVER, both(VERIFIED)),
    ("mx.branch.test", SERVER, both(VERIFIED)),
    ("kept.test", SERVER, both(VERIFIED)),
    ("own.test", SERVER, both(VERIFIED)),
    ("away.test", SERVER, ABSENT),
    ("shared2.test", SERVER, both(VERIFIED)),
    ("shared3.test", SERVER, ABSENT),
    ("shared.test", SERVER, ABSENT),
];

#[test]
fn what_the_dns_says_decides_as_the_manual_says() {
    let Some(world) = world() else { return };
    let mut cells = Vec::new();
    for (host, port, (required, opportunistic)) in ROWS {
        cells.push((*host, port(world), "required", *required));
        cells.push((*host, port(world), "opportunistic", *opportunistic));
    }
    let check = |(host, port, policy, expected): &(&str, u16, &str, &str)| {
        let run = send_dane(&world.dns, host, *port, policy);
        let mut faults = run.oddities();
        if came(&run) != *expected {
            faults.push(format!("{:?}, not {expected:?}: {} {}", came(&run), run.last()["tls"]["detail"], run.stderr));
        }
        faults.into_iter().map(|fault| format!("{host} {policy}: {fault}")).collect::<Vec<_>>()
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let parts: Vec<_> = cells.chunks(cells.len().div_ceil(4)).collect();
        let threads: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || part.iter().flat_map(check).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_name_without_addresses_is_no_host_or_none_now() {
    let Some(world) = world() else { return };
    for host in ["nobody.test", "lost.test"] {
        let run = send_dane(&world.dns, host, world.server.port(), "required");
        assert!([68, 75].contains(&run.code), "{run:?}");
        assert_eq!((run.field("/tls/result"), run.field("/tls/failure")), ("none", ""), "{run:?}");
    }
}

#[test]
fn the_detail_says_what_was_wanted_and_what_was_seen() {
    let Some(world) = world() else { return };
    let detail = |host: &str| {
        let run = send_dane(&world.dns, host, world.server.port(), "required");
        run.field("/tls/detail").to_owned()
    };
    let seen = detail("other.test");
    for part in [&world.server.data("3 0 1"), &world.server.data("3 1 1"), "no TLSA record matches: they are 3 1 1 "] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
    for (host, part) in [
        ("mx.expired", "expired at 2020-02-01"),
        ("mx.wrong", "the zone has none of the keys that are trusted"),
        ("mx.forged", "its signature is wrong"),
        ("mx.stripped", "its zone is signed, and it bears no signature"),
        ("mx.dead", "the DNS has no answer for mx.dead A"),
        ("unusable.test", "usages 0 and 1 are not for mail"),
        ("bare.test", "there are no signed TLSA records at _"),
        ("mx.plain", "the addresses of mx.plain are not signed"),
    ] {
        let seen = detail(host);
        assert!(seen.contains(part), "{host}: {part:?} is not in {seen:?}");
    }
}

#[test]
fn the_server_is_asked_for_by_the_name_of_its_records() {
    // Of its own, so that no other test's message comes between.
    let server = Server::start(Shape { names: &["sni.invalid"], ..Shape::default() });
    let hosts = format!("{}{}alias CNAME base\nown CNAME bare\n", address("base"), address("bare"));
    let zone = hosts + &server.record("base", "3 1 1") + &server.record("own", "3 1 1");
    let Some(dns) = Dns::start(&[Zone::new("test", Signing::Nsec, zone)]) else { return };
    for (host, sni) in [("base.test", "base.test"), ("alias.test", "base.test"), ("own.test", "own.test")] {
        let run = send_dane(&dns, host, server.port(), "required");
        assert_eq!(came(&run), VERIFIED, "{run:?}");
        assert_eq!(server.sni(), Some(sni.to_owned()), "{host}");
    }
}

#[test]
fn a_message_may_waive_what_the_server_s_domain_publishes_and_not_what_the_account_demands() {
    let Some(world) = world() else { return };
    let message = format!("TLS-Required: No\n{}", crate::common::MESSAGE);
    for (host, port, required, opportunistic) in [
        ("other.test", SERVER, "75 none tlsa-invalid", "0 unverified tlsa-invalid"),
        ("usable.test", CLEAR, "75 none starttls-not-supported", "0 plaintext starttls-not-supported"),
        ("ee311.test", SERVER, "0 verified", "0 verified"),
    ] {
        for (policy, expected) in [("required", required), ("opportunistic", opportunistic)] {
            let account = format!("host = {host:?}\nport = {}", port(world));
            let client = client(&world.dns.table(), &account, &format!("trust = \"dane\"\npolicy = {policy:?}"));
            let run = client.send(&["ok@sink.test"], message.as_bytes());
            assert_eq!(came(&run), expected, "{host} {policy}: {run:?}");
        }
    }
}

#[test]
fn check_says_before_what_a_send_would_meet() {
    let Some(world) = world() else { return };
    for host in ["ee311.test", "other.test", "bare.test", "unusable.test", "mx.forged", "mx.dead", "alias.test", "mx.plain"] {
        for policy in ["required", "opportunistic"] {
            let account = format!("host = {host:?}\nport = {}", world.server.port());
            let client = client(&world.dns.table(), &account, &format!("trust = \"dane\"\npolicy = {policy:?}"));
            let (code, told) = check(&client);
            let sent = send_dane(&world.dns, host, world.server.port(), policy);
            assert_eq!(code, sent.code, "{host} {policy}: {told}");
            // Of a server that nothing may be sent to, it says what DANE has against it, all the same.
            let dane = &told["addresses"][0]["sessions"][0]["tls"]["trust"]["dane"];
            let trusted = ["ee311.test", "alias.test"].contains(&host);
            assert!(dane["trusted"] == trusted || (!trusted && dane["trusted"].is_null()), "{host} {policy}: {told}");
        }
    }
}

#[test]
fn a_configuration_that_dane_can_do_nothing_with_is_refused() {
    let refused = |account: &str, tls: &str, part: &str| {
        let run = send("", account, &format!("trust = \"dane\"\n{tls}"));
        assert_eq!(run.code, 78, "{run:?}");
        assert!(run.stderr.contains(part) && run.stderr.contains("hint: "), "{part:?} is not in {}", run.stderr);
    };
    refused("host = \"127.0.0.1\"", "", "TLSA records belong to a name");
    refused("host = \"unix:/run/lmtp\"", "", "a unix socket has none");
    refused("host = \"mx.test\"\nproxy = \"socks5://127.0.0.1:9050\"", "", "beside the proxy");
    refused("host = \"mx.test\"", "server_name = \"other.test\"", "the DNS says which name");
}
