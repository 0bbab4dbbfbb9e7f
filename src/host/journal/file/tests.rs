//! What if the place is not what it should be, the disk is full, or others write too?

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::{Child, Command},
};

use super::*;
use crate::host::journal::tests::Scratch;

/// What a child process reads: the file that it shall write to.
const PLACE: &str = "SEALPOST_TEST_LOG";

fn refusal(path: &Path) -> String {
    append(path, b"{}\n").unwrap_err().render("sendmail")
}

/// This test program once more, for one of the `#[ignore]`d tests, behind a shell command.
fn child(shell: &str, test: &str, log: &Path) -> Child {
    // Its report goes nowhere: where our own goes to a file, a limit on the size of files would stop the report first.
    let script =
        format!("exec >/dev/null 2>&1; {shell} exec \"$0\" --exact host::journal::file::tests::{test} --ignored --nocapture");
    Command::new("sh").args(["-c", &script]).arg(std::env::current_exe().unwrap()).env(PLACE, log).spawn().unwrap()
}

fn place() -> PathBuf {
    std::env::var_os(PLACE).expect("is run by another test").into()
}

#[test]
fn a_full_device_is_said_so() {
    let full = File::options().append(true).open("/dev/full").unwrap();
    let why = put(full, b"{}\n").unwrap_err();
    assert_eq!(why.kind(), ErrorKind::StorageFull);
    let text = failed(Path::new("/x/log.jsonl"), &why).render("sendmail");
    assert_eq!(
        text,
        "sendmail: writing the send log /x/log.jsonl: No space left on device\nsendmail: hint: make room on that file system\n"
    );
}

#[test]
fn eight_threads_write_whole_lines_and_none_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log.jsonl");
    let line = |thread: usize, n: usize| format!("{{\"{thread}\":\"{}\"}}\n", "x".repeat(n));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || (0..50).for_each(|n| append(log, line(thread, n).as_bytes()).unwrap()));
        }
    });
    let mut written: Vec<String> = std::fs::read_to_string(&log).unwrap().split_inclusive('\n').map(str::to_owned).collect();
    let mut wanted: Vec<String> = (0..8).flat_map(|thread| (0..50).map(move |n| line(thread, n))).collect();
    written.sort();
    wanted.sort();
    assert_eq!(written, wanted);
}

#[test]
fn a_torn_line_stands_alone_and_the_next_one_is_whole() {
    let scratch = Scratch::new();
    fs::write(scratch.log(), "{\"a\":1}\n{\"time\":\"20").unwrap();
    append(&scratch.log(), b"{\"b\":2}\n").unwrap();
    append(&scratch.log(), b"{\"c\":3}\n").unwrap();
    assert_eq!(fs::read_to_string(scratch.log()).unwrap(), "{\"a\":1}\n{\"time\":\"20\n{\"b\":2}\n{\"c\":3}\n");
}

#[test]
fn a_lock_that_is_never_given_up_costs_a_moment_and_no_line() {
    let scratch = Scratch::new();
    append(&scratch.log(), b"{\"a\":1}\n").unwrap();
    let holder = File::open(scratch.log()).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    append(&scratch.log(), b"{\"b\":2}\n").unwrap();
    assert_eq!(fs::read_to_string(scratch.log()).unwrap(), "{\"a\":1}\n{\"b\":2}\n");
}

#[test]
fn a_disk_that_fills_up_within_a_line_tears_that_line_only() {
    let scratch = Scratch::new();
    append(&scratch.log(), &[&[b'a'; 299][..], b"\n"].concat()).unwrap();
    // A limit of one block (512 octets in dash, 1024 in bash) takes a part of the child's line.
    let status = child("trap '' XFSZ; ulimit -f 1;", "writes_into_the_limit", &scratch.log()).wait().unwrap();
    assert!(status.success());
    append(&scratch.log(), b"{\"c\":3}\n").unwrap();
    let text = fs::read_to_string(scratch.log()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].bytes().all(|b| b == b'a') && lines[1].bytes().all(|b| b == b'b') && lines[1].len() < 900, "{text}");
    assert_eq!(lines[2], "{\"c\":3}");
}

#[test]
#[ignore = "run by a_disk_that_fills_up_within_a_line_tears_that_line_only"]
fn writes_into_the_limit() {
    let line = [&[b'b'; 999][..], b"\n"].concat();
    let error = append(&place(), &line).unwrap_err();
    assert!(error.summary().ends_with("File too large"), "{error}");
    assert!(error.advice().unwrap().contains("ulimit -f"));
}

#[test]
fn eight_processes_write_whole_lines() {
    let scratch = Scratch::new();
    let children: Vec<_> = (0..8).map(|_| child("", "writes_two_hundred_lines", &scratch.log())).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let text = fs::read_to_string(scratch.log()).unwrap();
    assert_eq!(text.lines().count(), 1600);
    for line in text.lines() {
        assert!(line.len() == 3000 && line.bytes().all(|b| b == line.as_bytes()[0]));
    }
}

#[test]
#[ignore = "run by eight_processes_write_whole_lines"]
fn writes_two_hundred_lines() {
    let letter = b'a' + u8::try_from(std::process::id() % 26).unwrap();
    let line = [&[letter; 3000][..], b"\n"].concat();
    (0..200).for_each(|_| append(&place(), &line).unwrap());
}

#[test]
fn a_fifo_is_refused_and_does_not_hang() {
    let scratch = Scratch::new();
    rustix::fs::mknodat(rustix::fs::CWD, scratch.log(), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert!(refusal(&scratch.log()).contains("it is a FIFO"));
}

#[test]
fn links_are_refused_and_what_they_point_to_is_left_alone() {
    let scratch = Scratch::new();
    let victim = scratch.0.join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, scratch.log()).unwrap();
    assert!(refusal(&scratch.log()).contains("symbolic links are not followed"));
    fs::remove_file(scratch.log()).unwrap();
    symlink(scratch.0.join("nothing"), scratch.log()).unwrap();
    assert!(refusal(&scratch.log()).contains("symbolic links are not followed"));
    fs::remove_file(scratch.log()).unwrap();
    fs::hard_link(&victim, scratch.log()).unwrap();
    assert!(refusal(&scratch.log()).contains("hard link"));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!scratch.0.join("nothing").exists());
}

#[test]
fn devices_are_refused_but_the_null_device() {
    assert!(refusal(Path::new("/dev/full")).contains("not a regular file"));
    assert!(append(Path::new("/dev/null"), b"{}\n").is_ok());
    assert!(refusal(Path::new("/dev")).contains("Is a directory"));
}

#[test]
fn a_place_where_nobody_may_write_is_an_error_with_a_hint() {
    let scratch = Scratch::new();
    fs::set_permissions(&scratch.0, Permissions::from_mode(0o500)).unwrap();
    // Root may write there all the same, but not beside the processes of the kernel.
    let directory = if geteuid().is_root() { Path::new("/proc/self") } else { scratch.0.as_path() };
    let text = refusal(&directory.join("log.jsonl"));
    assert!(text.contains("writing the send log") && text.contains("hint: "), "{text}");
    fs::set_permissions(&scratch.0, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_of_another_user_in_a_directory_of_a_third_is_refused() {
    let scratch = Scratch::new();
    let me = geteuid().as_raw();
    assert!(owner_is_ours(0, &scratch.log()) && owner_is_ours(me, &scratch.log()));
    assert!(!owner_is_ours(me + 4242, &scratch.log()));
    assert!(owner_is_ours(fs::metadata("/").unwrap().uid(), Path::new("/log.jsonl")));
}

#[test]
fn a_file_that_may_only_be_written_gets_its_line() {
    let scratch = Scratch::new();
    append(&scratch.log(), b"{\"a\":1}\n").unwrap();
    fs::set_permissions(scratch.log(), Permissions::from_mode(0o200)).unwrap();
    append(&scratch.log(), b"{\"b\":2}\n").unwrap();
    fs::set_permissions(scratch.log(), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read_to_string(scratch.log()).unwrap(), "{\"a\":1}\n{\"b\":2}\n");
}

#[test]
fn the_umask_does_not_change_who_may_read() {
    let scratch = Scratch::new();
    assert!(child("umask 0777;", "writes_one_line", &scratch.log()).wait().unwrap().success());
    let mode = fs::metadata(scratch.log()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, if geteuid().is_root() { 0o640 } else { 0o600 });
}

#[test]
fn the_standard_streams_go_by_name() {
    let scratch = Scratch::new();
    let output = scratch.0.join("output");
    let shell = format!("exec 1>'{}';", output.display());
    assert!(child(&shell, "writes_to_stdout", Path::new("/dev/stdout")).wait().unwrap().success());
    assert!(fs::read_to_string(&output).unwrap().contains("{\"one\":1}\n"));
}

#[test]
#[ignore = "run by the_standard_streams_go_by_name"]
fn writes_to_stdout() {
    append(&place(), b"{\"one\":1}\n").unwrap();
}

#[test]
#[ignore = "run by the_umask_does_not_change_who_may_read"]
fn writes_one_line() {
    append(&place(), b"{\"one\":1}\n").unwrap();
}
