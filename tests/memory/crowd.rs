//! Many senders at once, and senders that are killed: nothing that was remembered is lost.

use std::{collections::BTreeSet, fs, thread};

use sealpost::host::{
    config,
    memory::{self, Servers},
};

use crate::{
    common::{MESSAGE, needs::has},
    kit::{self, Door, arrived, client, file, key, listing, remembered, seen, send},
};

#[test]
fn many_processes_that_meet_servers_for_the_first_time_remember_all_of_them_and_one_key_each() {
    const SENDERS: usize = 8;
    let sinks = [kit::sink(&[]), kit::implicit(), kit::sink(&["self-signed"])];
    let doors: Vec<Door> = sinks.iter().map(Door::to).collect();
    let sealpost = client(&doors[0], "trust = \"tofu\"", "");
    let accounts: String = (1..doors.len())
        .map(|n| {
            let start = if n == 1 { "implicit" } else { "starttls" };
            let tls = format!("start = {start:?}, trust = \"tofu\"");
            kit::account(&doors[n], &tls, "").replace("accounts.relay", &format!("accounts.relay{n}"))
        })
        .collect();
    let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    let config = sealpost.scratch.write("config.toml", config + &accounts).display().to_string();
    thread::scope(|scope| {
        for n in 0..SENDERS * doors.len() {
            let account = ["relay", "relay1", "relay2"][n % doors.len()];
            let words = ["sendmail", "-C", &config, "-a", account, "ok@sink.test"].map(str::to_owned);
            let sealpost = &sealpost;
            scope.spawn(move || {
                let run = sealpost.command(&words.each_ref().map(String::as_str), MESSAGE.as_bytes());
                assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
            });
        }
    });
    assert_eq!(sinks.iter().map(arrived).sum::<usize>(), SENDERS * doors.len());
    assert_eq!(remembered(&sealpost).iter().count(), doors.len());
    for door in &doors {
        let shown: BTreeSet<_> = sealpost.log().iter().filter(|record| record["port"] == door.port).map(spki).collect();
        assert_eq!(shown, BTreeSet::from([key(&sealpost, door).unwrap()]), "{}", door.name());
    }
    assert_eq!(listing(&sealpost).keys().filter(|name| name.starts_with("memory")).count(), 1);
}

fn spki(record: &serde_json::Value) -> String {
    record["tls"]["certificate"]["spki_sha256"].as_str().unwrap().to_owned()
}

#[test]
fn of_two_first_uses_at_once_with_two_keys_the_slower_is_told_and_refused_the_next_time() {
    let (one, other) = (kit::sink(&[]), kit::sink(&[]));
    let door = Door::to(&one);
    let sealpost = client(&door, "trust = \"tofu\"", "");
    // While the mail is under way, somebody else meets another key and remembers it.
    let (place, name) = (config::Memory::File(file(&sealpost)), door.name());
    door.meanwhile(move || {
        let seen = memory::Sighting {
            when: "2026-11-23T22:53:01Z".parse().unwrap(),
            starttls: true,
            verified: false,
            first_use: Some([7; 32]),
        };
        memory::change(&place, |servers| servers.entry(&name).notice(&seen)).unwrap().unwrap();
    });
    let run = send(&sealpost);
    assert_eq!(seen(&run), (0, "sent", "unverified", "", false), "{run:?}");
    let rival = "07".repeat(32);
    for digest in [rival.as_str(), run.field("/tls/certificate/spki_sha256")] {
        assert!(run.stderr.contains(digest) && run.field("/tls/detail").contains(digest), "{run:?}");
    }
    assert!(run.stderr.contains(&format!("sealpost trust add {}", door.name())), "{run:?}");
    assert_eq!(key(&sealpost, &door), Some(rival));
    for sink in [&one, &other] {
        door.lead_to(sink);
        let run = send(&sealpost);
        assert_eq!(seen(&run), (75, "deferred", "none", "validation-failure", false), "{run:?}");
    }
}

#[test]
fn whoever_is_killed_at_whatever_call_leaves_a_whole_memory() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let mut killed = 0;
    for (call, most) in [("flock", 2), ("openat", 40), ("fchmod", 2), ("fsync", 2), ("renameat", 1), ("renameat2", 1)] {
        for nth in 1..=most {
            for spoilt in [false, true] {
                let mut sealpost = client(&door, "trust = \"tofu\"", "");
                if spoilt {
                    fs::write(file(&sealpost), "spoilt").unwrap();
                } else {
                    kit::seed(&sealpost);
                }
                let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
                sealpost.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned).to_vec();
                let config = sealpost.scratch.path().join("config.toml").display().to_string();
                let run = sealpost.command(&["sendmail", "-C", &config, "ok@sink.test"], MESSAGE.as_bytes());
                killed += usize::from(run.code != 0);
                let what = format!("{call} {nth}: {run:?}");
                // What is there is the old text or the new one.
                let text = fs::read(file(&sealpost)).ok();
                let is_old = text.as_deref() == Some(b"spoilt");
                match text {
                    Some(text) => assert!(is_old == spoilt && is_old || Servers::parse(&text).is_ok(), "{what}"),
                    None => assert!(spoilt, "{what}"),
                }
                assert!(spoilt || kit::is_seeded(&sealpost), "{what}");
                sealpost.wrapper.clear();
                let run = send(&sealpost);
                assert_eq!((run.code, run.stderr.is_empty()), (0, !is_old), "{what}, then {run:?}");
                assert!(key(&sealpost, &door).is_some() && (spoilt || kit::is_seeded(&sealpost)), "{what}");
                assert!(!file(&sealpost).with_file_name("memory.json.new").exists(), "{what}");
            }
        }
    }
    assert!(killed > 20, "only {killed} were killed: are these the calls?");
}
