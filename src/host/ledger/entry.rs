//! What does one line of the send log say, as far as it can be read? (sealpost(1), "The log")

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{host::journal::Status, mail::tls::Failure};

/// One record as it was read. Keys that this version does not know are passed over; what is null or missing is `None`. All
/// strings are foreign: whoever shows one escapes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// When the record was written.
    #[serde(deserialize_with = "time")]
    pub time: Timestamp,
    event: String,
    /// What became of the submission.
    #[serde(deserialize_with = "status")]
    pub status: Status,
    /// The name of the submission.
    pub id: Option<String>,
    /// The Message-ID with its angle brackets.
    pub message_id: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// The host of the account.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The address that was dialled.
    pub address: Option<IpAddr>,
    /// Every recipient with its own status.
    #[serde(default)]
    pub recipients: Vec<Recipient>,
    /// The code of the reply that decided.
    pub code: Option<u16>,
    /// Its enhanced code.
    pub enhanced: Option<String>,
    /// Its text.
    pub reply: Option<String>,
    /// Why it did not go.
    pub error: Option<String>,
    /// What TLS did.
    pub tls: Tls,
}

/// One recipient of a record.
#[derive(Clone, Debug, Deserialize)]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// What became of it.
    #[serde(deserialize_with = "status")]
    pub status: Status,
    /// The code of the reply to it.
    pub code: Option<u16>,
    /// The enhanced code of that reply.
    pub enhanced: Option<String>,
    /// The text of that reply.
    pub reply: Option<String>,
}

/// The part of a record that tells of TLS.
#[derive(Clone, Debug, Deserialize)]
pub struct Tls {
    /// What the message itself met.
    #[serde(deserialize_with = "result")]
    pub result: TlsResult,
    /// The version that was negotiated.
    pub version: Option<String>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The key exchange group.
    pub group: Option<String>,
    /// What was wrong.
    #[serde(default, deserialize_with = "failure")]
    pub failure: Option<Failure>,
    /// The words of the library or the server.
    pub detail: Option<String>,
    /// The host offered TLS before.
    #[serde(default, deserialize_with = "flag")]
    pub downgrade: bool,
    /// The certificate that was shown.
    pub certificate: Option<Certificate>,
}

/// The part of a certificate that a summary needs.
#[derive(Clone, Debug, Deserialize)]
pub struct Certificate {
    /// Whose it is.
    pub subject: Option<String>,
    /// When it ends, RFC 3339.
    pub not_after: Option<String>,
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
    /// Reads one line without its newline; `None` for what is no record of a send: half a line, noise, another program's.
    ///
    /// A machine that lost power leaves NULs where a line was promised and not written; they may stand before a good line.
    pub fn parse(line: &[u8]) -> Option<(&str, Self)> {
        let start = line.iter().position(|octet| *octet != 0)?;
        let text = std::str::from_utf8(line.get(start..)?).ok()?.trim_ascii();
        let entry: Self = serde_json::from_str(text).ok()?;
        (entry.event == "send").then_some((text, entry))
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

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    Status::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no status"))
}

fn result<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TlsResult, D::Error> {
    TlsResult::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no TLS result"))
}

/// A name that this version does not know is a failure all the same: the general one (RFC 8460 4.3.3).
fn failure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Failure>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    Ok(name.map(|name| Failure::parse(&name).unwrap_or(Failure::ValidationFailure)))
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"time":"2026-11-23T22:53:01.123Z","event":"send","status":"sent","tls":{"result":"verified"}}"#;

    #[test]
    fn what_is_missing_is_none_and_what_is_unknown_is_passed_over() {
        let (_, entry) = Entry::parse(LEAST.as_bytes()).unwrap();
        assert_eq!(
            (entry.status, entry.tls.result, entry.host, entry.tls.downgrade),
            (Status::Sent, TlsResult::Verified, None, false)
        );
        let newer = LEAST.replace("{\"result\"", "{\"moon\":[{}],\"failure\":\"sts-policy-invalid\",\"downgrade\":null,\"result\"");
        let (_, entry) = Entry::parse(newer.as_bytes()).unwrap();
        assert_eq!(entry.tls.failure, Some(Failure::ValidationFailure));
    }

    #[test]
    fn nuls_before_a_line_and_space_around_it_are_no_part_of_it() {
        let line = format!("\0\0\0 {LEAST}\r");
        assert_eq!(Entry::parse(line.as_bytes()).unwrap().0, LEAST);
    }

    #[test]
    fn what_is_no_record_of_a_send_is_not_taken_for_one() {
        for text in [
            "",
            "\0\0\0",
            "{",
            "null",
            "[]",
            "Nov 23 22:53:01 host postfix/smtp[1]: sent",
            &LEAST[..LEAST.len() - 1],
            &LEAST[20..],
            &format!("{LEAST}{LEAST}"),
            &LEAST.replace("\"send\"", "\"queue\""),
            &LEAST.replace("sent", "sending"),
            &LEAST.replace("2026-11-23", "2026-13-23"),
            &LEAST.replace("verified", "sealed"),
            &LEAST.replace("\"event\"", "\"port\":99999,\"event\""),
            &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
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
