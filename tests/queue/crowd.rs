//! Many at once: servers with few connections, cron at the top of the hour, and who is the last to leave.

use std::{collections::BTreeMap, fs, process::Command, thread};

use sealpost::host::listen::Delivery;

use crate::{
    common::{MESSAGE, Sealpost, barrier::at_once, binary},
    kit::{self, Door, Mood, arrive, arrived, client, files, silent},
};

/// Sends so many messages, `abreast` at a time, each to somebody else.
fn crowd(sealpost: &Sealpost, number: usize, abreast: usize) {
    thread::scope(|scope| {
        for first in 0..abreast {
            scope.spawn(move || {
                for n in (first..number).step_by(abreast) {
                    let to = format!("n{n}@sink.test");
                    let config = sealpost.scratch.path().join("config.toml").display().to_string();
                    silent(&sealpost.command(&["sendmail", "-C", &config, &to], MESSAGE.as_bytes()));
                }
            });
        }
    });
}

/// How often each recipient got the message.
fn counted(mails: &[Delivery]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in mails.iter().flat_map(kit::to) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn each_once(mails: &[Delivery], number: usize) {
    let counts = counted(mails);
    let again: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(again.is_empty() && counts.len() == number, "{} arrived, more than once: {again:?}", counts.len());
}

#[test]
fn a_server_with_twenty_connections_gets_a_hundred_messages_without_a_storm() {
    const ALL: usize = 100;
    for mode in ["fallback", "always"] {
        let sink = kit::sink(&[]);
        let door = Door::to(&sink);
        door.is(Mood::Narrow(20));
        let sealpost = client(door.port, &format!("mode = {mode:?}\nretry_first = \"1s\""), "");
        crowd(&sealpost, ALL, ALL);
        each_once(&arrive(&sink, ALL), ALL);
        // Each may ask for itself, where it is sent at once; a run asks with a few connections again and again.
        let knocks = door.knocks();
        assert!(knocks <= if mode == "fallback" { ALL + 40 } else { 40 }, "{mode}: {knocks} connections");
        assert_eq!(arrived(&sink).len(), 0);
    }
}

#[test]
fn a_server_that_takes_two_connections_gets_all_by_two() {
    const ALL: usize = 40;
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Narrow(2));
    let sealpost = client(door.port, "mode = \"always\"\nconnections = 8", "");
    let alone = kit::alone(&sealpost);
    crowd(&sealpost, ALL, 4);
    drop(alone);
    let run = kit::drain(&sealpost);
    each_once(&arrived(&sink), ALL);
    let refused = run.records.iter().filter(|record| record["status"] == "deferred").count();
    assert!(refused <= 8 && door.knocks() <= 12 && files(&sealpost, "queue").is_empty(), "{refused}, {}", door.knocks());
}

#[test]
fn five_hundred_at_the_top_of_the_hour_all_arrive_once() {
    const ALL: usize = 500;
    for mode in ["fallback", "always"] {
        let sink = kit::sink(&[]);
        let sealpost = client(sink.address.port(), &format!("mode = {mode:?}"), "");
        crowd(&sealpost, ALL, 50);
        each_once(&arrive(&sink, ALL), ALL);
    }
}

#[test]
fn five_hundred_that_wait_for_the_same_moment_all_arrive_once() {
    const ALL: usize = 500;
    for mode in ["off", "fallback", "always"] {
        let sink = kit::sink(&[]);
        let sealpost = client(sink.address.port(), &format!("mode = {mode:?}"), "");
        let config = sealpost.scratch.path().join("config.toml");
        let (codes, said) = at_once(ALL, |n| {
            let mut command = Command::new(binary());
            command.args(["sendmail", "-C"]).arg(&config).arg(format!("n{n}@sink.test"));
            command.env_clear().env("HOME", sealpost.scratch.path());
            (command, MESSAGE.as_bytes().to_vec())
        });
        assert_eq!((codes.iter().filter(|code| **code == Some(0)).count(), said.as_str()), (ALL, ""), "{mode}");
        each_once(&arrive(&sink, ALL), ALL);
        assert_eq!(arrived(&sink).len(), 0, "{mode}");
    }
}

#[test]
fn whoever_comes_as_the_leader_leaves_is_not_forgotten() {
    // With one message after the other a run ends again and again, just as the next message comes.
    const ALL: usize = 300;
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), "mode = \"always\"", "");
    crowd(&sealpost, ALL, 2);
    each_once(&arrive(&sink, ALL), ALL);
    let odd = fs::read_dir(kit::spool(&sealpost).join("odd")).map_or(0, Iterator::count);
    assert_eq!(odd, 0);
}
