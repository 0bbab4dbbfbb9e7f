//! What do many records say together, host by host and day by day? (RFC 8460 section 4 for what counts as a session)

use std::{collections::BTreeMap, net::IpAddr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::entry::{Entry, TlsResult};
use crate::{
    host::journal::{
        Status,
        text::{Name, Words},
    },
    mail::tls::Failure,
};

/// Days of all hosts together that are kept apart, and hosts: a log that names more was not written by sends.
const DAYS: usize = 20_000;
/// Different words of one kind, and different failures, that are kept apart for one host.
const WORDS: usize = 64;
/// What the words beyond that are counted as.
const OTHER: &str = "other";

/// The sums over a log.
#[derive(Debug)]
pub struct Summary {
    zone: TimeZone,
    days: usize,
    /// By name; the records of submissions that ended before a host was known stand under the empty one.
    pub hosts: BTreeMap<String, Host>,
    /// The times of the earliest and the latest record.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Records of more hosts or days than are kept apart.
    pub crowd: u64,
}

/// The sums of one host.
#[derive(Debug, Default)]
pub struct Host {
    /// By day.
    pub days: BTreeMap<Date, Counts>,
    /// What went wrong, and where.
    pub failures: BTreeMap<(Failure, Option<IpAddr>), Failed>,
    /// The certificate that was shown last.
    pub certificate: Option<Certificate>,
    /// The time of the latest record.
    pub latest: Timestamp,
}

/// Sessions that failed in one way at one address.
#[derive(Debug, Default)]
pub struct Failed {
    /// How many.
    pub sessions: u64,
    /// What was said the last time.
    pub detail: Option<String>,
}

/// A certificate, as far as somebody must be warned of its end.
#[derive(Debug)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
    seen: Timestamp,
}

/// How often a word was seen.
pub type Tally = BTreeMap<String, u64>;

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Records.
    pub attempts: u64,
    /// Records by status.
    pub statuses: BTreeMap<Status, u64>,
    /// Records by `tls.result`.
    pub results: BTreeMap<TlsResult, u64>,
    /// Versions of TLS.
    pub versions: Tally,
    /// Cipher suites.
    pub ciphers: Tally,
    /// Key exchange groups.
    pub groups: Tally,
    /// Sessions in which TLS went wrong, by what it was.
    pub failures: BTreeMap<Failure, u64>,
    /// Sessions with a host that offered TLS before and did not now.
    pub downgrades: u64,
    /// Sessions in which TLS was negotiated and nothing was wrong with it.
    pub good_sessions: u64,
    /// Sessions in which something was.
    pub bad_sessions: u64,
}

impl Summary {
    /// Nothing yet; days begin at midnight in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, days: 0, hosts: BTreeMap::new(), span: None, crowd: 0 }
    }

    /// Counts one record.
    pub fn add(&mut self, entry: &Entry) {
        let (first, last) = self.span.unwrap_or((entry.time, entry.time));
        self.span = Some((first.min(entry.time), last.max(entry.time)));
        let name = Name::new(entry.host.as_deref().unwrap_or_default()).as_str().to_owned();
        let day = self.zone.to_datetime(entry.time).date();
        let is_new = !self.hosts.get(&name).is_some_and(|host| host.days.contains_key(&day));
        if is_new && self.days == DAYS {
            self.crowd += 1;
            return;
        }
        self.days += usize::from(is_new);
        let host = self.hosts.entry(name).or_default();
        host.days.entry(day).or_default().add(entry);
        host.note(entry);
    }
}

impl Host {
    /// All days together.
    pub fn total(&self) -> Counts {
        self.days.values().fold(Counts::default(), Counts::plus)
    }

    fn note(&mut self, entry: &Entry) {
        self.latest = self.latest.max(entry.time);
        let key = failure(entry).map(|failure| (failure, entry.address));
        if let Some(key) = key.filter(|key| self.failures.len() < WORDS || self.failures.contains_key(key)) {
            let failed = self.failures.entry(key).or_default();
            failed.sessions += 1;
            failed.detail = entry.tls.detail.as_deref().map(|detail| Words::new(detail).as_str().to_owned());
        }
        let shown = entry.tls.certificate.as_ref().and_then(|shown| Certificate::new(shown, entry.time));
        if let Some(shown) = shown.filter(|shown| self.certificate.as_ref().is_none_or(|known| known.seen <= shown.seen)) {
            self.certificate = Some(shown);
        }
    }
}

impl Certificate {
    fn new(shown: &super::entry::Certificate, seen: Timestamp) -> Option<Self> {
        let not_after = shown.not_after.as_ref()?.parse().ok()?;
        let subject = Words::new(shown.subject.as_deref().unwrap_or_default()).as_str().to_owned();
        Some(Self { subject, not_after, seen })
    }
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        let tls = &entry.tls;
        self.attempts += 1;
        *self.statuses.entry(entry.status).or_default() += 1;
        *self.results.entry(tls.result).or_default() += 1;
        for (tally, word) in [(&mut self.versions, &tls.version), (&mut self.ciphers, &tls.cipher), (&mut self.groups, &tls.group)]
        {
            if let Some(word) = word {
                count(tally, word, 1);
            }
        }
        self.downgrades += u64::from(tls.downgrade);
        match failure(entry) {
            Some(failure) => {
                *self.failures.entry(failure).or_default() += 1;
                self.bad_sessions += 1;
            }
            None => self.good_sessions += u64::from(is_sealed(entry)),
        }
    }

    /// The sums of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.attempts += other.attempts;
        other.statuses.iter().for_each(|(status, n)| *self.statuses.entry(*status).or_default() += n);
        other.results.iter().for_each(|(result, n)| *self.results.entry(*result).or_default() += n);
        other.failures.iter().for_each(|(failure, n)| *self.failures.entry(*failure).or_default() += n);
        other.versions.iter().for_each(|(word, n)| count(&mut self.versions, word, *n));
        other.ciphers.iter().for_each(|(word, n)| count(&mut self.ciphers, word, *n));
        other.groups.iter().for_each(|(word, n)| count(&mut self.groups, word, *n));
        self.downgrades += other.downgrades;
        self.good_sessions += other.good_sessions;
        self.bad_sessions += other.bad_sessions;
        self
    }

    /// Records with this status.
    pub fn with_status(&self, status: Status) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Records with this result.
    pub fn with_result(&self, result: TlsResult) -> u64 {
        self.results.get(&result).copied().unwrap_or(0)
    }
}

fn count(tally: &mut Tally, word: &str, times: u64) {
    let word = Name::new(word);
    let word = if tally.contains_key(word.as_str()) || tally.len() < WORDS { word.as_str() } else { OTHER };
    *tally.entry(word.to_owned()).or_default() += times;
}

/// What went wrong with TLS in the session that a record tells of. Plaintext after a failed handshake repeats the reason of
/// that handshake, which has its own record: it is not counted twice.
fn failure(entry: &Entry) -> Option<Failure> {
    let repeats = |failure: &Failure| entry.tls.result == TlsResult::Plaintext && *failure != Failure::StarttlsNotSupported;
    entry.tls.failure.filter(|failure| !repeats(failure))
}

fn is_sealed(entry: &Entry) -> bool {
    entry.tls.version.is_some() || matches!(entry.tls.result, TlsResult::Verified | TlsResult::Unverified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time: &str, host: &str, status: &str, tls: &str) -> Entry {
        let line = format!(
            r#"{{"time":"{time}","event":"send","host":{host},"address":"192.0.2.1","status":"{status}","tls":{{{tls}}}}}"#
        );
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
            entry("2026-11-24T00:00:00Z", "\"a\"", "failed", verified),
            entry("2026-11-24T00:00:00Z", "\"b\"", "sent", r#""result":"plaintext","downgrade":true"#),
            entry("2026-11-22T00:00:00Z", "null", "rejected", r#""result":"none""#),
        ]);
        assert_eq!(all.hosts.keys().collect::<Vec<_>>(), ["", "a", "b"]);
        assert_eq!(all.hosts["a"].days.len(), 2);
        let total = all.hosts["a"].total();
        assert_eq!((total.attempts, total.with_status(Status::Sent), total.with_result(TlsResult::Verified)), (2, 1, 2));
        assert_eq!((total.versions["TLSv1.3"], total.good_sessions, total.downgrades), (2, 2, 0));
        assert_eq!(all.hosts["b"].total().downgrades, 1);
        let (first, last) = all.span.unwrap();
        assert_eq!((first.to_string(), last.to_string()), ("2026-11-22T00:00:00Z".into(), "2026-11-24T00:00:00Z".into()));
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
            (r#""result":"plaintext","failure":"starttls-not-supported""#, (0, 1)),
            // The handshake before it has a record of its own.
            (r#""result":"plaintext","failure":"validation-failure""#, (0, 0)),
            (r#""result":"plaintext""#, (0, 0)),
            (r#""result":"none""#, (0, 0)),
        ];
        for (tls, sessions) in table {
            let all = summary(&[entry("2026-11-23T00:00:00Z", "\"a\"", "sent", tls)]);
            let total = all.hosts["a"].total();
            assert_eq!((total.good_sessions, total.bad_sessions), sessions, "{tls}");
            assert_eq!(all.hosts["a"].failures.len() as u64, sessions.1, "{tls}");
        }
    }

    #[test]
    fn the_newest_certificate_counts_in_whatever_order_the_records_come() {
        let shown = |day: u8, not_after: &str| {
            let tls = format!(r#""result":"verified","certificate":{{"subject":"CN={day}","not_after":"{not_after}"}}"#);
            entry(&format!("2026-11-{day}T00:00:00Z"), "\"a\"", "sent", &tls)
        };
        let all = summary(&[
            shown(20, "2026-12-01T00:00:00Z"),
            shown(22, "2027-12-01T00:00:00Z"),
            shown(21, "soon"),
            shown(19, "2028-01-01T00:00:00Z"),
        ]);
        assert_eq!(all.hosts["a"].certificate.as_ref().unwrap().subject, "CN=22");
    }

    #[test]
    fn a_log_of_endless_hosts_and_words_stays_small() {
        let mut all = Summary::new(TimeZone::UTC);
        for n in 0..DAYS + 10 {
            all.add(&entry("2026-11-23T00:00:00Z", &format!("\"{n}\""), "sent", r#""result":"verified""#));
        }
        assert_eq!((all.hosts.len(), all.crowd), (DAYS, 10));
        let mut all = Summary::new(TimeZone::UTC);
        for n in 0..WORDS + 10 {
            all.add(&entry("2026-11-23T00:00:00Z", "\"a\"", "sent", &format!(r#""result":"verified","version":"{n}""#)));
        }
        let versions = all.hosts["a"].total().versions;
        assert_eq!((versions.len(), versions[OTHER]), (WORDS + 1, 10));
    }
}
