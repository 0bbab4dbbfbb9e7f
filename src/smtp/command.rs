//! How is each command spelled on the wire? (RFC 5321 4.1, 1870, 2033, 3030, 3461, 6152, 6531, 8689)
//!
//! Every line is built here, out of values that can't hold a line end; what would be a control character all the same ends the
//! line, so that no argument can become a second command.

use std::collections::BTreeSet;

use crate::mail::{
    address::ReversePath,
    envelope::{Dsn, Notify, Recipient, Ret, xtext},
    stray::Stray,
};

/// What only the service of this machine is told, by parameters of MAIL that are its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// `XACCOUNT=`: the account that the caller chose.
    pub account: Option<String>,
    /// `XDEFAULT`: the caller named no sender, so the service chooses it.
    pub default_sender: bool,
    /// `XSTRAYS=`: what the sender is to be told of, each followed by what is wrong with it, with commas between them.
    pub strays: Vec<Stray>,
    /// A backslash: for these, places among the recipients, no alias is meant.
    pub verbatim: BTreeSet<usize>,
}

/// What a MAIL command declares beside the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Declared<'a> {
    /// `SIZE=`, in octets.
    pub size: Option<u64>,
    /// `BODY=8BITMIME`.
    pub eight_bit: bool,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `REQUIRETLS`.
    pub requiretls: bool,
    /// `RET=` and `ENVID=`.
    pub dsn: Option<&'a Dsn>,
    /// What the service of this machine is told.
    pub handover: Option<&'a Handover>,
}

/// One command line: `words`, ended by CRLF.
pub fn line(words: &str) -> Vec<u8> {
    let clean = words.split(|c: char| c.is_ascii_control()).next().unwrap_or_default();
    let mut line = Vec::with_capacity(clean.len() + 2);
    line.extend_from_slice(clean.as_bytes());
    line.extend_from_slice(b"\r\n");
    line
}

/// `MAIL FROM:<…>` with its parameters.
pub fn mail(sender: &ReversePath, declared: Declared<'_>) -> Vec<u8> {
    let mut words = format!("MAIL FROM:<{sender}>");
    if let Some(size) = declared.size {
        words.push_str(&format!(" SIZE={size}"));
    }
    if declared.eight_bit {
        words.push_str(" BODY=8BITMIME");
    }
    if declared.smtputf8 {
        words.push_str(" SMTPUTF8");
    }
    if declared.requiretls {
        words.push_str(" REQUIRETLS");
    }
    if let Some(dsn) = declared.dsn {
        match dsn.ret {
            // Never the whole of a message that nobody else may read (RFC 8689 5).
            Some(Ret::Full) if declared.requiretls => words.push_str(" RET=HDRS"),
            Some(Ret::Full) => words.push_str(" RET=FULL"),
            Some(Ret::Headers) => words.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &dsn.envid {
            words.push_str(&format!(" ENVID={}", xtext(envid)));
        }
    }
    if let Some(handover) = declared.handover {
        if let Some(account) = &handover.account {
            words.push_str(&format!(" XACCOUNT={}", xtext(account)));
        }
        if handover.default_sender {
            words.push_str(" XDEFAULT");
        }
        if !handover.strays.is_empty() {
            words.push_str(&format!(" XSTRAYS={}", listed(&handover.strays)));
        }
    }
    line(&words)
}

fn listed(strays: &[Stray]) -> String {
    let words = strays.iter().flat_map(|stray| [&stray.text, &stray.because]);
    words.map(|word| xtext(word).replace(',', "+2C")).collect::<Vec<_>>().join(",")
}

/// `RCPT TO:<…>` for a recipient for whom the service of this machine is to look no alias up.
pub fn verbatim_rcpt(recipient: &Recipient, notify: Option<Notify>) -> Vec<u8> {
    let mut said = rcpt(recipient, notify);
    // A quoted name can't have a backslash before it; it is hardly anybody's alias.
    if !said.starts_with(b"RCPT TO:<\"") {
        said.insert(b"RCPT TO:<".len(), b'\\');
    }
    said
}

/// `RCPT TO:<…>`, with NOTIFY and ORCPT where `notify` is asked for of a server that knows DSN.
pub fn rcpt(recipient: &Recipient, notify: Option<Notify>) -> Vec<u8> {
    let mut words = format!("RCPT TO:<{}>", recipient.address);
    if let Some(notify) = notify {
        words.push_str(&format!(" NOTIFY={}", notified(notify)));
        let original = recipient.original.as_ref().unwrap_or(&recipient.address);
        // ORCPT of an internationalised address needs the utf-8 type of RFC 6533; leaving it out is always allowed.
        if !original.needs_smtputf8() {
            words.push_str(&format!(" ORCPT=rfc822;{}", xtext(&original.to_string())));
        }
    }
    line(&words)
}

/// `BDAT n` or `BDAT n LAST` (RFC 3030 2).
pub fn bdat(octets: usize, last: bool) -> Vec<u8> {
    line(&format!("BDAT {octets}{}", if last { " LAST" } else { "" }))
}

fn notified(notify: Notify) -> String {
    let Notify::When { success, failure, delay } = notify else { return "NEVER".to_owned() };
    let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
    words.iter().filter(|(wanted, _)| *wanted).map(|(_, word)| *word).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::address::Address;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn recipient(text: &str) -> Recipient {
        Recipient { address: address(text), original: None, notify: None }
    }

    #[test]
    fn nothing_can_become_a_second_command() {
        assert_eq!(line("EHLO x\r\nRSET"), b"EHLO x\r\n");
        assert_eq!(line("EHLO x\nRSET"), b"EHLO x\r\n");
        assert_eq!(line("EHLO x\0"), b"EHLO x\r\n");
    }

    #[test]
    fn mail_declares_what_it_is_told_to() {
        assert_eq!(mail(&ReversePath::Null, Declared::default()), b"MAIL FROM:<>\r\n");
        let dsn = Dsn { notify: None, ret: Some(Ret::Headers), envid: Some("a+b=c".into()) };
        let declared = Declared { size: Some(7), eight_bit: true, smtputf8: true, dsn: Some(&dsn), ..Declared::default() };
        let said = mail(&ReversePath::Address(address("a@b.test")), declared);
        assert_eq!(
            String::from_utf8(said).unwrap(),
            "MAIL FROM:<a@b.test> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3Dc\r\n"
        );
    }

    #[test]
    fn a_message_that_wants_tls_all_the_way_does_not_come_back_whole() {
        let dsn = Dsn { notify: None, ret: Some(Ret::Full), envid: None };
        for (requiretls, said) in
            [(true, "MAIL FROM:<a@b.test> REQUIRETLS RET=HDRS\r\n"), (false, "MAIL FROM:<a@b.test> RET=FULL\r\n")]
        {
            let declared = Declared { requiretls, dsn: Some(&dsn), ..Declared::default() };
            assert_eq!(String::from_utf8(mail(&ReversePath::Address(address("a@b.test")), declared)).unwrap(), said);
        }
    }

    #[test]
    fn rcpt_asks_for_reports_with_the_original_address() {
        assert_eq!(rcpt(&recipient("a@b.test"), None), b"RCPT TO:<a@b.test>\r\n");
        let notify = Notify::When { success: false, failure: true, delay: true };
        let changed = Recipient { original: Some(address("root+x@c.test")), ..recipient("a@b.test") };
        assert_eq!(
            String::from_utf8(rcpt(&changed, Some(notify))).unwrap(),
            "RCPT TO:<a@b.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;root+2Bx@c.test\r\n"
        );
        assert!(String::from_utf8(rcpt(&recipient("a@b.test"), Some(Notify::Never))).unwrap().contains("NOTIFY=NEVER"));
        assert_eq!(verbatim_rcpt(&recipient("a@b.test"), None), b"RCPT TO:<\\a@b.test>\r\n");
        assert_eq!(verbatim_rcpt(&recipient("\"a b\"@b.test"), None), b"RCPT TO:<\"a b\"@b.test>\r\n");
    }
}
