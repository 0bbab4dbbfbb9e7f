//! Is whatever somebody planted in the spool refused, with a reason, and kept for a person?

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sealpost::{
    host::spool::{Claimed, Place, Spool},
    mail::{
        content::{Content as _, Form},
        queued::Standing,
    },
};

use crate::kit::{self, MESSAGE, Text, add, at, claim, claimed, entry, id, names, octets, odd, parts, path, spool};

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

#[test]
fn one_bit_of_a_large_message_that_is_another_is_noticed_before_anything_is_sent() {
    let (_scratch, spool) = spool();
    let large = b"0123456789abcde\r\n".repeat(60_000);
    drop(spool.add(id(1), entry(1), &mut Text::new(large.clone())).unwrap());
    let good = fs::read(path(&spool, Place::Queue, 1)).unwrap();
    for at in [9_000, 300_000, large.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        fs::write(path(&spool, Place::Queue, 1), bad).unwrap();
        assert_eq!(odd(&spool, 1), "is not what was written: its checksum is another");
    }
    fs::write(path(&spool, Place::Queue, 1), good).unwrap();
    assert_eq!(octets(&claim(&spool, Place::Queue, 1)), large);
}

#[test]
fn a_message_that_is_cut_while_somebody_sends_it_is_not_sent_half_in_any_form() {
    let (_scratch, spool) = spool();
    let text = "Subject: x\r\n\r\nGr\u{fc}\u{df}e\r\n".repeat(20_000);
    let one = spool.add(id(1), entry(1), &mut Text::new(text)).unwrap();
    let file = OpenOptions::new().write(true).open(path(&spool, Place::Queue, 1)).unwrap();
    for form in [Form::EightBit, Form::SevenBit] {
        let whole = |octets: &mut Vec<u8>| -> std::io::Result<()> {
            let mut content = one.content()?;
            content.rewind(form)?;
            while !content.fill(octets, 4096)? {}
            Ok(())
        };
        whole(&mut Vec::new()).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(100_000).unwrap();
        assert!(whole(&mut Vec::new()).is_err(), "{form:?}");
        file.set_len(length).unwrap();
    }
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
