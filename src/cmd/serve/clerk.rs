//! How does one client of the service get its answers, and its message into the queue? (RFC 5321 3.3)

use std::{
    io,
    sync::{Arc, PoisonError},
    time::Instant,
};

use super::{desk::Desk, generation::Generation};
use crate::{
    cmd::{
        queue::{
            act::Hands,
            answer::{Asker, Office, answer},
        },
        reception::{Parcel, Received, Reception, Refusal},
        runner::{Runner, Setting, Wish},
    },
    error::{Error, Exit},
    host::{
        converse,
        journal::{Event, Happening, Record, Span, Status},
        narrate::Narrator,
        service::quota::{Excess, Share},
        spool::{Claim, Entry, Spool},
        world::World,
    },
    mail::{address::Address, content::Content as _, stray::Stray},
    smtp::server::{Answer, Query, Recipient, Stored, Transaction},
};

/// Octets of all recipients of one message; they are kept in memory until it is whole.
const RECIPIENTS: usize = 1 << 20;

/// Looks after one client.
pub(super) struct Clerk<'a> {
    desk: &'a Desk,
    generation: &'a Generation,
    /// The queue when the message began.
    spool: Arc<Spool>,
    /// The machine as the client sees it.
    world: &'a dyn World,
    uid: u32,
    login: &'a str,
    /// It is root, or the service's own user.
    is_privileged: bool,
    reception: &'a Reception<'a>,
    parcel: Option<Result<Parcel<'a>, Refusal>>,
    /// What it takes of its user's room until it is whole.
    share: Option<Share<'a>>,
    /// Octets of the recipients so far.
    named: usize,
    begun: Instant,
}

impl<'a> Clerk<'a> {
    pub(super) fn new(
        desk: &'a Desk,
        (generation, spool): (&'a Generation, Arc<Spool>),
        world: &'a dyn World,
        (uid, login, is_privileged): (u32, &'a str, bool),
        reception: &'a Reception<'a>,
    ) -> Self {
        let begun = Instant::now();
        Self { desk, generation, spool, world, uid, login, is_privileged, reception, parcel: None, share: None, named: 0, begun }
    }

    fn sender(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        self.named = 0;
        self.begun = Instant::now();
        let serve = &self.generation.config.serve;
        self.spool = self.desk.spool().map_err(|error| Refusal { code: "451 4.3.0", error })?;
        self.desk.quota.look(self.uid, transaction.size.unwrap_or(0), serve, &self.spool).map_err(excessive)?;
        self.reception.sender(transaction).map(drop)
    }

    fn recipient(&mut self, recipient: &Recipient) -> Result<(), Refusal> {
        self.named += recipient.address.len() + recipient.original.as_ref().map_or(0, String::len);
        if self.named > RECIPIENTS {
            let error = Error::new(Exit::TempFail, "taking a recipient", "the message has too many");
            return Err(Refusal { code: "452 4.5.3", error });
        }
        self.reception.recipient(recipient)
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        self.desk.log_refusal(Some((self.uid, self.login)), self.begun, &refusal.error);
        refusal.reply()
    }

    fn keep(&mut self) -> Result<String, Refusal> {
        let missing = || Refusal { code: "451 4.3.0", error: Error::new(Exit::Software, "taking the message", "there is none") };
        let parcel = self.parcel.take().unwrap_or_else(|| Err(missing()))?;
        let mut received = parcel.finish(self.reception)?;
        let (size, serve) = (received.message.facts().size, &self.generation.config.serve);
        let (quota, spool) = (&self.desk.quota, &self.spool);
        // From here on it counts as one that waits.
        self.share = None;
        quota.take(self.uid, size, serve, spool).map_err(excessive)?;
        let entry = received.entry(self.world, self.world.timestamp());
        let kept = spool.add(received.id, entry, &mut received.message);
        let entry = match kept.and_then(|claim| self.report(claim, &received.strays)) {
            // Safe from here on; it is free for the run when the claim is gone.
            Ok(claim) => claim.entry.clone(),
            Err(error) => {
                quota.give_back(self.uid, size);
                return Err(Refusal { code: "451 4.3.0", error });
            }
        };
        self.tell_queued(&received, &entry);
        self.desk.offer(received.id, &received.account.name);
        Ok(received.id.to_string())
    }

    /// Has the sender told of what is no address; where that can't be, the message is not taken either.
    fn report<'s>(&self, claim: Claim<'s>, strays: &[Stray]) -> Result<Claim<'s>, Error> {
        if strays.is_empty() {
            return Ok(claim);
        }
        let (Generation { config, journal }, narrator) = (self.generation, Narrator::default());
        let setting = Setting { world: self.world, config, spool: &self.spool, journal, narrator: &narrator };
        let reported = Runner::new(setting, Wish::default()).and_then(|runner| runner.report_strays(&claim, strays));
        match reported {
            Ok(()) => Ok(claim),
            Err(error) => claim.finish().and(Err(error)),
        }
    }

    fn tell_queued(&self, received: &Received<'_>, entry: &Entry) {
        let head = &entry.head;
        let submission = head.submission(received.id);
        let recipients: Vec<Address> = head.envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        let happening = Happening {
            event: Event::Queue,
            status: Status::Queued,
            account: Some(received.account),
            recipients: &recipients,
            error: None,
        };
        let span = Span { end: self.world.timestamp(), took: self.begun.elapsed() };
        self.generation.log(&Record::happened(span, &submission, &happening));
    }

    /// What sealpost's own command line asks.
    fn show(&self, words: &str, say: &mut dyn FnMut(Vec<String>) -> io::Result<()>) -> io::Result<()> {
        let turn = (!self.is_privileged).then(|| self.desk.listing.lock().unwrap_or_else(PoisonError::into_inner));
        let Generation { config, journal } = self.generation;
        let spool = self.desk.spool().unwrap_or_else(|_| Arc::clone(&self.spool));
        let office = Office {
            hands: Hands { world: self.desk.world, config, spool: &spool, journal },
            hurry: &|| self.desk.hurry(self.is_privileged),
        };
        let asker = Asker { uid: self.uid, is_privileged: self.is_privileged };
        let mut lines = answer(words, asker, office);
        let mut first: Vec<String> = Vec::new();
        if turn.is_some() {
            // Whoever takes them slowly must not keep the others from their turn.
            first.extend(lines.by_ref().take(LINES));
        }
        drop(turn);
        say(first)?;
        lines.try_for_each(|line| say(vec![line]))
    }
}

/// Lines of an answer that are made in one's turn: a user has no more messages waiting, by default.
const LINES: usize = 5000;

impl converse::Clerk for Clerk<'_> {
    fn ask(&mut self, query: Query, say: &mut dyn FnMut(Vec<String>) -> io::Result<()>) -> io::Result<Answer> {
        let answer = match query {
            Query::Sender(transaction) => self.sender(&transaction),
            Query::Recipient(recipient) => self.recipient(&recipient),
            Query::Queue(words) => {
                self.show(&words, say)?;
                Ok(())
            }
        };
        Ok(answer.map_or_else(|refusal| Answer::Refused(self.refuse(&refusal)), |()| Answer::Fine))
    }

    fn begin(&mut self, transaction: Transaction) {
        self.parcel = Some(self.reception.begin(&transaction));
        self.share = Some(self.desk.quota.share(self.uid));
    }

    fn body(&mut self, piece: &[u8]) {
        let (Some(Ok(parcel)), Some(share)) = (&mut self.parcel, &mut self.share) else { return };
        match share.grow(piece.len() as u64, &self.generation.config.serve, &self.spool) {
            Ok(()) => parcel.push(piece),
            // What came of it makes room at once; the client hears it at the end.
            Err(excess) => (self.parcel, self.share) = (Some(Err(excessive(excess))), None),
        }
    }

    fn discard(&mut self) {
        (self.parcel, self.share) = (None, None);
    }

    fn deliver(&mut self) -> Stored {
        self.keep().map_or_else(|refusal| Stored::Refused(self.refuse(&refusal)), Stored::Kept)
    }
}

fn excessive(excess: Excess) -> Refusal {
    let exit = if let Excess::TooLarge(_) = excess { Exit::DataErr } else { Exit::TempFail };
    Refusal { code: excess.code(), error: Error::new(exit, "taking a message", excess.to_string()) }
}
