//! What does `-v` and `--debug` tell on the terminal? (secrets masked, controls escaped)

use std::{borrow::Cow, io::Write};

use crate::{
    error::printable,
    mail::tls::{Facts, Standing, Verdict},
    smtp::client::Flight,
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
            None => quote(&mut text, '>', flight.head),
        }
        if !flight.content.is_empty() {
            text.push_str(&format!("> … {} octets of message …\n", flight.content.len()));
        }
        quote(&mut text, '>', flight.tail);
        tell(&text);
    }

    /// Bytes that came; `mask` takes out what nobody may see.
    pub fn heard(&self, bytes: &[u8], mask: impl Fn(&str) -> Cow<'_, str>) {
        if self.level == Level::Debug && !bytes.is_empty() {
            let mut text = String::new();
            quote(&mut text, '<', mask(&String::from_utf8_lossy(bytes)).as_bytes());
            tell(&text);
        }
    }
}

fn quote(text: &mut String, mark: char, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        text.push_str(&format!("{mark} {}\n", printable(line)));
    }
}

/// A terminal that is gone must not stop a mail.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
