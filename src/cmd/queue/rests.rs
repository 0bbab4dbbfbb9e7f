//! Which messages wait longer than they were to, because their account is left alone for a while?

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::listed::{Heard, Item, Listed};
use crate::{
    cmd::runner::{pausing::end_of_pauses, transition::schedule},
    host::{config::Config, memory, spool::Spool},
    mail::retry::Schedule,
};

/// Accounts that are left alone: until when, and why; and what a time in a queue means now.
#[derive(Clone, Debug, Default)]
pub(super) struct Rests {
    rests: BTreeMap<String, (Timestamp, Option<String>)>,
    /// Without a configuration nobody can say.
    schedule: Option<(Schedule, Timestamp)>,
}

impl Rests {
    /// Those of a queue.
    pub(super) fn of(spool: &Spool, config: &Config, now: Timestamp) -> Self {
        let pauses = spool.pauses();
        let rests = config.accounts.iter().filter_map(|account| {
            let end = end_of_pauses(config, &pauses, account, now)?;
            let because = pauses.of(&account.name, &memory::name(account)).map(|pause| pause.because.clone());
            Some((account.name.clone(), (end, because)))
        });
        Self { rests: rests.collect(), schedule: Some((schedule(&config.queue), now)) }
    }

    /// Says when the message will be tried in truth, and why not before, where nothing else is known.
    pub(super) fn apply(&self, listed: &mut Listed) {
        let Some(next) = &mut listed.next else { return };
        if let Some((schedule, now)) = self.schedule
            && schedule.is_due(*next, now)
        {
            // No schedule puts it so far ahead: the clock was set back.
            *next = (*next).min(now);
        }
        let Some((end, because)) = self.rests.get(&listed.account) else { return };
        *next = (*next).max(*end);
        if listed.attempts == 0 {
            let reply = because.clone();
            listed.problem.get_or_insert(Heard { reply, ..Heard::default() });
        }
    }

    /// The same for whatever stands there.
    #[must_use]
    pub(super) fn applied(&self, mut item: Item) -> Item {
        if let Item::Message(listed) = &mut item {
            self.apply(listed);
        }
        item
    }
}
