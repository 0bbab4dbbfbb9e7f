//! How are the elements of an address list told apart, and each of them taken or refused? (RFC 5322 3.4, 4.4)

use super::{
    super::address::{self, AddressError, Spec},
    ELEMENTS_MAX, Fault, List, Mailbox, excerpt,
    lexer::{Kind, Lexer, Token},
    unfolded,
};

/// Where the parser stands in the element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Angle {
    None,
    Open,
    Closed,
}

/// One pass over a text.
pub(super) struct Parser<'a> {
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
    /// Nothing is read yet.
    pub(super) fn new(text: &'a str) -> Self {
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

    /// What the text names, and for each mailbox from where to where in the text its addr-spec is.
    pub(super) fn run(mut self) -> (List, Vec<(usize, usize)>) {
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

/// Adds what a quoted string says.
fn unescape(text: &str, into: &mut String) {
    let inner = text.strip_prefix('"').unwrap_or(text);
    let mut chars = inner.strip_suffix('"').unwrap_or(inner).chars();
    while let Some(c) = chars.next() {
        into.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
}
