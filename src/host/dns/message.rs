//! How is a question put, and which datagram is its answer? (RFC 1035 4.1, 6891, 3225, 5452)

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};

/// Octets of a datagram that we can take: what crosses every path unfragmented.
pub(super) const DATAGRAM: u16 = 1232;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// About whom.
    pub name: Name,
    /// What.
    pub kind: RecordType,
}

/// What a datagram is to the one who waits for an answer.
#[derive(Debug)]
pub enum Reply {
    /// The answer: records, or that there are none.
    Answer(Box<Message>),
    /// The answer does not fit: ask again by TCP.
    Truncated,
    /// The server can't, or won't.
    Failed(ResponseCode),
    /// Not the answer to this question.
    Foreign(&'static str),
}

impl Question {
    /// The name that `text` is, its labels octet by octet; `None` where that is no name.
    pub fn new(text: &str, kind: RecordType) -> Option<Self> {
        Some(Self { name: name(text)?, kind })
    }

    /// The message that asks it. DO: with signatures. CD: what a validating server finds false comes too, so that we see it, and
    /// can say what is wrong.
    pub fn ask(&self, id: u16) -> Option<Vec<u8>> {
        let mut query = Query::query(self.name.clone(), self.kind);
        query.set_query_class(DNSClass::IN);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = true;
        message.add_query(query);
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM).set_dnssec_ok(true);
        message.set_edns(edns);
        message.to_vec().ok()
    }

    /// What `octets` are to us, who asked this under `id`.
    pub fn weigh(&self, octets: &[u8], id: u16) -> Reply {
        // A message that was cut may not be one to its end, so its head is looked at first.
        let [id_high, id_low, flags, codes, ..] = octets else { return Reply::Foreign("it is too short") };
        if [*id_high, *id_low] != id.to_be_bytes() {
            return Reply::Foreign("it has another id");
        }
        if flags & 0x80 == 0 {
            return Reply::Foreign("it is no response");
        }
        if flags & 0x78 != 0 {
            return Reply::Foreign("it answers no query");
        }
        let message = Message::from_vec(octets);
        let failed = codes & 0x0f;
        match message {
            Ok(message) if !self.is_asked_in(&message) => Reply::Foreign("it answers another question"),
            _ if flags & 0x02 != 0 => Reply::Truncated,
            Ok(message) => match message.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Reply::Answer(Box::new(message)),
                other => Reply::Failed(other),
            },
            // Servers that don't know EDNS may leave even the question out.
            Err(_) if failed != 0 => Reply::Failed(ResponseCode::from(0, failed)),
            Err(_) => Reply::Foreign("it is garbled"),
        }
    }

    /// Whether a zone can answer it by where it stands: for DS only those above the name can (RFC 4035 5.2).
    pub(super) fn may_be_signed_by(&self, zone: &Name) -> bool {
        self.kind != RecordType::DS || *zone != self.name
    }

    fn is_asked_in(&self, message: &Message) -> bool {
        match message.queries.as_slice() {
            [query] => query.name == self.name && query.query_type == self.kind && query.query_class == DNSClass::IN,
            // FORMERR may come without it; nothing of such a message is believed but that the server won't.
            [] => !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain),
            _ => false,
        }
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", shown(&self.name), self.kind)
    }
}

/// The name that `text` is, octet by octet.
pub(super) fn name(text: &str) -> Option<Name> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let labels = bare.split('.').filter(|_| !bare.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).ok()
}

/// A name for people and certificates: without the last dot.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    match text.strip_suffix('.') {
        None | Some("") => text,
        Some(bare) => bare.to_owned(),
    }
}

/// An uncompressed name that fills `octets`.
pub(super) fn wire_name(octets: &[u8]) -> Option<Name> {
    let mut labels = Vec::new();
    let mut rest = octets;
    loop {
        let (length, behind) = rest.split_first()?;
        match usize::from(*length) {
            0 => return if behind.is_empty() { Name::from_labels(labels).ok() } else { None },
            length if length < 64 => {
                labels.push(behind.get(..length)?);
                rest = behind.get(length..)?;
            }
            _ => return None,
        }
    }
}
