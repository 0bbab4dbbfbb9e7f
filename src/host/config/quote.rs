//! How is a text written into a configuration, so that the same is read there? (TOML 1.0, basic strings)

use std::fmt::Write as _;

/// In double quotes, with escapes for what could end them or drive a terminal.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_quoted_is_read_as_it_was(text in any::<String>()) {
            let line = format!("x = {}", quoted(&text));
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            let read = toml::de::DeTable::parse(&line).unwrap();
            prop_assert_eq!(read.get_ref().get("x").and_then(|value| value.get_ref().as_str()), Some(text.as_str()));
        }
    }
}
