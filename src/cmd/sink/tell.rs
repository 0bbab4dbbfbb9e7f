//! What does the sink tell: how to send to it, and what came?

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use serde_json::json;

use super::{Options, SHOWN};
use crate::{
    error::printable,
    host::{
        config::quoted,
        listen::{Delivery, Event, Kept},
    },
    mail::tls::Facts,
};

/// Says where it listens and what to configure.
pub(super) fn announce(
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
    writeln!(talk, "sealpost sink listens on {address}. A configuration that sends to it:\n")?;
    writeln!(talk, "{}", configuration(options, address, ca_file))?;
    let file = options.config_out.as_deref().unwrap_or(Path::new("sink.toml")).display();
    let saved = if options.config_out.is_some() { "It is in" } else { "Save it (--config-out does that) as" };
    writeln!(talk, "{saved} {file}, and try:\n")?;
    writeln!(talk, "printf 'Subject: hello\\n\\nIt works.\\n' | sealpost sendmail -v -C {file} you@example.com\n")?;
    for fault in &options.fault {
        writeln!(talk, "fault {}: {}", fault.name, fault.about)?;
    }
    if options.maildir.is_none() {
        let fate = if options.json { "told of" } else { "shown" };
        writeln!(talk, "Messages are {fate} and forgotten; --maildir DIR keeps them.")?;
    }
    if !address.ip().is_loopback() {
        writeln!(talk, "This is no loopback address: whoever reaches it can hand in mail.")?;
    }
    talk.flush()
}

/// A configuration with which sealpost sends to this sink.
pub(super) fn configuration(options: &Options, address: SocketAddr, ca_file: Option<&Path>) -> String {
    let host = if address.ip().is_loopback() { "localhost".to_owned() } else { host(address.ip()) };
    let mut lines = vec!["[accounts.sink]".to_owned(), format!("host = {}", quoted(&host)), format!("port = {}", address.port())];
    lines.extend(options.lmtp.then(|| "protocol = \"lmtp\"".to_owned()));
    lines.push("\n[accounts.sink.tls]".to_owned());
    lines.push(format!("start = \"{}\"", if options.implicit { "implicit" } else { "starttls" }));
    lines.extend(options.requiretls.then(|| "requiretls = true".to_owned()));
    lines.extend(ca_file.map(|path| format!("ca_file = {}", quoted(&path.to_string_lossy()))));
    if let (Some(user), Some(file)) = (&options.user, options.password_file.as_ref().or(options.token_file.as_ref())) {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.clone());
        let file = file.to_string_lossy();
        lines.push("\n[accounts.sink.auth]".to_owned());
        lines.push(format!("user = {}", quoted(user)));
        lines.push(if options.token_file.is_some() {
            format!("token_command = {}", quoted(&format!("cat '{}'", file.replace('\'', "'\\''"))))
        } else {
            format!("password_file = {}", quoted(&file))
        });
    }
    lines.push(String::new());
    lines.join("\n")
}

fn host(ip: IpAddr) -> String {
    if ip.is_unspecified() { "localhost".to_owned() } else { ip.to_string() }
}

/// Tells of a message, or of a connection that went wrong.
pub(super) fn event(options: &Options, event: &Event, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<()> {
    match event {
        Event::Delivered(delivery) if options.json => writeln!(out, "{}", record(delivery))?,
        Event::Delivered(delivery) => write!(out, "{}\n{}", line(delivery), shown(delivery))?,
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
    line.extend(transaction.requiretls.then(|| " REQUIRETLS".to_owned()));
    line.extend(delivery.bare_line_ends.then(|| " BARE-CR-OR-LF".to_owned()));
    if let Kept::File(path) = &delivery.kept {
        let _ = write!(line, " {}", path.display());
    }
    printable(&line)
}

/// The message itself, as far as it was kept for that; it can't drive the terminal.
fn shown(delivery: &Delivery) -> String {
    let Kept::Memory(octets) = &delivery.kept else { return String::new() };
    let text = String::from_utf8_lossy(octets);
    let mut lines: Vec<String> = text.lines().map(|line| format!("  | {}", printable(line))).collect();
    let rest = delivery.size.saturating_sub(octets.len() as u64);
    if rest > 0 && octets.len() == SHOWN {
        lines.push(format!("  ... {rest} more octets"));
    }
    lines.into_iter().map(|line| line.trim_end().to_owned() + "\n").collect()
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
        "requiretls": transaction.requiretls,
        "envid": transaction.envid,
        "bare_line_ends": delivery.bare_line_ends,
        "tls": tls,
        "file": file,
    })
}
