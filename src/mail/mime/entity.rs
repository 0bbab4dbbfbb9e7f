//! What does the header of an entity say about its body? (RFC 2045 5, 6; RFC 2046 5)

use crate::mail::find;

/// The longest boundary that is believed; RFC 2046 5.1.1 allows 70.
pub(super) const LONGEST_BOUNDARY: usize = 100;

/// What is inside an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Entities between boundaries.
    Multipart {
        boundary: Vec<u8>,
        /// They are messages unless they say otherwise.
        digest: bool,
        /// Not an octet of them may change.
        sealed: bool,
    },
    /// Another message.
    Message,
    /// Content.
    Leaf { text: bool, coding: Coding },
}

/// How the content of an entity is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// 7bit, 8bit, binary: not at all.
    Identity,
    QuotedPrintable,
    Base64,
    /// In a way that we can't redo, or that must not be redone.
    Fixed,
}

/// The fields that decide, without folds.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) content_type: Option<Vec<u8>>,
    pub(super) encoding: Option<Vec<u8>>,
}

impl Fields {
    /// Judges the entity; `message` is what it is without a Content-Type, `deep` that it must not be looked into.
    pub(super) fn kind(&self, message: bool, deep: bool) -> Kind {
        let coding = self.coding();
        let Some(value) = &self.content_type else {
            let inner = message && !deep && coding == Coding::Identity;
            return if inner { Kind::Message } else { Kind::Leaf { text: !message, coding } };
        };
        let (media, parameters) = value.split_at(find::one(b';', value).unwrap_or(value.len()));
        let media = media.trim_ascii().to_ascii_lowercase();
        if let Some(subtype) = media.strip_prefix(b"multipart/") {
            let sealed = matches!(subtype, b"signed" | b"encrypted");
            return match boundary(parameters) {
                // The encoding of a multipart can only be identity, whatever it says (RFC 2045 6.4).
                Some(boundary) if !deep => Kind::Multipart { boundary, digest: subtype == b"digest", sealed },
                _ => Kind::Leaf { text: false, coding: Coding::Fixed },
            };
        }
        let fixed =
            matches!(&media[..], b"application/pkcs7-mime" | b"application/x-pkcs7-mime" | b"message/rfc822" | b"message/partial");
        match coding {
            Coding::Identity if media == b"message/rfc822" && !deep => Kind::Message,
            Coding::Identity if fixed => Kind::Leaf { text: false, coding: Coding::Fixed },
            _ => Kind::Leaf { text: media.starts_with(b"text/") || !media.contains(&b'/'), coding },
        }
    }

    fn coding(&self) -> Coding {
        match self.encoding.as_deref().map(|e| e.trim_ascii().to_ascii_lowercase()).as_deref() {
            None | Some(b"7bit" | b"8bit" | b"binary" | b"") => Coding::Identity,
            Some(b"quoted-printable") => Coding::QuotedPrintable,
            Some(b"base64") => Coding::Base64,
            Some(_) => Coding::Fixed,
        }
    }
}

/// The boundary among parameters that each begin with a semicolon.
fn boundary(mut rest: &[u8]) -> Option<Vec<u8>> {
    while let Some(after) = rest.strip_prefix(b";") {
        let (parameter, next) = after.split_at(end_of_parameter(after));
        rest = next;
        let Some(equals) = find::one(b'=', parameter) else { continue };
        if parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"boundary") {
            let value = parameter[equals + 1..].trim_ascii();
            let text = match value.strip_prefix(b"\"") {
                Some(quoted) => unquote(quoted),
                None => value.iter().copied().take_while(|c| !c.is_ascii_whitespace() && *c != b'(').collect(),
            };
            let text = text.trim_ascii_end();
            return (!text.is_empty() && text.len() <= LONGEST_BOUNDARY).then(|| text.to_vec());
        }
    }
    None
}

/// The next semicolon outside quotes.
fn end_of_parameter(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// What follows an opening quote, up to the closing one.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.iter();
    while let Some(c) = octets.next() {
        match c {
            b'"' => break,
            b'\\' => out.extend(octets.next()),
            c => out.push(*c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(content_type: &str, encoding: Option<&str>) -> Kind {
        Fields {
            content_type: (!content_type.is_empty()).then(|| content_type.as_bytes().to_vec()),
            encoding: encoding.map(|e| e.as_bytes().to_vec()),
        }
        .kind(false, false)
    }

    #[test]
    fn a_boundary_is_found_as_it_may_be_written() {
        let table: &[(&str, Option<&str>)] = &[
            ("multipart/mixed; boundary=abc", Some("abc")),
            ("Multipart/Mixed ; charset=x; BOUNDARY = \"a;b \\\" c\" ; x=y", Some("a;b \" c")),
            ("multipart/mixed; x=\"boundary=no; y\"; boundary=yes (comment)", Some("yes")),
            ("multipart/mixed; boundary=\"open", Some("open")),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary", None),
        ];
        for (value, want) in table {
            let found = match kind(value, None) {
                Kind::Multipart { boundary, .. } => Some(String::from_utf8(boundary).unwrap()),
                _ => None,
            };
            assert_eq!(found.as_deref(), *want, "{value}");
        }
    }

    #[test]
    fn type_and_encoding_decide_what_may_be_done() {
        let leaf = |text, coding| Kind::Leaf { text, coding };
        let table = [
            ("", None, leaf(true, Coding::Identity)),
            ("text/html; charset=x", Some(" 8BIT "), leaf(true, Coding::Identity)),
            ("text", None, leaf(true, Coding::Identity)),
            ("application/pdf", Some("BASE64"), leaf(false, Coding::Base64)),
            ("text/plain", Some("Quoted-Printable"), leaf(true, Coding::QuotedPrintable)),
            ("text/plain", Some("x-uuencode"), leaf(true, Coding::Fixed)),
            ("application/pkcs7-mime; smime-type=signed-data", Some("binary"), leaf(false, Coding::Fixed)),
            ("application/pkcs7-mime", Some("base64"), leaf(false, Coding::Base64)),
            ("message/rfc822", None, Kind::Message),
            ("message/rfc822", Some("base64"), leaf(false, Coding::Base64)),
            ("multipart/signed; boundary=b", None, Kind::Multipart { boundary: b"b".to_vec(), digest: false, sealed: true }),
            ("multipart/digest; boundary=b", None, Kind::Multipart { boundary: b"b".to_vec(), digest: true, sealed: false }),
        ];
        for (value, encoding, want) in table {
            assert_eq!(kind(value, encoding), want, "{value} {encoding:?}");
        }
    }
}
