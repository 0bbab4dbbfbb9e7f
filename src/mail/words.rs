//! How is free text said in a header? (RFC 2047, RFC 5322 2.2.3 and 3.2.5)

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::address;

/// Octets of an encoded-word with its delimiters (RFC 2047 2), and of a line that has one.
const WORD_MAX: usize = 75;
/// Octets of a line that has none (RFC 5322 2.1.1).
const LINE_MAX: usize = 78;
/// Octets of `=?UTF-8?Q?` and `?=`.
const FRAME: usize = 12;
/// What is left free on the first line for the name of the field.
const NAME_ROOM: usize = 16;
/// ASCII words and names above this are encoded as well, for encoded-words can be folded.
const PLAIN_MAX: usize = 400;

/// A display name as a phrase: atoms as they are, else a quoted string, else (not ASCII, or very long) encoded-words, folded
/// with CRLF and a space. Control characters become spaces; encoded-words that the caller wrote pass. May be empty.
pub fn phrase(name: &str) -> String {
    let name = printable(name);
    let name = name.trim_matches(' ');
    if !name.is_ascii() || name.len() > PLAIN_MAX {
        let mut text = String::new();
        encode(name, NAME_ROOM, &mut text);
        return text;
    }
    if name.split(' ').all(|word| !word.is_empty() && word.chars().all(address::is_atext)) || name.is_empty() {
        return name.to_owned();
    }
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

/// The value of a field like Subject: words that are not ASCII as encoded-words, the rest as it is, folded with CRLF before
/// white space where a line would exceed 78 octets. Folds in `text` are undone first; control characters become spaces.
pub fn unstructured(text: &str) -> String {
    let text = printable(&text.replace("\r\n ", " ").replace("\n ", " "));
    let mut rest = text.trim_matches(' ');
    let mut value = String::with_capacity(rest.len());
    let mut column = NAME_ROOM;
    while !rest.is_empty() {
        let gap = rest.len() - rest.trim_start_matches(' ').len();
        let (spaces, words) = rest.split_at(gap);
        let (piece, behind) = words.split_at(piece_len(words));
        let encoded = needs_encoding(piece);
        // A first encoded-word is at least its frame and one character long.
        let width = if encoded { FRAME + 12 } else { piece.len() };
        if !value.is_empty() && column + gap + width > LINE_MAX - 2 {
            value.push_str("\r\n");
            column = 0;
        }
        value.push_str(spaces);
        column += gap;
        if encoded {
            column = encode(piece, column, &mut value);
        } else {
            value.push_str(piece);
            column += piece.len();
        }
        rest = behind;
    }
    value
}

/// How long the piece at the front is: one plain word, or as many as are to be encoded with the spaces between them (between
/// encoded-words spaces are not shown, so they have to be inside).
fn piece_len(text: &str) -> usize {
    let word_end = |from: usize| text.get(from..).and_then(|t| t.find(' ')).map_or(text.len(), |at| from + at);
    let mut end = word_end(0);
    if !text.get(..end).is_some_and(needs_encoding) {
        return end;
    }
    loop {
        let tail = text.get(end..).unwrap_or_default();
        let next = end + tail.len() - tail.trim_start_matches(' ').len();
        let next_end = word_end(next);
        if next == next_end || !text.get(next..next_end).is_some_and(needs_encoding) {
            return end;
        }
        end = next_end;
    }
}

fn needs_encoding(text: &str) -> bool {
    !text.is_ascii() || text.len() > PLAIN_MAX
}

/// Control characters, one by one, as spaces.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Writes `text` as encoded-words from `column` on, folded between them; gives the column behind the last.
fn encode(text: &str, column: usize, into: &mut String) -> usize {
    let q_len: usize = text.chars().map(q_width).sum();
    let base64 = text.len().div_ceil(3) * 4 < q_len;
    let mut column = column;
    let mut rest = text;
    while !rest.is_empty() {
        let room = WORD_MAX.saturating_sub(column + FRAME);
        let (chunk, behind) = rest.split_at(chunk_len(rest, room, base64));
        let start = into.len();
        into.push_str(if base64 { "=?UTF-8?B?" } else { "=?UTF-8?Q?" });
        if base64 {
            STANDARD.encode_string(chunk, into);
        } else {
            chunk.chars().for_each(|c| q_push(c, into));
        }
        into.push_str("?=");
        column += into.len() - start;
        rest = behind;
        if !rest.is_empty() {
            into.push_str("\r\n ");
            column = 1;
        }
    }
    column
}

/// How many octets of whole characters fit into `room` encoded ones; at least one character.
fn chunk_len(text: &str, room: usize, base64: bool) -> usize {
    let mut width = 0;
    let mut len = 0;
    for c in text.chars() {
        width = if base64 { (len + c.len_utf8()).div_ceil(3) * 4 } else { width + q_width(c) };
        if width > room && len > 0 {
            break;
        }
        len += c.len_utf8();
    }
    len
}

/// What may stand for itself even in a phrase (RFC 2047 5 (3)).
fn is_q_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!*+-/".contains(c)
}

fn q_width(c: char) -> usize {
    if c == ' ' || is_q_plain(c) { 1 } else { 3 * c.len_utf8() }
}

fn q_push(c: char, into: &mut String) {
    match c {
        ' ' => into.push('_'),
        c if is_q_plain(c) => into.push(c),
        c => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String can't fail.
                let _ = write!(into, "={byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_an_atom_where_it_can_be_and_quoted_or_encoded_where_it_must() {
        for (name, expected) in [
            ("", ""),
            ("Cron Daemon", "Cron Daemon"),
            ("  Bob  ", "Bob"),
            ("Bob  B", "\"Bob  B\""),
            ("John Q. Public", "\"John Q. Public\""),
            ("(Cron Daemon)", "\"(Cron Daemon)\""),
            ("B, \"Bob\" \\ <x@y>", "\"B, \\\"Bob\\\" \\\\ <x@y>\""),
            ("Jörg", "=?UTF-8?Q?J=C3=B6rg?="),
            ("Jörg, B", "=?UTF-8?Q?J=C3=B6rg=2C_B?="),
            ("日本", "=?UTF-8?B?5pel5pys?="),
            ("=?utf-8?q?J=C3=B6rg?= B", "=?utf-8?q?J=C3=B6rg?= B"),
            ("Bob\r\nBcc: evil@x\0", "\"Bob  Bcc: evil@x\""),
            ("\r\n", ""),
        ] {
            assert_eq!(phrase(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_subject_keeps_its_ascii_words_and_the_spaces_between_encoded_ones() {
        for (text, expected) in [
            ("", ""),
            ("plain  text", "plain  text"),
            ("Grüße aus Köln", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?= aus =?UTF-8?Q?K=C3=B6ln?="),
            ("ä  ö b", "=?UTF-8?Q?=C3=A4__=C3=B6?= b"),
            ("ü\r\nBcc: evil@x", "=?UTF-8?Q?=C3=BC?=  Bcc: evil@x"),
            ("a\r\n b", "a b"),
        ] {
            assert_eq!(unstructured(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_subject_is_folded_before_its_words() {
        let text = unstructured(&"word ".repeat(40));
        assert_eq!(text.replace("\r\n", ""), "word ".repeat(40).trim_end());
        assert!(text.split("\r\n").all(|line| line.len() <= LINE_MAX));
    }

    /// The text that a reader sees: RFC 2047 decoded, folds undone.
    fn decoded(value: &str) -> String {
        let unfolded = value.replace("\r\n", "");
        let mut shown = String::new();
        let mut after_word = false;
        let mut gap = String::new();
        for part in unfolded.split_inclusive(' ') {
            let (word, space) = part.strip_suffix(' ').map_or((part, ""), |w| (w, " "));
            let inner = word.strip_prefix("=?UTF-8?").and_then(|w| w.strip_suffix("?="));
            if !(after_word && inner.is_some()) {
                shown.push_str(&gap);
            }
            gap.clear();
            match inner.map(|w| w.split_at(2)) {
                Some(("B?", data)) => shown.push_str(&String::from_utf8(STANDARD.decode(data).unwrap()).unwrap()),
                Some((_, data)) => shown.push_str(&q_decoded(data)),
                None => shown.push_str(word),
            }
            after_word = inner.is_some();
            gap.push_str(space);
        }
        shown
    }

    fn q_decoded(data: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = data.bytes();
        while let Some(b) = rest.next() {
            bytes.push(match b {
                b'=' => {
                    let hex = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                b'_' => b' ',
                b => b,
            });
        }
        String::from_utf8(bytes).unwrap()
    }

    fn is_sound(value: &str) -> bool {
        let words = value.split([' ', '\r', '\n']).filter(|w| w.starts_with("=?UTF-8?")).all(|w| w.len() <= WORD_MAX);
        let ends = value.replace("\r\n ", " ");
        words && value.is_ascii() && !ends.chars().any(char::is_control) && !value.ends_with(' ')
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_safe_phrase_that_reads_back(name in "[a-zäöü日😀 ,.\"\\\\\r\n=?_<>-]{0,120}") {
            let said = phrase(&name);
            prop_assert!(is_sound(&said), "{}", said);
            let plain = printable(&name);
            if !name.is_ascii() {
                prop_assert_eq!(decoded(&said), plain.trim_matches(' '));
            }
            let list = crate::mail::list::parse(&format!("{said} <a@x>"));
            prop_assert_eq!(list.mailboxes.len(), 1, "{}", said);
            prop_assert!(list.faults.is_empty());
        }

        #[test]
        fn any_subject_reads_back_word_for_word(text in "[a-zA-Zäöü日😀,.=?_-]{0,90}( {1,3}[a-zäöü日😀,.?_-]{1,60}){0,12}") {
            let said = unstructured(&text);
            prop_assert!(is_sound(&said), "{}", said);
            prop_assert_eq!(decoded(&said), text.trim_matches(' '));
            for line in said.split("\r\n").filter(|l| l.contains("=?UTF-8?")).skip(1) {
                prop_assert!(line.len() <= LINE_MAX, "{}", line);
            }
        }

        #[test]
        fn no_text_makes_a_header_unsafe(text in any::<String>()) {
            prop_assert!(is_sound(&phrase(&text)));
            prop_assert!(is_sound(&unstructured(&text)));
        }
    }
}
