//! As whom does a new account log in, and with what? (sealpost.toml(5), "ACCOUNTS: AUTH")

use std::path::PathBuf;

use super::{
    Options,
    answers::{Answers, Given},
    dialogue::{Dialogue, Question},
    presets::{self, Preset, User},
    server::Server,
};
use crate::{
    error::{Error, Exit},
    host::autoconfig,
    mail::address::Address,
    smtp::sasl::Secret,
};

/// How an account logs in.
pub(super) enum Login {
    /// It does not.
    Nothing,
    /// By a password.
    Password { user: String, keep: Keep },
    /// By tokens of OAuth2.
    OAuth { user: String, provider: &'static str, client: String, secret: Option<Keep> },
}

/// Where a secret is, or is to be.
pub(super) enum Keep {
    /// In a file that somebody else keeps.
    At(PathBuf),
    /// In a file of ours.
    File(Secret),
    /// In the keyring.
    Keyring(Secret),
}

/// What is known when the login is asked for.
pub(super) struct Asking<'a> {
    pub(super) options: &'a Options,
    pub(super) answers: &'a mut Answers,
    pub(super) server: &'a Server,
    pub(super) address: &'a Address,
}

impl Asking<'_> {
    /// The login, as far as it is known, else as somebody says.
    ///
    /// # Errors
    /// There is nobody to say so.
    pub(super) fn ask(&mut self, dialogue: &mut Dialogue<'_>) -> Result<Login, Error> {
        if self.options.client_id.is_some() && self.server.preset.and_then(Preset::oauth).is_none() {
            let whose = self.server.preset.map_or(self.server.host.as_str(), |preset| preset.name);
            let because = format!("--client-id is for a login by OAuth2, and nothing is known here of how one has it with {whose}");
            return Err(Error::new(Exit::Usage, "setting up", because)
                .hint("leave it out, or write such an account yourself: see sealpost.toml(5), \"ACCOUNTS: OAUTH\""));
        }
        if self.is_unwanted() {
            return Ok(Login::Nothing);
        }
        if let Some(provider) = self.oauth(dialogue)? {
            return self.by_oauth(provider, dialogue);
        }
        if self.server.preset.is_none() && self.server.login == Some(autoconfig::Login::OAuth) {
            dialogue.warn("The domain says that one logs in by OAuth2 there. A password may do; if not, sealpost.toml(5), \"ACCOUNTS: OAUTH\", shows such an account.");
        }
        let Some(user) = self.user(dialogue)? else { return Ok(Login::Nothing) };
        let keep = match self.answers.secret.take() {
            Some(Given::At(path)) => Keep::At(path),
            Some(Given::Is(secret)) => self.kept(secret),
            None => {
                let what = self.server.preset.and_then(Preset::secret).unwrap_or("Password");
                let secret = dialogue.secret(&format!("{what} for {user}"), "--password-file FILE, or --no-login")?;
                self.kept(secret)
            }
        };
        Ok(Login::Password { user, keep })
    }

    fn kept(&self, secret: Secret) -> Keep {
        if self.options.keyring { Keep::Keyring(secret) } else { Keep::File(secret) }
    }

    /// Nobody wants one, or the provider has none, and no user is named.
    fn is_unwanted(&self) -> bool {
        let has_none = self.server.preset.is_some_and(|preset| matches!(preset.login, presets::Login::Nothing))
            || self.server.login == Some(autoconfig::Login::Nothing);
        self.options.no_login || (has_none && self.answers.user.is_none() && self.answers.secret.is_none())
    }

    /// Whose tokens it logs in with, if it does.
    fn oauth(&self, dialogue: &mut Dialogue<'_>) -> Result<Option<&'static str>, Error> {
        let Some(preset) = self.server.preset else { return Ok(None) };
        let Some(provider) = preset.oauth().filter(|_| self.answers.secret.is_none()) else { return Ok(None) };
        let Some(word) = preset.secret() else { return Ok(Some(provider)) };
        if self.options.client_id.is_some() {
            return Ok(Some(provider));
        }
        let by_password =
            dialogue.agrees(&format!("Log in by {}? (no: by OAuth2, with a client of your own)", word.to_lowercase()), true)?;
        Ok((!by_password).then_some(provider))
    }

    fn by_oauth(&self, provider: &'static str, dialogue: &mut Dialogue<'_>) -> Result<Login, Error> {
        let user = self.user(dialogue)?.unwrap_or_else(|| self.address.to_string());
        if self.options.client_id.is_none() {
            dialogue.tell("Register a client (an app) with the provider, once; sealpost.toml(5), \"ACCOUNTS: OAUTH\", tells how.");
        }
        let question = Question { text: "Client id", usual: self.options.client_id.as_deref(), option: "--client-id ID" };
        let client = match &self.options.client_id {
            Some(id) => id.clone(),
            None => dialogue.ask(question, |text| Ok(text.to_owned()))?,
        };
        let secret = match &self.options.client_secret_file {
            Some(path) => Some(Keep::At(std::path::absolute(path).unwrap_or_else(|_| path.clone()))),
            None if dialogue.asks() && dialogue.agrees("Does the client have a secret?", provider == "google")? => {
                Some(Keep::File(dialogue.secret("Client secret", "--client-secret-file FILE")?))
            }
            None => None,
        };
        Ok(Login::OAuth { user, provider, client, secret })
    }

    /// The user; `None` where somebody says that there is no login.
    fn user(&self, dialogue: &mut Dialogue<'_>) -> Result<Option<String>, Error> {
        if let Some(user) = &self.answers.user {
            return Ok(Some(user.clone()));
        }
        let address = self.address.to_string();
        let text = |text: &str| Ok(text.to_owned());
        if let Some(preset) = self.server.preset {
            return match preset.user {
                User::Address => Ok(Some(address)),
                User::Is(user) => Ok(Some(user.to_owned())),
                User::Asked(question) => {
                    dialogue.ask(Question { text: question, usual: None, option: "--user USER" }, text).map(Some)
                }
            };
        }
        if let Some(user) = &self.server.user {
            return Ok(Some(user.clone()));
        }
        let question = Question { text: "User (- for no login)", usual: Some(&address), option: "--user USER" };
        dialogue.ask(question, |text| Ok((text != "-").then(|| text.to_owned())))
    }
}
