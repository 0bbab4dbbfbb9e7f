//! Does `sealpost report` sum up rightly, in each of its forms?

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::*;

#[test]
fn a_person_reads_a_section_for_each_host_in_eighty_columns() {
    let (sealpost, _) = scene();
    let run = ask(&sealpost, &["report"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(
        run.stdout,
        "\
mx.example
  day         attempts   sent  verified unverified  plaintext  none
  2026-11-21         1      1         0          1          0     0
  2026-11-22         1      1         0          0          1     0
  together           2      2         0          1          1     0
  versions     TLSv1.2 1
  ciphers      TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 1
  groups       x25519 1
  failures     certificate-expired 1, starttls-not-supported 1
  downgrades   1 without the TLS that this host offered before
  certificate  has expired, at 2026-05-01T00:00:00Z: CN=mx.example

smtp.example.com
  day         attempts   sent  verified unverified  plaintext  none
  2026-11-20         1      1         1          0          0     0
  2026-11-23         2      1         2          0          0     0
  together           3      2         3          0          0     0
  not sent     failed 1
  versions     TLSv1.3 3
  ciphers      TLS_AES_256_GCM_SHA384 3
  groups       X25519MLKEM768 3
"
    );
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80));
    let run = ask(&sealpost, &["report", "--host", "nobody"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "no attempts\n"));
}

#[test]
fn a_program_reads_the_same_sums() {
    let (sealpost, _) = scene();
    let run = ask(&sealpost, &["report", "--json", "--until", "2026-11-22"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((report["until"].as_str(), report["left_out"]["lines"].as_u64()), (Some("2026-11-23T00:00:00Z"), Some(4)));
    let host = &report["hosts"][0];
    assert_eq!((host["host"].as_str(), host["attempts"].as_u64()), (Some("mx.example"), Some(2)));
    assert_eq!((&host["tls"]["unverified"], &host["tls"]["none"], &host["downgrades"]), (&1.into(), &0.into(), &1.into()));
    assert_eq!(host["failures"]["certificate-expired"], 1);
    assert_eq!(host["certificates"][0]["not_after"], "2026-05-01T00:00:00Z");
    assert_eq!(host["days"][1]["day"], "2026-11-22");
    assert_eq!(report["hosts"][1]["attempts"], 1);
}

#[test]
fn a_tls_report_keeps_the_grammar_of_rfc_8460() {
    let (sealpost, _) = scene();
    let run = ask(&sealpost, &["report", "--format", "tlsrpt", "--since", "2026-11-20", "--until", "2026-11-23"]);
    assert_eq!(grammar::of_tls_report(&run.stdout), Vec::<String>::new(), "{}", run.stdout);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["organization-name"], &report["contact-info"]), (&"client.test".into(), &"postmaster@client.test".into()));
    assert_eq!(report["date-range"]["end-datetime"], "2026-11-24T00:00:00Z");
    let [bad, good] = report["policies"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&bad["policy"]["policy-domain"], &bad["policy"]["policy-type"]), (&"mx.example".into(), &"no-policy-found".into()));
    assert_eq!(
        (&bad["summary"]["total-failure-session-count"], &good["summary"]["total-successful-session-count"]),
        (&2.into(), &3.into())
    );
    assert_eq!(bad["failure-details"][1]["result-type"], "certificate-expired");
    assert_eq!(bad["failure-details"][1]["failure-reason-code"], "expired in May");
    assert!(good.get("failure-details").is_none());
    for options in [&["--since", "1s"][..], &["--until", "2000-01-01"], &["--since", "9000000000000000s"]] {
        let run = ask(&sealpost, &[&["report", "--format", "tlsrpt"], options].concat());
        assert_eq!(grammar::of_tls_report(&run.stdout), Vec::<String>::new(), "{}", run.stdout);
    }
}

#[test]
fn metrics_keep_their_format_whatever_the_hosts_are_called() {
    let (sealpost, _) = scene();
    let odd = Line { host: "a\\\"b\\n{}\\\\ \\u202e", tls: EXPIRED, ..Line::default() };
    sealpost.scratch.write("log.jsonl.3", odd.to_string());
    let run = ask(&sealpost, &["report", "--format", "prometheus"]);
    assert_eq!(grammar::of_metrics(&run.stdout), Vec::<String>::new(), "{}", run.stdout);
    for sample in [
        "sealpost_attempts{host=\"smtp.example.com\",status=\"failed\"} 1",
        "sealpost_attempts{host=\"smtp.example.com\",status=\"unknown\"} 0",
        "sealpost_tls_results{host=\"mx.example\",result=\"plaintext\"} 1",
        "sealpost_tls_failures{host=\"mx.example\",type=\"certificate-expired\"} 1",
        "sealpost_tls_downgrades{host=\"mx.example\"} 1",
        "sealpost_tls_certificate_not_after_timestamp_seconds{host=\"mx.example\"} 1777593600",
        "sealpost_log_stranger_lines 4",
    ] {
        assert!(run.stdout.lines().any(|line| line == sample), "{sample} is not in\n{}", run.stdout);
    }
}

#[test]
fn a_file_is_replaced_whole_and_others_may_read_it() {
    let (sealpost, _) = scene();
    let file = sealpost.scratch.write("sealpost.prom", "old\n");
    let before = fs::File::open(&file).unwrap();
    let run = ask(&sealpost, &["report", "--format", "prometheus", "--output", file.to_str().unwrap()]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert_eq!(std::io::read_to_string(before).unwrap(), "old\n");
    assert_eq!(grammar::of_metrics(&fs::read_to_string(&file).unwrap()), Vec::<String>::new());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let left = fs::read_dir(sealpost.scratch.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name() != "sealpost.prom");
    assert!(left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).all(|name| !name.contains("prom")));
    let run = ask(&sealpost, &["report", "--output", "/nonexistent/report"]);
    assert_eq!(run.code, 73);
}

#[test]
fn a_tls_report_names_the_policy_that_was_applied_and_who_reports() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let tls = |trust: &str, rest: &str| format!("\"trust\":\"{trust}\",{rest}");
    let lines = [
        tls("dane", VERIFIED),
        tls("dane", r#""result":"none","failure":"tlsa-invalid","detail":"none of 2 records matches""#),
        tls("system", VERIFIED),
        // A plaintext retry after a failed handshake: two records, one session that failed.
        tls("any", r#""result":"none","failure":"validation-failure","detail":"alert: decode error""#),
        tls("any", r#""result":"plaintext","failure":"validation-failure","detail":"alert: decode error""#),
    ];
    let log: String = lines.iter().map(|tls| Line { host: "mx.example", tls, ..Line::default() }.to_string()).collect();
    let nobodies = ["192.0.2.9", "2001:db8::9", "/run/lmtp.sock"].map(|host| Line { host, ..Line::default() }.to_string()).concat();
    sealpost.scratch.write("log.jsonl", log + &nobodies);
    let who = ["--organization", "Example Inc.", "--contact", "tls@example.net"];
    let run = ask(&sealpost, &[&["report", "--format", "tlsrpt"][..], &who].concat());
    assert_eq!(grammar::of_tls_report(&run.stdout), Vec::<String>::new(), "{}", run.stdout);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["organization-name"], &report["contact-info"]), (&"Example Inc.".into(), &"tls@example.net".into()));
    let policies: Vec<_> = report["policies"].as_array().unwrap().iter().map(|p| (&p["policy"], &p["summary"])).collect();
    let policy = |kind: &str| serde_json::json!({"policy-type": kind, "policy-domain": "mx.example"});
    let sessions = serde_json::json!({"total-successful-session-count": 1, "total-failure-session-count": 1});
    assert_eq!(policies, [(&policy("tlsa"), &sessions), (&policy("no-policy-found"), &sessions)]);
    let text = ask(&sealpost, &["report", "--host", "mx.example"]).stdout;
    assert!(text.contains("  failures     tlsa-invalid 1, validation-failure 1\n"), "{text}");
    for wrong in [&["report", "--contact", "a@b.example"][..], &["report", "--format", "tlsrpt", "--organization", " "]] {
        assert_eq!(ask(&sealpost, wrong).code, 64, "{wrong:?}");
    }
}

#[test]
fn days_are_those_of_the_own_zone_but_in_a_tls_report_and_with_utc() {
    let mut sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    sealpost.environment.push(("TZ".to_owned(), "EST5EDT,M3.2.0,M11.1.0".to_owned()));
    // 1 November 2026 has 25 hours there: from 04:00 UTC to 05:00 UTC of the next day.
    let times = ["2026-11-01T03:59:59.999Z", "2026-11-01T04:00:00.000Z", "2026-11-02T04:59:59.999Z", "2026-11-02T05:00:00.000Z"];
    let lines = times.map(|time| Line { time, ..Line::default() }.to_string());
    sealpost.scratch.write("log.jsonl", lines.concat());
    let day = ["--since", "2026-11-01", "--until", "2026-11-01"];
    let days = |options: &[&str]| {
        let run = ask(&sealpost, &[&["report", "--json"], options].concat());
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let days = report["hosts"][0]["days"].as_array().unwrap();
        days.iter().map(|day| format!("{} {}", day["day"].as_str().unwrap(), day["attempts"])).collect::<Vec<_>>()
    };
    assert_eq!(days(&[]), ["2026-10-31 1", "2026-11-01 2", "2026-11-02 1"]);
    assert_eq!(days(&day), ["2026-11-01 2"]);
    assert_eq!(days(&["--utc"]), ["2026-11-01 2", "2026-11-02 2"]);
    let run = ask(&sealpost, &[&["report", "--format", "tlsrpt"][..], &day].concat());
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["date-range"]["start-datetime"], "2026-11-01T00:00:00Z");
    assert_eq!(report["policies"][0]["summary"]["total-successful-session-count"], 2);
    let rows = ask(&sealpost, &["log", "--utc", "-n", "1"]).stdout;
    assert!(rows.contains("Nov  2 05:00:00") || rows.contains("2026-11-02 05:00"), "{rows}");
}

#[test]
fn an_empty_log_is_a_report_in_every_form() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    sealpost.scratch.write("log.jsonl", "");
    assert_eq!(ask(&sealpost, &["report"]).stdout, "no attempts\n");
    let report: Value = serde_json::from_str(&ask(&sealpost, &["report", "--json"]).stdout).unwrap();
    assert_eq!(report["hosts"], serde_json::json!([]));
    assert_eq!(grammar::of_tls_report(&ask(&sealpost, &["report", "--format", "tlsrpt"]).stdout), Vec::<String>::new());
    assert_eq!(grammar::of_metrics(&ask(&sealpost, &["report", "--format", "prometheus"]).stdout), Vec::<String>::new());
    assert_eq!(ask(&sealpost, &["log"]).stdout, "");
}

#[test]
fn more_hosts_than_anybody_sends_to_take_bounded_memory_and_are_told_of() {
    let mut sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let log: String = (0..30_000).map(|n| Line { host: &format!("h{n}.example"), ..Line::default() }.to_string()).collect();
    sealpost.scratch.write("log.jsonl", log);
    sealpost.wrapper = ["sh", "-c", "ulimit -v 262144; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let run = ask(&sealpost, &["report", "--json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, report["hosts"].as_array().unwrap().len()), (0, 20_000));
    assert_eq!(report["left_out"]["records"], 10_000);
    let run = ask(&sealpost, &["report", "--format", "prometheus"]);
    assert!(run.code == 0 && run.stdout.contains("\nsealpost_report_left_out_records 10000\n"), "{}", run.stderr);
}

#[test]
fn two_reports_at_once_leave_one_of_them_whole() {
    let (sealpost, _) = scene();
    let path = sealpost.scratch.path();
    let (config, file) = (path.join("config.toml"), path.join("sealpost.prom"));
    let start = |format: &str| {
        let mut command = Command::new(common::binary());
        command.args(["report", "--format", format, "-C"]).arg(&config).arg("--output").arg(&file).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    for _ in 0..5 {
        let children = [start("prometheus"), start("json"), start("prometheus")];
        assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
        let text = fs::read_to_string(&file).unwrap();
        assert!(serde_json::from_str::<Value>(&text).is_ok() || grammar::of_metrics(&text).is_empty(), "{text}");
    }
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("prom")).count(), 1);
}

#[test]
fn where_nothing_can_be_written_the_old_report_stays_and_it_is_said() {
    let (sealpost, _) = scene();
    for (place, why) in [("/dev/full", "No space left"), ("/tmp", "Is a directory"), ("/proc/sealpost.prom", "No such file")] {
        let run = ask(&sealpost, &["report", "--output", place]);
        assert_eq!(run.code, 73, "{place}");
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    let file = sealpost.scratch.write("sealpost.prom", "old\n");
    // The file size limit stands in for a disk that fills up.
    let mut limited = sealpost;
    limited.wrapper = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let run = ask(&limited, &["report", "--output", file.to_str().unwrap()]);
    assert_eq!((run.code, fs::read_to_string(&file).unwrap().as_str()), (73, "old\n"), "{}", run.stderr);
    let names = fs::read_dir(limited.scratch.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("prom")).count(), 1);
}
