//! Which access token does a command give, and until when is it kept? (RFC 6749, 6750)

use std::{os::unix::fs::MetadataExt as _, path::PathBuf, time::Instant};

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{Errand, PATIENCE, command, fields::Fields, vault::Vault};
use crate::{
    error::{Error, Exit},
    smtp::sasl::Secret,
};

/// A token that ends sooner than this is as good as ended: the server still has to see it.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What commands and providers call the token and its end.
const TOKEN: [&str; 3] = ["access_token", "accessToken", "token"];
const END: [&str; 3] = ["expires_at", "expires_on", "expiry"];
const LASTS: [&str; 1] = ["expires_in"];

/// An access token.
pub(in crate::host) struct Token {
    pub(in crate::host) text: Zeroizing<String>,
    /// When it ends; `None`: nobody said.
    pub(in crate::host) end: Option<Timestamp>,
}

impl Token {
    /// The token of an object as providers and commands write it; `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with it, without it.
    pub(in crate::host) fn of(fields: &Fields<'_>, now: Timestamp) -> Result<Option<Self>, &'static str> {
        let Some(text) = fields.text(&TOKEN) else { return Ok(None) };
        let lasts = || now.checked_add(SignedDuration::from_secs(fields.seconds(&LASTS)?)).ok();
        Ok(Some(Self { end: fields.moment(&END).or_else(lasts), text: checked(text)? }))
    }

    /// Whether it can be used still.
    pub(in crate::host) fn is_fresh(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end.duration_since(now) > MARGIN)
    }

    /// The secret that it is.
    pub(in crate::host) fn into_secret(mut self) -> Secret {
        Secret::token(std::mem::take(&mut *self.text))
    }
}

/// The token of `command`, from its cache where that has a fresh one; never `refused`, which a server did not take.
///
/// # Errors
/// Those of the command, and `EX_CONFIG` where what it prints is no token. What is wrong with the cache is no error: the command
/// is asked then.
pub(super) fn of_command(errand: &Errand<'_>, line: &str, cached: bool, refused: Option<&Secret>) -> Result<Secret, Error> {
    let vault = if cached { cache(errand, line) } else { None };
    let Some(vault) = vault else { return ask(errand, line).map(Token::into_secret) };
    if let Some(token) = kept(errand, &vault, refused) {
        return Ok(token.into_secret());
    }
    // Of many that come at once one asks, and the others find what it was told. A command whose tokens are never kept makes nobody
    // wait for another.
    let lock = if vault.exists() { vault.lock(Instant::now() + PATIENCE).ok() } else { None };
    if lock.is_some()
        && let Some(token) = kept(errand, &vault, refused)
    {
        return Ok(token.into_secret());
    }
    // Kept, it would be refused before each message, and servers lock an account for less.
    if let (Some(lock), Some(_)) = (&lock, refused) {
        vault.forget(lock);
    }
    let token = ask(errand, line)?;
    if token.is_fresh(errand.world.timestamp()) {
        // Without a cache every send asks the command, which is slower, and no reason to hold up a mail. Whoever has the lock now
        // keeps a token as good as this one.
        let lock = lock.map_or_else(|| vault.lock(Instant::now()), Ok);
        let _unkept = lock.and_then(|lock| vault.room(&lock)?.fill(&written(&token)));
    }
    Ok(token.into_secret())
}

/// Where the token of this command is kept: in memory where the session has a place for that, else with the other state.
fn cache(errand: &Errand<'_>, line: &str) -> Option<Vault> {
    let runtime = errand.world.env("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|directory| directory.is_absolute());
    // After su or sudo it may be somebody else's, and one that others write to is none: they could plant things there.
    let is_own = |directory: &PathBuf| {
        directory.metadata().is_ok_and(|metadata| metadata.uid() == errand.world.uid() && metadata.mode() & 0o022 == 0)
    };
    let directory = runtime.filter(is_own).map(|directory| directory.join("sealpost")).or_else(|| errand.state_dir())?;
    Some(Vault::new(directory.join(format!("token-{}.json", super::digest(&[&errand.auth.user, line])))))
}

/// What the cache has, if that can be used.
fn kept(errand: &Errand<'_>, vault: &Vault, refused: Option<&Secret>) -> Option<Token> {
    let bytes = vault.read(errand.world).ok().flatten()?;
    let now = errand.world.timestamp();
    let token = Token::of(&Fields::parse(&bytes)?, now).ok().flatten()?;
    let is_refused = refused.is_some_and(|refused| refused.expose() == token.text.as_str());
    (token.is_fresh(now) && !is_refused).then_some(token)
}

fn ask(errand: &Errand<'_>, line: &str) -> Result<Token, Error> {
    let output = command::output(errand, command::shell(line), PATIENCE)?;
    let fault = |because: &str| {
        Error::new(Exit::Config, errand.doing(), format!("the command printed {because}"))
            .hint("it must print an access token in its first line, or a JSON object with access_token and expires_in")
    };
    if output.trim_ascii_start().starts_with(b"{") {
        let fields = Fields::parse(&output).ok_or_else(|| fault("something that begins like JSON and is none"))?;
        return Token::of(&fields, errand.world.timestamp()).map_err(fault)?.ok_or_else(|| fault("JSON without access_token"));
    }
    let line = super::first_line(&output, errand, "the command printed")?;
    let text = checked(Zeroizing::new(line.expose().to_owned())).map_err(fault)?;
    Ok(Token { text, end: None })
}

/// RFC 6750 2.1 has fewer characters still; these are those of RFC 6749 A.12, less the space.
fn checked(text: Zeroizing<String>) -> Result<Zeroizing<String>, &'static str> {
    if text.bytes().all(|octet| octet.is_ascii_graphic()) { Ok(text) } else { Err("something that is no access token") }
}

/// The token as [`Token::of`] reads it.
pub(in crate::host) fn written(token: &Token) -> Zeroizing<Vec<u8>> {
    let end = token.end.map_or(0, Timestamp::as_second);
    super::object(&[("access_token", token.text.as_str())], &[("expires_at", end)])
}
