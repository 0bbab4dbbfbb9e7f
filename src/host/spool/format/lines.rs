//! How is an envelope, and how it stands, said in JSON, and what of foreign JSON can't be?

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::entry::{Head, State};
use crate::mail::{
    address::{Address, ReversePath},
    envelope::{Dsn, Envelope, Notify, Recipient, Ret, parse_envid},
    outcome::Enhanced,
    policy::Request,
    queued::{Last, Standing},
};

/// What is known of a message when it comes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadLine {
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

/// How it stands.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateLine {
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
    pub(super) fn parse(self, size: u64) -> Option<Head> {
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
    /// The state of a message of so many recipients.
    pub(super) fn parse(self, recipients: usize) -> Option<State> {
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
