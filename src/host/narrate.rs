//! What does `-v` and `--debug` tell on the terminal? (secrets masked, controls escaped)

use std::io::Write;

use zeroize::Zeroizing;

use crate::{
    error::printable,
    mail::tls::{Facts, Standing, Verdict},
    smtp::{client::Flight, sasl::Mask},
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

    /// Bytes that came; `mask` takes out what nobody may see. A line is shown when all of it is there.
    pub fn heard(&self, unfinished: &mut Unfinished, bytes: &[u8], mask: &Mask) {
        if self.level < Level::Debug {
            return;
        }
        unfinished.0.extend_from_slice(bytes);
        let Some(end) = memchr::memrchr(b'\n', &unfinished.0) else { return };
        let lines: Zeroizing<Vec<u8>> = Zeroizing::new(unfinished.0.drain(..=end).collect());
        let mut text = String::new();
        quote(&mut text, '<', mask.hide(&String::from_utf8_lossy(&lines)).as_bytes());
        tell(&text);
    }

    /// The rest of a line does not come: what there is of it is shown.
    pub fn broke_off(&self, unfinished: &mut Unfinished, mask: &Mask) {
        let line = std::mem::take(&mut unfinished.0);
        if !line.is_empty() {
            let mut text = String::new();
            quote(&mut text, '<', mask.hide_broken_off(&String::from_utf8_lossy(&line)).as_bytes());
            tell(&text);
        }
    }
}

/// A line of a server's that has not come to its end: shown by halves it would show a secret by halves, which no mask knows.
#[derive(Debug, Default)]
pub struct Unfinished(Zeroizing<Vec<u8>>);

fn quote(text: &mut String, mark: char, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        text.push_str(&format!("{mark} {}\n", printable(line)));
    }
}

/// A terminal that is gone must not stop a mail.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
