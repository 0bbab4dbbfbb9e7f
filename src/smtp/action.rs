//! What does a protocol machine ask of the world? (the whole vocabulary between `smtp` and `host`)

use std::collections::VecDeque;

use crate::mail::content::Form;

/// What the pump does next for a client session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the flight (`Session::flight`) with one write.
    Say,
    /// Read once, within the time for `wait`; all reads of one `turn` share one deadline, so that a reply a byte a second ends too.
    Listen {
        /// What is waited for.
        wait: Wait,
        /// Number of the reply that is waited for.
        turn: u32,
    },
    /// Take what has arrived already, without waiting.
    Glance,
    /// Do the TLS handshake.
    Handshake,
    /// Start the content over in this form and report its size.
    Rewind(Form),
    /// Append at most this many octets of content to `Session::content`.
    Fetch(usize),
    /// A message is over and the connection is good for another (`Session::next`), or for QUIT (`Session::quit`).
    Idle,
    /// The session is over.
    Done,
}

/// What a reply is waited for, which decides how long (RFC 5321 4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The 220 of a connection.
    Greeting,
    /// EHLO, STARTTLS, AUTH, RSET.
    Command,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// The 354 of DATA.
    Data,
    /// A chunk that is not the last.
    Block,
    /// The final dot, or the last chunk.
    End,
    /// QUIT, where its reply matters.
    Quit,
}

impl Wait {
    /// What did not come, for a person.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Greeting => "the greeting",
            Self::Command => "the reply to a command",
            Self::Mail => "the reply to MAIL",
            Self::Rcpt => "the reply to RCPT",
            Self::Data => "the reply to DATA",
            Self::Block => "the reply to a chunk",
            Self::End => "the final reply",
            Self::Quit => "the reply to QUIT",
        }
    }
}

/// What is about to be said, in the three parts that save a copy of the content, and the actions that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) head: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) tail: Vec<u8>,
    /// What a transcript shows in place of a head that holds a secret.
    pub(super) masked: Option<&'static str>,
    pub(super) queue: VecDeque<Action>,
}

impl Outbox {
    /// Says `head` alone.
    pub(super) fn say(&mut self, head: Vec<u8>) {
        self.clear();
        self.head = head;
        self.queue.push_back(Action::Say);
    }

    /// Says `head`, the content that was fetched, and `tail`.
    pub(super) fn say_content(&mut self, head: Vec<u8>, tail: &[u8]) {
        self.head = head;
        self.tail = tail.to_vec();
        self.queue.push_back(Action::Say);
    }

    /// Asks for content.
    pub(super) fn fetch(&mut self, limit: usize) {
        self.clear();
        self.queue.push_back(Action::Fetch(limit));
    }

    /// Asks for something that takes no words.
    pub(super) fn ask(&mut self, action: Action) {
        self.queue.push_back(action);
    }

    /// Nothing more is to be said.
    pub(super) fn silence(&mut self) {
        self.clear();
        self.queue.clear();
    }

    fn clear(&mut self) {
        self.head.clear();
        self.content.clear();
        self.tail.clear();
        self.masked = None;
    }
}

/// The parts of one flight, to be written at once.
#[derive(Clone, Copy, Debug)]
pub struct Flight<'a> {
    /// Command lines.
    pub head: &'a [u8],
    /// Message content.
    pub content: &'a [u8],
    /// What follows the content.
    pub tail: &'a [u8],
    /// What a transcript shows in place of `head`, where that holds a secret.
    pub masked: Option<&'static str>,
}

/// Why the exchange broke off without an answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);
