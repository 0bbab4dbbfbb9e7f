//! Where does each setting stand? (`sealpost config show`)

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::page::Page;

/// The place of every setting that is written, by its key in full (`accounts.relay.tls.policy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(BTreeMap<String, String>);

impl Trace {
    /// `FILE:LINE` or the variable's name; `None` where the default is in force.
    pub fn origin(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn of(page: &Page<'_>, table: &DeTable<'_>) -> Self {
        let mut places = BTreeMap::new();
        collect(page, table, "", &mut places);
        Self(places)
    }
}

fn collect(page: &Page<'_>, table: &DeTable<'_>, prefix: &str, places: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) => collect(page, table, &path, places),
            _ => drop(places.insert(path, page.origin(key.span()))),
        }
    }
}
