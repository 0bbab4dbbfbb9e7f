//! What arrives when a real program sends through a machine whose sendmail is sealpost?

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use crate::{
    common::{Scratch, binary, needs::skip},
    smarthost::{Smarthost, smarthost},
};

/// Longest life of a machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Longest wait for a mail that Postfix took.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one program is to bring through.
pub(crate) struct Case<'a> {
    /// Directories below target/programs.
    pub(crate) programs: &'a [&'a str],
    /// For bash, as root; `$MARK` must get into the message, `await` waits until a message was sent.
    pub(crate) script: &'a str,
    /// The envelope: sender, recipients.
    pub(crate) from: &'a str,
    pub(crate) to: &'a [&'a str],
    /// `Name: text`: a field of that name that holds the text; every `Name` must be there once.
    pub(crate) header: &'a [&'a str],
    /// What the body holds.
    pub(crate) body: &'a [&'a str],
}

/// A copy of a message as Postfix delivered it.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) sender: String,
    pub(crate) recipient: String,
    fields: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Runs the case and judges what arrived.
pub(crate) fn arrives(case: &Case<'_>) {
    let Some((smarthost, programs)) = stage(case.programs) else { return };
    let machine = Machine::new(smarthost);
    let output = machine.run(case.script, &programs);
    let copies = machine.arrived(smarthost, case.to.len(), &output);
    let mut recipients: Vec<&str> = copies.iter().map(|copy| copy.recipient.as_str()).collect();
    recipients.sort_unstable();
    let mut expected = case.to.to_vec();
    expected.sort_unstable();
    assert_eq!(recipients, expected, "{output}");
    for copy in &copies {
        assert_eq!(copy.sender, case.from, "{copy:?}\n{output}");
        for name in
            ["From", "Date", "Message-ID"].into_iter().chain(case.header.iter().map(|field| field.split(':').next().unwrap()))
        {
            assert_eq!(copy.field(name).len(), 1, "{name} in {copy:?}\n{output}");
        }
        for field in case.header {
            let (name, text) = field.split_once(": ").unwrap_or((field, ""));
            assert!(copy.field(name)[0].contains(text), "{field} in {copy:?}\n{output}");
        }
        for gone in ["Bcc", "Resent-Bcc"] {
            assert_eq!(copy.field(gone), Vec::<&str>::new(), "{copy:?}");
        }
        for text in case.body {
            assert!(copy.body.contains(text), "{text:?} in {copy:?}\n{output}");
        }
    }
    assert!(!output.contains("sendmail: "), "sealpost complained:\n{output}");
}

/// The smarthost and where the programs are; `None`, and said so, where the tests can't run.
pub(crate) fn stage(programs: &[&str]) -> Option<(&'static Smarthost, Vec<PathBuf>)> {
    static NAMESPACES: LazyLock<bool> = LazyLock::new(|| {
        let overlay = "mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work && \
                       mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work /etc";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "--ipc", "--pid", "--fork", "sh", "-c", overlay]);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    let smarthost = smarthost()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/programs");
    let directories: Vec<PathBuf> = programs.iter().map(|program| root.join(program)).collect();
    let why = match directories.iter().find(|directory| !directory.is_dir()) {
        Some(missing) => format!("{} is not there (tests/run as root unpacks it)", missing.display()),
        None if !*NAMESPACES => "no mounts may be made here".to_owned(),
        None => return Some((smarthost, directories)),
    };
    skip(why);
    None
}

/// A place for one machine, and the word by which its mail is known.
pub(crate) struct Machine {
    scratch: Scratch,
    mark: String,
}

impl Machine {
    /// Its account leads to the Postfix; root's mail goes to `ok-root@sink.test`.
    pub(crate) fn new(smarthost: &Smarthost) -> Self {
        let scratch = Scratch::new();
        let log = scratch.path().join("log.jsonl").display().to_string();
        let port = smarthost.port("plain");
        let config = format!(
            "[log]\nfile = {log:?}\nsyslog = false\n[memory]\nfile = \"\"\n[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\n\
             [accounts.relay.tls]\npolicy = \"off\"\n"
        );
        for (file, mode) in [(scratch.write("config.toml", config), 0o644), (scratch.write("log.jsonl", ""), 0o666)] {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        scratch.write("aliases", "postmaster: root\nroot: ok-root@sink.test\n");
        let mark = scratch.path().file_name().unwrap().to_str().unwrap().replace("sealpost-test", "mark");
        Self { scratch, mark }
    }

    /// Runs the script; everything that it and what it started said.
    pub(crate) fn run(&self, script: &str, programs: &[PathBuf]) -> String {
        // A program may say what it has to say elsewhere; the log tells that it has sent.
        let head = "await() { for _ in $(seq 400); do [ \"$(grep -c '\"event\":\"send\"' log.jsonl)\" -ge \"${1:-1}\" ] && return; sleep 0.05; done; \
                    echo 'nothing was sent'; return 1; }\n";
        let script = self.scratch.write("script", format!("{head}{script}"));
        let output = self.scratch.write("output", "");
        let file = fs::OpenOptions::new().append(true).open(&output).unwrap();
        let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", &LIMIT.as_secs().to_string()]).arg(kit.join("machine"));
        command.arg(self.scratch.path()).arg(binary()).arg(script).args(programs);
        command.env_clear().env("PATH", env::var_os("PATH").unwrap()).env("MARK", &self.mark).env("KIT", kit);
        let status = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        let log = fs::read_to_string(self.scratch.path().join("log.jsonl")).unwrap();
        let output = String::from_utf8_lossy(&fs::read(output).unwrap()).into_owned();
        let told = format!("--- exit {:?}, output:\n{output}\n--- log:\n{log}", status.code());
        assert!(status.success(), "{told}");
        told
    }

    /// The copies of this machine's message, waited for: Postfix delivers after it has answered.
    pub(crate) fn arrived(&self, smarthost: &Smarthost, copies: usize, output: &str) -> Vec<Copy> {
        let started = Instant::now();
        loop {
            let files = smarthost.arrived(&self.mark);
            if files.len() >= copies {
                return files.iter().map(|file| Copy::read(file)).collect();
            }
            assert!(started.elapsed() < PATIENCE, "{} of {copies} copies arrived\n{output}", files.len());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Copy {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        let fields: Vec<(String, String)> =
            unfolded.lines().filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
        let trace = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
        let sender = trace("Return-Path").trim_matches(['<', '>']).to_owned();
        Self { sender, recipient: trace("X-Original-To"), fields, body: body.to_owned() }
    }

    /// The values of the fields of this name.
    pub(crate) fn field(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }
}
