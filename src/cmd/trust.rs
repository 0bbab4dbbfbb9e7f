//! Which servers are remembered, which keys are believed, and how does a person change that? (`sealpost trust`)

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use serde_json::{Value, json};

use self::meeting::Shown;
use super::caller::{ErrorMode, complain, print};
use crate::{
    error::{Error, Exit, printable},
    host::{
        config::{self, Config},
        journal,
        memory::{self, Server, Sighting},
        world::World,
    },
    mail::policy::Start,
    smtp::leaf,
};

mod meeting;
mod page;
mod which;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  sealpost trust list                       who is remembered, and since when
  sealpost trust add relay                  look at a server, and accept its key
  sealpost trust add relay.internal:25 --yes
                                            the same without a question
  sealpost trust forget relay.internal      as if it had never been met";

/// See and change what is remembered of servers: keys that are believed, and who had TLS.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// List what is remembered
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Connect to a server, show its certificate, and accept its key; no mail and no password is sent
    Add(Add),
    /// Forget a server, its key and that it had TLS
    Forget {
        /// HOST:PORT, HOST for all its ports, or an account
        #[arg(required_unless_present = "all")]
        server: Option<String>,
        /// Forget all of them
        #[arg(long, conflicts_with = "server")]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// How a key is accepted.
#[derive(Args, Clone, Debug)]
struct Add {
    /// An account, or HOST:PORT (HOST where an account has it, or port 587)
    server: String,
    /// Accept the key without a question
    #[arg(long)]
    yes: bool,
    /// Accept the key without a question if it, or the certificate, has this SHA-256 digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes", value_parser = config::pin)]
    key: Option<[u8; 32]>,
    /// How TLS begins at a server that no account has; default: implicit on port 465
    #[arg(long, value_enum, value_name = "HOW")]
    start: Option<Begin>,
    #[command(flatten)]
    place: Place,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Begin {
    /// By STARTTLS
    Starttls,
    /// Before the greeting
    Implicit,
}

/// Which memory, and how to answer.
#[derive(Args, Clone, Debug)]
struct Place {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// The memory of this configuration and no other
    #[arg(short = 'C', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Does it; the exit code.
///
/// # Errors
/// The configuration or the memory can't be used, the server can't be reached or shows no key, the key was not accepted.
pub fn run(world: &dyn World, options: &Options) -> Result<Exit, Error> {
    match &options.action {
        Action::List { place } => list(world, place),
        Action::Add(options) => add(world, options),
        Action::Forget { server, all: _, place } => forget(world, server.as_deref(), place),
    }
}

fn list(world: &dyn World, place: &Place) -> Result<Exit, Error> {
    let config = config::load(world, place.file.as_deref())?;
    let servers = memory::read(&config.memory).map_err(|trouble| trouble.error)?;
    if place.json {
        let list: Vec<Value> = servers.iter().map(|(name, server)| page::object(name, server)).collect();
        return Ok(print(&line(&json!({"file": file(&config), "servers": list}))?));
    }
    if servers.iter().next().is_none() {
        say("no server is remembered\n");
    }
    Ok(print(&page::table(&servers)))
}

fn add(world: &dyn World, options: &Add) -> Result<Exit, Error> {
    let config = config::load(world, options.place.file.as_deref())?;
    if config.memory == config::Memory::None {
        let because = "the configuration wants no memory of servers ([memory] file = \"\")";
        return Err(Error::new(Exit::Config, "accepting a key", because).hint("name a file in [memory], or leave it out"));
    }
    let account = which::account(world, &config, &options.server, options.start.map(Begin::start))?;
    let (account, link) = meeting::reach(world, &config, &account)?;
    let name = memory::name(&account);
    let before = match memory::read(&config.memory) {
        Ok(servers) => servers.get(&name).cloned().unwrap_or_default(),
        Err(trouble) if trouble.spoilt => {
            complain("sealpost", ErrorMode::Print, &trouble.error);
            Server::default()
        }
        Err(trouble) => return Err(trouble.error),
    };
    let shown = meeting::meet(world, &config, &account, link)?;
    if !options.place.json {
        print(&page::shown(&name, &shown, &before));
    }
    consent(options, &name, &shown)?;
    let seen = Sighting { when: world.timestamp(), starttls: shown.starttls, verified: false, first_use: None };
    let accepted = memory::change(&config.memory, |servers| {
        let server = servers.entry(&name);
        server.accept(shown.key, seen.when);
        server.notice(&seen)
    });
    let _ = accepted.map_err(|trouble| trouble.error)?;
    if options.place.json {
        return Ok(print(&line(&page::acceptance(&name, &shown, &before))?));
    }
    say(&format!("accepted: sha256:{} is believed to be {}\n", leaf::hex(&shown.key), printable(&name)));
    if !config.accounts.iter().any(|account| account.tls.demand.trusts_first_use() && memory::name(account) == name) {
        say("no account with this server has trust = \"tofu\": its key is remembered, and nobody asks for it\n");
    }
    Ok(Exit::Ok)
}

fn forget(world: &dyn World, server: Option<&str>, place: &Place) -> Result<Exit, Error> {
    let config = config::load(world, place.file.as_deref())?;
    let servers = memory::read(&config.memory).map_err(|trouble| trouble.error)?;
    let names = match server {
        Some(text) => which::remembered(&config, &servers, text)?,
        None => servers.iter().map(|(name, _)| name.to_owned()).collect(),
    };
    let forgotten = memory::change(&config.memory, |servers| {
        for name in &names {
            servers.forget(name);
        }
    });
    forgotten.map_err(|trouble| trouble.error)?;
    if place.json {
        return Ok(print(&line(&json!({"file": file(&config), "forgotten": names}))?));
    }
    for name in names {
        say(&format!("forgotten: {}\n", printable(&name)));
    }
    Ok(Exit::Ok)
}

/// Whether the key is accepted: by its digest, by `--yes`, or by whoever sits at the terminal.
fn consent(options: &Add, name: &str, shown: &Shown) -> Result<(), Error> {
    let refused = |because: &str| Error::new(Exit::NoPerm, format!("accepting the key of {name}"), because);
    match options.key {
        Some(wanted) if wanted == shown.key || wanted == shown.certificate_digest => return Ok(()),
        Some(wanted) => {
            let because = format!("wanted is sha256:{}, shown is the key sha256:{}", leaf::hex(&wanted), leaf::hex(&shown.key));
            return Err(refused(&because).hint("this may not be the server that was meant: ask its owner"));
        }
        None if options.yes => return Ok(()),
        None => {}
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let error = Error::new(Exit::Usage, format!("accepting the key of {name}"), "there is no terminal to ask on");
        return Err(error.hint("name the digest that its owner told you (--key sha256:…), or believe what is shown (--yes)"));
    }
    say(&format!("Does its owner confirm this key of {name}? Accept it? [y/N] "));
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) { Ok(()) } else { Err(refused("not accepted")) }
}

impl Begin {
    fn start(self) -> Start {
        match self {
            Self::Starttls => Start::Starttls,
            Self::Implicit => Start::Implicit,
        }
    }
}

fn file(config: &Config) -> Option<String> {
    match &config.memory {
        config::Memory::File(path) => Some(path.display().to_string()),
        config::Memory::None | config::Memory::Nowhere => None,
    }
}

fn line(value: &Value) -> Result<String, Error> {
    let line = journal::json::line(value).map_err(|error| Error::new(Exit::Software, "writing JSON", error.to_string()))?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Where standard error is closed the exit code is all there is.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
