//! How do a drafted configuration and its secrets come into files, all of them or none?

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::Draft;
use crate::{
    error::{Error, Exit},
    host::replace,
};

/// For its owner alone.
const PRIVATE: u32 = 0o600;

impl Draft {
    /// Writes the configuration to `path` and its secrets beside it; the configuration is `public` or its owner's alone, the secrets are
    /// always their owner's alone. Returns the files, the configuration first.
    ///
    /// # Errors
    /// One of the files is there already (unless `force` says that it may be replaced), or can't be written; [`Exit::CantCreat`].
    pub fn write(&self, path: &Path, public: bool, force: bool) -> Result<Vec<PathBuf>, Error> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let secrets: Vec<(PathBuf, &str)> =
            self.secrets.iter().map(|file| (directory.join(&file.path), file.secret.expose())).collect();
        let paths: Vec<&Path> = std::iter::once(path).chain(secrets.iter().map(|(path, _)| path.as_path())).collect();
        for path in &paths {
            refuse_existing(path, force)?;
        }
        make_directory(directory, if public { 0o755 } else { 0o700 })?;
        if let Some(inner) = secrets.first().and_then(|(path, _)| path.parent()) {
            make_directory(inner, 0o700)?;
            refuse_foreign(inner)?;
        }
        let mut written: Vec<&Path> = Vec::new();
        let put = |path: &Path, bytes: &[u8], mode| match force {
            true => replace::replace(path, bytes, mode),
            false => replace::create(path, bytes, mode),
        };
        let mut all = || {
            for (path, secret) in &secrets {
                // One buffer, whose room is known: none is left behind by growing.
                let mut line = zeroize::Zeroizing::new(Vec::with_capacity(secret.len() + 1));
                line.extend_from_slice(secret.as_bytes());
                line.push(b'\n');
                put(path, &line, PRIVATE)?;
                written.push(path);
            }
            put(path, self.toml.as_bytes(), if public { 0o644 } else { PRIVATE })
        };
        let done = all();
        if done.is_err() && !force {
            for path in written {
                let _ = fs::remove_file(path);
            }
        }
        done.map(|()| paths.into_iter().map(Path::to_owned).collect())
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
        _ if force => Ok(()),
        _ => Err(error("it exists").hint("look at it first; --force replaces it")),
    }
}

fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| trouble(path, &error.to_string()))
}

/// Whoever owns the directory of secrets could put others in their place.
fn refuse_foreign(path: &Path) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(|error: io::Error| trouble(path, &error.to_string()))?;
    let ours = metadata.is_dir() && [0, geteuid().as_raw()].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0;
    if ours { Ok(()) } else { Err(trouble(path, "it is a link, another user's, or others may write there")) }
}

fn trouble(path: &Path, because: &str) -> Error {
    Error::new(Exit::CantCreat, format!("making the directory {}", path.display()), because).hint("name another place with -o")
}
