//! How does a field become lines that may be sent? (RFC 5322 2.1.1, 2.2.3)

use memchr::memchr2_iter;

/// Where a line that we write ourselves is broken, if it can be.
pub const PREFERRED: usize = 78;

/// The most octets of a line, without CRLF (RFC 5322 2.1.1).
pub const MOST: usize = 998;

/// How much of a field's name is shown.
const NAME_SHOWN: usize = 60;

/// Appends `line` (without CRLF), broken before white space so that no part is longer than `limit` where that can be done;
/// no part is blank.
pub fn fold(line: &[u8], limit: usize, out: &mut Vec<u8>) {
    let text = line.len() - line.trim_ascii_start().len();
    let last = line.trim_ascii_end().len();
    let mut start = 0;
    // The latest place at which the part since `start` could be broken.
    let mut place = None;
    let mut spaces = memchr2_iter(b' ', b'\t', line).filter(|at| *at > text && *at < last).peekable();
    while line.len() - start > limit {
        while let Some(at) = spaces.next_if(|at| *at - start <= limit || place.is_none()) {
            if !line[start..at].trim_ascii().is_empty() {
                place = Some(at);
            }
        }
        let Some(at) = place.take() else { break };
        out.extend_from_slice(&line[start..at]);
        out.extend_from_slice(b"\r\n");
        start = at;
    }
    out.extend_from_slice(&line[start..]);
    out.extend_from_slice(b"\r\n");
}

/// Appends the field `name: value`; whatever line breaks are in `value`, they become folds, and other controls spaces.
pub fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    let mut line = format!("{name}:");
    for (i, piece) in value.split(['\r', '\n']).filter(|piece| !piece.trim().is_empty()).enumerate() {
        if i > 0 {
            fold(line.as_bytes(), PREFERRED, out);
            line.clear();
        }
        line.push(' ');
        line.extend(piece.trim().chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    fold(line.as_bytes(), PREFERRED, out);
}

/// Folds the lines of a header (each ends in CRLF) that are too long to be sent.
///
/// A field with a line that has no white space to fold at gets the value that `otherwise` knows for its name and value.
///
/// # Errors
/// The name of the field in which a line can't be folded even so.
pub fn shorten(header: Vec<u8>, otherwise: &dyn Fn(&str, &[u8]) -> Option<String>) -> Result<Vec<u8>, String> {
    if is_short(&header) {
        return Ok(header);
    }
    let mut out = Vec::with_capacity(header.len() + header.len() / 256);
    let mut rest = header.as_slice();
    while !rest.is_empty() {
        let (raw, after) = rest.split_at(field_len(rest));
        rest = after;
        let start = out.len();
        lines(raw).for_each(|line| fold(line, MOST, &mut out));
        if is_short(&out[start..]) {
            continue;
        }
        let colon = raw.iter().position(|c| *c == b':').unwrap_or(raw.len());
        let name = String::from_utf8_lossy(&raw[..colon]);
        if let Some(value) = otherwise(&name, raw.get(colon + 1..).unwrap_or_default().trim_ascii()) {
            out.truncate(start);
            field(&name, &value, &mut out);
        }
        if !is_short(&out[start..]) {
            return Err(name.chars().take(NAME_SHOWN).collect());
        }
    }
    Ok(out)
}

fn is_short(text: &[u8]) -> bool {
    lines(text).all(|line| line.len() <= MOST)
}

/// How long the first field is, with its folds.
fn field_len(header: &[u8]) -> usize {
    let ends = memchr::memchr_iter(b'\n', header).map(|at| at + 1);
    ends.into_iter().find(|end| !matches!(header.get(*end), Some(b' ' | b'\t'))).unwrap_or(header.len())
}

/// The lines of `text` without their CRLF.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|c| *c == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(line: &str, limit: usize) -> String {
        let mut out = Vec::new();
        fold(line.as_bytes(), limit, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_break_before_white_space_and_nowhere_else() {
        assert_eq!(folded("To: a", 10), "To: a\r\n");
        assert_eq!(folded("To: aaa, bbb, ccc", 10), "To: aaa,\r\n bbb, ccc\r\n");
        assert_eq!(folded("To: aaaaaaaaaaaaaaaaaa b", 10), "To:\r\n aaaaaaaaaaaaaaaaaa\r\n b\r\n");
        assert_eq!(folded("To:aaaaaaaaaaaaaaaaaa", 10), "To:aaaaaaaaaaaaaaaaaa\r\n");
        assert_eq!(folded(" aaaaaaaaaaaaaaa bb", 10), " aaaaaaaaaaaaaaa\r\n bb\r\n");
    }

    #[test]
    fn no_value_can_begin_another_field() {
        let mut out = Vec::new();
        field("X", "a\r\nBcc: b\n\n\r c\0d\r\n\r\nbody", &mut out);
        assert_eq!(out, b"X: a\r\n Bcc: b\r\n c d\r\n body\r\n");
        out.clear();
        field("X", "", &mut out);
        assert_eq!(out, b"X:\r\n");
    }

    #[test]
    fn a_line_of_998_stays_and_one_of_999_is_folded_said_otherwise_or_refused() {
        let line = |n: usize| [&b"X: "[..], &vec![b'a'; n - 3], b"\r\n"].concat();
        let nothing = |_: &str, _: &[u8]| None;
        assert_eq!(shorten(line(998), &nothing).unwrap(), line(998));
        assert_eq!(shorten(line(999), &nothing).unwrap(), [b"X:\r\n ", &line(999)[3..]].concat());
        let stiff = [b"A: b\r\n c\r\n".to_vec(), b"X:".repeat(500), b"\r\n Y\r\nZ:\r\n".to_vec()].concat();
        assert_eq!(shorten(stiff.clone(), &nothing), Err("X".to_owned()));
        assert_eq!(shorten(stiff.clone(), &|_, value| Some(String::from_utf8(value.to_vec()).unwrap())), Err("X".to_owned()));
        let said = shorten(stiff, &|name, value| Some(format!("{name} of {}", value.len()))).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), "A: b\r\n c\r\nX: X of 1002\r\nZ:\r\n");
        // Whose name is long keeps it, and who complains shows a part.
        let name = "X-".repeat(40);
        let long = [name.as_bytes(), b":", &vec![b'a'; 999], b"\r\n"].concat();
        assert_eq!(shorten(long.clone(), &nothing), Err(name[..60].to_owned()));
        let said = shorten(long, &|_, _| Some("b".to_owned())).unwrap();
        assert_eq!(said, format!("{name}:\r\n b\r\n").into_bytes());
    }

    proptest! {
        #[test]
        fn folding_adds_line_breaks_only(line in "[a-c:]([a-c ]{0,12}|[a-c]{0,4}\t){0,10}", limit in 1usize..20) {
            let out = folded(&line, limit);
            prop_assert_eq!(out.replace("\r\n", ""), line);
            for (i, part) in out.split_terminator("\r\n").enumerate() {
                prop_assert!(i == 0 || part.starts_with([' ', '\t']));
                prop_assert!(!part.trim().is_empty());
                let breakable = part.trim_end().char_indices().any(|(at, c)| c.is_whitespace() && at <= limit && !part[..at].trim().is_empty());
                prop_assert!(part.len() <= limit || !breakable, "{:?}", part);
            }
        }
    }
}
