//! What does one line of the send log say, as far as it can be read? (sealpost(1), "The log")

use std::{borrow::Cow, fmt, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::lenient::{address, flag, flat, list, number, text};
use crate::{host::journal::Status, mail::tls::Failure};

/// One record as it was read. What is null or missing is `None`, and so is what has another type than we know; keys that this
/// version does not know are passed over. All strings are foreign: whoever shows one escapes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// When the record was written.
    #[serde(deserialize_with = "time")]
    pub time: Timestamp,
    /// What it tells of: `send`, or what a later version writes besides.
    pub event: String,
    /// What became of the submission.
    #[serde(default, deserialize_with = "word")]
    pub status: Word<Status>,
    /// The name of the submission.
    #[serde(default, deserialize_with = "text")]
    pub id: Option<String>,
    /// The Message-ID with its angle brackets.
    #[serde(default, deserialize_with = "text")]
    pub message_id: Option<String>,
    /// The account.
    #[serde(default, deserialize_with = "text")]
    pub account: Option<String>,
    /// The host of the account.
    #[serde(default, deserialize_with = "text")]
    pub host: Option<String>,
    /// Its port.
    #[serde(default, deserialize_with = "number")]
    pub port: Option<u16>,
    /// The address that was dialled.
    #[serde(default, deserialize_with = "address")]
    pub address: Option<IpAddr>,
    /// Every recipient with its own status.
    #[serde(default, deserialize_with = "list")]
    pub recipients: Vec<Recipient>,
    /// The code of the reply that decided.
    #[serde(default, deserialize_with = "number")]
    pub code: Option<u16>,
    /// Its enhanced code.
    #[serde(default, deserialize_with = "text")]
    pub enhanced: Option<String>,
    /// Its text.
    #[serde(default, deserialize_with = "text")]
    pub reply: Option<String>,
    /// Why it did not go.
    #[serde(default, deserialize_with = "text")]
    pub error: Option<String>,
    /// What TLS did.
    #[serde(default, deserialize_with = "flat")]
    pub tls: Tls,
}

/// One recipient of a record.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Recipient {
    /// The address.
    #[serde(default, deserialize_with = "text")]
    pub address: Option<String>,
    /// What became of it.
    #[serde(default, deserialize_with = "word")]
    pub status: Word<Status>,
    /// The code of the reply to it.
    #[serde(default, deserialize_with = "number")]
    pub code: Option<u16>,
    /// The enhanced code of that reply.
    #[serde(default, deserialize_with = "text")]
    pub enhanced: Option<String>,
    /// The text of that reply.
    #[serde(default, deserialize_with = "text")]
    pub reply: Option<String>,
}

/// The part of a record that tells of TLS.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Tls {
    /// Who was believed to be the server.
    #[serde(default, deserialize_with = "text")]
    pub trust: Option<String>,
    /// What the message itself met.
    #[serde(default, deserialize_with = "word")]
    pub result: Word<TlsResult>,
    /// The version that was negotiated.
    #[serde(default, deserialize_with = "text")]
    pub version: Option<String>,
    /// The cipher suite.
    #[serde(default, deserialize_with = "text")]
    pub cipher: Option<String>,
    /// The key exchange group.
    #[serde(default, deserialize_with = "text")]
    pub group: Option<String>,
    /// What was wrong.
    #[serde(default, deserialize_with = "failure")]
    pub failure: Option<Word<Failure>>,
    /// The words of the library or the server.
    #[serde(default, deserialize_with = "text")]
    pub detail: Option<String>,
    /// The host offered TLS before.
    #[serde(default, deserialize_with = "flag")]
    pub downgrade: bool,
    /// The certificate that was shown.
    #[serde(default, deserialize_with = "flat")]
    pub certificate: Certificate,
}

/// The part of a certificate that a summary needs.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Certificate {
    /// Whose it is.
    #[serde(default, deserialize_with = "text")]
    pub subject: Option<String>,
    /// When it ends, RFC 3339.
    #[serde(default, deserialize_with = "text")]
    pub not_after: Option<String>,
}

/// A word of the log, which a later version may have more of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word<T> {
    /// One that this version knows.
    Known(T),
    /// Another one, or none at all.
    Other(String),
}

/// What a [`Word`] can stand for.
pub trait Term: Copy + Eq {
    /// The meaning of a word of the log.
    fn parse(word: &str) -> Option<Self>;
    /// The word in the log.
    fn as_str(self) -> &'static str;
}

/// `tls.result`: what a message met on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsResult {
    /// TLS with a server that was verified.
    Verified,
    /// TLS with a server that was not.
    Unverified,
    /// No TLS.
    Plaintext,
    /// Nothing of the message was said.
    None,
}

impl Entry {
    /// Reads one line without its newline; `None` for what is no record: half a line, noise, another program's.
    ///
    /// A machine that lost power leaves NULs where a line was promised and not written; they may stand before a good line.
    pub fn parse(line: &[u8]) -> Option<(&str, Self)> {
        let start = line.iter().position(|octet| *octet != 0)?;
        let text = std::str::from_utf8(line.get(start..)?).ok()?.trim_ascii();
        // What is no object costs nothing: a foreign line may be long.
        let entry = text.starts_with('{').then(|| serde_json::from_str(text).ok())??;
        Some((text, entry))
    }

    /// Whether it tells of a send; a later version may tell of more.
    pub fn is_send(&self) -> bool {
        self.event == "send"
    }
}

impl TlsResult {
    /// Every result, the best first.
    pub const ALL: [Self; 4] = [Self::Verified, Self::Unverified, Self::Plaintext, Self::None];

    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Plaintext => "plaintext",
            Self::None => "none",
        }
    }

    /// The result that a word of the log names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == word)
    }
}

macro_rules! term {
    ($($name:ty),*) => {$(
        impl Term for $name {
            fn parse(word: &str) -> Option<Self> {
                Self::parse(word)
            }
            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }
    )*};
}

term!(Status, TlsResult, Failure);

impl<T: Term> Word<T> {
    /// The meaning, where this version knows it.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(term) => Some(*term),
            Self::Other(_) => None,
        }
    }

    /// The word as the log has it, not escaped.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(term) => term.as_str(),
            Self::Other(word) => word,
        }
    }

    fn new(word: Cow<'_, str>) -> Self {
        T::parse(&word).map_or_else(|| Self::Other(word.into_owned()), Self::Known)
    }
}

impl<T> Default for Word<T> {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl<T: Term> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        self.known() == Some(*other)
    }
}

impl<T: Term> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn word<'de, T: Term, D: Deserializer<'de>>(deserializer: D) -> Result<Word<T>, D::Error> {
    Ok(text(deserializer)?.map(|word| Word::new(word.into())).unwrap_or_default())
}

fn failure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word<Failure>>, D::Error> {
    Ok(text(deserializer)?.map(|word| Word::new(word.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"time":"2026-11-23T22:53:01.123Z","event":"send","status":"sent","tls":{"result":"verified"}}"#;

    fn parsed(line: &str) -> Entry {
        Entry::parse(line.as_bytes()).unwrap_or_else(|| panic!("no record: {line}")).1
    }

    #[test]
    fn what_is_missing_is_none_and_what_is_unknown_is_passed_over() {
        let entry = parsed(LEAST);
        assert!(entry.is_send() && entry.status == Status::Sent && entry.tls.result == TlsResult::Verified);
        assert_eq!((entry.host, entry.tls.downgrade, entry.tls.failure), (None, false, None));
        let newer = LEAST.replace("{\"result\"", "{\"moon\":[{}],\"failure\":\"sts-policy-invalid\",\"downgrade\":null,\"result\"");
        assert_eq!(parsed(&newer).tls.failure, Some(Word::Other("sts-policy-invalid".into())));
    }

    #[test]
    fn a_record_of_a_later_version_is_a_record_whatever_its_values_are() {
        let lines = [
            LEAST.replace("\"sent\"", "\"parked\""),
            LEAST.replace("\"verified\"", "\"sealed\""),
            LEAST.replace("\"send\"", "\"bounce\""),
            LEAST.replace("\"sent\"", "{\"word\":\"sent\"}"),
            LEAST.replace("{\"result\":\"verified\"}", "[1,[2],{}]"),
            LEAST.replace("\"event\"", "\"port\":99999,\"address\":\"unix:/x\",\"code\":2.5,\"event\""),
            LEAST.replace("\"event\"", "\"recipients\":[1,null,{\"address\":{}},{\"address\":\"a@b\",\"status\":7}],\"event\""),
            LEAST.replace("\"event\"", "\"recipients\":{\"to\":[]},\"host\":[\"a\",\"b\"],\"id\":7,\"event\""),
            LEAST.replace("{\"result\"", "{\"certificate\":\"none\",\"downgrade\":\"yes\",\"version\":1.3,\"result\""),
            LEAST.replace("\"verified\"", &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
            r#"{"time":"2026-11-23T22:53:01Z","event":"send"}"#.to_owned(),
        ];
        let entries = lines.each_ref().map(|line| parsed(line));
        assert_eq!((entries[0].status.as_str(), entries[1].tls.result.as_str()), ("parked", "sealed"));
        assert!(!entries[2].is_send() && entries[2].status == Status::Sent);
        assert_eq!((entries[5].port, entries[5].address, entries[5].code), (None, None, None));
        let addresses: Vec<_> = entries[6].recipients.iter().map(|recipient| recipient.address.as_deref()).collect();
        assert_eq!(addresses, [None, None, None, Some("a@b")]);
        assert_eq!((entries[7].recipients.len(), &entries[7].host, entries[7].id.as_deref()), (0, &None, Some("7")));
    }

    #[test]
    fn nuls_before_a_line_and_space_around_it_are_no_part_of_it() {
        let line = format!("\0\0\0 {LEAST}\r");
        assert_eq!(Entry::parse(line.as_bytes()).unwrap().0, LEAST);
    }

    #[test]
    fn what_is_no_record_is_not_taken_for_one() {
        for text in [
            "",
            "\0\0\0",
            "{",
            "null",
            "[]",
            "{}",
            "Nov 23 22:53:01 host postfix/smtp[1]: sent",
            &LEAST[..LEAST.len() - 1],
            &LEAST[20..],
            &format!("{LEAST}{LEAST}"),
            &LEAST.replace("\"send\"", "null"),
            &LEAST.replace("event", "events"),
            &LEAST.replace("2026-11-23", "2026-13-23"),
            &LEAST.replace("\"2026-11-23T22:53:01.123Z\"", "1795474381"),
            &LEAST.replace("\"verified\"", &"[".repeat(100_000)),
        ] {
            assert!(Entry::parse(text.as_bytes()).is_none(), "{text:.100}");
        }
        let foreign = [LEAST.as_bytes(), b"\xff"].concat();
        assert!(Entry::parse(&foreign).is_none());
    }

    #[test]
    fn every_result_has_a_word_of_its_own() {
        for result in TlsResult::ALL {
            assert_eq!(TlsResult::parse(result.as_str()), Some(result));
        }
    }
}
