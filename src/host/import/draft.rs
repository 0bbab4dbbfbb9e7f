//! How do the facts of another configuration become one of ours, that our own reader takes?
//!
//! A configuration is put together setting by setting, and each is shown to the reader with those before it: what it refuses is left
//! out, and told of in its own words. Whatever stood in the other configuration, what comes out is valid; and since every default is
//! the strictest there is, nothing becomes weaker by what is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    facts::{Account, Facts, Kind, Note, Sort, Table, Value},
    shared,
};
use crate::{
    error::{Error, Exit, printable},
    host::{config, world::World},
    smtp::sasl::Secret,
};

mod page;
mod settle;

/// Where a configuration pretends to be while the reader looks at it.
const PLACE: &str = "/etc/sealpost/config.toml";

/// A file for a secret has no longer name, whatever the account is called.
const LONGEST_NAME: usize = 64;

/// A configuration of ours, and what there is to be said of it.
#[derive(Debug)]
pub struct Draft {
    /// Whose configuration it was.
    pub kind: Kind,
    /// The files that were named, or were found in the directory that was.
    pub sources: Vec<PathBuf>,
    /// The accounts, in order.
    pub accounts: Vec<String>,
    /// The configuration, without any secret.
    pub toml: String,
    /// What became of what was there, the most urgent first.
    pub notes: Vec<Note>,
    /// The secrets, for files of their own.
    pub secrets: Vec<SecretFile>,
    /// Whether a command is in it, which may hold a secret that nobody can see.
    pub has_commands: bool,
}

/// A secret and the file that the configuration has for it.
#[derive(Debug)]
pub struct SecretFile {
    /// Whose it is.
    pub account: String,
    /// Relative to the directory of the configuration.
    pub path: PathBuf,
    /// The first line.
    pub secret: Secret,
}

/// Settings that belong together: they are taken or left as one.
struct Group {
    /// What they are about, for a note that they are left out.
    about: &'static str,
    settings: Vec<(Part, &'static str, Value)>,
}

/// A table of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Account,
    Tls,
    Auth,
}

impl Group {
    /// A setting by itself.
    fn one(table: Part, key: &'static str, value: impl Into<Value>) -> Self {
        Self { about: key, settings: vec![(table, key, value.into())] }
    }

    fn is_login(&self) -> bool {
        self.settings.iter().any(|(table, ..)| *table == Part::Auth)
    }
}

/// An account as far as the reader has taken it.
struct Drafted {
    name: String,
    groups: Vec<Group>,
    /// Accounts to try next: whether there are any such is known when all have been drafted.
    fallback: Vec<String>,
    notes: Vec<Note>,
}

/// Drafts the configuration.
///
/// # Errors
/// No account could be carried over ([`Exit::DataErr`]).
pub(super) fn draft(world: &dyn World, kind: Kind, files: &[PathBuf], mut facts: Facts) -> Result<Draft, Error> {
    if let Some((because, hint)) = facts.refusal.take() {
        return Err(Error::new(Exit::DataErr, importing(files), because).hint(hint));
    }
    let names = rename(&mut facts);
    let mut kept = Vec::new();
    let mut notes = std::mem::take(&mut facts.notes);
    let mut secrets: Vec<SecretFile> = Vec::new();
    for account in std::mem::take(&mut facts.accounts) {
        let (drafted, secret) = account_of(world, kind, account, &secrets);
        match drafted {
            Ok(drafted) => {
                secrets.extend(secret);
                kept.push(drafted);
            }
            Err(note) => notes.push(note),
        }
    }
    if kept.is_empty() {
        return Err(nothing(kind, files, &notes));
    }
    fall_back(&mut kept);
    let general = general(world, &mut facts, &names, &kept, &mut notes);
    notes.sort_by_key(|note| note.sort);
    let page = page::Page { kind, files, general: &general, accounts: &kept, notes: &notes };
    let toml = page.toml();
    config::parse(world, Path::new(PLACE), &toml).map_err(|error| {
        let hint = "this is a fault of sealpost: please report it, with the configuration that caused it and without its secrets";
        Error::new(Exit::Software, "drafting a configuration", error.because()).hint(hint)
    })?;
    notes.extend(kept.iter().flat_map(|account| account.notes.iter().cloned()));
    notes.sort_by_key(|note| note.sort);
    let is_command = |(_, key, _): &(Part, &str, Value)| key.ends_with("_command");
    let has_commands = kept.iter().flat_map(|account| &account.groups).flat_map(|group| &group.settings).any(is_command);
    let accounts = kept.into_iter().map(|account| account.name).collect();
    Ok(Draft { kind, sources: files.to_owned(), accounts, toml, notes, secrets, has_commands })
}

/// Gives accounts names that ours may have, each its own; what they were called before is in the map.
fn rename(facts: &mut Facts) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for account in &mut facts.accounts {
        let clean = shared::name(&account.name);
        let numbered = (2..).map(|number| format!("{clean}-{number}"));
        let fresh = std::iter::once(clean.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(fresh.clone());
        if fresh != account.name {
            account.note(Sort::Changed, format!("it was called \"{}\"", account.name));
        }
        names.insert(std::mem::replace(&mut account.name, fresh.clone()), fresh);
    }
    for account in &mut facts.accounts {
        account.fallback = account.fallback.iter().filter_map(|name| names.get(name).cloned()).collect();
    }
    names
}

/// An account with everything that the reader takes, and its secret; `Err` says why there is none.
fn account_of(
    world: &dyn World,
    kind: Kind,
    mut account: Account,
    secrets: &[SecretFile],
) -> (Result<Drafted, Note>, Option<SecretFile>) {
    let path = secret_path(&account.name, secrets);
    let (groups, secret) = settle::groups(kind, &mut account, &path);
    let name = account.name.clone();
    let note = |(sort, text): (Sort, String)| Note { sort, account: Some(name.clone()), text };
    let fallback = std::mem::take(&mut account.fallback);
    let mut drafted = Drafted { name: name.clone(), groups: Vec::new(), fallback, notes: Vec::new() };
    let mut left_out = Vec::new();
    let mut logs_in = false;
    for group in groups {
        let (about, is_login) = (group.about, group.is_login());
        let Err(error) = drafted.take(world, group) else {
            logs_in |= is_login;
            continue;
        };
        if drafted.groups.is_empty() {
            let text = format!("the account as a whole: {}", words(&error));
            return (Err(note((Sort::LeftOut, text))), None);
        }
        // Of a login there may be a second version, which is not needed where the first was taken.
        if !(is_login && logs_in) {
            left_out.push((Sort::LeftOut, format!("{about}: {}", words(&error))));
        }
    }
    drafted.notes = account.notes.into_iter().chain(left_out).map(note).collect();
    let secret = secret.filter(|_| logs_in).map(|secret| SecretFile { account: name.clone(), path, secret });
    (Ok(drafted), secret)
}

impl Drafted {
    /// Takes a group, if the reader does.
    fn take(&mut self, world: &dyn World, group: Group) -> Result<(), Error> {
        self.groups.push(group);
        let page = page::account(self, &[]);
        match config::parse(world, Path::new(PLACE), &page) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.groups.pop();
                Err(error)
            }
        }
    }
}

/// A name of a file for a secret that no other has.
fn secret_path(account: &str, secrets: &[SecretFile]) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@+".contains(c) { c } else { '_' };
    let name: String = account.chars().map(plain).take(LONGEST_NAME).collect();
    let name = if name.starts_with('.') { format!("_{name}") } else { name };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let paths = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new("secrets").join(name));
    paths.into_iter().find(|path| secrets.iter().all(|secret| secret.path != *path)).unwrap_or_default()
}

/// What an account falls back on is only what could be carried over.
fn fall_back(kept: &mut [Drafted]) {
    let names: Vec<String> = kept.iter().map(|account| account.name.clone()).collect();
    for account in kept {
        let mut fallback = std::mem::take(&mut account.fallback);
        fallback.retain(|name| *name != account.name && names.contains(name));
        if !fallback.is_empty() {
            account.groups.push(Group::one(Part::Account, "fallback", fallback));
        }
    }
}

/// The settings outside of accounts that the reader takes.
fn general(
    world: &dyn World,
    facts: &mut Facts,
    names: &BTreeMap<String, String>,
    kept: &[Drafted],
    notes: &mut Vec<Note>,
) -> BTreeMap<(Table, &'static str), Value> {
    let is_kept = |name: &&String| kept.iter().any(|account| account.name == **name);
    let default = facts.default_account.as_ref().and_then(|name| names.get(name)).filter(is_kept);
    let mut taken = BTreeMap::new();
    for ((table, key), value) in std::mem::take(&mut facts.general) {
        taken.insert((table, key), value);
        let text = page::tables(&taken) + "[accounts.x]\nhost = \"x.example\"\n";
        if let Err(error) = config::parse(world, Path::new(PLACE), &text) {
            taken.remove(&(table, key));
            let text = format!("{key}: {}", words(&error));
            notes.push(Note { sort: Sort::LeftOut, account: None, text });
        }
    }
    if let (Some(name), true) = (default, kept.len() > 1) {
        taken.insert((Table::Top, "default_account"), Value::Text(name.clone()));
    } else if kept.len() > 1 {
        let text = "no account is the default one: mail goes out only where -a or a match chooses an account";
        notes.push(Note { sort: Sort::Changed, account: None, text: text.to_owned() });
    }
    taken
}

/// What the reader has against something.
fn words(error: &Error) -> String {
    match error.advice() {
        Some(advice) => format!("{} ({advice})", error.because()),
        None => error.because().to_owned(),
    }
}

fn importing(files: &[PathBuf]) -> String {
    format!("importing {}", files.first().map(|file| file.display().to_string()).unwrap_or_default())
}

fn nothing(kind: Kind, files: &[PathBuf], notes: &[Note]) -> Error {
    let reasons: Vec<String> = notes.iter().filter(|note| note.sort == Sort::LeftOut).map(|note| printable(&note.text)).collect();
    let because = if reasons.is_empty() {
        format!("there is no account of {} in it", kind.title())
    } else {
        format!("no account could be carried over: {}", reasons.join("; "))
    };
    Error::new(Exit::DataErr, importing(files), because).hint("sealpost needs a server that takes its mail, a smarthost")
}
