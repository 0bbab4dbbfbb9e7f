//! Whom does an address header or a word of the command line name? (RFC 5322 3.4, 4.4)
//!
//! One pass without recursion. What is not certainly an address becomes a [`Fault`]: an address is never guessed.

mod lexer;
mod parser;

use self::{
    lexer::{Kind, Lexer},
    parser::Parser,
};
use super::address::{self, Address, AddressError, Spec};

/// Elements taken from one text, and tokens from one element; far more than any header holds, few enough to bound memory.
const ELEMENTS_MAX: usize = 100_000;
/// Octets of a faulty element that are kept to show it.
const EXCERPT_MAX: usize = 120;

/// One addressee, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, unquoted, white space and control characters made single spaces; encoded-words are left as they are.
    pub display: Option<String>,
    /// The address or bare name.
    pub spec: Spec,
    /// It was written with a leading backslash: aliases don't apply.
    pub verbatim: bool,
}

/// A piece of a list that is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The piece as written (foreign text, not escaped), cut after 120 octets.
    pub text: String,
    /// What is wrong with it.
    pub error: AddressError,
    /// Where it begins: octets from the start of the text that was parsed.
    pub at: usize,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\" {}", self.text, self.error)
    }
}

/// What an address list names, in order, and what in it is no address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The addressees; groups are resolved into their members.
    pub mailboxes: Vec<Mailbox>,
    /// The rest.
    pub faults: Vec<Fault>,
}

impl List {
    /// Adds what another list has, up to the limit for one.
    pub fn extend(&mut self, other: Self) {
        let room = ELEMENTS_MAX.saturating_sub(self.mailboxes.len() + self.faults.len());
        let surplus = other.mailboxes.get(room..).and_then(<[_]>::first).map(|m| Fault {
            text: m.spec.to_string(),
            error: AddressError::TooMany,
            at: 0,
        });
        self.mailboxes.extend(other.mailboxes.into_iter().take(room));
        self.faults.extend(other.faults.into_iter().chain(surplus));
    }
}

/// Reads the value of an address header; folds are white space, other control characters are not.
///
/// Besides RFC 5322, obsolete syntax included, it takes `;` between addresses, and white space where both sides are complete
/// addresses.
pub fn parse(text: &str) -> List {
    Parser::new(text).run().0
}

/// Reads the value of a header that may not be UTF-8: harmless in names and comments, a fault in an address.
pub fn parse_bytes(value: &[u8]) -> List {
    parse(&String::from_utf8_lossy(value))
}

/// Reads a word of the command line: a list like a header's, but nothing with a control character is taken apart.
pub fn parse_word(word: &str) -> List {
    if word.chars().any(char::is_control) {
        let fault = Fault { text: excerpt(word), error: AddressError::Control, at: 0 };
        return List { mailboxes: Vec::new(), faults: vec![fault] };
    }
    parse(word)
}

/// The value of an address header with `@domain` behind every bare name and, with `localhost`, in place of that one and of
/// `localhost.localdomain`; every other octet as it was.
///
/// `None` where nothing is to be added, or where a part of the value is not understood.
pub fn qualify_header(value: &str, domain: &str, localhost: bool) -> Option<String> {
    let (list, places) = Parser::new(value).run();
    if !list.faults.is_empty() {
        return None;
    }
    let mut qualified = String::new();
    let mut done = 0;
    for (mailbox, &(start, end)) in list.mailboxes.iter().zip(&places) {
        let here = localhost && mailbox.spec.domain().is_some_and(address::is_localhost);
        if mailbox.verbatim || !(here || mailbox.spec.domain().is_none()) {
            continue;
        }
        let address = Spec::Bare(mailbox.spec.local().clone()).qualify(domain).ok()?;
        if here && address::is_localhost(address.domain()) {
            continue;
        }
        qualified.push_str(value.get(done..if here { start } else { end })?);
        if here {
            qualified.push_str(address.local());
        }
        qualified.push('@');
        qualified.push_str(address.domain());
        done = end;
    }
    qualified.push_str(value.get(done..)?);
    (done > 0).then_some(qualified)
}

/// The value of an address header that names one mailbox, with `address` in place of its own; name and comments stay.
///
/// `None` where there is nothing that stays, where it names another number or a group, or where a part of it is not understood.
pub fn readdress(value: &str, address: &Address) -> Option<String> {
    let (list, places) = Parser::new(value).run();
    let &[(start, end)] = places.as_slice() else { return None };
    let (before, after) = (value.get(..start)?, value.get(end..)?);
    let mut lexer = Lexer::new(before);
    let in_group = std::iter::from_fn(|| lexer.next()).any(|token| token.kind == Kind::Mark(b':'));
    let named = !(matches!(before.trim(), "" | "<") && matches!(after.trim(), "" | ">"));
    (named && !in_group && list.faults.is_empty()).then(|| format!("{before}{address}{after}"))
}

/// The list with a space behind every comma and semicolon between addresses that has none, so that it can be folded there.
pub fn spaced(list: &str) -> String {
    let mut text = String::with_capacity(list.len() + list.len() / 16);
    let mut done = 0;
    let mut lexer = Lexer::new(list);
    while let Some(token) = lexer.next() {
        let (piece, rest) = (list.get(done..token.end).unwrap_or_default(), list.get(token.end..).unwrap_or_default());
        if matches!(token.kind, Kind::Mark(b',' | b';')) && !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            text.push_str(piece);
            text.push(' ');
            done = token.end;
        }
    }
    text.push_str(list.get(done..).unwrap_or_default());
    text
}

/// The text without its folds (RFC 5322 2.2.3); any other CR or LF stays, to be refused.
pub(super) fn unfolded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\r', '\n']) {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        let fold = lexer::fold_len(behind.as_bytes());
        if fold == 0 {
            plain.push_str(behind.get(..1).unwrap_or_default());
        }
        rest = behind.get(fold.max(1)..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

fn excerpt(text: &str) -> String {
    let text = text.trim();
    if text.len() <= EXCERPT_MAX {
        return text.to_owned();
    }
    let cut = (0..=EXCERPT_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", text.get(..cut).unwrap_or_default())
}

#[cfg(test)]
mod tests;
