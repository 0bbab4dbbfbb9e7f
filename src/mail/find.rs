//! Where are the next of these octets? (memchr, without asking the processor what it can do where the text is short)
//!
//! memchr first asks what instructions there are, for the widest serve it best. Where the processor is a virtual machine's each such
//! question (CPUID) is one for its host: the seven of them take 0.028 ms here, as long as it takes to scan 400 KiB of mail. So a
//! short text is scanned with those that every processor of its kind has, and who meets no long one never asks.

use memchr::memmem;

#[cfg(target_arch = "x86_64")]
use memchr::arch::x86_64::sse2::memchr as sse2;

/// From here on a text is long, in octets.
const LONG: usize = 16 << 10;

/// The first of `needle`.
pub fn one(needle: u8, text: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(finder)) = (text.len() < LONG, sse2::One::new(needle)) {
        return finder.find(text);
    }
    memchr::memchr(needle, text)
}

/// The first of either.
pub fn two(needle: u8, other: u8, text: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(finder)) = (text.len() < LONG, sse2::Two::new(needle, other)) {
        return finder.find(text);
    }
    memchr::memchr2(needle, other, text)
}

/// Every `needle`, in order.
pub fn each(needle: u8, text: &[u8], found: impl FnMut(usize)) {
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(finder)) = (text.len() < LONG, sse2::One::new(needle)) {
        return finder.iter(text).for_each(found);
    }
    memchr::memchr_iter(needle, text).for_each(found);
}

/// Everything that is one of three, in order.
pub fn each_of_three(needles: [u8; 3], text: &[u8], found: impl FnMut(usize)) {
    let [first, second, third] = needles;
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(finder)) = (text.len() < LONG, sse2::Three::new(first, second, third)) {
        return finder.iter(text).for_each(found);
    }
    memchr::memchr3_iter(first, second, third, text).for_each(found);
}

/// The start of every `pattern`, in order; one that can overlap itself is found more often in a short text than in a long one.
pub fn each_pattern(pattern: &[u8], text: &[u8], mut found: impl FnMut(usize)) {
    match pattern.split_last() {
        Some((last, before)) if text.len() < LONG => each(*last, text, |at| {
            if text[..at].ends_with(before) {
                found(at - before.len());
            }
        }),
        _ => memmem::find_iter(text, pattern).for_each(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds in `text[start..end]` with everything here, and with a plain loop.
    fn compare(text: &[u8], start: usize, end: usize) {
        let text = &text[start..end];
        let plain = |wanted: &[u8]| -> Vec<usize> { (0..text.len()).filter(|at| wanted.contains(&text[*at])).collect() };
        let (mut of_one, mut of_three, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        each(1, text, |at| of_one.push(at));
        each_of_three([1, 2, 3], text, |at| of_three.push(at));
        each_pattern(&[1, 2], text, |at| patterns.push(at));
        assert_eq!((&of_one, &of_three), (&plain(&[1]), &plain(&[1, 2, 3])), "{start} to {end}");
        let pairs: Vec<usize> = (0..text.len()).filter(|at| text[*at..].starts_with(&[1, 2])).collect();
        assert_eq!(patterns, pairs, "{start} to {end}");
        assert_eq!(one(1, text), of_one.first().copied());
        assert_eq!(two(1, 2, text), plain(&[1, 2]).first().copied());
    }

    #[test]
    fn what_is_found_is_what_a_plain_loop_finds() {
        let text: Vec<u8> = (0_u32..40_000).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0] & 7).collect();
        for start in 0..70 {
            for length in [0, 1, 2, 15, 16, 17, 64, 129, 999] {
                compare(&text, start, start + length);
            }
        }
        for length in [LONG - 1, LONG, LONG + 1, text.len() - 1] {
            compare(&text, 1, 1 + length);
        }
    }
}
