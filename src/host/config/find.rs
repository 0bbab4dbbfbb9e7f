//! Which configuration is in force, and may it be read? (sealpost.toml(5), "FILES")

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};
use zeroize::Zeroize as _;

use super::{Auth, Config, Dns, Origin, Trace, environment::Environment, keys, names, page::Page, read, section::Section};
use crate::{
    error::{Error, Exit},
    host::{careful, private, world::World},
};

/// Larger than any configuration, small enough to be read at once.
const LARGEST: u64 = 1 << 20;

/// Which configuration is in force, and which places were looked at before it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The configuration in force.
    pub origin: Origin,
    /// The places that come before it, and why each has none.
    pub passed: Vec<Passed>,
}

/// A place without a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The file, as a person writes it.
    pub place: String,
    /// Why it has none: "does not exist", "not set".
    pub because: &'static str,
}

/// Finds the configuration in force: `explicit` (`-C`), `$SEALPOST_CONFIG`, the user's, the system's, the environment.
///
/// # Errors
/// A named file that does not exist, a file that can't be read, or nothing anywhere (with all places named).
pub fn find(world: &dyn World, explicit: Option<&Path>) -> Result<Location, Error> {
    let mut passed = Vec::new();
    let origin = match open(world, explicit, &mut passed)? {
        Some((path, _)) => Origin::File(path),
        None => Origin::Environment,
    };
    Ok(Location { origin, passed })
}

/// Finds and reads the configuration in force.
///
/// # Errors
/// Those of [`find`], and every fault in the configuration with its line and column.
pub fn load(world: &dyn World, explicit: Option<&Path>) -> Result<Config, Error> {
    match open(world, explicit, &mut Vec::new())? {
        Some(opened) => from_file(world, opened, |_| ()).map(|(config, ())| config),
        None => from_environment(world, |_| ()).map(|(config, ())| config),
    }
}

/// As [`load`]; `None` where there is no configuration anywhere.
///
/// # Errors
/// Those of [`load`], but for that one.
pub fn load_any(world: &dyn World, explicit: Option<&Path>) -> Result<Option<Config>, Error> {
    match look(world, explicit, &mut Vec::new())? {
        Some(opened) => from_file(world, opened, |_| ()).map(|(config, ())| Some(config)),
        None if Environment::names_host(world) => from_environment(world, |_| ()).map(|(config, ())| Some(config)),
        None => Ok(None),
    }
}

/// As [`load`], and tells where each setting stands.
///
/// # Errors
/// Those of [`load`].
pub fn load_traced(world: &dyn World, explicit: Option<&Path>) -> Result<(Config, Trace), Error> {
    match open(world, explicit, &mut Vec::new())? {
        Some(opened) => from_file(world, opened, |(page, table)| Trace::of(page, table)),
        None => from_environment(world, |(page, table)| Trace::of(page, table)),
    }
}

/// Where the caller's configuration is by custom: the system's for root, else the user's; `None` without a home.
pub fn usual(world: &dyn World) -> Option<PathBuf> {
    let directory = if world.uid() == 0 { Some(world.etc().join("sealpost")) } else { world.config_dir() };
    directory.map(|directory| directory.join(names::FILE))
}

/// Reads `text` as if `path` held it; for who has a configuration that is in no file yet.
///
/// # Errors
/// Every fault in the text with its line and column.
pub fn parse(world: &dyn World, path: &Path, text: &str) -> Result<Config, Error> {
    let table = Page::parse(path, text)?;
    read::config(&Page::File { path, text }, &table, Origin::File(path.to_owned()), world)
}

/// What the environment says of name servers (`SEALPOST_DNS_SERVERS`), for who has no configuration yet.
///
/// # Errors
/// A variable is wrong.
pub fn dns(world: &dyn World) -> Result<Dns, Error> {
    let environment = Environment::read(world)?;
    let (page, table) = (environment.page(), environment.table());
    read::dns(&Section::top(&page, world, &table)?.section("dns", &keys::DNS)?)
}

/// A file, open, and its name.
type Opened = (PathBuf, File);

/// What was parsed, for who wants to know more of it than it means.
type Parsed<'p> = (&'p Page<'p>, &'p toml::de::DeTable<'p>);

fn from_environment<T>(world: &dyn World, and: impl FnOnce(Parsed<'_>) -> T) -> Result<(Config, T), Error> {
    let environment = Environment::read(world)?;
    let (page, table) = (environment.page(), environment.table());
    let config = read::config(&page, &table, Origin::Environment, world)?;
    if holds_secret(&config) {
        private::conceal();
    }
    Ok((config, and((&page, &table))))
}

fn from_file<T>(world: &dyn World, (path, mut file): Opened, and: impl FnOnce(Parsed<'_>) -> T) -> Result<(Config, T), Error> {
    let (text, metadata) = contents(&path, &mut file)?;
    let text = utf8(&path, text.as_slice())?;
    let mut table = Page::parse(&path, text)?;
    let page = Page::File { path: &path, text };
    let config = read::config(&page, &table, Origin::File(path.clone()), world);
    let more = and((&page, &table));
    wipe(&mut table);
    let config = Config { stamp: Some((&metadata).into()), ..config? };
    if holds_secret(&config) {
        private::conceal();
        private::refuse_readable(world, &path, &file, &metadata, "it holds a password")?;
    }
    Ok((config, more))
}

/// Whether it holds a secret itself; then nobody looks into this process, which may wait long for a message before it logs in.
fn holds_secret(config: &Config) -> bool {
    config.accounts.iter().filter_map(|account| account.auth.as_ref()).any(Auth::is_written_out)
}

/// Overwrites the texts that are no pieces of the file, which is overwritten itself: those with escapes, passwords among them.
fn wipe(table: &mut DeTable<'_>) {
    for (_, value) in table.iter_mut() {
        match value.get_mut() {
            DeValue::String(Cow::Owned(text)) => text.zeroize(),
            DeValue::Table(table) => wipe(table),
            _ => {}
        }
    }
}

/// Whose configuration is in force.
#[derive(Debug)]
pub enum Standing {
    /// One that was named, the caller's own, or the environment's.
    Own(Config),
    /// The system's, where there is one and it may be read: [`Exit::Config`] says why not.
    System(Result<Config, Error>),
}

/// As [`load`], and tells the caller's own configuration from the system's: with that one the service has the first word.
///
/// # Errors
/// Those of [`load`], for a configuration of the caller's own.
pub fn load_standing(world: &dyn World, explicit: Option<&Path>) -> Result<Standing, Error> {
    let mut passed = Vec::new();
    let found = open(world, explicit, &mut passed);
    let is_system = explicit.is_none() && passed.len() >= PLACES_BEFORE_SYSTEM;
    let config = match found {
        Ok(Some(opened)) => from_file(world, opened, |_| ()),
        Ok(None) => return from_environment(world, |_| ()).map(|(config, ())| Standing::Own(config)),
        Err(error) if is_system => return Ok(Standing::System(Err(error))),
        Err(error) => return Err(error),
    };
    let config = config.map(|(config, ())| config);
    if is_system { Ok(Standing::System(config)) } else { config.map(Standing::Own) }
}

/// `$SEALPOST_CONFIG` and the user's file.
const PLACES_BEFORE_SYSTEM: usize = 2;

/// Opens the file in force, `None` being the environment; the places before it are named, also where it ends in an error.
///
/// Each is opened, never asked for first: what was looked at is what is read.
fn open(world: &dyn World, explicit: Option<&Path>, passed: &mut Vec<Passed>) -> Result<Option<Opened>, Error> {
    let found = look(world, explicit, passed)?;
    if found.is_some() || Environment::names_host(world) { Ok(found) } else { Err(nothing(world, passed)) }
}

/// The same, where it is no error that there is none.
fn look(world: &dyn World, explicit: Option<&Path>, passed: &mut Vec<Passed>) -> Result<Option<Opened>, Error> {
    if let Some(path) = explicit {
        return named(path, "-C").map(Some);
    }
    match world.env(names::VARIABLE).filter(|value| !value.is_empty()) {
        Some(path) => return named(Path::new(&path), names::VARIABLE).map(Some),
        None => passed.push(Passed { place: format!("${}", names::VARIABLE), because: "not set" }),
    }
    let system = world.etc().join("sealpost");
    for directory in [world.config_dir(), Some(system)] {
        let Some(path) = directory.map(|directory| directory.join(names::FILE)) else {
            passed.push(Passed { place: "the user's configuration".to_owned(), because: "no home directory is known" });
            continue;
        };
        match present(&path)? {
            Ok(file) => return Ok(Some((path, file))),
            Err(because) => passed.push(Passed { place: path.display().to_string(), because }),
        }
    }
    Ok(None)
}

/// Opens a file that somebody named: it has to be there.
fn named(path: &Path, by: &str) -> Result<Opened, Error> {
    match careful::open(path) {
        Ok(file) => Ok((path.to_owned(), file)),
        Err(error) => {
            let mend = format!("{by} names this file: is the path right, and may you read it?");
            Err(careful::advised(unreadable(path, &error), mend))
        }
    }
}

/// Opens a file at a usual place; `Err` within says why there is none. One that exists must be readable.
fn present(path: &Path) -> Result<Result<File, &'static str>, Error> {
    let error = match careful::open(path) {
        Ok(file) => return Ok(Ok(file)),
        Err(error) => error,
    };
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Err("does not exist")),
        // A HOME that is somebody else's (sudo, su): whether the file exists is not ours to know, so it is not ours to use.
        io::ErrorKind::PermissionDenied if std::fs::symlink_metadata(path).is_err() => Ok(Err("may not be looked at")),
        _ => {
            let mend = "it exists, so it is in force: let yourself read it, or name another file with -C";
            Err(careful::advised(unreadable(path, &error), mend))
        }
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
    let because = match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "the file can't be read: permission denied".to_owned(),
        _ => format!("the file can't be read: {error}"),
    };
    Error::new(careful::exit(error), format!("reading {}", path.display()), because)
}

/// Reads the whole file, if it is a regular one of a sensible size; overwritten when dropped, since it may hold a password.
pub(super) fn contents(path: &Path, file: &mut File) -> Result<(zeroize::Zeroizing<Vec<u8>>, std::fs::Metadata), Error> {
    let fault = |because: String| Error::new(Exit::Config, format!("reading {}", path.display()), because);
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(fault("it is not a regular file".to_owned()).hint("a configuration is a file of its own"));
    }
    if metadata.size() > LARGEST {
        return Err(fault("it is larger than 1 MiB".to_owned()).hint("is this the right file?"));
    }
    // One octet more than was promised shows a file that grew; with the room for it there is no copy to be left behind.
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or(0) + 1));
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > LARGEST {
        return Err(fault("it is larger than 1 MiB".to_owned()).hint("is this the right file?"));
    }
    Ok((text, metadata))
}

pub(super) fn utf8<'a>(path: &Path, octets: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(octets).map_err(|error| {
        let valid = octets.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
        let fault = super::values::Fault::new("the text is not valid UTF-8").hint("save the file as UTF-8");
        Page::File { path, text: valid }.error(valid.len()..valid.len(), fault)
    })
}

fn nothing(world: &dyn World, passed: &[Passed]) -> Error {
    if let Some(stray) = Environment::stray(world) {
        let fault = super::environment::lacks_host(stray);
        return Error::new(Exit::Config, "reading the environment", fault.because).hint(fault.hint.unwrap_or_default());
    }
    let places: Vec<String> = passed.iter().map(|passed| format!("{} ({})", passed.place, passed.because)).collect();
    let because = format!("there is none; looked at {}, $SEALPOST_HOST (not set)", places.join(", "));
    Error::new(Exit::Config, "looking for a configuration", because).hint(names::EXAMPLE)
}
