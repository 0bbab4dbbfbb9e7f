//! Does every kind of server read well: odd certificates, hostile words, wrong ports, black holes, proxies and sockets?

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::Duration,
};

use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::Value;

use crate::{
    account, auth, check,
    common::{
        PASSWORD, Run, Sealpost,
        certificate::{Authority, Flaw},
        script::Server,
    },
    configured, oddities, sink,
};

/// STARTTLS, then EHLO with nothing, then whatever.
const SEALED: &str = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo:\nwait";

fn at(port: u16, more: &str) -> Sealpost {
    Sealpost::new(&format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\n{more}\n"))
}

/// The page of a check of a server that follows `script`, its line breaks gone, and the code.
fn page(script: &str, tls: Option<Arc<ServerConfig>>, more: &str) -> (String, i32) {
    let server = Server::start(script, tls);
    let run = check(&at(server.port(), more), &[]);
    server.finish();
    told(&run)
}

fn told(run: &Run) -> (String, i32) {
    assert_eq!(oddities(run), Vec::<String>::new(), "{run:?}");
    assert_eq!(run.stderr, "", "{run:?}");
    (run.stdout.split_whitespace().collect::<Vec<_>>().join(" "), run.code)
}

fn holds(page: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(page.contains(words), "{words:?} is not in: {page}");
    }
}

/// A server whose certificate is as `change` makes it.
fn showing(change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "smarthost.test");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    server(vec![certificate], &key)
}

fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    Arc::new(builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap())
}

#[test]
fn a_certificate_that_expires_in_nine_days_is_worth_a_word_and_no_more() {
    let soon = showing(|params| params.not_after = (std::time::SystemTime::now() + Duration::from_secs(9 * 86_400 + 3600)).into());
    let (page, code) = page(SEALED, Some(soon), "tls = { trust = \"any\" }");
    holds(&page, &["(9 days left)", "- the certificate expires in 9 days", "would send now"]);
    assert_eq!(code, 0);
}

#[test]
fn odd_certificates_read_well() {
    let future = showing(|params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2095, 1, 1);
    });
    let (text, code) = page(SEALED, Some(future), "");
    holds(&text, &["2090-01-01 to 2095-01-01 (not yet)", "is this machine's clock right?"]);
    assert_eq!(code, 75);

    let nameless = showing(|params| {
        params.subject_alt_names.clear();
        params.distinguished_name = rcgen::DistinguishedName::new();
    });
    holds(&page(SEALED, Some(nameless), "").0, &["1. (no subject)", "names none (subjectAltName)", "issuer (no issuer)"]);

    let many = showing(|params| {
        params.subject_alt_names = (0..300).map(|n| SanType::DnsName(format!("h{n}.test").try_into().unwrap())).collect();
    });
    holds(&page(SEALED, Some(many), "").0, &["h11.test, and 89 more"]);

    let hostile = showing(|params| {
        params.distinguished_name.push(DnType::OrganizationName, "\u{1b}[2J\u{202e}evil\r\n  verdict    this account would send");
    });
    holds(&page(SEALED, Some(hostile), "").0, &["\\u{1b}[2J\\u{202e}evil\\r\\n", "certificate-not-trusted"]);
}

#[test]
fn a_chain_of_a_megabyte_ends_the_handshake_in_words() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x2a; 10 << 10]));
    let one = params.self_signed(&key).unwrap().der().clone();
    let (text, code) = page(SEALED, Some(server(vec![one; 100], &key)), "");
    holds(&text, &["validation-failure"]);
    assert_eq!(code, 75);
}

#[test]
fn a_chain_of_many_certificates_is_shown_in_part() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let one = params.self_signed(&key).unwrap().der().clone();
    let (text, code) = page(SEALED, Some(server(vec![one; 40], &key)), "tls = { trust = \"any\" }");
    holds(&text, &["10. CN=", "and 30 more"]);
    assert_eq!(code, 0);
}

#[test]
fn a_server_that_wants_a_certificate_of_ours_is_understood() {
    let ca = Authority::new("Clients");
    let mut roots = RootCertStore::empty();
    for der in rustls_pem(&ca.pem()) {
        roots.add(der).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().der().clone();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder.with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap();
    let (text, code) = page(SEALED, Some(Arc::new(config)), "tls = { trust = \"any\" }");
    holds(&text, &["it wants client_cert and client_key", "EX_TEMPFAIL"]);
    assert_eq!(code, 75);
}

fn rustls_pem(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

#[test]
fn hostile_words_stay_words() {
    let forged = "\\x1b[2J\\x1b]0;pwned\\x07\\xe2\\x80\\xae verdict    this account would send";
    let long = "A".repeat(4096);
    let many = "S-raw: 250-X\\r\\n\n".repeat(200);
    let off = "tls = { policy = \"off\" }";
    for (script, wanted) in [
        (format!("S-raw: 220 {forged}\\r\\nC: EHLO *\nS: 250 x\nmaybe: QUIT"), "\\u{1b}[2J"),
        (format!("S-raw: 554 {forged}\\r\\n\nwait"), "\\u{1b}[2J"),
        (format!("S: 220 {long}\nC: EHLO *\nS: 250-x\nS: 250 {long}\nwait"), "AAAA…"),
        (format!("S: 220 hi\nC: EHLO *\nS: 250-hi\n{many}S: 250 AUTH {}\nwait", "M ".repeat(2000)), "and 188 more"),
        (
            "S: 220 hi\nC: EHLO *\nS: 250-hi\nS: 250 日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語\nwait"
                .to_owned(),
            "日本語",
        ),
        ("S: 220 hi\nS-flood: 250-X\\r\\n".to_owned(), "EX_PROTOCOL"),
        ("S-raw: HTTP/1.1 400 Bad Request\\r\\n\nwait".to_owned(), "no SMTP reply"),
        ("close".to_owned(), "EX_TEMPFAIL"),
        ("S-drip: 2".to_owned(), "no answer in time"),
    ] {
        let (text, _) = page(&script, None, off);
        holds(&text, &[wanted]);
    }
}

#[test]
fn a_server_that_repeats_the_secret_is_not_repeated() {
    let auth = auth();
    for script in [
        format!(
            "S: 220 {PASSWORD}\nC: EHLO *\nS: 250-x\nS: 250-X-{PASSWORD}\nS: 250 AUTH PLAIN {PASSWORD}\nC: AUTH PLAIN *\nS: 235 {PASSWORD}\nwait"
        ),
        format!("hello: AUTH PLAIN\nC: AUTH PLAIN *\nS: 535 not {PASSWORD}\nwait"),
    ] {
        let account = auth.replace(" }", ", mechanism = \"PLAIN\" }");
        let server = Server::start(&script, None);
        let sealpost = at(server.port(), &format!("tls = {{ policy = \"off\" }}\n{account}"));
        let _ = told(&check(&sealpost, &[]));
        server.finish();
        let server = Server::start(&script, None);
        let sealpost = at(server.port(), &format!("tls = {{ policy = \"off\" }}\n{account}"));
        let run = check(&sealpost, &["--json"]);
        assert!(!crate::reveals_secret(run.stdout.as_bytes()), "{run:?}");
        assert!(one_login(server), "{run:?}");
    }
}

/// Whether there was one connection, with one AUTH and without MAIL.
fn one_login(server: Server) -> bool {
    let heard: Vec<_> = server.finish().into_iter().filter(|heard| !heard.clear.is_empty()).collect();
    let count = |words: &[u8]| heard.iter().flat_map(|heard| memchr::memmem::find_iter(&heard.clear, words)).count();
    count(b"AUTH PLAIN ") == 1 && count(b"MAIL FROM") == 0 && count(b"QUIT") == 1
}

#[test]
fn a_port_that_begins_otherwise_is_recognised() {
    let implicit = sink(&[], false, true);
    let run = check(&configured(&implicit, "ca_file = \"ca.pem\"", ""), &[]);
    let (text, code) = told(&run);
    holds(&text, &["speaks TLS from the first byte: set start = \"implicit\""]);
    assert_eq!(code, 75);
    let starttls = sink(&[], false, false);
    let run = check(&configured(&starttls, "ca_file = \"ca.pem\", start = \"implicit\"", ""), &[]);
    let (text, code) = told(&run);
    holds(&text, &["begins in plaintext and offers STARTTLS: set start = \"starttls\""]);
    assert_eq!(code, 75);
}

#[test]
fn what_a_policy_of_off_gives_away_is_said() {
    let sink = sink(&[], false, false);
    let (text, code) = told(&check(&configured(&sink, "policy = \"off\", ca_file = \"ca.pem\"", ""), &[]));
    holds(&text, &["in plaintext", "policy = \"required\" would use it"]);
    assert_eq!(code, 0);
}

#[test]
fn a_size_smaller_than_what_may_be_sent_is_said() {
    let sink = sink(&["tiny-size"], false, false);
    let (text, code) = told(&check(&configured(&sink, "ca_file = \"ca.pem\"", ""), &[]));
    holds(&text, &["SIZE 1000", "is little: larger mails"]);
    assert_eq!(code, 0);
}

#[test]
fn a_black_hole_is_left_in_time() {
    // Once its queue of connections is full, the kernel drops what else knocks.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()).collect();
    let account = format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n", address.port());
    let sealpost = Sealpost::with_limits("", &account);
    let config = std::fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    sealpost.scratch.write("config.toml", config.replace("connect_timeout = \"5s\"", "connect_timeout = \"1s\""));
    let run = check(&sealpost, &[]);
    let (text, code) = told(&run);
    holds(&text, &["no answer in time", "cannot connect"]);
    assert_eq!(code, 75);
    assert!(run.took < Duration::from_secs(4), "{:?}", run.took);
}

#[test]
fn behind_a_proxy_and_a_socket_there_are_no_addresses_and_no_questions() {
    let sink = sink(&[], false, false);
    let target = sink.address;
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = proxy.local_addr().unwrap().port();
    let played = thread::spawn(move || socks(&proxy, target));
    let account = format!(
        "[accounts.relay]\nhost = \"smtp.example.test\"\nport = {}\nproxy = \"socks5://127.0.0.1:{port}\"\n",
        target.port()
    );
    let sealpost = Sealpost::new(&format!("{account}tls = {{ ca_file = \"ca.pem\", server_name = \"localhost\" }}\n"));
    sealpost.scratch.write("ca.pem", sink.ca_pem.as_deref().unwrap());
    let run = check(&sealpost, &["--json"]);
    let told_of = crate::account(&run);
    assert_eq!((run.code, &told_of["dns"], &told_of["addresses"][0]["address"]), (0, &Value::Null, &Value::Null), "{run:?}");
    played.join().unwrap();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lmtp");
    let listener = UnixListener::bind(&path).unwrap();
    let played = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 here LMTP\r\n").unwrap();
        let mut heard = [0; 512];
        let _ = stream.read(&mut heard).unwrap();
        stream.write_all(b"250-here\r\n250 PIPELINING\r\n").unwrap();
        let _ = stream.read(&mut heard);
    });
    let account =
        format!("[accounts.relay]\nhost = \"unix:{}\"\nprotocol = \"lmtp\"\ntls = {{ policy = \"off\" }}\n", path.display());
    let (text, code) = told(&check(&Sealpost::new(&account), &[]));
    holds(&text, &["LMTP)", "connected in", "LHLO", "in plaintext"]);
    assert_eq!(code, 0);
    played.join().unwrap();
}

/// A SOCKS5 proxy for one connection, which leads to `target` whatever is asked for (RFC 1928).
fn socks(proxy: &TcpListener, target: std::net::SocketAddr) {
    let (mut client, _) = proxy.accept().unwrap();
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).unwrap();
    client.write_all(&[5, 0]).unwrap();
    let mut head = [0; 5];
    client.read_exact(&mut head).unwrap();
    let mut rest = vec![0; usize::from(head[4]) + 2];
    client.read_exact(&mut rest).unwrap();
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut server = TcpStream::connect(target).unwrap();
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
    up.join().unwrap();
}

#[test]
fn every_flaw_of_a_certificate_is_told_by_every_kind_of_trust() {
    let ca = Authority::new("Ours");
    for flaw in Flaw::ALL {
        let server = Server::start(SEALED, Some(ca.identity(flaw).server()));
        let sealpost = at(server.port(), "tls = { ca_file = \"ca.pem\" }");
        sealpost.scratch.write("ca.pem", ca.pem());
        let run = check(&sealpost, &["--json"]);
        server.finish();
        let told = account(&run);
        let trust = &told["addresses"][0]["sessions"][0]["tls"]["trust"];
        assert_eq!(trust["ca_file"]["failure"].as_str(), flaw.failure(), "{flaw:?}: {trust}");
        assert_eq!(trust["ca_file"]["trusted"].as_bool(), Some(flaw.failure().is_none()), "{flaw:?}: {trust}");
        assert_eq!((&trust["system"]["trusted"], &trust["any"]["trusted"]), (&false.into(), &false.into()), "{flaw:?}");
        assert_eq!(trust["pin"]["trusted"], Value::Null, "{flaw:?}");
        assert_eq!(run.code, if flaw == Flaw::None { 0 } else { 75 }, "{flaw:?}: {run:?}");
    }
}
