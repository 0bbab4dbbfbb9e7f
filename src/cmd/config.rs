//! What is configured, is it right, and where does each setting come from? (`sealpost config check|show|path`)

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    error::{Error, printable},
    host::{
        config::{self, Config, Origin, Trace},
        world::World,
    },
};

mod settings;
mod warnings;

/// `sealpost config check`: one line that says that all is well, and one for each thing that is allowed but unwise.
///
/// # Errors
/// The first fault of the configuration.
pub fn check(world: &dyn World, explicit: Option<&Path>, json: bool) -> Result<String, Error> {
    let config = config::load(world, explicit)?;
    let warnings = warnings::of(world, &config);
    let names: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    let origin = named(&config.origin);
    if json {
        return Ok(line(&json!({"origin": origin, "ok": true, "accounts": names, "warnings": warnings})));
    }
    let noun = if names.len() == 1 { "account" } else { "accounts" };
    let all_is_well = format!("ok, {noun}: {}", names.join(", "));
    let warnings = warnings.iter().map(|warning| format!("warning: {warning}"));
    let lines = std::iter::once(all_is_well).chain(warnings).map(|line| format!("{origin}: {line}"));
    Ok(text(lines))
}

/// `sealpost config show`: the effective values as TOML that could be read again, each with the place it comes from;
/// passwords are masked.
///
/// # Errors
/// The first fault of the configuration.
pub fn show(world: &dyn World, explicit: Option<&Path>, json: bool) -> Result<String, Error> {
    let (config, trace) = config::load_traced(world, explicit)?;
    Ok(if json { as_json(&config, &trace) } else { as_toml(&config, &trace) })
}

/// `sealpost config path`: the configuration in force, and the places that come before it and have none.
///
/// # Errors
/// Nothing is configured anywhere, or the file in force can't be read.
pub fn path(world: &dyn World, explicit: Option<&Path>, json: bool) -> Result<String, Error> {
    let location = config::find(world, explicit)?;
    let origin = named(&location.origin);
    if json {
        let passed = location.passed.iter().map(|passed| json!({"place": passed.place, "because": passed.because}));
        return Ok(line(&json!({"origin": origin, "passed": passed.collect::<Vec<_>>()})));
    }
    let passed = location.passed.into_iter().map(|passed| format!("# before it: {} ({})", passed.place, passed.because));
    Ok(text(std::iter::once(origin).chain(passed)))
}

/// What `--json` answers where one of the commands fails: `ok` is false, `error` says why and `hint` what to do.
pub fn fault(error: &Error) -> String {
    line(&json!({"ok": false, "error": error.summary(), "hint": error.advice()}))
}

fn as_json(config: &Config, trace: &Trace) -> String {
    let settings = settings::of(config).into_iter().map(|setting| {
        let value = json!({"value": setting.value, "from": setting.origin(trace)});
        (setting.path(), value)
    });
    line(&json!({"origin": named(&config.origin), "settings": settings.collect::<serde_json::Map<_, _>>()}))
}

fn as_toml(config: &Config, trace: &Trace) -> String {
    let mut lines = vec![format!("# {}", named(&config.origin))];
    let mut table = String::new();
    for setting in settings::of(config) {
        if setting.table != table {
            table.clone_from(&setting.table);
            lines.extend([String::new(), format!("[{}]", setting.header())]);
        }
        let from = setting.origin(trace);
        lines.push(match (&setting.value, setting.note) {
            (Value::Null, note) => format!("# {} is not set: {note}", setting.key),
            (value, "") => format!("{} = {value}  # {from}", setting.key),
            (value, note) => format!("{} = {value}  # {from}: {note}", setting.key),
        });
    }
    text(lines)
}

fn named(origin: &Origin) -> String {
    match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Environment => "environment".to_owned(),
    }
}

/// Lines for a terminal: whatever stands in a file's name or a setting, none can forge another.
fn text(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| printable(&line) + "\n").collect()
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests;
