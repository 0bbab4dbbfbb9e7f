//! What is a submission called, in the log and for whoever greps it? (ULID)

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Octets of randomness in an [`Id`].
pub const RANDOM: usize = 10;

/// The name of one submission, the same for all its attempts: 48 bits of milliseconds since 1970 and 80 random bits, shown as
/// 26 characters that sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u128);

impl Id {
    /// The name of a submission that began at `time`; a time before 1970 counts as 1970.
    pub fn new(time: Timestamp, random: [u8; RANDOM]) -> Self {
        let ms = u128::try_from(time.as_millisecond()).unwrap_or(0) & 0xffff_ffff_ffff;
        Self(random.iter().fold(ms, |bits, octet| bits << 8 | u128::from(*octet)))
    }

    /// Reads what [`Display`](fmt::Display) wrote (a queue keeps the name between attempts); anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 26 || text.as_bytes().first()? > &b'7' {
            return None; // the first of 26 characters holds the upper three bits only
        }
        let digit = |octet: u8| ALPHABET.iter().zip(0_u128..).find(|(a, _)| **a == octet).map(|(_, value)| value);
        text.bytes().try_fold(0, |bits, octet| Some(bits << 5 | digit(octet)?)).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 26];
        for (place, shift) in text.iter_mut().rev().zip((0_u32..).step_by(5)) {
            *place = ALPHABET[usize::from((self.0 >> shift).to_le_bytes()[0] & 31)];
        }
        text.iter().try_for_each(|c| fmt::Write::write_char(f, char::from(*c)))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_the_ulid_of_its_time_and_randomness() {
        // The timestamp of the ULID specification's own example.
        let time = Timestamp::from_millisecond(1_469_918_176_385).unwrap();
        assert_eq!(Id::new(time, [0; 10]).to_string(), "01ARYZ6S410000000000000000");
        assert_eq!(Id::new(time, [0xff; 10]).to_string(), "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
        assert_eq!(Id::new(Timestamp::from_millisecond(-5).unwrap(), [0; 10]).to_string(), "0".repeat(26));
    }

    #[test]
    fn later_ids_sort_later_as_text() {
        let at = |ms| Id::new(Timestamp::from_millisecond(ms).unwrap(), [7; 10]).to_string();
        assert!(at(1_700_000_000_000) < at(1_700_000_000_001));
    }

    #[test]
    fn what_is_no_id_is_not_read_as_one() {
        for text in [
            "",
            "01ARYZ6S41",
            "81ARYZ6S410000000000000000",
            "01ARYZ6S41000000000000000U",
            "01aryz6s410000000000000000",
            "éééééééééééééé",
        ] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_as_itself(ms in 0_i64..253_402_000_000_000, random: [u8; 10]) {
            let id = Id::new(Timestamp::from_millisecond(ms).unwrap(), random);
            prop_assert_eq!(id.to_string().len(), 26);
            prop_assert_eq!(Id::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn foreign_text_never_panics_and_only_the_canonical_form_is_an_id(text in "\\PC{0,30}") {
            if let Some(id) = Id::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
