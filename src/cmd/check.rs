//! `sealpost check`: would this account send now, what does its server show, and what could be better? (sealpost(1))

use std::{
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
};

use clap::{Args, ValueHint};
use serde_json::{Value, json};

use self::{
    letter::{Letter, Posted},
    page::Style,
    seen::Examination,
};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Account, Config, Origin},
        journal,
        world::World,
    },
    mail::{outcome::gravest, tls::Failure},
};

mod advice;
mod examine;
mod letter;
mod look;
mod object;
mod opinions;
mod page;
mod records;
mod say;
mod seen;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  sealpost check                            the default account
  sealpost check relay --send me@a.example  and send a test mail through it
  sealpost check --all --json               every account, for a script";

/// Find out whether an account would send now: addresses, TLS, certificates, login; no mail is sent without --send.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Which account; else the default one
    #[arg(conflicts_with = "all")]
    account: Option<String>,
    /// Look at every account of the configuration
    #[arg(long)]
    all: bool,
    /// If the account would send, send a test mail to this address through it
    #[arg(long, value_name = "ADDRESS", conflicts_with = "all")]
    send: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// Look at this configuration and no other
    #[arg(short = 'C', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// One account as it was found, and the test mail that went through it.
struct Checked<'c> {
    seen: Examination<'c>,
    advice: Vec<String>,
    mail: Option<Posted>,
}

/// Checks, tells on `out`, and returns what a send would return.
///
/// # Errors
/// The configuration can't be used, the account does not exist, or the address of `--send` is none.
pub fn run(world: &dyn World, options: &Options, out: &mut dyn Write) -> Result<Exit, Error> {
    let config = config::load(world, options.file.as_deref())?;
    let mut checked = Vec::new();
    for account in accounts(&config, options)? {
        let letter = options.send.as_deref().map(|to| Letter::new(world, &config, account, to)).transpose()?;
        let seen = examine::examine(world, &config, account);
        let advice = advice::of(&seen, &config, world.timestamp());
        let mail = letter.map(|letter| match &seen.verdict {
            Ok(_) => letter.send(world, &config, account),
            Err(error) => letter.keep(error),
        });
        checked.push(Checked { seen, advice, mail });
    }
    let exit = gravest(checked.iter().map(Checked::exit)).unwrap_or(Exit::Ok);
    let text = if options.json { as_json(&config, exit, &checked)? } else { as_text(world, &config, &checked) };
    let told = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match told {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Ok(Exit::IoErr),
        _ => Ok(exit),
    }
}

/// What was seen of an account that is about to be written.
pub struct Seen {
    /// The page that `sealpost check` shows.
    pub page: String,
    /// Why the account would not send; `None` where it would.
    pub error: Option<Error>,
    /// The key that the server showed, as `pins` takes it, where only that nobody vouches for it is against it.
    pub pin: Option<String>,
}

/// Looks at one account as [`run`] does.
pub fn look(world: &dyn World, config: &Config, account: &Account, colour: bool) -> Seen {
    let seen = examine::examine(world, config, account);
    let advice = advice::of(&seen, config, world.timestamp());
    let error = seen.verdict.as_ref().err().cloned();
    let pin = seen.visit().and_then(|visit| {
        let tls = visit.sight.tls.as_ref()?;
        let untrusted = matches!(&tls.verdict, Err(finding) if finding.failure == Failure::CertificateNotTrusted);
        say::pin(&tls.chain.first().filter(|_| untrusted)?.spki_sha256)
    });
    let page = Style { colour }.page(&origin(config), &Checked { seen, advice, mail: None }, world.timestamp());
    Seen { page, error, pin }
}

/// Sends a test mail through one account: what became of it, and why it was not sent.
///
/// # Errors
/// There is nobody whom it could be from or to.
pub fn post(world: &dyn World, config: &Config, account: &Account, to: &str) -> Result<(String, Option<Error>), Error> {
    let posted = Letter::new(world, config, account, to)?.send(world, config, account);
    Ok((posted.told(), posted.error))
}

impl Checked<'_> {
    fn exit(&self) -> Exit {
        match (&self.seen.verdict, &self.mail) {
            (Err(error), _) => error.exit(),
            (Ok(_), Some(sent)) => sent.exit,
            (Ok(_), None) => Exit::Ok,
        }
    }
}

fn accounts<'c>(config: &'c Config, options: &Options) -> Result<Vec<&'c Account>, Error> {
    if options.all {
        return Ok(config.accounts.iter().collect());
    }
    if options.account.is_none() && config.default_account.is_none() {
        let names: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
        return Err(Error::new(Exit::Config, "choosing an account", "there are several, and none is the default_account")
            .hint(format!("name one ({}), or say --all", names.join(", "))));
    }
    Ok(vec![config.choose(options.account.as_deref(), None)?])
}

fn as_text(world: &dyn World, config: &Config, checked: &[Checked<'_>]) -> String {
    let colour = io::stdout().is_terminal() && world.env("NO_COLOR").is_none_or(|value| value.is_empty());
    let (style, now) = (Style { colour }, world.timestamp());
    let pages: Vec<String> = checked.iter().map(|one| style.page(&origin(config), one, now)).collect();
    pages.join("\n")
}

fn as_json(config: &Config, exit: Exit, checked: &[Checked<'_>]) -> Result<String, Error> {
    let accounts: Vec<Value> = checked.iter().map(object::of).collect();
    let whole = json!({"origin": origin(config), "exit": exit.code(), "accounts": accounts});
    let line = journal::json::line(&whole).map_err(|error| Error::new(Exit::Software, "writing JSON", error.to_string()))?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn origin(config: &Config) -> String {
    match &config.origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Environment => "the environment".to_owned(),
    }
}

#[cfg(test)]
mod tests;
