//! What is in the way of a run: odd files, accounts that are gone, full disks, clocks that jump.

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use crate::{
    common::{Sealpost, needs::has},
    kit::{self, Door, Mood, alone, arrived, client, drain, files, later, send, silent},
};

const ALWAYS: &str = "mode = \"always\"";

#[test]
fn what_is_no_message_is_set_aside_and_the_others_go() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), ALWAYS, "");
    let alone = alone(&sealpost);
    for _ in 0..2 {
        silent(&send(&sealpost, &["ok@sink.test"]));
    }
    let queue = kit::spool(&sealpost).join("queue");
    fs::write(queue.join("README"), "what is this?").unwrap();
    fs::write(queue.join("01M8KE5D0R2TTNXPPQ4R7FYETN"), "sealpost-queue 1 not really").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", queue.join("01M8KE5D0R2TTNXPPQ4R7FYETZ")).unwrap();
    drop(alone);
    let run = drain(&sealpost);
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len(), files(&sealpost, "odd").len()), (2, 0, 3), "{run:?}");
    let told = run.records.iter().filter(|record| record["event"] == "queue" && record["error"].is_string()).count();
    assert_eq!(told, 3, "{run:?}");
}

#[test]
fn a_message_of_an_account_that_is_gone_waits_and_says_so() {
    let sink = kit::sink(&[]);
    let other = format!("[accounts.other]\nhost = \"127.0.0.1\"\nport = {}\ntls = {{ policy = \"off\" }}", sink.address.port());
    let sealpost = client(sink.address.port(), ALWAYS, &other);
    let _alone = alone(&sealpost);
    silent(&send(&sealpost, &["-a", "other", "one@sink.test"]));
    silent(&send(&sealpost, &["two@sink.test"]));
    let config = sealpost.scratch.path().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    sealpost.scratch.write("config.toml", text.replace("[accounts.other]", "[accounts.renamed]"));
    let run = drain(&sealpost);
    assert_eq!(arrived(&sink).iter().flat_map(kit::to).collect::<Vec<_>>(), ["two@sink.test"]);
    let [file] = files(&sealpost, "queue").try_into().unwrap();
    let problem = kit::state(&file)["problem"]["text"].as_str().unwrap().to_owned();
    assert!(problem.contains("no account other") && run.stderr.contains("[accounts.other]"), "{problem}, {run:?}");
    // Not due, it is not looked at again.
    assert_eq!(drain(&sealpost).stderr, "");
    sealpost.scratch.write("config.toml", text);
    later(&sealpost);
    drain(&sealpost);
    assert_eq!(arrived(&sink).iter().flat_map(kit::to).collect::<Vec<_>>(), ["one@sink.test"]);
}

#[test]
fn what_another_process_works_on_is_left_to_it() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), ALWAYS, "");
    let lead = alone(&sealpost);
    for to in ["one@sink.test", "two@sink.test"] {
        silent(&send(&sealpost, &[to]));
    }
    let busy = File::open(&files(&sealpost, "queue")[0]).unwrap();
    busy.lock().unwrap();
    drop(lead);
    // It ends, and it does so at once, although something is due.
    let run = drain(&sealpost);
    assert_eq!(arrived(&sink).iter().flat_map(kit::to).collect::<Vec<_>>(), ["two@sink.test"], "{run:?}");
    busy.unlock().unwrap();
    drain(&sealpost);
    assert_eq!(arrived(&sink).len(), 1);
}

#[test]
fn a_clock_that_was_set_back_by_a_year_keeps_nothing_waiting() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), ALWAYS, "");
    let _alone = alone(&sealpost);
    silent(&send(&sealpost, &["ok@sink.test"]));
    let year = Duration::from_secs(365 * 86_400);
    let file = File::options().write(true).open(&files(&sealpost, "queue")[0]).unwrap();
    file.set_modified(SystemTime::now() + year).unwrap();
    drop(file);
    drain(&sealpost);
    assert_eq!(arrived(&sink).len(), 1);
}

/// A run a year ahead, after which the only message waits, tried so often.
fn still_waits_in_a_year(sealpost: &mut Sealpost, attempts: u32) {
    sealpost.wrapper = ["faketime", "-f", "+365d"].map(str::to_owned).to_vec();
    let run = drain(sealpost);
    let [file] = files(sealpost, "queue").try_into().unwrap_or_else(|files| panic!("{files:?}, {run:?}"));
    assert_eq!(kit::state(&file)["attempts"], attempts, "{run:?}");
}

#[test]
fn a_clock_that_jumps_a_year_ahead_gives_nothing_up() {
    if !has("faketime") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Down);
    let mut sealpost = client(door.port, ALWAYS, "");
    let _alone = alone(&sealpost);
    // Not of the delay either.
    silent(&send(&sealpost, &["-Nnever", "ok@sink.test"]));
    drain(&sealpost);
    still_waits_in_a_year(&mut sealpost, 2);
    // It jumps back.
    sealpost.wrapper.clear();
    door.is(Mood::Open);
    let _ = fs::remove_file(kit::spool(&sealpost).join("pauses.json"));
    drain(&sealpost);
    assert_eq!(arrived(&sink).len(), 1);
}

#[test]
fn a_clock_that_jumps_gives_nothing_up_although_the_server_was_down_for_days_before() {
    if !has("faketime") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Down);
    let mut sealpost = client(door.port, ALWAYS, "");
    let _alone = alone(&sealpost);
    silent(&send(&sealpost, &["-Nnever", "first@sink.test"]));
    drain(&sealpost);
    fs::remove_file(&files(&sealpost, "queue")[0]).unwrap();
    // As if it had been tried for days.
    let pauses = kit::spool(&sealpost).join("pauses.json");
    let text = fs::read_to_string(&pauses).unwrap();
    assert!(text.contains("\"times\":1,"), "{text}");
    fs::write(&pauses, text.replace("\"times\":1,", "\"times\":99,")).unwrap();
    silent(&send(&sealpost, &["-Nnever", "ok@sink.test"]));
    still_waits_in_a_year(&mut sealpost, 1);
}

#[test]
fn what_can_not_be_written_down_is_not_sent_again_by_the_same_run_and_nothing_else_is_begun() {
    if !has("strace") {
        return;
    }
    // The first recipient is deferred, the second one has it: that must be noted, and no fsync works.
    // What was written and may not survive a power cut is true as long as there is power.
    for (call, error, again) in [("fsync", "EIO", 2), ("pwrite64", "ENOSPC", 3)] {
        let grey = kit::sink(&["rcpt-451"]);
        let mut sealpost = client(grey.address.port(), "mode = \"always\"\nconnections = 1", "");
        let _alone = alone(&sealpost);
        for _ in 0..3 {
            silent(&send(&sealpost, &["late@sink.test", "ok@sink.test"]));
        }
        let inject = format!("inject={call}:error={error}");
        sealpost.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned).to_vec();
        let run = drain(&sealpost);
        assert_eq!((arrived(&grey).len(), files(&sealpost, "queue").len()), (1, 3), "{call}: {run:?}");
        assert!(run.stderr.contains("noting what became of"), "{run:?}");
        sealpost.wrapper.clear();
        // Whoever comes next can't know.
        later(&sealpost);
        drain(&sealpost);
        assert_eq!((arrived(&grey).len(), files(&sealpost, "queue").len()), (again, 3));
    }
}

#[test]
fn a_disk_that_is_full_for_a_moment_costs_nobody_a_second_copy() {
    if !has("strace") {
        return;
    }
    let grey = kit::sink(&["rcpt-451"]);
    let mut sealpost = client(grey.address.port(), "mode = \"always\"\nconnections = 1", "");
    let _alone = alone(&sealpost);
    for _ in 0..3 {
        silent(&send(&sealpost, &["late@sink.test", "ok@sink.test"]));
    }
    sealpost.wrapper =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=pwrite64:error=ENOSPC:when=1..2"].map(str::to_owned).to_vec();
    let run = drain(&sealpost);
    assert_eq!((arrived(&grey).len(), run.code), (3, 0), "{run:?}");
    assert!(run.stderr.contains("No space left"), "{run:?}");
    let noted = files(&sealpost, "queue").iter().filter(|file| kit::state(file)["recipients"][1] == "delivered").count();
    assert_eq!(noted, 3);
}

#[test]
fn a_process_that_may_open_nothing_more_ends_and_loses_nothing() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&[]);
    for nth in 1..=40 {
        let mut sealpost = client(sink.address.port(), ALWAYS, "");
        let _alone = alone(&sealpost);
        silent(&send(&sealpost, &["ok@sink.test"]));
        let inject = format!("inject=openat:error=EMFILE:when={nth}+");
        sealpost.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned).to_vec();
        let first = drain(&sealpost);
        sealpost.wrapper.clear();
        let _ = fs::remove_file(kit::spool(&sealpost).join("pauses.json"));
        later(&sealpost);
        let second = drain(&sealpost);
        assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (1, 0), "{nth}: {first:?}, then {second:?}");
    }
}

#[test]
fn a_disk_without_room_for_a_note_keeps_no_run_going_and_is_said_once_for_each_message() {
    if !has("strace") || !has("timeout") {
        return;
    }
    let sink = kit::sink(&[]);
    let mut sealpost = client(sink.address.port(), ALWAYS, "");
    let _alone = alone(&sealpost);
    for _ in 0..2 {
        silent(&send(&sealpost, &["one@sink.test", "two@sink.test"]));
    }
    let words = ["timeout", "20", "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fallocate:error=ENOSPC"];
    sealpost.wrapper = words.map(str::to_owned).to_vec();
    let run = drain(&sealpost);
    let said = run.stderr.matches("making room for what becomes of").count();
    assert_eq!((run.code, said, run.records.len()), (0, 2, 2), "{run:?}");
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (0, 2));
    sealpost.wrapper.clear();
    drain(&sealpost);
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (2, 0));
}

#[test]
fn a_report_that_can_not_be_written_waits_and_keeps_nobody_else_waiting_nor_is_anything_sent_again() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&["rcpt-550"]);
    let mut sealpost = client(sink.address.port(), "mode = \"always\"\nconnections = 1", "");
    let _alone = alone(&sealpost);
    for to in ["one@sink.test", "two@sink.test"] {
        silent(&send(&sealpost, &["no@sink.test", to]));
    }
    // The name of a file that is made is its last step.
    sealpost.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat2:error=EIO"].map(str::to_owned).to_vec();
    let run = drain(&sealpost);
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len(), run.code), (2, 2, 0), "{run:?}");
    assert!(run.stderr.contains("Input/output error"), "{run:?}");
    sealpost.wrapper.clear();
    // It waits for its time.
    drain(&sealpost);
    assert_eq!(files(&sealpost, "queue").len(), 2);
    later(&sealpost);
    drain(&sealpost);
    // The reports are refused themselves.
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len(), files(&sealpost, "failed").len()), (0, 0, 4));
}

#[test]
fn what_is_no_message_and_can_not_be_set_aside_keeps_no_run_going() {
    if !has("timeout") {
        return;
    }
    let sink = kit::sink(&[]);
    let mut sealpost = client(sink.address.port(), ALWAYS, "");
    let lead = alone(&sealpost);
    for _ in 0..2 {
        silent(&send(&sealpost, &["ok@sink.test"]));
    }
    // One letter of one of them is another, and nothing can be put where it belongs then.
    let file = &files(&sealpost, "queue")[0];
    let (octets, due) = (fs::read(file).unwrap(), fs::metadata(file).unwrap().modified().unwrap());
    let at = octets.windows(9).position(|octets| octets == b"Subject: ").unwrap();
    fs::write(file, [&octets[..at], b"s", &octets[at + 1..]].concat()).unwrap();
    File::options().write(true).open(file).unwrap().set_modified(due).unwrap();
    fs::write(kit::spool(&sealpost).join("odd"), "").unwrap();
    drop(lead);
    sealpost.wrapper = ["timeout", "20"].map(str::to_owned).to_vec();
    let run = send(&sealpost, &["-q"]);
    assert_eq!((run.code, run.stderr.matches("setting aside").count()), (0, 1), "{run:?}");
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (1, 1));
}

#[test]
fn on_a_disk_that_can_only_be_read_a_report_that_is_owed_keeps_no_run_going() {
    if !has("strace") || !has("timeout") {
        return;
    }
    let sink = kit::sink(&["rcpt-550"]);
    let mut sealpost = client(sink.address.port(), ALWAYS, "");
    let _alone = alone(&sealpost);
    silent(&send(&sealpost, &["no@sink.test"]));
    let strace = ["timeout", "20", "strace", "-f", "-qq", "-o", "/dev/null"];
    let broken = |calls: &[&str]| strace.iter().chain(calls).map(|word| (*word).to_owned()).collect();
    sealpost.wrapper = broken(&["-e", "inject=renameat2:error=EROFS"]);
    assert_eq!(drain(&sealpost).code, 0);
    later(&sealpost);
    sealpost.wrapper = broken(&["-e", "inject=renameat2,pwrite64,utimensat:error=EROFS"]);
    let run = drain(&sealpost);
    assert_eq!((run.code, files(&sealpost, "queue").len()), (0, 1), "{run:?}");
    sealpost.wrapper.clear();
    drain(&sealpost);
    assert_eq!((files(&sealpost, "queue").len(), files(&sealpost, "failed").len()), (0, 2));
}
