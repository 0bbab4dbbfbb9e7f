//! Which line of a message belongs to which entity? (RFC 2046 5.1, 5.2)

use super::{
    DEEPEST, Refused,
    entity::{Fields, Kind, LONGEST_BOUNDARY},
};
use crate::mail::{
    header::split_name,
    lines::{Sink, Splitter},
};

/// Octets at the start of a line that are looked at before the line is passed on: more than any boundary line, and the 5 that
/// the encoder wants.
const HEAD: usize = LONGEST_BOUNDARY + 28;

/// The longest line in the header of an entity.
const LONGEST_HEADER_LINE: usize = 64 << 10;

/// Who listens to a [`Walker`].
pub(super) trait Visitor {
    /// An entity begins, its header first; `sealed`: a signature or the like covers it.
    fn entity(&mut self, sealed: bool);
    /// A line of its header; `name` is that of the field, for its folds too.
    fn header(&mut self, name: &[u8], line: &[u8]);
    /// Its header is over; `empty`: by an empty line, which belongs to it.
    fn header_end(&mut self, kind: &Kind, fields: &Fields, empty: bool);
    /// A piece of a line of content; the first piece of a line is all of it, or at least 5 octets.
    fn leaf(&mut self, piece: &[u8]);
    /// A line of content is over.
    fn leaf_end(&mut self);
    /// A piece of a line between entities: boundary, preamble, epilogue.
    fn frame(&mut self, piece: &[u8]);
    /// A line between entities is over.
    fn frame_end(&mut self);
    /// The message can't be understood.
    fn refuse(&mut self, why: Refused);
}

/// Walks through a message in chunks, in bounded memory.
pub(super) struct Walker<V> {
    splitter: Splitter,
    inner: Inner<V>,
}

struct Inner<V> {
    visitor: V,
    /// The multiparts around the line that is being read, outermost first.
    around: Vec<Around>,
    place: Place,
    /// Nesting of the entity that is being read.
    depth: usize,
    /// Start of a line, or all of a header line.
    head: Vec<u8>,
    /// The start of the line has been passed on.
    passed: bool,
}

/// A multipart that is open.
struct Around {
    boundary: Vec<u8>,
    digest: bool,
    sealed: bool,
    depth: usize,
}

enum Place {
    Header { fields: Fields, name: Vec<u8>, message: bool },
    Leaf,
    Frame,
}

impl<V: Visitor> Walker<V> {
    /// At the start of a message.
    pub(super) fn new(visitor: V) -> Self {
        let mut inner = Inner { visitor, around: Vec::new(), place: Place::Frame, depth: 0, head: Vec::new(), passed: false };
        inner.begin(false);
        Self { splitter: Splitter::default(), inner }
    }

    /// Goes through the next chunk.
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.splitter.feed(chunk, &mut self.inner);
    }

    /// The message is over.
    pub(super) fn finish(&mut self) {
        self.splitter.finish(&mut self.inner);
        if self.inner.passed || !self.inner.head.is_empty() {
            self.inner.end(0);
        }
        if matches!(self.inner.place, Place::Header { .. }) {
            self.inner.end_header(false);
        }
    }

    /// Who listens.
    pub(super) fn visitor(&mut self) -> &mut V {
        &mut self.inner.visitor
    }

    /// Who listened.
    pub(super) fn into_visitor(self) -> V {
        self.inner.visitor
    }
}

impl<V: Visitor> Sink for Inner<V> {
    fn text(&mut self, piece: &[u8]) {
        if self.passed {
            self.pass(piece);
            return;
        }
        self.head.extend_from_slice(piece);
        match self.place {
            Place::Header { .. } if self.head.len() > LONGEST_HEADER_LINE => {
                self.visitor.refuse(Refused("the header of a part has a line over 64 KiB"));
                self.head.truncate(LONGEST_HEADER_LINE);
            }
            Place::Header { .. } => {}
            _ if self.head.len() >= HEAD => self.pass_head(),
            _ => {}
        }
    }

    fn end(&mut self, _: usize) {
        if self.passed {
            self.end_line();
            return;
        }
        let line = std::mem::take(&mut self.head);
        self.whole_line(&line);
        self.head = line;
        self.head.clear();
    }

    fn nul(&mut self) {
        if matches!(self.place, Place::Leaf) {
            self.text(&[0]);
        }
    }
}

impl<V: Visitor> Inner<V> {
    fn whole_line(&mut self, line: &[u8]) {
        if self.boundary(line) {
            return;
        }
        if matches!(self.place, Place::Header { .. }) {
            self.header_line(line);
            return;
        }
        if !line.is_empty() {
            self.pass(line);
        }
        self.end_line();
    }

    fn pass(&mut self, piece: &[u8]) {
        match self.place {
            Place::Leaf => self.visitor.leaf(piece),
            _ => self.visitor.frame(piece),
        }
    }

    fn pass_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            self.pass(&head);
        }
        self.head = head;
        self.head.clear();
        self.passed = true;
    }

    fn end_line(&mut self) {
        match self.place {
            Place::Leaf => self.visitor.leaf_end(),
            _ => self.visitor.frame_end(),
        }
        self.passed = false;
    }

    fn begin(&mut self, message: bool) {
        let sealed = self.around.last().is_some_and(|a| a.sealed);
        self.visitor.entity(sealed);
        self.place = Place::Header { fields: Fields::default(), name: Vec::new(), message };
    }

    /// Whether the line is the boundary of an open multipart; if so, goes where it leads.
    fn boundary(&mut self, line: &[u8]) -> bool {
        let Some(text) = line.strip_prefix(b"--") else { return false };
        let text = text.trim_ascii_end();
        let last = |around: &Around| text.strip_suffix(b"--").is_some_and(|t| t == around.boundary);
        let Some(at) = self.around.iter().rposition(|a| text == a.boundary || last(a)) else { return false };
        if matches!(self.place, Place::Header { .. }) {
            self.end_header(false);
        }
        let next = text == self.around[at].boundary;
        self.around.truncate(at + 1);
        self.place = Place::Frame;
        self.visitor.frame(line);
        self.visitor.frame_end();
        if next {
            self.depth = self.around[at].depth + 1;
            self.begin(self.around[at].digest);
        } else {
            self.around.truncate(at);
        }
        true
    }

    fn header_line(&mut self, line: &[u8]) {
        let Place::Header { fields, name, .. } = &mut self.place else { return };
        if line.is_empty() {
            self.end_header(true);
            return;
        }
        let fold = matches!(line, [b' ' | b'\t', ..]) && !name.is_empty();
        let value = if fold {
            line
        } else if let Some((found, value)) = split_name(line) {
            name.clear();
            name.extend_from_slice(&found.to_ascii_lowercase());
            value
        } else {
            // No empty line, but what follows can't be header: it is content, or the first boundary.
            self.end_header(false);
            self.whole_line(line);
            return;
        };
        let kept = match &name[..] {
            b"content-type" => Some(&mut fields.content_type),
            b"content-transfer-encoding" => Some(&mut fields.encoding),
            _ => None,
        };
        match kept {
            // Of two fields the first counts.
            Some(Some(text)) if fold && text.len() + value.len() <= LONGEST_HEADER_LINE => text.extend_from_slice(value),
            Some(slot @ None) => *slot = Some(value.to_vec()),
            _ => {}
        }
        self.visitor.header(name, line);
    }

    fn end_header(&mut self, empty: bool) {
        let Place::Header { fields, message, .. } = std::mem::replace(&mut self.place, Place::Leaf) else { return };
        let kind = fields.kind(message, self.depth >= DEEPEST);
        self.visitor.header_end(&kind, &fields, empty);
        match kind {
            Kind::Leaf { .. } => {}
            Kind::Message => {
                self.depth += 1;
                self.begin(false);
            }
            Kind::Multipart { boundary, digest, sealed } => {
                let sealed = sealed || self.around.last().is_some_and(|a| a.sealed);
                self.around.push(Around { boundary, digest, sealed, depth: self.depth });
                self.place = Place::Frame;
            }
        }
    }
}
