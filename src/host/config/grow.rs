//! How does a configuration get another account, whole or not at all, and nothing of it lost? (sealpost(1), "sealpost setup")

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{find, names};
use crate::{
    error::{Error, Exit},
    host::{careful, made::Made, replace::replace, world::World},
    smtp::sasl::Secret,
};

/// Where passwords of ours are, beside the configuration.
pub const SECRETS: &str = "secrets";
/// Names that are tried where one is taken.
const TRIES: u32 = 1000;

/// A configuration that is to get another account; nothing is written before [`Growth::write`].
pub struct Growth {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// Whether it is everybody's: its directory and the file may be read by all, and hold no secret.
    pub of_system: bool,
    before: Option<(Zeroizing<Vec<u8>>, u32)>,
}

/// What was written.
#[derive(Debug)]
pub struct Grown {
    /// Where the secret is, if there is one.
    pub secret: Option<PathBuf>,
    /// What the configuration was before, if there was one.
    pub backup: Option<PathBuf>,
}

/// Which file gets a new account, where nobody names one: `$SEALPOST_CONFIG`, the system's, or the user's.
///
/// # Errors
/// There is no home directory.
pub fn place(world: &dyn World, of_system: bool) -> Result<PathBuf, Error> {
    if let Some(path) = world.env(names::VARIABLE).filter(|path| !path.is_empty() && !of_system) {
        return Ok(path.into());
    }
    let directory = if of_system { Some(world.etc().join("sealpost")) } else { world.config_dir() };
    let directory = directory.ok_or_else(|| {
        Error::new(Exit::Config, "looking for a place for the configuration", "no home directory is known")
            .hint("set HOME, or name a file with -C")
    })?;
    Ok(directory.join(names::FILE))
}

impl Growth {
    /// Reads what there is.
    ///
    /// # Errors
    /// It can't be read, or belongs to somebody else.
    pub fn begin(world: &dyn World, path: PathBuf, of_system: bool) -> Result<Self, Error> {
        let before = match careful::open(&path) {
            Ok(mut file) => {
                let (text, metadata) = find::contents(&path, &mut file)?;
                if metadata.uid() != world.uid() {
                    let because = format!("it belongs to uid {}, and you are uid {}", metadata.uid(), world.uid());
                    return Err(Error::new(Exit::NoPerm, format!("changing {}", path.display()), because)
                        .hint("run this as its owner, or name another file with -C"));
                }
                Some((text, metadata.mode() & 0o777))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(&path).is_ok() {
                    let because = "it is a symbolic link to a file that is not there";
                    return Err(Error::new(Exit::CantCreat, format!("writing {}", path.display()), because)
                        .hint("remove it, or make the file that it points to, if an empty one"));
                }
                refuse_unwritable(&path)?;
                None
            }
            Err(error) => return Err(find::unreadable(&path, &error)),
        };
        Ok(Self { path, of_system, before })
    }

    /// What the file holds; `None` where there is none.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<Option<&str>, Error> {
        self.before.as_ref().map(|(text, _)| find::utf8(&self.path, text)).transpose()
    }

    /// A name in [`SECRETS`] that nothing has yet, beginning with `wanted`.
    pub fn free_secret(&self, wanted: &str) -> String {
        let names = (1..TRIES).map(|n| if n == 1 { wanted.to_owned() } else { format!("{wanted}-{n}") });
        let is_free = |name: &String| fs::symlink_metadata(self.directory().join(SECRETS).join(name)).is_err();
        names.into_iter().find(is_free).unwrap_or_else(|| wanted.to_owned())
    }

    /// The mode that the file will have: as before; 0644 for everybody's, which holds no secret; else 0600.
    pub fn mode(&self) -> u32 {
        match &self.before {
            Some((_, mode)) => *mode,
            None if self.of_system => 0o644,
            None => 0o600,
        }
    }

    /// Writes the secret into a new file of its own, then a copy of what the configuration was, then `text` in its place. What fails
    /// is taken back.
    ///
    /// # Errors
    /// `EX_CANTCREAT`: something can't be written. `EX_TEMPFAIL`: somebody changed the configuration meanwhile.
    pub fn write(&self, text: &str, secret: Option<(&str, &Secret)>) -> Result<Grown, Error> {
        let mut made = Made::default();
        match self.try_to_write(text, secret, &mut made) {
            Ok(grown) => {
                made.keep();
                Ok(grown)
            }
            Err(error) => Err(error),
        }
    }

    fn try_to_write(&self, text: &str, secret: Option<(&str, &Secret)>, made: &mut Made) -> Result<Grown, Error> {
        let directory = self.directory();
        made.directory(directory, if self.of_system { 0o755 } else { 0o700 }).map_err(|error| failed(directory, &error))?;
        let secret = match secret {
            Some((name, secret)) => {
                let place = directory.join(SECRETS);
                made.directory(&place, 0o700).map_err(|error| failed(&place, &error))?;
                let path = place.join(name);
                let line = Zeroizing::new(format!("{}\n", secret.expose()));
                made.file(&path, line.as_bytes()).map_err(|error| failed(&path, &error))?;
                Some(path)
            }
            None => None,
        };
        let backup = match &self.before {
            Some((before, _)) => {
                self.refuse_changed(before)?;
                Some(self.back_up(before, made)?)
            }
            None if fs::symlink_metadata(&self.path).is_ok_and(|metadata| !metadata.is_symlink()) => return Err(self.changed()),
            None => None,
        };
        replace(&self.path, text.as_bytes(), self.mode())?;
        Ok(Grown { secret, backup })
    }

    fn refuse_changed(&self, before: &[u8]) -> Result<(), Error> {
        let mut file = careful::open(&self.path).map_err(|error| find::unreadable(&self.path, &error))?;
        let (now, _) = find::contents(&self.path, &mut file)?;
        if now.as_slice() == before { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Error {
        Error::new(Exit::TempFail, format!("writing {}", self.path.display()), "somebody changed it meanwhile")
            .hint("nothing was written: begin again")
    }

    /// A copy of its owner's alone, under a name that nothing has.
    fn back_up(&self, before: &[u8], made: &mut Made) -> Result<PathBuf, Error> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        for n in 1..TRIES {
            let tail = if n == 1 { ".bak".to_owned() } else { format!(".bak-{n}") };
            let path = self.path.with_file_name(format!("{name}{tail}"));
            if fs::symlink_metadata(&path).is_err() {
                made.file(&path, before).map_err(|error| failed(&path, &error))?;
                return Ok(path);
            }
        }
        Err(Error::new(Exit::CantCreat, format!("copying {}", self.path.display()), "there are too many copies already")
            .hint("remove some of its .bak files"))
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

/// Better before anybody answered questions than after: a new file needs a directory that may be written to, as far as there is one.
fn refuse_unwritable(path: &Path) -> Result<(), Error> {
    let nearest = path.ancestors().skip(1).find(|path| path.as_os_str().is_empty() || path.exists());
    let nearest = nearest.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let allowed = rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    allowed.map_err(|error| failed(path, &error.into()))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let because = error.to_string();
    let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "you may not write there: run this as who may, or name another file with -C"
        }
        io::ErrorKind::AlreadyExists => "somebody made it meanwhile: begin again",
        _ => "is there room, and is its directory one that you may write to?",
    };
    Error::new(Exit::CantCreat, format!("writing {}", path.display()), because).hint(hint)
}

#[cfg(test)]
mod tests;
