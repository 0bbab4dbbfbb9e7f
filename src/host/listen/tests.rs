//! Does the sink hold against independent clients, with and without faults?

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
};

use lettre::{
    Message, SmtpTransport, Transport as _,
    transport::smtp::authentication::{Credentials, Mechanism},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::*;
use crate::smtp::sasl::Secret;

fn with(faults: &[&str]) -> Settings {
    Settings { faults: Faults::named(faults.iter().copied()), ..Settings::default() }
}

fn message(body: &str) -> Message {
    Message::builder()
        .from("cron@client.example".parse().unwrap())
        .to("admin@host.example".parse().unwrap())
        .subject("hello")
        .body(body.to_owned())
        .unwrap()
}

fn transport(sink: &Sink) -> lettre::transport::smtp::SmtpTransportBuilder {
    SmtpTransport::builder_dangerous("127.0.0.1").port(sink.address.port()).timeout(Some(Duration::from_secs(10)))
}

fn delivery(sink: &Sink) -> Delivery {
    match sink.events.recv_timeout(Duration::from_secs(10)).unwrap() {
        Event::Delivered(delivery) => *delivery,
        Event::Trouble { what, .. } => panic!("{what}"),
    }
}

fn connect(sink: &Sink) -> TcpStream {
    let stream = TcpStream::connect(sink.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Says `lines` one at a time, after the greeting, and returns the last line of each reply.
fn converse(stream: &mut (impl io::Read + io::Write), lines: &[&str]) -> Vec<String> {
    let mut replies = vec![reply(stream)];
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        replies.push(reply(stream));
    }
    replies
}

fn reply(stream: &mut impl io::Read) -> String {
    let mut line = String::new();
    let mut octet = [0];
    loop {
        stream.read_exact(&mut octet).unwrap();
        match octet[0] {
            b'\n' if line.as_bytes().get(3) != Some(&b'-') => return line,
            b'\n' => line.clear(),
            b'\r' => {}
            other => line.push(char::from(other)),
        }
    }
}

/// What a strict TLS client says of the handshake.
fn handshake(sink: &Sink, stream: &mut TcpStream) -> Result<ClientConnection, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sink.ca_pem.as_ref().unwrap().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(stream).map_err(|error| error.to_string())?;
    }
    Ok(tls)
}

#[test]
fn lettre_delivers_a_message_octet_by_octet() {
    let sink = Sink::start(Settings::default()).unwrap();
    let message = message(".a line that begins with a dot\r\n..\r\n.\r\nend");
    transport(&sink).build().send(&message).unwrap();
    let delivery = delivery(&sink);
    assert_eq!(delivery.transaction.sender, "cron@client.example");
    assert_eq!(delivery.transaction.recipients[0].address, "admin@host.example");
    assert_eq!(delivery.tls, None);
    let mut sent = message.formatted();
    sent.extend_from_slice(b"\r\n");
    assert_eq!(delivery.kept, Kept::Memory(sent));
}

#[test]
fn lettre_logs_in_by_plain_and_login_and_only_with_the_right_password() {
    let login = Login { user: "tim".to_owned(), password: Secret::new("right".to_owned()) };
    let sink = Sink::start(Settings { login: Some(login), auth_in_clear: true, ..Settings::default() }).unwrap();
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        for (password, fits) in [("right", true), ("wrong", false)] {
            let credentials = Credentials::new("tim".to_owned(), password.to_owned());
            let sent = transport(&sink).credentials(credentials).authentication(vec![mechanism]).build().send(&message("x"));
            assert_eq!(sent.is_ok(), fits, "{mechanism:?} {password}: {sent:?}");
            if fits {
                assert_eq!(delivery(&sink).transaction.user.as_deref(), Some("tim"));
            }
        }
    }
    assert!(transport(&sink).build().send(&message("x")).is_err(), "nobody gets in without a login");
}

#[test]
fn starttls_and_implicit_tls_satisfy_a_strict_client_that_knows_the_ca() {
    for tls in [Tls::Starttls, Tls::Implicit] {
        let sink = Sink::start(Settings { tls, ..Settings::default() }).unwrap();
        let mut stream = connect(&sink);
        if tls == Tls::Starttls {
            assert_eq!(converse(&mut stream, &["EHLO x", "STARTTLS"])[2], "220 2.0.0 go ahead");
        }
        let mut client = handshake(&sink, &mut stream).unwrap();
        let mut sealed = rustls::Stream::new(&mut client, &mut stream);
        if tls == Tls::Starttls {
            sealed.write_all(b"EHLO x\r\n").unwrap();
        }
        let last = converse(&mut sealed, &["EHLO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", "x\r\n."]).pop();
        assert_eq!(last.as_deref(), Some("250 2.0.0 kept as 3 octets"));
        let delivery = delivery(&sink);
        let facts = delivery.tls.unwrap();
        assert_eq!(facts.version.as_deref(), Some("TLSv1.3"));
        assert!(facts.cipher.unwrap().starts_with("TLS_"));
        assert_eq!(delivery.sni.as_deref(), Some("localhost"));
    }
}

#[test]
fn a_spoilt_certificate_or_handshake_fails_with_a_strict_client_for_the_reason_in_its_name() {
    let cases = [
        ("self-signed", "UnknownIssuer"),
        ("expired", "expired"),
        ("wrong-name", "not valid for name"),
        ("handshake-garbage", "corrupt message"),
        ("starttls-garbage", "corrupt message"),
        ("plaintext-on-implicit", "corrupt message"),
    ];
    for (fault, reason) in cases {
        let tls = if fault == "plaintext-on-implicit" { Tls::Implicit } else { Tls::Starttls };
        let sink = Sink::start(Settings { tls, ..with(&[fault]) }).unwrap();
        let mut stream = connect(&sink);
        if tls == Tls::Starttls {
            assert_eq!(converse(&mut stream, &["EHLO x", "STARTTLS"])[2], "220 2.0.0 go ahead");
        }
        let said = handshake(&sink, &mut stream).err().unwrap();
        assert!(said.contains(reason), "{fault}: {said}");
    }
}

#[test]
fn a_maildir_holds_what_was_sent_and_nothing_of_what_was_not() {
    let directory = std::env::temp_dir().join(format!("sealpost-maildir-{}", std::process::id()));
    let mut sink = Sink::start(Settings { store: Store::Maildir(directory.clone()), ..Settings::default() }).unwrap();
    transport(&sink).build().send(&message("kept")).unwrap();
    let Kept::File(path) = delivery(&sink).kept else { panic!() };
    assert!(path.starts_with(directory.join("new")));
    assert!(fs::read_to_string(path).unwrap().ends_with("kept\r\n"));
    let mut stream = connect(&sink);
    converse(&mut stream, &["HELO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA"]);
    stream.write_all(b"half a mess").unwrap();
    drop(stream);
    sink.stop(Duration::from_secs(10));
    assert_eq!(fs::read_dir(directory.join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(directory.join("new")).unwrap().count(), 1);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_link_that_is_lost_after_the_dot_leaves_the_message_kept_and_the_client_without_a_word() {
    for (fault, word) in [("drop-after-dot", ""), ("half-reply", "25")] {
        let sink = Sink::start(with(&[fault])).unwrap();
        let mut stream = connect(&sink);
        converse(&mut stream, &["HELO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA"]);
        stream.write_all(b"x\r\n.\r\n").unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, word, "{fault}");
        assert_eq!(delivery(&sink).size, 3);
    }
}

#[test]
fn stopping_ends_a_flood_a_stall_and_a_silence_at_once() {
    for (fault, said) in [("endless-reply", "EHLO x\r\n"), ("silent-greeting", ""), ("stop-reading", "")] {
        let mut sink = Sink::start(with(&[fault])).unwrap();
        let mut stream = connect(&sink);
        if fault == "stop-reading" {
            converse(&mut stream, &["HELO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "DATA"]);
        }
        stream.write_all(said.as_bytes()).unwrap();
        if fault == "endless-reply" {
            let mut lines = BufReader::new(&stream).lines();
            assert!(lines.next().is_some() && lines.next().is_some_and(|line| line.unwrap().starts_with("250-")));
        }
        let begun = Instant::now();
        sink.stop(Duration::ZERO);
        assert!(begun.elapsed() < Duration::from_secs(30), "{fault}");
        // Whether nobody listens any more can't be asked of the port: another test's sink may have got it.
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let end = stream.read_to_end(&mut Vec::new());
        assert!(!matches!(&end, Err(e) if e.kind() == io::ErrorKind::WouldBlock), "{fault}: the connection is still open");
    }
}

#[test]
fn a_certificate_from_files_is_shown_and_a_missing_one_is_named() {
    let nowhere = PathBuf::from("/nonexistent/chain.pem");
    let certificate = Certificate::Files { chain: nowhere.clone(), key: nowhere };
    let error = Sink::start(Settings { certificate, ..Settings::default() }).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/chain.pem"), "{error}");
}
