//! What is a mail address, and how is a bare name made into one? (RFC 5321 4.1.2, 5322 3.4, 6531, 5890)

mod domain;

use std::fmt;

/// Octets of a local part. RFC 5321 4.5.3.1.1 grants 64; VERP and SRS exceed that in practice, so only nonsense is refused.
const LOCAL_MAX: usize = 255;
/// Octets of the whole, so that a MAIL or RCPT line stays bounded (U-labels can be longer than their A-labels).
const ADDRESS_MAX: usize = 1000;

/// A complete addr-spec: local part and domain, safe to put between `<` and `>` of MAIL and RCPT.
///
/// Only the parsers of this file make one. Holds no control character, no space outside quotes; the local part is in the form
/// that needs the least quoting (RFC 5321 4.1.2), the domain is without trailing dot, IDN as A-labels where the local part is
/// ASCII and as U-labels where it isn't. Case is kept, except where A-labels are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    local: Local,
    domain: String,
}

impl Address {
    /// Reads exactly one addr-spec, in `<>` or without; no display name, no comment. A source route in `<>` is dropped
    /// (RFC 5321 appendix C).
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let spec = match text.strip_prefix('<') {
            Some(rest) => strip_route(rest.strip_suffix('>').ok_or(AddressError::Unclosed('<'))?)?,
            None => text,
        };
        match Spec::parse(spec)? {
            Spec::Full(address) => Ok(address),
            Spec::Bare(_) => Err(AddressError::NoDomain),
        }
    }

    /// The local part, quoted where RFC 5321 wants quotes.
    pub fn local(&self) -> &str {
        self.local.as_str()
    }

    /// The domain or address literal.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it can only be said with SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local().is_ascii() || !self.domain.is_ascii()
    }

    /// Whether both mean the same mailbox: local parts equal, domains equal but for ASCII case (RFC 5321 2.4).
    pub fn same_mailbox(&self, other: &Self) -> bool {
        self.local == other.local && self.domain.eq_ignore_ascii_case(&other.domain)
    }

    /// What two addresses have in common exactly when they are the [same mailbox](Self::same_mailbox).
    pub fn key(&self) -> Key {
        Key(format!("{}@{}", self.local(), self.domain.to_ascii_lowercase()))
    }

    fn new(local: Local, domain: &str) -> Result<Self, AddressError> {
        let domain = domain::parse(domain, local.as_str().is_ascii())?;
        if local.as_str().len() + 1 + domain.len() > ADDRESS_MAX {
            return Err(AddressError::TooLong);
        }
        Ok(Self { local, domain })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local(), self.domain)
    }
}

/// A mailbox as a thing to sort and look up by; see [`Address::key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// A local part, in the form that needs the least quoting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local(String);

impl Local {
    /// Reads a local part alone: dot-string or quoted string.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match Self::take(text)? {
            (local, None) => Ok(local),
            (_, Some(_)) => Err(AddressError::Special('@')),
        }
    }

    /// The text, quotes included where they are needed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a local part from the front, and gives what stands behind its `@`, if there is one.
    fn take(text: &str) -> Result<(Self, Option<&str>), AddressError> {
        let mut content = String::new();
        let mut rest = text;
        // Quotes may open at the start and after a dot only: word *("." word).
        let mut at_word = true;
        let domain = loop {
            let Some(c) = rest.chars().next() else { break None };
            match c {
                '@' => break rest.get(1..),
                '"' if at_word => {
                    rest = take_quoted(rest, &mut content)?;
                    if !matches!(rest.chars().next(), None | Some('.' | '@')) {
                        return Err(AddressError::Special('"'));
                    }
                    at_word = false;
                    continue;
                }
                c if c == '.' || is_atext(c) => content.push(c),
                c => return Err(refusal(c)),
            }
            at_word = c == '.';
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        };
        Ok((Self::of_content(&content)?, domain))
    }

    fn of_content(content: &str) -> Result<Self, AddressError> {
        // No mailbox begins with a bar; an alias or a careless server might run it.
        if content.starts_with('|') {
            return Err(AddressError::Program);
        }
        if content.is_empty() {
            return Err(AddressError::EmptyLocal);
        }
        let local = if is_dot_string(content) { content.to_owned() } else { quoted(content) };
        if local.len() > LOCAL_MAX { Err(AddressError::LocalTooLong) } else { Ok(Self(local)) }
    }

    fn is_quoted(&self) -> bool {
        self.0.starts_with('"')
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An addr-spec that may still lack its domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Spec {
    /// A bare name: to be looked up among the aliases, then qualified.
    Bare(Local),
    /// A complete address.
    Full(Address),
}

impl Spec {
    /// Reads exactly one addr-spec or bare name; no angle brackets, display name or comment.
    ///
    /// A bare `|command`, `/file` or `:include:file` is refused by name, quoted or not.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if is_include(text) {
            return Err(AddressError::Include);
        }
        let (local, domain) = Local::take(text)?;
        let Some(domain) = domain else {
            let content = local.as_str().trim_start_matches('"');
            return match content {
                _ if content.starts_with('/') => Err(AddressError::File),
                _ if local.is_quoted() && is_include(content) => Err(AddressError::Include),
                _ => Ok(Self::Bare(local)),
            };
        };
        Address::new(local, domain).map(Self::Full)
    }

    /// The local part.
    pub fn local(&self) -> &Local {
        match self {
            Self::Bare(local) => local,
            Self::Full(address) => &address.local,
        }
    }

    /// The domain, where there is one.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::Bare(_) => None,
            Self::Full(address) => Some(address.domain()),
        }
    }

    /// The complete address; a bare name gets `domain`.
    ///
    /// Fails only where `domain` itself is no domain, or the whole becomes too long.
    pub fn qualify(&self, domain: &str) -> Result<Address, AddressError> {
        match self {
            Self::Bare(local) => Address::new(local.clone(), domain),
            Self::Full(address) => Ok(address.clone()),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(local) => local.fmt(f),
            Self::Full(address) => address.fmt(f),
        }
    }
}

/// The envelope sender: an address, or nobody (`<>`, for messages that must never bounce).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `MAIL FROM:<>`.
    Null,
    /// `MAIL FROM:<address>`.
    Address(Address),
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Why a text is not an address; reads on after the text itself: `"a b" has a space outside quotes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing but white space.
    Empty,
    /// `<>` where somebody must be addressed.
    Nobody,
    /// A control character, or a mark that hides or reorders text.
    Control,
    /// Octets that are not UTF-8.
    NotUtf8,
    /// White space outside quotes.
    Space,
    /// A character that needs quotes, or that stands in the wrong place.
    Special(char),
    /// A quote, bracket, parenthesis or group that is opened and not closed.
    Unclosed(char),
    /// Nothing before the `@`.
    EmptyLocal,
    /// No domain where one is needed.
    NoDomain,
    /// A domain that is neither a host name nor an address literal.
    BadDomain,
    /// The local part is over 255 octets.
    LocalTooLong,
    /// The domain is over 255 octets, or a label of it over 63.
    DomainTooLong,
    /// The whole is over 1000 octets.
    TooLong,
    /// More than one address where one belongs.
    Several,
    /// More addresses in one text than are taken.
    TooMany,
    /// `|command`.
    Program,
    /// `/file`.
    File,
    /// `:include:file`.
    Include,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Nobody => "addresses nobody",
            Self::Control => "has a control character",
            Self::NotUtf8 => "has bytes that are not UTF-8",
            Self::Space => "has a space outside quotes",
            Self::Special(c) => return write!(f, "has a '{c}' outside quotes or in the wrong place"),
            Self::Unclosed(':') => "is a group that no ';' closes",
            Self::Unclosed(c) => return write!(f, "has a '{c}' that is not closed"),
            Self::EmptyLocal => "has nothing before the @",
            Self::NoDomain => "has no domain",
            Self::BadDomain => "has a domain that is neither a host name nor an address literal",
            Self::LocalTooLong => "has a local part of more than 255 octets",
            Self::DomainTooLong => "has a domain of more than 255 octets, or a label of more than 63",
            Self::TooLong => "has more than 1000 octets",
            Self::Several => "is more than one address",
            Self::TooMany => "is one address too many",
            Self::Program => "is a program, not an address",
            Self::File => "is a file, not an address",
            Self::Include => "is a file to include, not an address",
        })
    }
}

impl std::error::Error for AddressError {}

/// The domain that means this machine, and so none.
pub const LOCALHOST: &str = "localhost";

/// Whether this is a name that means nothing to any other machine.
pub fn is_localhost(domain: &str) -> bool {
    [LOCALHOST, "localhost.localdomain"].iter().any(|name| name.eq_ignore_ascii_case(domain))
}

/// Whether this is the `:include:` of aliases(5).
pub(super) fn is_include(text: &str) -> bool {
    text.get(..9).is_some_and(|head| head.eq_ignore_ascii_case(":include:"))
}

/// `@a,@b:c@d` -> `c@d`; colons of address literals in the route are not its end.
fn strip_route(text: &str) -> Result<&str, AddressError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let mut literal = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => literal = true,
            ']' => literal = false,
            ':' if !literal => return Ok(text.get(at + 1..).unwrap_or_default()),
            _ => {}
        }
    }
    Err(AddressError::EmptyLocal)
}

/// Reads the quoted string at the front into `content`, and gives what follows it.
fn take_quoted<'a>(text: &'a str, content: &mut String) -> Result<&'a str, AddressError> {
    let mut chars = text.chars();
    chars.next();
    loop {
        let c = match chars.next() {
            Some('"') => return Ok(chars.as_str()),
            Some('\\') => chars.next(),
            c => c,
        };
        match c {
            None => return Err(AddressError::Unclosed('"')),
            Some(c) if is_hidden(c) || c == '\u{fffd}' => return Err(refusal(c)),
            Some(c) => content.push(c),
        }
    }
}

fn quoted(content: &str) -> String {
    let mut text = String::with_capacity(content.len() + 2);
    text.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

fn is_dot_string(content: &str) -> bool {
    content.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// atext of RFC 5322 3.2.3, with RFC 6531's non-ASCII characters less those that are white space or can't be seen.
pub(super) fn is_atext(c: char) -> bool {
    match c {
        _ if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        '\u{fffd}' => false,
        _ => !c.is_whitespace() && !is_hidden(c),
    }
}

/// Control characters, and marks that hide or reorder text; the joiners U+200C and U+200D are letters of some scripts.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Why this character may not stand in a local part.
fn refusal(c: char) -> AddressError {
    match c {
        '\u{fffd}' => AddressError::NotUtf8,
        _ if is_hidden(c) => AddressError::Control,
        _ if c.is_whitespace() => AddressError::Space,
        _ => AddressError::Special(c),
    }
}

#[cfg(test)]
mod tests;
