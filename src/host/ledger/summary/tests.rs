//! Do the sums say what the records said, and stay small whatever these say?

use super::*;
use crate::host::journal::Status;

fn entry(time: &str, host: &str, status: &str, tls: &str) -> Entry {
    let line =
        format!(r#"{{"time":"{time}","event":"send","host":{host},"address":"192.0.2.1","status":"{status}","tls":{{{tls}}}}}"#);
    Entry::parse(line.as_bytes()).unwrap_or_else(|| panic!("{line}")).1
}

fn summary(entries: &[Entry]) -> Summary {
    let mut summary = Summary::new(TimeZone::UTC);
    for entry in entries {
        summary.add(entry);
    }
    summary
}

#[test]
fn hosts_and_days_are_kept_apart_and_sum_up() {
    let verified = r#""result":"verified","version":"TLSv1.3""#;
    let all = summary(&[
        entry("2026-11-23T23:59:59Z", "\"a\"", "sent", verified),
        entry("2026-11-24T00:00:00Z", "\"A\"", "failed", verified),
        entry("2026-11-24T00:00:00Z", "\"b\"", "sent", r#""result":"plaintext","downgrade":true"#),
        entry("2026-11-22T00:00:00Z", "null", "rejected", r#""result":"none""#),
    ]);
    assert_eq!(all.hosts.keys().collect::<Vec<_>>(), ["", "a", "b"]);
    assert_eq!(all.hosts["a"].days.len(), 2);
    let total = all.hosts["a"].total();
    assert_eq!((total.attempts, times(&total.statuses, Status::Sent), times(&total.results, TlsResult::Verified)), (2, 1, 2));
    assert_eq!((total.versions["TLSv1.3"], all.hosts["a"].sessions[&Kind::None].good, total.downgrades), (2, 2, 0));
    assert_eq!(all.hosts["b"].total().downgrades, 1);
    let (first, last) = all.span.unwrap();
    assert_eq!((first.to_string(), last.to_string()), ("2026-11-22T00:00:00Z".into(), "2026-11-24T00:00:00Z".into()));
}

#[test]
fn a_day_is_as_long_as_it_is_where_clocks_change() {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let mut all = Summary::new(zone);
    // 25 October 2026 has 25 hours, from 22:00 to 23:00 UTC.
    for time in ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"] {
        all.add(&entry(time, "\"a\"", "sent", r#""result":"verified""#));
    }
    let days: Vec<_> = all.hosts["a"].days.iter().map(|(day, counts)| (day.to_string(), counts.attempts)).collect();
    assert_eq!(days, [("2026-10-24".to_owned(), 1), ("2026-10-25".to_owned(), 2), ("2026-10-26".to_owned(), 1)]);
}

#[test]
fn each_session_counts_once_as_good_bad_or_none() {
    let table = [
        (r#""result":"verified","version":"TLSv1.3""#, (1, 0)),
        (r#""result":"verified""#, (1, 0)),
        (r#""result":"unverified""#, (1, 0)),
        // A login that was refused under TLS.
        (r#""result":"none","version":"TLSv1.3""#, (1, 0)),
        (r#""result":"unverified","version":"TLSv1.3","failure":"certificate-expired""#, (0, 1)),
        (r#""result":"none","failure":"validation-failure""#, (0, 1)),
        (r#""result":"none","failure":"of-a-later-version""#, (0, 1)),
        (r#""result":"plaintext","failure":"starttls-not-supported""#, (0, 1)),
        // The handshake before it has a record of its own.
        (r#""result":"plaintext","failure":"validation-failure""#, (0, 0)),
        (r#""result":"plaintext""#, (0, 0)),
        (r#""result":"none""#, (0, 0)),
    ];
    for (tls, counted) in table {
        let all = summary(&[entry("2026-11-23T00:00:00Z", "\"a\"", "sent", tls)]);
        let sessions = &all.hosts["a"].sessions[&Kind::None];
        assert_eq!((sessions.good, sessions.bad), counted, "{tls}");
        assert_eq!(sessions.failures.len() as u64, counted.1, "{tls}");
        assert_eq!(all.hosts["a"].total().failures.values().sum::<u64>(), counted.1, "{tls}");
    }
}

#[test]
fn sessions_by_dane_are_counted_apart_where_there_was_something_to_go_by() {
    let dane = r#""trust":"dane","result":"verified","version":"TLSv1.3""#;
    let system = r#""trust":"system","result":"verified","version":"TLSv1.3""#;
    let absent = r#""trust":"dane","result":"plaintext","failure":"starttls-not-supported""#;
    let all = summary(&[dane, system, system, absent].map(|tls| entry("2026-11-23T00:00:00Z", "\"a\"", "sent", tls)));
    let counted = |kind| (all.hosts["a"].sessions[&kind].good, all.hosts["a"].sessions[&kind].bad);
    assert_eq!((counted(Kind::Tlsa), counted(Kind::None)), ((1, 0), (2, 1)));
}

#[test]
fn the_newest_certificate_of_each_address_counts_in_whatever_order_the_records_come() {
    let shown = |day: u8, address: &str, not_after: &str| {
        let tls = format!(r#""result":"verified","certificate":{{"subject":"CN={day}","not_after":"{not_after}"}}"#);
        let line =
            format!(r#"{{"time":"2026-11-{day}T00:00:00Z","event":"send","host":"a","address":"{address}","tls":{{{tls}}}}}"#);
        Entry::parse(line.as_bytes()).unwrap().1
    };
    let all = summary(&[
        shown(20, "192.0.2.1", "2026-12-01T00:00:00Z"),
        shown(22, "192.0.2.1", "2027-12-01T00:00:00Z"),
        shown(21, "192.0.2.1", "soon"),
        shown(19, "192.0.2.1", "2028-01-01T00:00:00Z"),
        shown(21, "192.0.2.2", "2027-01-01T00:00:00Z"),
        // A server that was taken away.
        shown(10, "192.0.2.3", "2026-11-11T00:00:00Z"),
    ]);
    let subjects: Vec<_> = all.hosts["a"].certificates().iter().map(|certificate| certificate.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=21", "CN=22"]);
}

#[test]
fn what_a_later_version_says_is_counted_under_its_own_name() {
    let mut all = summary(&[entry("2026-11-23T00:00:00Z", "\"a\"", "parked", r#""result":"sealed","failure":"odd""#)]);
    let other = r#"{"time":"2026-11-23T00:00:00Z","event":"bounce","host":"a","tls":{"result":"verified"}}"#;
    all.add(&Entry::parse(other.as_bytes()).unwrap().1);
    let total = all.hosts["a"].total();
    assert_eq!((total.attempts, total.statuses["parked"], total.results["sealed"], total.failures["odd"]), (1, 1, 1, 1));
}

#[test]
fn a_log_of_endless_hosts_and_words_stays_small_and_sums_up() {
    let mut all = Summary::new(TimeZone::UTC);
    for n in 0..DAYS + 10 {
        all.add(&entry("2026-11-23T00:00:00Z", &format!("\"{n}\""), "sent", r#""result":"verified""#));
    }
    assert_eq!((all.hosts.len(), all.crowd), (DAYS, 10));
    let mut all = Summary::new(TimeZone::UTC);
    for n in 0..WORDS + 10 {
        let tls = format!(r#""result":"{n}","version":"{n}","failure":"{n}""#);
        all.add(&entry("2026-11-23T00:00:00Z", "\"a\"", &n.to_string(), &tls));
    }
    let (host, total) = (&all.hosts["a"], all.hosts["a"].total());
    for tally in [&total.versions, &total.results, &total.statuses, &total.failures] {
        assert_eq!((tally.len(), tally[OTHER]), (WORDS + 1, 10));
    }
    let sessions = &host.sessions[&Kind::None];
    assert_eq!((sessions.failures.len(), sessions.bad), (WORDS + 1, 74));
    assert_eq!(sessions.failures.values().map(|failed| failed.sessions).sum::<u64>(), sessions.bad);
}
