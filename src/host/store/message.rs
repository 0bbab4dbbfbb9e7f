//! How is a stored message given out, block by block, in the form that the server wants? (RFC 5321 4.5.2, 6152)

use std::io;

use super::{CHUNK, hold::Hold};
use crate::{
    error::{Error, Exit},
    mail::{
        content::{Content, Facts, Form},
        message::Completed,
        mime::{Plan, Recoder, Refused, Survey},
        scan::{LONGEST_LINE, Tally},
    },
    smtp::wire::{CrlfNormaliser, HELD},
};

/// Less room than this is not worth a piece of body of its own: the block is handed out.
const CROWDED: usize = 1024;

/// A message that may be sent: its completed header, and its body where it was stored.
#[derive(Debug)]
pub struct Message {
    /// The header and the empty line behind it.
    head: Vec<u8>,
    body: Hold,
    tally: Tally,
    facts: Facts,
    /// It says what its content is; else a NUL in it is noise.
    typed: bool,
    /// The first pass over a message that has to be re-encoded.
    plan: Option<Plan>,
    /// Octets of the re-encoded message in each form.
    sizes: [Option<u64>; 2],
    cursor: Cursor,
}

/// How far it has been said.
#[derive(Debug, Default)]
struct Cursor {
    head: usize,
    body: u64,
    writer: Writer,
    /// What has been made and did not fit, and how much of it has been given out.
    spare: Vec<u8>,
    given: usize,
    /// The source is used up.
    over: bool,
    /// Octets given out, and how many have to be.
    sent: u64,
    size: u64,
}

enum Writer {
    /// Line ends only.
    Plain(CrlfNormaliser),
    Recoder(Box<Recoder>),
}

impl Default for Writer {
    fn default() -> Self {
        Self::Plain(CrlfNormaliser::default())
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Recoder(_) => "Recoder",
        })
    }
}

impl Message {
    /// Puts header and body together; a message that can't go as it is is re-encoded once, to know its size.
    pub(super) fn new(header: Completed, tally: Tally, body: Hold) -> Result<Self, Error> {
        let mut head = header.text;
        head.extend_from_slice(b"\r\n");
        let eight_bit = header.eight_bit || tally.eight_bit;
        let facts = Facts { size: head.len() as u64 + tally.size, eight_bit, tls_waived: header.tls_waived };
        let cursor = Cursor { size: facts.size, ..Cursor::default() };
        let mut message = Self { head, body, tally, facts, typed: header.typed, plan: None, sizes: [None; 2], cursor };
        if message.must_recode(Form::EightBit) {
            message.prepare().map_err(|e| match e.kind() {
                io::ErrorKind::InvalidData => Error::new(Exit::DataErr, "making the message fit for SMTP", e.to_string())
                    .hint("a line holds at most 998 octets (RFC 5321 4.5.3.1.6); break the lines before you sign"),
                _ => Error::new(Exit::IoErr, "reading the message again", e.to_string()),
            })?;
        }
        Ok(message)
    }

    /// The completed header, without the empty line.
    pub fn header(&self) -> &[u8] {
        self.head.strip_suffix(b"\r\n").unwrap_or(&self.head)
    }

    /// What the body held before anything was done to it.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn must_recode(&self, form: Form) -> bool {
        self.tally.longest > LONGEST_LINE || (form == Form::SevenBit && self.facts.eight_bit) || (self.tally.nuls > 0 && self.typed)
    }

    /// Re-encodes as far as that is always needed, for the facts.
    fn prepare(&mut self) -> io::Result<()> {
        let mut eight_bit = false;
        let size = self.measure(Form::EightBit, |block| eight_bit |= !block.is_ascii())?;
        self.facts = Facts { size, eight_bit, ..self.facts };
        self.rewind(Form::EightBit).map(drop)
    }

    /// Goes through the whole message in `form` and says how long it is then.
    fn measure(&mut self, form: Form, mut look: impl FnMut(&[u8])) -> io::Result<u64> {
        let mut recoder = self.recoder(form)?;
        let (mut out, mut size) = (Vec::new(), 0);
        self.each_chunk(|chunk| {
            recoder.feed(chunk, &mut out)?;
            look(&out);
            size += out.len() as u64;
            out.clear();
            Ok(())
        })?;
        recoder.finish(&mut out).map_err(refusal)?;
        look(&out);
        size += out.len() as u64;
        self.sizes[form as usize] = Some(size);
        Ok(size)
    }

    /// The second pass; with the first one before it, where that has not been done.
    fn recoder(&mut self, form: Form) -> io::Result<Recoder> {
        let plan = if let Some(plan) = self.plan.take() {
            plan
        } else {
            let mut survey = Survey::new();
            self.each_chunk(|chunk| {
                survey.feed(chunk);
                Ok(())
            })?;
            survey.finish().map_err(refusal)?
        };
        let recoder = Recoder::new(plan.clone(), form);
        self.plan = Some(plan);
        Ok(recoder)
    }

    /// Shows the header and the body as they are stored.
    fn each_chunk(&mut self, mut show: impl FnMut(&[u8]) -> Result<(), Refused>) -> io::Result<()> {
        for chunk in self.head.chunks(CHUNK) {
            show(chunk).map_err(refusal)?;
        }
        let mut position = 0;
        loop {
            // In memory a chunk may be the whole of it; smaller pieces keep what is made of them small.
            let mut pieces = self.body.chunk(position)?.chunks(CHUNK).peekable();
            if pieces.peek().is_none() {
                return Ok(());
            }
            for piece in pieces {
                position += piece.len() as u64;
                show(piece).map_err(refusal)?;
            }
        }
    }
}

impl Content for Message {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn rewind(&mut self, form: Form) -> io::Result<u64> {
        let (writer, size) = if self.must_recode(form) {
            let size = match self.sizes[form as usize] {
                Some(size) => size,
                None => self.measure(form, |_| ())?,
            };
            (Writer::Recoder(Box::new(self.recoder(form)?)), size)
        } else {
            (Writer::default(), self.head.len() as u64 + self.tally.size)
        };
        self.cursor = Cursor { writer, size, ..Cursor::default() };
        Ok(size)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        let Self { head, body, cursor, .. } = self;
        let begin = out.len();
        if limit == 0 {
            return Ok(false);
        }
        loop {
            cursor.give(out, limit - (out.len() - begin));
            let made = out.len() - begin;
            let sent = cursor.sent + made as u64;
            let spare = cursor.spare.len() - cursor.given;
            let over = cursor.over && spare == 0;
            if sent + spare as u64 > cursor.size || (over && sent < cursor.size) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the input file changed while it was being sent"));
            }
            let full = spare > 0 || (made > 0 && limit - made < CROWDED && sent < cursor.size);
            if over || full {
                cursor.sent = sent;
                return Ok(over);
            }
            cursor.step(head, body, out, limit - made)?;
        }
    }
}

impl Cursor {
    /// Gives out what is waiting, as far as there is room.
    fn give(&mut self, out: &mut Vec<u8>, room: usize) {
        let waiting = &self.spare[self.given..];
        let given = waiting.len().min(room);
        out.extend_from_slice(&waiting[..given]);
        self.given += given;
    }

    /// Makes a piece: into `out` where it is sure to fit into `room`, else into the spare buffer, which is empty.
    fn step(&mut self, head: &[u8], body: &mut Hold, out: &mut Vec<u8>, room: usize) -> io::Result<()> {
        self.spare.clear();
        self.given = 0;
        let in_head = self.head < head.len();
        let source = if in_head { &head[self.head..] } else { body.chunk(self.body)? };
        let (taken, over) = match &mut self.writer {
            Writer::Plain(_) if in_head => {
                let taken = source.len().min(room);
                out.extend_from_slice(&source[..taken]);
                (taken, false)
            }
            Writer::Plain(normaliser) if source.is_empty() => {
                normaliser.finish(&mut self.spare);
                (0, true)
            }
            Writer::Plain(normaliser) if room > CROWDED => {
                let taken = source.len().min((room - HELD) / 2);
                normaliser.feed(&source[..taken], out);
                (taken, false)
            }
            Writer::Plain(normaliser) => {
                let taken = source.len().min(CROWDED);
                normaliser.feed(&source[..taken], &mut self.spare);
                (taken, false)
            }
            Writer::Recoder(recoder) if source.is_empty() => {
                recoder.finish(&mut self.spare).map_err(refusal)?;
                (0, true)
            }
            Writer::Recoder(recoder) => {
                let taken = source.len().min(CHUNK / 4);
                recoder.feed(&source[..taken], &mut self.spare).map_err(refusal)?;
                (taken, false)
            }
        };
        self.over = over;
        if in_head {
            self.head += taken;
        } else {
            self.body += taken as u64;
        }
        Ok(())
    }
}

fn refusal(Refused(why): Refused) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the message can't be re-encoded: {why}"))
}
