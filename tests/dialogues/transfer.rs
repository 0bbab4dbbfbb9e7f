//! Envelope and content: pipelining, chunks, declarations, batches. (RFC 5321 3.3, 1870, 2920, 3030, 3461, 6152, 6531)

use sealpost::{
    error::Exit,
    mail::{
        envelope::{Dsn, Notify, Ret},
        outcome::Fate,
    },
};

use crate::kit::setup;

fn greeted(capabilities: &[&str]) -> String {
    let mut lines = vec!["mx"];
    lines.extend(capabilities);
    let last = lines.len() - 1;
    let ehlo: Vec<String> =
        lines.iter().enumerate().map(|(i, l)| format!("S: 250{}{l}", if i == last { ' ' } else { '-' })).collect();
    format!("S: 220 mx\nC: EHLO me.test\n{}\n", ehlo.join("\n"))
}

#[test]
fn a_server_that_knows_only_helo_gets_the_mail_in_lock_step() {
    let report = setup().play(
        "S: 220 mx
         C: EHLO me.test
         S: 500 unknown
         C: HELO me.test
         S: 250 mx
         C: MAIL FROM:<me@a.test>
         S: 250 ok
         C: RCPT TO:<you@b.test>
         S: 250 ok
         C: DATA
         S: 354
         C: Subject: x
         C:
         C: hi
         C: .
         S: 250 queued
         C: QUIT",
    );
    assert_eq!(report.outcomes[0].fate, Fate::Accepted);
    assert_eq!(report.outcomes[0].reply.as_ref().unwrap().text(), "queued");
}

#[test]
fn the_service_of_this_machine_is_not_waited_for_before_ehlo_and_may_turn_us_away_all_the_same() {
    let report = setup().among_ourselves().play(
        "C: EHLO me.test
         S: 220 localhost
         S: 250-localhost
         S: 250 CHUNKING
         C: MAIL FROM:<me@a.test>
         S: 250 ok
         C: RCPT TO:<you@b.test>
         S: 250 ok
         C: BDAT 18 LAST
         C: Subject: x
         C:
         C: hi
         S: 250 2.0.0 queued as 1
         C: QUIT",
    );
    assert_eq!(report.outcomes[0].fate, Fate::Accepted);
    let report = setup().among_ourselves().play(
        "C: EHLO me.test
         S: 421 4.3.2 too many",
    );
    let problem = report.problem.unwrap();
    assert_eq!((problem.fate, problem.reply.unwrap().code), (Fate::Deferred, 421));
}

#[test]
fn with_chunking_a_small_message_is_one_flight() {
    let report = setup().to(&["you@b.test", "two@b.test"]).play(&format!(
        "{}
         C: MAIL FROM:<me@a.test> SIZE=18
         C: RCPT TO:<you@b.test>
         C: RCPT TO:<two@b.test>
         C: BDAT 18 LAST
         C: Subject: x
         C:
         C: hi
         S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 250 2.0.0 queued as 1
         C: QUIT",
        greeted(&["PIPELINING", "SIZE 1000", "CHUNKING"])
    ));
    assert!(report.outcomes.iter().all(|o| o.fate == Fate::Accepted && o.exit == Exit::Ok));
}

#[test]
fn with_pipelining_the_envelope_is_one_flight() {
    let report = setup().text("Subject: x\r\n\r\n.dot\r\n").play(&format!(
        "{}
         C: MAIL FROM:<me@a.test>
         C: RCPT TO:<you@b.test>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         C: Subject: x
         C:
         C: ..dot
         C: .
         S: 250 queued
         C: QUIT",
        greeted(&["PIPELINING"])
    ));
    assert_eq!(report.outcomes[0].fate, Fate::Accepted);
}

#[test]
fn a_large_message_waits_for_the_answers_to_its_envelope() {
    let body = "x".repeat(78) + "\r\n";
    let text = format!("Subject: x\r\n\r\n{}", body.repeat(1000));
    let mut script = format!(
        "{}C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\nS: 250 ok\nS: 550 5.1.1 nobody\nC: QUIT",
        greeted(&["PIPELINING", "CHUNKING"])
    );
    let report = setup().text(&text).play(&script);
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Refused, Exit::NoUser));

    script = format!(
        "{}C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\nS: 250 ok\nS: 250 ok\n",
        greeted(&["PIPELINING", "CHUNKING"])
    );
    script.push_str(&format!("C: BDAT {} LAST\nC: Subject: x\nC:\n", text.len()));
    script.push_str(&format!("C: {}\n", "x".repeat(78)).repeat(1000));
    script.push_str("S: 250 queued\nC: QUIT");
    assert_eq!(setup().text(&text).play(&script).outcomes[0].fate, Fate::Accepted);
}

#[test]
fn a_message_larger_than_size_allows_is_not_begun() {
    let report = setup().play(&format!("{}C: QUIT", greeted(&["PIPELINING", "SIZE 17"])));
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Refused, Exit::DataErr));
    assert!(report.problem.unwrap().because.contains("17"));
}

#[test]
fn eight_bit_content_is_declared_or_re_encoded() {
    let with = setup().text("Subject: x\r\n\r\nñ\r\n").play(&format!(
        "{}C: MAIL FROM:<me@a.test> BODY=8BITMIME\nC: RCPT TO:<you@b.test>\nC: BDAT 18 LAST\nC: Subject: x\nC:\nC: ñ\nS: 250 ok\nS: 250 ok\nS: 250 queued\nC: QUIT",
        greeted(&["PIPELINING", "8BITMIME", "CHUNKING"])
    ));
    assert_eq!(with.outcomes[0].fate, Fate::Accepted);
    let without = setup().text("Subject: x\r\n\r\nñ\r\n").play(&format!(
        "{}C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\nC: BDAT 12 LAST\nC: re-encoded\nS: 250 ok\nS: 250 ok\nS: 250 queued\nC: QUIT",
        greeted(&["PIPELINING", "CHUNKING"])
    ));
    assert_eq!(without.outcomes[0].fate, Fate::Accepted);
}

#[test]
fn reports_are_asked_for_only_where_the_server_knows_them() {
    let notify = Some(Notify::When { success: true, failure: true, delay: false });
    let dsn = Dsn { notify, ret: Some(Ret::Headers), envid: Some("ab".into()) };
    let ask = |capabilities: &[&str], mail: &str, rcpt: &str| {
        let mut setup = setup();
        setup.envelope.dsn = dsn.clone();
        setup.play(&format!(
            "{}C: MAIL FROM:<me@a.test>{mail}\nS: 250 ok\nC: RCPT TO:<you@b.test>{rcpt}\nS: 550 no\nC: QUIT",
            greeted(capabilities)
        ))
    };
    ask(&["DSN"], " RET=HDRS ENVID=ab", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;you@b.test");
    ask(&[], "", "");
}

#[test]
fn an_address_that_needs_smtputf8_is_refused_where_it_is_missing_and_the_others_go() {
    let report = setup().to(&["jörg@b.test", "you@b.test"]).play(&format!(
        "{}C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 250 ok\nC: QUIT",
        greeted(&["PIPELINING"])
    ));
    assert_eq!(report.outcomes[0].fate, Fate::Refused);
    assert_eq!(report.outcomes[1].fate, Fate::Accepted);
    let report = setup().to(&["jörg@b.test"]).play(&format!(
        "{}C: MAIL FROM:<me@a.test> SMTPUTF8\nC: RCPT TO:<jörg@b.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 250 ok\nC: QUIT",
        greeted(&["PIPELINING", "SMTPUTF8"])
    ));
    assert_eq!(report.outcomes[0].fate, Fate::Accepted);
}

#[test]
fn more_recipients_than_a_server_must_take_go_in_batches() {
    let all: Vec<String> = (0..5).map(|i| format!("r{i}@b.test")).collect();
    let mut many = setup().to(&all.iter().map(String::as_str).collect::<Vec<_>>());
    many.plan.batch = 3;
    let batch = |range: std::ops::Range<usize>| {
        // Behind a success that is not certain RSET goes first: what is left over would answer that.
        let again = range.start > 0;
        let mut script = if again { "C: RSET\n" } else { "" }.to_owned() + "C: MAIL FROM:<me@a.test>\n";
        for i in range.clone() {
            script.push_str(&format!("C: RCPT TO:<r{i}@b.test>\n"));
        }
        script.push_str("C: BDAT 18 LAST\nC: Subject: x\nC:\nC: hi\n");
        script.push_str(&"S: 250 ok\n".repeat(range.len() + 1 + usize::from(again)));
        script.push_str("S: 250 queued\n");
        script
    };
    let report = many.play(&format!("{}{}{}C: QUIT", greeted(&["PIPELINING", "CHUNKING"]), batch(0..3), batch(3..5)));
    assert!(report.outcomes.iter().all(|o| o.fate == Fate::Accepted));
}

#[test]
fn a_452_for_too_many_recipients_opens_another_transaction_at_once() {
    let report = setup().to(&["a@b.test", "b@b.test"]).play(&format!(
        "{}
         C: MAIL FROM:<me@a.test>
         C: RCPT TO:<a@b.test>
         C: RCPT TO:<b@b.test>
         C: BDAT 18 LAST
         C: Subject: x
         C:
         C: hi
         S: 250 ok
         S: 250 ok
         S: 452 4.5.3 too many
         S: 250 queued
         C: RSET
         C: MAIL FROM:<me@a.test>
         C: RCPT TO:<b@b.test>
         C: BDAT 18 LAST
         C: Subject: x
         C:
         C: hi
         S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 250 queued
         C: QUIT",
        greeted(&["PIPELINING", "CHUNKING"])
    ));
    assert!(report.outcomes.iter().all(|o| o.fate == Fate::Accepted));
}

#[test]
fn a_354_for_nobody_is_answered_with_an_empty_message() {
    let report = setup().play(&format!(
        "{}C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\nC: DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: 554 no valid recipients\nC: QUIT",
        greeted(&["PIPELINING"])
    ));
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Refused, Exit::NoUser));
}

#[test]
fn a_server_that_refuses_mail_and_takes_the_recipient_all_the_same_gets_no_empty_message_for_it() {
    let report = setup().play(&format!(
        "{}C: MAIL FROM:<me@a.test>\nC: RCPT TO:<you@b.test>\nC: DATA\nS: 451 later\nS: 250 ok\nS: 354 go",
        greeted(&["PIPELINING"])
    ));
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Deferred, Exit::TempFail));
}

#[test]
fn the_null_sender_stays_null() {
    let mut bounce = setup();
    bounce.envelope.sender = sealpost::mail::address::ReversePath::Null;
    bounce.play(&format!("{}C: MAIL FROM:<>\nS: 550 no\nC: QUIT", greeted(&[])));
}
