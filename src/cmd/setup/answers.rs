//! What is said already, on the command line or in the environment, before anybody is asked? (sealpost(1), "sealpost setup")

use std::path::PathBuf;

use super::{
    Options,
    presets::{PRESETS, Preset},
};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Proxy},
        terminal,
        world::World,
    },
    mail::{address::Address, policy::Start},
    smtp::sasl::Secret,
};

/// What is known beforehand.
pub(super) struct Answers {
    pub(super) address: Option<Address>,
    pub(super) preset: Option<&'static Preset>,
    pub(super) region: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) start: Option<Start>,
    pub(super) user: Option<String>,
    pub(super) secret: Option<Given>,
    pub(super) from: Option<Address>,
    pub(super) proxy: Option<(String, Proxy)>,
    pub(super) pin: Option<String>,
    /// What was found out did not do.
    pub(super) by_hand: bool,
}

/// A password that somebody has ready.
pub(super) enum Given {
    /// It stays in this file.
    At(PathBuf),
    /// It is to be kept.
    Is(Secret),
}

impl Answers {
    /// Takes the options, and the variables of a configuration by environment where an option is not given.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub(super) fn of(world: &dyn World, options: &Options) -> Result<Self, Error> {
        let said = |option: &Option<String>, name: &str| option.clone().or_else(|| variable(world, name));
        let from = said(&options.from, "SEALPOST_FROM");
        let proxy = said(&options.proxy, "SEALPOST_PROXY");
        let start = said(&options.start, "SEALPOST_TLS_START");
        let port = match (options.port, variable(world, "SEALPOST_PORT")) {
            (None, Some(text)) => Some(read("SEALPOST_PORT", &text, port)?),
            (port, _) => port,
        };
        Ok(Self {
            address: options.who.as_deref().map(|text| read("the address", text, address)).transpose()?,
            preset: options.provider.as_deref().map(|id| read("--provider", id, preset)).transpose()?,
            region: options.region.clone(),
            host: said(&options.host, "SEALPOST_HOST").map(|text| read("--host", &text, config::host)).transpose()?,
            port,
            start: start.map(|text| read("--start", &text, start_of)).transpose()?,
            user: said(&options.user, "SEALPOST_USER"),
            secret: secret(world, options)?,
            from: from.map(|text| read("--from", &text, address)).transpose()?,
            proxy: proxy.map(|text| read("--proxy", &text, config::proxy).map(|proxy| (text.clone(), proxy))).transpose()?,
            pin: options.pin.as_deref().map(|text| read("--pin", text, config::pin).map(|_| text.to_owned())).transpose()?,
            by_hand: false,
        })
    }
}

fn variable(world: &dyn World, name: &str) -> Option<String> {
    world.env(name).filter(|value| !value.is_empty())?.into_string().ok()
}

fn read<T>(what: &str, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Error> {
    parse(text).map_err(|why| Error::new(Exit::Usage, format!("reading {what}"), why))
}

/// A complete address.
pub(super) fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|why| format!("`{text}` is not a mail address: {why}"))
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("`{text}` is no port: a number from 1 to 65535"))
}

pub(super) fn start_of(text: &str) -> Result<Start, String> {
    match text {
        "starttls" => Ok(Start::Starttls),
        "implicit" => Ok(Start::Implicit),
        _ => Err(format!("`{text}` is not a way to begin TLS: starttls or implicit")),
    }
}

pub(super) fn preset(id: &str) -> Result<&'static Preset, String> {
    Preset::named(&id.to_lowercase()).ok_or_else(|| {
        let ids: Vec<&str> = PRESETS.iter().map(|preset| preset.id).collect();
        format!("`{id}` is no provider that is known here: {}", ids.join(", "))
    })
}

/// The password's file, or itself: on standard input, or in the environment, whence it is to be kept.
fn secret(world: &dyn World, options: &Options) -> Result<Option<Given>, Error> {
    if options.no_login || options.client_id.is_some() {
        return Ok(None);
    }
    let named = options.password_file.clone().or_else(|| variable(world, "SEALPOST_PASSWORD_FILE").map(PathBuf::from));
    match named {
        // A person is asked, without echo.
        Some(path) if path.as_os_str() == "-" && terminal::is_there() => Ok(None),
        Some(path) if path.as_os_str() == "-" => {
            let failed = |why: &str| Error::new(Exit::NoInput, "reading the password from standard input", why);
            let line = terminal::line().map_err(|error| failed(&error.to_string()))?;
            let line = line.filter(|line| !line.is_empty()).ok_or_else(|| failed("there is none"))?;
            Ok(Some(Given::Is(Secret::new(line))))
        }
        // The configuration is read from elsewhere.
        Some(path) => std::path::absolute(&path)
            .map(|path| Some(Given::At(path)))
            .map_err(|error| Error::new(Exit::OsErr, "finding --password-file", error.to_string())),
        None => Ok(variable(world, "SEALPOST_PASSWORD").map(|text| Given::Is(Secret::new(text)))),
    }
}
