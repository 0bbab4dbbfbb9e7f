//! Where does the password come from, and is it safe there? (sealpost(1), "TLS policy")

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::Duration,
};

use zeroize::Zeroizing;

use super::{
    careful,
    config::{Auth, SecretSource},
    world::World,
};
use crate::{
    error::{Error, Exit},
    smtp::sasl::Secret,
};

mod command;

/// The longest first line that is taken for a secret, in octets.
const LONGEST: usize = 64 * 1024;

/// How long a password command may take: long enough for a person to unlock something.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches the secret of `account` from where its configuration says that it is.
///
/// # Errors
/// `EX_CONFIG`: it is not there, is empty, or others can read it. `EX_TEMPFAIL`: the command failed or took too long.
pub fn fetch(world: &dyn World, account: &str, auth: &Auth) -> Result<Secret, Error> {
    let doing = || format!("fetching the password of account {account}");
    match &auth.source {
        SecretSource::Inline(secret) => Ok(secret.clone()),
        SecretSource::File(path) => from_file(world, path, &doing()),
        SecretSource::Command(command) => {
            let output = command::output(world, command, PATIENCE, &doing())?;
            first_line(&output, &doing(), "the command printed")
        }
        SecretSource::Environment(name) => {
            let missing = || {
                Error::new(Exit::Config, doing(), format!("the variable {name} is not set"))
                    .hint("programs like cron and sudo clear the environment; a password_file is always there")
            };
            let value = Zeroizing::new(world.env(name).ok_or_else(missing)?.into_encoded_bytes());
            first_line(&value, &doing(), &format!("the variable {name} holds"))
        }
        SecretSource::TokenCommand(command) => {
            let output = command::output(world, command, PATIENCE, &doing())?;
            let line = first_line(&output, &doing(), "the command printed")?;
            Ok(Secret::token(line.expose().to_owned()))
        }
        SecretSource::Nowhere => Ok(Secret::nothing()),
        SecretSource::Prompt => prompt(account, &auth.user, &doing()),
    }
}

/// Refuses a file that holds a secret and that somebody else could read or exchange.
///
/// # Errors
/// The mode lets others in, or the owner is neither root nor the caller; the hint is the command that mends it.
pub(super) fn refuse_readable(world: &dyn World, path: &Path, file: &File, metadata: &Metadata, holds: &str) -> Result<(), Error> {
    let (mode, owner, caller) = (metadata.mode() & 0o7777, metadata.uid(), world.uid());
    let doing = format!("reading {}", path.display());
    if owner != 0 && owner != caller {
        let because = format!("{holds}, and it belongs to uid {owner}, neither to you (uid {caller}) nor to root");
        return Err(Error::new(Exit::Config, doing, because).hint(format!("chown {caller} {}", quoted(path))));
    }
    if mode & 0o077 != 0 && !is_handed_in(file) {
        let because = format!("{holds}, and others can get at it (mode {mode:04o})");
        return Err(Error::new(Exit::Config, doing, because).hint(format!("chmod 600 {}", quoted(path))));
    }
    Ok(())
}

/// Whether the file is on a read-only tmpfs: that is how Docker and Kubernetes hand secrets into a container, with modes that
/// nobody inside can change (0444, or 0440 for a group), and where the container is the fence.
fn is_handed_in(file: &File) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    let is_tmpfs = rustix::fs::fstatfs(file).is_ok_and(|system| u64::try_from(system.f_type).is_ok_and(|kind| kind == TMPFS));
    is_tmpfs && rustix::fs::fstatvfs(file).is_ok_and(|system| system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

fn from_file(world: &dyn World, path: &Path, doing: &str) -> Result<Secret, Error> {
    let unreadable = |error: io::Error| {
        let because = match error.kind() {
            io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
            io::ErrorKind::PermissionDenied => format!("{} can't be read: permission denied", path.display()),
            _ => format!("{} can't be read: {error}", path.display()),
        };
        Error::new(Exit::Config, doing, because).hint("is password_file right, and may you read it?")
    };
    // Links are followed, since that is how orchestrators exchange secrets.
    let mut file = careful::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::new(Exit::Config, doing, format!("{} is not a regular file", path.display())));
    }
    refuse_readable(world, path, &file, &metadata, "it holds a password")?;
    let mut text = buffer();
    file.by_ref().take(LONGEST as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    first_line(&text, doing, &format!("{} holds", path.display()))
}

/// Asks on the terminal, where there is one.
fn prompt(account: &str, user: &str, doing: &str) -> Result<Secret, Error> {
    let lacking = || {
        Error::new(Exit::Config, doing, "the configuration does not say where it is, and there is no terminal to ask on")
            .hint(format!("add password_file, password_command or password_env to [accounts.{account}.auth]"))
    };
    // Opened first, so that a missing terminal is told apart from a failed answer.
    File::options().read(true).write(true).open("/dev/tty").map_err(|_| lacking())?;
    let question = format!("Password for {} ({}): ", crate::error::printable(user), crate::error::printable(account));
    let answer = rpassword::prompt_password(question)
        .map_err(|error| Error::new(Exit::Config, doing, format!("the terminal gave no answer: {error}")))?;
    if answer.is_empty() {
        return Err(Error::new(Exit::Config, doing, "the answer is empty"));
    }
    Ok(Secret::new(answer))
}

/// Room for the whole of a secret's source at once: a buffer that grew would leave copies behind.
fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(LONGEST + 2))
}

/// The first line as a secret; `holds` begins the sentence that says what is wrong with it ("the command printed").
fn first_line(octets: &[u8], doing: &str, holds: &str) -> Result<Secret, Error> {
    let line = octets.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let error = |what: &str| Error::new(Exit::Config, doing, format!("{holds} {what}")).hint("the first line must be the password");
    if line.len() > LONGEST {
        return Err(error("a first line of more than 64 KiB"));
    }
    if line.is_empty() {
        return Err(error("an empty first line"));
    }
    // RFC 4616 and 5802 have no place for a NUL in a password.
    if line.contains(&0) {
        return Err(error("a NUL"));
    }
    let text = std::str::from_utf8(line).map_err(|_| error("something that is not UTF-8"))?;
    Ok(Secret::new(text.to_owned()))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('-') { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
