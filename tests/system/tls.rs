//! Is the table of "TLS policy" in sealpost(1) what happens, policy by policy, start by start, certificate by certificate?

use std::thread;

use crate::{
    common::{BACKENDS, Run, certificate::Flaw, contains},
    smarthost::{Smarthost, send, smarthost, word},
};

/// One cell of the table.
#[derive(Clone, Copy, Debug)]
struct Cell {
    policy: &'static str,
    start: &'static str,
    flaw: Flaw,
    backend: &'static str,
}

impl Cell {
    fn all() -> Vec<Self> {
        let starts = ["off", "opportunistic", "required"]
            .into_iter()
            .flat_map(|policy| ["starttls", "implicit"].map(|start| (policy, start)));
        let flaws = starts.flat_map(|(policy, start)| Flaw::ALL.map(|flaw| (policy, start, flaw)));
        let cells = flaws.flat_map(|(policy, start, flaw)| {
            let backends = if policy == "off" { &BACKENDS[..1] } else { BACKENDS };
            backends.iter().map(move |backend| Self { policy, start, flaw, backend })
        });
        cells.collect()
    }

    fn mark(self) -> String {
        format!("matrix-{}-{}-{}-{}", self.policy, self.start, word(self.flaw), self.backend)
    }

    /// Exit codes that are right, `tls.result`, `tls.failure`.
    fn expected(self) -> (&'static [i32], &'static str, Option<&'static str>) {
        let failure = self.flaw.failure();
        match (self.policy, self.start, self.flaw) {
            ("off", "starttls", _) => (&[0], "plaintext", None),
            // No TLS to a port that speaks nothing else: refused as a configuration, or it does not work.
            ("off", _, _) => (&[75, 78], "none", None),
            (_, _, Flaw::None) => (&[0], "verified", None),
            ("opportunistic", _, _) => (&[0], "unverified", failure),
            _ => (&[75], "none", failure),
        }
    }

    fn run(self, smarthost: &Smarthost) -> (Run, String) {
        let service = format!("{}-{}", self.start, word(self.flaw));
        let tls = format!("policy = {:?}\nstart = {:?}\nbackend = {:?}", self.policy, self.start, self.backend);
        send(&smarthost.client(&service, "", &tls, ""), &self.mark(), &["ok@sink.test"])
    }
}

#[test]
fn policy_start_and_certificate_decide_as_the_manual_says() {
    let Some(smarthost) = smarthost() else { return };
    let runs: Vec<(Cell, Run, String)> = thread::scope(|scope| {
        let cells = Cell::all().into_iter();
        let runs: Vec<_> = cells.map(|cell| (cell, scope.spawn(move || cell.run(smarthost)))).collect();
        runs.into_iter().map(|(cell, run)| run.join().map(|(run, id)| (cell, run, id)).unwrap()).collect()
    });
    let mut wrong = Vec::new();
    for (cell, run, id) in &runs {
        let (exits, result, failure) = cell.expected();
        let mut faults = run.oddities();
        // A configuration that is refused has no attempt to tell of.
        if run.code != 78 && (run.field("/tls/result"), run.field("/tls/failure")) != (result, failure.unwrap_or_default()) {
            faults.push(format!("tls is {}, not {result} {failure:?}", run.last()["tls"]));
        }
        if run.code != 78 && run.records.len() != 1 {
            faults.push(format!("{} records of one send", run.records.len()));
        }
        if !exits.contains(&run.code) {
            faults.push(format!("exit {}, not {exits:?}: {}", run.code, run.stderr));
        } else if run.code == 0 && !sealed_as_told(&smarthost.delivered(id), result) {
            faults.push("what was delivered did not come as the log says".to_owned());
        }
        wrong.extend(faults.into_iter().map(|fault| format!("{cell:?}: {fault}")));
    }
    // Everything that was to arrive has, so what was not to arrive would be here too.
    let stray =
        |(cell, _, id): &(Cell, Run, String)| (cell.expected().0[0] != 0 && !smarthost.arrived(id).is_empty()).then_some(*cell);
    wrong.extend(runs.iter().filter_map(stray).map(|cell| format!("{cell:?}: arrived all the same")));
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether Postfix noted TLS in its Received field exactly where the log speaks of it.
fn sealed_as_told(mail: &[u8], result: &str) -> bool {
    contains(mail, b"(using TLSv1.3 with cipher") == (result != "plaintext")
}

#[test]
fn the_log_tells_version_cipher_group_and_certificate() {
    let Some(smarthost) = smarthost() else { return };
    for backend in BACKENDS {
        let tls = format!("policy = \"required\"\nbackend = {backend:?}");
        let (run, id) = send(&smarthost.client("starttls-good", "", &tls, ""), &format!("facts-{backend}"), &["ok@sink.test"]);
        assert_eq!(run.code, 0, "{run:?}");
        let received = String::from_utf8(smarthost.delivered(&id)).unwrap();
        let facts = ["version", "cipher"].map(|key| run.field(&format!("/tls/{key}")));
        assert!(received.contains(&format!("(using {} with cipher {} ", facts[0], facts[1])), "{facts:?} against {received}");
        assert_eq!(run.field("/tls/certificate/subject"), "CN=smarthost.test");
        assert!(run.field("/tls/certificate/issuer").contains("the authority of the system tests"), "{run:?}");
        assert_eq!(run.field("/tls/certificate/sha256").len(), 64, "{run:?}");
        assert!(!run.field("/tls/group").is_empty(), "{run:?}");
        assert_eq!(run.last()["tls"]["offered"], true);
        assert!(run.field("/reply").contains("queued as"), "{run:?}");
    }
}

#[test]
fn mail_that_wants_tls_all_the_way_stays_where_the_server_knows_nothing_of_it() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("starttls-good", "", "requiretls = true", "");
    let config = client.scratch.path().join("config.toml").display().to_string();
    let seen = client.command(&["check", "--json", "-C", &config], b"").stdout;
    // Postfix learnt it in 3.11.
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    let offered = seen["accounts"][0]["addresses"][0]["sessions"][0]["under_tls"]["requiretls"] == true;
    let (run, id) = send(&client, "requiretls", &["ok@sink.test"]);
    assert_eq!((run.code, run.field("/tls/request")), (if offered { 0 } else { 75 }, "requiretls"), "{run:?}");
    assert_eq!(run.oddities(), Vec::<String>::new());
    assert!(offered || run.stderr.contains("does not offer REQUIRETLS (5.7.30)"), "{run:?}");
    // Something else that arrives shows that nothing of it is still under way.
    let (later, mark) = send(&smarthost.client("starttls-good", "", "", ""), "after-requiretls", &["ok@sink.test"]);
    assert_eq!((later.code, smarthost.delivered(&mark).is_empty()), (0, false), "{later:?}");
    assert_eq!(smarthost.arrived(&id).is_empty(), !offered);
}

#[test]
fn a_login_needs_a_verified_peer_or_a_mechanism_that_keeps_the_secret() {
    let Some(smarthost) = smarthost() else { return };
    let password = format!("password = {:?}\n", crate::common::PASSWORD);
    for (mark, service, tls, auth, exit, mechanism) in [
        ("login-plain", "starttls-good-auth", "policy = \"required\"", "", 0, "PLAIN"),
        ("login-implicit", "implicit-good-auth", "start = \"implicit\"", "mechanism = \"LOGIN\"", 0, "LOGIN"),
        ("login-scram", "starttls-good-auth-scram", "", "", 0, "SCRAM-SHA-256"),
        ("login-opportunistic", "starttls-good-auth", "policy = \"opportunistic\"", "", 0, "PLAIN"),
        ("login-unverified", "starttls-selfsigned-auth", "policy = \"opportunistic\"", "", 75, ""),
        ("login-expired", "implicit-expired-auth", "policy = \"opportunistic\"\nstart = \"implicit\"", "", 75, ""),
        ("login-unverified-scram", "starttls-selfsigned-auth-scram", "policy = \"opportunistic\"", "", 0, "SCRAM-SHA-256"),
        ("login-allowed", "starttls-selfsigned-auth", "policy = \"opportunistic\"", "allow_unverified = true", 0, "PLAIN"),
        ("login-clear", "plain-auth", "policy = \"opportunistic\"", "", 75, ""),
        // A password that could never be sent is a mistake in the configuration, and said before anything is tried.
        ("login-off", "plain-auth", "policy = \"off\"", "", 78, ""),
        ("login-loopback", "plain-auth", "policy = \"off\"", "mechanism = \"PLAIN\"", 0, "PLAIN"),
    ] {
        let client = smarthost.client(service, "", tls, &format!("{password}{auth}"));
        let (run, id) = send(&client, mark, &["ok@sink.test"]);
        assert_eq!(run.code, exit, "{mark}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{mark}");
        assert_eq!(run.field("/auth"), mechanism, "{mark}: {run:?}");
        if exit == 0 {
            assert!(contains(&smarthost.delivered(&id), b"(Authenticated sender: cron)"), "{mark}");
        } else {
            assert!(run.stderr.contains("hint: "), "{mark}: {run:?}");
        }
    }
}
