//! Does a secret come from where it lives, and never show?

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
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
fn the_first_line_that_a_command_prints_is_the_password() {
    assert_eq!(run("echo hunter2; echo second").unwrap(), "hunter2");
    assert_eq!(run("printf hunter2; echo talk >&2").unwrap(), "hunter2");
    assert_eq!(run("printf 'a b\\r\\n'").unwrap(), "a b");
}

#[test]
fn a_command_that_says_its_secret_again_when_it_fails_is_not_quoted_with_it() {
    let error = run("set -x; echo hunter2; false").unwrap_err().render("t");
    assert!(error.contains("+ echo *** / + false") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_long_complaint_is_not_cut_within_a_secret() {
    for octets in command::COMPLAINT - 7..command::COMPLAINT {
        let error = run(&format!("echo hunter2.hunter2; printf '%0{octets}dhunter2.hunter2' 0 >&2; false")).unwrap_err();
        assert!(!error.summary().contains("hunt"), "{octets}: {error}");
    }
}

#[test]
fn a_command_that_fails_is_quoted_and_may_be_tried_again() {
    let error = run("echo hunter2; printf 'no\\033[2J key\\nfor you\\n' >&2; exit 3").unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    let rendered = error.render("t");
    assert!(rendered.contains("the command failed (exit status: 3): no\\u{1b}[2J key / for you"), "{rendered}");
    assert!(!rendered.contains("hunter2"), "what it printed may be the password: {rendered}");
    let chatter = run("yes complaint | head -c 1000000 >&2; exit 1").unwrap_err();
    assert!(chatter.summary().len() < 2 * command::COMPLAINT, "{}", chatter.summary().len());
    assert!(run("kill -9 $$").unwrap_err().summary().contains("signal: 9"));
}

#[test]
fn a_command_that_prints_nothing_is_a_fault_of_the_configuration() {
    let error = run("true").unwrap_err();
    assert_eq!(error.summary(), "fetching the password of account relay: the command printed an empty first line");
    assert_eq!(error.exit(), Exit::Config);
}

#[test]
fn a_command_that_prints_without_end_is_cut_and_does_not_block() {
    let error = run("yes | tr -d '\\n' | head -c 3000000").unwrap_err();
    assert!(error.summary().ends_with("the command printed a first line of more than 64 KiB"), "{}", error.summary());
}

#[test]
fn a_command_reads_nothing_from_the_message() {
    assert_eq!(run("cat; echo end").unwrap(), "end");
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let root = tempfile::tempdir().unwrap();
    let pids = root.path().join("pids");
    let command = format!("sleep 1000 & echo $! >{0}; echo $$ >>{0}; wait", pids.display());
    let patience = Duration::from_millis(1500);
    let error = on_errand(&machine(), SecretSource::Prompt, |errand| command::output(errand, command::shell(&command), patience))
        .unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    assert!(error.summary().contains("did not end within"), "{}", error.summary());
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(ends(pid), "process {pid} is still running");
    }
}

/// Whether a process that was killed is gone, or waits for its parent only, before long.
fn ends(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => return true,
            Ok(stat) if stat.contains(") Z ") => return true,
            Ok(_) => std::thread::yield_now(),
        }
    }
    false
}

#[test]
fn an_agent_left_behind_does_not_hold_up_the_answer() {
    let started = Instant::now();
    assert_eq!(run("sleep 20 & echo hunter2").unwrap(), "hunter2");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_command_does_not_see_the_passwords_of_the_environment() {
    // The child's environment is the real one: what matters is which names are taken away.
    let names =
        ["SEALPOST_PASSWORD", "SEALPOST_HOST", "SMTP_PASS", "RELAY", "OTHER_PASSWORD", "PATH", "HOME", "HTTP_PROXY", "VAULT_TOKEN"];
    let world = names.into_iter().fold(machine(), |world, name| world.with_env(name, "x"));
    let hidden = |world: &Pretend| on_errand(world, SecretSource::Environment("RELAY".to_owned()), command::hidden);
    let ours = ["OTHER_PASSWORD", "RELAY", "SEALPOST_HOST", "SEALPOST_PASSWORD", "SMTP_PASS"];
    assert_eq!(hidden(&world), ours);
    // Under a web server HTTP_* is what a stranger sent.
    assert_eq!(hidden(&world.with_env("GATEWAY_INTERFACE", "CGI/1.1")), ["HTTP_PROXY"].into_iter().chain(ours).collect::<Vec<_>>());
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
    let (root, path) = file("machine smtp.example.com login cron password hunter2\n", 0o600);
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

#[test]
fn a_file_that_systemd_or_docker_hands_in_is_the_units_affair() {
    // /proc is no tmpfs, and no file of it a mount: tests/containers.rs has such mounts.
    let mount = Mount::of(&File::open("/proc/self/status").unwrap());
    assert!(!mount.is_fence() && !mount.in_memory && !mount.is_files_own);
}

/// A token command, and what it may have kept.
struct Commanded {
    root: tempfile::TempDir,
    world: Pretend,
}

impl Commanded {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = Pretend { state_dir: Some(root.path().join("state")), ..machine() };
        // Root's own configuration, so that the state is root's own too.
        let world = Pretend { config_dir: Some(PathBuf::from("/etc")), ..world };
        Self { root, world }
    }

    /// A command that prints this, `N` standing for how often it was run.
    fn printing(&self, what: &str) -> String {
        let count = self.root.path().join("count").display().to_string();
        format!("echo x >>{count}; printf '%s' '{what}' | sed \"s/N/$(wc -l <{count} | tr -d ' ')/\"")
    }

    fn fetched(&self, command: &str, cache: bool) -> Result<Secret, Error> {
        on_errand(&self.world, SecretSource::TokenCommand { command: command.to_owned(), cache }, fetch)
    }

    fn renewed(&self, command: &str, refused: &Secret) -> Result<Option<String>, Error> {
        let source = SecretSource::TokenCommand { command: command.to_owned(), cache: true };
        on_errand(&self.world, source, |errand| renew(errand, refused))
            .map(|secret| secret.map(|secret| secret.expose().to_owned()))
    }

    fn kept(&self) -> Vec<PathBuf> {
        let directory = fs::read_dir(self.world.state_dir.as_ref().unwrap().join("secrets")).into_iter().flatten();
        directory.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect()
    }
}

#[test]
fn a_token_is_read_bare_or_from_json() {
    let commanded = Commanded::new();
    for (printed, wanted) in [
        ("ya29.abc\n", "ya29.abc"),
        ("{\"access_token\":\"ya29.abc\"}", "ya29.abc"),
        (" {\"accessToken\": \"e\\/J\", \"expiresOn\": \"2026-11-24 00:00:00\", \"expires_on\": 1795478000}", "e/J"),
    ] {
        let secret = commanded.fetched(&commanded.printing(printed), false).unwrap();
        assert_eq!((secret.expose(), secret.kind()), (wanted, Kind::Token));
    }
    for (printed, why) in [
        ("two words", "something that is no access token"),
        ("{\"token_type\":\"Bearer\"}", "JSON without access_token"),
        ("{\"access_token\":\"a b\"}", "something that is no access token"),
        ("{\"access_token\":", "something that begins like JSON and is none"),
        ("", "an empty first line"),
    ] {
        let error = commanded.fetched(&commanded.printing(printed), true).unwrap_err();
        assert_eq!(error.summary(), format!("fetching the token of account relay: the command printed {why}"));
        assert_eq!(error.exit(), Exit::Config);
    }
    assert!(commanded.kept().is_empty());
}

#[test]
fn a_token_is_kept_as_long_as_it_says_and_no_longer() {
    let mut commanded = Commanded::new();
    let command = commanded.printing(r#"{"access_token":"token-N","expires_in":3600}"#);
    let of = |commanded: &Commanded, cache| commanded.fetched(&command, cache).unwrap().expose().to_owned();
    assert_eq!((of(&commanded, true), of(&commanded, true)), ("token-1".to_owned(), "token-1".to_owned()));
    let [kept]: [PathBuf; 1] = commanded.kept().try_into().unwrap();
    assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
    assert_eq!(of(&commanded, false), "token-2");
    commanded.world.now = commanded.world.now.checked_add(jiff::Span::new().minutes(58)).unwrap();
    assert_eq!(of(&commanded, true), "token-1");
    commanded.world.now = commanded.world.now.checked_add(jiff::Span::new().minutes(2)).unwrap();
    assert_eq!(of(&commanded, true), "token-3");
    // What others could read, or is damaged, is not used, and replaced.
    fs::set_permissions(&kept, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(of(&commanded, true), "token-4");
    assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
    fs::write(&kept, "{\"access_token\":").unwrap();
    assert_eq!((of(&commanded, true), of(&commanded, true)), ("token-5".to_owned(), "token-5".to_owned()));
    // Where it can't be kept it is had all the same.
    fs::remove_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(kept.parent().unwrap(), "in the way").unwrap();
    assert_eq!((of(&commanded, true), of(&commanded, true)), ("token-6".to_owned(), "token-7".to_owned()));
}

#[test]
fn a_token_that_says_nothing_of_its_end_is_not_kept() {
    let commanded = Commanded::new();
    for printed in ["token-N", "{\"access_token\":\"token-N\"}", "{\"access_token\":\"token-N\",\"expires_in\":30}"] {
        let command = commanded.printing(printed);
        assert_ne!(commanded.fetched(&command, true).unwrap().expose(), commanded.fetched(&command, true).unwrap().expose());
    }
    assert!(commanded.kept().is_empty());
}

#[test]
fn a_token_is_kept_in_memory_where_the_session_has_a_place_for_it() {
    let commanded = Commanded::new();
    let runtime = commanded.root.path().join("run");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, Permissions::from_mode(0o700)).unwrap();
    let world = Pretend { state_dir: commanded.world.state_dir.clone(), ..machine() }.with_env("XDG_RUNTIME_DIR", &runtime);
    let command = commanded.printing(r#"{"access_token":"token-N","expires_in":3600}"#);
    let source = || SecretSource::TokenCommand { command: command.clone(), cache: true };
    for _ in 0..2 {
        assert_eq!(fetched_by(&world, source()).unwrap(), "token-1");
    }
    assert!(runtime.join("sealpost").is_dir() && commanded.kept().is_empty());
    // Somebody else's session is no place for it.
    let config_dir = commanded.world.config_dir.clone();
    let other =
        Pretend { uid: Machine.uid() + 1, config_dir, ..Pretend { state_dir: commanded.world.state_dir.clone(), ..machine() } };
    assert_eq!(fetched_by(&other.with_env("XDG_RUNTIME_DIR", &runtime), source()).unwrap(), "token-2");
    assert_eq!(commanded.kept().len(), 1);
    // Neither is one that others write to, like /tmp.
    fs::remove_dir_all(runtime.join("sealpost")).unwrap();
    fs::set_permissions(&runtime, Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(fetched_by(&world, source()).unwrap(), "token-3");
    assert!(!runtime.join("sealpost").exists());
}

#[test]
fn a_token_goes_at_once_although_another_process_keeps_the_lock() {
    let commanded = Commanded::new();
    let command = commanded.printing(r#"{"access_token":"token-N","expires_in":3600}"#);
    commanded.fetched(&command, true).unwrap();
    let [kept]: [PathBuf; 1] = commanded.kept().try_into().unwrap();
    fs::remove_file(&kept).unwrap();
    let _lock = vault::Vault::new(kept).lock(Instant::now()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(commanded.fetched(&command, true).unwrap().expose().to_owned()));
    assert_eq!(told.recv_timeout(PATIENCE / 3).as_deref(), Ok("token-2"), "it waits for whoever has the lock");
}

#[test]
fn a_refused_token_is_asked_for_anew_and_only_another_one_counts() {
    let commanded = Commanded::new();
    let command = commanded.printing(r#"{"access_token":"token-N","expires_in":3600}"#);
    let first = commanded.fetched(&command, true).unwrap();
    assert_eq!(commanded.renewed(&command, &first).unwrap().as_deref(), Some("token-2"));
    // Another process has asked meanwhile: its answer is as good.
    assert_eq!(commanded.renewed(&command, &first).unwrap().as_deref(), Some("token-2"));
    let stubborn = commanded.printing("same");
    let same = commanded.fetched(&stubborn, true).unwrap();
    assert_eq!(commanded.renewed(&stubborn, &same).unwrap(), None);
    assert_eq!(on_errand(&machine(), SecretSource::Prompt, |errand| renew(errand, &same)).unwrap().map(|_| ()), None);
}

#[test]
fn of_many_that_come_at_once_one_asks_the_command() {
    let mut commanded = Commanded::new();
    let command = commanded.printing(r#"{"access_token":"token-N","expires_in":3600}"#) + "; sleep 0.2";
    // Of a command that has never been asked nobody knows whether its tokens can be kept.
    assert_eq!(commanded.fetched(&command, true).unwrap().expose(), "token-1");
    commanded.world.now = commanded.world.now.checked_add(jiff::Span::new().hours(2)).unwrap();
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..8).map(|_| scope.spawn(|| commanded.fetched(&command, true).unwrap().expose().to_owned())).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(tokens, ["token-2"; 8]);
}

#[test]
fn a_path_is_quoted_for_the_shell() {
    for (path, wanted) in [("/a/b.c", "/a/b.c"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("-x", "'-x'")] {
        assert_eq!(quoted(Path::new(path)), wanted);
    }
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
