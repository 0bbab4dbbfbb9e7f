//! Is the promise kept on every way to a server: through a proxy, and over to a fallback? (RFC 1928; contract sections 2, 3 and 5)

use crate::common::{MESSAGE, PASSWORD, Sealpost, USER, contains, reveals_secret, script::Server};

/// One account without TLS, and what stands below its name.
fn account(name: &str, port: u16, rest: &str) -> String {
    let tls = format!("[accounts.{name}.tls]\npolicy = \"off\"\n");
    format!("[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"{name}@client.test\"\n{rest}\n{tls}")
}

/// A port at which nobody listens.
fn closed() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port()
}

#[test]
fn a_proxy_on_this_machine_does_not_make_the_server_local() {
    let socks = "C-bytes: 3\nS-raw: \\x05\\0\nC-bytes: 20\nS-raw: \\x05\\0\\0\\x01\\0\\0\\0\\0\\0\\0";
    let server = Server::start(&format!("{socks}\nhello: AUTH PLAIN\ngone"), None);
    let proxy = format!("proxy = \"socks5://127.0.0.1:{}\"", server.port());
    let text = format!(
        "[accounts.relay]\nhost = \"far.sink.test\"\nport = 587\n{proxy}\n[accounts.relay.tls]\npolicy = \"opportunistic\"\n\
         [accounts.relay.auth]\nuser = {USER:?}\npassword = {PASSWORD:?}\nmechanism = \"PLAIN\"\n"
    );
    let run = Sealpost::new(&text).send(&["-i", "ok@sink.test"], MESSAGE.as_bytes());
    let heard = server.finish().remove(0);
    assert!(!reveals_secret(&heard.clear), "the secret in the clear: {run:?}");
    assert_eq!((run.code, run.field("/status"), run.field("/tls/result")), (75, "deferred", "none"), "{run:?}");
    assert_eq!(heard.deviation, None);
}

#[test]
fn a_fallback_has_its_own_sender() {
    let server = Server::start("hello:\nsession", None);
    let accounts = account("relay", closed(), "fallback = [\"backup\"]") + &account("backup", server.port(), "");
    let run = Sealpost::new(&accounts).send(&["-i", "ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!((run.code, run.records.len()), (0, 2), "{run:?}");
    let senders: Vec<_> = run.records.iter().map(|r| r["from"].as_str().unwrap_or_default()).collect();
    assert_eq!(senders, ["relay@client.test", "backup@client.test"]);
    assert!(contains(&server.finish()[0].clear, b"MAIL FROM:<backup@client.test>"));
}

#[test]
fn what_is_wrong_with_a_fallback_does_not_make_a_deferral_final() {
    let relay = account("relay", closed(), "fallback = [\"backup\"]");
    let nowhere = account("backup", 25, "").replace("\"127.0.0.1\"", "\"no-such-host.invalid\"");
    let login = "[accounts.backup.auth]\nuser = \"u\"\nmechanism = \"PLAIN\"\npassword_file = \"/nonexistent/password\"\n";
    for backup in [nowhere, account("backup", 25, "") + login] {
        let run = Sealpost::new(&format!("{relay}{backup}")).send(&["-i", "ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!((run.code, run.records.len()), (75, 2), "{run:?}");
    }
}
