//! Which aliases does this machine have? (aliases(5); sealpost.toml(5))

use std::{fs, io, path::Path};

use super::config::Aliases as Place;
use crate::{
    error::{Error, Exit},
    mail::aliases::{Aliases, Fault},
};

/// Where aliases are by tradition.
const DEFAULT: &str = "/etc/aliases";

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
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if may_miss && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Exit::Config, format!("reading the aliases in {}", path.display()), error.to_string())
            .hint("make it readable, name another file with `aliases`, or set aliases = \"\"")),
    }
}
