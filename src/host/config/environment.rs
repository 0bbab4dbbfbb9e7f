//! What do the variables of the environment say, where there is no file? (sealpost.toml(5))

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    path::Path,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys::{self, Table},
    page::Page,
    spelling::nearest,
    values::Fault,
};
use crate::{
    error::{Error, Exit},
    host::{careful, world::World},
};

/// The name of the only account.
pub(super) const ACCOUNT: &str = "environment";

const PREFIX: &str = "SEALPOST_";

/// Behind the name of a variable: its value is the first line of a file.
const BY_FILE: &str = "_FILE";

/// Keys whose values are places themselves, or where a secret is: `_FILE` behind their variables would mean something else.
const PLACES: [&str; 12] = [
    "aliases",
    "ca_file",
    "client_cert",
    "client_key",
    "credential",
    "crl_file",
    "dir",
    "file",
    "password_env",
    "password_file",
    "trust_anchor",
    "keyring",
];

/// The most that such a file may hold.
const LARGEST: u64 = 1 << 16;

/// A variable: the key it stands for, and its spellings, ours first.
struct Variable {
    table: &'static Table,
    key: &'static str,
    names: &'static [&'static str],
}

const fn variable_of(table: &'static Table, key: &'static str, names: &'static [&'static str]) -> Variable {
    Variable { table, key, names }
}

/// `SEALPOST_PASSWORD` stands for `password_env`: the secret is fetched from where it is, when it is needed.
const VARIABLES: [Variable; 55] = [
    variable_of(&keys::ACCOUNT, "host", &["SEALPOST_HOST", "SMTP_HOST", "SMTP_SERVER", "SMTP_HOSTNAME", "SMTP_ADDRESS"]),
    variable_of(&keys::ACCOUNT, "port", &["SEALPOST_PORT", "SMTP_PORT"]),
    variable_of(&keys::ACCOUNT, "protocol", &["SEALPOST_PROTOCOL"]),
    variable_of(
        &keys::ACCOUNT,
        "from",
        &["SEALPOST_FROM", "SMTP_FROM", "SMTP_FROM_ADDRESS", "SMTP_FROM_EMAIL", "SMTP_MAIL_FROM", "SMTP_SENDER"],
    ),
    variable_of(&keys::ACCOUNT, "from_policy", &["SEALPOST_FROM_POLICY"]),
    variable_of(&keys::ACCOUNT, "rewrite_from", &["SEALPOST_REWRITE_FROM"]),
    variable_of(&keys::ACCOUNT, "hello", &["SEALPOST_HELLO", "SMTP_HELO"]),
    variable_of(&keys::ACCOUNT, "source_address", &["SEALPOST_SOURCE_ADDRESS"]),
    variable_of(&keys::ACCOUNT, "proxy", &["SEALPOST_PROXY"]),
    variable_of(&keys::AUTH, "user", &["SEALPOST_USER", "SMTP_USER", "SMTP_USERNAME", "SMTP_LOGIN", "SMTP_AUTH_USER"]),
    variable_of(&keys::AUTH, "password_env", &["SEALPOST_PASSWORD", "SMTP_PASSWORD", "SMTP_PASS", "SMTP_AUTH_PASSWORD"]),
    variable_of(
        &keys::AUTH,
        "password_file",
        &["SEALPOST_PASSWORD_FILE", "SMTP_PASSWORD_FILE", "SMTP_PASS_FILE", "SMTP_AUTH_PASSWORD_FILE"],
    ),
    variable_of(&keys::AUTH, "password_command", &["SEALPOST_PASSWORD_COMMAND"]),
    variable_of(&keys::AUTH, "credential", &["SEALPOST_CREDENTIAL"]),
    variable_of(&keys::AUTH, "keyring", &["SEALPOST_KEYRING"]),
    variable_of(&keys::AUTH, "netrc", &["SEALPOST_NETRC"]),
    variable_of(&keys::AUTH, "token_command", &["SEALPOST_TOKEN_COMMAND"]),
    variable_of(&keys::AUTH, "token_cache", &["SEALPOST_TOKEN_CACHE"]),
    variable_of(&keys::AUTH, "mechanism", &["SEALPOST_MECHANISM", "SMTP_AUTH_MECHANISM"]),
    variable_of(&keys::AUTH, "allow_unverified", &["SEALPOST_ALLOW_UNVERIFIED"]),
    variable_of(&keys::TLS, "start", &["SEALPOST_TLS_START"]),
    variable_of(&keys::TLS, "policy", &["SEALPOST_TLS_POLICY"]),
    variable_of(&keys::TLS, "trust", &["SEALPOST_TLS_TRUST"]),
    variable_of(&keys::TLS, "ca_file", &["SEALPOST_TLS_CA_FILE"]),
    variable_of(&keys::TLS, "crl_file", &["SEALPOST_TLS_CRL_FILE"]),
    variable_of(&keys::TLS, "pins", &["SEALPOST_TLS_PINS"]),
    variable_of(&keys::TLS, "server_name", &["SEALPOST_TLS_SERVER_NAME"]),
    variable_of(&keys::TLS, "min_version", &["SEALPOST_TLS_MIN_VERSION"]),
    variable_of(&keys::TLS, "client_cert", &["SEALPOST_TLS_CLIENT_CERT"]),
    variable_of(&keys::TLS, "client_key", &["SEALPOST_TLS_CLIENT_KEY"]),
    variable_of(&keys::TLS, "backend", &["SEALPOST_TLS_BACKEND"]),
    variable_of(&keys::TLS, "on_downgrade", &["SEALPOST_TLS_ON_DOWNGRADE"]),
    variable_of(&keys::TLS, "requiretls", &["SEALPOST_TLS_REQUIRETLS"]),
    variable_of(&keys::TOP, "mail_domain", &["SEALPOST_MAIL_DOMAIN"]),
    variable_of(&keys::TOP, "qualify", &["SEALPOST_QUALIFY"]),
    variable_of(&keys::TOP, "aliases", &["SEALPOST_ALIASES"]),
    variable_of(&keys::TOP, "catch_all", &["SEALPOST_CATCH_ALL"]),
    variable_of(&keys::LOG, "file", &["SEALPOST_LOG_FILE"]),
    variable_of(&keys::LOG, "syslog", &["SEALPOST_LOG_SYSLOG"]),
    variable_of(&keys::LOG, "syslog_tls", &["SEALPOST_LOG_SYSLOG_TLS"]),
    variable_of(&keys::MEMORY, "file", &["SEALPOST_MEMORY_FILE"]),
    variable_of(&keys::QUEUE, "mode", &["SEALPOST_QUEUE_MODE"]),
    variable_of(&keys::QUEUE, "dir", &["SEALPOST_QUEUE_DIR"]),
    variable_of(&keys::QUEUE, "max_age", &["SEALPOST_QUEUE_MAX_AGE"]),
    variable_of(&keys::QUEUE, "keep_failed", &["SEALPOST_QUEUE_KEEP_FAILED"]),
    variable_of(&keys::QUEUE, "connections", &["SEALPOST_QUEUE_CONNECTIONS"]),
    variable_of(&keys::QUEUE, "warn_after", &["SEALPOST_QUEUE_WARN_AFTER"]),
    variable_of(&keys::QUEUE, "retry_first", &["SEALPOST_QUEUE_RETRY_FIRST"]),
    variable_of(&keys::QUEUE, "retry_most", &["SEALPOST_QUEUE_RETRY_MOST"]),
    variable_of(&keys::LIMITS, "message_size", &["SEALPOST_MESSAGE_SIZE"]),
    variable_of(&keys::LIMITS, "recipients", &["SEALPOST_RECIPIENTS"]),
    variable_of(&keys::LIMITS, "connect_timeout", &["SEALPOST_CONNECT_TIMEOUT"]),
    variable_of(&keys::LIMITS, "reply_timeout", &["SEALPOST_REPLY_TIMEOUT"]),
    variable_of(&keys::DNS, "servers", &["SEALPOST_DNS_SERVERS"]),
    variable_of(&keys::DNS, "trust_anchor", &["SEALPOST_DNS_TRUST_ANCHOR"]),
];

/// Variables that are not settings of an account.
const OTHERS: [&str; 1] = [super::names::VARIABLE];

impl Variable {
    /// The variable that names a file with the value, beside `name`.
    fn by_file(&self, name: &str) -> Option<String> {
        (!PLACES.contains(&self.key)).then(|| format!("{name}{BY_FILE}"))
    }

    /// The first of its names that says something, by itself or by a file, and what. An empty one counts as unset (images declare
    /// `SMTP_USER=` for "no login"), except where empty means none, as in a configuration file.
    fn setting(&self, world: &dyn World) -> Result<Option<(Cow<'static, str>, String)>, Error> {
        let may_be_empty = ["aliases", "file", "warn_after"].contains(&self.key);
        for name in self.names {
            let said = world.env(name).filter(|value| may_be_empty || !value.is_empty());
            let named = self.by_file(name).and_then(|by| Some((world.env(&by).filter(|path| !path.is_empty())?, by)));
            match (said, named) {
                (Some(_), Some((_, by))) => {
                    let because = format!("{by} contradicts {name}");
                    return Err(Error::new(Exit::Config, "reading the environment", because).hint("set one of them"));
                }
                (None, Some((path, by))) => {
                    let value = first_line(&by, &path)?;
                    return Ok(Some((by.into(), value)));
                }
                // The secret is read when it is needed.
                (Some(_), None) if self.key == "password_env" => return Ok(Some(((*name).into(), (*name).to_owned()))),
                (Some(value), None) => {
                    let value = text(name, value)?;
                    // Kubernetes sets `SMTP_PORT=tcp://…` for a service called smtp: not meant for us.
                    if self.key != "port" || !value.starts_with("tcp://") {
                        return Ok(Some(((*name).into(), value)));
                    }
                }
                (None, None) => {}
            }
        }
        Ok(None)
    }
}

/// What the variables say: the same table that a file would be, its spans counting variables.
pub(super) struct Environment {
    settings: Vec<(&'static Variable, Cow<'static, str>, String)>,
}

impl Environment {
    /// Whether the environment names a smarthost: then it is a configuration.
    pub(super) fn names_host(world: &dyn World) -> bool {
        let is_set = |name: &str| world.env(name).is_some_and(|value| !value.is_empty());
        let names =
            |host: &Variable| host.names.iter().any(|name| is_set(name) || host.by_file(name).is_some_and(|by| is_set(&by)));
        VARIABLES.first().is_some_and(names)
    }

    /// One of our own variables that is set, to say what lacks where no host is.
    pub(super) fn stray(world: &dyn World) -> Option<&'static str> {
        let ours = VARIABLES.iter().filter_map(|variable| variable.names.first().copied());
        ours.into_iter().find(|name| world.env(name).is_some_and(|value| !value.is_empty()))
    }

    /// Collects the variables that are set.
    pub(super) fn read(world: &dyn World) -> Result<Self, Error> {
        refuse_unknown(world)?;
        let mut settings = Vec::new();
        for variable in &VARIABLES {
            settings.extend(variable.setting(world)?.map(|(name, value)| (variable, name, value)));
        }
        Ok(Self { settings })
    }

    /// The page that errors are shown on.
    pub(super) fn page(&self) -> Page<'_> {
        Page::Environment { variables: self.settings.iter().map(|(_, name, _)| name.as_ref()).collect() }
    }

    /// The table that is read.
    pub(super) fn table(&self) -> DeTable<'_> {
        let mut top = DeTable::new();
        let [mut log, mut memory, mut queue, mut limits, mut dns] = std::array::from_fn(|_| DeTable::new());
        let [mut account, mut tls, mut auth] = std::array::from_fn(|_| DeTable::new());
        for (at, (variable, _, value)) in self.settings.iter().enumerate() {
            let table = match variable.table.header {
                header if header == keys::LOG.header => &mut log,
                header if header == keys::MEMORY.header => &mut memory,
                header if header == keys::QUEUE.header => &mut queue,
                header if header == keys::LIMITS.header => &mut limits,
                header if header == keys::DNS.header => &mut dns,
                header if header == keys::ACCOUNT.header => &mut account,
                header if header == keys::TLS.header => &mut tls,
                header if header == keys::AUTH.header => &mut auth,
                _ => &mut top,
            };
            table.insert(
                Spanned::new(at..at + 1, Cow::Borrowed(variable.key)),
                Spanned::new(at..at + 1, DeValue::String(Cow::Borrowed(value))),
            );
        }
        nest(&mut account, "tls", tls);
        nest(&mut account, "auth", auth);
        let mut accounts = DeTable::new();
        nest(&mut accounts, ACCOUNT, account);
        let tables = [("log", log), ("memory", memory), ("queue", queue), ("limits", limits), ("dns", dns), ("accounts", accounts)];
        for (key, table) in tables {
            nest(&mut top, key, table);
        }
        top
    }
}

/// Our name of the variable that stands for a key.
pub(super) fn variable(table: &Table, key: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|variable| variable.table.header == table.header && variable.key == key)?.names.first().copied()
}

/// Every name of a setting.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().flat_map(|variable| variable.names.iter().copied())
}

/// Puts a table into another, where it holds something; it stands where its first entry does.
fn nest<'a>(into: &mut DeTable<'a>, key: &'static str, table: DeTable<'a>) {
    if let Some(span) = table.values().map(Spanned::span).min_by_key(|span| span.start) {
        into.insert(Spanned::new(span.clone(), Cow::Borrowed(key)), Spanned::new(span, DeValue::Table(table)));
    }
}

fn text(name: &str, value: OsString) -> Result<String, Error> {
    value
        .into_string()
        .map_err(|_| Error::new(Exit::Config, format!("reading {name} from the environment"), "it is not valid UTF-8"))
}

/// The value that a file holds, as container runtimes hand secrets in.
fn first_line(by: &str, path: &OsStr) -> Result<String, Error> {
    let error = |exit, because: &str| Error::new(exit, format!("reading {}, which {by} names", Path::new(path).display()), because);
    let octets = careful::read(Path::new(path), LARGEST).map_err(|failed| {
        let because = failed.to_string();
        let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
        error(careful::exit(&failed), because).hint(format!("is {by} right, and may you read the file?"))
    })?;
    let text = String::from_utf8(octets).map_err(|_| error(Exit::Config, "it is not valid UTF-8"))?;
    match text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().trim() {
        "" => Err(error(Exit::Config, "its first line is empty").hint(format!("put the value there, or leave {by} out"))),
        line => Ok(line.to_owned()),
    }
}

fn refuse_unknown(world: &dyn World) -> Result<(), Error> {
    let known = || VARIABLES.iter().filter_map(|variable| variable.names.first().copied()).chain(OTHERS);
    let is_by_file = |name: &str| {
        let plain = name.strip_suffix(BY_FILE);
        plain.is_some_and(|plain| {
            VARIABLES.iter().any(|variable| variable.names.first() == Some(&plain) && variable.by_file(plain).is_some())
        })
    };
    for name in world.env_names() {
        // Kubernetes describes a service called sealpost in variables of these names.
        let foreign = ["SEALPOST_SERVICE_", "SEALPOST_PORT_"].iter().any(|prefix| name.starts_with(prefix));
        if !name.starts_with(PREFIX) || foreign || known().any(|known| known == name) || is_by_file(&name) {
            continue;
        }
        let error =
            Error::new(Exit::Config, "reading the environment", format!("unknown variable {}", super::values::shown(&name)));
        return Err(match nearest(&name, known()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("sealpost.toml(5) lists the variables"),
        });
    }
    Ok(())
}

/// The fault of an environment without a smarthost.
pub(super) fn lacks_host(stray: &str) -> Fault {
    Fault::new(format!("{stray} is set, but SEALPOST_HOST is not")).hint("set SEALPOST_HOST to the smarthost's name")
}
