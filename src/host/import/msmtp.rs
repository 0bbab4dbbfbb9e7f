//! Which accounts does an msmtprc define? (msmtp(1), "CONFIGURATION FILES")

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    Page, Texts,
    facts::{Facts, Sort},
    shell,
};
use crate::host::world::World;

mod account;

/// Every command that an account may have, with those of older and newer versions.
const COMMANDS: [&str; 48] = [
    "host",
    "port",
    "source_ip",
    "proxy_host",
    "proxy_port",
    "socket",
    "timeout",
    "protocol",
    "domain",
    "auth",
    "user",
    "password",
    "passwordeval",
    "ntlmdomain",
    "tls",
    "tls_starttls",
    "tls_trust_file",
    "tls_crl_file",
    "tls_fingerprint",
    "tls_key_file",
    "tls_cert_file",
    "tls_certcheck",
    "tls_priorities",
    "tls_host_override",
    "tls_min_dh_prime_bits",
    "from",
    "from_full_name",
    "allow_from_override",
    "dsn_notify",
    "dsn_return",
    "set_from_header",
    "set_date_header",
    "set_msgid_header",
    "remove_bcc_headers",
    "undisclosed_recipients",
    "logfile",
    "logfile_time_format",
    "syslog",
    "aliases",
    "auto_from",
    "maildomain",
    "add_missing_from_header",
    "add_missing_date_header",
    "keepbcc",
    "connect_timeout",
    "tls_nocertcheck",
    "tls_nostarttls",
    "tls_force_sslv3",
];

/// Whether msmtp would know what this line is.
pub(super) fn knows(line: &str) -> bool {
    let command = line.split_whitespace().next().unwrap_or_default();
    !line.contains('=') && (["account", "defaults", "eval"].contains(&command) || COMMANDS.contains(&command))
}

/// Reads msmtprc: of two files the second is the user's, whose accounts take the place of those of the same name.
pub(super) fn facts(world: &dyn World, texts: &dyn Texts, pages: &[Page]) -> Facts {
    let mut facts = Facts::default();
    let mut accounts: Vec<Section> = Vec::new();
    for page in pages {
        for section in sections(page, &mut facts) {
            match accounts.iter_mut().find(|account| account.name == section.name) {
                Some(account) => *account = section,
                None => accounts.push(section),
            }
        }
    }
    let default = accounts.iter().position(|account| account.name == DEFAULT);
    facts.default_account = default.map(|_| DEFAULT.to_owned());
    // `account default : home` gives an account another name, where nothing more is said in it.
    if let Some(at) = default
        && let Some(meant) = accounts[at].base.clone().filter(|_| accounts[at].is_alias)
        && accounts.iter().any(|account| account.name == meant)
    {
        facts.default_account = Some(meant);
        accounts.remove(at);
    }
    account::translate(world, texts, &accounts, &mut facts);
    facts
}

/// What stands between words: a password may begin or end with any other space.
const BLANK: [char; 2] = [' ', '\t'];

/// The name of the account that is taken where nothing else is said.
const DEFAULT: &str = "default";

/// What is said of an account, or as a default: the last word on each command, and where it stands.
#[derive(Clone, Debug, Default)]
struct Section {
    name: String,
    /// What holds, the defaults included.
    settings: BTreeMap<&'static str, String>,
    /// The commands that were said for it or inherited, and are no defaults: what others inherit from it.
    own: Vec<&'static str>,
    /// The account that it inherits from, where it is one alone.
    base: Option<String>,
    /// Whether it says nothing that its base does not say.
    is_alias: bool,
}

impl Section {
    /// The value of a command, where one was given that is not empty.
    fn get(&self, command: &str) -> Option<&str> {
        self.settings.get(command).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a command that is on, off or empty (which is on) is on; `default` where it does not stand.
    fn is_on(&self, command: &str, default: bool) -> bool {
        self.settings.get(command).map_or(default, |value| value != "off")
    }

    fn set(&mut self, command: &'static str, value: String) {
        self.settings.insert(command, value);
        if !self.own.contains(&command) {
            self.own.push(command);
        }
        self.is_alias = false;
    }

    /// Takes over what `other` says that is not a default.
    fn inherit(&mut self, other: &Self) {
        for command in &other.own {
            if let Some(setting) = other.settings.get(command) {
                self.settings.insert(command, setting.clone());
                if !self.own.contains(command) {
                    self.own.push(command);
                }
            }
        }
    }
}

/// The accounts of one file, in its order.
fn sections(page: &Page, facts: &mut Facts) -> Vec<Section> {
    let mut reader = Reader { defaults: Section::default(), done: Vec::new(), open: Open::Unnamed };
    for (index, line) in page.text.lines().enumerate() {
        let place = format!("{}:{}", page.name(), index + 1);
        let line = line.trim_start_matches(BLANK);
        if !line.is_empty() && !line.starts_with('#') {
            reader.line(line, &place, facts);
        }
    }
    reader.done
}

/// What is being said something of.
enum Open {
    /// Commands before the first `account` are those of the default one.
    Unnamed,
    Defaults,
    Account(usize),
    /// An account that can't be.
    Nowhere,
}

struct Reader {
    defaults: Section,
    done: Vec<Section>,
    open: Open,
}

impl Reader {
    fn line(&mut self, line: &str, place: &str, facts: &mut Facts) {
        let (command, argument) = line.split_once(BLANK).unwrap_or((line, ""));
        let argument = unquoted(argument.trim_matches(BLANK));
        match command {
            "account" => self.account(argument, place, facts),
            // Those that were set before stay.
            "defaults" => self.open = Open::Defaults,
            "eval" => match shell::constant(argument).filter(|line| !line.trim_start().starts_with("eval")) {
                Some(line) => self.line(line.trim_start(), place, facts),
                None => facts.note(Sort::LeftOut, evaluated(argument, place)),
            },
            // The word itself is not shown: nobody knows what it was meant to be.
            _ => match COMMANDS.iter().find(|known| **known == command) {
                Some(command) => self.set(command, argument),
                None => facts.note(Sort::LeftOut, format!("{place}: msmtp has no such command")),
            },
        }
    }

    fn account(&mut self, argument: &str, place: &str, facts: &mut Facts) {
        let (name, bases) = argument.split_once(':').unwrap_or((argument, ""));
        let bases: Vec<&str> = bases.split(',').map(str::trim).filter(|base| !base.is_empty()).collect();
        let mut section = Section { name: name.trim().to_owned(), settings: self.defaults.settings.clone(), ..Section::default() };
        if let [base] = bases[..] {
            section.base = Some(base.to_owned());
            section.is_alias = true;
        }
        for base in bases {
            let Some(other) = self.done.iter().find(|account| account.name == base) else {
                facts.note(
                    Sort::LeftOut,
                    format!("what account {} has from account {base} ({place}): there is none before it", section.name),
                );
                continue;
            };
            section.inherit(other);
            // Defaults may have changed since its base was defined.
            section.is_alias &= section.settings == other.settings;
        }
        if self.done.iter().any(|account| account.name == section.name) {
            facts.note(Sort::LeftOut, format!("account {} in {place}: there is one of that name before it", section.name));
            self.open = Open::Nowhere;
            return;
        }
        self.open = Open::Account(self.done.len());
        self.done.push(section);
    }

    fn set(&mut self, command: &'static str, argument: &str) {
        // Older versions have other names for some.
        let (command, argument): (_, Cow<'_, str>) = match (command, argument) {
            ("tls_nocertcheck", _) => ("tls_certcheck", "off".into()),
            ("tls_nostarttls", _) => ("tls_starttls", "off".into()),
            ("connect_timeout", value) => ("timeout", value.into()),
            ("keepbcc", value) => ("remove_bcc_headers", if value == "off" { "on" } else { "off" }.into()),
            ("add_missing_from_header", value) => ("set_from_header", if value == "off" { "off" } else { "auto" }.into()),
            ("add_missing_date_header", value) => ("set_date_header", if value == "off" { "off" } else { "auto" }.into()),
            (command, value) => (command, value.into()),
        };
        let section = match self.open {
            Open::Unnamed => {
                self.open = Open::Account(self.done.len());
                self.done.push(Section { name: DEFAULT.to_owned(), ..Section::default() });
                self.done.last_mut()
            }
            Open::Defaults => Some(&mut self.defaults),
            Open::Account(at) => self.done.get_mut(at),
            Open::Nowhere => None,
        };
        if let Some(section) = section {
            section.set(command, argument.into_owned());
        }
    }
}

/// That a command was not run; it is shown, unless it may hold a password.
fn evaluated(command: &str, place: &str) -> String {
    if shell::may_hold_a_secret(command) && command.contains("passw") {
        return format!("eval in {place}, whose command was not run, and is not shown since it may hold a password");
    }
    format!("eval in {place}, whose command was not run: `{command}`. Write here what it prints")
}

/// An argument without the quotes around the whole of it.
fn unquoted(argument: &str) -> &str {
    argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(argument)
}
