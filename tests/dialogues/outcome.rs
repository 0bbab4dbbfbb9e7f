//! What becomes of recipients when servers refuse, contradict themselves or vanish. (RFC 5321 4.2, 4.5.3.1.10, 1047, 2033)

use sealpost::{error::Exit, mail::outcome::Fate};

use crate::kit::setup;

const ONE_FLIGHT: &str = "
    S: 220 mx
    C: EHLO me.test
    S: 250-mx
    S: 250-PIPELINING
    S: 250 CHUNKING
    C: MAIL FROM:<me@a.test>
    C: RCPT TO:<you@b.test>
    C: BDAT 18 LAST
    C: Subject: x
    C:
    C: hi
    ";
const DATA: &str = "
    S: 220 mx
    C: EHLO me.test
    S: 250-mx
    S: 250 PIPELINING
    C: MAIL FROM:<me@a.test>
    C: RCPT TO:<you@b.test>
    C: DATA
    ";
const TO_THE_DOT: &str = "
    S: 250 ok
    S: 250 ok
    S: 354 go
    C: Subject: x
    C:
    C: hi
    C: .
    ";

fn fate(script: &str) -> (Fate, Exit) {
    let outcome = setup().play(script).outcomes.remove(0);
    (outcome.fate, outcome.exit)
}

#[test]
fn each_reply_has_its_exit_code() {
    for (answer, expected) in [
        ("S: 250 ok\nS: 250 ok\nS: 250 queued\nC: QUIT", (Fate::Accepted, Exit::Ok)),
        ("S: 451 later\nS: 503 no\nS: 503 no\nC: QUIT", (Fate::Deferred, Exit::TempFail)),
        ("S: 550 no\nS: 503 no\nS: 503 no\nC: QUIT", (Fate::Refused, Exit::Unavailable)),
        ("S: 552 5.3.4 big\nS: 503 no\nS: 503 no\nC: QUIT", (Fate::Refused, Exit::DataErr)),
        ("S: 530 5.7.0 log in\nS: 503 no\nS: 503 no\nC: QUIT", (Fate::Refused, Exit::NoPerm)),
        ("S: 250 ok\nS: 450 busy\nS: 503 no\nC: QUIT", (Fate::Deferred, Exit::TempFail)),
        ("S: 250 ok\nS: 550 5.1.1 who\nS: 503 no\nC: QUIT", (Fate::Refused, Exit::NoUser)),
        ("S: 250 ok\nS: 552 many\nS: 503 no\nC: QUIT", (Fate::Deferred, Exit::TempFail)),
        ("S: 250 ok\nS: 552 5.2.2 full\nS: 503 no\nC: QUIT", (Fate::Refused, Exit::NoUser)),
        ("S: 250 ok\nS: 250 ok\nS: 452 disk\nC: QUIT", (Fate::Deferred, Exit::TempFail)),
        ("S: 250 ok\nS: 250 ok\nS: 554 spam\nC: QUIT", (Fate::Refused, Exit::DataErr)),
    ] {
        assert_eq!(fate(&format!("{ONE_FLIGHT}{answer}")), expected, "{answer}");
    }
}

#[test]
fn a_greeting_that_refuses_ends_it() {
    assert_eq!(fate("S: 554 go away"), (Fate::Refused, Exit::Unavailable));
    assert_eq!(fate("S: 421 too many"), (Fate::Deferred, Exit::TempFail));
    assert_eq!(fate("S: 250 hi"), (Fate::Deferred, Exit::Protocol));
    assert_eq!(fate("S: HTTP/1.1 400 Bad Request"), (Fate::Deferred, Exit::Protocol));
}

#[test]
fn a_refused_recipient_does_not_stop_the_others() {
    let report = setup().to(&["a@b.test", "b@b.test", "c@b.test"]).play(
        "S: 220 mx
         C: EHLO me.test
         S: 250-mx
         S: 250-PIPELINING
         S: 250 CHUNKING
         C: MAIL FROM:<me@a.test>
         C: RCPT TO:<a@b.test>
         C: RCPT TO:<b@b.test>
         C: RCPT TO:<c@b.test>
         C: BDAT 18 LAST
         C: Subject: x
         C:
         C: hi
         S: 250 ok
         S: 550 no
         S: 451 later
         S: 250 ok
         S: 250 queued
         C: QUIT",
    );
    let fates: Vec<Fate> = report.outcomes.iter().map(|o| o.fate).collect();
    assert_eq!(fates, [Fate::Refused, Fate::Deferred, Fate::Accepted]);
}

#[test]
fn a_link_lost_before_the_last_word_is_deferred_and_after_it_unknown() {
    assert_eq!(fate("lost"), (Fate::Deferred, Exit::TempFail));
    assert_eq!(fate("S: 220 mx\nC: EHLO me.test\nlost"), (Fate::Deferred, Exit::TempFail));
    assert_eq!(fate(&format!("{DATA}lost")), (Fate::Deferred, Exit::TempFail));
    assert_eq!(fate(&format!("{DATA}S: 250 ok\nS: 250 ok\nlost")), (Fate::Deferred, Exit::TempFail));
    assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}lost")), (Fate::Unknown, Exit::TempFail));
    assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S-raw: 25\nlost")), (Fate::Unknown, Exit::TempFail));
    // The last chunk left with the envelope: the server may have taken it all.
    assert_eq!(fate(&format!("{ONE_FLIGHT}lost")), (Fate::Unknown, Exit::TempFail));
    assert_eq!(fate(&format!("{ONE_FLIGHT}S: 250 ok\nS: 550 no\nlost")), (Fate::Refused, Exit::NoUser));
    assert_eq!(fate(&format!("{ONE_FLIGHT}S: 451 no\nlost")), (Fate::Deferred, Exit::TempFail));
}

#[test]
fn what_is_no_answer_to_the_last_word_leaves_it_unknown() {
    for nonsense in ["354 go on", "250-a\nS: 550 b", "999 what", "hello"] {
        assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S: {nonsense}")).0, Fate::Unknown, "{nonsense}");
    }
}

#[test]
fn a_reply_never_answers_a_later_command() {
    for script in [
        "S: 220 mx\nS: 250 early",
        "S: 220 mx\nC: EHLO me.test\nS: 250 mx\nS: 250 extra",
        "S: 220 mx\nC: EHLO me.test\nS: 250 mx\nC: MAIL FROM:<me@a.test>\nS: 250 ok\nS: 250 extra",
    ] {
        assert_eq!(fate(script), (Fate::Deferred, Exit::Protocol), "{script}");
    }
    // One reply too many in the group: RCPT's would pass for the chunk's.
    let forged = format!("{ONE_FLIGHT}S: 250 ok\nS: 250 extra\nS: 250 rcpt\nS: 554 spam");
    assert_eq!(fate(&forged), (Fate::Unknown, Exit::TempFail));
}

#[test]
fn a_success_that_reads_like_a_reply_to_rcpt_counts_once_nothing_follows_it() {
    // An unasked 250 behind the one to MAIL, and a server that looks at the message for a while before it refuses it.
    let forged = format!("{ONE_FLIGHT}S: 250 2.1.0 ok\nS: 250 2.0.0 extra\nS: 250 2.1.5 ok\nC: QUIT\n");
    for (goodbye, expected) in [
        ("S: 554 5.6.0 spam\nS: 221 bye", (Fate::Unknown, Exit::TempFail)),
        // All that was said until the goodbye is yes, and the answer to the message is among it.
        ("S: 250 2.0.0 queued\nS: 221 bye", (Fate::Accepted, Exit::Ok)),
        ("S: 250 2.0.0 queued\nlost", (Fate::Unknown, Exit::TempFail)),
        ("S: 250 2.0.0 queued\nS: 554 5.6.0 spam", (Fate::Unknown, Exit::TempFail)),
        ("S: 250 2.0.0 queued\nS: 250 again", (Fate::Unknown, Exit::TempFail)),
        ("S: nonsense", (Fate::Unknown, Exit::TempFail)),
        ("lost", (Fate::Unknown, Exit::TempFail)),
        ("S: 221 2.0.0 bye", (Fate::Accepted, Exit::Ok)),
    ] {
        assert_eq!(fate(&format!("{forged}{goodbye}")), expected, "{goodbye}");
    }
    // Without enhanced codes: the same words as to MAIL or RCPT.
    for words in ["S: 250 ok\nS: 250 ok\nS: 250 ok", "S: 250 ok\nS: 250 extra\nS: 250 ok"] {
        assert_eq!(fate(&format!("{ONE_FLIGHT}{words}\nC: QUIT\nS: 554 no")).0, Fate::Unknown, "{words}");
    }
    // With DATA the 354 keeps both in step: nothing is to be waited for.
    assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S: 250 2.1.5 ok\nC: QUIT")).0, Fate::Accepted);
}

/// The replies `said`, of which so many arrive at once and the others behind QUIT.
fn arriving(said: &[&str], at_once: usize) -> String {
    let lines = |replies: &[&str]| replies.iter().flat_map(|reply| ["S: ", reply, "\n"]).collect::<String>();
    let (first, rest) = said.split_at(at_once);
    format!("{}C: QUIT\n{}", lines(first), lines(rest))
}

#[test]
fn a_server_that_answers_each_message_twice_has_it_whenever_the_second_answer_arrives() {
    // In one flight: with the answer, or behind QUIT, which is not waited for where nothing is odd until then.
    let flight = ["250 2.1.0 ok", "250 2.1.5 ok", "250 2.0.0 queued", "250 2.0.0 queued", "221 bye"];
    assert_eq!(fate(&format!("{ONE_FLIGHT}{}", arriving(&flight, 4))), (Fate::Accepted, Exit::Ok));
    assert_eq!(fate(&format!("{ONE_FLIGHT}{}", arriving(&flight[..3], 3))), (Fate::Accepted, Exit::Ok));
    // The same without enhanced codes, where the goodbye is waited for in any case.
    let alike = ["250 ok", "250 ok", "250 ok", "250 ok", "221 bye"];
    for first in [3, 4] {
        assert_eq!(fate(&format!("{ONE_FLIGHT}{}", arriving(&alike, first))), (Fate::Accepted, Exit::Ok), "{first}");
    }
    // With DATA it is the first of them that counts, and that is no matter of time either.
    for extra in ["", "S: 250 ok\n", "S: 554 5.6.0 spam\n", "S: nonsense\n", "S: 250-and\n"] {
        let quit = if extra.contains("nonsense") { "" } else { "C: QUIT" };
        assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S: 250 ok\n{extra}{quit}")), (Fate::Accepted, Exit::Ok), "{extra}");
    }
}

#[test]
fn a_server_that_answers_each_message_twice_gets_the_next_batch_on_another_connection() {
    let mut many = setup().to(&["a@b.test", "b@b.test"]);
    many.plan.batch = 1;
    let head = DATA.replace("you@b.test", "a@b.test");
    let report = many.play(&format!("{head}{TO_THE_DOT}S: 250 ok\nS: 250 ok\nC: QUIT"));
    let fates: Vec<_> = report.outcomes.iter().map(|outcome| outcome.fate).collect();
    assert_eq!(fates, [Fate::Accepted, Fate::Deferred]);
    // One that arrives later passes for the reply to MAIL, until the 354 is not there.
    let mut many = setup().to(&["a@b.test", "b@b.test"]);
    many.plan.batch = 1;
    let next = "C: MAIL FROM:<me@a.test>\nC: RCPT TO:<b@b.test>\nC: DATA\n";
    let report = many.play(&format!("{head}{TO_THE_DOT}S: 250 ok\n{next}S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go"));
    let fates: Vec<_> = report.outcomes.iter().map(|outcome| outcome.fate).collect();
    assert_eq!(fates, [Fate::Accepted, Fate::Deferred]);
}

#[test]
fn of_several_answers_by_lmtp_only_the_first_is_certain() {
    let play = |end: &str| {
        let head = DATA.replace("EHLO", "LHLO").replace("C: RCPT TO:<you@b.test>", "C: RCPT TO:<a@b.test>\nC: RCPT TO:<b@b.test>");
        let report = setup().lmtp().to(&["a@b.test", "b@b.test"]).play(&format!("{head}S: 250 ok\n{TO_THE_DOT}{end}"));
        report.outcomes.iter().map(|outcome| outcome.fate).collect::<Vec<_>>()
    };
    assert_eq!(play("S: 250 a\nS: 250 a again\nS: 550 b"), [Fate::Accepted, Fate::Unknown]);
    assert_eq!(play("S: 250 a\nS: 250 a again\nS: 250 b\nC: QUIT\nS: 221 bye"), [Fate::Accepted; 2]);
}

#[test]
fn a_chunk_that_was_taken_twice_does_not_pass_for_the_message() {
    let line = "x".repeat(1022);
    let head = ONE_FLIGHT.split("C: BDAT").next().unwrap();
    let (first, last) = (format!("C: {line}\n").repeat(256), format!("C: {line}\n").repeat(44));
    let play = |end: &str| {
        let text = format!("{line}\r\n").repeat(300);
        let script = format!("{head}S: 250 ok\nS: 250 ok\nC: BDAT 262144\n{first}nothing\nC: BDAT 45056 LAST\n{last}{end}");
        setup().text(&text).play(&script).outcomes[0].fate
    };
    assert_eq!(play("S: 250 chunk\nS: 250 chunk\nC: QUIT\nS: 554 spam"), Fate::Unknown);
    assert_eq!(play("S: 250 chunk\nS: 250 queued\nC: QUIT"), Fate::Accepted);
}

#[test]
fn one_reply_too_many_casts_doubt_on_the_batches_before() {
    let flight = |to: &str| format!("C: MAIL FROM:<me@a.test>\nC: RCPT TO:<{to}>\nC: BDAT 18 LAST\nC: Subject: x\nC:\nC: hi\n");
    let greeted = ONE_FLIGHT.split("C: MAIL").next().unwrap();
    let fates = |first: &str, second: &str| {
        let mut many = setup().to(&["a@b.test", "b@b.test"]);
        many.plan.batch = 1;
        let (a, b) = (flight("a@b.test"), flight("b@b.test"));
        let report = many.play(&format!("{greeted}{a}S: 250 ok\n{first}C: RSET\n{b}{second}"));
        report.outcomes.iter().map(|outcome| outcome.fate).collect::<Vec<_>>()
    };
    // What is left over does not pass for a refusal of the next MAIL: that one may well be taken.
    let extra = "S: 250 extra\nS: 250 fine\n";
    assert_eq!(fates(extra, "S: 554 spam"), [Fate::Unknown; 2]);
    let in_step = "S: 250 fine\nS: 250 queued\n";
    assert_eq!(fates(in_step, "S: 250 ok\nS: 250 ok\nS: 250 fine\nS: 250 queued\nC: QUIT"), [Fate::Accepted; 2]);
    assert_eq!(fates(in_step, "S: 250 ok\nS: 550 no\nS: 503 no\nS: 503 no\nC: QUIT"), [Fate::Accepted, Fate::Refused]);
    assert_eq!(fates(in_step, "S: 421 bye"), [Fate::Accepted, Fate::Deferred]);
}

#[test]
fn a_success_before_the_last_word_has_left_is_none() {
    assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S~ 250 queued")), (Fate::Deferred, Exit::Protocol));
    assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S~ 552 too big")), (Fate::Refused, Exit::DataErr));
    // One that lies there already when all was answered and the message is about to leave: it does not leave then.
    let invited = format!("{DATA}S: 250 ok\nS: 250 ok\nS: 354 go\n");
    assert_eq!(fate(&format!("{invited}S! 250 ok")), (Fate::Deferred, Exit::Protocol));
    assert_eq!(fate(&format!("{invited}S! 552 too big")), (Fate::Refused, Exit::DataErr));
    assert_eq!(fate(&format!("{invited}S!raw 25")), (Fate::Deferred, Exit::Protocol));
    assert_eq!(fate(&format!("{invited}lost!")), (Fate::Deferred, Exit::TempFail));
}

#[test]
fn a_success_of_a_chunk_that_reads_like_one_to_the_envelope_counts_once_nothing_follows_it_also_without_pipelining() {
    let greeted = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 CHUNKING\nC: MAIL FROM:<me@a.test>\nS: 250 ok\n";
    let chunk = "C: BDAT 18 LAST\nC: Subject: x\nC:\nC: hi\n";
    let head = format!("{greeted}C: RCPT TO:<you@b.test>\nS: 250 extra\n");
    // The one to RCPT is there when the chunk is about to leave, or comes when it has left.
    assert_eq!(fate(&format!("{head}S! 250 ok")), (Fate::Deferred, Exit::Protocol));
    for (goodbye, expected) in [("S: 554 spam\nS: 221 bye", Fate::Unknown), ("S: 221 bye", Fate::Accepted)] {
        assert_eq!(fate(&format!("{head}{chunk}S: 250 ok\nC: QUIT\n{goodbye}")).0, expected, "{goodbye}");
    }
    assert_eq!(fate(&format!("{head}{chunk}S: 250 queued\nC: QUIT")).0, Fate::Accepted);
    assert_eq!(fate(&format!("{head}{chunk}S: 250 queued\nS: 554 spam")).0, Fate::Unknown);
}

#[test]
fn half_a_reply_behind_the_last_casts_doubt() {
    let accepted = format!("{ONE_FLIGHT}S: 250 ok\nS: 250 ok\nS: 250 queued\n");
    assert_eq!(fate(&format!("{accepted}C: QUIT")).0, Fate::Accepted);
    assert_eq!(fate(&format!("{accepted}S!raw 55\nC: QUIT\nlost")).0, Fate::Unknown);
}

#[test]
fn a_success_that_does_not_belong_is_a_protocol_error() {
    let mail = "S: 220 mx\nC: EHLO me.test\nS: 250 mx\nC: MAIL FROM:<me@a.test>\n";
    assert_eq!(fate(&format!("{mail}S: 235 welcome")), (Fate::Deferred, Exit::Protocol));
    assert_eq!(fate(&format!("{mail}S: 250 ok\nC: RCPT TO:<you@b.test>\nS: 354 go")), (Fate::Deferred, Exit::Protocol));
    assert_eq!(fate(&format!("{DATA}{TO_THE_DOT}S: 235 welcome")).0, Fate::Unknown);
}

#[test]
fn data_that_is_answered_with_success_is_a_protocol_error() {
    let (fate, exit) = fate(&format!("{DATA}S: 250 ok\nS: 250 ok\nS: 250 ok"));
    assert_eq!((fate, exit), (Fate::Deferred, Exit::Protocol));
}

#[test]
fn a_server_that_has_had_enough_in_the_middle_of_the_data_is_heard() {
    // Two flights of content; the refusal arrives behind the first, and the second is never said.
    let line = "x".repeat(1022);
    let text = format!("{line}\r\n").repeat(300);
    let first = format!("C: {line}\n").repeat(256);
    let report = setup().text(&text).play(&format!("{DATA}S: 250 ok\nS: 250 ok\nS: 354 go\n{first}S! 552 5.3.4 too big"));
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Refused, Exit::DataErr));
}

#[test]
fn lmtp_answers_for_each_recipient_it_took() {
    let head = "
         S: 220 mx
         C: LHLO me.test
         S: 250-mx
         S: 250 PIPELINING
         C: MAIL FROM:<me@a.test>
         C: RCPT TO:<a@b.test>
         C: RCPT TO:<b@b.test>
         C: RCPT TO:<c@b.test>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 550 no
         S: 250 ok
         S: 354 go
         C: Subject: x
         C:
         C: hi
         C: .
         ";
    let play = |end: &str| {
        let report = setup().lmtp().to(&["a@b.test", "b@b.test", "c@b.test"]).play(&format!("{head}{end}"));
        report.outcomes.iter().map(|o| o.fate).collect::<Vec<_>>()
    };
    assert_eq!(play("S: 250 a\nS: 452 full\nC: QUIT"), [Fate::Accepted, Fate::Refused, Fate::Deferred]);
    assert_eq!(play("S: 250 a\nlost"), [Fate::Accepted, Fate::Refused, Fate::Unknown]);
}

#[test]
fn lmtp_knows_no_helo() {
    let report = setup().lmtp().play("S: 220 mx\nC: LHLO me.test\nS: 500 what\nC: QUIT");
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Refused, Exit::Unavailable));
}
