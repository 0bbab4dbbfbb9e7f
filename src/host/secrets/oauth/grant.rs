//! How is the right to new access tokens kept, so that no process loses it to another, and no crash? (RFC 6749 6)

use std::{path::PathBuf, time::Instant};

use zeroize::Zeroizing;

use super::Given;
use crate::{
    error::{Error, Exit},
    host::{
        config::{Keep, OAuth},
        secrets::{
            Errand, digest,
            fields::Fields,
            keyring, object,
            token::Token,
            vault::{self, Vault},
        },
    },
    smtp::sasl::Secret,
};

/// What somebody agreed to: a refresh token, and the access token that was last had for it.
pub struct Grant {
    refresh: Zeroizing<String>,
    token: Option<Token>,
}

/// Where a grant is kept: a file, or the keyring with a file to lock.
pub struct Store<'a> {
    errand: &'a Errand<'a>,
    client: &'a OAuth,
    vault: Vault,
}

/// Room for a grant that has yet to be given.
#[must_use]
pub(super) enum Room {
    File(vault::Room),
    Keyring,
}

impl Grant {
    /// What a provider gave to somebody who agreed.
    ///
    /// # Errors
    /// There is no refresh token with it: in an hour all would be over.
    pub fn new(errand: &Errand<'_>, given: Given) -> Result<Self, Error> {
        let refresh = given.refresh.ok_or_else(|| {
            Error::new(
                Exit::Config,
                errand.doing(),
                "the provider gave no refresh token, so that all would be over within the hour",
            )
            .hint("does `scope` have what the provider asks for that, like offline_access?")
        })?;
        Ok(Self { refresh, token: Some(given.token) })
    }

    pub(super) fn refresh_token(&self) -> &str {
        &self.refresh
    }

    /// Puts what the provider gave in the place of what it was given for; without a new refresh token the old one stays good.
    pub(super) fn renew(&mut self, given: Given) {
        self.token = Some(given.token);
        if let Some(refresh) = given.refresh {
            self.refresh = refresh;
        }
    }

    pub(super) fn usable(mut self, errand: &Errand<'_>, refused: Option<&Secret>) -> Option<Token> {
        self.take_usable(errand, refused)
    }

    pub(super) fn take_usable(&mut self, errand: &Errand<'_>, refused: Option<&Secret>) -> Option<Token> {
        let now = errand.world.timestamp();
        let is_usable =
            |token: &mut Token| token.is_fresh(now) && refused.is_none_or(|refused| refused.expose() != token.text.as_str());
        self.token.take_if(is_usable)
    }

    pub(super) fn take_token(&mut self) -> Option<Token> {
        self.token.take()
    }
}

impl<'a> Store<'a> {
    /// The store of this login with this provider: accounts that share both share what was agreed.
    ///
    /// # Errors
    /// `EX_CONFIG`: there is no place for it.
    pub fn new(errand: &'a Errand<'a>, client: &'a OAuth) -> Result<Self, Error> {
        let usual = || {
            let name = digest(&[&client.token.url, &client.client_id, &errand.auth.user]);
            Some(errand.state_dir()?.join(format!("oauth-{name}.json")))
        };
        let path = match &client.keep {
            Keep::File(path) => Some(path.clone()),
            Keep::State | Keep::Keyring => usual(),
        };
        let path: PathBuf = path.ok_or_else(|| {
            Error::new(Exit::Config, errand.doing(), "no home directory is known, to keep the token in").hint("name a token_file")
        })?;
        Ok(Self { errand, client, vault: Vault::new(path) })
    }

    /// Where it is, for a person.
    pub fn place(&self) -> String {
        if self.is_keyring() { "the keyring".to_owned() } else { self.vault.path().display().to_string() }
    }

    pub(super) fn is_keyring(&self) -> bool {
        self.client.keep == Keep::Keyring
    }

    pub(super) fn lock(&self, deadline: Instant) -> Result<vault::Lock, Error> {
        self.vault.lock(deadline)
    }

    /// What is kept; `None` where nobody agreed yet.
    pub(super) fn load(&self) -> Result<Option<Grant>, Error> {
        let kept = if self.is_keyring() {
            keyring::look_up(self.errand, &self.attributes())?
        } else {
            self.vault.read(self.errand.world)?
        };
        let Some(bytes) = kept else { return Ok(None) };
        let fields = Fields::parse(&bytes);
        let refresh = fields.as_ref().and_then(|fields| fields.text(&["refresh_token"]));
        let (Some(fields), Some(refresh)) = (fields, refresh) else {
            let error = Error::new(Exit::Config, self.errand.doing(), format!("what is kept in {} is damaged", self.place()));
            return Err(error.hint(format!("run `sealpost setup {}` again", self.errand.account.name)));
        };
        // A damaged access token is replaced like one that has run out.
        let token = Token::of(&fields, self.errand.world.timestamp()).ok().flatten();
        Ok(Some(Grant { refresh, token }))
    }

    pub(super) fn room(&self, lock: &vault::Lock) -> Result<Room, Error> {
        if self.is_keyring() { Ok(Room::Keyring) } else { self.vault.room(lock).map(Room::File) }
    }

    /// Keeps what somebody agreed to, whatever was kept before.
    ///
    /// # Errors
    /// It could not be kept.
    pub fn keep(&self, grant: &Grant) -> Result<(), Error> {
        let lock = self.lock(Instant::now() + super::PATIENCE)?;
        self.room(&lock)?.fill(self, grant)
    }

    /// Whether something could be kept, before anybody is asked to agree.
    ///
    /// # Errors
    /// Why not.
    pub fn try_out(&self) -> Result<(), Error> {
        if self.is_keyring() {
            keyring::look_up(self.errand, &self.attributes())?;
        }
        self.lock(Instant::now() + super::PATIENCE).and_then(|lock| self.room(&lock)).map(drop)
    }

    fn attributes(&self) -> keyring::Attributes<'_> {
        [("application", "sealpost"), ("token_endpoint", &self.client.token.url), ("user", &self.errand.auth.user)]
    }
}

impl Room {
    pub(super) fn fill(self, store: &Store<'_>, grant: &Grant) -> Result<(), Error> {
        let (token, end) = match &grant.token {
            Some(token) => (token.text.as_str(), token.end.map_or(0, jiff::Timestamp::as_second)),
            None => ("", 0),
        };
        let (user, url) = (store.errand.auth.user.as_str(), store.client.token.url.as_str());
        let texts = [("refresh_token", grant.refresh.as_str()), ("access_token", token), ("user", user), ("token_endpoint", url)];
        let bytes = object(&texts, &[("expires_at", end)]);
        match self {
            Self::File(room) => room.fill(&bytes),
            Self::Keyring => keyring::store(store.errand, &format!("sealpost: {user}"), &store.attributes(), &bytes),
        }
    }
}
