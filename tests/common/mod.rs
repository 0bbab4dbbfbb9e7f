//! What do the black-box tests share: a place to work in, the binary under a time limit, the log that it wrote.

#![allow(dead_code, reason = "every test crate uses its part of the kit")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

pub(crate) mod barrier;
pub(crate) mod certificate;
pub(crate) mod house;
pub(crate) mod needs;
pub(crate) mod script;
pub(crate) mod worker;
pub(crate) mod zone;

use std::{
    env, fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// No run of the binary may take longer, whatever a server does.
const LIMIT: Duration = Duration::from_secs(10);
/// But for each octet of its input, which a busy machine may take its time for.
const OCTET: Duration = Duration::from_micros(4);

/// The libraries for TLS that are built in.
pub(crate) const BACKENDS: &[&str] = if cfg!(feature = "native-tls") { &["rustls", "native-tls"] } else { &["rustls"] };

/// The login of every test account, and what must never be seen where it does not belong.
pub(crate) const USER: &str = "cron";
pub(crate) const PASSWORD: &str = "correct-horse-Battery.9";

/// A message that needs nothing added.
pub(crate) const MESSAGE: &str = "From: Cron <cron@client.test>\nTo: ok@sink.test\nSubject: report\nDate: Mon, 23 Nov 2026 22:53:01 +0000\n\
                                  Message-ID: <report.1@client.test>\n\nall is well\n";

/// A directory of its own that goes when the value goes.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("sealpost-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        // Postfix and Dovecot reach through it as other users.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only its owner may read, and returns where it is.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed lies in the temporary directory; no reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binary with a configuration and a log of its own.
pub(crate) struct Sealpost {
    pub(crate) scratch: Scratch,
    /// Words put before the binary's own path (`strace …`).
    pub(crate) wrapper: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// What one run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    /// The records of this run, one per attempt.
    pub(crate) records: Vec<Value>,
}

/// Which binary is tested: this build's, or the one that `SEALPOST_BIN` names (an installed or a release build).
pub(crate) fn binary() -> PathBuf {
    env::var_os("SEALPOST_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sealpost")), PathBuf::from)
}

/// Shared while a process begins, and had alone by who lets a lock of this process go; see [`begin`].
static BEGINNINGS: RwLock<()> = RwLock::new(());

/// Starts a program. Until it has become that, it has the descriptors of this process, and with them the locks of whatever test runs beside:
/// one that is let go under [`nobody_begins`] is free.
pub(crate) fn begin(command: &mut Command) -> Child {
    let _shared = BEGINNINGS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// As long as this is held, no program is on its way into being.
pub(crate) fn nobody_begins() -> RwLockWriteGuard<'static, ()> {
    BEGINNINGS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program and waits for its end; what it wrote.
pub(crate) fn outcome(command: &mut Command) -> Output {
    begin(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().unwrap()
}

/// Copies the binary to a place from which it is run. By another process: a descriptor that writes it could be inherited by the child of
/// another test, and then the file is busy.
pub(crate) fn install(at: &Path) {
    assert!(begin(Command::new("cp").arg(binary()).arg(at)).wait().unwrap().success());
}

impl Sealpost {
    /// With `accounts` below a head that logs to a file of its own, remembers in another, has no queue, and waits a second at most.
    pub(crate) fn new(accounts: &str) -> Self {
        Self::with_limits("reply_timeout = \"1s\"\nhandshake_timeout = \"1s\"\nblock_timeout = \"1s\"", accounts)
    }

    pub(crate) fn with_limits(limits: &str, accounts: &str) -> Self {
        let scratch = Scratch::new();
        let log = scratch.path().join("log.jsonl").display().to_string();
        // Root's own would be the machine's.
        let spool = scratch.path().join("spool").display().to_string();
        let head = "default_account = \"relay\"\nmail_domain = \"client.test\"\naliases = \"\"\n";
        let log = format!(
            "[log]\nfile = {log:?}\nsyslog = false\n[memory]\nfile = \"memory.json\"\n[queue]\nmode = \"off\"\ndir = {spool:?}\n[limits]\nconnect_timeout = \"5s\"\n"
        );
        scratch.write("config.toml", format!("{head}{log}{limits}\n{accounts}"));
        Self { scratch, wrapper: Vec::new(), environment: Vec::new() }
    }

    /// `sealpost sendmail ARGS` with `message` on stdin.
    pub(crate) fn send(&self, args: &[&str], message: &[u8]) -> Run {
        let before = self.log().len();
        let config = self.scratch.path().join("config.toml");
        let mut words: Vec<&str> = vec!["sendmail", "-C", config.to_str().unwrap()];
        words.extend(args);
        let mut run = self.command(&words, message);
        run.records = self.log().split_off(before);
        run
    }

    /// The binary with `args`, an environment that holds PATH alone, and a time limit; the log is not read.
    pub(crate) fn command(&self, args: &[&str], input: &[u8]) -> Run {
        let program = binary();
        let mut words = self.wrapper.iter().map(PathBuf::from).chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(args).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.scratch.path()).env("TZ", "UTC");
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        run(command, input)
    }

    /// Everything that was logged; every line is one JSON object without a raw control character.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.path().join("log.jsonl")).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "the log's last line has no end: {text:?}");
        text.lines()
            .map(|line| {
                assert!(!line.chars().any(char::is_control), "a control character in the log: {line:?}");
                serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"))
            })
            .collect()
    }
}

impl Run {
    /// The record of the last attempt.
    pub(crate) fn last(&self) -> &Value {
        self.records.last().unwrap_or(&Value::Null)
    }

    /// A text field of the last record; empty where it is null or absent.
    pub(crate) fn field(&self, pointer: &str) -> &str {
        self.last().pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// What makes sense whatever happened; returns what does not.
    pub(crate) fn oddities(&self) -> Vec<String> {
        let mut odd = Vec::new();
        let mut expect = |fine: bool, what: &str| {
            if !fine {
                odd.push(format!("{what} (exit {}, stdout {:?}, stderr {:?})", self.code, self.stdout, self.stderr));
            }
        };
        expect(self.stdout.is_empty(), "something on stdout");
        expect(self.code != 0 || self.stderr.is_empty(), "something on stderr though all went well");
        expect(self.code == 0 || self.stderr.starts_with("sendmail: "), "a failure without a word from `sendmail:`");
        let tame = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
        expect(tame(&self.stderr), "a control character on the terminal");
        expect(self.code != 101, "a panic");
        expect(!reveals_secret(self.stderr.as_bytes()), "the secret on stderr");
        let log = format!("{:?}", self.records);
        expect(!reveals_secret(log.as_bytes()), "the secret in the log");
        let logged = self.last()["exit"].as_i64();
        expect(logged.is_none() || logged == Some(self.code.into()), "another exit code in the log");
        let sent = self.field("/status") == "sent";
        expect(sent == (self.code == 0), "status and exit code disagree");
        odd
    }
}

/// Whether the password can be read out of `bytes`, plain or in base64, whatever stands before it there.
pub(crate) fn reveals_secret(bytes: &[u8]) -> bool {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    // Three octets are four digits, so there are three ways to begin; digits that share bits with what is around are left out.
    let aligned = (0..3).map(|before| {
        let digits = STANDARD_NO_PAD.encode("x".repeat(before) + PASSWORD);
        digits[[0, 2, 3][before]..digits.len() - 2].to_owned()
    });
    aligned.chain([PASSWORD.to_owned()]).any(|needle| contains(bytes, needle.as_bytes()))
}

pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

/// Says on the terminal what the test harness would swallow.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs with `input` on stdin; kills what is still there after [`LIMIT`] and the time for `input`.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Run {
    let started = Instant::now();
    let mut child = begin(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let pid = rustix::process::Pid::from_child(&child);
    let mut stdin = child.stdin.take().unwrap();
    let limit = LIMIT + OCTET * u32::try_from(input.len()).unwrap();
    let input = input.to_vec();
    // A program that does not read its input is no fault of the writer.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = told.recv_timeout(limit) else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("still running after {limit:?}: {command:?}");
    };
    let output = output.unwrap();
    writer.join().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: started.elapsed(),
        records: Vec::new(),
    }
}
