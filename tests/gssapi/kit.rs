//! Where is the real Kerberos with the server that takes its tickets, and how is a ticket got?

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
    sync::{LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};

use sealpost::host::listen::{Event, Kept, Settings, Sink};

use crate::common::{
    PASSWORD, Run, Sealpost, USER,
    certificate::{Authority, Flaw},
    contains, house,
    needs::or_skip,
};

/// Longest wait for what another process does.
const PATIENCE: Duration = Duration::from_secs(20);

/// The KDC, the servers that take its tickets, and the sink behind them.
pub(crate) struct Realm {
    directory: PathBuf,
    /// Dovecot's port.
    pub(crate) dovecot: u16,
    /// Postfix's, with Cyrus SASL.
    pub(crate) postfix: u16,
    arrived: Mutex<(Sink, Vec<Vec<u8>>)>,
    /// The servers stop when this closes.
    _lifeline: ChildStdin,
}

/// The one realm of all tests; `None`, and said so, where it can't run.
pub(crate) fn realm() -> Option<&'static Realm> {
    static ONE: LazyLock<Result<Realm, String>> = LazyLock::new(Realm::start);
    or_skip(ONE.as_ref())
}

impl Realm {
    fn start() -> Result<Self, String> {
        house::can_start(&[
            "krb5kdc",
            "kadmin.local",
            "kinit",
            "postfix",
            "dovecot",
            "../lib/dovecot/submission",
            "../lib/dovecot/modules/auth/libmech_gssapi.so",
        ])?;
        let directory = house::directory("realm");
        let authority = Authority::new("the authority of the tests of Kerberos");
        let server = authority.identity(Flaw::None);
        fs::write(directory.join("server.pem"), server.key_pem + &server.certificate_pem).unwrap();
        fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
        let sink = Sink::start(Settings::default()).unwrap();
        // All at once, so that no port is given twice.
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [kdc, dovecot, postfix] = free.map(|listener| listener.local_addr().unwrap().port());
        let lifeline = house::start("gssapi/realm", &directory, |command| {
            command.args([kdc, dovecot, postfix, sink.address.port()].map(|port| port.to_string()));
            command.env("REALM_USER", USER).env("REALM_PASSWORD", PASSWORD);
        })?;
        Ok(Self { directory, dovecot, postfix, arrived: Mutex::new((sink, Vec::new())), _lifeline: lifeline })
    }

    /// A file of the realm.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// An account at Dovecot, with an empty ticket cache of its own; `tls` and `auth` are further lines of those tables.
    pub(crate) fn client(&self, tls: &str, auth: &str) -> Sealpost {
        self.client_of(self.dovecot, &format!("ca_file = {:?}\n{tls}", self.file("ca.pem")), auth)
    }

    /// The same at another server on this machine.
    pub(crate) fn client_of(&self, port: u16, tls: &str, auth: &str) -> Sealpost {
        // Generous: the machine may be busy, and no test here waits for a deadline to pass.
        let mut sealpost = Sealpost::with_limits(
            "reply_timeout = \"8s\"",
            &format!(
                "[accounts.relay]\nhost = \"localhost\"\nport = {port}\nfrom = \"cron@client.test\"\n[accounts.relay.tls]\n{tls}\n\
                 [accounts.relay.auth]\nmechanism = \"GSSAPI\"\n{auth}\n"
            ),
        );
        let cache = format!("FILE:{}", sealpost.scratch.path().join("tickets").display());
        for (name, value) in [("KRB5_CONFIG", self.file("krb5.conf")), ("KRB5CCNAME", cache)] {
            sealpost.environment.push((name.to_owned(), value));
        }
        sealpost
    }

    /// Gets a ticket for the client, as a person does.
    pub(crate) fn kinit(&self, client: &Sealpost, args: &[&str]) {
        let mut kinit = Command::new("kinit");
        kinit.args(args).envs(client.environment.iter().map(|(name, value)| (name, value)));
        let mut child = kinit.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "kinit {args:?}; see {}", self.file("kdc.log"));
    }

    /// Sends a message of its own, and whether it came to the sink.
    pub(crate) fn send(&self, client: &Sealpost, mark: &str) -> (Run, bool) {
        let message = format!(
            "From: Cron <cron@client.test>\nTo: ok@sink.test\nSubject: {mark}\nDate: Mon, 23 Nov 2026 22:53:01 +0000\n\
             Message-ID: <{mark}@client.test>\n\nall is well\n"
        );
        let run = client.send(&["-i", "--debug", "-f", "cron@client.test", "ok@sink.test"], message.as_bytes());
        // The sink tells of a message before it answers.
        let mut arrived = self.arrived.lock().unwrap();
        while let Ok(event) = arrived.0.events.try_recv() {
            if let Event::Delivered(mail) = event
                && let Kept::Memory(octets) = mail.kept
            {
                arrived.1.push(octets);
            }
        }
        let mark = format!("<{mark}@client.test>");
        let came = arrived.1.iter().any(|mail| contains(mail, mark.as_bytes()));
        (run, came)
    }

    /// Waits until Dovecot has logged `line`, which another process writes.
    pub(crate) fn logged(&self, line: &str) {
        let log = self.file("dovecot.log");
        wait_for(&format!("{line:?} is not in {log}"), || fs::read_to_string(&log).ok().filter(|text| text.contains(line)));
    }
}

/// Waits until the client's ticket has expired.
pub(crate) fn outlive(client: &Sealpost) {
    let is_good = || {
        let mut klist = Command::new("klist");
        klist.arg("-s").envs(client.environment.iter().map(|(name, value)| (name, value))).status().unwrap().success()
    };
    // Time alone ends a ticket.
    wait_for("the ticket did not expire", || (!is_good()).then_some(()));
}

fn wait_for<T>(otherwise: &str, look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{otherwise}");
        thread::sleep(Duration::from_millis(20));
    }
}
