//! How is text broken into the lines of a terminal?

/// Lines of at most `width` columns, one at least, broken between words; only a word that is longer than a line is broken
/// itself.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut done = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && columns + 1 + length > width {
            done.push(std::mem::take(&mut line));
            columns = 0;
        } else if index > 0 && (columns > 0 || done.is_empty()) {
            line.push(' ');
            columns += 1;
        }
        for c in word.chars() {
            if columns == width {
                done.push(std::mem::take(&mut line));
                columns = 0;
            }
            line.push(c);
            columns += 1;
        }
    }
    done.push(line);
    done
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_where_they_fit_and_go_to_a_line_of_their_own() {
        let table: [(&str, &[&str]); 6] = [
            ("", &[""]),
            ("one two three", &["one two", "three"]),
            ("one /a/path/x", &["one", "/a/path/x"]),
            ("twelve-chars", &["twelve-cha", "rs"]),
            (" leading", &[" leading"]),
            ("a  b", &["a  b"]),
        ];
        for (text, lines) in table {
            assert_eq!(wrapped(text, 10), lines, "{text}");
        }
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_but_spaces_and_keeps_the_width(text in "[a-zü ]{0,200}", width in 1usize..40) {
            let lines = wrapped(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let without = |text: &str| text.replace(' ', "");
            prop_assert_eq!(without(&lines.concat()), without(&text));
        }
    }
}
