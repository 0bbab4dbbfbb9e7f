//! What does a client say in a login by a Kerberos ticket? (RFC 4752)
//!
//! Tickets, keys and the way to a KDC are the machine's: whoever has them stands behind [`Tickets`] and makes the tokens. What is
//! said when, and what is believed of the server, is decided here. No security layer is ever taken: TLS is one already, and a second
//! one beneath it would have to carry every octet of the mail.

use std::{fmt, sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{ANOTHER, Credentials, Message, SaslError};

/// "No security layer" in the server's offer and in the client's choice; the other bits are integrity and confidentiality.
const NO_LAYER: u8 = 1;

/// Whoever holds a person's tickets.
pub trait Tickets: Send + Sync {
    /// Whose they are.
    fn holder(&self) -> &Holder;

    /// Begins a context with the service `smtp` of a server; and what is to be said first. `host` is the name that the connection
    /// goes to, for whoever was told no other.
    ///
    /// # Errors
    /// There is no ticket for it.
    fn present(&self, host: Option<&str>) -> Result<(Box<dyn Context>, Message), NoTicket>;
}

/// Whose tickets they are, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `user@REALM`.
    pub principal: String,
    /// How long they are good from when they were looked at.
    pub lifetime: Duration,
}

/// One context with one server (RFC 2743). Errors are what is wrong with the server's token.
pub trait Context: Send {
    /// Takes the server's next token.
    fn step(&mut self, token: &[u8]) -> Result<Step, String>;
    /// What the server says under the context's keys.
    fn unwrap(&mut self, token: &[u8]) -> Result<Message, String>;
    /// Puts what we say under the context's keys, readable for all.
    fn wrap(&mut self, text: &[u8]) -> Result<Message, String>;
}

/// What one step of a context comes to.
pub enum Step {
    /// This is to be said, and another token will come.
    Continue(Message),
    /// Both sides have proven who they are; this is to be said, and may be empty.
    Done(Message),
}

/// Why there is no ticket for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTicket {
    /// In the words of the library.
    pub because: String,
    /// What to do about it.
    pub hint: &'static str,
    /// Whether the next try will fare no better unless somebody changes something other than the ticket.
    pub lasting: bool,
}

/// The tickets of a secret.
#[derive(Clone)]
pub(super) struct Purse(pub(super) Arc<dyn Tickets>);

impl fmt::Debug for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The client's side.
pub(super) struct Client {
    context: Box<dyn Context>,
    first: Message,
    /// Whom we act as; empty: the server makes the user out of the principal.
    user: String,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unsaid,
    Establishing,
    Layers,
    Over,
}

impl Client {
    /// Has the first token made.
    pub(super) fn new(credentials: &Credentials) -> Result<Self, SaslError> {
        let tickets = credentials.secret.tickets().ok_or(SaslError::Unfit("the account has no tickets"))?;
        let host = credentials.server.as_ref().map(|(host, _)| host.as_str());
        let (context, first) = tickets.present(host).map_err(SaslError::NoTicket)?;
        Ok(Self { context, first, user: credentials.user.clone(), stage: Stage::Unsaid })
    }

    /// The first token, where there is room for it.
    pub(super) fn initial(&mut self, room: usize) -> Option<Message> {
        (self.first.len() <= room).then(|| self.say())
    }

    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        match self.stage {
            Stage::Unsaid => Ok(self.say()),
            Stage::Establishing => match self.context.step(challenge).map_err(SaslError::Token)? {
                Step::Continue(token) => Ok(token),
                Step::Done(token) => {
                    self.stage = Stage::Layers;
                    Ok(token)
                }
            },
            Stage::Layers => self.without_layer(challenge),
            Stage::Over => Err(SaslError::Broken(ANOTHER)),
        }
    }

    pub(super) fn finished(&self) -> Result<(), SaslError> {
        if self.stage == Stage::Over { Ok(()) } else { Err(SaslError::Broken("success before anything was proven")) }
    }

    fn say(&mut self) -> Message {
        self.stage = Stage::Establishing;
        self.first.clone()
    }

    /// RFC 4752 section 3.1: the offer is a bit mask and the longest message that the server takes in a layer, the choice is a bit,
    /// the longest that we take, and whom we act as. Without layers that length should be 0; Dovecot says 2^24 - 1, and as nobody
    /// is to use it, it is not looked at.
    fn without_layer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        let offer = self.context.unwrap(challenge).map_err(SaslError::Token)?;
        let [layers, _, _, _] = offer[..] else {
            return Err(SaslError::Broken("its offer of security layers is not 4 octets long"));
        };
        if layers & NO_LAYER == 0 {
            return Err(SaslError::Layered);
        }
        let mut choice = Zeroizing::new(vec![NO_LAYER, 0, 0, 0]);
        choice.extend_from_slice(self.user.as_bytes());
        let choice = self.context.wrap(&choice).map_err(SaslError::Token)?;
        self.stage = Stage::Over;
        Ok(choice)
    }
}
