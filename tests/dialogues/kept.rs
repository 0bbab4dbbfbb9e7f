//! How do several messages go over one connection, and what when the server wants no more of it? (RFC 5321 3.3, 3.8; RFC 3030, 9422)

use sealpost::{
    error::Exit,
    mail::{
        outcome::Fate,
        policy::{Channel, Met, Policy, Request, Unpromised},
        trouble::Trouble,
    },
    smtp::{client::Report, sasl::Mechanism},
};

use crate::kit::{Setup, setup};

const CHUNKING: &str = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250-PIPELINING\nS: 250 CHUNKING\n";
const PIPELINING: &str = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 PIPELINING\n";
const SIMPLE: &str = "S: 220 mx\nC: EHLO me.test\nS: 250 mx\n";
const ENVELOPE: &str = "C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\n";
const CHUNK: &str = "C: BDAT 18 LAST\nC: Subject: x\nC:\nC: hi\n";
const TAKEN: &str = "S: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 250 2.0.0 queued\n";
const SPENT: (Fate, Exit) = (Fate::Deferred, Exit::TempFail);

/// A message in one flight, and its acceptance in one read.
fn sent() -> String {
    format!("{ENVELOPE}{CHUNK}{TAKEN}")
}

/// A message by DATA, which takes two round trips.
fn sent_by_data() -> String {
    format!("{ENVELOPE}C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 250 ok\n")
}

fn kept() -> Setup {
    setup().keeping()
}

fn fates(reports: &[Report]) -> Vec<Fate> {
    reports.iter().flat_map(|report| &report.outcomes).map(|outcome| outcome.fate).collect()
}

/// Plays a script whose last message came to nothing.
fn spent(setup: Setup, script: &str) -> Report {
    let mut reports = setup.play_all(script);
    let last = reports.pop().unwrap();
    assert!(reports.iter().all(|report| !report.spent), "{script}");
    assert!(last.spent, "{script}: {last:?}");
    assert!(last.outcomes.iter().all(|outcome| (outcome.fate, outcome.exit) == SPENT), "{script}: {last:?}");
    assert_eq!(last.trouble(), None, "{script}: nothing is wrong with the server");
    last
}

#[test]
fn a_small_message_on_a_kept_connection_is_one_round_trip() {
    let reports = kept().play_all(&format!("{CHUNKING}{0}next\n{0}next\n{0}quit", sent()));
    assert_eq!(fates(&reports), [Fate::Accepted; 3]);
    assert!(reports.iter().all(|report| report.problem.is_none() && report.met.is_some()));
}

#[test]
fn with_data_it_is_two_and_without_pipelining_one_for_each_command() {
    let reports = kept().play_all(&format!("{PIPELINING}{0}next\n{0}quit", sent_by_data()));
    assert_eq!(fates(&reports), [Fate::Accepted; 2]);
    let one = "C: MAIL FROM:<me@a.test>\nS: 250 ok\nC: RCPT TO:<you@b.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 250 ok\n";
    assert_eq!(fates(&kept().play_all(&format!("{SIMPLE}{one}next\n{one}quit"))), [Fate::Accepted; 2]);
}

#[test]
fn a_session_that_is_not_to_be_kept_says_quit_by_itself() {
    assert_eq!(fates(&setup().play_all(&format!("{CHUNKING}{}C: QUIT", sent()))), [Fate::Accepted]);
}

#[test]
fn every_message_has_its_own_recipients_and_outcomes() {
    let refused = "C: MAIL FROM:<me@a.test>\nC: RCPT TO:<who@b.test>\nC: BDAT 18 LAST\nC: Subject: x\nC:\nC: hi\nS: 250 2.1.0 ok\nS: 550 5.1.1 who\nS: 554 nobody\n";
    let reports = kept().play_all(&format!("{CHUNKING}{}next to who@b.test\n{refused}quit", sent()));
    assert_eq!(fates(&reports), [Fate::Accepted, Fate::Refused]);
    let told: Vec<String> = reports.iter().map(|report| report.outcomes[0].recipient.to_string()).collect();
    assert_eq!(told, ["you@b.test", "who@b.test"]);
}

#[test]
fn what_a_message_leaves_open_is_reset_before_the_next_and_nothing_else_is() {
    let next = format!("{ENVELOPE}C: DATA\nS: 451 later\nS: 503 no\nS: 503 no\n");
    for (left, begins) in [
        ("S: 250 ok\nS: 550 no\nS: 554 nobody\n", "C: RSET\nS: 250 ok\n"),
        ("S: 550 no\nS: 503 no\nS: 503 no\n", ""),
        ("S: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: 554 nobody\n", ""),
        ("S: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 554 spam\n", ""),
    ] {
        let reports = kept().play_all(&format!("{PIPELINING}{ENVELOPE}C: DATA\n{left}next\n{begins}{next}quit"));
        assert_eq!(fates(&reports), [Fate::Refused, Fate::Deferred], "{left}");
    }
    // After a chunk that was refused only RSET is certain to end it.
    let spam = format!("{ENVELOPE}{CHUNK}S: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 554 5.6.0 spam\n");
    let reports = kept().play_all(&format!("{CHUNKING}{spam}next\nC: RSET\nS: 250 ok\n{0}next\n{0}quit", sent()));
    assert_eq!(fates(&reports), [Fate::Refused, Fate::Accepted, Fate::Accepted]);
}

#[test]
fn a_server_that_refuses_rset_gets_no_more_mail() {
    let left_open = format!("{PIPELINING}{ENVELOPE}C: DATA\nS: 250 ok\nS: 550 no\nS: 554 nobody\nnext\nC: RSET\n");
    for answer in ["S: 502 what", "S: 421 bye", "S: 354 go", "S: noise", "S: 250 ok\nS: 250 extra", "lost"] {
        spent(kept(), &format!("{left_open}{answer}"));
    }
}

#[test]
fn a_reply_between_two_messages_never_answers_the_next() {
    for stray in ["S! 250 2.0.0 ok", "S! 354 go", "S! 554 5.6.0 spam", "S! 221 bye", "S!raw 25", "S!raw 250-", "S! noise"] {
        let report = spent(kept(), &format!("{CHUNKING}{}next\n{stray}", sent()));
        assert!(report.problem.unwrap().because.starts_with("the server ended the kept connection: "), "{stray}");
    }
}

#[test]
fn a_reply_too_many_right_behind_the_last_keeps_nothing() {
    for (extra, fate) in [
        ("S! 250 2.0.0 extra\nC: QUIT\nS: 221 bye", Fate::Accepted),
        ("S! 250 2.0.0 extra\nC: QUIT\nS: 554 no", Fate::Unknown),
        ("S! 554 5.6.0 spam", Fate::Unknown),
        ("S!raw 55\nC: QUIT\nS: 4 5.6.0 spam", Fate::Unknown),
        ("S!raw 55\nC: QUIT\nlost", Fate::Unknown),
        ("S!raw 25\nC: QUIT\nS: 0 extra\nS: 221 bye", Fate::Accepted),
    ] {
        assert_eq!(fates(&kept().play_all(&format!("{CHUNKING}{}{extra}", sent()))), [fate], "{extra}");
    }
    // With DATA the reply behind the dot was its answer.
    for extra in ["S! 250 2.0.0 extra", "S! 554 5.6.0 spam", "S!raw 55"] {
        let reports = kept().play_all(&format!("{PIPELINING}{}{extra}\nC: QUIT", sent_by_data()));
        assert_eq!((fates(&reports), &reports[0].problem), (vec![Fate::Accepted], &None), "{extra}");
    }
}

#[test]
fn a_server_that_left_in_the_meantime_is_no_failure_of_the_next_message() {
    let left = spent(kept(), &format!("{CHUNKING}{}next\nS! 421 4.4.2 timeout", sent()));
    assert_eq!(left.met, None, "nothing of it was said");
    spent(kept(), &format!("{CHUNKING}{}next\nlost!", sent()));
    // Its farewell crosses the message, which it did not read.
    spent(kept(), &format!("{CHUNKING}{0}next\n{ENVELOPE}{CHUNK}S: 421 4.4.2 timeout", sent()));
}

#[test]
fn a_server_that_takes_its_leave_with_the_last_reply_is_not_kept() {
    let reports = kept().play_all(&format!("{CHUNKING}{}S! 421 4.7.0 enough\nC: QUIT", sent()));
    assert_eq!(fates(&reports), [Fate::Accepted]);
    let deferred = format!("{ENVELOPE}{CHUNK}S: 250 2.1.0 ok\nS: 421 4.3.2 going down\nS: 421 4.3.2 going down\nC: QUIT");
    let reports = kept().play_all(&format!("{CHUNKING}{deferred}"));
    assert_eq!((fates(&reports), reports[0].trouble()), (vec![Fate::Deferred], Some(Trouble::Busy)));
}

#[test]
fn a_421_to_the_third_mail_says_nothing_of_the_third_message() {
    for rest in ["", "\nS: 503 no\nS: 503 no"] {
        let third = format!("{ENVELOPE}{CHUNK}S: 421 4.7.0 too many messages{rest}");
        spent(kept(), &format!("{CHUNKING}{0}next\n{0}next\n{third}", sent()));
    }
    spent(kept(), &format!("{PIPELINING}{0}next\n{ENVELOPE}C: DATA\nS: 421 too many", sent_by_data()));
    // To the first one it does: the server is busy.
    let report = kept().play(&format!("{CHUNKING}{ENVELOPE}{CHUNK}S: 421 4.7.0 too many\nlost"));
    assert_eq!((report.spent, report.outcomes[0].fate, report.trouble()), (false, Fate::Deferred, Some(Trouble::Busy)));
}

#[test]
fn a_421_after_the_first_batch_is_no_reason_to_send_that_again() {
    let mut many = kept().to(&["a@b.test", "b@b.test"]);
    many.plan.batch = 1;
    let flight = |to: &str| format!("C: MAIL FROM:<me@a.test>\nC: RCPT TO:<{to}>\n{CHUNK}");
    let both = format!("{0}{TAKEN}C: RSET\n{1}S: 250 ok\n{TAKEN}", flight("a@b.test"), flight("b@b.test"));
    let half = format!("{0}{TAKEN}C: RSET\n{1}S: 421 enough", flight("a@b.test"), flight("b@b.test"));
    let reports = many.play_all(&format!("{CHUNKING}{both}next\n{half}"));
    assert_eq!(fates(&reports), [Fate::Accepted, Fate::Accepted, Fate::Accepted, Fate::Deferred]);
    assert!(!reports[1].spent);
}

#[test]
fn a_link_lost_before_any_answer_is_in_doubt_only_where_all_was_said() {
    // Nobody knows whether the server read it.
    let reports = kept().play_all(&format!("{CHUNKING}{0}next\n{ENVELOPE}{CHUNK}lost", sent()));
    assert_eq!((fates(&reports), reports[1].spent), (vec![Fate::Accepted, Fate::Unknown], false));
    spent(kept(), &format!("{PIPELINING}{0}next\n{ENVELOPE}C: DATA\nlost", sent_by_data()));
    // What was answered was begun.
    let reports = kept().play_all(&format!("{PIPELINING}{0}next\n{ENVELOPE}C: DATA\nS: 250 ok\nlost", sent_by_data()));
    assert_eq!((fates(&reports), reports[1].spent), (vec![Fate::Accepted, Fate::Deferred], false));
}

#[test]
fn who_is_wary_says_nothing_that_can_not_be_taken_back_before_the_server_answers() {
    let answered = "S: 250 2.1.0 ok\nS: 250 2.1.5 ok\n";
    let wary = format!("{ENVELOPE}{answered}{CHUNK}S: 250 2.0.0 queued\n");
    let reports = kept().play_all(&format!("{CHUNKING}{0}next wary\n{wary}next\n{0}quit", sent()));
    assert_eq!(fates(&reports), [Fate::Accepted; 3]);
    spent(kept(), &format!("{CHUNKING}{0}next wary\n{ENVELOPE}lost", sent()));
}

#[test]
fn a_success_that_may_be_the_reply_to_rcpt_is_confirmed_by_quit_and_nothing_follows_it() {
    let unsure = "S: 250 ok\nS: 250 ok\nS: 250 ok\nC: QUIT\nS: 221 bye";
    assert_eq!(fates(&kept().play_all(&format!("{CHUNKING}{ENVELOPE}{CHUNK}{unsure}"))), [Fate::Accepted]);
    assert_eq!(fates(&kept().play_all(&format!("{CHUNKING}{}next\n{ENVELOPE}{CHUNK}{unsure}", sent()))), [Fate::Accepted; 2]);
}

#[test]
fn a_stray_reply_that_crosses_the_next_message_does_not_pass_for_its_success() {
    // One too many: the reply to RCPT stands where that to the message is due.
    let shifted = "S: 250 2.0.0 stray\nS: 250 2.1.0 ok\nS: 250 2.1.5 ok\nC: QUIT\nS: 554 5.6.0 spam";
    let reports = kept().play_all(&format!("{CHUNKING}{}next\n{ENVELOPE}{CHUNK}{shifted}", sent()));
    assert_eq!(fates(&reports), [Fate::Accepted, Fate::Unknown]);
}

#[test]
fn a_second_answer_to_each_message_that_crosses_the_next_leaves_both_delivered() {
    let twice = "S: 250 2.0.0 queued\nS: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 250 2.0.0 queued\n";
    let play = |second: &str| kept().play_all(&format!("{CHUNKING}{}next\n{ENVELOPE}{CHUNK}{twice}{second}", sent()));
    for (second, fate) in [
        ("S: 250 2.0.0 queued\nC: QUIT\nS: 221 bye", Fate::Accepted),
        ("C: QUIT\nS: 250 2.0.0 queued\nS: 221 bye", Fate::Accepted),
        // Any of them may be the answer.
        ("C: QUIT\nS: 554 5.6.0 spam", Fate::Unknown),
        ("C: QUIT\nS: 250 2.0.0 queued\nS: 554 5.6.0 spam", Fate::Unknown),
        // There is an end to it.
        ("C: QUIT\nS: 250 2.0.0 queued\nS: 250 2.0.0 queued", Fate::Unknown),
    ] {
        let reports = play(second);
        assert_eq!((fates(&reports), reports[1].spent), (vec![Fate::Accepted, fate], false), "{second}");
    }
    // Each of many has an answer of its own, and each of these may have come twice.
    let three = "C: MAIL FROM:<me@a.test>\nC: RCPT TO:<a@b.test>\nC: RCPT TO:<b@b.test>\nC: RCPT TO:<c@b.test>\n";
    let envelope = "S: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 250 2.1.5 ok\nS: 250 2.1.5 ok\n";
    let ends = "S: 250 2.0.0 queued\n".repeat(3);
    let first = format!("{three}{CHUNK}{envelope}{ends}");
    let second = format!("{three}{CHUNK}{ends}{envelope}{ends}{ends}C: QUIT\nS: 221 bye");
    let many = kept().lmtp().to(&["a@b.test", "b@b.test", "c@b.test"]);
    let reports = many.play_all(&format!("{}{first}next\n{second}", CHUNKING.replace("EHLO", "LHLO")));
    assert_eq!(fates(&reports), [Fate::Accepted; 6]);
}

#[test]
fn a_second_answer_that_is_seen_before_the_next_message_has_left_sends_that_elsewhere() {
    for stray in ["250 2.0.0 queued", "554 5.6.0 spam", "451 4.3.0 later"] {
        let shifted = format!("{ENVELOPE}C: DATA\nS: {stray}\nS: 250 ok\nS: 250 ok\nS: 354 go");
        spent(kept(), &format!("{PIPELINING}{}next\n{shifted}", sent_by_data()));
    }
    // In chunks too, where the server was to answer first.
    let shifted = format!("{ENVELOPE}S: 250 2.0.0 queued\nS: 250 2.1.0 ok\nS: 250 2.1.5 ok");
    spent(kept(), &format!("{CHUNKING}{}next wary\n{shifted}", sent()));
    // One command at a time.
    let step = "C: MAIL FROM:<me@a.test>\nS: 250 ok\nC: RCPT TO:<you@b.test>\nS: 250 ok\nC: DATA\n";
    let one = format!("{step}S: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 250 ok\n");
    spent(kept(), &format!("{SIMPLE}{one}next\n{step}S: 250 ok"));
    // On a new connection it is the server that is out of step, and the message that waits.
    let report = kept().play(&format!("{PIPELINING}{ENVELOPE}C: DATA\nS: 250 stray\nS: 250 ok\nS: 250 ok\nS: 354 go"));
    assert_eq!((report.spent, report.outcomes[0].fate, report.outcomes[0].exit), (false, Fate::Deferred, Exit::Protocol));
    // Nor does a reply that fits say anything else than it says.
    let reports =
        kept().play_all(&format!("{PIPELINING}{}next\n{ENVELOPE}C: DATA\nS: 250 ok\nS: 250 ok\nS: 451 no\nquit", sent_by_data()));
    assert_eq!((fates(&reports), reports[1].spent), (vec![Fate::Accepted, Fate::Deferred], false));
    // Once octets of it have left, the server may have them.
    let body = format!("{ENVELOPE}C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 354 what");
    let reports = kept().play_all(&format!("{PIPELINING}{}next\n{body}", sent_by_data()));
    assert_eq!((fates(&reports), reports[1].spent), (vec![Fate::Accepted, Fate::Unknown], false));
}

#[test]
fn a_limit_of_mails_is_kept_and_batches_count() {
    let hello = CHUNKING.replace("S: 250 CHUNKING", "S: 250-CHUNKING\nS: 250 LIMITS RCPTMAX=9 mailmax=2");
    let reports = kept().play_all(&format!("{hello}{0}next\n{0}C: QUIT", sent()));
    assert_eq!(fates(&reports), [Fate::Accepted; 2]);
    let mut many = kept().to(&["you@b.test", "you@b.test"]);
    many.plan.batch = 1;
    let second = format!("C: RSET\n{ENVELOPE}{CHUNK}S: 250 ok\n{TAKEN}");
    assert_eq!(fates(&many.play_all(&format!("{hello}{}{second}C: QUIT", sent()))), [Fate::Accepted; 2]);
}

#[test]
fn the_login_and_tls_are_those_of_the_connection_for_every_message() {
    let hello = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS ok\nC: EHLO me.test\nS: 250-mx\nS: 250-PIPELINING\nS: 250-CHUNKING\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AG1lAHBhc3MtdzByZA==\nS: 235 in\n";
    let reports = kept().policy(Policy::Required).plain().play_all(&format!("{hello}{0}next\n{0}quit", sent()));
    for report in &reports {
        assert_eq!((report.auth, report.offered), (Some(Mechanism::Plain), Some(true)));
        assert_eq!(report.met.as_ref().map(Met::channel), Some(Channel::Verified));
    }
    assert_eq!(reports.len(), 2);
    // What the server repeats of the login is hidden in the second report too.
    let told = format!("{hello}{}next\n{ENVELOPE}{CHUNK}S: 550 pass-w0rd\nS: 503 no\nS: 503 no\nquit", sent());
    let reports = kept().policy(Policy::Required).plain().play_all(&told);
    assert!(reports[1].outcomes[0].reply.is_some() && !format!("{reports:?}").contains("pass-w0rd"));
}

#[test]
fn a_bounce_that_went_without_the_promise_promises_nothing_for_the_next_message() {
    let mut bounce = kept().policy(Policy::Required);
    bounce.plan.demand.request = Request::Require;
    bounce.envelope.sender = sealpost::mail::address::ReversePath::Null;
    let hello = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS ok\nC: EHLO me.test\nS: 250-mx\nS: 250-PIPELINING\nS: 250 CHUNKING\n";
    let null = sent().replace("me@a.test", "");
    let reports = bounce.play_all(&format!("{hello}{null}next from me@a.test\nC: QUIT"));
    assert_eq!(fates(&reports), [Fate::Accepted, Fate::Deferred]);
    assert_eq!(reports[1].trouble(), Some(Trouble::Unpromised(Unpromised::NotOffered)));
    assert_eq!(Unpromised::NotOffered.enhanced().to_string(), "5.7.30");
}

#[test]
fn a_message_that_is_too_large_or_breaks_off_is_no_matter_of_the_next() {
    let hello = CHUNKING.replace("S: 250 CHUNKING", "S: 250-CHUNKING\nS: 250 SIZE 17");
    assert_eq!(fates(&kept().play_all(&format!("{hello}next\nquit"))), [Fate::Refused; 2]);
    let lost = format!("{PIPELINING}{ENVELOPE}C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nlost");
    assert_eq!(fates(&kept().play_all(&lost)), [Fate::Unknown]);
}

#[test]
fn lmtp_keeps_its_connection_too() {
    let hello = PIPELINING.replace("EHLO", "LHLO");
    let reports = kept().lmtp().play_all(&format!("{hello}{0}next\n{0}quit", sent_by_data()));
    assert_eq!(fates(&reports), [Fate::Accepted; 2]);
}

#[test]
fn what_ails_the_server_is_told_apart_from_what_ails_a_message() {
    let hello = "S: 220 mx\nC: EHLO me.test\n";
    let refusing = |reply: &str| {
        let login = "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS ok\nC: EHLO me.test\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AG1lAHBhc3MtdzByZA==\n";
        setup().policy(Policy::Required).plain().play(&format!("{hello}{login}S: {reply}\nC: QUIT")).trouble()
    };
    assert_eq!(refusing("535 5.7.8 bad"), Some(Trouble::LoginRefused));
    assert_eq!(refusing("454 4.7.0 later"), Some(Trouble::Busy));
    for (script, expected) in [
        ("lost".to_owned(), Some(Trouble::Unreachable)),
        ("S: 421 too many".to_owned(), Some(Trouble::Busy)),
        ("S: 554 go away".to_owned(), Some(Trouble::Busy)),
        ("S: HTTP/1.1 400 Bad Request".to_owned(), Some(Trouble::Broken)),
        (format!("{hello}lost"), Some(Trouble::Unreachable)),
        (format!("{SIMPLE}C: MAIL FROM:<me@a.test>\nS: 451 later\nC: QUIT"), None),
        (format!("{SIMPLE}C: MAIL FROM:<me@a.test>\nlost"), None),
        (format!("{SIMPLE}C: MAIL FROM:<me@a.test>\nS: 250 ok\nS: 250 extra"), None),
    ] {
        assert_eq!(setup().play(&script).trouble(), expected, "{script}");
    }
    let stripped = setup().policy(Policy::Required).play(&format!("{SIMPLE}C: QUIT"));
    assert_eq!(stripped.trouble(), Some(Trouble::TlsUnmet));
}
