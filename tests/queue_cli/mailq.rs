//! What do mailq, `sendmail -bp`, `-bP` and `-q` answer, to scripts that were written for Postfix and Sendmail?

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use sealpost::{
    host::{
        listen::{Delivery, Event, Settings, Sink},
        spool::Place,
    },
    mail::queued::Standing,
    smtp::server::fault::Faults,
};

use crate::{
    common::{begin, outcome},
    kit::{Mail, Queue, later},
};

/// What monitoring reads: the count of the last line, as the plug-ins of Nagios and its kin find it; `None`: none of it fits.
fn monitored(text: &str) -> Option<u64> {
    let last = text.lines().last()?;
    if last == "Mail queue is empty" {
        return Some(0);
    }
    let (kbytes, requests) = last.strip_prefix("-- ")?.split_once(" Kbytes in ")?;
    kbytes.parse::<u64>().ok()?;
    let (count, word) = requests.split_once(' ')?;
    let count: u64 = count.parse().ok()?;
    (word == if count == 1 { "Request." } else { "Requests." }).then_some(count)
}

/// `ID[*!] SIZE Www Mmm dd hh:mm:ss SENDER`, as scripts that list a queue of Postfix take it apart.
fn entry(line: &str) -> Option<(String, char, u64, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, size, week, month, day, time, sender] = words[..] else { return None };
    let mark = id.chars().last().filter(|c| "*!".contains(*c)).unwrap_or(' ');
    let id = id.trim_end_matches(['*', '!']);
    let is_id = id.len() >= 6 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let is_date =
        week.len() == 3 && month.len() == 3 && day.parse::<u8>().is_ok() && time.len() == 8 && time.matches(':').count() == 2;
    let starts_at_once = line.starts_with(id);
    (is_id && is_date && starts_at_once).then(|| (id.to_owned(), mark, size.parse().unwrap(), sender.to_owned()))
}

#[test]
fn an_empty_queue_and_its_count_are_told_as_ever() {
    let queue = Queue::new();
    for (args, stdout) in [(&["-bp"][..], "Mail queue is empty\n"), (&["-bp", "-v"], "Mail queue is empty\n"), (&["-bP"], "0\n")] {
        let run = queue.sendmail(args);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, stdout, ""), "{args:?}");
    }
    assert_eq!(monitored("Mail queue is empty\n"), Some(0));
}

#[test]
fn what_waits_and_what_is_held_is_listed_in_the_form_that_scripts_read() {
    let (queue, [waits, new, held, _]) = Queue::scene();
    let run = queue.sendmail(&["-bp"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("-Queue ID-") && lines[0].contains("--Size--") && lines[0].contains("-Sender/Recipient-"));
    let entries: Vec<_> = lines.iter().filter_map(|line| entry(line)).collect();
    assert_eq!(
        entries,
        [
            (waits.to_string(), ' ', 85, "cron@client.test".to_owned()),
            (new.to_string(), ' ', 85, "MAILER-DAEMON".to_owned()),
            (held.to_string(), '!', 85, "cron@client.test".to_owned()),
        ]
    );
    let reasons: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| line.starts_with('(')).collect();
    assert_eq!(reasons, ["(450 4.2.1 mailbox busy)", "(the server does not offer TLS (TLS: starttls-not-supported))"]);
    let recipients: Vec<&str> = lines.iter().filter(|l| l.starts_with("   ") && l.contains('@')).map(|l| l.trim()).collect();
    assert_eq!(
        recipients,
        ["admin@example.org", "a-rather-long-local-part-of-somebody@department.example.org", "held@example.net"]
    );
    assert_eq!(lines.iter().filter(|line| line.is_empty()).count(), 3, "a blank line between two, and before the sum");
    assert_eq!(monitored(&run.stdout), Some(3));
    assert_eq!(queue.sendmail(&["-bP"]).stdout, "3\n");
    // By its own name, from the environment that a plug-in has.
    let mut mailq = Command::new(crate::common::binary());
    mailq.arg0("/usr/bin/mailq").env_clear().env("SEALPOST_CONFIG", queue.path("config.toml")).env("TZ", "UTC");
    let output = outcome(&mut mailq);
    assert_eq!(String::from_utf8_lossy(&output.stdout), run.stdout);
}

#[test]
fn one_message_is_one_request_and_its_recipients_share_a_reason() {
    let queue = Queue::new();
    let text = format!("Subject: x\r\n\r\n{}", "0123456789012345678901234567890123456789\r\n".repeat(100));
    let to = ["a", "b", "c", "d"].map(|name| format!("{name}@example.org"));
    queue.put(&Mail {
        to: &[(&to[0], later("busy")), (&to[1], later("busy")), (&to[2], later("greylisted")), (&to[3], Standing::Delivered)],
        text: &text,
        ..Mail::default()
    });
    let run = queue.sendmail(&["-bp"]);
    let body: Vec<&str> = run.stdout.lines().skip(2).map(str::trim).collect();
    assert_eq!(
        body,
        [
            "(450 4.2.1 busy)",
            "a@example.org",
            "b@example.org",
            "(450 4.2.1 greylisted)",
            "c@example.org",
            "",
            "-- 4 Kbytes in 1 Request.",
        ]
    );
    assert_eq!(monitored(&run.stdout), Some(1));
}

#[test]
fn a_selection_lists_what_it_would_send() {
    let (queue, [waits, new, held, _]) = Queue::scene();
    let name = waits.to_string();
    for (args, ids) in [
        (vec!["-qRadmin@EXAMPLE"], vec![waits]),
        (vec!["-qRops@example.org"], vec![]),
        (vec!["-q!Radmin"], vec![new, held]),
        (vec!["-qScron@"], vec![waits, held]),
        (vec!["-q!Scron@"], vec![new]),
        (vec!["-qI", &name[..5]], vec![]),
        (vec!["-qRadmin", "-qRdepartment"], vec![waits, new]),
        (vec!["-qRadmin", "-q!Scron"], vec![]),
    ] {
        // `-qI x` is `-qI` and a recipient, which no mode of the queue has.
        let run = queue.sendmail(&[&["-bp"], &args[..]].concat());
        if args.len() == 2 && args[0] == "-qI" {
            assert_eq!(run.code, 64);
            continue;
        }
        let listed: Vec<String> = run.stdout.lines().filter_map(entry).map(|(id, ..)| id).collect();
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(listed, ids, "{args:?}");
    }
    let own = format!("-qI{}", &name[3..20].to_ascii_lowercase());
    let listed: Vec<String> = queue.sendmail(&["-bp", &own]).stdout.lines().filter_map(entry).map(|(id, ..)| id).collect();
    assert_eq!(listed, [name]);
}

fn sink(faults: &[&str]) -> Sink {
    Sink::start(Settings { faults: Faults::named(faults.iter().copied()), ..Settings::default() }).unwrap()
}

fn arrived(sink: &Sink) -> Vec<String> {
    let delivery = |event| if let Event::Delivered(delivery) = event { Some(*delivery) } else { None };
    let to = |mail: Delivery| mail.transaction.recipients.into_iter().map(|one| one.address.clone());
    let mut all: Vec<String> = sink.events.try_iter().filter_map(delivery).flat_map(to).collect();
    all.sort();
    all
}

/// Three messages that wait: one due, two not.
fn waiting(sink: &Sink) -> (Queue, [sealpost::host::journal::Id; 3]) {
    let queue = Queue::with(&account(sink));
    let put = |from: &str, to: &str, next| queue.put(&Mail { from, to: &[(to, Standing::Waiting(None))], next, ..Mail::default() });
    let ids = [
        put("cron@client.test", "due@sink.test", -5),
        put("cron@client.test", "later@sink.test", 3000),
        put("web@client.test", "other@sink.test", 3000),
    ];
    (queue, ids)
}

fn account(sink: &Sink) -> String {
    format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\ntls = {{ policy = \"off\" }}\n", sink.address.port())
}

#[test]
fn each_form_of_q_sends_what_it_says_and_nothing_else() {
    for (args, sent) in [
        (&["-q"][..], &["due@sink.test", "later@sink.test", "other@sink.test"][..]),
        (&["-qf"], &["due@sink.test", "later@sink.test", "other@sink.test"]),
        // With a time: what is due, once; repeating it is the service's.
        (&["-q30m"], &["due@sink.test"]),
        (&["-qp5m"], &["due@sink.test"]),
        (&["-qSweb@"], &["other@sink.test"]),
        (&["-q!SCRON"], &["other@sink.test"]),
        (&["-qRlater", "-qRdue"], &["due@sink.test", "later@sink.test"]),
        (&["-qRlater", "-qSweb"], &[]),
        (&["-qIZZZZZZ"], &[]),
    ] {
        let sink = sink(&[]);
        let (queue, _) = waiting(&sink);
        let run = queue.sendmail(args);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{args:?}");
        assert_eq!(arrived(&sink), sent, "{args:?}");
        assert_eq!(queue.ids(Place::Queue).len(), 3 - sent.len(), "{args:?}");
    }
    let sink = sink(&[]);
    let (queue, [_, later, _]) = waiting(&sink);
    assert_eq!(queue.sendmail(&[&format!("-qI{later}")]).code, 0);
    assert_eq!(arrived(&sink), ["later@sink.test"]);
}

#[test]
fn a_flush_sends_what_is_meant_and_says_what_came_of_it() {
    for (args, code, answer, sent) in [
        (&["flush"][..], 0, [3, 0, 0], &["due@sink.test", "later@sink.test", "other@sink.test"][..]),
        (&["flush", "--due"], 0, [1, 0, 0], &["due@sink.test"]),
        (&["flush", "--from", "web"], 0, [1, 0, 0], &["other@sink.test"]),
        (&["flush", "--to", "nobody"], 0, [0, 0, 0], &[]),
    ] {
        let sink = sink(&[]);
        let (queue, _) = waiting(&sink);
        let run = queue.ask(&[args, &["--json"]].concat());
        let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let told = ["sent", "deferred", "failed"].map(|key| told[key].as_u64().unwrap());
        assert_eq!((run.code, told, run.stderr.as_str()), (code, answer, ""), "{args:?}");
        assert_eq!(arrived(&sink), sent, "{args:?}");
    }
    let sink = sink(&[]);
    let (queue, [due, _, other]) = waiting(&sink);
    let run = queue.ask(&["flush", &due.to_string()[10..], &other.to_string(), "ZZZZZZ"]);
    assert_eq!((run.code, run.stdout.as_str()), (66, ""), "{}", run.stderr);
    assert_eq!(arrived(&sink), ["due@sink.test", "other@sink.test"]);
}

#[test]
fn a_flush_that_leaves_something_says_so_by_its_code() {
    // Nobody listens: the first message tells, and the others are not tried for nothing.
    let (queue, _) = Queue::scene();
    let run = queue.ask(&["flush", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &told["deferred"], &told["untried"]), (75, &1.into(), &1.into()), "{told}");
    let deferring = sink(&["rcpt-451"]);
    let (queue, _) = waiting(&deferring);
    let run = queue.ask(&["flush"]);
    assert_eq!((run.code, run.stderr.as_str()), (75, ""));
    assert_eq!(queue.ids(Place::Queue).len(), 3);
    assert_eq!(queue.sendmail(&["-q"]).code, 0);
    let refusing = sink(&["rcpt-550"]);
    let (queue, _) = waiting(&refusing);
    assert_eq!(queue.ask(&["flush", "--from", "web"]).code, 69);
    assert_eq!(queue.ids(Place::Failed).len(), 1);
}

#[test]
fn a_flush_tries_every_message_once_in_whatever_order_the_directory_has_them() {
    let deferring = sink(&["mail-451"]);
    let queue = Queue::with(&account(&deferring));
    for _ in 0..8 {
        queue.put(&Mail { to: &[("later@sink.test", Standing::Waiting(None))], next: 3000, ..Mail::default() });
    }
    // Four connections race the look through the queue, and each flush writes the names of the queue anew.
    for _ in 0..30 {
        let told: serde_json::Value = serde_json::from_str(&queue.ask(&["flush", "--json"]).stdout).unwrap();
        assert_eq!((&told["deferred"], &told["untried"]), (&8.into(), &0.into()), "{told}");
    }
}

#[test]
fn a_flush_in_the_background_returns_at_once_and_sends_all_the_same() {
    let sink = sink(&[]);
    let (queue, _) = waiting(&sink);
    let run = queue.ask(&["flush", "--background"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let mut sent = 0;
    while sent < 3 {
        let event = sink.events.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        sent += usize::from(matches!(event, Event::Delivered(_)));
    }
}

#[test]
fn with_v_a_run_tells_what_it_does_and_that_a_time_means_once() {
    let sink = sink(&[]);
    let (queue, _) = waiting(&sink);
    let run = queue.sendmail(&["-q30m", "-v"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(
        run.stderr.starts_with("* a time behind -q: the queue is run once") && run.stderr.contains("127.0.0.1"),
        "{}",
        run.stderr
    );
}

#[test]
fn without_any_configuration_nothing_can_wait() {
    let queue = Queue::new();
    for (args, stdout) in [(&["-bp"][..], "Mail queue is empty\n"), (&["-bP"], "0\n"), (&["-q"], "")] {
        let run = queue.sealpost.command(&[&["sendmail"], args].concat(), b"");
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, stdout, ""), "{args:?}");
    }
    // One that is named has to be there.
    for args in [&["sendmail", "-bp", "-C", "/nonexistent.toml"], &["queue", "list", "-C", "/nonexistent.toml"]] {
        assert_eq!(queue.sealpost.command(args, b"").code, 78, "{args:?}");
    }
}

/// A server that takes one connection, and answers a final dot when it is told to.
fn hesitant() -> (u16, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told_dot, dot) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(b"220 hesitant.test\r\n").unwrap();
        let mut in_data = false;
        for line in reader.lines().map_while(Result::ok) {
            let reply = match (in_data, line.get(..4).unwrap_or(&line)) {
                (true, ".") => {
                    in_data = false;
                    told_dot.send(()).unwrap();
                    answers.recv().unwrap();
                    "250 kept"
                }
                (true, _) => continue,
                (false, "DATA") => {
                    in_data = true;
                    "354 go on"
                }
                (false, _) => "250 fine",
            };
            if stream.write_all(format!("{reply}\r\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    (port, dot, answer)
}

#[test]
fn a_run_that_is_stopped_waits_for_the_message_that_is_under_way() {
    let (port, dot, answer) = hesitant();
    let queue = Queue::with(&format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls = {{ policy = \"off\" }}\n"));
    let put = |to: &str| queue.put(&Mail { to: &[(to, Standing::Waiting(None))], ..Mail::default() });
    let both = [put("first@sink.test"), put("second@sink.test")].map(|id| id.to_string());
    let mut flush = Command::new(crate::common::binary());
    let mut child = begin(flush.args(["queue", "flush", "-C"]).arg(queue.path("config.toml")).stderr(Stdio::piped()));
    dot.recv_timeout(Duration::from_secs(30)).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.take(2).any(|line| line.starts_with("ending after the messages that are under way")));
    assert_eq!(child.try_wait().unwrap(), None);
    answer.send(()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let log = queue.sealpost.log();
    assert_eq!(log.iter().map(|record| &record["status"]).collect::<Vec<_>>(), ["sent"], "{log:?}");
    // Whichever was met first has left, and is the only one.
    let left: Vec<&String> = both.iter().filter(|id| log[0]["id"] != **id).collect();
    assert_eq!((left.len(), queue.ids(Place::Queue)), (1, vec![left[0].clone()]));
}
