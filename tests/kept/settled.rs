//! Is it told whom a message has reached before anything else is tried for the others?

use std::cell::RefCell;

use sealpost::{
    error::{Error, Exit},
    mail::outcome::{Fate, Outcome},
};

use crate::common::{
    MESSAGE, Sealpost,
    script::Server,
    worker::{Hook, Text, Worker},
};

const PARTLY: &str =
    "hello: PIPELINING\nmail\nC: RCPT TO:<a@b.test>\nS: 250 ok\nC: RCPT TO:<c@d.test>\nS: 451 later\ndata\naccept\nquit";

fn accounts(server: &Server, other: &Server) -> String {
    let account = |name: &str, server: &Server, lines: &str| {
        let head = format!("[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {}\n{lines}\n", server.port());
        head + &format!("[accounts.{name}.tls]\npolicy = \"off\"\n")
    };
    account("relay", server, "fallback = [\"other\"]") + &account("other", other, "")
}

fn told(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| format!("{} {}", outcome.recipient, outcome.fate.as_str())).collect()
}

fn full() -> Error {
    Error::new(Exit::IoErr, "writing the queue", "no space left")
}

thread_local! {
    static TOLD: RefCell<Vec<Vec<String>>> = const { RefCell::new(Vec::new()) };
}

/// A hook that keeps what it is told, and fails where it should.
fn hook(fails: bool) -> &'static mut sealpost::cmd::deliver::Settled<'static> {
    TOLD.with_borrow_mut(Vec::clear);
    let hook: Hook = Box::new(move |outcomes| {
        TOLD.with_borrow_mut(|all| all.push(told(outcomes)));
        if fails { Err(full()) } else { Ok(()) }
    });
    Box::leak(hook)
}

#[test]
fn a_fallback_is_tried_once_the_others_are_told_of() {
    for fails in [false, true] {
        let server = Server::start(PARTLY, None);
        let other = Server::start("hello: PIPELINING\nmail\nC: RCPT TO:<c@d.test>\nS: 250 ok\ndata\naccept\nquit", None);
        let sealpost = Sealpost::new(&accounts(&server, &other));
        let mut worker = Worker::new(&sealpost);
        let mut warnings = 0;
        let (delivered, records) = worker.send_with(&["a@b.test", "c@d.test"], &mut Text::new(MESSAGE), |delivery| {
            delivery.settled = Some(hook(fails));
            warnings = delivery.warnings.len();
        });
        assert_eq!(TOLD.with_borrow(Vec::clone), [["a@b.test sent"]]);
        let expected = if fails { Fate::Deferred } else { Fate::Accepted };
        assert_eq!(delivered.outcomes.iter().map(|o| o.fate).collect::<Vec<_>>(), [Fate::Accepted, expected], "{records:?}");
        assert_eq!(records.len(), if fails { 1 } else { 2 });
        drop(worker);
        assert_eq!(other.finish().len(), usize::from(!fails));
    }
}

#[test]
fn the_next_batch_is_said_once_the_one_before_is_told_of() {
    for fails in [false, true] {
        let batch = |to: &str| format!("mail\nC: RCPT TO:<{to}>\nS: 250 ok\ndata\naccept\n");
        let last = if fails { "gone".to_owned() } else { batch("c@d.test") + "quit" };
        let server = Server::start(&format!("hello: PIPELINING\n{}{last}", batch("a@b.test")), None);
        let port = server.port();
        let account = format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\n[accounts.relay.tls]\npolicy = \"off\"\n");
        let sealpost = Sealpost::with_limits("recipients = 1", &account);
        let mut worker = Worker::new(&sealpost);
        let (delivered, records) =
            worker.send_with(&["a@b.test", "c@d.test"], &mut Text::new(MESSAGE), |delivery| delivery.settled = Some(hook(fails)));
        assert_eq!(TOLD.with_borrow(Vec::clone), [["a@b.test sent"]]);
        let expected = if fails { Fate::Deferred } else { Fate::Accepted };
        assert_eq!(delivered.outcomes.iter().map(|o| o.fate).collect::<Vec<_>>(), [Fate::Accepted, expected], "{records:?}");
        drop(worker);
        let heard = server.finish();
        assert_eq!((heard.len(), &heard[0].deviation), (1, &None));
    }
}
