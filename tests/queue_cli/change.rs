//! What do `hold`, `release` and `remove` do, and to what?

use sealpost::{host::spool::Place, mail::queued::Standing};
use serde_json::Value;

use crate::kit::{Mail, Queue, later, let_go};

fn states(queue: &Queue) -> [usize; 3] {
    [Place::Queue, Place::Held, Place::Failed].map(|place| queue.ids(place).len())
}

#[test]
fn a_message_is_held_and_released_and_the_log_tells_of_both() {
    let (queue, [waits, ..]) = Queue::scene();
    let name = waits.to_string();
    let run = queue.ask(&["hold", &name]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", &*format!("held: {waits}\n")));
    assert_eq!(states(&queue), [1, 2, 1]);
    let run = queue.ask(&["release", &name[18..]]);
    assert_eq!((run.code, run.stderr.as_str()), (0, &*format!("released: {waits}\n")));
    assert_eq!(states(&queue), [2, 1, 1]);
    let log = queue.sealpost.log();
    let told: Vec<[&Value; 3]> = log.iter().map(|record| ["event", "status", "id"].map(|key| &record[key])).collect();
    let [event, id] = [Value::from("queue"), name.as_str().into()];
    assert_eq!(told, [[&event, &"held".into(), &id], [&event, &"released".into(), &id]]);
    // Whom it has reached is not concerned.
    let concerned: Vec<&Value> = log[0]["recipients"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(concerned, ["admin@example.org", "nobody@example.org"]);
    let next = queue.spool.peek(Place::Queue, waits).unwrap().unwrap().state.next;
    assert!(next <= jiff::Timestamp::now(), "what is released is due");
    let run = queue.ask(&["show", &name]);
    assert!(
        run.stdout.contains("\n  history\n    ") && run.stdout.contains("  held ") && run.stdout.contains("  released"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_failed_for_good_waits_again_when_it_is_released() {
    let (queue, [.., failed]) = Queue::scene();
    assert_eq!(queue.ask(&["release", &failed.to_string()]).code, 0);
    let entry = queue.spool.peek(Place::Queue, failed).unwrap().unwrap();
    assert!(matches!(&entry.state.recipients[..], [Standing::Waiting(Some(last))] if (last.code, last.unknown) == (Some(550), 0)));
    assert!(!entry.state.told);
    assert_eq!(states(&queue), [3, 1, 0]);
}

#[test]
fn a_removed_message_is_gone_nobody_is_told_and_the_log_knows() {
    let (queue, [waits, new, held, _]) = Queue::scene();
    let (one, other) = (waits.to_string(), held.to_string());
    let run = queue.ask(&["remove", &one, &other, "--json"]);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &answer["status"], &answer["refused"]), (0, &"removed".into(), &serde_json::json!([])));
    assert_eq!(answer["done"], serde_json::json!([one, other]));
    assert_eq!(queue.ids(Place::Queue), [new.to_string()]);
    assert_eq!(states(&queue), [1, 0, 1]);
    assert!(queue.sealpost.log().iter().all(|record| record["event"] == "queue" && record["status"] == "removed"));
    let run = queue.ask(&["remove", &one]);
    assert_eq!(run.code, 66, "{}", run.stderr);
}

#[test]
fn one_that_can_not_be_had_does_not_stop_the_others() {
    let (queue, [waits, new, held, _]) = Queue::scene();
    let claim = queue.spool.claim(Place::Queue, waits).unwrap();
    let run = queue.ask(&["remove", &waits.to_string(), "ZZZZZZ", &new.to_string(), &held.to_string()]);
    assert_eq!(run.code, 66, "{}", run.stderr);
    assert!(run.stderr.contains("it is being sent just now") && run.stderr.contains("ZZZZZZ: no message"), "{}", run.stderr);
    assert_eq!(states(&queue), [1, 0, 1]);
    let run = queue.ask(&["hold", &waits.to_string()]);
    assert_eq!(run.code, 75, "{}", run.stderr);
    let_go(claim);
    assert_eq!(queue.ask(&["hold", &waits.to_string()]).code, 0);
}

#[test]
fn all_of_them_are_changed_only_by_who_means_it() {
    let (queue, _) = Queue::scene();
    for args in [&["remove"][..], &["hold"], &["release"], &["remove", "--failed"], &["remove", "--yes"]] {
        let run = queue.ask(args);
        assert_eq!(run.code, 64, "{args:?}");
        assert!(run.stderr.contains("no message is named"), "{args:?}: {}", run.stderr);
    }
    for args in [&["remove", "--all"][..], &["hold", "--all"], &["release", "--all"]] {
        let run = queue.ask(args);
        assert_eq!(run.code, 64, "{args:?}");
        assert!(run.stderr.contains("there is no terminal to ask on"), "{args:?}: {}", run.stderr);
    }
    assert_eq!(states(&queue), [2, 1, 1]);
    assert_eq!(queue.ask(&["hold", "--all", "--yes"]).code, 0);
    assert_eq!(states(&queue), [0, 3, 1]);
    assert_eq!(queue.ask(&["release", "--all", "--yes"]).code, 0);
    assert_eq!(states(&queue), [4, 0, 0]);
    assert_eq!(queue.ask(&["remove", "--held", "--all", "--yes"]).code, 0);
    assert_eq!(states(&queue), [4, 0, 0]);
    assert_eq!(queue.ask(&["remove", "--all", "--yes"]).code, 0);
    assert_eq!(states(&queue), [0, 0, 0]);
}

#[test]
fn what_is_meant_can_be_said_by_sender_recipient_account_and_age() {
    for (args, left) in [
        (&["hold", "--to", "example.org"][..], [0, 3, 1]),
        (&["hold", "--from", "CRON"], [1, 2, 1]),
        (&["hold", "--older-than", "1h"], [1, 2, 1]),
        (&["hold", "--older-than", "3h"], [2, 1, 1]),
        (&["hold", "--account", "other"], [2, 1, 1]),
        (&["remove", "--failed", "--older-than", "7d"], [2, 1, 0]),
        (&["remove", "--held", "--older-than", "7d"], [2, 1, 1]),
        (&["release", "--to", "gone@"], [3, 1, 0]),
    ] {
        let (queue, _) = Queue::scene();
        assert_eq!(queue.ask(args).code, 0, "{args:?}");
        assert_eq!(states(&queue), left, "{args:?}");
    }
}

#[test]
fn what_is_held_is_not_sent() {
    let (queue, [waits, new, held, _]) = Queue::scene();
    let ids = [waits, new].map(|id| id.to_string());
    queue.ask(&["hold", &ids[0], &ids[1]]);
    assert_eq!(queue.ask(&["flush"]).code, 0);
    assert_eq!(queue.sendmail(&["-q"]).code, 0);
    assert!(queue.sealpost.log().iter().all(|record| record["event"] == "queue"), "{:?}", queue.sealpost.log());
    assert_eq!(queue.ids(Place::Held).len(), 3);
    assert_eq!(queue.spool.peek(Place::Held, held).unwrap().unwrap().state.attempts, 3);
}

#[test]
fn a_disk_that_can_not_be_written_leaves_everything_as_it_is() {
    let queue = Queue::new();
    let id = queue.put(&Mail { to: &[("a@example.org", later("busy"))], place: Place::Held, ..Mail::default() });
    let before = std::fs::read(queue.spool.path().join("held").join(id.to_string())).unwrap();
    let line = format!(
        "ulimit -f 0; exec {} queue release {id} -C {}",
        crate::common::binary().display(),
        queue.path("config.toml").display()
    );
    let output = crate::common::outcome(std::process::Command::new("bash").args(["-c", &line]));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{stderr}");
    assert_eq!(std::fs::read(queue.spool.path().join("held").join(id.to_string())).unwrap()[..before.len()], before);
    assert_eq!(queue.ids(Place::Held), [id.to_string()]);
}
