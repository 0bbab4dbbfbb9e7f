//! How long may a foreign string in the log be?

use std::fmt;

use serde::Serialize;

/// Names of people and hosts, addresses (64 + 1 + 255 octets, RFC 5321 4.5.3.1), suites.
pub type Name = Text<320>;

/// Sentences of servers and libraries, and Message-IDs (a header line has at most 998 octets).
pub type Words = Text<1000>;

/// Foreign text of at most `MAX` characters; what was longer ends in `…`.
///
/// Only the length is looked at: every form of the log escapes in its own way when it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Takes what fits.
    pub fn new(text: &str) -> Self {
        Self(match end(text, MAX) {
            Some(cut) => format!("{}…", &text[..cut]),
            None => text.to_owned(),
        })
    }

    /// Takes what fits of bytes in no promised encoding (a path, a name of the password database); what is not UTF-8 becomes
    /// U+FFFD.
    pub fn lossy(bytes: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(bytes))
    }

    /// The text, not escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a text of more than `max` characters is cut so that it has `max` with the ellipsis; `None` where it fits.
fn end(text: &str, max: usize) -> Option<usize> {
    if text.len() <= max {
        return None; // not more octets than characters allowed: no need to count
    }
    let mut last = text.char_indices().skip(max.saturating_sub(1)).map(|(at, _)| at);
    let cut = last.next()?;
    last.next().map(|_| cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_and_what_does_not_ends_visibly() {
        for (given, kept) in
            [("", ""), ("abcd", "abcd"), ("abcde", "abc…"), ("ääää", "ääää"), ("äääää", "äää…"), ("𝄞𝄞𝄞𝄞𝄞𝄞", "𝄞𝄞𝄞…")]
        {
            assert_eq!(Text::<4>::new(given).as_str(), kept);
            assert!(Text::<4>::new(given).as_str().chars().count() <= 4);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(Text::<9>::lossy(b"J\xf6rg").as_str(), "J\u{fffd}rg");
    }
}
