//! Are the servers that SRV records name tried in their order, and believed no further than they may be?

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    common::{
        MESSAGE, Run,
        zone::{Dns, Signing, Zone, free_port},
    },
    kit::{Server, Shape, came, check, client, send},
};

struct World {
    dns: Dns,
    /// With a certificate for localhost, on a port with STARTTLS and one with implicit TLS.
    starttls: Server,
    implicit: Server,
    /// With a certificate for the domain far.plain.
    domain: Server,
    _holes: Vec<Hole>,
}

/// A port at which nobody answers: its queue is full.
struct Hole {
    port: u16,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Hole {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let queued = std::iter::from_fn(|| connect().ok()).take(8).collect();
        Self { port: address.port(), _listener: listener, _queued: queued }
    }
}

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(World::start).as_ref()
}

impl World {
    fn start() -> Option<Self> {
        let local = Shape { names: &["localhost"], ..Shape::default() };
        let starttls = Server::start(local);
        let implicit = Server::start(Shape { implicit: true, ..local });
        let domain = Server::start(Shape { names: &["far.plain"], ..Shape::default() });
        let (clear, sealed, closed) = (starttls.port(), implicit.port(), free_port());
        let srv = |service: &str, domain: &str, rest: &str| format!("_{service}._tcp.{domain} SRV {rest}\n");
        let dead = free_port();
        let holes: Vec<Hole> = std::iter::repeat_with(Hole::new).take(4).collect();
        let hole: String = holes.iter().map(|hole| srv("submission", "hole", &format!("10 0 {} localhost.", hole.port))).collect();
        let test = [
            srv("submissions", "both", &format!("0 0 {sealed} localhost.")),
            srv("submission", "both", &format!("0 0 {clear} localhost.")),
            srv("submission", "clear", &format!("0 0 {clear} localhost.")),
            srv("submissions", "refused", "0 0 0 ."),
            srv("submission", "refused", &format!("0 0 {clear} localhost.")),
            srv("submissions", "none", "0 0 0 ."),
            srv("submission", "none", "0 0 0 ."),
            srv("submission", "order", &format!("20 0 {clear} localhost.")),
            srv("submission", "order", &format!("10 5 {closed} localhost.")),
            srv("submission", "order", &format!("10 0 {dead} localhost.")),
            srv("submission", "dead", &format!("10 0 {closed} localhost.")),
            srv("submission", "dane", &format!("0 0 {clear} mx")),
            hole,
            srv("submission", "hole", &format!("20 0 {clear} localhost.")),
            srv("submission", "gone", &format!("10 0 {closed} localhost.")),
            srv("submission", "gone", &format!("20 0 {clear} nobody.test.")),
            "mx A 127.0.0.1\n_submission._tcp.alias CNAME _submission._tcp.clear\n".to_owned(),
            starttls.record("mx", "3 1 1"),
        ];
        let far = domain.port();
        let plain = [
            srv("submission", "far", &format!("0 0 {far} localhost.")),
            srv("submission", "near", &format!("0 0 {clear} localhost.")),
            srv("submission", "dane", &format!("0 0 {clear} mx.test.")),
        ];
        let own = srv("submission", "@", &format!("0 0 {clear} @")).replace(".@", "");
        let zones = [
            Zone::new("test", Signing::Nsec, test.concat()),
            Zone::new("plain", Signing::None, plain.concat()),
            Zone::new("localhost", Signing::None, own),
            Zone::new("expired", Signing::Expired, srv("submission", "any", &format!("0 0 {clear} localhost."))),
        ];
        Some(Self { dns: Dns::start(&zones)?, starttls, implicit, domain, _holes: holes })
    }

    /// Sends to whoever offers the service for `domain`, and believes the authority of `server`.
    fn send(&self, domain: &str, server: &Server, tls: &str) -> Run {
        let client = client(&self.dns.table(), &format!("host = \"srv:{domain}\""), &format!("ca_file = \"ca.pem\"\n{tls}"));
        client.scratch.write("ca.pem", &server.ca);
        client.send(&["ok@sink.test"], MESSAGE.as_bytes())
    }
}

#[test]
fn implicit_tls_is_preferred_and_starttls_taken_where_it_alone_is_offered() {
    let Some(world) = world() else { return };
    for (domain, server, start) in [
        ("both.test", &world.implicit, "implicit"),
        ("clear.test", &world.starttls, "starttls"),
        ("refused.test", &world.starttls, "starttls"),
        ("alias.test", &world.starttls, "starttls"),
    ] {
        let run = world.send(domain, server, "");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{domain}");
        assert_eq!(came(&run), "0 verified", "{domain}: {run:?}");
        assert_eq!((run.field("/host"), run.field("/tls/start")), ("localhost", start), "{run:?}");
        assert_eq!(run.last()["port"], Value::from(server.port()), "{run:?}");
    }
}

#[test]
fn servers_that_cant_be_reached_are_passed_over_in_order() {
    let Some(world) = world() else { return };
    let run = world.send("order.test", &world.starttls, "");
    assert_eq!(came(&run), "0 verified", "{run:?}");
    let attempts: Vec<_> = run.records.iter().map(|record| (&record["status"], &record["attempt"])).collect();
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    let run = world.send("dead.test", &world.starttls, "");
    assert_eq!(came(&run), "75 none", "{run:?}");
    assert_eq!(run.records.len(), 1, "{run:?}");
}

#[test]
fn a_domain_that_offers_nothing_is_no_host() {
    let Some(world) = world() else { return };
    for (domain, part) in
        [("none.test", "its SRV records say that it offers no submission"), ("bare.test", "there are no SRV records")]
    {
        let run = world.send(domain, &world.starttls, "");
        assert_eq!(came(&run), "68 none", "{run:?}");
        assert!(run.stderr.contains(part), "{run:?}");
        assert_eq!(run.field("/host"), domain, "{run:?}");
    }
}

#[test]
fn a_name_that_nobody_signed_is_believed_only_within_the_domain() {
    let Some(world) = world() else { return };
    let table = [
        ("far.plain", &world.domain, "", "0 verified"),
        ("near.plain", &world.starttls, "", "75 none certificate-host-mismatch"),
        ("near.plain", &world.starttls, "server_name = \"localhost\"", "0 verified"),
        ("localhost", &world.starttls, "", "0 verified"),
    ];
    for (domain, server, tls, expected) in table {
        let run = world.send(domain, server, tls);
        assert_eq!(came(&run), expected, "{domain} {tls}: {run:?}");
    }
}

#[test]
fn a_service_that_nobody_signed_has_one_key_whatever_its_servers_are_called() {
    let Some(world) = world() else { return };
    let first = client(&world.dns.table(), "host = \"srv:far.plain\"", "trust = \"tofu\"");
    let memory = first.scratch.path().join("memory.json");
    let send = || first.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(came(&send()), "0 unverified");
    assert_eq!(came(&send()), "0 verified");
    let remembered = fs::read_to_string(&memory).unwrap();
    assert!(remembered.contains("\"srv:far.plain\"") && !remembered.contains("localhost"), "{remembered}");
    // Its records name another server now, which nobody has met.
    let moved = |tls: &str| {
        let client = client(&world.dns.table(), "host = \"srv:near.plain\"", &format!("trust = \"tofu\"\n{tls}"));
        client.scratch.write("memory.json", remembered.replace("far.plain", "near.plain"));
        client
    };
    let client = moved("");
    let run = client.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(came(&run), "75 none validation-failure", "{run:?}");
    assert!(run.stderr.contains("sealpost trust add srv:near.plain"), "{run:?}");
    let config = client.scratch.path().join("config.toml");
    for server in ["srv:near.plain", "relay"] {
        let run = client.command(&["trust", "add", server, "--yes", "-C", config.to_str().unwrap()], b"");
        assert_eq!(run.code, 0, "{run:?}");
    }
    assert_eq!(came(&client.send(&["ok@sink.test"], MESSAGE.as_bytes())), "0 verified");
    let run = client.command(&["trust", "forget", "relay", "-C", config.to_str().unwrap()], b"");
    assert_eq!(run.code, 0, "{run:?}");
    let run = moved("policy = \"opportunistic\"").send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(came(&run), "0 unverified validation-failure", "{run:?}");
}

#[test]
fn all_servers_of_a_service_together_have_the_time_to_connect() {
    let Some(world) = world() else { return };
    let begun = Instant::now();
    let run = world.send("hole.test", &world.starttls, "");
    assert_eq!(came(&run), "0 verified", "{run:?}");
    assert_eq!(run.records.len(), 5, "each has its turn: {run:?}");
    // The time to connect is 5 seconds here.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_may_come_back_has_the_last_word_over_those_that_dont_exist() {
    let Some(world) = world() else { return };
    assert_eq!(came(&world.send("gone.test", &world.starttls, "")), "75 none");
    let (code, told) = check(&client(&world.dns.table(), "host = \"srv:gone.test\"", ""));
    assert_eq!(code, 75, "{told}");
}

#[test]
fn false_answers_lead_nowhere() {
    let Some(world) = world() else { return };
    for policy in ["required", "opportunistic", "off"] {
        let run = world.send("any.expired", &world.starttls, &format!("policy = {policy:?}"));
        assert_eq!(came(&run), "75 none dnssec-invalid", "{policy}: {run:?}");
        let run = world.send("any.dead", &world.starttls, &format!("policy = {policy:?}"));
        assert_eq!(came(&run), "75 none", "{policy}: {run:?}");
    }
}

#[test]
fn tlsa_records_count_for_the_servers_of_a_signed_service_alone() {
    let Some(world) = world() else { return };
    let table = [
        ("dane.test", "required", "0 verified"),
        ("dane.test", "opportunistic", "0 verified"),
        ("clear.test", "required", "75 none dane-required"),
        ("dane.plain", "required", "75 none dane-required"),
    ];
    for (domain, policy, expected) in table {
        let run = send(&world.dns.table(), &format!("host = \"srv:{domain}\""), &format!("trust = \"dane\"\npolicy = {policy:?}"));
        assert_eq!(came(&run), expected, "{domain} {policy}: {run:?}");
    }
}

#[test]
fn check_goes_the_same_way() {
    let Some(world) = world() else { return };
    for (domain, port, exit) in [
        ("both.test", Some(world.implicit.port()), 0),
        ("order.test", Some(world.starttls.port()), 0),
        ("near.plain", Some(world.starttls.port()), 75),
        ("none.test", None, 68),
        ("any.expired", None, 75),
    ] {
        let client = client(&world.dns.table(), &format!("host = \"srv:{domain}\""), "ca_file = \"ca.pem\"");
        client.scratch.write("ca.pem", &if domain == "both.test" { &world.implicit } else { &world.starttls }.ca);
        let (code, told) = check(&client);
        assert_eq!(code, exit, "{domain}: {told}");
        assert_eq!(told["addresses"][0]["port"].as_u64(), port.map(u64::from), "{domain}: {told}");
    }
}

#[test]
fn what_makes_no_sense_with_a_service_is_a_configuration_error() {
    for (account, part) in [
        ("host = \"srv:example.com\"\nport = 587", "SRV records name the port too"),
        ("host = \"srv:example.com\"\nprotocol = \"lmtp\"", "SRV records name servers of SMTP"),
        ("host = \"srv:example.com\"\nproxy = \"socks5://127.0.0.1:9050\"", "beside the proxy"),
        ("host = \"srv:\"", "it is empty"),
        ("host = \"srv:192.0.2.1:25\"", "holds a port"),
    ] {
        let run = send("", account, "");
        assert_eq!(run.code, 78, "{run:?}");
        assert!(run.stderr.contains(part), "{part:?} is not in {}", run.stderr);
    }
}
