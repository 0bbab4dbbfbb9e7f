//! What does one line of the send log hold? (sealpost(1), "The log")

use std::{
    fmt::{self, Display},
    net::IpAddr,
    os::unix::ffi::OsStrExt,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{
    id::Id,
    text::{Name, Words},
    tls::{Protection, Seen, Tls},
};
use crate::{
    error::{Error, Exit},
    host::config::{Account, Target},
    mail::{
        address::{Address, ReversePath},
        outcome::{Enhanced, Fate, Outcome, Reply, worst},
        policy::Demand,
    },
    smtp::sasl::Mechanism,
};

/// One record: an attempt, a submission that ended before one, or what else happened to a message that waits. Made by
/// [`Record::attempt`], [`Record::rejected`] and [`Record::happened`] only, so that status, exit code and TLS result can't disagree with what happened.
///
/// The keys of the JSON are the fields, in this order; what is not known is null. No field can hold a secret: of
/// authentication there is the mechanism's registered name and nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    #[serde(serialize_with = "milliseconds")]
    time: Timestamp,
    pub(super) event: &'static str,
    pub(super) status: Status,
    pub(super) id: Id,
    pub(super) message_id: Option<Words>,
    pub(super) account: Option<Name>,
    pub(super) host: Option<Name>,
    pub(super) port: Option<u16>,
    pub(super) address: Option<IpAddr>,
    pub(super) uid: Option<u32>,
    pub(super) user: Option<Name>,
    pub(super) from: Option<Name>,
    pub(super) recipients: Vec<Recipient>,
    pub(super) size: Option<u64>,
    pub(super) attempt: Option<u32>,
    pub(super) queue: bool,
    pub(super) auth: Option<&'static str>,
    pub(super) code: Option<u16>,
    #[serde(serialize_with = "shown")]
    pub(super) enhanced: Option<Enhanced>,
    pub(super) reply: Option<Words>,
    pub(super) error: Option<Words>,
    pub(super) exit: u8,
    pub(super) duration_ms: u64,
    pub(super) tls: Tls,
}

/// When a record was made, and how long that took which it tells of.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The end: when the record is written.
    pub end: Timestamp,
    /// From the beginning of the attempt (or of the submission, where it was rejected).
    pub took: Duration,
}

/// What is the same for all attempts of one submission.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Its name.
    pub id: Id,
    /// The Message-ID with its angle brackets.
    pub message_id: Option<&'a str>,
    /// The real uid of the caller: the kernel's word, not the message's.
    pub uid: Option<u32>,
    /// The login that belongs to `uid`.
    pub user: Option<&'a str>,
    /// MAIL FROM; logged as the address alone, an empty string for `<>`.
    pub sender: Option<&'a ReversePath>,
    /// Octets on the wire as SIZE counts them.
    pub size: Option<u64>,
    /// The queue holds the message (it was taken from there, or is kept there because of this outcome); false: the caller does.
    pub queue: bool,
}

/// One attempt to hand the message to one server address.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The account: gives its name, host, port and what it demands of TLS.
    pub account: &'a Account,
    /// What the connection had to meet: what the account demands, and what DNSSEC added.
    pub demand: Demand,
    /// The address that was dialled.
    pub address: Option<IpAddr>,
    /// Counts from 1 over all attempts of the submission.
    pub number: u32,
    /// The mechanism that succeeded.
    pub auth: Option<Mechanism>,
    /// Every recipient and what became of it; names the status.
    pub outcomes: &'a [Outcome],
    /// The reply that decided over the message as a whole (the final dot's, else that of the command that failed).
    pub reply: Option<&'a Reply>,
    /// Why it did not go, where something else than a reply says it better.
    pub error: Option<&'a Error>,
    /// What the caller gets: 0 also for a deferred message that is safe in the queue.
    pub exit: Exit,
    /// What the connection showed of TLS.
    pub seen: Seen<'a>,
    /// What policy made of it.
    pub protection: Protection<'a>,
}

/// Why a submission ended before an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Rejection<'a> {
    /// The account, where one was found.
    pub account: Option<&'a Account>,
    /// The recipients, as far as they are known.
    pub recipients: &'a [Address],
    /// What the caller reads; its exit code is the record's.
    pub error: &'a Error,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Every recipient was accepted.
    Sent,
    /// May work later.
    Deferred,
    /// A recipient was refused for good.
    Failed,
    /// The link was lost after the final dot.
    Unknown,
    /// It ended before an attempt.
    Rejected,
    /// It was taken into the queue.
    Queued,
    /// A person keeps it back.
    Held,
    /// A person let it go on.
    Released,
    /// A person removed it.
    Removed,
}

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An attempt to send, or why there was none.
    Send,
    /// A message came into the queue, or a person moved it.
    Queue,
    /// A report on a message was written.
    Bounce,
}

impl Event {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        ["send", "queue", "bounce"][self as usize]
    }
}

/// What happened to a message of the queue besides attempts to send it.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// What it is about.
    pub event: Event,
    /// What became of it.
    pub status: Status,
    /// The account that it goes through, where the configuration has it.
    pub account: Option<&'a Account>,
    /// Whom it concerns.
    pub recipients: &'a [Address],
    /// What was wrong.
    pub error: Option<&'a Error>,
}

/// One recipient of a record.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Recipient {
    pub(super) address: Name,
    pub(super) status: Status,
    code: Option<u16>,
    #[serde(serialize_with = "shown")]
    enhanced: Option<Enhanced>,
    reply: Option<Words>,
}

impl Record {
    /// The record of one attempt.
    pub fn attempt(span: Span, submission: &Submission<'_>, attempt: &Attempt<'_>) -> Self {
        let tls = Tls::new(Some(attempt.demand), attempt.seen, attempt.protection);
        let status = worst(attempt.outcomes).into();
        let mut record = Self::new(span, submission, Some(attempt.account), status, attempt.exit, tls);
        record.address = attempt.address.or(record.address);
        record.recipients = attempt.outcomes.iter().map(Recipient::from).collect();
        record.attempt = Some(attempt.number);
        record.auth = attempt.auth.map(Mechanism::name);
        record.code = attempt.reply.map(|r| r.code);
        record.enhanced = attempt.reply.and_then(|r| r.enhanced);
        record.reply = attempt.reply.map(|r| Words::new(&r.text()));
        record.error = attempt.error.map(|e| Words::new(&e.summary()));
        record
    }

    /// The record of a submission that ended before an attempt (unknown account, failed password command, nobody addressed…).
    pub fn rejected(span: Span, submission: &Submission<'_>, rejection: &Rejection<'_>) -> Self {
        let tls = Tls::new(rejection.account.map(|a| a.tls.demand), Seen::default(), Protection::Unreached);
        let error = rejection.error;
        let mut record = Self::new(span, submission, rejection.account, Status::Rejected, error.exit(), tls);
        record.recipients = rejection.recipients.iter().map(|a| Recipient::new(a, Status::Rejected, None)).collect();
        record.error = Some(Words::new(&error.summary()));
        record
    }

    /// The record of what happened to a message of the queue.
    pub fn happened(span: Span, submission: &Submission<'_>, happening: &Happening<'_>) -> Self {
        let Happening { event, status, account, recipients, error } = *happening;
        let tls = Tls::new(account.map(|a| a.tls.demand), Seen::default(), Protection::Unreached);
        let exit = error.map_or(Exit::Ok, Error::exit);
        let mut record = Self::new(span, submission, account, status, exit, tls);
        record.event = event.as_str();
        record.recipients = recipients.iter().map(|a| Recipient::new(a, status, None)).collect();
        record.error = error.map(|e| Words::new(&e.summary()));
        record
    }

    /// The queue keeps the message because of this outcome, and the caller gets another code.
    #[must_use]
    pub fn kept(self, exit: Exit) -> Self {
        Self { queue: true, exit: exit.code(), ..self }
    }

    /// What became of it.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How many recipients the server took responsibility for.
    pub(super) fn accepted(&self) -> usize {
        self.recipients.iter().filter(|r| r.status == Status::Sent).count()
    }

    fn new(span: Span, of: &Submission<'_>, account: Option<&Account>, status: Status, exit: Exit, tls: Tls) -> Self {
        let (host, port, address) = account.map_or((None, None, None), |a| place(&a.target));
        Self {
            time: span.end,
            event: Event::Send.as_str(),
            status,
            id: of.id,
            message_id: of.message_id.map(Words::new),
            account: account.map(|a| Name::new(&a.name)),
            host,
            port,
            address,
            uid: of.uid,
            user: of.user.map(Name::new),
            from: of.sender.map(|s| Name::new(&s.to_string())),
            recipients: Vec::new(),
            size: of.size,
            attempt: None,
            queue: of.queue,
            auth: None,
            code: None,
            enhanced: None,
            reply: None,
            error: None,
            exit: exit.code(),
            duration_ms: u64::try_from(span.took.as_millis()).unwrap_or(u64::MAX),
            tls,
        }
    }
}

impl Recipient {
    fn new(address: &Address, status: Status, reply: Option<&Reply>) -> Self {
        Self {
            address: Name::new(&address.to_string()),
            status,
            code: reply.map(|r| r.code),
            enhanced: reply.and_then(|r| r.enhanced),
            reply: reply.map(|r| Words::new(&r.text())),
        }
    }
}

impl From<&Outcome> for Recipient {
    fn from(outcome: &Outcome) -> Self {
        Self::new(&outcome.recipient, outcome.fate.into(), outcome.reply.as_ref())
    }
}

impl Status {
    /// Every status of a send.
    pub const ALL: [Self; 5] = [Self::Sent, Self::Deferred, Self::Failed, Self::Unknown, Self::Rejected];

    /// Every status of a message that waits.
    pub const WAITING: [Self; 4] = [Self::Queued, Self::Held, Self::Released, Self::Removed];

    /// The status that a word of the log names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::WAITING).find(|status| status.as_str() == word)
    }

    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => Fate::Accepted.as_str(),
            Self::Deferred => Fate::Deferred.as_str(),
            Self::Failed => Fate::Refused.as_str(),
            Self::Unknown => Fate::Unknown.as_str(),
            Self::Rejected => "rejected",
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Released => "released",
            Self::Removed => "removed",
        }
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<Fate> for Status {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Accepted => Self::Sent,
            Fate::Deferred => Self::Deferred,
            Fate::Refused => Self::Failed,
            Fate::Unknown => Self::Unknown,
        }
    }
}

fn place(target: &Target) -> (Option<Name>, Option<u16>, Option<IpAddr>) {
    match target {
        Target::Name(host, port) => (Some(Name::new(host)), Some(*port), None),
        Target::Address(address, port) => (Some(Name::new(&address.to_string())), Some(*port), Some(*address)),
        Target::Unix(path) => (Some(Name::lossy(path.as_os_str().as_bytes())), None, None),
        Target::Service(domain) => (Some(Name::new(domain)), None, None),
    }
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn shown<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
