//! What do the tests of the spool put into it, and how do they look at what is there?

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use jiff::Timestamp;
use sealpost::{
    error::Error,
    host::{
        journal::Id,
        spool::{Claim, Claimed, Entry, Found, Head, Place, Spool},
    },
    mail::{
        address::{Address, ReversePath},
        content::{Content as _, Form},
        envelope::{Dsn, Envelope, Recipient},
        policy::Request,
    },
};

pub(crate) use crate::text::Text;

pub(crate) const MESSAGE: &[u8] = b"Subject: report\r\n\r\nAll is well.\r\n";

/// A moment, in seconds after an arbitrary one.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn id(n: u8) -> Id {
    Id::new(at(0), [n; 10])
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// To so many recipients.
pub(crate) fn entry(recipients: usize) -> Entry {
    let recipient = |n: usize| Recipient { address: address(&format!("user{n}@example.org")), original: None, notify: None };
    let envelope = Envelope {
        sender: ReversePath::Address(address("cron@example.com")),
        recipients: (0..recipients).map(recipient).collect(),
        dsn: Dsn::default(),
        request: Request::Nothing,
    };
    let head = Head {
        arrived: at(0),
        uid: 1000,
        user: "alice".into(),
        account: "relay".into(),
        asked: None,
        envelope,
        message_id: "<1@example.com>".into(),
        size: 0,
        eight_bit: false,
        tls_waived: false,
        report: false,
    };
    Entry::new(head, at(0))
}

pub(crate) fn add(spool: &Spool, n: u8) -> Claim<'_> {
    spool.add(id(n), entry(2), &mut Text::new(MESSAGE)).unwrap()
}

/// What comes of a message when nobody works on it any more: what other tests start may have its file open until they exec.
pub(crate) fn claimed(spool: &Spool, place: Place, n: u8) -> Result<Claimed<'_>, Error> {
    loop {
        match spool.claim(place, id(n)) {
            Ok(Claimed::Busy) => std::thread::yield_now(),
            claimed => return claimed,
        }
    }
}

pub(crate) fn claim(spool: &Spool, place: Place, n: u8) -> Box<Claim<'_>> {
    match claimed(spool, place, n).unwrap() {
        Claimed::Ours(claim) => claim,
        other => panic!("{n} in {place:?}: {other:?}"),
    }
}

/// Why it is no message of ours.
pub(crate) fn odd(spool: &Spool, n: u8) -> String {
    match claimed(spool, Place::Queue, n).unwrap() {
        Claimed::Odd(why) => why,
        other => panic!("{n}: {other:?}"),
    }
}

/// All octets of the message.
pub(crate) fn octets(claim: &Claim<'_>) -> Vec<u8> {
    let mut content = claim.content().unwrap();
    let size = content.rewind(Form::EightBit).unwrap();
    let mut octets = Vec::new();
    while !content.fill(&mut octets, 1000).unwrap() {}
    assert_eq!(octets.len() as u64, size);
    octets
}

/// A spool below a directory that goes away.
pub(crate) fn spool() -> (tempfile::TempDir, Spool) {
    let scratch = tempfile::tempdir().unwrap();
    let spool = Spool::make(&scratch.path().join("spool")).unwrap();
    (scratch, spool)
}

pub(crate) fn path(spool: &Spool, place: Place, n: u8) -> PathBuf {
    spool.path().join(place.as_str()).join(id(n).to_string())
}

/// Names of what is in a place, the odd ones marked.
pub(crate) fn names(spool: &Spool, place: Place) -> Vec<String> {
    let mut names: Vec<String> = spool
        .names(place)
        .unwrap()
        .map(|found| match found {
            Found::Message(waiting) => waiting.id.to_string(),
            Found::Odd(name) => format!("odd {}", name.display()),
        })
        .collect();
    names.sort();
    names
}

/// What a directory holds, whatever it is.
pub(crate) fn listing(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A file as the spool writes it, of whatever stands in its parts.
pub(crate) fn file(head: &[u8], content: &[u8], states: &[&[u8]]) -> Vec<u8> {
    let covered = format!("sealpost-queue 1 {:010} {:020} {:08x}", head.len(), content.len(), crc(content));
    let sum = crc(&[covered.as_bytes(), head].concat());
    let mut file = [format!("{covered} {sum:08x}\n").as_bytes(), head, content].concat();
    for state in states {
        file.extend_from_slice(format!("{:08x} ", crc(state)).as_bytes());
        file.extend_from_slice(state);
        file.push(b'\n');
    }
    file
}

/// CRC-32 as zlib has it, bit by bit.
fn crc(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0_u32, |sum, octet| {
        (0..8).fold(sum ^ u32::from(*octet), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

/// The parts of a file that the spool wrote: head, message, lines of the state without their checksums.
pub(crate) fn parts(file: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) {
    let first = std::str::from_utf8(&file[..66]).unwrap();
    let length = |nth: usize| -> usize { first.split(' ').nth(nth).unwrap().parse().unwrap() };
    let (head, content) = (67 + length(2), 67 + length(2) + length(3));
    let lines = file[content..].split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    (file[67..head].to_vec(), file[head..content].to_vec(), lines.map(|line| line[9..].to_vec()).collect())
}

/// This very program again, for the one test of that name, with its errand in the environment; `wrapper` is put before it.
pub(crate) fn again(wrapper: &[&str], test: &str, errand: &[(&str, &str)]) -> Output {
    command(wrapper, test, errand).output().unwrap()
}

fn command(wrapper: &[&str], test: &str, errand: &[(&str, &str)]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.envs(errand.iter().copied());
    command
}

/// With what options strace is to look at the thread that asks for it.
const STRACE: &str = "SPOOL_TEST_STRACE";

/// This very program again, for the one test of that name, with its errand; strace looks at the thread that calls [`watch`], from
/// there on, so that nothing before it is counted.
pub(crate) fn again_watched(options: &[&str], test: &str, errand: (&str, &Path)) -> Output {
    start_watched(options, test, errand).wait_with_output().unwrap()
}

/// The same, while this goes on.
pub(crate) fn start_watched(options: &[&str], test: &str, errand: (&str, &Path)) -> Child {
    let mut command = command(&[], test, &[(errand.0, errand.1.to_str().unwrap()), (STRACE, &options.join("\n"))]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Lets strace look at this thread from here on, where somebody wants that; until the thread ends.
#[allow(clippy::zombie_processes, reason = "it ends after this thread, whose process is about to end too")]
pub(crate) fn watch() {
    let Ok(options) = std::env::var(STRACE) else { return };
    let thread = fs::read_link("/proc/thread-self").unwrap();
    let thread = thread.file_name().unwrap().to_str().unwrap();
    let mut file = fs::File::open("/proc/thread-self/status").unwrap();
    let mut command = Command::new("strace");
    let mut strace = command.args(["-qq", "-s", "200", "-p", thread]).args(options.split('\n')).spawn().unwrap();
    // Open already: to open it is what a test may want to see fail.
    let mut status = [0; 4096];
    while String::from_utf8_lossy(&status).split("TracerPid:\t").nth(1).is_none_or(|pid| pid.starts_with('0')) {
        file.rewind().unwrap();
        let _ = file.read(&mut status).unwrap();
        assert!(strace.try_wait().unwrap().is_none(), "{NOBODY_MAY_WATCH}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Whether it may look; says so where not.
pub(crate) fn may_watch(run: &Output, test: &str) -> bool {
    let may = !String::from_utf8_lossy(&run.stderr).contains(NOBODY_MAY_WATCH);
    if !may {
        say(&format!("SKIPPED: {test}: {NOBODY_MAY_WATCH} (see /proc/sys/kernel/yama/ptrace_scope)"));
    }
    may
}

const NOBODY_MAY_WATCH: &str = "strace may not look at this process";

/// What this process is to do instead of the test, if it was started for that.
pub(crate) fn errand(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether a program is there that a test needs; says so where not.
pub(crate) fn has(program: &str, test: &str) -> bool {
    let there = Command::new(program).arg("-V").output().is_ok();
    if !there {
        say(&format!("SKIPPED: {test}: {program} is not installed (tests/run installs it)"));
    }
    there
}

pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say(&format!("SKIPPED: {test}: it wants root"));
    }
    root
}
