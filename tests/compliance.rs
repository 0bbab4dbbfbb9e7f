//! How many of the recorded calls does which sendmail satisfy? The same script for Postfix, msmtp, nullmailer, dma and sealpost.
//!
//! What another one does differently is an entry of `failed_on` in callers.json, or of [`ELSEWHERE`] here. Needs root, mounts, and the
//! packages that `tests/programs/unpack` lays below target/programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "callers/dialogue.rs"]
mod dialogue;
#[path = "callers/judge.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod judge;
#[path = "differential/postfix.rs"]
mod postfix;
#[path = "callers/recorder.rs"]
mod recorder;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{
    Scratch,
    needs::{is_root, skip},
    say,
};
use judge::{Case, Outcome, differences};
use postfix::Postfix;
use recorder::Recorder;

/// What a peer does otherwise here than where the cases were collected: peer, case, whether it satisfies it here, why.
const ELSEWHERE: &[(&str, &str, bool, &str)] = &[
    ("postfix", "msg-8bit", false, "it asks for SMTPUTF8 for octets above 127 in the subject, which was not looked at then"),
    ("msmtp", "python-t-plus-argv", false, "who is named twice gets it twice, and only the recipients were compared then"),
    ("msmtp", "opt-rcpt-dup", false, "who is named twice gets it twice, and only the recipients were compared then"),
    ("nullmailer", "python-t-plus-argv", false, "who is named twice gets it twice, and only the recipients were compared then"),
    ("nullmailer", "opt-rcpt-dup", false, "who is named twice gets it twice, and only the recipients were compared then"),
    ("nullmailer", "msg-t-300-folded", false, "it unfolds the field into a line of 6494 octets, which was not looked at then"),
    ("dma", "opt-rcpt-100", true, "it sends a message for each recipient, and then not all were waited for"),
    ("dma", "opt-path-usr-lib", true, "the recipients that were seen then were those of the case before"),
];

/// Longest time until a queue is empty; what is in it then is taken to be stuck.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn the_other_sendmails_satisfy_the_cases_that_are_known_of_them_and_no_others() {
    if !is_root() {
        return;
    }
    let mut strange = Vec::new();
    for name in ["postfix", "msmtp", "nullmailer", "dma"] {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/programs").join(name);
        if name != "postfix" && !tree.is_dir() {
            return skip(format!("{} is not there (tests/run as root unpacks it)", tree.display()));
        }
        strange.extend(judged(name, &tree));
    }
    assert!(strange.is_empty(), "{}:\n{}", strange.len(), strange.join("\n"));
}

/// Runs all cases and says how many hold; what of it was not known.
fn judged(name: &str, tree: &Path) -> Vec<String> {
    let mut cases: Vec<Case> = serde_json::from_str(include_str!("data/callers.json")).unwrap();
    // How others stand against attacks is theirs to tell.
    cases.retain(|case| !case.id.ends_with("-injection"));
    let (mut held, mut uncontested, mut strange) = (0, 0, Vec::new());
    let known = |case: &Case| match ELSEWHERE.iter().find(|(peer, id, ..)| *peer == name && *id == case.id) {
        Some((_, _, holds, _)) => *holds,
        None => case.verified_on.iter().any(|peer| peer == name),
    };
    let peer = Peer::start(name, tree);
    for case in &cases {
        let wrong = peer.play(case);
        held += usize::from(wrong.is_empty());
        uncontested += usize::from(wrong.is_empty() && !case.contested);
        if wrong.is_empty() != known(case) {
            let said = case.failed_on.get(name).map_or("satisfied", String::as_str);
            strange.push(format!("{name} {}: {:?}; known: {said}", case.id, wrong));
        }
    }
    let all = cases.iter().filter(|case| !case.contested).count();
    say(&format!(
        "{name}: {held} of {} cases, {uncontested} of {all} that nobody contests ({} %)",
        cases.len(),
        uncontested * 100 / all
    ));
    strange
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.machine.wait();
    }
}

/// A machine with another sendmail, and the smarthost that it sends to.
struct Peer {
    name: String,
    scratch: Scratch,
    recorder: Recorder,
    postfix: Option<Postfix>,
    machine: Child,
    lifeline: Option<ChildStdin>,
    pid: String,
}

impl Peer {
    fn start(name: &str, tree: &Path) -> Self {
        let recorder = Recorder::start(false);
        let scratch = Scratch::new();
        let postfix = (name == "postfix").then(|| Postfix::start(recorder.port()).unwrap());
        if let Some(postfix) = &postfix {
            std::os::unix::fs::symlink(postfix.configuration(), scratch.path().join("postfix")).unwrap();
        }
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compliance/peer"));
        command.arg(scratch.path()).args([name, &recorder.port().to_string()]).arg(tree);
        let mut machine = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut pid = String::new();
        BufReader::new(machine.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let lifeline = machine.stdin.take();
        Self { name: name.to_owned(), scratch, recorder, postfix, machine, lifeline, pid: pid.trim().to_owned() }
    }

    /// What a case expects and does not get. Reports that are asked for are left out: few have them at all.
    fn play(&self, case: &Case) -> Vec<String> {
        let mut case = case.clone();
        for params in
            [&mut case.expect.mail_params_if_dsn, &mut case.expect.rcpt_params_if_dsn, &mut case.expect.mail_params_if_8bitmime]
        {
            params.clear();
        }
        let program = match case.argv[0].rsplit('/').next().unwrap() {
            "sendmail" => "/usr/sbin/sendmail".to_owned(),
            other => format!("/usr/bin/{other}"),
        };
        let user = case.user.as_deref().unwrap_or("alice");
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--uts", "--wdns=/", "--"]);
        command.args(["setpriv", "--reuid", user, "--regid", user, "--init-groups", &program]).args(&case.argv[1..]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin");
        command.envs(case.env.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
        let (exit, stdout, stderr) = match case.protocol {
            Some(_) => dialogue::converse(command, &case.stdin),
            None => dialogue::speak(command, case.stdin.as_bytes()),
        };
        self.settle();
        // What got stuck would come again, among the next case's.
        self.clear();
        differences(&case, &Outcome { exit, stdout, stderr, seen: self.recorder.take(), log: None })
    }

    /// The files of messages that wait.
    fn queued(&self) -> Vec<PathBuf> {
        let queue = self.scratch.path().join(if self.name == "nullmailer" { "spool/queue" } else { "spool" });
        let Ok(entries) = fs::read_dir(queue) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        // dma keeps a file of its own beside them.
        names.filter(|path| !path.ends_with("flush")).collect()
    }

    fn clear(&self) {
        for file in self.queued() {
            let _ = fs::remove_file(file);
        }
    }

    /// Waits until nothing is under way.
    fn settle(&self) {
        if let Some(postfix) = &self.postfix {
            return postfix.drain();
        }
        let started = Instant::now();
        while !self.queued().is_empty() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
