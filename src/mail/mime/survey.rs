//! What is in each entity of a message, and what does that ask for? (RFC 2045 6.2)

use super::{
    MOST_ENTITIES, Refused,
    entity::{Coding, Fields, Kind},
    walk::{Visitor, Walker},
};
use crate::mail::{content::Form, find, scan::LONGEST_LINE};

/// The first pass.
pub struct Survey(Walker<Notes>);

/// What the first pass found: all that the second one has to know beforehand.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    entities: Vec<Entity>,
    /// The whole content is valid UTF-8; only for a message of one entity.
    utf8: bool,
}

/// One entity, in the order of their headers.
#[derive(Clone, Copy, Debug)]
struct Entity {
    sealed: bool,
    /// `None`: it holds other entities.
    leaf: Option<Leaf>,
    content: Found,
}

#[derive(Clone, Copy, Debug)]
struct Leaf {
    text: bool,
    coding: Coding,
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    long: bool,
    eight_bit: bool,
    nul: bool,
}

/// What is done with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Keep,
    /// Its Content-Transfer-Encoding goes: what it holds is 7bit now.
    Unlabel,
    /// Its content becomes quoted-printable.
    Encode { nuls: bool },
    /// Its quoted-printable is made right.
    Mend,
    /// Its base64 is wrapped.
    Wrap,
}

impl Survey {
    /// At the start of a message, its completed header first.
    pub fn new() -> Self {
        Self(Walker::new(Notes { plan: Plan { utf8: true, ..Plan::default() }, line: 0, tail: Vec::new(), refused: None }))
    }

    /// Notes what is in the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.0.feed(chunk);
    }

    /// What was found.
    ///
    /// # Errors
    /// The message has too many parts, or parts that can't be read in bounded memory.
    pub fn finish(mut self) -> Result<Plan, Refused> {
        self.0.finish();
        let mut notes = self.0.into_visitor();
        notes.end_utf8();
        notes.refused.map_or(Ok(notes.plan), Err)
    }
}

impl Default for Survey {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// What to do with entity number `index` so that it may go in `form`.
    pub(super) fn action(&self, index: usize, form: Form) -> Result<Action, Refused> {
        let Some(Entity { sealed, leaf, content }) = self.entities.get(index).copied() else { return Ok(Action::Keep) };
        let seven = form == Form::SevenBit;
        let Some(Leaf { text, coding }) = leaf else {
            return Ok(if seven && !sealed { Action::Unlabel } else { Action::Keep });
        };
        // A NUL in text is noise and goes; in other content it means something, and under a signature everything does.
        let nul = content.nul && (!text || sealed);
        if !(content.long || nul || (seven && content.eight_bit)) {
            return Ok(Action::Keep);
        }
        match coding {
            _ if sealed => Err(Refused("a signed or encrypted part would have to change")),
            Coding::Fixed => Err(Refused("a part has an encoding or a type that does not allow it")),
            Coding::Identity => Ok(Action::Encode { nuls: !text }),
            Coding::QuotedPrintable => Ok(Action::Mend),
            Coding::Base64 => Ok(Action::Wrap),
        }
    }

    /// The charset of content that does not name one.
    pub(super) fn charset(&self) -> &'static str {
        match self.entities.first() {
            Some(entity) if !entity.content.eight_bit => "us-ascii",
            _ if self.utf8 => "utf-8",
            _ => "unknown-8bit",
        }
    }
}

struct Notes {
    plan: Plan,
    /// Octets of the line of content that is being read.
    line: u64,
    /// The start of a UTF-8 sequence that the piece ended in.
    tail: Vec<u8>,
    refused: Option<Refused>,
}

impl Notes {
    /// Follows the UTF-8 of the first entity, across pieces.
    fn check_utf8(&mut self, piece: &[u8]) {
        if !self.plan.utf8 || self.plan.entities.len() > 1 || (self.tail.is_empty() && piece.is_ascii()) {
            return;
        }
        let joined;
        let text = if self.tail.is_empty() {
            piece
        } else {
            joined = [&self.tail[..], piece].concat();
            &joined
        };
        let (valid, tail) = match std::str::from_utf8(text) {
            Ok(_) => (true, Vec::new()),
            Err(e) => (e.error_len().is_none(), text[e.valid_up_to()..].to_vec()),
        };
        self.plan.utf8 = valid;
        self.tail = if valid { tail } else { Vec::new() };
    }

    fn end_utf8(&mut self) {
        self.plan.utf8 &= self.tail.is_empty();
        self.tail.clear();
    }
}

impl Visitor for Notes {
    fn entity(&mut self, sealed: bool) {
        self.end_utf8();
        if self.plan.entities.len() >= MOST_ENTITIES {
            self.refused = self.refused.or(Some(Refused("it has more than 10 000 parts")));
            return;
        }
        self.plan.entities.push(Entity { sealed, leaf: None, content: Found::default() });
    }

    fn header(&mut self, _: &[u8], _: &[u8]) {}

    fn header_end(&mut self, kind: &Kind, _: &Fields, _: bool) {
        if let (Kind::Leaf { text, coding }, Some(entity)) = (kind, self.plan.entities.last_mut()) {
            entity.leaf = Some(Leaf { text: *text, coding: *coding });
        }
    }

    fn leaf(&mut self, piece: &[u8]) {
        self.check_utf8(piece);
        self.line += piece.len() as u64;
        if let Some(Entity { content, .. }) = self.plan.entities.last_mut() {
            content.eight_bit |= !piece.is_ascii();
            content.nul |= find::one(0, piece).is_some();
            content.long |= self.line > LONGEST_LINE;
        }
    }

    fn leaf_end(&mut self) {
        self.end_utf8();
        self.line = 0;
    }

    fn frame(&mut self, _: &[u8]) {}

    fn frame_end(&mut self) {}

    fn refuse(&mut self, why: Refused) {
        self.refused = self.refused.or(Some(why));
    }
}
