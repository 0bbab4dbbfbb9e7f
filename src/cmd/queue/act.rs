//! How does a person keep a message back, let it go on, or remove it? (each durable before it is logged)

use std::time::Duration;

use super::listed::Listed;
use crate::{
    error::Error,
    host::{
        config::Config,
        journal::{Event, Happening, Id, Journal, Record, Span, Status, Submission},
        spool::{Claim, Claimed, Entry, Head, Place, Spool, State},
        world::World,
    },
    mail::{
        address::Address,
        queued::{Last, Standing},
    },
};

/// What is done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is kept back.
    Hold,
    /// It goes on: from `held`, or from `failed`, whose recipients wait again.
    Release,
    /// It is removed, and nobody is told.
    Remove,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It is done.
    Done,
    /// It is being sent.
    Busy,
    /// It is not there (any more), or not for this one to see.
    Gone,
    /// It is no message of ours, and why.
    Odd(String),
}

/// With what it is done.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// The configuration: of its accounts the log tells.
    pub config: &'a Config,
    /// The queue.
    pub spool: &'a Spool,
    /// The send log.
    pub journal: &'a Journal,
}

impl Deed {
    /// The word of the command line, and of XQUEUE.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Remove => "remove",
        }
    }

    /// What the log and the person read.
    pub fn status(self) -> Status {
        match self {
            Self::Hold => Status::Held,
            Self::Release => Status::Released,
            Self::Remove => Status::Removed,
        }
    }

    /// Where messages are to which it can be done.
    pub fn places(self) -> &'static [Place] {
        match self {
            Self::Hold => &[Place::Queue],
            Self::Release => &[Place::Held, Place::Failed],
            Self::Remove => &[Place::Queue, Place::Held, Place::Failed],
        }
    }
}

impl Hands<'_> {
    /// Does it to a message that `is_allowed`; what could not be logged is left in `unlogged`.
    ///
    /// # Errors
    /// It can't be done for now; nothing is changed, or it can be done again.
    pub fn act(
        &self,
        deed: Deed,
        (place, id): (Place, Id),
        is_allowed: &dyn Fn(&Head) -> bool,
        unlogged: &mut Vec<Error>,
    ) -> Result<Came, Error> {
        let mut claim = match self.spool.claim(place, id)? {
            Claimed::Ours(claim) if is_allowed(&claim.entry.head) => claim,
            Claimed::Ours(_) | Claimed::Gone => return Ok(Came::Gone),
            Claimed::Busy => return Ok(Came::Busy),
            Claimed::Odd(why) => return Ok(Came::Odd(why)),
        };
        let entry = claim.entry.clone();
        match deed {
            Deed::Hold => claim.shift(Place::Held)?,
            Deed::Release => self.release(&mut claim)?,
            Deed::Remove => claim.finish()?,
        }
        unlogged.extend(self.log(deed.status(), id, &entry));
        Ok(Came::Done)
    }

    /// It is due at once, and whom it failed to reach is tried again.
    fn release(&self, claim: &mut Claim<'_>) -> Result<(), Error> {
        let State { recipients, .. } = claim.entry.state.clone();
        let again = |standing| match standing {
            // Somebody decided it: whether it may have arrived is counted from here.
            Standing::Failed(last) => Standing::Waiting(Some(Last { unknown: 0, ..last })),
            other => other,
        };
        let recipients = recipients.into_iter().map(again).collect();
        let next = self.world.timestamp();
        claim.note(State { recipients, next, told: false, ..claim.entry.state.clone() })?;
        claim.shift(Place::Queue)
    }

    fn log(&self, status: Status, id: Id, Entry { head, state }: &Entry) -> Vec<Error> {
        let concerned = head.envelope.recipients.iter().zip(&state.recipients);
        let concerned = concerned.filter(|(_, standing)| !matches!(standing, Standing::Delivered));
        let recipients: Vec<Address> = concerned.map(|(recipient, _)| recipient.address.clone()).collect();
        let account = self.config.account(&head.account);
        let happening = Happening { event: Event::Queue, status, account, recipients: &recipients, error: None };
        let submission = Submission { queue: status != Status::Removed, ..head.submission(id) };
        let span = Span { end: self.world.timestamp(), took: Duration::ZERO };
        self.journal.write(&Record::happened(span, &submission, &happening))
    }
}

/// The name and place of a message that is listed.
pub fn target(listed: &Listed) -> (Place, Id) {
    (listed.place, listed.id)
}
