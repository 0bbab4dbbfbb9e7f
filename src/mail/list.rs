//! Whom does an address header or a word of the command line name? (RFC 5322 3.4, 4.4)
//!
//! One pass without recursion. What is not certainly an address becomes a [`Fault`]: an address is never guessed.

mod lexer;

use self::lexer::{Kind, Lexer, Token};
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

/// Where the parser stands in the element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Angle {
    None,
    Open,
    Closed,
}

struct Parser<'a> {
    text: &'a str,
    list: List,
    /// For each mailbox, from where to where in the text its addr-spec is, a source route included.
    places: Vec<(usize, usize)>,
    /// An open group: where it began, and how many mailboxes there were.
    group: Option<(usize, usize)>,
    /// The tokens outside `<>`, and those inside.
    words: Vec<Token>,
    inner: Vec<Token>,
    angle: Angle,
    /// Not all tokens outside `<>` may stand in the name of a group (kept, for looking at them again takes quadratic time).
    marked: bool,
    /// From the first to the last octet of the element.
    span: Option<(usize, usize)>,
    error: Option<AddressError>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            list: List::default(),
            places: Vec::new(),
            group: None,
            words: Vec::new(),
            inner: Vec::new(),
            angle: Angle::None,
            marked: false,
            span: None,
            error: None,
        }
    }

    fn run(mut self) -> (List, Vec<(usize, usize)>) {
        let mut lexer = Lexer::new(self.text);
        while let Some(token) = lexer.next() {
            if self.list.mailboxes.len() + self.list.faults.len() >= ELEMENTS_MAX {
                self.fault(token.start, token.end, AddressError::TooMany);
                break;
            }
            self.take(token);
        }
        if self.angle == Angle::Open {
            self.error = Some(AddressError::Unclosed('<'));
        }
        self.finish();
        self.withdraw_open_group();
        (self.list, self.places)
    }

    fn take(&mut self, token: Token) {
        let outside = self.angle != Angle::Open;
        match token.kind {
            Kind::Mark(b',') if outside => return self.finish(),
            Kind::Mark(b';') if outside => {
                self.finish();
                self.group = None;
                return;
            }
            Kind::Mark(b':') if self.opens_group() => {
                self.group = Some((self.span.map_or(token.start, |s| s.0), self.list.mailboxes.len()));
                self.clear();
                return;
            }
            Kind::Mark(b'>') if !outside => self.angle = Angle::Closed,
            Kind::Mark(b'<') if self.angle == Angle::None => self.angle = Angle::Open,
            Kind::Unclosed(c) => self.error = Some(AddressError::Unclosed(c)),
            _ if self.words.len() + self.inner.len() >= ELEMENTS_MAX => self.error = Some(AddressError::TooMany),
            _ if !outside => self.inner.push(token),
            _ => {
                if self.angle == Angle::Closed {
                    self.error = self.error.or(Some(AddressError::Several));
                }
                self.marked |= !matches!(token.kind, Kind::Word | Kind::Quoted);
                self.words.push(token);
            }
        }
        self.span = Some((self.span.map_or(token.start, |s| s.0), token.end));
    }

    /// Whether a colon here follows the name of a group: groups don't nest, and `|cmd:` is no name.
    fn opens_group(&self) -> bool {
        let first = self.words.first().map(|t| self.slice(t.start, t.end));
        let named = !self.marked && first.is_some_and(|word| !word.starts_with(['|', '/', '\\']));
        named && self.group.is_none() && self.angle == Angle::None
    }

    /// Ends the element at hand.
    fn finish(&mut self) {
        let Some((start, end)) = self.span else { return };
        let had = self.list.mailboxes.len();
        let outcome = match self.error {
            Some(error) => Err(error),
            None => self.element(start, end),
        };
        if let Err(error) = outcome {
            self.list.mailboxes.truncate(had);
            self.places.truncate(had);
            self.fault(start, end, error);
        }
        self.clear();
    }

    fn element(&mut self, start: usize, end: usize) -> Result<(), AddressError> {
        let (text, angle) = (self.slice(start, end), self.angle == Angle::Closed);
        if !angle && text.starts_with('|') {
            return Err(AddressError::Program);
        }
        if !angle && address::is_include(text) {
            return Err(AddressError::Include);
        }
        if angle {
            let display = self.display();
            let tokens = std::mem::take(&mut self.inner);
            let start = tokens.first().map_or(start, |first| first.start);
            return self.push(start, without_route(&tokens)?, display);
        }
        let tokens = std::mem::take(&mut self.words);
        let runs: Vec<&[Token]> = tokens.chunk_by(|a, b| self.joined(*a, *b)).collect();
        if let [run] = runs.as_slice() {
            return self.push(start, run, None);
        }
        for run in runs {
            let start = run.first().map_or(start, |first| first.start);
            self.push(start, run, None).map_err(|_| AddressError::Space)?;
            if self.list.mailboxes.last().is_none_or(|m| m.spec.domain().is_none()) {
                return Err(AddressError::Space);
            }
        }
        Ok(())
    }

    /// Adds the mailbox that these tokens spell, and whose place begins at `start`.
    fn push(&mut self, start: usize, tokens: &[Token], display: Option<String>) -> Result<(), AddressError> {
        let last = tokens.last().ok_or(AddressError::Nobody)?;
        if !tokens.iter().zip(tokens.iter().skip(1)).all(|(a, b)| self.joined(*a, *b)) {
            return Err(AddressError::Space);
        }
        let text: String = tokens.iter().map(|t| unfolded(self.slice(t.start, t.end))).collect();
        let plain = text.strip_prefix('\\');
        let spec = Spec::parse(plain.unwrap_or(&text))?;
        self.list.mailboxes.push(Mailbox { display, spec, verbatim: plain.is_some() });
        self.places.push((start, last.end));
        Ok(())
    }

    /// Whether two neighbours belong to one addr-spec: nothing between them, or obsolete space around a dot or an `@`.
    fn joined(&self, a: Token, b: Token) -> bool {
        !b.spaced || self.slice(a.start, a.end).ends_with(['.', '@']) || self.slice(b.start, b.end).starts_with(['.', '@'])
    }

    fn display(&self) -> Option<String> {
        let mut name = String::new();
        for token in &self.words {
            if token.spaced && !name.is_empty() {
                name.push(' ');
            }
            let text = self.slice(token.start, token.end);
            match token.kind {
                Kind::Quoted => unescape(text, &mut name),
                _ => name.push_str(text),
            }
        }
        let clean = name.split(|c: char| c.is_control() || c == ' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        (!clean.is_empty()).then_some(clean)
    }

    /// A group without its `;` is no group: its members may be anything (`host:user@x`), so none is taken.
    ///
    /// Without members it is the careless spelling of nobody (`undisclosed-recipients:`), which is common and harmless.
    fn withdraw_open_group(&mut self) {
        let Some((start, members)) = self.group else { return };
        if self.list.mailboxes.len() > members {
            self.list.mailboxes.truncate(members);
            self.places.truncate(members);
            self.fault(start, self.text.len(), AddressError::Unclosed(':'));
        }
    }

    fn fault(&mut self, start: usize, end: usize, error: AddressError) {
        let text = excerpt(self.slice(start, end));
        self.list.faults.push(Fault { text, error, at: start });
    }

    fn clear(&mut self) {
        self.words.clear();
        self.inner.clear();
        self.angle = Angle::None;
        self.marked = false;
        self.span = None;
        self.error = None;
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// What stands in `<>` behind an obsolete source route, `@a,@b:c@d` (RFC 5322 4.4).
fn without_route(tokens: &[Token]) -> Result<&[Token], AddressError> {
    if tokens.first().is_none_or(|t| t.kind != Kind::Mark(b'@')) {
        return Ok(tokens);
    }
    let colon = tokens.iter().position(|t| t.kind == Kind::Mark(b':')).ok_or(AddressError::EmptyLocal)?;
    let (route, rest) = tokens.split_at(colon);
    let sound = route.iter().all(|t| matches!(t.kind, Kind::Word | Kind::Literal | Kind::Mark(b'@' | b',')));
    match rest.get(1..) {
        Some(spec) if sound && !spec.is_empty() => Ok(spec),
        _ => Err(AddressError::Special('@')),
    }
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

/// Adds what a quoted string says.
fn unescape(text: &str, into: &mut String) {
    let inner = text.strip_prefix('"').unwrap_or(text);
    let mut chars = inner.strip_suffix('"').unwrap_or(inner).chars();
    while let Some(c) = chars.next() {
        into.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
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
