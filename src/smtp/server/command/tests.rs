//! Are commands taken as clients write them, and nothing else for one?

use proptest::prelude::*;

use super::*;
use crate::{
    mail::{address::ReversePath, list},
    smtp::command::{self, Declared, Handover},
};

fn sender(line: &str) -> Option<String> {
    match Command::parse(line) {
        Ok(Command::Mail(mail)) => Some(mail.sender),
        _ => None,
    }
}

#[test]
fn addresses_are_taken_as_clients_write_them() {
    let cases = [
        ("MAIL FROM:<>", Some("")),
        ("MAIL FROM:<a@b.example>", Some("a@b.example")),
        ("mail from: <a@b.example>  ", Some("a@b.example")),
        ("MAIL FROM:a@b.example SIZE=3", Some("a@b.example")),
        ("MAIL FROM:<root>", Some("root")),
        ("MAIL FROM:<@x,@y:a@b>", Some("a@b")),
        (r#"MAIL FROM:<"a> b"@c>"#, Some(r#""a> b"@c"#)),
        (r#"MAIL FROM:<"a\" b"@c>"#, Some(r#""a\" b"@c"#)),
        ("MAIL FROM:<\u{e9}@b> SMTPUTF8", Some("\u{e9}@b")),
        ("MAIL FROM:", None),
        ("MAIL TO:<a@b>", None),
        ("MAIL FROM:<a@b", None),
        ("MAIL FROM:<a@b>x", None),
        ("MAIL FROM:<a b@c>", None),
        ("MAIL FROM:<a@b> <c@d>", None),
        ("MAIL FROM:<<a@b>>", None),
        ("MAIL FROM:<@b>", None),
        ("MAIL FROM:<a@>", None),
        (r#"MAIL FROM:<"a@b>"#, None),
        ("MAIL FROM:<a\u{7}@b>", None),
        ("MAIL FROM:<a@b\rc>", None),
    ];
    for (line, expected) in cases {
        assert_eq!(sender(line).as_deref(), expected, "{line}");
    }
    assert_eq!(sender(&format!("MAIL FROM:<{}@b>", "a".repeat(600))), None);
}

#[test]
fn parameters_are_understood_or_refused() {
    let line = "MAIL FROM:<a@b> SIZE=12 body=8bitmime SMTPUTF8 RET=HDRS ENVID=x+2By AUTH=<>";
    let Ok(Command::Mail(mail)) = Command::parse(line) else { panic!("{line}") };
    assert_eq!((mail.size, mail.eight_bit, mail.smtputf8, mail.ret), (Some(12), true, true, Some(Ret::Headers)));
    assert_eq!(mail.envid.as_deref(), Some("x+y"));
    assert_eq!(mail.keywords, ["SIZE", "8BITMIME", "SMTPUTF8", "DSN", "DSN", "AUTH"]);
    let line = "RCPT TO:<a@b> NOTIFY=success,DELAY ORCPT=rfc822;c+3Dd@e";
    let Ok(Command::Rcpt(rcpt)) = Command::parse(line) else { panic!("{line}") };
    assert_eq!(rcpt.recipient.notify, Some(Notify::When { success: true, failure: false, delay: true }));
    assert_eq!(rcpt.recipient.original.as_deref(), Some("rfc822;c=d@e"));
    for wrong in [
        "MAIL FROM:<a@b> SIZE=-1",
        "MAIL FROM:<a@b> SIZE=99999999999999999999",
        "MAIL FROM:<a@b> SIZE",
        "MAIL FROM:<a@b> SIZE=1 SIZE=2",
        "MAIL FROM:<a@b> BODY=BINARYMIME",
        "MAIL FROM:<a@b> ENVID=a+0Ab",
        "MAIL FROM:<a@b> ENVID=a+0",
        "MAIL FROM:<a@b> REQUIRETLS=no",
        "MAIL FROM:<a@b> COLOUR=blue",
        "RCPT TO:<>",
        "RCPT TO:<a@b> NOTIFY=NEVER,DELAY",
        "RCPT TO:<a@b> ORCPT=nobody",
    ] {
        assert!(Command::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn commands_are_told_apart_by_their_first_word() {
    let cases = [
        ("ehlo  host.example ", Ok(Command::Hello(Hello::Ehlo, "host.example".to_owned()))),
        ("BDAT 12", Ok(Command::Bdat { size: 12, last: false })),
        ("bdat 0 last", Ok(Command::Bdat { size: 0, last: true })),
        ("AUTH PLAIN =", Ok(Command::Auth { mechanism: "PLAIN".to_owned(), initial: Some("=".to_owned()) })),
        ("NOOP whatever", Ok(Command::Noop)),
        ("GET / HTTP/1.1", Ok(Command::Http)),
        ("STARTTLS now", Err("501 5.5.4 nothing may follow this command")),
        ("BDAT 12 FIRST", Err(SYNTAX)),
        ("AUTH", Err(SYNTAX)),
        ("EHLO", Err("501 5.5.4 who are you? a host name must follow")),
        ("", Err("500 5.5.2 unknown command")),
        ("XYZZY", Err("500 5.5.2 unknown command")),
    ];
    for (line, expected) in cases {
        assert_eq!(Command::parse(line), expected, "{line}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_the_parser_panic_or_let_control_characters_through(line in any::<String>(), verb in "(MAIL FROM:|RCPT TO:)<?") {
        let _ = Command::parse(&line);
        match Command::parse(&format!("{verb}{line}")) {
            Ok(Command::Mail(mail)) => prop_assert!(!mail.sender.contains(char::is_control)),
            Ok(Command::Rcpt(rcpt)) => prop_assert!(!rcpt.recipient.address.contains(char::is_control)),
            _ => {}
        }
    }

    #[test]
    fn what_is_no_address_comes_through_unchanged(text in prop_oneof![any::<String>(), "([ab@,+=<\"\u{e9}]{1,9},){1,20}"]) {
        let Some(strays) = Stray::all(&list::parse(&text).faults) else { return Ok(()) };
        let handover = Handover { strays: strays.clone(), ..Handover::default() };
        let said = command::mail(&ReversePath::Null, Declared { handover: Some(&handover), ..Declared::default() });
        let said = String::from_utf8(said).unwrap();
        let Ok(Command::Mail(mail)) = Command::parse(said.trim_end()) else { panic!("{said}") };
        prop_assert!(said.len() < 8000);
        prop_assert_eq!(mail.strays, strays);
    }

    #[test]
    fn an_address_comes_through_unchanged(address in "[a-z]{1,9}@[a-z]{1,9}", size in any::<u64>()) {
        let Ok(Command::Mail(mail)) = Command::parse(&format!("MAIL FROM:<{address}> SIZE={size}")) else { panic!() };
        prop_assert_eq!((mail.sender, mail.size), (address, Some(size)));
    }
}
