//! What is each parameter of a main.cf in the end, with those that it names? (postconf(5))

use std::{borrow::Cow, collections::BTreeMap};

/// How deep parameters may name others: Postfix itself has a limit.
const DEEPEST: usize = 20;

/// The longest value, expanded: a few lines can name each other into gigabytes.
const LONGEST: usize = 1 << 16;

/// The parameters that a main.cf sets.
#[derive(Default)]
pub(super) struct Parameters<'a> {
    set: BTreeMap<&'a str, Cow<'a, str>>,
    /// Lines that are none.
    pub(super) faults: Vec<usize>,
}

impl<'a> Parameters<'a> {
    /// Reads main.cf: the last line that sets a parameter counts, and a line that begins with a space continues the one before.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut parameters = Self::default();
        let mut last: Option<&str> = None;
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                match last.and_then(|name| parameters.set.get_mut(name)) {
                    Some(value) => *value = format!("{value} {trimmed}").trim_start().to_owned().into(),
                    None => parameters.faults.push(index + 1),
                }
                continue;
            }
            last = line.split_once('=').map(|(name, value)| {
                let name = name.trim();
                parameters.set.insert(name, value.trim().into());
                name
            });
            if last.is_none() {
                parameters.faults.push(index + 1);
            }
        }
        parameters
    }

    /// The value of a parameter that is set and not empty, what it names filled in.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.expand(self.set.get(name)?, 0);
        (!value.trim().is_empty()).then(|| value.trim().to_owned())
    }

    /// Whether it is set at all, if only to nothing.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// Whether it is set to yes.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }

    /// The items of a list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let value = self.get(name).unwrap_or_default();
        value.split([',', ' ', '\t']).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// The names of all that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.set.keys().copied()
    }

    /// `$name`, `${name}`, `$(name)`, `${name?then}`, `${name:else}`.
    fn expand(&self, value: &str, depth: usize) -> String {
        let mut expanded = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let (piece, more) = self.reference(after, depth);
            rest = more;
            if expanded.len() + piece.len() > LONGEST {
                return expanded;
            }
            expanded.push_str(&piece);
        }
        if expanded.len() + rest.len() <= LONGEST {
            expanded.push_str(rest);
        }
        expanded
    }

    /// What stands for the reference at the beginning of `text`, and what comes after it.
    fn reference<'t>(&self, text: &'t str, depth: usize) -> (String, &'t str) {
        let value = |name: &str| match self.set.get(name) {
            Some(value) if depth < DEEPEST => self.expand(value, depth + 1),
            _ => String::new(),
        };
        if let Some(rest) = text.strip_prefix('$') {
            return ("$".to_owned(), rest);
        }
        let close = match text.chars().next() {
            Some('{') => '}',
            Some('(') => ')',
            _ => {
                let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                return (value(name), rest);
            }
        };
        let inner = text.get(1..).unwrap_or_default();
        let Some((inner, rest)) = inner.split_once(close) else { return (String::new(), "") };
        let Some(at) = inner.find(['?', ':']) else { return (value(inner.trim()), rest) };
        let (name, text) = inner.split_at(at);
        let is_set = !value(name.trim()).is_empty();
        let wanted = is_set == text.starts_with('?');
        let text = text.get(1..).unwrap_or_default();
        (if wanted && depth < DEEPEST { self.expand(text, depth + 1) } else { String::new() }, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_continued_comments_skipped_and_names_filled_in() {
        let text =
            "a = 1\n# x\n\nb = $a,\n  # not this\n  ${a}2\n\t$(a)3\na=4\nc = ${a?yes}${z?no}${z:else} $$x\nloop = $loop\nno\n";
        let parameters = Parameters::parse(text);
        assert_eq!(parameters.get("b").as_deref(), Some("4, 42 43"));
        assert_eq!(parameters.list("b"), ["4", "42", "43"]);
        assert_eq!(parameters.get("c").as_deref(), Some("yeselse $x"));
        assert_eq!(parameters.get("loop"), None);
        assert_eq!(parameters.faults, [11]);
    }

    #[test]
    fn names_that_name_each_other_do_not_fill_the_memory() {
        let mut text = "a0 = xxxxxxxxxx\n".to_owned();
        for n in 1..20 {
            text += &format!("a{n} = $a{m} $a{m}\n", m = n - 1);
        }
        assert!(Parameters::parse(&text).get("a19").unwrap().len() <= LONGEST);
    }
}
