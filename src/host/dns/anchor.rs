//! Which keys does trust in the DNS begin with? (RFC 4034, 5011; the file that unbound-anchor(8) keeps)

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hickory_proto::{
    dnssec::{
        Algorithm, DigestType, PublicKeyBuf,
        rdata::{DNSKEY, DS},
    },
    rr::Name,
};

use super::message;

/// The key signing keys of the root, KSK-2017 and KSK-2024 (IANA, root-anchors.xml).
const ROOT: &str = "\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";

/// A key that is believed because the administrator, or this program, says so.
#[derive(Clone, Debug)]
pub(super) struct Anchor {
    /// The zone whose key it is.
    pub(super) zone: Name,
    pub(super) key: Trusted,
}

/// How the key is known.
#[derive(Clone, Debug)]
pub(super) enum Trusted {
    /// By its digest.
    Digest(DS),
    /// Itself.
    Key(DNSKEY),
}

/// The keys of the root.
pub(super) fn root() -> Vec<Anchor> {
    parse(ROOT).unwrap_or_default()
}

/// Reads DS and DNSKEY records in zone file form. What RFC 5011 tracking (`;;state=`) has not found valid is left out.
///
/// # Errors
/// The number of the first line that is neither, and why; or that there is none at all.
pub(super) fn parse(text: &str) -> Result<Vec<Anchor>, String> {
    let mut anchors = Vec::new();
    for (number, line) in records(text) {
        let told = |why| format!("line {number}: {why}");
        if let Some(anchor) = record(&line).map_err(told)? {
            anchors.push(anchor);
        }
    }
    if anchors.is_empty() { Err("it holds no DS and no DNSKEY record that is trusted".to_owned()) } else { Ok(anchors) }
}

/// The records and the numbers of their first lines, each in one line without its parentheses; comments go to the end.
fn records(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let (data, comment) = line.split_once(';').unwrap_or((line, ""));
        if !open && !data.trim().is_empty() {
            found.push((index + 1, String::new(), String::new()));
        }
        if let Some((_, whole, comments)) = found.last_mut().filter(|_| open || !data.trim().is_empty()) {
            whole.extend([data, " "]);
            comments.extend([comment, " "]);
        }
        open = (open || data.contains('(')) && !data.contains(')');
    }
    found.into_iter().map(|(number, data, comments)| (number, format!("{};{comments}", data.replace(['(', ')'], " ")))).collect()
}

fn record(line: &str) -> Result<Option<Anchor>, &'static str> {
    const VALID: [&str; 2] = ["2", "3"];
    let (data, comment) = line.split_once(';').unwrap_or((line, ""));
    let mut words = data.split_ascii_whitespace();
    let owner = words.next().ok_or("it is empty")?;
    if owner.starts_with('$') {
        return Err("directives are not read here");
    }
    let zone = message::name(owner).ok_or("its owner is no name")?;
    let is_noise = |word: &&str| word.eq_ignore_ascii_case("IN") || word.bytes().all(|b| b.is_ascii_digit());
    let kind = words.by_ref().find(|word| !is_noise(word)).ok_or("it has no type")?;
    let kind = kind.to_ascii_uppercase();
    if !["DS", "DNSKEY"].contains(&kind.as_str()) {
        return Err("it is neither DS nor DNSKEY");
    }
    let numbers: Vec<u16> = words.by_ref().take(3).filter_map(|word| word.parse().ok()).collect();
    let &[first, second, third] = numbers.as_slice() else { return Err("its numbers can't be read") };
    let data: String = words.collect();
    let small = |number: u16| u8::try_from(number).map_err(|_| "its numbers can't be read");
    let key = if kind == "DS" {
        let digest = hex(&data).ok_or("its digest is not hexadecimal")?;
        Trusted::Digest(DS::new(first, Algorithm::from_u8(small(second)?), DigestType::from(small(third)?), digest))
    } else {
        let key = STANDARD.decode(data).map_err(|_| "its key is not base64")?;
        if second != 3 {
            return Err("its protocol is not 3");
        }
        Trusted::Key(DNSKEY::with_flags(first, PublicKeyBuf::new(key, Algorithm::from_u8(small(third)?))))
    };
    let state = comment.split("state=").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    Ok(state.is_none_or(|state| VALID.contains(&state)).then_some(Anchor { zone, key }))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map(octet).collect()
}

#[cfg(test)]
mod tests;
