//! Is nothing lost when the system says no: no room, no descriptors, no disk, no permission to write?

use std::{fs, io::Write as _, path::Path, process::Output};

use sealpost::{
    error::Error,
    host::spool::{Claimed, Place, Spool},
    mail::queued::Standing,
};

use crate::{
    kit::{self, MESSAGE, Text, add, again, again_watched, claim, entry, errand, has, id, octets},
    story::{self, Progress, Step},
    trace::counted,
};

const PLACE: &str = "SPOOL_TEST_FAULT";

fn said(error: &Error) -> String {
    error.render("sealpost")
}

fn small() -> Vec<(u8, Vec<Step>)> {
    story::lives().into_iter().filter(|(n, _)| *n == 1 || *n == 4).collect()
}

/// Lives lives, of which each ends at its first error; `f N STEP WORDS` is said of it.
fn lives(place: &Path) {
    let mut log = story::log(&place.join("log"));
    kit::watch();
    let fail = |log: &mut fs::File, n: u8, step: usize, error: &Error| {
        writeln!(log, "f {n} {step} {}", said(error).replace('\n', " | ")).unwrap();
    };
    let spool = match Spool::make(&place.join("spool")) {
        Ok(spool) => spool,
        Err(error) => {
            fail(&mut log, 0, 0, &error);
            Spool::make(&place.join("spool")).unwrap()
        }
    };
    for (n, life) in small() {
        if let Err((step, error)) = story::try_to_live(&spool, n, &life, &log) {
            fail(&mut log, n, step, &error);
        }
    }
    // One error is no reason to fail for ever.
    assert_eq!(octets(&add(&spool, 9)), MESSAGE);
}

/// What the system may answer to a call.
fn answers(call: &str) -> &'static [&'static str] {
    match call {
        "fsync" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        "write" | "pwrite64" => &["ENOSPC", "EDQUOT", "EFBIG", "EINTR"],
        "open" | "openat" => &["EMFILE", "EROFS", "EINTR"],
        "mkdirat" | "linkat" => &["ENOSPC", "EMLINK"],
        "flock" => &["ENOLCK", "EINTR"],
        "fallocate" => &["ENOSPC", "EOPNOTSUPP", "EINTR"],
        "renameat2" => &["EIO", "EINVAL"],
        _ => &["EIO"],
    }
}

/// Errors that are no errors: it is tried again, or done otherwise.
fn is_overcome(call: &str, error: &str) -> bool {
    let others = [("fallocate", "EOPNOTSUPP"), ("renameat2", "EINVAL"), ("linkat", "EMLINK")];
    error == "EINTR" || others.contains(&(call, error))
}

#[test]
fn whatever_call_fails_the_message_is_whole_where_it_was_or_where_it_was_to_go_and_the_words_are_clear() {
    let test = "full::whatever_call_fails_the_message_is_whole_where_it_was_or_where_it_was_to_go_and_the_words_are_clear";
    if let Some(place) = errand(PLACE) {
        return lives(Path::new(&place));
    }
    if !has("strace", test) {
        return;
    }
    let calls = "mkdirat,open,openat,fstat,newfstatat,pread64,flock,write,pwrite64,ftruncate,fallocate,utimensat,fsync,renameat2,\
linkat,unlinkat";
    let scratch = tempfile::tempdir().unwrap();
    let (place, file) = (scratch.path().join("0"), scratch.path().join("trace"));
    fs::create_dir(&place).unwrap();
    let run = again_watched(&["-e", &format!("trace={calls}"), "-o", file.to_str().unwrap()], test, (PLACE, &place));
    if !kit::may_watch(&run, test) {
        return;
    }
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = fs::read_to_string(&file).unwrap();
    let mut all = counted(&text);
    // Behind the lives comes the message that shows that all is well again.
    let end = all.iter().rposition(|(_, _, line)| line.contains("\"e ")).unwrap();
    all.truncate(end);
    let is_log = |line: &str| ["\"b ", "\"e "].iter().any(|text| line.contains(text));
    all.retain(|(call, _, line)| call != "write" || !is_log(line));
    let (mut wrong, mut failed) = (Vec::new(), 0);
    for (call, nth, _) in &all {
        for error in answers(call) {
            let place = scratch.path().join(format!("{call}-{nth}-{error}"));
            fs::create_dir(&place).unwrap();
            let inject = format!("inject={call}:error={error}:when={nth}");
            let options = ["-e", &format!("trace={call}"), "-e", &inject, "-o", "/dev/null"];
            let run = again_watched(&options, test, (PLACE, &place));
            let log = fs::read_to_string(place.join("log")).unwrap_or_default();
            let failures: Vec<&str> = log.lines().filter(|line| line.starts_with("f ")).collect();
            failed += failures.len();
            let why = complaint(&place, &log, &run, is_overcome(call, error));
            wrong.extend(why.map(|why| format!("{call} {nth} {error}: {why}\n  {failures:?}")));
            fs::remove_dir_all(&place).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(failed > 50, "only {failed} failures: is the injection right?");
}

fn complaint(place: &Path, log: &str, run: &Output, is_overcome: bool) -> Option<String> {
    if !run.status.success() {
        return Some(String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr));
    }
    let (failures, steps): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| line.starts_with("f "));
    if is_overcome && !failures.is_empty() || failures.len() > 1 {
        return Some("this should have been overcome".to_owned());
    }
    for failure in &failures {
        let words = failure.splitn(4, ' ').last().unwrap();
        if !words.contains("hint: ") || words.contains("os error") || words.contains("is no ") {
            return Some(format!("unclear: {words}"));
        }
        let is_refused = failure.split(' ').nth(2) == Some("1");
        let n: u8 = failure.split(' ').nth(1).unwrap().parse().unwrap();
        let spool = Spool::open(&place.join("spool")).unwrap().unwrap();
        if is_refused && spool.find(id(n)).unwrap().is_some() {
            return Some("it was refused, and is there".to_owned());
        }
    }
    drop(fs::remove_file(kit::path(&Spool::open(&place.join("spool")).unwrap().unwrap(), Place::Queue, 9)));
    story::judge(&place.join("spool"), &Progress::read(&steps.join("\n"))).err()
}

/// Runs this test again on a file system of its own; `None`: that can't be had here.
fn on_a_small_disk(test: &str, options: &str) -> Option<Output> {
    if !kit::is_root(test) {
        return None;
    }
    let scratch = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o {options} none {0} || exit 99; exec \"$@\"", scratch.path().display());
    let run = again(&["unshare", "-m", "sh", "-c", &script, "sh"], test, &[(PLACE, scratch.path().to_str().unwrap())]);
    if run.status.code() == Some(99) {
        kit::say(&format!("SKIPPED: {test}: nothing can be mounted here"));
        return None;
    }
    Some(run)
}

#[test]
fn on_a_full_disk_messages_are_refused_what_waits_stays_and_can_still_be_finished() {
    let test = "full::on_a_full_disk_messages_are_refused_what_waits_stays_and_can_still_be_finished";
    if let Some(place) = errand(PLACE) {
        return fill(Path::new(&place));
    }
    for options in ["size=300k", "size=300k,nr_inodes=9"] {
        if let Some(run) = on_a_small_disk(test, options) {
            assert!(run.status.success(), "{options}: {}", String::from_utf8_lossy(&run.stderr));
        }
    }
}

fn fill(place: &Path) {
    let spool = Spool::make(&place.join("spool")).unwrap();
    let large = vec![b'x'; 30_000];
    let mut first = spool.add(id(0), entry(60), &mut Text::new(MESSAGE)).unwrap();
    let mut added = 1;
    let error = loop {
        match spool.add(id(added), entry(2), &mut Text::new(large.clone())) {
            Ok(claim) => drop(claim),
            Err(error) => break error,
        }
        added += 1;
        assert!(added < 100, "the disk is not small");
    };
    assert!(said(&error).contains("No space left on device") && said(&error).contains("make room there"), "{}", said(&error));
    assert_eq!(kit::listing(&spool.path().join("queue")).len(), usize::from(added), "something half is there");

    // Not a page is left.
    let filler = fs::File::create(place.join("filler"));
    if let Ok(mut filler) = filler {
        while filler.write_all(&[0; 4096]).is_ok() {}
    }
    let is_full = spool.free().unwrap() == 0;
    let mut state = first.entry.state.clone();
    if is_full {
        let error = first.reserve().unwrap_err();
        assert!(said(&error).contains("making room for what becomes of message"), "{}", said(&error));
        for standing in &mut state.recipients {
            *standing = Standing::Delivered;
        }
        state.attempts = 1;
        state.next = kit::at(500);
        let before = first.entry.clone();
        let mut noted = 0;
        while first.note(state.clone()).is_ok() {
            noted += 1;
            state.attempts += 1;
        }
        let expected = if noted == 0 { &before.state.recipients } else { &state.recipients };
        assert_eq!(&first.entry.state.recipients, expected);
        let attempts = first.entry.state.attempts;
        drop(first);
        first = *claim(&spool, Place::Queue, 0);
        assert_eq!((first.entry.state.attempts, first.entry.state.next), (attempts, kit::at(500)), "it is due at once, for ever");
    }
    for n in 1..added {
        let claim = claim(&spool, Place::Queue, n);
        assert_eq!(octets(&claim), large);
        if n == 1 {
            claim.finish().unwrap();
        }
    }
    first.reserve().unwrap();
    first.note(state.clone()).unwrap();
    drop(first);
    assert_eq!(claim(&spool, Place::Queue, 0).entry.state.recipients, state.recipients);
}

#[test]
fn on_a_disk_that_can_only_be_read_nothing_is_taken_and_all_can_be_looked_at() {
    let test = "full::on_a_disk_that_can_only_be_read_nothing_is_taken_and_all_can_be_looked_at";
    if let Some(place) = errand(PLACE) {
        let spool = Spool::make(&Path::new(&place).join("spool")).unwrap();
        let mut first = add(&spool, 1);
        // The kernel makes no disk read-only while a file on it is open for writing, but a second door to it.
        let bound = std::process::Command::new("mount").args(["--bind", &place, &place]).status().unwrap();
        let read_only = std::process::Command::new("mount").args(["-o", "remount,ro,bind", &place]).status().unwrap();
        assert!(bound.success() && read_only.success());
        let seen = Spool::open(&Path::new(&place).join("spool")).unwrap().unwrap();
        assert_eq!((kit::names(&seen, Place::Queue).len(), kit::names(&seen, Place::Failed).len()), (1, 0));
        assert!(seen.peek(Place::Queue, id(1)).unwrap().is_some());
        let error = seen.add(id(2), entry(1), &mut Text::new(MESSAGE)).unwrap_err();
        assert!(
            said(&error).contains("Read-only file system") && said(&error).contains("mount it for writing"),
            "{}",
            said(&error)
        );
        let error = seen.claim(Place::Queue, id(1)).unwrap_err();
        assert!(said(&error).contains("mount it for writing"), "{}", said(&error));
        assert!(seen.set_aside(Place::Queue, id(1).to_string()).is_err());
        // Whoever had it before goes on where the old door still is.
        first.shift(Place::Held).unwrap();
        return;
    }
    if let Some(run) = on_a_small_disk(test, "size=1m") {
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn with_too_few_descriptors_nothing_is_lost_and_the_words_say_what_to_raise() {
    let test = "full::with_too_few_descriptors_nothing_is_lost_and_the_words_say_what_to_raise";
    if let Some(place) = errand(PLACE) {
        let spool = Spool::open(&Path::new(&place).join("spool")).unwrap().unwrap();
        let mut files = Vec::new();
        let mut left = 0;
        // With none left, then with one more at a time, until all works.
        while let Ok(file) = fs::File::open("/dev/null") {
            files.push(file);
        }
        loop {
            let mut errors = Vec::new();
            errors.extend(spool.add(id(10 + left), entry(2), &mut Text::new(MESSAGE)).err());
            match spool.claim(Place::Queue, id(1)) {
                Ok(Claimed::Ours(mut claim)) => {
                    let state = claim.entry.state.clone();
                    claim.note(state).unwrap();
                    errors.extend(claim.shift(Place::Held).err());
                    errors.extend(claim.shift(Place::Queue).err());
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => errors.push(error),
            }
            errors.extend(spool.names(Place::Queue).err());
            errors.extend(spool.sweep(kit::at(0), kit::at(0)).err());
            if errors.is_empty() {
                break;
            }
            for error in errors {
                assert!(said(&error).contains("ulimit -n"), "{}", said(&error));
            }
            assert!(files.pop().is_some());
            left += 1;
        }
        assert!(left > 0, "there was no lack");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let spool = Spool::make(&scratch.path().join("spool")).unwrap();
    drop(add(&spool, 1));
    let script = "ulimit -n 30; exec \"$@\"";
    let run = again(&["sh", "-c", script, "sh"], test, &[(PLACE, scratch.path().to_str().unwrap())]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let here = kit::names(&spool, Place::Queue);
    assert!(here.len() >= 2 && kit::listing(&spool.path().join("odd")).is_empty(), "{here:?}");
    assert_eq!(octets(&claim(&spool, Place::Queue, 1)), MESSAGE);
}

#[test]
fn a_file_size_limit_refuses_what_is_larger_and_kills_nobody() {
    let test = "full::a_file_size_limit_refuses_what_is_larger_and_kills_nobody";
    if let Some(place) = errand(PLACE) {
        sealpost::host::signals::outlive_file_size_limit();
        let spool = Spool::make(&Path::new(&place).join("spool")).unwrap();
        let error = spool.add(id(1), entry(2), &mut Text::new(vec![b'x'; 9000])).unwrap_err();
        assert!(said(&error).contains("ulimit -f"), "{}", said(&error));
        let mut one = add(&spool, 2);
        let mut state = one.entry.state.clone();
        state.recipients[0] = Standing::Delivered;
        let error = loop {
            match one.note(state.clone()) {
                Ok(()) => state.attempts += 1,
                Err(error) => break error,
            }
        };
        assert!(said(&error).contains("ulimit -f") && state.attempts > 0, "{}", said(&error));
        drop(one);
        let mut one = claim(&spool, Place::Queue, 2);
        assert_eq!((one.entry.state.attempts, octets(&one)), (state.attempts - 1, MESSAGE.to_vec()));
        one.shift(Place::Held).unwrap();
        return one.finish().unwrap();
    }
    let scratch = tempfile::tempdir().unwrap();
    // In blocks of 512 or of 1024 octets.
    let run = again(&["sh", "-c", "ulimit -f 4; exec \"$@\"", "sh"], test, &[(PLACE, scratch.path().to_str().unwrap())]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(kit::listing(&scratch.path().join("spool/queue")), [""; 0]);
}
