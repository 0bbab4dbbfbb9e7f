//! What does one table of the configuration say, key by key, and is each of the type that it should be?

use std::{net::IpAddr, ops::Range, path::PathBuf, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{
    environment,
    keys::{self, Table},
    page::Page,
    spelling::{listed, nearest},
    values::{self, Fault, shown},
};
use crate::{error::Error, host::world::World};

/// One table, known to hold no unknown key.
pub(super) struct Section<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) world: &'a dyn World,
    /// The account's name, where it is an account's table.
    account: Option<&'a str>,
    kind: &'static Table,
    table: Option<&'a DeTable<'a>>,
    span: Range<usize>,
}

/// A setting and where it stands.
pub(super) struct Found<'a, T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    page: &'a Page<'a>,
}

impl<T> Found<'_, T> {
    /// The error that points here.
    pub(super) fn error(&self, fault: Fault) -> Error {
        self.page.error(self.span.clone(), fault)
    }
}

impl<'a> Section<'a> {
    /// The whole of a page.
    pub(super) fn top(page: &'a Page<'a>, world: &'a dyn World, table: &'a DeTable<'a>) -> Result<Self, Error> {
        Self { page, world, account: None, kind: &keys::TOP, table: Some(table), span: 0..0 }.checked()
    }

    /// A table within this one; empty where it is not written.
    pub(super) fn section(&self, key: &str, kind: &'static Table) -> Result<Self, Error> {
        let Self { page, world, account, .. } = *self;
        match self.value(key) {
            Some(value) => self.within(value, key, account, kind),
            None => Ok(Self { page, world, account, kind, table: None, span: self.span.clone() }),
        }
    }

    /// `[accounts.*]` in the order of the file.
    pub(super) fn accounts(&self) -> Result<Vec<(&'a str, Self)>, Error> {
        let Some(value) = self.value("accounts") else { return Ok(Vec::new()) };
        let table = value.get_ref().as_table().ok_or_else(|| self.mistyped("accounts", value, "tables: `[accounts.NAME]`"))?;
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let mut accounts = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name: &str = key.get_ref();
            if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
                let fault = Fault::new(format!("{} can't be the name of an account", shown(name)));
                return Err(self.page.error(key.span(), fault.hint("a name has no spaces")));
            }
            accounts.push((name, self.within(value, name, Some(name), &keys::ACCOUNT)?));
        }
        Ok(accounts)
    }

    /// Whether the table is written at all.
    pub(super) fn is_written(&self) -> bool {
        self.table.is_some()
    }

    /// The header as it stands in the file.
    pub(super) fn header(&self) -> String {
        self.kind.header.replace("NAME", self.account.unwrap_or("NAME"))
    }

    /// The error that points at the table as a whole.
    pub(super) fn error(&self, fault: Fault) -> Error {
        self.page.error(self.span.clone(), fault)
    }

    /// The error for a setting that must be there and is not; `what` says what it names, `example` is a value.
    pub(super) fn missing(&self, key: &'static str, what: &str, example: &str) -> Error {
        self.error(match self.page {
            Page::File { .. } => {
                Fault::new(format!("{} has no `{key}`", self.header())).hint(format!("name {what}, like `{key} = \"{example}\"`"))
            }
            Page::Environment { .. } => {
                Fault::new(format!("{} is not set", self.called(key))).hint(format!("set it to {what}, like {example}"))
            }
        })
    }

    /// What `key` is called where this page is written: itself, or the variable, by the name that is set, if one is.
    pub(super) fn called(&self, key: &'static str) -> &'a str {
        match self.page {
            Page::File { .. } => key,
            Page::Environment { variables } => {
                let set = self.place(key).and_then(|place| variables.get(place.span.start).copied());
                set.or_else(|| environment::variable(self.kind, key)).unwrap_or(key)
            }
        }
    }

    /// Where `key` stands, if it does.
    pub(super) fn place(&self, key: &str) -> Option<Found<'a, ()>> {
        let (name, _) = self.table?.get_key_value(key)?;
        Some(Found { value: (), span: name.span(), page: self.page })
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Result<Option<Found<'a, &'a str>>, Error> {
        self.typed(key, "text in quotes", DeValue::as_str)
    }

    /// A text that is not empty and has no control character, made into what it means.
    pub(super) fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&'a str) -> Result<T, Fault>,
    ) -> Result<Option<Found<'a, T>>, Error> {
        let Some(found) = self.text(key)? else { return Ok(None) };
        let value = plain(found.value).and_then(parse).map_err(|fault| found.error(fault))?;
        Ok(Some(Found { value, span: found.span, page: self.page }))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<Found<'a, T>>, Error> {
        let Some(Found { value: text, span, page }) = self.parsed(key, Ok)? else { return Ok(None) };
        match values::word(text, words) {
            Ok(value) => Ok(Some(Found { value, span, page })),
            Err(fault) => Err(Found { value: (), span, page }.error(fault)),
        }
    }

    /// A text without further rules.
    pub(super) fn string(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(self.parsed(key, |text| Ok(text.to_owned()))?.map(|found| found.value))
    }

    /// A path; relative ones start at the configuration file, `~/` at the caller's home.
    pub(super) fn path(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        Ok(self.parsed(key, |text| self.resolved(text))?.map(|found| found.value))
    }

    /// Whether `""` is written: for some paths that means none.
    pub(super) fn is_none(&self, key: &str) -> Result<bool, Error> {
        Ok(self.text(key)?.is_some_and(|found| found.value.is_empty()))
    }

    /// An IP address.
    pub(super) fn ip(&self, key: &str) -> Result<Option<IpAddr>, Error> {
        Ok(self.parsed(key, values::ip)?.map(|found| found.value))
    }

    /// A duration.
    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>, Error> {
        if let Some(value) = self.value(key).filter(|value| value.get_ref().is_integer()) {
            let fault =
                Fault::new(format!("`{key}` needs a unit")).hint("write it in quotes: `\"30s\"`, `\"5m\"`, `\"2h\"` or `\"5d\"`");
            return Err(self.page.error(value.span(), fault));
        }
        Ok(self.parsed(key, values::duration)?.map(|found| found.value))
    }

    /// A size in octets, as a number or as text with a unit.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        if self.value(key).is_some_and(|value| value.get_ref().is_integer()) {
            return self.integer(key, 0, u64::MAX);
        }
        Ok(self.parsed(key, values::size)?.map(|found| found.value))
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, key: &str, least: u64, most: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let digits = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) if self.is_environment() => text.trim().parse().ok(),
            _ => return Err(self.mistyped(key, value, "a number without quotes")),
        };
        match digits {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => {
                let range = if most == u64::MAX { format!("at least {least}") } else { format!("from {least} to {most}") };
                Err(self.page.error(value.span(), Fault::new(format!("`{key}` must be a whole number, {range}"))))
            }
        }
    }

    /// True or false.
    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        if self.is_environment() {
            let words = [
                ("true", true),
                ("false", false),
                ("1", true),
                ("0", false),
                ("yes", true),
                ("no", false),
                ("on", true),
                ("off", false),
            ];
            return Ok(self.word(key, &words)?.map(|found| found.value));
        }
        Ok(self.typed(key, "`true` or `false`", DeValue::as_bool)?.map(|found| found.value))
    }

    /// A list of texts, each made into what it means; in the environment, separated by commas or spaces.
    pub(super) fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Result<Vec<Found<'a, T>>, Error> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let item = |text: &str, span: Range<usize>| match plain(text).and_then(&parse) {
            Ok(value) => Ok(Found { value, span, page: self.page }),
            Err(fault) => Err(self.page.error(span, fault)),
        };
        match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|value| match value.get_ref() {
                    DeValue::String(text) => item(text, value.span()),
                    _ => Err(self.mistyped(key, value, "a list of texts in quotes")),
                })
                .collect(),
            DeValue::String(text) if self.is_environment() => {
                text.split([',', ' ']).filter(|text| !text.is_empty()).map(|text| item(text, value.span())).collect()
            }
            _ => Err(self.mistyped(key, value, "a list: put it in square brackets")),
        }
    }

    /// A table of texts under names of the user's choice, each made into what it means.
    pub(super) fn map<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Result<Vec<(String, T)>, Error> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let wanted = "a table: `{ root = \"ops@example.com\" }`";
        let table = value.get_ref().as_table().ok_or_else(|| self.mistyped(key, value, wanted))?;
        let entry = |(name, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
            let text = value.get_ref().as_str().ok_or_else(|| self.mistyped(key, value, wanted))?;
            let parsed = plain(text).and_then(&parse).map_err(|fault| self.page.error(value.span(), fault))?;
            Ok((name.get_ref().to_string(), parsed))
        };
        table.iter().map(entry).collect()
    }

    fn is_environment(&self) -> bool {
        matches!(self.page, Page::Environment { .. })
    }

    fn value(&self, key: &str) -> Option<&'a toml::Spanned<DeValue<'a>>> {
        debug_assert!(self.kind.keys.contains(&key), "{key} is not among the keys of {}", self.kind.header);
        self.table?.get(key)
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Result<Option<Found<'a, T>>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let found = read(value.get_ref()).ok_or_else(|| self.mistyped(key, value, wanted))?;
        Ok(Some(Found { value: found, span: value.span(), page: self.page }))
    }

    fn mistyped(&self, key: &str, value: &toml::Spanned<DeValue<'_>>, wanted: &str) -> Error {
        let got = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.page.error(value.span(), Fault::new(format!("`{key}` is {got}")).hint(format!("`{key}` takes {wanted}")))
    }

    fn within(
        &self,
        value: &'a toml::Spanned<DeValue<'a>>,
        key: &str,
        account: Option<&'a str>,
        kind: &'static Table,
    ) -> Result<Self, Error> {
        let wanted = format!("a table: `{}`", kind.header.replace("NAME", account.unwrap_or("NAME")));
        let table = value.get_ref().as_table().ok_or_else(|| self.mistyped(key, value, &wanted))?;
        Self { page: self.page, world: self.world, account, kind, table: Some(table), span: value.span() }.checked()
    }

    /// Refuses unknown keys: a misspelt `polcy = "required"` must not leave a default in force unseen.
    fn checked(self) -> Result<Self, Error> {
        let unknown = |key: &&toml::Spanned<_>| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            !self.kind.keys.contains(&name.as_ref())
        };
        match self.table.and_then(|table| table.keys().filter(unknown).min_by_key(|key| key.span().start)) {
            Some(key) => Err(self.page.error(key.span(), self.unknown(key.get_ref()))),
            None => Ok(self),
        }
    }

    fn unknown(&self, key: &str) -> Fault {
        let place = if self.kind.header.is_empty() { "at the top of the file".to_owned() } else { format!("in {}", self.header()) };
        let fault = Fault::new(format!("unknown key {} {place}", shown(key)));
        let elsewhere = |name: &str| keys::TABLES.iter().find(|table| table.keys.contains(&name)).map(|table| self.titled(table));
        if let Some(header) = elsewhere(key) {
            return fault.hint(format!("`{key}` belongs {header}"));
        }
        if let Some(near) = nearest(key, self.kind.keys.iter().copied()) {
            return fault.hint(format!("did you mean `{near}`?"));
        }
        let everywhere = keys::TABLES.iter().flat_map(|table| table.keys.iter().copied());
        match nearest(key, everywhere).and_then(|near| Some((near, elsewhere(near)?))) {
            Some((near, header)) => fault.hint(format!("did you mean `{near}`? It belongs {header}")),
            None => fault.hint(format!("the keys here are {}", listed(self.kind.keys.iter().copied(), "and"))),
        }
    }

    fn titled(&self, table: &Table) -> String {
        match table.header {
            "" => "at the top of the file, before the first [table]".to_owned(),
            header => format!("in {}", header.replace("NAME", self.account.unwrap_or("NAME"))),
        }
    }

    fn resolved(&self, text: &str) -> Result<PathBuf, Fault> {
        let path = match text.strip_prefix("~/") {
            Some(rest) => {
                let home = self.world.env("HOME").filter(|home| !home.is_empty());
                let home = home.ok_or_else(|| {
                    Fault::new(format!("{} needs HOME, which is not set", shown(text))).hint("write the path in full")
                })?;
                PathBuf::from(home).join(rest)
            }
            None => PathBuf::from(text),
        };
        match self.page {
            Page::File { path: file, .. } => Ok(file.parent().map_or_else(|| path.clone(), |directory| directory.join(&path))),
            Page::Environment { .. } => Ok(path),
        }
    }
}

/// Text that could stand in one line of a protocol.
fn plain(text: &str) -> Result<&str, Fault> {
    if text.is_empty() {
        return Err(Fault::new("it is empty").hint("leave the key out, or give it a value"));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::new("it holds a control character"));
    }
    Ok(text)
}
