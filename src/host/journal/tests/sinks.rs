//! Does the record arrive, in the file and in the system's log, and what is said when it doesn't?

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Scratch, foreign::foreign, full, rejected};
use crate::host::{
    config::{Log, Notation},
    journal::{Journal, Sockets, journald},
};

impl Scratch {
    fn sockets(&self) -> Sockets {
        Sockets { journald: self.0.join("journald"), syslog: self.0.join("log") }
    }

    fn system(&self, tag: Option<&str>) -> Journal {
        Journal::new(&Log { file: None, syslog: true, notation: Notation::Result }, tag, self.sockets())
    }
}

fn file_only(path: &Path) -> Journal {
    Journal::new(&Log { file: Some(path.into()), syslog: false, notation: Notation::Result }, None, Sockets::default())
}

/// The socket's next datagram; it must be there already.
fn datagram(socket: &UnixDatagram) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 17];
    socket.set_nonblocking(true).unwrap();
    let n = socket.recv(&mut buffer).unwrap();
    buffer.truncate(n);
    buffer
}

#[test]
fn nothing_is_opened_before_the_first_record() {
    let scratch = Scratch::new();
    let path = scratch.log();
    let journal = file_only(&path);
    assert!(!path.exists());
    assert_eq!(journal.write(&full()), []);
    assert_eq!(journal.write(&rejected()), []);
    let text = fs::read_to_string(&path).unwrap();
    let statuses: Vec<_> = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["status"].clone()).collect();
    assert_eq!(statuses, ["sent", "rejected"]);
}

#[test]
fn a_rotated_file_is_left_and_a_new_one_begun() {
    let scratch = Scratch::new();
    let (path, old) = (scratch.log(), scratch.0.join("log.jsonl.1"));
    let journal = file_only(&path);
    assert_eq!(journal.write(&full()), []);
    fs::rename(&path, &old).unwrap();
    assert_eq!(journal.write(&full()), []);
    assert_eq!(fs::read(&old).unwrap(), fs::read(&path).unwrap());
}

#[test]
fn threads_that_share_a_journal_write_whole_lines() {
    let scratch = Scratch::new();
    let path = scratch.log();
    let journal = file_only(&path);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(journal.write(&full()), [])));
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 1600);
    assert_eq!(text.lines().count(), 1600);
}

#[test]
fn a_file_that_can_not_be_written_is_said_once_until_it_worked_again() {
    let scratch = Scratch::new();
    let path = scratch.0.join("missing/log.jsonl");
    let journal = file_only(&path);
    let said = journal.write(&full());
    assert_eq!(said.len(), 1);
    let text = said[0].render("sendmail");
    assert!(text.contains("missing/log.jsonl: No such file") && text.contains("hint: create the directory"), "{text}");
    assert_eq!(journal.write(&full()), []);
    fs::create_dir(scratch.0.join("missing")).unwrap();
    assert_eq!(journal.write(&full()), []);
    fs::remove_dir_all(scratch.0.join("missing")).unwrap();
    assert_eq!(journal.write(&full()).len(), 1);
}

#[test]
fn a_system_without_a_log_daemon_is_silence() {
    let scratch = Scratch::new();
    assert_eq!(scratch.system(None).write(&full()), []);
    // A socket that its daemon left behind.
    drop(UnixDatagram::bind(scratch.0.join("log")).unwrap());
    assert!(scratch.0.join("log").exists());
    assert_eq!(scratch.system(None).write(&full()), []);
}

#[test]
fn syslog_is_written_where_journald_does_not_listen() {
    let scratch = Scratch::new();
    let syslog = UnixDatagram::bind(scratch.0.join("log")).unwrap();
    assert_eq!(scratch.system(None).write(&rejected()), []);
    let text = String::from_utf8(datagram(&syslog)).unwrap();
    assert!(text.starts_with(&format!("<19>sealpost[{}]: id=01M85", std::process::id())), "{text}");
    assert!(text.contains(" status=rejected tls=none "), "{text}");
}

#[test]
fn a_tag_can_not_break_the_head_of_the_syslog_line() {
    let scratch = Scratch::new();
    let syslog = UnixDatagram::bind(scratch.0.join("log")).unwrap();
    for (tag, head) in [("cron", "<22>cron["), ("a b:\n[x]é", "<22>a_b___x__["), ("", "<22>sealpost[")] {
        assert_eq!(scratch.system(Some(tag)).write(&full()), []);
        let text = String::from_utf8(datagram(&syslog)).unwrap();
        assert!(text.starts_with(head), "{text}");
    }
}

#[test]
fn journald_gets_every_fact_as_a_field_and_syslog_nothing_then() {
    let scratch = Scratch::new();
    let (native, syslog) =
        (UnixDatagram::bind(scratch.0.join("journald")).unwrap(), UnixDatagram::bind(scratch.0.join("log")).unwrap());
    assert_eq!(scratch.system(Some("cron")).write(&full()), []);
    let fields = parsed(&datagram(&native));
    let of = |name: &str| fields[name].join("|");
    assert!(of("MESSAGE").starts_with("id=01M859SPA3MPJTB9D5MPJTB9D5 status=sent tls=verified version=TLSv1.3 "));
    assert_eq!((of("PRIORITY"), of("SYSLOG_FACILITY"), of("SYSLOG_IDENTIFIER")), ("6".into(), "2".into(), "cron".into()));
    assert_eq!((of("SEALPOST_STATUS"), of("SEALPOST_TLS_RESULT")), ("sent".into(), "verified".into()));
    assert_eq!((of("SEALPOST_FROM"), of("SEALPOST_TO")), ("cron@example.com".into(), "admin@example.com".into()));
    assert!(!fields.contains_key("SEALPOST_ERROR"));
    syslog.set_nonblocking(true).unwrap();
    assert!(syslog.recv(&mut [0; 10]).is_err());
}

#[test]
fn a_newline_can_not_forge_a_field_of_journald() {
    let hostile = "x\nSEALPOST_STATUS=sent\nPRIORITY=0\n";
    let mut record = parsed(&journald::datagram(&foreign(hostile), Notation::Result, "sealpost"));
    assert_eq!(record.remove("SEALPOST_USER").unwrap(), [hostile]);
    assert_eq!(record.remove("SEALPOST_STATUS").unwrap(), ["sent"]);
    assert_eq!(record.remove("PRIORITY").unwrap(), ["6"]);
    assert_eq!(record.remove("MESSAGE").unwrap().len(), 1);
}

#[test]
fn a_log_daemon_that_stopped_reading_costs_a_moment_and_is_said_once() {
    let scratch = Scratch::new();
    let _deaf = UnixDatagram::bind(scratch.0.join("log")).unwrap();
    let (journal, begun) = (scratch.system(None), Instant::now());
    let said = (0..10_000).find_map(|_| journal.write(&full()).pop()).unwrap();
    assert!(said.summary().ends_with("the log daemon does not read what it is sent"), "{said}");
    assert_eq!(journal.write(&full()), []);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_directory_of_our_name_is_made_for_its_owner_alone() {
    let scratch = Scratch::new();
    let path = scratch.0.join("state/sealpost/log.jsonl");
    assert_eq!(file_only(&path).write(&full()), []);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (file, directory) = if rustix::process::geteuid().is_root() { (0o640, 0o750) } else { (0o600, 0o700) };
    assert_eq!((mode(&path), mode(path.parent().unwrap()) & !directory), (file, 0));
}

/// Reads the native protocol as its specification says.
fn parsed(mut entry: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while !entry.is_empty() {
        let end = entry.iter().position(|b| *b == b'\n').unwrap();
        let (head, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value, rest) = if let Some(equals) = head.iter().position(|b| *b == b'=') {
            (&head[..equals], &head[equals + 1..], rest)
        } else {
            let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
            assert_eq!(rest[8 + length], b'\n');
            (head, &rest[8..8 + length], &rest[8 + length + 1..])
        };
        assert!(name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_'));
        fields.entry(text(name)).or_default().push(text(value));
        entry = rest;
    }
    fields
}

#[test]
fn the_notation_of_postfix_changes_the_line_and_no_field() {
    let scratch = Scratch::new();
    let log = Log { file: None, syslog: true, notation: Notation::Postfix };
    let syslog = UnixDatagram::bind(scratch.0.join("log")).unwrap();
    let journal = Journal::new(&log, None, scratch.sockets());
    assert_eq!(journal.write(&full()), []);
    let text = String::from_utf8(datagram(&syslog)).unwrap();
    assert!(text.contains(" status=sent tls=secure tls_result=verified version=TLSv1.3 "), "{text}");
    let native = UnixDatagram::bind(scratch.0.join("journald")).unwrap();
    assert_eq!(journal.write(&full()), []);
    let fields = parsed(&datagram(&native));
    assert!(fields["MESSAGE"].iter().any(|line| line.contains(" tls=secure tls_result=verified ")), "{fields:?}");
    assert_eq!(fields["SEALPOST_TLS_RESULT"], ["verified"]);
}
