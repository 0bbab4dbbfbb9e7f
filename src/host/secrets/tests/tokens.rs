//! Is a token of a command kept as long as it may be, and got anew when it is refused?

use super::*;

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
    let of = |uid| {
        let Pretend { state_dir, config_dir, .. } = &commanded.world;
        let world = Pretend { uid, state_dir: state_dir.clone(), config_dir: config_dir.clone(), ..Pretend::default() };
        world.with_env("XDG_RUNTIME_DIR", &runtime)
    };
    let world = of(Machine.uid());
    let command = commanded.printing(r#"{"access_token":"token-N","expires_in":3600}"#);
    let source = || SecretSource::TokenCommand { command: command.clone(), cache: true };
    for _ in 0..2 {
        assert_eq!(fetched_by(&world, source()).unwrap(), "token-1");
    }
    assert!(runtime.join("sealpost").is_dir() && commanded.kept().is_empty());
    // Somebody else's session is no place for it.
    assert_eq!(fetched_by(&of(Machine.uid() + 1), source()).unwrap(), "token-2");
    fs::remove_file(commanded.kept().pop().unwrap()).unwrap();
    // Neither is one that others write to, like /tmp.
    fs::remove_dir_all(runtime.join("sealpost")).unwrap();
    fs::set_permissions(&runtime, Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(fetched_by(&world, source()).unwrap(), "token-3");
    assert!(!runtime.join("sealpost").exists() && commanded.kept().len() == 1);
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
fn a_refused_token_is_kept_no_longer_whatever_comes_in_its_place() {
    let commanded = Commanded::new();
    let token = commanded.root.path().join("token");
    let command = format!("cat {}", token.display());
    for instead in ["says nothing of its end", ""] {
        fs::write(&token, r#"{"access_token":"refused","expires_in":3600}"#).unwrap();
        let refused = commanded.fetched(&command, true).unwrap();
        assert_eq!(commanded.kept().len(), 1);
        fs::write(&token, instead.replace(' ', "-")).unwrap();
        assert_eq!(commanded.renewed(&command, &refused).is_ok(), !instead.is_empty());
        assert_eq!(commanded.kept(), Vec::<PathBuf>::new(), "{instead}");
    }
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
