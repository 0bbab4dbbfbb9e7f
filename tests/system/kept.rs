//! Does a real Postfix take several messages over one connection, and what when it has had enough?

use sealpost::{cmd::deliver::Kept, mail::outcome::Fate};

use crate::{
    common::worker::{Text, Worker},
    smarthost::{message, smarthost},
};

const OFF: &str = "policy = \"off\"";

/// Sends a message and returns its Message-ID, whether it was accepted, and the record.
fn send(worker: &mut Worker<'_>, mark: &str, to: &str) -> (String, Fate, serde_json::Value) {
    let (id, text) = message(mark, b"all is well\n");
    let (delivered, mut records) = worker.send(&[to], &String::from_utf8(text).unwrap());
    assert_eq!(records.len(), 1, "{records:?}");
    (id, delivered.outcomes[0].fate, records.remove(0))
}

fn messages(worker: &Worker<'_>) -> Option<u32> {
    worker.kept.as_ref().map(Kept::messages)
}

#[test]
fn three_messages_share_one_sealed_connection_and_one_login() {
    let Some(smarthost) = smarthost() else { return };
    let auth = format!("password = {:?}", crate::common::PASSWORD);
    for (service, tls, auth) in [("plain", OFF, ""), ("starttls-good-auth", "", &auth), ("lmtp", OFF, "")] {
        let protocol = if service == "lmtp" { "protocol = \"lmtp\"" } else { "" };
        let client = smarthost.client(service, protocol, tls, auth);
        let mut worker = Worker::new(&client);
        let mut sent = Vec::new();
        for number in 1..=3 {
            let (id, fate, record) = send(&mut worker, &format!("kept-{service}-{number}"), "ok@sink.test");
            assert_eq!((fate, messages(&worker)), (Fate::Accepted, Some(number)), "{record}");
            assert_eq!(record["tls"]["result"], if tls.is_empty() { "verified" } else { "plaintext" });
            sent.push(id);
        }
        drop(worker);
        for id in &sent {
            assert_eq!(smarthost.arrived(id).len().max(usize::from(!smarthost.delivered(id).is_empty())), 1, "{id}");
        }
    }
}

#[test]
fn a_refused_message_is_reset_and_the_next_one_goes_on() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("plain", "", OFF, "");
    let mut worker = Worker::new(&client);
    assert_eq!(send(&mut worker, "reset-1", "nobody@sink.test").1, Fate::Refused);
    let (id, fate, _) = send(&mut worker, "reset-2", "ok@sink.test");
    assert_eq!((fate, messages(&worker)), (Fate::Accepted, Some(2)));
    smarthost.delivered(&id);
}

#[test]
fn a_server_that_hangs_up_after_errors_is_no_failure_of_the_next_message() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("plain-strict", "", OFF, "");
    let mut worker = Worker::new(&client);
    let refused = send(&mut worker, "strict-1", "nobody@sink.test");
    assert_eq!(refused.1, Fate::Refused, "{refused:?}");
    let (id, fate, record) = send(&mut worker, "strict-2", "ok@sink.test");
    assert_eq!((fate, &record["attempt"], messages(&worker)), (Fate::Accepted, &1.into(), Some(1)), "{record}");
    smarthost.delivered(&id);
}

#[test]
fn a_limit_on_messages_defers_those_above_it_and_counts() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("plain-few", "", OFF, "");
    let mut worker = Worker::new(&client);
    for number in 1..=2 {
        assert_eq!(send(&mut worker, &format!("few-{number}"), "ok@sink.test").1, Fate::Accepted);
    }
    let (_, fate, record) = send(&mut worker, "few-3", "ok@sink.test");
    // Postfix says 450 to MAIL: it is a limit, and no sign that another connection would help.
    assert_eq!((fate, &record["code"]), (Fate::Deferred, &450.into()), "{record}");
}

#[test]
fn a_message_that_is_large_follows_a_small_one() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("starttls-good", "", "", "");
    let mut worker = Worker::new(&client);
    send(&mut worker, "kept-small", "ok@sink.test");
    let (id, large) = message("kept-large", &b"0123456789 0123456789\n".repeat(30_000));
    let (delivered, _) = worker.send_with(&["ok@sink.test"], &mut Text::new(std::str::from_utf8(&large).unwrap()), |_| ());
    assert_eq!((delivered.outcomes[0].fate, messages(&worker)), (Fate::Accepted, Some(2)));
    assert!(smarthost.delivered(&id).len() > 600_000);
}
