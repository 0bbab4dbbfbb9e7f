//! How are access tokens had from who hands them out, and how is the right to them kept? (RFC 6749; sealpost.toml(5), "ACCOUNTS: OAUTH")

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{Errand, fields::Fields, token::Token};
use crate::{
    error::{Error, Exit},
    host::{
        config::{ClientSecret, Endpoint, Keep, OAuth},
        http::{self, Form},
    },
    smtp::sasl::{Mask, Secret},
};

pub mod browser;
pub mod device;
mod grant;

pub use grant::{Grant, Store};

/// How long another process may take to refresh the token that we wait for: a whole exchange with the provider, and some.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of what a provider says is quoted, in characters.
const QUOTED: usize = 300;

/// What a provider gives.
pub struct Given {
    token: Token,
    refresh: Option<Zeroizing<String>>,
}

/// Why a provider gives nothing.
#[derive(Debug)]
pub enum Refusal {
    /// It said so (RFC 6749 5.2).
    Said {
        /// The code.
        code: String,
        /// The whole of it, for a person.
        words: String,
    },
    /// It could not be asked, or its answer makes no sense.
    Failed(Error),
}

/// An access token: the one that is kept while it is fresh and not `refused`, else a new one for the refresh token.
///
/// Of many processes one asks, and the others wait for what it was told: a provider that gives a new refresh token with each
/// access token takes the old one once.
///
/// # Errors
/// `EX_CONFIG`: nobody has agreed yet. `EX_NOPERM`: the provider no longer takes the refresh token. `EX_TEMPFAIL`: it can't be
/// asked, or its answer could not be kept.
pub(super) fn token(errand: &Errand<'_>, client: &OAuth, refused: Option<&Secret>) -> Result<Secret, Error> {
    let store = Store::new(errand, client)?;
    if let Some(token) = store.load()?.and_then(|grant| grant.usable(errand, refused)) {
        return Ok(token.into_secret());
    }
    let lock = store.lock(Instant::now() + PATIENCE)?;
    let mut grant = store.load()?.ok_or_else(|| nobody_agreed(errand, client))?;
    if let Some(token) = grant.take_usable(errand, refused) {
        return Ok(token.into_secret());
    }
    let room = store.room(&lock)?;
    let given = refresh(errand, client, &grant).map_err(|refusal| refusal.into_error(errand, client))?;
    grant.renew(given);
    room.fill(&store, &grant)?;
    grant.take_token().map(Token::into_secret).ok_or_else(|| nobody_agreed(errand, client))
}

/// Whether somebody has agreed; the keyring is not asked, and counts as yes.
///
/// # Errors
/// The file can't be read, or others can.
pub fn is_agreed(errand: &Errand<'_>, client: &OAuth) -> Result<bool, Error> {
    let store = Store::new(errand, client)?;
    Ok(store.is_keyring() || store.load()?.is_some())
}

/// What `config check` and a send say where nobody has agreed. Some keyrings hide
/// what they hold while they are locked: it may work later.
pub fn nobody_agreed(errand: &Errand<'_>, client: &OAuth) -> Error {
    let name = &errand.account.name;
    if client.keep == Keep::Keyring {
        let because = "the keyring has no token: nobody has agreed yet that sealpost may send for this account, or it is hidden";
        let hint = format!("run `sealpost setup {name}` once; if you have, unlock the keyring");
        return Error::new(Exit::TempFail, errand.doing(), because).hint(hint);
    }
    Error::new(Exit::Config, errand.doing(), "nobody has agreed yet that sealpost may send for this account")
        .hint(format!("run `sealpost setup {name}` once, as the same user"))
}

fn refresh(errand: &Errand<'_>, client: &OAuth, grant: &Grant) -> Result<Given, Refusal> {
    exchange(errand, client, &[("grant_type", "refresh_token"), ("refresh_token", grant.refresh_token())])
}

/// Asks the token endpoint.
fn exchange(errand: &Errand<'_>, client: &OAuth, pairs: &[(&str, &str)]) -> Result<Given, Refusal> {
    ask(errand, client, &client.token, pairs, |fields| {
        let token = Token::of(fields, errand.world.timestamp())?.ok_or("an object without access_token")?;
        Ok(Given { token, refresh: fields.text(&["refresh_token"]) })
    })
}

/// Sends a form in the client's name and reads the object that is the answer.
fn ask<T>(
    errand: &Errand<'_>,
    client: &OAuth,
    endpoint: &Endpoint,
    pairs: &[(&str, &str)],
    read: impl FnOnce(&Fields<'_>) -> Result<T, &'static str>,
) -> Result<T, Refusal> {
    let secret = client_secret(errand, client).map_err(Refusal::Failed)?;
    let mut pairs = pairs.to_vec();
    pairs.push(("client_id", &client.client_id));
    pairs.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose())));
    let answer = http::post(errand.account, endpoint, client.ca_file.as_deref(), &Form::new(&pairs)).map_err(Refusal::Failed)?;
    let failed = |exit, because: String| Refusal::Failed(Error::new(exit, format!("asking {}", endpoint.url), because));
    let (status, fields) = (answer.status, Fields::parse(&answer.body));
    match (status, fields) {
        (200, Some(fields)) => read(&fields).map_err(|what| failed(Exit::TempFail, format!("the answer is {what}"))),
        (200, None) => Err(failed(Exit::TempFail, "the answer is no JSON object".to_owned())),
        (300..400, _) => Err(failed(Exit::Config, "it answers with a redirect, and secrets are not carried after one".to_owned())),
        (400..=499, Some(fields)) if status != 429 && fields.text(&["error"]).is_some() => Err(said(&fields, &pairs)),
        _ => Err(failed(Exit::TempFail, format!("it answers with status {status}"))),
    }
}

/// What the provider said against it, without the secrets that it was told.
fn said(fields: &Fields<'_>, pairs: &[(&str, &str)]) -> Refusal {
    let secrets = ["refresh_token", "client_secret", "code", "code_verifier", "device_code"];
    let told = || pairs.iter().filter(|(name, _)| secrets.contains(name));
    // As they are, and as the form has them: some quote what they did not like.
    let written: Vec<Form> = told().map(|(_, value)| Form::new(&[("", value)])).collect();
    let written = written.iter().map(|form| form.as_str().trim_start_matches('='));
    let mask = Mask::of_tokens(told().map(|(_, value)| *value).chain(written));
    let text = |name: &str| {
        let text = fields.text(&[name]).unwrap_or_default();
        mask.hide(&text).chars().take(QUOTED).collect::<String>()
    };
    let (code, description) = (text("error"), text("error_description"));
    let words = if description.is_empty() { code.clone() } else { format!("{code}: {description}") };
    Refusal::Said { code, words: words.replace(['\r', '\n'], " ") }
}

impl Refusal {
    /// What the refusal means for the account.
    fn into_error(self, errand: &Errand<'_>, client: &OAuth) -> Error {
        let (code, words) = match self {
            Self::Failed(error) => return error,
            Self::Said { code, words } => (code, words),
        };
        let because = format!("{} says {words}", client.token.authority);
        let again = || format!("run `sealpost setup {}` again", errand.account.name);
        match code.as_str() {
            "invalid_grant" | "interaction_required" | "consent_required" | "login_required" => {
                Error::new(Exit::NoPerm, errand.doing(), format!("access was withdrawn, or has run out: {because}")).hint(again())
            }
            "invalid_client" | "unauthorized_client" => Error::new(Exit::Config, errand.doing(), because)
                .hint("are client_id and client_secret those that the provider gave out?"),
            "access_denied" => Error::new(Exit::NoPerm, errand.doing(), format!("it was declined: {because}")).hint(again()),
            "expired_token" => {
                Error::new(Exit::TempFail, errand.doing(), format!("nobody agreed in time: {because}")).hint(again())
            }
            "temporarily_unavailable" | "server_error" => Error::new(Exit::TempFail, errand.doing(), because),
            _ => Error::new(Exit::Config, errand.doing(), because).hint("see [accounts.NAME.auth.oauth] in sealpost.toml(5)"),
        }
    }
}

fn client_secret(errand: &Errand<'_>, client: &OAuth) -> Result<Option<Secret>, Error> {
    Ok(match &client.client_secret {
        ClientSecret::None => None,
        ClientSecret::Inline(secret) => Some(secret.clone()),
        ClientSecret::File(path) => Some(super::of_client(errand, path)?),
    })
}

/// Octets that nobody can guess, in the alphabet of RFC 7636.
fn unguessable(errand: &Errand<'_>) -> Result<Zeroizing<String>, Error> {
    let mut octets = Zeroizing::new([0; 32]);
    errand.world.random(&mut *octets)?;
    Ok(base64url(&*octets))
}

fn base64url(octets: &[u8]) -> Zeroizing<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    Zeroizing::new(URL_SAFE_NO_PAD.encode(octets))
}
