//! What is one row of the tables: an account, a server's script, and what must come of it?

use std::thread;

use crate::common::{
    BACKENDS, MESSAGE, PASSWORD, Run, Sealpost, USER,
    certificate::{Authority, Flaw},
    contains, reveals_secret,
    script::{Heard, Server},
};

/// What `failure` is where the manual leaves it open.
pub(crate) const ANY: Option<&str> = Some("*");

/// One row.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) policy: &'static str,
    pub(crate) start: &'static str,
    pub(crate) flaw: Flaw,
    /// Whether the account logs in.
    pub(crate) auth: bool,
    /// Lines below `[accounts.relay]`.
    pub(crate) account: &'static str,
    /// Lines below `[accounts.relay.tls]`, `PIN` standing for the server's.
    pub(crate) tls: &'static str,
    pub(crate) script: &'static str,
    pub(crate) recipients: &'static [&'static str],
    /// Octets of body after the message's own.
    pub(crate) padding: usize,
    /// The exit codes that are right.
    pub(crate) exit: &'static [i32],
    pub(crate) status: &'static str,
    /// `tls.result`; `*` where the channel was known and the mail still stayed, which may be told as either.
    pub(crate) result: &'static str,
    /// `tls.failure`.
    pub(crate) failure: Option<&'static str>,
    /// Connections that the server must have seen.
    pub(crate) connections: usize,
    /// Words that stderr must hold.
    pub(crate) says: &'static str,
}

/// The plainest row: what differs from it is what the row is about.
pub(crate) const CASE: Case = Case {
    name: "",
    policy: "required",
    start: "starttls",
    flaw: Flaw::None,
    auth: false,
    account: "",
    tls: "",
    script: "",
    recipients: &["ok@sink.test"],
    padding: 0,
    exit: &[75],
    status: "deferred",
    result: "none",
    failure: None,
    connections: 1,
    says: "",
};

/// A row in which nothing about TLS is in question.
pub(crate) const PLAIN: Case = Case { policy: "off", result: "plaintext", ..CASE };

/// Plays all rows at once, those about TLS with each library, and fails with everything that was wrong with any.
pub(crate) fn play(cases: &[Case]) {
    let backends = |case: &Case| if case.policy == "off" { &BACKENDS[..1] } else { BACKENDS };
    let cases: Vec<_> = cases.iter().flat_map(|case| backends(case).iter().map(move |backend| (case, *backend))).collect();
    let wrong: Vec<String> = thread::scope(|scope| {
        let spawn = |(case, backend): (_, _)| (case, scope.spawn(move || faults(case, backend)));
        let runs: Vec<(&Case, _)> = cases.into_iter().map(spawn).collect();
        runs.into_iter()
            .flat_map(|(case, run)| match run.join() {
                Ok(faults) => faults,
                Err(panic) => vec![format!("{}: {}", case.name, panic.downcast_ref::<String>().map_or("a panic", |s| s))],
            })
            .collect()
    });
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

fn faults(case: &Case, backend: &str) -> Vec<String> {
    let (run, mut heard) = perform_with(case, backend);
    let mut wrong = run.oddities();
    if looks_twice(case, backend) {
        if heard.len() < 2 || heard[0].handshake.is_none() || contains(&heard[0].clear, b"MAIL FROM") {
            wrong.push("the library did not refuse the certificate by itself".to_owned());
        } else {
            heard.remove(0);
        }
    }
    wrong.extend(verdict(case, &run));
    wrong.extend(leaks(case, &run, &heard));
    wrong
        .into_iter()
        .map(|why| {
            format!("- {} [{}, {backend}]: {why}\n    stderr {:?}\n    log {}", case.name, case.policy, run.stderr, run.last())
        })
        .collect()
}

/// Whether the first connection ends with a refusal by the library, and a second one comes to the same as the only one elsewhere.
fn looks_twice(case: &Case, backend: &str) -> bool {
    case.flaw.is_refused_unseen(backend) && !case.tls.contains("pins")
}

/// Runs the binary against the server and returns what both saw.
pub(crate) fn perform(case: &Case) -> (Run, Vec<Heard>) {
    perform_with(case, BACKENDS[0])
}

fn perform_with(case: &Case, backend: &str) -> (Run, Vec<Heard>) {
    let authority = Authority::new("the authority of the test");
    let identity = authority.identity(case.flaw);
    let script = vec![case.script; if looks_twice(case, backend) { 2 } else { 1 }].join("\n---\n");
    let server = Server::start(&script, Some(identity.server()));
    let port = server.port();
    let sealpost = Sealpost::new("");
    let ca = sealpost.scratch.write("ca.pem", authority.pem()).display().to_string();
    let config = sealpost.scratch.path().join("config.toml");
    let head = std::fs::read_to_string(&config).unwrap();
    let anchors = if case.tls.contains("pins") { String::new() } else { format!("ca_file = {ca:?}\n") };
    let tls = format!(
        "policy = {:?}\nstart = {:?}\nbackend = {backend:?}\n{anchors}{}\n",
        case.policy,
        case.start,
        case.tls.replace("PIN", &identity.pin())
    );
    let account = format!("host = \"127.0.0.1\"\nport = {port}\nfrom = \"cron@client.test\"\n{}\n", case.account);
    let auth = format!("[accounts.relay.auth]\nuser = {USER:?}\npassword = {PASSWORD:?}\n");
    let text = format!("{head}\n[accounts.relay]\n{account}[accounts.relay.tls]\n{tls}{}", if case.auth { &auth } else { "" });
    sealpost.scratch.write("config.toml", text);
    let padding = "0123456789012345678901234567890123456789012345678901234567890123456789012\n".repeat(case.padding / 74);
    let run =
        sealpost.send(&[&["-i", "-f", "cron@client.test"], case.recipients].concat(), format!("{MESSAGE}{padding}").as_bytes());
    (run, server.finish())
}

fn verdict(case: &Case, run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |what: &str, seen: &str, wanted: &str| {
        if seen != wanted {
            wrong.push(format!("{what} is {seen:?}, not {wanted:?}"));
        }
    };
    if !case.exit.contains(&run.code) {
        expect("the exit code", &run.code.to_string(), &format!("{:?}", case.exit));
    }
    if case.status != "*" {
        expect("status", run.field("/status"), case.status);
    }
    if case.result != "*" {
        expect("tls.result", run.field("/tls/result"), case.result);
    }
    expect("tls.policy", run.field("/tls/policy"), case.policy);
    if case.failure != ANY {
        expect("tls.failure", run.field("/tls/failure"), case.failure.unwrap_or_default());
    }
    if !run.stderr.to_lowercase().contains(case.says) {
        expect("stderr", &run.stderr, case.says);
    }
    wrong
}

/// What must hold on every connection, whatever the row is about.
fn leaks(case: &Case, run: &Run, heard: &[Heard]) -> Vec<String> {
    let mut wrong: Vec<String> = heard.iter().filter_map(|h| h.deviation.clone()).collect();
    let mut forbid = |bad: bool, what: &str| {
        if bad {
            wrong.push(what.to_owned());
        }
    };
    let expects_mail = ["MAIL", "mail", "session"].iter().any(|step| case.script.contains(step));
    let verified = run.field("/tls/result") == "verified";
    for one in heard {
        forbid(reveals_secret(&one.clear), "the secret in the clear");
        forbid(reveals_secret(&one.sealed) && !case.auth, "a secret that nobody asked for");
        forbid(reveals_secret(&one.sealed) && case.flaw != Flaw::None && !verified, "the secret to a server that was not verified");
        forbid(case.policy == "required" && contains(&one.clear, b"MAIL FROM"), "MAIL in the clear under policy required");
        let said = contains(&one.clear, b"MAIL FROM") || contains(&one.sealed, b"MAIL FROM");
        forbid(said && !expects_mail, "MAIL though nothing was to be sent");
    }
    forbid(heard.len() != case.connections, &format!("{} connections, not {}", heard.len(), case.connections));
    wrong
}
