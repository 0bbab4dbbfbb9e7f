//! What do `sealpost queue list` and `show` tell, to a person in 80 columns and to a program?

use std::os::unix::fs::symlink;

use sealpost::{host::spool::Place, mail::queued::Standing};
use serde_json::Value;

use crate::kit::{Mail, Queue, later, let_go, problem, refused};

/// Without what differs from run to run.
fn without_ids(text: &str) -> String {
    let line = |line: &str| match line.get(..26) {
        Some(id) if id.starts_with("01") && id.bytes().all(|b| b.is_ascii_alphanumeric()) => format!("ID{}", &line[26..]),
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn a_row_tells_what_waits_and_lines_below_it_for_whom_and_why() {
    let (queue, _) = Queue::scene();
    let run = queue.ask(&["list"]);
    assert_eq!(
        without_ids(&run.stdout),
        "id                           age   size  tried  next    from\n\
         ID    2h     85     3x  in 12m  cron@client.test\n    to admin@example.org: 450 4.2.1 mailbox busy\n    \
         to nobody@example.org failed: 550 5.2.1 no such user\n    1 more have it\n\
         ID    5m     85     0x  now     <>\n    to a-rather-long-local-part-of-somebody@department.example.org\n"
    );
    assert_eq!((run.code, run.stderr.as_str()), (0, "2 messages, 170 octets; besides 1 held and 1 failed (--all)\n"));
}

#[test]
fn what_is_held_and_what_failed_is_shown_when_it_is_asked_for() {
    let (queue, [waits, new, held, failed]) = Queue::scene();
    let shown = |args: &[&str]| -> Vec<String> {
        let run = queue.ask(&[&["list", "--json"], args].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
        let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        objects.map(|object| object["id"].as_str().unwrap().to_owned()).collect()
    };
    let names = |ids: &[sealpost::host::journal::Id]| -> Vec<String> { ids.iter().map(ToString::to_string).collect() };
    assert_eq!(shown(&[]), names(&[waits, new]));
    assert_eq!(shown(&["--held"]), names(&[held]));
    assert_eq!(shown(&["--failed"]), names(&[failed]));
    assert_eq!(shown(&["--held", "--failed"]), names(&[held, failed]));
    assert_eq!(shown(&["--all"]), names(&[waits, new, held, failed]));
    assert_eq!(shown(&["--all", "--to", "EXAMPLE.net"]), names(&[held, failed]));
    assert_eq!(shown(&["--all", "--from", "cron@"]), names(&[waits, held, failed]));
    // Of whom has the message already nobody asks.
    assert_eq!(shown(&["--to", "ops@example.org"]), names(&[]));
    assert_eq!(shown(&["--all", "--older-than", "3d"]), names(&[held, failed]));
    assert_eq!(shown(&["--account", "relay"]), names(&[waits, new]));
    assert_eq!(shown(&["--account", "rela"]), names(&[]));
}

#[test]
fn each_message_is_an_object_whose_keys_a_program_may_rely_on() {
    let (queue, [waits, ..]) = Queue::scene();
    let run = queue.ask(&["list", "--json"]);
    let first: Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    let mut expected = [
        "id",
        "place",
        "source",
        "arrived",
        "uid",
        "user",
        "account",
        "from",
        "message_id",
        "size",
        "report",
        "attempts",
        "tried",
        "next",
        "problem",
        "recipients",
    ];
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&first["id"], &first["place"], &first["source"]), (&waits.to_string().into(), &"queue".into(), &"own".into()));
    assert_eq!((&first["attempts"], &first["size"], &first["from"]), (&3.into(), &85.into(), &"cron@client.test".into()));
    for time in ["arrived", "tried", "next"] {
        let text = first[time].as_str().unwrap();
        assert!(text.len() == "2026-11-23T22:53:01.123Z".len() && text.parse::<jiff::Timestamp>().is_ok(), "{time}: {text}");
    }
    assert_eq!(
        first["recipients"],
        serde_json::json!([
            {"address": "admin@example.org", "status": "waiting", "code": 450, "enhanced": "4.2.1", "reply": "mailbox busy", "tls": null},
            {"address": "ops@example.org", "status": "delivered", "code": null, "enhanced": null, "reply": null, "tls": null},
            {"address": "nobody@example.org", "status": "failed", "code": 550, "enhanced": "5.2.1", "reply": "no such user", "tls": null},
        ])
    );
    // The manual lists them.
    let (_, manual) = include_str!("../../man/sealpost.1").split_once(".Ss sealpost queue\n").unwrap();
    let (manual, _) = manual.split_once(".Ss ").unwrap();
    let items = manual.lines().filter_map(|line| line.strip_prefix(".It Li "));
    let mut listed: Vec<&str> = items.flat_map(|line| line.split(" , ")).collect();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn why_tls_failed_is_told_once_for_all_and_beside_whom_it_concerns() {
    let (queue, _) = Queue::scene();
    let run = queue.ask(&["list", "--held"]);
    let lines: Vec<&str> = run.stdout.lines().skip(2).collect();
    assert_eq!(lines, ["    the server does not offer TLS (TLS: starttls-not-supported)", "    to held@example.net"]);
    let run = queue.ask(&["list", "--held", "--json"]);
    let held: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&held["problem"]["tls"], &held["next"]), (&"starttls-not-supported".into(), &Value::Null));
}

#[test]
fn no_word_of_a_server_can_drive_the_terminal_or_forge_a_row() {
    let queue = Queue::new();
    let nasty = "\u{1b}[2Jno\r\n01M8K7W86D040G2081040G2081  forged \u{202e}\u{9b}31m";
    let id = queue.put(&Mail {
        to: &[("a@example.org", later(nasty)), ("b@example.org", refused(nasty))],
        problem: Some(problem(nasty, Some(nasty))),
        text: "Subject: \u{1b}]0;title\u{7}\r\nX: \u{9b}31m\r\n\r\nbody \u{1b}[2J\r\n",
        ..Mail::default()
    });
    let id = id.to_string();
    for args in [&["list"][..], &["list", "--json"], &["show", &id], &["show", &id, "--json"]] {
        let run = queue.ask(args);
        assert_eq!(run.code, 0, "{args:?}");
        let is_bad = |c: char| c != '\n' && sealpost::error::is_treacherous(c);
        assert!(!run.stdout.chars().any(is_bad), "{args:?}: {:?}", run.stdout);
        assert!(!run.stdout.lines().any(|line| line.starts_with("01M8K7W86D040G2081040G2081")), "{args:?}: {}", run.stdout);
    }
    let run = queue.sendmail(&["-bp"]);
    assert!(!run.stdout.chars().any(|c| c != '\n' && sealpost::error::is_treacherous(c)), "{:?}", run.stdout);
    // What is no terminal has the octets themselves.
    assert!(queue.ask(&["show", &id, "--raw"]).stdout.contains("body \u{1b}[2J\r\n"));
}

#[test]
fn the_page_of_a_message_tells_its_envelope_how_it_stands_and_its_header() {
    let (queue, [waits, _, held, failed]) = Queue::scene();
    let name = waits.to_string();
    let run = queue.ask(&["show", &name]);
    assert_eq!(run.code, 0);
    for line in [
        &*format!("message {waits}"),
        "  from       <cron@client.test>, by root (uid 0)",
        "  account    relay",
        "  size       85 octets",
        "  reports    NOTIFY=NEVER",
        "  to         admin@example.org: waits, 450 4.2.1 mailbox busy",
        "             ops@example.org: delivered",
        "             nobody@example.org: failed, 550 5.2.1 no such user",
        "  header",
        "    Subject: report",
    ] {
        assert!(run.stdout.lines().any(|shown| shown == line), "{line}\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("all is well") && run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    // A part of the name is enough, at either end of it and in any case.
    for part in [&name[..12], &name[14..], &name.to_ascii_lowercase()] {
        assert!(queue.ask(&["show", part]).stdout.starts_with(&format!("message {waits}\n")), "{part}");
    }
    assert!(queue.ask(&["show", &held.to_string()]).stdout.contains("held: it waits until it is released"));
    assert!(queue.ask(&["show", &failed.to_string()]).stdout.contains("failed for good"));
    let json: Value = serde_json::from_str(&queue.ask(&["show", &name, "--json"]).stdout).unwrap();
    assert_eq!((&json["id"], &json["notify"], &json["eight_bit"]), (&name.as_str().into(), &"NEVER".into(), &false.into()));
    assert!(json["header"].as_str().unwrap().ends_with("Message-ID: <1@client.test>\n"));
    let raw = queue.ask(&["show", &name, "--raw"]).stdout;
    assert_eq!(raw, Mail::default().text);
}

#[test]
fn a_name_that_nothing_has_and_one_that_means_several_are_told() {
    let (queue, [waits, ..]) = Queue::scene();
    for (name, code, why) in [
        ("ZZZZZZ", 66, "looking for message ZZZZZZ: no message of the queue is called so"),
        ("01", 64, "looking for message 01: 4 messages are called so, "),
        ("../x", 64, "this is no id of a message"),
    ] {
        let run = queue.ask(&["show", name]);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{name}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{name}: {}", run.stderr);
    }
    let_go(queue.spool.claim(Place::Queue, waits).unwrap());
    std::fs::remove_file(queue.spool.path().join("queue").join(waits.to_string())).unwrap();
    assert_eq!(queue.ask(&["show", &waits.to_string()]).code, 66);
}

#[test]
fn many_recipients_are_told_in_short() {
    let queue = Queue::new();
    let to: Vec<String> = (0..9).map(|n| format!("r{n}@example.org")).collect();
    let to: Vec<(&str, Standing)> = to
        .iter()
        .enumerate()
        .map(|(n, to)| (to.as_str(), if n < 2 { Standing::Delivered } else { Standing::Waiting(None) }))
        .collect();
    queue.put(&Mail { to: &to, ..Mail::default() });
    let shown = queue.ask(&["list"]).stdout;
    let lines: Vec<&str> = shown.lines().skip(2).collect();
    assert_eq!(lines.first(), Some(&"    to r2@example.org"));
    assert_eq!((lines.len(), lines.last()), (6, Some(&"    and 2 more; 2 have it")));
}

#[test]
fn what_is_no_message_is_listed_as_odd_and_stops_nothing() {
    let (queue, [waits, new, ..]) = Queue::scene();
    let place = queue.spool.path().join("queue");
    let now = jiff::Timestamp::now();
    let name = |n: u8| sealpost::host::journal::Id::new(now, [n; 10]).to_string();
    symlink("/etc/passwd", place.join(name(200))).unwrap();
    std::fs::create_dir(place.join(name(201))).unwrap();
    std::fs::write(place.join(name(202)), "sealpost-queue 9 of the future\n").unwrap();
    std::fs::write(place.join(name(203)), "").unwrap();
    std::fs::write(place.join("a name\nwith \u{1b}[2J in it"), "x").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.join(name(204)),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let half = std::fs::read(place.join(waits.to_string())).unwrap();
    std::fs::write(place.join(name(205)), &half[..half.len() / 2]).unwrap();
    let run = queue.ask(&["list"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let odd: Vec<&str> = run.stdout.lines().filter(|line| line.contains(": no message of sealpost's")).collect();
    assert_eq!(odd.len(), 7, "{}", run.stdout);
    assert!(run.stdout.contains("queue/a name\\nwith \\u{1b}[2J in it: no message"), "{}", run.stdout);
    let json = queue.ask(&["list", "--json"]).stdout;
    let objects: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.iter().filter(|object| object["odd"].is_string()).count(), 7);
    let ids: Vec<&str> = objects.iter().filter_map(|object| object["id"].as_str()).collect();
    assert_eq!(ids, [waits.to_string(), new.to_string()]);
    // They can't be taken for messages by any other command.
    for n in 200..206 {
        for args in [&["show", &name(n)][..], &["remove", &name(n)], &["hold", &name(n)]] {
            let run = queue.ask(args);
            assert!([65, 66].contains(&run.code), "{args:?}: {} {}", run.code, run.stderr);
        }
    }
    assert!(std::fs::symlink_metadata(place.join(name(200))).is_ok());
    assert!(queue.sendmail(&["-bp"]).stdout.ends_with("-- 0 Kbytes in 3 Requests.\n"));
}

#[test]
fn a_queue_that_is_not_there_is_empty_and_is_not_made() {
    let queue = Queue::new();
    std::fs::remove_dir_all(queue.spool.path()).unwrap();
    let run = queue.ask(&["list"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", "no message\n"));
    assert_eq!(queue.sendmail(&["-bp"]).stdout, "Mail queue is empty\n");
    assert_eq!(queue.sendmail(&["-bP"]).stdout, "0\n");
    assert_eq!(queue.sendmail(&["-q"]).code, 0);
    assert_eq!(queue.ask(&["flush"]).code, 0);
    assert!(!queue.spool.path().exists());
}

#[test]
fn a_queue_in_which_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (queue, _) = Queue::scene();
    std::fs::set_permissions(queue.spool.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let run = queue.ask(&["list"]);
    assert_eq!((run.code, run.stdout.as_str()), (78, ""));
    assert!(run.stderr.contains("others may write in"), "{}", run.stderr);
}

#[test]
fn who_has_read_enough_is_no_error() {
    let (queue, _) = Queue::scene();
    let line = format!(
        "{} queue list -C {} | true; exit ${{PIPESTATUS[0]}}",
        crate::common::binary().display(),
        queue.path("config.toml").display()
    );
    let listed = crate::common::outcome(std::process::Command::new("bash").args(["-c", &line]));
    assert_eq!(listed.status.code(), Some(0));
}

#[test]
fn what_waits_because_its_account_does_not_work_says_so() {
    let queue = Queue::new();
    for (to, age) in [("first@example.org", 20), ("second@example.org", 10)] {
        queue.put(&Mail { to: &[(to, Standing::Waiting(None))], age, attempts: 0, next: -age, ..Mail::default() });
    }
    // Nobody listens: the account is left alone after one attempt.
    assert_eq!(queue.sendmail(&["-q"]).code, 0);
    let objects: Vec<Value> =
        queue.ask(&["list", "--json"]).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut attempts: Vec<u64> = objects.iter().map(|object| object["attempts"].as_u64().unwrap()).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [0, 1]);
    let now = jiff::Timestamp::now();
    for object in &objects {
        assert!(object["problem"]["reply"].as_str().unwrap().contains("connection refused"), "{object}");
        assert!(object["next"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() > now, "{object}");
    }
    let mailq = queue.sendmail(&["-bp"]).stdout;
    assert_eq!(mailq.matches("connection refused)").count(), 2, "{mailq}");
}

#[test]
fn what_another_clock_put_a_year_ahead_is_said_to_be_due_as_it_is() {
    let queue = Queue::new();
    let to = [("admin@example.org", later("mailbox busy"))];
    queue.put(&Mail { to: &to, attempts: 1, next: 365 * 86_400, ..Mail::default() });
    queue.put(&Mail { to: &to, attempts: 1, next: 3600, ..Mail::default() });
    let listed = queue.sealpost.command(&["queue", "list", "-C", &queue.path("config.toml").display().to_string()], b"");
    let next = |what: &str| listed.stdout.lines().filter(|line| line.contains(what)).count();
    assert_eq!((next("  1x  now "), next("  1x  in 59m ") + next("  1x  in 1h ")), (1, 1), "{listed:?}");
}
