//! How does a session take another message, and when not? (RFC 5321 3.3, 3.8, 4.1.1.5; RFC 9422)
//!
//! Between two messages the dialogue is in step: nothing is asked, nothing was said. What comes then all the same is no answer to the next
//! message, so that is not begun: it goes on another connection, as if this one had not been tried ([`Report::spent`]).
//!
//! [`Report::spent`]: super::Report::spent

use std::sync::Arc;

use super::{Problem, Session, State};
use crate::{
    error::Exit,
    mail::{
        content::Facts,
        envelope::Envelope,
        outcome::{Fate, Reply},
    },
    smtp::action::Action,
};

impl Session {
    /// Whether a message is over and the connection good for another.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The next message, of which MAIL is said at once. A `wary` caller has reason to think that the connection may be gone, as one that
    /// was idle for long: then the end of a message never leaves before the server has answered its beginning. That costs a round trip, and
    /// a connection that is gone leaves no doubt about the message.
    ///
    /// Where the session is not idle the message comes to nothing.
    pub fn next(&mut self, envelope: Arc<Envelope>, facts: Facts, wary: bool) {
        self.envelope = envelope;
        self.facts = facts;
        self.wary = wary;
        self.again = true;
        self.begun = false;
        self.outcomes = None;
        self.problem = None;
        self.arrears = self.certainty.len();
        self.certainty.clear();
        self.spent = !self.is_idle();
        if self.is_idle() {
            self.state = State::Waking;
            self.out.ask(Action::Glance);
        }
    }

    /// No more messages: an idle session says QUIT.
    pub fn quit(&mut self) {
        if self.is_idle() {
            self.state = State::Ended;
            self.farewell();
        }
    }

    /// A message is over, and the dialogue in step: may another follow?
    pub(super) fn may_rest(&self) -> bool {
        let has_room = self.server.mail_max.is_none_or(|most| self.mails < most);
        self.plan.keep && has_room && !self.is_unsure() && !self.dismissed
    }

    /// Nothing came in the meantime: the message may begin, once the server has forgotten the one before.
    pub(super) fn wake(&mut self) {
        if !self.parser.is_empty() {
            return self.stale("half a reply that nothing asked for");
        }
        if self.open {
            self.state = State::Resetting;
            return self.command("RSET");
        }
        self.permitted();
    }

    pub(super) fn on_reset(&mut self, reply: &Reply) {
        if reply.code != 250 {
            return self.stale(&reply.to_string());
        }
        self.open = false;
        self.permitted();
    }

    /// Whether the server has nothing of a message that was to be another, so that a link that is lost is no failure of it.
    pub(super) fn is_unharmed(&self) -> bool {
        let nothing_said = match &self.state {
            State::Waking | State::Resetting => true,
            State::Mail(transaction) => transaction.is_untouched() && !transaction.is_said(),
            _ => false,
        };
        self.again && nothing_said
    }

    /// The same where the replies don't fit: one of them belongs to the message before. What was answered then was not this message, as long
    /// as no octet of that has left; once it has, only the server knows.
    pub(super) fn is_mistaken_for_another(&self) -> bool {
        self.is_unharmed() || (self.again && matches!(&self.state, State::Mail(transaction) if transaction.is_withheld()))
    }

    /// The connection is of no more use, and the message goes on another. No QUIT: who hung up hears none, and with the other it is not
    /// known what the reply would answer.
    pub(super) fn stale(&mut self, word: &str) {
        let because = format!("the server ended the kept connection: {word}");
        self.stop(Problem { fate: Fate::Deferred, exit: Exit::TempFail, because, hint: None, reply: None, trouble: None });
        // Whatever has left: a server that hung up before it answered MAIL has taken nothing.
        self.outcomes = None;
        self.spent = true;
        self.state = State::Ended;
        self.out.silence();
    }
}
