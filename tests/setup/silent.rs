//! Does a set-up without questions do all of it by options and variables, and say what is missing?

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
};

use sealpost::host::listen::Tls;

use crate::{
    common::{MESSAGE, PASSWORD, USER, certificate::Flaw, reveals_secret, run},
    kit::{Home, delivered},
};

/// Options that need no terminal, in front of others.
fn silent<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["--non-interactive"];
    args.extend(more);
    args
}

#[test]
fn an_account_is_tested_written_and_sends() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    let password = home.scratch.write("pw", PASSWORD);
    let args = ["me@client.test", "--host", "localhost", "--port", &port, "--user", USER, "--password-file"];
    let mut args = silent(&args);
    args.extend([password.to_str().unwrap(), "--send", "you@sink.test", "--account", "relay"]);
    let run_ = home.silent(&args, "");
    assert_eq!((run_.code, run_.stdout.as_str()), (0, ""), "{}", run_.stderr);
    assert!(
        run_.stderr.contains("this account would send now") && run_.stderr.contains("sent to you@sink.test"),
        "{}",
        run_.stderr
    );
    assert!(run_.stderr.lines().all(|line| line.chars().count() <= 80), "{}", run_.stderr);
    assert!(!reveals_secret(run_.stderr.as_bytes()));
    assert_eq!(delivered(&sink), 1);
    assert_eq!(home.configured(), ["0600 config.toml"]);
    assert!(home.written().contains(&format!("password_file = \"{}\"", password.display())), "{}", home.written());
    let config = home.config();
    let sent = run(home.command(&["sendmail", "-C", config.to_str().unwrap(), "ok@sink.test"]), MESSAGE.as_bytes());
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert_eq!(delivered(&sink), 1);
}

#[test]
fn a_password_on_standard_input_or_in_the_environment_gets_a_file_of_its_own() {
    for by_variable in [false, true] {
        let mut home = Home::new();
        let sink = home.sink(Tls::Implicit);
        let port = sink.address.port().to_string();
        home.environment
            .extend([("SEALPOST_HOST", "localhost"), ("SEALPOST_PORT", &port), ("SEALPOST_TLS_START", "implicit")].map(pair));
        home.environment.extend([("SEALPOST_USER", USER), ("SEALPOST_FROM", "me@client.test")].map(pair));
        let mut args = silent(&["--account", "relay"]);
        if by_variable {
            home.environment.push(pair(("SEALPOST_PASSWORD", PASSWORD)));
        } else {
            args.extend(["--password-file", "-"]);
        }
        let run = home.silent(&args, &format!("{PASSWORD}\n"));
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(home.configured(), ["0600 config.toml", "0600 secrets/relay", "0700 secrets"]);
        assert!(home.found().contains(&"0700 .config/sealpost".to_owned()), "{:?}", home.found());
        assert_eq!(fs::read_to_string(home.path(".config/sealpost/secrets/relay")).unwrap(), format!("{PASSWORD}\n"));
        assert!(!reveals_secret(home.written().as_bytes()));
        let config = home.config();
        let check = run_check(&home, config.to_str().unwrap());
        assert_eq!(check.code, 0, "{}", check.stdout);
    }
}

fn run_check(home: &Home, config: &str) -> crate::common::Run {
    run(home.command(&["check", "-C", config]), b"")
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn what_is_missing_is_named_with_its_option_and_nothing_is_written() {
    for (args, code, words) in [
        (&[][..], 64, "nothing says this: Mail address"),
        (&["me@nowhere.test"], 64, "add --host HOST, or --provider NAME"),
        (&["me@nowhere.test", "--host", "localhost"], 64, "add --password-file FILE, or --no-login"),
        (&["me@gmail.com"], 64, "nothing says this: App password for me@gmail.com"),
        (&["me@example.com", "--provider", "postmark"], 64, "add --user USER"),
        (&["me@example.com", "--provider", "exchange"], 64, "add --host HOST"),
        (&["me@example.com", "--provider", "outlook"], 64, "add --client-id ID"),
        (&["me@example.com", "--provider", "outlok"], 64, "`outlok` is no provider"),
        (&["me@example.com", "--provider", "ses", "--region", "a/b"], 64, "reading --region"),
        (&["me@example.com", "--provider", "mailgun", "--region", "eu"], 64, "named with --host"),
        (&["me@example.com", "--provider", "gmail", "--region", "eu"], 64, "Gmail has no regions here"),
        (&["me@yahoo.com", "--client-id", "an-id"], 64, "--client-id is for a login by OAuth2"),
        (&["me@example.com", "--host", "localhost", "--client-id", "an-id"], 64, "--client-id is for a login by OAuth2"),
        (&["me@"], 64, "is not a mail address"),
        (&["me@example.com", "--host", "https://x"], 64, "is a URL"),
        (&["me@example.com", "--host", "unix:/run/x"], 64, "is not a host name"),
        (&["me@example.com", "--port", "0"], 64, "--port"),
        (&["me@example.com", "--start", "auto"], 64, "[possible values: starttls, implicit]"),
        (&["me@example.com", "--account", "a b", "--host", "localhost", "--no-login"], 64, "is no name for an account"),
        (&["me@example.com", "--pin", "abc", "--host", "localhost"], 64, "is not a SHA-256 digest"),
    ] {
        let home = Home::new();
        let run = home.silent(&silent(args), "");
        assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{args:?}: {}", run.stderr);
        assert_eq!(home.found(), Vec::<String>::new(), "{args:?}");
    }
}

#[test]
fn an_account_that_would_not_send_is_not_written_unless_nobody_tests_it() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    let wrong = home.scratch.write("pw", "wrong");
    let base =
        ["me@client.test", "--host", "localhost", "--port", &port, "--user", USER, "--password-file", wrong.to_str().unwrap()];
    let run = home.silent(&silent(&base), "");
    assert_eq!(run.code, 77, "{}", run.stderr);
    assert!(run.stderr.contains("refused the login"), "{}", run.stderr);
    assert!(!home.config().exists());
    let mut args = silent(&base);
    args.push("--no-test");
    assert_eq!(home.silent(&args, "").code, 0);
    assert!(home.config().exists());
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_or_pinned() {
    let home = Home::new();
    let sink = home.sink_with(Flaw::SelfSigned, Tls::Starttls, None);
    let port = sink.address.port().to_string();
    let base = ["me@client.test", "--host", "localhost", "--port", &port, "--no-login"];
    let run = home.silent(&silent(&base), "");
    assert_eq!(run.code, 75, "{}", run.stderr);
    assert!(!home.config().exists());
    let page = run.stderr.split_once("by its key").unwrap().1;
    let pin = page.split('"').nth(1).unwrap();
    let mut args = silent(&base);
    args.extend(["--pin", pin]);
    let run = home.silent(&args, "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(home.written().contains("trust = \"pin\""), "{}", home.written());
}

#[test]
fn a_configuration_that_is_there_gets_the_account_only_after_a_yes() {
    const OLD: &str = "# my own words\n[accounts.old]   # the first\nhost = \"old.example\"\n";
    let home = Home::new();
    home.has(OLD);
    let base = ["me@client.test", "--host", "localhost", "--no-login", "--no-test", "--account", "new", "--queue", "fallback"];
    let run = home.silent(&silent(&base), "");
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(run.stderr.contains("is there already") && run.stderr.contains("add --yes"), "{}", run.stderr);
    assert_eq!(home.written(), OLD);
    let mut args = silent(&base);
    args.push("--yes");
    let run = home.silent(&args, "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(home.written().contains(OLD.split_once('\n').unwrap().1), "{}", home.written());
    assert!(home.written().contains("[accounts.new]") && home.written().contains("mode = \"fallback\""), "{}", home.written());
    assert_eq!(fs::read_to_string(home.path(".config/sealpost/config.toml.bak")).unwrap(), OLD);
    let now = home.written();
    // The name is taken now.
    let run = home.silent(&args, "");
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(run.stderr.contains("there is an account new already"), "{}", run.stderr);
    assert_eq!(home.written(), now);
    // A configuration that is wrong is not made worse.
    home.has("[accounts.old]\nhots = \"old.example\"\n");
    assert_eq!(home.silent(&args, "").code, 78);
}

#[test]
fn a_configuration_of_remarks_gets_its_first_account() {
    const OLD: &str = "# As the package brings it.\n# [accounts.relay]\n# host = \"smtp.example.com\"\n[log]\nsyslog = false\n";
    let home = Home::new();
    home.has(OLD);
    let base = ["me@client.test", "--host", "localhost", "--no-login", "--no-test"];
    assert_eq!(home.silent(&silent(&base), "").code, 64);
    let mut args = silent(&base);
    args.push("--yes");
    let run = home.silent(&args, "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(home.written().starts_with(OLD) && home.written().contains("[accounts.client-test]"), "{}", home.written());
    assert_eq!(fs::read_to_string(home.path(".config/sealpost/config.toml.bak")).unwrap(), OLD);
}

#[test]
fn a_link_to_nothing_is_told_before_anything_is_asked() {
    let home = Home::new();
    fs::create_dir_all(home.path(".config/sealpost")).unwrap();
    std::os::unix::fs::symlink("elsewhere.toml", home.config()).unwrap();
    let run = home.silent(&silent(&["me@client.test", "--host", "localhost", "--no-login", "--no-test"]), "");
    assert_eq!((run.code, run.stderr.contains("a symbolic link to a file that is not there")), (73, true), "{}", run.stderr);
    assert!(!run.stderr.contains("server"), "{}", run.stderr);
}

#[test]
fn an_account_of_an_address_literal_has_a_name_that_can_be_typed() {
    let home = Home::new();
    let run = home.silent(&silent(&["me@[192.0.2.1]", "--host", "localhost", "--no-login", "--no-test"]), "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(home.written().contains("[accounts.192-0-2-1]"), "{}", home.written());
}

/// A shell that has an empty /etc of its own, and `$0`, the binary; `None` where that can't be had.
fn in_an_empty_etc(home: &Home, script: &str) -> Option<crate::common::Run> {
    if !rustix::process::geteuid().is_root() {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "a place of the system's must be tried in CI");
        crate::common::say("SKIPPED: the system's place needs root");
        return None;
    }
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("set -e; mount --make-rprivate /; mount -t tmpfs none /etc; {script}")]);
    command.arg(crate::common::binary()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", home.scratch.path()).env("SEALPOST_PASSWORD", PASSWORD).env("TZ", "UTC");
    Some(run(command, b""))
}

/// What is there, with modes, and whether somebody else finds it.
const LOOK: &str = "find /etc/sealpost -printf '%m %p\n' | sort -k2; \
                    setpriv --reuid=65534 --regid=65534 --clear-groups env -u HOME \"$0\" config path | head -1";

#[test]
fn roots_account_is_for_the_whole_machine_whatever_the_umask() {
    let home = Home::new();
    let setup = "\"$0\" setup me@client.test --non-interactive --host localhost --no-test --user me";
    let Some(run) = in_an_empty_etc(&home, &format!("umask 077; {setup}; {LOOK}")) else { return };
    assert_eq!(run.code, 0, "{run:?}");
    let modes =
        "755 /etc/sealpost\n644 /etc/sealpost/config.toml\n700 /etc/sealpost/secrets\n600 /etc/sealpost/secrets/client-test\n";
    assert_eq!(run.stdout, format!("{modes}/etc/sealpost/config.toml\n"));
    assert!(run.stderr.contains("only root can read the secret"), "{}", run.stderr);
    assert_eq!(home.found(), Vec::<String>::new());
    // What is there gets a word first, and then a copy.
    let again = format!("{setup} || test $? = 64; ls /etc/sealpost; {setup} --account two --yes; ls /etc/sealpost");
    let run = in_an_empty_etc(&home, &format!("{setup}; {again}")).unwrap();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stdout, "config.toml\nsecrets\nconfig.toml\nconfig.toml.bak\nsecrets\n");
}

#[test]
fn an_import_for_the_whole_machine_is_found_by_everybody() {
    let home = Home::new();
    let rc =
        home.scratch.write("msmtprc", format!("account default\nhost localhost\ntls on\nauth on\nuser me\npassword {PASSWORD}\n"));
    let script = format!("umask 077; \"$0\" config import --write {}; {LOOK}", rc.display());
    let Some(run) = in_an_empty_etc(&home, &script) else { return };
    assert_eq!(run.code, 0, "{run:?}");
    let modes = "755 /etc/sealpost\n644 /etc/sealpost/config.toml\n700 /etc/sealpost/secrets\n600 /etc/sealpost/secrets/default\n";
    assert_eq!(run.stdout, format!("{modes}/etc/sealpost/config.toml\n"));
    assert!(!reveals_secret(run.stderr.as_bytes()));
}

#[test]
fn providers_with_oauth2_are_written_and_wait_for_somebody_to_agree() {
    let home = Home::new();
    let run = home.silent(&silent(&["me@outlook.com", "--client-id", "an-id"]), "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("sealpost setup outlook"), "{}", run.stderr);
    let text = home.written();
    for words in ["[accounts.outlook.auth.oauth]", "provider = \"microsoft\"", "client_id = \"an-id\"", "mechanism = \"XOAUTH2\""] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_users_place_and_the_systems_place_have_their_modes() {
    let home = Home::new();
    let args = ["setup", "me@client.test", "--non-interactive", "--host", "localhost", "--no-login", "--no-test"];
    let mut command = home.command(&args);
    command.env("SEALPOST_CONFIG", home.path("mine/config.toml"));
    let run = run(command, b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(home.found(), ["0600 mine/config.toml", "0700 mine"]);
}

#[test]
fn a_password_for_the_keyring_goes_there_and_into_no_file() {
    // What secret-tool(1) was given, and that its arguments hold no secret; tests/secrets has the real one.
    const TOOL: &str =
        "#!/bin/sh\necho \"$@\" >>\"$HOME/asked\"\ncase $1 in store) cat >\"$HOME/kept\";; lookup) cat \"$HOME/kept\";; esac\n";
    let mut home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    fs::create_dir(home.path("bin")).unwrap();
    let tool = home.scratch.write("bin/secret-tool", TOOL);
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap());
    home.environment.extend([("PATH", path.as_str()), ("SEALPOST_PASSWORD", PASSWORD)].map(pair));
    let args = ["me@client.test", "--host", "localhost", "--port", &port, "--user", USER, "--keyring", "--account", "relay"];
    let run = home.silent(&silent(&args), "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(home.written().contains("keyring = true"), "{}", home.written());
    assert_eq!(fs::read_to_string(home.path("kept")).unwrap(), PASSWORD);
    let asked = fs::read_to_string(home.path("asked")).unwrap();
    assert!(asked.contains("store --label=sealpost: cron host localhost service smtp user cron"), "{asked}");
    assert!(!reveals_secret(asked.as_bytes()) && !home.path(".config/sealpost/secrets").exists());
    assert_eq!(run_check(&home, home.config().to_str().unwrap()).code, 0);
}

#[test]
fn a_place_that_may_not_be_written_to_is_said_before_anything_is_asked() {
    const NOBODY: u32 = 65534;
    let home = Home::new();
    let mut command = home.command(&["setup", "me@client.test", "--non-interactive", "-C", "/etc/sealpost-test/config.toml"]);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let run = run(command, b"");
    assert_eq!(run.code, 73, "{}", run.stderr);
    assert!(run.stderr.starts_with("sealpost: writing /etc/sealpost-test/config.toml: Permission denied"), "{}", run.stderr);
}
