//! `sealpost setup`: how does a machine come by an account that sends? (sealpost(1), "sealpost setup")

use std::{io::Write, path::PathBuf};

use clap::{Args, ValueHint};

use crate::{
    error::{Error, Exit},
    host::{terminal::Watch, world::World},
};

mod account;
mod agree;
mod answers;
mod dialogue;
mod draft;
mod login;
mod presets;
mod server;
mod trial;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Providers it knows: gmail, workspace-relay, office365, outlook, fastmail, ses,
mailgun, postmark, sendgrid, brevo, yahoo, icloud, gmx, gmx-com, zoho,
exchange, proton-bridge. For other domains it asks the DNS (SRV records) and
the domain's own web server (autoconfig), and then you.

Nothing is written before the account was tested and you agreed. An account
that is there already, and logs in by OAuth2, is given by its name: then
somebody agrees in a browser, once.

Examples:
  sealpost setup me@example.com             a new account, by questions
  sealpost setup --provider ses --system    for all of this machine
  sealpost setup me@example.com --non-interactive --password-file pw --yes
  sealpost setup gmail                      agree again for the account gmail
  sealpost setup work --device              on another device, with a code";

/// Set up an account: find its server, test it, write the configuration; or agree anew for one that logs in by OAuth2
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::doc_markdown, reason = "the help that people read has no backticks")]
pub struct Options {
    /// The address that mail is sent from (with an @); or the name of an account that logs in by OAuth2
    #[arg(value_name = "ADDRESS|ACCOUNT")]
    who: Option<String>,
    /// Agree on any device, with a code
    #[arg(long, conflicts_with = "browser")]
    device: bool,
    /// Agree in a browser that comes back to this machine
    #[arg(long)]
    browser: bool,
    /// The configuration to write to, or to look at, and no other
    #[arg(short = 'C', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "system")]
    file: Option<PathBuf>,
    /// Write /etc/sealpost/config.toml, for all of this machine; default for root
    #[arg(long)]
    system: bool,
    /// Ask nothing: what options, variables and the provider don't say is an error
    #[arg(long)]
    non_interactive: bool,
    /// The provider, by its short name (see below)
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The region of a provider that has several
    #[arg(long, value_name = "REGION", requires = "provider")]
    region: Option<String>,
    /// The server (also SEALPOST_HOST)
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Its port (also SEALPOST_PORT); default: 465 with implicit TLS, else 587
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// How TLS begins there (also SEALPOST_TLS_START); default: by the port
    #[arg(long, value_name = "HOW", value_parser = ["starttls", "implicit"])]
    start: Option<String>,
    /// The login (also SEALPOST_USER)
    #[arg(long, value_name = "USER", conflicts_with = "no_login")]
    user: Option<String>,
    /// Don't log in: the server knows this machine
    #[arg(long, conflicts_with_all = ["password_file", "keyring", "client_id"])]
    no_login: bool,
    /// Read the password from this file when it is needed (also SEALPOST_PASSWORD_FILE); - takes it from standard input now
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Keep the password in the keyring, not in a file
    #[arg(long, conflicts_with = "password_file")]
    keyring: bool,
    /// Log in by OAuth2, with the client of this name at the provider
    #[arg(long, value_name = "ID", conflicts_with_all = ["password_file", "keyring"])]
    client_id: Option<String>,
    /// The file that holds the secret of that client, where it has one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// The sender of mail that names none (also SEALPOST_FROM); default: ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// What the account is called; default: after the provider or the domain
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Believe the server by the authorities in this file, not the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
    /// Believe the server by the digest of its certificate or key
    #[arg(long, value_name = "DIGEST", conflicts_with = "ca_file")]
    pin: Option<String>,
    /// Connect through a SOCKS5 proxy (also SEALPOST_PROXY); no name is looked up beside it
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// When a message waits in the queue: off, fallback, always
    #[arg(long, value_name = "MODE", value_parser = ["off", "fallback", "always"])]
    queue: Option<String>,
    /// Don't test the account before it is written
    #[arg(long, conflicts_with = "send")]
    no_test: bool,
    /// Send a test mail to this address, if the account would send
    #[arg(long, value_name = "ADDRESS")]
    send: Option<String>,
    /// Write without a last question, also into a configuration that is there
    #[arg(long)]
    yes: bool,
}

/// Sets an account up, or has somebody agree for one that is there; talks and asks on `talk`.
///
/// # Errors
/// Something is missing or wrong, the account would not send, nobody agreed, or it could not be written.
pub fn run(world: &dyn World, options: &Options, talk: &mut dyn Write) -> Result<Exit, Error> {
    if agree::is_meant(world, options) {
        return agree::run(world, options, talk);
    }
    // Before there are other threads.
    account::run(world, options, &Watch::begin(), talk)
}
