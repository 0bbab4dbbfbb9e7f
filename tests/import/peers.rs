//! Does what was imported send as the program itself did: by the same server, from and to the same addresses?
//!
//! Each program runs on a machine of its own (tests/compliance/peer) with a configuration, and then sealpost with what the import
//! makes of it. Needs root, mounts, and the packages that `tests/programs/unpack` lays below target/programs.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    common::{Scratch, binary, run, say},
    recorder::{Mail, Recorder},
};

/// Longest time until a mail comes out of a queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// `PORT` and `OTHER` in files are the ports of two servers.
struct Play {
    program: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Calls by these users, with these words, of this message; and what is known to differ.
    calls: &'static [(&'static str, &'static [&'static str], &'static str, Known)],
}

/// How a mail of ours may differ from theirs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Same,
    /// Its recipients, for the reason that the import tells.
    Recipients,
    /// Its envelope sender, and the server that is chosen by that.
    Sender,
    /// Its author, who is none of the account's and no program said: `rewrite_from` replaces that, too, as the import tells.
    Author,
}

pub(crate) use Known::{Author, Recipients, Same, Sender};

impl Known {
    /// What is strange about the exit codes and mails of the two; who says what is known to differ is to be told when it does not.
    pub(crate) fn complaint(self, theirs: (i32, Vec<Seen>), ours: (i32, Vec<Seen>)) -> Option<String> {
        let is_known = self == Same || theirs != ours;
        let wanted = |(code, seen): (i32, Vec<Seen>)| (code, seen.into_iter().map(|mail| self.hide(mail)).collect::<Vec<_>>());
        let (theirs, ours) = (wanted(theirs), wanted(ours));
        (theirs != ours || !is_known || theirs.1.len() != 1)
            .then(|| format!("theirs {theirs:?}, ours {ours:?}, differs as known: {is_known}"))
    }

    fn hide(self, mut mail: Seen) -> Seen {
        match self {
            Same => {}
            Recipients => mail.recipients.clear(),
            Sender => (mail.server, mail.sender) = (0, String::new()),
            Author => mail.author.clear(),
        }
        mail
    }
}

pub(crate) const BARE: &str = "Subject: x\n\nb\n";
pub(crate) const CRON: &str = "From: root (Cron Daemon)\nTo: root\nSubject: x\n\nb\n";
pub(crate) const SHOP: &str = "From: Shop <shop@customer.example>\nTo: x@y.example\nSubject: x\n\nb\n";

const PLAYS: [Play; 14] = [
    Play {
        program: "nullmailer",
        files: &[
            ("/etc/nullmailer/remotes", "127.0.0.1 smtp port=PORT\n"),
            ("/etc/nullmailer/adminaddr", "ops@isp.example\n"),
            ("/etc/aliases", "root: stale@elsewhere.example\n"),
        ],
        calls: &[
            ("root", &["root"], CRON, Same),
            ("alice", &["bob", "x@y.example"], BARE, Same),
            ("alice", &["root@localhost"], BARE, Same),
            ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same),
            ("alice", &["root@client.example"], BARE, Recipients),
        ],
    },
    Play {
        program: "nullmailer",
        files: &[
            ("/etc/nullmailer/remotes", "127.0.0.1 smtp port=PORT\n"),
            ("/etc/nullmailer/adminaddr", "ops@isp.example\n"),
            ("/etc/nullmailer/defaulthost", "h\n"),
            ("/etc/nullmailer/defaultdomain", "isp.example\n"),
            ("/etc/nullmailer/allmailfrom", "all%1@isp.example\n"),
        ],
        calls: &[("root", &["root"], SHOP, Same), ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same)],
    },
    Play {
        program: "dma",
        files: &[
            ("/etc/dma/dma.conf", "SMARTHOST 127.0.0.1\nPORT PORT\nMAILNAME client.example\n"),
            ("/etc/aliases", "root: one@isp.example, two@isp.example\n*: rest@isp.example\n"),
        ],
        calls: &[("alice", &["bob"], BARE, Same), ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same)],
    },
    Play {
        program: "dma",
        files: &[
            ("/etc/dma/dma.conf", "SMARTHOST 127.0.0.1\nPORT PORT\nMAILNAME client.example\nMASQUERADE me@isp.example\n"),
            ("/etc/aliases", "*: rest@isp.example\n"),
        ],
        calls: &[("root", &["root"], BARE, Same), ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same)],
    },
    Play {
        program: "dma",
        files: &[("/etc/dma/dma.conf", "SMARTHOST 127.0.0.1\nPORT PORT\nMAILNAME client.example\nMASQUERADE isp.example\n")],
        calls: &[("root", &["x@y.example"], BARE, Same), ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same)],
    },
    Play {
        program: "ssmtp",
        files: &[
            ("/etc/ssmtp/ssmtp.conf", "root=ops@isp.example\nmailhub=127.0.0.1:PORT\nhostname=h.example\n"),
            ("/etc/aliases", "root: stale@elsewhere.example\n"),
        ],
        calls: &[
            ("root", &["root"], BARE, Same),
            ("alice", &["daemon", "x@y.example"], BARE, Same),
            ("alice", &["-f", "app@other.example", "-t"], SHOP, Same),
            ("alice", &["bob"], BARE, Recipients),
        ],
    },
    Play {
        program: "ssmtp",
        files: &[
            ("/etc/ssmtp/ssmtp.conf", "mailhub=127.0.0.1:PORT\nhostname=h.example\nRewriteDomain=d.example\n"),
            ("/etc/ssmtp/revaliases", "root:old@isp.example\nroot:ops@isp.example\nalice:al:127.0.0.1:OTHER # hers\n"),
        ],
        calls: &[
            ("root", &["x@y.example"], BARE, Same),
            ("alice", &["x@y.example"], BARE, Same),
            ("bob", &["root", "x@y.example"], BARE, Same),
            ("bob", &["-f", "app@other.example", "-t"], SHOP, Same),
            ("alice", &["-f", "app@other.example", "-t"], SHOP, Sender),
        ],
    },
    Play {
        program: "ssmtp",
        files: &[("/etc/ssmtp/ssmtp.conf", "mailhub=127.0.0.1:PORT\nhostname=h.example\nFromLineOverride=YES\n")],
        calls: &[("root", &["x@y.example"], BARE, Same), ("alice", &["-t"], SHOP, Sender)],
    },
    Play {
        program: "msmtp",
        files: &[
            ("/etc/msmtprc", "account default\nhost 127.0.0.1\nport PORT\nfrom %U+%H%x@isp.example\naliases /etc/mail.aliases\n"),
            ("/etc/mail.aliases", "root: ops@isp.example\ndefault: rest@isp.example, more@isp.example\n"),
        ],
        calls: &[
            ("root", &["root"], SHOP, Same),
            ("alice", &["bob", "x@y.example"], BARE, Same),
            ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same),
        ],
    },
    Play {
        program: "msmtp",
        files: &[(
            "/etc/msmtprc",
            "account default\nhost 127.0.0.1\nport PORT\nfrom cron@%M\nallow_from_override off\nset_from_header on\n",
        )],
        calls: &[("root", &["x@y.example"], CRON, Same), ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same)],
    },
    Play {
        program: "msmtp",
        files: &[(
            "/etc/msmtprc",
            "defaults\nhost 127.0.0.1\naccount a\nport PORT\nfrom a@isp.example\naccount b\nport OTHER\nfrom *@other.example\n\
             account default : a\n",
        )],
        calls: &[
            ("root", &["x@y.example"], BARE, Same),
            ("root", &["-f", "app@other.example", "x@y.example"], SHOP, Same),
            ("root", &["-f", "A+tag@isp.example", "x@y.example"], SHOP, Same),
        ],
    },
    Play {
        program: "msmtp",
        files: &[(
            "/etc/msmtprc",
            "account default\nhost 127.0.0.1\nport PORT\nfrom unused@isp.example\nauto_from on\nmaildomain old.example\n",
        )],
        calls: &[("root", &["x@y.example"], BARE, Same), ("alice", &["x@y.example"], BARE, Same)],
    },
    Play {
        program: "esmtp",
        files: &[(
            "/etc/esmtprc",
            "hostname = 127.0.0.1:PORT helo h.example\nidentity = a@isp.example\nhostname = 127.0.0.1:OTHER\n\
             force reverse_path \"%u%x@isp.example\"\n",
        )],
        calls: &[
            ("root", &["x@y.example"], BARE, Same),
            ("alice", &["-f", "app@other.example", "x@y.example"], SHOP, Same),
            ("alice", &["-f", "a@isp.example", "x@y.example"], SHOP, Same),
        ],
    },
    Play {
        program: "esmtp",
        files: &[
            (
                "/etc/esmtprc",
                "identity = b@isp.example, hostname = 127.0.0.1:OTHER; qualifydomain other.example\n\
                 identity = c@isp.example hostname 127.0.0.1:PORT\ndefault qualifydomain isp.example\n",
            ),
            ("/etc/aliases", "root: stale@elsewhere.example\n"),
        ],
        calls: &[("root", &["x@y.example", "root"], BARE, Same), ("alice", &["-f", "b@isp.example", "x@y.example"], SHOP, Same)],
    },
];

pub(crate) fn skip(why: &str) {
    assert!(!env::var("CI").is_ok_and(|ci| ci == "true"), "must run in CI: {why}");
    say(&format!("SKIPPED: imported configurations against the programs themselves: {why}"));
}

#[test]
fn an_imported_configuration_sends_as_the_program_did() {
    if !rustix::process::geteuid().is_root() {
        return skip("it needs root");
    }
    let mut strange = Vec::new();
    for (number, play) in PLAYS.iter().enumerate() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/programs").join(play.program);
        if !tree.is_dir() {
            return skip(&format!("{} is not there (tests/run as root unpacks it)", tree.display()));
        }
        let machine = Machine::start(play, &tree);
        for call in play.calls {
            strange.extend(machine.compare(call).map(|why| format!("{} ({number}): {why}", play.program)));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

/// A machine with one of the programs, and its two servers.
struct Machine {
    scratch: Scratch,
    program: &'static str,
    servers: [Recorder; 2],
    shell: Child,
    lifeline: Option<ChildStdin>,
    pid: String,
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.shell.wait();
    }
}

impl Machine {
    fn start(play: &Play, tree: &Path) -> Self {
        let (scratch, servers) = (Scratch::new(), [Recorder::start(false), Recorder::start(false)]);
        let [port, other] = servers.each_ref().map(|server| server.port().to_string());
        for (path, text) in play.files {
            let place = scratch.path().join("machine").join(path.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            // dma's word for its port is PORT, too.
            let text = text.replace("PORT PORT", &format!("\0 {port}")).replace("PORT", &port).replace("OTHER", &other);
            fs::write(place, text.replace('\0', "PORT")).unwrap();
        }
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compliance/peer"));
        command.arg(scratch.path()).args([play.program, &port]).arg(tree);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let lifeline = shell.stdin.take();
        Self { scratch, program: play.program, servers, shell, lifeline, pid: pid.trim().to_owned() }
    }

    /// A program there, run by this user.
    fn command(&self, user: &str, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--uts", "--wdns=/", "--"]);
        command.args(["setpriv", "--reuid", user, "--regid", user, "--init-groups"]).arg(program).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin").env("HOME", "/nonexistent");
        command
    }

    /// What differs, and should not.
    fn compare(&self, (user, words, message, known): &(&str, &[&str], &str, Known)) -> Option<String> {
        let home = self.scratch.path().join(user);
        if !home.exists() {
            self.import(user, &home);
        }
        let theirs = run(self.command(user, Path::new("/usr/sbin/sendmail"), words), message.as_bytes());
        let theirs = (theirs.code, self.seen());
        let config = home.join("config.toml");
        let mut ours = vec!["sendmail", "-C", config.to_str().unwrap()];
        ours.extend(*words);
        let ours = run(self.command(user, &binary(), &ours), message.as_bytes());
        let ours = (ours.code, self.seen());
        known.complaint(theirs, ours).map(|what| format!("{user} {words:?}: {what}"))
    }

    fn import(&self, user: &str, home: &Path) {
        let from = match self.program {
            "nullmailer" => "/etc/nullmailer",
            "dma" => "/etc/dma/dma.conf",
            "ssmtp" => "/etc/ssmtp/ssmtp.conf",
            "esmtp" => "/etc/esmtprc",
            _ => "/etc/msmtprc",
        };
        fs::create_dir(home).unwrap();
        let user_of = nix::unistd::User::from_name(user).unwrap().unwrap();
        std::os::unix::fs::chown(home, Some(user_of.uid.as_raw()), None).unwrap();
        let config = home.join("config.toml");
        let imported = run(self.command(user, &binary(), &["config", "import", from, "-o", config.to_str().unwrap()]), b"");
        assert_eq!(imported.code, 0, "{}", imported.stderr);
        // Nothing is to be left behind in a queue or in a log of the machine.
        let text = fs::read_to_string(&config).unwrap().replace("mode = \"fallback\"", "mode = \"off\"");
        fs::write(&config, format!("{text}\n[log]\nfile = \"\"\nsyslog = false\n")).unwrap();
    }

    /// What came to either server, once something has.
    fn seen(&self) -> Vec<Seen> {
        let started = Instant::now();
        loop {
            let mails = self
                .servers
                .iter()
                .enumerate()
                .flat_map(|(at, server)| server.take().mails.into_iter().map(move |mail| Seen::of(at, &mail)));
            let seen: Vec<Seen> = mails.collect();
            if !seen.is_empty() || started.elapsed() > PATIENCE {
                return seen;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What counts of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    server: usize,
    /// Of the envelope.
    sender: String,
    recipients: Vec<String>,
    /// The address in From.
    author: String,
}

impl Seen {
    pub(crate) fn of(server: usize, mail: &Mail) -> Self {
        let mut recipients: Vec<String> = mail.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        recipients.sort();
        let data = String::from_utf8_lossy(&mail.data).into_owned();
        let field = data.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("From: "));
        let author = field.map(|value| match value.split_once('<') {
            Some((_, address)) => address.trim_end_matches('>').to_owned(),
            None => value.split(' ').next().unwrap_or_default().to_owned(),
        });
        Self { server, sender: mail.from.clone(), recipients, author: author.unwrap_or_default() }
    }
}
