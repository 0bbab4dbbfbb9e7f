//! What do many records say together, host by host and day by day? (RFC 8460 section 4 for what counts as a session)

use std::{collections::BTreeMap, net::IpAddr};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::entry::{Entry, Term, TlsResult, Word};
use crate::{
    host::journal::text::{Name, Words},
    mail::{policy::Trust, tls::Failure},
};

/// Days of all hosts together that are kept apart, and hosts: a log that names more was not written by sends.
const DAYS: usize = 20_000;
/// Different words of one kind, failures and certificates that are kept apart for one host.
const WORDS: usize = 64;
/// What the words beyond that are counted as.
const OTHER: &str = "other";
/// For how long a certificate that is not shown any more counts as one of the host's.
const IN_USE: SignedDuration = SignedDuration::from_hours(7 * 24);

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
    /// By day; boxed, for most hosts of a log that names thousands have one, and a map makes room for eleven.
    pub days: BTreeMap<Date, Box<Counts>>,
    /// By the policy that the sessions were held under.
    pub sessions: BTreeMap<Kind, Sessions>,
    /// The time of the latest record.
    pub latest: Timestamp,
    /// The one that was shown last, for each address.
    certificates: BTreeMap<Option<IpAddr>, Certificate>,
}

/// What a domain itself had to say about TLS (RFC 8460 4.2, `policy-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// TLSA records, which an account with trust "dane" goes by.
    Tlsa,
    /// Nothing that we asked for.
    None,
}

/// Sessions under one policy.
#[derive(Debug, Default)]
pub struct Sessions {
    /// TLS was negotiated and nothing was wrong with it.
    pub good: u64,
    /// Something was.
    pub bad: u64,
    /// What it was, and where; together as many as `bad`.
    pub failures: BTreeMap<(Word<Failure>, Option<IpAddr>), Failed>,
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
    pub statuses: Tally,
    /// Records by `tls.result`.
    pub results: Tally,
    /// Versions of TLS.
    pub versions: Tally,
    /// Cipher suites.
    pub ciphers: Tally,
    /// Key exchange groups.
    pub groups: Tally,
    /// Sessions in which TLS went wrong, by what it was.
    pub failures: Tally,
    /// Sessions with a host that offered TLS before and did not now.
    pub downgrades: u64,
}

impl Summary {
    /// Nothing yet; days begin at midnight in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, days: 0, hosts: BTreeMap::new(), span: None, crowd: 0 }
    }

    /// Counts one record; one that tells of no send is none.
    pub fn add(&mut self, entry: &Entry) {
        if !entry.is_send() {
            return;
        }
        let (first, last) = self.span.unwrap_or((entry.time, entry.time));
        self.span = Some((first.min(entry.time), last.max(entry.time)));
        let name = host_name(entry.host.as_deref().unwrap_or_default());
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
        self.days.values().fold(Counts::default(), |sum, counts| sum.plus(counts))
    }

    /// The certificates that are in use, the one that ends first at the beginning; one that several addresses show is there once.
    pub fn certificates(&self) -> Vec<&Certificate> {
        let latest = self.certificates.values().map(|certificate| certificate.seen).max().unwrap_or_default();
        let in_use = |certificate: &&Certificate| latest.duration_since(certificate.seen) <= IN_USE;
        let mut certificates: Vec<&Certificate> = self.certificates.values().filter(in_use).collect();
        certificates.sort_by_key(|certificate| (certificate.not_after, &certificate.subject));
        certificates.dedup_by_key(|certificate| (certificate.not_after, &certificate.subject));
        certificates
    }

    fn note(&mut self, entry: &Entry) {
        self.latest = self.latest.max(entry.time);
        let sessions = self.sessions.entry(Kind::of(entry)).or_default();
        match failure(entry) {
            Some(failure) => sessions.note(failure, entry),
            None => sessions.good += u64::from(is_sealed(entry)),
        }
        let shown = Certificate::new(&entry.tls.certificate, entry.time);
        let has_room = self.certificates.len() < WORDS || self.certificates.contains_key(&entry.address);
        if let Some(shown) = shown.filter(|_| has_room) {
            let known = self.certificates.get(&entry.address);
            if known.is_none_or(|known| known.seen <= shown.seen) {
                self.certificates.insert(entry.address, shown);
            }
        }
    }
}

impl Kind {
    /// Plaintext under trust "dane" is only where there are no TLSA records.
    fn of(entry: &Entry) -> Self {
        let asked = entry.tls.trust.as_deref() == Some(Trust::Dane.as_str());
        if asked && entry.tls.result != TlsResult::Plaintext { Self::Tlsa } else { Self::None }
    }
}

impl Sessions {
    fn note(&mut self, failure: &Word<Failure>, entry: &Entry) {
        self.bad += 1;
        let key = (short(failure), entry.address);
        let has_room = self.failures.len() < WORDS || self.failures.contains_key(&key);
        let key = if has_room { key } else { (Word::Known(Failure::ValidationFailure), None) };
        let failed = self.failures.entry(key).or_default();
        failed.sessions += 1;
        failed.detail = entry.tls.detail.as_deref().map(|detail| Words::new(detail).as_str().to_owned());
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
        let failure = failure(entry);
        for (tally, word) in [
            (&mut self.statuses, Some(entry.status.as_str())),
            (&mut self.results, Some(tls.result.as_str())),
            (&mut self.failures, failure.map(Word::as_str)),
            (&mut self.versions, tls.version.as_deref()),
            (&mut self.ciphers, tls.cipher.as_deref()),
            (&mut self.groups, tls.group.as_deref()),
        ] {
            if let Some(word) = word.filter(|word| !word.is_empty()) {
                count(tally, word, 1);
            }
        }
        self.downgrades += u64::from(tls.downgrade);
    }

    /// The sums of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.attempts += other.attempts;
        for (tally, more) in [
            (&mut self.statuses, &other.statuses),
            (&mut self.results, &other.results),
            (&mut self.failures, &other.failures),
            (&mut self.versions, &other.versions),
            (&mut self.ciphers, &other.ciphers),
            (&mut self.groups, &other.groups),
        ] {
            for (word, times) in more {
                count(tally, word, *times);
            }
        }
        self.downgrades += other.downgrades;
        self
    }
}

/// A name has no case, the path of a socket has.
fn host_name(host: &str) -> String {
    let name = Name::new(host);
    if host.starts_with('/') { name.as_str().to_owned() } else { name.as_str().to_ascii_lowercase() }
}

/// How often a tally has the word of a term.
pub fn times(tally: &Tally, term: impl Term) -> u64 {
    tally.get(term.as_str()).copied().unwrap_or(0)
}

/// How often each of `all` was seen, in this order, then the words that are none of them.
pub fn every<T: Term>(tally: &Tally, all: impl IntoIterator<Item = T>) -> Vec<(String, u64)> {
    let mut words: Vec<_> = all.into_iter().map(|term| (term.as_str().to_owned(), times(tally, term))).collect();
    words.extend(tally.iter().filter(|(word, _)| T::parse(word).is_none()).map(|(word, count)| (word.clone(), *count)));
    words
}

fn count(tally: &mut Tally, word: &str, times: u64) {
    if let Some(count) = tally.get_mut(word) {
        *count += times;
        return;
    }
    let word = if tally.len() < WORDS { Name::new(word).as_str().to_owned() } else { OTHER.to_owned() };
    *tally.entry(word).or_default() += times;
}

fn short(failure: &Word<Failure>) -> Word<Failure> {
    match failure {
        Word::Known(failure) => Word::Known(*failure),
        Word::Other(word) => Word::Other(Name::new(word).as_str().to_owned()),
    }
}

/// What went wrong with TLS in the session that a record tells of. Plaintext after a failed handshake repeats the reason of
/// that handshake, which has its own record: it is not counted twice.
fn failure(entry: &Entry) -> Option<&Word<Failure>> {
    let repeats = |failure: &Word<Failure>| entry.tls.result == TlsResult::Plaintext && *failure != Failure::StarttlsNotSupported;
    entry.tls.failure.as_ref().filter(|failure| !repeats(failure))
}

fn is_sealed(entry: &Entry) -> bool {
    entry.tls.version.is_some() || entry.tls.result == TlsResult::Verified || entry.tls.result == TlsResult::Unverified
}

#[cfg(test)]
mod tests;
