//! Does the binary do what the table says, against a live server, with each TLS library that is built in? (no row may differ)

use std::{fs, sync::Mutex, thread};

use sealpost::{
    host::listen::{Certificate, Event, Settings, Sink, Tls},
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::{Fault, Faults},
    },
};

use crate::{
    common::{
        BACKENDS, MESSAGE, PASSWORD, Run, Scratch, Sealpost, USER,
        certificate::{Authority, Flaw},
        reveals_secret,
        zone::{Dns, Signing, Zone},
    },
    table::{Outcome, POLICIES, Row, situations},
};

/// At once: each is a process and a server, and most of a run is waiting.
const WORKERS: usize = 6;

#[test]
fn every_row_is_what_the_binary_does() {
    let rows: Vec<Row> = situations().into_iter().flat_map(|situation| situation.rows).collect();
    let cell = |row: Row, policy, backend| Cell { row, policy, backend, staged: None };
    let of_row =
        |row: Row| BACKENDS.iter().flat_map(move |backend| (0..POLICIES.len()).map(move |policy| cell(row, policy, *backend)));
    let (mut signed, mut cells): (Vec<Cell>, Vec<Cell>) = rows.into_iter().flat_map(of_row).partition(Cell::asks_dns);
    // One zone speaks of all servers, so they are there before it. It lives until all is played.
    signed.iter_mut().for_each(Cell::stage);
    let dns = Dns::start(&zones(&signed));
    cells.extend(signed.into_iter().filter(|_| dns.is_some()));
    let table = dns.as_ref().map(Dns::table).unwrap_or_default();
    let count = cells.len();
    let (waiting, wrong) = (Mutex::new(cells), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some(cell) = waiting.lock().unwrap().pop() else { return };
                    let faults = cell.faults(&table);
                    wrong.lock().unwrap().extend(faults);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} faults in {count} cells:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the DNS says of the servers that are staged.
fn zones(cells: &[Cell]) -> [Zone; 2] {
    let mut records = [String::new(), String::new()];
    for Cell { row, staged, .. } in cells {
        let Some(Staged { sink, pki, host }) = staged else { continue };
        let Some((label, zone)) = host.split_once('.') else { continue };
        let owner = format!("_{}._tcp.{label}", sink.address.port());
        let tlsa = match row.dns {
            Some("match" | "bogus") => format!("{owner} TLSA 3 0 1 {}\n", pki.pin.trim_start_matches("sha256:")),
            Some("another") => format!("{owner} TLSA 3 1 1 {}\n", "ab".repeat(32)),
            Some("unusable") => format!("{owner} TLSA 1 1 1 {}\n", "ab".repeat(32)),
            _ => String::new(),
        };
        records[usize::from(zone == "wrong")] += &format!("{label} A 127.0.0.1\n{tlsa}");
    }
    let [sound, wrong] = records;
    [Zone::new("test", Signing::Nsec, sound), Zone::new("wrong", Signing::WrongKey, wrong)]
}

/// One row under one policy, with one library.
struct Cell {
    row: Row,
    policy: usize,
    backend: &'static str,
    staged: Option<Staged>,
}

/// A server that runs, and what is known of it.
struct Staged {
    sink: Sink,
    pki: Pki,
    host: String,
}

impl Cell {
    /// Whether somebody asks the DNS of the row.
    fn asks_dns(&self) -> bool {
        self.row.dns.is_some() && self.policy != 0
    }

    fn stage(&mut self) {
        let zone = match self.row.dns {
            Some("bogus") => "wrong",
            Some("dead") => "dead",
            _ => "test",
        };
        let pki = Pki::new();
        let sink = Sink::start(self.settings(&pki)).unwrap();
        // A port is used once.
        let host = format!("mx{}.{zone}", sink.address.port());
        self.staged = Some(Staged { sink, pki, host });
    }

    fn faults(mut self, dns: &str) -> Vec<String> {
        let (run, sink) = self.play(dns);
        let row = &self.row;
        let expected = row.outcomes[self.policy];
        let mut faults = run.oddities();
        // Mail that went where TLS is gone is the one success that is not silent.
        faults.retain(|odd| !(expected.exit == 0 && expected.downgrade && odd.starts_with("something on stderr")));
        if (expected.exit == 0 && expected.downgrade) != (run.code == 0 && run.stderr.contains("TLS was there before")) {
            faults.push("a warning is there that should not be, or the other way round".to_owned());
        }
        if expected.result.is_none() {
            if run.code != expected.exit {
                faults.push(format!("exit {}, not {}", run.code, expected.exit));
            }
        } else {
            faults.extend(self.compare(&run, expected));
            faults.extend(arrived(&run, &sink));
        }
        if run.code == 75 && !run.stderr.contains("hint: ") {
            faults.push("nothing is said of what would help".to_owned());
        }
        let place = format!("table.txt:{} ({}, {}, {}), {}", row.line, row.server, row.start, row.trust, POLICIES[self.policy]);
        faults.into_iter().map(|fault| format!("{place}, {}: {fault}\n  {}", self.backend, run.stderr)).collect()
    }

    fn compare(&self, run: &Run, expected: Outcome) -> Vec<String> {
        let row = &self.row;
        let tls = &run.last()["tls"];
        let lacks = |fault| ["no-starttls", "mangled-starttls", "no-ehlo"].contains(&fault);
        let (offered, failure) = match self.policy {
            // Nobody who wants no TLS misses it.
            0 => (Some(!row.faults().any(lacks)), None),
            policy => (row.offered[usize::from(policy == 3)], row.failure[usize::from(policy == 3)]),
        };
        let seen = (run.code, run.field("/status"), run.field("/tls/result"), tls["failure"].as_str(), tls["offered"].as_bool());
        let wanted = (expected.exit, expected.status(), expected.result.unwrap_or_default(), failure, offered);
        let mut faults = Vec::new();
        if seen != wanted {
            faults.push(format!("{seen:?}, not {wanted:?}"));
        }
        let seen = (run.records.len(), tls["downgrade"].as_bool());
        let wanted = (expected.connections, Some(expected.downgrade));
        if seen != wanted {
            faults.push(format!("records and downgrade are {seen:?}, not {wanted:?}"));
        }
        faults
    }

    fn settings(&self, pki: &Pki) -> Settings {
        let row = &self.row;
        Settings {
            faults: Faults::named(row.faults()),
            tls: if row.start == "implicit" { Tls::Implicit } else { Tls::Starttls },
            login: row.login.map(|_| Login { user: USER.to_owned(), password: Secret::new(PASSWORD.to_owned()) }),
            // To tempt.
            auth_in_clear: row.login.is_some(),
            certificate: if row.server == "good" { pki.certificate() } else { Certificate::ThrowAway },
            ..Settings::default()
        }
    }

    fn play(&mut self, dns: &str) -> (Run, Sink) {
        if let Some(Staged { sink, pki, host }) = self.staged.take() {
            let account = self.account("relay", &host, sink.address.port(), &pki);
            return (send(&Sealpost::new(&format!("{dns}{account}")), &sink, &pki, "relay"), sink);
        }
        let row = &self.row;
        let pki = Pki::new();
        let settings = self.settings(&pki);
        let Some(memory) = row.memory.filter(|_| row.outcomes[self.policy].result.is_some()) else {
            let sink = Sink::start(settings).unwrap();
            let sealpost = Sealpost::new(&self.account("relay", "localhost", sink.address.port(), &pki));
            return (send(&sealpost, &sink, &pki, "relay"), sink);
        };
        // An earlier mail, by an account that remembers, met a server without fault.
        let other = Pki::new();
        let earlier = if memory == "another" { &other } else { &pki };
        let sound = Settings { faults: Faults::default(), login: None, certificate: earlier.certificate(), ..settings.clone() };
        let (before, now) = (Sink::start(sound).unwrap(), Sink::start(settings).unwrap());
        let port = |sink: &Sink| sink.address.port();
        let accounts =
            [self.account("earlier", "localhost", port(&before), &pki), self.account("relay", "localhost", port(&now), &pki)];
        let sealpost = Sealpost::new(&accounts.concat());
        let run = send(&sealpost, &before, earlier, "earlier");
        assert_eq!(run.code, 0, "the earlier mail: {}", run.stderr);
        // To put the one in the place of the other, on its port, would be a race with all that takes a port meanwhile.
        let place = sealpost.scratch.path().join("memory.json");
        let remembered = fs::read_to_string(&place).unwrap();
        let [old, new] = [&before, &now].map(|sink| format!("\"localhost:{}\"", port(sink)));
        assert!(remembered.contains(&old), "{remembered}");
        fs::write(&place, remembered.replace(&old, &new)).unwrap();
        (send(&sealpost, &now, &pki, "relay"), now)
    }

    /// The account of the row, or one that goes the same way earlier: it remembers what it finds there, and does not log in.
    fn account(&self, name: &str, host: &str, port: u16, pki: &Pki) -> String {
        let Row { start, trust, .. } = self.row;
        let is_earlier = name == "earlier";
        let login = self.row.login.filter(|_| !is_earlier);
        let policy = POLICIES[if is_earlier { 1 } else { self.policy }].replace(", ", "\n");
        let trust = match trust {
            "pin" => format!("trust = \"pin\"\npins = [{:?}]", pki.pin),
            "pin!" => format!("trust = \"pin\"\npins = [{:?}]", "sha256:".to_owned() + &"0".repeat(64)),
            "system" => "ca_file = \"ca.pem\"".to_owned(),
            other => format!("trust = {other:?}"),
        };
        let login = match login.map(|name| name.trim_end_matches('!')) {
            None => String::new(),
            Some(mechanism) => {
                let mechanism = if mechanism == "SCRAM" { "SCRAM-SHA-256" } else { mechanism };
                let allow = login.is_some_and(|name| name.ends_with('!'));
                format!(
                    "[accounts.relay.auth]\nuser = {USER:?}\npassword = {PASSWORD:?}\nmechanism = {mechanism:?}\nallow_unverified = {allow}\n"
                )
            }
        };
        let backend = self.backend;
        format!(
            "[accounts.{name}]\nhost = {host:?}\nport = {port}\n[accounts.{name}.tls]\nstart = {start:?}\nbackend = {backend:?}\n{policy}\n{trust}\n{login}"
        )
    }
}

fn send(sealpost: &Sealpost, sink: &Sink, pki: &Pki, account: &str) -> Run {
    sealpost.scratch.write("ca.pem", sink.ca_pem.clone().unwrap_or_else(|| pki.ca.clone()));
    sealpost.send(&["-i", "-a", account, "-f", "cron@client.test", "ok@sink.test"], MESSAGE.as_bytes())
}

/// What the server took, against what the record says of it.
fn arrived(run: &Run, sink: &Sink) -> Vec<String> {
    let taken: Vec<bool> = sink
        .events
        .try_iter()
        .filter_map(|event| if let Event::Delivered(delivery) = event { Some(delivery.tls.is_some()) } else { None })
        .collect();
    let told = match run.field("/tls/result") {
        "verified" | "unverified" => vec![true],
        "plaintext" => vec![false],
        _ => vec![],
    };
    let mut faults = Vec::new();
    if taken != told {
        faults.push(format!("mail that arrived under TLS or not: {taken:?}, and the record says {told:?}"));
    }
    if reveals_secret(run.stderr.as_bytes()) {
        faults.push("the password on stderr".to_owned());
    }
    faults
}

/// A certificate that is known before the server starts, to be pinned.
struct Pki {
    ca: String,
    pin: String,
    files: Scratch,
}

impl Pki {
    fn new() -> Self {
        let authority = Authority::new("the authority of the outcomes");
        let identity = authority.identity(Flaw::None);
        let files = Scratch::new();
        files.write("server.pem", &identity.certificate_pem);
        files.write("server.key", &identity.key_pem);
        Self { ca: authority.pem(), pin: identity.pin(), files }
    }

    fn certificate(&self) -> Certificate {
        Certificate::Files { chain: self.files.path().join("server.pem"), key: self.files.path().join("server.key") }
    }
}

#[test]
fn the_table_plays_every_fault_of_tls() {
    let rows: Vec<Row> = situations().into_iter().flat_map(|situation| situation.rows).collect();
    let played = |name: &str| rows.iter().any(|row| row.faults().any(|fault| fault == name));
    let unknown: Vec<&str> = rows.iter().flat_map(Row::faults).filter(|name| Fault::named(name).is_none()).collect();
    assert!(unknown.is_empty(), "no such fault: {unknown:?}");
    let about_tls = |fault: &Fault| {
        use sealpost::smtp::server::fault::Premise::{Implicit, OwnCertificate, Starttls};
        matches!(fault.premise(), Some(Implicit | OwnCertificate | Starttls)) || fault.name.starts_with("handshake")
    };
    let missing: Vec<&str> = sealpost::smtp::server::fault::FAULTS
        .iter()
        .filter(|fault| about_tls(fault) && !played(fault.name))
        .map(|fault| fault.name)
        .collect();
    assert!(missing.is_empty(), "faults of TLS without a row: {missing:?}");
}
