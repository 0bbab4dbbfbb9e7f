//! What becomes of a message of which one recipient is no address? (it goes to the others where a report can tell of it, else to nobody)

use sealpost::host::listen::{Delivery, Sink};

use crate::{
    common::{Run, Sealpost},
    kit::{self, alone, arrive, arrived, client, drain, field, files, kept, row, silent, told},
};

const MODES: [&str; 3] = ["mode = \"off\"", "mode = \"fallback\"", "mode = \"always\""];

/// A list with two slips.
const HEADER: &str =
    "From: cron@client.test\nTo: ok@sink.test, bad@@sink.test\nCc: <no end\nBcc: too@sink.test\nSubject: s\n\nall is well\n";

fn sends(sealpost: &Sealpost, args: &[&str], message: &str) -> Run {
    sealpost.send(&[&["-f", "cron@client.test"], args].concat(), message.as_bytes())
}

/// The message and the report.
fn both(sink: &Sink) -> [Delivery; 2] {
    let mut mails = arrived(sink);
    mails.sort_by_key(|mail| mail.transaction.sender.is_empty());
    mails.try_into().unwrap()
}

/// The recipients of what arrives, sorted.
fn reached(sink: &Sink, number: usize) -> Vec<String> {
    let mut all: Vec<String> = arrive(sink, number).iter().flat_map(kit::to).collect();
    all.sort_unstable();
    all
}

#[test]
fn with_a_queue_the_others_get_it_and_the_sender_a_report() {
    for mode in &MODES[1..] {
        for errors in ["-oep", "-oem", "-oew", "-oee"] {
            let sink = kit::sink(&[]);
            let sealpost = client(sink.address.port(), mode, "");
            let _alone = alone(&sealpost);
            let run = sends(&sealpost, &["-t", errors], HEADER);
            silent(&run);
            assert_eq!(told(&run.records), [row("bounce", "queued", 0, true, 0), row("queue", "queued", 0, true, 0)], "{run:?}");
            assert_eq!(files(&sealpost, "queue").len(), 2, "both are safe before the caller hears of it");
            drain(&sealpost);
            let [message, report] = both(&sink);
            let (message, report) = (&message, &report);
            assert_eq!(kit::to(message), ["ok@sink.test", "too@sink.test"]);
            assert_eq!((report.transaction.sender.as_str(), kit::to(report)), ("", vec!["cron@client.test".to_owned()]));
            assert_eq!(field(report, "Subject"), "Undelivered: s");
        }
    }
}

#[test]
fn the_report_names_each_and_says_that_the_others_get_it() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), MODES[2], "");
    let _alone = alone(&sealpost);
    let run = sends(&sealpost, &["-t", "-v"], &HEADER.replace("<no end", "Jörg Müller <jörg@@x"));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("bad@@sink.test") && run.stderr.contains("and the others get the message"), "{run:?}");
    let error = run.records[0]["error"].as_str().unwrap();
    assert!(error.contains("bad@@sink.test") && error.contains("jörg@@x"), "{error}");
    drain(&sealpost);
    let report = String::from_utf8_lossy(kept(&both(&sink)[1])).replace("\r\n", "\n");
    for words in [
        "is on its way to everybody\nelse, but not to these, which are no addresses",
        "\n  bad@@sink.test\n",
        "\nFinal-Recipient: unknown; bad@@sink.test\nAction: failed\nStatus: 5.1.3\nDiagnostic-Code: X-Sealpost; it has a domain that",
        "\nFinal-Recipient: unknown; J\\x{F6}rg\\x{20}M\\x{FC}ller\\x{20}<j\\x{F6}rg@@x\n",
        "Correct the address, and send the message again to that one alone",
        "\nTo: ok@sink.test, bad@@sink.test\n",
    ] {
        assert!(report.contains(words), "{words:?} is missing in {report}");
    }
    assert!(!report.contains("too@sink.test"), "a blind copy: {report}");
}

#[test]
fn arguments_are_as_good_as_a_header() {
    for mode in &MODES[1..] {
        let sink = kit::sink(&[]);
        let sealpost = client(sink.address.port(), mode, "");
        // As cron hands on its MAILTO: one word.
        silent(&sends(&sealpost, &["-i", "ok@sink.test, b b@sink.test, |cat"], "Subject: s\n\nhi\n"));
        assert_eq!(reached(&sink, 2), ["cron@client.test", "ok@sink.test"]);
    }
}

#[test]
fn without_a_queue_nobody_gets_it_and_the_caller_knows() {
    let sink = kit::sink(&[]);
    let sealpost = client(sink.address.port(), MODES[0], "");
    for (args, code) in [(&["-t"][..], 65), (&["-t", "-oee"], 65), (&["ok@sink.test", "b b@sink.test"], 64)] {
        let run = sends(&sealpost, args, HEADER);
        assert_eq!(
            (run.code, told(&run.records)),
            (code, vec![row("send", "rejected", 0, false, u64::try_from(code).unwrap())]),
            "{run:?}"
        );
        assert!(run.stderr.contains("nothing was sent; correct the address"), "{run:?}");
    }
    assert_eq!(arrived(&sink).len(), 0);
}

#[test]
fn where_nobody_would_hear_of_it_nobody_gets_it() {
    for mode in MODES {
        let sink = kit::sink(&[]);
        let sealpost = client(sink.address.port(), mode, "");
        let control = HEADER.replace("<no end", "a\u{1}@sink.test");
        let junk = HEADER.replace("<no end", &"a b, ".repeat(16));
        let nobody = HEADER.replace("ok@sink.test", "o k").replace("too@sink.test", "");
        for (args, message, code) in [
            (&["-t", "-f", ""][..], HEADER, 65),
            (&["-t", "-N", "never"], HEADER, 65),
            (&["-t", "-N", "delay"], HEADER, 65),
            (&["-t", "-oeq"], HEADER, 65),
            (&["-t"], &control, 65),
            (&["-t"], &junk, 65),
            (&["-t"], &nobody, 65),
            (&["b b@sink.test"], HEADER, 64),
            (&["ok@sink.test", "a\nRCPT TO:<evil@sink.test>"], HEADER, 64),
        ] {
            let run = sends(&sealpost, args, message);
            assert_eq!((run.code, run.stderr.is_empty()), (code, args.contains(&"-oeq")), "{args:?}: {run:?}");
        }
        assert_eq!((arrived(&sink).len(), files(&sealpost, "queue").len()), (0, 0));
    }
}

#[test]
fn where_the_report_can_not_be_kept_the_message_is_not_either() {
    let sink = kit::sink(&[]);
    let mut sealpost = client(sink.address.port(), MODES[2], "");
    // The message fits, and the report that comes with it does not.
    sealpost.wrapper = ["bash", "-c", "ulimit -f 4; exec \"$@\"", "bash"].map(str::to_owned).to_vec();
    let message = format!("{HEADER}{}", format!("{}\n", "x".repeat(60)).repeat(37));
    silent(&sends(&sealpost, &["-odq", "-R", "full", "ok@sink.test"], &message));
    assert_eq!(files(&sealpost, "queue").len(), 1);
    let run = sends(&sealpost, &["-odq", "-R", "full", "-t"], &message);
    assert!(run.stderr.contains("File too large"), "{run:?}");
    assert_eq!((run.code, files(&sealpost, "queue").len()), (75, 1), "{run:?}");
}
