//! What becomes of a submission under each `mode`, and under each `-od`.

use std::fs;

use crate::{
    common::MESSAGE,
    kit::{self, Door, Mood, arrive, arrived, client, drain, files, later, row, send, silent, told},
};

const FALLBACK: &str = "mode = \"fallback\"";

/// What `-bs` answers to the end of a message.
fn spoken(sealpost: &crate::common::Sealpost) -> (String, crate::common::Run) {
    let dialogue = format!("EHLO x\nMAIL FROM:<me@client.test>\nRCPT TO:<ok@sink.test>\nDATA\n{}.\nQUIT\n", crate::common::MESSAGE);
    let run = sealpost.send(&["-bs"], dialogue.as_bytes());
    let answer = run.stdout.lines().skip_while(|line| !line.starts_with("354 ")).nth(1).unwrap_or_default().to_owned();
    (answer, run)
}

#[test]
fn an_smtp_client_does_not_send_again_what_is_safe_nor_what_was_refused_for_good() {
    // Only a person can mend it, and hears of it; the message waits, so the client has nothing left to do.
    let sink = kit::sink(&[]);
    let auth = "auth = { user = \"cron\", password_command = \"false\", mechanism = \"PLAIN\" }";
    let sealpost = client(sink.address.port(), FALLBACK, auth);
    let _alone = kit::alone(&sealpost);
    let (answer, run) = spoken(&sealpost);
    assert!(answer.starts_with("250 2.0.0 kept as ") && run.stderr.contains("the message is safe in the queue"), "{run:?}");
    assert_eq!((run.code, files(&sealpost, "queue").len()), (0, 1));

    for (fault, code) in
        [("rcpt-550-all", "550 5.1.1 "), ("data-554", "554 5.6.0 "), ("greeting-554", "554 5.0.0 "), ("rcpt-451", "451 4.3.0 ")]
    {
        let sink = kit::sink(&[fault]);
        let sealpost = client(sink.address.port(), "mode = \"off\"", "");
        let (answer, run) = spoken(&sealpost);
        assert!(answer.starts_with(code), "{fault}: {run:?}");
    }
}
const ALWAYS: &str = "mode = \"always\"";

#[test]
fn an_smtp_client_that_breaks_off_in_a_message_is_no_success() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), "mode = \"off\"", "");
    let begin = "EHLO x\nMAIL FROM:<me@client.test>\nRCPT TO:<ok@sink.test>\n";
    for (said, code) in [("", 0), ("DATA\nSubject: half\n", 75), ("BDAT 100 LAST\nSubject: half\n", 75), ("BDAT 3\nx: ", 75)] {
        let run = sealpost.send(&["-bs"], format!("{begin}{said}").as_bytes());
        assert_eq!((run.code, arrived(&sink).len()), (code, 0), "{said:?}: {run:?}");
        assert_eq!(run.stderr.contains("it ended in the middle of a message"), code != 0, "{run:?}");
    }
}

#[test]
fn without_a_queue_nothing_is_made_for_one() {
    let door = Door::to(&kit::sink(&[]));
    door.is(Mood::Down);
    let sealpost = client(door.port, "mode = \"off\"", "");
    let run = send(&sealpost, &["ok@sink.test"]);
    assert_eq!((run.code, told(&run.records)), (75, vec![row("send", "deferred", 1, false, 75)]), "{run:?}");
    assert!(!kit::spool(&sealpost).exists());
}

#[test]
fn what_can_not_go_now_is_queued_without_a_word_and_goes_later() {
    let sink = kit::sink(&[]);
    let door = Door::to(&sink);
    door.is(Mood::Down);
    let sealpost = client(door.port, FALLBACK, "");
    let _alone = kit::alone(&sealpost);
    let run = send(&sealpost, &["-odi", "ok@sink.test"]);
    silent(&run);
    assert_eq!(told(&run.records), [row("send", "deferred", 1, true, 0)]);
    assert_eq!(files(&sealpost, "queue").len(), 1);
    // The account pauses now: nobody asks the server again for the next message.
    let run = send(&sealpost, &["ok@sink.test"]);
    silent(&run);
    assert_eq!((told(&run.records), door.knocks()), (vec![row("queue", "queued", 0, true, 0)], 1));
    let run = drain(&sealpost);
    assert_eq!((run.records.len(), door.knocks()), (0, 1), "{run:?}");

    door.is(Mood::Open);
    later(&sealpost);
    let run = drain(&sealpost);
    let mut sent = told(&run.records);
    // Both are due since the same time.
    sent.sort_unstable_by_key(|(_, _, attempts, ..)| *attempts);
    assert_eq!(sent, [row("send", "sent", 1, true, 0), row("send", "sent", 2, true, 0)]);
    let mails = arrived(&sink);
    assert_eq!(mails.iter().map(|mail| kit::field(mail, "Message-ID")).collect::<Vec<_>>(), ["<report.1@client.test>"; 2]);
    // Both on one connection.
    assert_eq!((files(&sealpost, "queue").len(), door.knocks()), (0, 2));
    let run = send(&sealpost, &["ok@sink.test"]);
    assert_eq!((run.code, told(&run.records)), (0, vec![row("send", "sent", 1, false, 0)]), "{run:?}");
}

#[test]
fn what_is_refused_for_good_is_the_callers_and_a_copy_is_kept() {
    let sink = kit::sink(&["rcpt-550"]);
    let sealpost = client(sink.address.port(), FALLBACK, "");
    let run = send(&sealpost, &["nobody@sink.test", "ok@sink.test"]);
    assert_eq!((run.code, told(&run.records)), (67, vec![row("send", "failed", 1, false, 67)]), "{run:?}");
    assert!(run.stderr.contains("<nobody@sink.test> failed: 550") && run.stderr.contains("1 of 2 recipients"), "{run:?}");
    assert_eq!((files(&sealpost, "queue").len(), arrived(&sink).len()), (0, 1));
    let [copy] = files(&sealpost, "failed").try_into().unwrap();
    assert_eq!(kit::state(&copy)["told"], true);
    assert!(fs::read_to_string(copy).unwrap().contains("\r\nall is well\r\n"));
}

#[test]
fn whoever_wants_errors_by_mail_alone_gets_them_so() {
    let sink = kit::sink(&["rcpt-550"]);
    let refused = |queue: &str, args: &[&str]| {
        let sealpost = client(sink.address.port(), queue, "");
        let _alone = kit::alone(&sealpost);
        let run = send(&sealpost, &[&["-f", "ok@sink.test"], args, &["nobody@sink.test", "too@sink.test"]].concat());
        let later = drain(&sealpost).records;
        let reports = run.records.iter().chain(&later).filter(|record| record["event"] == "bounce").count();
        (run, arrived(&sink).iter().flat_map(kit::to).collect::<Vec<_>>(), reports)
    };
    let (run, reached, reports) = refused(FALLBACK, &["-oee"]);
    silent(&run);
    assert_eq!((reached, reports), (vec!["too@sink.test".to_owned()], 1));
    // Where there is no queue, or would be no report, the exit code tells.
    for (queue, args) in [
        ("mode = \"off\"", &["-oee"][..]),
        (FALLBACK, &["-oee", "-f", ""]),
        (FALLBACK, &["-oee", "-N", "never"]),
        (FALLBACK, &["-oem"]),
        (FALLBACK, &["-oew"]),
    ] {
        let (run, reached, reports) = refused(queue, args);
        assert_eq!((run.code, reached, reports), (67, vec!["too@sink.test".to_owned()], 0), "{args:?}: {run:?}");
    }
}

#[test]
fn always_means_that_a_message_is_safe_first_and_sent_then() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), ALWAYS, "");
    let run = send(&sealpost, &["-odq", "one@sink.test"]);
    silent(&run);
    assert_eq!((told(&run.records), arrived(&sink).len()), (vec![row("queue", "queued", 0, true, 0)], 0));
    let run = send(&sealpost, &["-odi", "two@sink.test"]);
    silent(&run);
    assert!(told(&run.records).contains(&row("send", "sent", 1, true, 0)), "{run:?}");
    // And what waited before goes behind the caller's back.
    let both: Vec<_> = arrive(&sink, 2).iter().flat_map(kit::to).collect();
    assert_eq!(both, ["two@sink.test", "one@sink.test"]);
    silent(&send(&sealpost, &["three@sink.test"]));
    assert_eq!(kit::to(&arrive(&sink, 1)[0]), ["three@sink.test"]);
}

#[test]
fn odq_queues_where_what_can_go_would_go_at_once() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), FALLBACK, "");
    silent(&send(&sealpost, &["-odq", "one@sink.test"]));
    assert_eq!((files(&sealpost, "queue").len(), arrived(&sink).len()), (1, 0));
    // The next one that goes takes it along.
    silent(&send(&sealpost, &["two@sink.test"]));
    let both: Vec<_> = arrive(&sink, 2).iter().flat_map(kit::to).collect();
    assert_eq!(both, ["two@sink.test", "one@sink.test"]);
}

#[test]
fn a_queue_that_can_not_be_written_leaves_the_message_to_the_caller_with_both_reasons() {
    let door = Door::to(&kit::sink(&[]));
    door.is(Mood::Down);
    for mode in [FALLBACK, ALWAYS] {
        let sealpost = client(door.port, mode, "");
        fs::write(kit::spool(&sealpost), "no directory").unwrap();
        let run = send(&sealpost, &["ok@sink.test"]);
        assert_eq!(run.code, 75, "{run:?}");
        assert!(run.stderr.contains("Not a directory") && run.stderr.contains("hint: "), "{run:?}");
        let is_first = run.stderr.contains("127.0.0.1");
        assert_eq!((is_first, run.records.len(), run.field("/exit").is_empty()), (mode == FALLBACK, 1, true), "{run:?}");
        assert_eq!((&run.last()["queue"], &run.last()["exit"]), (&false.into(), &75.into()), "{run:?}");
    }
}

#[test]
fn an_account_that_only_a_person_can_mend_is_said_although_the_message_is_safe() {
    let sink = kit::sink(&[]);
    let auth = "auth = { user = \"cron\", password_command = \"false\", mechanism = \"PLAIN\" }";
    let sealpost = client(sink.address.port(), FALLBACK, auth);
    let run = send(&sealpost, &["ok@sink.test"]);
    assert_eq!((run.code, files(&sealpost, "queue").len()), (0, 1), "{run:?}");
    assert!(run.stderr.contains("safe in the queue"), "{run:?}");
    assert!(!MESSAGE.is_empty() && run.last()["queue"] == true, "{run:?}");
}
