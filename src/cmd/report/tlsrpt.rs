//! How does a report look that the owner of a server can read, whoever sends it? (RFC 8460 section 4.4)

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Report;
use crate::{
    host::ledger::summary::{Failed, Host},
    mail::tls::Failure,
};

/// Who reports.
pub(super) struct Author {
    /// The mail domain of this host.
    pub(super) domain: String,
    /// Names the report.
    pub(super) report_id: String,
}

/// One JSON object and a newline: a policy for each host to which TLS was tried.
///
/// Of policies that a domain publishes (DANE, MTA-STS) the log knows nothing: what held was our own configuration, which is
/// `no-policy-found` in the words of the RFC.
pub(super) fn render(report: &Report, author: &Author) -> String {
    // RFC 3339 has no years before 0; who asks for all of time means the time of mail.
    let (start, end) = report.span();
    let (start, end) = (start.max(Timestamp::UNIX_EPOCH), end.max(Timestamp::UNIX_EPOCH));
    let policies: Vec<Value> = report.summary.hosts.iter().filter_map(|(name, host)| policy(name, host)).collect();
    let value = json!({
        "organization-name": author.domain,
        "date-range": {"start-datetime": format!("{start:.0}"), "end-datetime": format!("{end:.0}")},
        "contact-info": format!("postmaster@{}", author.domain),
        "report-id": author.report_id,
        "policies": policies,
    });
    format!("{value}\n")
}

fn policy(name: &str, host: &Host) -> Option<Value> {
    let total = host.total();
    // A unix socket, or no host at all, is nobody's domain.
    if name.is_empty() || name.starts_with('/') || total.good_sessions + total.bad_sessions == 0 {
        return None;
    }
    let failures = host.failures.iter().map(|((failure, address), failed)| failure_details(name, *failure, *address, failed));
    let mut value = json!({
        "policy": {"policy-type": "no-policy-found", "policy-domain": name},
        "summary": {
            "total-successful-session-count": total.good_sessions,
            "total-failure-session-count": total.bad_sessions,
        },
    });
    let failures: Vec<Value> = failures.collect();
    if let (false, Some(object)) = (failures.is_empty(), value.as_object_mut()) {
        object.insert("failure-details".to_owned(), failures.into());
    }
    Some(value)
}

fn failure_details(name: &str, failure: Failure, address: Option<IpAddr>, failed: &Failed) -> Value {
    let mut value = json!({
        "result-type": failure.as_str(),
        "receiving-mx-hostname": name,
        "failed-session-count": failed.sessions,
    });
    if let Some(object) = value.as_object_mut() {
        object.extend(address.map(|address| ("receiving-ip".to_owned(), address.to_string().into())));
        object.extend(failed.detail.as_ref().map(|detail| ("failure-reason-code".to_owned(), detail.as_str().into())));
    }
    value
}
