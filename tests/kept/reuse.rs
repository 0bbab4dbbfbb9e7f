//! Which messages share a connection, and what becomes of one whose connection is gone?

use sealpost::{cmd::deliver::Kept, mail::outcome::Fate};
use serde_json::Value;

use crate::common::{
    MESSAGE, Sealpost,
    certificate::{Authority, Flaw},
    script::{Heard, Server},
    worker::{Text, Worker},
};

const TO: &[&str] = &["ok@sink.test"];
/// A message by DATA, without QUIT.
const ONE: &str = "mail\nrcpt\ndata\naccept\n";

fn plain(server: &Server) -> Sealpost {
    Sealpost::new(&format!(
        "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n[accounts.relay.tls]\npolicy = \"off\"\n",
        server.port()
    ))
}

/// What was heard, by servers whose clients never left the script.
fn heard(server: Server) -> Vec<String> {
    let words = |heard: Heard| {
        assert_eq!(heard.deviation, None);
        String::from_utf8([heard.clear, heard.sealed].concat()).unwrap()
    };
    server.finish().into_iter().map(words).collect()
}

fn field<'r>(record: &'r Value, path: &str) -> &'r Value {
    record.pointer(path).unwrap()
}

/// Sends a message that arrives, as the one record says.
fn sent(worker: &mut Worker<'_>) -> Value {
    let (delivered, mut records) = worker.send(TO, MESSAGE);
    assert_eq!(delivered.outcomes[0].fate, Fate::Accepted, "{records:?}");
    assert_eq!(delivered.troubles, []);
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records.remove(0);
    assert_eq!((field(&record, "/status"), field(&record, "/attempt")), (&"sent".into(), &1.into()), "{record}");
    record
}

#[test]
fn three_messages_are_one_connection_one_handshake_and_three_true_records() {
    let authority = Authority::new("the authority of this test");
    let identity = authority.identity(Flaw::None);
    let script = format!("hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: PIPELINING\n{}quit", ONE.repeat(3));
    let server = Server::start(&script, Some(identity.server()));
    let port = server.port();
    let sealpost = Sealpost::new(&format!(
        "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\n[accounts.relay.tls]\nca_file = \"ca.pem\"\n"
    ));
    sealpost.scratch.write("ca.pem", authority.pem());
    let mut worker = Worker::new(&sealpost);
    let records: Vec<Value> = (0..3).map(|_| sent(&mut worker)).collect();
    assert_eq!(worker.kept.as_ref().map(|kept| (kept.account().to_owned(), kept.messages())), Some(("relay".to_owned(), 3)));
    for record in &records {
        assert_eq!(field(record, "/tls/result"), "verified");
        assert_eq!(field(record, "/tls"), field(&records[0], "/tls"), "it is the same connection");
        assert_eq!(field(record, "/address"), "127.0.0.1");
    }
    drop(worker);
    let said = heard(server);
    assert_eq!((said.len(), said[0].matches("MAIL FROM").count(), said[0].ends_with("QUIT\r\n")), (1, 3, true), "{said:?}");
}

#[test]
fn what_comes_while_nothing_is_asked_ends_the_connection_and_not_the_message() {
    for end in ["S: 421 4.4.2 timeout\nclose", "close", "S: 250 2.0.0 stray\nwait", "S-raw: 25\nwait", "S: noise\nwait"] {
        let server = Server::start(&format!("hello: PIPELINING\n{ONE}bell\n{end}\n---\nhello: PIPELINING\n{ONE}quit"), None);
        let (port, sealpost) = (server.port(), plain(&server));
        let mut worker = Worker::new(&sealpost);
        sent(&mut worker);
        assert!(worker.kept.is_some());
        server.ring();
        Worker::until_heard(port);
        sent(&mut worker);
        drop(worker);
        let said = heard(server);
        assert_eq!(said.iter().map(|said| said.matches("MAIL FROM").count()).collect::<Vec<_>>(), [1, 1], "{end}");
    }
}

#[test]
fn a_421_to_the_third_mail_sends_it_on_a_new_connection_as_its_first_attempt() {
    let third = "C: MAIL FROM:*\nS: 421 4.7.0 too many messages\nclose";
    let server = Server::start(&format!("hello: PIPELINING\n{}{third}\n---\nhello: PIPELINING\n{ONE}quit", ONE.repeat(2)), None);
    let sealpost = plain(&server);
    let mut worker = Worker::new(&sealpost);
    for _ in 0..3 {
        sent(&mut worker);
    }
    assert_eq!(worker.kept.as_ref().map(Kept::messages), Some(1));
    drop(worker);
    assert_eq!(heard(server).len(), 2);
}

#[test]
fn a_server_that_refuses_rset_loses_the_connection() {
    let refused = "mail\nC: RCPT TO:*\nC: DATA\nS: 550 5.1.1 who\nS: 554 5.5.1 nobody\n";
    let server = Server::start(
        &format!("hello: PIPELINING\n{refused}C: RSET\nS: 502 5.5.2 what\nwait\n---\nhello: PIPELINING\n{ONE}quit"),
        None,
    );
    let sealpost = plain(&server);
    let mut worker = Worker::new(&sealpost);
    assert_eq!(worker.send(TO, MESSAGE).0.outcomes[0].fate, Fate::Refused);
    sent(&mut worker);
    drop(worker);
    assert_eq!(heard(server).len(), 2);
}

#[test]
fn a_connection_that_is_gone_is_seen_to_be_gone() {
    let server = Server::start(&format!("hello: PIPELINING\n{ONE}bell\nclose"), None);
    let (port, sealpost) = (server.port(), plain(&server));
    let mut worker = Worker::new(&sealpost);
    sent(&mut worker);
    server.ring();
    Worker::until_heard(port);
    assert!(worker.kept.as_mut().unwrap().is_gone());
    let server = Server::start(&format!("hello: PIPELINING\n{}quit", ONE.repeat(2)), None);
    let sealpost = plain(&server);
    let mut worker = Worker::new(&sealpost);
    sent(&mut worker);
    assert!(!worker.kept.as_mut().unwrap().is_gone());
    sent(&mut worker);
}

#[test]
fn a_message_that_waives_tls_shares_no_connection_with_one_that_does_not() {
    let server = Server::start(&format!("hello: PIPELINING\n{ONE}quit\n---\nhello: PIPELINING\n{ONE}quit"), None);
    let sealpost = plain(&server);
    let mut worker = Worker::new(&sealpost);
    sent(&mut worker);
    let mut waiving = Text::new(MESSAGE);
    waiving.tls_waived = true;
    let (delivered, records) = worker.send_with(TO, &mut waiving, |_| ());
    assert_eq!(delivered.outcomes[0].fate, Fate::Accepted, "{records:?}");
    assert_eq!(field(&records[0], "/tls/request"), "tls-required-no");
    drop(worker);
    let said = heard(server);
    assert!(said.len() == 2 && said[0].ends_with("QUIT\r\n"), "{said:?}");
}

#[test]
fn the_memory_is_asked_once_for_a_connection() {
    let authority = Authority::new("the authority of this test");
    let hello = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: PIPELINING\n";
    let server = Server::start(&format!("{hello}{}quit", ONE.repeat(2)), Some(authority.identity(Flaw::None).server()));
    let sealpost = Sealpost::new(&format!(
        "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n[accounts.relay.tls]\ntrust = \"tofu\"\n",
        server.port()
    ));
    let memory = sealpost.scratch.path().join("memory.json");
    let mut worker = Worker::new(&sealpost);
    sent(&mut worker);
    std::fs::remove_file(&memory).unwrap();
    let second = sent(&mut worker);
    assert!(!memory.exists(), "it was written to again");
    // The key was new when the connection was made, and nobody has vouched for it since.
    assert_eq!(field(&second, "/tls/result"), "unverified");
    drop(worker);
    assert_eq!(heard(server).len(), 1);
}

// OpenSSL's side of a handshake stays on its thread.
#[cfg(not(feature = "native-tls"))]
#[test]
fn a_kept_connection_may_change_its_thread() {
    const fn may_move<T: Send>() {}
    may_move::<Kept>();
}
