//! What do the tests of the queue share: a smarthost that comes and goes, a client with a queue, and time that passes at once.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use sealpost::{
    host::{
        listen::{Delivery, Event, Kept, Settings, Sink},
        spool::{Lead, Spool},
    },
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::Faults,
    },
};
use serde_json::Value;

use crate::common::{MESSAGE, PASSWORD, Run, Sealpost, USER};

/// Longest wait for something that a run in the background does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a door does with who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Leads to the sink.
    Open,
    /// Hangs up.
    Down,
    /// Lets everybody wait.
    Held,
    /// Leads so many at a time to the sink, and says 421 to the others.
    Narrow(usize),
}

/// A port that leads to a sink, or not.
pub(crate) struct Door {
    pub(crate) port: u16,
    inside: Arc<Inside>,
}

struct Inside {
    mood: Mutex<Mood>,
    changed: Condvar,
    to: Mutex<SocketAddr>,
    knocks: AtomicUsize,
    guests: AtomicUsize,
}

impl Door {
    pub(crate) fn to(sink: &Sink) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inside = Arc::new(Inside {
            mood: Mutex::new(Mood::Open),
            changed: Condvar::new(),
            to: Mutex::new(sink.address),
            knocks: AtomicUsize::new(0),
            guests: AtomicUsize::new(0),
        });
        let open = Arc::clone(&inside);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                open.knocks.fetch_add(1, Ordering::SeqCst);
                let inside = Arc::clone(&open);
                thread::spawn(move || inside.answer(client));
            }
        });
        Self { port, inside }
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.inside.mood.lock().unwrap() = mood;
        self.inside.changed.notify_all();
    }

    pub(crate) fn lead_to(&self, sink: &Sink) {
        *self.inside.to.lock().unwrap() = sink.address;
    }

    /// Connections so far.
    pub(crate) fn knocks(&self) -> usize {
        self.inside.knocks.load(Ordering::SeqCst)
    }
}

impl Inside {
    fn answer(&self, mut client: TcpStream) {
        let mood = *self.changed.wait_while(self.mood.lock().unwrap(), |mood| *mood == Mood::Held).unwrap();
        let most = match mood {
            Mood::Down | Mood::Held => return,
            Mood::Open => usize::MAX,
            Mood::Narrow(most) => most,
        };
        if self.guests.fetch_add(1, Ordering::SeqCst) < most {
            let address = *self.to.lock().unwrap();
            if let Ok(server) = TcpStream::connect(address) {
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let forth = thread::spawn(move || carry(from, to));
                carry(server, client);
                let _ = forth.join();
            }
        } else {
            let _ = client.write_all(b"421 4.7.0 too many connections\r\n");
            // Closing with octets unread would take the reply away again.
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        }
        self.guests.fetch_sub(1, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16384];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

pub(crate) fn sink(faults: &[&str]) -> Sink {
    Sink::start(Settings { faults: Faults::named(faults.iter().copied()), ..Settings::default() }).unwrap()
}

/// One that wants a login, and sees it in the clear.
pub(crate) fn sink_with_login(faults: &[&str]) -> Sink {
    let login = Some(Login { user: USER.to_owned(), password: Secret::new(PASSWORD.to_owned()) });
    let faults = Faults::named(faults.iter().copied());
    Sink::start(Settings { faults, login, auth_in_clear: true, ..Settings::default() }).unwrap()
}

/// Messages that arrived since it was asked last.
pub(crate) fn arrived(sink: &Sink) -> Vec<Delivery> {
    sink.events.try_iter().filter_map(delivery).collect()
}

/// Waits until so many have arrived.
pub(crate) fn arrive(sink: &Sink, number: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < number {
        match sink.events.recv_timeout(PATIENCE) {
            Ok(event) => all.extend(delivery(event)),
            Err(error) => panic!("{} of {number} have arrived: {error}", all.len()),
        }
    }
    all
}

fn delivery(event: Event) -> Option<Delivery> {
    match event {
        Event::Delivered(delivery) => Some(*delivery),
        Event::Trouble { .. } => None,
    }
}

/// The recipients of a message that arrived.
pub(crate) fn to(delivery: &Delivery) -> Vec<String> {
    delivery.transaction.recipients.iter().map(|recipient| recipient.address.clone()).collect()
}

/// What arrived.
pub(crate) fn kept(delivery: &Delivery) -> &[u8] {
    let Kept::Memory(text) = &delivery.kept else { panic!("{delivery:?}") };
    text
}

/// A field of the header of a message that arrived.
pub(crate) fn field(delivery: &Delivery, name: &str) -> String {
    let text = String::from_utf8_lossy(kept(delivery));
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

/// A client with a queue: `queue` are lines of that table, `more` other accounts and what belongs to the first one.
pub(crate) fn client(port: u16, queue: &str, more: &str) -> Sealpost {
    let account = format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls = {{ policy = \"off\" }}\n{more}\n");
    let sealpost = Sealpost::with_limits("reply_timeout = \"8s\"", &account);
    let path = sealpost.scratch.path().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    // An hour: what is deferred in a test is due when the test says so.
    let retry = if queue.contains("retry_first") { "" } else { "retry_first = \"1h\"\n" };
    let lines = format!("{retry}{queue}\n");
    let written = text.replace("mode = \"off\"\n", &lines);
    assert_ne!(written, text);
    sealpost.scratch.write("config.toml", written);
    sealpost
}

pub(crate) fn spool(sealpost: &Sealpost) -> PathBuf {
    sealpost.scratch.path().join("spool")
}

/// As long as this is held, no run begins behind the test's back.
pub(crate) fn alone(sealpost: &Sealpost) -> Lead {
    Spool::make(&spool(sealpost)).unwrap().lead().unwrap().expect("another run has the lead")
}

/// The files of a place of the queue, in their order.
pub(crate) fn files(sealpost: &Sealpost, place: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(spool(sealpost).join(place));
    let mut files: Vec<PathBuf> = entries.map(|all| all.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default();
    files.sort();
    files
}

/// How a message of the queue stands: the last line of its file.
pub(crate) fn state(file: &PathBuf) -> Value {
    let text = fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().last().and_then(|line| line.split_once(' ')).unwrap_or_else(|| panic!("{text}")).1;
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Time passes: every message is due, and no account pauses.
pub(crate) fn later(sealpost: &Sealpost) {
    for file in files(sealpost, "queue") {
        File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let _ = fs::remove_file(spool(sealpost).join("pauses.json"));
}

/// A run of the queue from its beginning to its end, as one in the background is; only that it waits for nothing.
pub(crate) fn drain(sealpost: &Sealpost) -> Run {
    let config = sealpost.scratch.path().join("config.toml").display().to_string();
    let before = sealpost.log().len();
    let mut run = sealpost.command(&["run-the-queue-in-the-background", "0", &config], b"");
    run.records = sealpost.log().split_off(before);
    run
}

/// Sends the message of all tests.
pub(crate) fn send(sealpost: &Sealpost, args: &[&str]) -> Run {
    sealpost.send(args, MESSAGE.as_bytes())
}

/// Asserts that a submission was taken without a word.
pub(crate) fn silent(run: &Run) {
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{run:?}");
}

/// Event, status, attempt, whether the queue has it, and the code: of each record.
pub(crate) fn told(records: &[Value]) -> Vec<(String, String, u64, bool, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let row = |record: &Value| {
        let (event, status) = (text(&record["event"]), text(&record["status"]));
        (event, status, number(&record["attempt"]), record["queue"] == true, number(&record["exit"]))
    };
    records.iter().map(row).collect()
}

pub(crate) fn row(event: &str, status: &str, attempt: u64, queue: bool, exit: u64) -> (String, String, u64, bool, u64) {
    (event.to_owned(), status.to_owned(), attempt, queue, exit)
}
