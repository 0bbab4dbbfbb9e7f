//! What did a server show on earlier days, and what does one more connection add to that? (sealpost(1), "The memory of servers")

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// Everything that is remembered, by the names that [`super::name`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers(pub(super) BTreeMap<String, Server>);

/// What one server showed.
///
/// Its dates are for people. They decide nothing but what is forgotten first, since the clock may have been wrong; one that
/// could not be read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// When a handshake that STARTTLS began came to its end. An offer alone does not count: a server that can't keep it would
    /// look like one whose TLS was taken out.
    pub starttls: Option<Days>,
    /// The last day on which the account's trust was satisfied.
    pub verified: Option<Date>,
    /// The key that is trusted.
    pub key: Option<Key>,
}

/// A stretch of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: Option<Date>,
    /// The last.
    pub last: Option<Date>,
}

/// A key that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// SHA-256 of the `SubjectPublicKeyInfo`.
    pub sha256: [u8; 32],
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why.
    pub how: How,
}

/// Why a key is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It was the first that the server showed.
    FirstUse,
    /// A person said so, with `sealpost trust add`.
    Accepted,
}

/// What one connection showed that is worth remembering.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// When.
    pub when: Timestamp,
    /// A handshake that STARTTLS began came to its end.
    pub starttls: bool,
    /// The account's trust was satisfied.
    pub verified: bool,
    /// A key that was met for the first time, and that the message was sent to.
    pub first_use: Option<[u8; 32]>,
}

/// A key that was met for the first time came too late: another sender has remembered this one meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival(pub [u8; 32]);

impl Servers {
    /// What the server of that name showed.
    pub fn get(&self, name: &str) -> Option<&Server> {
        self.0.get(name)
    }

    /// The same, to be changed.
    pub fn entry(&mut self, name: &str) -> &mut Server {
        self.0.entry(name.to_owned()).or_default()
    }

    /// Forgets a server.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.0.iter().map(|(name, server)| (name.as_str(), server))
    }
}

impl FromIterator<(String, Server)> for Servers {
    fn from_iter<I: IntoIterator<Item = (String, Server)>>(servers: I) -> Self {
        Self(servers.into_iter().collect())
    }
}

impl Server {
    /// Whether there was TLS: a key that is trusted was shown under it.
    pub fn was_sealed(&self) -> bool {
        self.starttls.is_some() || self.key.is_some()
    }

    /// The first day that is known.
    pub fn first_seen(&self) -> Option<Date> {
        let accepted = self.key.as_ref().and_then(|key| key.since).map(day);
        self.starttls.as_ref().and_then(|days| days.first).into_iter().chain(accepted).chain(self.verified).min()
    }

    /// The last day that is known.
    pub fn last_seen(&self) -> Option<Date> {
        let accepted = self.key.as_ref().and_then(|key| key.since).map(day);
        self.starttls.as_ref().and_then(|days| days.last).into_iter().chain(accepted).chain(self.verified).max()
    }

    /// Takes in what a connection showed. Twice a day the same changes nothing.
    ///
    /// # Errors
    /// The key was met for the first time, and so was another by somebody else who was faster: that one stays, since one of the
    /// two was not the server's, and who comes second can still be told so. Nothing else of such a connection is believed.
    pub fn notice(&mut self, seen: &Sighting) -> Result<(), Rival> {
        if let Some(sha256) = seen.first_use {
            match &self.key {
                Some(key) if key.sha256 != sha256 => return Err(Rival(key.sha256)),
                Some(_) => {}
                None => self.key = Some(Key { sha256, since: Some(whole_second(seen.when)), how: How::FirstUse }),
            }
        }
        let today = Some(day(seen.when));
        if seen.starttls {
            let first = self.starttls.as_ref().map_or(today, |days| days.first);
            self.starttls = Some(Days { first, last: today });
        }
        if seen.verified {
            self.verified = today;
        }
        Ok(())
    }

    /// Whether [`Server::notice`] would change anything.
    pub fn would_learn(&self, seen: &Sighting) -> bool {
        let mut after = self.clone();
        after.notice(seen).is_err() || after != *self
    }

    /// A person accepts this key, whatever was trusted before.
    pub fn accept(&mut self, sha256: [u8; 32], when: Timestamp) {
        let since = self.key.as_ref().filter(|key| key.sha256 == sha256).map_or(Some(whole_second(when)), |key| key.since);
        self.key = Some(Key { sha256, since, how: How::Accepted });
    }
}

impl How {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstUse => "first use",
            Self::Accepted => "accepted",
        }
    }
}

/// The day in UTC.
fn day(when: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(when).date()
}

fn whole_second(when: Timestamp) -> Timestamp {
    Timestamp::from_second(when.as_second()).unwrap_or(when)
}
