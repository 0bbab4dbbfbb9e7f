//! How is a file with secrets of ours kept: whole at any moment, ours alone, changed by one process at a time?

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, OFlags};
use zeroize::Zeroizing;

use super::LONGEST;
use crate::{
    error::{Error, Exit},
    host::{careful, private, world::World},
};

/// How long to wait before a lock is tried again.
const GLANCE: Duration = Duration::from_millis(20);

/// A file that holds secrets; nothing is touched before it is asked for.
#[derive(Clone, Debug)]
pub(in crate::host) struct Vault {
    path: PathBuf,
}

/// The right to change a vault, until it is dropped.
#[must_use]
pub(in crate::host) struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

/// Room for a new content, before there is one: what can't be kept is not asked for.
#[must_use]
pub(in crate::host) struct Room {
    file: File,
    beside: PathBuf,
    path: PathBuf,
}

impl Vault {
    /// The vault at this path.
    pub(in crate::host) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub(in crate::host) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is such a file, whatever it holds.
    pub(in crate::host) fn exists(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// What it holds; `None` where there is no such file.
    ///
    /// # Errors
    /// It can't be read, is no regular file or too large, or somebody else could read or exchange it.
    pub(in crate::host) fn read(&self, world: &dyn World) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let mut file = match careful::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault("reading", &error)),
        };
        let metadata = file.metadata().map_err(|error| self.fault("reading", &error))?;
        if !metadata.is_file() {
            return Err(self.fault("reading", &io::Error::other("it is not a regular file")));
        }
        private::refuse_readable(world, &self.path, &file, &metadata, "it holds a token")?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        std::io::Read::by_ref(&mut file)
            .take(LONGEST as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.fault("reading", &error))?;
        if bytes.len() > LONGEST {
            return Err(self.fault("reading", &io::Error::other("it is larger than 64 KiB")));
        }
        Ok(Some(bytes))
    }

    /// Takes the lock, which lies beside the file; waits for whoever has it.
    ///
    /// # Errors
    /// `EX_TEMPFAIL`: somebody has had it until the deadline, or it can't be made.
    pub(in crate::host) fn lock(&self, deadline: Instant) -> Result<Lock, Error> {
        let place = beside(&self.path, ".lock");
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(directory(&self.path))?;
            let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
            File::options().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(&place)
        };
        let file = make().map_err(|error| self.fault("locking", &error))?;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock(file)),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if Instant::now() < deadline => {
                    std::thread::sleep(GLANCE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(self.fault("locking", &io::Error::other("another process keeps it locked")));
                }
                Err(error) => return Err(self.fault("locking", &error.into())),
            }
        }
    }

    /// What it holds is of no more use.
    pub(in crate::host) fn forget(&self, _lock: &Lock) {
        // Somebody who can't remove it finds it again, and is told of it again.
        let _ = fs::remove_file(&self.path);
    }

    /// Makes room for a new content; who has the lock is alone in doing so.
    ///
    /// # Errors
    /// `EX_TEMPFAIL`: there is none, or the directory can't be written to.
    pub(in crate::host) fn room(&self, _lock: &Lock) -> Result<Room, Error> {
        let beside = beside(&self.path, ".new");
        let make = || {
            // Left behind by a process that was killed.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
            let mut room = Room { file, beside: beside.clone(), path: self.path.clone() };
            // Written, not merely promised: a disk that is full says so now.
            room.file.write_all(&vec![b' '; ROOM])?;
            room.file.rewind()?;
            Ok(room)
        };
        make().map_err(|error| self.fault("writing", &error))
    }

    fn fault(&self, doing: &str, error: &io::Error) -> Error {
        let because = error.to_string();
        let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
        Error::new(Exit::TempFail, format!("{doing} {}", self.path.display()), because)
            .hint("tokens are kept there: may you write in its directory, and is there room?")
    }
}

/// More than any content is long, in octets.
const ROOM: usize = LONGEST;

impl Room {
    /// Puts `bytes` in place of what the vault held; when this returns they are on the disk, under its name.
    ///
    /// # Errors
    /// `EX_TEMPFAIL`: the system could not do it; the vault holds what it held.
    pub(in crate::host) fn fill(mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut write = || {
            if bytes.len() > ROOM {
                return Err(io::Error::other("it would be larger than 64 KiB"));
            }
            self.file.write_all(bytes)?;
            self.file.set_len(bytes.len() as u64)?;
            self.file.sync_all()?;
            fs::rename(&self.beside, &self.path)?;
            File::open(directory(&self.path))?.sync_all()
        };
        write().map_err(|error| Vault::new(self.path.clone()).fault("writing", &error))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Gone already where it was filled.
        let _ = fs::remove_file(&self.beside);
    }
}

/// The directory of the file, which a bare name has too.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file of this ending in the same directory.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::host::world::{Machine, Pretend};

    fn world() -> Pretend {
        Pretend { uid: Machine.uid(), ..Pretend::default() }
    }

    fn vault() -> (tempfile::TempDir, Vault) {
        let root = tempfile::tempdir().unwrap();
        let vault = Vault::new(root.path().join("deep/secrets/token.json"));
        (root, vault)
    }

    fn put(vault: &Vault, bytes: &[u8]) {
        let lock = vault.lock(Instant::now()).unwrap();
        vault.room(&lock).unwrap().fill(bytes).unwrap();
    }

    #[test]
    fn what_is_put_in_is_ours_alone_and_whole() {
        let (root, vault) = vault();
        assert!(vault.read(&world()).unwrap().is_none());
        put(&vault, b"one");
        put(&vault, b"{}");
        assert_eq!(vault.read(&world()).unwrap().unwrap().as_slice(), b"{}");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(vault.path()), 0o600);
        assert_eq!(mode(&root.path().join("deep/secrets")), 0o700);
        assert_eq!(mode(&beside(vault.path(), ".lock")), 0o600);
        let names: Vec<_> = fs::read_dir(root.path().join("deep/secrets")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn room_that_is_not_used_leaves_the_old_content() {
        let (_root, vault) = vault();
        put(&vault, b"old");
        let lock = vault.lock(Instant::now()).unwrap();
        drop(vault.room(&lock).unwrap());
        assert_eq!(vault.read(&world()).unwrap().unwrap().as_slice(), b"old");
        assert!(!beside(vault.path(), ".new").exists());
    }

    #[test]
    fn what_could_not_be_read_again_is_not_put_in() {
        let (_root, vault) = vault();
        put(&vault, b"old");
        let lock = vault.lock(Instant::now()).unwrap();
        let error = vault.room(&lock).unwrap().fill(&vec![b'x'; LONGEST + 1]).unwrap_err();
        assert!(error.summary().ends_with("it would be larger than 64 KiB"), "{error}");
        assert_eq!(vault.read(&world()).unwrap().unwrap().as_slice(), b"old");
        drop(lock);
        put(&vault, &vec![b'x'; LONGEST]);
        assert_eq!(vault.read(&world()).unwrap().unwrap().len(), LONGEST);
    }

    #[test]
    fn one_process_at_a_time_may_change_it() {
        let (_root, vault) = vault();
        let lock = vault.lock(Instant::now()).unwrap();
        let error = vault.lock(Instant::now()).err().unwrap();
        assert_eq!(error.exit(), Exit::TempFail);
        assert!(error.summary().ends_with("another process keeps it locked"), "{error}");
        let waiting = std::thread::spawn({
            let vault = vault.clone();
            move || vault.lock(Instant::now() + Duration::from_secs(20)).map(drop)
        });
        drop(lock);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_no_file_is_refused() {
        let (_root, vault) = vault();
        put(&vault, b"x");
        fs::set_permissions(vault.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let error = vault.read(&world()).unwrap_err();
        assert_eq!(error.advice(), Some(format!("chmod 600 {}", vault.path().display()).as_str()));
        fs::remove_file(vault.path()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(vault.path()).status().unwrap().success());
        assert!(vault.read(&world()).unwrap_err().summary().ends_with("it is not a regular file"));
        fs::remove_file(vault.path()).unwrap();
        fs::write(vault.path(), vec![b'x'; LONGEST + 1]).unwrap();
        fs::set_permissions(vault.path(), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(vault.read(&world()).unwrap_err().summary().ends_with("it is larger than 64 KiB"));
    }

    #[test]
    fn a_link_planted_as_the_lock_is_not_followed() {
        let (root, vault) = vault();
        put(&vault, b"x");
        let lock = beside(vault.path(), ".lock");
        fs::remove_file(&lock).unwrap();
        symlink(root.path().join("victim"), &lock).unwrap();
        assert!(vault.lock(Instant::now()).is_err());
        assert!(!root.path().join("victim").exists());
    }
}
