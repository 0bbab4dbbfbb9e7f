//! How does a recipient of a message that waits stand, and how after another attempt? (RFC 5321 4.5.4.1, 6.1; RFC 1047)

use std::collections::HashMap;

use super::{
    address::Address,
    envelope::Recipient,
    outcome::{Enhanced, Fate, Outcome, Reply},
};
use crate::error::Exit;

/// What was last heard of a recipient, or of the server on the way to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// The reply's code, where it was a reply.
    pub code: Option<u16>,
    /// Its enhanced status code.
    pub enhanced: Option<Enhanced>,
    /// Its text, or what went wrong instead; foreign.
    pub text: String,
    /// Why TLS was not as it had to be, where that was it.
    pub tls: Option<String>,
    /// Whose reply it is: host name or address, where it is known.
    pub server: Option<String>,
    /// How many attempts so far, this one or earlier ones, may have reached the recipient without a word of it: each may be a duplicate.
    pub unknown: u32,
}

/// So many attempts of which nobody knows whether they arrived are enough. A link that breaks after the final dot again and again is one
/// that will break the next time too (a server that hangs up, a filter that takes too long), and the recipient may have got each of
/// them. With the default times they take most of a day, in which a network or a server that is merely unwell recovers.
pub const MOST_UNKNOWN: u32 = 12;

impl Last {
    /// A reply, with as much of its text as anybody is shown.
    pub fn of(reply: &Reply) -> Self {
        let short = reply.shortened();
        Self { code: Some(short.code), enhanced: short.enhanced, text: short.text(), ..Self::default() }
    }

    /// The reply that decided over a recipient, where one did.
    pub fn of_outcome(outcome: &Outcome) -> Option<Self> {
        let server = outcome.server.as_deref().map(str::to_owned);
        outcome.reply.as_ref().map(|reply| Self { server, ..Self::of(reply) })
    }

    /// Whether it means "never": what a recipient that failed for another reason heard was a "later", so it was given up.
    pub fn is_permanent(&self) -> bool {
        match (self.enhanced, self.code) {
            (Some(enhanced), _) => enhanced.class == 5,
            (None, code) => code.is_some_and(|code| code / 100 == 5),
        }
    }

    /// The reply as it was said; the text alone where it was none.
    pub fn said(&self) -> String {
        let Some(code) = self.code else { return self.text.clone() };
        Reply { code, enhanced: self.enhanced, lines: vec![self.text.clone()] }.to_string()
    }
}

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is to be tried (again).
    Waiting(Option<Last>),
    /// The smarthost took it.
    Delivered,
    /// It was refused for good, or given up.
    Failed(Last),
}

impl Standing {
    /// Whether it is to be tried.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    /// What was last heard of it.
    pub fn last(&self) -> Option<&Last> {
        match self {
            Self::Waiting(last) => last.as_ref(),
            Self::Failed(last) => Some(last),
            Self::Delivered => None,
        }
    }
}

/// Who is no longer waiting, as places among the recipients, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The smarthost took it just now.
    pub delivered: Vec<usize>,
    /// It failed just now.
    pub failed: Vec<usize>,
}

/// Takes in how an attempt ended, with outcomes in any order; `problem` is what kept the attempt as a whole from going well.
///
/// Only who waits is changed: what was delivered or failed stays so, whatever is said of it later. Who has no outcome was not tried,
/// and waits on. `Unknown` waits on too: it is tried again with the same Message-ID, by which the recipient can tell a duplicate; and it is
/// counted, for [`give_up_in_doubt`].
/// A refusal that is about the account and not about the message (a login, a host name) must come as `Deferred`.
pub fn settle(recipients: &[Recipient], standings: &mut [Standing], outcomes: &[Outcome], problem: Option<&Last>) -> Change {
    let mut fates: HashMap<&Address, &Outcome> = HashMap::with_capacity(outcomes.len());
    for outcome in outcomes {
        let known = fates.entry(&outcome.recipient).or_insert(outcome);
        // Said of the same recipient twice, that it arrived is what counts.
        if known.fate != Fate::Accepted {
            *known = outcome;
        }
    }
    let mut change = Change::default();
    for (place, (recipient, standing)) in recipients.iter().zip(standings).enumerate() {
        if !standing.is_waiting() {
            continue;
        }
        let Some(outcome) = fates.get(&recipient.address) else { continue };
        let before = standing.last().map_or(0, |last| last.unknown);
        let unknown = before.saturating_add(u32::from(outcome.fate == Fate::Unknown));
        *standing = match outcome.fate {
            Fate::Accepted => Standing::Delivered,
            Fate::Refused => Standing::Failed(Last { unknown, ..refusal(outcome, problem) }),
            Fate::Deferred | Fate::Unknown => Standing::Waiting(Some(Last { unknown, ..heard(outcome, problem) })),
        };
        match standing {
            Standing::Delivered => change.delivered.push(place),
            Standing::Failed(_) => change.failed.push(place),
            Standing::Waiting(_) => {}
        }
    }
    change
}

/// Gives up who still waits, with what was last heard of it; that it was given up is seen by [`Last::is_permanent`].
pub fn give_up(standings: &mut [Standing]) -> Change {
    give_up_whom(standings, |_| true)
}

/// Gives up who was tried [`MOST_UNKNOWN`] times without an answer to the message.
pub fn give_up_in_doubt(standings: &mut [Standing]) -> Change {
    give_up_whom(standings, |last| last.is_some_and(|last| last.unknown >= MOST_UNKNOWN))
}

fn give_up_whom(standings: &mut [Standing], is_meant: impl Fn(Option<&Last>) -> bool) -> Change {
    let mut change = Change::default();
    for (place, standing) in standings.iter_mut().enumerate() {
        let Standing::Waiting(last) = standing else { continue };
        if is_meant(last.as_ref()) {
            *standing = Standing::Failed(last.take().map_or_else(untried, in_vain));
            change.failed.push(place);
        }
    }
    change
}

fn untried() -> Last {
    Last { enhanced: Some(EXPIRED), text: "there was no attempt in time".to_owned(), ..Last::default() }
}

/// Delivery time expired (RFC 3463 3.5).
pub const EXPIRED: Enhanced = Enhanced { class: 4, subject: 4, detail: 7 };
/// Bad connection: it was lost (RFC 3463 3.5).
pub const LOST: Enhanced = Enhanced { class: 4, subject: 4, detail: 2 };

/// What was heard last of a recipient that is given up. A "never" to the account (its login) was none to the recipient.
fn in_vain(last: Last) -> Last {
    if last.is_permanent() { Last { code: None, enhanced: Some(EXPIRED), text: last.said(), ..last } } else { last }
}

fn heard(outcome: &Outcome, problem: Option<&Last>) -> Last {
    match (Last::of_outcome(outcome), problem) {
        (Some(last), _) => Last { tls: problem.and_then(|problem| problem.tls.clone()), ..last },
        (None, Some(problem)) if outcome.fate == Fate::Unknown => {
            Last { enhanced: Some(LOST), text: format!("{}: it may have arrived", problem.text), ..problem.clone() }
        }
        (None, Some(problem)) => problem.clone(),
        (None, None) if outcome.fate == Fate::Unknown => {
            let text = "the connection was lost before the message was acknowledged: it may have arrived";
            Last { enhanced: Some(LOST), text: text.to_owned(), ..Last::default() }
        }
        (None, None) => Last { text: "it was not said why".to_owned(), ..Last::default() },
    }
}

/// What was heard of a recipient that was refused: always a "never", so that nobody takes it for given up.
fn refusal(outcome: &Outcome, problem: Option<&Last>) -> Last {
    let last = heard(outcome, problem);
    if last.is_permanent() {
        return last;
    }
    let (subject, detail) = match outcome.exit {
        Exit::NoUser => (1, 1),
        Exit::DataErr => (6, 0),
        Exit::NoPerm => (7, 0),
        _ => (0, 0),
    };
    Last { code: last.code.filter(|code| code / 100 == 5), enhanced: Some(Enhanced { class: 5, subject, detail }), ..last }
}

#[cfg(test)]
mod tests;
