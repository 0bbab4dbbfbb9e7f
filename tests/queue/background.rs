//! A run behind the caller's back: nothing of the caller's is kept open, and its configuration is the caller's.

use std::{fs, os::unix::process::CommandExt as _, process::Command};

use crate::{
    common::{MESSAGE, PASSWORD, USER, binary, needs::has, run},
    kit::{self, Door, Mood, arrive, client, files, send, silent},
};

#[test]
fn whoever_waits_for_the_callers_descriptors_to_close_does_not_wait_for_a_run() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Held);
    let sealpost = client(door.port, "mode = \"always\"", "");
    let config = sealpost.scratch.path().join("config.toml");
    // The shell's standard output is open as 9, too; the test reads both to their ends, before the server says a word.
    let script = format!("exec 9>&1; {:?} sendmail -C {config:?} ok@sink.test 9>&1", binary());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("HOME", sealpost.scratch.path());
    let ended = run(command, MESSAGE.as_bytes());
    silent(&ended);
    assert_eq!(files(&sealpost, "queue").len(), 1);
    door.is(Mood::Open);
    arrive(&sink, 1);
}

#[test]
fn whoever_kills_all_that_its_job_left_does_not_kill_a_run() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), "mode = \"always\"", "");
    let config = sealpost.scratch.path().join("config.toml");
    for _ in 0..10 {
        let script = format!("{:?} sendmail -C {config:?} ok@sink.test && kill -9 0", binary());
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("HOME", sealpost.scratch.path()).process_group(0);
        let ended = run(command, MESSAGE.as_bytes());
        assert_eq!((ended.code, ended.stderr.as_str()), (-1, ""), "{ended:?}");
        arrive(&sink, 1);
    }
}

#[test]
fn a_run_finds_the_configuration_and_the_password_that_its_caller_had() {
    let login = || kit::sink_with_login(&[]);
    // From -C with a name that is relative to where the caller is.
    let sink = login();
    let auth = format!("auth = {{ user = {USER:?}, password_env = \"SECRET\", mechanism = \"PLAIN\" }}");
    let mut sealpost = client(sink.address.port(), "mode = \"always\"", &auth);
    sealpost.environment.push(("SECRET".to_owned(), PASSWORD.to_owned()));
    silent(&send(&sealpost, &["ok@sink.test"]));
    arrive(&sink, 1);
    let script = format!("cd {:?} && exec {:?} sendmail -C config.toml ok@sink.test", sealpost.scratch.path(), binary());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("SECRET", PASSWORD).env("HOME", sealpost.scratch.path());
    silent(&run(command, MESSAGE.as_bytes()));
    arrive(&sink, 1);
    // From the environment alone.
    let sink = login();
    let home = sealpost.scratch.path().join("home");
    fs::create_dir(&home).unwrap();
    let mut command = Command::new(binary());
    command.args(["sendmail", "ok@sink.test"]).env_clear().env("HOME", &home).env("XDG_STATE_HOME", &home);
    let port = sink.address.port().to_string();
    for (name, value) in [
        ("HOST", "127.0.0.1"),
        ("PORT", &port),
        ("TLS_POLICY", "off"),
        ("USER", USER),
        ("PASSWORD", PASSWORD),
        ("MECHANISM", "PLAIN"),
        ("QUEUE_MODE", "always"),
        ("QUEUE_DIR", home.join("queue").to_str().unwrap()),
        ("LOG_SYSLOG", "false"),
        ("LOG_FILE", ""),
    ] {
        command.env(format!("SEALPOST_{name}"), value);
    }
    silent(&run(command, MESSAGE.as_bytes()));
    arrive(&sink, 1);
}

#[test]
fn a_send_that_has_nothing_to_do_with_a_queue_does_not_look_for_one() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&[]);
    let mut looked = Vec::new();
    for mode in ["off", "fallback"] {
        let mut sealpost = client(sink.address.port(), &format!("mode = {mode:?}"), "");
        if mode == "fallback" {
            // It was used before, and is empty.
            silent(&send(&sealpost, &["-odq", "ok@sink.test"]));
            kit::drain(&sealpost);
        }
        let trace = sealpost.scratch.path().join("trace").display().to_string();
        sealpost.wrapper = ["strace", "-f", "-qq", "-y", "-s", "200", "-o", &trace].map(str::to_owned).to_vec();
        silent(&send(&sealpost, &["ok@sink.test"]));
        let calls = fs::read_to_string(&trace).unwrap();
        let spool = kit::spool(&sealpost).display().to_string();
        assert!(!calls.contains("clone") && !calls.contains("fork"), "{calls}");
        // The standard library asks for F_GETFD in debug builds.
        let touches = calls.lines().filter(|line| line.contains(&spool) && !line.contains("close(") && !line.contains("F_GETFD"));
        looked.push(touches.map(str::to_owned).collect::<Vec<_>>());
    }
    let [off, fallback] = looked.try_into().unwrap();
    // The spool and its queue are opened and looked at, and pauses asked for.
    assert!(off.is_empty() && fallback.len() <= 9, "{off:#?} {fallback:#?}");
}
