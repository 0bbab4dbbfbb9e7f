//! Does a message come out of the spool as it went in, and stand where its name says?

use std::os::unix::fs::PermissionsExt as _;

use std::io;

use super::*;
use crate::host::journal::Id;
use crate::mail::{
    address::{Address, ReversePath},
    content::{Content, Facts, Form},
    envelope::{Dsn, Envelope, Notify, Recipient},
    policy::Request,
    queued::{Last, Standing},
};
use jiff::Timestamp;

/// A message in memory.
struct Text(&'static [u8], usize);

impl Content for Text {
    fn facts(&self) -> Facts {
        Facts { size: self.0.len() as u64, eight_bit: !self.0.is_ascii(), tls_waived: false }
    }

    fn rewind(&mut self, _: Form) -> io::Result<u64> {
        self.1 = 0;
        Ok(self.0.len() as u64)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        let end = self.0.len().min(self.1 + limit);
        out.extend_from_slice(&self.0[self.1..end]);
        self.1 = end;
        Ok(end == self.0.len())
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn entry() -> Entry {
    let recipient = |text: &str| Recipient { address: address(text), original: None, notify: None };
    let envelope = Envelope {
        sender: ReversePath::Address(address("cron@example.com")),
        recipients: vec![recipient("a@example.org"), recipient("b@example.org")],
        dsn: Dsn { notify: Some(Notify::Never), ret: None, envid: Some("x y".into()) },
        request: Request::Require,
    };
    let head = Head {
        arrived: Timestamp::from_second(1_700_000_000).unwrap(),
        uid: 1000,
        user: "alice".into(),
        account: "relay".into(),
        asked: Some(ReversePath::Null),
        envelope,
        message_id: "<1@example.com>".into(),
        size: 0,
        eight_bit: true,
        tls_waived: false,
        report: false,
    };
    Entry::new(head, Timestamp::from_second(1_700_000_000).unwrap())
}

fn id(n: u8) -> Id {
    Id::new(Timestamp::from_second(1_700_000_000).unwrap(), [n; 10])
}

const TEXT: &[u8] = "Subject: x\r\n\r\nGrüße\r\n".as_bytes();

#[test]
fn what_was_added_is_read_back_and_nobody_else_may_enter() {
    let scratch = tempfile::tempdir().unwrap();
    let spool = Spool::make(&scratch.path().join("deep/spool")).unwrap();
    assert_eq!(std::fs::metadata(spool.path()).unwrap().permissions().mode() & 0o777, 0o700);
    let claim = spool.add(id(1), entry(), &mut Text(TEXT, 0)).unwrap();
    assert!(matches!(spool.claim(Place::Queue, id(1)).unwrap(), Claimed::Busy));
    let known = claim.entry.clone();
    drop(claim);
    let Claimed::Ours(mut claim) = spool.claim(Place::Queue, id(1)).unwrap() else { panic!() };
    assert_eq!(claim.entry.head, known.head);
    let mut content = claim.content().unwrap();
    assert_eq!(content.rewind(Form::EightBit).unwrap(), TEXT.len() as u64);
    let mut said = Vec::new();
    while !content.fill(&mut said, 7).unwrap() {}
    assert_eq!(said, TEXT);
    content.rewind(Form::SevenBit).unwrap();
    said.clear();
    while !content.fill(&mut said, 4096).unwrap() {}
    assert!(said.is_ascii() && said.starts_with(b"Subject: x\r\n"), "{}", String::from_utf8_lossy(&said));

    // Who still reads it keeps it locked.
    drop(content);

    let mut state = claim.entry.state.clone();
    state.attempts = 1;
    state.next = Timestamp::from_second(1_700_000_060).unwrap();
    state.recipients[1] = Standing::Delivered;
    state.recipients[0] = Standing::Waiting(Some(Last { code: Some(450), text: "later".into(), ..Last::default() }));
    claim.note(state.clone()).unwrap();
    state.attempts = 2;
    claim.note(state.clone()).unwrap();
    drop(claim);
    assert_eq!(spool.peek(Place::Queue, id(1)).unwrap().unwrap().state, state);
    let waiting: Vec<Found> = spool.names(Place::Queue).unwrap().collect();
    assert_eq!(waiting, [Found::Message(Waiting { id: id(1), due: state.next })]);

    let Claimed::Ours(mut claim) = spool.claim(Place::Queue, id(1)).unwrap() else { panic!() };
    assert_eq!(claim.entry.waiting().recipients.len(), 1);
    claim.shift(Place::Held).unwrap();
    assert!(matches!(spool.claim(Place::Queue, id(1)).unwrap(), Claimed::Gone));
    claim.finish().unwrap();
    assert_eq!(spool.names(Place::Held).unwrap().count(), 0);
}
