//! What do the tests of the service share: the running service, its clients as this and as other users, and the smarthost behind it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use sealpost::host::listen::{Delivery, Event, Kept, Settings, Sink};
use serde_json::Value;

use crate::{
    client::Client,
    common::{Run, Scratch, binary, run, say},
};

/// Longest wait for anything; the tests that pass wait for events.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A client in a language of its own, for other users: the address, and a list of what is said, each to be answered.
const TALK: &str = r"
import json, socket, sys
where, lines = sys.argv[1], json.loads(sys.argv[2])
if where.startswith('/'):
    s = socket.socket(socket.AF_UNIX)
    s.connect(where)
else:
    host, port = where.rsplit(':', 1)
    s = socket.create_connection((host, int(port)))
f = s.makefile('rwb')
def reply():
    while True:
        line = f.readline()
        print(line.decode().rstrip())
        if line[3:4] != b'-':
            return bool(line)
reply()
for line in lines:
    f.write(line.encode() + b'\r\n')
    f.flush()
    if not reply():
        break
";

pub(crate) fn sink() -> Sink {
    Sink::start(Settings::default()).unwrap()
}

/// Waits until so many messages have arrived.
pub(crate) fn arrive(sink: &Sink, number: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < number {
        match sink.events.recv_timeout(PATIENCE) {
            Ok(Event::Delivered(delivery)) => all.push(*delivery),
            Ok(Event::Trouble { .. }) => {}
            Err(error) => panic!("{} of {number} have arrived: {error}", all.len()),
        }
    }
    all
}

pub(crate) fn text(delivery: &Delivery) -> String {
    let Kept::Memory(text) = &delivery.kept else { panic!("{delivery:?}") };
    String::from_utf8_lossy(text).into_owned()
}

/// A service that is configured, and runs or not.
pub(crate) struct Service {
    pub(crate) scratch: Scratch,
    notify: UnixDatagram,
    /// Words in front of the service's own command.
    pub(crate) wrapper: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    child: Mutex<Option<Child>>,
}

impl Service {
    /// With `serve` as further lines of that table, and a smarthost at `address`.
    pub(crate) fn new(address: SocketAddr, serve: &str) -> Self {
        let scratch = Scratch::new();
        let notify = UnixDatagram::bind(scratch.path().join("notify")).unwrap();
        // Whoever the service runs as tells it.
        fs::set_permissions(scratch.path().join("notify"), fs::Permissions::from_mode(0o666)).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let (wrapper, arguments, environment) = Default::default();
        let service = Self { scratch, notify, wrapper, arguments, environment, child: Mutex::default() };
        service.configure(address, serve);
        service
    }

    pub(crate) fn configure(&self, address: SocketAddr, serve: &str) {
        self.configure_with(address, serve, "");
    }

    /// `more` belongs to the account.
    pub(crate) fn configure_with(&self, address: SocketAddr, serve: &str, more: &str) {
        let (path, port) = (self.scratch.path().display(), address.port());
        let config = format!(
            "default_account = \"relay\"\nmail_domain = \"client.test\"\naliases = \"\"\n\
             [log]\nfile = \"{path}/log/log.jsonl\"\nsyslog = false\n[memory]\nfile = \"\"\n\
             [queue]\ndir = \"{path}/spool\"\nretry_first = \"1h\"\n\
             [serve]\nsocket = \"{path}/run/submit.sock\"\n{serve}\n\
             [accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\n{more}\n[accounts.relay.tls]\npolicy = \"off\"\n"
        );
        self.scratch.write("config.toml", config);
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.scratch.path().join("config.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.scratch.path().join("run/submit.sock")
    }

    pub(crate) fn command(&self) -> Command {
        let mut words = self.wrapper.iter().map(PathBuf::from).chain([binary()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["serve", "-C"]).arg(self.config()).args(&self.arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC");
        command.env("HOME", self.scratch.path()).env("NOTIFY_SOCKET", self.scratch.path().join("notify"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let errors = fs::File::options().create(true).append(true).open(self.scratch.path().join("stderr")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        command
    }

    /// Starts it, and waits until it says that it is ready.
    pub(crate) fn start(self) -> Self {
        self.start_again();
        self
    }

    /// As [`Self::start`], where somebody has to do something before it is ready.
    pub(crate) fn start_by<T>(self, wake: impl FnOnce() -> T) -> (Self, T) {
        *self.child.lock().unwrap() = Some(self.command().spawn().unwrap());
        let done = wake();
        self.until_told("READY=1");
        (self, done)
    }

    pub(crate) fn start_again(&self) {
        *self.child.lock().unwrap() = Some(self.command().spawn().unwrap());
        self.until_told("READY=1");
    }

    /// Waits for words to the system's manager.
    pub(crate) fn until_told(&self, words: &str) {
        let mut heard = [0; 1000];
        loop {
            let length = match self.notify.recv(&mut heard) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                heard => heard.unwrap_or_else(|error| panic!("no {words}: {error}, {}", self.errors())),
            };
            if String::from_utf8_lossy(&heard[..length]).contains(words) {
                return;
            }
        }
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(self.child.lock().unwrap().as_ref().unwrap())
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn reload(&self) {
        self.signal(rustix::process::Signal::HUP);
        self.until_told("RELOADING=1");
        self.until_told("READY=1");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn ends(&self) {
        self.signal(rustix::process::Signal::TERM);
        assert_eq!(self.ended(), Some(0), "{}", self.errors());
    }

    /// Waits until it has ended; its exit code.
    pub(crate) fn ended(&self) -> Option<i32> {
        let mut child = self.child.lock().unwrap().take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait().unwrap()));
        let Ok(status) = told.recv_timeout(PATIENCE) else {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("it does not end: {}", self.errors());
        };
        status.code()
    }

    pub(crate) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
        assert_eq!(self.ended(), None);
    }

    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(self.scratch.path().join("stderr")).unwrap_or_default()
    }

    /// Messages in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.names("queue").len()
    }

    /// The names of whatever is in a place of the queue.
    pub(crate) fn names(&self, place: &str) -> Vec<String> {
        let names = fs::read_dir(self.scratch.path().join("spool").join(place));
        names.map(|names| names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()).unwrap_or_default()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.path().join("log/log.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"))).collect()
    }

    /// Waits for a record with this status.
    pub(crate) fn until_logged(&self, status: &str) -> Value {
        self.until_logged_so(|record| record["status"] == status)
    }

    pub(crate) fn until_logged_so(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(record) = self.log().into_iter().find(&is_it) {
                return record;
            }
            assert!(std::time::Instant::now() < deadline, "not in {:#?}, {}", self.log(), self.errors());
            thread::yield_now();
        }
    }

    pub(crate) fn client(&self) -> Client<UnixStream> {
        Client::new(UnixStream::connect(self.socket()).unwrap())
    }

    pub(crate) fn talk_as(&self, user: &str, lines: &[&str]) -> Vec<String> {
        talk(&user_words(uid(user)), &self.socket().display().to_string(), lines)
    }

    /// `sendmail` that knows nothing but the socket, as this or another user.
    pub(crate) fn sendmail(&self, user: Option<u32>, args: &[&str], message: &[u8]) -> Run {
        run(self.sendmail_command(user, args), message)
    }

    /// The same, yet to be started.
    pub(crate) fn sendmail_command(&self, user: Option<u32>, args: &[&str]) -> Command {
        let program = self.scratch.path().join("sendmail");
        if !program.exists() {
            crate::common::install(&program);
        }
        let mut command = match user {
            Some(uid) => {
                let mut command = Command::new("setpriv");
                command.args(user_words(uid)).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", "/nonexistent").env("SEALPOST_SOCKET", self.socket());
        command
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a user reads who says this; `where_to` is the socket, or an address.
pub(crate) fn talk(user: &[String], where_to: &str, lines: &[&str]) -> Vec<String> {
    let mut command = Command::new("setpriv");
    command.args(user).args(["/usr/bin/python3", "-c", TALK, where_to, &serde_json::to_string(lines).unwrap()]);
    let run = run(command, b"");
    assert_eq!(run.code, 0, "{run:?}");
    run.stdout.lines().map(str::to_owned).collect()
}

/// The uid of a user of the test machine.
pub(crate) fn uid(user: &str) -> u32 {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with(&format!("{user}:")));
    line.and_then(|line| line.split(':').nth(2)?.parse().ok()).unwrap_or_else(|| panic!("no user {user}"))
}

/// What setpriv(1) is to do to become a user.
pub(crate) fn user_words(uid: u32) -> Vec<String> {
    vec![format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()]
}

/// Whether other users can be played; makes bob where he is missing. Says so where not.
pub(crate) fn can_be_others(test: &str) -> bool {
    static ONCE: Mutex<()> = Mutex::new(());
    let _guard = ONCE.lock();
    let exists = |user: &str| fs::read_to_string("/etc/passwd").unwrap().lines().any(|line| line.starts_with(&format!("{user}:")));
    let able = rustix::process::getuid().is_root() && Path::new("/usr/bin/python3").exists();
    if able {
        for user in ["alice", "bob"] {
            if !exists(user) {
                let _ = Command::new("useradd").args(["--user-group", user]).status();
            }
        }
    }
    if !able || !exists("alice") || !exists("bob") {
        say(&format!("SKIPPED: {test}: it takes root, python3, and the users alice and bob\n"));
        return false;
    }
    true
}

/// So that the test itself does not run out of descriptors.
pub(crate) fn raise_file_limit() {
    assert!(sealpost::host::signals::raise_file_limit() > 3500, "ulimit -n");
}

/// A port of the loopback that is free, most likely still in a moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
