//! What can a configuration say of where mail goes, whoever's configuration it is?

use std::collections::BTreeMap;

use crate::smtp::sasl::Secret;

/// A program whose configuration can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// msmtprc.
    Msmtp,
    /// ssmtp.conf and revaliases.
    Ssmtp,
    /// The files in /etc/nullmailer.
    Nullmailer,
    /// dma.conf and auth.conf.
    Dma,
    /// esmtprc.
    Esmtp,
    /// main.cf of a Postfix that only sends, and the tables it names.
    Postfix,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Msmtp, Self::Ssmtp, Self::Nullmailer, Self::Dma, Self::Esmtp, Self::Postfix];

    /// The program's name, and the word for `--from`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Msmtp => "msmtp",
            Self::Ssmtp => "ssmtp",
            Self::Nullmailer => "nullmailer",
            Self::Dma => "dma",
            Self::Esmtp => "esmtp",
            Self::Postfix => "postfix",
        }
    }

    /// As a person writes it.
    pub fn title(self) -> &'static str {
        if self == Self::Postfix { "Postfix" } else { self.as_str() }
    }
}

/// What a note is about; the first is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// More is asked for than before: a mail that went may not go now.
    Stricter,
    /// Carried over although it is unwise.
    Weak,
    /// Something is done in another way.
    Changed,
    /// It could not be carried over.
    LeftOut,
}

/// What a person should know of the import. Never holds a secret; foreign text is not escaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// What it is about.
    pub sort: Sort,
    /// The account, where it is about one.
    pub account: Option<String>,
    /// A sentence, without its capital and its full stop.
    pub text: String,
}

/// What a configuration says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Settings outside of accounts.
    pub(super) general: BTreeMap<(Table, &'static str), Value>,
    pub(super) accounts: Vec<Account>,
    /// The account of mail that nothing chooses one for.
    pub(super) default_account: Option<String>,
    pub(super) notes: Vec<Note>,
    /// Why nothing of it is to be carried over, and what to do.
    pub(super) refusal: Option<(String, &'static str)>,
}

impl Facts {
    /// Sets something outside of accounts.
    pub(super) fn set(&mut self, table: Table, key: &'static str, value: impl Into<Value>) {
        self.general.insert((table, key), value.into());
    }

    pub(super) fn note(&mut self, sort: Sort, text: impl Into<String>) {
        self.notes.push(Note { sort, account: None, text: text.into() });
    }

    /// `name`, or with a number behind it, so that no account is called so yet.
    pub(super) fn free_name(&self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let is_free = |name: &String| self.accounts.iter().all(|account| account.name != *name);
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }
}

/// Where a setting stands outside of accounts; in the order of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Top,
    Log,
    Queue,
    Serve,
    Limits,
}

impl Table {
    /// The name in its header; none at the top.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Log => "log",
            Self::Queue => "queue",
            Self::Serve => "serve",
            Self::Limits => "limits",
        }
    }
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<BTreeMap<String, String>> for Value {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

/// One way to send.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) name: String,
    /// As ours is written: a name, an address, or `unix:` and a path.
    pub(super) host: String,
    /// The port that is dialled; as it is written, where that is no number.
    pub(super) port: Option<String>,
    pub(super) lmtp: bool,
    /// As ours is written, with `%U` and `%H`; see [`shared::literal`](super::shared::literal).
    pub(super) from: Option<String>,
    /// The same for some callers, by login.
    pub(super) from_by_user: BTreeMap<String, String>,
    pub(super) matches: Vec<String>,
    pub(super) from_policy: Option<&'static str>,
    pub(super) rewrite_from: bool,
    pub(super) hello: Option<String>,
    pub(super) fallback: Vec<String>,
    pub(super) source_address: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) tls: Tls,
    pub(super) login: Option<Login>,
    pub(super) notes: Vec<(Sort, String)>,
}

impl Account {
    pub(super) fn note(&mut self, sort: Sort, text: impl Into<String>) {
        self.notes.push((sort, text.into()));
    }
}

/// What an account asks of TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) wanted: Wanted,
    pub(super) implicit: bool,
    pub(super) trust: Trust,
    pub(super) ca_file: Option<String>,
    pub(super) crl_file: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) min_version: Option<&'static str>,
}

/// When TLS is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    #[default]
    Never,
    /// Where the server can.
    Perhaps,
    Always,
}

/// Who is believed to be the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// Whom the authorities vouch for.
    #[default]
    Authorities,
    /// Nobody asked whether anybody vouches: the program never verified, or not at this level.
    Unchecked,
    /// Somebody has switched the check off.
    Anybody,
    /// Digests, as they are written.
    Pins(Vec<String>),
    Dane,
}

/// Who logs in, and with what.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: String,
    /// A mechanism of ours, where one is named.
    pub(super) mechanism: Option<String>,
    pub(super) secret: Source,
}

/// Where the secret of a login is.
#[derive(Debug)]
pub(super) enum Source {
    Password(Secret),
    Command(String),
    TokenCommand(String),
    Keyring,
    Netrc,
    /// Nothing says.
    Unsaid,
    /// None is needed.
    Nowhere,
}
