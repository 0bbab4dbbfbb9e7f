//! What did the administrator or the user configure, and where does it say so? (sealpost.toml(5))

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

pub use find::{Location, Passed, Standing, dns, find, load, load_any, load_standing, load_traced, parse, usual};
pub use limits::{Limits, Timeouts};
pub use oauth::{ClientSecret, Endpoint, Keep, OAuth};
pub use qualify::Qualify;
pub use queue::{Mode, Queue, SOCKET, Serve};
pub use quote::quoted;
pub(super) use secret::WITHOUT_GSSAPI;
pub use secret::{Auth, SecretSource};
pub use senders::Senders;
pub(super) use single::is_loopback;
pub use single::{host, pin, proxy};
pub(super) use tls::WITHOUT_NATIVE_TLS;
pub use tls::{Backend, Tls, Version};
pub use trace::Trace;

use super::careful::State;
use crate::mail::address::Address;

mod account;
mod auth;
mod choose;
mod environment;
mod find;
pub mod grow;
mod keys;
mod limits;
mod login;
mod names;
mod oauth;
mod page;
mod qualify;
mod queue;
mod quote;
mod read;
mod secret;
mod section;
mod senders;
mod single;
mod spelling;
mod state;
mod tls;
mod trace;
mod values;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it came from.
    pub origin: Origin,
    /// What tells its file from a changed one; `None` where it is in none.
    pub stamp: Option<State>,
    /// `default_account`, resolved: the name of an account in `accounts`; `None` where several exist and none is named.
    pub default_account: Option<String>,
    /// `mail_domain`; `None`: /etc/mailname, else the host's full name.
    pub mail_domain: Option<String>,
    /// `qualify`.
    pub qualify: Qualify,
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

#[cfg(test)]
mod tests;
