//! What kind of server is it: what does it offer, take, and spoil?

use super::fault::Faults;
use crate::smtp::sasl::verifier::{Entropy, Login};

/// What kind of server this is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the greeting calls us.
    pub name: String,
    /// LMTP: LHLO, and a reply per recipient after the message.
    pub lmtp: bool,
    /// Whether TLS is there or can be had.
    pub seal: Seal,
    /// AUTH is offered, and needed before MAIL.
    pub auth: Option<Auth>,
    /// When REQUIRETLS is offered.
    pub requiretls: Promise,
    /// A peer that ends DATA itself with LF alone may end the message with `LF . LF`: only for local programs on a pipe or socket,
    /// where nobody else can put lines between theirs.
    pub lone_lf: bool,
    /// MAIL is taken only of a peer that said who it is (RFC 5321 4.1.4); programs that know sendmail's `-bs` may not.
    pub hello_first: bool,
    /// MAIL and RCPT are answered by whoever holds the connection.
    pub consult: bool,
    /// XSEALPOST is offered: what sealpost's own command line asks of a service on the same machine.
    pub private: bool,
    /// Largest message in octets; `u64::MAX`: there is no such limit.
    pub message_size: u64,
    /// Most recipients of one message.
    pub recipients: usize,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

impl Settings {
    /// The plainest server: no TLS, no login, messages of any size, and nobody is asked.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lmtp: false,
            seal: Seal::Never,
            auth: None,
            requiretls: Promise::Never,
            lone_lf: false,
            hello_first: true,
            consult: false,
            private: false,
            message_size: u64::MAX,
            recipients: 1000,
            faults: Faults::default(),
        }
    }
}

/// Whether TLS is there or can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// No TLS, and none to be had.
    Never,
    /// STARTTLS is offered.
    Offered,
    /// TLS is up.
    Up,
}

/// When a server offers REQUIRETLS (RFC 8689 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Never.
    Never,
    /// Under TLS: what was said in plaintext can't be promised any more.
    Sealed,
    /// Always: the client is on the same machine, and what it says leaves that under TLS, or not at all.
    Local,
}

/// Who may log in, and how.
#[derive(Clone, Debug)]
pub struct Auth {
    /// The one user.
    pub login: Login,
    /// Random octets of this connection.
    pub entropy: Entropy,
    /// AUTH is offered without TLS too.
    pub in_clear: bool,
}
