//! What does a domain publish of its mail servers, in the way that Thunderbird reads? (autoconfig, config-v1.1.xml; HTTPS only)

use std::time::{Duration, Instant};

use super::{
    config::Endpoint,
    dial::Way,
    http::{self, Answer, Form},
};
use crate::{
    error::{Error, Exit},
    mail::address::Address,
};

mod document;

pub use document::{Login, Server, parse};

/// How long the domain may take to answer, redirects included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const REDIRECTS: usize = 3;

/// The server for outgoing mail that `domain`, which `address` is in, names first, of those with TLS; `None` where it says so in a document that
/// names none. Who answers is verified, and every redirect leads to somebody who is verified as well: what the document says is what the
/// domain says.
///
/// # Errors
/// Why there is no such document, of both places where it may be; what is wrong with the one that there is.
pub fn find(way: Way<'_>, address: &Address, domain: &str) -> Result<Option<Server>, Error> {
    let query = Form::new(&[("emailaddress", &address.to_string())]);
    let places = [
        format!("https://autoconfig.{domain}/mail/config-v1.1.xml?{}", query.as_str()),
        format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
    ];
    let mut first = None;
    for place in places {
        match fetch(way, place) {
            Ok((url, answer)) => {
                let read = std::str::from_utf8(&answer.body).map_err(|_| "it is not UTF-8".to_owned());
                let servers = read.and_then(document::parse).map_err(|why| {
                    Error::new(Exit::Protocol, format!("reading {url}"), format!("it is no description of mail servers: {why}"))
                })?;
                return Ok(servers.into_iter().next().map(|server| server.of(address)));
            }
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::new(Exit::TempFail, "looking for settings", "there is no place to look at")))
}

/// The document at `url`, or where that leads.
fn fetch(way: Way<'_>, mut url: String) -> Result<(String, Answer), Error> {
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..=REDIRECTS {
        let failed = |exit, why: &str| Error::new(exit, format!("asking {url}"), why);
        let endpoint = Endpoint::parse(&url).map_err(|why| failed(Exit::Protocol, &why))?;
        if !endpoint.secure {
            return Err(failed(Exit::Protocol, "it is not under TLS, so anybody could answer"));
        }
        let answer = http::get(way, &endpoint, deadline.saturating_duration_since(Instant::now()))?;
        match (answer.status, &answer.location) {
            (200, _) => return Ok((url, answer)),
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                // Relative to the root or whole: other forms are nobody's.
                let next = if location.starts_with('/') && !location.starts_with("//") {
                    format!("https://{}{location}", endpoint.authority)
                } else {
                    location.clone()
                };
                if !next.starts_with("https://") {
                    return Err(failed(Exit::Protocol, "it redirects to a place without TLS, which is not followed"));
                }
                url = next;
            }
            (status, _) => return Err(failed(Exit::Unavailable, &format!("it answers with status {status}"))),
        }
    }
    Err(Error::new(Exit::Protocol, format!("asking {url}"), "it redirects again and again"))
}
