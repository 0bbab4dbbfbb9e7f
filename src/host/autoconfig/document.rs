//! Which servers does a document of Thunderbird's autoconfig name? (config-v1.1; XML without any DTD)

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};

use crate::mail::{address::Address, policy::Start};

/// A server for outgoing mail, with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or address, as it is written.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How TLS begins there.
    pub start: Start,
    /// The login; placeholders stand for the address and its parts. `None` where none is named.
    pub user: Option<String>,
    /// How one logs in.
    pub login: Login,
}

/// How one logs in at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// By a password.
    Password,
    /// By a token of OAuth2.
    OAuth,
    /// Not at all.
    Nothing,
}

/// Most names of users and hosts that make sense, in octets.
const LONGEST: usize = 255;

/// Where the elements are that count.
const SERVER: [&str; 3] = ["clientConfig", "emailProvider", "outgoingServer"];

impl Server {
    /// The same with the address in place of what stands for it.
    pub(super) fn of(mut self, address: &Address) -> Self {
        let whole = address.to_string();
        let (local, domain) = whole.rsplit_once('@').unwrap_or((&whole, ""));
        for text in std::iter::once(&mut self.host).chain(&mut self.user) {
            *text = text.replace("%EMAILADDRESS%", &whole).replace("%EMAILLOCALPART%", local).replace("%EMAILDOMAIN%", domain);
        }
        self
    }
}

/// One `outgoingServer` as far as it is read.
#[derive(Default)]
struct Reading {
    host: Option<String>,
    port: Option<u16>,
    start: Option<Start>,
    user: Option<String>,
    login: Option<Login>,
}

/// The servers of the document in its order, which is that of its preference; those without TLS are left out.
///
/// # Errors
/// It is no such document, has a DTD or entities of its own, or says what can't be.
pub fn parse(text: &str) -> Result<Vec<Server>, String> {
    let mut reader = Reader::from_str(text);
    let (mut path, mut content) = (Vec::<String>::new(), String::new());
    let (mut reading, mut servers) = (None::<Reading>, Vec::new());
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(tag) => {
                open(&mut path, &tag, &mut reading)?;
                content.clear();
            }
            Event::End(_) => {
                close(&path, content.trim(), &mut reading, &mut servers)?;
                path.pop();
                content.clear();
            }
            // What has no content says nothing, except that it could be the root.
            Event::Empty(tag) => {
                open(&mut path, &tag, &mut reading)?;
                close(&path, "", &mut reading, &mut servers)?;
                path.pop();
            }
            Event::Text(text) => content.push_str(&text.xml10_content()),
            Event::CData(text) => content.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => content.push_str(&resolved(&name)?),
            Event::DocType(_) => return Err("it has a DTD".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if path.is_empty() => return Ok(servers),
            Event::Eof => return Err("it breaks off".to_owned()),
        }
    }
}

fn open(path: &mut Vec<String>, tag: &BytesStart<'_>, reading: &mut Option<Reading>) -> Result<(), String> {
    let name = tag.name().as_ref().to_owned();
    if path.is_empty() && name != SERVER[0] {
        return Err("its root is not clientConfig".to_owned());
    }
    path.push(name);
    if is_server(path) {
        let kind = tag.try_get_attribute("type").map_err(|error| error.to_string())?;
        let kind =
            kind.map(|kind| kind.normalized_value(XmlVersion::Implicit1_0)).transpose().map_err(|error| error.to_string())?;
        *reading = (kind.as_deref() == Some("smtp")).then(Reading::default);
    }
    Ok(())
}

fn close(path: &[String], text: &str, reading: &mut Option<Reading>, servers: &mut Vec<Server>) -> Result<(), String> {
    if is_server(path) {
        servers.extend(reading.take().and_then(Reading::finish));
        return Ok(());
    }
    let (Some(server), [parents @ .., name]) = (reading, path) else { return Ok(()) };
    if !is_server(parents) {
        return Ok(());
    }
    match name.as_str() {
        "hostname" => server.host = Some(sensible(text)?),
        "port" => {
            let port = text.parse().ok().filter(|port| *port != 0);
            server.port = Some(port.ok_or("a port is no number from 1 to 65535")?);
        }
        "socketType" => {
            server.start = match text {
                "SSL" => Some(Start::Implicit),
                "STARTTLS" => Some(Start::Starttls),
                _ => None,
            }
        }
        "username" => server.user = Some(sensible(text)?),
        // The first that we know; they stand in the order of preference.
        "authentication" if server.login.is_none() => server.login = login(text),
        _ => {}
    }
    Ok(())
}

fn is_server(path: &[String]) -> bool {
    path.iter().map(String::as_str).eq(SERVER)
}

/// `plain` and `secure` are what older documents say.
fn login(text: &str) -> Option<Login> {
    match text {
        "password-cleartext" | "password-encrypted" | "plain" | "secure" => Some(Login::Password),
        "OAuth2" => Some(Login::OAuth),
        "none" | "client-IP-address" => Some(Login::Nothing),
        _ => None,
    }
}

fn sensible(text: &str) -> Result<String, String> {
    let is_fine = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    if is_fine { Ok(text.to_owned()) } else { Err("the name of a host or a user is none".to_owned()) }
}

/// What a reference stands for: a character, or one of the five names that XML itself has. A document without a DTD has no others.
fn resolved(name: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = name.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.to_string());
    }
    resolve_predefined_entity(name).map(str::to_owned).ok_or_else(|| "it has an entity of its own".to_owned())
}

impl Reading {
    /// `None` for one without TLS, or without a host.
    fn finish(self) -> Option<Server> {
        let start = self.start?;
        let usual = if start == Start::Implicit { 465 } else { 587 };
        Some(Server {
            host: self.host?,
            port: self.port.unwrap_or(usual),
            start,
            user: self.user,
            login: self.login.unwrap_or(Login::Password),
        })
    }
}

#[cfg(test)]
mod tests;
