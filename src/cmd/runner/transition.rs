//! How does a message stand after an attempt? (RFC 5321 4.5.4.1)

use std::time::Duration;

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
        outcome::{Fate, Outcome},
        queued::{Last, Standing},
    },
};

/// How it stands while it is still being tried: those whom it has reached are not tried again, whatever happens now.
pub(in crate::cmd) fn meanwhile(entry: &Entry, outcomes: &[Outcome]) -> State {
    let mut state = entry.state.clone();
    state.recipients = standings(entry, outcomes, None);
    state
}

fn standings(entry: &Entry, outcomes: &[Outcome], problem: Option<&Last>) -> Vec<Standing> {
    let mut left: Vec<&Outcome> = outcomes.iter().collect();
    let recipients = entry.head.envelope.recipients.iter().zip(&entry.state.recipients);
    let stands = recipients.map(|(recipient, before)| {
        let Standing::Waiting(last) = before else { return before.clone() };
        let Some(at) = left.iter().position(|outcome| outcome.recipient == recipient.address) else { return before.clone() };
        let outcome = left.swap_remove(at);
        let heard = outcome.reply.as_ref().map(|reply| Last {
            code: Some(reply.code),
            enhanced: reply.enhanced,
            text: reply.text(),
            tls: None,
        });
        match outcome.fate {
            Fate::Accepted => Standing::Delivered,
            Fate::Refused => Standing::Failed(heard.or_else(|| problem.cloned()).unwrap_or_default()),
            Fate::Deferred | Fate::Unknown => Standing::Waiting(heard.or_else(|| problem.cloned()).or_else(|| last.clone())),
        }
    });
    stands.collect()
}

/// How a message stands after an attempt: who has it, who will be tried when.
pub(in crate::cmd) fn after(world: &dyn World, queue: &Queue, entry: &Entry, delivered: &Delivered) -> State {
    let problem = delivered.problem.as_ref().map(last);
    let mut state = after_try(world, queue, entry, problem.clone());
    state.recipients = standings(entry, &delivered.outcomes, problem.as_ref());
    state
}

/// The same for a message that could not even be tried.
pub(super) fn untried(world: &dyn World, queue: &Queue, entry: &Entry, problem: &Error) -> State {
    after_try(world, queue, entry, Some(last(problem)))
}

/// Gives up whom a message has not reached for too long.
pub(super) fn expire(now: Timestamp, queue: &Queue, entry: &Entry, state: &mut State) {
    let age = now.duration_since(entry.head.arrived);
    if age < SignedDuration::try_from(queue.max_age).unwrap_or(SignedDuration::MAX) {
        return;
    }
    for standing in &mut state.recipients {
        if let Standing::Waiting(last) = standing {
            *standing = Standing::Failed(last.take().unwrap_or_default());
        }
    }
}

fn after_try(world: &dyn World, queue: &Queue, entry: &Entry, problem: Option<Last>) -> State {
    let now = world.timestamp();
    let attempts = entry.state.attempts.saturating_add(1);
    let next = later(now, interval(world, queue, attempts));
    State { attempts, tried: Some(now), next, problem, ..entry.state.clone() }
}

fn interval(world: &dyn World, queue: &Queue, attempts: u32) -> Duration {
    let mut octets = [0; 4];
    // Without randomness many come at once, and that is all.
    let _ = world.random(&mut octets);
    let whole = queue.retry_first.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(queue.retry_most);
    let jitter = f64::from(u32::from_ne_bytes(octets)) / f64::from(u32::MAX);
    whole.mul_f64(0.9 + 0.2 * jitter)
}

/// A time, so much later.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

fn last(error: &Error) -> Last {
    Last { code: None, enhanced: None, text: error.because().to_owned(), tls: None }
}
