//! How is it told what is remembered, in 80 columns and in JSON?

use jiff::civil::Date;
use serde_json::{Value, json};

use super::meeting::Shown;
use crate::{
    cmd::wrap::wrapped,
    error::printable,
    host::memory::{Key, Server, Servers},
    mail::tls::Certificate,
    smtp::leaf,
};

/// A terminal's width.
const WIDTH: usize = 80;
/// The widest name that stands in the same line as the rest.
const NAME: usize = 32;
/// Where the text of a row begins, behind its label.
const INDENT: usize = 12;
/// Names of a certificate that are shown.
const MOST_NAMES: usize = 12;

/// A row for each server, and its key below.
pub(super) fn table(servers: &Servers) -> String {
    let rows: Vec<(String, &Server)> = servers.iter().map(|(name, server)| (printable(name), server)).collect();
    let Some(widest) = rows.iter().map(|(name, _)| name.chars().count()).max() else { return String::new() };
    let width = widest.clamp("server".len(), NAME);
    let mut text = format!("{:width$}  since       last        starttls  key\n", "server");
    for (name, server) in rows {
        let name = if name.chars().count() > width {
            text.extend(wrapped(&name, WIDTH).into_iter().map(|line| line + "\n"));
            String::new()
        } else {
            name
        };
        let starttls = if server.starttls.is_some() { "yes" } else { "-" };
        let how = server.key.as_ref().map_or("-", |key| key.how.as_str());
        let (first, last) = (day(server.first_seen()), day(server.last_seen()));
        text += &format!("{name:width$}  {first:10}  {last:10}  {starttls:8}  {how}\n");
        if let Some(key) = &server.key {
            text += &format!("    {}\n", sha256(&key.sha256));
        }
    }
    text
}

/// What is remembered of a server, as JSON.
pub(super) fn object(name: &str, server: &Server) -> Value {
    let date = |date: Option<Date>| date.map(|date| date.to_string());
    json!({
        "server": name,
        "since": date(server.first_seen()),
        "last": date(server.last_seen()),
        "starttls": server.starttls.as_ref().map(|days| json!({"first": date(days.first), "last": date(days.last)})),
        "verified": date(server.verified),
        "key": server.key.as_ref().map(key),
    })
}

/// The certificate that a server showed, and what was remembered of it before.
pub(super) fn shown(name: &str, shown: &Shown, before: &Server) -> String {
    let Certificate { subject, issuer, names, not_before, not_after, .. } = &shown.certificate;
    let more = if names.len() > MOST_NAMES { ", …" } else { "" };
    let names = format!("{}{more}", names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", "));
    let mut text = format!("{} shows\n", printable(name));
    for (label, value) in [
        ("subject", subject.clone()),
        ("issuer", issuer.clone()),
        ("names", names),
        ("valid", format!("{not_before} to {not_after}")),
    ] {
        for (index, line) in wrapped(&printable(&value), WIDTH - INDENT).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            text += &format!("  {label:0$}{line}\n", INDENT - 2);
        }
    }
    text += &format!("  certificate\n    {}\n", sha256(&shown.certificate_digest));
    text += &format!("  key\n    {}\n", sha256(&shown.key));
    if let Some(key) = &before.key {
        let since = key.since.map(|since| format!(" since {since}")).unwrap_or_default();
        let how = key.how.as_str();
        text += &if key.sha256 == shown.key {
            format!("  this key is believed already{since} ({how})\n")
        } else {
            format!("  ANOTHER key was believed{since} ({how})\n    {}\n", sha256(&key.sha256))
        };
    }
    if shown.is_vouched_for {
        text += "  an authority vouches for it: trust = \"system\" needs no memory\n";
    }
    text
}

/// What was accepted, as JSON.
pub(super) fn acceptance(name: &str, shown: &Shown, before: &Server) -> Value {
    let Certificate { subject, issuer, names, not_before, not_after, sha256, spki_sha256 } = &shown.certificate;
    json!({
        "server": name,
        "accepted": spki_sha256,
        "before": before.key.as_ref().map(key),
        "vouched_for": shown.is_vouched_for,
        "certificate": {"subject": subject, "issuer": issuer, "names": names, "not_before": not_before, "not_after": not_after,
            "sha256": sha256, "spki_sha256": spki_sha256},
    })
}

fn key(key: &Key) -> Value {
    json!({"sha256": leaf::hex(&key.sha256), "since": key.since.map(|since| since.to_string()), "how": key.how.as_str()})
}

fn sha256(digest: &[u8; 32]) -> String {
    format!("sha256:{}", leaf::hex(digest))
}

fn day(date: Option<Date>) -> String {
    date.map_or_else(|| "-".to_owned(), |date| date.to_string())
}
