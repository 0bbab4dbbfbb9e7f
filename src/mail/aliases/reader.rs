//! What does each line of an aliases file say, and what of it can't be used? (aliases(5))

use std::collections::BTreeMap;

use super::{
    super::{
        address::{AddressError, Local},
        list::{self, Mailbox},
    },
    Fault, key,
};

/// What was read so far.
#[derive(Default)]
pub(super) struct Reader {
    /// The good part.
    pub(super) table: BTreeMap<String, Vec<Mailbox>>,
    /// The rest.
    pub(super) faults: Vec<Fault>,
    /// The name that continuation lines belong to; `Skip` after a line that has none.
    current: Current,
}

#[derive(Default)]
enum Current {
    #[default]
    None,
    Skip,
    Name(String),
}

impl Reader {
    /// Takes the next line; the first one is number 1.
    pub(super) fn read(&mut self, number: usize, line: &str) {
        let blank = line.trim();
        if blank.is_empty() || blank.starts_with('#') {
            return;
        }
        if line.starts_with([' ', '\t']) {
            match self.current {
                Current::None => self.fault(number, line, 0, "a continuation line, but there is nothing to continue".to_owned()),
                Current::Skip | Current::Name(_) => self.entries(number, line, 0),
            }
            return;
        }
        self.current = Current::Skip;
        let Some(colon) = colon(line) else {
            return self.fault(number, line, 0, "no ':' after the name".to_owned());
        };
        let (name, _) = line.split_at(colon);
        match Local::parse(name.trim()) {
            Err(AddressError::EmptyLocal) => self.fault(number, line, 0, "no name before the ':'".to_owned()),
            Err(error) => self.fault(number, line, 0, format!("the name \"{}\" {error}", name.trim())),
            Ok(local) if self.table.contains_key(&key(&local)) => {
                self.fault(number, line, 0, format!("\"{local}\" is there a second time; the first one counts"));
            }
            Ok(local) => {
                self.table.insert(key(&local), Vec::new());
                self.current = Current::Name(key(&local));
                self.entries(number, line, colon + 1);
            }
        }
    }

    /// Takes the entries from the octet `from` of a line on.
    fn entries(&mut self, number: usize, line: &str, from: usize) {
        let Current::Name(name) = &self.current else { return };
        let list = list::parse(without_comment(line).get(from..).unwrap_or_default());
        if let Some(entries) = self.table.get_mut(name) {
            entries.extend(list.mailboxes);
        }
        for fault in list.faults {
            self.fault(number, line, from + fault.at, fault.to_string());
        }
    }

    fn fault(&mut self, line: usize, text: &str, at: usize, why: String) {
        let column = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        self.faults.push(Fault { line, column, why });
    }
}

/// Where the first colon outside quotes stands.
fn colon(line: &str) -> Option<usize> {
    unquoted(line).find(|(_, byte)| *byte == b':').map(|(at, _)| at)
}

/// The line up to a `#` behind white space: msmtp's comments. To Postfix it is an address, but nobody's begins so.
fn without_comment(line: &str) -> &str {
    let blank = |at: usize| line.as_bytes().get(at.wrapping_sub(1)).is_some_and(|before| matches!(before, b' ' | b'\t'));
    let comment = unquoted(line).find(|(at, byte)| *byte == b'#' && blank(*at));
    comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

/// The octets outside quotes and without a backslash before them.
fn unquoted(line: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut quoted, mut escaped) = (false, false);
    line.bytes().enumerate().filter(move |(_, byte)| {
        let plain = !quoted && !escaped;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        plain
    })
}
