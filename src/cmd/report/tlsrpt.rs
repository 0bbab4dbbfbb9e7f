//! How does a report look that the owner of a server can read, whoever sends it? (RFC 8460 section 4)

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Report;
use crate::{
    host::ledger::{
        entry::Word,
        summary::{Failed, Kind, Sessions},
    },
    mail::tls::Failure,
};

/// Who reports.
pub(super) struct Author {
    /// `organization-name`.
    pub(super) organization: String,
    /// `contact-info`.
    pub(super) contact: String,
    /// Names the report.
    pub(super) report_id: String,
}

/// One JSON object and a newline: for each host to which TLS was tried, one policy or two.
///
/// `tlsa` are the sessions of accounts that trust in DANE; the records themselves are not in the log, so there is no
/// `policy-string`. All others are `no-policy-found`: what held was our own configuration. Our own address is not in the log
/// either, hence no `sending-mta-ip`.
pub(super) fn render(report: &Report, author: &Author) -> String {
    // RFC 3339 has no years before 0; who asks for all of time means the time of mail.
    let (start, end) = report.span();
    let (start, end) = (start.max(Timestamp::UNIX_EPOCH), end.max(Timestamp::UNIX_EPOCH));
    let hosts = report.summary.hosts.iter().filter_map(|(name, host)| Some((domain(name)?, host)));
    let head = json!({
        "organization-name": author.organization,
        "date-range": {"start-datetime": format!("{start:.0}"), "end-datetime": format!("{end:.0}")},
        "contact-info": author.contact,
        "report-id": author.report_id,
    });
    // As text one by one: as values, those of thousands of hosts would take more memory than all the sums.
    let policies = hosts.flat_map(|(name, host)| {
        let of_kind = |(kind, sessions): (&Kind, &Sessions)| policy(&name, *kind, sessions).map(|policy| policy.to_string());
        host.sessions.iter().filter_map(of_kind).collect::<Vec<_>>()
    });
    let head = head.to_string();
    format!("{},\"policies\":[{}]}}\n", head.strip_suffix('}').unwrap_or_default(), policies.collect::<Vec<_>>().join(","))
}

/// The host as a domain in A-labels; a unix socket, an address, or no host at all is nobody's.
fn domain(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.');
    let nobody = name.is_empty() || name.starts_with('/') || name.parse::<IpAddr>().is_ok();
    if nobody { None } else { idna::domain_to_ascii(name).ok() }
}

fn policy(name: &str, kind: Kind, sessions: &Sessions) -> Option<Value> {
    if sessions.good + sessions.bad == 0 {
        return None;
    }
    let policy_type = match kind {
        Kind::Tlsa => "tlsa",
        Kind::None => "no-policy-found",
    };
    let mut value = json!({
        "policy": {"policy-type": policy_type, "policy-domain": name},
        "summary": {
            "total-successful-session-count": sessions.good,
            "total-failure-session-count": sessions.bad,
        },
    });
    let failures = sessions.failures.iter().map(|((failure, address), failed)| details(name, failure, *address, failed));
    let failures: Vec<Value> = failures.collect();
    if let (false, Some(object)) = (failures.is_empty(), value.as_object_mut()) {
        object.insert("failure-details".to_owned(), failures.into());
    }
    Some(value)
}

/// What RFC 8460 has no name for is its `validation-failure`, with the name as the reason.
fn details(name: &str, failure: &Word<Failure>, address: Option<IpAddr>, failed: &Failed) -> Value {
    let (result, reason) = match failure {
        Word::Known(failure) => (failure.as_str(), failed.detail.as_deref()),
        Word::Other(word) => (Failure::ValidationFailure.as_str(), Some(word.as_str())),
    };
    let mut value = json!({
        "result-type": result,
        "receiving-mx-hostname": name,
        "failed-session-count": failed.sessions,
    });
    if let Some(object) = value.as_object_mut() {
        object.extend(address.map(|address| ("receiving-ip".to_owned(), address.to_string().into())));
        object.extend(reason.filter(|reason| !reason.is_empty()).map(|reason| ("failure-reason-code".to_owned(), reason.into())));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_is_a_domain_and_has_a_labels() {
        for (host, name) in [
            ("smtp.example.com", Some("smtp.example.com")),
            ("MÜLLER.example.", Some("xn--mller-kva.example")),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("/run/lmtp", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(domain(host).as_deref(), name, "{host}");
        }
    }
}
