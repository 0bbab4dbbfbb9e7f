//! What did the administrator or the user configure, and where does it say so? (sealpost.toml(5))

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use find::{Location, Passed, Standing, dns, find, load, load_any, load_standing, load_traced, parse, usual};
pub use oauth::{ClientSecret, Endpoint, Keep, OAuth};
pub use queue::{Mode, Queue, SOCKET, Serve};
pub use senders::Senders;
pub(super) use single::is_loopback;
pub use single::{host, pin, proxy};
pub use trace::Trace;

use crate::{
    mail::{
        address::Address,
        policy::{Demand, OnDowngrade, Policy, Request, Start, Tlsa, Trust},
    },
    smtp::sasl::{Choice, Kind, Secret},
};

mod account;
mod auth;
mod choose;
mod environment;
mod find;
pub mod grow;
mod keys;
mod login;
mod names;
mod oauth;
mod page;
mod queue;
mod read;
mod section;
mod senders;
mod single;
mod spelling;
mod state;
mod trace;
mod values;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it came from.
    pub origin: Origin,
    /// What tells its file from a changed one; empty where it is in none.
    pub stamp: String,
    /// `default_account`, resolved: the name of an account in `accounts`; `None` where several exist and none is named.
    pub default_account: Option<String>,
    /// `mail_domain`; `None`: /etc/mailname, else the host's full name.
    pub mail_domain: Option<String>,
    /// Where aliases are.
    pub aliases: Aliases,
    /// `catch_all`: who gets the mail of bare names that are no alias.
    pub catch_all: Option<Address>,
    /// `[log]`.
    pub log: Log,
    /// `[memory]`.
    pub memory: Memory,
    /// `[queue]`.
    pub queue: Queue,
    /// `[serve]`.
    pub serve: Serve,
    /// `[limits]`.
    pub limits: Limits,
    /// `[dns]`.
    pub dns: Dns,
    /// `[accounts.*]` in the order of the file.
    pub accounts: Vec<Account>,
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// `SEALPOST_*` in the environment.
    Environment,
}

/// Where aliases are; nothing is opened before they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aliases {
    /// /etc/aliases, where it exists.
    Default,
    /// None at all.
    None,
    /// A configured file: that it does not exist is an error.
    File(PathBuf),
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The JSON Lines file; its directory may have to be made. `None`: none is wanted, or no home is known to put one in.
    pub file: Option<PathBuf>,
    /// Whether the system's log gets a line too.
    pub syslog: bool,
    /// How that line says what TLS did.
    pub notation: Notation,
}

/// `syslog_tls`: what `tls=` in the line for the system's log means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// What the message met: `verified`, `unverified`, `plaintext`, `none`.
    #[default]
    Result,
    /// What Postfix 3.11 would note: `secure`, `may:none`, `!encrypt`.
    Postfix,
}

impl Notation {
    /// Every notation.
    pub const ALL: [Self; 2] = [Self::Result, Self::Postfix];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Postfix => "postfix",
        }
    }
}

/// `[dns]`: for accounts with `trust = "dane"` or `host = "srv:…"`, and nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Name servers to ask; empty: those of /etc/resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// DS or DNSKEY records that are trusted; `None`: the keys of the root.
    pub trust_anchor: Option<PathBuf>,
}

/// `[memory]`: where it is kept what servers showed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Nowhere, and none is wanted.
    None,
    /// None was named, and no home is known to put one in.
    Nowhere,
    /// In this file; its directory may have to be made.
    File(PathBuf),
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in octets; `u64::MAX`: whatever the server's SIZE allows.
    pub message_size: u64,
    /// One budget for resolving and connecting, all addresses together.
    pub connect: Duration,
    /// Deadlines per command.
    pub timeouts: Timeouts,
    /// Recipients in one transaction (RFC 5321 4.5.3.1.8: a server takes at least 100).
    pub recipients: usize,
}

/// How long a whole reply, or a block of data, may take (RFC 5321 4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TLS handshake.
    pub handshake: Duration,
    /// The 220 at the start.
    pub greeting: Duration,
    /// EHLO, HELO, LHLO, STARTTLS, AUTH and the like.
    pub command: Duration,
    /// MAIL.
    pub mail: Duration,
    /// RCPT.
    pub rcpt: Duration,
    /// The 354 after DATA.
    pub data: Duration,
    /// Writing one block.
    pub block: Duration,
    /// The reply to the final dot or the last chunk.
    pub end: Duration,
}

/// The defaults of RFC 5321 4.5.3.2; 2 minutes for the handshake.
impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            handshake: minutes(2),
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
        }
    }
}

impl Timeouts {
    /// None of them longer than this.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        let Self { handshake, greeting, command, mail, rcpt, data, block, end } = self;
        Self {
            handshake: handshake.min(most),
            greeting: greeting.min(most),
            command: command.min(most),
            mail: mail.min(most),
            rcpt: rcpt.min(most),
            data: data.min(most),
            block: block.min(most),
            end: end.min(most),
        }
    }
}

/// SMTP, or LMTP with its reply per recipient (RFC 2033).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 2033.
    Lmtp,
}

/// Where an account's smarthost listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name (as written, trailing dot removed) and a port.
    Name(String, u16),
    /// An address and a port.
    Address(IpAddr, u16),
    /// A unix socket.
    Unix(PathBuf),
    /// Whoever offers submission for a domain, as its SRV records say (RFC 6186); made into the others before a connection.
    Service(String),
}

impl Target {
    /// The host alone: its name in lower case, or its address, in brackets where it is of IPv6; `None` where none is named.
    pub fn host(&self) -> Option<String> {
        match self {
            Self::Name(name, _) => Some(name.to_ascii_lowercase()),
            Self::Address(IpAddr::V4(address), _) => Some(address.to_string()),
            Self::Address(IpAddr::V6(address), _) => Some(format!("[{address}]")),
            Self::Unix(_) | Self::Service(_) => None,
        }
    }

    /// Whether it is on this machine by its very name (RFC 6761 6.3), `localhost.localdomain` of old included. Where the name leads
    /// is seen when somebody has connected.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Address(address, _) => address.to_canonical().is_loopback(),
            Self::Service(_) => false,
            Self::Name(name, _) => {
                let name = name.to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost") || name == "localhost.localdomain"
            }
        }
    }
}

/// Who may choose the envelope sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromPolicy {
    /// The caller.
    Free,
    /// The caller, if it is its own login at the mail domain; else `from`.
    Login,
    /// Nobody: always `from`.
    Fixed,
}

/// A SOCKS5 proxy (RFC 1928); the smarthost's name is resolved by the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name in the file.
    pub name: String,
    /// Where the smarthost listens.
    pub target: Target,
    /// The service by way of which `target` was found, where anybody may have said so (SRV records without DNSSEC).
    pub by_way_of: Option<Target>,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// `from`: the envelope sender where the caller gives none, for who read the configuration.
    pub from: Option<Address>,
    /// The same for anybody.
    pub senders: Senders,
    /// `match`: patterns with `*` over senders that choose this account.
    pub matches: Vec<String>,
    /// Who may choose the envelope sender, where that is written: else whoever sends directly, and of whom the service sends for
    /// [`FromPolicy::Login`].
    pub from_policy: Option<FromPolicy>,
    /// Put `from` into the From header too where `matches` does not cover it.
    pub rewrite_from: bool,
    /// What EHLO says; `None`: the host's full name, else an address literal.
    pub hello: Option<String>,
    /// Accounts to try next, in order; every name exists and no cycle matters (each is tried once).
    pub fallback: Vec<String>,
    /// Local address to connect from.
    pub source_address: Option<IpAddr>,
    /// Proxy.
    pub proxy: Option<Proxy>,
    /// `[…tls]`.
    pub tls: Tls,
    /// `[…auth]`.
    pub auth: Option<Auth>,
}

/// `[accounts.NAME.tls]`.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Policy, trust, start and downgrade rule.
    pub demand: Demand,
    /// Anchors instead of the system's store.
    pub ca_file: Option<PathBuf>,
    /// Revocation lists.
    pub crl_file: Option<PathBuf>,
    /// SHA-256 digests of the certificate or its `SubjectPublicKeyInfo`.
    pub pins: Vec<[u8; 32]>,
    /// Name for SNI and verification; `None`: the host.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: Version,
    /// Which library seals.
    pub backend: Backend,
    /// Certificate chain and key to show when the server asks.
    pub client_identity: Option<(PathBuf, PathBuf)>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0; not with rustls.
    Tls10,
    /// 1.1; not with rustls.
    Tls11,
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl Version {
    /// The words of the configuration.
    pub(super) const WORDS: [(&str, Self); 4] =
        [("1.0", Self::Tls10), ("1.1", Self::Tls11), ("1.2", Self::Tls12), ("1.3", Self::Tls13)];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Why `mechanism = "GSSAPI"` can't be had.
pub(super) const WITHOUT_GSSAPI: &str = "this sealpost was built without GSSAPI (Kerberos)";

/// Why `backend = "native-tls"` can't be had.
pub(super) const WITHOUT_NATIVE_TLS: &str = "this sealpost was built without native-tls";

/// A library that speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// rustls.
    Rustls,
    /// The system's own (OpenSSL), by way of native-tls; only in a sealpost that was built with it.
    NativeTls,
}

impl Backend {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rustls => "rustls",
            Self::NativeTls => "native-tls",
        }
    }
}

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

impl Tls {
    /// TLS with a server that an authority vouches for: the system's, or one of `ca_file`.
    pub(super) fn verified(ca_file: Option<PathBuf>) -> Self {
        Self {
            demand: Demand {
                policy: Policy::Required,
                trust: Trust::System,
                start: Start::Implicit,
                on_downgrade: OnDowngrade::Warn,
                tlsa: Tlsa::Unasked,
                request: Request::Nothing,
            },
            ca_file,
            crl_file: None,
            pins: Vec::new(),
            server_name: None,
            min_version: Version::Tls12,
            backend: Backend::Rustls,
            client_identity: None,
        }
    }
}

#[cfg(test)]
mod tests;
