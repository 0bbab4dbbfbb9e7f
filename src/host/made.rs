//! How is what was made on the way taken back, where the whole can't be finished?

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// What was made, the last at the end: gone again with the value, unless it is to be kept.
#[derive(Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a directory, and those that it needs, with this mode whatever the umask; one that is there stays as it is.
    ///
    /// # Errors
    /// What mkdir(2) and chmod(2) say.
    pub(super) fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
        for path in missing.into_iter().rev() {
            DirBuilder::new().mode(mode).create(path)?;
            self.0.push(path.to_owned());
            // What is for everybody would be hidden from them by the umask of a careful administrator.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Makes a file that its owner alone can read, on the disk.
    ///
    /// # Errors
    /// Something is there, or what open(2), write(2) and fsync(2) say.
    pub(super) fn file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        self.0.push(path.to_owned());
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Remembers a file that somebody else made for this.
    pub(super) fn remember(&mut self, path: &Path) {
        self.0.push(path.to_owned());
    }

    /// The whole is there.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // What can't be removed is harmless, and there is an error to be told already.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}
