//! How is SMTP spoken on standard input and output, for programs that know no other way? (sendmail(8) `-bs`; RFC 5321)

use std::{
    collections::BTreeSet,
    io::{self, Read as _, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Instant,
};

use super::{Desk, Ready};
use crate::{
    cmd::{
        caller::complain,
        reception::{self, Host, Moment, Parcel, Reception, Refusal},
    },
    error::{Error, Exit},
    host::{
        config::Config,
        converse::{Broken, Clerk, Ending, Line, Patience, Side, converse},
        net::Link,
    },
    smtp::server::{Answer, Query, Server, Settings, Stored, Transaction},
};

/// Octets that are read at once.
const PIECE: usize = 16 << 10;

/// Most recipients of one message; RFC 5321 4.5.3.1.8 asks for 100.
const RECIPIENTS: usize = 10_000;

/// The service speaks, and we carry: it knows who we are, and its 250 means the same.
///
/// # Errors
/// [`Exit::TempFail`]: the service hung up before the caller did, or before it had answered all.
pub(super) fn by_service(link: Link) -> Result<(), Error> {
    let gone = |error: io::Error| Error::new(Exit::TempFail, "speaking with the service", error.to_string());
    let mut stream = link.into_unix_stream().map_err(gone)?;
    let mut writer = stream.try_clone().map_err(gone)?;
    let (tell, told) = mpsc::channel();
    // It ends with the process: when the service has hung up nothing that the caller still writes is heard.
    let carrier = thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut said = Said::default();
        if carry(&mut writer, &mut said).is_ok() {
            let _ = tell.send(said);
        }
        let _ = writer.shutdown(std::net::Shutdown::Write);
    });
    carrier.map_err(gone)?;
    let mut piece = vec![0; PIECE];
    let mut heard = Heard::default();
    loop {
        match stream.read(&mut piece).map_err(gone)? {
            0 if is_over(&heard, told.try_recv().ok().as_ref()) => return Ok(()),
            0 => return Err(gone(io::Error::other("the service hung up"))),
            length => {
                heard.read(&piece[..length]);
                say(&piece[..length])?;
            }
        }
    }
}

/// Carries what the caller says to the service, until it has said all.
fn carry(to: &mut impl io::Write, said: &mut Said) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match io::stdin().lock().read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                said.read(&piece[..length]);
                to.write_all(&piece[..length])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether all was answered when the service hung up: whoever reads our exit code alone is not to believe it otherwise. `said` is what a
/// caller said who has said all. It may have said all at once, QUIT last; then only the answer to that proves it. Who says no QUIT is hung
/// up on when its words have ended, but not in the middle of a message, nor before the end of each had its reply, nor with a 421.
fn is_over(heard: &Heard, said: Option<&Said>) -> bool {
    let is_open = || heard.line.is_empty() || ["354", "421"].iter().any(|code| heard.line.begins_with(code));
    let is_unheard = |said: &Said| heard.line.begins_with("220") && !said.line.is_empty();
    let is_answered = |said: &Said| !said.line.begins_with("quit") && !said.has_chunks && said.ends <= heard.ends;
    heard.line.begins_with("221") || said.is_some_and(|said| is_answered(said) && !is_unheard(said) && !is_open())
}

/// What the service said.
#[derive(Debug, Default)]
struct Heard {
    line: LastLine,
    /// Replies that came behind a 354.
    ends: usize,
    is_invited: bool,
}

impl Heard {
    fn read(&mut self, octets: &[u8]) {
        self.line.read(octets, |line| {
            let was_invited = std::mem::replace(&mut self.is_invited, line.starts_with(b"354"));
            self.ends += usize::from(was_invited && !self.is_invited);
        });
    }
}

/// What the caller said.
#[derive(Debug, Default)]
struct Said {
    line: LastLine,
    /// Lines with a dot alone: ends of messages.
    ends: usize,
    /// BDAT was said: which lines of such a dialogue are commands can't be seen from here.
    has_chunks: bool,
}

impl Said {
    fn read(&mut self, octets: &[u8]) {
        self.line.read(octets, |line| {
            self.ends += usize::from(line == b".");
            self.has_chunks |= line == b"bdat";
        });
    }
}

/// The first octets of the last line that was said, in lower case.
#[derive(Debug, Default)]
struct LastLine {
    start: Vec<u8>,
    is_ended: bool,
}

impl LastLine {
    /// Has each line looked at when it ends.
    fn read(&mut self, octets: &[u8], mut look: impl FnMut(&[u8])) {
        for octet in octets {
            if self.is_ended {
                self.start.clear();
            }
            self.is_ended = *octet == b'\n';
            if self.start.len() < b"quit".len() && !octet.is_ascii_whitespace() {
                self.start.push(octet.to_ascii_lowercase());
            }
            if self.is_ended {
                look(&self.start);
            }
        }
    }

    fn begins_with(&self, start: &str) -> bool {
        self.start.starts_with(start.as_bytes())
    }

    /// Nothing was said.
    fn is_empty(&self) -> bool {
        self.start.is_empty()
    }
}

/// We speak: what is taken is sent or queued as any other message of the caller, and 250 says that this is done.
///
/// # Errors
/// Standard input can't be read, or nobody reads standard output.
pub(super) fn ourselves(desk: &Desk<'_>, config: &Config) -> Result<(), Error> {
    let temp_dir = desk.world.env("TMPDIR").map(PathBuf::from);
    let reception = Reception::new(desk.world, config, Host::Caller, temp_dir).named(desk.asked.full_name.as_deref());
    let mut taker = Taker { desk, config, reception, parcel: None };
    let (input, output) = (io::stdin(), io::stdout());
    let line = Line { input: input.as_fd(), output: output.as_fd(), bell: None, patience: Patience::ENDLESS, at_once: true };
    match converse(&line, Server::new(settings(desk, config)), &mut taker) {
        Ok(Ending::Left { busy: true }) => Err(half_said()),
        Ok(Ending::Closed | Ending::Left { busy: false } | Ending::Late | Ending::Rung) => Ok(()),
        Err(Broken { side: Side::Input, error, .. }) => {
            Err(Error::new(Exit::IoErr, "reading SMTP from standard input", error.to_string()))
        }
        Err(Broken { side: Side::Output, error, .. }) => Err(unsaid(&error)),
    }
}

/// Who broke off may be read by somebody who believes that all is well.
fn half_said() -> Error {
    let because = "it ended in the middle of a message: nothing of that was sent";
    Error::new(Exit::TempFail, "reading SMTP from standard input", because)
}

fn settings(desk: &Desk<'_>, config: &Config) -> Settings {
    Settings {
        requiretls: reception::promise(config),
        lone_lf: true,
        hello_first: false,
        consult: true,
        message_size: config.limits.message_size,
        recipients: RECIPIENTS,
        ..Settings::new(desk.world.host_name())
    }
}

/// Takes what the caller hands in.
struct Taker<'a> {
    desk: &'a Desk<'a>,
    config: &'a Config,
    reception: Reception<'a>,
    parcel: Option<Result<Parcel<'a>, Refusal>>,
}

impl Clerk for Taker<'_> {
    fn ask(&mut self, query: Query, _: &mut dyn FnMut(Vec<String>) -> io::Result<()>) -> io::Result<Answer> {
        let refused = |refusal: Refusal| {
            self.desk.log_rejection(&refusal.error, None, &[]);
            Answer::Refused(refusal.reply())
        };
        Ok(match query {
            Query::Sender(transaction) => self.reception.sender(&transaction).map_or_else(refused, |_| Answer::Fine),
            Query::Recipient(recipient) => self.reception.recipient(&recipient).map_or_else(refused, |()| Answer::Fine),
            Query::Queue(_) => Answer::Refused("502 5.5.1 not here".to_owned()),
        })
    }

    fn begin(&mut self, transaction: Transaction) {
        self.parcel = Some(self.reception.begin(&transaction));
    }

    fn body(&mut self, piece: &[u8]) {
        if let Some(Ok(parcel)) = &mut self.parcel {
            parcel.push(piece);
        }
    }

    fn discard(&mut self) {
        self.parcel = None;
    }

    fn deliver(&mut self) -> Stored {
        let nothing = || Refusal::at(Moment::Message, Error::new(Exit::Software, "taking the message", "there is none"));
        let parcel = self.parcel.take().unwrap_or_else(|| Err(nothing()));
        let received = parcel.and_then(|parcel| parcel.finish(&self.reception)).inspect_err(|refusal| {
            self.desk.log_rejection(&refusal.error, None, &[]);
        });
        let sent = received.and_then(|received| {
            let ready = Ready {
                account: received.account,
                asked: received.asked,
                envelope: received.envelope,
                verbatim: BTreeSet::new(),
                message: received.message,
                message_id: received.message_id,
                strays: received.strays,
            };
            let (desk, log) = (self.desk, &self.config.log);
            let desk = Desk { id: received.id, ..Desk::new(desk.world, desk.program, desk.asked, log, Instant::now()) };
            match desk.dispatch(self.config, ready) {
                Ok(()) => Ok(received.id),
                // It is safe, and a person is to know why it waits: the client must not send it again.
                Err(error) if error.exit() == Exit::Ok => {
                    complain(desk.program, desk.asked.errors, &error);
                    Ok(received.id)
                }
                Err(error) => Err(Refusal::at(Moment::Message, error)),
            }
        });
        match sent {
            Ok(id) => Stored::Kept(id.to_string()),
            Err(refusal) => Stored::Refused(refusal.reply()),
        }
    }
}

/// Says it at once.
fn say(octets: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let said = out.write_all(octets).and_then(|()| out.flush());
    said.map_err(|error| unsaid(&error))
}

fn unsaid(error: &io::Error) -> Error {
    Error::new(Exit::IoErr, "speaking SMTP on standard output", error.to_string())
}
