//! How does somebody agree, once, that an account may send? (OAuth2; sealpost(1), "sealpost setup")

use std::io::{self, Write};

use super::Options;
use crate::{
    error::{Error, Exit, printable},
    host::{
        config::{self, Account, Config, OAuth, SecretSource},
        private,
        secrets::{
            Errand,
            oauth::{Given, Grant, Store, browser, device},
        },
        world::World,
    },
};

/// Whether the words mean an account that is there: by its name, which has no `@`, or has one and is in the configuration.
pub(super) fn is_meant(world: &dyn World, options: &Options) -> bool {
    let chosen = options.device || options.browser;
    match &options.who {
        Some(name) if name.contains('@') => {
            chosen && config::load(world, options.file.as_deref()).is_ok_and(|config| config.account(name).is_some())
        }
        Some(_) => true,
        None => chosen && options.provider.is_none() && options.host.is_none(),
    }
}

/// Obtains and keeps the right to send, telling on `talk` what a person has to do.
///
/// # Errors
/// The configuration has nothing to obtain, nobody agreed, or it could not be kept.
pub(super) fn run(world: &dyn World, options: &Options, talk: &mut dyn Write) -> Result<Exit, Error> {
    let config = config::load(world, options.file.as_deref()).map_err(|error| meant_an_address(error, options))?;
    let account = config.choose(options.who.as_deref(), None).map_err(|error| meant_an_address(error, options))?;
    let (errand, client) = errand(world, &config, account)?;
    private::conceal();
    let store = Store::new(&errand, client)?;
    // Better before somebody has agreed than after.
    store.try_out()?;
    let given = obtain(&errand, client, options, talk)?;
    store.keep(&Grant::new(&errand, given)?)?;
    tell(talk, &format!("Account {} may send now; the right to it is kept in {}.", account.name, store.place()));
    tell(talk, &format!("Would it? sealpost check {}", account.name));
    Ok(Exit::Ok)
}

/// A new account is given by an address.
fn meant_an_address(error: Error, options: &Options) -> Error {
    match &options.who {
        Some(name) if error.exit() == Exit::Config => {
            let hint = error.advice().map_or_else(String::new, |advice| format!("{advice}; "));
            let name = printable(name);
            error.hint(format!("{hint}to set a new account up, give its address: sealpost setup {name}@example.com"))
        }
        _ => error,
    }
}

/// What the provider gives to somebody who agrees.
///
/// # Errors
/// Nobody agreed, or the provider can't be asked.
pub(super) fn obtain(errand: &Errand<'_>, client: &OAuth, options: &Options, talk: &mut dyn Write) -> Result<Given, Error> {
    if wants_device(options, client) { by_device(errand, client, talk) } else { by_browser(errand, client, talk) }
}

pub(super) fn errand<'a>(world: &'a dyn World, config: &'a Config, account: &'a Account) -> Result<(Errand<'a>, &'a OAuth), Error> {
    match &account.auth {
        Some(auth) if let SecretSource::OAuth(client) = &auth.source => Ok((Errand { world, config, account, auth }, client)),
        _ => {
            let because = format!("account {} does not log in by OAuth2, so there is nothing to obtain", account.name);
            Err(Error::new(Exit::Usage, "setting up", because)
                .hint(format!("add [accounts.{}.auth.oauth], or name another account", account.name)))
        }
    }
}

/// A code is the simpler way where the provider has it: it asks for no browser that finds back to this machine.
fn wants_device(options: &Options, client: &OAuth) -> bool {
    options.device || (client.device.is_some() && !options.browser)
}

fn by_device(errand: &Errand<'_>, client: &OAuth, talk: &mut dyn Write) -> Result<Given, Error> {
    let endpoint = client.device.as_ref().ok_or_else(|| no_way("device", "--browser"))?;
    let invitation = device::invite(errand, client, endpoint)?;
    tell(talk, &format!("Open this page on any device:\n  {}", printable(&invitation.page)));
    tell(talk, &format!("and enter the code:\n  {}", printable(&invitation.code)));
    if let Some(page) = &invitation.complete {
        tell(talk, &format!("or open this one, which has the code in it:\n  {}", printable(page)));
    }
    tell(talk, &format!("Log in there as {} and agree. Waiting …", printable(&errand.auth.user)));
    device::wait(errand, client, &invitation)
}

fn by_browser(errand: &Errand<'_>, client: &OAuth, talk: &mut dyn Write) -> Result<Given, Error> {
    let endpoint = client.authorization.as_ref().ok_or_else(|| no_way("authorization", "--device"))?;
    let visit = browser::begin(errand, client, endpoint)?;
    tell(talk, &format!("Open this page in a browser:\n  {}", printable(&visit.page)));
    tell(talk, &format!("Log in there as {} and agree. Waiting …", printable(&errand.auth.user)));
    tell(talk, "If the browser is on another machine, its last page can't be shown: paste the address of that page here.");
    visit.wait(errand, client, &mut || tell(talk, "Something came that is not the answer to this page; still waiting …"))
}

fn no_way(which: &str, instead: &str) -> Error {
    Error::new(Exit::Usage, "setting up", format!("the provider has no {which}_endpoint in the configuration"))
        .hint(format!("use {instead}, or add {which}_endpoint to [accounts.NAME.auth.oauth]"))
}

/// A terminal that is gone shows in the end, when nobody has agreed.
fn tell(talk: &mut dyn Write, text: &str) {
    let _: io::Result<()> = writeln!(talk, "{text}").and_then(|()| talk.flush());
}
