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
    /// A 235 to MAIL, a 250 to DATA, a 354 to RCPT: a success that doesn't belong is no success (RFC 5321 4.3.2). Nor is a refusal one of
    /// RSET, which no server may refuse (4.1.1.5) but by hanging up.
    pub(super) fn takes(self, reply: &Reply) -> bool {
        let success: &[u16] = match self {
            Self::Rcpt(_) => &[250, 251, 252],
            Self::Go => &[354],
            Self::Reset | Self::Mail | Self::Chunk | Self::End => &[250],
        };
        let may_refuse = self != Self::Reset || reply.code == 421;
        (may_refuse && (reply.is_transient() || reply.is_permanent())) || success.contains(&reply.code)
    }
}

/// How far it is known that a reply is the one to the message, and not one that stands a place too early because somebody before it said
/// one too many: then a refusal behind it would be the true answer, and the success a forged one.
///
/// The rule does not ask when a reply too many arrives. A `Certain` success stands, whatever follows. For the others the answer is among
/// what the server says until its goodbye (it may have said too much, but it left nothing out): where all of that is 250 the message was
/// taken, whichever of them is the answer, and where anything else is among it nobody can say. So a server that says 250 twice for each
/// message does not get it again and again, and none can pass the 250 of a RCPT off as that of a message which it refuses.
///
/// The goodbye costs a round trip. It is waited for where a reply too many was seen, and always where the success is `Unsure`; one that is
/// `Likely` counts without, so there alone it can depend on time whether a refusal, behind a success that reads like one, is seen. In any
/// case such a connection serves no other message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smtp) enum Certainty {
    /// The first reply after the message had left, which a 354 had asked for: no other reply reads like that one, so it kept both in step.
    Certain,
    /// The message left in chunks, where every reply to what was said before is a 250 too, and this one reads like none of those. Or it is
    /// not the first of those that LMTP gives for one message.
    Likely,
    /// It reads like a reply to MAIL or RCPT.
    Unsure,
}

/// What a refusal of MAIL for good is called.
pub(super) fn exit_of_mail(reply: &Reply) -> Exit {
    let is_not_authorized = reply.enhanced.is_some_and(|e| (e.class, e.subject, e.detail) == (5, 7, 1));
    match reply.code {
        552 => Exit::DataErr,
        530 | 535 | 538 => Exit::NoPerm,
        // Somebody else's address: so say the service of this machine, and servers that know whose login has which.
        553 if is_not_authorized => Exit::NoPerm,
        _ => Exit::Unavailable,
    }
}

/// 452, and the 552 that RFC 5321 4.5.3.1.10 wants read as 452, except where the enhanced code says that a mailbox is full.
pub(super) fn is_too_many(reply: &Reply) -> bool {
    let mailbox_full = reply.enhanced.is_some_and(|e| (e.subject, e.detail) == (2, 2));
    reply.code == 452 || (reply.code == 552 && !mailbox_full)
}
