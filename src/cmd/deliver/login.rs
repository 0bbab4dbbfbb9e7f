//! What does an account log in with, and what when the server refuses it? (sealpost.toml(5), "ACCOUNTS: AUTH")

use crate::{
    error::Error,
    host::{
        config::{Account, Config},
        secrets::{self, Errand},
        world::World,
    },
    smtp::sasl::Credentials,
};

/// Credentials, and randomness for the mechanisms that want it.
pub(in crate::cmd) type Login = (Credentials, [u8; 18]);

/// Fetches the secret; nothing is asked for where the account does not log in.
///
/// # Errors
/// It can't be had, and why.
pub(in crate::cmd) fn fetch(world: &dyn World, config: &Config, account: &Account) -> Result<Option<Login>, Error> {
    let Some(auth) = &account.auth else { return Ok(None) };
    let secret = secrets::fetch(&Errand { world, config, account, auth })?;
    let mut nonce = [0; 18];
    world.random(&mut nonce)?;
    let (user, choice, allow_unverified) = (auth.user.clone(), auth.choice, auth.allow_unverified);
    Ok(Some((Credentials { user, secret, choice, allow_unverified, server: None }, nonce)))
}

/// Puts another token in place of one that the server refused; whether there is another.
///
/// # Errors
/// It can't be had, and why.
pub(in crate::cmd) fn renew(
    world: &dyn World,
    config: &Config,
    account: &Account,
    login: &mut Option<Login>,
) -> Result<bool, Error> {
    let (Some((credentials, nonce)), Some(auth)) = (login, &account.auth) else { return Ok(false) };
    let renewed = secrets::renew(&Errand { world, config, account, auth }, &credentials.secret)?;
    let Some(secret) = renewed else { return Ok(false) };
    credentials.secret = secret;
    world.random(nonce)?;
    Ok(true)
}
