//! How does 8-bit text in an address field become ASCII without touching an address? (RFC 2047 5, RFC 5322 3.4)

/// What an element of an address list is made of, in its order.
enum Part<'a> {
    /// Atoms, dots, at signs, white space and quoted strings as they stand.
    Words(&'a str),
    /// A comment with its parentheses.
    Comment(&'a str),
}

/// The list with its non-ASCII display names, group names and comments replaced by what `encode` makes of their text.
///
/// `None` where something else is not ASCII, an address for example: then the field can only stay as it is.
pub fn encode_list(list: &str, encode: &dyn Fn(&str) -> String) -> Option<String> {
    let mut out = String::with_capacity(2 * list.len());
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut rest = list;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => quoted(rest),
            b'(' => comment(rest),
            b'<' => angle(rest),
            b',' | b';' | b':' => 1,
            _ => rest.find(['"', '(', '<', ',', ';', ':']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        match first {
            b'(' => parts.push(Part::Comment(token)),
            b'<' | b':' => {
                name(&mut out, &parts, encode);
                parts.clear();
                out.push_str(ascii(token)?);
            }
            b',' | b';' => {
                address(&mut out, &parts, encode)?;
                parts.clear();
                out.push_str(token);
            }
            _ => parts.push(Part::Words(token)),
        }
    }
    address(&mut out, &parts, encode)?;
    Some(out)
}

fn ascii(text: &str) -> Option<&str> {
    text.is_ascii().then_some(text)
}

/// Parts that are a display name or a group's name.
fn name(out: &mut String, parts: &[Part<'_>], encode: &dyn Fn(&str) -> String) {
    let words = || parts.iter().filter_map(|p| if let Part::Words(w) = p { Some(*w) } else { None });
    if words().all(str::is_ascii) {
        for part in parts {
            match part {
                Part::Words(words) => out.push_str(words),
                Part::Comment(text) => push_comment(out, text, encode),
            }
        }
        return;
    }
    let text: String = words().map(plain).collect();
    pad(out);
    out.push_str(&encode(&text.split_whitespace().collect::<Vec<_>>().join(" ")));
    out.push(' ');
    for part in parts {
        if let Part::Comment(text) = part {
            push_comment(out, text, encode);
            out.push(' ');
        }
    }
}

/// Parts that are an address without angle brackets, and what follows one with them.
fn address(out: &mut String, parts: &[Part<'_>], encode: &dyn Fn(&str) -> String) -> Option<()> {
    for part in parts {
        match part {
            Part::Words(words) => out.push_str(ascii(words)?),
            Part::Comment(text) => push_comment(out, text, encode),
        }
    }
    Some(())
}

fn push_comment(out: &mut String, comment: &str, encode: &dyn Fn(&str) -> String) {
    if comment.is_ascii() {
        out.push_str(comment);
        return;
    }
    pad(out);
    out.push('(');
    let inner = comment.strip_prefix('(').unwrap_or(comment);
    out.push_str(&encode(&unescape(inner.strip_suffix(')').unwrap_or(inner))));
    out.push(')');
}

/// An encoded word stands alone: white space before it, unless it is the first.
fn pad(out: &mut String) {
    if !out.is_empty() && !out.ends_with([' ', '\t', '(']) {
        out.push(' ');
    }
}

/// The text that atoms or one quoted string mean.
fn plain(words: &str) -> String {
    match words.strip_prefix('"') {
        Some(inner) => unescape(inner.strip_suffix('"').unwrap_or(inner)),
        None => words.to_owned(),
    }
}

fn unescape(text: &str) -> String {
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

/// Length of the quoted string at the start of `text`; all of it where the end is missing.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.bytes().enumerate().skip(1) {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the comment at the start of `text`, nested ones included.
fn comment(text: &str) -> usize {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, c) in text.bytes().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return at + 1,
            b')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the `<…>` at the start of `text`.
fn angle(text: &str) -> usize {
    let mut at = 1;
    while let Some(c) = text.as_bytes().get(at) {
        at += match c {
            b'>' => return at + 1,
            b'"' => quoted(&text[at..]),
            _ => 1,
        };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(list: &str) -> Option<String> {
        encode_list(list, &|text| format!("=[{}]=", text.replace('ü', "ue").replace(|c: char| !c.is_ascii(), "?")))
    }

    #[test]
    fn names_and_comments_are_encoded_and_addresses_never() {
        let table: &[(&str, Option<&str>)] = &[
            ("Jürgen <j@x>", Some("=[Juergen]= <j@x>")),
            ("\"Müller, \\\"J\\\"\" <j@x>", Some("=[Mueller, \"J\"]= <j@x>")),
            ("a@x, Jürgen \"M.\"  Müller<j@x>, b@x", Some("a@x, =[Juergen M. Mueller]= <j@x>, b@x")),
            ("j@x (Jürgen)", Some("j@x (=[Juergen]=)")),
            ("j@x(a (ü) \\) b)", Some("j@x (=[a (ue) ) b]=)")),
            ("ü (ü) <j@x>", Some("=[ue]= (=[ue]=) <j@x>")),
            ("Büro: a@x, ü <b@x>;", Some("=[Buero]= : a@x, =[ue]= <b@x>;")),
            ("\"a, b\" <\"c>d\"@x> (plain)", Some("\"a, b\" <\"c>d\"@x> (plain)")),
            ("ü@x", None),
            ("<j@ü>", None),
            ("\"ü\"@x", None),
            ("a <j@x> ü", None),
            ("", Some("")),
        ];
        for (list, want) in table {
            assert_eq!(mark(list).as_deref(), *want, "{list}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_the_text_of_names_changes(list in "[aü\"\\\\()<>@,;: ]{0,30}") {
            if let Some(out) = mark(&list) {
                prop_assert!(out.is_ascii());
                if list.is_ascii() {
                    prop_assert_eq!(out, list);
                }
            }
        }
    }
}
