//! How does SCRAM-SHA-256 prove a password without showing it? (RFC 5802, 7677)

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::{Message, SaslError, Secret};

/// Fewer iterations than RFC 7677 section 4 demands would let a man in the middle guess the password quickly.
pub(super) const FEWEST_ITERATIONS: u32 = 4096;
/// More would let a server keep us computing for minutes.
pub(super) const MOST_ITERATIONS: u32 = 1_000_000;
/// No honest message comes near this many octets.
const LONGEST: usize = 4096;

/// The client's side.
pub(super) struct Client {
    /// `n=USER,r=NONCE`.
    bare: String,
    nonce: String,
    password: Zeroizing<String>,
    step: Step,
}

enum Step {
    Start,
    FirstSaid,
    FinalSaid(Expected),
    Verified,
}

/// What the server's signature must be made with, and of.
struct Expected {
    server_key: hmac::Key,
    auth_message: String,
}

impl Client {
    /// `nonce` are random octets; they are said in base64, so that no comma is among them.
    pub(super) fn new(user: &str, secret: &Secret, nonce: &[u8]) -> Result<Self, SaslError> {
        Self::with_text_nonce(user, secret, BASE64.encode(nonce))
    }

    fn with_text_nonce(user: &str, secret: &Secret, nonce: String) -> Result<Self, SaslError> {
        let user = prepared(user, "SASLprep (RFC 4013) does not allow this user name in SCRAM")?;
        let password = prepared(secret.expose(), "SASLprep (RFC 4013) does not allow this password in SCRAM")?;
        let bare = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
        Ok(Self { bare, nonce, password, step: Step::Start })
    }

    /// client-first-message. `n`: we know no channel binding, as opposed to `y`, "we do and you seem not to".
    pub(super) fn first(&mut self) -> Message {
        self.step = Step::FirstSaid;
        Zeroizing::new(format!("n,,{}", self.bare).into_bytes())
    }

    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        let challenge = text(challenge)?;
        match &self.step {
            Step::Start if challenge.is_empty() => Ok(self.first()),
            Step::Start => Err(SaslError::Broken("it spoke before the client's first message")),
            Step::FirstSaid => self.last(challenge),
            Step::FinalSaid(expected) => {
                expected.check(challenge)?;
                self.step = Step::Verified;
                Ok(Zeroizing::new(Vec::new()))
            }
            Step::Verified => Err(SaslError::Broken("another challenge after everything was said")),
        }
    }

    pub(super) fn finished(&mut self, data: Option<&[u8]>) -> Result<(), SaslError> {
        match (&self.step, data) {
            (Step::Verified, _) => Ok(()),
            (Step::FinalSaid(expected), Some(data)) => expected.check(text(data)?),
            (Step::FinalSaid(_), None) => Err(SaslError::Impostor("its signature is missing")),
            (Step::Start | Step::FirstSaid, _) => Err(SaslError::Broken("success before anything was proven")),
        }
    }

    /// client-final-message, the answer to server-first-message.
    fn last(&mut self, challenge: &str) -> Result<Message, SaslError> {
        let first = ServerFirst::parse(challenge)?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(SaslError::Broken("its nonce does not extend ours"));
        }
        let keys = Keys::derive(&self.password, &first.salt, first.iterations);
        let without_proof = format!("c=biws,r={}", first.nonce);
        let auth_message = format!("{},{challenge},{without_proof}", self.bare);
        let proof = keys.proof(&auth_message);
        let message = format!("{without_proof},p={}", BASE64.encode(proof.as_slice()));
        self.step = Step::FinalSaid(Expected { server_key: keys.server, auth_message });
        Ok(Zeroizing::new(message.into_bytes()))
    }
}

impl Expected {
    /// server-final-message: the signature, or the server's error.
    fn check(&self, message: &str) -> Result<(), SaslError> {
        if let Some(word) = message.strip_prefix("e=") {
            return Err(SaslError::Server(word.to_owned()));
        }
        let encoded = message.strip_prefix("v=").and_then(|rest| rest.split(',').next());
        let signature = encoded
            .and_then(|encoded| BASE64.decode(encoded).ok())
            .ok_or(SaslError::Impostor("its last message holds no signature"))?;
        // ring compares in constant time.
        hmac::verify(&self.server_key, self.auth_message.as_bytes(), &signature)
            .map_err(|_| SaslError::Impostor("its signature is wrong"))
    }
}

/// What a password, a salt and a count become (RFC 5802 section 3).
pub(super) struct Keys {
    client: Zeroizing<[u8; 32]>,
    pub(super) server: hmac::Key,
}

impl Keys {
    pub(super) fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = Zeroizing::new([0; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), salted.as_mut_slice());
        let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
        let server = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, b"Server Key").as_ref());
        Self { client: octets(hmac::sign(&key, b"Client Key").as_ref()), server }
    }

    /// `ClientKey XOR HMAC(H(ClientKey), AuthMessage)`.
    pub(super) fn proof(&self, auth_message: &str) -> Zeroizing<[u8; 32]> {
        let stored = digest::digest(&digest::SHA256, self.client.as_slice());
        let key = hmac::Key::new(hmac::HMAC_SHA256, stored.as_ref());
        let mut proof = octets(hmac::sign(&key, auth_message.as_bytes()).as_ref());
        for (octet, mask) in proof.iter_mut().zip(self.client.iter()) {
            *octet ^= mask;
        }
        proof
    }
}

/// server-first-message: `r=NONCE,s=SALT,i=COUNT`.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'a> ServerFirst<'a> {
    fn parse(message: &'a str) -> Result<Self, SaslError> {
        if message.starts_with("m=") {
            return Err(SaslError::Broken("it wants an extension of SCRAM that nobody knows"));
        }
        let mut fields = message.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        let nonce = field("r=").ok_or(SaslError::Broken("its first message holds no nonce"))?;
        let salt = field("s=").and_then(|salt| BASE64.decode(salt).ok()).filter(|salt| !salt.is_empty());
        let salt = salt.ok_or(SaslError::Broken("its first message holds no salt"))?;
        let count = field("i=").filter(|count| count.bytes().all(|octet| octet.is_ascii_digit()));
        let count = count.and_then(|count| count.parse().ok()).ok_or(SaslError::Broken("its iteration count is no number"))?;
        match NonZeroU32::new(count) {
            Some(iterations) if (FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&count) => Ok(Self { nonce, salt, iterations }),
            _ if count < FEWEST_ITERATIONS => Err(SaslError::Broken("it asks for fewer than 4096 iterations, which is not safe")),
            _ => Err(SaslError::Broken("it asks for more than 1000000 iterations")),
        }
    }
}

/// `SASLprep` for a name or password as it is stored: what it forbids could not be matched by a server either.
pub(super) fn prepared(text: &str, otherwise: &'static str) -> Result<Zeroizing<String>, SaslError> {
    match stringprep::saslprep(text) {
        Ok(prepared) if !prepared.is_empty() => Ok(Zeroizing::new(prepared.into_owned())),
        _ => Err(SaslError::Unfit(otherwise)),
    }
}

fn octets(from: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut octets = Zeroizing::new([0; 32]);
    octets.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    octets
}

fn text(challenge: &[u8]) -> Result<&str, SaslError> {
    if challenge.len() > LONGEST {
        return Err(SaslError::Broken("a challenge of more than 4096 octets"));
    }
    std::str::from_utf8(challenge).map_err(|_| SaslError::Broken("a challenge that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn client() -> Client {
        let secret = Secret::new("pencil".to_owned());
        Client::with_text_nonce("user", &secret, NONCE.to_owned()).unwrap()
    }

    fn said(message: &Message) -> &str {
        std::str::from_utf8(message).unwrap()
    }

    #[test]
    fn the_example_of_rfc_7677_is_reproduced() {
        let mut client = client();
        assert_eq!(said(&client.first()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            said(&client.answer(FIRST.as_bytes()).unwrap()),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(said(&client.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap()), "");
        client.finished(None).unwrap();
    }

    #[test]
    fn the_signature_may_come_with_the_success_but_not_be_missing_or_wrong() {
        let cases: [(Option<&[u8]>, bool); 4] = [
            (Some(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), true),
            (Some(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="), false),
            (Some(b"v="), false),
            (None, false),
        ];
        for (data, believed) in cases {
            let mut client = client();
            client.first();
            client.answer(FIRST.as_bytes()).unwrap();
            assert_eq!(client.finished(data).is_ok(), believed, "{data:?}");
        }
    }

    #[test]
    fn a_first_message_that_breaks_the_rules_is_not_answered() {
        let broken = [
            "",
            "e=other-error",
            "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096",
            "r=somebodyelse,s=AAAA,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,i=4096,s=AAAA",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4095",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=+4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1000001",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=2000000000",
            "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999999999999",
        ];
        for message in broken {
            let mut client = client();
            client.first();
            assert!(client.answer(message.as_bytes()).is_err(), "{message}");
            assert!(client.finished(None).is_err(), "{message}");
        }
    }

    #[test]
    fn the_error_of_the_server_is_handed_on() {
        let mut client = client();
        client.first();
        client.answer(FIRST.as_bytes()).unwrap();
        assert_eq!(client.answer(b"e=invalid-proof").unwrap_err(), SaslError::Server("invalid-proof".to_owned()));
    }

    #[test]
    fn equal_signs_and_commas_in_a_name_are_escaped_and_prohibited_characters_refused() {
        let secret = Secret::new("x".to_owned());
        assert_eq!(Client::new("a=b,c", &secret, b"").unwrap().bare, "n=a=3Db=2Cc,r=");
        assert_eq!(Client::new("I\u{ad}X", &secret, b"").unwrap().bare, "n=IX,r=", "RFC 4013 section 3");
        assert!(matches!(Client::new("a\u{7}", &secret, b""), Err(SaslError::Unfit(_))));
        assert!(matches!(Client::new("", &secret, b""), Err(SaslError::Unfit(_))));
    }

    proptest! {
        #[test]
        fn no_challenge_makes_the_client_panic_or_believe(challenges in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let mut client = client();
            client.first();
            for challenge in &challenges {
                let _ = client.answer(challenge);
            }
            prop_assert!(client.finished(None).is_err());
        }
    }
}
