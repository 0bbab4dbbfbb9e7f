//! How does a check say a size, the days that are left, a digest to pin? (page, JSON and advice say them alike)

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;

/// A number of octets as a person says it: `10 MiB`, `35882577`.
pub(super) fn octets(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| count >> shift > 0 && count.is_multiple_of(1 << shift)) {
        Some((shift, unit)) => format!("{} {unit}", count >> shift),
        None if count >= 10 << 20 => format!("{} MB", count / 1_000_000),
        None => count.to_string(),
    }
}

/// How many whole days are left until `date` (RFC 3339); negative when it is past.
pub(super) fn days_left(date: &str, now: Timestamp) -> Option<i64> {
    let end: Timestamp = date.parse().ok()?;
    Some((end.as_second() - now.as_second()).div_euclid(86_400))
}

/// A digest in hexadecimal as `pins` takes it; in base64, so that its line fits.
pub(super) fn pin(digest: &str) -> Option<String> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let octets: Option<Vec<u8>> = digest.as_bytes().chunks(2).map(octet).collect();
    let octets = octets.filter(|octets| octets.len() == 32)?;
    Some(format!("sha256:{}", STANDARD.encode(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_told_in_units_that_divide_them_or_are_large() {
        for (count, told) in [(1000, "1000"), (10 << 20, "10 MiB"), (10 << 10, "10 KiB"), (35_882_577, "35 MB"), (1 << 30, "1 GiB")]
        {
            assert_eq!(octets(count), told);
        }
    }
}
