//! Which reply can answer what was said, and what does a refusal mean? (RFC 5321 4.3.2, 4.5.3.1.10)

use crate::{error::Exit, mail::outcome::Reply};

/// What the next reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Reset,
    Mail,
    Rcpt(usize),
    /// 354.
    Go,
    /// A chunk that is not the last.
    Chunk,
    /// What decides over the message; with LMTP once per recipient taken.
    End,
}

impl Awaited {
    /// A 235 to MAIL, a 250 to DATA, a 354 to RCPT: a success that doesn't belong is no success (RFC 5321 4.3.2).
    pub(super) fn takes(self, reply: &Reply) -> bool {
        let success: &[u16] = match self {
            Self::Rcpt(_) => &[250, 251, 252],
            Self::Go => &[354],
            Self::Reset | Self::Mail | Self::Chunk | Self::End => &[250],
        };
        reply.is_transient() || reply.is_permanent() || success.contains(&reply.code)
    }
}

/// What a refusal of MAIL for good is called.
pub(super) fn exit_of_mail(reply: &Reply) -> Exit {
    match reply.code {
        552 => Exit::DataErr,
        530 | 535 | 538 => Exit::NoPerm,
        _ => Exit::Unavailable,
    }
}

/// 452, and the 552 that RFC 5321 4.5.3.1.10 wants read as 452, except where the enhanced code says that a mailbox is full.
pub(super) fn is_too_many(reply: &Reply) -> bool {
    let mailbox_full = reply.enhanced.is_some_and(|e| (e.subject, e.detail) == (2, 2));
    reply.code == 452 || (reply.code == 552 && !mailbox_full)
}
