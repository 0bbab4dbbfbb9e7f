//! Who is told of what failed, or is late, and how often? (a real Postfix brings the reports back)

use std::{fs, path::Path};

use crate::{
    common::{Run, Sealpost, needs::has},
    crash,
    kit::{self, alone, arrived, client, drain, files, kept, later, silent, told},
    smarthost::{Smarthost, message, smarthost},
};

/// A client that queues everything and sends through Postfix.
fn through(smarthost: &Smarthost, queue: &str) -> Sealpost {
    client(smarthost.port("plain"), &format!("mode = \"always\"\n{queue}"), "")
}

fn send(sealpost: &Sealpost, mark: &str, args: &[&str]) -> Run {
    let (_, text) = message(mark, b"all is well\n");
    let run = sealpost.send(args, &text);
    silent(&run);
    run
}

fn text(report: &[u8]) -> String {
    String::from_utf8_lossy(report).replace('\r', "")
}

/// The values of a field of a report.
fn values(report: &str, name: &str) -> Vec<String> {
    let named = format!("{name}: ");
    report.lines().filter_map(|line| line.strip_prefix(&named)).map(str::to_owned).collect()
}

#[test]
fn the_sender_hears_at_once_of_who_was_refused_and_in_the_end_of_who_was_given_up() {
    let Some(smarthost) = smarthost().filter(|_| has("faketime")) else { return };
    let mut sealpost = through(smarthost, "max_age = \"1h\"");
    let _alone = alone(&sealpost);
    let everybody = ["-odi", "-f", "ok.cron@sink.test", "ok@sink.test", "nobody@sink.test", "later@sink.test"];
    let run = send(&sealpost, "report-mixed", &everybody);
    let events: Vec<_> = run.records.iter().map(|record| record["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(events, ["send", "bounce"], "{run:?}");
    // The report waits as a message of its own.
    assert_eq!(files(&sealpost, "queue").len(), 2);
    drain(&sealpost);
    let report = text(&smarthost.delivered("Undelivered: report-mixed"));
    assert_eq!(values(&report, "Final-Recipient"), ["rfc822; nobody@sink.test"], "{report}");
    assert_eq!((values(&report, "Action"), values(&report, "Status")), (vec!["failed".into()], vec!["5.1.1".into()]), "{report}");
    assert!(report.contains("Return-Path: <>") && report.contains("multipart/report"), "{report}");
    let [file] = files(&sealpost, "queue").try_into().unwrap();
    let state = kit::state(&file);
    assert_eq!((&state["told"], &state["recipients"][0]), (&true.into(), &"delivered".into()), "{state}");

    later(&sealpost);
    sealpost.wrapper = ["faketime", "-f", "+1d"].map(str::to_owned).to_vec();
    let run = drain(&sealpost);
    assert!(told(&run.records).iter().any(|record| record.0 == "bounce"), "{run:?}");
    let mut reports = Vec::new();
    while reports.len() < 2 {
        smarthost.delivered("later@sink.test");
        reports = smarthost.arrived("Undelivered: report-mixed");
    }
    let last = reports.iter().map(|report| text(report)).find(|report| report.contains("later@sink.test")).unwrap();
    assert_eq!(values(&last, "Final-Recipient"), ["rfc822; later@sink.test"], "{last}");
    assert!(values(&last, "Status")[0].starts_with("4."), "{last}");
    assert_eq!((files(&sealpost, "queue").len(), files(&sealpost, "failed").len()), (0, 1));
}

#[test]
fn the_caller_hears_of_the_refused_and_that_the_others_wait() {
    let Some(smarthost) = smarthost() else { return };
    let sealpost = client(smarthost.port("plain"), "mode = \"fallback\"", "");
    let _alone = alone(&sealpost);
    let (_, text) = message("caller-mixed", b"all is well\n");
    let run = sealpost.send(&["-f", "ok.cron@sink.test", "ok@sink.test", "nobody@sink.test", "later@sink.test"], &text);
    assert_eq!((run.code, told(&run.records)), (67, vec![kit::row("send", "failed", 1, true, 67)]), "{run:?}");
    assert!(run.stderr.contains("<nobody@sink.test> failed: 550") && !run.stderr.contains("later@sink.test"), "{run:?}");
    assert!(run.stderr.contains("1 of 3 recipients were accepted, 1 wait in the queue"), "{run:?}");
    // The caller knows, so nobody is sent a report; what is left goes on.
    later(&sealpost);
    let run = drain(&sealpost);
    assert_eq!(told(&run.records), [kit::row("send", "deferred", 2, true, 0)], "{run:?}");
    assert_eq!(files(&sealpost, "queue").len(), 1);
}

#[test]
fn a_late_message_is_told_of_once() {
    let Some(smarthost) = smarthost().filter(|_| has("faketime")) else { return };
    let mut sealpost = through(smarthost, "warn_after = \"1h\"");
    let _alone = alone(&sealpost);
    send(&sealpost, "report-late", &["-odi", "-f", "ok.cron@sink.test", "later@sink.test"]);
    for ahead in ["+2h", "+4h", "+8h"] {
        later(&sealpost);
        sealpost.wrapper = ["faketime", "-f", ahead].map(str::to_owned).to_vec();
        drain(&sealpost);
    }
    let report = text(&smarthost.delivered("Delayed: report-late"));
    assert_eq!((values(&report, "Action"), values(&report, "Will-Retry-Until").len()), (vec!["delayed".into()], 1), "{report}");
    assert_eq!(sealpost.log().iter().filter(|record| record["event"] == "bounce").count(), 1);
    assert_eq!(files(&sealpost, "queue").len(), 1);
}

#[test]
fn nobody_is_told_who_has_no_address_or_wants_to_hear_nothing() {
    let sink = kit::sink(&["rcpt-550-all"]);
    let sealpost = client(sink.address.port(), "mode = \"always\"", "");
    let _alone = alone(&sealpost);
    for args in [["-odi", "-f", "", "nobody@sink.test"], ["-odi", "-N", "never", "nobody@sink.test"]] {
        silent(&kit::send(&sealpost, &args));
    }
    assert_eq!(drain(&sealpost).records.len(), 0);
    assert_eq!((files(&sealpost, "queue").len(), files(&sealpost, "failed").len()), (0, 2));
}

#[test]
fn who_asked_hears_that_a_server_without_reports_has_the_message() {
    // Once, and only where the server does not report itself; whether it went at once or from the queue.
    let cases = [("no-dsn", 1), ("no-8bitmime", 0)].into_iter().flat_map(|case| ["always", "fallback"].map(|mode| (case, mode)));
    for ((fault, reports), mode) in cases {
        let sink = kit::sink(&[fault]);
        let sealpost = client(sink.address.port(), &format!("mode = \"{mode}\""), "");
        let _alone = alone(&sealpost);
        silent(&kit::send(&sealpost, &["-odi", "-N", "success", "-V", "lot 7", "ann@sink.test"]));
        drain(&sealpost);
        let arrived = kit::arrive(&sink, 1 + reports);
        assert_eq!(kit::to(&arrived[0]), ["ann@sink.test"]);
        for report in arrived.iter().skip(1).map(|report| text(kept(report))) {
            assert_eq!(values(&report, "Final-Recipient"), ["rfc822; ann@sink.test"], "{report}");
            assert_eq!(
                (values(&report, "Action"), values(&report, "Status")),
                (vec!["relayed".into()], vec!["2.0.0".into()]),
                "{report}"
            );
            assert_eq!(values(&report, "Original-Envelope-Id"), ["lot 7"], "{report}");
            assert!(values(&report, "Diagnostic-Code")[0].starts_with("smtp; 250 "), "{report}");
        }
        assert_eq!((files(&sealpost, "queue").len(), files(&sealpost, "failed").len()), (0, 0));
        assert_eq!(sealpost.log().iter().filter(|record| record["event"] == "bounce").count(), reports);
    }
}

#[test]
fn who_waits_is_no_reason_to_keep_back_the_report_on_who_has_it() {
    let sink = kit::sink(&["no-dsn", "rcpt-451"]);
    let sealpost = client(sink.address.port(), "mode = \"fallback\"", "");
    let _alone = alone(&sealpost);
    silent(&kit::send(&sealpost, &["-N", "success", "late@sink.test", "ann@sink.test"]));
    assert_eq!(files(&sealpost, "queue").len(), 2, "the message, and the report");
    let waiting: Vec<_> = files(&sealpost, "queue").iter().map(|file| text(&fs::read(file).unwrap())).collect();
    let report = waiting.iter().find(|file| file.contains("Action: relayed")).expect("a report");
    assert_eq!(values(report, "Final-Recipient"), ["rfc822; ann@sink.test"], "{report}");
}

#[test]
fn a_report_names_the_server_that_spoke_which_may_be_a_fallback() {
    let (grey, refuses, good) = (kit::sink(&["rcpt-451"]), kit::sink(&["rcpt-550-all"]), kit::sink(&[]));
    let (relay, backup) = (kit::Door::to(&grey), kit::Door::to(&refuses));
    let account = format!("[accounts.backup]\nhost = \"LocalHost\"\nport = {}\ntls = {{ policy = \"off\" }}", backup.port);
    let sealpost = client(relay.port, "mode = \"always\"", &format!("fallback = [\"backup\"]\n{account}"));
    let _alone = alone(&sealpost);
    silent(&kit::send(&sealpost, &["-odi", "-f", "cron@client.test", "nobody@sink.test"]));
    relay.lead_to(&good);
    drain(&sealpost);
    let [report] = kit::arrive(&good, 1).try_into().unwrap();
    let report = text(kept(&report));
    assert_eq!(values(&report, "Remote-MTA"), ["dns; localhost"], "{report}");
    assert!(report.contains("localhost said:") && report.contains("smtp; 550 5.1.1"), "{report}");
}

#[test]
fn a_report_that_is_refused_itself_is_kept_and_ends_there() {
    let sink = kit::sink(&["rcpt-550-all"]);
    let sealpost = client(sink.address.port(), "mode = \"always\"", "");
    let _alone = alone(&sealpost);
    silent(&kit::send(&sealpost, &["-odi", "nobody@sink.test"]));
    drain(&sealpost);
    drain(&sealpost);
    assert_eq!((files(&sealpost, "queue").len(), files(&sealpost, "failed").len()), (0, 2));
    assert_eq!(sealpost.log().iter().filter(|record| record["event"] == "bounce").count(), 1);
}

#[test]
fn a_run_that_is_killed_anywhere_writes_one_report() {
    if !has("strace") {
        return;
    }
    let sink = kit::sink(&["rcpt-550-all"]);
    let prepared = || {
        let sealpost = client(sink.address.port(), "mode = \"always\"\nconnections = 1", "");
        let _alone = alone(&sealpost);
        silent(&kit::send(&sealpost, &["nobody@sink.test"]));
        sealpost
    };
    let killed = crash::at_every_call(&sink, &prepared, &mut |sealpost, _, story| {
        // What was begun and never named is swept after an hour.
        let is_message = |path: &&std::path::PathBuf| Path::new(path).extension().is_none();
        let left = files(sealpost, "queue").iter().filter(is_message).count();
        let failed = files(sealpost, "failed");
        assert_eq!((left, failed.len(), arrived(&sink).len()), (0, 2, 0), "{failed:?}: {story}");
        let reports =
            failed.iter().filter(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).contains("\"report\":true")).count();
        assert_eq!(reports, 1, "{story}");
    });
    assert!(killed > 35, "only {killed} were killed: are these the calls?");
}
