//! What may stand behind the `@`? (RFC 5321 4.1.2 and 4.1.3, 5890, UTS 46)

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{ADDRESS_MAX, AddressError, is_hidden, refusal};

/// Octets of a domain (RFC 5321 4.5.3.1.2), and of one label of it (RFC 1035 2.3.4).
const DOMAIN_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// Reads what stands behind the `@`: a host name or an address literal; `to_ascii` says whether U-labels become A-labels.
pub(super) fn parse(text: &str, to_ascii: bool) -> Result<String, AddressError> {
    if let Some(literal) = text.strip_prefix('[') {
        return if is_literal(literal) { Ok(text.to_owned()) } else { Err(why_not(text)) };
    }
    if text.is_ascii() {
        return host_name(text).map(str::to_owned);
    }
    // Punycode takes quadratic time, so nothing long is given to it.
    if text.len() > ADDRESS_MAX {
        return Err(AddressError::DomainTooLong);
    }
    // IDNA maps before it encodes and may yield any ASCII character: what comes out is checked, not what went in.
    let encoded = idna::domain_to_ascii(text).map_err(|_| why_not(text))?;
    let encoded = host_name(&encoded)?;
    if to_ascii {
        return Ok(encoded.to_owned());
    }
    let (unicode, valid) = idna::domain_to_unicode(encoded);
    if valid.is_ok() { Ok(unicode) } else { Err(AddressError::BadDomain) }
}

/// Checks letters, digits, hyphens and underscores in labels; drops one trailing dot.
fn host_name(text: &str) -> Result<&str, AddressError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(if text.is_empty() { AddressError::NoDomain } else { AddressError::BadDomain });
    }
    if name.len() > DOMAIN_MAX || name.split('.').any(|label| label.len() > LABEL_MAX) {
        return Err(AddressError::DomainTooLong);
    }
    let sound = |label: &str| {
        let ldh = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        !label.is_empty() && ldh && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.split('.').all(sound) { Ok(name) } else { Err(why_not(name)) }
}

/// Whether this, with its closing bracket, is what may follow the `[` of an address literal (RFC 5321 4.1.3).
fn is_literal(text: &str) -> bool {
    let Some(inner) = text.strip_suffix(']') else { return false };
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner.get(5..).is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    }
}

/// The nearest reason for a domain that does not hold.
fn why_not(text: &str) -> AddressError {
    let suspect = text.chars().find(|&c| is_hidden(c) || c.is_whitespace() || c == '\u{fffd}');
    suspect.map_or(AddressError::BadDomain, refusal)
}
