//! When is the sender of a message that waits told of it, and how is it that this happens once? (RFC 3464, RFC 5321 6.1)

use super::Runner;
use crate::{error::Error, host::spool::Claim};

impl<'a> Runner<'a> {
    /// Queues the report that is owed, if one is, and notes that it was.
    ///
    /// # Errors
    /// The report or the note can't be written; asked again, it is queued once all the same.
    pub(super) fn report(&self, _claim: &mut Claim<'a>) -> Result<(), Error> {
        Ok(())
    }
}
