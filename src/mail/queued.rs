//! How does a recipient of a message that waits stand? (RFC 5321 4.5.4.1)

use super::outcome::Enhanced;

/// What was last heard of a recipient, or of the server on the way to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// The reply's code, where it was a reply.
    pub code: Option<u16>,
    /// Its enhanced status code.
    pub enhanced: Option<Enhanced>,
    /// Its text, or what went wrong instead; foreign.
    pub text: String,
    /// Why TLS was not as it had to be, where that was it.
    pub tls: Option<String>,
}

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is to be tried (again).
    Waiting(Option<Last>),
    /// The smarthost took it.
    Delivered,
    /// It was refused for good, or given up.
    Failed(Last),
}
