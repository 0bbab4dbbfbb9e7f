//! What is learnt from a connection, what makes a text a memory, and what becomes of a file that is none.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
};

use jiff::{Timestamp, civil::Date};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::host::config::Memory;

const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn sighting(time: &str) -> Sighting {
    Sighting { when: at(time), starttls: true, verified: false, first_use: None }
}

fn place() -> (TempDir, PathBuf, Memory) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.json");
    (directory, path.clone(), Memory::File(path))
}

/// A memory of one server with a key.
fn one_key() -> Servers {
    let mut servers = Servers::default();
    servers.entry("relay.test:25").accept(ONE, at("2026-11-23T22:53:01Z"));
    servers
}

#[test]
fn the_same_twice_a_day_is_nothing_new() {
    let mut server = Server::default();
    let first = Sighting { first_use: Some(ONE), ..sighting("2026-11-23T22:53:01.5Z") };
    assert!(server.would_learn(&first));
    server.notice(&first).unwrap();
    assert_eq!(server.key, Some(Key { sha256: ONE, since: Some(at("2026-11-23T22:53:01Z")), how: How::FirstUse }));
    for (time, verified, new) in [
        ("2026-11-23T22:54:00Z", false, false),
        ("2026-11-23T22:54:00Z", true, true),
        ("2026-11-24T00:00:00Z", true, true),
        // A clock that jumps is believed, and nothing breaks.
        ("1970-01-01T00:00:00Z", true, true),
        ("9999-12-30T00:00:00Z", true, true),
        ("2025-11-24T00:00:00Z", true, true),
    ] {
        let seen = Sighting { verified, ..sighting(time) };
        assert_eq!(server.would_learn(&seen), new, "{time}");
        server.notice(&seen).unwrap();
        assert!(!server.would_learn(&seen), "{time}");
    }
    let days = server.starttls.unwrap();
    assert_eq!((days.first.unwrap().to_string(), days.last.unwrap().to_string()), ("2026-11-23".into(), "2025-11-24".into()));
    assert_eq!(server.key.unwrap().sha256, ONE);
}

#[test]
fn of_two_keys_that_are_met_for_the_first_time_the_first_stays_and_the_second_is_told() {
    let mut server = Server::default();
    let met = |key| Sighting { first_use: Some(key), verified: true, ..sighting("2026-11-23T22:53:01Z") };
    server.notice(&met(ONE)).unwrap();
    let before = server.clone();
    assert_eq!(server.notice(&met(TWO)), Err(Rival(ONE)));
    assert_eq!(server, before, "nothing of the second connection is believed");
    assert_eq!(server.notice(&met(ONE)), Ok(()));
}

#[test]
fn who_accepts_a_key_overrules_what_was_seen_and_keeps_since_when_the_same_one_is_known() {
    let mut server = Server::default();
    server.notice(&Sighting { first_use: Some(ONE), ..sighting("2026-11-23T22:53:01Z") }).unwrap();
    server.accept(ONE, at("2026-11-24T00:00:00Z"));
    assert_eq!(server.key, Some(Key { sha256: ONE, since: Some(at("2026-11-23T22:53:01Z")), how: How::Accepted }));
    server.accept(TWO, at("2026-11-25T00:00:00Z"));
    assert_eq!(server.key, Some(Key { sha256: TWO, since: Some(at("2026-11-25T00:00:00Z")), how: How::Accepted }));
}

#[test]
fn a_key_or_a_handshake_means_that_there_was_tls_and_a_day_alone_does_not() {
    assert!(!Server { verified: Some(Date::constant(2026, 11, 23)), ..Server::default() }.was_sealed());
    assert!(Server { starttls: Some(Days { first: None, last: None }), ..Server::default() }.was_sealed());
    assert!(one_key().get("relay.test:25").unwrap().was_sealed());
}

#[test]
fn the_text_is_what_the_manual_says() {
    let mut servers = one_key();
    let seen = Sighting { verified: true, ..sighting("2026-11-24T00:00:00Z") };
    servers.entry("relay.test:25").notice(&seen).unwrap();
    let digest = "01".repeat(32);
    let text = format!(
        "{{\n  \"version\": 1,\n  \"servers\": {{\n    \"relay.test:25\": {{\"key\":{{\"how\":\"accepted\",\"sha256\":\"{digest}\",\
         \"since\":\"2026-11-23T22:53:01Z\"}},\"starttls\":{{\"first\":\"2026-11-24\",\"last\":\"2026-11-24\"}},\"verified\":\"2026-11-24\"}}\n  }}\n}}\n"
    );
    assert_eq!(servers.text().unwrap(), text);
    assert_eq!(Servers::parse(text.as_bytes()), Ok(servers));
    assert_eq!(Servers::parse(Servers::default().text().unwrap().as_bytes()), Ok(Servers::default()));
}

#[test]
fn one_wrong_entry_spoils_the_whole_but_odd_dates_and_unknown_keys_do_not() {
    let text = |entry: &str| format!("{{\"version\": 1, \"servers\": {{\"a.test:25\": {entry}}}}}");
    let key = "01".repeat(32);
    for entry in [
        "{}".to_owned(),
        "{\"key\": null, \"starttls\": null}".to_owned(),
        "{\"starttls\": {}}".to_owned(),
        "{\"starttls\": {\"first\": \"2026-02-31\", \"last\": 7}, \"verified\": \"never\", \"colour\": \"blue\"}".to_owned(),
        format!("{{\"key\": {{\"sha256\": \"{key}\"}}}}"),
        format!("{{\"key\": {{\"sha256\": \"{key}\", \"since\": \"yesterday\", \"how\": \"by mistake\"}}}}"),
    ] {
        let servers = Servers::parse(text(&entry).as_bytes()).unwrap_or_else(|why| panic!("{entry}: {why:?}"));
        assert_eq!(servers.get("a.test:25").unwrap().key.as_ref().map(|key| key.sha256), entry.contains("sha256").then_some(ONE));
    }
    for entry in [
        "7".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{\"key\": \"\"}".to_owned(),
        "{\"key\": {}}".to_owned(),
        "{\"key\": {\"sha256\": \"\"}}".to_owned(),
        "{\"key\": {\"sha256\": null}}".to_owned(),
        format!("{{\"key\": {{\"sha256\": \"{key}0\"}}}}"),
        format!("{{\"key\": {{\"sha256\": \"{}zz\"}}}}", &key[2..]),
        format!("{{\"key\": {{\"sha256\": \"{}é\"}}}}", &key[2..]),
        "{\"starttls\": true}".to_owned(),
    ] {
        let Err(Unusable::Corrupt(why)) = Servers::parse(text(&entry).as_bytes()) else { panic!("{entry}") };
        assert!(why.contains("a.test:25"), "{why}");
    }
    for (text, word) in [
        ("", "not JSON"),
        ("{\"version\": 1, \"servers\": {", "not JSON"),
        ("[]", "no version"),
        ("{}", "no version"),
        ("{\"version\": 0, \"servers\": {}}", "no version"),
        ("{\"version\": \"1\", \"servers\": {}}", "no version"),
        ("{\"version\": 1}", "no servers"),
        ("{\"version\": 1, \"servers\": []}", "no servers"),
    ] {
        let Err(Unusable::Corrupt(why)) = Servers::parse(text.as_bytes()) else { panic!("{text}") };
        assert!(why.contains(word), "{text}: {why}");
    }
    assert_eq!(Servers::parse(b"{\"version\": 2}"), Err(Unusable::Newer));
    assert!(Servers::parse("[".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn servers_without_a_key_are_forgotten_where_there_are_too_many_the_oldest_first_and_keys_never() {
    let server = |day: Option<Date>| Server { starttls: Some(Days { first: day, last: day }), ..Server::default() };
    let first = Date::constant(2020, 1, 1);
    let days = first.series(jiff::Span::new().days(1));
    let mut servers: Servers =
        days.take(12_000).enumerate().map(|(n, day)| (format!("{n:05}.test:25"), server(Some(day)))).collect();
    *servers.entry("undated.test:25") = server(None);
    servers.entry("00000.test:25").accept(ONE, at("2020-01-01T00:00:00Z"));
    let kept = Servers::parse(servers.text().unwrap().as_bytes()).unwrap();
    assert_eq!(kept.iter().count(), 10_000);
    for (name, is_kept) in [("00000.test:25", true), ("00001.test:25", false), ("undated.test:25", false), ("11999.test:25", true)]
    {
        assert_eq!(kept.get(name).is_some(), is_kept, "{name}");
    }
    // The bound on octets holds too, and what nobody may forget makes it an error.
    let long = |n: usize| format!("{n:05}{}", "x".repeat(1000));
    let plain: Servers = (0..9_000).map(|n| (long(n), server(Some(first)))).collect();
    let text = plain.text().unwrap();
    assert!(text.len() <= 4 << 20 && text.len() > 3 << 20, "{}", text.len());
    assert!(Servers::parse(text.as_bytes()).is_ok());
    let keyed = |n| {
        let mut server = Server::default();
        server.accept(ONE, at("2020-01-01T00:00:00Z"));
        (long(n), server)
    };
    assert_eq!((0..9_000).map(keyed).collect::<Servers>().text(), None);
}

#[test]
fn a_server_is_remembered_as_it_is_configured_in_lower_case() {
    for (target, wanted) in [
        (Target::Name("Relay.Example".into(), 25), "relay.example:25"),
        (Target::Address("192.0.2.1".parse().unwrap(), 587), "192.0.2.1:587"),
        (Target::Address("2001:DB8::1".parse().unwrap(), 465), "[2001:db8::1]:465"),
        (Target::Unix("/run/Dovecot/lmtp".into()), "unix:/run/Dovecot/lmtp"),
    ] {
        assert_eq!(name(&target), wanted);
    }
}

#[test]
fn what_is_written_is_read_again_and_what_does_not_change_is_not_written() {
    let (directory, path, memory) = place();
    assert_eq!(read(&memory), Ok(Servers::default()));
    assert_eq!(change(&memory, |servers| servers.forget("relay.test:25")), Ok(()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was changed, so nothing is there");
    change(&memory, |servers| *servers = one_key()).unwrap();
    assert_eq!(read(&memory), Ok(one_key()));
    let before = fs::metadata(&path).unwrap();
    assert_eq!(before.mode() & 0o777, 0o600);
    change(&memory, |servers| servers.entry("relay.test:25").accept(ONE, at("2026-11-25T00:00:00Z"))).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino());
    change(&memory, |servers| servers.forget("relay.test:25")).unwrap();
    assert_eq!(read(&memory), Ok(Servers::default()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the memory and nothing beside it");
}

#[test]
fn a_missing_directory_is_made_only_if_it_bears_our_name() {
    let root = tempfile::tempdir().unwrap();
    let own = Memory::File(root.path().join("state/sealpost/memory.json"));
    change(&own, |servers| *servers = one_key()).unwrap();
    assert_eq!(fs::metadata(root.path().join("state/sealpost")).unwrap().mode() & 0o777, 0o700);
    let misspelt = Memory::File(root.path().join("staet/memory.json"));
    assert_eq!(read(&misspelt), Ok(Servers::default()));
    let trouble = change(&misspelt, |servers| *servers = one_key()).unwrap_err();
    assert!(trouble.error.render("x").contains("create the directory"), "{trouble:?}");
    let nowhere = change(&Memory::Nowhere, |servers| *servers = one_key()).unwrap_err();
    assert_eq!((nowhere.error.exit(), read(&Memory::Nowhere).unwrap_err()), (Exit::Config, nowhere));
    assert_eq!(read(&Memory::None), Ok(Servers::default()));
}

#[test]
fn what_is_spoilt_is_set_aside_whole_under_a_name_that_is_free() {
    let (directory, path, memory) = place();
    for (index, text) in [b"".to_vec(), b"not JSON".to_vec(), vec![b' '; (4 << 20) + 1], vec![0xff; 100]].into_iter().enumerate() {
        fs::write(&path, &text).unwrap();
        let trouble = read(&memory).unwrap_err();
        assert!(trouble.spoilt, "{trouble:?}");
        // Nothing to remember: it stays where it is.
        change(&memory, |_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), text);
        change(&memory, |servers| *servers = one_key()).unwrap();
        assert_eq!(read(&memory), Ok(one_key()));
        let aside = directory.path().join(format!("memory.json.corrupt-{}", index + 1));
        assert_eq!(fs::read(aside).unwrap(), text);
    }
}

/// What stands at the path, made by `plant`, is left as it is and not believed.
fn assert_left_alone(what: &str, plant: impl Fn(&Path)) {
    let (directory, path, memory) = place();
    plant(&path);
    let facts = |path: &Path| fs::symlink_metadata(path).map(|m| (m.ino(), m.mode(), m.uid(), m.len())).ok();
    let (before, beside) = (facts(&path), fs::read_dir(directory.path()).unwrap().count());
    let trouble = read(&memory).unwrap_err();
    assert!(!trouble.spoilt && trouble.error.advice().is_some(), "{what}: {trouble:?}");
    assert_eq!(change(&memory, |servers| *servers = one_key()).unwrap_err(), trouble, "{what}");
    assert_eq!((facts(&path), fs::read_dir(directory.path()).unwrap().count()), (before, beside), "{what}");
}

#[test]
fn what_is_not_ours_is_neither_believed_nor_touched() {
    let valid = one_key().text().unwrap();
    let fifo = |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    assert_left_alone("a FIFO", fifo);
    assert_left_alone("a directory", |path| fs::create_dir(path).unwrap());
    assert_left_alone("a link", |path| {
        fs::write(path.with_extension("other"), &valid).unwrap();
        symlink(path.with_extension("other"), path).unwrap();
    });
    assert_left_alone("a link to nothing", |path| symlink("nothing", path).unwrap());
    assert_left_alone("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()));
    assert_left_alone("a later version", |path| fs::write(path, "{\"version\": 2}").unwrap());
    let with_mode = |mode| {
        let valid = valid.clone();
        move |path: &Path| {
            fs::write(path, &valid).unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    };
    assert_left_alone("one that others write", with_mode(0o602));
    assert_left_alone("one that a group writes", with_mode(0o660));
    if rustix::process::geteuid().is_root() {
        assert_left_alone("another user's", |path| {
            fs::write(path, &valid).unwrap();
            std::os::unix::fs::chown(path, Some(65534), None).unwrap();
        });
    }
}

#[test]
fn nothing_is_written_where_others_could_take_it_away() {
    let refused = |memory: &Memory, word: &str| {
        let trouble = change(memory, |servers| *servers = one_key()).unwrap_err();
        assert!(trouble.error.summary().contains(word), "{trouble:?}");
    };
    let (directory, _, memory) = place();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    refused(&memory, "everybody");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    change(&memory, |servers| *servers = one_key()).unwrap();
    if rustix::process::geteuid().is_root() {
        let (directory, _, memory) = place();
        std::os::unix::fs::chown(directory.path(), Some(65534), None).unwrap();
        refused(&memory, "another user");
    }
    for path in ["/", "/proc/self/memory.json", "/dev/null/memory.json"] {
        refused(&Memory::File(path.into()), "memory of servers");
    }
}

#[test]
fn what_a_killed_process_left_is_no_hindrance() {
    let (directory, path, memory) = place();
    fs::write(path.with_file_name("memory.json.new"), "half").unwrap();
    change(&memory, |servers| *servers = one_key()).unwrap();
    assert_eq!((read(&memory), fs::read_dir(directory.path()).unwrap().count()), (Ok(one_key()), 1));
}

#[test]
fn many_who_change_it_at_once_lose_nothing() {
    let (_directory, _, memory) = place();
    let start = Barrier::new(16);
    thread::scope(|scope| {
        for n in 0..16u8 {
            let (memory, start) = (&memory, &start);
            scope.spawn(move || {
                start.wait();
                let met = Sighting { first_use: Some([n; 32]), ..sighting("2026-11-23T22:53:01Z") };
                let same = change(memory, |servers| servers.entry("same.test:25").notice(&met)).unwrap();
                change(memory, |servers| servers.entry(&format!("{n}.test:25")).notice(&met)).unwrap().unwrap();
                // Who reads meanwhile finds a whole file.
                let key = read(memory).unwrap().get("same.test:25").unwrap().key.as_ref().unwrap().sha256;
                assert_eq!(same.is_ok(), key == [n; 32]);
            });
        }
    });
    assert_eq!(read(&memory).unwrap().iter().count(), 17);
}

#[test]
fn a_lock_that_is_never_released_costs_seconds_and_no_more() {
    let (directory, path, memory) = place();
    let held = fs::File::open(directory.path()).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let trouble = change(&memory, |servers| *servers = one_key()).unwrap_err();
    assert!(trouble.error.summary().contains("another process keeps it locked"), "{trouble:?}");
    assert!(!path.exists());
    drop(held);
    change(&memory, |servers| *servers = one_key()).unwrap();
}

fn dates() -> impl Strategy<Value = Option<Date>> {
    let date = (-9999i16..=9999, 1i8..=12, 1i8..=28).prop_map(|(year, month, day)| Date::new(year, month, day).unwrap());
    proptest::option::of(date)
}

fn servers() -> impl Strategy<Value = Servers> {
    let moment = proptest::option::of((-377_705_000_000i64..253_402_200_000).prop_map(|s| Timestamp::from_second(s).unwrap()));
    let how = prop_oneof![Just(How::FirstUse), Just(How::Accepted)];
    let key = (any::<[u8; 32]>(), moment, how).prop_map(|(sha256, since, how)| Key { sha256, since, how });
    let days = (dates(), dates()).prop_map(|(first, last)| Days { first, last });
    let server = (proptest::option::of(days), dates(), proptest::option::of(key)).prop_map(|(starttls, verified, key)| Server {
        starttls,
        verified,
        key,
    });
    proptest::collection::vec(("\\PC{0,20}|[a-z.]{1,9}:[0-9]{1,5}", server), 0..8).prop_map(Servers::from_iter)
}

proptest! {
    #[test]
    fn every_memory_is_read_as_it_was_written(servers in servers()) {
        let text = servers.text().unwrap();
        prop_assert!(!text.chars().any(|c| c != '\n' && crate::error::is_treacherous(c)));
        prop_assert_eq!(Servers::parse(text.as_bytes()), Ok(servers));
    }

    #[test]
    fn a_text_that_is_cut_or_changed_is_read_or_refused(servers in servers(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut text = servers.text().unwrap().into_bytes();
        let at = at.index(text.len());
        text[at] = octet;
        let _ = Servers::parse(&text);
        if let Ok(cut) = Servers::parse(&text[..at]) {
            prop_assert!(cut == servers, "only white space may be missing");
        }
    }

    #[test]
    fn anything_is_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Servers::parse(&text);
    }
}
