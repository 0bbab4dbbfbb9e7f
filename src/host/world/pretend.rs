//! What does a machine say that says what it is told to say? (for tests)

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::atomic::{AtomicU8, Ordering},
};

use jiff::ZonedDateTime;

use super::{User, World};
use crate::error::Error;

/// A machine that says what it is told to say, for tests.
#[derive(Debug)]
pub struct Pretend {
    /// [`World::now`].
    pub now: ZonedDateTime,
    /// The next octet that [`World::random`] gives; each is one more than the last.
    pub next_random: AtomicU8,
    /// [`World::uid`].
    pub uid: u32,
    /// [`World::user`].
    pub user: User,
    /// [`World::host_name`].
    pub host_name: String,
    /// [`World::mail_name`].
    pub mail_name: Option<String>,
    /// [`World::env`].
    pub env: BTreeMap<String, OsString>,
    /// [`World::config_dir`].
    pub config_dir: Option<PathBuf>,
    /// [`World::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// [`World::etc`].
    pub etc: PathBuf,
}

impl Default for Pretend {
    /// Alice at host.example.com, at 2026-11-23 22:53:01 UTC, without any configuration.
    fn default() -> Self {
        let now = jiff::Timestamp::from_second(1_795_474_381).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self {
            now: now.to_zoned_datetime(jiff::tz::TimeZone::UTC),
            next_random: AtomicU8::new(0),
            uid: 1000,
            user: User { login: "alice".to_owned(), full_name: "Alice Example".to_owned() },
            host_name: "host.example.com".to_owned(),
            mail_name: None,
            env: BTreeMap::new(),
            config_dir: None,
            state_dir: None,
            etc: PathBuf::from("/nonexistent/etc"),
        }
    }
}

impl Pretend {
    /// Sets a variable of the environment.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }
}

impl World for Pretend {
    fn now(&self) -> ZonedDateTime {
        self.now.clone()
    }

    fn timestamp(&self) -> jiff::Timestamp {
        self.now.timestamp()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), Error> {
        for octet in buffer {
            *octet = self.next_random.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    fn user(&self) -> User {
        self.user.clone()
    }

    fn host_name(&self) -> String {
        self.host_name.clone()
    }

    fn mail_name(&self) -> Option<String> {
        self.mail_name.clone()
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.env.get(name).cloned()
    }

    fn env_names(&self) -> Vec<String> {
        self.env.keys().cloned().collect()
    }

    fn config_dir(&self) -> Option<PathBuf> {
        self.config_dir.clone()
    }

    fn state_dir(&self) -> Option<PathBuf> {
        self.state_dir.clone()
    }

    fn etc(&self) -> PathBuf {
        self.etc.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pretended_machine_says_what_it_was_told() {
        let world = Pretend::default().with_env("HOME", "/home/alice");
        assert_eq!(world.env("HOME"), Some("/home/alice".into()));
        assert_eq!(world.env("PATH"), None);
        assert_eq!(world.now().to_string(), "2026-11-23T22:53:01+00:00[UTC]");
        let mut octets = [9; 3];
        world.random(&mut octets).unwrap();
        assert_eq!(octets, [0, 1, 2]);
    }
}
