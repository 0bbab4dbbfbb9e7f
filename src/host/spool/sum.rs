//! What is the checksum of octets? (CRC-32 of ISO 3309)
//!
//! crc32fast first asks what instructions the processor has; under a hypervisor that takes 0.028 ms ([`crate::mail::find`] says
//! why). A few KiB have their sum sooner from a table.

use crc32fast::Hasher;

/// From here on octets are worth the question.
const LONG: usize = 16 << 10;

/// The remainder of each octet, the lowest bit first, with none, one, two and three octets of zero behind it.
const TABLES: [[u32; 256]; 4] = tables();

/// A checksum in the making.
#[derive(Clone, Debug)]
pub(super) enum Sum {
    /// Of this many octets, by the table.
    Short(u32, usize),
    /// By crc32fast.
    Long(Hasher),
}

impl Sum {
    /// Of nothing yet.
    pub(super) const fn new() -> Self {
        Self::Short(0, 0)
    }

    /// The checksum of all of `octets`.
    pub(super) fn of(octets: &[u8]) -> u32 {
        let mut sum = Self::new();
        sum.update(octets);
        sum.finalize()
    }

    /// Takes more octets in.
    pub(super) fn update(&mut self, octets: &[u8]) {
        match self {
            Self::Short(sum, length) if *length + octets.len() < LONG => {
                *length += octets.len();
                let (fours, rest) = octets.as_chunks::<4>();
                let sum_of_fours = fours.iter().fold(!*sum, |sum, four| {
                    let [a, b, c, d] = (sum ^ u32::from_le_bytes(*four)).to_le_bytes().map(usize::from);
                    TABLES[3][a] ^ TABLES[2][b] ^ TABLES[1][c] ^ TABLES[0][d]
                });
                *sum = !rest.iter().fold(sum_of_fours, |sum, octet| {
                    let [low, ..] = sum.to_le_bytes();
                    sum >> 8 ^ TABLES[0][usize::from(low ^ octet)]
                });
            }
            Self::Short(sum, _) => {
                let mut hasher = Hasher::new_with_initial(*sum);
                hasher.update(octets);
                *self = Self::Long(hasher);
            }
            Self::Long(hasher) => hasher.update(octets),
        }
    }

    /// The checksum of all that was taken in.
    pub(super) fn finalize(self) -> u32 {
        match self {
            Self::Short(sum, _) => sum,
            Self::Long(hasher) => hasher.finalize(),
        }
    }
}

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut octet: u32 = 0;
    while octet < 256 {
        let (mut rest, mut bit) = (octet, 0);
        while bit < 32 {
            rest = if rest & 1 == 1 { rest >> 1 ^ 0xedb8_8320 } else { rest >> 1 };
            bit += 1;
            if bit % 8 == 0 {
                tables[bit / 8 - 1][octet as usize] = rest;
            }
        }
        octet += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_whatever_pieces_it_is_what_crc32fast_says() {
        assert_eq!(Sum::of(b"123456789"), 0xcbf4_3926);
        let octets: Vec<u8> = (0_u32..40_000).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        for length in [0, 1, 100, LONG - 1, LONG, LONG + 1, octets.len()] {
            let octets = &octets[..length];
            assert_eq!(Sum::of(octets), crc32fast::hash(octets), "{length}");
            for piece in [1, 7, 4096, LONG - 1] {
                let mut sum = Sum::new();
                octets.chunks(piece).for_each(|piece| sum.update(piece));
                assert_eq!(sum.finalize(), crc32fast::hash(octets), "{length} in pieces of {piece}");
            }
        }
    }
}
