//! Is a file refused that says what can't be, though its checksums are right?

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
};

use sealpost::host::spool::Place;
use serde_json::{Value, json};

use crate::kit::{MESSAGE, add, claim, file, id, octets, odd, parts, path, spool};

/// A head as the spool writes it, changed.
fn head_with(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    let (head, _, _) = parts(&fs::read(path(&spool, Place::Queue, 1)).unwrap());
    let mut head: Value = serde_json::from_slice(&head).unwrap();
    change(&mut head);
    head.to_string().into_bytes()
}

#[test]
fn a_head_that_says_what_cannot_be_is_refused_though_its_checksum_is_right() {
    let (_scratch, spool) = spool();
    let state = {
        drop(add(&spool, 9));
        parts(&fs::read(path(&spool, Place::Queue, 9)).unwrap()).2.remove(0)
    };
    let plant = |head: &[u8]| fs::write(path(&spool, Place::Queue, 1), file(head, MESSAGE, &[&state])).unwrap();
    plant(&head_with(|_| ()));
    assert_eq!(octets(&claim(&spool, Place::Queue, 1)), MESSAGE, "what is not changed is refused too");

    let wrong: &[(&str, Value)] = &[
        ("sender", json!("cron@example.com>\r\nRCPT TO:<eve@example.com")),
        ("sender", json!("no address")),
        ("sender", json!(null)),
        ("recipients", json!([])),
        ("recipients", json!([{"address": "user0@example.org"}, {"address": "a\r\nb@example.org"}])),
        ("recipients", json!([{"address": "user0@example.org"}, {"address": ""}])),
        ("recipients", json!([{"address": "user0@example.org"}, {"address": "user1@example.org", "program": "/bin/sh"}])),
        ("recipients", json!([{"address": "user0@example.org"}, {"address": "user1@example.org", "original": "\u{0}@x"}])),
        ("recipients", json!("user0@example.org")),
        ("user", json!("alice\u{1b}[2J")),
        ("account", json!("relay\n")),
        ("message_id", json!("<1@x>\r\nBcc: eve@example.com")),
        ("asked", json!("not an address")),
        ("notify", json!("SOMETIMES")),
        ("ret", json!("all of it")),
        ("envid", json!("a\r\nb")),
        ("envid", json!("x".repeat(101))),
        ("uid", json!(-1)),
        ("uid", json!(4_294_967_296_u64)),
        ("uid", json!(1e300)),
        ("eight_bit", json!("yes")),
        ("arrived", json!("2026-13-45T00:00:00Z")),
        ("arrived", json!(99_999_999_999_999_u64)),
        ("unknown", json!("a key of the future")),
        ("\u{1b}[2J\r\n", json!(1)),
    ];
    for (key, value) in wrong {
        plant(&head_with(|head| head[*key] = value.clone()));
        let why = odd(&spool, 1);
        assert!(why.starts_with("has a head that "), "{key} = {value}: {why}");
        assert!(!why.contains(char::is_control) && why.len() < 500, "{key} = {value}: {why:?}");
        assert!(spool.peek(Place::Queue, id(1)).unwrap().is_none(), "{key} = {value}");
    }
    for json in [b"".as_slice(), b"{}", b"[]", b"null", b"\xff", b"{\"uid\":1,\"uid\":2}", &b"[".repeat(100_000)] {
        plant(json);
        assert!(odd(&spool, 1).starts_with("has a head that "));
    }
    let text = String::from_utf8(head_with(|_| ())).unwrap();
    plant(text.replacen("\"uid\":", "\"uid\":0,\"uid\":", 1).as_bytes());
    assert!(odd(&spool, 1).starts_with("has a head that can't be read"), "a key that comes twice");
}

#[test]
fn a_state_that_is_not_this_message_s_is_refused_and_not_guessed_at() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    let (head, _, states) = parts(&fs::read(path(&spool, Place::Queue, 1)).unwrap());
    let good: Value = serde_json::from_slice(&states[0]).unwrap();
    let plant = |states: &[&[u8]]| fs::write(path(&spool, Place::Queue, 1), file(&head, MESSAGE, states)).unwrap();
    let changed = |key: &str, value: Value| {
        let mut state = good.clone();
        state[key] = value;
        state.to_string().into_bytes()
    };
    plant(&[&changed("attempts", json!(7))]);
    assert_eq!(claim(&spool, Place::Queue, 1).entry.state.attempts, 7);

    for (key, value, why) in [
        ("recipients", json!(["delivered"]), "has a state of another number of recipients"),
        ("recipients", json!(["delivered", "delivered", "delivered"]), "has a state of another number of recipients"),
        ("recipients", json!(["delivered", "sent"]), "has a state that can't be read"),
        ("attempts", json!(-1), "has a state that can't be read"),
        ("attempts", json!(u64::MAX), "has a state that can't be read"),
        ("next", json!("soon"), "has a state that can't be read"),
        ("unknown", json!(1), "has a state that can't be read"),
    ] {
        // Behind a good one, too: it was written as it stands.
        for before in [None, Some(states[0].as_slice())] {
            let state = changed(key, value.clone());
            let lines: Vec<&[u8]> = before.into_iter().chain([state.as_slice()]).collect();
            plant(&lines);
            assert!(odd(&spool, 1).starts_with(why), "{key} = {value}: {}", odd(&spool, 1));
        }
    }
    plant(&[]);
    assert_eq!(odd(&spool, 1), "has no state");
}

#[test]
fn a_first_line_that_is_not_ours_is_refused_without_believing_a_length() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 2));
    let good = fs::read(path(&spool, Place::Queue, 2)).unwrap();
    let plant = |octets: &[u8]| fs::write(path(&spool, Place::Queue, 1), octets).unwrap();
    let first = |head: &str, content: &str| format!("sealpost-queue 1 {head} {content} 00000000 00000000\n").into_bytes();
    let largest = (u64::MAX).to_string();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "is no message of a queue"),
        (vec![0; 10_000], "is no message of a queue"),
        (b"From root\n".repeat(100), "is no message of a queue"),
        (b"sealpost-queue 2 what comes later\n".to_vec(), "was written by another version of sealpost"),
        (b"sealpost-queue 11 \n".to_vec(), "was written by another version of sealpost"),
        (b"sealpost-queue 1 ".to_vec(), "has a first line that is not ours"),
        (first("9999999999", "00000000000000000001"), "has a first line that is not ours"),
        (first("0000000001", &largest), "has a first line that is not ours"),
        (first("0000000001", "09223372036854775807"), "is shorter than it says"),
        (first("0067108864", "00000000000000000001"), "is shorter than it says"),
        (first("+000000001", "00000000000000000001"), "has a first line that is not ours"),
        (first("000000001", "000000000000000000010"), "has a first line that is not ours"),
        (good[..200].to_ascii_uppercase(), "is no message of a queue"),
        (good.iter().map(|octet| if *octet == b'\n' { b' ' } else { *octet }).collect(), "has a first line that is not ours"),
    ];
    for (octets, why) in cases {
        plant(&octets);
        assert_eq!(odd(&spool, 1), why, "{:?}", String::from_utf8_lossy(&octets[..octets.len().min(70)]));
    }
    // A file of 8 EiB that is mostly a hole.
    let huge = OpenOptions::new().write(true).open(path(&spool, Place::Queue, 1)).unwrap();
    huge.set_len(0).unwrap();
    (&huge).write_all(&first("0067108864", "00000000000000000001")).unwrap();
    huge.set_len(8 << 40).unwrap();
    assert!(odd(&spool, 1).starts_with("has a head that is not what was written"));
}
