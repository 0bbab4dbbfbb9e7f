//! Where in the configuration is a fault, and how is it shown without showing a secret?

use std::{ops::Range, path::Path};

use toml::de::DeTable;

use super::{
    keys,
    values::{Fault, without_login},
};
use crate::error::{Error, Exit};

/// What was written: the text of a file, or variables of the environment.
///
/// Both are read by the same code, as a table whose spans say where a setting stands: octets of the text, or the variable's
/// place in the list.
pub(super) enum Page<'a> {
    File { path: &'a Path, text: &'a str },
    Environment { variables: Vec<&'a str> },
}

impl<'a> Page<'a> {
    /// Parses the text of a file as TOML.
    pub(super) fn parse(path: &Path, text: &'a str) -> Result<DeTable<'a>, Error> {
        let (table, errors) = DeTable::parse_recoverable(text);
        // The library tells of structure before strings; the first fault in the text is usually the cause of the others.
        let place = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
        let Some(error) = errors.iter().min_by_key(|error| place(error).start) else { return Ok(table.into_inner()) };
        let fault = if error.message().starts_with("string values must be quoted") {
            Fault::new("text must stand in quotes").hint("put the value in double quotes")
        } else {
            Fault::new(format!("not valid TOML: {}", error.message()))
        };
        Err(Page::File { path, text }.error(place(error), fault))
    }

    /// The error that says `fault` and shows the place.
    pub(super) fn error(&self, span: Range<usize>, fault: Fault) -> Error {
        let error = match self {
            Self::File { path, text } => {
                let place = Place::of(text, span);
                let doing = format!("reading {}:{}:{}", path.display(), place.line, place.column);
                Error::new(Exit::Config, doing, fault.because).excerpt(place.excerpt())
            }
            Self::Environment { variables } => {
                let doing = match variables.get(span.start) {
                    Some(variable) => format!("reading {variable} from the environment"),
                    None => "reading the environment".to_owned(),
                };
                Error::new(Exit::Config, doing, fault.because)
            }
        };
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Where a setting stands, for `config show`.
    pub(super) fn origin(&self, span: Range<usize>) -> String {
        match self {
            Self::File { path, text } => format!("{}:{}", path.display(), Place::of(text, span).line),
            Self::Environment { variables } => variables.get(span.start).map_or_else(String::new, |name| (*name).to_owned()),
        }
    }
}

/// A place in a text, lines and columns counted from 1, columns in characters.
struct Place<'a> {
    line: usize,
    column: usize,
    /// How many characters are meant, at least one.
    width: usize,
    content: &'a str,
    /// A string of several lines stands somewhere before or on this line: no telling what belongs to it.
    multiline: bool,
    /// The line before leaves a list open: what stands here is an item, and no password is one.
    listed: bool,
}

impl<'a> Place<'a> {
    fn of(text: &'a str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let rest = text.get(line_start..).unwrap_or_default();
        let content = rest.split('\n').next().unwrap_or_default();
        let content = content.strip_suffix('\r').unwrap_or(content);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let end = floor(text, span.end).clamp(start, (line_start + content.len()).max(start));
        let width = text.get(start..end).unwrap_or_default().chars().count().max(1);
        let seen = text.get(..line_start + content.len()).unwrap_or_default();
        let multiline = seen.contains("\"\"\"") || seen.contains("'''");
        let listed = text.get(..line_start).is_some_and(|above| above.trim_end().ends_with(['[', ',']));
        Self { line, column, width, content, multiline, listed }
    }

    /// The line and a caret below it; values that are or may be secret are masked, long lines are cut around the place.
    fn excerpt(&self) -> String {
        const BEFORE: usize = 60;
        const WIDEST: usize = 100;
        let shown = if self.multiline { "***".to_owned() } else { masked(self.content, self.listed) };
        let length = shown.chars().count();
        let at = (self.column - 1).min(length);
        let skipped = at.saturating_sub(BEFORE);
        let window: String = shown.chars().skip(skipped).take(WIDEST).map(cell).collect();
        let ellipsis = if skipped > 0 { "…" } else { "" };
        let gutter = " ".repeat(self.line.to_string().len());
        let indent = " ".repeat(at - skipped + ellipsis.chars().count());
        let carets = "^".repeat(self.width.min(length.saturating_sub(at)).clamp(1, WIDEST - (at - skipped)));
        format!("{gutter} |\n{} | {ellipsis}{window}\n{gutter} | {indent}{carets}", self.line)
    }
}

/// A line as it may be shown. Only what follows a key that holds no secret is: a misspelt `pasword`, an unfinished string or
/// an inline table must not put a password on somebody's screen or into cron's mail.
fn masked(line: &str, listed: bool) -> String {
    let trimmed = line.trim();
    let mut searched = 0;
    while let Some(at) = line.get(searched..).and_then(|rest| rest.find('=')).map(|at| at + searched) {
        let (before, _) = line.split_at(at);
        if !keys::is_harmless(last_word(before)) {
            return format!("{before}= ***");
        }
        searched = at + 1;
    }
    let is_shown = searched > 0
        || (listed && is_item(trimmed))
        || trimmed.is_empty()
        || trimmed.starts_with(['[', ']'])
        || keys::is_harmless(first_word(line));
    let is_edge = |c: char| c == '"' || c == '\'' || c.is_whitespace();
    if is_shown { line.split_inclusive(is_edge).map(without_login).collect() } else { "***".to_owned() }
}

/// Whether a line is one text in quotes, as in a list, and nothing more: behind a list that was never closed may stand anything.
fn is_item(trimmed: &str) -> bool {
    let unquoted = |quote| trimmed.strip_prefix(quote).and_then(|rest| rest.split_once(quote));
    let behind = unquoted('"').or_else(|| unquoted('\'')).map(|(_, behind)| behind);
    behind.is_some_and(|behind| behind.chars().all(|c| matches!(c, ',' | ']' | '}' | ' ')))
}

fn last_word(before: &str) -> &str {
    let trimmed = before.trim_end_matches([' ', '\t']).trim_end_matches(['"', '\'']);
    trimmed.rsplit(|c: char| !is_key_char(c)).next().unwrap_or_default()
}

fn first_word(line: &str) -> &str {
    line.trim_start().split(|c: char| !is_key_char(c)).next().unwrap_or_default()
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// One character as one cell, so that the caret stands where it should: a tab is a space, what the terminal would not show
/// as it is has a substitute.
fn cell(c: char) -> char {
    let mut octets = [0; 4];
    let text: &str = c.encode_utf8(&mut octets);
    match c {
        '\t' => ' ',
        _ if crate::error::printable(text) != text => '\u{fffd}',
        _ => c,
    }
}

/// The nearest character boundary at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    let index = index.min(text.len());
    (0..=index).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
