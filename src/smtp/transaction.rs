//! How is one message handed over, once the server may have it? (RFC 5321 3.3, 1870, 2033, 2920, 3030)
//!
//! Small messages leave in one flight with their envelope where the server takes chunks; larger ones wait for the answers to the
//! envelope, so that nothing is uploaded for nobody. Each recipient keeps its own outcome.

use std::{collections::VecDeque, sync::Arc};

mod answer;
mod ledger;
mod replies;

use answer::Awaited;
pub(super) use answer::Certainty;
use ledger::Ledger;

use super::{
    action::{Action, Outbox, Wait},
    command::{self, Declared},
    reply::Capabilities,
    wire::DotStuffer,
};
use crate::{
    error::Exit,
    mail::{
        content::{Facts, Form},
        envelope::Envelope,
        outcome::{Fate, Outcome, Reply},
    },
};

/// Largest message that leaves together with its envelope.
const SMALL: u64 = 64 * 1024;
/// Octets of content in one flight.
const CHUNK: usize = 256 * 1024;

/// The message and what the server can do: what a transaction needs to know.
pub(super) struct Terms {
    pub(super) envelope: Arc<Envelope>,
    pub(super) facts: Facts,
    pub(super) server: Capabilities,
    pub(super) lmtp: bool,
    /// MAIL says REQUIRETLS.
    pub(super) requiretls: bool,
    /// What MAIL tells the service of this machine.
    pub(super) handover: Option<command::Handover>,
    /// Most recipients of one MAIL.
    pub(super) batch: usize,
    /// The connection may be gone unnoticed: nothing that can't be taken back leaves before the server has answered.
    pub(super) wary: bool,
}

/// A reply came that nothing asked for, or that can't answer what was asked.
#[derive(Debug)]
pub(super) struct Unasked;

/// One message on its way to its recipients, in as many MAILs as their number wants.
pub(super) struct Transaction {
    terms: Terms,
    ledger: Ledger,
    /// The recipients of the current MAIL, and those of them that the server took.
    batch: Vec<usize>,
    taken: Vec<usize>,
    unsaid: VecDeque<(Vec<u8>, Awaited)>,
    awaited: VecDeque<Awaited>,
    stage: Stage,
    dots: DotStuffer,
    /// A MAIL that no final reply ended is open at the server, or may be.
    open: bool,
    /// A reply to MAIL came.
    answered_mail: bool,
    /// How often MAIL was said.
    mails: u32,
    last_word: LastWord,
    /// Where the server takes chunks: the replies that came before the one to the last word.
    answered: Vec<Reply>,
    /// A reply to the last word came (LMTP gives several).
    answered_end: bool,
    /// The server took a recipient of a message whose MAIL it had refused.
    took_in_vain: bool,
    /// The data was left unfinished.
    broke_off: bool,
    problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Envelope,
    /// The 354 came.
    Invited,
    Body,
    Ended,
    Closed,
}

/// Whether the octets that end the message are on their way: from then on a lost link leaves the outcome unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastWord {
    Unsaid,
    /// In the flight that is being written.
    Leaving,
    Said,
}

impl Transaction {
    /// Starts with the first recipients; asks for the content, or is closed at once where nothing can be sent.
    pub(super) fn begin(terms: Terms, out: &mut Outbox) -> Self {
        let mut transaction = Self {
            ledger: Ledger::new(terms.envelope.recipients.len()),
            terms,
            batch: Vec::new(),
            taken: Vec::new(),
            unsaid: VecDeque::new(),
            awaited: VecDeque::new(),
            stage: Stage::Envelope,
            dots: DotStuffer::default(),
            open: false,
            answered_mail: false,
            mails: 0,
            last_word: LastWord::Unsaid,
            answered: Vec::new(),
            answered_end: false,
            took_in_vain: false,
            broke_off: false,
            problem: None,
        };
        transaction.refuse_the_inexpressible();
        transaction.next_batch(out);
        transaction
    }

    /// Every recipient has its outcome, or nothing more can be said.
    pub(super) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// What is waited for.
    pub(super) fn wait(&self) -> Wait {
        match self.awaited.front() {
            Some(Awaited::Mail) => Wait::Mail,
            Some(Awaited::Rcpt(_)) => Wait::Rcpt,
            Some(Awaited::Go) => Wait::Data,
            Some(Awaited::Chunk) => Wait::Block,
            Some(Awaited::End) => Wait::End,
            Some(Awaited::Reset) | None => Wait::Command,
        }
    }

    /// The server waits for a command: not in the middle of data that broke off, and no reply is outstanding.
    pub(super) fn is_in_step(&self) -> bool {
        self.awaited.is_empty() && !self.broke_off
    }

    /// How certain it is, of each recipient, that the reply which decided was the one to the message.
    pub(super) fn certainty(&self) -> Vec<Certainty> {
        self.ledger.certainty()
    }

    /// Whether some recipients have had their reply, and nothing was said yet for the next.
    pub(super) fn is_between_batches(&self) -> bool {
        let nothing_said = self.awaited.is_empty() && self.unsaid.is_empty() && self.taken.is_empty();
        self.mails > 0 && self.stage == Stage::Envelope && nothing_said
    }

    /// Whether the server holds a transaction that the next MAIL would run into.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether no word of the server was about this message yet.
    pub(super) fn is_untouched(&self) -> bool {
        !self.answered_mail
    }

    /// Whether nothing was said of this message but its envelope.
    pub(super) fn is_withheld(&self) -> bool {
        self.mails == 1 && matches!(self.stage, Stage::Envelope | Stage::Invited)
    }

    /// Whether the server may have all of the message, or of that of the current MAIL.
    pub(super) fn is_said(&self) -> bool {
        self.last_word == LastWord::Said
    }

    /// How often MAIL was said.
    pub(super) fn mails(&self) -> u32 {
        self.mails
    }

    /// What went wrong without a reply that says so.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The content starts over and will be `size` octets long.
    pub(super) fn rewound(&mut self, size: u64, form: Form, out: &mut Outbox) {
        if self.terms.server.size.is_some_and(|limit| size > limit) {
            let limit = self.terms.server.size.unwrap_or_default();
            self.problem = Some(format!("the message has {size} octets and the server takes {limit} at most"));
            return self.conclude(Fate::Refused, Exit::DataErr, out);
        }
        self.write_envelope(size, form);
        if !self.terms.server.pipelining {
            return self.say_next(out);
        }
        if self.terms.server.chunking && size <= SMALL && !self.terms.wary {
            return out.fetch(CHUNK);
        }
        let lines = self.drain_unsaid();
        out.say(lines);
    }

    /// The store can't give the message, or not in the form that the server needs.
    pub(super) fn unreadable(&mut self, why: &str, fate: Fate, exit: Exit, out: &mut Outbox) {
        self.problem = Some(why.to_owned());
        self.conclude(fate, exit, out);
    }

    /// Content was fetched into the outbox; `last` when that was all of it.
    pub(super) fn fetched(&mut self, last: bool, out: &mut Outbox) {
        let mut head = self.drain_unsaid();
        let mut tail: &[u8] = b"";
        if self.terms.server.chunking {
            head.extend(command::bdat(out.content.len(), last));
            self.awaited.push_back(if last { Awaited::End } else { Awaited::Chunk });
        } else {
            let plain = std::mem::take(&mut out.content);
            self.dots.feed(&plain, &mut out.content);
            if last {
                tail = self.dots.finish();
                self.awaited.push_back(Awaited::End);
            }
        }
        self.stage = if last { Stage::Ended } else { Stage::Body };
        self.last_word = if last { LastWord::Leaving } else { LastWord::Unsaid };
        if last && self.awaited.len() == 1 {
            // All was answered: a success that lies there already is none to what was not said yet.
            out.ask(Action::Glance);
        }
        out.say_content(head, tail);
        if !last && (self.terms.server.pipelining || !self.terms.server.chunking) {
            out.ask(Action::Glance);
        }
    }

    /// The flight has been written.
    pub(super) fn said(&mut self) {
        if self.last_word == LastWord::Leaving {
            self.last_word = LastWord::Said;
        }
    }

    /// What the machine does when nothing is queued: feed the body, or (false) wait for a reply.
    pub(super) fn advance(&mut self, out: &mut Outbox) -> bool {
        let streaming = self.stage == Stage::Body && (self.terms.server.pipelining || !self.terms.server.chunking);
        if streaming {
            out.fetch(CHUNK);
        }
        streaming
    }

    /// The link is gone, or of no more use: what was under way is unknown after the last word, and may be tried again before it.
    pub(super) fn lost(&mut self, exit: Exit, out: &mut Outbox) {
        let doubtful = self.last_word == LastWord::Said;
        let under_way = |index: &usize| self.taken.contains(index) || self.awaited.contains(&Awaited::Rcpt(*index));
        let unknown: Vec<usize> = self.ledger.open().filter(|index| doubtful && under_way(index)).collect();
        for index in unknown {
            self.ledger.decide(index, Fate::Unknown, Exit::TempFail, None);
        }
        self.ledger.decide_rest(Fate::Deferred, exit, None);
        self.stage = Stage::Closed;
        out.silence();
    }

    /// One outcome for each recipient, in their order.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.ledger.outcomes(&self.terms.envelope.recipients)
    }

    /// Without SMTPUTF8 an address that needs it can't be said at all (RFC 6531 3.2).
    fn refuse_the_inexpressible(&mut self) {
        if self.terms.server.smtputf8 {
            return;
        }
        let sender_needs = sender_needs_smtputf8(&self.terms.envelope);
        for (index, recipient) in self.terms.envelope.recipients.iter().enumerate() {
            if sender_needs || recipient.address.needs_smtputf8() {
                self.problem = Some("an address is not ASCII and the server does not offer SMTPUTF8".to_owned());
                self.ledger.decide(index, Fate::Refused, Exit::DataErr, None);
            }
        }
    }

    fn next_batch(&mut self, out: &mut Outbox) {
        self.batch = self.ledger.open().take(self.terms.batch.max(1)).collect();
        self.taken.clear();
        self.answered.clear();
        self.answered_end = false;
        self.took_in_vain = false;
        self.last_word = LastWord::Unsaid;
        if self.batch.is_empty() {
            self.stage = Stage::Closed;
            return;
        }
        self.stage = Stage::Envelope;
        self.dots = DotStuffer::default();
        let must_change = self.terms.facts.eight_bit && !self.terms.server.eight_bit;
        out.ask(Action::Rewind(if must_change { Form::SevenBit } else { Form::EightBit }));
    }

    fn write_envelope(&mut self, size: u64, form: Form) {
        let envelope = &self.terms.envelope;
        let server = &self.terms.server;
        let handover = self.terms.handover.as_ref().filter(|_| server.sealpost);
        let non_ascii =
            sender_needs_smtputf8(envelope) || self.batch.iter().any(|i| envelope.recipients[*i].address.needs_smtputf8());
        let declared = Declared {
            size: (server.size.is_some()).then_some(size),
            eight_bit: self.terms.facts.eight_bit && server.eight_bit && form == Form::EightBit,
            smtputf8: non_ascii,
            requiretls: self.terms.requiretls,
            dsn: server.dsn.then_some(&envelope.dsn),
            handover,
        };
        // Behind a success that is not certain a refusal may be left over: it is not to pass for one of this MAIL.
        if self.open || self.ledger.is_uncertain() {
            self.unsaid.push_back((command::line("RSET"), Awaited::Reset));
        }
        self.unsaid.push_back((command::mail(&envelope.sender, declared), Awaited::Mail));
        for index in &self.batch {
            let recipient = &envelope.recipients[*index];
            let notify = envelope.notify(recipient).filter(|_| server.dsn);
            let is_verbatim = handover.is_some_and(|handover| handover.verbatim.contains(index));
            let say = if is_verbatim { command::verbatim_rcpt } else { command::rcpt };
            self.unsaid.push_back((say(recipient, notify), Awaited::Rcpt(*index)));
        }
        if !server.chunking {
            self.unsaid.push_back((command::line("DATA"), Awaited::Go));
        }
        self.open = true;
        self.mails += 1;
    }

    fn drain_unsaid(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        for (line, awaited) in self.unsaid.drain(..) {
            lines.extend(line);
            self.awaited.push_back(awaited);
        }
        lines
    }

    fn say_next(&mut self, out: &mut Outbox) {
        if let Some((line, awaited)) = self.unsaid.pop_front() {
            self.awaited.push_back(awaited);
            out.say(line);
        }
    }

    fn conclude(&mut self, fate: Fate, exit: Exit, out: &mut Outbox) {
        self.ledger.decide_rest(fate, exit, None);
        self.stage = Stage::Closed;
        out.silence();
    }
}

fn sender_needs_smtputf8(envelope: &Envelope) -> bool {
    matches!(&envelope.sender, crate::mail::address::ReversePath::Address(address) if address.needs_smtputf8())
}
