//! Where does the password, the token or the ticket come from, and is it safe there? (sealpost(1), "TLS policy"; sealpost.toml(5))

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use zeroize::Zeroizing;

use super::{
    careful,
    config::{Account, Auth, Config, SecretSource, Target},
    private, terminal,
    world::World,
};
use crate::{
    error::{Error, Exit},
    smtp::sasl::{Kind, Secret},
};

mod command;
pub mod fields;
#[cfg(feature = "gssapi")]
mod kerberos;
mod keyring;
pub mod netrc;
pub mod oauth;
mod token;
mod vault;

/// The longest first line that is taken for a secret, and the longest file that holds one, in octets.
const LONGEST: usize = 64 * 1024;

/// How long a command may take: long enough for a person to unlock something.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who wants the secret of an account.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// All of the configuration: what other accounts hold is not for the commands of this one.
    pub config: &'a Config,
    /// The account.
    pub account: &'a Account,
    /// Its login.
    pub auth: &'a Auth,
}

/// Fetches the secret of an account from where its configuration says that it is. Only that place is looked at.
///
/// # Errors
/// `EX_CONFIG`: it is not there, is empty, or others can read it. `EX_TEMPFAIL`: a command failed or took too long, or who gives out
/// tokens or tickets can't be reached, or there is no ticket. `EX_NOPERM`: tokens or tickets are not given out.
pub fn fetch(errand: &Errand<'_>) -> Result<Secret, Error> {
    private::conceal();
    match &errand.auth.source {
        SecretSource::Inline(secret) => Ok(secret.clone()),
        SecretSource::File(path) => from_file(errand, path, &Place::PASSWORD_FILE),
        SecretSource::Command(line) => {
            let output = command::output(errand, command::shell(line), PATIENCE)?;
            first_line(&output, errand, "the command printed")
        }
        SecretSource::Environment(name) => from_variable(errand, name),
        SecretSource::Credential(name) => from_credential(errand, name),
        SecretSource::Keyring => from_keyring(errand),
        SecretSource::Netrc => from_netrc(errand),
        SecretSource::TokenCommand { command, cache } => token::of_command(errand, command, *cache, None),
        SecretSource::OAuth(client) => oauth::token(errand, client, None),
        SecretSource::Prompt => prompt(errand),
        SecretSource::Ticket => ticket(errand),
        SecretSource::Nowhere => Ok(Secret::nothing()),
    }
}

/// Whether there are tickets of the account, without asking anybody for one.
///
/// # Errors
/// Those of [`fetch`].
pub fn look_for_ticket(errand: &Errand<'_>) -> Result<(), Error> {
    #[cfg(feature = "gssapi")]
    return kerberos::look(errand, None).map(drop);
    #[cfg(not(feature = "gssapi"))]
    return ticket(errand).map(drop);
}

#[cfg(feature = "gssapi")]
use kerberos::fetch as ticket;

/// No configuration comes so far.
#[cfg(not(feature = "gssapi"))]
fn ticket(errand: &Errand<'_>) -> Result<Secret, Error> {
    Err(errand.fault(super::config::WITHOUT_GSSAPI))
}

/// Another token in place of one that the server refused; `None` where there is no other, so that asking again would be in vain.
///
/// # Errors
/// Those of [`fetch`].
pub fn renew(errand: &Errand<'_>, refused: &Secret) -> Result<Option<Secret>, Error> {
    let renewed = match &errand.auth.source {
        SecretSource::TokenCommand { command, cache } => token::of_command(errand, command, *cache, Some(refused))?,
        SecretSource::OAuth(client) => oauth::token(errand, client, Some(refused))?,
        _ => return Ok(None),
    };
    Ok(Some(renewed).filter(|secret| secret.expose() != refused.expose()))
}

impl Errand<'_> {
    /// What is being done, for an error.
    pub(super) fn doing(&self) -> String {
        let what = match self.auth.source.kind() {
            Kind::Token => "token",
            Kind::Ticket => "ticket",
            Kind::Password | Kind::Nothing => "password",
        };
        format!("fetching the {what} of account {}", self.account.name)
    }

    fn takes_token(&self) -> bool {
        self.auth.source.kind() == Kind::Token
    }

    /// The smarthost's name, by which other programs keep passwords too.
    fn host(&self) -> String {
        match &self.account.target {
            // Of a domain whose servers the DNS names: other programs know it by that too.
            Target::Name(name, _) | Target::Service(name) => name.clone(),
            Target::Address(address, _) => address.to_string(),
            Target::Unix(path) => path.display().to_string(),
        }
    }

    /// The directory for secrets of ours; `None` without a home.
    fn state_dir(&self) -> Option<PathBuf> {
        Some(self.config.state_dir(self.world)?.join("secrets"))
    }

    fn fault(&self, because: impl Into<String>) -> Error {
        Error::new(Exit::Config, self.doing(), because)
    }
}

/// What a file with a secret is to the configuration.
struct Place {
    /// What to look at where it can't be read.
    advice: &'static str,
    /// The bits of its mode that must not be set.
    forbidden: u32,
    holds: &'static str,
}

impl Place {
    const PASSWORD_FILE: Self = Self {
        advice: "is password_file (SEALPOST_PASSWORD_FILE) right, and may you read it?",
        forbidden: 0o077,
        holds: "it holds a password",
    };
    const CLIENT_SECRET: Self =
        Self { advice: "is client_secret_file right, and may you read it?", forbidden: 0o077, holds: "it holds a secret" };
    const NETRC: Self =
        Self { advice: "netrc = true means ~/.netrc, or the file that NETRC names", forbidden: 0o077, holds: "it holds passwords" };
    /// systemd lets the service's user in by an access list, of which the group's bits show the widest entry.
    const CREDENTIAL: Self = Self {
        advice: "does the unit have LoadCredential= or SetCredential= of this name?",
        forbidden: 0o037,
        holds: "it holds a password",
    };
}

/// The secret of an OAuth client.
///
/// # Errors
/// As for a password file.
fn of_client(errand: &Errand<'_>, path: &Path) -> Result<Secret, Error> {
    from_file(errand, path, &Place::CLIENT_SECRET)
}

fn from_file(errand: &Errand<'_>, path: &Path, place: &Place) -> Result<Secret, Error> {
    let text = contents(errand, path, place)?;
    first_line(unmarked(&text), errand, &format!("{} holds", path.display()))
}

/// What editors of other systems put first is no part of a password.
fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// The beginning of a file, as far as a secret may be long.
fn contents(errand: &Errand<'_>, path: &Path, place: &Place) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |error: io::Error| {
        let because = match error.kind() {
            io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
            io::ErrorKind::PermissionDenied => format!("{} can't be read: permission denied", path.display()),
            _ => format!("{} can't be read: {error}", path.display()),
        };
        careful::advised(errand.fault(because).with_exit(careful::exit(&error)), place.advice)
    };
    // Links are followed, since that is how orchestrators exchange secrets.
    let mut file = careful::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(errand.fault(format!("{} is not a regular file", path.display())));
    }
    private::refuse_modes(errand.world, (path, &file, &metadata), place.forbidden, place.holds)?;
    let mut text = buffer();
    file.by_ref().take(LONGEST as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn from_variable(errand: &Errand<'_>, name: &str) -> Result<Secret, Error> {
    let missing = || {
        errand
            .fault(format!("the variable {name} is not set"))
            .hint("programs like cron and sudo clear the environment; a password_file is always there")
    };
    let value = Zeroizing::new(errand.world.env(name).ok_or_else(missing)?.into_encoded_bytes());
    first_line(&value, errand, &format!("the variable {name} holds"))
}

/// systemd.exec(5), "Credentials".
fn from_credential(errand: &Errand<'_>, name: &str) -> Result<Secret, Error> {
    let directory = errand.world.env("CREDENTIALS_DIRECTORY").filter(|directory| !directory.is_empty()).ok_or_else(|| {
        errand.fault("CREDENTIALS_DIRECTORY is not set: nobody handed credentials in").hint(format!(
            "add `LoadCredential={name}:/etc/sealpost/secrets/{name}` to the unit that sends; elsewhere use password_file"
        ))
    })?;
    from_file(errand, &PathBuf::from(directory).join(name), &Place::CREDENTIAL)
}

fn from_keyring(errand: &Errand<'_>) -> Result<Secret, Error> {
    let (host, user) = (errand.host(), errand.auth.user.as_str());
    let found = keyring::look_up(errand, &keyring::of_password(&host, user))?;
    let found = found.ok_or_else(|| {
        // Some keyrings (KeePassXC) hide all they hold while they are locked: it may work later.
        let because = format!("the keyring has no entry with host {host}, service smtp, user {user}");
        errand.fault(because).with_exit(Exit::TempFail).hint(keyring::advice(&host, user))
    })?;
    first_line(&found, errand, "the keyring holds")
}

/// Puts a password into the keyring, where [`fetch`] looks for it.
///
/// # Errors
/// The keyring can't be reached, or takes no secret without showing it (macOS).
pub fn keep_in_keyring(errand: &Errand<'_>, password: &Secret) -> Result<(), Error> {
    let (host, user) = (errand.host(), errand.auth.user.as_str());
    keyring::store(errand, &format!("sealpost: {user}"), &keyring::of_password(&host, user), password.expose().as_bytes())
}

fn from_netrc(errand: &Errand<'_>) -> Result<Secret, Error> {
    let set = |name| errand.world.env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = set("NETRC").or_else(|| Some(set("HOME")?.join(".netrc")));
    let path = path.ok_or_else(|| errand.fault("neither NETRC nor HOME is set: there is no netrc to read"))?;
    let text = contents(errand, &path, &Place::NETRC)?;
    let is_wrong = |what: String| errand.fault(format!("{} {what}", path.display()));
    if text.len() > LONGEST {
        return Err(is_wrong("is larger than 64 KiB".to_owned()));
    }
    let text = std::str::from_utf8(unmarked(&text)).map_err(|_| is_wrong("is not valid UTF-8".to_owned()))?;
    let (host, user) = (errand.host(), errand.auth.user.as_str());
    let found = netrc::password(text, &host, user)
        .map_err(|fault| is_wrong(format!("can't be understood: {} (line {})", fault.because, fault.line)))?;
    let found = found.ok_or_else(|| {
        let hint = format!("add a line to it: machine {host} login {user} password …");
        is_wrong(format!("has no password for {user} at {host}")).hint(hint)
    })?;
    first_line(found.as_bytes(), errand, &format!("{} holds", path.display()))
}

/// Asks on the terminal, where there is one.
fn prompt(errand: &Errand<'_>) -> Result<Secret, Error> {
    let Errand { account, auth, .. } = errand;
    let lacking = || {
        errand
            .fault("the configuration does not say where it is, and there is no terminal to ask on")
            .hint(format!("add password_file, password_command or password_env to [accounts.{}.auth]", account.name))
    };
    // Opened first, so that a missing terminal is told apart from a failed answer.
    File::options().read(true).write(true).open("/dev/tty").map_err(|_| lacking())?;
    let question = format!("Password for {} ({}): ", crate::error::printable(&auth.user), crate::error::printable(&account.name));
    let answer = terminal::hidden(&question).map_err(|error| errand.fault(format!("the terminal gave no answer: {error}")))?;
    if answer.is_empty() {
        return Err(errand.fault("the answer is empty"));
    }
    Ok(Secret::new(answer))
}

/// Room for the whole of a secret's source at once: a buffer that grew would leave copies behind.
fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(LONGEST + 2))
}

/// The first line as a secret; `holds` begins the sentence that says what is wrong with it ("the command printed").
fn first_line(octets: &[u8], errand: &Errand<'_>, holds: &str) -> Result<Secret, Error> {
    let line = octets.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let wanted = if errand.takes_token() { "the first line must be the token" } else { "the first line must be the password" };
    let error = |what: &str| errand.fault(format!("{holds} {what}")).hint(wanted);
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

/// A JSON object of these texts and numbers, in a buffer that never grows.
fn object(texts: &[(&str, &str)], numbers: &[(&str, i64)]) -> Zeroizing<Vec<u8>> {
    // An octet becomes six where it is escaped, and 20 digits hold any number.
    let room = texts.iter().map(|(name, text)| name.len() + 6 * text.len()).sum::<usize>() + 40 * (texts.len() + numbers.len()) + 2;
    let mut object = Zeroizing::new(Vec::with_capacity(room));
    object.push(b'{');
    for (name, text) in texts {
        member(&mut object, name, &text);
    }
    for (name, number) in numbers {
        member(&mut object, name, &number);
    }
    object.extend_from_slice(b"}\n");
    object
}

fn member(object: &mut Vec<u8>, name: &str, value: &impl serde::Serialize) {
    if object.len() > 1 {
        object.push(b',');
    }
    object.push(b'"');
    object.extend_from_slice(name.as_bytes());
    object.extend_from_slice(b"\":");
    // Texts and numbers can be written, and a vector takes what it is given.
    let _ = serde_json::to_writer(object, value);
}

/// A name for a file that belongs to these words alone.
fn digest(words: &[&str]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for word in words {
        context.update(word.as_bytes());
        context.update(b"\0");
    }
    let octets = context.finish();
    octets.as_ref().iter().take(8).fold(String::new(), |name, octet| name + &format!("{octet:02x}"))
}

#[cfg(test)]
mod tests;
