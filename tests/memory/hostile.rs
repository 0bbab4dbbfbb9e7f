//! Whatever stands in the memory's place: the mail goes, somebody hears of it, and nothing that is not ours is touched.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use sealpost::host::memory::Servers;

use crate::{
    common::{
        Sealpost,
        needs::{has, is_root},
    },
    kit::{self, Door, arrived, client, file, key, listing, rewrite, seen, send},
};

type Plant = fn(&Path);

/// What is left alone, and a word of the warning.
const FOREIGN: [(&str, Plant, &str); 6] = [
    ("a FIFO", fifo, "not a regular file"),
    ("a directory", |path| fs::create_dir(path).unwrap(), "not a regular file"),
    ("a link", link, "symbolic link"),
    ("a link to itself", |path| symlink(path, path).unwrap(), "symbolic link"),
    ("one that others write", writable, "others may write"),
    ("a later version", |path| fs::write(path, "{\"version\": 7, \"servers\": {}}").unwrap(), "a later version"),
];

/// What is ours and no memory.
const SPOILT: [(&str, Plant, &str); 5] = [
    ("nothing", |path| fs::write(path, "").unwrap(), "not JSON"),
    ("garbage", |path| fs::write(path, [0xff, 0, 7, b'\n', 0x1b]).unwrap(), "not JSON"),
    ("half of it", |path| fs::write(path, "{\"version\": 1, \"servers\": {\"a.test:25\"").unwrap(), "not JSON"),
    ("a broken key", |path| fs::write(path, "{\"version\": 1, \"servers\": {\"a\\u001b[2J\": {\"key\": 7}}}").unwrap(), "broken"),
    ("five megabytes", |path| fs::write(path, "x".repeat(5 << 20)).unwrap(), "larger than 4 MiB"),
];

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn link(path: &Path) {
    fs::write(path.with_file_name("elsewhere"), Servers::default().text().unwrap()).unwrap();
    symlink("elsewhere", path).unwrap();
}

fn writable(path: &Path) {
    fs::write(path, Servers::default().text().unwrap()).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
}

/// A send that goes on as if nothing were remembered, with one warning that has `word` in it.
fn assert_goes(sealpost: &Sealpost, what: &str, word: &str) {
    let run = send(sealpost);
    assert_eq!(seen(&run), (0, "sent", "unverified", "", false), "{what}: {run:?}");
    assert_eq!(run.stderr.lines().count(), 2, "one warning with its hint: {what}: {run:?}");
    assert!(run.stderr.contains(word) && run.stderr.contains("\nsendmail: hint: "), "{what}: {run:?}");
    assert!(!run.stderr.chars().any(|c| c.is_control() && c != '\n'), "{what}: {run:?}");
    let is_tofu = run.field("/tls/trust") == "tofu";
    assert_eq!(run.field("/tls/detail").contains(word), is_tofu, "{what}: {run:?}");
}

#[test]
fn what_is_not_ours_is_said_passed_over_and_left_as_it_is() {
    let sink = kit::sink(&[]);
    for tls in ["trust = \"tofu\"", "policy = \"opportunistic\", trust = \"any\""] {
        for (what, plant, word) in FOREIGN {
            let door = Door::to(&sink);
            let sealpost = client(&door, tls, "");
            plant(&file(&sealpost));
            fs::write(sealpost.scratch.path().join("log.jsonl"), "").unwrap();
            let mut before = listing(&sealpost);
            for _ in 0..2 {
                assert_goes(&sealpost, what, word);
            }
            let mut after = listing(&sealpost);
            for listing in [&mut before, &mut after] {
                listing.remove("log.jsonl");
            }
            assert_eq!(before, after, "{what}");
        }
    }
}

#[test]
fn what_is_spoilt_is_kept_under_another_name_and_a_new_memory_begins() {
    let sink = kit::sink(&[]);
    for tls in ["trust = \"tofu\"", "policy = \"opportunistic\", trust = \"any\""] {
        for (what, plant, word) in SPOILT {
            let door = Door::to(&sink);
            let sealpost = client(&door, tls, "");
            plant(&file(&sealpost));
            let text = fs::read(file(&sealpost)).unwrap();
            assert_goes(&sealpost, what, word);
            assert_eq!(fs::read(sealpost.scratch.path().join("memory.json.corrupt-1")).unwrap(), text, "{what}");
            let run = send(&sealpost);
            assert_eq!((run.code, run.oddities()), (0, Vec::new()), "{what}: {run:?}");
            assert!(kit::remembered(&sealpost).get(&door.name()).unwrap().was_sealed());
        }
    }
}

#[test]
fn who_refuses_downgrades_takes_an_unreadable_memory_for_the_worst() {
    let (good, bad) = (kit::sink(&[]), kit::sink(&["no-starttls"]));
    for (what, plant, word) in FOREIGN.into_iter().chain(SPOILT) {
        // A key that can't be known: nothing is even connected to.
        let door = Door::to(&good);
        let sealpost = client(&door, "trust = \"tofu\", on_downgrade = \"refuse\"", "");
        plant(&file(&sealpost));
        let run = send(&sealpost);
        assert_eq!(seen(&run), (75, "deferred", "none", "validation-failure", false), "{what}: {run:?}");
        assert!(run.stderr.contains(word) && run.field("/tls/detail").contains(word), "{what}: {run:?}");
        assert_eq!((arrived(&good), run.last()["tls"]["certificate"].is_null(), run.oddities()), (0, true, Vec::new()), "{what}");

        // Plaintext that may be less than before. TLS is not.
        let door = Door::to(&bad);
        let sealpost = client(&door, "policy = \"opportunistic\", trust = \"any\", on_downgrade = \"refuse\"", "");
        plant(&file(&sealpost));
        let run = send(&sealpost);
        assert_eq!(seen(&run), (75, "deferred", "none", "starttls-not-supported", false), "{what}: {run:?}");
        assert!(run.field("/tls/detail").contains(word), "{what}: {run:?}");
        // The hint is one that helps: nothing can be forgotten of such a memory.
        assert!(run.stderr.contains("is not known: reading the memory") && !run.stderr.contains("trust forget"), "{what}: {run:?}");
        let config = sealpost.scratch.path().join("config.toml");
        let check = sealpost.command(&["check", "--json", "-C", config.to_str().unwrap()], b"");
        let report: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
        let told = &report["accounts"][0];
        assert!(told["hint"].as_str().is_some_and(|hint| hint.contains(word)), "{what}: {told}");
        assert!(told["advice"].to_string().contains("memory.json: "), "{what}: {told}");
        door.lead_to(&good);
        assert_goes(&sealpost, what, word);
        assert_eq!((arrived(&bad), arrived(&good)), (0, 1));
    }
}

#[test]
fn plaintext_of_which_nobody_can_tell_whether_it_is_less_than_before_is_noted_so() {
    let bad = kit::sink(&["no-starttls"]);
    for (what, plant, word) in FOREIGN.into_iter().chain(SPOILT) {
        let sealpost = client(&Door::to(&bad), "policy = \"opportunistic\", trust = \"any\"", "");
        plant(&file(&sealpost));
        let run = send(&sealpost);
        assert_eq!(seen(&run), (0, "sent", "plaintext", "starttls-not-supported", false), "{what}: {run:?}");
        let detail = run.field("/tls/detail");
        assert!(detail.contains("is not known: reading the memory") && detail.contains(word), "{what}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 2, "one warning with its hint: {what}: {run:?}");
    }
}

#[test]
fn a_memory_that_can_not_be_written_is_said_and_the_mail_goes() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let sealpost = client(&door, "trust = \"tofu\"", "");
    for (file, word) in [
        ("/proc/sealpost/memory.json", "writing the memory of servers /proc/sealpost/memory.json: "),
        ("/nonexistent/memory.json", "No such file or directory"),
        ("/dev/null/sealpost/memory.json", "Not a directory"),
        ("config.toml/memory.json", "Not a directory"),
    ] {
        rewrite(&sealpost, "file = \"memory.json\"", &format!("file = {file:?}"));
        for _ in 0..2 {
            assert_goes(&sealpost, file, word);
        }
        rewrite(&sealpost, &format!("file = {file:?}"), "file = \"memory.json\"");
    }
    assert_eq!(arrived(&sink), 8);
}

#[test]
fn a_full_or_broken_disk_leaves_what_was_remembered_as_it_was() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    for (call, error) in
        [("fsync", "ENOSPC"), ("fchmod", "EROFS"), ("renameat", "EIO"), ("flock", "ENOLCK"), ("unlinkat", "EACCES")]
    {
        let mut sealpost = client(&door, "trust = \"tofu\"", "");
        kit::seed(&sealpost);
        fs::write(file(&sealpost).with_file_name("memory.json.new"), "left by a process that was killed").unwrap();
        let before = fs::read(file(&sealpost)).unwrap();
        let inject = format!("inject={call}:error={error}:when=1");
        sealpost.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_owned).to_vec();
        assert_goes(&sealpost, call, "writing the memory of servers");
        assert_eq!(fs::read(file(&sealpost)).unwrap(), before, "{call}");
        sealpost.wrapper.clear();
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), ((0, "sent", "unverified", "", false), Vec::new()), "{call}: {run:?}");
        assert!(key(&sealpost, &door).is_some() && kit::is_seeded(&sealpost));
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_survived() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let mut sealpost = client(&door, "trust = \"tofu\"", "");
    let log = sealpost.scratch.path().join("log.jsonl").display().to_string();
    rewrite(&sealpost, &format!("file = {log:?}"), "file = \"\"");
    sealpost.wrapper = ["sh", "-c", "ulimit -f 0; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    let run = send(&sealpost);
    assert_eq!((run.code, run.stderr.lines().count()), (0, 2), "{run:?}");
    assert!(run.stderr.contains("File too large") && run.stderr.contains("ulimit"), "{run:?}");
    assert!(!file(&sealpost).exists() && !file(&sealpost).with_file_name("memory.json.new").exists());
}

/// A configuration that everybody may read, and a directory that `user` may not write; sends run as that user.
fn as_nobody(sealpost: &mut Sealpost) {
    let config = sealpost.scratch.path().join("config.toml");
    let log = sealpost.scratch.path().join("log.jsonl").display().to_string();
    rewrite(sealpost, &format!("file = {log:?}"), "file = \"\"");
    fs::set_permissions(config, Permissions::from_mode(0o644)).unwrap();
    sealpost.wrapper = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"].map(str::to_owned).to_vec();
}

#[test]
fn the_systems_memory_is_no_business_of_a_user_whose_mail_goes_all_the_same() {
    if !is_root() || !has("setpriv") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let mut sealpost = client(&door, "trust = \"tofu\"", "");
    assert_eq!(send(&sealpost).code, 0);
    let before = fs::read(file(&sealpost)).unwrap();
    as_nobody(&mut sealpost);
    // Root's own file, which only root may read; then one that all may read, and only root write.
    let run = send(&sealpost);
    assert_eq!((run.code, run.stderr.lines().count()), (0, 2), "{run:?}");
    assert!(run.stderr.contains("Permission denied") && run.stderr.contains("name another file in [memory]"), "{run:?}");
    fs::set_permissions(file(&sealpost), Permissions::from_mode(0o644)).unwrap();
    let run = send(&sealpost);
    assert_eq!((run.code, run.stderr.lines().count()), (0, 2), "{run:?}");
    assert!(run.stderr.contains("writing the memory of servers"), "{run:?}");
    assert_eq!(fs::read(file(&sealpost)).unwrap(), before);
}

#[test]
fn a_user_has_a_memory_of_its_own_and_without_a_home_none_which_is_said() {
    if !is_root() || !has("setpriv") {
        return;
    }
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    let mut sealpost = client(&door, "trust = \"tofu\"", "");
    rewrite(&sealpost, "[memory]\nfile = \"memory.json\"\n", "");
    as_nobody(&mut sealpost);
    let home = sealpost.scratch.path().join("state");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(54321), Some(54321)).unwrap();
    sealpost.environment = vec![("XDG_STATE_HOME".to_owned(), home.display().to_string())];
    for _ in 0..2 {
        let run = send(&sealpost);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    }
    let own = fs::metadata(home.join("sealpost/memory.json")).unwrap();
    assert_eq!(own.permissions().mode() & 0o777, 0o600);

    sealpost.wrapper.extend(["env", "-u", "HOME", "-u", "XDG_STATE_HOME"].map(str::to_owned));
    let run = send(&sealpost);
    assert_eq!((run.code, run.stderr.lines().count()), (0, 2), "{run:?}");
    assert!(run.stderr.contains("no home directory is known"), "{run:?}");
}

#[test]
fn trust_on_first_use_without_a_memory_is_a_mistake_with_its_place() {
    let sink = kit::sink(&[]);
    let sealpost = client(&Door::to(&sink), "trust = \"tofu\"", "");
    rewrite(&sealpost, "file = \"memory.json\"", "file = \"\"");
    let run = send(&sealpost);
    assert_eq!(run.code, 78, "{run:?}");
    assert!(run.stderr.contains("config.toml:8:1: trust = \"tofu\" of account relay needs a memory"), "{run:?}");
}
