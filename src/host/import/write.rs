//! How do a drafted configuration and its secrets come into files, all of them or none?

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::Draft;
use crate::{
    error::{Error, Exit},
    host::{made::Made, replace::Staged},
};

/// For its owner alone.
const PRIVATE: u32 = 0o600;

impl Draft {
    /// Writes the configuration to `path` and its secrets beside it; the configuration is `public` or its owner's alone, the secrets are
    /// always their owner's alone. Returns the files, the configuration first. What fails leaves nothing behind, and what was there as it
    /// was.
    ///
    /// # Errors
    /// One of the files is there already (unless `force` says that it may be replaced), or can't be written; [`Exit::CantCreat`].
    pub fn write(&self, path: &Path, public: bool, force: bool) -> Result<Vec<PathBuf>, Error> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let secrets: Vec<(PathBuf, &str)> =
            self.secrets.iter().map(|file| (path.with_file_name("").join(&file.path), file.secret.expose())).collect();
        let paths: Vec<&Path> = std::iter::once(path).chain(secrets.iter().map(|(path, _)| path.as_path())).collect();
        for path in &paths {
            refuse_existing(path, force)?;
        }
        let mut made = Made::default();
        made.directory(directory, if public { 0o755 } else { 0o700 }).map_err(|error| trouble(directory, &error))?;
        if let Some(inner) = secrets.first().and_then(|(path, _)| path.parent()) {
            made.directory(inner, 0o700).map_err(|error| trouble(inner, &error))?;
            refuse_foreign(inner)?;
        }
        // All is on the disk before the first file takes its name, and the configuration takes its own when all that it names is there.
        let mut staged = Vec::new();
        for (path, secret) in &secrets {
            // One buffer, whose room is known: none is left behind by growing.
            let mut line = zeroize::Zeroizing::new(Vec::with_capacity(secret.len() + 1));
            line.extend_from_slice(secret.as_bytes());
            line.push(b'\n');
            staged.push((path.as_path(), Staged::new(path, &line, PRIVATE)?));
        }
        staged.push((path, Staged::new(path, self.toml.as_bytes(), if public { 0o644 } else { PRIVATE })?));
        for (path, staged) in staged {
            let is_new = fs::symlink_metadata(path).is_err();
            staged.place(force)?;
            if is_new {
                made.remember(path);
            }
        }
        made.keep();
        Ok(paths.into_iter().map(Path::to_owned).collect())
    }
}

/// Nothing that exists is replaced unasked, and nothing but a regular file ever.
fn refuse_existing(path: &Path, force: bool) -> Result<(), Error> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let error = |because| Error::new(Exit::CantCreat, format!("writing {}", path.display()), because);
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(error("it is no regular file").hint("name another")),
        Ok(_) if force => Ok(()),
        Ok(_) => Err(error("it exists").hint("look at it first; --force replaces it")),
        Err(_) => Err(error("it is a symbolic link to nothing").hint("remove it, or name another")),
    }
}

/// Whoever owns the directory of secrets could put others in their place.
fn refuse_foreign(path: &Path) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(|error| trouble(path, &error))?;
    let ours = metadata.is_dir() && [0, geteuid().as_raw()].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0;
    let foreign = || trouble(path, &io::Error::other("it is a link, another user's, or others may write there"));
    ours.then_some(()).ok_or_else(foreign)
}

fn trouble(path: &Path, error: &io::Error) -> Error {
    let because = error.to_string();
    let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
    Error::new(Exit::CantCreat, format!("making the directory {}", path.display()), because).hint("name another place with -o")
}
