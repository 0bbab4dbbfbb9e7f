//! `[queue]` and `[serve]`: what is meant where nothing is said, and what can't be.

use super::*;

const ACCOUNT: &str = "[accounts.a]\nhost = \"h\"\n";

const HOUR: Duration = Duration::from_secs(3600);

/// A configuration with these lines.
fn with(lines: &str) -> Result<Config, Error> {
    read(&format!("{lines}\n{ACCOUNT}"))
}

#[test]
fn without_a_word_nothing_waits_and_the_limits_are_those_of_the_manual() {
    let config = with("").unwrap();
    let queue = Queue {
        mode: Mode::Off,
        dir: Some("/home/alice/.local/state/sealpost/queue".into()),
        max_age: 5 * 24 * HOUR,
        keep_failed: 30 * 24 * HOUR,
        connections: 4,
        warn_after: Some(4 * HOUR),
        retry_first: HOUR / 60,
        retry_most: 4 * HOUR,
    };
    assert_eq!(config.queue, queue);
    let serve = Serve {
        socket: SOCKET.into(),
        listen: Vec::new(),
        free_senders: Vec::new(),
        connections: 200,
        connections_per_user: 50,
        messages_per_hour: 1000,
        queue_per_user: 5000,
        bytes_per_user: 1 << 30,
        free_space: 64 << 20,
    };
    assert_eq!(config.serve, serve);
}

#[test]
fn every_key_is_understood() {
    let config = read(include_str!("whole.toml")).unwrap();
    let queue = Queue {
        mode: Mode::Always,
        dir: Some("/etc/sealpost/spool".into()),
        max_age: 6 * 24 * HOUR,
        keep_failed: 20 * 24 * HOUR,
        connections: 5,
        warn_after: Some(HOUR),
        retry_first: HOUR / 30,
        retry_most: 3 * HOUR,
    };
    assert_eq!(config.queue, queue);
    let serve = Serve {
        socket: "/run/mail.sock".into(),
        listen: vec!["127.0.0.1:25".parse().unwrap(), "[::1]:2525".parse().unwrap()],
        free_senders: vec!["list".into(), "www-data".into()],
        connections: 10,
        connections_per_user: 6,
        messages_per_hour: 7,
        queue_per_user: 8,
        bytes_per_user: 9 << 10,
        free_space: 0,
    };
    assert_eq!(config.serve, serve);
    assert_eq!(with("[queue]\nwarn_after = \"\"").unwrap().queue.warn_after, None);
}

#[test]
fn the_spool_of_root_is_the_system_s_unless_the_configuration_is_root_s_own() {
    let root = Pretend { uid: 0, state_dir: Some("/root/.local/state/sealpost".into()), ..Pretend::default() };
    let dir = |world: &Pretend, path: &str| parse(world, Path::new(path), ACCOUNT).unwrap().queue.dir.unwrap();
    assert_eq!(dir(&root, "/etc/sealpost/config.toml"), Path::new("/var/spool/sealpost"));
    let own = Pretend { config_dir: Some("/root/.config/sealpost".into()), ..root };
    assert_eq!(dir(&own, "/root/.config/sealpost/config.toml"), Path::new("/root/.local/state/sealpost/queue"));
}

#[test]
fn a_queue_needs_a_place_only_where_something_waits() {
    let homeless = Pretend { uid: 1000, ..Pretend::default() };
    let path = Path::new("/etc/sealpost/config.toml");
    assert_eq!(parse(&homeless, path, ACCOUNT).unwrap().queue.dir, None);
    for mode in ["fallback", "always"] {
        let text = format!("[queue]\nmode = \"{mode}\"\n{ACCOUNT}");
        let error = parse(&homeless, path, &text).unwrap_err();
        let words = error.render("sealpost");
        assert!(words.contains("config.toml:2:8: there is no place for a queue: no home directory is known"), "{words}");
        assert!(words.contains("`dir` under [queue]"), "{words}");
        let text = text.replace("[queue]", "[queue]\ndir = \"/srv/queue\"");
        assert_eq!(parse(&homeless, path, &text).unwrap().queue.dir.as_deref(), Some(Path::new("/srv/queue")));
    }
}

#[test]
fn what_can_t_be_is_refused_where_it_stands() {
    for (lines, place, because) in [
        ("[queue]\nmode = \"sometimes\"", "2:8", "\"sometimes\""),
        ("[queue]\nretry_first = \"2h\"\nretry_most = \"1h\"", "2:1", "retry_first is longer than retry_most"),
        ("[queue]\nretry_most = \"30s\"", "2:1", "retry_first is longer than retry_most"),
        ("[queue]\nretry_first = \"5h\"", "2:1", "retry_first is longer than retry_most"),
        ("[queue]\nconnections = 0", "2:15", "from 1 to 1000"),
        ("[queue]\nconnections = 1001", "2:15", "from 1 to 1000"),
        ("[queue]\nmax_age = \"0d\"", "2:11", "out of range"),
        ("[queue]\nmax_age = 5", "2:11", "`max_age` needs a unit"),
        ("[queue]\ndir = \"\"", "2:7", ""),
        ("[queue]\nlisten = []", "2:1", "listen"),
        ("[serve]\nlisten = [\"192.0.2.1:25\"]", "2:11", "only addresses of the loopback"),
        ("[serve]\nlisten = [\"0.0.0.0:25\"]", "2:11", "only addresses of the loopback"),
        ("[serve]\nlisten = [\"[::]:25\"]", "2:11", "only addresses of the loopback"),
        ("[serve]\nlisten = [\"[::ffff:192.0.2.1]:25\"]", "2:11", "only addresses of the loopback"),
        ("[serve]\nlisten = [\"localhost:25\"]", "2:11", "is not an address with a port"),
        ("[serve]\nlisten = [\"127.0.0.1\"]", "2:11", "is not an address with a port"),
        ("[serve]\nlisten = [\"127.0.0.1:0\"]", "2:11", "is not an address with a port"),
        ("[serve]\nconnections = 10001", "2:15", "from 1 to 10000"),
        ("[serve]\nmessages_per_hour = 0", "2:21", "from 1 to 4294967295"),
        ("[serve]\nfree_space = \"much\"", "2:14", "is not a size"),
        ("[serve]\nsocket = \"\"", "2:10", ""),
        ("[serve]\nmode = \"off\"", "2:1", "mode"),
    ] {
        let words = with(lines).expect_err(lines).render("sealpost");
        assert!(words.contains(&format!("config.toml:{place}: ")) && words.contains(because), "{lines}: {words}");
    }
    let loopback = with("[serve]\nlisten = [\"127.8.9.1:2525\", \"[::ffff:127.0.0.1]:26\"]").unwrap();
    assert_eq!(loopback.serve.listen.len(), 2);
}

#[test]
fn containers_say_it_by_variables() {
    let world = |variables: &[(&str, &str)]| {
        let world = Pretend { state_dir: Some("/state".into()), uid: 1000, ..Pretend::default() };
        variables.iter().fold(world.with_env("SEALPOST_HOST", "h"), |world, (name, value)| world.with_env(name, value))
    };
    let all = [
        ("SEALPOST_QUEUE_MODE", "fallback"),
        ("SEALPOST_QUEUE_DIR", "/queue"),
        ("SEALPOST_QUEUE_MAX_AGE", "2d"),
        ("SEALPOST_QUEUE_KEEP_FAILED", "1d"),
        ("SEALPOST_QUEUE_CONNECTIONS", "2"),
        ("SEALPOST_QUEUE_WARN_AFTER", ""),
        ("SEALPOST_QUEUE_RETRY_FIRST", "10s"),
        ("SEALPOST_QUEUE_RETRY_MOST", "1h"),
    ];
    let queue = Queue {
        mode: Mode::Fallback,
        dir: Some("/queue".into()),
        max_age: 48 * HOUR,
        keep_failed: 24 * HOUR,
        connections: 2,
        warn_after: None,
        retry_first: Duration::from_secs(10),
        retry_most: HOUR,
    };
    assert_eq!(load(&world(&all), None).unwrap().queue, queue);
    let plain = load(&world(&[]), None).unwrap().queue;
    assert_eq!((plain.mode, plain.dir.as_deref()), (Mode::Off, Some(Path::new("/state/queue"))));
    let words = load(&world(&[("SEALPOST_QUEUE_MODE", "yes")]), None).unwrap_err().render("sealpost");
    assert!(words.contains("SEALPOST_QUEUE_MODE"), "{words}");
}
