//! What do `sealpost log` and `sealpost report` answer, over logs in every state? (sealpost(1))

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;
#[path = "ledger/follow.rs"]
mod follow;
#[path = "ledger/grammar.rs"]
mod grammar;
#[path = "ledger/log.rs"]
mod log;
#[path = "ledger/report.rs"]
mod report;

use std::io::Write as _;

use common::{Run, Sealpost};
use flate2::{Compression, write::GzEncoder};

/// A line of the log, as sealpost writes it, of what differs between two.
struct Line<'a> {
    time: &'a str,
    status: &'a str,
    host: &'a str,
    to: &'a str,
    tls: &'a str,
}

const VERIFIED: &str = r#""result":"verified","version":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384","group":"X25519MLKEM768","failure":null,"downgrade":false"#;
const EXPIRED: &str = r#""result":"unverified","version":"TLSv1.2","cipher":"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256","group":"x25519","failure":"certificate-expired","detail":"expired in May","downgrade":false,"certificate":{"subject":"CN=mx.example","not_after":"2026-05-01T00:00:00Z"}"#;
const STRIPPED: &str =
    r#""result":"plaintext","version":null,"failure":"starttls-not-supported","detail":"not offered","downgrade":true"#;

impl Default for Line<'_> {
    fn default() -> Self {
        Self { time: "2026-11-23T22:53:01.123Z", status: "sent", host: "smtp.example.com", to: "admin@example.com", tls: VERIFIED }
    }
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { time, status, host, to, tls } = self;
        writeln!(
            f,
            r#"{{"time":"{time}","event":"send","status":"{status}","id":"01M859SPA3MPJTB9D5MPJTB9D5","message_id":"<1@example.com>","account":"relay","host":"{host}","port":587,"address":"192.0.2.1","from":"cron@example.com","recipients":[{{"address":"{to}","status":"{status}","code":250,"enhanced":"2.1.5","reply":"Ok"}}],"code":250,"enhanced":"2.0.0","reply":"queued as 4XYZ","error":null,"exit":0,"tls":{{{tls}}}}}"#
        )
    }
}

/// A log that has everything: good and bad, rotated and packed, torn and foreign lines.
fn scene() -> (Sealpost, [String; 5]) {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let lines = [
        Line { time: "2026-11-20T10:00:00.000Z", ..Line::default() },
        Line { time: "2026-11-21T10:00:00.000Z", host: "mx.example", tls: EXPIRED, ..Line::default() },
        Line { time: "2026-11-22T10:00:00.000Z", host: "mx.example", tls: STRIPPED, to: "root@example.com", ..Line::default() },
        Line { time: "2026-11-23T10:00:00.000Z", status: "failed", ..Line::default() },
        Line::default(),
    ]
    .map(|line| line.to_string());
    let [packed, expired, stripped, failed, sent] = &lines;
    let torn = &packed[..packed.len() / 2];
    sealpost.scratch.write("log.jsonl.2.gz", gzipped(packed));
    sealpost.scratch.write("log.jsonl.1", format!("{expired}a line of somebody else\n{stripped}"));
    let log = [failed.as_bytes(), torn.as_bytes(), b"\n\xff\xfe\0\n", sent.as_bytes(), torn.as_bytes()].concat();
    sealpost.scratch.write("log.jsonl", log);
    (sealpost, lines)
}

fn gzipped(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn ask(sealpost: &Sealpost, args: &[&str]) -> Run {
    let config = sealpost.scratch.path().join("config.toml");
    let (command, options) = args.split_first().unwrap();
    let words: Vec<&str> = [*command, "-C", config.to_str().unwrap()].into_iter().chain(options.iter().copied()).collect();
    sealpost.command(&words, b"")
}
