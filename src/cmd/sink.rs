//! `sealpost sink`: a smarthost for development, that keeps mail, shows the TLS it came through, and misbehaves on request.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    Args, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _},
};
use directories::BaseDirs;
use serde_json::json;

use crate::{
    error::{Error, Exit, printable},
    host::listen::{Certificate, Delivery, Event, Kept, Settings, Sink, Store, Tls},
    mail::tls::Facts,
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::{FAULTS, Fault, Faults},
    },
};

/// How long clients may take to say goodbye after the last message that was waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Be a smarthost for development: TLS with a throw-away CA, AUTH, a Maildir, and faults to test clients with.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2525")]
    listen: SocketAddr,
    /// Begin TLS before the greeting, as port 465 does, instead of by STARTTLS
    #[arg(long)]
    implicit: bool,
    /// Speak LMTP instead of SMTP
    #[arg(long)]
    lmtp: bool,
    /// Keep messages in this Maildir; without it they are shown and forgotten
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    maildir: Option<PathBuf>,
    /// Demand a login as this user
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// Its password is the first line of this file
    #[arg(long, value_name = "FILE", requires = "user", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Offer AUTH without TLS too
    #[arg(long, requires = "user")]
    auth_in_clear: bool,
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
    /// Stop after one message
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// Stop after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Write JSON lines: where it listens, then each message
    #[arg(long)]
    json: bool,
    /// Don't explain how to configure a client, don't tell of connections that went wrong
    #[arg(long)]
    quiet: bool,
}

/// Listens until enough messages came, or for good. Messages go to `out`, a line each; everything else to `talk`.
///
/// # Errors
/// It can't listen, or a file can't be read or written.
pub fn run(options: &Options, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Error> {
    let mut sink = Sink::start(settings(options)?).map_err(|error| {
        Error::new(Exit::Unavailable, format!("starting the sink on {}", options.listen), error.to_string())
            .hint("--listen 127.0.0.1:0 takes any free port")
    })?;
    let ca_file = sink.ca_pem.as_deref().map(|pem| write_ca(options, sink.address, pem)).transpose()?;
    announce(options, sink.address, ca_file.as_deref(), out, talk).map_err(|error| unheard(&error))?;
    let wanted = if options.once { Some(1) } else { options.count };
    let mut taken = 0;
    while wanted.is_none_or(|wanted| taken < wanted) {
        let Ok(event) = sink.events.recv() else { break };
        taken += u64::from(matches!(event, Event::Delivered(_)));
        tell(options, &event, out, talk).map_err(|error| unheard(&error))?;
    }
    sink.stop(GRACE);
    for event in sink.events.try_iter() {
        tell(options, &event, out, talk).map_err(|error| unheard(&error))?;
    }
    Ok(Exit::Ok)
}

/// The faults as clap offers them: names, and their explanations in `--help`.
fn faults() -> impl clap::builder::TypedValueParser<Value = &'static Fault> {
    PossibleValuesParser::new(FAULTS.iter().map(|fault| PossibleValue::new(fault.name).help(fault.about)))
        .try_map(|name| Fault::named(&name).ok_or("no such fault"))
}

fn settings(options: &Options) -> Result<Settings, Error> {
    let login = match (&options.user, &options.password_file) {
        (Some(user), Some(file)) => Some(Login { user: user.clone(), password: first_line(file)? }),
        _ => None,
    };
    let certificate = match (&options.cert, &options.key) {
        (Some(chain), Some(key)) => Certificate::Files { chain: chain.clone(), key: key.clone() },
        _ => Certificate::ThrowAway,
    };
    Ok(Settings {
        address: options.listen,
        tls: if options.implicit { Tls::Implicit } else { Tls::Starttls },
        certificate,
        lmtp: options.lmtp,
        login,
        auth_in_clear: options.auth_in_clear,
        store: options.maildir.clone().map_or(Store::Nowhere, Store::Maildir),
        faults: Faults::named(options.fault.iter().map(|fault| fault.name)),
        ..Settings::default()
    })
}

fn first_line(file: &Path) -> Result<Secret, Error> {
    let doing = || format!("reading the password from {}", file.display());
    let text = fs::read_to_string(file).map_err(|error| Error::new(Exit::NoInput, doing(), error.to_string()))?;
    let text = Secret::new(text);
    match text.expose().lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
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
    let base = BaseDirs::new().and_then(|base| base.state_dir().map(Path::to_owned));
    let directory = base.ok_or_else(|| no_ca("there is no state directory (HOME is not set)"))?.join("sealpost");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| no_ca(&format!("{}: {error}", directory.display())))?;
    Ok(directory.join(format!("sink-{port}-ca.pem")))
}

fn no_ca(because: &str) -> Error {
    Error::new(Exit::CantCreat, "writing the throw-away CA", because).hint("name another place with --ca-out FILE")
}

fn announce(
    options: &Options,
    address: SocketAddr,
    ca_file: Option<&Path>,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<()> {
    if options.json {
        writeln!(out, "{}", json!({ "event": "listening", "address": address.to_string(), "ca_file": ca_file }))?;
        out.flush()?;
    }
    if options.quiet {
        return Ok(());
    }
    writeln!(talk, "sealpost sink listens on {address}; put this into a configuration:\n")?;
    writeln!(talk, "{}", configuration(options, address, ca_file))?;
    for fault in &options.fault {
        writeln!(talk, "fault {}: {}", fault.name, fault.about)?;
    }
    if options.maildir.is_none() {
        writeln!(talk, "Messages are shown and forgotten; --maildir DIR keeps them.")?;
    }
    if !address.ip().is_loopback() {
        writeln!(talk, "This is no loopback address: whoever reaches it can hand in mail.")?;
    }
    talk.flush()
}

/// A configuration with which sealpost sends to this sink.
fn configuration(options: &Options, address: SocketAddr, ca_file: Option<&Path>) -> String {
    let host = if address.ip().is_loopback() { "localhost".to_owned() } else { host(address.ip()) };
    let mut lines = vec!["[accounts.sink]".to_owned(), format!("host = {}", quoted(&host)), format!("port = {}", address.port())];
    lines.extend(options.lmtp.then(|| "protocol = \"lmtp\"".to_owned()));
    lines.push("\n[accounts.sink.tls]".to_owned());
    lines.push(format!("start = \"{}\"", if options.implicit { "implicit" } else { "starttls" }));
    lines.extend(ca_file.map(|path| format!("ca_file = {}", quoted(&path.to_string_lossy()))));
    if let (Some(user), Some(file)) = (&options.user, &options.password_file) {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.clone());
        lines.push("\n[accounts.sink.auth]".to_owned());
        lines.push(format!("user = {}", quoted(user)));
        lines.push(format!("password_file = {}", quoted(&file.to_string_lossy())));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn host(ip: IpAddr) -> String {
    if ip.is_unspecified() { "localhost".to_owned() } else { ip.to_string() }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    use std::fmt::Write as _;

    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn tell(options: &Options, event: &Event, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<()> {
    match event {
        Event::Delivered(delivery) if options.json => writeln!(out, "{}", record(delivery))?,
        Event::Delivered(delivery) => writeln!(out, "{}", line(delivery))?,
        Event::Trouble { peer, what } if !options.quiet => writeln!(talk, "{peer}: {}", printable(what))?,
        Event::Trouble { .. } => {}
    }
    out.flush()
}

/// One message in one line for a person.
fn line(delivery: &Delivery) -> String {
    use std::fmt::Write as _;

    let transaction = &delivery.transaction;
    let to: Vec<String> = transaction.recipients.iter().map(|recipient| format!("<{}>", recipient.address)).collect();
    let mut line = format!("<{}> -> {}, {} octets", transaction.sender, to.join(" "), delivery.size);
    match &delivery.tls {
        Some(Facts { version, cipher, group, .. }) => {
            line.extend([version, cipher, group].into_iter().flatten().map(|word| format!(" {word}")));
        }
        None => line.push_str(" PLAINTEXT"),
    }
    line.extend(transaction.user.iter().map(|user| format!(" user={user}")));
    line.extend(delivery.bare_line_ends.then(|| " BARE-CR-OR-LF".to_owned()));
    if let Kept::File(path) = &delivery.kept {
        let _ = write!(line, " {}", path.display());
    }
    printable(&line)
}

/// One message for a program.
fn record(delivery: &Delivery) -> serde_json::Value {
    let transaction = &delivery.transaction;
    let recipients: Vec<&str> = transaction.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    let tls = delivery.tls.as_ref().map(|facts| {
        json!({ "version": facts.version, "cipher": facts.cipher, "group": facts.group, "resumed": facts.resumed, "sni": delivery.sni })
    });
    let file = if let Kept::File(path) = &delivery.kept { Some(path) } else { None };
    json!({
        "event": "message",
        "peer": delivery.peer.to_string(),
        "hello": transaction.hello,
        "user": transaction.user,
        "from": transaction.sender,
        "recipients": recipients,
        "size": delivery.size,
        "declared_size": transaction.size,
        "eight_bit": transaction.eight_bit,
        "smtputf8": transaction.smtputf8,
        "envid": transaction.envid,
        "bare_line_ends": delivery.bare_line_ends,
        "tls": tls,
        "file": file,
    })
}

fn unheard(error: &io::Error) -> Error {
    Error::new(Exit::IoErr, "telling what the sink does", error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lettre::{Message, SmtpTransport, Transport as _};

    use super::*;
    use crate::{
        host::{
            config::{self, Protocol, SecretSource, Target},
            world::Pretend,
        },
        mail::policy::Start,
    };

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &[&str]) -> Options {
        Line::try_parse_from([&["sink"], words].concat()).unwrap().options
    }

    #[test]
    fn the_printed_configuration_can_be_read_and_says_what_was_asked_for() {
        let options = options(&["--implicit", "--lmtp", "--user", "t\"im", "--password-file", "/x/pw"]);
        let text = configuration(&options, "127.0.0.1:4465".parse().unwrap(), Some(Path::new("/x/c\\a.pem")));
        let config = config::parse(&Pretend::default(), Path::new("config.toml"), &text).unwrap();
        let account = &config.accounts[0];
        assert_eq!(account.target, Target::Name("localhost".to_owned(), 4465));
        assert_eq!(account.protocol, Protocol::Lmtp);
        assert_eq!(account.tls.demand.start, Start::Implicit);
        assert_eq!(account.tls.ca_file.as_deref(), Some(Path::new("/x/c\\a.pem")));
        let auth = account.auth.as_ref().unwrap();
        assert_eq!(auth.user, "t\"im");
        assert!(matches!(&auth.source, SecretSource::File(path) if path == Path::new("/x/pw")));
    }

    #[test]
    fn faults_are_known_by_name_and_explained_in_help() {
        assert_eq!(options(&["--fault", "expired", "--fault", "slow"]).fault.len(), 2);
        let help = <Line as clap::CommandFactory>::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for fault in &FAULTS {
            assert!(help.contains(fault.name) && help.contains(fault.about), "{}", fault.name);
        }
        for wrong in [&["--fault", "nonsense"][..], &["--user", "x"], &["--cert", "x"], &["--count", "0"], &["--listen", "2525"]] {
            assert!(Line::try_parse_from([&["sink"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }

    /// A pipe end that the thread of the test reads lines from.
    struct Lines(std::sync::mpsc::Sender<String>);

    impl Write for Lines {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(octets).into_owned()).map_err(io::Error::other)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_says_where_it_listens_tells_of_one_message_and_stops() {
        let ca = std::env::temp_dir().join(format!("sealpost-sink-test-{}.pem", std::process::id()));
        let options = options(&["--listen", "127.0.0.1:0", "--once", "--json", "--quiet", "--ca-out", ca.to_str().unwrap()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        let running = std::thread::spawn(move || run(&options, &mut Lines(sender), &mut io::sink()));
        let mut said = String::new();
        while !said.ends_with('\n') {
            said.push_str(&receiver.recv().unwrap());
        }
        let listening: serde_json::Value = serde_json::from_str(&said).unwrap();
        let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();
        assert!(fs::read_to_string(listening["ca_file"].as_str().unwrap()).unwrap().contains("BEGIN CERTIFICATE"));
        let message = Message::builder().from("a@b.example".parse().unwrap()).to("c@d.example".parse().unwrap());
        SmtpTransport::builder_dangerous("127.0.0.1")
            .port(address.port())
            .build()
            .send(&message.body("x".to_owned()).unwrap())
            .unwrap();
        assert_eq!(running.join().unwrap().unwrap(), Exit::Ok);
        let told: serde_json::Value = serde_json::from_str(&receiver.iter().collect::<String>()).unwrap();
        assert_eq!(told["from"], "a@b.example");
        assert_eq!(told["recipients"], json!(["c@d.example"]));
        assert_eq!(told["tls"], serde_json::Value::Null);
        fs::remove_file(ca).unwrap();
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_with_a_way_out() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let options = options(&["--listen", &taken.local_addr().unwrap().to_string()]);
        let error = run(&options, &mut io::sink(), &mut io::sink()).unwrap_err();
        assert_eq!(error.exit(), Exit::Unavailable);
        assert!(error.advice().unwrap().contains("127.0.0.1:0"));
    }
}
