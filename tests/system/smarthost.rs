//! Where is the real smarthost, which ports has it, and what did it deliver?

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::ChildStdin,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
};

use crate::common::{
    PASSWORD, Run, Sealpost, USER,
    certificate::{Authority, Flaw},
    contains, house,
    needs::or_skip,
};

/// The services besides those of the matrix; `tests/system/smarthost` says what the words of a name mean.
const SERVICES: [&str; 16] = [
    "plain",
    "plain-few",
    "plain-strict",
    "plain-auth",
    "plain-small",
    "lmtp",
    "starttls-good-auth",
    "starttls-good-auth-scram",
    "starttls-selfsigned-auth",
    "starttls-selfsigned-auth-scram",
    "starttls-good-auth-all",
    "starttls-selfsigned-auth-all",
    "starttls-good-auth-cyrus",
    "submission",
    "implicit-good-auth",
    "implicit-expired-auth",
];

/// What access tokens are signed with.
const TOKEN_KEY: &str = "the key of the tokens of the system tests";

/// Longest wait for a mail that Postfix took.
const PATIENCE: Duration = Duration::from_secs(60);

/// The word for a flaw in the names of services.
pub(crate) fn word(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::None => "good",
        Flaw::SelfSigned => "selfsigned",
        Flaw::UnknownCa => "unknownca",
        Flaw::WrongName => "wrongname",
        Flaw::Expired => "expired",
    }
}

/// A running smarthost.
pub(crate) struct Smarthost {
    directory: PathBuf,
    ports: HashMap<String, u16>,
    /// What was delivered and read, by the name of its file.
    mails: Mutex<BTreeMap<OsString, Vec<u8>>>,
    /// The servers stop when this closes.
    _lifeline: ChildStdin,
}

/// The one smarthost of all tests; `None`, and said so, where it can't run.
pub(crate) fn smarthost() -> Option<&'static Smarthost> {
    static ONE: LazyLock<Result<Smarthost, String>> = LazyLock::new(Smarthost::start);
    or_skip(ONE.as_ref())
}

impl Smarthost {
    fn start() -> Result<Self, String> {
        house::can_start(&["postfix", "dovecot", "strace", "../lib/dovecot/submission", "saslpasswd2"])?;
        let directory = house::directory("smarthost");
        let ports = services(&directory);
        let lifeline = house::start("system/smarthost", &directory, |command| {
            command.env("SMARTHOST_USER", USER).env("SMARTHOST_PASSWORD", PASSWORD).env("SMARTHOST_KEY", TOKEN_KEY);
        })?;
        Ok(Self { directory, ports, mails: Mutex::default(), _lifeline: lifeline })
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        *self.ports.get(service).unwrap_or_else(|| panic!("no service {service}"))
    }

    /// A file of the smarthost's directory, as a configuration names it.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("\"{}\"", self.directory.join(name).display())
    }

    /// A sealpost whose account uses `service`; `tls` and `auth` are the lines of those tables, no `auth` no login.
    pub(crate) fn client(&self, service: &str, account: &str, tls: &str, auth: &str) -> Sealpost {
        let auth = if auth.is_empty() { String::new() } else { format!("user = {USER:?}\n{auth}") };
        self.client_with(service, account, tls, &auth)
    }

    /// The same without a user but the one in `auth`.
    pub(crate) fn certified(&self, service: &str, tls: &str, auth: &str) -> Sealpost {
        self.client_with(service, "", tls, auth)
    }

    fn client_with(&self, service: &str, account: &str, tls: &str, auth: &str) -> Sealpost {
        let port = self.port(service);
        let ca = self.directory.join("ca.pem").display().to_string();
        let auth = if auth.is_empty() { String::new() } else { format!("[accounts.relay.auth]\n{auth}\n") };
        let head = format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"cron@client.test\"\n{account}\n");
        // Generous: the machine may be busy, and no test here waits for a deadline to pass.
        Sealpost::with_limits("reply_timeout = \"30s\"", &format!("{head}[accounts.relay.tls]\nca_file = {ca:?}\n{tls}\n{auth}"))
    }

    /// The delivered file that holds `mark`, waited for: Postfix delivers after it has answered.
    pub(crate) fn delivered(&self, mark: &str) -> Vec<u8> {
        // Watched before it is looked at: what comes in between is heard.
        let comings = Comings::of(&self.mailbox());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(bytes) = self.arrived(mark).pop() {
                return bytes;
            }
            let log = || fs::read_to_string(self.directory.join("postfix.log")).unwrap_or_default();
            assert!(comings.wait(deadline), "{mark} did not arrive; Postfix says:\n{}", log());
        }
    }

    /// Every file that holds `mark` now.
    pub(crate) fn arrived(&self, mark: &str) -> Vec<Vec<u8>> {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in fs::read_dir(self.mailbox()).unwrap() {
            let entry = entry.unwrap();
            // A file in `new` is whole, and stays as it is: read once, however many tests wait for others.
            mails.entry(entry.file_name()).or_insert_with(|| fs::read(entry.path()).unwrap());
        }
        mails.values().filter(|bytes| contains(bytes, mark.as_bytes())).cloned().collect()
    }

    fn mailbox(&self) -> PathBuf {
        self.directory.join("mail/box/new")
    }
}

/// Hears of files that come into a directory.
struct Comings(OwnedFd);

impl Comings {
    fn of(directory: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, directory, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO).unwrap();
        Self(watch)
    }

    /// Waits for one; false: the time is over.
    fn wait(&self, deadline: Instant) -> bool {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).unwrap();
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)).unwrap() == 0 {
            return false;
        }
        rustix::io::read(&self.0, &mut [0; 4096][..]).is_ok()
    }
}

/// An access token for `user` that is good until `expires`, seconds of 1970 (RFC 7519, 7515).
pub(crate) fn token(user: &str, expires: u64) -> String {
    let claims = format!(r#"{{"sub":"{user}","iat":1600000000,"exp":{expires},"scope":"mail"}}"#);
    let [head, claims] = [r#"{"typ":"JWT","alg":"HS256"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{head}.{claims}");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, TOKEN_KEY.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A message with `body`, and its Message-ID, which is nobody else's.
pub(crate) fn message(mark: &str, body: &[u8]) -> (String, Vec<u8>) {
    let id = format!("<{mark}@client.test>");
    let head = format!(
        "From: Cron <cron@client.test>\nTo: ok@sink.test\nSubject: {mark}\nDate: Mon, 23 Nov 2026 22:53:01 +0000\nMessage-ID: {id}\n\n"
    );
    (id, [head.as_bytes(), body].concat())
}

/// Sends a small message to `recipients` and returns the run and the Message-ID.
pub(crate) fn send(sealpost: &Sealpost, mark: &str, recipients: &[&str]) -> (Run, String) {
    let (id, message) = message(mark, b"all is well\n");
    (sealpost.send(&[&["-i", "-f", "cron@client.test"], recipients].concat(), &message), id)
}

/// Writes certificates and the list of services, each with a port that is free now.
fn services(directory: &Path) -> HashMap<String, u16> {
    let authority = Authority::new("the authority of the system tests");
    let submission = authority.identity(Flaw::None);
    fs::write(directory.join("submission.pem"), submission.key_pem + &submission.certificate_pem).unwrap();
    let clients = Authority::new("the authority of the clients");
    fs::write(directory.join("clients.pem"), clients.pem()).unwrap();
    for (file, authority) in [("client.pem", &clients), ("stranger.pem", &Authority::new("nobody's"))] {
        let client = authority.client(USER);
        fs::write(directory.join(file), client.key_pem + &client.certificate_pem).unwrap();
    }
    fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let matrix = Flaw::ALL.iter().flat_map(|flaw| ["starttls", "implicit"].map(|start| format!("{start}-{}", word(*flaw))));
    let names: Vec<String> = matrix.chain(SERVICES.iter().map(|s| (*s).to_owned())).collect();
    for name in names.iter().filter(|n| n.contains("tls-") || n.contains("implicit-")) {
        let flaw = Flaw::ALL.into_iter().find(|f| name.split('-').any(|w| w == word(*f))).unwrap();
        let identity = authority.identity(flaw);
        fs::write(directory.join(format!("{name}.pem")), identity.key_pem + &identity.certificate_pem).unwrap();
    }
    // All at once, so that no port is given twice.
    let listeners: Vec<TcpListener> = names.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports = listeners.iter().map(|l| l.local_addr().unwrap().port());
    let ports: HashMap<String, u16> = names.into_iter().zip(ports).collect();
    let list: String = ports.iter().fold(String::new(), |text, (name, port)| format!("{text}{name} {port}\n"));
    fs::write(directory.join("services"), list).unwrap();
    ports
}
