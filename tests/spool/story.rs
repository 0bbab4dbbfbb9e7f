//! What is done to messages while the process or the power goes, and what must be there afterwards?

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
};

use sealpost::{
    error::Error,
    host::spool::{Claim, Claimed, Found, Place, Spool},
    mail::queued::Standing,
};

use crate::kit::{Text, at, claimed, entry, id, octets};

/// One step of a message's life.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Add,
    /// So many attempts, the last of which reached the first recipient.
    Note(u32),
    Shift(Place),
    /// Dropped, and claimed again.
    Again,
    Finish,
}

/// Lives of some messages, of which each step is possible after the one before.
pub(crate) fn lives() -> Vec<(u8, Vec<Step>)> {
    use Step::{Add, Again, Finish, Note, Shift};
    vec![
        (1, vec![Add, Note(1), Again, Note(2), Shift(Place::Held), Note(3), Again, Shift(Place::Queue), Finish]),
        (2, vec![Add, Finish]),
        (3, vec![Add, Again, Note(1), Shift(Place::Failed), Again, Shift(Place::Queue), Note(2)]),
        (4, vec![Add, Shift(Place::Held), Again, Finish]),
    ]
}

/// The octets of a message; the second one is larger than what is written at once.
fn text(n: u8) -> Vec<u8> {
    format!("Subject: {n}\r\n\r\n{n} {n} {n}\r\n").repeat(if n == 2 { 16_000 } else { 3 }).into_bytes()
}

/// Lives a life, and says in `log` before each step and after it: `b N STEP` and `e N STEP`.
pub(crate) fn live(spool: &Spool, n: u8, life: &[Step], log: &File) {
    try_to_live(spool, n, life, log).map_err(|(step, error)| panic!("{n}, step {step}: {}", error.render("sealpost"))).unwrap();
}

/// The same up to the first step that fails.
pub(crate) fn try_to_live(spool: &Spool, n: u8, life: &[Step], log: &File) -> Result<(), (usize, Error)> {
    let say = |what: char, step: usize| (&mut &*log).write_all(format!("{what} {n} {step}\n").as_bytes()).unwrap();
    let mut claim = None;
    let mut place = Place::Queue;
    for (index, step) in life.iter().enumerate() {
        say('b', index + 1);
        take(spool, n, *step, &mut claim, &mut place).map_err(|error| (index + 1, error))?;
        say('e', index + 1);
    }
    Ok(())
}

fn take<'s>(spool: &'s Spool, n: u8, step: Step, claim: &mut Option<Box<Claim<'s>>>, place: &mut Place) -> Result<(), Error> {
    match step {
        Step::Add => *claim = Some(Box::new(spool.add(id(n), entry(2), &mut Text::new(text(n)))?)),
        Step::Note(attempts) => {
            let claim = claim.as_mut().unwrap();
            let mut state = claim.entry.state.clone();
            state.attempts = attempts;
            state.recipients[0] = Standing::Delivered;
            state.next = at(attempts.into());
            claim.reserve()?;
            claim.note(state)?;
        }
        Step::Shift(to) => {
            claim.as_mut().unwrap().shift(to)?;
            *place = to;
        }
        Step::Again => {
            drop(claim.take());
            match spool.claim(*place, id(n))? {
                Claimed::Ours(again) => *claim = Some(again),
                other => panic!("{n} in {place:?}: {other:?}"),
            }
        }
        Step::Finish => claim.take().unwrap().finish()?,
    }
    Ok(())
}

pub(crate) fn log(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

/// How many steps of each message were begun and ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(BTreeMap<u8, [usize; 2]>);

impl Progress {
    pub(crate) fn read(text: &str) -> Self {
        let mut progress = Self::default();
        text.lines().for_each(|line| progress.take(line));
        progress
    }

    pub(crate) fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, n, step] = words[..] else { panic!("{line}") };
        let both = self.0.entry(n.parse().unwrap()).or_default();
        both[usize::from(what == "e")] = step.parse().unwrap();
    }
}

/// Where a message is and how often it was tried, after so many steps; `None`: nowhere.
fn stands(life: &[Step], steps: usize) -> Option<(Place, u32)> {
    life[..steps].iter().fold(None, |stands, step| match (step, stands) {
        (Step::Add, _) => Some((Place::Queue, 0)),
        (Step::Note(attempts), Some((place, _))) => Some((place, *attempts)),
        (Step::Shift(to), Some((_, attempts))) => Some((*to, attempts)),
        (Step::Finish, _) => None,
        (_, stands) => stands,
    })
}

/// Opens what is left, as the next process does, and says what is wrong with it.
pub(crate) fn judge(path: &Path, progress: &Progress) -> Result<(), String> {
    let said = |error: Error| error.render("sealpost");
    let Some(spool) = Spool::open(path).map_err(said)? else {
        let lost =
            progress.0.iter().find(|(n, steps)| stands(&life(**n), steps[1]).is_some() && stands(&life(**n), steps[0]).is_some());
        return lost.map_or(Ok(()), |(n, _)| Err(format!("{n} is lost with the spool")));
    };
    for (n, steps) in &progress.0 {
        let found = whereabouts(&spool, *n)?;
        let life = life(*n);
        let expected = [stands(&life, steps[1]), stands(&life, steps[0])];
        if !expected.contains(&found) {
            return Err(format!("{n} after {steps:?} steps: {found:?}, not {expected:?}"));
        }
    }
    let far = at(400_000_000);
    spool.sweep(far, at(-1)).map_err(said)?;
    for place in Place::ALL {
        for found in spool.names(place).map_err(said)? {
            match found {
                Found::Message(waiting) if progress.0.keys().any(|n| id(*n) == waiting.id) => {}
                other => return Err(format!("{other:?} in {place:?}")),
            }
        }
        let left = crate::kit::listing(&path.join(place.as_str())).into_iter().find(|name| name.len() != 26);
        if let Some(name) = left {
            return Err(format!("{name} is left in {place:?}"));
        }
    }
    Ok(())
}

/// Where a message is, whole.
fn whereabouts(spool: &Spool, n: u8) -> Result<Option<(Place, u32)>, String> {
    let mut found = None;
    // Twice: who meets a message first may have to put it right.
    for turn in 0..2 {
        let mut seen = Vec::new();
        for place in [Place::Queue, Place::Held, Place::Failed] {
            match claimed(spool, place, n).map_err(|error| error.render("sealpost"))? {
                Claimed::Gone => {}
                Claimed::Ours(claim) if octets(&claim) == text(n) => seen.push((place, claim.entry.state.attempts)),
                Claimed::Ours(_) => return Err(format!("{n} has other octets")),
                other => return Err(format!("{n} in {place:?}: {other:?}")),
            }
        }
        if seen.len() > 1 || turn == 1 && found != seen.first().copied() && found.is_some() {
            return Err(format!("{n} is in two places: {seen:?}, before {found:?}"));
        }
        found = seen.first().copied();
    }
    Ok(found)
}

fn life(n: u8) -> Vec<Step> {
    lives().into_iter().find(|(other, _)| *other == n).map(|(_, life)| life).unwrap_or_default()
}
