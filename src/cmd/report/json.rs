//! How does a program read the sums? (sealpost(1), "sealpost report")

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Report;
use crate::host::{
    journal::Status,
    ledger::{
        entry::TlsResult,
        summary::{Counts, Host, every},
    },
};

/// One JSON object and a newline. Each host becomes text before the next one is looked at: as values, thousands of them would take
/// more memory than all the sums.
pub(super) fn render(report: &Report) -> String {
    let (since, until) = report.span();
    let left_out = json!({"lines": report.strangers, "records": report.summary.crowd, "parts": report.unread});
    let mut text = format!("{{\"since\":\"{since}\",\"until\":\"{until}\",\"left_out\":{left_out},\"hosts\":[");
    for (index, (name, summed)) in report.summary.hosts.iter().enumerate() {
        let _ = write!(text, "{}{}", if index > 0 { "," } else { "" }, host(name, summed));
    }
    text + "]}\n"
}

fn host(name: &str, host: &Host) -> Value {
    let days = host.days.iter().map(|(day, sums)| {
        let mut day_first = Map::from_iter([("day".to_owned(), day.to_string().into())]);
        day_first.extend(counts(sums));
        Value::Object(day_first)
    });
    let certificates = host
        .certificates()
        .into_iter()
        .map(|certificate| json!({"subject": certificate.subject, "not_after": certificate.not_after.to_string()}));
    let mut value = Map::from_iter([
        // Submissions that ended before a host was known have none.
        ("host".to_owned(), if name.is_empty() { Value::Null } else { name.into() }),
        ("latest".to_owned(), host.latest.to_string().into()),
        ("certificates".to_owned(), certificates.collect()),
        ("days".to_owned(), days.collect()),
    ]);
    value.extend(counts(&host.total()));
    Value::Object(value)
}

/// Every status and result is there, so that nobody has to ask whether.
fn counts(counts: &Counts) -> Map<String, Value> {
    let object = |words: Vec<(String, u64)>| Value::Object(words.into_iter().map(|(word, count)| (word, count.into())).collect());
    Map::from_iter([
        ("attempts".to_owned(), counts.attempts.into()),
        ("status".to_owned(), object(every(&counts.statuses, Status::ALL))),
        ("tls".to_owned(), object(every(&counts.results, TlsResult::ALL))),
        ("versions".to_owned(), json!(counts.versions)),
        ("ciphers".to_owned(), json!(counts.ciphers)),
        ("groups".to_owned(), json!(counts.groups)),
        ("failures".to_owned(), json!(counts.failures)),
        ("downgrades".to_owned(), counts.downgrades.into()),
    ])
}
