//! Where a configuration is looked for, and what is refused there.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::super::*;
use crate::{
    error::Exit,
    host::world::{Pretend, World as _},
};

const SOUND: &str = "[accounts.relay]\nhost = \"smtp.example.com\"\n";
const SECRET: &str = "[accounts.relay]\nhost = \"smtp.example.com\"\nauth = { user = \"u\", password = \"hunter2\" }\n";

/// A machine with directories of its own, whose caller is whoever runs the tests.
fn machine() -> (TempDir, Pretend) {
    let root = tempfile::tempdir().unwrap();
    let world = Pretend {
        uid: crate::host::world::Machine.uid(),
        config_dir: Some(root.path().join("home/sealpost")),
        state_dir: Some(root.path().join("state/sealpost")),
        etc: root.path().join("etc"),
        ..Pretend::default()
    };
    (root, world)
}

fn write(path: impl AsRef<Path>, text: &str, mode: u32) -> PathBuf {
    let path = path.as_ref().to_owned();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn the_first_place_that_has_a_file_wins() {
    let (root, mut world) = machine();
    world = world.with_env("SEALPOST_HOST", "env.example.com");
    let found = |world: &Pretend, explicit: Option<&Path>| find(world, explicit).unwrap().origin;
    assert_eq!(found(&world, None), Origin::Environment);
    let system = write(root.path().join("etc/sealpost/config.toml"), SOUND, 0o644);
    assert_eq!(found(&world, None), Origin::File(system.clone()));
    let own = write(root.path().join("home/sealpost/config.toml"), SOUND, 0o600);
    assert_eq!(found(&world, None), Origin::File(own));
    let named = write(root.path().join("named.toml"), SOUND, 0o600);
    world = world.with_env("SEALPOST_CONFIG", &named);
    assert_eq!(found(&world, None), Origin::File(named));
    assert_eq!(found(&world, Some(&system)), Origin::File(system));
}

#[test]
fn without_any_configuration_every_place_is_named() {
    let (root, world) = machine();
    let error = load(&world, None).unwrap_err();
    let root = root.path().display();
    assert_eq!(
        error.summary(),
        format!(
            "looking for a configuration: there is none; looked at $SEALPOST_CONFIG (not set), {root}/home/sealpost/config.toml (does not \
             exist), {root}/etc/sealpost/config.toml (does not exist), $SEALPOST_HOST (not set)"
        )
    );
    assert_eq!(error.exit(), Exit::Config);
    assert!(error.advice().unwrap().contains("[accounts.relay]"));
}

#[test]
fn a_caller_without_a_home_still_finds_the_systems_configuration() {
    let (root, mut world) = machine();
    world.config_dir = None;
    world.state_dir = None;
    let system = write(root.path().join("etc/sealpost/config.toml"), SOUND, 0o644);
    assert_eq!(load(&world, None).unwrap().origin, Origin::File(system));
}

#[test]
fn a_named_file_that_is_missing_is_said_to_be_missing() {
    let (root, world) = machine();
    let missing = root.path().join("missing.toml");
    let error = load(&world, Some(&missing)).unwrap_err();
    assert_eq!(error.summary(), format!("reading {}: the file does not exist", missing.display()));
    assert!(error.advice().unwrap().starts_with("-C names this file"));
    let error = load(&world.with_env("SEALPOST_CONFIG", &missing), None).unwrap_err();
    assert!(error.advice().unwrap().starts_with("SEALPOST_CONFIG names this file"));
}

#[test]
fn a_file_that_exists_and_cannot_be_read_is_not_passed_over() {
    let (root, world) = machine();
    write(root.path().join("etc/sealpost/config.toml"), SOUND, 0o644);
    fs::create_dir_all(root.path().join("home/sealpost")).unwrap();
    // A link to itself can't be opened, by root neither.
    let own = root.path().join("home/sealpost/config.toml");
    std::os::unix::fs::symlink(&own, &own).unwrap();
    let error = load(&world, None).unwrap_err();
    assert!(error.summary().starts_with(&format!("reading {}: the file can't be read", own.display())), "{}", error.summary());
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let (root, world) = machine();
    let fifo = root.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    for path in [fifo, root.path().to_owned(), "/dev/null".into()] {
        let error = load(&world, Some(&path)).unwrap_err();
        assert_eq!(error.summary(), format!("reading {}: it is not a regular file", path.display()));
    }
}

#[test]
fn a_giant_or_binary_file_is_refused() {
    let (root, world) = machine();
    let giant = write(root.path().join("giant.toml"), &"#".repeat((1 << 20) + 1), 0o600);
    assert!(load(&world, Some(&giant)).unwrap_err().summary().ends_with("it is larger than 1 MiB"));
    let binary = root.path().join("binary.toml");
    fs::write(&binary, b"[log]\nfile = \"\xff\"\n").unwrap();
    let error = load(&world, Some(&binary)).unwrap_err();
    assert_eq!(error.summary(), format!("reading {}:2:9: the text is not valid UTF-8", binary.display()));
}

#[test]
fn a_file_with_a_password_must_be_its_owners_alone() {
    let (root, world) = machine();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        let path = write(root.path().join("secret.toml"), SECRET, mode);
        let error = load(&world, Some(&path)).unwrap_err();
        let because = format!("reading {}: it holds a password, and others can get at it (mode {mode:04o})", path.display());
        assert_eq!(error.summary(), because);
        assert_eq!(error.advice(), Some(format!("chmod 600 {}", path.display()).as_str()));
        assert_eq!(error.exit(), Exit::Config);
    }
    for mode in [0o600, 0o400, 0o700] {
        let path = write(root.path().join("secret.toml"), SECRET, mode);
        load(&world, Some(&path)).unwrap();
    }
    let open = write(root.path().join("open.toml"), SOUND, 0o644);
    load(&world, Some(&open)).unwrap();
}

#[test]
fn a_file_with_a_password_that_belongs_to_somebody_else_is_refused() {
    let (root, mut world) = machine();
    let path = write(root.path().join("it's secret.toml"), SECRET, 0o600);
    // Only root can give a file away; anybody else looks at their own with another's eyes.
    let owner = if world.uid == 0 { 12_345 } else { world.uid };
    std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
    world.uid = 54_321;
    let error = load(&world, Some(&path)).unwrap_err();
    assert!(
        error.summary().contains(&format!("it belongs to uid {owner}, neither to you (uid 54321) nor to root")),
        "{}",
        error.summary()
    );
    let quoted = path.display().to_string().replace('\'', "'\\''");
    assert_eq!(error.advice(), Some(format!("chown 54321 '{quoted}'").as_str()));
}

#[test]
fn the_log_is_the_systems_for_root_and_ones_own_otherwise() {
    let (root, mut world) = machine();
    let system = write(root.path().join("etc/sealpost/config.toml"), SOUND, 0o644);
    let own = write(root.path().join("home/sealpost/config.toml"), SOUND, 0o644);
    let state = root.path().join("state/sealpost/log.jsonl");
    let log = |world: &Pretend, path: &Path| load(world, Some(path)).unwrap().log.file;
    world.uid = 0;
    assert_eq!(log(&world, &system), Some("/var/log/sealpost/log.jsonl".into()));
    assert_eq!(log(&world, &own), Some(state.clone()));
    world.uid = 1000;
    assert_eq!(log(&world, &system), Some(state));
    world.state_dir = None;
    assert_eq!(log(&world, &system), None);
}

#[test]
fn the_memory_is_where_the_log_is_except_that_roots_is_in_var_lib() {
    let (root, mut world) = machine();
    let system = write(root.path().join("etc/sealpost/config.toml"), SOUND, 0o644);
    let own = write(root.path().join("home/sealpost/config.toml"), SOUND, 0o644);
    let state = Memory::File(root.path().join("state/sealpost/memory.json"));
    let memory = |world: &Pretend, path: &Path| load(world, Some(path)).unwrap().memory;
    world.uid = 0;
    assert_eq!(memory(&world, &system), Memory::File("/var/lib/sealpost/memory.json".into()));
    assert_eq!(memory(&world, &own), state);
    world.uid = 1000;
    assert_eq!(memory(&world, &system), state);
    world.state_dir = None;
    assert_eq!(memory(&world, &system), Memory::Nowhere);
    for (line, wanted) in [("", Memory::None), ("m.json", Memory::File(root.path().join("m.json")))] {
        let named = write(root.path().join("named.toml"), &format!("[memory]\nfile = {line:?}\n{SOUND}"), 0o600);
        assert_eq!(memory(&world, &named), wanted);
    }
    let set = |file| environment(&[("SEALPOST_HOST", "h"), ("SEALPOST_MEMORY_FILE", file)]).unwrap().memory;
    assert_eq!([set(""), set("/m.json")], [Memory::None, Memory::File("/m.json".into())]);
}

#[test]
fn a_variable_that_is_a_url_is_quoted_without_the_password_in_it() {
    let error = environment(&[("SEALPOST_HOST", "smtp://cron:hunter2@h:587")]).unwrap_err();
    assert!(error.summary().ends_with("`smtp://cron:***@h:587` is a URL"), "{error}");
}

#[test]
fn who_trusts_what_was_seen_first_must_not_forget_it() {
    let tofu = "[accounts.relay]\nhost = \"h\"\ntls.trust = \"tofu\"\n";
    let read = |text: &str| parse(&Pretend::default(), Path::new("x.toml"), text);
    assert!(read(tofu).is_ok());
    let error = read(&format!("[memory]\nfile = \"\"\n{tofu}")).unwrap_err();
    assert_eq!(error.summary(), "reading x.toml:2:1: trust = \"tofu\" of account relay needs a memory of what was seen first");
    assert!(read(&format!("[memory]\nfile = \"\"\n{tofu}tls.policy = \"off\"\n")).is_ok());
}

/// The configuration of an environment, in a machine without files.
fn environment(variables: &[(&str, &str)]) -> Result<Config, crate::error::Error> {
    let world = variables.iter().fold(Pretend::default(), |world, (name, value)| world.with_env(name, value));
    load(&world, None)
}

#[test]
fn the_environment_is_a_configuration_of_one_account() {
    let config = environment(&[
        ("SEALPOST_HOST", "smtp.example.com"),
        ("SEALPOST_PORT", "2525"),
        ("SEALPOST_USER", "cron"),
        ("SEALPOST_PASSWORD", "hunter2"),
        ("SEALPOST_FROM", "cron@example.com"),
        ("SEALPOST_TLS_POLICY", "opportunistic"),
        ("SEALPOST_TLS_START", "starttls"),
        ("SEALPOST_TLS_CA_FILE", "/ca.pem"),
        ("SEALPOST_LOG_FILE", ""),
        ("SEALPOST_LOG_SYSLOG", "no"),
        ("SEALPOST_LOG_SYSLOG_TLS", "postfix"),
        ("SEALPOST_MAIL_DOMAIN", "example.com"),
        ("SEALPOST_REPLY_TIMEOUT", "10s"),
        ("SEALPOST_MESSAGE_SIZE", "1024"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(config.origin, Origin::Environment);
    assert_eq!(config.log, Log { file: None, syslog: false, notation: Notation::Postfix });
    assert_eq!(config.limits.timeouts.end, std::time::Duration::from_secs(10));
    assert_eq!(config.limits.message_size, 1024);
    let account = config.choose(None, None).unwrap();
    assert_eq!(account.target, Target::Name("smtp.example.com".into(), 2525));
    assert_eq!(account.tls.ca_file.as_deref(), Some(Path::new("/ca.pem")));
    let auth = account.auth.as_ref().unwrap();
    assert!(matches!(&auth.source, SecretSource::Environment(name) if name == "SEALPOST_PASSWORD"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_names_of_common_images_serve_too_and_ours_come_first() {
    let config = environment(&[
        ("SMTP_SERVER", "other.example.com"),
        ("SEALPOST_HOST", "smtp.example.com"),
        ("SMTP_PORT", "465"),
        ("SMTP_USERNAME", "cron"),
        ("SMTP_PASS", "x"),
        ("SMTP_USER", ""),
    ])
    .unwrap();
    let account = &config.accounts[0];
    assert_eq!(account.target, Target::Name("smtp.example.com".into(), 465));
    assert!(matches!(&account.auth.as_ref().unwrap().source, SecretSource::Environment(name) if name == "SMTP_PASS"));
    let config = environment(&[("SMTP_HOST", "h"), ("SMTP_PORT", "tcp://10.0.0.1:25"), ("SMTP_USER", "")]).unwrap();
    assert_eq!(config.accounts[0].target, Target::Name("h".into(), 587));
    assert!(config.accounts[0].auth.is_none());
}

#[test]
fn lists_in_the_environment_are_separated_by_commas() {
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    let pins = format!("sha256:{one}, {two}");
    let config = environment(&[("SEALPOST_HOST", "h"), ("SEALPOST_TLS_TRUST", "pin"), ("SEALPOST_TLS_PINS", &pins)]).unwrap();
    assert_eq!(config.accounts[0].tls.pins, [[0x11; 32], [0x22; 32]]);
}

#[test]
fn a_fault_in_the_environment_names_the_variable() {
    for (variables, summary, hint) in [
        (
            [("SMTP_HOST", "h"), ("SMTP_PORT", "smtp")],
            "reading SMTP_PORT from the environment: `port` must be a whole number, from 1 to 65535",
            "",
        ),
        (
            [("SMTP_HOST", "h"), ("SEALPOST_TLS_POLICY", "requird")],
            "reading SEALPOST_TLS_POLICY from the environment: `requird` is not known here",
            "did you mean `required`? it takes `off`, `opportunistic` or `required`",
        ),
        (
            [("SEALPOST_HOST", "h"), ("SEALPOST_TLS_POLCY", "required")],
            "reading the environment: unknown variable `SEALPOST_TLS_POLCY`",
            "did you mean SEALPOST_TLS_POLICY?",
        ),
        (
            [("SEALPOST_HOST", "h"), ("SMTP_PASS", "hunter2")],
            "reading SMTP_PASS from the environment: SEALPOST_USER is not set",
            "set it to the login, like cron@example.com",
        ),
        (
            [("SEALPOST_USER", "u"), ("SEALPOST_PASSWORD", "hunter2")],
            "reading the environment: SEALPOST_USER is set, but SEALPOST_HOST is not",
            "set SEALPOST_HOST to the smarthost's name",
        ),
        (
            [("SEALPOST_HOST", "h"), ("SEALPOST_TLS_TRUST", "pin")],
            "reading SEALPOST_TLS_TRUST from the environment: there is no pin to trust",
            "add `SEALPOST_TLS_PINS`: the log shows the digest of a server that was refused (certificate.sha256)",
        ),
    ] {
        let error = environment(&variables).unwrap_err();
        assert_eq!((error.summary().as_str(), error.advice().unwrap_or_default()), (summary, hint));
        assert_eq!(error.exit(), Exit::Config);
    }
}

#[test]
fn a_service_called_sealpost_does_not_disturb() {
    let service = [("SEALPOST_HOST", "h"), ("SEALPOST_SERVICE_HOST", "10.0.0.1"), ("SEALPOST_PORT_587_TCP", "tcp://10.0.0.1:587")];
    assert!(environment(&service).is_ok());
}

#[test]
fn octets_that_are_no_text_are_refused_by_the_variables_name() {
    let world = Pretend::default().with_env("SEALPOST_HOST", OsStr::from_bytes(b"h\xff"));
    assert_eq!(load(&world, None).unwrap_err().summary(), "reading SEALPOST_HOST from the environment: it is not valid UTF-8");
}

#[test]
fn the_trace_says_where_each_setting_stands() {
    let (root, world) = machine();
    let path =
        write(root.path().join("c.toml"), "[accounts.relay]\nhost = \"h\"\n\n[accounts.relay.tls]\npolicy = \"off\"\n", 0o644);
    let (_, trace) = load_traced(&world, Some(&path)).unwrap();
    assert_eq!(trace.origin("accounts.relay.tls.policy"), Some(format!("{}:5", path.display()).as_str()));
    assert_eq!(trace.origin("accounts.relay.port"), None);
    let (_, trace) = load_traced(&Pretend::default().with_env("SMTP_HOST", "h"), None).unwrap();
    assert_eq!(trace.origin("accounts.environment.host"), Some("SMTP_HOST"));
}
