//! Is the alias file sound? (`newaliases`, `sendmail -bi`; there is no database to rebuild)

use std::path::Path;

use crate::{
    error::{Error, Exit},
    host::{alias_file, config, world::Machine},
};

/// Checks the alias file of the configuration, or the usual one where nothing is configured; silent when it is sound.
///
/// # Errors
/// `EX_DATAERR` with the first faulty line.
pub fn check(explicit: Option<&Path>) -> Result<(), Error> {
    let place = match config::load(&Machine, explicit) {
        Ok(config) => config.aliases,
        // Packages call newaliases while they are being installed, before anybody configured anything.
        Err(_) if explicit.is_none() => config::Aliases::Default,
        Err(error) => return Err(error),
    };
    let faults = alias_file::faults(&place)?;
    let Some((path, fault)) = faults.first() else { return Ok(()) };
    let more = if faults.len() > 1 { format!(" (and {} more)", faults.len() - 1) } else { String::new() };
    Err(Error::new(Exit::DataErr, format!("checking {path}:{}:{}", fault.line, fault.column), format!("{}{more}", fault.why))
        .hint("correct the line; programs, files and includes behind a name are never used"))
}
