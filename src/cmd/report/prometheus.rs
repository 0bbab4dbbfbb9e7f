//! How does the textfile collector of `node_exporter` read the sums? (the text format of Prometheus)

use std::{collections::BTreeMap, fmt::Write as _};

use super::Report;
use crate::{
    error::printable,
    host::{
        journal::Status,
        ledger::{
            entry::TlsResult,
            summary::{Counts, Host, Tally, every},
        },
    },
    mail::tls::Failure,
};

/// Gauges, not counters: a log that is rotated away takes its records with it.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page(String::new());
    let hosts = &report.summary.hosts;
    // Every status, result and failure is there from the first record on: a series that begins at 1 raises no alarm.
    page.family("sealpost_attempts", "Attempts in the log by status.", "status", hosts, |c| every(&c.statuses, Status::ALL));
    page.family("sealpost_tls_results", "Attempts by what TLS did for the message.", "result", hosts, |c| {
        every(&c.results, TlsResult::ALL)
    });
    page.family("sealpost_tls_failures", "Sessions by what went wrong with TLS (RFC 8460).", "type", hosts, |c| {
        every(&c.failures, Failure::ALL)
    });
    page.family("sealpost_tls_versions", "Sessions by version of TLS.", "version", hosts, |c| words(&c.versions));
    page.family("sealpost_tls_ciphers", "Sessions by cipher suite.", "cipher", hosts, |c| words(&c.ciphers));
    page.family("sealpost_tls_groups", "Sessions by key exchange group.", "group", hosts, |c| words(&c.groups));
    page.family("sealpost_tls_downgrades", "Sessions without TLS with a host that offered it before.", "", hosts, |c| {
        vec![(String::new(), c.downgrades)]
    });
    let ends = "When the first of the certificates in use ends, in seconds since 1970.";
    page.times("sealpost_tls_certificate_not_after_timestamp_seconds", ends, hosts, |host| {
        host.certificates().first().map(|certificate| certificate.not_after.as_second())
    });
    let latest = "When the latest attempt ended, in seconds since 1970.";
    page.times("sealpost_latest_attempt_timestamp_seconds", latest, hosts, |host| Some(host.latest.as_second()));
    page.gauge("sealpost_log_stranger_lines", "Lines of the log that are no records.", report.strangers);
    page.gauge("sealpost_log_unread_parts", "Parts of the log that could not be read to their end.", report.unread);
    page.gauge("sealpost_report_left_out_records", "Records of more hosts and days than are kept apart.", report.summary.crowd);
    page.gauge("sealpost_report_timestamp_seconds", "When this was written, in seconds since 1970.", report.now.as_second());
    page.0
}

type Hosts = BTreeMap<String, Host>;

struct Page(String);

impl Page {
    /// The gauges of one name: each host, and each word of a label.
    fn family(&mut self, name: &str, help: &str, label: &str, hosts: &Hosts, values: impl Fn(&Counts) -> Vec<(String, u64)>) {
        self.head(name, help);
        for (host, summed) in hosts {
            for (word, value) in values(&summed.total()) {
                self.sample(name, &[("host", host), (label, &word)], value);
            }
        }
    }

    fn times(&mut self, name: &str, help: &str, hosts: &Hosts, of: impl Fn(&Host) -> Option<i64>) {
        self.head(name, help);
        for (host, summed) in hosts {
            if let Some(time) = of(summed) {
                self.sample(name, &[("host", host)], time);
            }
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, help);
        self.sample(name, &[], value);
    }

    fn head(&mut self, name: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels
            .iter()
            .filter(|(label, _)| !label.is_empty())
            .map(|(label, word)| format!("{label}=\"{}\"", quoted(word)))
            .collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn words(tally: &Tally) -> Vec<(String, u64)> {
    tally.iter().map(|(word, count)| (word.clone(), *count)).collect()
}

/// A label's value, which only quote, backslash and newline could end.
fn quoted(word: &str) -> String {
    printable(word).replace('\\', "\\\\").replace('"', "\\\"")
}
