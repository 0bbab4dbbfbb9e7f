//! How does CRAM-MD5 answer a challenge with a digest keyed by the password? (RFC 2195, 2104, 1321)

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::{Message, SaslError, Secret};

/// Octets of a block of MD5.
const BLOCK: usize = 64;

/// The user, a space, and the digest of the challenge in hexadecimal.
pub(super) fn response(user: &str, secret: &Secret, challenge: &[u8]) -> Result<Message, SaslError> {
    // The digest of nothing would be the same each time.
    if challenge.is_empty() {
        return Err(SaslError::Broken("there is no challenge in its challenge"));
    }
    let mut response = Zeroizing::new(Vec::with_capacity(user.len() + 33));
    response.extend_from_slice(user.as_bytes());
    response.push(b' ');
    for octet in keyed(secret.expose().as_bytes(), challenge) {
        response.extend([octet >> 4, octet & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
    Ok(response)
}

/// HMAC-MD5.
pub(super) fn keyed(secret: &[u8], text: &[u8]) -> [u8; 16] {
    let mut key = Zeroizing::new([0; BLOCK]);
    if secret.len() > BLOCK {
        key[..16].copy_from_slice(&Md5::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let padded = |octet: u8| Zeroizing::new(key.map(|k| k ^ octet));
    let inner = Md5::new().chain_update(padded(0x36).as_slice()).chain_update(text).finalize();
    Md5::new().chain_update(padded(0x5c).as_slice()).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().fold(String::new(), |text, octet| format!("{text}{octet:02x}"))
    }

    #[test]
    fn the_example_of_rfc_2195_is_reproduced() {
        let secret = Secret::new("tanstaaftanstaaf".to_owned());
        let said = response("tim", &secret, b"<1896.697170952@postoffice.reston.mci.net>").unwrap();
        assert_eq!(said.as_slice(), b"tim b913a602c7eda7a495b4e6e7334d3890");
        assert!(response("tim", &secret, b"").is_err());
    }

    #[test]
    fn the_examples_of_rfc_2104_and_2202_are_reproduced() {
        assert_eq!(hex(&keyed(&[0x0b; 16], b"Hi There")), "9294727a3638bb1c13f48ef8158bfc9d");
        assert_eq!(hex(&keyed(b"Jefe", b"what do ya want for nothing?")), "750c783e6ab0b503eaa86e310a5db738");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hex(&keyed(&[0xaa; 80], long)), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }
}
