//! Does each name of the program, and each mistake on its command line, get the answer that callers rely on? (sealpost(1))

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    io::{ErrorKind, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixDatagram, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

/// What the mistakes of these tests leave in a log is nobody's business, and neither is what waits on this machine: the configuration
/// keeps no log, and its queue is not there.
fn silent() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("dispatch-{}.toml", std::process::id()));
        let text = "[log]\nfile = \"\"\nsyslog = false\n[queue]\ndir = \"/nonexistent/queue\"\n\
                    [accounts.nowhere]\nhost = \"127.0.0.1\"\nport = 9\n";
        std::fs::write(&path, text).unwrap();
        path
    })
}

fn sealpost(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
    command
        .arg0(name)
        .args(args)
        .env_clear()
        .env("SEALPOST_CONFIG", silent())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn answer(name: &str, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = sealpost(name, args).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_name_of_the_program_chooses_the_command_line() {
    for (name, args, exit, stdout) in [
        ("mailq", &[][..], 0, "Mail queue is empty\n"),
        ("/usr/bin/mailq", &["-v", "-Ac"], 0, "Mail queue is empty\n"),
        ("/usr/sbin/sendmail", &["-bp"], 0, "Mail queue is empty\n"),
        ("sendmail", &["-bP"], 0, "0\n"),
        ("sendmail", &["-q"], 0, ""),
        ("/usr/lib/sendmail", &["-q30m"], 0, ""),
        ("sendmail", &["-bh"], 0, ""),
        ("sealpost", &["sendmail", "-bp"], 0, "Mail queue is empty\n"),
    ] {
        assert_eq!(answer(name, args), (exit, stdout.to_owned(), String::new()), "{name} {args:?}");
    }
    for name in ["sendmail", "send-mail"] {
        assert!(answer(name, &["--help"]).1.contains("\nUsage: sendmail "), "{name}");
    }
    assert!(answer("sealpost", &["sendmail", "--help"]).1.contains("\nUsage: sendmail "));
    assert!(answer("sealpost", &["--help"]).1.contains("\nUsage: sealpost "));
    let version = format!("sealpost {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(answer("sendmail", &["--version"]), (0, version.clone(), String::new()));
    assert_eq!(answer("sealpost", &["--version"]), (0, version, String::new()));
}

#[test]
fn a_mistake_is_told_on_standard_error_with_the_name_of_the_program_and_advice() {
    for (name, args, exit) in [
        ("/usr/sbin/sendmail", &[][..], 64),
        ("sendmail", &["-Z", "bob@x"], 64),
        ("sendmail", &["bob@x", "-f", "a@x"], 64),
        ("sendmail", &["bob@x\nRCPT TO:<evil@x>"], 64),
        ("sendmail", &["-bt"], 64),
        ("sendmail", &["-bd", "-q30m"], 69),
        ("sealpost", &["sendmail", "-q", "bob@x"], 64),
        ("mailq", &["bob@x"], 64),
    ] {
        let (code, stdout, stderr) = answer(name, args);
        let name = if name == "sealpost" { "sendmail" } else { name.rsplit('/').next().unwrap() };
        assert_eq!((code, stdout.as_str()), (exit, ""), "{args:?}");
        assert!(stderr.starts_with(&format!("{name}: ")) && stderr.lines().count() == 2, "{args:?}: {stderr:?}");
        assert!(stderr.contains(&format!("\n{name}: hint: ")), "{args:?}: {stderr:?}");
    }
}

#[test]
fn the_native_command_line_returns_64_for_a_mistake_and_help_on_standard_output() {
    for args in [&[][..], &["foo"], &["config"], &["config", "check", "--jsn"], &["completions", "csh"]] {
        let (code, stdout, stderr) = answer("sealpost", args);
        assert_eq!((code, stdout.as_str()), (64, ""), "{args:?}");
        assert!(!stderr.is_empty(), "{args:?}");
    }
    assert_eq!(answer("sealpost", &["help", "config"]).0, 0);
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, stderr) = answer("sealpost", &["completions", shell]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(script.contains("completions"), "{shell}");
    }
}

#[test]
fn who_asks_in_json_hears_of_a_fault_in_json_too() {
    for action in ["check", "show", "path"] {
        let (code, stdout, stderr) = answer("sealpost", &["config", action, "--json", "-C", "/nonexistent/c.toml"]);
        let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, &told["ok"], stdout.lines().count()), (78, &false.into(), 1), "{action}");
        assert_eq!(told["error"], "reading /nonexistent/c.toml: the file does not exist", "{action}");
        assert!(told["hint"].is_string() && stderr.starts_with("sealpost: reading /nonexistent/c.toml: "), "{action}: {stderr}");
    }
}

#[test]
fn oeq_keeps_a_mistake_silent() {
    assert_eq!(answer("sendmail", &["-oeq", "-Z", "bob@x"]), (64, String::new(), String::new()));
}

#[test]
fn the_message_is_read_to_its_end_before_a_mistake_is_told() {
    let mut child = sealpost("sendmail", &["-Z", "bob@x"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than any pipe holds: a reader that leaves makes this fail with EPIPE.
    stdin.write_all(&vec![b'x'; 1 << 20]).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(64));
}

#[test]
fn a_mode_without_a_message_does_not_wait_for_one() {
    for (name, args) in [("mailq", &[][..]), ("mailq", &["-Z"]), ("sendmail", &["-q"]), ("sendmail", &["-bd"])] {
        let mut child = sealpost(name, args).stdin(Stdio::piped()).spawn().unwrap();
        let open = child.stdin.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(stderr.read_to_end(&mut Vec::new()).is_ok()));
        let ended = told.recv_timeout(Duration::from_secs(20));
        child.kill().unwrap();
        child.wait().unwrap();
        drop(open);
        assert_eq!(ended, Ok(true), "{name} {args:?}");
    }
}

#[test]
fn a_mistake_is_told_in_one_write() {
    // A datagram for each write.
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let status = sealpost("sendmail", &["-Z", "bob@x"]).stderr(OwnedFd::from(theirs)).status().unwrap();
    assert_eq!(status.code(), Some(64));
    ours.set_nonblocking(true).unwrap();
    let mut text = [0; 1000];
    let length = ours.recv(&mut text).unwrap();
    assert_eq!(String::from_utf8_lossy(&text[..length]).lines().count(), 2);
    match ours.recv(&mut text) {
        Ok(length) => assert_eq!(length, 0, "a second write"),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused));
        }
    }
}

#[test]
fn closed_standard_files_change_no_exit_code() {
    for (args, exit) in [("-bp", 0), ("-Z", 64)] {
        let line = format!("exec -a sendmail \"$0\" {args} <&- >&- 2>&-");
        let status = Command::new("bash").args(["-c", &line, env!("CARGO_BIN_EXE_sealpost")]).status().unwrap();
        assert_eq!(status.code(), Some(exit), "{args}");
    }
}

#[test]
fn a_home_that_is_no_absolute_path_is_none_wherever_the_caller_stands() {
    let scratch = tempfile::tempdir().unwrap();
    let beside = scratch.path().join("rel/.config/sealpost");
    std::fs::create_dir_all(&beside).unwrap();
    std::fs::create_dir_all(scratch.path().join("rel/sealpost")).unwrap();
    for directory in [beside, scratch.path().join("rel/sealpost")] {
        std::fs::write(directory.join("config.toml"), "[accounts.planted]\nhost = \"planted.test\"\n").unwrap();
    }
    let home = scratch.path().join("home");
    let home = home.to_str().unwrap();
    for variables in [
        &[("HOME", "rel")][..],
        &[("HOME", "./rel")],
        &[("HOME", home), ("XDG_CONFIG_HOME", "rel"), ("XDG_STATE_HOME", "rel")],
        &[("HOME", "rel"), ("XDG_CONFIG_HOME", "rel"), ("XDG_STATE_HOME", "rel")],
    ] {
        for args in [&["config", "path"][..], &["config", "show"], &["trust", "list"], &["log"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
            command.args(args).env_clear().envs(variables.iter().copied()).current_dir(scratch.path());
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(!said.contains("rel/") && !said.contains("planted"), "{variables:?}, {args:?}: {said}");
        }
    }
    // Nothing was made there.
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(scratch.path().join("rel")).unwrap().count(), 2);
}
