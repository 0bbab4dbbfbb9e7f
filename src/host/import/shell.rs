//! What are the words of a line of shell, and which constant does a command print? (sh(1); nothing is run)

/// The words of a line, quotes undone; `None` where a quote has no end. Nothing is expanded.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            ('\\', None) => word.get_or_insert_default().push(chars.next()?),
            ('\\', Some('"')) => {
                let next = chars.next()?;
                let word = word.get_or_insert_default();
                if !['"', '\\', '$', '`'].contains(&next) {
                    word.push('\\');
                }
                word.push(next);
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The line that `echo` or `printf` prints, where that can be told by looking: no variable, no pipe, no directive.
pub(super) fn constant(command: &str) -> Option<String> {
    if has_meaning(command) {
        return None;
    }
    let words = words(command)?;
    let (program, rest) = words.split_first()?;
    match (program.rsplit('/').next()?, rest) {
        ("echo", [flag, rest @ ..]) if flag == "-n" => plain(&rest.join(" ")),
        ("echo", rest) if rest.first().is_none_or(|word| !word.starts_with('-')) => plain(&rest.join(" ")),
        ("printf", [format, text]) if ["%s", "%s\\n"].contains(&format.as_str()) => plain(text),
        ("printf", [text]) if !text.contains('%') => plain(text.strip_suffix("\\n").unwrap_or(text)),
        _ => None,
    }
}

/// Whether a command may hold the secret that it prints, in a way that nobody can tell by looking.
pub(super) fn may_hold_a_secret(command: &str) -> bool {
    let mut words = command.split(|c: char| !c.is_ascii_alphanumeric());
    command.contains("<<<") || words.any(|word| ["echo", "printf"].contains(&word))
}

/// Text that every echo prints as it is.
fn plain(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains('\\')).then(|| text.to_owned())
}

/// Whether a shell would do more than split `command` into words.
fn has_meaning(command: &str) -> bool {
    let mut quote: Option<char> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            ('\\', Some('"') | None) => drop(chars.next()),
            ('$' | '`', Some('"') | None) | ('|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '~' | '#' | '{', None) => {
                return true;
            }
            ('"' | '\'', None) => quote = Some(c),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_sh_makes_of_a_line_without_variables() {
        let table: [(&str, Option<&[&str]>); 8] = [
            ("a  b\tc", Some(&["a", "b", "c"])),
            ("pass='my pass phrase' x", Some(&["pass=my pass phrase", "x"])),
            (r#"a"b c"d"#, Some(&["ab cd"])),
            (r#"a\ b "\"\x\\""#, Some(&["a b", r#""\x\"#])),
            ("''", Some(&[""])),
            ("", Some(&[])),
            ("'open", None),
            ("end\\", None),
        ];
        for (line, expected) in table {
            assert_eq!(
                words(line).as_deref().map(|words| words.iter().map(String::as_str).collect()),
                expected.map(<[&str]>::to_vec),
                "{line}"
            );
        }
    }

    #[test]
    fn only_what_every_shell_would_print_is_a_constant() {
        for (command, expected) in [
            ("echo hunter2", Some("hunter2")),
            ("/bin/echo -n 'two words'", Some("two words")),
            ("printf '%s\\n' \"hunter2\"", Some("hunter2")),
            ("printf hunter2\\\\n", Some("hunter2")),
            ("echo $PASSWORD", None),
            ("echo '$PASSWORD'", Some("$PASSWORD")),
            ("echo a | base64 -d", None),
            ("echo `cat x`", None),
            ("echo a\\\\b", None),
            ("cat /run/secrets/x", None),
            ("echo", None),
            ("echo *", None),
        ] {
            assert_eq!(constant(command).as_deref(), expected, "{command}");
        }
    }
}
