//! Does a name server that is dead, slow, lying or mad cost more than a deferred message?

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::OnceLock,
    thread,
    time::Duration,
};

use crate::{
    common::zone::{Dns, Signing, Zone, free_port},
    kit::{Server, Shape, came, send},
};

struct World {
    dns: Dns,
    server: Server,
}

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let start = || {
        let server = Server::start(Shape::default());
        let zone = format!("mx A 127.0.0.1\n{}", server.record("mx", "3 1 1"));
        Some(World { dns: Dns::start(&[Zone::new("test", Signing::Nsec, zone)])?, server })
    };
    WORLD.get_or_init(start).as_ref()
}

/// What becomes of a datagram that asks: those that answer.
type Trick = fn(&[u8], &dyn Fn() -> Vec<u8>) -> Vec<Vec<u8>>;

/// A port for datagrams and connections, held from the start.
fn pair() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
            return (socket, listener);
        }
    }
}

impl World {
    /// A server of datagrams that asks the resolver, and answers as `trick` says; by TCP it passes everything on.
    fn liar(&self, trick: Trick) -> SocketAddr {
        let resolver = self.dns.resolver;
        let (socket, listener) = pair();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let question = &buffer[..length];
                let honest = || {
                    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    socket.send_to(question, resolver).unwrap();
                    let mut buffer = [0; 4096];
                    let length = socket.recv(&mut buffer).unwrap();
                    buffer[..length].to_vec()
                };
                for answer in trick(question, &honest) {
                    socket.send_to(&answer, peer).unwrap();
                }
            }
        });
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || pass(client, resolver));
            }
        });
        address
    }

    fn ask(&self, servers: &[SocketAddr]) -> String {
        let account = format!("host = \"mx.test\"\nport = {}", self.server.port());
        let run = send(&self.dns.table_of(servers), &account, "trust = \"dane\"");
        assert_eq!(run.oddities(), Vec::<String>::new());
        format!("{} {}", came(&run), run.field("/tls/detail")).trim_end().to_owned()
    }
}

fn pass(mut client: TcpStream, resolver: SocketAddr) {
    let mut server = TcpStream::connect(resolver).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut buffer = [0; 4096];
    // Octet by octet: a length may come in pieces too.
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        for octet in &buffer[..length] {
            if client.write_all(&[*octet]).is_err() {
                return;
            }
        }
    }
}

/// Answers with the question alone and these flags.
fn empty(question: &[u8], flags: [u8; 2]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2..4].copy_from_slice(&flags);
    answer
}

#[test]
fn answers_that_were_not_asked_for_are_passed_over() {
    let Some(world) = world() else { return };
    let tricks: [(&str, Trick); 6] = [
        ("another id", |question, honest| {
            let mut other = empty(question, [0x80, 0x03]);
            other[0] ^= 1;
            vec![other, honest()]
        }),
        ("another question", |question, honest| {
            let mut other = empty(question, [0x80, 0x03]);
            other[13] ^= 1;
            vec![other, honest()]
        }),
        ("the question itself", |question, honest| vec![question.to_vec(), honest()]),
        ("garbage", |question, honest| {
            vec![vec![], vec![0xff; 3], [&question[..2], &[0x80, 0, 0xff, 0xff, 0xff]].concat(), honest()]
        }),
        ("half of the answer", |_, honest| {
            let answer = honest();
            vec![answer[..answer.len() / 2].to_vec(), answer]
        }),
        ("the answer twice", |_, honest| vec![honest(), honest()]),
    ];
    for (what, trick) in tricks {
        assert_eq!(world.ask(&[world.liar(trick)]), "0 verified", "{what}");
    }
}

#[test]
fn an_answer_that_is_cut_is_asked_for_by_tcp() {
    let Some(world) = world() else { return };
    assert_eq!(world.ask(&[world.liar(|question, _| vec![empty(question, [0x82, 0x00])])]), "0 verified");
}

#[test]
fn the_next_server_is_asked_when_one_can_t_or_won_t() {
    let Some(world) = world() else { return };
    let closed = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let servfail = world.liar(|question, _| vec![empty(question, [0x80, 0x02])]);
    let refused = world.liar(|question, _| vec![[&question[..2], &[0x80, 0x05, 0, 0, 0, 0, 0, 0, 0, 0]].concat()]);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    for server in [closed, servfail, refused, silent.local_addr().unwrap()] {
        assert_eq!(world.ask(&[server, world.dns.resolver]), "0 verified", "{server}");
    }
}

#[test]
fn without_any_answer_nothing_is_sent_and_each_server_is_named() {
    let Some(world) = world() else { return };
    let closed = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let servfail = world.liar(|question, _| vec![empty(question, [0x80, 0x02])]);
    let told = world.ask(&[closed, servfail]);
    assert!(told.starts_with("75 none dnssec-invalid the DNS has no answer for mx.test A: "), "{told}");
    for part in [format!("{closed}: "), format!("{servfail}: it answers Server Failure")] {
        assert!(told.contains(&part), "{part} is not in {told}");
    }
}

#[test]
fn a_silent_server_is_waited_for_no_longer_than_a_connection() {
    let Some(world) = world() else { return };
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The kit's configuration says connect_timeout = "5s", and gives the binary ten.
    let told = world.ask(&[silent.local_addr().unwrap()]);
    assert!(told.starts_with("75 none dnssec-invalid") && told.ends_with("no answer in time"), "{told}");
}

#[test]
fn denials_that_nobody_signed_are_not_believed() {
    let Some(world) = world() else { return };
    let tricks: [(&str, Trick); 3] = [
        ("no such name", |question, _| vec![empty(question, [0x84, 0x03])]),
        ("no such data", |question, _| vec![empty(question, [0x84, 0x00])]),
        ("no such data, by a server that has validated", |question, _| vec![empty(question, [0x80, 0x20])]),
    ];
    for (what, trick) in tricks {
        let told = world.ask(&[world.liar(trick)]);
        assert!(told.starts_with("75 none dnssec-invalid DNSSEC: "), "{what}: {told}");
    }
}

#[test]
fn a_server_that_leaves_signatures_out_is_told_from_a_zone_without_any() {
    let Some(world) = world() else { return };
    // DO is the highest bit of the OPT record's flags, which end the question.
    let told = world.ask(&[world.liar(|question, _| {
        let mut plain = question.to_vec();
        let at = plain.len() - 4;
        plain[at] = 0;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&plain, world_resolver()).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        vec![buffer[..length].to_vec()]
    })]);
    assert!(told.contains("its zone is signed, and it bears no signature") || told.contains("nothing proves"), "{told}");
}

fn world_resolver() -> SocketAddr {
    world().unwrap().dns.resolver
}

#[test]
fn a_trust_anchor_that_can_t_be_used_stops_everything() {
    let Some(world) = world() else { return };
    let account = format!("host = \"mx.test\"\nport = {}", world.server.port());
    for (text, part) in [
        ("", "it holds no DS and no DNSKEY record"),
        (". IN A 127.0.0.1\n", "line 1: it is neither DS nor DNSKEY"),
        ("\n. IN DS 1 8 2 xyz\n", "line 2: its digest is not hexadecimal"),
    ] {
        let client =
            crate::kit::client("[dns]\ntrust_anchor = \"anchor\"\n", &account, "trust = \"dane\"\npolicy = \"opportunistic\"");
        client.scratch.write("anchor", text);
        let run = client.send(&["ok@sink.test"], crate::common::MESSAGE.as_bytes());
        assert_eq!(came(&run), "75 none dnssec-invalid", "{run:?}");
        assert!(run.field("/tls/detail").contains(part), "{run:?}");
    }
    // The root of the world is not the root of this zone.
    let run = send(&format!("[dns]\nservers = [{:?}]\n", world.dns.resolver.to_string()), &account, "trust = \"dane\"");
    assert_eq!(came(&run), "75 none dnssec-invalid", "{run:?}");
    assert!(run.field("/tls/detail").contains("the zone has none of the keys that are trusted"), "{run:?}");
}
