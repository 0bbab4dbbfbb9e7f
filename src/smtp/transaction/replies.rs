//! What does each reply mean for a message on its way, and what comes next? (RFC 5321 4.3.2, 3030 2, 2033 4.2)

use super::{
    CHUNK, LastWord, Stage, Transaction, Unasked,
    answer::{self, Awaited, Certainty, is_too_many},
};
use crate::{
    error::Exit,
    mail::outcome::{Fate, Reply},
    smtp::action::Outbox,
};

impl Transaction {
    /// Takes one reply.
    pub(in crate::smtp) fn on_reply(&mut self, reply: &Reply, out: &mut Outbox) -> Result<(), Unasked> {
        let Some(awaited) = self.awaited.pop_front() else {
            // In the middle of the data nothing is asked, yet a server may have had enough (RFC 5321 3.8: 421 at any time).
            let had_enough = self.stage == Stage::Body && !reply.is_positive() && reply.code != 354;
            if had_enough {
                self.give_up(reply, out);
            }
            return if had_enough { Ok(()) } else { Err(Unasked) };
        };
        let premature = awaited == Awaited::End && self.last_word != LastWord::Said;
        if (premature && reply.is_positive()) || !awaited.takes(reply) {
            self.awaited.push_front(awaited);
            return Err(Unasked);
        }
        // The empty data for nobody is ended by its reply, whichever.
        if premature && !self.taken.is_empty() {
            self.give_up(reply, out);
            return Ok(());
        }
        if self.terms.server.chunking && matches!(awaited, Awaited::Mail | Awaited::Rcpt(_) | Awaited::Chunk) {
            self.answered.push(reply.shortened());
        }
        match awaited {
            Awaited::Mail => self.on_mail(reply),
            Awaited::Rcpt(index) => self.on_rcpt(index, reply),
            Awaited::Go => self.on_go(reply),
            // Of RSET that is a 421: it hangs up, and has not heard of what is behind.
            Awaited::Chunk | Awaited::Reset if !reply.is_positive() => {
                self.give_up(reply, out);
                return Ok(());
            }
            Awaited::Reset | Awaited::Chunk => {}
            Awaited::End => self.on_end(reply),
        }
        if self.awaited.is_empty() {
            self.group_answered(out);
        }
        Ok(())
    }

    fn on_mail(&mut self, reply: &Reply) {
        self.answered_mail = true;
        if !reply.is_positive() {
            self.open = false;
            let exit = answer::exit_of_mail(reply);
            self.refuse_all(reply, exit);
            self.unsaid.clear();
        }
    }

    fn on_rcpt(&mut self, index: usize, reply: &Reply) {
        if reply.is_positive() {
            if self.ledger.is_open(index) {
                self.taken.push(index);
            } else {
                self.took_in_vain = true;
            }
        } else if is_too_many(reply) && !self.taken.is_empty() {
            // Room is made by the next MAIL (RFC 5321 4.5.3.1.10): left undecided, so it is in the next batch.
        } else if reply.is_transient() || is_too_many(reply) {
            self.ledger.decide(index, Fate::Deferred, Exit::TempFail, Some(reply));
        } else {
            self.ledger.decide(index, Fate::Refused, Exit::NoUser, Some(reply));
        }
    }

    fn on_go(&mut self, reply: &Reply) {
        match reply.code {
            354 => self.stage = Stage::Invited,
            _ if self.taken.is_empty() => {}
            _ => self.refuse_all(reply, Exit::DataErr),
        }
    }

    fn on_end(&mut self, reply: &Reply) {
        // After a chunk that was refused the server may be in a state that only RSET ends (RFC 3030 2).
        self.open = self.terms.server.chunking && !reply.is_positive();
        let certainty = self.certainty_of(reply);
        self.answered_end = true;
        if self.terms.lmtp && !self.taken.is_empty() {
            let index = self.taken.remove(0);
            // With LMTP it is the recipient that is refused, not the message (RFC 2033 4.2).
            self.ledger.settle(index, reply, Exit::NoUser, certainty);
            if !self.taken.is_empty() {
                self.awaited.push_front(Awaited::End);
            }
            return;
        }
        if reply.is_positive() {
            for index in std::mem::take(&mut self.taken) {
                self.ledger.settle(index, reply, Exit::DataErr, certainty);
            }
        } else if !self.taken.is_empty() {
            self.refuse_all(reply, Exit::DataErr);
        }
    }

    fn certainty_of(&self, reply: &Reply) -> Certainty {
        // RFC 3463 3.2: x.1.y is about an address, so not about a message.
        let of_an_address = reply.enhanced.is_some_and(|enhanced| enhanced.subject == 1);
        let chunks = self.terms.server.chunking;
        if chunks && (of_an_address || self.answered.contains(&reply.shortened())) {
            Certainty::Unsure
        } else if chunks || self.answered_end {
            Certainty::Likely
        } else {
            Certainty::Certain
        }
    }

    /// All that was asked has been answered: what comes next.
    fn group_answered(&mut self, out: &mut Outbox) {
        if self.taken.is_empty() && self.unsaid.iter().all(|(_, awaited)| *awaited == Awaited::Go) {
            self.unsaid.clear();
        }
        if !self.unsaid.is_empty() {
            return self.say_next(out);
        }
        match self.stage {
            Stage::Envelope if self.taken.is_empty() || !self.terms.server.chunking => self.next_batch(out),
            // A 354 for somebody whom the server has and we gave up: the dot would send them an empty message.
            Stage::Invited if self.taken.is_empty() && self.took_in_vain => self.break_off(out),
            // A 354 for nobody: the empty data is the only way out that keeps the connection.
            Stage::Invited if self.taken.is_empty() => {
                self.stage = Stage::Ended;
                self.awaited.push_back(Awaited::End);
                out.say(b".\r\n".to_vec());
            }
            Stage::Envelope | Stage::Invited | Stage::Body => out.fetch(CHUNK),
            Stage::Ended => self.next_batch(out),
            Stage::Closed => {}
        }
    }

    /// The message was refused while it was being sent: there is no way to stop in the middle but to leave.
    fn give_up(&mut self, reply: &Reply, out: &mut Outbox) {
        self.refuse_all(reply, Exit::DataErr);
        self.break_off(out);
    }

    fn break_off(&mut self, out: &mut Outbox) {
        self.awaited.clear();
        self.broke_off = true;
        self.stage = Stage::Closed;
        out.silence();
    }

    fn refuse_all(&mut self, reply: &Reply, permanent: Exit) {
        self.ledger.refuse_rest(reply, permanent);
        self.taken.clear();
    }
}
