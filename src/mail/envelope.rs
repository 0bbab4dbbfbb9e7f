//! Who sends to whom, and what report is asked for? (RFC 5321 3.3, 3461, 5322 3.6.6)

use std::fmt::{self, Write};

use super::address::{Address, AddressError, ReversePath, Spec};
use super::list;
use super::policy::Request;

/// Octets of ENVID as it stands on the wire (RFC 3461 4.4).
const ENVID_MAX: usize = 100;

/// Sender, recipients and the wish for delivery reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL FROM.
    pub sender: ReversePath,
    /// RCPT TO, without duplicates.
    pub recipients: Vec<Recipient>,
    /// NOTIFY, RET and ENVID.
    pub dsn: Dsn,
    /// REQUIRETLS: [`Request::Require`], of a report perhaps [`Request::Prefer`], or [`Request::Nothing`].
    pub request: Request,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where the mail goes.
    pub address: Address,
    /// The address as the caller gave it, where aliases changed it: ORCPT (RFC 3461 4.2).
    pub original: Option<Address>,
    /// NOTIFY of this recipient alone; `None`: what the envelope says for all.
    pub notify: Option<Notify>,
}

impl Envelope {
    /// When a report on a recipient is wanted: by its own NOTIFY, else by that of all.
    pub fn notify(&self, recipient: &Recipient) -> Option<Notify> {
        recipient.notify.or(self.dsn.notify)
    }
}

/// What the caller asked of delivery status notifications (RFC 3461 4); said only where the server offers DSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dsn {
    /// NOTIFY of every recipient that has none of its own.
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

impl Notify {
    /// Reads `never`, or a list of `success`, `failure` and `delay` with commas, in any case.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let (mut success, mut failure, mut delay, mut never) = (false, false, false, false);
        for word in text.split(',').map(|word| word.trim_matches(' ')) {
            let flag = match word.to_ascii_lowercase().as_str() {
                "success" => &mut success,
                "failure" => &mut failure,
                "delay" => &mut delay,
                "never" => &mut never,
                _ => return Err(DsnError::Notify),
            };
            *flag = true;
        }
        match (never, success || failure || delay) {
            (true, true) => Err(DsnError::NeverAlone),
            (true, false) => Ok(Self::Never),
            _ => Ok(Self::When { success, failure, delay }),
        }
    }
}

/// The value of the NOTIFY parameter (RFC 3461 4.1).
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::When { success, failure, delay } = *self else { return f.write_str("NEVER") };
        let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let mut first = true;
        for (_, word) in words.iter().filter(|(wanted, _)| *wanted) {
            f.write_str(if first { "" } else { "," })?;
            f.write_str(word)?;
            first = false;
        }
        Ok(())
    }
}

/// How much of the message a report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// All of it.
    Full,
    /// The header only.
    Headers,
}

impl Ret {
    /// Reads `full` or `hdrs`, in any case.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        match text.to_ascii_lowercase().as_str() {
            "full" => Ok(Self::Full),
            "hdrs" => Ok(Self::Headers),
            _ => Err(DsnError::Ret),
        }
    }

    /// The value of the RET parameter (RFC 3461 4.3).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

/// Checks an envelope identifier given as plain text: printable ASCII, at most 100 octets as [`xtext`], not empty.
pub fn parse_envid(text: &str) -> Result<String, DsnError> {
    let printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if !printable || text.is_empty() || xtext(text).len() > ENVID_MAX {
        return Err(DsnError::Envid);
    }
    Ok(text.to_owned())
}

/// Text as xtext, for ENVID and ORCPT (RFC 3461 4): `+`, `=`, spaces, and all but printable ASCII as `+` and two hex digits.
pub fn xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'+' && byte != b'=' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "+{byte:02X}");
        }
    }
    encoded
}

/// What is wrong with a wish for delivery reports; reads on after the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnError {
    /// NOTIFY has an unknown word, or none.
    Notify,
    /// NOTIFY has NEVER and something else.
    NeverAlone,
    /// RET is neither.
    Ret,
    /// ENVID is empty, too long or not printable ASCII.
    Envid,
}

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Notify => "wants never, or success, failure and delay with commas between them",
            Self::NeverAlone => "can't combine never with other words",
            Self::Ret => "wants full or hdrs",
            Self::Envid => "wants 1 to 100 printable ASCII characters",
        })
    }
}

impl std::error::Error for DsnError {}

/// What `-f` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderArg {
    /// `''` or `<>`: nobody.
    Null,
    /// An address or bare name.
    Spec(Spec),
}

impl SenderArg {
    /// The sender as MAIL says it; a bare name gets `domain`.
    pub fn qualify(&self, domain: &str) -> Result<ReversePath, AddressError> {
        match self {
            Self::Null => Ok(ReversePath::Null),
            Self::Spec(spec) => spec.qualify(domain).map(ReversePath::Address),
        }
    }
}

/// Reads the value of `-f`: nothing or `<>`, a bare name, an address, or `Name <address>`; just one.
pub fn parse_sender(text: &str) -> Result<SenderArg, AddressError> {
    if matches!(text.trim_matches(' '), "" | "<>") {
        return Ok(SenderArg::Null);
    }
    let mut list = list::parse_word(text);
    if let Some(fault) = list.faults.first() {
        return Err(fault.error);
    }
    let mailbox = list.mailboxes.pop().ok_or(AddressError::Nobody)?;
    if list.mailboxes.is_empty() { Ok(SenderArg::Spec(mailbox.spec)) } else { Err(AddressError::Several) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sender_is_nobody_or_exactly_one() {
        use AddressError as E;
        for (text, expected) in [
            ("", Ok("")),
            ("<>", Ok("")),
            (" <> ", Ok("")),
            ("a@b", Ok("a@b")),
            ("<a@b>", Ok("a@b")),
            ("Name <a@b>", Ok("a@b")),
            ("a@b (Name)", Ok("a@b")),
            ("www-data", Ok("www-data@x.y")),
            (r"\root", Ok("root@x.y")),
            ("a b c", Err(E::Space)),
            ("a@b, c@d", Err(E::Several)),
            ("a@b c@d", Err(E::Several)),
            ("a@b, bad addr", Err(E::Space)),
            ("x:;", Err(E::Nobody)),
            ("Name <>", Err(E::Nobody)),
            ("a@b\nRCPT TO:<c@d>", Err(E::Control)),
            ("a@b\r\n c@d", Err(E::Control)),
            ("|cmd", Err(E::Program)),
        ] {
            let sender = parse_sender(text).and_then(|s| s.qualify("x.y")).map(|s| s.to_string());
            assert_eq!(sender, expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn notify_is_never_or_a_list_in_any_case() {
        for (text, expected) in [
            ("never", Ok("NEVER")),
            ("failure,delay", Ok("FAILURE,DELAY")),
            ("Delay, SUCCESS,delay", Ok("SUCCESS,DELAY")),
            ("", Err(DsnError::Notify)),
            ("failure,", Err(DsnError::Notify)),
            ("always", Err(DsnError::Notify)),
            ("never,delay", Err(DsnError::NeverAlone)),
            ("success\r\n", Err(DsnError::Notify)),
        ] {
            assert_eq!(Notify::parse(text).map(|n| n.to_string()), expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn ret_is_full_or_hdrs() {
        assert_eq!(Ret::parse("Full").map(Ret::as_str), Ok("FULL"));
        assert_eq!(Ret::parse("hdrs").map(Ret::as_str), Ok("HDRS"));
        assert_eq!(Ret::parse("body"), Err(DsnError::Ret));
    }

    #[test]
    fn an_envid_is_short_and_printable() {
        assert_eq!(parse_envid("QQ 314"), Ok("QQ 314".to_owned()));
        for bad in ["", "a\nb", "ä", &"x".repeat(101), &"+".repeat(34)] {
            assert_eq!(parse_envid(bad), Err(DsnError::Envid), "{bad:?}");
        }
    }

    #[test]
    fn xtext_hides_plus_equals_spaces_and_what_is_not_ascii() {
        assert_eq!(xtext("a+b=c d\r\nä"), "a+2Bb+3Dc+20d+0D+0A+C3+A4");
    }

    proptest! {
        #[test]
        fn no_sender_reaches_the_wire_with_a_control_character_or_without_a_domain(text in any::<String>()) {
            if let Ok(ReversePath::Address(address)) = parse_sender(&text).and_then(|s| s.qualify("x.y")) {
                let said = address.to_string();
                prop_assert!(!said.chars().any(char::is_control));
                prop_assert_eq!(Address::parse(&said), Ok(address));
            }
        }

        #[test]
        fn xtext_is_one_printable_word(text in any::<String>()) {
            prop_assert!(xtext(&text).bytes().all(|b| b.is_ascii_graphic() && b != b'='));
        }
    }
}
