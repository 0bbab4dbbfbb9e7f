//! What is told of an account that is of no use to anybody, so that the next message need not find out?

use std::net::TcpListener;

use sealpost::{
    error::Exit,
    mail::{outcome::Fate, trouble::Trouble},
};

use crate::common::{
    MESSAGE, PASSWORD, Sealpost, USER,
    script::Server,
    worker::{Text, Worker},
};

const TO: &[&str] = &["ok@sink.test"];
const SESSION: &str = "hello: PIPELINING\nmail\nrcpt\ndata\naccept\n";

fn account(name: &str, port: u16, lines: &str) -> String {
    format!("[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\n{lines}\n[accounts.{name}.tls]\npolicy = \"off\"\n")
}

/// A port on which nobody listens.
fn dead_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Bound and not listening: nobody else gets it, and nobody answers.
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    (listener, port)
}

#[test]
fn a_refused_login_keeps_a_queued_message_and_says_so() {
    for (queue, fate, status) in [(true, Fate::Deferred, "deferred"), (false, Fate::Refused, "failed")] {
        let server = Server::start("hello: AUTH PLAIN\nC: AUTH PLAIN *\nS: 535 5.7.8 bad\nquit", None);
        let login = format!("[accounts.relay.auth]\nuser = {USER:?}\npassword = {PASSWORD:?}\nmechanism = \"plain\"\n");
        let sealpost = Sealpost::new(&(account("relay", server.port(), "") + &login));
        let mut worker = Worker::new(&sealpost);
        worker.queue = queue;
        let (delivered, records) = worker.send(TO, MESSAGE);
        assert_eq!((delivered.outcomes[0].fate, delivered.outcomes[0].exit), (fate, Exit::NoPerm));
        assert_eq!(delivered.troubles, [("relay".to_owned(), Trouble::LoginRefused)]);
        assert_eq!((records[0]["status"].as_str(), records[0]["recipients"][0]["status"].as_str()), (Some(status), Some(status)));
        assert!(worker.kept.is_none());
    }
}

#[test]
fn a_fallback_serves_while_its_account_is_down_and_keeps_its_connection() {
    let (_held, dead) = dead_port();
    let server = Server::start(&format!("{SESSION}mail\nrcpt\ndata\naccept\nquit"), None);
    let accounts = account("relay", dead, "fallback = [\"other\"]") + &account("other", server.port(), "");
    let sealpost = Sealpost::new(&accounts);
    let mut worker = Worker::new(&sealpost);
    let (delivered, records) = worker.send(TO, MESSAGE);
    assert_eq!(delivered.outcomes[0].fate, Fate::Accepted);
    assert_eq!(delivered.troubles, [("relay".to_owned(), Trouble::Unreachable)]);
    assert_eq!(records.len(), 2, "{records:?}");
    // It is known to be down: it is not asked again, and the other one is there.
    let (delivered, records) =
        worker.send_with(TO, &mut Text::new(MESSAGE), |delivery| delivery.resting = Some(&|name: &str| name == "relay"));
    assert_eq!((delivered.outcomes[0].fate, delivered.troubles.len(), records.len()), (Fate::Accepted, 0, 1), "{records:?}");
    assert_eq!(worker.kept.as_ref().map(|kept| (kept.account().to_owned(), kept.messages())), Some(("other".to_owned(), 2)));
    drop(worker);
    let heard = server.finish();
    assert_eq!((heard.len(), &heard[0].deviation), (1, &None));
}

#[test]
fn where_every_account_rests_nothing_is_tried_and_everybody_is_left() {
    let (_held, dead) = dead_port();
    let sealpost = Sealpost::new(&account("relay", dead, ""));
    let mut worker = Worker::new(&sealpost);
    let (delivered, records) =
        worker.send_with(&["a@b.test", "c@d.test"], &mut Text::new(MESSAGE), |delivery| delivery.resting = Some(&|_: &str| true));
    assert_eq!(delivered.outcomes.iter().map(|outcome| outcome.fate).collect::<Vec<_>>(), [Fate::Deferred; 2]);
    assert_eq!((delivered.troubles.len(), records.len(), delivered.unpromised()), (0, 0, None));
}

#[test]
fn the_number_of_a_record_counts_on_from_earlier_runs() {
    let (_held, dead) = dead_port();
    let sealpost = Sealpost::new(&account("relay", dead, ""));
    let (_, records) = Worker::new(&sealpost).send_with(TO, &mut Text::new(MESSAGE), |delivery| delivery.attempts = 4);
    assert_eq!(records[0]["attempt"], 5);
}

#[test]
fn a_promise_that_no_account_can_have_is_told_apart_from_one_that_may_come() {
    let (_held, dead) = dead_port();
    let promised = |name: &str, port: u16, lines: &str, pin: &str| {
        let head = format!("[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\n{lines}\n");
        head + &format!("[accounts.{name}.tls]\nrequiretls = true\ntrust = \"pin\"\npins = [{pin:?}]\n")
    };
    let greylisting = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: REQUIRETLS\nmail\nC: RCPT TO:*\nS: 450 later\nquit";
    for (lines, unpromised) in [("", Some("5.7.30")), ("fallback = [\"down\"]", None), ("fallback = [\"grey\"]", None)] {
        let identity = crate::common::certificate::Authority::new("any").identity(crate::common::certificate::Flaw::None);
        let script = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: PIPELINING\nquit";
        let server = Server::start(script, Some(identity.server()));
        let grey = Server::start(greylisting, Some(identity.server()));
        let ports = [("relay", server.port(), lines), ("down", dead, ""), ("grey", grey.port(), "")];
        let accounts = ports.map(|(name, port, lines)| promised(name, port, lines, &identity.pin()));
        let sealpost = Sealpost::new(&accounts.concat());
        let (delivered, records) = Worker::new(&sealpost).send(TO, MESSAGE);
        assert_eq!(delivered.outcomes[0].fate, Fate::Deferred, "{records:?}");
        assert_eq!(delivered.unpromised().map(|why| why.enhanced().to_string()).as_deref(), unpromised, "{records:?}");
    }
}
