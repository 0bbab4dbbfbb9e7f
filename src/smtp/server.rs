//! What does a server answer, and when is it handed a message? (RFC 5321, 2033, 2920, 3030, 3207, 4954)
//!
//! A state machine without a socket: octets go in by [`Server::receive`], [`Action`]s come out, in the order in which they are to
//! be done. The message streams through in pieces and is never held whole. Whoever holds the connection calls
//! [`Server::sealed`] after [`Action::Handshake`] and [`Server::stored`] after [`Action::Deliver`]; until then nothing that
//! arrived later is looked at. A connection that ends before Deliver takes the message that began with it. Where the settings say
//! so each MAIL and RCPT is an [`Action::Ask`] first, to be answered by [`Server::answered`].

use memchr::memchr;
use zeroize::Zeroizing;

use self::{
    asking::Asked,
    body::Decoder,
    command::Command,
    fault::{Step, Twist},
};
use super::sasl::{Binding, verifier::Verifier};
use crate::error::printable;

mod asking;
mod body;
mod command;
pub mod fault;
mod session;
mod settings;
mod transaction;

pub use self::{
    asking::{Answer, Query},
    command::Recipient,
    settings::{Auth, Promise, Seal, Settings},
    transaction::Transaction,
};

/// A client that made this many mistakes is sent away.
const MOST_ERRORS: u32 = 20;
/// RFC 4954 section 4.5.6 wants 12288 octets for an AUTH line; nothing else comes near it.
const LONGEST_LINE: usize = 12_288;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write these octets.
    Say(Vec<u8>),
    /// Shake hands as a TLS server, then call [`Server::sealed`].
    Handshake,
    /// Find the answer, then call [`Server::answered`].
    Ask(Query),
    /// A message begins; its octets follow.
    Begin(Box<Transaction>),
    /// A piece of the message, as it is after dot-unstuffing.
    Body(Vec<u8>),
    /// The message is whole: keep it, then call [`Server::stored`].
    Deliver {
        /// A CR or LF stood alone between DATA and the dot, which RFC 5321 section 2.3.8 forbids.
        bare_line_ends: bool,
    },
    /// The message that began is not to be kept.
    Discard,
    /// Close the connection.
    Close,
    /// A fault: write these octets again and again until the peer is gone.
    Flood(Vec<u8>),
    /// A fault: read nothing any more, and leave the connection open.
    Stall,
}

/// What became of a message that was to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Safe; a word by which it can be found again.
    Kept(String),
    /// Not now, and why.
    NotNow(String),
    /// Never, and why.
    Never(String),
    /// Not, in a reply of its own: code, enhanced code and words.
    Refused(String),
}

/// The server's side of one connection.
pub struct Server {
    settings: Settings,
    phase: Phase,
    input: Vec<u8>,
    actions: Vec<Action>,
    /// The name the client gave, and whether with EHLO or LHLO.
    hello: Option<(String, bool)>,
    user: Option<String>,
    /// What a login can be bound to.
    binding: Option<Binding>,
    transaction: Option<Transaction>,
    /// [`Action::Begin`] was issued and neither Deliver nor Discard yet.
    begun: bool,
    /// Octets of the message so far.
    octets: u64,
    /// A recipient was named already, accepted or not.
    seen_recipient: bool,
    /// The rest of a line that is too long is on its way.
    skipping: bool,
    errors: u32,
}

enum Phase {
    Commands,
    Auth(Box<Verifier>),
    Data(Decoder),
    Chunk { left: u64, last: bool, refusal: Option<&'static str> },
    Handshaking,
    Asking(Asked),
    Storing,
    Over,
}

impl Server {
    /// A server that has not greeted yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Commands,
            input: Vec::new(),
            actions: Vec::new(),
            hello: None,
            user: None,
            binding: None,
            transaction: None,
            begun: false,
            octets: 0,
            seen_recipient: false,
            skipping: false,
            errors: 0,
        }
    }

    /// Says the greeting.
    #[must_use]
    pub fn greet(&mut self) -> Vec<Action> {
        if !self.plays(Step::Greeting) {
            let kind = if self.settings.lmtp { "LMTP" } else { "ESMTP" };
            self.say(&format!("220 {} {kind} sealpost", self.settings.name));
            self.trail(Step::Greeting);
        }
        self.run()
    }

    /// Takes what arrived. Give it in pieces of some KiB, and do the actions before the next piece.
    #[must_use]
    pub fn receive(&mut self, octets: &[u8]) -> Vec<Action> {
        if !matches!(self.phase, Phase::Over) {
            self.input.extend_from_slice(octets);
        }
        self.run()
    }

    /// TLS is up, or about to be told of by [`Server::sealed`], and this is the channel that a login can be bound to (RFC 9266).
    pub fn bind(&mut self, binding: Option<Binding>) {
        self.binding = binding;
    }

    /// TLS is up: everything learnt before is forgotten, what arrived before it included (RFC 3207 section 4.2).
    #[must_use]
    pub fn sealed(&mut self) -> Vec<Action> {
        self.settings.seal = Seal::Up;
        self.input.clear();
        self.hello = None;
        self.user = None;
        self.reset();
        self.run()
    }

    /// Says what became of the message of the last [`Action::Deliver`].
    #[must_use]
    pub fn stored(&mut self, stored: &Stored) -> Vec<Action> {
        if !self.plays(Step::Stored) {
            self.say_to_each(&match stored {
                Stored::Kept(word) => format!("250 2.0.0 kept as {}", printable(word)),
                Stored::NotNow(why) => format!("451 4.3.0 {}", printable(why)),
                Stored::Never(why) => format!("554 5.6.0 {}", printable(why)),
                Stored::Refused(reply) => printable(reply),
            });
        }
        if !matches!(self.phase, Phase::Over) {
            self.reset();
        }
        self.errors = 0;
        self.run()
    }

    /// Sends the client away, with the whole reply 421 or its like; what it had begun is forgotten.
    #[must_use]
    pub fn dismiss(&mut self, reply: &str) -> Vec<Action> {
        if !matches!(self.phase, Phase::Over) {
            self.say(&printable(reply));
            self.close();
        }
        self.run()
    }

    /// Whether a message is on its way, and its client does not know yet what becomes of it.
    pub fn is_busy(&self) -> bool {
        self.begun || matches!(self.phase, Phase::Storing | Phase::Asking(_))
    }

    fn run(&mut self) -> Vec<Action> {
        while match self.phase {
            Phase::Commands | Phase::Auth(_) => self.take_line(),
            Phase::Data(_) => self.take_data(),
            Phase::Chunk { .. } => self.take_chunk(),
            Phase::Handshaking | Phase::Asking(_) | Phase::Storing | Phase::Over => false,
        } {}
        std::mem::take(&mut self.actions)
    }

    /// Takes one line; false where none is complete.
    fn take_line(&mut self) -> bool {
        let Some(end) = memchr(b'\n', &self.input) else {
            if self.input.len() > LONGEST_LINE {
                self.skipping = true;
                self.input.clear();
            }
            return false;
        };
        let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.input.drain(..=end).collect());
        if std::mem::take(&mut self.skipping) || line.len() > LONGEST_LINE {
            self.phase = Phase::Commands;
            self.mistake("500 5.5.2 line too long");
            return true;
        }
        let lone_lf = !line.ends_with(b"\r\n");
        let line = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or_default();
        match (std::str::from_utf8(line), &self.phase) {
            (Ok(line), Phase::Auth(_)) => self.response(line),
            (Ok(line), _) => self.command(line, lone_lf),
            (Err(_), _) => self.mistake("500 5.5.2 that is not UTF-8"),
        }
        true
    }

    fn command(&mut self, line: &str, lone_lf: bool) {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(complaint) => return self.mistake(complaint),
        };
        let is_chunk = matches!(command, Command::Bdat { .. });
        if self.settings.faults.hides("PIPELINING") && !self.input.is_empty() && !is_chunk {
            return self.mistake("503 5.5.0 you did not wait for a reply, and PIPELINING is not offered");
        }
        match command {
            Command::Hello(kind, name) => self.hello(kind, name),
            Command::Starttls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_deref()),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(lone_lf),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Queue(words) => self.queue(&words),
            Command::Rset => {
                self.reset();
                self.say("250 2.0.0 forgotten");
            }
            Command::Noop => self.say("250 2.0.0 ok"),
            Command::Vrfy => self.say("252 2.5.2 send it and see"),
            Command::Help => self.say("214 2.0.0 see RFC 5321"),
            Command::Quit => {
                self.say("221 2.0.0 bye");
                self.close();
            }
            Command::Http => {
                self.say("554 5.5.1 this is SMTP, not HTTP");
                self.close();
            }
        }
    }

    /// Forgets the transaction.
    fn reset(&mut self) {
        self.discard();
        self.transaction = None;
        self.seen_recipient = false;
        self.phase = Phase::Commands;
    }

    fn discard(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.actions.push(Action::Discard);
        }
    }

    /// Plays the fault of this step, where there is one.
    fn plays(&mut self, step: Step) -> bool {
        let Some(twist) = self.settings.faults.at(step) else { return false };
        match twist {
            Twist::Answer(text) if matches!(step, Step::End | Step::Stored) => self.say_to_each(text.trim_end()),
            Twist::Answer(text) => self.say_octets(text.as_bytes()),
            Twist::Cut(text) => {
                self.say_octets(text.as_bytes());
                self.close();
            }
            Twist::Flood(text) => {
                self.discard();
                self.actions.push(Action::Flood(text.into()));
                self.phase = Phase::Over;
            }
            Twist::Stall => {
                self.discard();
                self.actions.push(Action::Stall);
                self.phase = Phase::Over;
            }
        }
        true
    }

    fn trail(&mut self, step: Step) {
        if let Some(text) = self.settings.faults.trailing(step) {
            self.say_octets(text.as_bytes());
        }
    }

    /// Refuses, and sends a client away that is refused all the time.
    fn mistake(&mut self, reply: &str) {
        self.errors += 1;
        if self.errors > MOST_ERRORS {
            self.say("421 4.7.0 too many errors");
            return self.close();
        }
        self.say(reply);
    }

    /// One reply to the whole message, or with LMTP one for each recipient.
    fn say_to_each(&mut self, reply: &str) {
        let times = self.transaction.as_ref().filter(|_| self.settings.lmtp).map_or(1, |transaction| transaction.recipients.len());
        for _ in 0..times {
            self.say(reply);
        }
    }

    fn say(&mut self, line: &str) {
        self.say_octets(line.as_bytes());
        self.say_octets(b"\r\n");
    }

    /// Replies to pipelined commands leave in one write.
    fn say_octets(&mut self, octets: &[u8]) {
        match self.actions.last_mut() {
            Some(Action::Say(so_far)) => so_far.extend_from_slice(octets),
            _ if octets.is_empty() => {}
            _ => self.actions.push(Action::Say(octets.to_vec())),
        }
    }

    fn close(&mut self) {
        self.discard();
        self.actions.push(Action::Close);
        self.phase = Phase::Over;
    }
}

#[cfg(test)]
mod tests;
