//! How is SMTP spoken with a client that may be slow, silent, or gone, when messages go to a clerk? (RFC 5321 4.5.3.2.7)
//!
//! The same for a socket and for standard input and output. Every wait has an end, and a bell ends the waiting of whoever has nothing
//! under way.

use std::{
    collections::VecDeque,
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::smtp::server::{Action, Answer, Query, Server, Stored, Transaction};

/// Octets that are read at once.
const PIECE: usize = 16 << 10;
/// Octets that are written at once: a pipe takes them whole.
const MOST_WRITTEN: usize = 4096;

/// Who does what a dialogue wants.
pub trait Clerk {
    /// Answers a query; lines of an answer that has several are said at once.
    ///
    /// # Errors
    /// The client does not take them.
    fn ask(&mut self, query: Query, say: &mut dyn FnMut(Vec<String>) -> io::Result<()>) -> io::Result<Answer>;
    /// A message begins.
    fn begin(&mut self, transaction: Transaction);
    /// A piece of it.
    fn body(&mut self, piece: &[u8]);
    /// It is not to be kept.
    fn discard(&mut self);
    /// It is whole: when this says that it is kept, it is safe.
    fn deliver(&mut self) -> Stored;
}

/// The two ends of a conversation. Where they don't block, no write waits longer than it may.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What the client says.
    pub input: BorrowedFd<'a>,
    /// What it hears.
    pub output: BorrowedFd<'a>,
    /// Readable when conversations are to end.
    pub bell: Option<BorrowedFd<'a>>,
    /// How long it may take.
    pub patience: Patience,
    /// A reply leaves before anything else is done; else those leave together whose commands came together.
    pub at_once: bool,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From a reply to the end of the next command; in a message, from one octet to the next.
    pub command: Duration,
    /// For a whole message, from DATA or BDAT on.
    pub message: Duration,
    /// To take a reply.
    pub reply: Duration,
    /// To finish its message when the bell has rung.
    pub farewell: Duration,
}

impl Patience {
    /// Who started us may take all the time there is.
    pub const ENDLESS: Self =
        Self { command: Duration::MAX, message: Duration::MAX, reply: Duration::MAX, farewell: Duration::MAX };
}

impl Default for Patience {
    /// Five minutes a command (RFC 5321 4.5.3.2.7), half an hour a message.
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self { command: minutes(5), message: minutes(30), reply: minutes(1), farewell: Duration::from_secs(30) }
    }
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the dialogue wanted it.
    Closed,
    /// The client left without a word; in the middle of a message, or not.
    Left {
        /// A message was under way.
        busy: bool,
    },
    /// It took too long.
    Late,
    /// The bell rang.
    Rung,
}

/// Why a conversation could not go on.
#[derive(Debug)]
pub struct Broken {
    /// Which end of the line it was.
    pub side: Side,
    /// What the system said.
    pub error: io::Error,
    busy: bool,
}

/// An end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the client says can't be read.
    Input,
    /// What it is to hear can't be written.
    Output,
}

impl Broken {
    /// A client that hung up has left, at whichever end that showed.
    ///
    /// # Errors
    /// It was something else.
    pub fn left(self) -> Result<Ending, io::Error> {
        match self.error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(Ending::Left { busy: self.busy }),
            _ => Err(self.error),
        }
    }
}

/// Speaks with a client until one of the two ends it.
///
/// # Errors
/// The client can't be read from or written to.
pub fn converse(line: &Line<'_>, server: Server, clerk: &mut dyn Clerk) -> Result<Ending, Broken> {
    let mut talk = Talk { line: *line, server, clerk, said: Vec::new(), is_over: false };
    let ended = talk.run();
    // A message that began goes with its conversation.
    talk.clerk.discard();
    ended.map_err(|(side, error)| Broken { side, error, busy: talk.server.is_busy() })
}

struct Talk<'a, 'c> {
    line: Line<'a>,
    server: Server,
    clerk: &'c mut dyn Clerk,
    /// Replies that leave together.
    said: Vec<u8>,
    is_over: bool,
}

/// What there was to wait for.
enum Woken {
    Readable,
    Rung,
    Late,
}

impl Talk<'_, '_> {
    fn run(&mut self) -> Result<Ending, (Side, io::Error)> {
        let (unheard, unsaid) = (|error| (Side::Input, error), |error| (Side::Output, error));
        let actions = self.server.greet();
        self.perform(actions).map_err(unsaid)?;
        let mut piece = vec![0; PIECE];
        let (mut since, mut begun) = (Instant::now(), None);
        let mut last_call = None;
        while !self.is_over {
            let busy = self.server.is_busy();
            if last_call.is_some() && !busy {
                self.dismiss("421 4.3.2 the service is stopping");
                return Ok(Ending::Rung);
            }
            let ends = begun.filter(|_| busy).and_then(|begun: Instant| begun.checked_add(self.line.patience.message));
            let until = [since.checked_add(self.line.patience.command), ends, last_call].into_iter().flatten().min();
            let bell = self.line.bell.filter(|_| last_call.is_none());
            match wait(self.line.input, PollFlags::IN, bell, until).map_err(unheard)? {
                Woken::Rung => last_call = Instant::now().checked_add(self.line.patience.farewell),
                Woken::Late => {
                    self.dismiss("421 4.4.2 that took too long");
                    return Ok(Ending::Late);
                }
                Woken::Readable => {
                    let length = match rustix::io::read(self.line.input, &mut piece[..]) {
                        // Standard streams may be open the other way only: nobody speaks there, and nobody listens.
                        Ok(0) | Err(Errno::BADF) => return Ok(Ending::Left { busy }),
                        Ok(length) => length,
                        Err(Errno::INTR | Errno::AGAIN) => continue,
                        Err(error) => return Err(unheard(error.into())),
                    };
                    let actions = self.server.receive(piece.get(..length).unwrap_or_default());
                    // Half a command does not buy time, and no number of octets makes a message last longer.
                    if !actions.is_empty() {
                        since = Instant::now();
                    }
                    self.perform(actions).map_err(unsaid)?;
                    begun = if self.server.is_busy() { begun.or(Some(since)) } else { None };
                }
            }
        }
        Ok(Ending::Closed)
    }

    fn dismiss(&mut self, reply: &str) {
        let actions = self.server.dismiss(reply);
        // Whoever is late may be gone too.
        let _ = self.perform(actions);
    }

    /// Does the actions, and those that follow from them.
    fn perform(&mut self, actions: Vec<Action>) -> io::Result<()> {
        let mut actions: VecDeque<Action> = actions.into();
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Say(octets) => self.said.extend_from_slice(&octets),
                Action::Ask(query) => actions.extend(self.ask(query)?),
                Action::Begin(transaction) => self.clerk.begin(*transaction),
                Action::Body(piece) => self.clerk.body(&piece),
                Action::Discard => self.clerk.discard(),
                Action::Deliver { .. } => {
                    let stored = self.clerk.deliver();
                    actions.extend(self.server.stored(&stored));
                }
                // The last three are not offered, or faults that nobody asked for.
                Action::Close | Action::Handshake | Action::Flood(_) | Action::Stall => self.is_over = true,
            }
            if self.line.at_once || self.said.len() >= MOST_WRITTEN {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn ask(&mut self, query: Query) -> io::Result<Vec<Action>> {
        let Self { line, server, clerk, said, .. } = self;
        let mut say = |lines: Vec<String>| {
            for action in server.answered(Answer::Lines(lines)) {
                if let Action::Say(octets) = action {
                    said.extend_from_slice(&octets);
                }
            }
            if said.len() >= MOST_WRITTEN {
                write(line, &std::mem::take(said))?;
            }
            Ok(())
        };
        let answer = clerk.ask(query, &mut say)?;
        Ok(server.answered(answer))
    }

    fn flush(&mut self) -> io::Result<()> {
        write(&self.line, &std::mem::take(&mut self.said))
    }
}

fn write(line: &Line<'_>, mut rest: &[u8]) -> io::Result<()> {
    let until = Instant::now().checked_add(line.patience.reply);
    while !rest.is_empty() {
        match rustix::io::write(line.output, &rest[..rest.len().min(MOST_WRITTEN)]) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::BADF) => return Ok(()),
            Err(Errno::AGAIN) => {
                if let Woken::Late = wait(line.output, PollFlags::OUT, None, until)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for `what` of `fd`, for the bell, or for the time.
fn wait(fd: BorrowedFd<'_>, what: PollFlags, bell: Option<BorrowedFd<'_>>, until: Option<Instant>) -> io::Result<Woken> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::from_borrowed_fd(fd, what)];
        fds.extend(bell.map(|bell| PollFd::from_borrowed_fd(bell, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(Woken::Late),
            // What was said before the bell rang is looked at first, for it may end a message.
            Ok(_) if fds.first().is_some_and(|fd| !fd.revents().is_empty()) => return Ok(Woken::Readable),
            Ok(_) => return Ok(Woken::Rung),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
