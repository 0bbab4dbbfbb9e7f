//! Does a message stand where its name says, whoever comes by at the same time?

use std::{
    fs::{self},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use sealpost::{
    host::spool::{Claimed, Found, Place, Spool, Usage},
    mail::queued::{Last, Standing},
};

use crate::kit::{self, MESSAGE, Text, add, again, at, claim, entry, errand, id, listing, names, octets, path, spool};

#[test]
fn who_only_looks_makes_nothing() {
    let (_scratch, spool) = spool();
    for place in Place::ALL {
        assert_eq!(names(&spool, place), [""; 0]);
        assert!(spool.peek(place, id(1)).unwrap().is_none());
        assert!(matches!(spool.claim(place, id(1)).unwrap(), Claimed::Gone));
    }
    assert_eq!((spool.find(id(1)).unwrap(), spool.usage().unwrap().len()), (None, 0));
    assert_eq!(spool.sweep(at(0), at(0)).unwrap(), (0, 0));
    assert_eq!(listing(spool.path()), [""; 0]);
    assert!(Spool::open(&spool.path().join("gone")).unwrap().is_none());
}

#[test]
fn a_message_is_in_one_place_wherever_it_is_moved() {
    let (_scratch, spool) = spool();
    let mut claim = add(&spool, 1);
    for place in [Place::Held, Place::Queue, Place::Failed, Place::Queue, Place::Queue, Place::Held, Place::Failed] {
        claim.shift(place).unwrap();
        assert_eq!((claim.place(), spool.find(id(1)).unwrap()), (place, Some(place)));
        for other in [Place::Queue, Place::Held, Place::Failed] {
            assert_eq!(names(&spool, other).len(), usize::from(other == place), "{place:?} {other:?}");
        }
        let seen = spool.claim(place, id(1)).unwrap();
        assert!(matches!(seen, Claimed::Busy), "{seen:?}");
    }
    assert_eq!(octets(&claim), MESSAGE);
    claim.finish().unwrap();
    assert_eq!(spool.find(id(1)).unwrap(), None);
}

#[test]
fn what_is_noted_of_a_message_that_moves_moves_with_it() {
    let (_scratch, spool) = spool();
    let mut one = add(&spool, 1);
    let mut state = one.entry.state.clone();
    state.recipients[0] = Standing::Delivered;
    state.attempts = 3;
    one.note(state.clone()).unwrap();
    one.shift(Place::Held).unwrap();
    state.recipients[1] = Standing::Failed(Last { code: Some(550), text: "no\r\n\u{1b}[1m\0".into(), ..Last::default() });
    one.note(state.clone()).unwrap();
    drop(one);
    let one = claim(&spool, Place::Held, 1);
    assert_eq!((&one.entry.state, one.entry.waiting().recipients.len(), octets(&one)), (&state, 0, MESSAGE.to_vec()));
}

#[test]
fn a_message_of_the_same_name_is_never_replaced() {
    let (_scratch, spool) = spool();
    let first = add(&spool, 1);
    let error = spool.add(id(1), entry(1), &mut Text::new("other\r\n")).unwrap_err();
    assert!(error.render("x").contains("waits there already"), "{}", error.render("x"));
    drop(first);
    let first = claim(&spool, Place::Queue, 1);
    assert_eq!((octets(&first), listing(&spool.path().join("queue")).len()), (MESSAGE.to_vec(), 1));
}

#[test]
fn what_stands_in_the_way_of_a_message_that_moves_is_set_aside() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    claim(&spool, Place::Queue, 1).shift(Place::Failed).unwrap();
    add(&spool, 1).shift(Place::Failed).unwrap();
    assert_eq!((names(&spool, Place::Failed).len(), names(&spool, Place::Odd).len()), (1, 1));
    add(&spool, 1).shift(Place::Failed).unwrap();
    let name = id(1).to_string();
    assert_eq!(names(&spool, Place::Odd), [format!("odd {name}"), format!("odd {name}.1")]);
}

#[test]
fn of_many_who_want_one_message_one_gets_it_and_it_is_finished_once() {
    let (_scratch, spool) = spool();
    for n in 0..50 {
        drop(add(&spool, n));
    }
    let finished: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    // A spool of its own, as another process has it.
                    let spool = Spool::open(spool.path()).unwrap().unwrap();
                    let ours = |n: &u8| match kit::claimed(&spool, Place::Queue, *n).unwrap() {
                        Claimed::Ours(claim) => claim.finish().map(|()| true).unwrap(),
                        Claimed::Gone => false,
                        other => panic!("{other:?}"),
                    };
                    (0..50).filter(ours).count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!((finished, names(&spool, Place::Queue).len()), (50, 0));
}

/// Where the process takes a message that is stopped between finding it and locking it.
const SLOW: &str = "SPOOL_TEST_SLOW";

#[test]
fn who_is_about_to_take_a_message_while_another_finishes_it_does_not_get_it() {
    let test = "life::who_is_about_to_take_a_message_while_another_finishes_it_does_not_get_it";
    if let Some(place) = errand(SLOW) {
        let spool = Spool::open(Path::new(&place)).unwrap().unwrap();
        assert_eq!(names(&spool, Place::Queue).len(), 1);
        kit::watch();
        let claimed = spool.claim(Place::Queue, id(1)).unwrap();
        assert!(matches!(claimed, Claimed::Gone), "{claimed:?}");
        return;
    }
    if !kit::has("strace", test) {
        return;
    }
    for comes_again in [false, true] {
        let (scratch, spool) = spool();
        drop(add(&spool, 1));
        let trace = scratch.path().join("trace");
        let options = ["-e", "trace=fstat", "-e", "inject=fstat:signal=SIGSTOP:when=1", "-o", trace.to_str().unwrap()];
        let mut slow = kit::start_watched(&options, test, (SLOW, spool.path()));
        let is_stopped = || fs::read_to_string(&trace).is_ok_and(|text| text.contains("stopped by SIGSTOP"));
        while !is_stopped() && slow.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let stopped = is_stopped();
        if stopped {
            claim(&spool, Place::Queue, 1).finish().unwrap();
            if comes_again {
                drop(add(&spool, 1));
            }
            rustix::process::kill_process(rustix::process::Pid::from_child(&slow), rustix::process::Signal::CONT).unwrap();
        }
        let run = slow.wait_with_output().unwrap();
        if !kit::may_watch(&run, test) {
            return;
        }
        assert!(stopped && run.status.success(), "{stopped}: {}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(names(&spool, Place::Queue).len(), usize::from(comes_again));
    }
}

#[test]
fn messages_that_many_add_move_and_look_at_are_all_there_in_the_end() {
    let (_scratch, spool) = spool();
    std::thread::scope(|scope| {
        for worker in 0..8_u8 {
            let spool = &spool;
            scope.spawn(move || {
                for n in worker * 10..worker * 10 + 10 {
                    let mut claim = add(spool, n);
                    claim.shift(Place::Held).unwrap();
                    claim.note(claim.entry.state.clone()).unwrap();
                    claim.shift(Place::Queue).unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let spool = Spool::open(spool.path()).unwrap().unwrap();
                for _ in 0..20 {
                    for place in [Place::Queue, Place::Held] {
                        for found in spool.names(place).unwrap() {
                            let Found::Message(waiting) = found else { panic!("{found:?}") };
                            let claimed = spool.claim(place, waiting.id).unwrap();
                            assert!(!matches!(claimed, Claimed::Odd(_)), "{claimed:?}");
                        }
                    }
                }
            });
        }
    });
    assert_eq!((names(&spool, Place::Queue).len(), names(&spool, Place::Held).len()), (80, 0));
}

#[test]
fn the_kernel_is_asked_who_has_how_much_waiting() {
    let (_scratch, spool) = spool();
    for (n, uid) in [(1, 1000), (2, 1000), (3, 0), (4, 1000)] {
        let mut entry = entry(1);
        entry.head.uid = uid;
        let mut claim = spool.add(id(n), entry, &mut Text::new(MESSAGE)).unwrap();
        claim.shift([Place::Queue, Place::Held, Place::Queue, Place::Failed][usize::from(n) - 1]).unwrap();
    }
    let size = MESSAGE.len() as u64;
    let expected = [(0, Usage { messages: 1, octets: size }), (1000, Usage { messages: 2, octets: 2 * size })];
    assert_eq!(spool.usage().unwrap().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_large_message_and_thousands_of_recipients_come_back_as_they_went() {
    let (_scratch, spool) = spool();
    let large: Vec<u8> = (0..40_000).flat_map(|n| format!("line {n} \u{fc}\r\n").into_bytes()).collect();
    let mut known = entry(10_000);
    let mut one = spool.add(id(1), known.clone(), &mut Text::new(large.clone())).unwrap();
    (known.head.size, known.head.eight_bit) = (large.len() as u64, true);
    assert_eq!(one.entry.head, known.head);
    let mut state = known.state.clone();
    for turn in 0..5 {
        for (n, standing) in state.recipients.iter_mut().enumerate() {
            let last = Last { code: Some(450), text: "try again later".repeat(turn), ..Last::default() };
            *standing = if n % 2 == 0 { Standing::Delivered } else { Standing::Waiting(Some(last)) };
        }
        state.attempts += 1;
        one.reserve().unwrap();
        one.note(state.clone()).unwrap();
    }
    drop(one);
    let one = claim(&spool, Place::Queue, 1);
    assert_eq!((octets(&one), &one.entry.head, &one.entry.state), (large, &known.head, &state));
    assert_eq!(spool.peek(Place::Queue, id(1)).unwrap().unwrap(), one.entry);
}

/// What the process does that has an umask of its own.
const UMASK: &str = "SPOOL_TEST_UMASK";

#[test]
fn no_umask_shuts_the_owner_out_or_lets_others_in() {
    if let Some(place) = errand(UMASK) {
        let spool = Spool::make(Path::new(&place)).unwrap();
        add(&spool, 1).shift(Place::Held).unwrap();
        assert_eq!(octets(&claim(&spool, Place::Held, 1)), MESSAGE);
        return;
    }
    let root = rustix::process::geteuid().is_root();
    for umask in ["000", "777", "277"] {
        for uid in if root { vec![0, 65_534] } else { vec![rustix::process::geteuid().as_raw()] } {
            let scratch = tempfile::tempdir().unwrap();
            let place = scratch.path().join("a/b/spool");
            // Only the spool's own directories have to do without the umask.
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            for path in [scratch.path().to_owned(), scratch.path().join("a"), scratch.path().join("a/b")] {
                std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
            }
            let script = format!("umask {umask}; exec \"$@\"");
            let who = format!("--reuid={uid}");
            let mut wrapper = vec!["sh", "-c", &script, "sh"];
            if root {
                wrapper.splice(..0, ["setpriv", &who, "--clear-groups"]);
            }
            // Where root builds, others may not reach the program.
            let run = again(&wrapper, "life::no_umask_shuts_the_owner_out_or_lets_others_in", &[(UMASK, place.to_str().unwrap())]);
            let words = String::from_utf8_lossy(&run.stderr);
            if uid != 0 && words.contains("Permission denied") && !place.exists() && !words.contains("panicked") {
                kit::say(
                    "SKIPPED: no_umask_shuts_the_owner_out_or_lets_others_in: another user can't run this program where it is",
                );
                continue;
            }
            assert!(run.status.success(), "{umask}, {uid}: {words}");
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!((mode(&place), mode(&place.join("queue"))), (0o700, 0o700), "{umask}, {uid}");
            assert_eq!(mode(&place.join("held").join(id(1).to_string())), 0o600, "{umask}, {uid}");
        }
    }
}

#[test]
fn what_root_puts_into_the_spool_of_a_service_belongs_to_the_service() {
    if !kit::is_root("what_root_puts_into_the_spool_of_a_service_belongs_to_the_service") {
        return;
    }
    let (_scratch, made) = spool();
    std::os::unix::fs::chown(made.path(), Some(65_534), Some(65_534)).unwrap();
    let spool = Spool::open(made.path()).unwrap().unwrap();
    add(&spool, 1).shift(Place::Failed).unwrap();
    drop(add(&spool, 2));
    spool.set_aside(Place::Queue, id(2).to_string()).unwrap();
    let owner = |path: &Path| (fs::metadata(path).unwrap().uid(), fs::metadata(path).unwrap().gid());
    let queue = spool.path().join("queue");
    for path in [&queue, &spool.path().join("failed"), &spool.path().join("odd"), &path(&spool, Place::Failed, 1)] {
        assert_eq!(owner(path), (65_534, 65_534), "{}", path.display());
    }
    // Root that died before it gave a directory away is no reason for the service to stop.
    std::os::unix::fs::chown(&queue, Some(0), Some(0)).unwrap();
    let spool = Spool::open(made.path()).unwrap().unwrap();
    drop(add(&spool, 3));
    assert_eq!(owner(&queue), (65_534, 65_534));
    // Nor is one of somebody else's taken for its own.
    std::os::unix::fs::chown(&queue, Some(1), Some(1)).unwrap();
    let spool = Spool::open(made.path()).unwrap().unwrap();
    let error = spool.add(id(4), entry(1), &mut Text::new(MESSAGE)).unwrap_err();
    assert!(error.summary().contains("its directory queue belongs to another user"), "{}", error.summary());
}

#[test]
fn a_spool_that_others_may_change_is_not_used() {
    let (_scratch, made) = spool();
    drop(add(&made, 1));
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    chmod(made.path(), 0o770);
    assert!(Spool::open(made.path()).unwrap_err().summary().contains("others may write"));
    chmod(made.path(), 0o700);
    chmod(&made.path().join("queue"), 0o702);
    let spool = Spool::open(made.path()).unwrap().unwrap();
    assert!(spool.claim(Place::Queue, id(1)).unwrap_err().summary().contains("others may write"));
    chmod(&made.path().join("queue"), 0o700);
    assert_eq!(octets(&claim(&spool, Place::Queue, 1)), MESSAGE);
    let held = made.path().join("held");
    std::os::unix::fs::symlink(made.path().join("queue"), &held).unwrap();
    assert!(claim(&spool, Place::Queue, 1).shift(Place::Held).is_err());
    assert_eq!(listing(&made.path().join("queue")), [id(1).to_string()]);
}
