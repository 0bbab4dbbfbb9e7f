//! What does a client of ours offer in a TLS handshake, and what does it never agree to? (RFC 8446, 5746; threats of old TLS)

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use crate::{
    case::{CASE, Case, play},
    common::{
        MESSAGE, Run, Sealpost,
        certificate::{Authority, Flaw},
        needs::skip,
    },
};

fn u16_of(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// What a `ClientHello` says (RFC 8446 4.1.2).
#[derive(Debug)]
struct Hello {
    session: Vec<u8>,
    suites: Vec<usize>,
    compression: Vec<u8>,
    extensions: Vec<(usize, Vec<u8>)>,
}

impl Hello {
    fn parse(record: &[u8]) -> Self {
        assert_eq!((record[0], record[5]), (22, 1), "a record with a ClientHello");
        let mut rest = &record[9 + 2 + 32..];
        let mut take = |prefix: usize| {
            let length = if prefix == 1 { usize::from(rest[0]) } else { u16_of(rest) };
            let (taken, after) = rest[prefix..].split_at(length);
            rest = after;
            taken.to_vec()
        };
        let (session, suites, compression, mut extensions) = (take(1), take(2), take(1), &take(2)[..]);
        let suites = suites.chunks(2).map(u16_of).collect();
        let mut list = Vec::new();
        while !extensions.is_empty() {
            let (kind, length) = (u16_of(extensions), u16_of(&extensions[2..]));
            list.push((kind, extensions[4..4 + length].to_vec()));
            extensions = &extensions[4 + length..];
        }
        Self { session, suites, compression, extensions: list }
    }

    fn extension(&self, kind: usize) -> Option<&[u8]> {
        self.extensions.iter().find(|(known, _)| *known == kind).map(|(_, content)| &content[..])
    }
}

/// The hellos of `mails` mails to a server that hangs up on each.
fn hellos(mails: usize) -> Vec<Hello> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let one = |_| {
            let (mut socket, _) = listener.accept().unwrap();
            let mut record = vec![0; 5];
            socket.read_exact(&mut record).unwrap();
            record.resize(5 + u16_of(&record[3..]), 0);
            socket.read_exact(&mut record[5..]).unwrap();
            Hello::parse(&record)
        };
        (0..mails).map(one).collect()
    });
    let sealpost = Sealpost::new(&format!("[accounts.relay]\nhost = \"localhost\"\nport = {port}\ntls.start = \"implicit\"\n"));
    for _ in 0..mails {
        assert_eq!(sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes()).code, 75);
    }
    server.join().unwrap()
}

#[test]
fn nothing_that_weakens_tls_is_offered() {
    const RENEGOTIATION_INFO_SUITE: usize = 0xff;
    for hello in hellos(2) {
        assert_eq!(hello.compression, [0], "compression");
        // RFC 8446 4.2: early_data, and the pre-shared keys without which there is none; no ticket of an earlier mail.
        for (kind, name) in [(42, "early_data"), (41, "pre_shared_key")] {
            assert_eq!(hello.extension(kind), None, "{name}");
        }
        assert!(hello.extension(35).is_none_or(<[u8]>::is_empty), "a session ticket");
        let versions: Vec<usize> = hello.extension(43).expect("supported_versions")[1..].chunks(2).map(u16_of).collect();
        assert!(versions.iter().all(|version| [0x0304, 0x0303].contains(version)), "{versions:x?}");
        // TLS 1.3, or ECDHE with AES-GCM or ChaCha20: forward secrecy and AEAD (RFC 9325 4.2).
        let strong = |suite: &usize| matches!(suite, 0x1301..=0x1303 | 0xc02b..=0xc030 | 0xcca8..=0xcca9);
        let weak: Vec<&usize> = hello.suites.iter().filter(|s| !strong(s) && **s != RENEGOTIATION_INFO_SUITE).collect();
        assert!(weak.is_empty(), "{weak:x?}");
        assert!(hello.extension(23).is_some(), "extended_master_secret (RFC 7627)");
        assert!(hello.extension(0).is_some_and(|name| name.ends_with(b"localhost")), "the name of the server");
        assert!(hello.session.len() <= 32);
    }
}

/// `openssl s_server`, where it is installed.
struct Openssl {
    child: Child,
    port: u16,
    ca: String,
    _files: crate::common::Scratch,
}

impl Openssl {
    fn start(arguments: &[&str]) -> Option<Self> {
        if !Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
            skip("openssl is missing");
            return None;
        }
        let authority = Authority::new("the authority of the handshakes");
        let identity = authority.identity(Flaw::None);
        let files = crate::common::Scratch::new();
        let [chain, key]: [PathBuf; 2] =
            [files.write("server.pem", &identity.certificate_pem), files.write("server.key", &identity.key_pem)];
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cipher", "ALL:@SECLEVEL=0"]).args(arguments);
        command.arg("-cert").arg(chain).arg("-key").arg(key);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned));
        let port = address.and_then(|address| address.rsplit(':').next()?.parse().ok()).expect("s_server listens");
        Some(Self { child, port, ca: authority.pem(), _files: files })
    }

    fn send_to(&self, policy: &str) -> Run {
        let sealpost = Sealpost::new(&format!(
            "[accounts.relay]\nhost = \"localhost\"\nport = {}\ntls = {{ start = \"implicit\", policy = {policy:?}, ca_file = \"ca.pem\" }}\n",
            self.port
        ));
        sealpost.scratch.write("ca.pem", &self.ca);
        sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes())
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_that_knows_old_tls_only_gets_nothing() {
    for version in ["-tls1", "-tls1_1"] {
        for policy in ["required", "opportunistic"] {
            let Some(server) = Openssl::start(&[version]) else { return };
            let run = server.send_to(policy);
            let seen = (run.code, run.field("/tls/result"), run.field("/tls/failure"));
            assert_eq!(seen, (75, "none", "validation-failure"), "{version}, {policy}: {run:?}");
            assert!(run.field("/tls/detail").contains("older than 1.2"), "{version}: {}", run.field("/tls/detail"));
            assert_eq!(run.oddities(), Vec::<String>::new());
        }
    }
}

#[test]
fn a_second_handshake_within_the_first_is_not_agreed_to() {
    let Some(mut server) = Openssl::start(&["-tls1_2", "-msg"]) else { return };
    let out = server.child.stdout.take().unwrap();
    let mut stdin = server.child.stdin.take().unwrap();
    let messages = thread::spawn(move || {
        let (mut hellos, mut requests) = (0, 0);
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            hellos += u32::from(line.contains("ClientHello"));
            requests += u32::from(line.contains("HelloRequest"));
            // The handshake is over: what a command to s_server begins with R asks for another one.
            if line.contains(">>>") && line.contains("Finished") {
                let _ = stdin.write_all(b"R\n");
            }
        }
        (hellos, requests)
    });
    let run = server.send_to("required");
    assert_eq!((run.code, run.field("/status")), (75, "deferred"), "{run:?}");
    drop(server);
    assert_eq!(messages.join().unwrap(), (1, 1), "hellos, and what asked for one more");
}

#[test]
fn a_link_cut_without_a_farewell_of_tls_is_unknown_after_the_message_and_deferred_before() {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let sealed = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo:";
    let case =
        |name, script: &str, status, result| Case { name, script: leak(format!("{sealed}\n{script}")), status, result, ..CASE };
    let mut cases = Vec::new();
    for end in ["close", "rst"] {
        cases.push(case("after the message", leak(format!("mail\nrcpt\ndata\n{end}")), "unknown", "verified"));
        cases.push(case("with half a reply", leak(format!("mail\nrcpt\ndata\nS-raw: 250 2.0.0 O\n{end}")), "unknown", "verified"));
        cases.push(case("after MAIL", leak(format!("C: MAIL FROM:*\n{end}")), "deferred", "verified"));
        cases.push(case("after RCPT", leak(format!("mail\nC: RCPT TO:*\n{end}")), "deferred", "verified"));
    }
    play(&cases);
}
