//! Who is an account, and where does its secret live? (sealpost.toml(5), "ACCOUNTS: AUTH")

use std::path::PathBuf;

use super::oauth::{ClientSecret, OAuth};
use crate::smtp::sasl::{Choice, Kind, Secret};

/// Why `mechanism = "GSSAPI"` can't be had.
pub(in crate::host) const WITHOUT_GSSAPI: &str = "this sealpost was built without GSSAPI (Kerberos)";

/// `[accounts.NAME.auth]`.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Authentication identity; empty with EXTERNAL where the certificate says it.
    pub user: String,
    /// Which mechanism.
    pub choice: Choice,
    /// Where the secret lives.
    pub source: SecretSource,
    /// Let a reusable secret go to a server whose certificate was not verified.
    pub allow_unverified: bool,
}

/// Where a secret lives.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// In the configuration itself (0600).
    Inline(Secret),
    /// First line of a file that only its owner can read.
    File(PathBuf),
    /// First line that a command prints.
    Command(String),
    /// An environment variable.
    Environment(String),
    /// A file of this name in `$CREDENTIALS_DIRECTORY` (systemd.exec(5)).
    Credential(String),
    /// The Secret Service, or the keychain of macOS.
    Keyring,
    /// `~/.netrc`.
    Netrc,
    /// An access token that a command prints.
    TokenCommand {
        /// The command.
        command: String,
        /// Whether a token that says until when it lasts is kept until then.
        cache: bool,
    },
    /// An access token that we obtain ourselves.
    OAuth(Box<OAuth>),
    /// Asked on the terminal.
    Prompt,
    /// A Kerberos ticket, wherever the system's library finds it.
    Ticket,
    /// There is none: the client certificate speaks for the account.
    Nowhere,
}

impl SecretSource {
    /// What kind of secret comes of it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Inline(_)
            | Self::File(_)
            | Self::Command(_)
            | Self::Environment(_)
            | Self::Credential(_)
            | Self::Keyring
            | Self::Netrc
            | Self::Prompt => Kind::Password,
            Self::TokenCommand { .. } | Self::OAuth(_) => Kind::Token,
            Self::Ticket => Kind::Ticket,
            Self::Nowhere => Kind::Nothing,
        }
    }
}

impl Auth {
    /// Whether the configuration itself holds a secret.
    pub fn is_written_out(&self) -> bool {
        match &self.source {
            SecretSource::Inline(_) => true,
            SecretSource::OAuth(oauth) => matches!(oauth.client_secret, ClientSecret::Inline(_)),
            _ => false,
        }
    }
}
