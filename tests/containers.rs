//! Does it work where nothing is: configured by the environment alone, as a uid that nobody knows, on a disk that takes nothing?
//!
//! As containers start programs. The parts that need root (another uid, mounts) say that they were skipped where it is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "callers/recorder.rs"]
#[allow(dead_code, reason = "the recorded callers use the rest")]
mod recorder;
#[path = "system/smarthost.rs"]
#[allow(dead_code, reason = "the system tests use the rest")]
mod smarthost;

use std::process::Command;

use common::{PASSWORD, Run, Scratch, USER, needs::skip, run};
use recorder::{Mail, Recorder};
use smarthost::smarthost;

const MESSAGE: &str = "Subject: backup done\nTo: you@dest.example\nBcc: boss@dest.example\n\nall is well\n";

/// `sendmail -t` with nothing in its environment but `variables`; `wrapper` stands before it.
fn send(wrapper: &[&str], variables: &[(&str, &str)], message: &str) -> Run {
    let scratch = Scratch::new();
    let program = scratch.path().join("sendmail");
    common::install(&program);
    let words = wrapper.iter().map(Into::into).chain([program]);
    let words: Vec<std::path::PathBuf> = words.collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["-t", "-i"]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command.envs(variables.iter().copied());
    run(command, message.as_bytes())
}

/// The same to a recorder, which must get exactly one message.
fn sent(wrapper: &[&str], variables: &[(&str, &str)]) -> (Run, Mail) {
    let recorder = Recorder::start(false);
    let port = recorder.port().to_string();
    let smarthost = [("SEALPOST_HOST", "127.0.0.1"), ("SEALPOST_PORT", &port), ("SEALPOST_TLS_POLICY", "off")];
    let run = send(wrapper, &[&smarthost, variables].concat(), MESSAGE);
    let mut seen = recorder.finish();
    assert_eq!((run.code, seen.mails.len()), (0, 1), "{run:?}");
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    (run, seen.mails.remove(0))
}

fn recipients(mail: &Mail) -> Vec<&str> {
    mail.recipients.iter().map(|recipient| recipient.address.as_str()).collect()
}

fn is_root(part: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(format_args!("{part} needs root"));
    }
    root
}

#[test]
fn the_environment_alone_is_a_configuration() {
    let variables = [("SEALPOST_FROM", "app@shop.example"), ("SEALPOST_MAIL_DOMAIN", "shop.example"), ("SEALPOST_LOG_FILE", "")];
    let (_, mail) = sent(&[], &variables);
    assert_eq!((mail.from.as_str(), recipients(&mail)), ("app@shop.example", vec!["you@dest.example", "boss@dest.example"]));
    let data = String::from_utf8(mail.data).unwrap();
    assert!(data.contains("<app@shop.example>") || data.contains("From: app@shop.example"), "{data}");
    assert!(!data.contains("boss"), "{data}");
}

#[test]
fn local_names_of_an_image_without_aliases_go_to_who_catches_all() {
    let recorder = Recorder::start(false);
    let port = recorder.port().to_string();
    let variables = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", port.as_str()),
        ("SEALPOST_TLS_POLICY", "off"),
        ("SEALPOST_CATCH_ALL", "admin@shop.example"),
        ("SEALPOST_FROM", "%U@shop.example"),
        ("SEALPOST_ALIASES", ""),
        ("SEALPOST_LOG_FILE", ""),
    ];
    let run = send(&[], &variables, "To: root, www-data@localhost, you@dest.example\n\nhi\n");
    let seen = recorder.finish();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(recipients(&seen.mails[0]), ["admin@shop.example", "you@dest.example"]);
    let login = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().map_or_else(String::new, |user| user.name);
    assert_eq!(seen.mails[0].from, format!("{login}@shop.example"));
}

#[test]
fn a_password_comes_from_the_file_that_a_variable_names() {
    let Some(smarthost) = smarthost() else { return };
    let secrets = Scratch::new();
    let file = secrets.write("smtp_password", format!("{PASSWORD}\n"));
    let port = smarthost.port("plain-auth").to_string();
    let file = file.display().to_string();
    let variables = [
        ("SEALPOST_HOST", "127.0.0.1"),
        ("SEALPOST_PORT", port.as_str()),
        ("SEALPOST_TLS_POLICY", "off"),
        ("SEALPOST_USER", USER),
        ("SEALPOST_PASSWORD_FILE", &file),
        ("SEALPOST_MECHANISM", "PLAIN"),
        ("SEALPOST_FROM", "app@client.test"),
        ("SEALPOST_LOG_FILE", ""),
    ];
    let mark = secrets.path().file_name().unwrap().to_str().unwrap();
    let message = format!("To: ok@sink.test\nSubject: {mark}\n\nall is well\n");
    let run = send(&[], &variables, &message);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let delivered = String::from_utf8(smarthost.delivered(mark)).unwrap();
    assert!(delivered.contains(&format!("(Authenticated sender: {USER}")), "{delivered}");
    std::fs::remove_file(&file).unwrap();
    let run = send(&[], &variables, &message);
    assert_eq!(run.code, 78, "{run:?}");
    assert!(run.stderr.contains(&file) && !run.stderr.contains(PASSWORD), "{run:?}");
}

/// What stands before the program: `sh -c SCRIPT` with mounts of its own, where `$SEALPOST_PASSWORD_FILE` is the secret, and then uid 12345.
fn mounting(script: &str) -> Vec<String> {
    let script =
        format!("set -e; mount --make-rprivate /; {script}; exec setpriv --reuid=12345 --regid=12345 --clear-groups \"$@\"");
    ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

#[test]
fn a_home_that_is_nowhere_in_particular_is_none() {
    let place = Scratch::new();
    common::install(&place.path().join("sendmail"));
    for name in ["HOME", "XDG_STATE_HOME"] {
        let recorder = Recorder::start(false);
        let port = recorder.port().to_string();
        let mut command = Command::new(place.path().join("sendmail"));
        command.arg("-t").env_clear().current_dir(place.path()).env("HOME", "/nonexistent/home").env(name, "home");
        // The state of root is the system's, unless the configuration is root's own.
        if rustix::process::geteuid().is_root() {
            std::os::unix::process::CommandExt::uid(&mut command, 65_534);
            std::os::unix::fs::chown(place.path(), Some(65_534), None).unwrap();
        }
        command.envs([("SEALPOST_HOST", "127.0.0.1"), ("SEALPOST_PORT", &port), ("SEALPOST_TLS_POLICY", "off")]);
        command.env("SEALPOST_MAIL_DOMAIN", "shop.example");
        let run = run(command, MESSAGE.as_bytes());
        assert_eq!((run.code, recorder.finish().mails.len()), (0, 1), "{name}: {run:?}");
        assert!(!place.path().join("home").exists(), "{name}");
    }
}

#[test]
fn secrets_that_a_runtime_mounts_are_taken_with_the_modes_that_they_have() {
    if !is_root("a mount") {
        return;
    }
    let Some(smarthost) = smarthost() else { return };
    let port = smarthost.port("plain-auth").to_string();
    let with = |file: &str, script: &str, mark: &str| {
        let variables = [
            ("SEALPOST_HOST", "127.0.0.1"),
            ("SEALPOST_PORT", port.as_str()),
            ("SEALPOST_TLS_POLICY", "off"),
            ("SEALPOST_USER", USER),
            ("SEALPOST_PASSWORD_FILE", file),
            ("SEALPOST_MECHANISM", "PLAIN"),
            ("SEALPOST_FROM", "app@client.test"),
            ("SEALPOST_LOG_FILE", ""),
        ];
        let wrapper = mounting(script);
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        send(&wrapper, &variables, &format!("To: ok@sink.test\nSubject: {mark}\n\nall is well\n"))
    };
    // Compose: a file of somebody on the host, mounted by itself.
    let secrets = Scratch::new();
    let file = secrets.write("smtp_password", format!("{PASSWORD}\n"));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::os::unix::fs::chown(&file, Some(1000), Some(1000)).unwrap();
    let mark = secrets.path().file_name().unwrap().to_str().unwrap();
    let at = "at=$SEALPOST_PASSWORD_FILE";
    let file = file.display().to_string();
    let run = with(&file, &format!("{at}; mount --bind $at $at; mount -o remount,bind,ro $at"), mark);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    // Where it can be written it is a file like any other.
    let run = with(&file, &format!("{at}; mount --bind $at $at"), mark);
    assert!(run.code == 78 && run.stderr.contains("hint: mount it read-only, or chown 12345"), "{run:?}");
    let run = with(&file, "true", mark);
    assert!(run.code == 78 && run.stderr.contains("hint: chown 12345"), "{run:?}");
    // Podman: a file that all can read, in memory, where root alone can write.
    let podman = |mode: &str| {
        format!("mount -t tmpfs none /run; mkdir /run/secrets; at=/run/secrets/pw; echo {PASSWORD} >$at; chmod {mode} $at")
    };
    let run = with("/run/secrets/pw", &podman("0444"), mark);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let run = with("/run/secrets/pw", &podman("0666"), mark);
    assert!(run.code == 78 && run.stderr.contains("others can get at it"), "{run:?}");
    // Docker Swarm: the same, but nobody can write, and it has an owner.
    let swarm = format!("{}; chown 33:33 $at; mount -o remount,ro /run", podman("0444"));
    let run = with("/run/secrets/pw", &swarm, mark);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_value_comes_from_the_file_that_a_variable_names() {
    let recorder = Recorder::start(false);
    let secrets = Scratch::new();
    let file = |name: &str, text: &str| secrets.write(name, text).display().to_string();
    // As editors, shells and Windows end a line, or don't.
    let (host, port) = (file("host", "127.0.0.1"), file("port", &format!("{}\r\n", recorder.port())));
    let (from, policy) = (file("from", "\u{feff} app@shop.example \nand more\n"), file("policy", "off\n"));
    let variables = [
        ("SMTP_HOST_FILE", host.as_str()),
        ("SEALPOST_PORT_FILE", &port),
        ("SMTP_FROM_FILE", &from),
        ("SEALPOST_TLS_POLICY_FILE", &policy),
        ("SEALPOST_USER_FILE", ""),
        ("SEALPOST_LOG_FILE", ""),
    ];
    let run = send(&[], &variables, MESSAGE);
    let seen = recorder.finish();
    assert_eq!((run.code, run.stderr.as_str(), seen.mails.len()), (0, "", 1));
    assert_eq!(seen.mails[0].from, "app@shop.example");

    let (empty, binary) = (file("empty", "\nsecond\n"), secrets.write("binary", b"\xff\xfe").display().to_string());
    let missing = secrets.path().join("missing").display().to_string();
    let directory = secrets.path().display().to_string();
    for (name, value, because) in [
        ("SEALPOST_FROM_FILE", missing.as_str(), "No such file or directory"),
        ("SEALPOST_FROM_FILE", &empty, "its first line is empty"),
        ("SMTP_SENDER_FILE", &directory, "Is a directory"),
        ("SEALPOST_HELLO_FILE", &binary, "it is not valid UTF-8"),
        ("SEALPOST_FROM_FILE", &policy, "reading SEALPOST_FROM_FILE from the environment"),
        ("SMTP_HOST", "127.0.0.1", "SMTP_HOST_FILE contradicts SMTP_HOST"),
        ("SEALPOST_ALIASES_FILE", &policy, "did you mean SEALPOST_ALIASES?"),
    ] {
        let mut variables = variables.to_vec();
        variables.retain(|(name, _)| *name != "SMTP_FROM_FILE");
        variables.push((name, value));
        let run = send(&[], &variables, MESSAGE);
        assert_eq!((run.code, run.stdout.as_str()), (78, ""), "{name}: {run:?}");
        assert!(run.stderr.contains(because) && !run.stderr.contains("os error"), "{name}: {run:?}");
    }
    let both = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_USER", "u"),
        ("SMTP_PASS", "x"),
        ("SMTP_PASS_FILE", &policy),
        ("SEALPOST_LOG_FILE", ""),
    ];
    let run = send(&[], &both, MESSAGE);
    assert!(run.code == 78 && run.stderr.contains("`SMTP_PASS` contradicts `SMTP_PASS_FILE`"), "{run:?}");
}

#[test]
fn a_uid_without_an_entry_sends_from_a_disk_that_takes_nothing() {
    if !is_root("another uid") {
        return;
    }
    // What a container runtime does with `--read-only --user 12345`; all that is mounted, /tmp and /proc too.
    let lock = "set -e; mount --make-rprivate /; \
                for at in $(cut -d' ' -f5 /proc/self/mountinfo | tac); do mount -o remount,bind,ro \"$at\" 2>/dev/null || true; done; \
                if touch /tmp/x /x 2>/dev/null; then echo 'a disk can be written'; exit 1; fi; \
                exec setpriv --reuid=12345 --regid=12345 --clear-groups \"$@\"";
    let wrapper = ["unshare", "--mount", "sh", "-c", lock, "sh"];
    let (_, mail) = sent(&wrapper, &[("SEALPOST_MAIL_DOMAIN", "shop.example"), ("SEALPOST_LOG_SYSLOG", "false")]);
    assert_eq!((mail.from.as_str(), recipients(&mail).len()), ("uid12345@shop.example", 2));
    // A large message would go to a temporary file; there is no place, and it says so.
    let recorder = Recorder::start(false);
    let port = recorder.port().to_string();
    let variables = [
        ("SEALPOST_HOST", "127.0.0.1"),
        ("SEALPOST_PORT", &port),
        ("SEALPOST_TLS_POLICY", "off"),
        ("SEALPOST_MAIL_DOMAIN", "shop.example"),
    ];
    let run = send(&wrapper, &variables, &format!("{MESSAGE}{}", "a line of a large message\n".repeat(200_000)));
    let seen = recorder.finish();
    assert_eq!((run.code, seen.mails.len()), (75, 0), "{run:?}");
    assert!(run.stderr.contains("set TMPDIR"), "{run:?}");
}
