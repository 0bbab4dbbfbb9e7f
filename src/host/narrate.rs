//! What does `-v` and `--debug` tell on the terminal? (secrets masked, controls escaped)

use std::io::Write;

use zeroize::Zeroizing;

use crate::{
    error::printable,
    mail::tls::{Facts, Standing, Verdict},
    smtp::{
        client::Flight,
        reply::{decode, head},
        sasl::Mask,
    },
};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing: cron mails whatever is printed.
    #[default]
    Quiet,
    /// What happens, a line each.
    Verbose,
    /// The dialogue itself.
    Debug,
}

/// Tells standard error what happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Narrator {
    level: Level,
}

impl Narrator {
    /// A narrator that tells this much.
    pub fn new(level: Level) -> Self {
        Self { level }
    }

    /// One line about what happens.
    pub fn note(&self, text: &str) {
        if self.level >= Level::Verbose {
            tell(&format!("* {}\n", printable(text)));
        }
    }

    /// What the handshake gave.
    pub fn sealed(&self, facts: &Facts, verdict: &Verdict) {
        if self.level < Level::Verbose {
            return;
        }
        let or_unknown = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "?".to_owned());
        let believed = match verdict {
            Ok(Standing::Proven) => "trusted".to_owned(),
            Ok(Standing::FirstUse) => "a key that is met for the first time".to_owned(),
            Ok(Standing::Unchecked) => "not checked".to_owned(),
            Err(finding) => format!("not trusted: {finding}"),
        };
        self.note(&format!(
            "{} {} {}, {believed}",
            or_unknown(&facts.version),
            or_unknown(&facts.cipher),
            or_unknown(&facts.group)
        ));
    }

    /// A flight that is about to leave.
    pub fn said(&self, flight: Flight<'_>) {
        if self.level < Level::Debug {
            return;
        }
        let mut text = String::new();
        match flight.masked {
            Some(shown) => text.push_str(&format!("> {shown}\n")),
            None => quote(&mut text, flight.head),
        }
        if !flight.content.is_empty() {
            text.push_str(&format!("> … {} octets of message …\n", flight.content.len()));
        }
        quote(&mut text, flight.tail);
        tell(&text);
    }

    /// Bytes that came; `mask` takes out what nobody may see. A reply is shown when all of it is there.
    pub fn heard(&self, unfinished: &mut Unfinished, bytes: &[u8], mask: &Mask) {
        if self.level < Level::Debug {
            return;
        }
        unfinished.0.extend_from_slice(bytes);
        let whole = unfinished.whole();
        if whole > 0 {
            let replies: Zeroizing<Vec<u8>> = Zeroizing::new(unfinished.0.drain(..whole).collect());
            tell(&quoted_replies(&replies, mask, false));
        }
    }

    /// The rest of a reply does not come: what there is of it is shown.
    pub fn broke_off(&self, unfinished: &mut Unfinished, mask: &Mask) {
        let begun = std::mem::take(&mut unfinished.0);
        if !begun.is_empty() {
            tell(&quoted_replies(&begun, mask, true));
        }
    }
}

/// A reply that has not come to its end: shown by halves it would show a secret by halves, which no mask knows.
#[derive(Debug, Default)]
pub struct Unfinished(Zeroizing<Vec<u8>>);

impl Unfinished {
    /// How many octets of it are whole replies.
    fn whole(&self) -> usize {
        let mut read = 0;
        let ends = self.0.split_inclusive(|octet| *octet == b'\n').filter(|line| line.ends_with(b"\n")).filter_map(|line| {
            read += line.len();
            (!head(&String::from_utf8_lossy(line)).1).then_some(read)
        });
        ends.last().unwrap_or_default()
    }
}

/// Replies as they are shown, of which the last may break off.
fn quoted_replies(bytes: &[u8], mask: &Mask, is_broken_off: bool) -> String {
    let (mut text, mut heads, mut words) = (String::new(), Vec::new(), Vec::new());
    let mut lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|octet| *octet == b'\n').peekable();
    while let Some(line) = lines.next() {
        let mut line = decode(line.strip_suffix(b"\r").unwrap_or(line));
        let (length, more) = head(&line);
        words.push(line.split_off(length));
        heads.push(line);
        let is_last = lines.peek().is_none();
        if !more || is_last {
            mask.hide_lines(&mut words, is_broken_off && is_last);
            let shown = heads.drain(..).zip(words.drain(..));
            shown.for_each(|(head, words)| text.push_str(&format!("< {}\n", printable(&(head + &words)))));
        }
    }
    text
}

fn quote(text: &mut String, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        text.push_str(&format!("> {}\n", printable(line)));
    }
}

/// A terminal that is gone must not stop a mail.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
