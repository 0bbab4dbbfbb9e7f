//! What does one command line say? (RFC 5321 4.1, 1870, 3461, 4954, 6152, 6531, 8689)

use crate::mail::{
    envelope::{Notify, Ret},
    stray::{self, Stray},
};

/// A command, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Hello(Hello, String),
    Starttls,
    Auth {
        mechanism: String,
        initial: Option<String>,
    },
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Bdat {
        size: u64,
        last: bool,
    },
    /// What is asked of the queue.
    Queue(String),
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    /// A browser that was talked into posting to our port.
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hello {
    Ehlo,
    Helo,
    Lhlo,
}

/// MAIL and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mail {
    /// Without angle brackets; empty: the null reverse-path.
    pub(super) sender: String,
    pub(super) size: Option<u64>,
    pub(super) eight_bit: bool,
    pub(super) smtputf8: bool,
    pub(super) requiretls: bool,
    pub(super) ret: Option<Ret>,
    pub(super) envid: Option<String>,
    pub(super) account: Option<String>,
    pub(super) any_sender: bool,
    pub(super) strays: Vec<Stray>,
    /// The EHLO keywords that the parameters belong to.
    pub(super) keywords: Vec<&'static str>,
}

/// RCPT and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rcpt {
    pub(super) recipient: Recipient,
    /// The EHLO keywords that the parameters belong to.
    pub(super) keywords: Vec<&'static str>,
}

/// One recipient as a client named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Without angle brackets and source route; may be a bare local part. Printable, no space outside quotes.
    pub address: String,
    /// NOTIFY.
    pub notify: Option<Notify>,
    /// ORCPT, `type;address`, decoded.
    pub original: Option<String>,
}

/// The reply to a line that can't be understood.
pub(super) type Complaint = &'static str;

const SYNTAX: Complaint = "501 5.5.4 syntax error in parameters";
const BAD_PATH: Complaint = "501 5.1.3 that is not an address in angle brackets";
const UNKNOWN_PARAMETER: Complaint = "555 5.5.4 unknown parameter";
/// RFC 5321 section 4.5.3.1.3 has servers take 256 octets; twice that leaves room for long internationalised names.
const LONGEST_PATH: usize = 512;

impl Command {
    /// Parses a line without its line end.
    pub(super) fn parse(line: &str) -> Result<Self, Complaint> {
        if line.contains(|c: char| c.is_control()) {
            return Err("500 5.5.2 control characters in a command");
        }
        let line = line.trim_end_matches(' ');
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start_matches(' ');
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => hello(Hello::Ehlo, rest),
            "HELO" => hello(Hello::Helo, rest),
            "LHLO" => hello(Hello::Lhlo, rest),
            "STARTTLS" => alone(Self::Starttls, rest),
            "AUTH" => auth(rest),
            "MAIL" => Mail::parse(after_keyword(rest, "FROM:")?).map(Self::Mail),
            "RCPT" => Rcpt::parse(after_keyword(rest, "TO:")?).map(Self::Rcpt),
            "DATA" => alone(Self::Data, rest),
            "BDAT" => bdat(rest),
            "XQUEUE" => Ok(Self::Queue(rest.to_owned())),
            "RSET" => alone(Self::Rset, rest),
            "NOOP" => Ok(Self::Noop),
            "VRFY" => Ok(Self::Vrfy),
            "HELP" => Ok(Self::Help),
            "QUIT" => alone(Self::Quit, rest),
            "GET" | "POST" | "HEAD" | "PUT" | "OPTIONS" | "CONNECT" => Ok(Self::Http),
            _ => Err("500 5.5.2 unknown command"),
        }
    }
}

impl Mail {
    fn parse(rest: &str) -> Result<Self, Complaint> {
        let (sender, rest) = path(rest)?;
        let mut mail = Self { sender, ..Self::default() };
        for (keyword, value) in Parameters::parse(rest)?.0 {
            let belongs_to = match (keyword.as_str(), value) {
                ("SIZE", Some(value)) => {
                    mail.size = Some(number(value)?);
                    "SIZE"
                }
                ("BODY", Some(value)) => {
                    mail.eight_bit = one_of(value, &[("7BIT", false), ("8BITMIME", true)])?;
                    "8BITMIME"
                }
                ("SMTPUTF8", None) => {
                    mail.smtputf8 = true;
                    "SMTPUTF8"
                }
                ("REQUIRETLS", None) => {
                    mail.requiretls = true;
                    "REQUIRETLS"
                }
                ("RET", Some(value)) => {
                    mail.ret = Some(one_of(value, &[("FULL", Ret::Full), ("HDRS", Ret::Headers)])?);
                    "DSN"
                }
                ("ENVID", Some(value)) if value.len() <= 100 => {
                    mail.envid = Some(xtext(value)?);
                    "DSN"
                }
                ("XACCOUNT", Some(value)) => {
                    mail.account = Some(xtext(value)?);
                    "XSEALPOST"
                }
                ("XDEFAULT", None) => {
                    mail.any_sender = true;
                    "XSEALPOST"
                }
                ("XSTRAYS", Some(value)) => {
                    mail.strays = strays(value)?;
                    "XSEALPOST"
                }
                // Who first submitted it (RFC 4954 section 5): nothing here relays, so nobody asks.
                ("AUTH", Some(value)) => xtext(value).map(|_| "AUTH")?,
                _ => return Err(UNKNOWN_PARAMETER),
            };
            mail.keywords.push(belongs_to);
        }
        Ok(mail)
    }
}

impl Rcpt {
    fn parse(rest: &str) -> Result<Self, Complaint> {
        let (address, rest) = path(rest)?;
        if address.is_empty() {
            return Err(BAD_PATH);
        }
        let mut rcpt = Self { recipient: Recipient { address, ..Recipient::default() }, keywords: Vec::new() };
        for (keyword, value) in Parameters::parse(rest)?.0 {
            match (keyword.as_str(), value) {
                ("NOTIFY", Some(value)) => rcpt.recipient.notify = Some(notify(value)?),
                ("ORCPT", Some(value)) if value.contains(';') => rcpt.recipient.original = Some(xtext(value)?),
                _ => return Err(UNKNOWN_PARAMETER),
            }
            rcpt.keywords.push("DSN");
        }
        Ok(rcpt)
    }
}

/// `KEYWORD=value` and `KEYWORD`, each at most once; keywords in upper case.
struct Parameters<'a>(Vec<(String, Option<&'a str>)>);

impl<'a> Parameters<'a> {
    fn parse(rest: &'a str) -> Result<Self, Complaint> {
        let mut known: Vec<(String, Option<&str>)> = Vec::new();
        for word in rest.split(' ').filter(|word| !word.is_empty()) {
            let (keyword, value) = word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)));
            let keyword = keyword.to_ascii_uppercase();
            if value == Some("") || known.iter().any(|(before, _)| *before == keyword) {
                return Err(SYNTAX);
            }
            known.push((keyword, value));
        }
        Ok(Self(known))
    }
}

fn hello(kind: Hello, rest: &str) -> Result<Command, Complaint> {
    let name = rest.split(' ').next().unwrap_or_default();
    if name.is_empty() {
        return Err("501 5.5.4 who are you? a host name must follow");
    }
    Ok(Command::Hello(kind, name.to_owned()))
}

fn alone(command: Command, rest: &str) -> Result<Command, Complaint> {
    if rest.is_empty() { Ok(command) } else { Err("501 5.5.4 nothing may follow this command") }
}

fn auth(rest: &str) -> Result<Command, Complaint> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => {
            Ok(Command::Auth { mechanism: mechanism.to_owned(), initial: initial.map(str::to_owned) })
        }
        _ => Err(SYNTAX),
    }
}

fn bdat(rest: &str) -> Result<Command, Complaint> {
    let (size, last) = match rest.split_once(' ') {
        Some((size, last)) if last.trim().eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(SYNTAX),
        None => (rest, false),
    };
    Ok(Command::Bdat { size: number(size)?, last })
}

fn after_keyword<'a>(rest: &'a str, keyword: &str) -> Result<&'a str, Complaint> {
    match rest.split_at_checked(keyword.len()) {
        Some((word, path)) if word.eq_ignore_ascii_case(keyword) => Ok(path),
        _ => Err(SYNTAX),
    }
}

/// An address in angle brackets, or without them as sloppy local programs write it, and what follows it.
fn path(text: &str) -> Result<(String, &str), Complaint> {
    let text = text.trim_start_matches(' ');
    let (inner, rest) = match text.strip_prefix('<') {
        Some(bracketed) => split_outside_quotes(bracketed, '>').ok_or(BAD_PATH)?,
        None if text.is_empty() => return Err(BAD_PATH),
        None => split_outside_quotes(text, ' ').unwrap_or((text, "")),
    };
    // A source route (RFC 5321 appendix F.2) is accepted and ignored.
    let address = match inner.strip_prefix('@') {
        Some(route) => split_outside_quotes(route, ':').ok_or(BAD_PATH)?.1,
        None => inner,
    };
    let follows_well = rest.is_empty() || rest.starts_with(' ') || !text.starts_with('<');
    if !follows_well || !is_mailbox(address) {
        return Err(BAD_PATH);
    }
    Ok((address.to_owned(), rest))
}

/// Whether it could be an address: nothing, a bare local part, or two non-empty parts; no space or bracket outside quotes.
fn is_mailbox(address: &str) -> bool {
    let mut open = false;
    let mut escaped = false;
    let mut at = None;
    for (index, c) in address.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => open = !open,
            ' ' | '<' | '>' | ',' if !open => return false,
            '@' if !open => at = Some(index),
            _ => {}
        }
    }
    let parts_are_whole = at.is_none_or(|at| at > 0 && at + 1 < address.len());
    !open && !escaped && parts_are_whole && address.len() <= LONGEST_PATH
}

fn split_outside_quotes(text: &str, delimiter: char) -> Option<(&str, &str)> {
    let mut open = false;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => open = !open,
            _ if c == delimiter && !open => return Some((text.get(..index)?, text.get(index + c.len_utf8()..)?)),
            _ => {}
        }
    }
    None
}

fn number(text: &str) -> Result<u64, Complaint> {
    if text.is_empty() || text.len() > 20 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(SYNTAX);
    }
    text.parse().map_err(|_| SYNTAX)
}

fn one_of<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Complaint> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)).map(|(_, meaning)| *meaning).ok_or(SYNTAX)
}

fn notify(value: &str) -> Result<Notify, Complaint> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => success = true,
            "FAILURE" => failure = true,
            "DELAY" => delay = true,
            _ => return Err(SYNTAX),
        }
    }
    Ok(Notify::When { success, failure, delay })
}

/// What is no address and what is wrong with it, each as xtext, with commas between them.
fn strays(value: &str) -> Result<Vec<Stray>, Complaint> {
    let words = value.split(',').map(xtext).collect::<Result<Vec<_>, _>>()?;
    let (pairs, []) = words.as_chunks::<2>() else { return Err(SYNTAX) };
    let is_ours = |word: &String| (1..=stray::LONGEST).contains(&word.len());
    if pairs.len() > stray::MOST || !words.iter().all(is_ours) {
        return Err(SYNTAX);
    }
    Ok(pairs.iter().map(|[text, because]| Stray { text: text.clone(), because: because.clone() }).collect())
}

/// `+41` for `A` (RFC 3461 section 4); what comes out is printable.
fn xtext(value: &str) -> Result<String, Complaint> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'+', [high, low, behind @ ..]) => {
                octets.push(hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low).ok_or(SYNTAX)?);
                rest = behind;
            }
            (b'+' | b'=', _) => return Err(SYNTAX),
            _ => octets.push(*first),
        }
    }
    let text = String::from_utf8(octets).map_err(|_| SYNTAX)?;
    if text.contains(|c: char| c.is_control()) { Err(SYNTAX) } else { Ok(text) }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
