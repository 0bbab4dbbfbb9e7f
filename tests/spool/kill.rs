//! Is nothing lost and nothing half there, at whatever call the process is killed?

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path};

use sealpost::host::spool::Spool;

use crate::{
    kit::{self, again_watched, errand, has},
    story::{self, Progress},
    trace::counted,
};

/// Where the process that is to die works.
const PLACE: &str = "SPOOL_TEST_KILL";

/// What changes something, or decides whether something is changed.
const CALLS: &str = "mkdir,mkdirat,open,openat,flock,fchmod,fchmodat,fchown,write,pwrite64,ftruncate,fallocate,utimensat,fsync,fdatasync,\
renameat2,linkat,unlinkat";

#[test]
fn whoever_is_killed_at_whatever_call_leaves_every_message_whole_and_where_it_was_said_to_be() {
    let test = "kill::whoever_is_killed_at_whatever_call_leaves_every_message_whole_and_where_it_was_said_to_be";
    if let Some(place) = errand(PLACE) {
        let log = story::log(&Path::new(&place).join("log"));
        kit::watch();
        let spool = Spool::make(&Path::new(&place).join("spool")).unwrap();
        for (n, life) in story::lives() {
            story::live(&spool, n, &life, &log);
        }
        return;
    }
    if !has("strace", test) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (place, file) = (scratch.path().join("0"), scratch.path().join("trace"));
    fs::create_dir(&place).unwrap();
    let run = again_watched(&["-e", &format!("trace={CALLS}"), "-o", file.to_str().unwrap()], test, (PLACE, &place));
    if !kit::may_watch(&run, test) {
        return;
    }
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let ended = Progress::read(&fs::read_to_string(place.join("log")).unwrap());
    story::judge(&place.join("spool"), &ended).unwrap();

    let text = fs::read_to_string(&file).unwrap();
    let calls = counted(&text);
    assert!(calls.len() > 100, "only {} calls: is this the trace?", calls.len());
    let (mut killed, mut lost) = (0, Vec::new());
    for (call, nth, _) in &calls {
        let place = scratch.path().join(format!("{call}-{nth}"));
        fs::create_dir(&place).unwrap();
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        let options = ["-e", &format!("trace={call}"), "-e", &inject, "-o", "/dev/null"];
        let run = again_watched(&options, test, (PLACE, &place));
        killed += usize::from(run.status.signal() == Some(9));
        let text = fs::read_to_string(place.join("log")).unwrap_or_default();
        let wrong = story::judge(&place.join("spool"), &Progress::read(&text)).err();
        lost.extend(wrong.map(|why| format!("killed at {call} {nth}: {why}")));
        fs::remove_dir_all(&place).unwrap();
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
    assert_eq!(killed, calls.len(), "not each of the calls was the end");
}
