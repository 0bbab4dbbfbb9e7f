//! What is known of a message that waits, besides its octets?

use jiff::Timestamp;

use crate::{
    host::journal::{Id, Submission},
    mail::{
        address::ReversePath,
        envelope::Envelope,
        queued::{Last, Standing},
    },
};

/// What never changes while a message waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// When it came.
    pub arrived: Timestamp,
    /// The real uid of who sent it: the kernel's word.
    pub uid: u32,
    /// The login that belongs to it.
    pub user: String,
    /// The account that it goes through.
    pub account: String,
    /// The sender that was asked for, by -f or by the header: a fallback is asked for its own.
    pub asked: Option<ReversePath>,
    /// Sender, recipients and the wish for reports.
    pub envelope: Envelope,
    /// The Message-ID with its angle brackets.
    pub message_id: String,
    /// Octets of the message: every line ends in CRLF, nothing is dot-stuffed.
    pub size: u64,
    /// It has an octet above 127.
    pub eight_bit: bool,
    /// Its header says `TLS-Required: No`.
    pub tls_waived: bool,
    /// It is a report of our own on another message: no report is made of it.
    pub report: bool,
}

impl Head {
    /// What the log says of the message, which is called `id`, in each of its records.
    pub fn submission(&self, id: Id) -> Submission<'_> {
        Submission {
            id,
            message_id: Some(self.message_id.as_str()).filter(|id| !id.is_empty()),
            uid: Some(self.uid),
            user: Some(&self.user),
            sender: Some(&self.envelope.sender),
            size: Some(self.size),
            queue: true,
        }
    }
}

/// What changes while a message waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Attempts so far.
    pub attempts: u32,
    /// How often its account had been tried in a row before the first of them, all in vain; `None`: there was none yet.
    pub in_vain_before: Option<u32>,
    /// When the last one ended.
    pub tried: Option<Timestamp>,
    /// When the next one is due; may be in the past.
    pub next: Timestamp,
    /// The sender was told that it is late.
    pub warned: bool,
    /// The sender was told of every recipient that failed so far.
    pub told: bool,
    /// What the last attempt as a whole met: no server, no login, no TLS.
    pub problem: Option<Last>,
    /// How each recipient stands, in the order of the envelope.
    pub recipients: Vec<Standing>,
}

/// A message that waits, without its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What never changes.
    pub head: Head,
    /// What does.
    pub state: State,
}

impl Entry {
    /// A message that was not tried yet; its next attempt is due at `next`.
    pub fn new(head: Head, next: Timestamp) -> Self {
        let recipients = vec![Standing::Waiting(None); head.envelope.recipients.len()];
        let state =
            State { attempts: 0, in_vain_before: None, tried: None, next, warned: false, told: false, problem: None, recipients };
        Self { head, state }
    }

    /// The envelope with whom is still to be tried only; empty recipients where nobody is.
    pub fn waiting(&self) -> Envelope {
        let pairs = self.head.envelope.recipients.iter().zip(&self.state.recipients);
        let waiting = pairs.filter(|(_, standing)| matches!(standing, Standing::Waiting(_)));
        Envelope { recipients: waiting.map(|(recipient, _)| recipient.clone()).collect(), ..self.head.envelope.clone() }
    }
}
