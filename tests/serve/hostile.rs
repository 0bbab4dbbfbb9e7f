//! Can a client that is garbage, greedy, or gone do more than lose its own message?

use std::io::Write as _;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::kit::{Service, arrive, sink};

#[test]
fn whatever_a_client_does_the_next_one_is_served() {
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let huge = vec![b'x'; 100_000];
    let envelope = "EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\n";
    let attacks: [&[u8]; 12] = [
        b"",
        b"\0\0\0\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &huge,
        b"EHLO \xff\xfe\r\n",
        b"EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\nSubject: half",
        b"EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\nBDAT 1000000\r\nSubject: half",
        b"EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\nBDAT 18446744073709551615 LAST\r\nhalf",
        b"EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\nBDAT 4\r\nhalfBDAT 4 LAST\r\nha",
        b"EHLO x\r\nXQUEUE show ../../etc/passwd\r\nXQUEUE hold %00\r\nXQUEUE\r\nXQUEUE list \xe2\x80\xae\r\n",
        b"EHLO x\r\nMAIL FROM:<> XACCOUNT=+00\r\nMAIL FROM:<a@b SIZE=1>\r\nRCPT TO:<|id>\r\nRCPT TO:</tmp/x>\r\n",
    ];
    for attack in attacks {
        let mut client = service.client();
        // It may have been thrown out by then.
        let _ = client.stream.write_all(attack);
    }
    let mut many = service.client();
    many.hello();
    for n in 0..30 {
        many.write(b"NONSENSE\r\n");
        if many.reply().starts_with("421 ") {
            assert!(n >= 20);
            break;
        }
    }
    let mut crowd = service.client();
    crowd.write(envelope.as_bytes());
    let mut writer = crowd.stream.try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        let line = format!("RCPT TO:<{}@sink.test>\r\n", "r".repeat(200));
        // It may have been thrown out by then.
        let _ = writer.write_all(line.repeat(20_000).as_bytes());
    });
    while !crowd.reply().starts_with("452 4.5.3 ") {}
    drop(crowd.stream.shutdown(std::net::Shutdown::Both));
    flood.join().unwrap();
    let mut client = service.client();
    client.hello();
    client.message("root", &["you@sink.test"], "Subject: fine\r\n\r\nhi\r\n");
    assert!(crate::kit::text(&arrive(&sink, 1)[0]).contains("Subject: fine"));
    service.ends();
    assert_eq!((service.names("queue"), service.errors().as_str()), (Vec::new(), ""));
}

#[test]
fn no_octets_end_the_service_or_become_a_message_that_was_not_meant() {
    let service = Service::new(([127, 0, 0, 1], 9).into(), "").start();
    let words = prop_oneof![
        Just(b"EHLO x\r\n".to_vec()),
        Just(b"MAIL FROM:<root>\r\n".to_vec()),
        Just(b"RCPT TO:<a@b.test>\r\n".to_vec()),
        Just(b"DATA\r\n".to_vec()),
        Just(b"BDAT 5\r\n".to_vec()),
        Just(b"\n.\n".to_vec()),
        Just(b"XQUEUE list all\r\n".to_vec()),
        vec(any::<u8>(), 0..40),
    ];
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&vec(words, 0..12), |said| {
        let mut client = service.client();
        let _ = client.stream.write_all(&said.concat());
        Ok(())
    });
    ran.unwrap();
    let mut client = service.client();
    client.hello();
    let id = client.message("root", &["you@sink.test"], "Subject: fine\r\n\r\nhi\r\n");
    assert!(service.names("queue").contains(&id));
}

#[test]
fn a_message_too_large_is_refused_and_takes_no_room() {
    let service = Service::new(([127, 0, 0, 1], 9).into(), "");
    let text = std::fs::read_to_string(service.config()).unwrap();
    service.scratch.write("config.toml", text.replace("[serve]", "[limits]\nmessage_size = \"1 MiB\"\n[serve]"));
    let service = service.start();
    let mut client = service.client();
    client.hello();
    client.says("MAIL FROM:<root> SIZE=1048577", "552 5.3.4 ");
    client.envelope("root", &["you@sink.test"]);
    client.write("0123456789abcde\r\n".repeat(70_000).as_bytes());
    client.says(".", "552 5.3.4 ");
    client.message("root", &["you@sink.test"], "Subject: small\r\n\r\nhi\r\n");
    assert_eq!(service.waiting(), 1);
}
