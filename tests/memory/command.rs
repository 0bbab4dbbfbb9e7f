//! `sealpost trust`: what it shows, what it changes, what it asks for, and that it sends nothing.

use std::{collections::BTreeSet, fs};

use sealpost::host::{config, memory};
use serde_json::Value;

use crate::{
    common::{MESSAGE, PASSWORD, Run, Sealpost, USER, contains, needs::has, reveals_secret, script::Server},
    kit::{self, Door, arrived, client, file, key, remembered, rewrite, seen, send, trust},
};

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

#[test]
fn the_list_fits_a_terminal_whatever_is_remembered() {
    let sink = kit::sink(&[]);
    let sealpost = client(&Door::to(&sink), "trust = \"tofu\"", "");
    let run = trust(&sealpost, &["list"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(run.stderr.contains("no server is remembered"), "{run:?}");
    let run = trust(&sealpost, &["list", "--json"]);
    assert_eq!((run.code, json(&run)["servers"].as_array().map(Vec::len)), (0, Some(0)), "{run:?}");

    let place = config::Memory::File(file(&sealpost));
    let long = format!("{}.test:25", "label.".repeat(30));
    let names = ["a.test:25", "[2001:db8::1]:587", "unix:/run/\u{1b}[2Jx\u{202e}", &long, "future.test:25", "past.test:25"];
    memory::change(&place, |servers| {
        for (name, when) in names.iter().zip(["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "9999-12-29", "1970-01-01"]) {
            let when = format!("{when}T00:00:00Z").parse().unwrap();
            let server = servers.entry(name);
            if *name != "a.test:25" {
                server.accept([7; 32], when);
            }
            server.notice(&memory::Sighting { when, starttls: true, verified: true, first_use: None }).unwrap();
        }
    })
    .unwrap();
    let run = trust(&sealpost, &["list"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert!(!run.stdout.chars().any(|c| c != '\n' && sealpost::error::is_treacherous(c)), "{run:?}");
    let row =
        |name: &str| run.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {}", run.stdout));
    assert_eq!(row("a.test:25").split_whitespace().collect::<Vec<_>>(), ["a.test:25", "2026-11-23", "2026-11-23", "yes", "-"]);
    assert!(row("future.test").contains("9999-12-29") && row("past.test").contains("1970-01-01"), "{}", run.stdout);
    assert_eq!(run.stdout.matches(&format!("sha256:{}", "07".repeat(32))).count(), 5, "{}", run.stdout);

    let run = trust(&sealpost, &["list", "--json"]);
    let listed = json(&run);
    let found: BTreeSet<&str> = listed["servers"].as_array().unwrap().iter().map(|s| s["server"].as_str().unwrap()).collect();
    assert_eq!(found, BTreeSet::from(names), "{run:?}");
    assert!(!run.stdout.trim_end().chars().any(sealpost::error::is_treacherous), "{run:?}");
}

#[test]
fn to_look_at_a_server_no_mail_and_no_password_is_sent() {
    let server = Server::start("hello: STARTTLS, AUTH PLAIN LOGIN\nmaybe: STARTTLS\nS: 454 4.7.0 no\nwait", None);
    let auth = format!("auth = {{ user = {USER:?}, password = {PASSWORD:?}, mechanism = \"PLAIN\", allow_unverified = true }}");
    let accounts = format!("[accounts.relay]\nhost = \"localhost\"\nport = {}\ntls.trust = \"tofu\"\n{auth}\n", server.port());
    let run = trust(&Sealpost::new(&accounts), &["add", "relay", "--yes"]);
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("there is no key without TLS"), "{run:?}");
    let heard = server.finish().remove(0).clear;
    assert!(!reveals_secret(&heard) && !contains(&heard, b"AUTH") && !contains(&heard, b"MAIL"));

    let sink = kit::sink_with_login(&[]);
    let door = Door::to(&sink);
    // A password that can't be had is no obstacle: none is needed.
    let auth = format!("auth = {{ user = {USER:?}, password_command = \"echo asked >asked; false\" }}");
    let sealpost = client(&door, "trust = \"tofu\"", &auth);
    let run = trust(&sealpost, &["add", "relay", "--yes", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let told = json(&run);
    assert_eq!(told["accepted"].as_str().map(str::to_owned), key(&sealpost, &door));
    assert_eq!((&told["before"], &told["certificate"]["subject"]), (&Value::Null, &"CN=sealpost sink".into()));
    assert_eq!((arrived(&sink), sealpost.log().len(), sealpost.scratch.path().join("asked").exists()), (0, 0, false));
}

#[test]
fn without_a_terminal_a_key_is_accepted_by_its_digest_or_on_demand_only() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(&door, "trust = \"tofu\"", "");
    let run = trust(&sealpost, &["add", "relay"]);
    assert_eq!((run.code, file(&sealpost).exists()), (64, false), "{run:?}");
    let digests: Vec<String> =
        run.stdout.lines().filter_map(|line| line.trim().strip_prefix("sha256:").map(str::to_owned)).collect();
    assert_eq!(digests.len(), 2, "of the certificate and of the key: {run:?}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    let wrong = "0".repeat(64);
    for (digest, code) in [("", 64), ("sha1:00", 64), (&wrong[1..], 64), (&wrong, 77), (&digests[0], 0), (&digests[1], 0)] {
        let run = trust(&sealpost, &["add", &door.name(), "--key", digest]);
        assert_eq!((run.code, file(&sealpost).exists()), (code, code == 0), "{digest}: {run:?}");
    }
    // Whichever was named: what is remembered is the key, which outlives the certificate.
    assert_eq!(key(&sealpost, &door), Some(digests[1].clone()));
    let run = trust(&sealpost, &["add", "relay", "--yes"]);
    assert!(run.stdout.contains("this key is believed already since") && run.stdout.contains("(accepted)"), "{run:?}");
    assert_eq!(trust(&sealpost, &["add", "relay", "--yes", "--key", &digests[1]]).code, 64);
}

#[test]
fn at_a_terminal_the_answer_of_a_person_counts() {
    if !has("script") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(&door, "trust = \"tofu\"", "");
    let config = sealpost.scratch.path().join("config.toml").display().to_string();
    let command = format!("{} trust add relay -C {config}", crate::common::binary().display());
    for (answer, code) in [("\n", 77), ("n\n", 77), ("what?\n", 77), ("\u{4}", 77), (" Yes \n", 0), ("y\n", 0)] {
        let _ = fs::remove_file(file(&sealpost));
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &command, "/dev/null"]);
        let run = crate::common::run(script, answer.as_bytes());
        assert_eq!((run.code, file(&sealpost).exists()), (code, code == 0), "{answer:?}: {run:?}");
        assert!(run.stdout.contains("[y/N]"), "{run:?}");
    }
}

#[test]
fn a_server_that_no_account_has_is_met_as_the_options_say() {
    let (sink, other) = (kit::sink(&[]), kit::implicit());
    let (door, hidden) = (Door::to(&sink), Door::to(&other));
    let sealpost = client(&door, "trust = \"tofu\"", "");
    let run = trust(&sealpost, &["add", &hidden.name(), "--start", "implicit", "--yes"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("no account with this server has trust = \"tofu\""), "{run:?}");
    assert!(remembered(&sealpost).get(&hidden.name()).unwrap().starttls.is_none());
    assert_eq!(trust(&sealpost, &["add", &door.name(), "--yes"]).stderr.lines().count(), 1);

    let nobody = "localhost:1";
    for (words, code, said) in [
        (&["add", nobody, "--yes"][..], 75, "connection refused"),
        (&["add", "no host", "--yes"], 64, "no account, and no host"),
        (&["add", "--yes"], 64, "required"),
        (&["forget"], 64, "required"),
        (&["forget", "relay", "--all"], 64, "cannot be used with"),
        (&["forget", nobody], 66, "nothing is remembered by that name"),
        (&["nonsense"], 64, "unrecognized"),
    ] {
        let run = trust(&sealpost, words);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{words:?}: {run:?}");
        assert!(run.stderr.contains(said), "{words:?}: {run:?}");
    }
    let run = trust(&sealpost, &["forget", "--all", "--json"]);
    assert_eq!((run.code, json(&run)["forgotten"].as_array().map(Vec::len)), (0, Some(2)), "{run:?}");
    assert_eq!(remembered(&sealpost).iter().count(), 0);
}

#[test]
fn an_account_without_tls_or_a_memory_that_nobody_wants_is_said() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(&door, "policy = \"off\"", "");
    let run = trust(&sealpost, &["add", "relay", "--yes"]);
    assert_eq!((run.code, run.stderr.contains("policy = \"off\"")), (78, true), "{run:?}");
    rewrite(&sealpost, "policy = \"off\"", "trust = \"any\"");
    rewrite(&sealpost, "file = \"memory.json\"", "file = \"\"");
    let run = trust(&sealpost, &["add", "relay", "--yes"]);
    assert_eq!((run.code, run.stderr.contains("wants no memory")), (78, true), "{run:?}");
    assert_eq!(trust(&sealpost, &["list"]).code, 0);
}

#[test]
fn a_memory_that_can_not_be_used_is_an_error_here_and_a_spoilt_one_is_set_aside_by_the_next_key() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(&door, "trust = \"tofu\"", "");
    fs::write(file(&sealpost), "spoilt").unwrap();
    for (words, code) in [(&["list"][..], 65), (&["forget", "relay"], 65), (&["forget", "--all"], 65)] {
        let run = trust(&sealpost, words);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{words:?}: {run:?}");
    }
    assert_eq!(fs::read(file(&sealpost)).unwrap(), b"spoilt");
    let run = trust(&sealpost, &["add", "relay", "--yes"]);
    assert_eq!((run.code, run.stderr.contains("not JSON")), (0, true), "{run:?}");
    assert_eq!(fs::read(file(&sealpost).with_file_name("memory.json.corrupt-1")).unwrap(), b"spoilt");
    assert_eq!(seen(&send(&sealpost)), (0, "sent", "verified", "", false));

    fs::remove_file(file(&sealpost)).unwrap();
    fs::create_dir(file(&sealpost)).unwrap();
    for words in [&["list"][..], &["forget", "--all"], &["add", "relay", "--yes"]] {
        let run = trust(&sealpost, words);
        assert_eq!((run.code, run.stderr.contains("not a regular file")), (66, true), "{words:?}: {run:?}");
    }
    assert_eq!(sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes()).code, 0);
}
