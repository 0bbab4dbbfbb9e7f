//! What does a user see and change of the service's queue, and what of others' mail in it? (XQUEUE)

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Output},
};

use sealpost::{cmd::queue::answer::Asker, host::spool::Place, mail::queued::Standing};
use serde_json::Value;

use crate::{
    common::outcome,
    kit::{Mail, Queue, Service, later, let_go, program},
};

/// The user who asks, and another one; both without an entry.
const USER: u32 = 54_321;
const OTHER: u32 = 54_322;

/// The service's queue with a message of each of two users, and a configuration that only names its socket for them.
fn scene() -> (Queue, [sealpost::host::journal::Id; 3]) {
    let queue = Queue::new();
    let put = |uid, to: &str, place| queue.put(&Mail { uid, to: &[(to, later("busy"))], place, ..Mail::default() });
    let ids = [
        put(USER, "own@example.org", Place::Queue),
        put(USER, "kept@example.org", Place::Held),
        put(OTHER, "secret@example.org", Place::Queue),
    ];
    (queue, ids)
}

/// What this user is answered. Without the right to change the uid (not root) there is nobody to ask.
fn ask(queue: &Queue, args: &[&str]) -> Output {
    let config = queue.path("user.toml");
    let text = format!(
        "[serve]\nsocket = \"{}\"\n[queue]\ndir = \"{}\"\n[accounts.relay]\nhost = \"127.0.0.1\"\n",
        queue.path("submit.sock").display(),
        queue.path("spool").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(program(queue));
    command.args(args).env_clear().env("SEALPOST_CONFIG", config).env("TZ", "UTC");
    outcome(command.uid(USER).gid(USER))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const OF_USER: Asker = Asker { uid: USER, is_privileged: false };

#[test]
fn a_user_sees_the_own_mail_in_the_queue_of_the_service_and_no_other() {
    if !is_root() {
        return;
    }
    let (queue, [own, kept, secret]) = scene();
    let _service = Service::start(&queue, OF_USER);
    let (code, stdout, stderr) = told(&ask(&queue, &["queue", "list", "--all", "--json"]));
    let objects: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<&Value> = objects.iter().map(|object| &object["id"]).collect();
    assert_eq!((code, ids, stderr.as_str()), (0, vec![&Value::from(own.to_string()), &kept.to_string().into()], ""));
    assert!(objects.iter().all(|object| object["source"] == "service" && object["uid"] == USER));
    let (code, stdout, _) = told(&ask(&queue, &["sendmail", "-bp"]));
    assert!(code == 0 && stdout.contains("own@example.org") && !stdout.contains("secret"), "{stdout}");
    assert!(stdout.ends_with("-- 0 Kbytes in 2 Requests.\n"), "{stdout}");
    assert_eq!(told(&ask(&queue, &["sendmail", "-bP"])), (0, "2\n".to_owned(), String::new()));
    let (code, stdout, _) = told(&ask(&queue, &["queue", "show", &own.to_string()]));
    assert!(code == 0 && stdout.contains("    Subject: report\n") && stdout.contains("own@example.org: waits"), "{stdout}");
    let (code, stdout, _) = told(&ask(&queue, &["queue", "show", &own.to_string()[12..], "--raw"]));
    assert_eq!((code, stdout.as_str()), (0, Mail::default().text));
    for args in [&["show"][..], &["show", "--raw"], &["hold"], &["remove"], &["flush"]] {
        let name = secret.to_string();
        let words = [&["queue"], args, &[&name]].concat();
        let (code, stdout, stderr) = told(&ask(&queue, &words));
        assert_eq!((code, stdout.as_str()), (66, ""), "{args:?}: {stderr}");
        assert!(stderr.contains("no message of the queue is called so"), "{args:?}: {stderr}");
    }
    assert_eq!(queue.ids(Place::Queue).len(), 2);
}

#[test]
fn a_user_changes_the_own_mail_and_no_other() {
    if !is_root() {
        return;
    }
    let (queue, [own, kept, secret]) = scene();
    let _service = Service::start(&queue, OF_USER);
    let run = |args: &[&str]| told(&ask(&queue, &[&["queue"], args].concat()));
    assert_eq!(run(&["hold", "--to", "example.org"]), (0, String::new(), format!("held: {own}\n")));
    assert_eq!(queue.ids(Place::Queue), [secret.to_string()]);
    assert_eq!(run(&["release", "--all", "--yes"]).0, 0);
    assert_eq!(queue.ids(Place::Held).len(), 0);
    assert_eq!(run(&["remove", &kept.to_string()[14..]]).0, 0);
    let (code, stdout, _) = run(&["flush", "--json"]);
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &answer["asked_of_service"]), (0, &1.into()));
    let due = |id| queue.spool.peek(Place::Queue, id).unwrap().unwrap().state.next <= jiff::Timestamp::now();
    assert!(due(own) && !due(secret));
    assert_eq!(told(&ask(&queue, &["sendmail", "-qRsecret"])).0, 0);
    assert!(!due(secret));
    let log = queue.sealpost.log();
    assert!(log.iter().all(|record| record["uid"] == USER) && log.len() == 4, "{log:?}");
}

#[test]
fn the_service_shows_all_of_it_to_the_privileged() {
    if !is_root() {
        return;
    }
    let (queue, ids) = scene();
    std::os::unix::fs::symlink("/etc/passwd", queue.spool.path().join("queue/odd one")).unwrap();
    {
        let _service = Service::start(&queue, OF_USER);
        let (code, stdout, _) = told(&ask(&queue, &["queue", "list", "--all", "--json"]));
        assert_eq!((code, stdout.lines().count()), (0, 2));
    }
    let _service = Service::start(&queue, Asker { uid: USER, is_privileged: true });
    let (code, stdout, stderr) = told(&ask(&queue, &["queue", "list", "--all"]));
    assert!(code == 0 && ids.iter().all(|id| stdout.contains(&id.to_string())), "{stdout}{stderr}");
    assert!(stdout.contains("queue/odd one: no message"), "{stdout}");
    assert_eq!(told(&ask(&queue, &["sendmail", "-bP"])).1, "3\n");
}

#[test]
fn a_user_with_a_queue_of_the_own_sees_both() {
    if !is_root() {
        return;
    }
    let (queue, [own, ..]) = scene();
    let service = Service::start(&queue, OF_USER);
    let home = Queue::new();
    let private = home.put(&Mail { uid: USER, to: &[("private@example.org", Standing::Waiting(None))], ..Mail::default() });
    let paths = [home.path("spool"), home.path("spool/queue"), home.path("spool/queue").join(private.to_string())];
    for path in paths {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
    let config = queue.path("both.toml");
    let text = format!(
        "[serve]\nsocket = {:?}\n[queue]\ndir = {:?}\n[accounts.relay]\nhost = \"127.0.0.1\"\n",
        queue.path("submit.sock"),
        home.path("spool")
    );
    std::fs::write(&config, text).unwrap();
    let list = || {
        let mut command = Command::new(program(&queue));
        command.args(["queue", "list"]).env_clear().env("SEALPOST_CONFIG", &config).uid(USER).gid(USER);
        told(&outcome(&mut command))
    };
    let (code, stdout, stderr) = list();
    assert_eq!(code, 0, "{stderr}");
    let rows: Vec<&str> = stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(rows.len(), 5, "{stdout}");
    assert!(rows[1].starts_with("own queue, ") && rows[2].starts_with(&private.to_string()), "{stdout}");
    assert!(rows[3].starts_with("own mail in the queue of the service at ") && rows[4].starts_with(&own.to_string()), "{stdout}");
    // Where the service does not answer the own one is shown all the same, and the code says that it is not all.
    drop(service);
    let listener = std::os::unix::net::UnixListener::bind(queue.path("submit.sock")).unwrap();
    std::fs::set_permissions(queue.path("submit.sock"), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let thread = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let (code, stdout, stderr) = list();
    assert!(code == 75 && stdout.contains(&private.to_string()), "{stdout}{stderr}");
    assert!(stderr.contains("asking the service at "), "{stderr}");
    thread.join().unwrap();
}

#[test]
fn what_is_asked_in_no_known_way_is_refused_with_the_ways_that_there_are() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let (queue, [own, _, secret]) = scene();
    let _service = Service::start(&queue, OF_USER);
    let mut stream = std::os::unix::net::UnixStream::connect(queue.path("submit.sock")).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut ask = |query: &str| {
        stream.write_all(format!("XQUEUE {query}\r\n").as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let is_last = line.as_bytes()[3] == b' ';
            lines.push(line.trim_end().to_owned());
            if is_last {
                return lines;
            }
        }
    };
    for query in
        ["", "list all all", "list everything", "show", "show ../x", "remove", "hold a b", "drop x", "count all", "flush \u{1b}"]
    {
        assert!(ask(query)[0].starts_with("501 5.5.4 XQUEUE list"), "{query}");
    }
    assert_eq!(ask(&format!("show {secret}")).len(), 1);
    assert!(ask(&format!("show {secret}"))[0].starts_with("550 5.1.1 no message of the queue is called so"));
    assert_eq!(ask("count"), [r#"250 {"failed":0,"held":1,"queue":1}"#]);
    assert!(ask("show 01")[0].starts_with("501 5.5.4 2 messages are called so"));
    let list = ask("LIST");
    assert!(list[0].starts_with(&format!("250-{{\"id\":\"{own}\",\"place\":\"queue\",\"source\":\"service\"")), "{list:?}");
    assert_eq!(list[1..], [r#"250 {"end":true,"messages":1}"#]);
    let claim = queue.spool.claim(Place::Queue, own).unwrap();
    assert!(ask(&format!("hold {own}"))[0].starts_with("450 4.2.0 it is being sent just now"));
    let_go(claim);
    assert_eq!(ask(&format!("hold {own}")), [format!(r#"250 {{"id":"{own}","status":"held"}}"#)]);
}

#[test]
fn who_listens_and_is_no_service_of_ours_is_told_apart() {
    use std::io::Write as _;
    if !is_root() {
        return;
    }
    let (queue, _) = scene();
    let listener = std::os::unix::net::UnixListener::bind(queue.path("submit.sock")).unwrap();
    std::fs::set_permissions(queue.path("submit.sock"), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 other.test\r\n250-other.test\r\n250 SIZE\r\n").unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-x\r\n").unwrap();
        drop(listener.accept().unwrap());
    });
    for why in ["who listens there is no sealpost", "its answer is no reply of SMTP", "ended the connection"] {
        let (code, stdout, stderr) = told(&ask(&queue, &["queue", "list"]));
        assert_eq!((code, stdout.as_str()), (75, ""), "{stderr}");
        assert!(stderr.contains(why), "{why}: {stderr}");
    }
    thread.join().unwrap();
}
