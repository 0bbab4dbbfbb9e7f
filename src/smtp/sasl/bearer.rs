//! How is an access token said? (RFC 7628, 6750; Google's XOAUTH2, which Microsoft and others took over)

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{Credentials, Message, SaslError, Secret, scram::saslname};

/// OAUTHBEARER: who, where, and the token.
pub(super) fn oauthbearer(credentials: &Credentials) -> Result<Message, SaslError> {
    let Credentials { user, secret, server, .. } = credentials;
    fit(user, secret)?;
    let mut head = format!("n,a={},\x01", saslname(user));
    if let Some((host, port)) = server {
        let _ = write!(head, "host={host}\x01port={port}\x01");
    }
    Ok(joined([&head, "auth=Bearer ", secret.expose(), "\x01\x01"]))
}

/// XOAUTH2: who, and the token.
pub(super) fn xoauth2(user: &str, secret: &Secret) -> Result<Message, SaslError> {
    fit(user, secret)?;
    Ok(joined(["user=", user, "\x01auth=Bearer ", secret.expose(), "\x01\x01"]))
}

/// Nothing may end a field early, nor stand in a token that is none: a JSON answer, say, in place of the token inside it.
fn fit(user: &str, secret: &Secret) -> Result<(), SaslError> {
    if user.contains(|c: char| c.is_control()) {
        return Err(SaslError::Unfit("a user name with control characters can't be said with a token"));
    }
    // RFC 6750 section 2.1.
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    if secret.expose().is_empty() || !secret.expose().bytes().all(is_plain) {
        return Err(SaslError::Unfit("what was given as the access token is none: it has other characters than RFC 6750 allows"));
    }
    Ok(())
}

/// In one piece of the right size: a buffer that grew would leave parts of the secret behind.
fn joined<const N: usize>(parts: [&str; N]) -> Message {
    let mut message = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        message.extend_from_slice(part.as_bytes());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::{super::Choice, *};

    fn credentials(user: &str, token: &str) -> Credentials {
        Credentials {
            user: user.to_owned(),
            secret: Secret::token(token.to_owned()),
            choice: Choice::Auto,
            allow_unverified: false,
            server: Some(("server.example.com".to_owned(), 587)),
        }
    }

    #[test]
    fn the_example_of_rfc_7628_is_reproduced() {
        let said = oauthbearer(&credentials("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said),
            "n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
        );
        let odd = oauthbearer(&Credentials { server: None, ..credentials("a,b=c", "t") }).unwrap();
        assert_eq!(String::from_utf8_lossy(&odd), "n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01");
    }

    #[test]
    fn the_example_of_google_is_reproduced() {
        let said = xoauth2("someuser@example.com", &Secret::token("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg".to_owned()));
        assert_eq!(
            String::from_utf8_lossy(&said.unwrap()),
            "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
        );
    }

    #[test]
    fn no_field_can_be_ended_by_what_stands_in_it() {
        for (user, token) in
            [("a\x01b", "t"), ("a\nb", "t"), ("a", "t\x01auth=Bearer u"), ("a", "t u"), ("a", ""), ("a", "{\"access_token\": 1}")]
        {
            assert!(oauthbearer(&credentials(user, token)).is_err(), "{user:?} {token:?}");
            assert!(xoauth2(user, &Secret::token(token.to_owned())).is_err(), "{user:?} {token:?}");
        }
    }
}
