//! Which records does somebody want to see? (sealpost(1), "sealpost log")

use jiff::Timestamp;

use super::entry::{Entry, TlsResult};
use crate::host::journal::Status;

/// What a record must be to be wanted; what is `None` or empty demands nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Of this account.
    pub account: Option<String>,
    /// To this host: its name, or the address that was dialled.
    pub host: Option<String>,
    /// With one of these.
    pub statuses: Vec<Status>,
    /// With one of these.
    pub results: Vec<TlsResult>,
    /// To a recipient whose address has this in it.
    pub recipient: Option<String>,
    /// The submission of which this is the name, its beginning, or the Message-ID.
    pub id: Option<String>,
}

impl Filter {
    /// Whether a record is wanted.
    pub fn admits(&self, entry: &Entry) -> bool {
        self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
            && (self.statuses.is_empty() || self.statuses.iter().any(|status| entry.status == *status))
            && (self.results.is_empty() || self.results.iter().any(|result| entry.tls.result == *result))
            && self.account.as_ref().is_none_or(|account| entry.account.as_ref() == Some(account))
            && self.host.as_ref().is_none_or(|host| is_host(entry, host))
            && self.recipient.as_ref().is_none_or(|part| {
                entry.recipients.iter().any(|r| r.address.as_ref().is_some_and(|address| contains(address, part)))
            })
            && self.id.as_ref().is_none_or(|id| is_named(entry, id))
    }
}

fn is_host(entry: &Entry, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    entry.host.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(host))
        || entry.address.is_some_and(|address| host.parse() == Ok(address))
}

fn is_named(entry: &Entry, id: &str) -> bool {
    let begins = |name: &String| name.get(..id.len()).is_some_and(|head| head.eq_ignore_ascii_case(id));
    let bare = |text: &str| text.trim_start_matches('<').trim_end_matches('>').to_owned();
    entry.id.as_ref().is_some_and(begins) || entry.message_id.as_ref().is_some_and(|message_id| bare(message_id) == bare(id))
}

/// Domains have no case, and of local parts nobody remembers it.
fn contains(address: &str, part: &str) -> bool {
    address.to_lowercase().contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let line = r#"{"time":"2026-11-23T22:53:01.123Z","event":"send","status":"sent","id":"01M859SPA3MPJTB9D5MPJTB9D5",
            "message_id":"<1@example.com>","account":"relay","host":"smtp.example.com","address":"192.0.2.1",
            "recipients":[{"address":"Admin@example.com","status":"sent"}],"tls":{"result":"verified"}}"#;
        Entry::parse(line.as_bytes()).unwrap().1
    }

    #[test]
    fn every_condition_can_admit_and_refuse() {
        let time = |text: &str| Some(text.parse().unwrap());
        let text = |text: &str| Some(text.to_owned());
        let all = Filter::default();
        let table = [
            (Filter { since: time("2026-11-23T22:53:01.123Z"), ..all.clone() }, true),
            (Filter { since: time("2026-11-23T22:53:01.124Z"), ..all.clone() }, false),
            (Filter { until: time("2026-11-23T22:53:01.124Z"), ..all.clone() }, true),
            (Filter { until: time("2026-11-23T22:53:01.123Z"), ..all.clone() }, false),
            (Filter { account: text("relay"), ..all.clone() }, true),
            (Filter { account: text("rela"), ..all.clone() }, false),
            (Filter { host: text("SMTP.example.com."), ..all.clone() }, true),
            (Filter { host: text("192.0.2.1"), ..all.clone() }, true),
            (Filter { host: text("example.com"), ..all.clone() }, false),
            (Filter { statuses: vec![Status::Failed, Status::Sent], ..all.clone() }, true),
            (Filter { statuses: vec![Status::Failed], ..all.clone() }, false),
            (Filter { results: vec![TlsResult::None, TlsResult::Verified], ..all.clone() }, true),
            (Filter { results: vec![TlsResult::None], ..all.clone() }, false),
            (Filter { recipient: text("admin@EXAMPLE"), ..all.clone() }, true),
            (Filter { recipient: text("root"), ..all.clone() }, false),
            (Filter { id: text("01m859s"), ..all.clone() }, true),
            (Filter { id: text("1@example.com"), ..all.clone() }, true),
            (Filter { id: text("<1@example.com>"), ..all.clone() }, true),
            (Filter { id: text("59SPA3"), ..all.clone() }, false),
            (Filter { id: text("ééééééééééééééééééééééééééééééé"), ..all.clone() }, false),
            (all, true),
        ];
        for (filter, admitted) in table {
            assert_eq!(filter.admits(&entry()), admitted, "{filter:?}");
        }
    }
}
