//! Can anything that others say break a line, drive a terminal, or grow without bound?

use proptest::prelude::*;
use serde_json::Value;

use super::{account, bare, json, outcome, span, submission};
use crate::{
    error::{Error, Exit, is_treacherous},
    host::{
        config::{Account, Notation, Target},
        journal::{
            journald,
            line::summary,
            record::{Attempt, Record, Submission},
            syslog,
            tls::{Protection, Seen},
        },
    },
    mail::{
        outcome::{Fate, Reply},
        tls::{Certificate, Facts, Failure, Finding},
    },
};

/// A record in which every foreign string is `text`.
pub(super) fn foreign(text: &str) -> Record {
    let certificate = Certificate {
        subject: text.into(),
        issuer: text.into(),
        names: vec![text.into()],
        not_before: text.into(),
        not_after: text.into(),
        sha256: text.into(),
        spki_sha256: text.into(),
    };
    let facts = Facts {
        version: Some(text.into()),
        cipher: Some(text.into()),
        group: Some(text.into()),
        resumed: None,
        certificate: Some(certificate),
    };
    let account = Account { name: text.into(), target: Target::Name(text.into(), 25), ..account() };
    let finding = Finding::new(Failure::ValidationFailure, text);
    let answer = Reply { code: 250, enhanced: None, lines: vec![text.into(), text.into()] };
    let outcomes = [outcome("a@example.com", Fate::Accepted, Exit::Ok, Some(answer.clone()))];
    let attempt = Attempt {
        reply: Some(&answer),
        error: Some(&Error::new(Exit::Protocol, text, text)),
        seen: Seen { offered: None, facts: Some(&facts), ..Seen::default() },
        protection: Protection::Unmet { finding: &finding, sealed_before: false },
        ..bare(&account, &outcomes)
    };
    Record::attempt(span(), &Submission { message_id: Some(text), user: Some(text), ..submission() }, &attempt)
}

fn is_one_harmless_line(form: &str) -> bool {
    form.lines().count() == 1 && !form.trim_end_matches('\n').chars().any(is_treacherous)
}

#[test]
fn no_string_can_forge_a_line_or_drive_a_terminal() {
    let table = [
        ("a\nb", r"a\nb"),
        ("a\r\n{\"time\":1}", r#"a\r\n{\"time\":1}"#),
        ("\x1b[2J\x07\0", r"\u001b[2J\u0007\u0000"),
        ("\x7f\u{9b}31m", r"\u007f\u009b31m"),
        ("\u{2028}\u{2029}\u{85}", r"\u2028\u2029\u0085"),
        ("\u{202e}gpj.exe\u{2066}\u{61c}", r"\u202egpj.exe\u2066\u061c"),
        ("\u{feff}\u{200b}\u{e0041}", r"\ufeff\u200b\udb40\udc41"),
        ("\" \\ é 漢 😀", r#"\" \\ é 漢 😀"#),
        (&String::from_utf8_lossy(b"caf\xe9\xff"), "caf\u{fffd}\u{fffd}"),
    ];
    for (given, escaped) in table {
        let record = foreign(given);
        let line = json(&record);
        assert!(line.contains(&format!("\"user\":\"{escaped}\"")), "{line}");
        for form in [line, syslog::datagram(&record, Notation::Postfix, "sealpost", 1), summary(&record)] {
            assert!(is_one_harmless_line(&form), "{form:?}");
        }
    }
}

#[test]
fn a_value_can_not_pass_for_another_pair_of_the_syslog_line() {
    let line = syslog::line(&foreign("x status=sent tls=verified \"y\\"), Notation::Result);
    assert!(line.contains(r#" user="x status=sent tls=verified \"y\\" "#), "{line}");
}

proptest! {
    #[test]
    fn whatever_is_said_is_one_line_of_json_that_gives_it_back(text in any::<String>()) {
        let record = foreign(&text);
        let line = json(&record);
        prop_assert!(line.ends_with("}}\n") && is_one_harmless_line(&line));
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["user"].as_str(), Some(&*text));
        prop_assert_eq!(value["tls"]["detail"].as_str(), Some(&*text));
        prop_assert_eq!(value["tls"]["certificate"]["names"][0].as_str(), Some(&*text));
        prop_assert_eq!(value["reply"].as_str(), Some(&*format!("{text} {text}")));
    }

    #[test]
    fn however_long_it_is_it_stays_bounded(text in "[\\PC\u{202e}\n]{0,40}", times in 1_usize..200) {
        let record = foreign(&text.repeat(times));
        prop_assert!(json(&record).len() < 160_000);
        prop_assert!(syslog::datagram(&record, Notation::Postfix, "sealpost", u32::MAX).len() < 8192);
        prop_assert!(journald::datagram(&record, Notation::Result, "sealpost").len() < 100_000);
        prop_assert!(summary(&record).len() < 20_000);
        prop_assert!(serde_json::from_str::<Value>(&json(&record)).is_ok());
        for form in [syslog::line(&record, Notation::Result), summary(&record)] {
            prop_assert!(is_one_harmless_line(&form), "{:?}", form);
        }
    }
}
