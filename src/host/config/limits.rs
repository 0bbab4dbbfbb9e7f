//! How large, how many, how long? (sealpost.toml(5), "LIMITS"; RFC 5321 4.5.3)

use std::time::Duration;

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in octets; `u64::MAX`: whatever the server's SIZE allows.
    pub message_size: u64,
    /// One budget for resolving and connecting, all addresses together.
    pub connect: Duration,
    /// Deadlines per command.
    pub timeouts: Timeouts,
    /// Recipients in one transaction (RFC 5321 4.5.3.1.8: a server takes at least 100).
    pub recipients: usize,
}

/// How long a whole reply, or a block of data, may take (RFC 5321 4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TLS handshake.
    pub handshake: Duration,
    /// The 220 at the start.
    pub greeting: Duration,
    /// EHLO, HELO, LHLO, STARTTLS, AUTH and the like.
    pub command: Duration,
    /// MAIL.
    pub mail: Duration,
    /// RCPT.
    pub rcpt: Duration,
    /// The 354 after DATA.
    pub data: Duration,
    /// Writing one block.
    pub block: Duration,
    /// The reply to the final dot or the last chunk.
    pub end: Duration,
}

/// The defaults of RFC 5321 4.5.3.2; 2 minutes for the handshake.
impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            handshake: minutes(2),
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
        }
    }
}

impl Timeouts {
    /// None of them longer than this.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        let Self { handshake, greeting, command, mail, rcpt, data, block, end } = self;
        Self {
            handshake: handshake.min(most),
            greeting: greeting.min(most),
            command: command.min(most),
            mail: mail.min(most),
            rcpt: rcpt.min(most),
            data: data.min(most),
            block: block.min(most),
            end: end.min(most),
        }
    }
}
