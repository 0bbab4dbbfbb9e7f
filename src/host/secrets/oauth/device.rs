//! How does somebody agree in a browser that is elsewhere? (the device flow, RFC 8628)

use std::{
    thread,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::{Given, Refusal, ask, exchange};
use crate::{
    error::Error,
    host::{
        config::{Endpoint, OAuth},
        secrets::Errand,
    },
};

/// RFC 8628 3.2: where the provider names no interval; and what `slow_down` adds (3.5).
const INTERVAL: Duration = Duration::from_secs(5);
/// No provider gives anybody longer, nor asks for a longer pause.
const LONGEST: Duration = Duration::from_secs(3600);

/// Most octets of what a person reads and may have to type.
const TYPED: usize = 2000;

/// What a person has to do.
pub struct Invitation {
    /// The page to open.
    pub page: String,
    /// The page with the code in it, where there is one.
    pub complete: Option<String>,
    /// The code to type there.
    pub code: String,
    device_code: Zeroizing<String>,
    pace: Pace,
}

/// When to ask, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    interval: Duration,
    lasts: Duration,
}

/// Begins: the provider says what a person has to do.
///
/// # Errors
/// It can't be asked, or refuses.
pub fn invite(errand: &Errand<'_>, client: &OAuth, endpoint: &Endpoint) -> Result<Invitation, Error> {
    let pairs: &[(&str, &str)] = if client.scope.is_empty() { &[] } else { &[("scope", &client.scope)] };
    let invitation = ask(errand, client, endpoint, pairs, |fields| {
        let text = |names: &[&str]| fields.text(names);
        let seconds = |name: &str| fields.seconds(&[name]).and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        Ok(Invitation {
            page: page(&text(&["verification_uri", "verification_url"]).ok_or("an object without verification_uri")?)?,
            complete: text(&["verification_uri_complete"]).and_then(|text| page(&text).ok()),
            code: code(&text(&["user_code"]).ok_or("an object without user_code")?)?,
            device_code: text(&["device_code"]).ok_or("an object without device_code")?,
            pace: Pace {
                interval: seconds("interval").unwrap_or(INTERVAL).clamp(Duration::from_secs(1), LONGEST),
                lasts: seconds("expires_in").unwrap_or(LONGEST).min(LONGEST),
            },
        })
    });
    invitation.map_err(|refusal| refusal.into_error(errand, client))
}

/// A page that somebody can be sent to, to log in there.
fn page(text: &str) -> Result<String, &'static str> {
    match Endpoint::parse(text) {
        Ok(_) if text.len() <= TYPED => Ok(text.to_owned()),
        _ => Err("an object whose verification_uri is no page under https://"),
    }
}

fn code(text: &str) -> Result<String, &'static str> {
    if text.len() <= TYPED { Ok(text.to_owned()) } else { Err("an object with a user_code that nobody would type") }
}

/// Asks until somebody has agreed or declined, or the code has run out.
///
/// # Errors
/// Nobody agreed.
pub fn wait(errand: &Errand<'_>, client: &OAuth, invitation: &Invitation) -> Result<Given, Error> {
    let mut pace = invitation.pace;
    let deadline = Instant::now() + pace.lasts;
    loop {
        // A code may run out before it could be asked for.
        thread::sleep(pace.interval.min(deadline.saturating_duration_since(Instant::now())));
        let pairs =
            [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", invitation.device_code.as_str())];
        let refusal = match exchange(errand, client, &pairs) {
            Ok(given) => return Ok(given),
            Err(refusal) => refusal,
        };
        let is_over = Instant::now() + pace.interval >= deadline;
        pace = pace.after(&refusal).filter(|_| !is_over).ok_or_else(|| told(refusal, is_over).into_error(errand, client))?;
    }
}

/// What is left to say when there is no more asking: the code ran out, whatever the last answer was.
fn told(refusal: Refusal, is_over: bool) -> Refusal {
    match refusal {
        Refusal::Said { code, .. } if is_over && ["authorization_pending", "slow_down"].contains(&code.as_str()) => {
            Refusal::Said { code: "expired_token".to_owned(), words: "the code has run out".to_owned() }
        }
        other => other,
    }
}

impl Pace {
    /// How to go on after this answer; `None`: not at all. What is no answer is tried again, ever more seldom (RFC 8628 3.5).
    fn after(self, refusal: &Refusal) -> Option<Self> {
        let slower = |interval: Duration| Some(Self { interval: interval.min(LONGEST), ..self });
        match refusal {
            Refusal::Said { code, .. } if code == "authorization_pending" => Some(self),
            Refusal::Said { code, .. } if code == "slow_down" => slower(self.interval + INTERVAL),
            Refusal::Failed(error) if error.exit() == crate::error::Exit::TempFail => slower(self.interval * 2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn the_pace_is_what_the_provider_asks_for() {
        let pace = Pace { interval: Duration::from_secs(5), lasts: Duration::from_secs(600) };
        let said = |code: &str| Refusal::Said { code: code.to_owned(), words: code.to_owned() };
        let failed = |exit| Refusal::Failed(Error::new(exit, "asking", "no answer in time"));
        let seconds = |refusal| pace.after(&refusal).map(|pace| pace.interval.as_secs());
        assert_eq!(seconds(said("authorization_pending")), Some(5));
        assert_eq!(seconds(said("slow_down")), Some(10));
        assert_eq!(seconds(failed(Exit::TempFail)), Some(10));
        for end in [said("access_denied"), said("expired_token"), said("invalid_client"), failed(Exit::Config)] {
            assert_eq!(pace.after(&end), None, "{end:?}");
        }
    }
}
