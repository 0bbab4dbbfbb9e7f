//! What of a server's words may be written down, when it repeats our secret? (sealpost(1), "TLS policy")
//!
//! Servers quote what they did not understand, and do so in capitals or break off in the middle. So case does not count, and a piece of
//! what is base64 or a token goes as the whole of it does, where the piece is long enough to be no accident.

use std::{borrow::Cow, fmt, ops::Range};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::{Credentials, Kind, bearer, plain};
use crate::mail::find;

/// What stands in a secret's place.
const HIDDEN: &str = "***";
/// So many octets of a secret in a row are no accident where a text breaks off behind them.
const TELLING: usize = 4;
/// So many are none anywhere.
const PIECE: usize = 8;

/// Hides a secret in foreign text: as it is, and in base64 as each mechanism says it, or as anybody else may.
#[derive(Clone, Default)]
pub struct Mask(Vec<Form>);

/// One way to write the secret, in small letters.
#[derive(Clone)]
struct Form {
    text: Zeroizing<String>,
    /// The length of a piece that tells.
    piece: usize,
    /// It is base64: what stands around a piece says the same, and nothing else.
    encoded: bool,
}

impl Mask {
    /// Hides the secret of these credentials.
    pub fn new(credentials: &Credentials) -> Self {
        let Credentials { user, secret, .. } = credentials;
        let messages = match secret.kind() {
            Kind::Password => [plain(user, secret).ok(), None],
            Kind::Token => [bearer::oauthbearer(credentials).ok(), bearer::xoauth2(user, secret).ok()],
            Kind::Ticket | Kind::Nothing => return Self::default(),
        };
        // Who reads a reply takes the spaces away that its text begins with.
        let text = [secret.expose().trim()];
        let mut mask = if secret.kind() == Kind::Token { Self::of_tokens(text) } else { Self::of(text) };
        if !mask.0.is_empty() {
            // What a mechanism can't say, no server was told that way.
            mask.0.extend(messages.into_iter().flatten().map(|message| Form::encoded(&encode(&message))));
            mask.0.push(Form::encoded(&encode(secret.expose().as_bytes())));
            mask.0.extend((1..3).filter_map(|before| Form::amid(secret.expose(), before)));
        }
        mask
    }

    /// Hides these texts, which people may have thought of: the whole of each. A piece may be the name of their house, which stands in
    /// many a reply; hidden there, it would be told.
    pub fn of<'t>(secrets: impl IntoIterator<Item = &'t str>) -> Self {
        let mut mask = Self::default();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            mask.0.push(Form::text(secret, secret.len()));
            if !secret.is_ascii() {
                let read = as_latin1(secret);
                mask.0.push(Form::text(&read, read.len()));
            }
        }
        mask
    }

    /// Hides these texts, which nobody thought of: half of one too.
    pub fn of_tokens<'t>(secrets: impl IntoIterator<Item = &'t str>) -> Self {
        let whole = secrets.into_iter().filter(|secret| !secret.is_empty());
        Self(whole.map(|secret| Form::text(secret, secret.len().div_ceil(2).max(PIECE).min(secret.len()))).collect())
    }

    /// The text without the secret.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let spans = self.spans(text);
        if spans.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without(text, 0, &spans)) }
    }

    /// As [`Mask::hide`], for a text that breaks off: what it ends with may be the beginning of the secret, which then goes too.
    pub fn hide_broken_off(&self, text: &str) -> String {
        without(text, 0, &self.spans_broken_off(text))
    }

    /// The lines of one text, which may break off, without what of the secret goes over the end of one either.
    pub fn hide_lines(&self, lines: &mut [String], is_broken_off: bool) {
        let text = Zeroizing::new(lines.concat());
        let mut spans = if is_broken_off { self.spans_broken_off(&text) } else { self.spans(&text) };
        let mut at = 0;
        for line in lines.iter().filter(|line| line.len() < text.len()) {
            spans.extend(self.spans(line).into_iter().map(|span| span.start + at..span.end + at));
            at += line.len();
        }
        let spans = merged(spans);
        at = 0;
        for line in lines.iter_mut().filter(|_| !spans.is_empty()) {
            let hidden = without(line, at, &spans);
            at += line.len();
            drop(Zeroizing::new(std::mem::replace(line, hidden)));
        }
    }

    fn spans_broken_off(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans = self.spans(text);
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        let is_begun = |end: &str| self.0.iter().any(|form| form.text.starts_with(end));
        let clear = spans.last().map_or(0, |last| last.end);
        let mut places = text.char_indices().map(|(at, _)| at).filter(|at| *at >= clear && text.len() - at >= TELLING);
        if let Some(at) = places.find(|at| is_begun(&lower[*at..])) {
            spans.push(at..text.len());
        }
        spans
    }

    /// Where the secret stands, in order.
    fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.0.iter().any(|form| form.piece <= text.len()) {
            let lower = Zeroizing::new(text.to_ascii_lowercase());
            self.0.iter().for_each(|form| form.find(lower.as_bytes(), &mut found));
        }
        merged(found.into_iter().map(|span| floor(text, span.start)..ceil(text, span.end)).collect())
    }
}

impl Form {
    fn text(text: &str, piece: usize) -> Self {
        Self { text: Zeroizing::new(text.to_ascii_lowercase()), piece, encoded: false }
    }

    /// A few digits tell. Of a long token they tell nothing, and to look for all of them takes long.
    fn encoded(text: &str) -> Self {
        let piece = (text.len() / 16).max(PIECE).min(text.len());
        Self { text: Zeroizing::new(text.to_ascii_lowercase()), piece, encoded: true }
    }

    /// In base64, behind so many octets of something else; `None` where that leaves too few digits of its own.
    fn amid(secret: &str, before: usize) -> Option<Self> {
        let mut told = Zeroizing::new(Vec::with_capacity(secret.len() + before));
        told.resize(before, 0);
        told.extend_from_slice(secret.as_bytes());
        let digits = encode(&told);
        // A digit that it shares with what is around it may be any.
        let own = digits.get((4 * before).div_ceil(3)..4 * told.len() / 3)?;
        (own.len() >= PIECE).then(|| Self::encoded(own))
    }

    /// Adds where it stands in a text of small letters.
    fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        let form = self.text.as_bytes();
        let last = form.len() - self.piece;
        for from in (0..last).step_by(self.piece).chain([last]) {
            // A text may be nothing but this piece, over and over.
            let mut covered = 0;
            find::each_pattern(&form[from..from + self.piece], text, |at| {
                if at + self.piece <= covered {
                    return;
                }
                let span = self.grown(text, from, at);
                let span = if self.encoded { digits_around(text, span) } else { span };
                covered = span.end;
                if form.len() >= TELLING || stands_alone(text, &(at..at + self.piece)) {
                    found.push(span);
                }
            });
        }
    }

    /// The piece from `from`, which stands at `at`, with as much of its neighbours as stands beside it.
    fn grown(&self, text: &[u8], from: usize, at: usize) -> Range<usize> {
        let form = self.text.as_bytes();
        let alike = |(a, b): &(&u8, &u8)| a == b;
        let (before, behind) = (form[..from].iter().rev(), form[from + self.piece..].iter());
        let end = at + self.piece;
        let before = before.zip(text[..at].iter().rev()).take_while(alike).count();
        at - before..end + behind.zip(&text[end..]).take_while(alike).count()
    }
}

/// The same in order, those that touch each other in one.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| span.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

fn encode(octets: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD_NO_PAD.encode(octets))
}

/// As a reader has it who takes UTF-8 for Latin-1.
fn as_latin1(text: &str) -> Zeroizing<String> {
    let mut read = Zeroizing::new(String::with_capacity(2 * text.len()));
    read.extend(text.bytes().map(char::from));
    read
}

/// All of the base64 that this is a piece of.
fn digits_around(text: &[u8], span: Range<usize>) -> Range<usize> {
    let is_digit = |octet: &&u8| octet.is_ascii_alphanumeric() || b"+/=".contains(octet);
    let before = text[..span.start].iter().rev().take_while(is_digit).count();
    span.start - before..span.end + text[span.end..].iter().take_while(is_digit).count()
}

/// Whether this is no piece of a word. A letter or two stand in every sentence: hidden there, they would be told.
fn stands_alone(text: &[u8], span: &Range<usize>) -> bool {
    let is_letter = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    !is_letter(text[..span.start].last()) && !is_letter(text.get(span.end))
}

/// The text, which begins `at` octets into that of the spans, without them.
fn without(text: &str, at: usize, spans: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let (start, end) = (span.start.saturating_sub(at), span.end.saturating_sub(at).min(text.len()));
        if start < end {
            shown.push_str(&text[done..start]);
            shown.push_str(HIDDEN);
            done = end;
        }
    }
    shown.push_str(&text[done..]);
    shown
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// The nearest one at or behind it.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}
