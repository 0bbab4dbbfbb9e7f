//! Does the service take mail of every local program, keep it, and stay there whatever one of them does?
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod client;
mod clock;
#[path = "../common/mod.rs"]
mod common;
mod confined;
mod crowd;
mod ending;
mod hostile;
mod kit;
mod memory;
mod promise;
mod quota;
mod starting;
mod strays;
mod users;

use std::fs;

use kit::{Service, arrive, sink, text};

#[test]
fn what_is_acknowledged_is_sent_and_says_who_handed_it_in() {
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let mut client = service.client();
    client.hello();
    let id = client.message("root@client.test", &["a@sink.test", "b@sink.test"], "Subject: hi\r\nTo: root\r\n\r\nall is well\r\n");
    client.says("QUIT", "221 ");
    let delivery = &arrive(&sink, 1)[0];
    assert_eq!(delivery.transaction.recipients.len(), 2);
    let text = text(delivery);
    let received = text.lines().next().unwrap();
    assert_eq!(received, format!("Received: by client.test (sealpost, from userid {})", rustix::process::getuid().as_raw()));
    assert!(text.lines().nth(1).unwrap().starts_with(&format!(" id {id}; ")), "{text}");
    for line in ["From: ", "Date: ", "Message-ID: <", "To: root@client.test\r", "Subject: hi"] {
        assert!(text.contains(&format!("\n{line}")), "{line} is missing in {text}");
    }
    service.ends();
    let told: Vec<String> = service.log().iter().map(|r| format!("{} {} {}", r["event"], r["status"], r["id"])).collect();
    assert_eq!(told, [format!(r#""queue" "queued" "{id}""#), format!(r#""send" "sent" "{id}""#)]);
}

#[test]
fn a_smarthost_that_is_away_is_no_matter_of_the_caller() {
    let sink = sink();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let service = Service::new(address, "").start();
    let mut client = service.client();
    client.hello();
    client.message("root", &["a@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    service.until_logged("deferred");
    // The log knows it first.
    while !client.says("XQUEUE list", "250-").contains("\"attempts\":1") {}
    assert_eq!(service.waiting(), 1);
    // Another one in its place, and a person who does not want to wait.
    service.configure(sink.address, "");
    service.reload();
    client.says("XQUEUE flush", r#"250 {"flushed":1}"#);
    assert_eq!(text(&arrive(&sink, 1)[0]).lines().last(), Some("hi"));
}

#[test]
fn who_knows_the_service_by_its_socket_alone_sees_what_waits_there() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let service = Service::new(address, "").start();
    let sent = service.sendmail(None, &["-f", "root@client.test", "a@sink.test"], b"Subject: x\n\nhi\n");
    assert_eq!(sent.code, 0, "{sent:?}");
    let listed = service.sendmail(None, &["-bp"], b"");
    assert!(listed.code == 0 && listed.stdout.contains("a@sink.test"), "{listed:?}");
}

#[test]
fn sendmail_hands_its_message_to_the_service_and_is_told_what_it_would_not_take() {
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let sent = service.sendmail(None, &["-f", "root@client.test", "a@sink.test"], b"Subject: x\n\nhi\n");
    assert_eq!((sent.code, sent.stderr.as_str()), (0, ""), "{sent:?}");
    assert_eq!(arrive(&sink, 1).len(), 1);
    let refused = service.sendmail(None, &["-a", "nosuch", "a@sink.test"], b"Subject: x\n\nhi\n");
    assert!(refused.code != 0 && refused.stderr.contains("there is no account `nosuch`"), "{refused:?}");
}

#[test]
fn names_of_this_machine_mean_what_the_service_takes_them_for_and_no_alias_where_the_caller_means_none() {
    let sink = sink();
    let service = Service::new(sink.address, "");
    let text = fs::read_to_string(service.config()).unwrap();
    let aliases = service.scratch.write("aliases", "joe: archive@sink.test\nboss: \\joe\n");
    let aliases = format!("aliases = \"{}\"\ncatch_all = \"rest@sink.test\"", aliases.display());
    service.scratch.write("config.toml", text.replace("aliases = \"\"", &aliases));
    let service = service.start();
    // What is said, and who gets it.
    for (args, sender, recipients) in [
        (["-f", "root", "joe"].as_slice(), "root@client.test", ["archive@sink.test"].as_slice()),
        (&["-f", "", "\\joe"], "", &["joe@client.test"]),
        (&["-f", "", "-n", "joe"], "", &["joe@client.test"]),
        (&["-f", "", "\\joe", "joe"], "", &["joe@client.test", "archive@sink.test"]),
        (&["-f", "", "boss"], "", &["joe@client.test"]),
        (&["-f", "", "who", "a@sink.test"], "", &["rest@sink.test", "a@sink.test"]),
    ] {
        let sent = service.sendmail(None, args, b"Subject: x\n\nhi\n");
        assert_eq!((sent.code, sent.stderr.as_str()), (0, ""), "{args:?}");
        let [delivery] = arrive(&sink, 1).try_into().unwrap();
        let got: Vec<&str> = delivery.transaction.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
        assert_eq!((delivery.transaction.sender.as_str(), got.as_slice()), (sender, recipients), "{args:?}");
    }
}
