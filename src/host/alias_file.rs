//! Which aliases does this machine have? (aliases(5); sealpost.toml(5))

use std::{io, path::Path};

use super::{careful, config::Aliases as Place};
use crate::{
    error::Error,
    mail::aliases::{Aliases, Fault},
};

/// Where aliases are by tradition.
const DEFAULT: &str = "/etc/aliases";

/// The largest alias file that is read, in octets.
const LARGEST: u64 = 64 << 20;

/// The alias table; empty where there is none. A faulty line of it concerns only who is looked up in it.
///
/// # Errors
/// The file can't be read (`EX_CONFIG`).
pub fn load(place: &Place) -> Result<Aliases, Error> {
    Ok(read(place)?.map(|bytes| Aliases::parse_bytes(&bytes).0).unwrap_or_default())
}

/// The faulty lines of the alias file, for `newaliases`, each with the file's path.
///
/// # Errors
/// The file can't be read (`EX_CONFIG`).
pub fn faults(place: &Place) -> Result<Vec<(String, Fault)>, Error> {
    let path = path(place).map(|(path, _)| path.display().to_string()).unwrap_or_default();
    let faults = read(place)?.map(|bytes| Aliases::parse_bytes(&bytes).1).unwrap_or_default();
    Ok(faults.into_iter().map(|fault| (path.clone(), fault)).collect())
}

fn path(place: &Place) -> Option<(&Path, bool)> {
    match place {
        Place::None => None,
        Place::Default => Some((Path::new(DEFAULT), true)),
        Place::File(path) => Some((path, false)),
    }
}

fn read(place: &Place) -> Result<Option<Vec<u8>>, Error> {
    let Some((path, may_miss)) = path(place) else { return Ok(None) };
    match careful::read(path, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if may_miss && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let told = Error::new(careful::exit(&error), format!("reading the aliases in {}", path.display()), error.to_string());
            Err(careful::advised(told, "make it readable, name another file with `aliases`, or set aliases = \"\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn what_is_no_file_is_told_at_once_and_in_little_memory() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        for (path, why) in
            [(fifo.as_path(), "it is a FIFO"), (Path::new("/dev/zero"), "larger than 64 MiB"), (dir.path(), "directory")]
        {
            let error = load(&Place::File(path.to_owned())).unwrap_err();
            assert_eq!(error.exit(), Exit::Config);
            assert!(error.because().contains(why), "{error}");
        }
        assert!(load(&Place::File("/dev/null".into())).is_ok());
        assert_eq!(load(&Place::File("/nonexistent/aliases".into())).unwrap_err().exit(), Exit::Config);
    }
}
