//! When is it made durable whom a message has reached? (before anything else is tried for the others)

use std::io;

use super::Delivery;
use crate::{
    error::Error,
    mail::outcome::{Fate, Outcome},
};

/// Takes outcomes that stay as they are, so that a queue can write them down; it may be told of one more than once.
///
/// # Errors
/// They could not be written down. Nothing more is tried then: who is left stays deferred.
pub type Settled<'a> = dyn FnMut(&[Outcome]) -> Result<(), Error> + 'a;

impl Delivery<'_> {
    /// Tells of who is settled, and whether the others may be tried.
    pub(super) fn settle(&mut self, outcomes: &[Outcome]) -> bool {
        self.settle_or_fail(outcomes).is_ok()
    }

    /// The same for a session, which is told why it is to end.
    pub(super) fn settle_or_fail(&mut self, outcomes: &[Outcome]) -> io::Result<()> {
        if self.is_halted {
            return Err(io::Error::other("what became of the recipients before could not be written down"));
        }
        // What only refusals could tell is told anew by the next attempt, and twice is no harm.
        let is_news = outcomes.iter().any(|outcome| matches!(outcome.fate, Fate::Accepted | Fate::Unknown));
        let Some(settled) = self.settled.as_mut().filter(|_| is_news) else { return Ok(()) };
        settled(outcomes).map_err(|error| {
            let words = error.summary();
            self.is_halted = true;
            self.warn(vec![error]);
            io::Error::other(words)
        })
    }
}
