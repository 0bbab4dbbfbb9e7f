//! Does a client prove who it is? The server's side of SASL, for the sink (RFC 4954, 4616, 5802, 2195, 7628)

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::hmac;

use super::{
    Binding, Kind, Mechanism, Secret, cram,
    scram::{FEWEST_ITERATIONS, Gs2, Hash, prepared, saslname},
};

/// The one user that a server knows.
#[derive(Clone, Debug)]
pub struct Login {
    /// Authentication identity.
    pub user: String,
    /// Its password, or the access token that is good for it.
    pub password: Secret,
}

/// Random octets of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Entropy {
    /// The server's part of the SCRAM nonce, and the challenge of CRAM-MD5.
    pub nonce: [u8; 18],
    /// The salt.
    pub salt: [u8; 16],
}

/// What an impostor does, or a server that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It signs with a key that it made up.
    Signature,
    /// Its nonce does not begin with the client's.
    Nonce,
    /// It asks for so many iterations.
    Iterations(u32),
    /// It grants everything as soon as it has been answered, and proves nothing.
    Hasty,
    /// It asks again, whatever it is told.
    Endless,
    /// It refuses the right token.
    Token,
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
    /// The channel, where there is one that a login can be bound to.
    binding: Option<Binding>,
    lie: Option<Lie>,
    state: State,
}

enum State {
    Plain,
    LoginUser,
    LoginPassword {
        right_user: bool,
    },
    CramMd5,
    ScramFirst {
        hash: Hash,
        bound: bool,
    },
    ScramFinal(Box<Begun>),
    ScramEnd,
    OauthBearer,
    Xoauth2,
    /// An error was named, which the client acknowledges.
    Failed,
    Over,
}

/// A SCRAM exchange after the client's first message.
struct Begun {
    hash: Hash,
    bare: String,
    server_first: String,
    /// How the client's last message must begin.
    confirmed: String,
}

impl Verifier {
    /// What a server can offer to a login of that kind; `bindable` where the connection has a channel to bind it to.
    pub fn offered(kind: Kind, bindable: bool) -> impl Iterator<Item = Mechanism> {
        Mechanism::BEST_FIRST.into_iter().filter(move |m| m.takes() == kind && (bindable || !m.binds()))
    }

    /// Prepares an exchange; `None` where the login can't be proven in it.
    pub fn new(mechanism: Mechanism, login: Login, entropy: Entropy, binding: Option<Binding>, lie: Option<Lie>) -> Option<Self> {
        if mechanism.takes() != login.password.kind() || (mechanism.binds() && binding.is_none()) {
            return None;
        }
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::CramMd5 => State::CramMd5,
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => {
                State::ScramFirst { hash: Hash::Sha256, bound: mechanism.binds() }
            }
            Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => State::ScramFirst { hash: Hash::Sha1, bound: mechanism.binds() },
            Mechanism::OauthBearer => State::OauthBearer,
            Mechanism::Xoauth2 => State::Xoauth2,
            Mechanism::External | Mechanism::Gssapi => return None,
        };
        Some(Self { login, entropy, binding, lie, state })
    }

    /// What the server says before the client has said anything.
    pub fn prompt(&self) -> Vec<u8> {
        match self.state {
            State::LoginUser => b"Username:".to_vec(),
            State::CramMd5 => self.stamp(),
            _ => Vec::new(),
        }
    }

    /// Weighs one response, decoded.
    pub fn step(&mut self, response: &[u8]) -> Step {
        match self.lie {
            Some(Lie::Hasty) => return Step::Granted,
            Some(Lie::Endless) => return Step::Challenge(b"and what else?".to_vec()),
            _ => {}
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => granted(self.plain(response)),
            State::LoginUser => {
                self.state = State::LoginPassword { right_user: equal(response, self.login.user.as_bytes()) };
                Step::Challenge(b"Password:".to_vec())
            }
            State::LoginPassword { right_user } => granted(equal(response, self.secret()) & right_user),
            State::CramMd5 => granted(self.cram_md5(response)),
            State::ScramFirst { hash, bound } => self.scram_first(hash, bound, response).unwrap_or(Step::Denied),
            State::ScramFinal(begun) => self.scram_final(&begun, response).unwrap_or(Step::Denied),
            State::ScramEnd => granted(response.is_empty()),
            State::OauthBearer => self.oauthbearer(response),
            State::Xoauth2 => self.xoauth2(response),
            State::Failed | State::Over => Step::Denied,
        }
    }

    fn secret(&self) -> &[u8] {
        self.login.password.expose().as_bytes()
    }

    /// `[authzid] NUL user NUL password`; an authorization identity other than the user is not for us to grant.
    fn plain(&self, response: &[u8]) -> bool {
        let parts: Vec<&[u8]> = response.split(|octet| *octet == 0).collect();
        let [as_whom, user, password] = parts[..] else { return false };
        let user_fits = equal(user, self.login.user.as_bytes()) && (as_whom.is_empty() || as_whom == user);
        equal(password, self.secret()) & user_fits
    }

    /// The challenge of CRAM-MD5, in the form of a message identifier.
    fn stamp(&self) -> Vec<u8> {
        format!("<{}@localhost>", BASE64.encode(self.entropy.nonce)).into_bytes()
    }

    fn cram_md5(&self, response: &[u8]) -> bool {
        let digest = cram::keyed(self.secret(), &self.stamp());
        let expected = digest.iter().fold(format!("{} ", self.login.user), |text, octet| format!("{text}{octet:02x}"));
        equal(response, expected.as_bytes())
    }

    fn scram_first(&mut self, hash: Hash, bound: bool, response: &[u8]) -> Option<Step> {
        let text = std::str::from_utf8(response).ok()?;
        let (flag, bare) = text.split_once(",,")?;
        let gs2 = match (flag, self.binding) {
            ("n", _) if !bound => Gs2::No,
            // It could, and sees no offer of ours: somebody took it out on the way.
            ("y", Some(_)) => return Some(self.fail("e=server-does-support-channel-binding")),
            ("y", None) if !bound => Gs2::Unoffered,
            ("p=tls-exporter", Some(binding)) if bound => Gs2::Exporter(binding),
            _ => return None,
        };
        let (user, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        if user != saslname(&prepared(&self.login.user, "").ok()?) || nonce.is_empty() || nonce.contains(',') {
            return None;
        }
        let nonce = if self.lie == Some(Lie::Nonce) { "" } else { nonce };
        let nonce = format!("{nonce}{}", BASE64.encode(self.entropy.nonce));
        let iterations = if let Some(Lie::Iterations(count)) = self.lie { count } else { FEWEST_ITERATIONS };
        let server_first = format!("r={nonce},s={},i={iterations}", BASE64.encode(self.entropy.salt));
        let challenge = server_first.clone().into_bytes();
        let confirmed = format!("c={},r={nonce}", gs2.confirmed());
        self.state = State::ScramFinal(Box::new(Begun { hash, bare: bare.to_owned(), server_first, confirmed }));
        Some(Step::Challenge(challenge))
    }

    fn scram_final(&mut self, begun: &Begun, response: &[u8]) -> Option<Step> {
        let text = std::str::from_utf8(response).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        if without_proof != begun.confirmed {
            return Some(self.fail("e=channel-bindings-dont-match"));
        }
        let auth_message = format!("{},{},{without_proof}", begun.bare, begun.server_first);
        let password = prepared(self.login.password.expose(), "").ok()?;
        let keys = begun.hash.keys(&password, &self.entropy.salt, NonZeroU32::new(FEWEST_ITERATIONS)?);
        if !equal(&BASE64.decode(proof).ok()?, &keys.proof(&auth_message)) {
            return Some(self.fail("e=invalid-proof"));
        }
        self.state = State::ScramEnd;
        let forged = hmac::Key::new(begun.hash.hmac(), &self.entropy.salt);
        let key = if self.lie == Some(Lie::Signature) { forged } else { keys.server };
        let signature = hmac::sign(&key, auth_message.as_bytes());
        Some(Step::Challenge(format!("v={}", BASE64.encode(signature)).into_bytes()))
    }

    fn oauthbearer(&mut self, response: &[u8]) -> Step {
        let head = format!("n,a={},", saslname(&self.login.user));
        let mut fields = response.split(|octet| *octet == 1);
        let user_fits = fields.next().is_some_and(|said| equal(said, head.as_bytes()));
        let token_fits = fields.any(|field| self.bears(field));
        self.token(user_fits && token_fits && response.ends_with(b"\x01\x01"))
    }

    fn xoauth2(&mut self, response: &[u8]) -> Step {
        let fields: Vec<&[u8]> = response.split(|octet| *octet == 1).collect();
        let [user, token, b"", b""] = fields[..] else { return self.token(false) };
        let user_fits = user.strip_prefix(b"user=").is_some_and(|user| equal(user, self.login.user.as_bytes()));
        self.token(self.bears(token) && user_fits)
    }

    fn bears(&self, field: &[u8]) -> bool {
        field.strip_prefix(b"auth=Bearer ").is_some_and(|token| equal(token, self.secret()))
    }

    fn token(&mut self, good: bool) -> Step {
        if good && self.lie != Some(Lie::Token) {
            return Step::Granted;
        }
        self.fail(r#"{"status":"invalid_token","schemes":"bearer","scope":"mail"}"#)
    }

    /// Names an error; 535 follows when the client has acknowledged it.
    fn fail(&mut self, error: &str) -> Step {
        self.state = State::Failed;
        Step::Challenge(error.as_bytes().to_vec())
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
