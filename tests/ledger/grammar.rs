//! Is a text what RFC 8460 section 4.4, or the text format of Prometheus, allows? Written from the specifications alone.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::{Map, Value};

/// What is wrong with a TLS report; empty where it is right.
pub(super) fn of_tls_report(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    match serde_json::from_str(text) {
        Ok(Value::Object(report)) => report_object(&report, &mut faults),
        other => faults.push(format!("no JSON object: {other:?}")),
    }
    faults
}

/// Members of an object: name, whether it must be there, and what its value must be.
type Members<'a> = &'a [(&'a str, bool, fn(&Value) -> bool)];

fn members(place: &str, object: &Map<String, Value>, members: Members<'_>, faults: &mut Vec<String>) {
    for name in object.keys().filter(|name| members.iter().all(|(known, ..)| known != name)) {
        faults.push(format!("{place} has a member {name}, which the RFC does not know"));
    }
    for (name, required, is_right) in members {
        match object.get(*name) {
            Some(value) if !is_right(value) => faults.push(format!("{place}.{name} is wrong: {value}")),
            None if *required => faults.push(format!("{place} lacks {name}")),
            _ => {}
        }
    }
}

fn report_object(report: &Map<String, Value>, faults: &mut Vec<String>) {
    let range = |value: &Value| value.is_object();
    let list = |value: &Value| value.is_array();
    let known: Members<'_> = &[
        ("organization-name", true, is_text),
        ("date-range", true, range),
        ("contact-info", true, is_mailbox),
        ("report-id", true, is_text),
        ("policies", true, list),
    ];
    members("report", report, known, faults);
    if let Some(range) = report.get("date-range").and_then(Value::as_object) {
        members("date-range", range, &[("start-datetime", true, is_time), ("end-datetime", true, is_time)], faults);
        let moment = |name: &str| range.get(name).and_then(Value::as_str).and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if moment("start-datetime") > moment("end-datetime") {
            faults.push("the range ends before it starts".to_owned());
        }
    }
    for policy in report.get("policies").and_then(Value::as_array).into_iter().flatten() {
        match policy.as_object() {
            Some(policy) => policy_object(policy, faults),
            None => faults.push("a policy is no object".to_owned()),
        }
    }
}

fn policy_object(policy: &Map<String, Value>, faults: &mut Vec<String>) {
    let object = |value: &Value| value.is_object();
    let list = |value: &Value| value.is_array();
    members("policy", policy, &[("policy", true, object), ("summary", true, object), ("failure-details", false, list)], faults);
    if let Some(inner) = policy.get("policy").and_then(Value::as_object) {
        let kind = |value: &Value| matches!(value.as_str(), Some("tlsa" | "sts" | "no-policy-found"));
        let texts = |value: &Value| value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string));
        let known: Members<'_> = &[
            ("policy-type", true, kind),
            ("policy-string", false, texts),
            ("policy-domain", true, is_domain),
            ("mx-host", false, texts),
        ];
        members("policy.policy", inner, known, faults);
    }
    let kind = policy.get("policy").and_then(|policy| policy.get("policy-type")).and_then(Value::as_str).unwrap_or_default();
    let known: Members<'_> = &[("total-successful-session-count", true, is_count), ("total-failure-session-count", true, is_count)];
    let summary = policy.get("summary").and_then(Value::as_object);
    if let Some(summary) = summary {
        members("policy.summary", summary, known, faults);
    }
    let mut failed = 0;
    for details in policy.get("failure-details").and_then(Value::as_array).into_iter().flatten() {
        let Some(details) = details.as_object() else {
            faults.push("failure details are no object".to_owned());
            continue;
        };
        let known: Members<'_> = &[
            ("result-type", true, is_result),
            ("sending-mta-ip", false, is_address),
            ("receiving-mx-hostname", true, is_text),
            ("receiving-mx-helo", false, is_text),
            ("receiving-ip", false, is_address),
            ("failed-session-count", true, is_count),
            ("additional-information", false, |value| value.as_str().is_some_and(|uri| uri.contains(':'))),
            ("failure-reason-code", false, is_text),
        ];
        members("failure-details", details, known, faults);
        // Sections 4.3.2.1 and 4.3.2.2: these can only be said of a policy of their kind.
        let result = details.get("result-type").and_then(Value::as_str).unwrap_or_default();
        let is_of_dane = ["tlsa-invalid", "dnssec-invalid", "dane-required"].contains(&result);
        if is_of_dane && kind != "tlsa" || result.starts_with("sts-") && kind != "sts" {
            faults.push(format!("{result} under a policy of type {kind}"));
        }
        failed += details.get("failed-session-count").and_then(Value::as_u64).unwrap_or(0);
    }
    if summary.and_then(|summary| summary.get("total-failure-session-count")).and_then(Value::as_u64) != Some(failed) {
        faults.push("the failures do not sum up".to_owned());
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Labels of letters, digits and hyphens: A-labels where it is internationalized (RFC 8460 section 4.4), and no address.
fn is_domain(value: &Value) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
    value.as_str().is_some_and(|text| text.split('.').all(is_label) && text.parse::<IpAddr>().is_err())
}

fn is_count(value: &Value) -> bool {
    value.is_u64()
}

fn is_mailbox(value: &Value) -> bool {
    value.as_str().is_some_and(|text| sealpost::mail::address::Address::parse(text).is_ok())
}

/// RFC 3339 as the RFC's example has it: whole seconds, UTC.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok())
}

fn is_address(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

/// RFC 8460 section 4.3.
fn is_result(value: &Value) -> bool {
    let known = [
        "starttls-not-supported",
        "certificate-host-mismatch",
        "certificate-expired",
        "certificate-not-trusted",
        "validation-failure",
        "tlsa-invalid",
        "dnssec-invalid",
        "dane-required",
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
    ];
    value.as_str().is_some_and(|text| known.contains(&text))
}

/// What is wrong with a page of metrics; empty where it is right.
pub(super) fn of_metrics(text: &str) -> Vec<String> {
    let (mut faults, mut seen, mut family) = (Vec::new(), BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.strip_suffix(" gauge").unwrap_or_default();
            if family.is_empty() || !seen.insert(rest.to_owned()) {
                faults.push(format!("a type that is none, or again: {line}"));
            }
        } else if !line.starts_with("# HELP ") {
            let fault =
                sample(line, family).or_else(|| (!seen.insert(series(line))).then(|| "the series is there twice".to_owned()));
            faults.extend(fault.map(|why| format!("{why}: {line}")));
        }
    }
    if !text.ends_with('\n') {
        faults.push("the last line has no end".to_owned());
    }
    faults
}

fn series(line: &str) -> String {
    line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned()
}

/// `name{label="value",…} number`, the name being that of the family.
fn sample(line: &str, family: &str) -> Option<String> {
    let Some((name, value)) = line.rsplit_once(' ') else { return Some("no value".to_owned()) };
    if value.parse::<f64>().is_err() {
        return Some("the value is no number".to_owned());
    }
    let Some(mut rest) = name.strip_prefix(family) else { return Some("outside its family".to_owned()) };
    if rest.is_empty() {
        return None;
    }
    let Some(inner) = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { return Some("no labels".to_owned()) };
    rest = inner;
    while !rest.is_empty() {
        let Some((label, after)) = rest.split_once("=\"") else { return Some("a label without a value".to_owned()) };
        if label.is_empty() || !label.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return Some(format!("a label called {label:?}"));
        }
        let mut escaped = false;
        let end = after.char_indices().find(|(_, c)| {
            let is_end = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        });
        let Some((end, _)) = end else { return Some("a value without an end".to_owned()) };
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    None
}

#[test]
fn the_grammars_can_find_faults() {
    let right = r#"{"organization-name":"a","date-range":{"start-datetime":"2026-11-23T00:00:00Z","end-datetime":"2026-11-24T00:00:00Z"},
        "contact-info":"a@b.example","report-id":"1","policies":[{"policy":{"policy-type":"no-policy-found","policy-domain":"b"},
        "summary":{"total-successful-session-count":1,"total-failure-session-count":2},"failure-details":[
        {"result-type":"certificate-expired","receiving-mx-hostname":"b","receiving-ip":"192.0.2.1","failed-session-count":2}]}]}"#;
    assert_eq!(of_tls_report(right), Vec::<String>::new());
    for (from, to) in [
        ("\"organization-name\":\"a\"", "\"organisation-name\":\"a\""),
        ("a@b.example", "a"),
        ("no-policy-found", "none"),
        ("policy-domain\":\"b", "policy-domain\":\"ü"),
        ("policy-domain\":\"b", "policy-domain\":\"192.0.2.1"),
        ("certificate-expired", "tlsa-invalid"),
        ("certificate-expired", "sts-policy-invalid"),
        ("certificate-expired", "expired"),
        ("192.0.2.1", "192.0.2"),
        ("failure-session-count\":2}", "failure-session-count\":-2}"),
        ("-count\":1", "-count\":\"1\""),
        ("session-count\":2}]", "session-count\":3}]"),
        ("2026-11-24T", "2026-11-22T"),
        ("T00:00:00Z\",", "\","),
        ("{\"organization", "[{\"organization"),
    ] {
        assert!(right.contains(from), "{from}");
        assert!(!of_tls_report(&right.replacen(from, to, 1)).is_empty(), "taken for right: {from} -> {to}");
    }
    let right = "# HELP a b\n# TYPE a gauge\na{host=\"x\\\"\",b=\"\"} 1\na{host=\"y\"} 2\n";
    assert_eq!(of_metrics(right), Vec::<String>::new());
    for (from, to) in
        [("\\\"", "\""), (" 1", " one"), ("\"y\"", "\"x\\\"\",b=\"\""), ("a{", "b{"), (" gauge", ""), ("} 2\n", "} 2")]
    {
        assert!(!of_metrics(&right.replacen(from, to, 1)).is_empty(), "taken for right: {from} -> {to}");
    }
}
