//! A run is killed at every system call: nothing is lost, and nothing is sent twice but where nobody could know.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use sealpost::host::listen::Sink;

use crate::{
    common::{Sealpost, needs::has},
    kit::{self, Door, alone, arrived, client, drain, files, later, send, silent},
};

/// The calls by which a run changes anything outside of itself, or may.
const CALLS: [&str; 16] = [
    "openat",
    "flock",
    "newfstatat",
    "fallocate",
    "ftruncate",
    "pwrite64",
    "utimensat",
    "fsync",
    "unlinkat",
    "linkat",
    "renameat",
    "renameat2",
    "sendto",
    "write",
    "recvfrom",
    "connect",
];

fn strace(sealpost: &mut Sealpost, words: &[&str]) {
    let all = ["strace", "-f", "-qq"].iter().chain(words);
    sealpost.wrapper = all.map(|word| (*word).to_owned()).collect();
}

/// How often each call is made by a run over these messages.
fn calls(prepared: &dyn Fn() -> Sealpost) -> BTreeMap<String, usize> {
    let mut sealpost = prepared();
    let trace = sealpost.scratch.path().join("trace");
    let name = trace.display().to_string();
    strace(&mut sealpost, &["-o", &name]);
    let run = drain(&sealpost);
    assert_eq!(run.code, 0, "{run:?}");
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let Some((_, call)) = line.split_once(char::is_whitespace) else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

/// Kills a run at each call, lets another one finish the work, and tells `judge` how it was.
pub(crate) fn at_every_call(sink: &Sink, prepared: &dyn Fn() -> Sealpost, judge: &mut dyn FnMut(&Sealpost, &str, &str)) -> usize {
    let counts = calls(prepared);
    arrived(sink);
    let mut killed = 0;
    for call in CALLS {
        for nth in 1..=counts.get(call).copied().unwrap_or(0) {
            let mut sealpost = prepared();
            let trace = sealpost.scratch.path().join("trace");
            let (name, inject) = (trace.display().to_string(), format!("inject={call}:signal=SIGKILL:when={nth}"));
            strace(&mut sealpost, &["-s", "4096", "-o", &name, "-e", "trace=all", "-e", &inject]);
            killed += usize::from(drain(&sealpost).code != 0);
            sealpost.wrapper.clear();
            later(&sealpost);
            let run = drain(&sealpost);
            let story = format!("{call} {nth}, then {run:?}");
            judge(&sealpost, &fs::read_to_string(&trace).unwrap(), &story);
        }
    }
    killed
}

#[test]
fn a_run_that_is_killed_anywhere_loses_nothing_and_repeats_only_what_nobody_had_written_down() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let recipients = ["one@sink.test", "two@sink.test", "three@sink.test"];
    let prepared = || {
        let sealpost = client(door.port, "mode = \"always\"\nconnections = 1", "");
        let _alone = alone(&sealpost);
        for to in recipients {
            silent(&send(&sealpost, &[to]));
        }
        sealpost
    };
    let killed = at_every_call(&sink, &prepared, &mut |sealpost, trace, story| {
        let got: Vec<String> = arrived(&sink).iter().flat_map(kit::to).collect();
        let all: BTreeSet<&str> = got.iter().map(String::as_str).collect();
        assert_eq!(all, recipients.into_iter().collect(), "{story}");
        assert!(files(sealpost, "queue").is_empty() && files(sealpost, "odd").is_empty(), "{story}");
        // At most the one whose 250 was on its way, or had come, and whose name was still there.
        let repeated = got.len() - all.len();
        let is_open = trace.matches("unlinkat(").count() < trace.matches("250 2.0.0 kept").count() + 1;
        assert!(repeated == 0 || (repeated == 1 && is_open), "{repeated} repeated: {story}");
    });
    // Calls are counted for each thread of its own.
    assert!(killed > 35, "only {killed} were killed: are these the calls?");
}

#[test]
fn who_was_served_before_the_others_were_put_off_is_not_served_again_after_a_crash() {
    if !has("strace") {
        return;
    }
    let grey = kit::sink(&["rcpt-451"]);
    let door = Door::to(&grey);
    let prepared = || {
        let sealpost = client(door.port, "mode = \"always\"\nconnections = 1", "");
        let _alone = alone(&sealpost);
        silent(&send(&sealpost, &["late@sink.test", "ok@sink.test"]));
        sealpost
    };
    let mut twice = 0;
    let killed = at_every_call(&grey, &prepared, &mut |sealpost, trace, story| {
        let [file] = files(sealpost, "queue").try_into().unwrap_or_else(|files| panic!("{files:?}: {story}"));
        let state = kit::state(&file);
        assert_eq!(state["recipients"][1], "delivered", "{story}");
        let times = arrived(&grey).len();
        // The note was begun and not finished, or not begun.
        let is_noted = trace.lines().any(|line| line.contains("fsync(") && line.ends_with("= 0"));
        assert!(times == 1 || (times == 2 && !is_noted), "{times} times: {story}");
        twice += usize::from(times == 2);
    });
    assert!(killed > 30 && twice > 0, "{killed} were killed, {twice} sent twice: are these the calls?");
}
