//! What does the service answer to who asks about its queue? (XQUEUE, a private verb on its socket)
//!
//! | line | who | answer |
//! |---|---|---|
//! | `XQUEUE list [held\|failed\|all]` | `250-{…}` for each message, as `sealpost queue list --json` has it | `250 {"end":true,"messages":N}` |
//! | `XQUEUE count` | | `250 {"queue":N,"held":N,"failed":N}` |
//! | `XQUEUE show ID` | | `250 {…}`, with the header of the message |
//! | `XQUEUE raw ID` | `250-` and octets of the message in base64, a piece a line | `250 {"end":true,"octets":N}` |
//! | `XQUEUE flush [ID]` | | `250 {"flushed":N}` |
//! | `XQUEUE hold ID`, `release ID`, `remove ID` | | `250 {"id":"…","status":"held"}` |
//!
//! A user sees and changes the own messages only; another's do not exist. An ID may be the beginning or the end of one.

use std::iter;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::json;

use super::{
    act::{Came, Deed, Hands},
    listed::{Item, Listed, Whose},
    out,
    select::Short,
    show::Shown,
    walk::{self, Walk},
};
use crate::{
    error::{Error, Exit, printable},
    host::{
        journal::Id,
        spool::{Place, Stored},
    },
    mail::content::{Content as _, Form},
};

/// Octets of a message in one line.
const PIECE: usize = 3 << 10;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The kernel's word.
    pub uid: u32,
    /// Root, and the service's own user: all messages are theirs to see.
    pub is_privileged: bool,
}

/// With what it is answered.
#[derive(Clone, Copy)]
pub struct Office<'a> {
    /// What changes the queue.
    pub hands: Hands<'a>,
    /// Has the runner look at the queue now, and forget its pauses.
    pub hurry: &'a dyn Fn(),
}

/// The lines of a reply of SMTP, code included, without CRLF; each is made when it is wanted.
pub type Lines<'a> = Box<dyn Iterator<Item = String> + 'a>;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Query {
    List(&'static [Place]),
    Count,
    Show(Short),
    Raw(Short),
    Flush(Option<Short>),
    Act(Deed, Short),
}

/// The places of `list`, by its word.
pub fn places(word: &str) -> Option<&'static [Place]> {
    Some(match word {
        "" => &[Place::Queue],
        "held" => &[Place::Held],
        "failed" => &[Place::Failed],
        "all" => &Place::ALL,
        _ => return None,
    })
}

/// Answers what stands behind `XQUEUE `.
pub fn answer<'a>(query: &str, asker: Asker, office: Office<'a>) -> Lines<'a> {
    let answered = match parse(query) {
        Some(query) => office.answer(&query, asker),
        None => {
            return one(
                501,
                "5.5.4 XQUEUE list [held|failed|all], count, show ID, raw ID, flush [ID], hold ID, release ID, remove ID",
            );
        }
    };
    answered.unwrap_or_else(|error| refuse(&error))
}

fn parse(query: &str) -> Option<Query> {
    let mut words = query.split_ascii_whitespace();
    let (verb, operand) = (words.next()?.to_ascii_lowercase(), words.next());
    if words.next().is_some() {
        return None;
    }
    let id = || Short::parse(operand?).ok();
    Some(match verb.as_str() {
        "list" => Query::List(places(&operand.unwrap_or_default().to_ascii_lowercase())?),
        "count" if operand.is_none() => Query::Count,
        "show" => Query::Show(id()?),
        "raw" => Query::Raw(id()?),
        "flush" if operand.is_none() => Query::Flush(None),
        "flush" => Query::Flush(Some(id()?)),
        "hold" => Query::Act(Deed::Hold, id()?),
        "release" => Query::Act(Deed::Release, id()?),
        "remove" => Query::Act(Deed::Remove, id()?),
        _ => return None,
    })
}

impl<'a> Office<'a> {
    fn answer(self, query: &Query, asker: Asker) -> Result<Lines<'a>, Error> {
        match query {
            Query::List(places) => self.list(places, asker),
            Query::Count => self.count(asker),
            Query::Show(id) => {
                let (listed, stored, entry) = self.read(id, asker)?;
                Ok(last(&Shown::new(listed, &entry, &stored)))
            }
            Query::Raw(id) => self.read(id, asker).map(|(_, stored, _)| raw(stored)),
            Query::Flush(id) => self.flush(id.as_ref(), asker),
            Query::Act(deed, id) => self.act(*deed, id, asker),
        }
    }

    fn walks(self, places: &'static [Place], asker: Asker) -> Result<impl Iterator<Item = Item> + 'a, Error> {
        let spool = self.hands.spool;
        let walks = places.iter().map(|place| Walk::new(spool, *place, &Some)).collect::<Result<Vec<_>, _>>()?;
        let is_visible = move |item: &Item| match item {
            Item::Message(listed) => asker.may_see(listed.uid),
            Item::Odd(_) => asker.is_privileged,
        };
        Ok(walks.into_iter().flatten().filter(is_visible).map(|item| item.of(Whose::Service)))
    }

    fn list(self, places: &'static [Place], asker: Asker) -> Result<Lines<'a>, Error> {
        let mut items = self.walks(places, asker)?;
        let mut messages = 0_u64;
        let mut ended = false;
        Ok(Box::new(iter::from_fn(move || match items.next() {
            Some(item) => {
                messages += u64::from(matches!(item, Item::Message(_)));
                Some(format!("250-{}", line(&item)))
            }
            None if ended => None,
            None => {
                ended = true;
                Some(format!("250 {}", line(&json!({"end": true, "messages": messages}))))
            }
        })))
    }

    fn count(self, asker: Asker) -> Result<Lines<'a>, Error> {
        let count = |place: &'static [Place]| -> Result<usize, Error> {
            if asker.is_privileged {
                return super::count(self.hands.spool, place[0]);
            }
            Ok(self.walks(place, asker)?.count())
        };
        let [queue, held, failed] = [&[Place::Queue], &[Place::Held], &[Place::Failed]];
        Ok(last(&json!({"queue": count(queue)?, "held": count(held)?, "failed": count(failed)?})))
    }

    fn find(self, short: &Short, places: &[Place], asker: Asker) -> Result<Listed, Error> {
        let mut found = Vec::new();
        for place in places {
            for id in super::ids(self.hands.spool, *place)?.into_iter().filter(|id| short.means(*id)) {
                if let Some(Item::Message(listed)) = walk::look(self.hands.spool, *place, id)
                    && asker.may_see(listed.uid)
                {
                    found.push(*listed);
                }
            }
        }
        let (_, index) =
            short.find(found.iter().enumerate().map(|(index, listed)| (listed.id, index)))?.ok_or_else(|| missing(short))?;
        Ok(found.swap_remove(index))
    }

    fn read(self, short: &Short, asker: Asker) -> Result<(Listed, Stored, crate::host::spool::Entry), Error> {
        let mut listed = self.find(short, Deed::Remove.places(), asker)?;
        listed.source = Whose::Service;
        let (entry, stored) = self.hands.spool.glance(listed.place, listed.id)?.ok_or_else(|| missing(short))?;
        Ok((listed, stored, entry))
    }

    fn flush(self, short: Option<&Short>, asker: Asker) -> Result<Lines<'a>, Error> {
        let spool = self.hands.spool;
        let ids: Vec<Id> = match short {
            Some(short) => vec![self.find(short, &[Place::Queue], asker)?.id],
            None if asker.is_privileged => super::ids(spool, Place::Queue)?,
            None => self
                .walks(&[Place::Queue], asker)?
                .filter_map(|item| match item {
                    Item::Message(listed) => Some(listed.id),
                    Item::Odd(_) => None,
                })
                .collect(),
        };
        let now = self.hands.world.timestamp();
        ids.iter().try_for_each(|id| spool.hasten(*id, now))?;
        (self.hurry)();
        Ok(last(&json!({"flushed": ids.len()})))
    }

    fn act(self, deed: Deed, short: &Short, asker: Asker) -> Result<Lines<'a>, Error> {
        let listed = self.find(short, deed.places(), asker)?;
        let mut unlogged = Vec::new();
        let is_allowed = |head: &crate::host::spool::Head| asker.may_see(head.uid);
        let came = self.hands.act(deed, super::act::target(&listed), &is_allowed, &mut unlogged)?;
        if deed == Deed::Release {
            (self.hurry)();
        }
        match came {
            Came::Done => Ok(last(&json!({"id": listed.id, "status": deed.status()}))),
            Came::Busy => Err(super::busy(listed.id)),
            Came::Gone | Came::Odd(_) => Err(missing(short)),
        }
    }
}

impl Asker {
    fn may_see(self, uid: u32) -> bool {
        self.is_privileged || self.uid == uid
    }
}

/// The octets of a message, a piece a line.
fn raw<'a>(mut stored: Stored) -> Lines<'a> {
    let octets = stored.rewind(Form::EightBit).unwrap_or(0);
    let mut is_last = false;
    let mut ended = false;
    Box::new(iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut piece = Vec::new();
        while !is_last && piece.len() < PIECE {
            let left = PIECE - piece.len();
            match stored.fill(&mut piece, left) {
                Ok(end) => is_last = end,
                Err(error) => {
                    ended = true;
                    return Some(format!("250 {}", line(&json!({"end": false, "error": error.to_string()}))));
                }
            }
        }
        if piece.is_empty() {
            ended = true;
            return Some(format!("250 {}", line(&json!({"end": true, "octets": octets}))));
        }
        Some(format!("250-{}", STANDARD.encode(piece)))
    }))
}

fn refuse<'a>(error: &Error) -> Lines<'a> {
    let because = printable(error.because());
    match error.exit() {
        Exit::NoInput => one(550, &format!("5.1.1 {because}")),
        Exit::Usage => one(501, &format!("5.5.4 {because}")),
        Exit::TempFail => one(450, &format!("4.2.0 {because}")),
        _ => one(451, &format!("4.3.0 {because}")),
    }
}

fn missing(short: &Short) -> Error {
    super::missing(short)
}

fn one<'a>(code: u16, text: &str) -> Lines<'a> {
    Box::new(iter::once(format!("{code} {text}")))
}

fn last<'a>(value: &impl Serialize) -> Lines<'a> {
    one(250, &line(value))
}

/// JSON in one line; nothing in it can end it.
fn line(value: &impl Serialize) -> String {
    String::from_utf8_lossy(&out::line(value)).trim_end().to_owned()
}
