//! How does an entry stand in its file, and what of a foreign file is refused?
//!
//! ```text
//! sealpost-queue 1 0000000512 00000000000000001234 89abcdef 01234567     octets of the head and of the message, their checksums
//! {"arrived":…}                                        the head, one line
//! …                                                    the message
//! 89abcdef {"attempts":1,…}                            its state, a line a change; the last whole one counts
//! ```
//!
//! The checksums (CRC-32) are for accidents: a disk that took an fsync and lied, a bit that flipped, a spool that came back from
//! a backup in part. Without them a message of zeros would be sent, and a recipient with one wrong bit would get somebody else's
//! mail. The second one covers the first line too, so that no length is believed before it is checked. Against a forger they do
//! nothing: who can write here is the owner, and may send what they like. They cost 0.1 ms a MiB.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    entry::{Head, State},
    sum::Sum,
};
use crate::mail::{
    address::{Address, ReversePath},
    envelope::{Dsn, Envelope, Notify, Recipient, Ret, parse_envid},
    outcome::Enhanced,
    policy::Request,
    queued::{Last, Standing},
};

/// Octets of the first line.
pub(super) const FIRST: usize = 67;
/// Octets of it that the checksum of the head covers.
const COVERED: usize = FIRST - " 01234567\n".len();
/// No head is longer: 100 000 recipients of the greatest length.
const LONGEST_HEAD: u64 = 64 << 20;

/// Octets of a change that is not a very long one, without the recipients; and of a recipient.
pub(super) const USUAL_CHANGE: u64 = 1024;
pub(super) const USUAL_STANDING: u64 = 256;

/// Where the parts of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Octets of the head.
    head: u64,
    /// Octets of the message.
    content: u64,
    /// The message's.
    pub(super) checksum: u32,
    /// The first line's and the head's.
    head_checksum: u32,
}

impl Layout {
    /// Where the message begins.
    pub(super) fn content_at(self) -> u64 {
        FIRST as u64 + self.head
    }

    /// Where the lines of the state begin.
    pub(super) fn state_at(self) -> u64 {
        self.content_at() + self.content
    }

    /// Seals `head`, and says it in the first line.
    fn sealed(mut self, head: &[u8]) -> String {
        let covered = format!("sealpost-queue 1 {:010} {:020} {:08x}", self.head, self.content, self.checksum);
        self.head_checksum = Self::sum(covered.as_bytes(), head);
        format!("{covered} {:08x}\n", self.head_checksum)
    }

    fn sum(first: &[u8], head: &[u8]) -> u32 {
        let mut sum = Sum::new();
        sum.update(first);
        sum.update(head);
        sum.finalize()
    }

    /// Reads the first line.
    ///
    /// # Errors
    /// It is not ours, or of another version, in words that follow the file's name.
    pub(super) fn parse(first: &[u8]) -> Result<Self, String> {
        let Some(rest) = first.strip_prefix(b"sealpost-queue ") else { return Err("is no message of a queue".to_owned()) };
        if !rest.starts_with(b"1 ") {
            return Err("was written by another version of sealpost".to_owned());
        }
        let line = first.get(..FIRST).and_then(|line| std::str::from_utf8(line).ok()?.strip_suffix('\n'));
        let parsed = line.and_then(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, _, head, content, checksum, head_checksum] = fields.try_into().ok()?;
            Some(Self {
                head: number(head, 10, 10)?,
                content: number(content, 20, 10)?,
                checksum: u32::try_from(number(checksum, 8, 16)?).ok()?,
                head_checksum: u32::try_from(number(head_checksum, 8, 16)?).ok()?,
            })
        });
        let fits = |layout: &Self| layout.head <= LONGEST_HEAD && layout.content <= u64::MAX >> 1;
        parsed.filter(fits).ok_or_else(|| "has a first line that is not ours".to_owned())
    }
}

/// A number of just so many digits.
fn number(text: &str, width: usize, radix: u32) -> Option<u64> {
    let digits = text.len() == width && text.chars().all(|c| c.is_digit(radix) && !c.is_ascii_uppercase());
    digits.then(|| u64::from_str_radix(text, radix).ok()).flatten()
}

/// The octets in front of the message; the first line is complete when all of the message was fed.
#[derive(Debug)]
pub(super) struct Front {
    layout: Layout,
    head: Vec<u8>,
    sum: Sum,
}

impl Front {
    /// Says the head, with room for the first line. Control characters that nobody wanted in a Message-ID or a login become `?`.
    ///
    /// # Errors
    /// It could not be read again.
    pub(super) fn new(head: &mut Head) -> io::Result<(Self, Vec<u8>)> {
        for text in [&mut head.message_id, &mut head.user] {
            *text = text.replace(char::is_control, "?");
        }
        let mut json = serde_json::to_vec(&HeadLine::from(&*head))?;
        json.push(b'\n');
        let again = serde_json::from_slice::<HeadLine>(&json)?.parse(head.size);
        if again.as_ref() != Some(&*head) || json.len() as u64 > LONGEST_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its envelope can't be kept"));
        }
        let layout = Layout { head: json.len() as u64, content: head.size, checksum: 0, head_checksum: 0 };
        let octets = [&[0; FIRST], json.as_slice()].concat();
        Ok((Self { layout, head: json, sum: Sum::new() }, octets))
    }

    /// Takes in octets of the message.
    pub(super) fn feed(&mut self, content: &[u8]) {
        self.sum.update(content);
    }

    /// The first line.
    pub(super) fn line(self) -> String {
        Layout { checksum: self.sum.finalize(), ..self.layout }.sealed(&self.head)
    }
}

/// The octets of a change, behind the message.
pub(super) fn change(state: &State) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = b"01234567 ".to_vec();
    let begin = line.len();
    serde_json::to_writer(&mut line, &StateLine::from(state))?;
    let checksum = format!("{:08x}", Sum::of(&line[begin..]));
    line[..checksum.len()].copy_from_slice(checksum.as_bytes());
    line.push(b'\n');
    Ok(line)
}

/// Reads the head; `first` is the first line, and `json` what follows.
///
/// # Errors
/// It is no head of ours, in words that follow the file's name.
pub(super) fn head(first: &[u8], json: &[u8], layout: &Layout) -> Result<Head, String> {
    if Layout::sum(first.get(..COVERED).unwrap_or_default(), json) != layout.head_checksum {
        return Err("has a head that is not what was written: its checksum is another".to_owned());
    }
    let line: HeadLine = serde_json::from_slice(json).map_err(|error| unreadable("head", &error))?;
    line.parse(layout.content).ok_or_else(|| "has a head that says what can't be".to_owned())
}

/// Reads the last whole change of `lines`, the first of which may be only half there (unless `is_all`); and where it ends. What a
/// power cut tore has a wrong checksum, and is passed over.
///
/// # Errors
/// It was written as it stands, but not by this version, or not for this message; in words that follow the file's name.
pub(super) fn last_state(lines: &[u8], is_all: bool, recipients: usize) -> Result<Option<(State, usize)>, String> {
    let mut end = lines.len();
    while let Some(newline) = memchr::memrchr(b'\n', &lines[..end]) {
        let begin = match memchr::memrchr(b'\n', &lines[..newline]) {
            Some(before) => before + 1,
            None if is_all => 0,
            None => return Ok(None),
        };
        if let Some(json) = sealed(&lines[begin..newline]) {
            let line: StateLine = serde_json::from_slice(json).map_err(|error| unreadable("state", &error))?;
            let state = line.parse(recipients).ok_or_else(|| "has a state of another number of recipients".to_owned())?;
            return Ok(Some((state, newline + 1)));
        }
        end = newline;
    }
    Ok(None)
}

/// What serde says of foreign text may quote it.
fn unreadable(what: &str, error: &serde_json::Error) -> String {
    let words: String = error.to_string().chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("has a {what} that can't be read: {words}")
}

/// What stands behind its checksum.
fn sealed(line: &[u8]) -> Option<&[u8]> {
    let (checksum, json) = line.split_at_checked(9)?;
    let checksum = std::str::from_utf8(checksum).ok()?.strip_suffix(' ')?;
    (number(checksum, 8, 16)? == u64::from(Sum::of(json))).then_some(json)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    arrived: Timestamp,
    uid: u32,
    user: String,
    account: String,
    asked: Option<String>,
    sender: String,
    message_id: String,
    eight_bit: bool,
    tls_waived: bool,
    report: bool,
    #[serde(default, skip_serializing_if = "RequestLine::is_nothing")]
    request: RequestLine,
    notify: Option<String>,
    ret: Option<String>,
    envid: Option<String>,
    recipients: Vec<RecipientLine>,
}

/// What MAIL asked of TLS; what the header asks is `tls_waived`.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequestLine {
    #[default]
    Nothing,
    Require,
    Prefer,
}

impl RequestLine {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

impl From<RequestLine> for Request {
    fn from(line: RequestLine) -> Self {
        match line {
            RequestLine::Nothing => Self::Nothing,
            RequestLine::Require => Self::Require,
            RequestLine::Prefer => Self::Prefer,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipientLine {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notify: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateLine {
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_vain_before: Option<u32>,
    tried: Option<Timestamp>,
    next: Timestamp,
    warned: bool,
    told: bool,
    problem: Option<LastLine>,
    recipients: Vec<StandingLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StandingLine {
    Waiting(Option<LastLine>),
    Delivered,
    Failed(LastLine),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastLine {
    code: Option<u16>,
    enhanced: Option<(u8, u16, u16)>,
    text: String,
    tls: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(default, skip_serializing_if = "is_none")]
    unknown: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none(number: &u32) -> bool {
    *number == 0
}

impl From<&Head> for HeadLine {
    fn from(head: &Head) -> Self {
        let Envelope { sender, recipients, dsn, request } = &head.envelope;
        let recipient = |recipient: &Recipient| RecipientLine {
            address: recipient.address.to_string(),
            original: recipient.original.as_ref().map(ToString::to_string),
            notify: recipient.notify.map(|notify| notify.to_string()),
        };
        Self {
            arrived: head.arrived,
            uid: head.uid,
            user: head.user.clone(),
            account: head.account.clone(),
            asked: head.asked.as_ref().map(ToString::to_string),
            sender: sender.to_string(),
            message_id: head.message_id.clone(),
            eight_bit: head.eight_bit,
            tls_waived: head.tls_waived,
            report: head.report,
            request: match request {
                Request::Require => RequestLine::Require,
                Request::Prefer => RequestLine::Prefer,
                Request::Nothing | Request::Waive => RequestLine::Nothing,
            },
            notify: dsn.notify.map(|notify| notify.to_string()),
            ret: dsn.ret.map(|ret| ret.as_str().to_ascii_lowercase()),
            envid: dsn.envid.clone(),
            recipients: recipients.iter().map(recipient).collect(),
        }
    }
}

impl HeadLine {
    /// Everything goes through the parsers that the caller's own words went through.
    fn parse(self, size: u64) -> Option<Head> {
        let path = |text: &str| match text {
            "" => Some(ReversePath::Null),
            text => Address::parse(text).ok().map(ReversePath::Address),
        };
        let optional = |text: Option<String>| text.map(|text| Address::parse(&text).ok()).map_or(Some(None), |a| a.map(Some));
        let notify = |text: Option<String>| text.map(|text| Notify::parse(&text)).transpose().ok();
        let recipient = |line: RecipientLine| {
            let (address, original) = (Address::parse(&line.address).ok()?, optional(line.original)?);
            Some(Recipient { address, original, notify: notify(line.notify)? })
        };
        let dsn = Dsn {
            notify: notify(self.notify)?,
            ret: self.ret.map(|text| Ret::parse(&text)).transpose().ok()?,
            envid: self.envid.map(|text| parse_envid(&text)).transpose().ok()?,
        };
        let recipients = self.recipients.into_iter().map(recipient).collect::<Option<Vec<_>>>()?;
        Some(Head {
            arrived: self.arrived,
            uid: self.uid,
            user: self.user,
            account: self.account,
            asked: self.asked.map(|text| path(&text)).map_or(Some(None), |p| p.map(Some))?,
            envelope: Envelope { sender: path(&self.sender)?, recipients, dsn, request: self.request.into() },
            message_id: self.message_id,
            size,
            eight_bit: self.eight_bit,
            tls_waived: self.tls_waived,
            report: self.report,
        })
        .filter(makes_sense)
    }
}

/// What nobody parses may not write on somebody's terminal, or into the header of a report.
fn makes_sense(head: &Head) -> bool {
    let words = [&head.user, &head.account, &head.message_id];
    !head.envelope.recipients.is_empty() && !words.iter().any(|text| text.contains(char::is_control))
}

impl From<&State> for StateLine {
    fn from(state: &State) -> Self {
        let standing = |standing: &Standing| match standing {
            Standing::Waiting(last) => StandingLine::Waiting(last.as_ref().map(LastLine::from)),
            Standing::Delivered => StandingLine::Delivered,
            Standing::Failed(last) => StandingLine::Failed(last.into()),
        };
        Self {
            attempts: state.attempts,
            in_vain_before: state.in_vain_before,
            tried: state.tried,
            next: state.next,
            warned: state.warned,
            told: state.told,
            problem: state.problem.as_ref().map(LastLine::from),
            recipients: state.recipients.iter().map(standing).collect(),
        }
    }
}

impl StateLine {
    fn parse(self, recipients: usize) -> Option<State> {
        let standing = |line| match line {
            StandingLine::Waiting(last) => Standing::Waiting(last.map(Last::from)),
            StandingLine::Delivered => Standing::Delivered,
            StandingLine::Failed(last) => Standing::Failed(last.into()),
        };
        (self.recipients.len() == recipients).then(|| State {
            attempts: self.attempts,
            in_vain_before: self.in_vain_before,
            tried: self.tried,
            next: self.next,
            warned: self.warned,
            told: self.told,
            problem: self.problem.map(Last::from),
            recipients: self.recipients.into_iter().map(standing).collect(),
        })
    }
}

impl From<&Last> for LastLine {
    fn from(last: &Last) -> Self {
        let enhanced = last.enhanced.map(|e| (e.class, e.subject, e.detail));
        Self {
            code: last.code,
            enhanced,
            text: last.text.clone(),
            tls: last.tls.clone(),
            server: last.server.clone(),
            unknown: last.unknown,
        }
    }
}

impl From<LastLine> for Last {
    fn from(line: LastLine) -> Self {
        let enhanced = line.enhanced.map(|(class, subject, detail)| Enhanced { class, subject, detail });
        Self { code: line.code, enhanced, text: line.text, tls: line.tls, server: line.server, unknown: line.unknown }
    }
}
