//! What does the keyring hold? (the Secret Service of freedesktop.org by secret-tool(1), the keychain of macOS by security(1))
//!
//! By the programs that come with them: a D-Bus library is seventy crates and 1.3 MB in every sealpost, for a question that one
//! process in a thousand asks. No secret is on a command line.

use std::{os::unix::fs::FileTypeExt as _, path::PathBuf, process::Command, time::Duration};

use zeroize::Zeroizing;

use super::{Errand, PATIENCE, command};
use crate::error::{Error, Exit};

/// Which program is asked.
const PROGRAM: &str = if cfg!(target_os = "macos") { "/usr/bin/security" } else { "secret-tool" };

/// Long enough for a keyring that answers; storing asks nobody.
const STORING: Duration = Duration::from_secs(30);

/// The names of an entry and what they say, in the order in which secret-tool(1) takes them.
pub(in crate::host) type Attributes<'a> = [(&'a str, &'a str); 3];

/// Those of a password, as msmtp has them: an entry that was made for it is found.
pub(super) fn of_password<'a>(host: &'a str, user: &'a str) -> Attributes<'a> {
    [("host", host), ("service", "smtp"), ("user", user)]
}

/// What the entry holds; `None` where there is none.
///
/// # Errors
/// `EX_TEMPFAIL`: the keyring can't be reached, stays locked, or does not answer. `EX_CONFIG`: the program is not installed.
pub(in crate::host) fn look_up(errand: &Errand<'_>, attributes: &Attributes<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let mut program = program(errand)?;
    if cfg!(target_os = "macos") {
        program.args(["find-internet-password", "-r", "smtp", "-s", attributes[0].1, "-a", attributes[2].1, "-w"]);
    } else {
        program.arg("lookup").args(words(attributes));
    }
    let said = command::run(errand, program, b"", PATIENCE)?;
    // security(1) says 44 (errSecItemNotFound) of an entry that is not there, secret-tool(1) says 1 and nothing else.
    match said.status.code() {
        Some(0) if !said.stdout.is_empty() => Ok(Some(said.stdout)),
        Some(1) if !said.is_silent() => Err(unreachable(said.failure(errand))),
        // So it does of one that is locked.
        Some(0 | 1 | 44) if is_locked(errand, attributes) => Err(locked(errand)),
        Some(0 | 1 | 44) => Ok(None),
        _ => Err(unreachable(said.failure(errand))),
    }
}

/// Whether there is such an entry that does not show its secret: a search finds it all the same, and asks nobody to unlock it.
fn is_locked(errand: &Errand<'_>, attributes: &Attributes<'_>) -> bool {
    let Ok(mut program) = program(errand) else { return false };
    program.arg("search").args(words(attributes));
    !cfg!(target_os = "macos") && command::run(errand, program, b"", PATIENCE).is_ok_and(|said| !said.stdout.is_empty())
}

fn locked(errand: &Errand<'_>) -> Error {
    Error::new(Exit::TempFail, errand.doing(), "the keyring is locked, and nobody unlocked it")
        .hint("it is unlocked by logging in to the desktop; where nobody logs in (servers, cron at night), use another source")
}

fn words<'a>(attributes: &'a Attributes<'_>) -> impl Iterator<Item = &'a str> {
    attributes.iter().flat_map(|(name, value)| [*name, *value])
}

/// Puts `secret` into the entry, which is made where there is none.
///
/// # Errors
/// Those of [`look_up`]; this keyring takes no secret without showing it on a command line (macOS).
pub(in crate::host) fn store(errand: &Errand<'_>, label: &str, attributes: &Attributes<'_>, secret: &[u8]) -> Result<(), Error> {
    if cfg!(target_os = "macos") {
        let because = "the keychain takes a secret on the command line only, where others could read it";
        return Err(Error::new(Exit::Config, errand.doing(), because).hint("leave keyring out: the token is kept in a file"));
    }
    let mut program = program(errand)?;
    program.arg("store").arg(format!("--label={label}")).args(words(attributes));
    let said = command::run(errand, program, secret, STORING)?;
    if said.status.success() { Ok(()) } else { Err(unreachable(said.failure(errand))) }
}

/// The command line with which a person puts a password where it is looked for.
pub(super) fn advice(host: &str, user: &str) -> String {
    if cfg!(target_os = "macos") {
        return format!("is it unlocked? then put it there: security add-internet-password -r smtp -s {host} -a {user} -w");
    }
    format!("is it unlocked? then put it there: secret-tool store --label={host} host {host} service smtp user {user}")
}

fn unreachable(error: Error) -> Error {
    error.hint("is the keyring unlocked, and does a session bus run? cron and services have none; use another source there")
}

/// The program, with the user's own bus where the environment names none: cron's jobs reach it while the user is logged in.
fn program(errand: &Errand<'_>) -> Result<Command, Error> {
    let path = errand.world.env("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let is_there = std::env::split_paths(&path).any(|directory| directory.join(PROGRAM).is_file());
    if !is_there {
        let because = format!("{PROGRAM} is not installed, which asks the keyring");
        return Err(Error::new(Exit::Config, errand.doing(), because).hint("on Debian: apt install libsecret-tools"));
    }
    let mut program = Command::new(PROGRAM);
    if errand.world.env("DBUS_SESSION_BUS_ADDRESS").is_none_or(|address| address.is_empty()) {
        let bus = PathBuf::from(format!("/run/user/{}/bus", errand.world.uid()));
        if bus.metadata().is_ok_and(|metadata| metadata.file_type().is_socket()) {
            program.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
        }
    }
    Ok(program)
}
