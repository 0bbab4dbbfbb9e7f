//! How does a message stand after an attempt, and who is to be told? (RFC 5321 4.5.4.1)

use std::{collections::HashMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    cmd::deliver::Delivered,
    error::Error,
    host::{
        config::Queue,
        spool::{Entry, State},
        world::World,
    },
    mail::{
        address::Address,
        bounce::{Kind, is_owed},
        envelope::{Envelope, Recipient},
        outcome::{Fate, Outcome},
        queued::{self, Last, Standing},
        retry::{Life, Schedule},
        trouble::Trouble,
    },
};

/// A message after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cmd) struct Step {
    /// How it stands.
    pub(in crate::cmd) state: State,
    /// Who failed, and was not told of yet; places among the recipients.
    pub(super) failed: Vec<usize>,
    /// Who was passed on to a server that sends no reports, while the sender is owed one, and what that server said.
    pub(super) relayed: Vec<(usize, Option<Last>)>,
    /// It is late, and the sender should know.
    pub(super) is_late: bool,
}

/// The times of a queue.
pub(in crate::cmd) fn schedule(queue: &Queue) -> Schedule {
    Schedule::new(queue.retry_first, queue.retry_most, queue.max_age, queue.warn_after)
}

/// How it stands while it is still being tried: those whom it has reached are not tried again, whatever happens now.
pub(super) fn meanwhile(entry: &Entry, outcomes: &[Outcome]) -> State {
    let mut state = entry.state.clone();
    // Who was refused is told of when all is over.
    let settled: Vec<Outcome> = outcomes.iter().filter(|outcome| outcome.fate != Fate::Refused).cloned().collect();
    queued::settle(&entry.head.envelope.recipients, &mut state.recipients, &settled, None);
    state
}

/// Whom of those that a server without reports took the sender is to hear of.
pub(in crate::cmd) fn relayed(entry: &Entry, unreported: &[Outcome]) -> Vec<(usize, Option<Last>)> {
    let Envelope { sender, recipients, .. } = &entry.head.envelope;
    let is_owed = |recipient: &Recipient| is_owed(sender, entry.head.envelope.notify(recipient), Kind::Relayed);
    if unreported.is_empty() || !recipients.iter().any(is_owed) {
        return Vec::new();
    }
    let replies: HashMap<&Address, _> = unreported.iter().map(|outcome| (&outcome.recipient, Last::of_outcome(outcome))).collect();
    let stands = recipients.iter().zip(&entry.state.recipients).enumerate();
    let owed = stands.filter(|(_, (recipient, standing))| standing.is_waiting() && is_owed(recipient));
    owed.filter_map(|(place, (recipient, _))| Some((place, replies.get(&recipient.address)?.clone()))).collect()
}

/// How it stands after an attempt, and when it is tried again.
pub(in crate::cmd) fn after(world: &dyn World, queue: &Queue, entry: &Entry, delivered: &Delivered) -> Step {
    let problem = delivered.problem.as_ref().map(|error| last(error, &delivered.troubles));
    let mut state = tried(world, queue, entry, problem.clone());
    let recipients = &entry.head.envelope.recipients;
    queued::settle(recipients, &mut state.recipients, &delivered.outcomes, problem.as_ref());
    if let Some(why) = delivered.unpromised() {
        // It would fare no better tomorrow (RFC 8689 4.2.1).
        refuse(&mut state, &Last { enhanced: Some(why.enhanced()), text: why.because().to_owned(), ..Last::default() });
    }
    Step::new(entry, state)
}

/// The same for a message that could not even be tried.
pub(super) fn untried(world: &dyn World, queue: &Queue, entry: &Entry, problem: &Error) -> Step {
    let last = last(problem, &[]);
    let mut state = tried(world, queue, entry, Some(last.clone()));
    for standing in &mut state.recipients {
        if standing.is_waiting() {
            // What may have arrived before is not forgotten.
            let unknown = standing.last().map_or(0, |before| before.unknown);
            *standing = Standing::Waiting(Some(Last { unknown, ..last.clone() }));
        }
    }
    Step::new(entry, state)
}

impl Step {
    /// What is left to do where nothing was tried.
    pub(super) fn new(entry: &Entry, state: State) -> Self {
        let is_known = |place: usize| entry.state.told && matches!(entry.state.recipients.get(place), Some(Standing::Failed(_)));
        let failed = state.recipients.iter().enumerate().filter(|(_, standing)| matches!(standing, Standing::Failed(_)));
        let failed: Vec<usize> = failed.map(|(place, _)| place).filter(|place| !is_known(*place)).collect();
        let told = entry.state.told && failed.is_empty();
        let state = State { told, ..state };
        Self { state, failed, relayed: Vec::new(), is_late: false }
    }

    /// Gives up whom it has not reached for too long, or may have reached too often; else sees whether the sender should know that it is
    /// late. `in_vain`: how often its account was tried in a row, for whichever message; of these count those since its own first attempt.
    pub(super) fn aged(mut self, queue: &Queue, entry: &Entry, now: Timestamp, in_vain: Option<u32>) -> Self {
        let in_vain = in_vain.map_or(0, |in_vain| {
            let own = self.state.attempts;
            in_vain.saturating_sub(*self.state.in_vain_before.get_or_insert(in_vain.saturating_sub(own)))
        });
        let in_doubt = queued::give_up_in_doubt(&mut self.state.recipients).failed;
        if !in_doubt.is_empty() {
            self.failed.extend(in_doubt);
            self.state.told = false;
        }
        if !self.state.recipients.iter().any(Standing::is_waiting) {
            return self;
        }
        let schedule = schedule(queue);
        let life = Life { arrived: entry.head.arrived, now, attempts: self.state.attempts.max(in_vain) };
        if schedule.is_expired(life) {
            self.failed.extend(queued::give_up(&mut self.state.recipients).failed);
            self.state.told = false;
        } else {
            self.is_late = !self.state.warned && schedule.is_late(life);
        }
        self
    }
}

fn refuse(state: &mut State, last: &Last) {
    for standing in &mut state.recipients {
        if standing.is_waiting() {
            *standing = Standing::Failed(last.clone());
        }
    }
}

fn tried(world: &dyn World, queue: &Queue, entry: &Entry, problem: Option<Last>) -> State {
    let now = world.timestamp();
    let attempts = entry.state.attempts.saturating_add(1);
    let next = later(now, schedule(queue).next(attempts, chance(world)));
    State { attempts, tried: Some(now), next, problem, ..entry.state.clone() }
}

/// A random number; without randomness many come at once, and that is all.
pub(in crate::cmd) fn chance(world: &dyn World) -> u32 {
    let mut octets = [0; 4];
    let _ = world.random(&mut octets);
    u32::from_ne_bytes(octets)
}

/// A time, so much later.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

fn last(error: &Error, troubles: &[(String, Trouble)]) -> Last {
    let text = error.because().to_owned();
    let tls = troubles.iter().any(|(_, trouble)| *trouble == Trouble::TlsUnmet).then(|| text.clone());
    Last { text, tls, ..Last::default() }
}
