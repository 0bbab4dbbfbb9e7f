//! What does a Rust source file say once comments, literals and tests are out of the way?

/// One file as the checks see it.
pub(crate) struct Source {
    /// Path below `src`, with `/`.
    pub(crate) path: String,
    /// As it is on disk.
    text: String,
    /// Comments, literals and test modules blanked; every line keeps its number.
    code: String,
}

/// A path such as `crate::mail::policy`, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its segments; `use` groups are spelt out, `super` is resolved to `crate::…`.
    pub(crate) path: Vec<String>,
    /// Line, from 1.
    pub(crate) line: usize,
    /// It is in a `use`.
    pub(crate) is_import: bool,
}

/// A function and how many lines it takes, signature and braces included.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_tests(&without_comments(text));
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// Whether the whole file is test code: it hangs below a `#[cfg(test)] mod tests;`.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests.rs" || part == "tests")
    }

    /// The layer: the first directory, or the file's own name at the top.
    pub(crate) fn layer(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The module, from the root; the root itself is empty.
    pub(crate) fn module(&self) -> Vec<String> {
        let own = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        own.split('/').filter(|m| *m != "lib" && *m != "main").map(str::to_owned).collect()
    }

    /// The first line, where it is a `//!` sentence.
    pub(crate) fn question(&self) -> Option<&str> {
        let sentence = self.text.lines().next()?.strip_prefix("//! ")?.trim();
        let ends = sentence.ends_with(['.', '?', ')', ':']);
        (sentence.len() >= 20 && sentence.contains(' ') && ends).then_some(sentence)
    }

    /// Lines outside test modules.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().zip(self.code.lines()).filter(|(_, code)| !code.starts_with(TEST_LINE)).count()
    }

    /// Every path of two or more segments and every macro call (`println!`, as one segment with its `!`).
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let (word, line) = &tokens[at];
            let follows = |text: &str| tokens.get(at + 1).is_some_and(|(next, _)| next == text);
            let inside = at > 0 && tokens[at - 1].0 == "::";
            if is_word(word) && follows("!") {
                found.push(Mention { path: vec![format!("{word}!")], line: *line, is_import: false });
            }
            if is_word(word) && follows("::") && !inside {
                let (before, is_import) = (found.len(), at > 0 && tokens[at - 1].0 == "use");
                at = tree(&tokens, at, &[], &mut found);
                found.iter_mut().skip(before).for_each(|mention| mention.is_import = is_import);
            } else {
                at += 1;
            }
        }
        for mention in &mut found {
            mention.path = self.absolute(&mention.path);
        }
        found
    }

    /// Every function with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        for (at, pair) in tokens.windows(2).enumerate() {
            let [(word, line), (name, _)] = pair else { continue };
            if word != "fn" || !is_word(name) {
                continue;
            }
            if let Some(end) = body_end(&tokens, at) {
                found.push(Function { name: name.clone(), line: *line, lines: tokens[end].1 - line + 1 });
            }
        }
        found
    }

    /// `super::super::smtp` in `mail/address.rs` is `crate::smtp`.
    fn absolute(&self, path: &[String]) -> Vec<String> {
        let ups = path.iter().take_while(|s| *s == "super" || *s == "self").filter(|s| *s == "super").count();
        if ups == 0 && path.first().is_none_or(|s| s != "self") {
            return path.to_vec();
        }
        let mut module = self.module();
        module.truncate(module.len().saturating_sub(ups));
        let rest = path.iter().skip_while(|s| *s == "super" || *s == "self").cloned();
        std::iter::once("crate".to_owned()).chain(module).chain(rest).collect()
    }
}

type Token = (String, usize);

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and single punctuation marks, each with its line.
fn tokens(code: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.strip_prefix(TEST_LINE).unwrap_or(line).trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push((rest[..length].to_owned(), index + 1));
            rest = rest[length..].trim_start();
        }
    }
    found
}

/// Reads the path that starts at `at`, groups included, and returns where it ends.
fn tree(tokens: &[Token], mut at: usize, before: &[String], found: &mut Vec<Mention>) -> usize {
    let mut path = before.to_vec();
    let line = tokens.get(at).map_or(0, |t| t.1);
    while let Some((token, _)) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|t| t.0 != "}") {
                let next = tree(tokens, at, &path, found);
                at = if tokens.get(next).is_some_and(|t| t.0 == ",") { next + 1 } else { next.max(at + 1) };
            }
            return at + 1;
        }
        if token == "::" && path.is_empty() || !is_word(token) && token != "*" {
            break;
        }
        // `use std::{fs, io::{self}}`: the `self` of a group is the group's own path, the `self` at the start a module.
        if token != "self" || path.is_empty() {
            path.push(token.clone());
        }
        at += 1;
        if tokens.get(at).is_some_and(|t| t.0 == "::") {
            at += 1;
        } else {
            break;
        }
    }
    if let (Some(last), Some("!")) = (path.last(), tokens.get(at).map(|t| t.0.as_str())) {
        found.push(Mention { path: vec![format!("{last}!")], line, is_import: false });
    }
    if tokens.get(at).is_some_and(|t| t.0 == "as") && tokens.get(at + 2).is_some_and(|t| t.0 == "," || t.0 == "}") {
        at += 2;
    }
    found.push(Mention { path, line, is_import: false });
    at
}

/// The index of the brace that ends the first body after `at`; `None` for a declaration without one.
fn body_end(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (index, (token, _)) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "[" => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            ";" if depth == 0 && brackets == 0 => return None,
            "{" => depth += 1,
            "}" if depth == 1 => return Some(index),
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Marks a line that belongs to a test module; no Rust line starts with it.
const TEST_LINE: char = '\u{1}';

/// Replaces comments and the content of literals by blanks; line ends stay.
fn without_comments(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = foreign_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself where none starts.
fn foreign_end(chars: &[char], at: usize) -> usize {
    let looks = |text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if looks("//") {
        return (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len());
    }
    if looks("/*") {
        return block_comment_end(chars, at);
    }
    if chars[at] == '"' {
        return quoted_end(chars, at + 1);
    }
    if !word_before && (looks("r\"") || looks("r#") || looks("br")) {
        return raw_end(chars, at);
    }
    if chars[at] == '\'' {
        return char_end(chars, at);
    }
    at
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') if depth == 1 => return i + 2,
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `r"…"`, `r#"…"#`, `br"…"`; a raw identifier or a word that starts so is none.
fn raw_end(chars: &[char], start: usize) -> usize {
    let mut at = start + if chars[start] == 'b' { 2 } else { 1 };
    let hashes = chars[at.min(chars.len())..].iter().take_while(|c| **c == '#').count();
    at += hashes;
    if chars.get(at) != Some(&'"') {
        return start;
    }
    let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#'));
    (at + 1..chars.len()).find(|i| closes(*i)).map_or(chars.len(), |i| i + 1 + hashes)
}

/// A character literal; a lifetime is none.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(at, |i| i + 1),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// Marks every line of a module or item below `#[cfg(test)]`, and blanks what stands there.
fn without_tests(code: &str) -> String {
    let mut lines: Vec<String> = code.lines().map(str::to_owned).collect();
    let mut at = 0;
    while at < lines.len() {
        if !lines[at].replace(' ', "").contains("#[cfg(test)]") {
            at += 1;
            continue;
        }
        let mut depth = 0_i64;
        let mut opened = false;
        while at < lines.len() {
            depth += count(&lines[at], '{') - count(&lines[at], '}');
            opened |= lines[at].contains('{');
            let done = if opened { depth <= 0 } else { lines[at].contains(';') };
            lines[at] = TEST_LINE.to_string();
            at += 1;
            if done {
                break;
            }
        }
    }
    lines.join("\n")
}

fn count(line: &str, mark: char) -> i64 {
    i64::try_from(line.matches(mark).count()).unwrap_or(0)
}
