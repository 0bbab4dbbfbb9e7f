//! Can the tests fail: does the scripted server notice what a client must not do?

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::common::{PASSWORD, USER, reveals_secret, script::Server};

/// Says `text` to a server that follows `script`, and returns its side and what it said.
fn against(script: &str, text: &str) -> (crate::common::script::Heard, String) {
    let server = Server::start(script, None);
    let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    // A reset after the last reply is as good an end as any.
    let _ = socket.read_to_end(&mut said);
    let heard = server.finish().remove(0);
    (heard, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_client_that_follows_the_script_is_heard_without_complaint() {
    let text = "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n..\r\nx\r\n.\r\nQUIT\r\n";
    let (heard, said) = against("hello: SIZE 9, PIPELINING\nsession", text);
    assert_eq!(heard.deviation, None);
    assert_eq!(heard.clear, text.as_bytes());
    assert!(
        said.starts_with("220 smarthost.test ESMTP\r\n250-smarthost.test\r\n250-SIZE 9\r\n250 PIPELINING\r\n250 2.1.0 Ok\r\n"),
        "{said}"
    );
    assert!(said.ends_with("queued as 4XYZ\r\n221 2.0.0 Bye\r\n"), "{said}");
}

#[test]
fn a_client_that_leaves_the_script_is_told_on() {
    for (script, text) in [
        ("hello:\nmail", "EHLO me\r\nRCPT TO:<a@b>\r\n"),
        ("hello:\nmail", "EHLO me\r\n"),
        ("hello:\ngone", "EHLO me\r\nMAIL FROM:<a@b>\r\n"),
        ("C-data", "no dot\r\n"),
        ("C-bytes: 4", "abc"),
        ("C: EHLO * now", "EHLO me later\r\n"),
        ("no such step", ""),
    ] {
        assert!(against(script, text).0.deviation.is_some(), "nothing noticed: {script} against {text:?}");
    }
    assert!(against("maybe: HELO *\nC: DATA", "MAIL FROM:<a@b>\r\n").0.deviation.is_some());
    for text in ["QUIT\r\n", "", "HELO me\r\nDATA\r\n"] {
        assert_eq!(against("maybe: HELO *\nC: DATA", text).0.deviation, None, "{text:?}");
    }
    assert_eq!(against("hello:\ngone", "EHLO me\r\nQUIT\r\n").0.deviation, None);
}

#[test]
fn raw_bytes_leave_as_they_were_written() {
    assert_eq!(against("S-raw: 2\\x32\\x30 \\\\\\r\\n\nclose", "").1, "220 \\\r\n");
    assert_eq!(against("S-bytes: a\\0b\nclose", "").1, "a\0b");
}

#[test]
fn a_secret_is_recognised_in_all_its_clothes() {
    assert!(reveals_secret(format!("AUTH LOGIN\r\n{PASSWORD}\r\n").as_bytes()));
    let encode = |text: String| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    assert!(reveals_secret(format!("AUTH PLAIN {}\r\n", encode(format!("\0{USER}\0{PASSWORD}"))).as_bytes()));
    assert!(reveals_secret(encode(PASSWORD.to_owned()).as_bytes()));
    assert!(!reveals_secret(b"AUTH SCRAM-SHA-256 biws\r\n"));
}
