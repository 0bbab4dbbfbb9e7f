//! Is every record read once, in order, whatever else stands in the log and whatever happens to it meanwhile?

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    sync::mpsc,
    thread,
    time::Duration,
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{lines::LONGEST, *};

/// More than any event takes, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(30);

fn line(id: &str) -> String {
    format!(r#"{{"time":"2026-11-23T22:53:01.123Z","event":"send","status":"sent","id":"{id}","tls":{{"result":"verified"}}}}"#)
        + "\n"
}

fn gzipped(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A log and files beside it.
fn scene(files: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(scratch.path().join(name), bytes).unwrap();
    }
    let path = scratch.path().join("log.jsonl");
    (scratch, path)
}

fn since_the(time: &str) -> Wanted {
    Wanted { filter: Filter { since: Some(time.parse().unwrap()), ..Filter::default() }, last: None }
}

fn ids(path: &Path) -> (Vec<String>, Gaps) {
    let mut ids = Vec::new();
    let gaps = Ledger::open(path).unwrap().read(&Wanted::default(), &mut |_, entry| {
        ids.extend(entry.id);
        ControlFlow::Continue(())
    });
    (ids, gaps)
}

#[test]
fn rotated_parts_come_first_the_oldest_of_all_at_the_beginning_compressed_or_not() {
    let twice = [gzipped(line("a")), gzipped(line("b"))].concat();
    let (_scratch, path) = scene(&[
        ("log.jsonl", line("e").as_bytes()),
        ("log.jsonl.1", line("d").as_bytes()),
        ("log.jsonl.2.gz", &gzipped(line("c"))),
        ("log.jsonl.3.gz", &twice),
        ("log.jsonl.bak", line("x").as_bytes()),
        ("other.jsonl.1", line("x").as_bytes()),
    ]);
    let (ids, gaps) = ids(&path);
    assert_eq!((ids.concat().as_str(), gaps.strangers, gaps.failures.len()), ("abcde", 0, 0));
}

#[test]
fn between_a_rotation_and_the_next_send_the_parts_alone_are_the_log() {
    let (_scratch, path) = scene(&[("log.jsonl.1", line("a").as_bytes())]);
    assert_eq!(ids(&path).0, ["a"]);
}

#[test]
fn a_log_that_is_not_there_or_is_no_file_is_an_error_with_advice() {
    let (scratch, path) = scene(&[]);
    let error = Ledger::open(&path).unwrap_err();
    assert_eq!((error.exit(), error.because()), (Exit::NoInput, "there is no such file"));
    assert!(error.advice().unwrap().contains("sealpost config show"));
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for place in [&path, scratch.path()] {
        let error = Ledger::open(place).unwrap_err();
        assert_eq!((error.exit(), error.because()), (Exit::NoInput, "it is not a regular file"));
    }
}

#[test]
fn half_lines_foreign_lines_and_noise_are_left_out_and_counted() {
    let good = line("a");
    let bytes = [
        good.as_bytes(),
        b"{\"time\":\"2026-11-2\n",
        b"\n",
        b"Nov 23 22:53:01 host sshd[1]: hello\n",
        b"\xff\xfe\x00\n",
        b"\0\0\0\0",
        line("b").as_bytes(),
        &vec![b'x'; LONGEST + 1],
        b"\n",
        line("c").trim_end().as_bytes(),
    ]
    .concat();
    let (_scratch, path) = scene(&[("log.jsonl", &bytes)]);
    let (ids, gaps) = ids(&path);
    assert_eq!((ids.concat().as_str(), gaps.strangers), ("abc", 4));
}

#[test]
fn a_damaged_part_gives_what_it_has_and_is_told_and_the_others_are_read() {
    let whole: String = (0..1000).map(|n| line(&format!("{n}-{}", n * 7919))).collect();
    let packed = gzipped(&whole);
    let mut noisy = packed.clone();
    let middle = noisy.len() / 2;
    noisy[middle..middle + 8].copy_from_slice(&[0xff; 8]);
    let (_scratch, path) = scene(&[
        ("log.jsonl.4.gz", &packed[..packed.len() / 2]),
        ("log.jsonl.3.gz", &noisy),
        ("log.jsonl.2.xz", b"\xfd7zXZ\0 and no more"),
        ("log.jsonl.1.gz", b"\x1f\x8b"),
        ("log.jsonl", line("end").as_bytes()),
    ]);
    let (ids, gaps) = ids(&path);
    assert_eq!(ids.last().unwrap(), "end");
    assert_eq!(ids[0], "0-0");
    let told: Vec<&str> = gaps.failures.iter().map(Error::because).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!((told[0], told[3]), ("the compressed file ends in the middle", "the compressed file ends in the middle"));
    let xz = [
        "the compressed file is damaged (xz could not unpack it to its end)",
        "it is compressed by xz, and that program is not here",
    ];
    assert!(xz.contains(&told[2]), "{told:?}");
}

#[test]
fn a_bomb_costs_no_memory() {
    let bomb = gzipped(vec![b'a'; 64 << 20]);
    assert!(bomb.len() < 1 << 18);
    let (_scratch, path) = scene(&[("log.jsonl.1.gz", &bomb), ("log.jsonl", line("a").as_bytes())]);
    let (ids, gaps) = ids(&path);
    assert_eq!((ids.len(), gaps.strangers), (1, 1));
}

#[test]
fn a_part_that_is_older_than_what_is_asked_for_is_not_opened() {
    let (_scratch, path) = scene(&[("log.jsonl.1", b"noise\n"), ("log.jsonl", line("a").as_bytes())]);
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    File::options().write(true).open(path.with_file_name("log.jsonl.1")).unwrap().set_modified(old).unwrap();
    let strangers = |since: &str| {
        let mut visit = |_: &str, _| ControlFlow::Continue(());
        Ledger::open(&path).unwrap().read(&since_the(since), &mut visit).strangers
    };
    assert_eq!((strangers("2023-11-15T00:00:00Z"), strangers("2023-11-16T00:00:00Z")), (1, 0));
}

#[test]
fn a_rotation_after_the_log_was_opened_shows_no_record_twice_and_hides_none() {
    let (_scratch, path) = scene(&[("log.jsonl", line("a").as_bytes()), ("log.jsonl.1", b"")]);
    let ledger = Ledger::open(&path).unwrap();
    std::fs::rename(&path, path.with_file_name("log.jsonl.1")).unwrap();
    std::fs::write(&path, line("b")).unwrap();
    let mut ids = Vec::new();
    let _ = ledger.read(&Wanted::default(), &mut |_, entry| {
        ids.extend(entry.id);
        ControlFlow::Continue(())
    });
    assert_eq!(ids, ["a"]);
}

#[test]
fn a_visitor_that_has_seen_enough_ends_the_reading() {
    let (_scratch, path) = scene(&[("log.jsonl.1", (line("a") + &line("b")).as_bytes()), ("log.jsonl", line("c").as_bytes())]);
    let mut seen = 0;
    let _ = Ledger::open(&path).unwrap().read(&Wanted::default(), &mut |_, _| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!(seen, 1);
}

/// A follower in a thread of its own, and what it shows; `None` once for having caught up.
struct Follower {
    shown: mpsc::Receiver<Option<String>>,
    reader: std::io::PipeReader,
    thread: thread::JoinHandle<()>,
}

impl Follower {
    fn start(path: &Path) -> Self {
        let (tell, shown) = mpsc::channel();
        let (reader, writer) = io::pipe().unwrap();
        let ledger = Ledger::open(path).unwrap();
        let thread = thread::spawn(move || {
            let ready = tell.clone();
            let mut visit = |_: &str, entry: Entry| {
                tell.send(entry.id).unwrap();
                ControlFlow::Continue(())
            };
            let mut caught_up = || {
                ready.send(None).unwrap();
                ControlFlow::Continue(())
            };
            let _ = ledger.follow(&Wanted::default(), &mut visit, &mut caught_up, writer.as_fd());
        });
        Self { shown, reader, thread }
    }

    fn next(&self) -> Option<String> {
        self.shown.recv_timeout(PATIENCE).expect("nothing is shown")
    }

    /// Its reader goes; it ends by itself.
    fn end(self) {
        drop(self.reader);
        self.thread.join().unwrap();
    }
}

fn add(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_follower_sees_what_is_added_through_rotation_and_truncation_and_ends_with_its_reader() {
    let (_scratch, path) = scene(&[("log.jsonl.1", line("a").as_bytes()), ("log.jsonl", line("b").as_bytes())]);
    let follower = Follower::start(&path);
    for wanted in [Some("a"), Some("b"), None] {
        assert_eq!(follower.next().as_deref(), wanted);
    }
    // A line that comes in two writes is one line.
    let c = line("c");
    add(&path, &c[..20]);
    add(&path, &c[20..]);
    assert_eq!(follower.next().as_deref(), Some("c"));
    // Rotated; the old file still gets a line, and the new one comes into being with its first.
    std::fs::rename(&path, path.with_file_name("log.jsonl.1")).unwrap();
    add(&path.with_file_name("log.jsonl.1"), &line("d"));
    assert_eq!(follower.next().as_deref(), Some("d"));
    add(&path, &line("e"));
    assert_eq!(follower.next().as_deref(), Some("e"));
    // Copied and truncated.
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    add(&path, &line("f")[..10]);
    add(&path, &line("f")[10..]);
    add(&path, &line("g"));
    assert_eq!(follower.next().as_deref(), Some("f"));
    assert_eq!(follower.next().as_deref(), Some("g"));
    follower.end();
}

#[test]
fn a_follower_waits_for_a_log_that_was_just_rotated_away() {
    let (_scratch, path) = scene(&[("log.jsonl.1", line("a").as_bytes())]);
    let follower = Follower::start(&path);
    assert_eq!((follower.next().as_deref(), follower.next()), (Some("a"), None));
    add(&path, &line("b"));
    assert_eq!(follower.next().as_deref(), Some("b"));
    follower.end();
}

proptest! {
    #[test]
    fn every_record_is_found_once_and_in_order_whatever_stands_between(
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..12),
        cut in 0_usize..200,
        packed in any::<bool>(),
    ) {
        let mut log = Vec::new();
        for (number, noise) in noise.iter().enumerate() {
            log.extend(line(&number.to_string()).into_bytes());
            log.extend(noise.iter().map(|octet| if *octet == b'{' { b'[' } else { *octet }));
            log.push(b'\n');
        }
        let torn = line("torn");
        log.extend(&torn.as_bytes()[..cut.min(torn.len() - 2)]);
        let mut stream = if packed { gzipped(&log) } else { log };
        let mut found = Vec::new();
        let mut visit = |_: &str, entry: Entry| {
            found.extend(entry.id);
            ControlFlow::Continue(())
        };
        let gaps = if packed {
            stream.push(0); // what follows a member that is no other one
            let mut inflated = Vec::new();
            let _ = MultiGzDecoder::new(&*stream).read_to_end(&mut inflated);
            read_stream(&*inflated, &Wanted::default(), &mut visit)
        } else {
            read_stream(&*stream, &Wanted::default(), &mut visit)
        };
        let wanted: Vec<String> = (0..noise.len()).map(|number| number.to_string()).collect();
        prop_assert_eq!(found, wanted);
        prop_assert!(gaps.strangers <= 80 * 12 + 13);
    }

    #[test]
    fn no_stream_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (_scratch, path) = scene(&[("log.jsonl", &bytes), ("log.jsonl.1", &[&[0x1f, 0x8b][..], &bytes].concat())]);
        let _ = ids(&path);
    }
}
