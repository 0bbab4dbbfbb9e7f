//! `sealpost sink`: a smarthost for development, that keeps mail, shows the TLS it came through, and misbehaves on request.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    Args, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _},
};
use directories::BaseDirs;
use zeroize::Zeroizing;

use crate::{
    error::{Error, Exit},
    host::listen::{Certificate, Event, Settings, Sink, Store, Tls},
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::{FAULTS, Fault, Faults, Premise},
    },
};

mod tell;

/// Octets of a message that a person is shown.
const SHOWN: usize = 16 << 10;
/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  sealpost sink                               begin here: it says how to send to it
  sealpost sink --maildir inbox --once        keep one message, and stop
  sealpost sink --listen 0 --json             any free port, told in JSON: for scripts
  sealpost sink --fault starttls-454          a server that refuses STARTTLS
  sealpost sink --implicit --user me --password-file pw --fault auth-535";
/// How long clients may take to say goodbye after the last message that was waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Be a smarthost for development: TLS with a throw-away CA, AUTH, a Maildir, and faults to test clients with.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where to listen; a port alone is one of 127.0.0.1, port 0 any free one
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "127.0.0.1:2525", value_parser = address)]
    listen: SocketAddr,
    /// Begin TLS before the greeting, as port 465 does, instead of by STARTTLS
    #[arg(long)]
    implicit: bool,
    /// Speak LMTP instead of SMTP
    #[arg(long)]
    lmtp: bool,
    /// Keep messages in this Maildir, made where it is missing; without it they are shown and forgotten
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    maildir: Option<PathBuf>,
    /// Demand a login as this user
    #[arg(long, requires = "secret")]
    user: Option<String>,
    /// Its password is the first line of this file
    #[arg(long, value_name = "FILE", requires = "user", group = "secret", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// It logs in by the access token in the first line of this file (OAUTHBEARER, XOAUTH2)
    #[arg(long, value_name = "FILE", requires = "user", group = "secret", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// Offer AUTH without TLS too
    #[arg(long, requires = "user")]
    auth_in_clear: bool,
    /// Offer REQUIRETLS (RFC 8689), and tell of mail that asks for it
    #[arg(long)]
    requiretls: bool,
    /// Go wrong in this way; may be given several times
    #[arg(long, value_name = "NAME", value_parser = faults())]
    fault: Vec<&'static Fault>,
    /// Show this certificate chain (PEM) instead of a throw-away one
    #[arg(long, value_name = "FILE", requires = "key", value_hint = ValueHint::FilePath)]
    cert: Option<PathBuf>,
    /// The private key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// Write the throw-away CA here, for `ca_file`; default: in your state directory
    #[arg(long, value_name = "FILE", conflicts_with = "cert", value_hint = ValueHint::FilePath)]
    ca_out: Option<PathBuf>,
    /// Write the configuration that sends to this sink here, for `sealpost sendmail -C`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config_out: Option<PathBuf>,
    /// Stop after one message
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// Stop after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Write JSON lines: where it listens, then each message
    #[arg(long)]
    json: bool,
    /// Only a line for each message: no explanation, no content, no word on connections that went wrong
    #[arg(long)]
    quiet: bool,
}

/// Listens until enough messages came, or for good. Messages go to `out`; everything else to `talk`.
///
/// # Errors
/// It can't listen, a file can't be read or written, or a fault could never strike.
pub fn run(options: &Options, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Error> {
    options.fault.iter().try_for_each(|fault| possible(options, fault))?;
    let mut sink = Sink::start(settings(options)?).map_err(|error| mute(options.listen, &error))?;
    let ca_file = sink.ca_pem.as_deref().map(|pem| write_ca(options, sink.address, pem)).transpose()?;
    if let Some(file) = &options.config_out {
        let written = fs::write(file, tell::configuration(options, sink.address, ca_file.as_deref()));
        written.map_err(|error| Error::new(Exit::CantCreat, format!("writing {}", file.display()), error.to_string()))?;
    }
    tell::announce(options, sink.address, ca_file.as_deref(), out, talk).map_err(|error| unheard(&error))?;
    let wanted = if options.once { Some(1) } else { options.count };
    let mut taken = 0;
    while wanted.is_none_or(|wanted| taken < wanted) {
        let Ok(event) = sink.events.recv() else { break };
        taken += u64::from(matches!(event, Event::Delivered(_)));
        tell::event(options, &event, out, talk).map_err(|error| unheard(&error))?;
    }
    sink.stop(GRACE);
    for event in sink.events.try_iter() {
        tell::event(options, &event, out, talk).map_err(|error| unheard(&error))?;
    }
    Ok(Exit::Ok)
}

/// `2525`, `localhost:2525`, `[::1]:2525`: no name is looked up.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    let local = port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    local.or_else(|_| text.parse()).map_err(|_| "a port, or an IP address and a port: 2525, 127.0.0.1:2525, [::1]:2525".to_owned())
}

/// A fault that never strikes would show a client in too good a light.
fn possible(options: &Options, fault: &Fault) -> Result<(), Error> {
    let (is_met, hint) = match fault.premise() {
        None => return Ok(()),
        Some(Premise::Login) => (options.password_file.is_some(), "add --user NAME --password-file FILE"),
        Some(Premise::Token) => (options.token_file.is_some(), "add --user NAME --token-file FILE"),
        Some(Premise::Starttls) => (!options.implicit, "leave --implicit out"),
        Some(Premise::Implicit) => (options.implicit, "add --implicit"),
        Some(Premise::OwnCertificate) => (options.cert.is_none(), "leave --cert and --key out"),
    };
    let doing = || format!("playing the fault {}", fault.name);
    if is_met { Ok(()) } else { Err(Error::new(Exit::Usage, doing(), "it can't strike with these options").hint(hint)) }
}

fn mute(address: SocketAddr, error: &io::Error) -> Error {
    let told = Error::new(Exit::Unavailable, format!("starting the sink on {address}"), error.to_string());
    match error.kind() {
        io::ErrorKind::AddrInUse => told.hint("--listen 0 takes any free port"),
        io::ErrorKind::PermissionDenied if address.port() < 1024 => told.hint("ports below 1024 are root's: take a higher one"),
        _ => told,
    }
}

/// The faults as clap offers them: names, and their explanations in `--help`.
fn faults() -> impl clap::builder::TypedValueParser<Value = &'static Fault> {
    PossibleValuesParser::new(FAULTS.iter().map(|fault| PossibleValue::new(fault.name).help(fault.about)))
        .try_map(|name| Fault::named(&name).ok_or("no such fault"))
}

fn settings(options: &Options) -> Result<Settings, Error> {
    let login = match (&options.user, &options.password_file, &options.token_file) {
        (Some(user), Some(file), _) => Some(Login { user: user.clone(), password: Secret::new(first_line(file)?) }),
        (Some(user), None, Some(file)) => Some(Login { user: user.clone(), password: Secret::token(first_line(file)?) }),
        _ => None,
    };
    let certificate = match (&options.cert, &options.key) {
        (Some(chain), Some(key)) => Certificate::Files { chain: chain.clone(), key: key.clone() },
        _ => Certificate::ThrowAway,
    };
    let shown = if options.json || options.quiet { 0 } else { SHOWN };
    Ok(Settings {
        address: options.listen,
        tls: if options.implicit { Tls::Implicit } else { Tls::Starttls },
        certificate,
        lmtp: options.lmtp,
        login,
        auth_in_clear: options.auth_in_clear,
        requiretls: options.requiretls,
        store: options.maildir.clone().map_or(Store::Beginning(shown), Store::Maildir),
        faults: Faults::named(options.fault.iter().map(|fault| fault.name)),
        ..Settings::default()
    })
}

fn first_line(file: &Path) -> Result<String, Error> {
    let doing = || format!("reading the secret from {}", file.display());
    let text = fs::read_to_string(file).map_err(|error| Error::new(Exit::NoInput, doing(), error.to_string()))?;
    match Zeroizing::new(text).lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Error::new(Exit::Config, doing(), "its first line is empty")),
    }
}

/// Puts the CA where a configuration can name it, and says where that is.
fn write_ca(options: &Options, address: SocketAddr, pem: &str) -> Result<PathBuf, Error> {
    let path = options.ca_out.clone().map_or_else(|| usual_ca(address.port()), Ok)?;
    let written = fs::write(&path, pem).and_then(|()| fs::canonicalize(&path));
    written.map_err(|error| no_ca(&format!("{}: {error}", path.display())))
}

/// The port is in the name so that two sinks keep apart; it is the same at the next start, so that a configuration stays right.
fn usual_ca(port: u16) -> Result<PathBuf, Error> {
    let base = BaseDirs::new().and_then(|base| base.state_dir().filter(|path| path.is_absolute()).map(Path::to_owned));
    let directory = base.ok_or_else(|| no_ca("there is no state directory (HOME is not set)"))?.join("sealpost");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| no_ca(&format!("{}: {error}", directory.display())))?;
    Ok(directory.join(format!("sink-{port}-ca.pem")))
}

fn no_ca(because: &str) -> Error {
    Error::new(Exit::CantCreat, "writing the throw-away CA", because).hint("name another place with --ca-out FILE")
}

fn unheard(error: &io::Error) -> Error {
    Error::new(Exit::IoErr, "telling what the sink does", error.to_string())
}

#[cfg(test)]
mod tests;
