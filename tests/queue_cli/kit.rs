//! A queue of messages in every state, the binary that looks at it, and a service that answers about it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    thread,
};

use jiff::{SignedDuration, Timestamp};
use sealpost::{
    cmd::queue::{
        act::Hands,
        answer::{Asker, Office, answer},
    },
    host::{
        config,
        journal::{Id, Journal, Sockets},
        spool::{Claimed, Entry, Head, Place, Spool, State},
        world::Machine,
    },
    mail::{
        address::{Address, ReversePath},
        envelope::{Dsn, Envelope, Notify, Recipient},
        outcome::Enhanced,
        policy::Request,
        queued::{Last, Standing},
    },
};

use crate::{
    common::{Run, Scratch, Sealpost, nobody_begins},
    text::Text,
};

/// A message that waits, of what differs between two.
pub(crate) struct Mail<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a [(&'a str, Standing)],
    pub(crate) uid: u32,
    /// Seconds since it came.
    pub(crate) age: i64,
    pub(crate) attempts: u32,
    /// Seconds until it is due.
    pub(crate) next: i64,
    pub(crate) problem: Option<Last>,
    pub(crate) text: &'a str,
    pub(crate) place: Place,
}

impl Default for Mail<'_> {
    fn default() -> Self {
        Self {
            from: "cron@client.test",
            to: &[],
            uid: 0,
            age: 7300,
            attempts: 3,
            next: 750,
            problem: None,
            text: "From: cron@client.test\r\nSubject: report\r\nMessage-ID: <1@client.test>\r\n\r\nall is well\r\n",
            place: Place::Queue,
        }
    }
}

pub(crate) fn later(text: &str) -> Standing {
    Standing::Waiting(Some(heard(450, text)))
}

pub(crate) fn refused(text: &str) -> Standing {
    Standing::Failed(Last { unknown: 3, ..heard(550, text) })
}

fn heard(code: u16, text: &str) -> Last {
    let enhanced = Enhanced { class: u8::try_from(code / 100).unwrap(), subject: 2, detail: 1 };
    Last { code: Some(code), enhanced: Some(enhanced), text: text.to_owned(), tls: None, ..Last::default() }
}

pub(crate) fn problem(text: &str, tls: Option<&str>) -> Last {
    Last { text: text.to_owned(), tls: tls.map(str::to_owned), ..Last::default() }
}

/// A queue, and the binary with a configuration that names it.
pub(crate) struct Queue {
    pub(crate) sealpost: Sealpost,
    pub(crate) spool: Spool,
}

/// An account of which nobody listens.
const NOBODY: &str = "[accounts.relay]\nhost = \"127.0.0.1\"\nport = 1\ntls.policy = \"off\"\n";

impl Queue {
    pub(crate) fn new() -> Self {
        Self::with(NOBODY)
    }

    pub(crate) fn with(account: &str) -> Self {
        let scratch = Scratch::new();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let head = format!(
            "default_account = \"relay\"\nmail_domain = \"client.test\"\naliases = \"\"\n[log]\nfile = {:?}\nsyslog = false\n\
             [memory]\nfile = \"\"\n[limits]\nconnect_timeout = \"5s\"\n[queue]\nmode = \"fallback\"\ndir = {:?}\n\
             [serve]\nsocket = {:?}\n",
            path("log.jsonl"),
            path("spool"),
            path("submit.sock")
        );
        scratch.write("config.toml", head + account);
        let spool = Spool::make(&scratch.path().join("spool")).unwrap();
        Self { sealpost: Sealpost { scratch, wrapper: Vec::new(), environment: Vec::new() }, spool }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sealpost.scratch.path().join(name)
    }

    /// Puts a message into the queue; its name.
    pub(crate) fn put(&self, mail: &Mail<'_>) -> Id {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let now = Timestamp::now();
        let arrived = now - SignedDuration::from_secs(mail.age);
        let id = Id::new(arrived, [NEXT.fetch_add(1, Ordering::Relaxed); 10]);
        let recipients = mail.to.iter().map(|(to, _)| Recipient { address: address(to), original: None, notify: None }).collect();
        let sender = if mail.from.is_empty() { ReversePath::Null } else { ReversePath::Address(address(mail.from)) };
        let envelope = Envelope {
            sender,
            recipients,
            dsn: Dsn { notify: Some(Notify::Never), ret: None, envid: None },
            request: Request::Nothing,
        };
        let head = Head {
            arrived,
            uid: mail.uid,
            user: if mail.uid == 0 { "root".into() } else { format!("uid{}", mail.uid) },
            account: "relay".into(),
            asked: None,
            envelope,
            message_id: "<1@client.test>".into(),
            size: 0,
            eight_bit: false,
            tls_waived: false,
            report: false,
        };
        let next = now + SignedDuration::from_secs(mail.next);
        let mut entry = Entry::new(head, next);
        entry.state = State {
            attempts: mail.attempts,
            tried: (mail.attempts > 0).then(|| now - SignedDuration::from_secs(61)),
            problem: mail.problem.clone(),
            recipients: mail.to.iter().map(|(_, standing)| standing.clone()).collect(),
            ..entry.state
        };
        let _alone = nobody_begins();
        let mut claim = self.spool.add(id, entry, &mut Text::new(mail.text)).unwrap();
        claim.shift(mail.place).unwrap();
        id
    }

    /// One message of each kind: it waits, is new, is held, failed.
    pub(crate) fn scene() -> (Self, [Id; 4]) {
        let queue = Self::new();
        let waits = queue.put(&Mail {
            to: &[
                ("admin@example.org", later("mailbox busy")),
                ("ops@example.org", Standing::Delivered),
                ("nobody@example.org", refused("no such user")),
            ],
            ..Mail::default()
        });
        let new = queue.put(&Mail {
            from: "",
            to: &[("a-rather-long-local-part-of-somebody@department.example.org", Standing::Waiting(None))],
            age: 330,
            attempts: 0,
            next: -330,
            ..Mail::default()
        });
        let held = queue.put(&Mail {
            to: &[("held@example.net", Standing::Waiting(None))],
            problem: Some(problem("the server does not offer TLS", Some("starttls-not-supported"))),
            age: 400_000,
            place: Place::Held,
            ..Mail::default()
        });
        let failed = queue.put(&Mail {
            to: &[("gone@example.net", refused("unknown user"))],
            age: 800_000,
            place: Place::Failed,
            ..Mail::default()
        });
        (queue, [waits, new, held, failed])
    }

    /// `sealpost queue ARGS` with this configuration.
    pub(crate) fn ask(&self, args: &[&str]) -> Run {
        let config = self.path("config.toml");
        let words = [&["queue"], args, &["-C", config.to_str().unwrap()]].concat();
        self.sealpost.command(&words, b"")
    }

    /// `sealpost sendmail ARGS` with this configuration.
    pub(crate) fn sendmail(&self, args: &[&str]) -> Run {
        let config = self.path("config.toml");
        let words = [&["sendmail", "-C", config.to_str().unwrap()], args].concat();
        self.sealpost.command(&words, b"")
    }

    pub(crate) fn ids(&self, place: Place) -> Vec<String> {
        let names = std::fs::read_dir(self.spool.path().join(place.as_str()));
        let mut names: Vec<String> =
            names.map(|names| names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect()).unwrap_or_default();
        names.sort();
        names
    }
}

/// The message is free for others.
pub(crate) fn let_go(claim: Claimed<'_>) {
    let _alone = nobody_begins();
    drop(claim);
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Something that accepts connections on the socket of the queue, and answers XQUEUE to `asker` until it is dropped.
pub(crate) struct Service {
    path: PathBuf,
    thread: Option<thread::JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(queue: &Queue, asker: Asker) -> Self {
        let path = queue.path("submit.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let (config, spool) = (queue.path("config.toml"), queue.spool.path().to_owned());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if stream.peer_addr().is_ok() && !serve(stream, &config, &spool, asker) {
                    return;
                }
            }
        });
        Self { path, thread: Some(thread) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        let _ = stream.write_all(b"STOP\r\n");
        drop(stream);
        let _ = self.thread.take().unwrap().join();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether to go on after this client.
fn serve(mut stream: UnixStream, config: &Path, spool: &Path, asker: Asker) -> bool {
    let config = config::load(&Machine, Some(config)).unwrap();
    let spool = Spool::open(spool).unwrap().unwrap();
    let journal = Journal::new(&config.log, None, Sockets::default());
    let hands = Hands { world: &Machine, config: &config, spool: &spool, journal: &journal };
    let hurried = AtomicU32::new(0);
    let hurry = || {
        hurried.fetch_add(1, Ordering::SeqCst);
    };
    let office = Office { hands, hurry: &hurry };
    let said = Mutex::new(());
    stream.write_all(b"220 client.test\r\n").unwrap();
    let reader = BufReader::new(stream.try_clone().unwrap());
    for line in reader.lines() {
        let Ok(line) = line else { return true };
        let _one = said.lock().unwrap();
        let lines: Vec<String> = match line.split_once(' ') {
            Some(("XQUEUE", query)) => {
                let _alone = nobody_begins();
                answer(query, asker, office).collect()
            }
            Some(("EHLO", _)) => vec!["250-client.test".into(), "250 XSEALPOST".into()],
            _ if line == "STOP" => return false,
            _ => vec!["500 what?".into()],
        };
        for line in lines {
            if stream.write_all(format!("{line}\r\n").as_bytes()).is_err() {
                return true;
            }
        }
    }
    true
}

/// The binary, where users without rights can reach it.
pub(crate) fn program(queue: &Queue) -> PathBuf {
    let path = queue.path("sealpost");
    if !path.exists() {
        crate::common::install(&path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    path
}
