//! What do the words of a script mean: short forms, patterns, escapes?

/// The steps of one connection, the short forms written out.
pub(super) fn steps(script: &str) -> Vec<String> {
    script.lines().map(str::trim).filter(|l| !l.is_empty()).flat_map(expand).collect()
}

fn expand(line: &str) -> Vec<String> {
    let own = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    match line.split_once(": ").map_or((line, ""), |(step, rest)| (step, rest)) {
        ("hello", keywords) => [own(&["S: 220 smarthost.test ESMTP"]), ehlo(keywords)].concat(),
        ("hello:", _) => [own(&["S: 220 smarthost.test ESMTP"]), ehlo("")].concat(),
        ("ehlo", keywords) => ehlo(keywords),
        ("ehlo:", _) => ehlo(""),
        ("mail", _) => own(&["C: MAIL FROM:*", "S: 250 2.1.0 Ok"]),
        ("rcpt", _) => own(&["C: RCPT TO:*", "S: 250 2.1.5 Ok"]),
        ("data", _) => own(&["C: DATA", "S: 354 go on", "C-data"]),
        ("accept", _) => own(&["S: 250 2.0.0 Ok: queued as 4XYZ"]),
        ("session", _) => ["mail", "rcpt", "data", "accept", "quit"].iter().flat_map(|s| expand(s)).collect(),
        _ => own(&[line]),
    }
}

fn ehlo(keywords: &str) -> Vec<String> {
    let mut lines = vec!["C: EHLO *".to_owned(), "S: 250-smarthost.test".to_owned()];
    lines.extend(keywords.split(", ").filter(|k| !k.is_empty()).map(|k| format!("S: 250-{k}")));
    if let Some(last) = lines.last_mut() {
        last.replace_range(6..7, " ");
    }
    lines
}

/// Whether `line` fits `pattern`, where `*` stands for any text.
pub(super) fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| line.strip_prefix(head)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((tail, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(tail)
}

/// `\r \n \0 \\ \xHH` as bytes.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let byte = match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('r')) => b'\r',
            ('\\', Some('n')) => b'\n',
            ('\\', Some('0')) => 0,
            ('\\', Some('x')) => {
                let hex: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&hex, 16).expect("two hex digits after \\x")
            }
            ('\\', Some('\\')) => b'\\',
            (c, None) if c.is_ascii() => u8::try_from(c).unwrap_or_default(),
            _ => panic!("not an escape that a script knows: {text}"),
        };
        out.push(byte);
    }
    out
}
