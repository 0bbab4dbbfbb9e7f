//! What does a lookup table of Postfix say, by the text that it was made of? (postmap(1))

use std::path::Path;

use super::super::Texts;

/// Types of tables that are made of a text.
const OF_LINES: [&str; 7] = ["hash", "lmdb", "btree", "texthash", "cdb", "dbm", "sdbm"];

/// Types whose texts are patterns.
const OF_PATTERNS: [&str; 2] = ["regexp", "pcre"];

/// Types that are asked over a connection.
const ELSEWHERE: [&str; 8] = ["ldap", "mysql", "pgsql", "sqlite", "tcp", "socketmap", "memcache", "nis"];

/// Where a table is, and what could be read of it.
pub(super) struct Lookup {
    name: String,
    table: Result<Table, String>,
}

enum Table {
    /// Keys and values, in order.
    Lines(Vec<(String, String)>),
    /// Regular expressions and values.
    Patterns(Vec<(String, String)>),
    /// One value for every key.
    Always(String),
}

impl Lookup {
    /// The tables that a parameter names, separated by commas or spaces; `inline:{…}` may have both.
    pub(super) fn all(texts: &dyn Texts, directory: &Path, value: &str) -> Vec<Self> {
        names(value).into_iter().map(|name| Self { table: table(texts, directory, &name), name }).collect()
    }

    /// As it is written in main.cf, for a person; not where that could be what it holds: a table may stand in main.cf itself, or a
    /// password where the name of a table belongs.
    pub(super) fn name(&self) -> &str {
        match self.name.split_once(':') {
            Some((kind, path)) if path.starts_with('/') && [&OF_LINES[..], &OF_PATTERNS, &ELSEWHERE].concat().contains(&kind) => {
                &self.name
            }
            Some((kind @ ("static" | "inline" | "proxy"), _)) => kind,
            _ => "a table",
        }
    }

    /// Why it can't be read.
    pub(super) fn fault(&self) -> Option<&str> {
        self.table.as_ref().err().map(String::as_str)
    }

    /// The value for a key; case does not count.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        match self.table.as_ref().ok()? {
            Table::Lines(lines) => lines.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str()),
            Table::Always(value) => Some(value),
            Table::Patterns(_) => None,
        }
    }

    /// What it gives for every key, where it does.
    pub(super) fn for_all(&self) -> Option<&str> {
        match self.table.as_ref().ok()? {
            Table::Always(value) => Some(value),
            Table::Patterns(patterns) => {
                let (pattern, value) = patterns.first()?;
                let all =
                    ["/.+/", "/.*/", "/^.*$/", "/^.+$/", "/^(.*)$/", "/(.*)/", "/./", "/^/", "/.+@.+/", "/.*@.*/", "/^.*@.*$/"];
                (patterns.len() == 1 && all.contains(&pattern.as_str())).then_some(value)
            }
            Table::Lines(_) => None,
        }
    }

    /// Patterns and values in order; none of any other table.
    pub(super) fn patterns(&self) -> &[(String, String)] {
        match &self.table {
            Ok(Table::Patterns(patterns)) => patterns,
            _ => &[],
        }
    }

    /// Whether its keys are patterns.
    pub(super) fn has_patterns(&self) -> bool {
        matches!(self.table, Ok(Table::Patterns(_)))
    }

    /// Keys and values in order; none of a table of patterns.
    pub(super) fn lines(&self) -> &[(String, String)] {
        match &self.table {
            Ok(Table::Lines(lines)) => lines,
            _ => &[],
        }
    }
}

fn names(value: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut depth = 0_usize;
    for c in value.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c == ',' || c.is_whitespace()) {
            names.push(String::new());
        } else if let Some(name) = names.last_mut() {
            name.push(c);
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn table(texts: &dyn Texts, directory: &Path, name: &str) -> Result<Table, String> {
    let (kind, rest) = name.split_once(':').ok_or("it has no type")?;
    match kind {
        "proxy" => table(texts, directory, rest),
        "static" => Ok(Table::Always(rest.trim_start_matches('{').trim_end_matches('}').trim().to_owned())),
        "inline" => Ok(Table::Lines(inline(rest))),
        kind if OF_LINES.contains(&kind) => Ok(Table::Lines(pairs(&text(texts, directory, rest)?))),
        kind if OF_PATTERNS.contains(&kind) => Ok(Table::Patterns(pairs(&text(texts, directory, rest)?))),
        _ => Err("tables of that type are not read".to_owned()),
    }
}

/// The text that a table was made of; a copy of main.cf may have it beside itself.
fn text(texts: &dyn Texts, directory: &Path, path: &str) -> Result<String, String> {
    let path = Path::new(path);
    let beside = path.file_name().map(|name| directory.join(name));
    let found = texts.read(path).or_else(|error| beside.map_or(Err(error), |beside| texts.read(&beside)));
    found.map_err(|error| {
        let because = error.to_string();
        let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
        format!("the text that it was made of can't be read: {because}")
    })
}

/// `key value` in lines, which are continued by those that begin with a space.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = pairs.last_mut() {
                value.push_str(if value.is_empty() { "" } else { " " });
                value.push_str(trimmed);
            }
            continue;
        }
        let (key, value) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
        pairs.push((key.to_owned(), value.trim().to_owned()));
    }
    pairs
}

/// `{ {key = value}, {key = value} }`
fn inline(text: &str) -> Vec<(String, String)> {
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let items = inner.split('{').flat_map(|piece| piece.split('}'));
    items.filter_map(|item| item.split_once('=')).map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(value: &str) -> Vec<Lookup> {
        Lookup::all(&super::super::super::Below("/nonexistent".into()), Path::new("/etc/postfix"), value)
    }

    #[test]
    fn a_table_that_stands_in_main_cf_itself_is_read_there() {
        let tables = lookup("static:me:secret, inline:{ {[a.example]:587 = u:p}, { b = v:q } }");
        assert_eq!(tables.len(), 2);
        assert_eq!(tables[0].get("anything"), Some("me:secret"));
        assert_eq!(tables[1].get("[A.example]:587"), Some("u:p"));
        assert_eq!(tables[1].get("b"), Some("v:q"));
    }

    #[test]
    fn a_table_that_can_t_be_read_says_why_and_has_nothing() {
        let tables = lookup("hash:/etc/postfix/sasl_passwd ldap:/etc/postfix/ldap.cf");
        let faults: Vec<_> = tables.iter().map(|table| table.fault().unwrap()).collect();
        assert_eq!(
            faults,
            ["the text that it was made of can't be read: No such file or directory", "tables of that type are not read"]
        );
        assert_eq!(tables[0].get("x"), None);
    }

    #[test]
    fn what_could_be_a_password_is_not_the_name_of_a_table() {
        let names: Vec<String> = lookup("hash:/x me:secret static:me:secret secret inline:{secret=x} hash:secret ldap:/y")
            .iter()
            .map(|table| table.name().to_owned())
            .collect();
        assert_eq!(names, ["hash:/x", "a table", "static", "a table", "inline", "a table", "ldap:/y"]);
    }

    #[test]
    fn lines_of_a_table_are_continued_and_comments_skipped() {
        let read = pairs("# c\n[a]:587   me:se cret\nb x\n  y\n\nc\n z\n");
        let read: Vec<(&str, &str)> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(read, [("[a]:587", "me:se cret"), ("b", "x y"), ("c", "z")]);
    }
}
