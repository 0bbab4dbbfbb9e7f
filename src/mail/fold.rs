//! How does a field become lines that may be sent? (RFC 5322 2.1.1, 2.2.3)

use memchr::memchr2_iter;

/// Where a line that we write ourselves is broken, if it can be.
pub const PREFERRED: usize = 78;

/// The most octets of a line, without CRLF (RFC 5322 2.1.1).
pub const MOST: usize = 998;

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

/// Folds the lines of `text` (each ends in CRLF) that are too long to be sent.
///
/// # Errors
/// The name of the field in which a line can't be folded.
pub fn shorten(text: Vec<u8>) -> Result<Vec<u8>, String> {
    if lines(&text).all(|line| line.len() <= MOST) {
        return Ok(text);
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / 256);
    let mut name: &[u8] = b"";
    for line in lines(&text) {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            name = line.split(|c| *c == b':').next().unwrap_or_default();
        }
        let start = out.len();
        fold(line, MOST, &mut out);
        if lines(&out[start..]).any(|line| line.len() > MOST) {
            return Err(String::from_utf8_lossy(&name[..name.len().min(60)]).into_owned());
        }
    }
    Ok(out)
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
    fn a_line_of_998_stays_and_one_of_999_is_folded_or_refused() {
        let line = |n: usize| [&b"X: "[..], &vec![b'a'; n - 3], b"\r\n"].concat();
        assert_eq!(shorten(line(998)).unwrap(), line(998));
        assert_eq!(shorten(line(999)).unwrap(), [b"X:\r\n ", &line(999)[3..]].concat());
        assert_eq!(shorten([b"X:".repeat(500), b"\r\n".to_vec()].concat()), Err("X".to_owned()));
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
