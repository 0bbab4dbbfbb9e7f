//! Does `sealpost report` sum up rightly, in each of its forms?

use std::{fs, os::unix::fs::PermissionsExt as _};

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
  day         attempts  sent  verified  unverified  plaintext  none
  2026-11-21         1     1         0           1          0     0
  2026-11-22         1     1         0           0          1     0
  together           2     2         0           1          1     0
  versions     TLSv1.2 1
  ciphers      TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 1
  groups       x25519 1
  failures     starttls-not-supported 1, certificate-expired 1
  downgrades   1 without the TLS that this host offered before
  certificate  has expired, at 2026-05-01T00:00:00Z: CN=mx.example

smtp.example.com
  day         attempts  sent  verified  unverified  plaintext  none
  2026-11-20         1     1         1           0          0     0
  2026-11-23         2     1         2           0          0     0
  together           3     2         3           0          0     0
  versions     TLSv1.3 3
  ciphers      TLS_AES_256_GCM_SHA384 3
  groups       X25519MLKEM768 3
"
    );
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80));
    let run = ask(&sealpost, &["report", "--host", "nobody"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "no attempts in that time\n"));
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
    assert_eq!(host["certificate"]["not_after"], "2026-05-01T00:00:00Z");
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
        "sealpost_certificate_not_after_seconds{host=\"mx.example\"} 1777593600",
        "sealpost_log_strangers 4",
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
