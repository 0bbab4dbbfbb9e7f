//! Does what was piped in arrive, byte for byte where sendmail(8) promises it? (sendmail(8))

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    common::contains,
    smarthost::{Smarthost, message, smarthost},
};

/// Sends `sent` as a body with `-t`, and returns what was delivered: without what Postfix put above, and the header apart.
fn through(smarthost: &Smarthost, service: &str, mark: &str, text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let tls = if service.starts_with("implicit") { "start = \"implicit\"" } else { "start = \"starttls\"" };
    let run = smarthost.client(service, "", tls, "").send(&["-t", "-i"], text);
    assert_eq!(run.code, 0, "{mark}: {} {}", run.stderr, run.last());
    let mail = smarthost.delivered(&format!("<{mark}@client.test>"));
    assert_eq!(smarthost.arrived(&format!("<{mark}@client.test>")).len(), 1, "{mark}: arrived more than once");
    let mail = without_trace(&mail);
    let end = memchr::memmem::find(mail, b"\n\n").unwrap() + 1;
    (mail[..end].to_vec(), mail[end + 1..].to_vec())
}

/// The mail without the trace fields that the smarthost put above it (RFC 5321 4.4).
fn without_trace(mail: &[u8]) -> &[u8] {
    let mut rest = mail;
    let mut own = true;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let traced =
            [&b"Return-Path:"[..], b"X-Original-To:", b"Delivered-To:", b"Received:"].iter().any(|name| rest.starts_with(name));
        if !traced && (own || !rest.starts_with(b"\t") && !rest.starts_with(b" ")) {
            break;
        }
        own = false;
        rest = &rest[end + 1..];
    }
    rest
}

#[test]
fn a_body_arrives_as_it_was_piped_in() {
    let Some(smarthost) = smarthost() else { return };
    let attachment =
        STANDARD.encode((0..7_500_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect::<Vec<u8>>());
    let attachment: Vec<u8> = attachment.as_bytes().chunks(76).flat_map(|line| [line, b"\n"].concat()).collect();
    let longest = [vec![b'x'; 998], b"\n".to_vec()].concat();
    let cases: [(&str, &[u8], &[u8]); 16] = [
        ("body-empty", b"", b""),
        ("body-line", b"all is well\n", b"all is well\n"),
        ("body-no-newline", b"all is well", b"all is well\n"),
        ("body-dots", b".\n..\n...\n.x\n. \nx.\n", b".\n..\n...\n.x\n. \nx.\n"),
        ("body-first-dot", b".\nmore\n", b".\nmore\n"),
        ("body-blank-lines", b"\n\na\n\n\n", b"\n\na\n\n\n"),
        ("body-crlf", b"a\r\nb\r\n", b"a\nb\n"),
        ("body-mixed", b"a\r\nb\nc\r\n\nd", b"a\nb\nc\n\nd\n"),
        ("body-bare-cr", b"a\rb\n", b"a\nb\n"),
        ("body-cr-cr-lf", b"a\r\r\nb\n", b"a\nb\n"),
        ("body-8bit", b"gr\xc3\xbc\xc3\x9fe und \xe4\xf6\xfc\n", b"gr\xc3\xbc\xc3\x9fe und \xe4\xf6\xfc\n"),
        ("body-controls", b"\x01\x07\x1b[2J\x1a\x04\x7f\n", b"\x01\x07\x1b[2J\x1a\x04\x7f\n"),
        ("body-from", b"From the start\nFrom here\n", b"From the start\nFrom here\n"),
        ("body-longest", &longest, &longest),
        ("body-header-like", b"Bcc: not a header\nTo: x\n", b"Bcc: not a header\nTo: x\n"),
        ("body-attachment", &attachment, &attachment),
    ];
    for (service, suffix) in [("starttls-good", "starttls"), ("implicit-good", "implicit")] {
        for (mark, sent, wanted) in cases {
            let mark = format!("{mark}-{suffix}");
            let (_, text) = message(&mark, sent);
            let (header, body) = through(smarthost, service, &mark, &text);
            let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
            assert!(
                body == wanted,
                "{mark}: {:?} ({} octets), not {:?} ({})",
                shown(&body),
                body.len(),
                shown(wanted),
                wanted.len()
            );
            let own = message(&mark, b"").1;
            assert_eq!(String::from_utf8_lossy(&header), String::from_utf8_lossy(&own[..own.len() - 1]), "{mark}");
        }
    }
}

#[test]
fn no_body_can_end_the_message_or_begin_another() {
    let Some(smarthost) = smarthost() else { return };
    let evil = b"MAIL FROM:<evil@client.test>\r\nRCPT TO:<ok-evil@sink.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n";
    let ends: [&[u8]; 8] =
        [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n"];
    for (number, end) in ends.iter().enumerate() {
        let mark = format!("smuggling-{number}");
        let (_, text) = message(&mark, &[b"before", *end, evil, b"after\n"].concat());
        let (_, body) = through(smarthost, "starttls-good", &mark, &text);
        assert!(body.starts_with(b"before\n") && body.ends_with(b"after\n"), "{mark}: {}", String::from_utf8_lossy(&body));
        assert!(!contains(&body, b"\r") && !contains(&body, b"\0"), "{mark}: a bare CR or a NUL arrived");
    }
    let stray = smarthost.arrived("Return-Path: <evil@client.test>");
    assert!(stray.is_empty(), "{}", String::from_utf8_lossy(&stray[0]));
}

#[test]
fn a_line_over_998_octets_arrives_whole_in_another_encoding() {
    let Some(smarthost) = smarthost() else { return };
    for (mark, body) in [
        ("long-999", [vec![b'x'; 999], b"\nend\n".to_vec()].concat()),
        ("long-100k", [b"=3D ".repeat(25_000), b"\n\n.\nend \n".to_vec()].concat()),
        ("long-8bit", [b"\xc3\xbc".repeat(5_000), b"\n".to_vec()].concat()),
    ] {
        let (_, text) = message(mark, &body);
        let (header, arrived) = through(smarthost, "starttls-good", mark, &text);
        assert!(arrived.split(|b| *b == b'\n').all(|line| line.len() <= 998), "{mark}: a long line arrived");
        let header = String::from_utf8(header).unwrap().to_lowercase();
        let decoded = if header.contains("content-transfer-encoding: quoted-printable") {
            from_quoted_printable(&arrived)
        } else {
            assert!(header.contains("content-transfer-encoding: base64"), "{mark}: {header}");
            let joined: Vec<u8> = arrived.into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
            String::from_utf8_lossy(&STANDARD.decode(joined).unwrap()).replace("\r\n", "\n").into_bytes()
        };
        assert!(decoded == body, "{mark}: {} octets, not {}", decoded.len(), body.len());
        assert!(header.contains("mime-version: 1.0"), "{mark}: {header}");
    }
}

/// RFC 2045 6.7, as a reader of the mail does it.
fn from_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'=', [b'\n', more @ ..]) => rest = more,
            (b'=', [high, low, more @ ..]) => {
                let hex = [*high, *low];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                rest = more;
            }
            _ => out.push(*first),
        }
    }
    out
}

#[test]
fn what_is_missing_is_added_and_nothing_else_changes() {
    let Some(smarthost) = smarthost() else { return };
    let mark = "<bare@client.test>";
    let client = smarthost.client("starttls-good", "", "", "");
    let run = client.send(
        &["-i", "-f", "cron@client.test", "ok@sink.test"],
        format!("Message-ID: {mark}\nX-Odd:  kept \n\tfolded\n\nx\n").as_bytes(),
    );
    assert_eq!(run.code, 0, "{run:?}");
    let mail = String::from_utf8(without_trace(&smarthost.delivered(mark)).to_vec()).unwrap();
    assert!(mail.contains("\nDate: ") || mail.starts_with("Date: "), "{mail}");
    assert!(mail.contains("cron@client.test"), "{mail}");
    assert!(mail.contains(&format!("Message-ID: {mark}\nX-Odd:  kept \n\tfolded\n")), "{mail}");

    // Without a header the whole text is the body.
    let run = client.send(&["-i", "-f", "cron@client.test", "ok@sink.test"], b"no header here, only-text-4711\n");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(smarthost.delivered("only-text-4711").ends_with(b"\n\nno header here, only-text-4711\n"));
}
