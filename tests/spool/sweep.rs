//! Is what the dead and the power left behind swept, and nothing else?

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
};

use rustix::fs::{FlockOperation, Timespec, Timestamps, flock, futimens};
use sealpost::host::spool::{Claimed, Found, Place, Spool, Waiting};

use crate::kit::{self, MESSAGE, Text, add, at, claim, entry, id, names, octets, path, spool};

fn age(file: &Path, seconds: i64) {
    let time = Timespec { tv_sec: at(seconds).as_second(), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    futimens(File::open(file).unwrap().as_fd(), &times).unwrap();
}

/// Sweeps until so much is gone: what other tests start may have a file open until they exec.
fn sweep(spool: &Spool, [now, failed_before]: [i64; 2], expected: (usize, usize)) {
    let mut swept = (0, 0);
    loop {
        let (dead, old) = spool.sweep(at(now), at(failed_before)).unwrap();
        swept = (swept.0 + dead, swept.1 + old);
        if swept.0 >= expected.0 && swept.1 >= expected.1 {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(swept, expected);
}

#[test]
fn what_dead_writers_left_is_swept_and_nothing_else() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    let queue = spool.path().join("queue");
    let file = |name: &str, seconds| {
        fs::write(queue.join(name), "half").unwrap();
        age(&queue.join(name), seconds);
        queue.join(name)
    };
    let dead = file(&format!("{}.new", id(2)), 0);
    // A clock that jumped back made it.
    let future = file(&format!("{}.new", id(3)), 90_000_000);
    let young = file(&format!("{}.new", id(4)), 80_000);
    let writing = file(&format!("{}.new", id(5)), 0);
    let lock = File::open(&writing).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let foreign = file("letter.new", 0);
    assert_eq!(names(&spool, Place::Queue), [id(1).to_string(), "odd letter.new".to_owned()]);
    sweep(&spool, [80_000, 0], (2, 0));
    assert_eq!([&dead, &future, &young, &writing, &foreign].map(|file| file.exists()), [false, false, true, true, true]);
    flock(&lock, FlockOperation::Unlock).unwrap();
    sweep(&spool, [80_000, 0], (1, 0));
    assert_eq!(octets(&claim(&spool, Place::Queue, 1)), MESSAGE);
}

#[test]
fn who_writes_a_message_again_that_a_dead_process_began_need_not_wait_for_the_sweeper() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    let half = spool.path().join("queue").join(format!("{}.new", id(2)));
    fs::write(&half, "half").unwrap();
    let lock = File::open(&half).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    assert!(spool.add(id(2), entry(1), &mut Text::new(MESSAGE)).is_err());
    flock(&lock, FlockOperation::Unlock).unwrap();
    assert_eq!(octets(&add(&spool, 2)), MESSAGE);
    assert!(!half.exists());
}

#[test]
fn what_failed_is_kept_for_its_time_and_while_somebody_works_on_it() {
    let (_scratch, spool) = spool();
    for (n, failed) in [(1, 100), (2, 200), (3, 100)] {
        let mut claim = add(&spool, n);
        let mut state = claim.entry.state.clone();
        state.next = at(failed);
        claim.note(state).unwrap();
        claim.shift(Place::Failed).unwrap();
    }
    let mut released = claim(&spool, Place::Failed, 3);
    sweep(&spool, [300, 150], (0, 1));
    released.shift(Place::Queue).unwrap();
    drop(released);
    assert_eq!(spool.sweep(at(300), at(150)).unwrap(), (0, 0));
    assert_eq!((names(&spool, Place::Failed), names(&spool, Place::Queue)), (vec![id(2).to_string()], vec![id(3).to_string()]));
    assert_eq!(spool.names(Place::Failed).unwrap().next(), Some(Found::Message(Waiting { id: id(2), due: at(200) })));
}

#[test]
fn what_the_power_left_half_moved_is_put_in_the_quieter_place_by_whoever_comes_first() {
    for (from, to) in [(Place::Queue, Place::Held), (Place::Queue, Place::Failed), (Place::Held, Place::Failed)] {
        for first in [from, to] {
            let (_scratch, spool) = spool();
            let mut claim = add(&spool, 1);
            claim.shift(from).unwrap();
            drop(claim);
            fs::create_dir_all(spool.path().join(to.as_str())).unwrap();
            fs::hard_link(path(&spool, from, 1), path(&spool, to, 1)).unwrap();
            // Until then it is shown, and not set aside.
            assert_eq!([names(&spool, from), names(&spool, to)].concat(), [id(1).to_string(), id(1).to_string()]);
            let claimed = kit::claimed(&spool, first, 1).unwrap();
            assert_eq!(matches!(claimed, Claimed::Ours(_)), first == to, "{claimed:?}");
            drop(claimed);
            assert_eq!((spool.find(id(1)).unwrap(), path(&spool, from, 1).exists()), (Some(to), false));
            assert_eq!(octets(&kit::claim(&spool, to, 1)), MESSAGE);
        }
    }
}

#[test]
fn what_the_power_left_half_renamed_has_one_name_as_soon_as_it_is_claimed() {
    let (_scratch, spool) = spool();
    drop(add(&spool, 1));
    let raw = spool.path().join("queue").join(format!("{}.new", id(1)));
    fs::hard_link(path(&spool, Place::Queue, 1), &raw).unwrap();
    assert_eq!(names(&spool, Place::Queue), [id(1).to_string()]);
    assert_eq!((octets(&claim(&spool, Place::Queue, 1)), raw.exists()), (MESSAGE.to_vec(), false));
}
