//! What does a server ask of whoever holds the connection, and how is the answer said? (RFC 5321 3.3, 4.2.1)

use super::{
    Action, Phase, Server, Step,
    command::{Mail, Rcpt, Recipient},
    transaction::Transaction,
};
use crate::error::printable;

/// What only the machine can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// May this message begin? Its transaction has no recipients yet.
    Sender(Box<Transaction>),
    /// May it go to this recipient too?
    Recipient(Box<Recipient>),
    /// What stands behind XQUEUE: sealpost's command line asks for the queue. Foreign text.
    Queue(String),
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes; to [`Query::Queue`]: all lines were said.
    Fine,
    /// No, in a whole reply: code, enhanced code and words.
    Refused(String),
    /// Lines of the answer to [`Query::Queue`], code included; more comes, or [`Answer::Fine`].
    Lines(Vec<String>),
}

/// What waits for its answer.
pub(super) enum Asked {
    Mail(Box<Transaction>),
    Rcpt(Box<Recipient>),
    Queue,
}

impl Server {
    /// Says the answer to the last [`Action::Ask`].
    #[must_use]
    pub fn answered(&mut self, answer: Answer) -> Vec<Action> {
        match (std::mem::replace(&mut self.phase, Phase::Commands), answer) {
            (Phase::Asking(asked), Answer::Refused(reply)) => {
                drop(asked);
                self.say(&printable(&reply));
            }
            (Phase::Asking(Asked::Mail(transaction)), _) => self.begin_transaction(*transaction),
            (Phase::Asking(Asked::Rcpt(recipient)), _) => self.add_recipient(*recipient),
            (Phase::Asking(Asked::Queue), Answer::Fine) => {}
            (Phase::Asking(Asked::Queue), Answer::Lines(lines)) => {
                for line in lines {
                    self.say(&one_line(&line));
                }
                self.phase = Phase::Asking(Asked::Queue);
            }
            // Nothing was asked.
            (phase, _) => self.phase = phase,
        }
        self.run()
    }

    pub(super) fn ask_sender(&mut self, mail: Mail, hello: String) {
        let user = self.user.clone();
        let transaction = Box::new(Transaction::new(mail, hello, user));
        if self.settings.consult {
            self.actions.push(Action::Ask(Query::Sender(transaction.clone())));
            self.phase = Phase::Asking(Asked::Mail(transaction));
        } else {
            self.begin_transaction(*transaction);
        }
    }

    pub(super) fn ask_recipient(&mut self, rcpt: Rcpt) {
        if self.settings.consult {
            let recipient = Box::new(rcpt.recipient);
            self.actions.push(Action::Ask(Query::Recipient(recipient.clone())));
            self.phase = Phase::Asking(Asked::Rcpt(recipient));
        } else {
            self.add_recipient(rcpt.recipient);
        }
    }

    pub(super) fn queue(&mut self, words: &str) {
        if !self.offers("XSEALPOST") {
            return self.mistake("500 5.5.2 unknown command");
        }
        if self.transaction.is_some() {
            return self.mistake("503 5.5.1 not within a message");
        }
        self.actions.push(Action::Ask(Query::Queue(words.to_owned())));
        self.phase = Phase::Asking(Asked::Queue);
    }

    fn begin_transaction(&mut self, transaction: Transaction) {
        self.transaction = Some(transaction);
        self.say("250 2.1.0 ok");
        self.trail(Step::Mail);
    }

    fn add_recipient(&mut self, recipient: Recipient) {
        if let Some(transaction) = &mut self.transaction {
            transaction.recipients.push(recipient);
        }
        self.say("250 2.1.5 ok");
    }
}

/// JSON has an escape for what must not stand in a line, and says the same with it.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() {
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}
