//! What is said of a message of the queue: to a person, to a script, and by the service to who asks it? (sealpost(1), "sealpost queue")

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::host::{
    journal::Id,
    spool::{Entry, Place},
};
use crate::mail::queued::{Last, Standing};

/// What stands in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Item {
    /// A message.
    Message(Box<Listed>),
    /// Something that is none.
    Odd(Odd),
}

/// A message of the queue; the keys of its JSON are the fields, and what is not known is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    #[serde(deserialize_with = "id")]
    pub id: Id,
    /// Where it is.
    #[serde(serialize_with = "say_place", deserialize_with = "place")]
    pub place: Place,
    /// Whose queue that is.
    #[serde(default)]
    pub source: Whose,
    /// When it came.
    #[serde(serialize_with = "say_time")]
    pub arrived: Timestamp,
    /// Who sent it.
    pub uid: u32,
    /// The login that belongs to it.
    pub user: String,
    /// The account that it goes through.
    pub account: String,
    /// The envelope sender; empty for the null sender.
    pub from: String,
    /// Its Message-ID.
    pub message_id: String,
    /// Octets of the message.
    pub size: u64,
    /// It is a report of our own on another message.
    pub report: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// When the last one ended.
    #[serde(serialize_with = "say_maybe_time")]
    pub tried: Option<Timestamp>,
    /// When the next one is due, where one will be made.
    #[serde(serialize_with = "say_maybe_time")]
    pub next: Option<Timestamp>,
    /// What the last attempt as a whole met.
    pub problem: Option<Heard>,
    /// Its recipients.
    pub recipients: Vec<Stands>,
}

/// What is no message of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// The name under which it stands; foreign.
    pub odd: String,
    /// Where.
    #[serde(serialize_with = "say_place", deserialize_with = "place")]
    pub place: Place,
    /// Whose queue that is.
    #[serde(default)]
    pub source: Whose,
}

/// Whose queue something is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// The one that the configuration names, opened directly.
    Own,
    /// The service's.
    #[default]
    Service,
}

/// What was last heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The reply's code, where it was a reply.
    pub code: Option<u16>,
    /// Its enhanced status code.
    pub enhanced: Option<String>,
    /// Its text, or what went wrong instead; foreign.
    pub reply: Option<String>,
    /// Why TLS was not as it had to be, where that was it.
    pub tls: Option<String>,
}

/// How a recipient stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// Its address.
    pub address: String,
    /// Whether it waits, has the message, or never gets it.
    pub status: Fate,
    /// What was last heard of it.
    #[serde(flatten)]
    pub heard: Heard,
}

/// What became of a recipient so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is to be tried (again).
    Waiting,
    /// The smarthost took it.
    Delivered,
    /// It was refused for good, or given up.
    Failed,
}

impl Listed {
    /// What is known of a message.
    pub fn new(id: Id, place: Place, source: Whose, entry: Entry) -> Self {
        let Entry { head, state } = entry;
        let addresses = head.envelope.recipients.iter().map(|recipient| recipient.address.to_string());
        let recipients = addresses.zip(state.recipients).map(|(address, standing)| Stands::new(address, standing));
        Self {
            id,
            place,
            source,
            arrived: head.arrived,
            uid: head.uid,
            user: head.user,
            account: head.account,
            from: head.envelope.sender.to_string(),
            message_id: head.message_id,
            size: head.size,
            report: head.report,
            attempts: state.attempts,
            tried: state.tried,
            next: (place == Place::Queue).then_some(state.next),
            problem: state.problem.map(Heard::from),
            recipients: recipients.collect(),
        }
    }

    /// The addresses that are still to be reached.
    pub fn waiting(&self) -> impl Iterator<Item = &Stands> {
        self.recipients.iter().filter(|recipient| recipient.status == Fate::Waiting)
    }
}

impl Stands {
    fn new(address: String, standing: Standing) -> Self {
        let (status, last) = match standing {
            Standing::Waiting(last) => (Fate::Waiting, last),
            Standing::Delivered => (Fate::Delivered, None),
            Standing::Failed(last) => (Fate::Failed, Some(last)),
        };
        Self { address, status, heard: last.map(Heard::from).unwrap_or_default() }
    }
}

impl From<Last> for Heard {
    fn from(last: Last) -> Self {
        let reply = Some(last.text).filter(|text| !text.is_empty());
        Self { code: last.code, enhanced: last.enhanced.map(|enhanced| enhanced.to_string()), reply, tls: last.tls }
    }
}

impl Heard {
    /// `450 4.2.1 mailbox busy`, and why TLS failed; `None` where nothing was heard. Foreign, not escaped.
    pub fn words(&self) -> Option<String> {
        let code = self.code.map(|code| code.to_string());
        let said: Vec<&str> = [&code, &self.enhanced, &self.reply].into_iter().filter_map(Option::as_deref).collect();
        let said = said.join(" ");
        match &self.tls {
            Some(tls) if said.is_empty() => Some(format!("TLS: {tls}")),
            Some(tls) if !said.contains(tls.as_str()) => Some(format!("{said} (TLS: {tls})")),
            _ => Some(said).filter(|said| !said.is_empty()),
        }
    }
}

impl Item {
    /// Says whose queue it is in.
    #[must_use]
    pub fn of(mut self, whose: Whose) -> Self {
        match &mut self {
            Self::Message(listed) => listed.source = whose,
            Self::Odd(odd) => odd.source = whose,
        }
        self
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
    let text = String::deserialize(deserializer)?;
    Id::parse(&text).ok_or_else(|| D::Error::custom("no name of a message"))
}

/// To the millisecond, as the log.
fn say_time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn say_maybe_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => say_time(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn say_place<S: Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(place.as_str())
}

fn place<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
    let text = String::deserialize(deserializer)?;
    Place::ALL.into_iter().find(|place| place.as_str() == text).ok_or_else(|| D::Error::custom("no place of a queue"))
}
