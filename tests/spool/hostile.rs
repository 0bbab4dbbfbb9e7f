//! Is whatever somebody planted in the spool refused, with a reason, and kept for a person?

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sealpost::{
    host::spool::{Claimed, Place, Spool},
    mail::queued::Standing,
};
use serde_json::{Value, json};

use crate::kit::{self, MESSAGE, Text, add, at, claim, claimed, entry, file, id, names, octets, odd, parts, path, spool};

/// Refused for that reason, shown as a file that is odd once it is set aside, and not met again.
fn set_aside(spool: &Spool, n: u8, why: &str) {
    assert_eq!(odd(spool, n), why);
    let before = names(spool, Place::Odd).len();
    spool.set_aside(Place::Queue, id(n).to_string()).unwrap();
    assert!(matches!(claimed(spool, Place::Queue, n).unwrap(), Claimed::Gone));
    assert_eq!(names(spool, Place::Odd).len(), before + 1);
}

#[test]
fn what_is_no_file_of_ours_is_neither_opened_nor_followed() {
    let (scratch, spool) = spool();
    drop(add(&spool, 9));
    let secret = scratch.path().join("secret");
    fs::write(&secret, fs::read(path(&spool, Place::Queue, 9)).unwrap()).unwrap();
    let plant = |n: u8| path(&spool, Place::Queue, n);

    symlink(&secret, plant(1)).unwrap();
    mknodat(CWD, plant(2), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::create_dir(plant(3)).unwrap();
    let _listener = UnixListener::bind_addr(&short(&plant(4))).unwrap();
    fs::hard_link(&secret, plant(5)).unwrap();
    symlink("nowhere", plant(6)).unwrap();
    let shown = |n: u8| format!("odd {}", id(n));
    let expected: Vec<String> = [shown(1), shown(2), shown(3), shown(4), shown(6)].into();
    let seen: Vec<String> = names(&spool, Place::Queue).into_iter().filter(|name| name.starts_with("odd ")).collect();
    assert_eq!(seen, expected);
    for (n, why) in [
        (1, "is a symbolic link"),
        (2, "is no file"),
        (3, "is no file"),
        (4, "is no file"),
        (5, "has a second name"),
        (6, "is a symbolic link"),
    ] {
        assert!(n == 5 || spool.peek(Place::Queue, id(n)).unwrap().is_none());
        set_aside(&spool, n, why);
    }
    assert_eq!(names(&spool, Place::Queue), [id(9).to_string()]);
    assert_eq!(octets(&claim(&spool, Place::Queue, 9)), MESSAGE);
}

/// A path to bind a socket to, which may be 107 octets long at most.
fn short(path: &std::path::Path) -> std::os::unix::net::SocketAddr {
    std::os::unix::net::SocketAddr::from_pathname(path).unwrap()
}

#[test]
fn a_device_and_another_user_s_file_are_no_messages() {
    if !kit::is_root("a_device_and_another_user_s_file_are_no_messages") {
        return;
    }
    let (_scratch, spool) = spool();
    drop(add(&spool, 2));
    let plant = |n: u8| path(&spool, Place::Queue, n);
    let null = rustix::fs::makedev(1, 3);
    if mknodat(CWD, plant(1), FileType::CharacterDevice, Mode::RWXU, null).is_ok() {
        set_aside(&spool, 1, "is no file");
    }
    std::os::unix::fs::chown(plant(2), Some(1), Some(1)).unwrap();
    assert_eq!(names(&spool, Place::Queue), [format!("odd {}", id(2))]);
    assert!(spool.peek(Place::Queue, id(2)).unwrap().is_none());
    set_aside(&spool, 2, "belongs to another user");
}

#[test]
fn names_that_are_no_names_of_messages_are_set_aside_whatever_they_are() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    let name = id(1).to_string();
    let long = "x".repeat(255);
    let foreign: Vec<&[u8]> = vec![
        b"\xff\xfe\n",
        b"-rf",
        b"\x1b[2J",
        "\u{202e}gpj".as_bytes(),
        long.as_bytes(),
        b".hidden",
        b"letter.new",
        &name.as_bytes()[1..],
    ];
    let queue = spool.path().join("queue");
    for name in &foreign {
        fs::write(queue.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let lower = name.to_lowercase();
    fs::write(queue.join(&lower), "x").unwrap();
    assert_eq!(names(&spool, Place::Queue).len(), foreign.len() + 2);
    // Twice, as it may come again.
    for turn in 1..=2 {
        let odd: Vec<_> = spool.names(Place::Queue).unwrap().collect();
        for found in odd {
            if let sealpost::host::spool::Found::Odd(name) = found {
                let moved = spool.set_aside(Place::Queue, &name);
                // No number fits behind the longest name; it stays where it is.
                assert!(moved.is_ok() || turn == 2 && name.len() == 255, "{moved:?}");
            }
        }
        let left = usize::from(turn == 2) + 1;
        assert_eq!(names(&spool, Place::Queue).len(), left);
        for name in &foreign {
            fs::write(queue.join(OsStr::from_bytes(name)), "y").unwrap();
        }
    }
    assert_eq!(names(&spool, Place::Odd).len(), 2 * foreign.len());
    assert_eq!(fs::read(spool.path().join("odd").join(OsStr::from_bytes(foreign[0]))).unwrap(), b"x");
    let error = spool.set_aside(Place::Queue, OsStr::from_bytes(b"\x1b[2J\n")).map_err(|error| error.render("sealpost"));
    assert!(error.is_ok() || !error.unwrap_err().trim_end().contains('\u{1b}'));
}

#[test]
fn a_message_cut_short_anywhere_is_no_message_but_for_its_last_line() {
    let (_scratch, spool) = spool();
    let mut one = add(&spool, 1);
    let whole = fs::metadata(path(&spool, Place::Queue, 1)).unwrap().len();
    let mut state = one.entry.state.clone();
    state.recipients[0] = Standing::Delivered;
    one.note(state).unwrap();
    drop(one);
    let octets = fs::read(path(&spool, Place::Queue, 1)).unwrap();
    for length in 0..octets.len() {
        fs::write(path(&spool, Place::Queue, 2), &octets[..length]).unwrap();
        let claimed = claimed(&spool, Place::Queue, 2).unwrap();
        match &claimed {
            Claimed::Odd(why) => assert!((length as u64) < whole && !why.is_empty(), "{length}: {why}"),
            Claimed::Ours(claim) => {
                assert!(length as u64 >= whole, "{length}");
                // What was torn does not count.
                assert_eq!(claim.entry.waiting().recipients.len(), 2, "{length}");
                assert_eq!(kit::octets(claim), MESSAGE);
            }
            other => panic!("{length}: {other:?}"),
        }
        let seen = spool.peek(Place::Queue, id(2)).unwrap().is_some();
        assert_eq!(seen, matches!(claimed, Claimed::Ours(_)), "{length}");
    }
}

#[test]
fn a_change_that_a_power_cut_tore_or_left_as_zeros_is_passed_over_and_written_again() {
    let (_scratch, spool) = spool();
    let mut one = add(&spool, 1);
    let mut state = one.entry.state.clone();
    state.recipients[0] = Standing::Delivered;
    one.note(state.clone()).unwrap();
    drop(one);
    let good = fs::read(path(&spool, Place::Queue, 1)).unwrap();
    let (_, _, states) = parts(&good);
    let line = [b"00000000 ", states[1].as_slice(), b"\n"].concat();
    let torn: Vec<Vec<u8>> = vec![
        vec![0; 4096],
        vec![b'\n'; 20],
        b"01234567 {\"attempts\":1".to_vec(),
        [vec![0; 512], b"\"}\n".to_vec()].concat(),
        // Whole, but for one bit.
        line.clone(),
        // More than is looked at first.
        vec![b'x'; 300_000],
        line.repeat(400),
    ];
    for tail in torn {
        fs::write(path(&spool, Place::Queue, 1), [good.as_slice(), &tail].concat()).unwrap();
        let mut one = claim(&spool, Place::Queue, 1);
        assert_eq!((&one.entry.state.recipients, octets(&one)), (&state.recipients, MESSAGE.to_vec()));
        one.reserve().unwrap();
        let mut next = one.entry.state.clone();
        next.attempts = 7;
        one.note(next).unwrap();
        drop(one);
        assert_eq!(claim(&spool, Place::Queue, 1).entry.state.attempts, 7);
        let now = fs::read(path(&spool, Place::Queue, 1)).unwrap();
        assert!(now.starts_with(&good) && parts(&now).2.len() == 3, "the torn line is still there");
    }
}

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
    ];
    for (key, value) in wrong {
        plant(&head_with(|head| head[*key] = value.clone()));
        let why = odd(&spool, 1);
        assert!(why.starts_with("has a head that "), "{key} = {value}: {why}");
        assert!(!why.contains(char::is_control), "{key} = {value}: {why:?}");
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

#[test]
fn an_entry_that_could_not_be_read_again_is_not_taken() {
    let (_scratch, spool) = spool();
    let mut wrong = entry(1);
    wrong.head.account = "re\nlay".into();
    let error = spool.add(id(1), wrong, &mut Text::new(MESSAGE)).unwrap_err();
    assert!(error.summary().contains("its envelope can't be kept"), "{}", error.summary());
    let none = spool.add(id(1), entry(0), &mut Text::new(MESSAGE)).unwrap_err();
    assert!(none.summary().contains("its envelope can't be kept"), "{}", none.summary());
    assert_eq!(kit::listing(&spool.path().join("queue")), [""; 0]);
    // What callers can't help is made harmless.
    let mut odd = entry(1);
    (odd.head.message_id, odd.head.user) = ("<a\tb\u{7}@x>".into(), "al\nice".into());
    drop(spool.add(id(1), odd, &mut Text::new(MESSAGE)).unwrap());
    let one = claim(&spool, Place::Queue, 1);
    assert_eq!((one.entry.head.message_id.as_str(), one.entry.head.user.as_str()), ("<a?b?@x>", "al?ice"));
}

#[test]
fn a_clock_that_is_years_off_moves_no_message_away() {
    let (_scratch, spool) = spool();
    for (n, due) in [(1, -40_000_000_000), (2, 200_000_000_000), (3, 0)] {
        let mut entry = entry(1);
        entry.state.next = at(due);
        drop(spool.add(id(n), entry, &mut Text::new(MESSAGE)).unwrap());
    }
    assert_eq!(spool.sweep(at(40_000_000), at(40_000_000)).unwrap(), (0, 0));
    assert_eq!(spool.sweep(at(-40_000_000), at(-40_000_000)).unwrap(), (0, 0));
    for n in 1..=3 {
        assert_eq!(octets(&claim(&spool, Place::Queue, n)), MESSAGE);
    }
}
