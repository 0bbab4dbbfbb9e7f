//! Who hands out access tokens, and to whom? (sealpost.toml(5), "ACCOUNTS: OAUTH"; RFC 6749)

use std::path::PathBuf;

use super::{
    Target,
    section::{Found, Section},
    values::{self, Fault, Host},
};
use crate::{error::Error, smtp::sasl::Secret};

/// `[accounts.NAME.auth.oauth]`: who hands out tokens, and to whom (RFC 6749).
#[derive(Clone, Debug)]
pub struct OAuth {
    /// What the provider calls this program.
    pub client_id: String,
    /// What proves that, where the provider wants a proof.
    pub client_secret: ClientSecret,
    /// What the token is to be good for; may be empty.
    pub scope: String,
    /// Exchanges codes and refresh tokens for access tokens.
    pub token: Endpoint,
    /// Where a person agrees in a browser on this machine (RFC 8252).
    pub authorization: Option<Endpoint>,
    /// Where a person agrees in a browser elsewhere (RFC 8628).
    pub device: Option<Endpoint>,
    /// What the provider wants to be said besides, to hand out a refresh token.
    pub extra: &'static [(&'static str, &'static str)],
    /// How the provider wants this machine to be called in a redirect.
    pub redirect_host: &'static str,
    /// Where the refresh token is kept.
    pub keep: Keep,
    /// Authorities for the provider's certificate, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where the secret of an OAuth client lives.
#[derive(Clone, Debug)]
pub enum ClientSecret {
    /// There is none.
    None,
    /// In the configuration itself (0600).
    Inline(Secret),
    /// First line of a file that only its owner can read.
    File(PathBuf),
}

/// Where a refresh token is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In a file of its own in the state directory.
    State,
    /// In this file.
    File(PathBuf),
    /// In the Secret Service, or the keychain of macOS.
    Keyring,
}

/// Where HTTP is spoken: under TLS, or in plaintext on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The whole of it, as it is written.
    pub url: String,
    /// Under TLS.
    pub secure: bool,
    /// Whom to connect to.
    pub target: Target,
    /// Host and port as the Host header has them.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Endpoint {
    /// Where `https://…` leads, or `http://…` on this machine.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn parse(text: &str) -> Result<Self, String> {
        endpoint(text).map_err(|fault| fault.because)
    }
}

/// What is known of a provider, so that nobody has to look it up.
#[derive(Clone, Copy)]
struct Provider {
    token: &'static str,
    authorization: &'static str,
    device: Option<&'static str>,
    scope: &'static str,
    extra: &'static [(&'static str, &'static str)],
    redirect_host: &'static str,
}

/// Google hands out tokens for mail by the browser alone; a refresh token comes only with `access_type`, and again only with `prompt`.
const GOOGLE: Provider = Provider {
    token: "https://oauth2.googleapis.com/token",
    authorization: "https://accounts.google.com/o/oauth2/v2/auth",
    device: None,
    scope: "https://mail.google.com/",
    extra: &[("access_type", "offline"), ("prompt", "consent")],
    redirect_host: "127.0.0.1",
};

/// Microsoft, for accounts of organisations and of persons; of a loopback redirect it leaves the port open for `localhost` only.
const MICROSOFT: Provider = Provider {
    token: "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token",
    authorization: "https://login.microsoftonline.com/TENANT/oauth2/v2.0/authorize",
    device: Some("https://login.microsoftonline.com/TENANT/oauth2/v2.0/devicecode"),
    scope: "https://outlook.office.com/SMTP.Send offline_access",
    extra: &[],
    redirect_host: "localhost",
};

/// Reads `[accounts.NAME.auth.oauth]`.
pub(super) fn read(section: &Section<'_>) -> Result<OAuth, Error> {
    let provider = section.word("provider", &[("google", GOOGLE), ("microsoft", MICROSOFT)])?.map(|found| found.value);
    let tenant = tenant(section, provider.as_ref())?;
    let preset = |url: &str| endpoint(&url.replace("TENANT", &tenant)).ok();
    let token = written(section, "token_endpoint")?.or_else(|| preset(provider?.token));
    let token = token.ok_or_else(|| section.missing("provider", "the provider, or a token_endpoint", "google"))?;
    let authorization = written(section, "authorization_endpoint")?.or_else(|| preset(provider?.authorization));
    let device = written(section, "device_endpoint")?.or_else(|| preset(provider?.device?));
    if authorization.is_none() && device.is_none() {
        return Err(section.missing("device_endpoint", "where a person agrees", "https://id.example.com/device"));
    }
    let scope = section.parsed("scope", scope)?.map(|found| found.value);
    Ok(OAuth {
        client_id: section.string("client_id")?.ok_or_else(|| lacks_client(section))?,
        client_secret: client_secret(section)?,
        scope: scope.or_else(|| Some(provider?.scope.to_owned())).unwrap_or_default(),
        token,
        authorization,
        device,
        extra: provider.map_or(&[], |provider| provider.extra),
        redirect_host: provider.map_or("127.0.0.1", |provider| provider.redirect_host),
        keep: keep(section)?,
        ca_file: section.path("ca_file")?,
    })
}

fn lacks_client(section: &Section<'_>) -> Error {
    let fault = Fault::new(format!("{} has no `client_id`", section.header()));
    section.error(fault.hint("register a client with the provider, once, and name it here; sealpost.toml(5) says how"))
}

/// Whose accounts may log in with Microsoft: everybody's, or those of one organisation.
fn tenant(section: &Section<'_>, provider: Option<&Provider>) -> Result<String, Error> {
    let found = section.parsed("tenant", |text| {
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if is_plain { Ok(text.to_owned()) } else { Err(Fault::new("it is not the name or number of a tenant")) }
    })?;
    match (found, provider) {
        (Some(found), Some(provider)) if provider.token.contains("TENANT") => Ok(found.value),
        (Some(found), _) => Err(found.error(Fault::new("only provider \"microsoft\" has tenants").hint("leave it out"))),
        (None, _) => Ok("common".to_owned()),
    }
}

fn client_secret(section: &Section<'_>) -> Result<ClientSecret, Error> {
    let inline = section.parsed("client_secret", |text| Ok(Secret::new(text.to_owned())))?;
    match (inline, section.path("client_secret_file")?, section.place("client_secret_file")) {
        (Some(_), _, Some(place)) => {
            let fault = Fault::new("`client_secret_file` contradicts `client_secret`");
            Err(place.error(fault.hint("say once where the client's secret is")))
        }
        (Some(Found { value, .. }), ..) => Ok(ClientSecret::Inline(value)),
        (None, Some(path), _) => Ok(ClientSecret::File(path)),
        (None, None, _) => Ok(ClientSecret::None),
    }
}

/// Where the refresh token is kept: a file, unless the keyring is asked for.
fn keep(section: &Section<'_>) -> Result<Keep, Error> {
    let in_keyring = section.boolean("keyring")?.unwrap_or(false);
    match (in_keyring, section.path("token_file")?, section.place("token_file")) {
        (true, _, Some(place)) => {
            let fault = Fault::new("`token_file` contradicts `keyring`");
            Err(place.error(fault.hint("the refresh token is kept once")))
        }
        (true, ..) => Ok(Keep::Keyring),
        (false, Some(path), _) => Ok(Keep::File(path)),
        (false, None, _) => Ok(Keep::State),
    }
}

/// RFC 6749 3.3: words of printable ASCII without quotes and backslashes, a space between them.
fn scope(text: &str) -> Result<String, Fault> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if text.split(' ').all(is_word) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("it is not a scope: words with a space between"))
    }
}

fn written(section: &Section<'_>, key: &str) -> Result<Option<Endpoint>, Error> {
    Ok(section.parsed(key, endpoint)?.map(|found| found.value))
}

/// `https://…`, or `http://…` on this machine.
fn endpoint(text: &str) -> Result<Endpoint, Fault> {
    let fault =
        |why: &str| Fault::new(format!("it is not the address of an endpoint: {why}")).hint("like `https://id.example.com/token`");
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(fault("it begins with `https://`")),
    };
    if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['#', '\\', '"', '<', '>']) {
        return Err(fault("there is something in it that no address has"));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(fault("a login has no place in it"));
    }
    let (name, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0).ok_or_else(|| fault("its port is none"))?),
        None => (authority, if secure { 443 } else { 80 }),
    };
    let target = match values::host(name)? {
        Host::Name(name) => Target::Name(name, port),
        Host::Address(address) => Target::Address(address, port),
    };
    if !secure && !target.is_local() {
        return Err(fault("secrets cross a network under `https://` only"));
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Endpoint { url: text.to_owned(), secure, target, authority: authority.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_under_tls_or_on_this_machine() {
        let read = |text: &str| endpoint(text).map(|e| (e.secure, e.target.to_string(), e.authority, e.path)).ok();
        let parts = |secure, target: &str, authority: &str, path: &str| {
            Some((secure, target.to_owned(), authority.to_owned(), path.to_owned()))
        };
        assert_eq!(read("https://id.example.com/token?x=1"), parts(true, "id.example.com:443", "id.example.com", "/token?x=1"));
        assert_eq!(read("https://id.example.com:8443"), parts(true, "id.example.com:8443", "id.example.com:8443", "/"));
        assert_eq!(read("http://127.0.0.1:3000/t"), parts(false, "127.0.0.1:3000", "127.0.0.1:3000", "/t"));
        assert_eq!(read("http://LocalHost/t"), parts(false, "LocalHost:80", "LocalHost", "/t"));
        assert_eq!(read("http://[::1]:3000/t"), parts(false, "[::1]:3000", "[::1]:3000", "/t"));
        assert_eq!(read("https://[2001:db8::1]?q"), parts(true, "[2001:db8::1]:443", "[2001:db8::1]", "/?q"));
        for wrong in [
            "http://id.example.com/token",
            "http://localhost.example.com/token",
            "ftp://id.example.com/",
            "id.example.com/token",
            "https://me:secret@id.example.com/",
            "https://id.example.com:0/",
            "https://id.example.com:99999/",
            "https:///token",
            "https://id.example.com/a b",
            "https://id.example.com/\r\nX: y",
            "https://id.example.com/#part",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
