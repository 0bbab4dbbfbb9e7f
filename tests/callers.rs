//! Do the programs that call sendmail get what they have always got? The cases of callers.json, through the real binary.
//!
//! A recording smarthost on loopback stands at the other end. As root the cases run as the users that they name, which needs
//! an alice (`useradd --comment 'Alice Example,,,' alice`). As anybody else all of them run as that user.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]

#[path = "callers/dialogue.rs"]
mod dialogue;
#[path = "callers/judge.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod judge;
#[path = "callers/recorder.rs"]
mod recorder;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use nix::unistd::{Uid, User};

use judge::{Case, Expect, Outcome, differences};
use recorder::Recorder;

/// Cases whose expectation is a decision that was taken otherwise here: what is expected instead, and why.
type Decision = (&'static str, fn(&mut Expect), &'static str);
const DECIDED: &[Decision] = &[
    (
        "msg-dot-no-i",
        |expect| (expect.body_contains, expect.body_not_contains) = (Some("a\n.\nAFTER\n".to_owned()), None),
        "without -i a lone dot is data unless standard input is a terminal",
    ),
    (
        "msg-8bit",
        |expect| expect.headers_present = vec!["Subject: =?UTF-8?Q?caf=C3=A9?=".to_owned()],
        "raw 8-bit in a header is encoded (RFC 2047); it is illegal without SMTPUTF8",
    ),
];

#[test]
fn real_callers_get_what_they_have_always_got() {
    run(false, |case| case.evidence != "spec");
}

#[test]
fn the_cases_of_the_specification_hold() {
    run(false, |case| case.evidence == "spec");
}

#[test]
fn a_smarthost_with_chunking_gets_the_same() {
    run(true, |_| true);
}

#[test]
fn every_exception_names_a_case() {
    let cases = cases();
    for (id, ..) in DECIDED {
        assert!(cases.iter().any(|case| case.id == *id), "{id}");
    }
    assert!(cases.iter().all(|case| case.protocol.as_deref().is_none_or(|protocol| protocol == "smtp-stdio")));
}

fn run(chunking: bool, choose: impl Fn(&Case) -> bool) {
    let stage = Stage::new();
    let (mut passed, mut failed) = (0, Vec::new());
    for mut case in cases().into_iter().filter(choose) {
        stage.adapt(&mut case);
        let wrong = differences(&case, &stage.play(&case, chunking));
        if wrong.is_empty() {
            passed += 1;
        } else {
            failed.push(format!("{} ({}): {}", case.id, case.caller, wrong.join("\n        ")));
        }
    }
    assert!(failed.is_empty(), "{passed} passed, {} failed:\n    {}", failed.len(), failed.join("\n    "));
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/callers.json")).unwrap()
}

/// A directory with the binary under its names, and the user whom the cases call alice.
struct Stage {
    dir: PathBuf,
    alice: User,
    root: bool,
}

impl Stage {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let root = Uid::effective().is_root();
        let alice = if root { User::from_name("alice") } else { User::from_uid(Uid::effective()) };
        let alice = alice.unwrap().expect("the cases need a user: useradd --comment 'Alice Example,,,' alice");
        if root {
            assert_eq!(alice.gecos.to_str(), Ok("Alice Example,,,"), "usermod --comment 'Alice Example,,,' alice");
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("sealpost-callers-{}-{count}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        open(&dir);
        // A copy: another user may not reach the place where it was built.
        fs::copy(env!("CARGO_BIN_EXE_sealpost"), dir.join("sealpost")).unwrap();
        open(&dir.join("sealpost"));
        for name in ["sendmail", "mailq", "newaliases"] {
            symlink("sealpost", dir.join(name)).unwrap();
        }
        Self { dir, alice, root }
    }

    /// Puts our decisions in, and, where alice is somebody else, that name for hers wherever the password database gave it.
    fn adapt(&self, case: &mut Case) {
        let expect = &mut case.expect;
        if let Some((_, decide, _)) = DECIDED.iter().find(|(id, ..)| *id == case.id) {
            decide(expect);
        }
        if self.root {
            return;
        }
        let (hers, ours) = (case.user.as_deref().unwrap_or("alice"), self.alice.name.as_str());
        let (hers, ours) = (format!("{hers}@client.example"), format!("{ours}@client.example"));
        let sender = ["-f", "-r", "-itf"];
        if !case.argv.iter().any(|word| sender.iter().any(|flag| word.starts_with(flag))) {
            expect.envelope_from = expect.envelope_from.as_ref().map(|from| from.replace(&hers, &ours));
        }
        if !case.stdin.to_lowercase().contains("from:") {
            for wanted in &mut expect.headers_present {
                *wanted = wanted.replace("Alice Example <alice@client.example>", &ours).replace(&hers, &ours);
            }
        }
    }

    fn play(&self, case: &Case, chunking: bool) -> Outcome {
        let recorder = Recorder::start(chunking);
        let dir = self.dir.join(case.id.replace('/', "_"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("config.toml"), config(&dir, recorder.port())).unwrap();
        open(&dir.join("config.toml"));
        let command = self.command(case, &dir);
        let (exit, stdout, stderr) = match case.protocol {
            Some(_) => dialogue::converse(command, &case.stdin),
            None => dialogue::speak(command, case.stdin.as_bytes()),
        };
        let log = fs::read_to_string(dir.join("log.jsonl")).unwrap_or_default();
        Outcome { exit, stdout, stderr, seen: recorder.finish(), log: Some(log) }
    }

    fn command(&self, case: &Case, dir: &Path) -> Command {
        let name = Path::new(&case.argv[0]).file_name().unwrap();
        let mut command = Command::new(self.dir.join(name));
        command.arg0(&case.argv[0]).args(&case.argv[1..]).current_dir(dir);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("SEALPOST_CONFIG", dir.join("config.toml"));
        for (name, value) in &case.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if self.root && case.user.as_deref() != Some("root") {
            chown(dir, Some(self.alice.uid.as_raw()), Some(self.alice.gid.as_raw())).unwrap();
            command.uid(self.alice.uid.as_raw()).gid(self.alice.gid.as_raw());
        }
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The environment that the recorded calls assume.
fn config(dir: &Path, port: u16) -> String {
    format!(
        "mail_domain = \"client.example\"\naliases = \"\"\n\
         [log]\nfile = \"{}\"\nsyslog = false\n\
         [queue]\nmode = \"off\"\n\
         [accounts.recorder]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [accounts.recorder.tls]\npolicy = \"off\"\n",
        dir.join("log.jsonl").display()
    )
}

fn open(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
