//! How does standard input become a message that can be said any number of times, in constant memory? (sendmail(8))

mod hold;
mod input;
mod message;

use std::path::PathBuf;

use self::hold::Hold;
pub use self::{
    input::{Input, drain},
    message::Message,
};
use crate::{
    error::{Error, Exit},
    mail::{
        header::{Field, Header, LARGEST, Opening},
        message::{Completion, complete},
        scan::{Scan, Tally},
    },
};

/// What is read in one go.
const CHUNK: usize = 64 << 10;

/// What is read first: most mail is smaller, and each page of a buffer costs 0.001 ms or more when it is first touched.
const FIRST: usize = 4 << 10;

/// What may be thrown away behind a message that was refused, so that its writer ends by itself: not for ever.
const MOST_DRAINED: u64 = 1 << 30;

/// How a message is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest message in octets, as stored and as said.
    pub limit: u64,
    /// `-i`: a line that is a lone dot is always text.
    pub ignore_dots: bool,
    /// `$TMPDIR`, tried before /var/tmp and /tmp for what does not stay in memory.
    pub temp_dir: Option<PathBuf>,
}

/// Reads a message whole.
#[derive(Debug)]
pub struct Intake {
    limit: u64,
    dots: Dots,
    /// Octets taken so far.
    taken: u64,
    opening: Option<Opening>,
    header: Header,
    scan: Scan,
    hold: Hold,
}

/// What a line that is a lone dot means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dots {
    /// Text.
    Text,
    /// Text, unless it is the very last line: then nothing.
    DropLast,
    /// The end of the message: a person types it.
    End,
}

/// A message as it was given, its header not yet completed.
#[derive(Debug)]
pub struct Draft {
    header: Header,
    tally: Tally,
    hold: Hold,
}

impl Intake {
    /// Reads `input` to its end, or to a lone dot where a person types.
    ///
    /// # Errors
    /// `EX_DATAERR`: larger than the limit, or a header over 1 MiB (what follows is read and thrown away); `EX_NOINPUT`:
    /// the input is closed; `EX_IOERR`: it can't be read; `EX_TEMPFAIL`: there is no room to keep it.
    pub fn read(mut input: Input<'_>, options: &Options) -> Result<Draft, Error> {
        let dots = match options.ignore_dots {
            true => Dots::Text,
            false if input.is_terminal() => Dots::End,
            false => Dots::DropLast,
        };
        let hold = input.in_place().map_or_else(|| Hold::memory(options.temp_dir.clone()), Hold::file);
        let mut intake = Self { dots, hold, ..Self::new(options) };
        let mut buffer = vec![0; FIRST];
        loop {
            let length = input.read(&mut buffer)?;
            let more = match buffer.get(..length) {
                None | Some([]) => false,
                Some(chunk) => intake.push(chunk).inspect_err(|_| input.drain(&mut buffer, MOST_DRAINED))?,
            };
            if !more {
                return intake.finish();
            }
            if length == buffer.len() {
                buffer.resize(CHUNK, 0);
            }
        }
    }

    /// A message of which nothing came yet, for who is handed it piece by piece.
    pub fn new(options: &Options) -> Self {
        Self {
            limit: options.limit,
            dots: if options.ignore_dots { Dots::Text } else { Dots::DropLast },
            taken: 0,
            opening: Some(Opening::default()),
            header: Header::default(),
            scan: Scan::default(),
            hold: Hold::memory(options.temp_dir.clone()),
        }
    }

    /// Takes a chunk in; false when the message is over, which only a person at a terminal can say.
    ///
    /// # Errors
    /// As [`Intake::read`]; nothing more is to be pushed then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<bool, Error> {
        self.taken += chunk.len() as u64;
        let more = match self.opening.as_mut().map(|opening| opening.push(chunk)) {
            None => self.body(chunk)?,
            Some(Ok(None)) => true,
            Some(Ok(Some(start))) => self.open(start.header, start.body)?,
            Some(Err(_)) => {
                return Err(Error::new(
                    Exit::DataErr,
                    "reading the message",
                    format!("its header is larger than {LARGEST} octets"),
                )
                .hint("an empty line ends the header; is it missing?"));
            }
        };
        self.check_size()?;
        Ok(more)
    }

    fn check_size(&self) -> Result<(), Error> {
        if self.taken.max(self.scan.size()) <= self.limit {
            return Ok(());
        }
        let because = format!("it is larger than {} octets", self.limit);
        Err(Error::new(Exit::DataErr, "reading the message", because)
            .hint("raise message_size under [limits] in the configuration, or send less"))
    }

    /// The header is known; what was collected behind it is body.
    fn open(&mut self, header: Header, body: usize) -> Result<bool, Error> {
        self.header = header;
        let raw = self.opening.take().map(Opening::into_raw).unwrap_or_default();
        self.hold.skip(body as u64);
        self.body(&raw[body..])
    }

    fn body(&mut self, chunk: &[u8]) -> Result<bool, Error> {
        if self.dots != Dots::End {
            self.scan.feed(chunk);
            self.hold.append(chunk)?;
            return Ok(true);
        }
        for line in chunk.split_inclusive(|c| *c == b'\n') {
            self.scan.feed(line);
            self.hold.append(line)?;
            if self.scan.last_dot().is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All of it came.
    ///
    /// # Errors
    /// As [`Intake::read`].
    pub fn finish(mut self) -> Result<Draft, Error> {
        if let Some(opening) = &mut self.opening {
            let start = opening.finish();
            self.open(start.header, start.body)?;
            self.check_size()?;
        }
        let mut tally = self.scan.finish();
        if self.dots != Dots::Text
            && let Some(end) = tally.drop_last_dot()
        {
            self.hold.truncate(end);
        }
        Ok(Draft { header: self.header, tally, hold: self.hold })
    }
}

impl Draft {
    /// The fields of the header as it was given, for `-t`.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.header.fields()
    }

    /// What the body holds, for the log: lone dots, NULs, bare CRs.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether there was nothing at all.
    pub fn is_empty(&self) -> bool {
        self.header.is_empty() && self.tally.size == 0
    }

    /// A message that was completed before, and is only re-encoded where it must be.
    ///
    /// # Errors
    /// As [`Draft::complete`].
    pub fn as_it_is(self) -> Result<Message, Error> {
        let nothing = String::new;
        self.complete(&Completion {
            trace: None,
            date: &nothing,
            message_id: &nothing,
            from: &nothing,
            authority: None,
            qualify: &|_| None,
            unstructured: &str::to_owned,
            phrase: &str::to_owned,
            gateway: true,
        })
    }

    /// Makes it a message that may be sent.
    ///
    /// # Errors
    /// `EX_DATAERR`: the header can't be sent, or a line of a signed part is too long; `EX_IOERR`: the store can't be read.
    pub fn complete(self, completion: &Completion<'_>) -> Result<Message, Error> {
        let header = complete(&self.header, completion)?;
        Message::new(header, self.tally, self.hold)
    }
}

#[cfg(test)]
mod tests;
