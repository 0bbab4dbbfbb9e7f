//! Does a message that a client hands in become what the caller may send, and nothing else?

use super::*;
use crate::{
    host::{
        config,
        world::{Pretend, Seen, User},
    },
    mail::{content::Form, envelope::Notify},
};

const CONFIG: &str = r#"
default_account = "relay"
mail_domain = "example.com"
aliases = ""
[log]
file = ""
[accounts.relay]
host = "smtp.example.com"
from = "cron@example.com"
[accounts.open]
host = "smtp.example.com"
from_policy = "free"
[accounts.fixed]
host = "smtp.example.com"
from = "noreply@example.com"
from_policy = "fixed"
match = ["*@fixed.example"]
"#;

fn config() -> Config {
    config::parse(&Pretend::default(), std::path::Path::new("config.toml"), CONFIG).unwrap()
}

fn mail(sender: &str) -> Transaction {
    Transaction { sender: sender.to_owned(), recipients: vec![to("you@example.org")], ..Transaction::default() }
}

fn to(address: &str) -> Recipient {
    Recipient { address: address.to_owned(), ..Recipient::default() }
}

/// What MAIL comes to: the account and the sender, or the reply.
fn asked(mail: &Transaction, host: Host) -> String {
    let (machine, config) = (Pretend::default(), config());
    let world = Seen::by_guest(&machine, 1000, User { login: "alice".to_owned(), full_name: "Alice Example".to_owned() });
    let reception = Reception::new(&world, &config, host, None);
    match reception.sender(mail) {
        Ok(origin) => format!("{} <{}>", origin.account.name, origin.sender),
        Err(refusal) => refusal.code.to_owned(),
    }
}

#[test]
fn a_caller_of_the_service_sends_as_itself_or_the_account_and_as_nobody_else() {
    let service = Host::Service { free: false };
    for (sender, expected) in [
        ("cron@example.com", "relay <cron@example.com>"),
        ("alice@EXAMPLE.com", "relay <alice@EXAMPLE.com>"),
        ("alice", "relay <alice@example.com>"),
        ("", "relay <>"),
        ("bob@example.com", "553 5.7.1"),
        ("root", "553 5.7.1"),
        ("Alice@example.com", "553 5.7.1"),
        ("a@b@c", "501 5.1.7"),
        ("x@fixed.example", "fixed <noreply@example.com>"),
    ] {
        assert_eq!(asked(&mail(sender), service), expected, "{sender}");
    }
    assert_eq!(asked(&mail("bob@example.com"), Host::Service { free: true }), "relay <bob@example.com>");
    assert_eq!(asked(&mail("x@fixed.example"), Host::Service { free: true }), "fixed <noreply@example.com>");
    assert_eq!(asked(&mail("bob@example.com"), Host::Caller), "relay <bob@example.com>");
}

#[test]
fn an_account_is_named_or_chosen_and_a_sender_is_asked_for_or_the_usual_one() {
    let named =
        |account: &str, any_sender| Transaction { account: Some(account.to_owned()), any_sender, ..mail("bob@example.com") };
    let service = Host::Service { free: false };
    assert_eq!(asked(&named("open", false), service), "open <bob@example.com>");
    assert_eq!(asked(&named("open", true), service), "open <alice@example.com>");
    assert_eq!(asked(&named("relay", true), service), "relay <cron@example.com>");
    assert_eq!(asked(&named("none", true), service), "501 5.5.4");
}

#[test]
fn a_message_is_completed_for_its_caller_and_says_by_whom_it_was_handed_in() {
    let (machine, config) = (Pretend::default().with_env("NAME", "The Service"), config());
    let world = Seen::by_guest(&machine, 1000, User { login: "alice".to_owned(), full_name: "Alice Example".to_owned() });
    let reception = Reception::new(&world, &config, Host::Service { free: false }, None);
    let notify = Some(Notify::Never);
    let recipients = vec![
        Recipient { address: "root".to_owned(), notify, original: Some("rfc822;old@example.org".to_owned()) },
        to("you@example.org"),
        to("you@EXAMPLE.org"),
    ];
    let transaction = Transaction { recipients, envid: Some("x y".to_owned()), ..mail("alice") };
    let mut parcel = reception.begin(&transaction).unwrap();
    parcel.push(b"Subject: hi\r\nBcc: secret@example.org\r\nTo: root\r\n");
    parcel.push(b"\r\nhello\r\n.\r\n");
    let mut received = parcel.finish(&reception).unwrap();
    let entry = received.entry(&world, machine.timestamp());
    let named: Vec<String> = entry
        .head
        .envelope
        .recipients
        .iter()
        .map(|r| format!("{} {:?} {}", r.address, r.notify, r.original.as_ref().map(ToString::to_string).unwrap_or_default()))
        .collect();
    assert_eq!(named, ["root@example.com Some(Never) old@example.org", "you@example.org None "]);
    assert_eq!((entry.head.uid, entry.head.user.as_str(), entry.head.account.as_str()), (1000, "alice", "relay"));
    assert_eq!(entry.head.envelope.dsn.envid.as_deref(), Some("x y"));
    let mut said = Vec::new();
    received.message.rewind(Form::EightBit).unwrap();
    while !received.message.fill(&mut said, 4096).unwrap() {}
    let id = received.id;
    assert_eq!(
        String::from_utf8(said).unwrap(),
        format!(
            "Received: by example.com (sealpost, from userid 1000)\r\n id {id}; Mon, 23 Nov 2026 22:53:01 +0000\r\n\
             Date: Mon, 23 Nov 2026 22:53:01 +0000\r\nFrom: Alice Example <alice@example.com>\r\n\
             Message-ID: <{id}@example.com>\r\nSubject: hi\r\nTo: root@example.com\r\n\r\nhello\r\n.\r\n"
        )
    );
}

#[test]
fn a_recipient_is_an_address_or_a_name_and_never_a_program() {
    let (world, config) = (Pretend::default(), config());
    let reception = Reception::new(&world, &config, Host::Caller, None);
    for (address, expected) in
        [("root", Ok(())), ("\\root", Ok(())), ("a@b.example", Ok(())), ("|id", Err("550 5.1.1")), ("/tmp/x", Err("550 5.1.1"))]
    {
        let answer = reception.recipient(&to(address)).map_err(|refusal| refusal.code);
        assert_eq!(answer, expected, "{address}");
    }
}

#[test]
fn what_is_wrong_with_a_message_is_told_when_it_is_whole() {
    let (world, mut config) = (Pretend::default(), config());
    config.limits.message_size = 10;
    let reception = Reception::new(&world, &config, Host::Caller, None);
    let mut parcel = reception.begin(&mail("")).unwrap();
    parcel.push(b"Subject: x\r\n\r\nlonger than that\r\n");
    parcel.push(b"more\r\n");
    let refusal = parcel.finish(&reception).unwrap_err();
    assert!(refusal.reply().starts_with("554 5.6.0 reading the message: "), "{}", refusal.reply());
}
