//! Who sends to whom, and what report is asked for? (RFC 5321 3.3, 3461, 5322 3.6.6)

use super::address::{Address, ReversePath};

/// Sender, recipients and the wish for delivery reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL FROM.
    pub sender: ReversePath,
    /// RCPT TO, without duplicates.
    pub recipients: Vec<Recipient>,
    /// NOTIFY, RET and ENVID.
    pub dsn: Dsn,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where the mail goes.
    pub address: Address,
    /// The address as the caller gave it, where aliases changed it: ORCPT (RFC 3461 4.2).
    pub original: Option<Address>,
}

/// What the caller asked of delivery status notifications (RFC 3461 4); said only where the server offers DSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dsn {
    /// NOTIFY of every recipient.
    pub notify: Option<Notify>,
    /// RET.
    pub ret: Option<Ret>,
    /// ENVID, as plain text; becomes xtext on the wire. Printable ASCII, at most 100 characters.
    pub envid: Option<String>,
}

/// When a report is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// `NOTIFY=NEVER`.
    Never,
    /// Any of success, failure, delay; at least one.
    When {
        /// On delivery.
        success: bool,
        /// On failure.
        failure: bool,
        /// On delay.
        delay: bool,
    },
}

/// How much of the message a report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// All of it.
    Full,
    /// The header only.
    Headers,
}
