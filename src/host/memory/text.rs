//! How is the memory of servers written down, and what makes a text one? (JSON, a line for each server; sealpost(1), "The memory of servers")

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::servers::{Days, How, Key, Server, Servers};
use crate::{host::journal, smtp::leaf};

/// The only version so far.
const VERSION: u64 = 1;

/// Octets of the largest memory.
pub(super) const LARGEST: u64 = 4 << 20;

/// Beyond this number those servers are forgotten of which nothing but TLS is known.
const MOST: usize = 10_000;

/// Why a text can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is no memory, or a broken one.
    Corrupt(String),
    /// A later sealpost wrote it.
    Newer,
}

impl Servers {
    /// Reads a text. One wrong entry spoils the whole: a key that was passed over in silence would be trusted anew in silence. Keys
    /// of JSON that are not known, and dates that are none, are passed over.
    ///
    /// # Errors
    /// Why the text can't be used.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        let corrupt = |why: &str| Unusable::Corrupt(why.to_owned());
        let whole: Value = serde_json::from_slice(text).map_err(|error| Unusable::Corrupt(format!("it is not JSON: {error}")))?;
        match whole.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(later) if later > VERSION => return Err(Unusable::Newer),
            _ => return Err(corrupt("it has no version")),
        }
        let Some(Value::Object(servers)) = whole.get("servers") else { return Err(corrupt("it has no servers")) };
        let server = |(name, entry): (&String, &Value)| {
            let server = server(entry).ok_or_else(|| Unusable::Corrupt(format!("the entry of {name} is broken")))?;
            Ok((name.clone(), server))
        };
        servers.iter().map(server).collect()
    }

    /// The text, a line for each server. Where that would be too much, those are left out of which no key is known, the ones that
    /// were not seen for longest first.
    ///
    /// `None`: the keys alone are too many, and none of them may be forgotten unasked.
    pub fn text(&self) -> Option<String> {
        let mut lines: Vec<(Option<Option<Date>>, String)> =
            self.iter().map(|(name, server)| (server.key.is_none().then(|| server.last_seen()), line(name, server))).collect();
        let (head, tail) = (format!("{{\n  \"version\": {VERSION},\n  \"servers\": {{\n"), "  }\n}\n");
        let mut octets = head.len() + tail.len() + lines.iter().map(|(_, line)| line.len() + 2).sum::<usize>();
        let mut count = lines.len();
        let mut forgettable: Vec<(Option<Date>, usize)> =
            lines.iter().enumerate().filter_map(|(index, (last, _))| Some(((*last)?, index))).collect();
        forgettable.sort_unstable();
        let fits = |count, octets: usize| count <= MOST && octets as u64 <= LARGEST;
        for (_, index) in forgettable {
            if fits(count, octets) {
                break;
            }
            let (_, line) = &mut lines[index];
            octets -= line.len() + 2;
            count -= 1;
            line.clear();
        }
        let kept: Vec<String> = lines.into_iter().map(|(_, line)| line).filter(|line| !line.is_empty()).collect();
        let end = if kept.is_empty() { "" } else { "\n" };
        (octets as u64 <= LARGEST).then(|| format!("{head}{}{end}{tail}", kept.join(",\n")))
    }
}

fn line(name: &str, server: &Server) -> String {
    let date = |date: Option<Date>| date.map(|date| date.to_string());
    let mut entry = Map::new();
    if let Some(key) = &server.key {
        let since = key.since.map(|since| since.to_string());
        entry.insert("key".into(), json!({"sha256": leaf::hex(&key.sha256), "since": since, "how": key.how.as_str()}));
    }
    if let Some(days) = &server.starttls {
        entry.insert("starttls".into(), json!({"first": date(days.first), "last": date(days.last)}));
    }
    if let Some(verified) = server.verified {
        entry.insert("verified".into(), json!(verified.to_string()));
    }
    let shown = |value: &Value| {
        let line = journal::json::line(value).unwrap_or_default();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    };
    format!("    {}: {}", shown(&json!(name)), shown(&Value::Object(entry)))
}

/// `None` where something that decides can't be read.
fn server(entry: &Value) -> Option<Server> {
    let entry = entry.as_object()?;
    let part = |key: &str| entry.get(key).filter(|value| !value.is_null());
    Some(Server {
        key: part("key").map(key).map_or(Some(None), |key| key.map(Some))?,
        starttls: part("starttls").map(days).map_or(Some(None), |days| days.map(Some))?,
        verified: entry.get("verified").and_then(date),
    })
}

fn key(value: &Value) -> Option<Key> {
    let value = value.as_object()?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    Some(Key {
        sha256: digest(text("sha256")?)?,
        since: text("since").and_then(|since| since.parse().ok()),
        how: if text("how") == Some(How::Accepted.as_str()) { How::Accepted } else { How::FirstUse },
    })
}

fn days(value: &Value) -> Option<Days> {
    let value = value.as_object()?;
    let day = |key: &str| value.get(key).and_then(date);
    Some(Days { first: day("first"), last: day("last") })
}

fn date(value: &Value) -> Option<Date> {
    value.as_str()?.parse().ok()
}

/// 64 hexadecimal digits.
pub fn digest(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    if digits.len() != 2 * octets.len() {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = pair[0] << 4 | pair[1];
    }
    Some(octets)
}
