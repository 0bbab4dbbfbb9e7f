//! What is in a record, and how does it look in each of its forms?

mod foreign;
mod sinks;

use std::{
    fs,
    net::IpAddr,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    id::Id,
    json,
    line::summary,
    pairs,
    record::{Attempt, Record, Rejection, Span, Submission},
    syslog,
    tls::{Protection, Seen},
};
use crate::{
    error::{Error, Exit},
    host::config::{Account, Auth, Notation, Protocol, SecretSource, Target, Tls},
    mail::{
        address::{Address, ReversePath},
        outcome::{Enhanced, Fate, Outcome, Reply, exit_code},
        policy::{Demand, Met, Next, Policy, Prior, Start, Trust, after_ehlo, judge},
        tls::{Certificate, Facts, Failure, Finding, Standing},
    },
    smtp::sasl::{Choice, Mechanism, Secret},
};

const SECRET: &str = "correct horse battery staple";

/// A directory of its own for each test, gone with the test.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sealpost-journal-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn account() -> Account {
    let auth = Auth {
        user: "cron".into(),
        choice: Choice::Auto,
        source: SecretSource::Inline(Secret::new(SECRET.into())),
        allow_unverified: false,
    };
    let demand = Demand::new(Policy::Required, Trust::System, Start::Starttls);
    let tls = Tls::new(demand);
    Account {
        name: "relay".into(),
        target: Target::Name("smtp.example.com".into(), 587),
        by_way_of: None,
        protocol: Protocol::Smtp,
        from: None,
        senders: crate::host::config::Senders::default(),
        matches: vec![],
        from_policy: None,
        rewrite_from: false,
        hello: None,
        fallback: vec![],
        source_address: None,
        proxy: None,
        tls,
        auth: Some(auth),
    }
}

fn span() -> Span {
    Span { end: Timestamp::from_microsecond(1_795_474_381_123_999).unwrap(), took: Duration::from_micros(85_400) }
}

fn submission() -> Submission<'static> {
    let id = Id::new(span().end, [0xa5; 10]);
    Submission { id, message_id: None, uid: None, user: None, sender: None, size: None, queue: false }
}

fn reply(code: u16, enhanced: (u8, u16, u16), text: &str) -> Reply {
    let (class, subject, detail) = enhanced;
    Reply { code, enhanced: Some(Enhanced { class, subject, detail }), lines: vec![text.into()] }
}

fn outcome(address: &str, fate: Fate, exit: Exit, reply: Option<Reply>) -> Outcome {
    Outcome { recipient: Address::parse(address).unwrap(), fate, exit, reply, server: None }
}

fn facts() -> Facts {
    let certificate = Certificate {
        subject: "CN=smtp.example.com".into(),
        issuer: "CN=Example CA".into(),
        names: vec!["smtp.example.com".into()],
        not_before: "2026-01-01T00:00:00Z".into(),
        not_after: "2027-01-01T00:00:00Z".into(),
        sha256: "ab".repeat(32),
        spki_sha256: "cd".repeat(32),
    };
    Facts {
        version: Some("TLSv1.3".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        group: Some("X25519MLKEM768".into()),
        resumed: Some(false),
        certificate: Some(certificate),
    }
}

fn met() -> Met {
    judge(account().tls.demand, Ok(Standing::Proven)).unwrap()
}

/// Plaintext to a host that offered STARTTLS before.
fn stripped() -> Met {
    let demand = Demand { policy: Policy::Opportunistic, ..account().tls.demand };
    match after_ehlo(demand, false, &Prior { sealed_before: true, failed_handshake: None }) {
        Next::Clear(met) => met,
        other => panic!("{other:?}"),
    }
}

/// An attempt of which nothing is known but its outcomes.
fn bare<'a>(account: &'a Account, outcomes: &'a [Outcome]) -> Attempt<'a> {
    Attempt {
        account,
        demand: account.tls.demand,
        address: None,
        number: 1,
        auth: None,
        outcomes,
        reply: None,
        error: None,
        exit: exit_code(outcomes),
        seen: Seen::default(),
        protection: Protection::Unreached,
    }
}

/// The example of the manual.
fn full() -> Record {
    let (account, facts, met) = (account(), facts(), met());
    let outcomes = [outcome("admin@example.com", Fate::Accepted, Exit::Ok, Some(reply(250, (2, 1, 5), "Ok")))];
    let sender = ReversePath::Address(Address::parse("cron@example.com").unwrap());
    let submission = Submission {
        message_id: Some("<1@example.com>"),
        uid: Some(0),
        user: Some("root"),
        sender: Some(&sender),
        size: Some(1234),
        ..submission()
    };
    let attempt = Attempt {
        address: Some(IpAddr::from([192, 0, 2, 1])),
        auth: Some(Mechanism::ScramSha256),
        reply: Some(&reply(250, (2, 0, 0), "queued as 4XYZ")),
        seen: Seen { offered: Some(true), facts: Some(&facts), ..Seen::default() },
        protection: Protection::Met(&met),
        ..bare(&account, &outcomes)
    };
    Record::attempt(span(), &submission, &attempt)
}

fn rejected() -> Record {
    let error = Error::new(Exit::Config, "reading /etc/sealpost/config.toml", "permission denied");
    Record::rejected(span(), &submission(), &Rejection { account: None, recipients: &[], error: &error })
}

fn json(record: &Record) -> String {
    String::from_utf8(json::line(record).unwrap()).unwrap()
}

/// Lost mail of two recipients, of whom one was refused.
fn partly() -> Record {
    let account = account();
    let outcomes = [
        outcome("a@example.com", Fate::Accepted, Exit::Ok, None),
        outcome("b@example.com", Fate::Refused, Exit::NoUser, Some(reply(550, (5, 1, 1), "no such user"))),
    ];
    let (met, facts) = (met(), facts());
    let seen = Seen { offered: Some(true), facts: Some(&facts), ..Seen::default() };
    Record::attempt(span(), &submission(), &Attempt { seen, protection: Protection::Met(&met), ..bare(&account, &outcomes) })
}

#[test]
fn a_full_record_has_every_key_in_the_order_of_the_manual() {
    let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
    assert_eq!(
        json(&full()),
        [
            r#"{"time":"2026-11-23T22:53:01.123Z","event":"send","status":"sent","id":"01M859SPA3MPJTB9D5MPJTB9D5""#,
            r#","message_id":"<1@example.com>","account":"relay","host":"smtp.example.com","port":587,"address":"192.0.2.1","uid":0"#,
            r#","user":"root","from":"cron@example.com","recipients":[{"address":"admin@example.com","status":"sent","code":250"#,
            r#","enhanced":"2.1.5","reply":"Ok"}],"size":1234,"attempt":1,"queue":false,"auth":"SCRAM-SHA-256","code":250"#,
            r#","enhanced":"2.0.0","reply":"queued as 4XYZ","error":null,"exit":0,"duration_ms":85,"tls":{"policy":"required""#,
            r#","trust":"system","start":"starttls","request":null,"offered":true,"result":"verified","version":"TLSv1.3""#,
            r#","cipher":"TLS_AES_256_GCM_SHA384","group":"X25519MLKEM768","resumed":false,"failure":null,"detail":null"#,
            r#","downgrade":false,"certificate":{"subject":"CN=smtp.example.com","issuer":"CN=Example CA""#,
            r#","names":["smtp.example.com"],"not_before":"2026-01-01T00:00:00Z","not_after":"2027-01-01T00:00:00Z","sha256":""#,
            &ab,
            r#"","spki_sha256":""#,
            &cd,
            "\"}}}\n",
        ]
        .concat()
    );
}

#[test]
fn a_record_of_nothing_known_has_every_key_too() {
    assert_eq!(
        json(&rejected()),
        [
            r#"{"time":"2026-11-23T22:53:01.123Z","event":"send","status":"rejected","id":"01M859SPA3MPJTB9D5MPJTB9D5""#,
            r#","message_id":null,"account":null,"host":null,"port":null,"address":null,"uid":null,"user":null,"from":null"#,
            r#","recipients":[],"size":null,"attempt":null,"queue":false,"auth":null,"code":null,"enhanced":null,"reply":null"#,
            r#","error":"reading /etc/sealpost/config.toml: permission denied","exit":78,"duration_ms":85,"tls":{"policy":null"#,
            r#","trust":null,"start":null,"request":null,"offered":null,"result":"none","version":null,"cipher":null,"group":null,"resumed":null"#,
            r#","failure":null,"detail":null,"downgrade":false,"certificate":null}}"#,
            "\n",
        ]
        .concat()
    );
}

#[test]
fn a_rejection_tells_of_the_account_and_the_recipients_that_are_known() {
    let (account, error) = (account(), Error::new(Exit::TempFail, "running the password command", "it failed"));
    let recipients = [Address::parse("admin@example.com").unwrap()];
    let rejection = Rejection { account: Some(&account), recipients: &recipients, error: &error };
    let value: Value = serde_json::from_str(&json(&Record::rejected(span(), &submission(), &rejection))).unwrap();
    assert_eq!((&value["account"], &value["port"], &value["tls"]["policy"]), (&"relay".into(), &587.into(), &"required".into()));
    assert_eq!(value["recipients"][0]["status"], "rejected");
    assert_eq!(value["exit"], 75);
}

#[test]
fn the_status_is_the_worst_that_happened_and_each_recipient_keeps_its_own() {
    let value: Value = serde_json::from_str(&json(&partly())).unwrap();
    assert_eq!((&value["status"], &value["exit"]), (&"failed".into(), &67.into()));
    assert_eq!((&value["recipients"][0]["status"], &value["recipients"][1]["status"]), (&"sent".into(), &"failed".into()));
    assert_eq!((&value["recipients"][0]["code"], &value["recipients"][1]["enhanced"]), (&Value::Null, &"5.1.1".into()));
}

#[test]
fn a_target_is_logged_as_host_port_and_address() {
    let table = [
        (Target::Name("mx.example".into(), 25), ("mx.example", Value::from(25), Value::Null)),
        (Target::Address(IpAddr::from([192, 0, 2, 7]), 465), ("192.0.2.7", Value::from(465), Value::from("192.0.2.7"))),
        (Target::Unix(PathBuf::from("/run/lmtp")), ("/run/lmtp", Value::Null, Value::Null)),
    ];
    for (target, (host, port, address)) in table {
        let account = Account { target, ..account() };
        let record = Record::attempt(span(), &submission(), &bare(&account, &[]));
        let value: Value = serde_json::from_str(&json(&record)).unwrap();
        assert_eq!((&value["host"], &value["port"], &value["address"]), (&host.into(), &port, &address));
    }
}

#[test]
fn no_form_of_a_record_holds_the_secret_of_its_account() {
    let record = full();
    let entry = super::journald::datagram(&record, Notation::Result, "sealpost");
    let forms = [
        json(&record),
        syslog::line(&record, Notation::Result),
        summary(&record),
        format!("{record:?}"),
        String::from_utf8_lossy(&entry).into(),
    ];
    for form in forms {
        assert!(form.contains("smtp.example.com"));
        assert!(!form.contains(SECRET) && !form.contains("staple"), "{form}");
    }
}

#[test]
fn the_line_for_syslog_is_read_at_a_glance() {
    let line = syslog::line(&full(), Notation::Result);
    assert_eq!(
        line,
        "id=01M859SPA3MPJTB9D5MPJTB9D5 status=sent tls=verified version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 group=X25519MLKEM768 \
         policy=required trust=system account=relay host=smtp.example.com port=587 address=192.0.2.1 from=<cron@example.com> \
         to=<admin@example.com> accepted=1/1 exit=0 code=250 enhanced=2.0.0 reply=\"queued as 4XYZ\" message_id=<1@example.com> \
         uid=0 user=root size=1234 attempt=1 queue=false auth=SCRAM-SHA-256 duration_ms=85"
    );
    assert!(syslog::datagram(&full(), Notation::Result, "cron", 42).starts_with("<22>cron[42]: id=01M85"));
}

#[test]
fn gravity_follows_the_status_and_a_downgrade_warns() {
    let (strict, stripped) = (account(), stripped());
    let of = |fate, exit, protection| {
        let outcomes = [outcome("a@example.com", fate, exit, None)];
        pairs::severity(&Record::attempt(span(), &submission(), &Attempt { protection, ..bare(&strict, &outcomes) }))
    };
    assert_eq!(of(Fate::Accepted, Exit::Ok, Protection::Unreached), pairs::Severity::Info);
    assert_eq!(of(Fate::Accepted, Exit::Ok, Protection::Met(&stripped)), pairs::Severity::Warning);
    assert_eq!(of(Fate::Deferred, Exit::TempFail, Protection::Unreached), pairs::Severity::Warning);
    assert_eq!(of(Fate::Unknown, Exit::TempFail, Protection::Unreached), pairs::Severity::Warning);
    assert_eq!(of(Fate::Refused, Exit::NoUser, Protection::Unreached), pairs::Severity::Error);
    assert_eq!(pairs::severity(&rejected()), pairs::Severity::Error);
}

#[test]
fn many_recipients_are_all_in_the_file_and_counted_in_syslog() {
    let account = account();
    let outcomes: Vec<_> = (0..500).map(|n| outcome(&format!("u{n}@example.com"), Fate::Accepted, Exit::Ok, None)).collect();
    let record = Record::attempt(span(), &submission(), &bare(&account, &outcomes));
    let value: Value = serde_json::from_str(&json(&record)).unwrap();
    assert_eq!(value["recipients"].as_array().unwrap().len(), 500);
    let line = syslog::line(&record, Notation::Result);
    assert!(line.contains("<u9@example.com>,… accepted=500/500"), "{line}");
    assert!(super::journald::datagram(&record, Notation::Result, "sealpost").len() < 8000);
}

#[test]
fn the_narration_says_where_it_went_how_protected_and_what_came_back() {
    let account = account();
    let finding = Finding::new(Failure::CertificateExpired, "expired in May");
    let error = Error::new(Exit::TempFail, "connecting to smtp.example.com:587", "certificate expired");
    let outcomes = [outcome("a@example.com", Fate::Deferred, Exit::TempFail, None)];
    let unmet = Attempt {
        error: Some(&error),
        protection: Protection::Unmet { finding: &finding, sealed_before: false },
        ..bare(&account, &outcomes)
    };
    let local = Account { target: Target::Address("::1".parse().unwrap(), 25), ..account.clone() };
    let stripped = stripped();
    let lost = [outcome("a@example.com", Fate::Unknown, Exit::TempFail, None)];
    let table = [
        (full(), "sent to 1 of 1 via relay (smtp.example.com:587, 192.0.2.1) TLSv1.3 verified, 85 ms: queued as 4XYZ"),
        (partly(), "failed, sent to 1 of 2 via relay (smtp.example.com:587) TLSv1.3 verified, 85 ms"),
        (
            Record::attempt(span(), &submission(), &unmet),
            "deferred, sent to 0 of 1 via relay (smtp.example.com:587) TLS failed (certificate-expired), 85 ms: \
             connecting to smtp.example.com:587: certificate expired",
        ),
        (
            Record::attempt(span(), &submission(), &Attempt { protection: Protection::Met(&stripped), ..bare(&local, &lost) }),
            "unknown (the link was lost after the message), sent to 0 of 1 via relay ([::1]:25) \
             plaintext (starttls-not-supported, had TLS before), 85 ms",
        ),
        (
            Record::attempt(span(), &submission(), &Attempt { error: Some(&error), ..bare(&account, &outcomes) }),
            "deferred, sent to 0 of 1 via relay (smtp.example.com:587), 85 ms: \
             connecting to smtp.example.com:587: certificate expired",
        ),
        (rejected(), "rejected before an attempt: reading /etc/sealpost/config.toml: permission denied"),
    ];
    for (record, line) in table {
        assert_eq!(summary(&record), line);
    }
}
