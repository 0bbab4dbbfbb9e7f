//! Which accounts are left alone for now, so that every process knows? (a host that is down, a login that is refused)

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use rustix::{
    fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{Spool, trouble};
use crate::error::Error;

const NAME: &str = "pauses.json";
const BESIDE: &str = "pauses.json.new";
/// Whoever changes the file holds the lock of this one.
const LOCK: &str = "pauses.lock";
/// A pause is some hundred octets, and an account has one.
const LARGEST: u64 = 1 << 20;
/// How often a lock is asked for that others hold, which they do for a moment, and how long between two times.
const TRIES: (u32, Duration) = (50, Duration::from_millis(2));

/// The pauses of accounts, by their names. What is in the file and can't be read is no pause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pauses(BTreeMap<String, Pause>);

/// For how long an account is left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The server that it is about; with another one, there is no pause.
    pub server: String,
    /// When it ends.
    pub until: Timestamp,
    /// How many there were without a success in between, this one included.
    pub times: u32,
    /// Why; foreign text.
    pub because: String,
    /// What the account was made of, see [`crate::host::stamp`]; what was changed since is tried at once.
    #[serde(default)]
    pub stamp: String,
}

impl Pauses {
    /// The last pause of an account, over or not.
    pub fn of(&self, account: &str, server: &str) -> Option<&Pause> {
        self.0.get(account).filter(|pause| pause.server == server)
    }

    /// Notes a pause, or that there is none any more.
    pub fn set(&mut self, account: &str, pause: Option<Pause>) {
        match pause {
            Some(pause) => drop(self.0.insert(account.to_owned(), pause)),
            None => drop(self.0.remove(account)),
        }
    }

    /// Lets every pause end now at the latest; how many there were is still known.
    pub fn end_all(&mut self, now: Timestamp) {
        self.0.values_mut().for_each(|pause| pause.until = pause.until.min(now));
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every account and its last pause.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pause)> {
        self.0.iter().map(|(account, pause)| (account.as_str(), pause))
    }
}

impl Spool {
    /// The pauses that are known; none where they can't be read: a mail is tried once too often rather than never.
    pub fn pauses(&self) -> Pauses {
        self.read_pauses().unwrap_or_default()
    }

    /// Changes the pauses; others who do so at the same time see each other's.
    ///
    /// # Errors
    /// They can't be written; whoever is not told of a pause does without.
    pub fn change_pauses(&self, change: impl FnOnce(&mut Pauses)) -> Result<(), Error> {
        self.rewrite_pauses(change).map_err(|error| trouble("noting which accounts pause in", self.path(), &error))
    }

    fn read_pauses(&self) -> io::Result<Pauses> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(&self.root, NAME, flags, Mode::empty())?);
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_uid != self.owner.0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn rewrite_pauses(&self, change: impl FnOnce(&mut Pauses)) -> io::Result<()> {
        let _lock = self.lock_pauses()?;
        let before = self.read_pauses();
        let is_sound = before.is_ok();
        let before = before.unwrap_or_default();
        let mut pauses = before.clone();
        change(&mut pauses);
        if pauses == before && (is_sound || pauses.is_empty()) {
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || openat(&self.root, BESIDE, flags, Mode::RUSR | Mode::WUSR);
        let file = match make() {
            // Who began it died: the lock is ours.
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(&self.root, BESIDE, rustix::fs::AtFlags::empty())?;
                make()?
            }
            made => made?,
        };
        self.hand_over(&file)?;
        File::from(file).write_all(&serde_json::to_vec(&pauses)?)?;
        Ok(renameat(&self.root, BESIDE, &self.root, NAME)?)
    }

    fn lock_pauses(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let lock = openat(&self.root, LOCK, flags, Mode::RUSR | Mode::WUSR)?;
        self.hand_over(&lock)?;
        let (tries, pause) = TRIES;
        for _ in 0..tries {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(lock),
                Err(Errno::WOULDBLOCK) => thread::sleep(pause),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn pause(times: u32) -> Pause {
        let until = Timestamp::from_second(1_800_000_000).unwrap();
        Pause { server: "mx:25".into(), until, times, because: "refused\n\u{202e}".into(), stamp: String::new() }
    }

    #[test]
    fn what_one_process_notes_the_next_one_knows_for_the_same_server() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::make(scratch.path()).unwrap();
        assert!(spool.pauses().is_empty());
        spool.change_pauses(|pauses| pauses.set("relay", Some(pause(1)))).unwrap();
        spool.change_pauses(|pauses| pauses.set("other", Some(pause(2)))).unwrap();
        let pauses = Spool::open(scratch.path()).unwrap().unwrap().pauses();
        assert_eq!((pauses.of("relay", "mx:25"), pauses.of("relay", "mx:26")), (Some(&pause(1)), None));
        spool.change_pauses(|pauses| pauses.set("relay", None)).unwrap();
        assert_eq!(spool.pauses().iter().map(|(account, _)| account).collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn many_at_once_lose_nothing_of_each_other() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::make(scratch.path()).unwrap();
        thread::scope(|scope| {
            for n in 0..8 {
                let spool = &spool;
                scope.spawn(move || spool.change_pauses(|pauses| pauses.set(&n.to_string(), Some(pause(n)))).unwrap());
            }
        });
        assert_eq!(spool.pauses().iter().count(), 8);
    }

    #[test]
    fn what_is_garbled_or_planted_is_no_pause_and_is_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::make(&scratch.path().join("spool")).unwrap();
        let (file, elsewhere) = (spool.path().join(NAME), scratch.path().join("elsewhere"));
        fs::write(&elsewhere, serde_json::to_vec(&BTreeMap::from([("relay", pause(1))])).unwrap()).unwrap();
        let plants: [&dyn Fn(); 6] = [
            &|| fs::write(&file, "{\"relay\":{\"server\":").unwrap(),
            &|| fs::write(&file, vec![b'['; 2 << 20]).unwrap(),
            &|| fs::write(&file, "{\"relay\":{\"server\":\"mx:25\",\"until\":\"then\",\"times\":-1,\"because\":7}}").unwrap(),
            &|| symlink(&elsewhere, &file).unwrap(),
            &|| rustix::fs::mknodat(rustix::fs::CWD, &file, FileType::Fifo, 0o600.into(), 0).unwrap(),
            &|| fs::write(spool.path().join(BESIDE), "half").unwrap(),
        ];
        for plant in plants {
            let _ = fs::remove_file(&file);
            plant();
            assert!(spool.pauses().is_empty());
            spool.change_pauses(|pauses| pauses.set("relay", Some(pause(3)))).unwrap();
            assert_eq!(spool.pauses().of("relay", "mx:25"), Some(&pause(3)));
        }
        assert!(fs::read_to_string(&elsewhere).unwrap().contains("\"times\":1"));
    }
}
