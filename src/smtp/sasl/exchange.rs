//! What does a client say in one login, step by step? (RFC 4954, 4616, 2195, 7628, 4752; RFC 4422 appendix A)

use zeroize::Zeroizing;

use super::{
    ANOTHER, Binding, Complaint, Credentials, Mechanism, Message, SaslError, Secret, Terms, bearer, cram, gssapi,
    mechanism::{binding_is_offered, choose},
    plain,
    scram::{self, Gs2, Hash},
};
use crate::mail::policy::AuthPermit;

/// RFC 4954 section 4 has servers take 12288 octets of base64 in a line; more is nobody's duty.
const LONGEST: usize = 12_288 / 4 * 3;

/// What one connection gives to a login.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The names that EHLO offered behind AUTH.
    pub offered: &'a [&'a str],
    /// What the connection allows.
    pub permit: &'a AuthPermit,
    /// The channel that a login can be bound to.
    pub binding: Option<Binding>,
    /// Fresh random octets, 18 or more, which only SCRAM uses.
    pub nonce: &'a [u8],
}

/// The client's side of one authentication: what is said, step by step. Base64 and line ends are the caller's.
pub struct Exchange(State);

enum State {
    /// One message says it all.
    Single(Single),
    Login {
        user: String,
        secret: Secret,
        said: u8,
    },
    CramMd5 {
        user: String,
        secret: Secret,
        said: bool,
    },
    Scram(Box<scram::Client>),
    Gssapi(gssapi::Client),
}

struct Single {
    message: Message,
    said: bool,
    /// How the server's error is acknowledged, in a mechanism where it sends one as a challenge.
    acknowledgement: Option<&'static [u8]>,
    complaint: Option<Complaint>,
}

impl Exchange {
    /// Chooses a mechanism and prepares its exchange.
    ///
    /// # Errors
    /// Nothing that the server offers may be used on this connection; user or secret can't be said in it; there is no ticket.
    pub fn begin(credentials: &Credentials, setting: &Setting<'_>) -> Result<(Mechanism, Self), SaslError> {
        let Credentials { user, secret, .. } = credentials;
        let mechanism = choose(&Terms {
            offered: setting.offered,
            choice: credentials.choice,
            kind: secret.kind(),
            permit: setting.permit,
            login: Some((user, secret)),
            bindable: setting.binding.is_some(),
        })?;
        let state = match mechanism {
            Mechanism::Plain => State::single(plain(user, secret)?, None)?,
            Mechanism::External => State::single(Zeroizing::new(user.clone().into_bytes()), None)?,
            Mechanism::Xoauth2 => State::single(bearer::xoauth2(user, secret)?, Some(b""))?,
            Mechanism::OauthBearer => State::single(bearer::oauthbearer(credentials)?, Some(b"\x01"))?,
            Mechanism::Login => State::Login { user: user.clone(), secret: secret.clone(), said: 0 },
            Mechanism::CramMd5 => State::CramMd5 { user: user.clone(), secret: secret.clone(), said: false },
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => State::scram(Hash::Sha256, mechanism, credentials, setting)?,
            Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => State::scram(Hash::Sha1, mechanism, credentials, setting)?,
            Mechanism::Gssapi => State::Gssapi(gssapi::Client::new(credentials)?),
        };
        Ok((mechanism, Self(state)))
    }

    /// The initial response that may stand beside AUTH; `None` where the server speaks first, or where it has more octets than
    /// there is `room` for (RFC 4954 section 4): it is the first answer then. Asking for it counts as saying it.
    pub fn initial(&mut self, room: usize) -> Option<Message> {
        match &mut self.0 {
            State::Single(single) if single.message.len() <= room => Some(single.say()),
            State::Scram(client) => Some(client.first()),
            State::Gssapi(client) => client.initial(room),
            State::Single(_) | State::Login { .. } | State::CramMd5 { .. } => None,
        }
    }

    /// The answer to one 334 and its decoded challenge.
    ///
    /// # Errors
    /// The server breaks the exchange or can't prove that it knows the password: give up.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        match &mut self.0 {
            State::Single(single) => single.answer(challenge),
            // The prompts differ from server to server ("Username:", "User Name\0", nothing); their order does not.
            State::Login { user, said: said @ 0, .. } => {
                *said = 1;
                Ok(Zeroizing::new(user.clone().into_bytes()))
            }
            State::Login { secret, said: said @ 1, .. } => {
                *said = 2;
                Ok(Zeroizing::new(secret.expose().as_bytes().to_vec()))
            }
            State::CramMd5 { user, secret, said: said @ false } => {
                *said = true;
                cram::response(user, secret, challenge)
            }
            State::Scram(client) => client.answer(challenge),
            State::Gssapi(client) => client.answer(challenge),
            State::Login { .. } | State::CramMd5 { .. } => Err(SaslError::Broken(ANOTHER)),
        }
    }

    /// To be asked when the server says 235: whether it may. `data` is what a server sent along with it, decoded.
    ///
    /// # Errors
    /// The server skipped a step, or never proved that it knows the password (SCRAM): treat it as an impostor.
    pub fn finished(&mut self, data: Option<&[u8]>) -> Result<(), SaslError> {
        match &mut self.0 {
            State::Single(Single { complaint: Some(_), .. }) => Err(SaslError::Broken("success after an error")),
            State::Single(Single { said: true, .. }) | State::Login { said: 2, .. } | State::CramMd5 { said: true, .. } => Ok(()),
            State::Scram(client) => client.finished(data),
            State::Gssapi(client) => client.finished(),
            State::Single(_) | State::Login { .. } | State::CramMd5 { .. } => {
                Err(SaslError::Broken("success before anything was proven"))
            }
        }
    }

    /// What the server said was wrong, within the mechanism; its refusal follows.
    pub fn complaint(&self) -> Option<&Complaint> {
        match &self.0 {
            State::Single(single) => single.complaint.as_ref(),
            State::Scram(client) => client.complaint(),
            State::Login { .. } | State::CramMd5 { .. } | State::Gssapi(_) => None,
        }
    }
}

impl State {
    fn single(message: Message, acknowledgement: Option<&'static [u8]>) -> Result<Self, SaslError> {
        if message.len() > LONGEST {
            return Err(SaslError::Unfit("user and secret are longer than a login can be (RFC 4954)"));
        }
        Ok(Self::Single(Single { message, said: false, acknowledgement, complaint: None }))
    }

    fn scram(hash: Hash, mechanism: Mechanism, credentials: &Credentials, setting: &Setting<'_>) -> Result<Self, SaslError> {
        let gs2 = match setting.binding {
            Some(binding) if mechanism.binds() => Gs2::Exporter(binding),
            // A server that offers a binding which the account does not want is not told that it offers none.
            Some(_) if !binding_is_offered(setting.offered) => Gs2::Unoffered,
            _ => Gs2::No,
        };
        let client = scram::Client::new(hash, gs2, &credentials.user, &credentials.secret, setting.nonce)?;
        Ok(Self::Scram(Box::new(client)))
    }
}

impl Single {
    fn say(&mut self) -> Message {
        self.said = true;
        self.message.clone()
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        match self.acknowledgement {
            _ if !self.said => Ok(self.say()),
            Some(acknowledgement) if self.complaint.is_none() => {
                self.complaint = Some(Complaint::new(&String::from_utf8_lossy(challenge)));
                Ok(Zeroizing::new(acknowledgement.to_vec()))
            }
            _ => Err(SaslError::Broken(ANOTHER)),
        }
    }
}
