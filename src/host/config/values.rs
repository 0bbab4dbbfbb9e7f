//! What does the text of one setting mean? (sealpost.toml(5))

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use base64::Engine as _;

use super::{
    Proxy,
    spelling::{listed, nearest},
};
use crate::mail::address::Address;

/// Why a value is not what its key takes, and what would be; the caller adds the place. Never holds the value of a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) because: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(because: impl Into<String>) -> Self {
        Self { because: because.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Fault> {
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(unknown(text, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>())),
    }
}

/// Apart, since there is a [`word`] for each kind of value.
fn unknown(text: &str, words: &[&str]) -> Fault {
    let takes = format!("it takes {}", listed(words.iter().copied(), "or"));
    let near = nearest(text, words.iter().copied());
    let hint = near.map_or(takes.clone(), |near| format!("did you mean `{near}`? {takes}"));
    Fault::new(format!("{} is not known here", shown(text))).hint(hint)
}

/// `30s`, `5m`, `2h`, `5d`, also `500ms`: more than nothing, at most a year (so that no deadline overflows the clock).
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);
    let fault =
        || Fault::new(format!("{} is not a duration", shown(text))).hint("write a number and a unit: `30s`, `5m`, `2h` or `5d`");
    let (number, unit) = number_and_unit(text).ok_or_else(fault)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(fault()),
    };
    let duration = Duration::from_millis(number.checked_mul(milliseconds).ok_or_else(fault)?);
    if duration.is_zero() || duration > LONGEST {
        return Err(
            Fault::new(format!("{} is out of range", shown(text))).hint("a duration is more than nothing and at most `365d`")
        );
    }
    Ok(duration)
}

/// `1024`, `10 MiB`, `10MB`, in octets.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    let fault = || {
        Fault::new(format!("{} is not a size", shown(text))).hint("write octets or a number and a unit: `1024`, `10MB` or `10 MiB`")
    };
    let (number, unit) = number_and_unit(text).ok_or_else(fault)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(fault()),
    };
    number.checked_mul(factor).ok_or_else(fault)
}

/// A SHA-256 digest: `sha256:HEX`, hex with or without colons, or base64.
pub(super) fn pin(text: &str) -> Result<[u8; 32], Fault> {
    let digest = match text.split_once(':') {
        Some((name, rest)) if name.eq_ignore_ascii_case("sha256") => rest,
        // OpenSSL's `-fingerprint` says `SHA256 Fingerprint=AB:CD:…`; a single colon-separated octet is two digits.
        Some((name, _)) if name.len() != 2 => {
            return Err(Fault::new(format!("{} is not a kind of digest", shown(name))).hint("a pin is `sha256:` and 64 hex digits"));
        }
        _ => text,
    };
    hex(digest).or_else(|| base64(digest)).ok_or_else(|| {
        Fault::new(format!("{} is not a SHA-256 digest", shown(text)))
            .hint("a pin is `sha256:` and 64 hex digits (colons between octets are fine), or the same in base64 (44 characters)")
    })
}

/// A complete mail address.
pub(super) fn address(text: &str) -> Result<Address, Fault> {
    Address::parse(text).map_err(|why| {
        Fault::new(format!("{} is not a mail address: {why}", shown(text))).hint("write it in full, like `cron@example.com`")
    })
}

/// A host: an address, or a name without its trailing dot, international names as A-labels.
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

/// A name or an IP address (IPv6 also in brackets).
pub(super) fn host(text: &str) -> Result<Host, Fault> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(Host::Address(address));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(Fault::new(format!("{} is a URL", shown(text)))
            .hint(format!("leave `{}://` out, and put the port in a key of its own", crate::error::printable(scheme)))
            .if_empty(rest));
    }
    if let Some((name, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Fault::new(format!("{} holds a port", shown(text)))
            .hint(format!("the port has a key of its own: host {} and port {port}", shown(name))));
    }
    domain(text).map(Host::Name)
}

/// A domain name, made of labels of letters, digits, `-` and `_`; the trailing dot goes, international names become A-labels.
pub(super) fn domain(text: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new(format!("{} is not a host name: {why}", shown(text)));
    let ascii = if text.is_ascii() {
        text.strip_suffix('.').unwrap_or(text).to_owned()
    } else {
        let name = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::URL);
        name.map_err(|_| fault("it is not a valid international name"))?.trim_end_matches('.').to_owned()
    };
    if ascii.is_empty() {
        return Err(fault("it is empty"));
    }
    if ascii.len() > 253 {
        return Err(fault("it has more than 253 characters"));
    }
    for label in ascii.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(fault("between its dots are 1 to 63 characters"));
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(fault("it is made of letters, digits, `-` and `.`"));
        }
    }
    Ok(ascii)
}

/// The domain that has SRV records.
pub(super) fn service(text: &str) -> Result<String, Fault> {
    match host(text)? {
        Host::Address(address) => Err(Fault::new(format!("{address} is an address, and SRV records belong to a domain"))),
        Host::Name(name) => Ok(name),
    }
}

/// What EHLO may say: a name or an address literal in brackets (RFC 5321 4.1.3).
pub(super) fn hello(text: &str) -> Result<String, Fault> {
    let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return domain(text)
            .map_err(|fault| fault.hint("hello is this host's full name, or its address in brackets: `[192.0.2.1]`"));
    };
    let address = match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner.get(5..).and_then(|rest| rest.parse().ok()).map(IpAddr::V6),
        _ => inner.parse().ok().map(IpAddr::V4),
    };
    match address {
        Some(IpAddr::V4(address)) => Ok(format!("[{address}]")),
        Some(IpAddr::V6(address)) => Ok(format!("[IPv6:{address}]")),
        None => {
            Err(Fault::new(format!("{} is not an address literal", shown(text))).hint("like `[192.0.2.1]` or `[IPv6:2001:db8::1]`"))
        }
    }
}

/// An IP address to connect from.
pub(super) fn ip(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| Fault::new(format!("{} is not an IP address", shown(text))))
}

/// A name server: an address, with a port or on port 53.
pub(super) fn server(text: &str) -> Result<SocketAddr, Fault> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().map(|address| SocketAddr::new(address, 53)).or_else(|_| text.parse());
    address.ok().filter(|address| address.port() != 0).ok_or_else(|| {
        Fault::new(format!("{} is not the address of a name server", shown(text)))
            .hint("like `192.0.2.1`, `127.0.0.1:5353` or `[2001:db8::1]:53`")
    })
}

/// `socks5://HOST:PORT`, also `socks5h`: either way the proxy resolves the name.
pub(super) fn proxy(text: &str) -> Result<Proxy, Fault> {
    let fault = |why: &str| Fault::new(format!("{} is not a proxy: {why}", shown(text))).hint("like `socks5://127.0.0.1:9050`");
    let (scheme, rest) = text.split_once("://").ok_or_else(|| fault("it begins with `socks5://`"))?;
    if scheme != "socks5" && scheme != "socks5h" {
        return Err(fault("only SOCKS5 is spoken"));
    }
    // Credentials would be a secret in a place that nobody expects one.
    if rest.contains('@') {
        return Err(
            Fault::new("a proxy with a user name is not in this version of sealpost").hint("like `socks5://127.0.0.1:9050`")
        );
    }
    let (name, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(|| fault("the port is missing"))?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| fault("the port is no number from 1 to 65535"))?;
    let host = match host(name)? {
        Host::Name(name) => name,
        Host::Address(address) => address.to_string(),
    };
    Ok(Proxy { host, port })
}

/// A pattern over addresses, for [`fits`].
pub(super) fn pattern(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Fault::new(format!("{} is not a pattern", shown(text))).hint("like `*@example.com`; `*` stands for anything"));
    }
    Ok(text.to_owned())
}

/// Whether `text` fits `pattern`, in which `*` stands for anything; case does not count.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Foreign text in a message: quoted, escaped, not endless, without a password that stands in it as in a URL.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = &*without_login(text);
    let short: String = text.chars().take(LONGEST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", crate::error::printable(&short))
}

/// What others take as one value, `smtp://cron:password@host:587`, without the password: it is one more way to write it in the wrong place.
pub(super) fn without_login(text: &str) -> Cow<'_, str> {
    let password = || {
        let (login, _) = text.rsplit_once('@')?;
        let begins = login.find("://").map_or(0, |scheme| scheme + 3);
        let (user, password) = login.get(begins..)?.split_once(':')?;
        let at = begins + user.len() + 1;
        Some(at..at + password.len())
    };
    match password() {
        Some(at) => Cow::Owned(format!("{}***{}", &text[..at.start], &text[at.end..])),
        None => Cow::Borrowed(text),
    }
}

impl Fault {
    /// `smtp://` with nothing behind it needs another word than a URL that holds a name.
    fn if_empty(self, rest: &str) -> Self {
        if rest.is_empty() { self.hint("write the smarthost's name") } else { self }
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let mut digest = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (octet, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| !pair.contains('+'))?, 16).ok()?;
    }
    Some(digest)
}

fn base64(text: &str) -> Option<[u8; 32]> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
