//! Which right word was probably meant by a wrong one?

/// The nearest of `words` to `wrong`, where one is near enough to be worth proposing.
///
/// Case and `-` for `_` do not count; a third of the letters may differ, or one be the beginning of the other.
pub(crate) fn nearest<'a>(wrong: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = fold(wrong);
    let length = wrong.chars().count();
    words
        .into_iter()
        .filter_map(|word| {
            let folded = fold(word);
            let distance = strsim::osa_distance(&wrong, &folded);
            let begins = length >= 3 && folded.len() >= 3 && (folded.starts_with(&wrong) || wrong.starts_with(&folded));
            (distance <= (length / 3).max(1) || begins).then_some((distance, word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `words` as a person lists them: `` `a`, `b` or `c` ``.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let mut quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.pop() {
        Some(only) if quoted.is_empty() => only,
        Some(end) => format!("{} {last} {end}", quoted.join(", ")),
        None => String::new(),
    }
}

fn fold(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_that_was_meant_and_nonsense_finds_none() {
        let words = ["policy", "trust", "password_file", "user"];
        for (wrong, right) in [
            ("polcy", Some("policy")),
            ("Policy", Some("policy")),
            ("password-file", Some("password_file")),
            ("username", Some("user")),
            ("turst", Some("trust")),
            ("zebra", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, words), right, "{wrong}");
        }
        assert_eq!(nearest(&"u".repeat(100_000), words), None);
    }

    #[test]
    fn words_are_listed_as_a_person_would() {
        assert_eq!(listed(["a"], "or"), "`a`");
        assert_eq!(listed(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
