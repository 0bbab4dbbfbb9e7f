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

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{RData, Record, rdata::A};
    use proptest::prelude::*;

    use super::*;

    fn question() -> Question {
        Question::new("mx.test", RecordType::A).unwrap()
    }

    fn answered(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let question = question();
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(question.name.clone(), question.kind));
        message.add_answer(Record::from_rdata(question.name, 60, RData::A(A::new(127, 0, 0, 1))));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn weighed(octets: &[u8]) -> String {
        match question().weigh(octets, 7) {
            Reply::Answer(message) => format!("{} records", message.answers.len()),
            Reply::Truncated => "cut".to_owned(),
            Reply::Failed(code) => code.to_string(),
            Reply::Foreign(why) => why.to_owned(),
        }
    }

    #[test]
    fn the_question_asks_for_signatures_and_for_what_is_false_too() {
        let message = Message::from_vec(&question().ask(7).unwrap()).unwrap();
        let edns = message.edns.unwrap();
        assert!(message.metadata.recursion_desired && message.metadata.checking_disabled && edns.flags().dnssec_ok);
        assert_eq!((message.metadata.id, edns.max_payload(), message.queries.len()), (7, DATAGRAM, 1));
    }

    #[test]
    fn only_the_answer_to_the_question_is_one() {
        assert_eq!(weighed(&answered(|_| ())), "1 records");
        assert_eq!(weighed(&answered(|message| message.queries[0].name = name("MX.Test").unwrap())), "1 records");
        assert_eq!(weighed(&answered(|message| message.metadata.response_code = ResponseCode::NXDomain)), "1 records");
        assert_eq!(weighed(&answered(|message| message.metadata.id = 8)), "it has another id");
        assert_eq!(weighed(&question().ask(7).unwrap()), "it is no response");
        assert_eq!(weighed(&answered(|message| message.metadata.op_code = OpCode::Notify)), "it answers no query");
        for change in [
            (|message| message.queries[0].name = name("my.test").unwrap()) as fn(&mut Message),
            |message| message.queries[0].query_type = RecordType::AAAA,
            |message| message.queries[0].query_class = DNSClass::CH,
            |message| message.queries.clear(),
            |message| message.queries.push(message.queries[0].clone()),
        ] {
            assert_eq!(weighed(&answered(change)), "it answers another question");
        }
        assert_eq!(weighed(&answered(|message| message.metadata.truncation = true)), "cut");
        assert_eq!(weighed(&answered(|message| message.metadata.response_code = ResponseCode::ServFail)), "Server Failure");
        assert_eq!(weighed(&[0, 7, 0x80, 5]), "Query Refused");
        assert_eq!(weighed(&[0, 7, 0x80, 0]), "it is garbled");
        assert_eq!(weighed(&[0, 7, 0x82]), "it is too short");
    }

    #[test]
    fn names_are_octets_between_dots() {
        let long = "a".repeat(64);
        for (text, shown_as) in [
            ("mx.test", Some("mx.test")),
            ("mx.test.", Some("mx.test")),
            ("_25._tcp.mx.test", Some("_25._tcp.mx.test")),
            (".", Some(".")),
            ("", Some(".")),
            ("a..b", None),
            (long.as_str(), None),
        ] {
            assert_eq!(name(text).as_ref().map(shown).as_deref(), shown_as, "{text:?}");
        }
        assert_eq!(wire_name(b"\x02mx\x04test\0"), name("mx.test"));
        for bad in [&b""[..], b"\x02mx", b"\x02mx\0\0", b"\xc0\x0c", b"\x40"] {
            assert_eq!(wire_name(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn hostile_datagrams_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), cut in any::<prop::sample::Index>()) {
            let mut octets = answered(|_| ());
            for (at, octet) in flips {
                *at.get_mut(&mut octets) = octet;
            }
            let _ = question().weigh(&octets, 7);
            let _ = question().weigh(&octets[..cut.index(octets.len())], 7);
        }
    }
}
