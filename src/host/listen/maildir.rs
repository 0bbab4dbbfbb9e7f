//! How is a message put into a Maildir so that it is there whole or not at all? (maildir(5))

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;

/// A Maildir: `tmp`, `new`, `cur`.
#[derive(Debug)]
pub(super) struct Maildir {
    directory: PathBuf,
    delivered: AtomicU64,
}

impl Maildir {
    /// Makes what is missing of it, for its owner only.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let existed = directory.exists();
        for part in ["tmp", "new", "cur"] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory.join(part))
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
        }
        if !existed {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        Ok(Self { directory: directory.to_owned(), delivered: AtomicU64::new(0) })
    }

    /// Starts a message under a name that no other process and no other connection takes.
    pub(super) fn begin(&self) -> io::Result<Draft> {
        let now = Timestamp::now();
        let number = self.delivered.fetch_add(1, Ordering::Relaxed);
        let (seconds, micros) = (now.as_second(), now.subsec_microsecond());
        let name = format!("{seconds}.M{micros}P{}Q{number}.sealpost", std::process::id());
        let path = self.directory.join("tmp").join(&name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Draft { file, path, new: self.directory.join("new"), name, kept: false })
    }
}

/// A message under way; it is removed when it is dropped before [`Draft::keep`].
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    path: PathBuf,
    new: PathBuf,
    name: String,
    kept: bool,
}

impl Draft {
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)
    }

    /// Makes it safe against a power cut, and visible.
    pub(super) fn keep(mut self) -> io::Result<PathBuf> {
        self.file.sync_all()?;
        let path = self.new.join(&self.name);
        fs::rename(&self.path, &path)?;
        self.kept = true;
        File::open(&self.new)?.sync_all()?;
        Ok(path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}
