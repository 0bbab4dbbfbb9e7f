//! What does a person read when something goes wrong, and which code does the caller get? (sysexits.h)

use std::fmt;

/// The exit codes of sysexits(3), as far as sealpost uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Every recipient was accepted.
    Ok = 0,
    /// The command line is wrong, or nobody is addressed.
    Usage = 64,
    /// The message or an address can't be sent as it is.
    DataErr = 65,
    /// An input can't be read.
    NoInput = 66,
    /// A recipient was refused for good.
    NoUser = 67,
    /// The smarthost's name does not exist.
    NoHost = 68,
    /// The server refuses service for good.
    Unavailable = 69,
    /// A fault of sealpost itself.
    Software = 70,
    /// A fault of the operating system.
    OsErr = 71,
    /// An output file can't be created.
    CantCreat = 73,
    /// Reading or writing failed.
    IoErr = 74,
    /// It may work later.
    TempFail = 75,
    /// The server broke the protocol for good.
    Protocol = 76,
    /// Authentication was refused, or the caller may not do this.
    NoPerm = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// The number that the process returns.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The name in sysexits.h, for the log and the manual.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "EX_OK",
            Self::Usage => "EX_USAGE",
            Self::DataErr => "EX_DATAERR",
            Self::NoInput => "EX_NOINPUT",
            Self::NoUser => "EX_NOUSER",
            Self::NoHost => "EX_NOHOST",
            Self::Unavailable => "EX_UNAVAILABLE",
            Self::Software => "EX_SOFTWARE",
            Self::OsErr => "EX_OSERR",
            Self::CantCreat => "EX_CANTCREAT",
            Self::IoErr => "EX_IOERR",
            Self::TempFail => "EX_TEMPFAIL",
            Self::Protocol => "EX_PROTOCOL",
            Self::NoPerm => "EX_NOPERM",
            Self::Config => "EX_CONFIG",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure as a person meets it: what we were doing, why it failed, what to do now, and the exit code for the caller.
///
/// Nothing secret may be put in; control characters of foreign text are escaped when it is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    exit: Exit,
    doing: String,
    because: String,
    excerpt: Option<String>,
    hint: Option<String>,
}

impl Error {
    /// `doing` is a participle phrase ("reading /etc/…"), `because` says what went wrong.
    pub fn new(exit: Exit, doing: impl Into<String>, because: impl Into<String>) -> Self {
        Self { exit, doing: doing.into(), because: because.into(), excerpt: None, hint: None }
    }

    /// Adds one sentence on what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds lines that show the place (a line of the configuration with a caret below it).
    #[must_use]
    pub fn excerpt(mut self, lines: impl Into<String>) -> Self {
        self.excerpt = Some(lines.into());
        self
    }

    /// The same failure with another code: of several, the gravest one is returned.
    #[must_use]
    pub fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The same failure, which another one made worse: both are told, and what to do about the other.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let because = format!("{}; and {}", self.because, other.summary());
        Self { because, hint: other.hint.clone().or(self.hint), ..self }
    }

    /// The code that the process returns.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What was being done, alone: not escaped.
    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// Why it failed, alone: foreign text, not escaped.
    pub fn because(&self) -> &str {
        &self.because
    }

    /// Why it failed, in one line: what the log keeps as `error`.
    pub fn summary(&self) -> String {
        format!("{}: {}", printable(&self.doing), printable(&self.because))
    }

    /// The hint, where there is one.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The text for a terminal: `PROGRAM: DOING: WHY`, the excerpt, and `PROGRAM: hint: …`; ends with a newline.
    pub fn render(&self, program: &str) -> String {
        let mut text = format!("{program}: {}\n", self.summary());
        if let Some(lines) = &self.excerpt {
            for line in lines.lines() {
                text.push_str(&printable(line));
                text.push('\n');
            }
        }
        if let Some(hint) = &self.hint {
            text.extend([program, ": hint: ", &printable(hint), "\n"]);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Error {}

/// Foreign text, made safe for a terminal or a line of a log: whatever [`is_treacherous`] is shown as an escape, so that no
/// input can forge a line or drive a terminal.
pub fn printable(text: &str) -> String {
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_treacherous(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether a character can forge a line, drive a terminal, or reorder or hide what stands beside it: controls (C0, DEL, C1),
/// line and paragraph separators, the marks of bidirectional text (UAX 9), and what is invisible by design.
pub fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = Error::new(Exit::TempFail, "connecting to mx:587", "connection refused").hint("is the port right?");
        assert_eq!(
            error.render("sendmail"),
            "sendmail: connecting to mx:587: connection refused\nsendmail: hint: is the port right?\n"
        );
        assert_eq!(error.exit().code(), 75);
    }

    #[test]
    fn foreign_text_can_neither_forge_a_line_nor_drive_a_terminal() {
        let error = Error::new(Exit::Protocol, "greeting", "550 no\r\nsendmail: sent \x1b[2J\u{202e}");
        assert_eq!(error.render("sendmail").lines().count(), 1);
        assert!(!error.render("sendmail").contains('\x1b'));
        assert!(!error.render("sendmail").contains('\u{202e}'));
    }
}
