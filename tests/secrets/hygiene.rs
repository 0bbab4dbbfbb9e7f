//! Is the secret on no command line, in nobody's environment, and written nowhere but where it belongs?

use std::fs;

use crate::{
    common::{MESSAGE, PASSWORD},
    kit::{SOURCES, account, installed, is_token, reveals, smarthost},
};

/// Where a secret may be written to: a connection, a pipe that a command answers through, and a file of ours for tokens.
fn may_hold(call: &str) -> bool {
    let to = call.split_once('<').map_or("", |(_, rest)| rest);
    to.starts_with("TCP:") || to.starts_with("pipe:") || (to.contains(".json.new>") && call.contains("access_token"))
}

#[test]
fn a_run_leaves_no_trace_of_its_secret() {
    if !installed(&["strace"]) {
        return;
    }
    for source in SOURCES {
        let server = smarthost(is_token(source), "S: 235 2.7.0 in\nsession");
        let Some(mut sealpost) = account(source, server.port()) else { continue };
        let trace = sealpost.scratch.path().join("trace");
        let calls = "trace=execve,write,writev,pwrite64,sendto,sendmsg,memfd_create";
        let words = ["strace", "-f", "-qq", "-v", "-yy", "-s", "65536", "-e", calls, "-o", trace.to_str().unwrap()];
        sealpost.wrapper.extend(words.map(str::to_owned));
        let run = sealpost.send(&["--debug", "ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!(run.code, 0, "{source}: {run:?}");
        assert!(run.stderr.contains("> AUTH "), "{source}: no transcript: {run:?}");
        assert!(!reveals(run.stderr.as_bytes()), "{source}: in the transcript: {}", run.stderr);
        let log = fs::read(sealpost.scratch.path().join("log.jsonl")).unwrap();
        assert!(!log.is_empty() && !reveals(&log), "{source}: in the log");
        let calls = fs::read_to_string(&trace).unwrap();
        let calls: Vec<&str> =
            calls.lines().filter_map(|line| line.trim_start().split_once(' ')).map(|(_, call)| call.trim_start()).collect();
        assert!(calls.iter().any(|call| reveals(call.as_bytes())), "{source}: not even the login is in the trace");
        // What the caller put into our own environment is the caller's; nobody gets it from us.
        let runs: Vec<&&str> = calls.iter().filter(|call| call.starts_with("execve(")).collect();
        let revealing = runs.iter().skip(usize::from(source == "password_env")).find(|call| reveals(call.as_bytes()));
        assert_eq!(revealing, None, "{source}");
        let written = calls.iter().filter(|call| !call.starts_with("execve(") && reveals(call.as_bytes()));
        let strange: Vec<_> = written.filter(|call| !may_hold(call)).collect();
        assert!(strange.is_empty(), "{source}: {strange:#?}");
        for kept in ["oauth.json", "sealpost"] {
            assert_private(&sealpost.scratch.path().join(kept));
        }
        server.finish();
    }
}

/// What is kept can be read by nobody else.
fn assert_private(path: &std::path::Path) {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = path.metadata() else { return };
    assert_eq!(metadata.mode() & 0o077, 0, "{}", path.display());
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_private(&entry.unwrap().path());
        }
    }
}

#[test]
fn a_command_sees_neither_our_secrets_nor_a_strangers_proxy() {
    let server = smarthost(false, "S: 235 2.7.0 in\nsession");
    let Some(mut sealpost) = account("password_command", server.port()) else { return };
    let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    let here = sealpost.scratch.path().display().to_string();
    let command = format!("\"env >{here}/seen; cat {here}/secret\"");
    let config = config.replace(&format!("\"cat {here}/secret\""), &command);
    sealpost
        .scratch
        .write("config.toml", config + "[accounts.other]\nhost = \"h\"\nauth = { user = \"u\", password_env = \"OTHER\" }\n");
    let secrets = ["OTHER", "SEALPOST_PASSWORD", "SEALPOST_TOKEN_COMMAND", "SMTP_PASS", "SMTP_PASSWORD", "HTTP_PROXY"];
    sealpost.environment.extend(secrets.map(|name| (name.to_owned(), format!("{PASSWORD}-{name}"))));
    sealpost.environment.extend([("GATEWAY_INTERFACE", "CGI/1.1"), ("KEPT", "yes")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes()).code, 0);
    let seen = fs::read_to_string(sealpost.scratch.path().join("seen")).unwrap();
    assert!(seen.contains("KEPT=yes") && seen.contains("HOME=") && seen.contains("PATH="), "{seen}");
    assert!(!reveals(seen.as_bytes()), "{seen}");
    server.finish();
}

#[test]
fn a_command_that_fails_is_quoted_without_what_it_printed() {
    let Some(sealpost) = account("password_command", 9) else { return };
    let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    let here = sealpost.scratch.path().display().to_string();
    let command = format!("\"cat {here}/secret; cat {here}/secret >&2; echo 'gpg: no key' >&2; exit 2\"");
    sealpost.scratch.write("config.toml", config.replace(&format!("\"cat {here}/secret\""), &command));
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("the command failed (exit status: 2): *** / gpg: no key"), "{run:?}");
    assert!(!reveals(format!("{run:?}").as_bytes()), "{run:?}");
}
