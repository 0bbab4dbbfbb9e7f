//! What became of each recipient, and what does the caller's exit code say of it? (RFC 5321 4.2, 3463; sysexits)

use std::sync::Arc;

use super::{address::Address, policy::Unpromised};
use crate::error::Exit;

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// What it is about.
    pub subject: u16,
    /// The detail within the subject.
    pub detail: u16,
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Most octets of a reply's text that are kept once it has been understood.
const SHOWN: usize = 1000;

/// One complete reply of a server (RFC 5321 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits, 200 to 599.
    pub code: u16,
    /// The enhanced status code, where the text began with one that fits the code.
    pub enhanced: Option<Enhanced>,
    /// The text of each line without code and enhanced code; foreign, Latin-1 and UTF-8 made into valid text, not escaped.
    pub lines: Vec<String>,
}

impl Reply {
    /// 2yz: done.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz: not now.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: never.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The reply with no more text than anybody is shown: a server may say 64 KiB, and that is kept for each recipient.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let mut left = SHOWN;
        let mut lines = Vec::new();
        for line in &self.lines {
            if line.len() > left {
                let cut = (0..=left).rev().find(|at| line.is_char_boundary(*at)).unwrap_or_default();
                lines.push(format!("{}…", &line[..cut]));
                break;
            }
            left -= line.len();
            lines.push(line.clone());
        }
        Self { lines, ..*self }
    }

    /// The text in one line.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", self.text())
    }
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server took responsibility.
    Accepted,
    /// May work later.
    Deferred,
    /// Refused for good.
    Refused,
    /// The link was lost after the final dot: accepted or not, nobody knows (RFC 1047).
    Unknown,
}

impl Fate {
    /// The word in the log: `sent`, `deferred`, `failed`, `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "sent",
            Self::Deferred => "deferred",
            Self::Refused => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// How bad it is; the worst of a message's recipients names the message.
    fn gravity(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Deferred => 1,
            Self::Unknown => 2,
            Self::Refused => 3,
        }
    }
}

/// One recipient and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The recipient as it was said in RCPT.
    pub recipient: Address,
    /// What became of it.
    pub fate: Fate,
    /// The exit code that this recipient alone would give.
    pub exit: Exit,
    /// The reply that decided, where one did.
    pub reply: Option<Reply>,
    /// The server that was spoken to, by its host name or address, where somebody is to know; the session itself does not.
    pub server: Option<Arc<str>>,
}

impl Outcome {
    /// A refusal that is not the last word: what led to it is about to be mended.
    pub fn put_off(&mut self) {
        (self.fate, self.exit) = (Fate::Deferred, Exit::TempFail);
    }

    /// Nobody tries it again: what is not for later (no such host, a server that breaks the protocol) is a refusal, whoever it comes from.
    /// What is deferred then has the exit code of what may work later, and what has another one failed.
    pub fn conclude(&mut self) {
        if self.fate == Fate::Deferred && self.exit != Exit::TempFail {
            self.fate = Fate::Refused;
        }
    }
}

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

/// The worst fate: what the message as a whole is called.
pub fn worst(outcomes: &[Outcome]) -> Fate {
    outcomes.iter().map(|o| o.fate).max_by_key(|f| f.gravity()).unwrap_or(Fate::Deferred)
}

/// The exit code for the caller: 0 when every recipient was accepted, else the gravest of the others (sysexits(3)).
///
/// A refusal weighs more than a deferral: a caller that tried again because of 75 would never learn of it. Among refusals the
/// message's own fault (65, 77, 76, 69) weighs more than one addressee's (67).
pub fn exit_code(outcomes: &[Outcome]) -> Exit {
    gravest(outcomes.iter().map(|outcome| outcome.exit)).unwrap_or(Exit::TempFail)
}

/// The exit code where a queue keeps whoever may be reached later: what was refused for good counts, nothing else.
pub fn exit_code_kept(outcomes: &[Outcome]) -> Exit {
    let refused = outcomes.iter().filter(|outcome| outcome.fate == Fate::Refused);
    gravest(refused.map(|outcome| outcome.exit)).unwrap_or(Exit::Ok)
}

/// The gravest of several codes, as [`exit_code`] weighs them.
pub fn gravest(exits: impl Iterator<Item = Exit>) -> Option<Exit> {
    let weight = |exit: Exit| match exit {
        Exit::Ok => 0,
        Exit::TempFail => 1,
        Exit::NoUser => 2,
        _ => 3,
    };
    exits.max_by_key(|exit| weight(*exit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_concluded_is_for_later_or_failed_and_the_exit_code_says_which() {
        for fate in [Fate::Accepted, Fate::Deferred, Fate::Refused, Fate::Unknown] {
            for exit in [Exit::Ok, Exit::TempFail, Exit::NoHost, Exit::Protocol, Exit::NoPerm] {
                let mut outcome = Outcome { recipient: Address::parse("a@b.test").unwrap(), fate, exit, reply: None, server: None };
                outcome.conclude();
                assert_eq!(outcome.exit, exit);
                assert!(outcome.fate != Fate::Deferred || exit == Exit::TempFail, "{fate:?}, {exit:?}");
                assert!(outcome.fate == fate || (fate, outcome.fate) == (Fate::Deferred, Fate::Refused));
            }
        }
    }

    #[test]
    fn a_reply_is_shortened_between_characters() {
        let reply = |lines: Vec<String>| Reply { code: 550, enhanced: None, lines };
        let short = reply(vec!["no".into(), "really".into()]);
        assert_eq!(short.shortened(), short);
        let long = reply(vec!["é".repeat(400), "ü".repeat(400), "never".into()]).shortened();
        assert_eq!(long.lines, ["é".repeat(400), format!("{}…", "ü".repeat(100))]);
        assert_eq!(reply(vec![format!("x{}", "é".repeat(600))]).shortened().lines[0].len(), 999 + "…".len());
    }
}
