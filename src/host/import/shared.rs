//! What do these configurations have in common: ports by name, the system's authorities, passwords, senders, aliases, a queue?

use std::{io, path::Path};

use super::{
    Texts,
    facts::{Account, Facts, Sort, Source, Table},
    shell,
};
use crate::{
    mail::{address::Address, aliases::Aliases},
    smtp::sasl::Secret,
};

/// The alias file where nobody names another.
const ALIASES: &str = "/etc/aliases";

/// Where systems keep all of their authorities; whoever names one of these means the system's.
const AUTHORITIES: [&str; 16] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-bundle.trust.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.trust.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "/etc/ca-certificates/extracted/cadir",
    "/usr/local/etc/openssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
    "/opt/homebrew/etc/openssl@3/cert.pem",
];

/// Whether `path` is where the system keeps its authorities.
pub(super) fn is_system_store(path: &str) -> bool {
    AUTHORITIES.contains(&path.trim_end_matches('/'))
}

/// The number of a port that may be called by its name.
pub(super) fn port(text: &str) -> String {
    let number = match text.to_ascii_lowercase().as_str() {
        "smtp" => "25",
        "submission" | "msa" => "587",
        "smtps" | "submissions" | "ssmtp" | "urd" => "465",
        "lmtp" => "24",
        _ => text,
    };
    number.to_owned()
}

/// A name that an account may have.
pub(super) fn name(text: &str) -> String {
    let bad = |c: char| c.is_control() || c.is_whitespace();
    let name: String = text.trim().chars().map(|c| if bad(c) { '-' } else { c }).collect();
    if name.is_empty() { "account".to_owned() } else { name }
}

/// A name for an account that had none: what tells its server from others.
pub(super) fn name_of_host(host: &str) -> String {
    let host = host.trim_start_matches("unix:").trim_matches(['[', ']', '.', '/']);
    if host.parse::<std::net::IpAddr>().is_ok() || host.contains('/') {
        return "relay".to_owned();
    }
    let generic = ["smtp", "mail", "relay", "mailhub", "smtp-relay", "email-smtp", "send", "mailout", "localhost"];
    // Regions of clouds end in a number: eu-west-1.
    let is_region = |label: &str| label.contains('-') && label.ends_with(|c: char| c.is_ascii_digit());
    let tells = |label: &&str| label.len() > 2 && !generic.contains(label) && !is_region(label);
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    let chosen = match labels.split_last() {
        Some((_, before)) if !before.is_empty() => before.iter().copied().find(tells).or(before.first().copied()),
        _ => labels.first().copied(),
    };
    let chosen = chosen.unwrap_or("relay");
    name(&chosen.to_ascii_lowercase())
}

/// A password that stands in a configuration; none is where it is empty.
pub(super) fn password(text: &str, account: &mut Account) -> Source {
    if text.is_empty() {
        return Source::Unsaid;
    }
    // What was replaced when the file was read is lost.
    if text.contains(['\u{fffd}', '\0', '\n', '\r']) {
        account.note(Sort::LeftOut, "the password: it is not UTF-8, or has a control character in it");
        return Source::Unsaid;
    }
    Source::Password(Secret::new(text.to_owned()))
}

/// The password that `command` prints: as the command says, which is never run, or what it always prints.
pub(super) fn command(command: &str, account: &mut Account) -> Source {
    if let Some(text) = shell::constant(command) {
        account.note(Sort::Changed, "the command for the password printed a constant: that is in a file now");
        return password(&text, account);
    }
    if shell::may_hold_a_secret(command) {
        let text = "the command for the password seems to hold what it prints: whoever reads this configuration has it. Put the \
                    password into a file, and name that as password_file";
        account.note(Sort::Weak, text);
    }
    Source::Command(command.to_owned())
}

/// An address as `from` says it: there a percent sign begins what stands for something else.
pub(super) fn literal(address: &str) -> String {
    address.replace('%', "%%")
}

/// A whole address, for which a bare name gets `domain`; none where that makes none.
pub(super) fn whole(text: &str, domain: Option<&str>) -> Option<String> {
    let text = text.trim();
    let written = match domain {
        Some(domain) if !text.contains('@') => format!("{text}@{domain}"),
        _ => text.to_owned(),
    };
    Address::parse(&written).ok().map(|address| address.to_string())
}

/// The alias file that the program read, and the lines of it that ours takes nothing from.
pub(super) fn aliases(texts: &dyn Texts, facts: &mut Facts, path: &str) {
    match texts.read(Path::new(path)) {
        Ok(text) => {
            let mut lines: Vec<String> = Aliases::parse(&text).1.iter().map(|fault| fault.line.to_string()).collect();
            lines.dedup();
            if !lines.is_empty() {
                let text = format!(
                    "what stands in {path}, line {}: programs, files, includes and what is no address get no mail; newaliases tells more",
                    lines.join(", ")
                );
                facts.note(Sort::LeftOut, text);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && path != ALIASES => {
            return facts.note(Sort::LeftOut, format!("aliases: there is no {path}"));
        }
        Err(_) => {}
    }
    if path != ALIASES {
        facts.set(Table::Top, "aliases", path);
    }
}

/// The program read no aliases: what stands there is not to send mail elsewhere all at once.
pub(super) fn no_aliases(texts: &dyn Texts, facts: &mut Facts, why: &str) {
    let counts = |text: String| !Aliases::parse(&text).0.is_empty();
    if texts.read(Path::new(ALIASES)).is_ok_and(counts) {
        facts.set(Table::Top, "aliases", "");
        facts.note(Sort::LeftOut, format!("{ALIASES}: {why}; take `aliases = \"\"` out, and it counts"));
    }
}

/// Seconds as a duration of ours; none for 0.
pub(super) fn seconds(text: &str) -> Option<String> {
    let seconds: u64 = text.trim().parse().ok()?;
    let (number, unit) = match seconds {
        0 => return None,
        s if s % 86_400 == 0 => (s / 86_400, 'd'),
        s if s % 3_600 == 0 => (s / 3_600, 'h'),
        s if s % 60 == 0 => (s / 60, 'm'),
        s => (s, 's'),
    };
    Some(format!("{number}{unit}"))
}

/// What a program with a queue becomes.
pub(super) fn queue(facts: &mut Facts, how: &str) {
    facts.set(Table::Queue, "mode", "fallback");
    let text = format!(
        "{how}; now a mail is sent at once, its exit code says what the server said, and only what can't go now waits in the queue, which \
         sealpost serve sends: start it as a service, or set mode = \"off\" under [queue]"
    );
    facts.note(Sort::Changed, text);
}
