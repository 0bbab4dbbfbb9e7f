//! Does a client prove who it is? The server's side of SASL, for the sink (RFC 4954, 4616, 5802)

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::hmac;
use zeroize::Zeroizing;

use super::{
    Mechanism, Secret,
    scram::{FEWEST_ITERATIONS, Keys, prepared},
};

/// The one user that a server knows.
#[derive(Clone, Debug)]
pub struct Login {
    /// Authentication identity.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// Random octets of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Entropy {
    /// The server's part of the SCRAM nonce.
    pub nonce: [u8; 18],
    /// The salt.
    pub salt: [u8; 16],
}

/// How an exchange goes on after a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Say 334 and this, in base64.
    Challenge(Vec<u8>),
    /// Say 235.
    Granted,
    /// Say 535.
    Denied,
}

/// The server's side of one authentication.
pub struct Verifier {
    login: Login,
    entropy: Entropy,
    /// False: sign with a wrong key, as an impostor would have to.
    honest: bool,
    state: State,
}

enum State {
    Plain,
    LoginUser,
    LoginPassword { right_user: bool },
    ScramFirst,
    ScramFinal(Box<Begun>),
    ScramEnd,
    Over,
}

/// A SCRAM exchange after the client's first message.
struct Begun {
    bare: String,
    server_first: String,
    nonce: String,
}

impl Verifier {
    /// Prepares an exchange; with `honest` false the SCRAM signature is a forgery.
    pub fn new(mechanism: Mechanism, login: Login, entropy: Entropy, honest: bool) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::ScramSha256 => State::ScramFirst,
        };
        Self { login, entropy, honest, state }
    }

    /// What the server says before the client has said anything.
    pub fn prompt(&self) -> Vec<u8> {
        match self.state {
            State::LoginUser => b"Username:".to_vec(),
            _ => Vec::new(),
        }
    }

    /// Weighs one response, decoded.
    pub fn step(&mut self, response: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => granted(self.plain(response)),
            State::LoginUser => {
                self.state = State::LoginPassword { right_user: equal(response, self.login.user.as_bytes()) };
                Step::Challenge(b"Password:".to_vec())
            }
            State::LoginPassword { right_user } => granted(equal(response, self.login.password.expose().as_bytes()) & right_user),
            State::ScramFirst => self.scram_first(response).unwrap_or(Step::Denied),
            State::ScramFinal(begun) => self.scram_final(&begun, response).unwrap_or(Step::Denied),
            State::ScramEnd => granted(response.is_empty()),
            State::Over => Step::Denied,
        }
    }

    /// `[authzid] NUL user NUL password`; an authorization identity other than the user is not for us to grant.
    fn plain(&self, response: &[u8]) -> bool {
        let parts: Vec<&[u8]> = response.split(|octet| *octet == 0).collect();
        let [as_whom, user, password] = parts[..] else { return false };
        let user_fits = equal(user, self.login.user.as_bytes()) && (as_whom.is_empty() || as_whom == user);
        equal(password, self.login.password.expose().as_bytes()) & user_fits
    }

    fn scram_first(&mut self, response: &[u8]) -> Option<Step> {
        let text = std::str::from_utf8(response).ok()?;
        let bare = text.strip_prefix("n,,").or_else(|| text.strip_prefix("y,,"))?;
        let (user, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        let known = prepared(&self.login.user, "").ok()?.replace('=', "=3D").replace(',', "=2C");
        if user != known || nonce.is_empty() || nonce.contains(',') {
            return None;
        }
        let nonce = format!("{nonce}{}", BASE64.encode(self.entropy.nonce));
        let server_first = format!("r={nonce},s={},i={FEWEST_ITERATIONS}", BASE64.encode(self.entropy.salt));
        let challenge = server_first.clone().into_bytes();
        // The gs2 header comes back in `c=`; it is part of what is remembered.
        let header = if text.starts_with('y') { "eSws" } else { "biws" };
        let nonce = format!("c={header},r={nonce}");
        self.state = State::ScramFinal(Box::new(Begun { bare: bare.to_owned(), server_first, nonce }));
        Some(Step::Challenge(challenge))
    }

    fn scram_final(&mut self, begun: &Begun, response: &[u8]) -> Option<Step> {
        let text = std::str::from_utf8(response).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        if without_proof != begun.nonce {
            return None;
        }
        let auth_message = format!("{},{},{without_proof}", begun.bare, begun.server_first);
        let password = prepared(self.login.password.expose(), "").ok()?;
        let keys = Keys::derive(&password, &self.entropy.salt, NonZeroU32::new(FEWEST_ITERATIONS)?);
        if !equal(&Zeroizing::new(BASE64.decode(proof).ok()?), keys.proof(&auth_message).as_slice()) {
            return None;
        }
        self.state = State::ScramEnd;
        let key = if self.honest { keys.server } else { hmac::Key::new(hmac::HMAC_SHA256, &self.entropy.salt) };
        let signature = hmac::sign(&key, auth_message.as_bytes());
        Some(Step::Challenge(format!("v={}", BASE64.encode(signature)).into_bytes()))
    }
}

fn granted(yes: bool) -> Step {
    if yes { Step::Granted } else { Step::Denied }
}

/// Compares without telling by its duration where the difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |so_far, (a, b)| so_far | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}
