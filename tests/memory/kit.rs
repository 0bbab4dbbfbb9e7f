//! How do several servers stand behind one door, and what does a client remember of them?

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use sealpost::{
    host::{
        config,
        listen::{Event, Settings, Sink, Tls},
        memory::{self, Servers},
    },
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::Faults,
    },
};

use crate::common::{MESSAGE, PASSWORD, Run, Sealpost, USER};

type Errand = Box<dyn FnOnce() + Send>;

/// A port that leads to one server today and to another tomorrow.
pub(crate) struct Door {
    pub(crate) port: u16,
    to: Arc<Mutex<SocketAddr>>,
    errand: Arc<Mutex<Option<Errand>>>,
}

impl Door {
    pub(crate) fn to(sink: &Sink) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(Mutex::new(sink.address));
        let errand = Arc::new(Mutex::new(None::<Errand>));
        let (inside, waiting) = (Arc::clone(&to), Arc::clone(&errand));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if let Some(errand) = waiting.lock().unwrap().take() {
                    errand();
                }
                let address = *inside.lock().unwrap();
                if let Ok(server) = TcpStream::connect(address) {
                    carry(client.try_clone().unwrap(), server.try_clone().unwrap());
                    carry(server, client);
                }
            }
        });
        Self { port, to, errand }
    }

    pub(crate) fn lead_to(&self, sink: &Sink) {
        *self.to.lock().unwrap() = sink.address;
    }

    /// What is done as soon as the next client has connected, before it is heard.
    pub(crate) fn meanwhile(&self, errand: impl FnOnce() + Send + 'static) {
        *self.errand.lock().unwrap() = Some(Box::new(errand));
    }

    pub(crate) fn name(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut buffer = [0; 16384];
        loop {
            match from.read(&mut buffer) {
                Ok(n @ 1..) if to.write_all(&buffer[..n]).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

pub(crate) fn sink(faults: &[&str]) -> Sink {
    start(Settings { faults: Faults::named(faults.iter().copied()), ..Settings::default() })
}

pub(crate) fn sink_with_login(faults: &[&str]) -> Sink {
    let login = Some(Login { user: USER.to_owned(), password: Secret::new(PASSWORD.to_owned()) });
    start(Settings { faults: Faults::named(faults.iter().copied()), login, ..Settings::default() })
}

pub(crate) fn implicit() -> Sink {
    start(Settings { tls: Tls::Implicit, ..Settings::default() })
}

pub(crate) fn lmtp() -> Sink {
    start(Settings { lmtp: true, ..Settings::default() })
}

fn start(settings: Settings) -> Sink {
    Sink::start(settings).unwrap()
}

/// Messages that arrived since it was asked last.
pub(crate) fn arrived(sink: &Sink) -> usize {
    sink.events.try_iter().filter(|event| matches!(event, Event::Delivered(_))).count()
}

/// An account that goes through `door`: `tls` are the keys of that table, `more` other lines.
pub(crate) fn client(door: &Door, tls: &str, more: &str) -> Sealpost {
    // Generous: the machine may be busy, and no test here waits for a deadline to pass.
    Sealpost::with_limits("reply_timeout = \"8s\"", &account(door, tls, more))
}

pub(crate) fn account(door: &Door, tls: &str, more: &str) -> String {
    format!("[accounts.relay]\nhost = \"localhost\"\nport = {}\n{more}\ntls = {{ {tls} }}\n", door.port)
}

/// The same configuration with other keys for TLS; what is remembered stays.
pub(crate) fn rewrite(sealpost: &Sealpost, old: &str, new: &str) {
    let path = sealpost.scratch.path().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old} is not in {text}");
    sealpost.scratch.write("config.toml", text.replace(old, new));
}

pub(crate) fn send(sealpost: &Sealpost) -> Run {
    sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes())
}

pub(crate) fn trust(sealpost: &Sealpost, args: &[&str]) -> Run {
    let config = sealpost.scratch.path().join("config.toml");
    let mut words = vec!["trust"];
    words.extend(args);
    words.extend(["-C", config.to_str().unwrap()]);
    sealpost.command(&words, b"")
}

pub(crate) fn file(sealpost: &Sealpost) -> PathBuf {
    sealpost.scratch.path().join("memory.json")
}

pub(crate) fn remembered(sealpost: &Sealpost) -> Servers {
    memory::read(&config::Memory::File(file(sealpost))).unwrap()
}

/// The key that is believed, in hexadecimal.
pub(crate) fn key(sealpost: &Sealpost, door: &Door) -> Option<String> {
    let key = remembered(sealpost).get(&door.name())?.key.clone()?;
    Some(key.sha256.iter().fold(String::new(), |text, octet| format!("{text}{octet:02x}")))
}

/// Exit code, `status`, `tls.result`, `tls.failure`, `tls.downgrade` of a run.
pub(crate) fn seen(run: &Run) -> (i32, &str, &str, &str, bool) {
    let downgrade = run.last()["tls"]["downgrade"] == true;
    (run.code, run.field("/status"), run.field("/tls/result"), run.field("/tls/failure"), downgrade)
}

/// Everything in a directory, by name.
pub(crate) fn listing(sealpost: &Sealpost) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(sealpost.scratch.path()).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect()
}

/// Another server that is remembered, with a key.
const OTHER: &str = "other.test:25";

/// Lets another server be remembered.
pub(crate) fn seed(sealpost: &Sealpost) {
    let place = config::Memory::File(file(sealpost));
    let when = "2026-11-23T22:53:01Z".parse().unwrap();
    memory::change(&place, |servers| servers.entry(OTHER).accept([7; 32], when)).unwrap();
}

/// Whether that one is still remembered.
pub(crate) fn is_seeded(sealpost: &Sealpost) -> bool {
    remembered(sealpost).get(OTHER).is_some_and(|server| server.key.as_ref().is_some_and(|key| key.sha256 == [7; 32]))
}
