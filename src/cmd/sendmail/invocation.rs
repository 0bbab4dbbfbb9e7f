//! What can the flags of sendmail, mailq and newaliases say? (sendmail(8))

use std::path::PathBuf;

use crate::{cmd::caller::ErrorMode, error::Error, mail::envelope::Dsn};

/// What the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Send the message on standard input; somebody is addressed, or the header says who is.
    Submit(Box<Submission>),
    /// List the queue.
    Mailq(Request),
    /// Check the alias file of this configuration (`-C`), or of the usual one.
    Newaliases(Option<PathBuf>),
    /// Send what waits in the queue.
    Flush(Request),
    /// Speak SMTP on standard input and output; of the flags those count that concern every message.
    SmtpOnStdin(Box<Submission>),
    /// Count the queue.
    QueueSize(Request),
    /// Nothing at all, successfully: the host status of `-bh` and `-bH`.
    Nothing,
    /// A mode that is another program's job; standard input is not read.
    NotHere(Error),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Everything the flags say about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// `-a`.
    pub account: Option<String>,
    /// `-C`.
    pub config: Option<PathBuf>,
    /// `-f` or `-r` as given, the last one; empty is the null sender. Free of control characters.
    pub sender: Option<String>,
    /// `-F`, without control characters.
    pub full_name: Option<String>,
    /// The words that name recipients, as given; each may be a list. Free of control characters.
    pub operands: Vec<String>,
    /// `-t`.
    pub read_recipients: bool,
    /// `--read-envelope-from`.
    pub read_envelope_from: bool,
    /// `-i`.
    pub ignore_dot: bool,
    /// `-N`, `-R` and `-V`.
    pub dsn: Dsn,
    /// `-G`.
    pub gateway: bool,
    /// `-n`.
    pub no_aliases: bool,
    /// `-v`.
    pub verbose: bool,
    /// `--debug`.
    pub debug: bool,
    /// `-L`.
    pub tag: Option<String>,
    /// `-od`.
    pub delivery: Delivery,
    /// `-oe`.
    pub errors: ErrorMode,
    /// What was ignored, and why: told with `-v`. No two are the same.
    pub notes: Vec<String>,
}

/// When the caller wants the message delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// `-odb`: the caller goes on as soon as the message is safe.
    #[default]
    Background,
    /// `-odi`: the caller waits for the first attempt.
    Interactive,
    /// `-odq`, `-odd`: at the next run of the queue.
    QueueOnly,
}

/// What the flags say about the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `-C`.
    pub config: Option<PathBuf>,
    /// `-qI`, `-qR`, `-qS`.
    pub matches: Vec<Match>,
    /// `-q30m`: what is due only.
    pub due: bool,
    /// `-v`.
    pub verbose: bool,
    /// `--debug`.
    pub debug: bool,
}

/// A condition of `-qI`, `-qR`, `-qS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// What it looks at.
    pub what: What,
    /// `-q!…`: it must not be so.
    pub not: bool,
    /// What must be in it.
    pub part: String,
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `I`: its name.
    Id,
    /// `R`: a recipient that still waits.
    Recipient,
    /// `S`: its envelope sender.
    Sender,
}
