//! How does a private key of any form come to the library, which takes PKCS #8 alone? (RFC 5958, 8017 A.1.2, 5915)

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use native_tls::Identity;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::words;
use crate::{
    error::{Error, Exit},
    host::tls::unfit,
};

/// rsaEncryption with its NULL, and id-ecPublicKey.
const RSA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];
const EC: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
/// `[0]`, where RFC 5915 puts the curve.
const CURVE: u8 = 0xa0;

/// What [`super::super::identity`] read, as the library takes it.
pub(super) fn identity(
    (certificates, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    chain_path: &Path,
    key_path: &Path,
) -> Result<Identity, Error> {
    let key = pkcs8(&key).ok_or_else(|| {
        let because = "the key does not say on which curve it lies";
        Error::new(Exit::Config, format!("reading client_key {}", key_path.display()), because)
            .hint("`openssl pkcs8 -topk8 -nodes` writes it in the form that native-tls takes")
    })?;
    let certificates: String = certificates.iter().map(|der| pem("CERTIFICATE", der).to_string()).collect();
    Identity::from_pkcs8(certificates.as_bytes(), pem("PRIVATE KEY", &key).as_bytes())
        .map_err(|error| unfit(chain_path, key_path, words::plainly(&error.to_string())))
}

fn pkcs8(key: &PrivateKeyDer<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let (algorithm, key) = match key {
        PrivateKeyDer::Pkcs8(key) => return Some(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
        PrivateKeyDer::Pkcs1(key) => (RSA.to_vec(), key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => ([EC, curve(key.secret_sec1_der())?].concat(), key.secret_sec1_der()),
        _ => return None,
    };
    let version = [0x02, 1, 0];
    let content = Zeroizing::new([&version[..], &der(SEQUENCE, &algorithm), &der(OCTET_STRING, key)].concat());
    Some(der(SEQUENCE, &content))
}

/// The object identifier of the curve in an `ECPrivateKey`, with its tag.
fn curve(key: &[u8]) -> Option<&[u8]> {
    let (mut parts, _) = element(key, SEQUENCE)?;
    while let Some(tag) = parts.first() {
        let (content, behind) = element(parts, *tag)?;
        if *tag == CURVE {
            return Some(content);
        }
        parts = behind;
    }
    None
}

/// The content of the element with this tag at the front, and what is behind it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = octets.split_first()?;
    let (short, rest) = rest.split_first().filter(|_| *first == tag)?;
    let (length, rest) = match *short {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn der(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(content.len() + 6));
    octets.push(tag);
    let [.., third, second, first] = content.len().to_be_bytes();
    match content.len() {
        0..=0x7f => octets.push(first),
        0x80..=0xffff => octets.extend([0x82, second, first]),
        _ => octets.extend([0x83, third, second, first]),
    }
    octets.extend_from_slice(content);
    octets
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
