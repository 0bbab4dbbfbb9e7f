//! What does an SMTP client hear when its message can't be taken? (RFC 5321 4.2, 3463)

use crate::error::{Error, Exit};

/// Octets of words in a reply: a line has 512 (RFC 5321 4.5.3.1.5).
const WORDS: usize = 400;

/// When it turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At MAIL.
    Mail,
    /// At RCPT.
    Rcpt,
    /// When the message was whole.
    Message,
}

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Code and enhanced code of the reply.
    pub code: &'static str,
    /// What the log keeps.
    pub error: Error,
}

impl Refusal {
    /// The refusal that an error means.
    pub fn at(moment: Moment, error: Error) -> Self {
        let code = match (error.exit(), moment) {
            (Exit::NoPerm, _) => "553 5.7.1",
            (Exit::Config, _) => "451 4.3.5",
            (Exit::Usage, Moment::Mail) => "501 5.5.4",
            (Exit::DataErr, Moment::Mail) => "501 5.1.7",
            (Exit::Usage, Moment::Rcpt) => "501 5.1.3",
            (Exit::DataErr, Moment::Rcpt) | (Exit::NoUser, Moment::Message) => "550 5.1.1",
            (Exit::DataErr | Exit::Usage, Moment::Message) => "554 5.6.0",
            (Exit::NoHost | Exit::Unavailable | Exit::Protocol, Moment::Message) => "554 5.0.0",
            _ => "451 4.3.0",
        };
        Self { code, error }
    }

    /// The whole reply.
    pub fn reply(&self) -> String {
        let mut words = self.error.summary();
        if words.len() > WORDS {
            let cut = (0..=WORDS).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
            words.truncate(cut);
            words.push_str("...");
        }
        format!("{} {words}", self.code)
    }
}
