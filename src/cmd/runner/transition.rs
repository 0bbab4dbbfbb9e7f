//! How does a message stand after an attempt? (RFC 5321 4.5.4.1)

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Runner;
use crate::{
    cmd::deliver::Delivered,
    error::Error,
    host::spool::{Entry, State},
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

impl Runner<'_> {
    /// How a message stands after an attempt: who has it, who will be tried when, who is given up.
    pub(super) fn transition(&self, entry: &Entry, delivered: &Delivered) -> State {
        let problem = delivered.problem.as_ref().map(last);
        let mut state = self.after_try(entry, problem.clone());
        state.recipients = standings(entry, &delivered.outcomes, problem.as_ref());
        self.expire(entry, &mut state);
        state
    }

    /// The same for a message that could not even be tried.
    pub(super) fn untried(&self, entry: &Entry, problem: &Error) -> State {
        let mut state = self.after_try(entry, Some(last(problem)));
        self.expire(entry, &mut state);
        state
    }

    fn after_try(&self, entry: &Entry, problem: Option<Last>) -> State {
        let now = self.now();
        let attempts = entry.state.attempts.saturating_add(1);
        let next = later(now, self.interval(attempts));
        State { attempts, tried: Some(now), next, problem, ..entry.state.clone() }
    }

    fn expire(&self, entry: &Entry, state: &mut State) {
        let age = self.now().duration_since(entry.head.arrived);
        if age < SignedDuration::try_from(self.setting.config.queue.max_age).unwrap_or(SignedDuration::MAX) {
            return;
        }
        for standing in &mut state.recipients {
            if let Standing::Waiting(last) = standing {
                *standing = Standing::Failed(last.take().unwrap_or_default());
            }
        }
    }

    fn interval(&self, attempts: u32) -> Duration {
        let queue = &self.setting.config.queue;
        let mut octets = [0; 4];
        // Without randomness many come at once, and that is all.
        let _ = self.setting.world.random(&mut octets);
        let whole = queue.retry_first.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(queue.retry_most);
        let jitter = f64::from(u32::from_ne_bytes(octets)) / f64::from(u32::MAX);
        whole.mul_f64(0.9 + 0.2 * jitter)
    }
}

/// A time, so much later.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

fn last(error: &Error) -> Last {
    Last { code: None, enhanced: None, text: error.because().to_owned(), tls: None }
}
