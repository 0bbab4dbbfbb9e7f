//! How does an entry stand in its file, and what of a foreign file is refused?
//!
//! ```text
//! sealpost-queue 1 0000000512 00000000000000001234     octets of the head, octets of the message
//! {"arrived":…}                                        the head, one line
//! …                                                    the message
//! {"attempts":1,…}                                     its state, a line a change; the last whole one counts
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Head, State};
use crate::mail::{
    address::{Address, ReversePath},
    envelope::{Dsn, Envelope, Notify, Recipient, Ret, parse_envid},
    outcome::Enhanced,
    queued::{Last, Standing},
};

/// Octets of the first line.
pub(super) const FIRST: usize = 49;
/// No head is longer: 100 000 recipients of the greatest length.
const LONGEST_HEAD: u64 = 64 << 20;

/// Where the parts of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Octets of the head.
    pub(super) head: u64,
    /// Octets of the message.
    pub(super) content: u64,
}

impl Layout {
    pub(super) fn content_at(self) -> u64 {
        FIRST as u64 + self.head
    }

    /// Where the lines of the state begin.
    pub(super) fn state_at(self) -> u64 {
        self.content_at() + self.content
    }

    fn line(self) -> String {
        format!("sealpost-queue 1 {:010} {:020}\n", self.head, self.content)
    }

    /// Reads the first line.
    ///
    /// # Errors
    /// It is not ours, or of another version, in words that follow the file's name.
    pub(super) fn parse(first: &[u8]) -> Result<Self, String> {
        let line = first.get(..FIRST).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
        let Some(rest) = line.strip_prefix("sealpost-queue ") else { return Err("is no message of a queue".to_owned()) };
        let Some(lengths) = rest.strip_prefix("1 ") else {
            return Err("was written by another version of sealpost".to_owned());
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let parsed = lengths.strip_suffix('\n').and_then(|lengths| lengths.split_once(' '));
        let layout = parsed.and_then(|(head, content)| Some(Self { head: digits(head)?, content: digits(content)? }));
        let fits = |layout: &Self| layout.head <= LONGEST_HEAD && layout.content <= u64::MAX >> 1;
        layout.filter(fits).ok_or_else(|| "has a first line that is not ours".to_owned())
    }
}

/// The octets in front of the message.
pub(super) fn front(head: &Head) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = serde_json::to_vec(&HeadLine::from(head))?;
    json.push(b'\n');
    let mut front = Layout { head: json.len() as u64, content: head.size }.line().into_bytes();
    front.append(&mut json);
    Ok(front)
}

/// The octets of a change, behind the message.
pub(super) fn change(state: &State) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = serde_json::to_vec(&StateLine::from(state))?;
    json.push(b'\n');
    Ok(json)
}

/// Reads the head.
///
/// # Errors
/// It is no head of ours, in words that follow the file's name.
pub(super) fn head(json: &[u8], layout: Layout) -> Result<Head, String> {
    let line: HeadLine = serde_json::from_slice(json).map_err(|error| format!("has a head that can't be read: {error}"))?;
    line.parse(layout.content).ok_or_else(|| "has a head that says what can't be".to_owned())
}

/// Reads the changes; the state and how many octets of `lines` are whole lines that we wrote.
pub(super) fn state(lines: &[u8], head: &Head, due: Timestamp) -> (Entry, usize) {
    let mut entry = Entry::new(head.clone(), due);
    let mut whole = 0;
    for line in lines.split_inclusive(|octet| *octet == b'\n') {
        let parsed = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<StateLine>(line).ok());
        let Some(state) = parsed.and_then(|line| line.parse(head.envelope.recipients.len())) else { break };
        entry.state = state;
        whole += line.len();
    }
    entry.state.next = due;
    (entry, whole)
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
    notify: Option<String>,
    ret: Option<String>,
    envid: Option<String>,
    recipients: Vec<RecipientLine>,
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
}

impl From<&Head> for HeadLine {
    fn from(head: &Head) -> Self {
        let Envelope { sender, recipients, dsn } = &head.envelope;
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
            envelope: Envelope { sender: path(&self.sender)?, recipients, dsn },
            message_id: self.message_id,
            size,
            eight_bit: self.eight_bit,
            tls_waived: self.tls_waived,
            report: self.report,
        })
        .filter(|head| !head.envelope.recipients.is_empty())
    }
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
        Self { code: last.code, enhanced, text: last.text.clone(), tls: last.tls.clone() }
    }
}

impl From<LastLine> for Last {
    fn from(line: LastLine) -> Self {
        let enhanced = line.enhanced.map(|(class, subject, detail)| Enhanced { class, subject, detail });
        Self { code: line.code, enhanced, text: line.text, tls: line.tls }
    }
}
