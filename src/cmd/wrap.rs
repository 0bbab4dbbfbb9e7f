//! How is text broken into the lines of a terminal?

/// Lines of at most `width` columns (two at least), one line at least, broken between words; only a word that is longer than a line is
/// broken itself.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut done = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for (index, word) in text.split(' ').enumerate() {
        let length: usize = word.chars().map(columns_of).sum();
        if index > 0 && columns + 1 + length > width {
            done.push(std::mem::take(&mut line));
            columns = 0;
        } else if index > 0 && (columns > 0 || done.is_empty()) {
            line.push(' ');
            columns += 1;
        }
        for c in word.chars() {
            if columns + columns_of(c) > width {
                done.push(std::mem::take(&mut line));
                columns = 0;
            }
            line.push(c);
            columns += columns_of(c);
        }
    }
    done.push(line);
    done
}

/// How many columns of a terminal `c` takes at most (UAX 11): a line that comes out short harms nobody.
pub fn columns_of(c: char) -> usize {
    match c {
        ..'\u{1100}' | '\u{2010}'..='\u{2027}' | '\u{2190}'..='\u{21ff}' | '\u{2500}'..='\u{259f}' => 1,
        // The one that stands for several.
        '\u{17d8}' => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

    use super::*;

    #[test]
    fn no_character_takes_more_columns_than_it_is_given() {
        let narrow = ('\0'..=char::MAX).find(|c| c.width().unwrap_or(0) > columns_of(*c));
        assert_eq!(narrow, None);
    }

    #[test]
    fn words_stay_whole_where_they_fit_and_go_to_a_line_of_their_own() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[""]),
            ("one two three", &["one two", "three"]),
            ("one /a/path/x", &["one", "/a/path/x"]),
            ("twelve-chars", &["twelve-cha", "rs"]),
            (" leading", &[" leading"]),
            ("a  b", &["a  b"]),
            ("日本語日本語", &["日本語日本", "語"]),
        ];
        for (text, lines) in table {
            assert_eq!(wrapped(text, 10), lines, "{text}");
        }
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_but_spaces_and_keeps_the_width(text in "[a-zü日 ]{0,200}", width in 2usize..40) {
            let lines = wrapped(&text, width);
            prop_assert!(lines.iter().all(|line| line.width() <= width));
            let without = |text: &str| text.replace(' ', "");
            prop_assert_eq!(without(&lines.concat()), without(&text));
        }
    }
}
