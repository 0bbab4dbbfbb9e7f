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
    /// What this machine calls itself.
    host: String,
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

    /// The same on a machine of this name.
    pub(super) fn at(self, host: String) -> Self {
        Self { host, ..self }
    }

    /// The value of a parameter that is set and not empty, what it names filled in.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.expand(self.set.get(name)?, 0);
        (!value.trim().is_empty()).then(|| value.trim().to_owned())
    }

    /// The value as it is written.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value of a parameter, or its default, as far as others name it.
    pub(super) fn in_force(&self, name: &str) -> String {
        self.value(name, 0)
    }

    fn value(&self, name: &str, depth: usize) -> String {
        if depth >= DEEPEST {
            return String::new();
        }
        if let Some(value) = self.set.get(name) {
            return self.expand(value, depth + 1);
        }
        match name {
            "myhostname" => self.host.clone(),
            "mydomain" => {
                let host = self.value("myhostname", depth + 1);
                host.split_once('.').map_or_else(|| "localdomain".to_owned(), |(_, domain)| domain.to_owned())
            }
            "myorigin" => self.value("myhostname", depth + 1),
            "mydestination" => self.expand("$myhostname, localhost.$mydomain, localhost", depth + 1),
            _ => String::new(),
        }
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
        let value = |name: &str| self.value(name, depth);
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
        let Some((inner, rest)) = closed(inner, close) else { return (String::new(), "") };
        let Some(at) = inner.find(['?', ':']) else { return (value(inner.trim()), rest) };
        let (name, text) = inner.split_at(at);
        let is_set = !value(name.trim()).is_empty();
        let (is_then, text) = (text.starts_with('?'), text.get(1..).unwrap_or_default());
        // `{then}:{else}`, or one of them without braces.
        let (text, other) = match text.trim_start().strip_prefix('{').and_then(|text| closed(text, '}')) {
            Some((text, other)) => {
                let other = other.trim_start().strip_prefix(':').map(str::trim);
                (text.trim(), other.map(|other| other.strip_prefix('{').and_then(|other| other.strip_suffix('}')).unwrap_or(other)))
            }
            None => (text, None),
        };
        let chosen = if is_set == is_then { Some(text) } else { other };
        (chosen.filter(|_| depth < DEEPEST).map(|text| self.expand(text.trim(), depth + 1)).unwrap_or_default(), rest)
    }
}

/// What stands before the brace that closes the one before `text`, and what after it.
fn closed(text: &str, close: char) -> Option<(&str, &str)> {
    let open = if close == '}' { '{' } else { '(' };
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            c if c == close && depth == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            c if c == close => depth -= 1,
            c if c == open => depth += 1,
            _ => {}
        }
    }
    None
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
    fn what_is_not_set_is_what_postfix_makes_of_the_host() {
        let of = |text: &str, name: &str| {
            let text = text.to_owned();
            Parameters::parse(&text).at("h.client.example".to_owned()).in_force(name)
        };
        assert_eq!(of("relayhost = $mydomain\n", "relayhost"), "client.example");
        assert_eq!(of("mydomain = x.example\nmyorigin = $mydomain\n", "myorigin"), "x.example");
        assert_eq!(of("", "mydestination"), "h.client.example, localhost.client.example, localhost");
        assert_eq!(of("myhostname = short\n", "mydomain"), "localdomain");
        assert_eq!(of("mydomain = $myhostname\nmyhostname = h.$mydomain\n", "myorigin"), "h.".repeat(10));
        for (text, expected) in [
            ("a = ${myhostname?{yes $mydomain}:{no}}", "yes client.example"),
            ("a = ${none?{yes}:{no ${mydomain}}}", "no client.example"),
            ("a = ${none?{yes}}", ""),
            ("a = ${none:{else}}", "else"),
            ("a = ${none?yes}x", "x"),
        ] {
            assert_eq!(of(text, "a"), expected, "{text}");
        }
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
