//! What is tried again, for whom, and by which way.

use crate::kit::{self, Door, Mood, arrived, client, drain, files, later, row, send, silent, told};

const FALLBACK: &str = "mode = \"fallback\"";

#[test]
fn who_has_the_message_does_not_get_it_again_when_another_one_does() {
    let (grey, good) = (kit::sink(&["rcpt-451"]), kit::sink(&[]));
    let door = Door::to(&grey);
    let sealpost = client(door.port, FALLBACK, "");
    let _alone = kit::alone(&sealpost);
    silent(&send(&sealpost, &["late@sink.test", "ok@sink.test"]));
    assert_eq!(arrived(&grey).iter().flat_map(kit::to).collect::<Vec<_>>(), ["ok@sink.test"]);
    let [file] = files(&sealpost, "queue").try_into().unwrap();
    assert_eq!(kit::state(&file)["recipients"][1], "delivered");
    // Deferred again, now by a run.
    later(&sealpost);
    let run = drain(&sealpost);
    assert_eq!((told(&run.records), arrived(&grey).len()), (vec![row("send", "deferred", 2, true, 0)], 0), "{run:?}");
    door.lead_to(&good);
    later(&sealpost);
    let run = drain(&sealpost);
    assert_eq!(told(&run.records), [row("send", "sent", 3, true, 0)], "{run:?}");
    assert_eq!(arrived(&good).iter().flat_map(kit::to).collect::<Vec<_>>(), ["late@sink.test"]);
    assert_eq!(files(&sealpost, "queue").len(), 0);
}

#[test]
fn a_message_whose_end_nobody_confirmed_goes_again_under_the_same_name() {
    for fault in ["drop-after-dot", "half-reply"] {
        let (lossy, good) = (kit::sink(&[fault]), kit::sink(&[]));
        let door = Door::to(&lossy);
        let sealpost = client(door.port, FALLBACK, "");
        let _alone = kit::alone(&sealpost);
        let body = "From: a@client.test\nTo: ok@sink.test\nSubject: no id\n\nhi\n";
        let run = sealpost.send(&["ok@sink.test"], body.as_bytes());
        silent(&run);
        assert_eq!(told(&run.records), [row("send", "unknown", 1, true, 0)], "{run:?}");
        door.lead_to(&good);
        later(&sealpost);
        drain(&sealpost);
        let ids: Vec<_> = arrived(&lossy).iter().chain(&arrived(&good)).map(|mail| kit::field(mail, "Message-ID")).collect();
        assert!(ids.len() == 2 && ids[0] == ids[1] && ids[0].ends_with("@client.test>"), "{ids:?}");
    }
}

#[test]
fn a_message_that_no_server_ever_confirms_is_not_sent_for_days() {
    let (lossy, good) = (kit::sink(&["drop-after-dot"]), kit::sink(&[]));
    let door = Door::to(&lossy);
    let sealpost = client(door.port, FALLBACK, "");
    let _alone = kit::alone(&sealpost);
    silent(&send(&sealpost, &["-f", "cron@client.test", "ok@sink.test"]));
    // An attempt that came to nothing in between is not counted, and does not start it over.
    door.is(Mood::Down);
    later(&sealpost);
    drain(&sealpost);
    door.is(Mood::Open);
    // Nor one of an account that is missing for a while.
    let config = std::fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    sealpost.scratch.write("config.toml", config.replace("relay", "other"));
    later(&sealpost);
    let missing = drain(&sealpost);
    assert_eq!(missing.code, 0, "{missing:?}");
    sealpost.scratch.write("config.toml", config);
    let state = kit::state(&files(&sealpost, "queue")[0]);
    let last = &state["recipients"][0]["waiting"];
    assert!(last["unknown"] == 1 && last["text"].as_str().unwrap().contains("has no account relay"), "{state}");
    for copies in 2..=11 {
        later(&sealpost);
        drain(&sealpost);
        let state = kit::state(&files(&sealpost, "queue")[0]);
        assert_eq!(state["recipients"][0]["waiting"]["unknown"], copies, "{state}");
    }
    later(&sealpost);
    let run = drain(&sealpost);
    assert_eq!(told(&run.records)[0], row("send", "unknown", 14, true, 0), "{run:?}");
    let copies = arrived(&lossy).iter().filter(|mail| kit::to(mail) == ["ok@sink.test"]).count();
    assert_eq!((files(&sealpost, "failed").len(), copies), (1, 12), "{run:?}");
    door.lead_to(&good);
    later(&sealpost);
    drain(&sealpost);
    let [report] = arrived(&good).try_into().unwrap();
    let report = String::from_utf8_lossy(kit::kept(&report)).replace("\r\n", " ");
    assert!(report.contains("It may have arrived all the same: 12 times the message was sent whole,"), "{report}");
    assert!(report.contains("Status: 4.4.2") && report.contains("it may have arrived"), "{report}");
    assert_eq!(files(&sealpost, "queue").len(), 0);
}

#[test]
fn an_account_that_pauses_is_passed_over_for_the_one_that_it_falls_back_to() {
    let (sink, other) = (kit::sink(&[]), kit::sink(&[]));
    let (door, backup) = (Door::to(&sink), Door::to(&other));
    door.is(Mood::Down);
    backup.is(Mood::Down);
    let account = format!("[accounts.backup]\nhost = \"127.0.0.1\"\nport = {}\ntls = {{ policy = \"off\" }}", backup.port);
    let sealpost = client(door.port, FALLBACK, &format!("fallback = [\"backup\"]\n{account}"));
    let _alone = kit::alone(&sealpost);
    silent(&send(&sealpost, &["one@sink.test"]));
    silent(&send(&sealpost, &["two@sink.test"]));
    assert_eq!((door.knocks(), backup.knocks(), files(&sealpost, "queue").len()), (1, 1, 2));
    backup.is(Mood::Open);
    later(&sealpost);
    let run = drain(&sealpost);
    // One asks the first account once, for both.
    assert_eq!((door.knocks(), arrived(&other).len(), files(&sealpost, "queue").len()), (2, 2, 0), "{run:?}");
    silent(&send(&sealpost, &["three@sink.test"]));
    assert_eq!((door.knocks(), arrived(&other).len()), (2, 1));
}

#[test]
fn a_server_that_is_down_is_asked_once_for_all_that_waits() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(door.port, "mode = \"always\"\nconnections = 1", "");
    let _alone = kit::alone(&sealpost);
    for _ in 0..20 {
        silent(&send(&sealpost, &["-odq", "ok@sink.test"]));
    }
    door.is(Mood::Down);
    drain(&sealpost);
    assert_eq!(door.knocks(), 1);
    let untouched = files(&sealpost, "queue").iter().filter(|file| kit::state(file)["attempts"] == 0).count();
    assert!(untouched >= 19, "{untouched}");
    // The next process knows.
    drain(&sealpost);
    assert_eq!(door.knocks(), 1);
    door.is(Mood::Open);
    later(&sealpost);
    drain(&sealpost);
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len(), door.knocks()), (20, 0, 2));
}

#[test]
fn a_login_that_is_refused_is_not_tried_again_with_every_message() {
    let sink = kit::sink_with_login(&["auth-535"]);
    let door = Door::to(&sink);
    let auth = "auth = { user = \"cron\", password = \"wrong\", mechanism = \"PLAIN\" }";
    let sealpost = client(door.port, FALLBACK, auth);
    let _alone = kit::alone(&sealpost);
    for n in 0..5 {
        let run = send(&sealpost, &["ok@sink.test"]);
        assert_eq!((run.code, run.stderr.is_empty()), (0, n > 0), "{run:?}");
    }
    drain(&sealpost);
    assert_eq!((door.knocks(), files(&sealpost, "queue").len()), (1, 5));
}

/// An account whose password is wrong so far, and what waits for it: one message that was refused, one that was not tried.
fn locked_out(source: &str) -> (sealpost::host::listen::Sink, Door, crate::common::Sealpost, sealpost::host::spool::Lead) {
    let sink = kit::sink_with_login(&[]);
    let door = Door::to(&sink);
    let auth = format!("auth = {{ user = {:?}, {source}, mechanism = \"PLAIN\" }}", crate::common::USER);
    let sealpost = client(door.port, FALLBACK, &auth);
    let secret = sealpost.scratch.write("secret", "wrong");
    let config = std::fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    sealpost.scratch.write("config.toml", config.replace("SECRET", &secret.display().to_string()));
    let alone = kit::alone(&sealpost);
    for text in ["logging in", ""] {
        let run = send(&sealpost, &["ok@sink.test"]);
        assert_eq!((run.code, run.stderr.is_empty()), (0, text.is_empty()), "{run:?}");
    }
    assert_eq!((door.knocks(), files(&sealpost, "queue").len()), (1, 2));
    (sink, door, sealpost, alone)
}

#[test]
fn who_mends_the_configuration_or_a_file_of_it_does_not_wait_for_the_end_of_a_pause() {
    for source in ["password = \"wrong\"", "password_file = \"SECRET\""] {
        let (sink, door, sealpost, _alone) = locked_out(source);
        // What is as it was changes nothing.
        silent(&send(&sealpost, &["ok@sink.test"]));
        drain(&sealpost);
        assert_eq!(door.knocks(), 1);
        if source.contains("file") {
            sealpost.scratch.write("secret", crate::common::PASSWORD);
        } else {
            let path = sealpost.scratch.path().join("config.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            sealpost.scratch.write("config.toml", text.replace("\"wrong\"", &format!("{:?}", crate::common::PASSWORD)));
        }
        let run = send(&sealpost, &["ok@sink.test"]);
        assert_eq!(told(&run.records), [row("send", "sent", 1, false, 0)], "{run:?}");
        drain(&sealpost);
        // The one that was refused has an hour of its own.
        assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (3, 1));
    }
}

#[test]
fn who_mends_what_nobody_sees_flushes_the_queue() {
    for flush in [&["queue", "flush"][..], &["sendmail", "-q"]] {
        let (sink, _door, sealpost, _alone) = locked_out("password_command = \"cat SECRET\"");
        sealpost.scratch.write("secret", crate::common::PASSWORD);
        drain(&sealpost);
        assert_eq!(arrived(&sink).len(), 0);
        let config = sealpost.scratch.path().join("config.toml").display().to_string();
        let run = sealpost.command(&[flush, &["-C", &config]].concat(), b"");
        assert_eq!((run.code, arrived(&sink).len(), files(&sealpost, "queue").len()), (0, 2, 0), "{run:?}");
    }
}
