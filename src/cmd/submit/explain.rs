//! What does the caller read when not everybody got the message at once?

use crate::{
    cmd::deliver::Delivered,
    error::{Error, Exit},
    host::config::Account,
    mail::outcome::{Fate, Outcome},
    smtp::advice,
};

/// What to know before a message whose end was not confirmed is sent again (RFC 1047).
const MAY_HAVE_ARRIVED: &str = "the smarthost may have kept the message all the same: sent again, it may arrive twice";

/// What the caller reads when not everybody got the message; `is_queued`: who can be reached later waits.
pub(super) fn explain(exit: Exit, account: &Account, delivered: &Delivered, is_queued: bool) -> Error {
    let count = |is: fn(&Outcome) -> bool| delivered.outcomes.iter().filter(|outcome| is(outcome)).count();
    let (all, accepted) = (delivered.outcomes.len(), count(|outcome| outcome.fate == Fate::Accepted));
    let waiting = if is_queued { count(|outcome| matches!(outcome.fate, Fate::Deferred | Fate::Unknown)) } else { 0 };
    let is_told = |outcome: &&Outcome| match outcome.fate {
        Fate::Accepted => false,
        Fate::Refused => true,
        // Who waits has no more to be told of, unless that is all there is to tell.
        Fate::Deferred | Fate::Unknown => waiting == 0 || waiting + accepted == all,
    };
    let refused: Vec<&Outcome> = delivered.outcomes.iter().filter(is_told).collect();
    let error = match &delivered.problem {
        Some(problem) if accepted == 0 && refused.iter().all(|o| o.reply.is_none() || o.exit == problem.exit()) => {
            problem.clone().with_exit(exit)
        }
        problem => {
            let otherwise = problem.as_ref().map_or("not sent", Error::because);
            Error::new(exit, format!("sending through account {} ({})", account.name, account.target), told(&refused, otherwise))
        }
    };
    if waiting > 0 {
        return match accepted {
            0 if waiting == all => error.hint("the message is safe in the queue and is tried again: do not send it again"),
            _ => error.hint(format!(
                "{accepted} of {all} recipients were accepted, {waiting} wait in the queue: do not send it to them again"
            )),
        };
    }
    let may_have_arrived = refused.iter().any(|o| o.fate == Fate::Unknown) && error.advice().is_none();
    match (&delivered.setback, accepted) {
        (None, 0) if may_have_arrived => error.hint(MAY_HAVE_ARRIVED),
        (None, 0) => match refused.iter().find_map(|outcome| advice::after_refusal(outcome.reply.as_ref()?)) {
            Some(advice) if error.advice().is_none() => error.hint(advice),
            _ => error,
        },
        (Some(setback), 0) => error.hint(format!("the fallback was of no help: {setback}")),
        _ => error.hint(format!("{accepted} of {all} recipients were accepted: do not send it to them again")),
    }
}

/// The first recipients that the message did not reach and why, those with the same reason together.
fn told(refused: &[&Outcome], otherwise: &str) -> String {
    const MOST: usize = 5;
    let mut groups: Vec<(String, String)> = Vec::new();
    for outcome in refused.iter().take(MOST) {
        let name = format!("<{}>", outcome.recipient);
        let why = outcome.reply.as_ref().map_or_else(|| otherwise.to_owned(), ToString::to_string);
        let what = format!("{}: {why}", outcome.fate.as_str());
        match groups.last_mut().filter(|(_, last)| *last == what) {
            Some((names, _)) => names.extend([", ", &name]),
            None => groups.push((name, what)),
        }
    }
    let mut told: Vec<String> = groups.into_iter().map(|(names, what)| format!("{names} {what}")).collect();
    if refused.len() > MOST {
        told.push(format!("and {} more", refused.len() - MOST));
    }
    told.join("; ")
}
