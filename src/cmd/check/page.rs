//! How is a check told on a terminal of 80 columns, whatever a hostile server says? (`NO_COLOR` is obeyed by whoever asks)

use std::{fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use super::{
    advice::{days_left, octets},
    examine::{Contact, Examination},
    mail::Sent,
};
use crate::{
    cmd::wrap::wrapped,
    error::printable,
    host::{
        config::{SecretSource, Target},
        probe::{Seal, Sight},
    },
    mail::{
        policy::{Channel, Policy, Trust},
        tls::{Certificate, Verdict},
    },
    smtp::{reply::Capabilities, sasl::Choice},
};

/// The page fits into a terminal of this width.
const WIDTH: usize = 80;
/// Where the text of a row begins, behind its label.
const INDENT: usize = 13;
/// Columns of a key within a row, and the gap behind it.
const KEY: usize = 9;
/// A space that does not break: a number stays beside its unit.
const TIED: char = '\u{a0}';
/// Names of a certificate and mechanisms of a server that are shown.
const MOST_NAMES: usize = 12;
/// Characters of one foreign sentence that are shown.
const LONGEST: usize = 600;

/// How the page looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: bool,
}

/// What colour says; without colour nothing is lost.
#[derive(Clone, Copy, Debug)]
enum Ink {
    Plain,
    Title,
    Label,
    Good,
    Doubtful,
    Bad,
}

impl Style {
    /// Everything about one account.
    pub(super) fn page(self, origin: &str, seen: &Examination<'_>, advice: &[String], mail: Option<&Sent>) -> String {
        let account = seen.account;
        let demand = account.tls.demand;
        let title = format!("account {} ({})", account.name, account.target);
        let mut text = wrapped(&shown(&title), WIDTH).iter().map(|line| self.dyed(Ink::Title, line) + "\n").collect::<String>();
        text += &self.row("from", origin);
        let policy = match demand.policy {
            Policy::Off => "off: no TLS".to_owned(),
            policy => format!("{}, trust {}, start {}", policy.as_str(), demand.trust.as_str(), demand.start.as_str()),
        };
        text += &self.row("policy", &policy);
        text += &self.contacts(seen);
        if let Some(index) = seen.used {
            for sight in seen.contacts.get(index).map(|contact| contact.sights.as_slice()).unwrap_or_default() {
                text += &self.sight(sight, demand.trust);
            }
        }
        text += &self.login(seen);
        text += &self.verdict(seen);
        for (index, sentence) in advice.iter().enumerate() {
            text += &self.row(if index == 0 { "advice" } else { "" }, &format!("- {sentence}"));
        }
        if let Some(sent) = mail {
            let ink = if sent.error.is_none() { Ink::Good } else { Ink::Bad };
            text += &self.inked(("test mail", Ink::Label), "", (&sent.told(), ink));
        }
        text
    }

    fn contacts(self, seen: &Examination<'_>) -> String {
        let told = |(index, contact): (usize, &Contact)| {
            let name = contact.address.map_or_else(|| way(seen), |address| address.to_string());
            match &contact.connected {
                Ok(took) if seen.used == Some(index) => format!("{name} connected in {}, used", milliseconds(*took)),
                Ok(took) => format!("{name} connected in {}", milliseconds(*took)),
                Err(why) => format!("{name} {why}"),
            }
        };
        let mut lines: Vec<String> = seen.contacts.iter().enumerate().map(told).collect();
        if lines.is_empty() {
            lines.push("none".to_owned());
        }
        if matches!(seen.account.target, Target::Name(..)) && !seen.contacts.is_empty() && seen.account.proxy.is_none() {
            lines.push(format!("the name service took {}", milliseconds(seen.resolved)));
        }
        self.rows("addresses", &lines)
    }

    fn sight(self, sight: &Sight, trust: Trust) -> String {
        let mut text = self.row("steps", &steps(&sight.steps));
        if let Some(server) = &sight.clear {
            text += &self.row("before TLS", &keywords(server));
        }
        if let Some(tls) = &sight.tls {
            let known = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "?".to_owned());
            let facts = &tls.facts;
            text += &self.row("TLS", &format!("{}, {}, {}", known(&facts.version), known(&facts.cipher), known(&facts.group)));
            if let Some(server) = &sight.sealed {
                text += &self.row("under TLS", &keywords(server));
            }
            for (index, certificate) in tls.chain.iter().enumerate() {
                text += &self.certificate(index, certificate);
            }
            text += &self.opinions(tls, trust);
        } else if let Some(finding) = &sight.report.finding {
            text += &self.inked(("TLS", Ink::Label), "", (&format!("none: {finding}"), Ink::Bad));
        }
        text
    }

    fn certificate(self, index: usize, certificate: &Certificate) -> String {
        let label = if index == 0 { "chain" } else { "" };
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        let subject = format!("{}. {}", index + 1, or(&certificate.subject, "(no name)"));
        let mut text = self.row(label, &subject);
        if !certificate.names.is_empty() {
            let more = if certificate.names.len() > MOST_NAMES { ", …" } else { "" };
            let names = certificate.names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
            text += &self.keyed("names", &format!("{names}{more}"));
        }
        text += &self.keyed("issuer", &or(&certificate.issuer, "(no name)"));
        let day = |date: &str| date.get(..10).map_or_else(|| "?".to_owned(), str::to_owned);
        let left = days_left(&certificate.not_after, Timestamp::now());
        let left = left.map(|days| if days < 0 { " (expired)".to_owned() } else { format!(" ({days} days left)") });
        let valid = format!("{} to {}{}", day(&certificate.not_before), day(&certificate.not_after), left.unwrap_or_default());
        text + &self.keyed("valid", &valid)
    }

    /// What every kind of trust says, and the lines that would pin this server.
    fn opinions(self, tls: &Seal, own: Trust) -> String {
        let mut text = String::new();
        for (index, (name, verdict)) in tls.opinions.iter().enumerate() {
            let (told, ink) = opinion(name, verdict);
            let label = if index == 0 { "trust" } else { "" };
            text += &self.inked((label, Ink::Label), name, (&told, ink));
        }
        text += &self.inked(("", Ink::Label), "any", ("encrypted, whoever it is: never called verified", Ink::Plain));
        if !tls.opinions.iter().any(|(name, _)| *name == "pin") && own != Trust::Pin {
            text += &self.inked(("", Ink::Label), "pin", ("with one of the lines below", Ink::Plain));
        }
        if let Some(leaf) = tls.chain.first() {
            for (label, digest) in [("by its key", &leaf.spki_sha256), ("by itself", &leaf.sha256)] {
                text += &pin(digest).map_or_else(String::new, |line| self.row(label, &line));
            }
        }
        text
    }

    fn login(self, seen: &Examination<'_>) -> String {
        let (Some(auth), Some(login)) = (&seen.account.auth, seen.login()) else {
            return self.row("login", "none is configured");
        };
        let secret = match (&seen.secret, &auth.source) {
            (Some(Err(error)), _) => format!("the password can't be had: {}", error.because()),
            (_, SecretSource::Prompt) => "the password was asked for on the terminal".to_owned(),
            _ => "the password can be read".to_owned(),
        };
        let ink = if matches!(seen.secret, Some(Err(_))) { Ink::Bad } else { Ink::Plain };
        let mut text = self.inked(("login", Ink::Label), "", (&format!("as {}: {secret}", auth.user), ink));
        let (told, ink) = match (&login.mechanism, login.accepted) {
            (None, _) => ("not tried: it did not come to that".to_owned(), Ink::Doubtful),
            (Some(Err(why)), _) => (format!("not tried: {why}"), Ink::Bad),
            (Some(Ok(mechanism)), accepted) => {
                let why = match auth.choice {
                    Choice::Auto => "the best that both know and this connection allows",
                    Choice::Only(_) => "as the account says",
                };
                let (end, ink) = match accepted {
                    Some(true) => ("accepted", Ink::Good),
                    Some(false) => ("failed, see below", Ink::Bad),
                    None => ("not tried without the password", Ink::Doubtful),
                };
                (format!("{} ({why}): {end}", mechanism.name()), ink)
            }
        };
        text += &self.inked(("", Ink::Label), "", (&told, ink));
        text
    }

    fn verdict(self, seen: &Examination<'_>) -> String {
        match &seen.verdict {
            Ok(channel) => {
                let (how, ink) = match channel {
                    Channel::Verified => ("under TLS, the server verified", Ink::Good),
                    Channel::Unverified => ("under TLS, the server not verified", Ink::Doubtful),
                    Channel::Plaintext => ("in plaintext", Ink::Doubtful),
                };
                self.inked(("verdict", Ink::Label), "", (&format!("this account would send now, {how}"), ink))
            }
            Err(error) => {
                let exit = error.exit();
                let told =
                    format!("this account would not send now (exit {}, {}): {}", exit.code(), exit.name(), cut(error.because()));
                let mut text = self.inked(("verdict", Ink::Label), "", (&told, Ink::Bad));
                if let Some(hint) = error.advice() {
                    text += &self.row("hint", hint);
                }
                text
            }
        }
    }

    fn row(self, label: &str, text: &str) -> String {
        self.inked((label, Ink::Label), "", (text, Ink::Plain))
    }

    fn keyed(self, key: &str, text: &str) -> String {
        self.inked(("", Ink::Label), key, (text, Ink::Plain))
    }

    /// Rows under one label.
    fn rows(self, label: &str, lines: &[String]) -> String {
        lines.iter().enumerate().map(|(index, line)| self.row(if index == 0 { label } else { "" }, line)).collect()
    }

    /// A label, perhaps a key, and text beside them that is wrapped; what is foreign in it can't drive the terminal.
    fn inked(self, label: (&str, Ink), key: &str, text: (&str, Ink)) -> String {
        let column = if key.is_empty() { 0 } else { KEY };
        let mut rows = String::new();
        for (index, line) in wrapped(&shown(text.0), WIDTH - INDENT - column).iter().enumerate() {
            let (label_text, key) = if index == 0 { (label.0, key) } else { ("", "") };
            let head = self.dyed(label.1, &format!("{label_text:<0$}", INDENT - 2));
            let key = self.dyed(Ink::Label, &format!("{key:<column$}"));
            let _ = writeln!(rows, "{}", format!("  {head}{key}{}", self.dyed(text.1, line)).trim_end());
        }
        rows
    }

    fn dyed(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Title => "1",
            Ink::Label => "36",
            Ink::Good => "1;32",
            Ink::Doubtful => "1;33",
            Ink::Bad => "1;31",
        };
        let blank = text.trim().is_empty();
        if self.colour && !blank { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What EHLO said, in the words of EHLO.
fn keywords(server: &Capabilities) -> String {
    let mut words: Vec<String> = Vec::new();
    let flags = [
        (server.starttls, "STARTTLS"),
        (server.pipelining, "PIPELINING"),
        (server.chunking, "CHUNKING"),
        (server.eight_bit, "8BITMIME"),
        (server.smtputf8, "SMTPUTF8"),
        (server.dsn, "DSN"),
        (server.requiretls, "REQUIRETLS"),
    ];
    words.extend(flags.into_iter().filter(|(known, _)| *known).map(|(_, word)| word.to_owned()));
    words.extend(server.size.map(|size| format!("SIZE {}", octets(size).replace(' ', &TIED.to_string()))));
    if !server.auth.is_empty() {
        let more = if server.auth.len() > MOST_NAMES { " …" } else { "" };
        let names: Vec<&str> = server.auth.iter().take(MOST_NAMES).map(String::as_str).collect();
        words.push(format!("AUTH {}{more}", names.join(" ")));
    }
    if words.is_empty() { "nothing of use".to_owned() } else { words.join(", ") }
}

fn opinion(name: &str, verdict: &Verdict) -> (String, Ink) {
    match (name, verdict) {
        (_, Ok(_)) => ("trusted".to_owned(), Ink::Good),
        ("pin", Err(_)) => ("none of the pins is this server's".to_owned(), Ink::Bad),
        (_, Err(finding)) => (finding.to_string(), Ink::Bad),
    }
}

/// A digest in hexadecimal as the line of the configuration that pins it; in base64, so that it fits.
fn pin(digest: &str) -> Option<String> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let octets: Option<Vec<u8>> = digest.as_bytes().chunks(2).map(octet).collect();
    let octets = octets.filter(|octets| octets.len() == 32)?;
    Some(format!("pins = [\"sha256:{}\"]", STANDARD.encode(octets)))
}

/// How the server is reached where it has no address that we know.
fn way(seen: &Examination<'_>) -> String {
    match &seen.account.proxy {
        Some(proxy) => format!("through the proxy {}:{}", proxy.host, proxy.port),
        None => seen.account.target.to_string(),
    }
}

/// Each step with its time; the exchanges of one AUTH are one step.
fn steps(steps: &[(String, Duration)]) -> String {
    let mut told: Vec<String> = Vec::new();
    for same in steps.chunk_by(|one, next| one.0 == next.0) {
        let took = same.iter().map(|(_, took)| *took).sum();
        let name = same.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        told.push(format!("{name}{TIED}{}", milliseconds(took)));
    }
    if told.is_empty() { "the server said nothing".to_owned() } else { told.join(", ") }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}{TIED}ms", duration.as_secs_f64() * 1000.0)
}

fn shown(text: &str) -> String {
    printable(&cut(text))
}

/// As much of a foreign sentence as a person wants to read.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_fits_into_its_row_and_is_the_digest() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let line = pin(digest).unwrap();
        assert_eq!(line, "pins = [\"sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"]");
        assert!(line.len() <= WIDTH - INDENT);
        assert_eq!((pin(""), pin("zz"), pin("ää")), (None, None, None));
    }

    #[test]
    fn octets_are_told_in_units_that_divide_them_or_are_large() {
        for (count, told) in [(1000, "1000"), (10 << 20, "10 MiB"), (10 << 10, "10 KiB"), (35_882_577, "35 MB"), (1 << 30, "1 GiB")]
        {
            assert_eq!(octets(count), told);
        }
    }
}
