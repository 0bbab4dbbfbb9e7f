//! How much of a spool does each user take up? (for the quotas of a service that starts)

use std::collections::BTreeMap;

use super::{Found, Place, Spool};
use crate::error::Error;

/// What one user has waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages.
    pub messages: u64,
    /// Octets of them.
    pub octets: u64,
}

impl Spool {
    /// Counts what waits in the queue and what is held, by the uid of who sent it. Each file is opened once: some ten seconds for
    /// a million.
    ///
    /// # Errors
    /// A directory can't be read. A message that can't be opened is not counted.
    pub fn usage(&self) -> Result<BTreeMap<u32, Usage>, Error> {
        let mut users: BTreeMap<u32, Usage> = BTreeMap::new();
        for place in [Place::Queue, Place::Held] {
            for found in self.names(place)? {
                if let Found::Message(waiting) = found
                    && let Ok(Some(entry)) = self.peek(place, waiting.id)
                {
                    let user = users.entry(entry.head.uid).or_default();
                    user.messages += 1;
                    user.octets += entry.head.size;
                }
            }
        }
        Ok(users)
    }
}
