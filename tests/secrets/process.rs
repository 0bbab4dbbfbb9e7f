//! What can others see of a process that holds a secret: its command line, its environment, its memory, its core?

use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    common::{MESSAGE, PASSWORD, Sealpost, USER, binary, script::Server},
    kit::{SOURCES, account, installed, is_token, reveals, smarthost},
};

/// Somebody who is neither root nor the owner of anything.
const NOBODY: u32 = 65534;

/// A send that waits for the answer to its login, or its MAIL, which never comes.
struct Waiting(Child);

impl Waiting {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), MESSAGE.as_bytes()).unwrap();
        Self(child)
    }

    /// Waits until the smarthost has heard what it stalls upon.
    fn until(&mut self, mark: &str) {
        let mut told = String::new();
        let mut lines = std::io::BufReader::new(self.0.stderr.take().unwrap());
        while !told.contains(mark) {
            assert!(std::io::BufRead::read_line(&mut lines, &mut told).unwrap() > 0, "it ended: {told}");
        }
        self.0.stderr = Some(lines.into_inner());
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0.id()))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(sealpost: &Sealpost) -> Command {
    let mut command = Command::new(binary());
    command.args(["sendmail", "-C"]).arg(sealpost.scratch.path().join("config.toml")).args(["--debug", "ok@sink.test"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", sealpost.scratch.path());
    command.envs(sealpost.environment.iter().map(|(name, value)| (name, value)));
    command
}

#[test]
fn neither_command_line_nor_environment_shows_it() {
    // The keyring needs a bus around the process; what it adds is one more child, which the trace of the other test follows.
    for source in SOURCES.into_iter().filter(|source| *source != "keyring") {
        let server = smarthost(is_token(source), "stall");
        let sealpost = account(source, server.port()).unwrap();
        let mut waiting = Waiting::start(command(&sealpost));
        waiting.until("> AUTH ");
        for file in ["cmdline", "environ", "comm", "stat", "status"] {
            let bytes = fs::read(waiting.proc(file)).unwrap();
            let given = source == "password_env" && file == "environ";
            assert_eq!(reveals(&bytes), given, "{source}: {file}");
        }
        drop(waiting);
        server.finish();
    }
}

#[test]
fn nobody_else_looks_into_a_process_that_holds_it() {
    if !rustix::process::geteuid().is_root() {
        crate::common::say("SKIPPED: nobody_else_looks_into_a_process_that_holds_it: another user wants root");
        return;
    }
    let server = smarthost(false, "stall");
    let mut command = Command::new(binary());
    command.args(["sendmail", "--debug", "ok@sink.test"]).env_clear().current_dir("/").uid(NOBODY).gid(NOBODY);
    let port = server.port().to_string();
    command.envs([("SEALPOST_HOST", "127.0.0.1"), ("SEALPOST_PORT", &port), ("SEALPOST_TLS_POLICY", "off")]);
    command.envs([("SEALPOST_USER", USER), ("SEALPOST_PASSWORD", PASSWORD), ("SEALPOST_MECHANISM", "PLAIN")]);
    command.envs([("SEALPOST_LOG_FILE", ""), ("SEALPOST_LOG_SYSLOG", "false"), ("SEALPOST_ALIASES", "")]);
    let mut waiting = Waiting::start(command);
    waiting.until("> AUTH ");
    // The same user, another process.
    let reads = |path: PathBuf| Command::new("cat").arg(path).uid(NOBODY).gid(NOBODY).output().unwrap().status.success();
    assert!(reads(waiting.proc("status")), "the test sees nothing at all");
    for file in ["environ", "mem", "maps"] {
        assert!(!reads(waiting.proc(file)), "{file} can be read");
    }
    drop(waiting);
    server.finish();
}

#[test]
fn nobody_looks_into_a_process_that_waits_for_its_message_either() {
    if !installed(&["strace"]) {
        return;
    }
    let mut sealpost = account("password", 9).unwrap();
    let trace = sealpost.scratch.path().join("trace").display().to_string();
    sealpost.wrapper = ["strace", "-qq", "-e", "trace=prctl,read", "-o", &trace].map(str::to_owned).to_vec();
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    let calls = fs::read_to_string(trace).unwrap();
    let first = |mark: &str| calls.lines().position(|call| call.starts_with(mark)).unwrap_or_else(|| panic!("{mark}: {run:?}"));
    assert!(first("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE") < first("read(0, \"From:"), "{calls}");
}

#[test]
fn a_crash_leaves_no_core() {
    if !installed(&["prlimit"]) {
        return;
    }
    let crash = |with_login: bool| {
        let server = if with_login { smarthost(false, "stall") } else { Server::start("hello:\nC: MAIL*\nstall", None) };
        let sealpost = account("password_file", server.port()).unwrap();
        if !with_login {
            let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
            let (without, _) = config.split_once("[accounts.relay.auth]").unwrap();
            sealpost.scratch.write("config.toml", without);
        }
        let inner = command(&sealpost);
        let mut outer = Command::new("prlimit");
        outer.args(["--core=unlimited", "--"]).arg(inner.get_program()).args(inner.get_args()).current_dir(sealpost.scratch.path());
        outer.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut waiting = Waiting::start(outer);
        waiting.until(if with_login { "> AUTH " } else { "> MAIL " });
        waiting.signal(Signal::QUIT);
        let status = waiting.0.wait().unwrap();
        assert_eq!(status.signal(), Some(3), "{status:?}");
        let left = fs::read_dir(sealpost.scratch.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("core"));
        server.finish();
        status.core_dumped() || left
    };
    assert!(!crash(true), "a core with a secret in it");
    if !crash(false) {
        crate::common::say("a_crash_leaves_no_core: this machine keeps no core of anybody, so that little is shown");
    }
}

#[test]
fn after_the_login_the_memory_holds_no_more_copies_than_the_account_needs() {
    if !rustix::process::geteuid().is_root() {
        crate::common::say("SKIPPED: after_the_login_the_memory…: the memory of others wants root");
        return;
    }
    // In the configuration itself it stands once more.
    for (source, own) in [("password", 1), ("password, escaped", 1), ("password_file", 0)] {
        assert_copies(source, own);
    }
    for source in ["password_command", "netrc", "credential", "token_command", "oauth, refreshed"] {
        assert_copies(source, 0);
    }
}

fn assert_copies(source: &str, own: usize) {
    let server = smarthost(is_token(source), "S: 235 2.7.0 in\nC: MAIL*\nstall");
    let sealpost = account(source, server.port()).unwrap();
    let mut waiting = Waiting::start(command(&sealpost));
    waiting.until("> MAIL ");
    let copies = copies(&waiting);
    assert!((1..=COPIES + own).contains(&copies), "{source}: {copies} copies of the secret in memory");
    drop(waiting);
    server.finish();
}

/// Those of the account's credentials (for a second connection), of the session, and of the mask over what a server says.
const COPIES: usize = 3;

/// How often the secret stands in the memory that can be written to.
fn copies(waiting: &Waiting) -> usize {
    use std::os::unix::fs::FileExt as _;
    let deadline = Instant::now() + Duration::from_secs(5);
    let maps = fs::read_to_string(waiting.proc("maps")).unwrap();
    let memory = fs::File::open(waiting.proc("mem")).unwrap();
    let mut count = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Some regions belong to the kernel.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            // The mask knows it in small letters.
            let forms = [PASSWORD.to_owned(), PASSWORD.to_ascii_lowercase()];
            count += forms.iter().map(|form| memchr::memmem::find_iter(&bytes, form).count()).sum::<usize>();
        }
    }
    assert!(Instant::now() < deadline, "that took too long to mean anything");
    count
}
