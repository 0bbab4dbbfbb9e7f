//! What does a JSON object with tokens say, without a copy of it being left anywhere? (RFC 8259)

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The members of an object, as they are written: what a parser unescapes it keeps in buffers of its own, which nobody overwrites.
pub struct Fields<'t>(BTreeMap<Cow<'t, str>, &'t RawValue>);

impl<'t> Fields<'t> {
    /// The object that `bytes` are; `None` where they are none.
    pub fn parse(bytes: &'t [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }

    /// The first of `names` that is a text; an empty one counts as none.
    pub fn text(&self, names: &[&str]) -> Option<Zeroizing<String>> {
        names.iter().find_map(|name| unquoted(self.0.get(*name)?.get())).filter(|text| !text.is_empty())
    }

    /// The first of `names` that is a number of seconds, also written as a text (as some providers do).
    pub fn seconds(&self, names: &[&str]) -> Option<i64> {
        let number = |name: &&str| {
            let raw = self.0.get(*name)?.get();
            let digits = raw.trim_matches('"').split('.').next()?;
            digits.parse().ok()
        };
        names.iter().find_map(number)
    }

    /// The first of `names` that is a moment: seconds since 1970, or RFC 3339.
    pub fn moment(&self, names: &[&str]) -> Option<Timestamp> {
        let moment = |name: &&str| {
            let seconds = self.seconds(&[name]).and_then(|seconds| Timestamp::from_second(seconds).ok());
            seconds.or_else(|| self.text(&[name])?.parse().ok())
        };
        names.iter().find_map(moment)
    }
}

/// The text that a JSON string is; `None` for any other value, and for half a surrogate pair.
fn unquoted(raw: &str) -> Option<Zeroizing<String>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    // An escape is never shorter than what it stands for.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => escaped(&mut letters)?,
                other => other,
            },
            letter => letter,
        });
    }
    Some(text)
}

/// What follows `\u`: a code unit, or two that make a pair.
fn escaped(letters: &mut std::str::Chars<'_>) -> Option<char> {
    let first = unit(letters)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if (letters.next(), letters.next()) != (Some('\\'), Some('u')) {
        return None;
    }
    let second = unit(letters)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
}

fn unit(letters: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | letters.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_numbers_and_moments_are_found_under_their_names() {
        let json = br#" {"access_token":"ya29.a\/b","expires_in":"3599","n":12.9,"at":1795474381,"when":"2026-11-23T22:53:01Z","no":null,"":""} "#;
        let fields = Fields::parse(json).unwrap();
        assert_eq!(fields.text(&["token", "access_token"]).unwrap().as_str(), "ya29.a/b");
        assert_eq!(fields.text(&["no", "", "n"]), None);
        assert_eq!(
            (fields.seconds(&["expires_in"]), fields.seconds(&["n"]), fields.seconds(&["no"])),
            (Some(3599), Some(12), None)
        );
        let moment = Timestamp::from_second(1_795_474_381).unwrap();
        assert_eq!((fields.moment(&["at"]), fields.moment(&["when"])), (Some(moment), Some(moment)));
        assert_eq!(fields.moment(&["access_token"]), None);
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for text in ["", "[]", "null", "{", "{\"a\":1} x", "\u{feff}{}", "<html>"] {
            assert!(Fields::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_what_any_json_library_says(text in "\\PC{0,20}|.{0,20}", escape in any::<bool>()) {
            let mut json = serde_json::to_string(&text).unwrap();
            if escape {
                let units = text.encode_utf16().fold(String::new(), |units, unit| units + &format!("\\u{unit:04x}"));
                json = format!("\"{units}\"");
            }
            prop_assert_eq!(&*unquoted(&json).unwrap(), &text);
        }

        #[test]
        fn any_octets_are_an_object_or_none(octets in proptest::collection::vec(any::<u8>(), 0..60), text in "[{}\"a:,\\\\ud8dc0-9.]{0,40}") {
            for bytes in [octets.as_slice(), text.as_bytes()] {
                if let Some(fields) = Fields::parse(bytes) {
                    let _ = (fields.text(&["a", ""]), fields.seconds(&["a", ""]), fields.moment(&["a", ""]));
                }
            }
        }
    }
}
