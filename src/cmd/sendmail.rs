//! What does a caller of sendmail, mailq or newaliases want? (sendmail(8))
//!
//! Words in, an [`Invocation`] out: nothing is read, sent or printed here.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::{
    caller::ErrorMode,
    flags::{Effect, Flag},
    getopt::{Word, Words, quoted, usage},
};
use crate::{
    error::{Error, Exit},
    mail::envelope::{DsnError, Notify, Ret, parse_envid},
};

mod invocation;

pub use invocation::{Delivery, Invocation, Match, Request, Submission, What};

/// The names under which the sendmail command line is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `sendmail`, `send-mail`.
    Sendmail,
    /// `mailq`, which is `sendmail -bp`.
    Mailq,
    /// `newaliases`, which is `sendmail -bi`.
    Newaliases,
}

impl Name {
    /// Recognises the last component of argv\[0\].
    pub fn of(program: &OsStr) -> Option<Self> {
        match program.to_str()? {
            "sendmail" | "send-mail" => Some(Self::Sendmail),
            "mailq" => Some(Self::Mailq),
            "newaliases" => Some(Self::Newaliases),
            _ => None,
        }
    }
}

/// A command line that asks for nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub error: Error,
    /// How the caller wants to hear of it, as far as the line was read.
    pub errors: ErrorMode,
    /// `-C`, as far as the line was read: whose log hears of it.
    pub config: Option<PathBuf>,
    /// A message was to be sent: it may be waiting on standard input, and must be read to its end, or the caller dies of SIGPIPE.
    pub submission: bool,
}

/// Reads the command line of `name`, without argv\[0\].
///
/// # Errors
/// [`Exit::Usage`]: a flag that is nobody's, a missing value, a control character in an address, nobody addressed, or recipients
/// for a mode that sends nothing.
pub fn parse(name: Name, words: impl IntoIterator<Item = OsString>) -> Result<Invocation, Box<Refusal>> {
    let mut line = Line::new(name);
    line.read(words.into_iter()).map_err(|error| {
        let Submission { errors, config, .. } = line.submission;
        Box::new(Refusal { error, errors, config, submission: matches!(line.mode, Mode::Submit) })
    })
}

/// What `-b` and the name of the program choose.
#[derive(Clone, Debug)]
enum Mode {
    Submit,
    Mailq,
    Newaliases,
    Smtp,
    QueueSize,
    Other(Invocation),
}

struct Line {
    mode: Mode,
    flush: bool,
    request: Request,
    submission: Submission,
}

impl Line {
    fn new(name: Name) -> Self {
        let mode = match name {
            Name::Sendmail => Mode::Submit,
            Name::Mailq => Mode::Mailq,
            Name::Newaliases => Mode::Newaliases,
        };
        Self { mode, flush: false, request: Request::default(), submission: Submission::default() }
    }

    fn read(&mut self, words: impl Iterator<Item = OsString>) -> Result<Invocation, Error> {
        for word in Words::new(words) {
            match word? {
                Word::Flag(Flag { effect: Effect::Help, .. }, _) => return Ok(Invocation::Help),
                Word::Flag(Flag { effect: Effect::Version, .. }, _) => return Ok(Invocation::Version),
                Word::Flag(flag, value) => self.flag(flag, value)?,
                Word::Operand(word) => self.submission.operands.push(address("a recipient", &word)?),
            }
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<Invocation, Error> {
        let addressed = !self.submission.operands.is_empty() || self.submission.read_recipients;
        match (&self.mode, addressed) {
            (Mode::Submit, true) if !self.flush => Ok(Invocation::Submit(Box::new(std::mem::take(&mut self.submission)))),
            (Mode::Submit, false) if !self.flush => {
                Err(usage("nobody is addressed").hint("name the recipients behind the flags, or take them from the header with -t"))
            }
            (Mode::Submit, false) => Ok(Invocation::Flush(self.request())),
            (Mode::Mailq, false) => Ok(Invocation::Mailq(self.request())),
            (Mode::QueueSize, _) => Ok(Invocation::QueueSize(self.request())),
            (Mode::Newaliases, false) => Ok(Invocation::Newaliases(self.submission.config.take())),
            (Mode::Smtp, _) => Ok(Invocation::SmtpOnStdin(Box::new(std::mem::take(&mut self.submission)))),
            (Mode::Other(invocation), _) => Ok(invocation.clone()),
            (_, true) => Err(usage("recipients are given, but this mode sends no message").hint("nothing was sent")),
        }
    }

    fn request(&mut self) -> Request {
        let Submission { config, verbose, debug, .. } = &mut self.submission;
        Request { config: config.take(), verbose: *verbose, debug: *debug, ..std::mem::take(&mut self.request) }
    }

    fn flag(&mut self, flag: &Flag, value: OsString) -> Result<(), Error> {
        let submission = &mut self.submission;
        match flag.effect {
            Effect::Account => submission.account = Some(text(flag, value)?),
            Effect::BodyType => self.body_type(&value),
            Effect::Mode => self.mode = mode(&value)?,
            Effect::Config => submission.config = Some(PathBuf::from(value)),
            Effect::Debug => submission.debug = true,
            Effect::Errors => self.errors(&lossy(&value)),
            Effect::FullName => submission.full_name = Some(display_name(&value)),
            Effect::Sender => submission.sender = Some(address("the sender", &value)?),
            Effect::Gateway => submission.gateway = true,
            Effect::Newaliases => self.mode = Mode::Newaliases,
            Effect::IgnoreDots => submission.ignore_dot = true,
            Effect::Tag => submission.tag = Some(text(flag, value)?),
            Effect::Notify => self.notify(&lossy(&value)),
            Effect::NoAliases => submission.no_aliases = true,
            Effect::LongOption => self.long_option(&lossy(&value)),
            Effect::ShortOption => self.short_option(&lossy(&value)),
            Effect::Queue => self.queue(&value)?,
            Effect::Return => self.returns(&lossy(&value)),
            Effect::SenderFromHeader => submission.read_envelope_from = true,
            Effect::RecipientsFromHeader => submission.read_recipients = true,
            Effect::EnvelopeId => self.envelope_id(&lossy(&value)),
            Effect::Verbose => submission.verbose = true,
            Effect::Traffic => self.traffic(&value)?,
            Effect::Ignored => self.note(format!("{} ignored: {}", flag.spelling(), flag.help)),
            // Both have ended the reading already.
            Effect::Help | Effect::Version => {}
        }
        Ok(())
    }

    fn note(&mut self, note: String) {
        if !self.submission.notes.contains(&note) {
            self.submission.notes.push(note);
        }
    }

    fn ignore(&mut self, flag: &str, value: &str) {
        self.note(format!("{flag} {} ignored", quoted(&OsString::from(value))));
    }

    fn body_type(&mut self, value: &OsStr) {
        if !["7BIT", "8BITMIME", "BINARYMIME"].iter().any(|known| value.eq_ignore_ascii_case(known)) {
            self.ignore("-B", &lossy(value));
        }
    }

    fn notify(&mut self, value: &str) {
        match Notify::parse(value) {
            Ok(notify) => self.submission.dsn.notify = Some(notify),
            Err(error) => self.dismiss("-N", value, error),
        }
    }

    fn returns(&mut self, value: &str) {
        match Ret::parse(value) {
            Ok(ret) => self.submission.dsn.ret = Some(ret),
            Err(error) => self.dismiss("-R", value, error),
        }
    }

    fn envelope_id(&mut self, value: &str) {
        match parse_envid(value) {
            Ok(envid) => self.submission.dsn.envid = Some(envid),
            Err(error) => self.dismiss("-V", value, error),
        }
    }

    /// A wish for reports that can't be had is no reason not to send.
    fn dismiss(&mut self, flag: &str, value: &str, why: DsnError) {
        self.note(format!("{flag} {} ignored: it {why}", quoted(&OsString::from(value))));
    }

    fn errors(&mut self, value: &str) {
        self.submission.errors = match value.bytes().next() {
            Some(b'p') => ErrorMode::Print,
            Some(b'm') => ErrorMode::Mail,
            Some(b'w') => ErrorMode::Write,
            Some(b'e') => ErrorMode::Berkeley,
            Some(b'q') => ErrorMode::Quiet,
            _ => return self.ignore("-oe", value),
        };
    }

    fn delivery(&mut self, value: &str) {
        self.submission.delivery = match value.bytes().next() {
            Some(b'b') => Delivery::Background,
            Some(b'i') => Delivery::Interactive,
            Some(b'q' | b'd') => Delivery::QueueOnly,
            _ => return self.ignore("-od", value),
        };
    }

    fn short_option(&mut self, option: &str) {
        match option.split_at_checked(1) {
            Some(("d", mode)) => self.delivery(mode),
            Some(("e", mode)) => self.errors(mode),
            Some(("i", value)) => self.submission.ignore_dot = truth(value),
            Some(("v", value)) => self.submission.verbose = truth(value),
            _ => self.ignore("-o", option),
        }
    }

    fn long_option(&mut self, option: &str) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "deliverymode" => self.delivery(&value.to_ascii_lowercase()),
            "errormode" => self.errors(&value.to_ascii_lowercase()),
            "ignoredots" => self.submission.ignore_dot = truth(value),
            "verbose" => self.submission.verbose = truth(value),
            _ => self.ignore("-O", option),
        }
    }

    /// `-q` alone, `-q30m`, `-qf`, `-qp5m`, `-qIx`, `-q!Rx`.
    fn queue(&mut self, value: &OsStr) -> Result<(), Error> {
        self.flush = true;
        let unknown = || usage(format!("-q does not know {}", quoted(&value.to_owned())));
        let text = value.to_str().ok_or_else(unknown)?;
        let (not, selection) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let what = match selection.bytes().next() {
            Some(b'I') => What::Id,
            Some(b'R') => What::Recipient,
            Some(b'S') => What::Sender,
            None | Some(b'f') if !not => return Ok(()),
            Some(b'p' | b'0'..=b'9') if !not => {
                self.request.due = true;
                return Ok(());
            }
            _ => return Err(unknown()),
        };
        let part = selection[1..].to_owned();
        self.request.matches.push(Match { what, not, part });
        Ok(())
    }

    /// A path here was a way to root in setuid sendmails: it is never opened. `-XV` is not a path but asks for VERP (Postfix).
    fn traffic(&mut self, value: &OsStr) -> Result<(), Error> {
        match value.as_encoded_bytes() {
            [b'V'] => Err(usage("-XV (variable envelope return paths) is not done here")),
            [b'V', a, b] if a.is_ascii_punctuation() && b.is_ascii_punctuation() => {
                Err(usage("-XV (variable envelope return paths) is not done here"))
            }
            _ => {
                self.ignore("-X", &lossy(value));
                Ok(())
            }
        }
    }
}

fn mode(value: &OsStr) -> Result<Mode, Error> {
    let elsewhere = |exit, because, hint| {
        Mode::Other(Invocation::NotHere(Error::new(exit, format!("starting with -b{}", lossy(value)), because).hint(hint)))
    };
    Ok(match value.as_encoded_bytes() {
        b"m" => Mode::Submit,
        b"p" => Mode::Mailq,
        b"i" => Mode::Newaliases,
        b"s" => Mode::Smtp,
        b"P" => Mode::QueueSize,
        b"h" | b"H" => Mode::Other(Invocation::Nothing),
        b"d" | b"D" | b"l" => elsewhere(
            Exit::Unavailable,
            "this name starts no daemon: sealpost takes mail from this machine only, and receives none from others",
            "`sealpost serve` takes local mail and runs the queue; to receive mail, install a mail transfer agent",
        ),
        b"v" | b"t" => elsewhere(
            Exit::Usage,
            "addresses are not verified here: the smarthost knows them",
            "`newaliases` checks the alias file, `sealpost check` the smarthost, and -v tells where a message goes",
        ),
        _ => return Err(usage(format!("-b does not know {}", quoted(&value.to_owned()))).hint("`sendmail --help` lists the modes")),
    })
}

/// A sender or a list of recipients: text without control characters, which could become a line of SMTP or of a header.
fn address(whose: &str, word: &OsStr) -> Result<String, Error> {
    let refuse = |because| Err(usage(format!("{whose}, {}, {because}", quoted(&word.to_owned()))).hint("nothing was sent"));
    match word.to_str() {
        None => refuse("is not UTF-8"),
        Some(text) if text.contains(char::is_control) => refuse("holds a control character"),
        Some(text) => Ok(text.to_owned()),
    }
}

fn text(flag: &Flag, value: OsString) -> Result<String, Error> {
    value.into_string().map_err(|value| usage(format!("the value of {}, {}, is not UTF-8", flag.spelling(), quoted(&value))))
}

/// A name for From: control characters become spaces, and what is not UTF-8 is taken for Latin-1 rather than refused.
fn display_name(value: &OsStr) -> String {
    let text = value.to_str().map_or_else(|| value.as_encoded_bytes().iter().copied().map(char::from).collect(), str::to_owned);
    text.replace(char::is_control, " ")
}

fn lossy(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

/// The boolean of a Sendmail option: set unless it says no.
fn truth(value: &str) -> bool {
    !matches!(value.bytes().next(), Some(b'f' | b'F' | b'n' | b'N' | b'0'))
}

#[cfg(test)]
mod tests;
