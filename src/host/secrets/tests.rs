//! Does a secret come from where it lives, and never show?

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::PathBuf,
    time::Instant,
};

use proptest::prelude::*;

use super::*;
use crate::{
    host::{
        config,
        world::{Machine, Pretend},
    },
    smtp::sasl::Kind,
};

mod commands;
mod tokens;

/// A machine whose caller is whoever runs the tests.
fn machine() -> Pretend {
    Pretend { uid: Machine.uid(), ..Pretend::default() }
}

/// What comes of an errand for the account `relay` at smtp.example.com, whose login is `cron`.
fn on_errand<T>(world: &dyn World, source: SecretSource, run: impl FnOnce(&Errand<'_>) -> T) -> T {
    let other = "[accounts.other]\nhost = \"h\"\nauth = { user = \"u\", password_env = \"OTHER_PASSWORD\" }\n";
    let relay = "[accounts.relay]\nhost = \"smtp.example.com\"\nauth = { user = \"cron\", password_env = \"RELAY\" }\n";
    let config = config::parse(world, Path::new("/etc/config.toml"), &format!("{relay}{other}")).unwrap();
    let account = config.account("relay").unwrap();
    let auth = Auth { source, ..account.auth.clone().unwrap() };
    run(&Errand { world, config: &config, account, auth: &auth })
}

fn fetched_by(world: &dyn World, source: SecretSource) -> Result<String, Error> {
    on_errand(world, source, |errand| fetch(errand).map(|secret| secret.expose().to_owned()))
}

fn fetched(source: SecretSource) -> Result<String, Error> {
    fetched_by(&machine(), source)
}

fn run(command: &str) -> Result<String, Error> {
    fetched(SecretSource::Command(command.to_owned()))
}

fn file(content: impl AsRef<[u8]>, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("secret");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (root, path)
}

#[test]
fn the_first_line_of_a_file_is_the_password() {
    for (content, wanted) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        (" spaces stay \nsecond\n", " spaces stay "),
        ("pässwörd\n", "pässwörd"),
        ("\u{feff}hunter2\r\n", "hunter2"),
    ] {
        let (_root, path) = file(content, 0o600);
        assert_eq!(fetched(SecretSource::File(path)).unwrap(), wanted);
    }
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let (_root, path) = file("hunter2\n", mode);
        let error = fetched(SecretSource::File(path.clone())).unwrap_err();
        let because = format!("reading {}: it holds a password, and others can get at it (mode {mode:04o})", path.display());
        assert_eq!((error.exit(), error.summary()), (Exit::Config, because));
        assert_eq!(error.advice(), Some(format!("chmod 600 {}", path.display()).as_str()));
    }
}

#[test]
fn a_file_that_somebody_else_owns_is_refused() {
    let (_root, path) = file("hunter2\n", 0o600);
    let owner = if Machine.uid() == 0 { 12_345 } else { Machine.uid() };
    std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
    let world = Pretend { uid: 54_321, ..Pretend::default() };
    let error = fetched_by(&world, SecretSource::File(path.clone())).unwrap_err();
    assert!(error.summary().contains(&format!("it belongs to uid {owner}")), "{}", error.summary());
}

#[test]
fn a_file_that_is_no_password_says_why() {
    let giant = "x".repeat(LONGEST + 1);
    for (content, why) in [
        (&b""[..], "holds an empty first line"),
        (b"\nhunter2\n", "holds an empty first line"),
        (b"\xff\xfe\n", "holds something that is not UTF-8"),
        (b"a\0b\n", "holds a NUL"),
        (giant.as_bytes(), "holds a first line of more than 64 KiB"),
    ] {
        let (_root, path) = file(content, 0o600);
        let error = fetched(SecretSource::File(path.clone())).unwrap_err();
        assert_eq!(error.summary(), format!("fetching the password of account relay: {} {why}", path.display()));
        assert_eq!(error.exit(), Exit::Config);
    }
    let (_root, path) = file("x".repeat(LONGEST), 0o600);
    assert_eq!(fetched(SecretSource::File(path)).unwrap().len(), LONGEST);
}

#[test]
fn a_missing_file_and_one_that_is_no_file_are_said_to_be_so() {
    let (root, path) = file("x", 0o600);
    let missing = root.path().join("missing");
    let error = fetched(SecretSource::File(missing.clone())).unwrap_err();
    assert_eq!(error.summary(), format!("fetching the password of account relay: {} does not exist", missing.display()));
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(fetched(SecretSource::File(path)).unwrap_err().summary().ends_with("is not a regular file"));
}

#[test]
fn a_variable_holds_the_password_or_is_missing() {
    let world = machine().with_env("RELAY", "hunter2\n").with_env("EMPTY", "").with_env("BINARY", OsStr::from_bytes(b"\xff"));
    let of = |name: &str| fetched_by(&world, SecretSource::Environment(name.to_owned()));
    assert_eq!(of("RELAY").unwrap(), "hunter2");
    for (name, why) in [
        ("MISSING", "the variable MISSING is not set"),
        ("EMPTY", "the variable EMPTY holds an empty first line"),
        ("BINARY", "the variable BINARY holds something that is not UTF-8"),
    ] {
        let error = of(name).unwrap_err();
        assert_eq!(error.summary(), format!("fetching the password of account relay: {why}"));
        assert_eq!(error.exit(), Exit::Config);
    }
}

#[test]
fn a_credential_is_a_file_in_the_directory_of_the_unit() {
    let (root, path) = file("hunter2\n", 0o440);
    let named = |name: &str| SecretSource::Credential(name.to_owned());
    let world = machine().with_env("CREDENTIALS_DIRECTORY", root.path());
    // 0440: systemd's access list for the service's user shows as the group's.
    assert_eq!(fetched_by(&world, named("secret")).unwrap(), "hunter2");
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    assert!(fetched_by(&world, named("secret")).unwrap_err().summary().contains("others can get at it (mode 0444)"));
    let gone = fetched_by(&world, named("gone")).unwrap_err();
    assert!(gone.summary().ends_with("gone does not exist"), "{gone}");
    assert_eq!(gone.advice(), Some("does the unit have LoadCredential= or SetCredential= of this name?"));
    let outside = fetched(named("secret")).unwrap_err();
    assert!(outside.summary().ends_with("CREDENTIALS_DIRECTORY is not set: nobody handed credentials in"), "{outside}");
}

#[test]
fn netrc_is_the_file_that_the_variable_names_or_the_one_at_home() {
    let (root, path) = file("\u{feff}machine smtp.example.com login cron password hunter2\n", 0o600);
    assert_eq!(fetched_by(&machine().with_env("NETRC", &path), SecretSource::Netrc).unwrap(), "hunter2");
    fs::rename(&path, root.path().join(".netrc")).unwrap();
    let home = machine().with_env("HOME", root.path());
    assert_eq!(fetched_by(&home, SecretSource::Netrc).unwrap(), "hunter2");
    fs::write(root.path().join(".netrc"), "machine a login b\npassword\nhunter2 oops\n").unwrap();
    let error = fetched_by(&home, SecretSource::Netrc).unwrap_err().render("t");
    assert!(error.contains("neither machine, default, login, password, account nor macdef stands there (line 3)"), "{error}");
    assert!(!error.contains("oops"), "{error}");
    fs::write(root.path().join(".netrc"), "default login other password x").unwrap();
    let error = fetched_by(&home, SecretSource::Netrc).unwrap_err();
    assert!(error.summary().ends_with(".netrc has no password for cron at smtp.example.com"), "{error}");
    fs::set_permissions(root.path().join(".netrc"), Permissions::from_mode(0o640)).unwrap();
    let error = fetched_by(&home, SecretSource::Netrc).unwrap_err();
    assert_eq!(error.advice(), Some(format!("chmod 600 {}/.netrc", root.path().display()).as_str()));
    assert!(fetched(SecretSource::Netrc).unwrap_err().summary().contains("neither NETRC nor HOME is set"));
}

proptest! {
    #[test]
    fn any_octets_are_a_clean_secret_or_an_error_without_them(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
        let read = on_errand(&machine(), SecretSource::Prompt, |errand| first_line(&octets, errand, "it holds"));
        match read {
            Ok(secret) => {
                prop_assert!(octets.starts_with(secret.expose().as_bytes()));
                prop_assert!(!secret.expose().is_empty() && !secret.expose().contains(['\n', '\0']));
            }
            Err(error) => prop_assert!(error.summary().contains("relay: it holds ")),
        }
    }
}
