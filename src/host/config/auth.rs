//! How does one account log in, and where does its secret live? (sealpost.toml(5), "ACCOUNTS: AUTH")

use super::{Auth, SecretSource, Target, Tls, keys, login, oauth, section::Section, values::Fault};
use crate::{
    error::Error,
    mail::policy::Policy,
    smtp::sasl::{Choice, Kind, Mechanism, Secret},
};

/// The keys that say where the secret is; at most one may stand.
const SOURCES: [&str; 9] =
    ["password_command", "password_file", "password_env", "password", "credential", "keyring", "netrc", "token_command", "oauth"];

/// The longest name of a file.
const LONGEST_NAME: usize = 255;

/// Reads `[accounts.NAME.auth]`; `None` where it is not written.
pub(super) fn read(section: &Section<'_>, target: &Target, tls: &Tls) -> Result<Option<Auth>, Error> {
    if !section.is_written() {
        return Ok(None);
    }
    let choice = section.parsed("mechanism", login::mechanism)?.map_or(Choice::Auto, |found| found.value);
    let user = match section.string("user")? {
        Some(user) => user,
        None if matches!(choice, Choice::Only(Mechanism::External | Mechanism::Gssapi)) => String::new(),
        None => return Err(section.missing("user", "the login", "cron@example.com")),
    };
    let allow_unverified = section.boolean("allow_unverified")?.unwrap_or(false);
    let source = source(section, target)?.unwrap_or_else(|| login::unsaid(choice));
    if let Some(place) = section.place("token_cache")
        && !matches!(source, SecretSource::TokenCommand { .. })
    {
        let fault = Fault::new("there is no token to be kept");
        return Err(place.error(fault.hint(format!("it belongs to `{}`: leave it out", section.called("token_command")))));
    }
    let auth = Auth { user, choice, source, allow_unverified };
    login::refuse_misfit(section, target, tls, &auth)?;
    refuse_impossible(section, target, tls, &auth)?;
    Ok(Some(auth))
}

/// Where the secret lives, where that is said.
fn source(section: &Section<'_>, target: &Target) -> Result<Option<SecretSource>, Error> {
    let mut written = SOURCES.iter().filter_map(|key| Some((*key, section.place(key)?)));
    let Some((key, place)) = written.next() else { return Ok(None) };
    if let Some((other, place)) = written.next() {
        let fault = Fault::new(format!("`{}` contradicts `{}`", section.called(other), section.called(key)));
        return Err(place.error(fault.hint("say once where the password or the token is")));
    }
    let source = match key {
        "password_command" => section.string(key)?.map(SecretSource::Command),
        "password_file" => section.path(key)?.map(SecretSource::File),
        "password_env" => section.parsed(key, variable)?.map(|found| SecretSource::Environment(found.value)),
        "credential" => section.parsed(key, credential)?.map(|found| SecretSource::Credential(found.value)),
        "keyring" => section.boolean(key)?.filter(|wanted| *wanted).map(|_| SecretSource::Keyring),
        "netrc" => section.boolean(key)?.filter(|wanted| *wanted).map(|_| SecretSource::Netrc),
        "token_command" => {
            let cache = section.boolean("token_cache")?.unwrap_or(true);
            section.string(key)?.map(|command| SecretSource::TokenCommand { command, cache })
        }
        "oauth" => Some(SecretSource::OAuth(Box::new(oauth::read(&section.section(key, &keys::OAUTH)?)?))),
        _ => section.parsed(key, |text| Ok(SecretSource::Inline(Secret::new(text.to_owned()))))?.map(|found| found.value),
    };
    if let (Some(SecretSource::Keyring | SecretSource::Netrc), Target::Unix(_)) = (&source, target) {
        let fault = Fault::new(format!("{} is asked by the name of a host, and a unix socket has none", section.called(key)));
        return Err(place.error(fault.hint(format!(
            "use {} or {}",
            section.called("password_file"),
            section.called("password_command")
        ))));
    }
    Ok(source)
}

fn variable(text: &str) -> Result<String, Fault> {
    // A `$` or `=` is not shown: somebody may have written the password itself here.
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(text.to_owned());
    }
    Err(Fault::new("it is not the name of a variable").hint("write the name alone, like `RELAY_PASSWORD`"))
}

/// The name of a file in one directory, and of nothing elsewhere.
fn credential(text: &str) -> Result<String, Fault> {
    if text.contains('/') || [".", ".."].contains(&text) || text.len() > LONGEST_NAME {
        let hint = "write the name that LoadCredential= gives it, like `relay`";
        return Err(Fault::new("it is not the name of a credential").hint(hint));
    }
    Ok(text.to_owned())
}

/// Refuses an account whose secret could never be used: better now than at three in the morning.
fn refuse_impossible(section: &Section<'_>, target: &Target, tls: &Tls, auth: &Auth) -> Result<(), Error> {
    if tls.demand.policy != Policy::Off {
        return Ok(());
    }
    let fault = if !target.is_local() {
        let what = if auth.source.kind() == Kind::Ticket { "ticket" } else { "password" };
        Fault::new(format!(
            "the {what} could never be sent: the TLS policy is \"off\", and a secret crosses no network in plaintext"
        ))
        .hint("set the policy to \"required\", or leave the login out; for a server on this machine, give its loopback address")
    } else if auth.choice == Choice::Auto {
        Fault::new("the password could never be sent: without TLS the mechanism must be named, even on this machine")
            .hint(format!("set `{}` to \"PLAIN\", or use TLS", section.called("mechanism")))
    } else {
        return Ok(());
    };
    Err(section.error(fault))
}
