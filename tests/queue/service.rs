//! A run that goes on until it is told to stop: it hears of new messages, and finishes what it is at.

use std::{
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use sealpost::{
    cmd::runner::{Runner, Setting, Until, Wish},
    host::{
        config::{self, Config},
        journal::{Id, Journal, Sockets},
        narrate::Narrator,
        spool::{Claim, Claimed, Place, Spool},
        world::Machine,
    },
};

use crate::{
    common::{Sealpost, binary},
    kit::{self, Door, Mood, PATIENCE, alone, arrive, arrived, client, files, send, silent},
};

const ALWAYS: &str = "mode = \"always\"\nconnections = 1";

/// Runs the queue in this process, as a service does, while `meanwhile` goes on; stops it then, if it was not told before.
fn serve(sealpost: &Sealpost, meanwhile: impl FnOnce(&Runner<'_>)) {
    let config: Config = config::load(&Machine, Some(&sealpost.scratch.path().join("config.toml"))).unwrap();
    let spool = Spool::make(&kit::spool(sealpost)).unwrap();
    let journal = Journal::new(&config.log, None, Sockets::default());
    let (world, narrator) = (Machine, Narrator::default());
    let setting = Setting { world: &world, config: &config, spool: &spool, journal: &journal, narrator: &narrator };
    let mut lead = None;
    // What the test held a moment ago, the children of other tests hold until they are themselves.
    while lead.is_none() {
        lead = spool.lead().unwrap();
    }
    let runner = Runner::new(setting, Wish::default()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| runner.run(lead, Until::Stopped));
        let _stopper = Stopper(&runner);
        meanwhile(&runner);
    });
}

/// Stops a run also where a test fails.
struct Stopper<'r>(&'r Runner<'r>);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        thread::yield_now();
    }
}

#[test]
fn a_service_sends_what_comes_without_being_told_and_nobody_starts_a_run_beside_it() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(door.port, ALWAYS, "");
    serve(&sealpost, |_| {
        for _ in 0..10 {
            silent(&send(&sealpost, &["ok@sink.test"]));
            arrive(&sink, 1);
        }
        // All on the connection of the service.
        assert_eq!(door.knocks(), 1);
    });
    assert_eq!(files(&sealpost, "queue").len(), 0);
}

#[test]
fn who_stops_it_waits_for_the_message_that_is_under_way_and_for_no_other() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Held);
    let sealpost = client(door.port, ALWAYS, "");
    let lead = alone(&sealpost);
    for _ in 0..3 {
        silent(&send(&sealpost, &["ok@sink.test"]));
    }
    drop(lead);
    serve(&sealpost, |runner| {
        until("a connection", || door.knocks() == 1);
        runner.stop();
        door.is(Mood::Open);
    });
    let waiting = files(&sealpost, "queue");
    assert_eq!((arrived(&sink).len(), waiting.len()), (1, 2));
    assert!(sealpost.log().iter().filter(|record| record["event"] == "send").count() == 1);
}

#[test]
fn a_run_in_the_background_that_is_told_to_end_finishes_what_it_is_at() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Held);
    let sealpost = client(door.port, ALWAYS, "");
    let _lead = alone(&sealpost);
    for _ in 0..3 {
        silent(&send(&sealpost, &["ok@sink.test"]));
    }
    let mut command = Command::new(binary());
    command.args(["run-the-queue-in-the-background", "0"]).arg(sealpost.scratch.path().join("config.toml"));
    let mut run = command.stdin(Stdio::null()).spawn().unwrap();
    until("a connection", || door.knocks() == 1);
    rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::TERM).unwrap();
    // The thread that heard of it has ended.
    let threads = || std::fs::read_dir(format!("/proc/{}/task", run.id())).unwrap().count();
    until("the order", || threads() == 2);
    door.is(Mood::Open);
    assert!(run.wait().unwrap().success());
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (1, 2));
}

#[test]
fn who_is_in_a_hurry_ends_the_pauses() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Down);
    let sealpost = client(door.port, ALWAYS, "");
    let lead = alone(&sealpost);
    for to in ["one@sink.test", "two@sink.test"] {
        silent(&send(&sealpost, &[to]));
    }
    drop(lead);
    serve(&sealpost, |runner| {
        let pauses = kit::spool(&sealpost).join("pauses.json");
        until("a pause", || pauses.exists());
        door.is(Mood::Open);
        runner.hurry();
        arrive(&sink, 1);
    });
    // The one that was tried is not due.
    assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (0, 1));
}

/// Takes the only message of the queue, as whoever adds one holds it at first.
fn hold<'s>(spool: &'s Spool, sealpost: &Sealpost) -> Box<Claim<'s>> {
    let [file] = files(sealpost, "queue").try_into().unwrap();
    let id = Id::parse(file.file_name().unwrap().to_str().unwrap()).unwrap();
    match spool.claim(Place::Queue, id) {
        Ok(Claimed::Ours(claim)) => claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_that_was_held_as_the_service_met_it_is_met_again() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), ALWAYS, "");
    silent(&send(&sealpost, &["-odq", "held@sink.test"]));
    let spool = Spool::make(&kit::spool(&sealpost)).unwrap();
    let claim = hold(&spool, &sealpost);
    serve(&sealpost, |_| {
        silent(&send(&sealpost, &["-odq", "free@sink.test"]));
        assert_eq!(kit::to(&arrive(&sink, 1)[0]), ["free@sink.test"]);
        // Nothing tells of this.
        drop(claim);
        assert_eq!(kit::to(&arrive(&sink, 1)[0]), ["held@sink.test"]);
    });
}

/// Whether a run has the lead; asked by a process of its own, for what this one has open others inherit for a moment.
fn is_led(sealpost: &Sealpost) -> bool {
    let lock = kit::spool(sealpost).join("run.lock");
    !Command::new("flock").arg("-n").arg(lock).arg("true").status().unwrap().success()
}

#[test]
fn whoever_lets_a_message_go_and_can_not_have_the_lead_may_rely_on_the_leader() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), ALWAYS, "");
    let spool = Spool::make(&kit::spool(&sealpost)).unwrap();
    let mut relied = 0;
    for _ in 0..60 {
        silent(&send(&sealpost, &["-odq", "held@sink.test"]));
        let claim = hold(&spool, &sealpost);
        // Starts a run, which meets both, and has nothing more to do when it has sent this one.
        silent(&send(&sealpost, &["free@sink.test"]));
        assert_eq!(kit::to(&arrive(&sink, 1)[0]), ["free@sink.test"]);
        drop(claim);
        if is_led(&sealpost) {
            relied += 1;
        } else {
            // The run is over, and the next one is ours to start.
            kit::drain(&sealpost);
        }
        assert_eq!(kit::to(&arrive(&sink, 1)[0]), ["held@sink.test"]);
        until("the end of the run", || !is_led(&sealpost));
    }
    assert!(relied > 0, "the lead was free each time: nothing was tested");
}
