//! How does something send that has several messages, and keeps its connection? (the library as a queue uses it)

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use sealpost::{
    cmd::deliver::{Delivered, Delivery, Kept, Settled},
    error::Error,
    host::{
        config::{self, Account, Config},
        journal::{self, Journal, Sockets},
        narrate::{Level, Narrator},
        world::{Machine, World as _},
    },
    mail::{
        address::{Address, ReversePath},
        content::{Content, Facts, Form},
        envelope::{Dsn, Envelope, Recipient},
        policy::Request,
    },
};

use super::Sealpost;

/// Longest wait for what a server did.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message in memory, its lines ended by CRLF.
pub(crate) struct Text {
    bytes: Vec<u8>,
    at: usize,
    pub(crate) tls_waived: bool,
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        Self { bytes: text.replace('\n', "\r\n").into_bytes(), at: 0, tls_waived: false }
    }
}

impl Content for Text {
    fn facts(&self) -> Facts {
        Facts { size: self.bytes.len() as u64, eight_bit: false, tls_waived: self.tls_waived }
    }

    fn rewind(&mut self, _: Form) -> io::Result<u64> {
        self.at = 0;
        Ok(self.bytes.len() as u64)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        let end = self.bytes.len().min(self.at + limit);
        out.extend_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Ok(end == self.bytes.len())
    }
}

/// Sends one message after the other, with the configuration and the log of a [`Sealpost`].
pub(crate) struct Worker<'s> {
    sealpost: &'s Sealpost,
    config: Config,
    journal: Journal,
    pub(crate) kept: Option<Kept>,
    /// Its messages come out of a queue.
    pub(crate) queue: bool,
}

impl<'s> Worker<'s> {
    pub(crate) fn new(sealpost: &'s Sealpost) -> Self {
        let config = config::load(&Machine, Some(&sealpost.scratch.path().join("config.toml"))).unwrap();
        let journal = Journal::new(&config.log, None, Sockets::default());
        Self { sealpost, config, journal, kept: None, queue: true }
    }

    /// Sends `text`; what came of it, and the records of that.
    pub(crate) fn send(&mut self, recipients: &[&str], text: &str) -> (Delivered, Vec<serde_json::Value>) {
        self.send_with(recipients, &mut Text::new(text), |_| ())
    }

    /// The same with a delivery that `arrange` has prepared.
    pub(crate) fn send_with<'d>(
        &'d mut self,
        recipients: &[&str],
        text: &mut Text,
        arrange: impl FnOnce(&mut Delivery<'d>),
    ) -> (Delivered, Vec<serde_json::Value>) {
        let before = self.sealpost.log().len();
        let sender = ReversePath::Address(Address::parse("cron@client.test").unwrap());
        let recipient = |text: &&str| Recipient { address: Address::parse(text).unwrap(), original: None, notify: None };
        let envelope = Envelope {
            sender: sender.clone(),
            recipients: recipients.iter().map(recipient).collect(),
            dsn: Dsn::default(),
            request: Request::Nothing,
        };
        let submission = journal::Submission {
            id: journal::Id::new(Machine.timestamp(), [7; 10]),
            message_id: None,
            uid: None,
            user: None,
            sender: None,
            size: None,
            queue: self.queue,
        };
        let allowed =
            |_: &Account| -> Result<ReversePath, Error> { Ok(ReversePath::Address(Address::parse("cron@client.test").unwrap())) };
        let allowed: &'d dyn Fn(&Account) -> Result<ReversePath, Error> = Box::leak(Box::new(allowed));
        let narrator: &'d Narrator = Box::leak(Box::new(Narrator::new(Level::Quiet)));
        let mut delivery = Delivery::new(&Machine, &self.config, &self.journal, narrator, submission, allowed);
        arrange(&mut delivery);
        let account = self.config.account("relay").unwrap();
        let delivered = delivery.run_kept(&mut self.kept, account, &envelope, text);
        (delivered, self.sealpost.log().split_off(before))
    }

    /// Waits until the server of the kept connection, on `port`, has said something or hung up, and leaves it unread.
    pub(crate) fn until_heard(port: u16) {
        let started = Instant::now();
        while !is_heard(port) {
            assert!(started.elapsed() < PATIENCE, "the server on port {port} says nothing");
            // The kernel's table is all that shows it without reading.
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Whether a connection of ours to `port` has unread octets or was closed by the other side (proc(5), `/proc/net/tcp`).
fn is_heard(port: u16) -> bool {
    const CLOSE_WAIT: &str = "08";
    let remote = format!("0100007F:{port:04X}");
    fs::read_to_string("/proc/self/net/tcp").unwrap().lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_ours = fields.get(2) == Some(&remote.as_str());
        is_ours && (fields[3] == CLOSE_WAIT || !fields[4].ends_with(":00000000"))
    })
}

/// A hook as [`Delivery`] takes it.
pub(crate) type Hook = Box<Settled<'static>>;
