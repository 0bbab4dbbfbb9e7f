//! What ails a server or an account as a whole? (RFC 5321 3.8; RFC 8689)

use super::policy::Unpromised;

/// What ails a server or an account as a whole, so that the next message would fare no better now. Whoever has several to send pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answers: no such host, no connection, or one that was lost before anything could be said.
    Unreachable,
    /// It does not want to be spoken to now: 421, or a refusal before any message.
    Busy,
    /// What answers breaks the protocol before any message.
    Broken,
    /// The login was refused for good, or nothing that both sides know would do: who tries again soon may get the account locked.
    LoginRefused,
    /// What the account asks of TLS is not met.
    TlsUnmet,
    /// The account asks for REQUIRETLS, and the server would pass no message on with that promise.
    Unpromised(Unpromised),
    /// The account can't even be tried: no password, a sender that it does not allow, a certificate of ours that can't be used.
    Unusable,
}

impl Trouble {
    /// Whether it helps to leave the account alone for a while. A promise that is not to be had is told each message's sender at once, and
    /// their reports have to go the same way.
    pub fn is_worth_a_pause(self) -> bool {
        !matches!(self, Self::Unpromised(_))
    }
}
