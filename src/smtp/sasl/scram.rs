//! How does SCRAM prove a password without showing it, and bind that to the channel? (RFC 5802, 7677, 9266)
//!
//! Own code on ring, which rustls links already: the crate rsasl would bring 38 others and 300 KiB for these lines.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::{Binding, Complaint, Message, SaslError, Secret};

/// Fewer iterations than RFC 7677 section 4 demands would let a man in the middle guess the password quickly.
pub(super) const FEWEST_ITERATIONS: u32 = 4096;
/// More would let a server keep us computing for minutes.
pub(super) const MOST_ITERATIONS: u32 = 1_000_000;
/// No honest message comes near this many octets.
const LONGEST: usize = 4096;

/// The hash that a SCRAM is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

/// The header before the client's first message: what the client knows of channel bindings, and what it binds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gs2 {
    /// `n`: we can't bind, or the account names a mechanism that does not.
    No,
    /// `y`: we could, and you seem not to. A server that can knows then that somebody took -PLUS out of its offer.
    Unoffered,
    /// `p=tls-exporter`, and the octets that name the channel.
    Exporter(Binding),
}

impl Gs2 {
    fn header(self) -> &'static str {
        match self {
            Self::No => "n,,",
            Self::Unoffered => "y,,",
            Self::Exporter(_) => "p=tls-exporter,,",
        }
    }

    /// What the client's last message repeats in `c=`.
    pub(super) fn confirmed(self) -> String {
        let mut octets = self.header().as_bytes().to_vec();
        if let Self::Exporter(binding) = self {
            octets.extend_from_slice(&binding);
        }
        BASE64.encode(octets)
    }
}

/// The client's side.
pub(super) struct Client {
    hash: Hash,
    gs2: Gs2,
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
    /// The server named an error: only a refusal can follow.
    Refused(Complaint),
}

/// What the server's signature must be made with, and of.
struct Expected {
    server_key: hmac::Key,
    auth_message: String,
}

impl Client {
    /// `nonce` are random octets; they are said in base64, so that no comma is among them.
    pub(super) fn new(hash: Hash, gs2: Gs2, user: &str, secret: &Secret, nonce: &[u8]) -> Result<Self, SaslError> {
        Self::with_text_nonce(hash, gs2, user, secret, BASE64.encode(nonce))
    }

    fn with_text_nonce(hash: Hash, gs2: Gs2, user: &str, secret: &Secret, nonce: String) -> Result<Self, SaslError> {
        let user = prepared(user, USER)?;
        let password = prepared(secret.expose(), PASSWORD)?;
        let bare = format!("n={},r={nonce}", saslname(&user));
        Ok(Self { hash, gs2, bare, nonce, password, step: Step::Start })
    }

    /// client-first-message.
    pub(super) fn first(&mut self) -> Message {
        self.step = Step::FirstSaid;
        Zeroizing::new(format!("{}{}", self.gs2.header(), self.bare).into_bytes())
    }

    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        let challenge = text(challenge)?;
        match &self.step {
            Step::Start if challenge.is_empty() => Ok(self.first()),
            Step::Start => Err(SaslError::Broken("it spoke before the client's first message")),
            Step::FirstSaid | Step::FinalSaid(_) if challenge.starts_with("e=") => {
                self.step = Step::Refused(Complaint::new(&challenge[2..]));
                Ok(Message::default())
            }
            Step::FirstSaid => self.last(challenge),
            Step::FinalSaid(expected) => {
                expected.check(challenge)?;
                self.step = Step::Verified;
                Ok(Message::default())
            }
            Step::Verified | Step::Refused(_) => Err(SaslError::Broken("another challenge after everything was said")),
        }
    }

    pub(super) fn finished(&mut self, data: Option<&[u8]>) -> Result<(), SaslError> {
        match (&self.step, data) {
            (Step::Verified, _) => Ok(()),
            (Step::FinalSaid(expected), Some(data)) => expected.check(text(data)?),
            (Step::FinalSaid(_), None) => Err(SaslError::Impostor("its signature is missing")),
            (Step::Refused(_), _) => Err(SaslError::Broken("success after an error")),
            (Step::Start | Step::FirstSaid, _) => Err(SaslError::Broken("success before anything was proven")),
        }
    }

    pub(super) fn complaint(&self) -> Option<&Complaint> {
        if let Step::Refused(complaint) = &self.step { Some(complaint) } else { None }
    }

    /// client-final-message, the answer to server-first-message.
    fn last(&mut self, challenge: &str) -> Result<Message, SaslError> {
        let first = ServerFirst::parse(challenge)?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(SaslError::Broken("its nonce does not extend ours"));
        }
        let keys = self.hash.keys(&self.password, &first.salt, first.iterations);
        let without_proof = format!("c={},r={}", self.gs2.confirmed(), first.nonce);
        let auth_message = format!("{},{challenge},{without_proof}", self.bare);
        let proof = keys.proof(&auth_message);
        let message = format!("{without_proof},p={}", BASE64.encode(proof.as_slice()));
        self.step = Step::FinalSaid(Expected { server_key: keys.server, auth_message });
        Ok(Zeroizing::new(message.into_bytes()))
    }
}

impl Expected {
    /// server-final-message: the signature.
    fn check(&self, message: &str) -> Result<(), SaslError> {
        let encoded = message.strip_prefix("v=").and_then(|rest| rest.split(',').next());
        let signature = encoded
            .and_then(|encoded| BASE64.decode(encoded).ok())
            .ok_or(SaslError::Impostor("its last message holds no signature"))?;
        // ring compares in constant time.
        hmac::verify(&self.server_key, self.auth_message.as_bytes(), &signature)
            .map_err(|_| SaslError::Impostor("its signature is wrong"))
    }
}

impl Hash {
    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }

    /// What a password, a salt and a count become (RFC 5802 section 3).
    pub(super) fn keys(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Keys {
        let (derivation, digest) = match self {
            Self::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, &digest::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, &digest::SHA256),
        };
        let hmac = self.hmac();
        let mut salted = Zeroizing::new(vec![0; digest.output_len()]);
        pbkdf2::derive(derivation, iterations, salt, password.as_bytes(), &mut salted);
        let key = hmac::Key::new(hmac, &salted);
        let server = hmac::Key::new(hmac, hmac::sign(&key, b"Server Key").as_ref());
        let client = Zeroizing::new(hmac::sign(&key, b"Client Key").as_ref().to_vec());
        let stored = hmac::Key::new(hmac, digest::digest(digest, &client).as_ref());
        Keys { client, stored, server }
    }
}

/// What both sides prove that they know.
pub(super) struct Keys {
    client: Zeroizing<Vec<u8>>,
    /// Keyed with `StoredKey`.
    stored: hmac::Key,
    pub(super) server: hmac::Key,
}

impl Keys {
    /// `ClientKey XOR HMAC(H(ClientKey), AuthMessage)`.
    pub(super) fn proof(&self, auth_message: &str) -> Message {
        let mut proof = Zeroizing::new(hmac::sign(&self.stored, auth_message.as_bytes()).as_ref().to_vec());
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

pub(super) const USER: &str = "SASLprep (RFC 4013) does not allow this user name in SCRAM";
pub(super) const PASSWORD: &str = "SASLprep (RFC 4013) does not allow this password in SCRAM";

/// Why this user or secret can't be said; `None` where it can.
pub(super) fn obstacle(user: &str, secret: &Secret) -> Option<&'static str> {
    let texts = [(user, USER), (secret.expose(), PASSWORD)];
    texts.into_iter().find(|(text, otherwise)| prepared(text, otherwise).is_err()).map(|(_, otherwise)| otherwise)
}

/// `SASLprep` for a name or password as it is stored: what it forbids could not be matched by a server either.
pub(super) fn prepared(text: &str, otherwise: &'static str) -> Result<Zeroizing<String>, SaslError> {
    match stringprep::saslprep(text) {
        Ok(prepared) if !prepared.is_empty() => Ok(Zeroizing::new(prepared.into_owned())),
        _ => Err(SaslError::Unfit(otherwise)),
    }
}

/// A name as it stands between commas (RFC 5801 section 4).
pub(super) fn saslname(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn text(challenge: &[u8]) -> Result<&str, SaslError> {
    if challenge.len() > LONGEST {
        return Err(SaslError::Broken("a challenge of more than 4096 octets"));
    }
    std::str::from_utf8(challenge).map_err(|_| SaslError::Broken("a challenge that is not UTF-8"))
}

#[cfg(test)]
mod tests;
