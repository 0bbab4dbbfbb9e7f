//! How is a drafted configuration written down?

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    super::facts::{Kind, Note, Sort, Table, Value},
    Drafted, Part,
};
use crate::error::printable;

/// Columns of a comment.
const WIDTH: usize = 100;

/// All that is written.
pub(super) struct Page<'a> {
    pub(super) kind: Kind,
    pub(super) files: &'a [PathBuf],
    pub(super) general: &'a BTreeMap<(Table, &'static str), Value>,
    pub(super) accounts: &'a [Drafted],
    /// Those that are about no account.
    pub(super) notes: &'a [Note],
}

impl Page<'_> {
    /// The text of the configuration.
    pub(super) fn toml(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|file| printable(&file.display().to_string())).collect();
        let mut text =
            format!("# Made by `sealpost config import` from {}, a configuration of {}.\n", files.join(" and "), self.kind.title());
        text += "# sealpost.toml(5) explains every key; `sealpost check` says whether a mail would go out now.\n";
        let notes: Vec<&Note> = self.notes.iter().collect();
        text += &comments(&notes);
        text += "\n";
        text += &tables(self.general);
        let accounts = self.accounts.iter().map(|drafted| account(drafted, &drafted.notes.iter().collect::<Vec<_>>()));
        text += &accounts.collect::<Vec<_>>().join("\n");
        text
    }
}

/// The tables outside of accounts.
pub(super) fn tables(general: &BTreeMap<(Table, &'static str), Value>) -> String {
    let mut text = String::new();
    let mut open = Table::Top;
    for ((table, key), value) in general {
        if *table != open {
            open = *table;
            let apart = if text.is_empty() { "" } else { "\n" };
            text += &format!("{apart}[{}]\n", table.name());
        }
        text += &setting(key, value);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The tables of an account, with what there is to be said of it.
pub(super) fn account(drafted: &Drafted, notes: &[&Note]) -> String {
    let mut text = String::new();
    for (part, suffix) in [(Part::Account, ""), (Part::Tls, ".tls"), (Part::Auth, ".auth")] {
        let settings = drafted.groups.iter().flat_map(|group| &group.settings).filter(|(table, ..)| *table == part);
        let settings: String = settings.map(|(_, key, value)| setting(key, value)).collect();
        if settings.is_empty() {
            continue;
        }
        if part != Part::Account {
            text.push('\n');
        }
        text += &format!("[accounts.{}{suffix}]\n", key(&drafted.name));
        if part == Part::Account {
            text += &comments(notes);
        }
        text += &settings;
    }
    text
}

/// A line for each note, or more.
fn comments(notes: &[&Note]) -> String {
    let mut text = String::new();
    for note in notes {
        let sort = match note.sort {
            Sort::Stricter => "Stricter than before",
            Sort::Weak => "Unwise",
            Sort::Changed => "Changed",
            Sort::LeftOut => "Left out",
        };
        text += &comment(&format!("{sort}: {}.", printable(&note.text)));
    }
    text
}

/// Text as comments of lines that are not too long.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.contains(char::is_alphanumeric) {
            lines += &line;
            lines.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

fn setting(name: &str, value: &Value) -> String {
    let value = match value {
        Value::Text(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(name, text)| format!("{} = {}", key(name), quoted(text))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    };
    format!("{name} = {value}\n")
}

/// A key: bare where it can be.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A text in quotes: literal where it has escapes to spare, as commands have.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(crate::error::is_treacherous) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if crate::error::is_treacherous(c) => quoted += &format!("\\U{:08X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
