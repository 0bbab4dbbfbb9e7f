//! Does a secret come from where it lives, and never show?

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::PathBuf,
    time::Instant,
};

use proptest::prelude::*;

use super::*;
use crate::{
    host::world::{Machine, Pretend},
    smtp::sasl::Choice,
};

fn auth(source: SecretSource) -> Auth {
    Auth { user: "cron".to_owned(), choice: Choice::Auto, source, allow_unverified: false }
}

/// A machine whose caller is whoever runs the tests.
fn machine() -> Pretend {
    Pretend { uid: Machine.uid(), ..Pretend::default() }
}

fn fetched(source: SecretSource) -> Result<String, Error> {
    fetch(&machine(), "relay", &auth(source)).map(|secret| secret.expose().to_owned())
}

fn run(command: &str) -> Result<String, Error> {
    fetched(SecretSource::Command(command.to_owned()))
}

fn file(content: impl AsRef<[u8]>, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("secret");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (root, path)
}

#[test]
fn the_first_line_of_a_file_is_the_password() {
    for (content, wanted) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        (" spaces stay \nsecond\n", " spaces stay "),
        ("pässwörd\n", "pässwörd"),
    ] {
        let (_root, path) = file(content, 0o600);
        assert_eq!(fetched(SecretSource::File(path)).unwrap(), wanted);
    }
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let (_root, path) = file("hunter2\n", mode);
        let error = fetched(SecretSource::File(path.clone())).unwrap_err();
        let because = format!("reading {}: it holds a password, and others can get at it (mode {mode:04o})", path.display());
        assert_eq!((error.exit(), error.summary()), (Exit::Config, because));
        assert_eq!(error.advice(), Some(format!("chmod 600 {}", path.display()).as_str()));
    }
}

#[test]
fn a_file_that_somebody_else_owns_is_refused() {
    let (_root, path) = file("hunter2\n", 0o600);
    let owner = if Machine.uid() == 0 { 12_345 } else { Machine.uid() };
    std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
    let world = Pretend { uid: 54_321, ..Pretend::default() };
    let error = fetch(&world, "relay", &auth(SecretSource::File(path.clone()))).unwrap_err();
    assert!(error.summary().contains(&format!("it belongs to uid {owner}")), "{}", error.summary());
}

#[test]
fn a_file_that_is_no_password_says_why() {
    let giant = "x".repeat(LONGEST + 1);
    for (content, why) in [
        (&b""[..], "holds an empty first line"),
        (b"\nhunter2\n", "holds an empty first line"),
        (b"\xff\xfe\n", "holds something that is not UTF-8"),
        (b"a\0b\n", "holds a NUL"),
        (giant.as_bytes(), "holds a first line of more than 64 KiB"),
    ] {
        let (_root, path) = file(content, 0o600);
        let error = fetched(SecretSource::File(path.clone())).unwrap_err();
        assert_eq!(error.summary(), format!("fetching the password of account relay: {} {why}", path.display()));
        assert_eq!(error.exit(), Exit::Config);
    }
    let (_root, path) = file("x".repeat(LONGEST), 0o600);
    assert_eq!(fetched(SecretSource::File(path)).unwrap().len(), LONGEST);
}

#[test]
fn a_missing_file_and_one_that_is_no_file_are_said_to_be_so() {
    let (root, path) = file("x", 0o600);
    let missing = root.path().join("missing");
    let error = fetched(SecretSource::File(missing.clone())).unwrap_err();
    assert_eq!(error.summary(), format!("fetching the password of account relay: {} does not exist", missing.display()));
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(fetched(SecretSource::File(path)).unwrap_err().summary().ends_with("is not a regular file"));
}

#[test]
fn the_first_line_that_a_command_prints_is_the_password() {
    assert_eq!(run("echo hunter2; echo second").unwrap(), "hunter2");
    assert_eq!(run("printf hunter2; echo talk >&2").unwrap(), "hunter2");
    assert_eq!(run("printf 'a b\\r\\n'").unwrap(), "a b");
}

#[test]
fn a_command_that_says_its_secret_again_when_it_fails_is_not_quoted_with_it() {
    let error = run("set -x; echo hunter2; false").unwrap_err().render("t");
    assert!(error.contains("+ echo *** / + false") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_command_that_fails_is_quoted_and_may_be_tried_again() {
    let error = run("echo hunter2; printf 'no\\033[2J key\\nfor you\\n' >&2; exit 3").unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    let rendered = error.render("t");
    assert!(rendered.contains("the command failed (exit status: 3): no\\u{1b}[2J key / for you"), "{rendered}");
    assert!(!rendered.contains("hunter2"), "what it printed may be the password: {rendered}");
    let chatter = run("yes complaint | head -c 1000000 >&2; exit 1").unwrap_err();
    assert!(chatter.summary().len() < 2 * command::COMPLAINT, "{}", chatter.summary().len());
    assert!(run("kill -9 $$").unwrap_err().summary().contains("signal: 9"));
}

#[test]
fn a_command_that_prints_nothing_is_a_fault_of_the_configuration() {
    let error = run("true").unwrap_err();
    assert_eq!(error.summary(), "fetching the password of account relay: the command printed an empty first line");
    assert_eq!(error.exit(), Exit::Config);
}

#[test]
fn a_command_that_prints_without_end_is_cut_and_does_not_block() {
    let error = run("yes | tr -d '\\n' | head -c 3000000").unwrap_err();
    assert!(error.summary().ends_with("the command printed a first line of more than 64 KiB"), "{}", error.summary());
}

#[test]
fn a_command_reads_nothing_from_the_message() {
    assert_eq!(run("cat; echo end").unwrap(), "end");
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let root = tempfile::tempdir().unwrap();
    let pids = root.path().join("pids");
    let command = format!("sleep 1000 & echo $! >{0}; echo $$ >>{0}; wait", pids.display());
    let patience = Duration::from_millis(1500);
    let error = command::output(&machine(), &command, patience, "fetching").unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    assert!(error.summary().contains("did not end within"), "{}", error.summary());
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(ends(pid), "process {pid} is still running");
    }
}

/// Whether a process that was killed is gone, or waits for its parent only, before long.
fn ends(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => return true,
            Ok(stat) if stat.contains(") Z ") => return true,
            Ok(_) => std::thread::yield_now(),
        }
    }
    false
}

#[test]
fn an_agent_left_behind_does_not_hold_up_the_answer() {
    let started = Instant::now();
    assert_eq!(run("sleep 20 & echo hunter2").unwrap(), "hunter2");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_command_does_not_see_the_passwords_of_the_environment() {
    // The child's environment is the real one: what matters is which names are taken away.
    let world = machine().with_env("SEALPOST_PASSWORD", "a").with_env("SMTP_PASS", "b").with_env("PATH", "/bin");
    let hidden: Vec<String> = command::hidden(&world).collect();
    assert_eq!(hidden, ["SEALPOST_PASSWORD", "SMTP_PASS"]);
}

#[test]
fn a_variable_holds_the_password_or_is_missing() {
    let world = machine().with_env("RELAY", "hunter2\n").with_env("EMPTY", "").with_env("BINARY", OsStr::from_bytes(b"\xff"));
    let of = |name: &str| fetch(&world, "relay", &auth(SecretSource::Environment(name.to_owned())));
    assert_eq!(of("RELAY").unwrap().expose(), "hunter2");
    for (name, why) in [
        ("MISSING", "the variable MISSING is not set"),
        ("EMPTY", "the variable EMPTY holds an empty first line"),
        ("BINARY", "the variable BINARY holds something that is not UTF-8"),
    ] {
        let error = of(name).unwrap_err();
        assert_eq!(error.summary(), format!("fetching the password of account relay: {why}"));
        assert_eq!(error.exit(), Exit::Config);
    }
}

#[test]
fn a_path_is_quoted_for_the_shell() {
    for (path, wanted) in [("/a/b.c", "/a/b.c"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("-x", "'-x'")] {
        assert_eq!(quoted(Path::new(path)), wanted);
    }
}

proptest! {
    #[test]
    fn any_octets_are_a_clean_secret_or_an_error_without_them(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
        match first_line(&octets, "fetching", "it holds") {
            Ok(secret) => {
                prop_assert!(octets.starts_with(secret.expose().as_bytes()));
                prop_assert!(!secret.expose().is_empty() && !secret.expose().contains(['\n', '\0']));
            }
            Err(error) => prop_assert!(error.summary().starts_with("fetching: it holds ")),
        }
    }
}
