//! How does a written page become the configuration? (sealpost.toml(5))

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::DeTable;

use super::{
    Aliases, Config, Dns, Limits, Log, Memory, Notation, Origin, Qualify, Timeouts, account, choose, keys, names,
    page::Page,
    queue,
    section::Section,
    state::state,
    values::{self, Fault},
};
use crate::{error::Error, host::world::World};

/// RFC 5321 4.5.3.1.8: every server takes at least this many.
const RECIPIENTS: usize = 100;

/// All addresses together: long enough for a slow resolver and a lost SYN or two.
const CONNECT: Duration = Duration::from_secs(30);

/// Makes the configuration of a page.
pub(super) fn config(page: &Page<'_>, table: &DeTable<'_>, origin: Origin, world: &dyn World) -> Result<Config, Error> {
    let top = Section::top(page, world, table)?;
    let log = log(&top.section("log", &keys::LOG)?, &origin, world)?;
    let memory_section = top.section("memory", &keys::MEMORY)?;
    let memory = memory(&memory_section, &origin, world)?;
    let queue = queue::queue(&top.section("queue", &keys::QUEUE)?, &origin, world)?;
    let serve = queue::serve(&top.section("serve", &keys::SERVE)?)?;
    let limits = limits(&top.section("limits", &keys::LIMITS)?)?;
    let dns = dns(&top.section("dns", &keys::DNS)?)?;
    let sections = top.accounts()?;
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    if names.is_empty() {
        let fault = Fault::new("there is no account").hint(names::EXAMPLE);
        return Err(top.error(fault));
    }
    let mut accounts = Vec::with_capacity(sections.len());
    for (name, section) in &sections {
        accounts.push(account::read(name, section)?);
    }
    for (at, (_, section)) in sections.iter().enumerate() {
        accounts[at].fallback = account::fallbacks(&accounts[at], section, &accounts)?;
    }
    if let (Memory::None, Some(place), Some(account)) =
        (&memory, memory_section.place("file"), accounts.iter().find(|account| account.tls.demand.trusts_first_use()))
    {
        let fault = Fault::new(format!("trust = \"tofu\" of account {} needs a memory of what was seen first", account.name));
        return Err(place.error(fault.hint("name a file, or leave this out")));
    }
    Ok(Config {
        default_account: default_account(&top, &names)?,
        mail_domain: top.parsed("mail_domain", values::domain)?.map(|found| found.value),
        qualify: Qualify::read(&top)?,
        aliases: aliases(&top)?,
        catch_all: top.parsed("catch_all", values::address)?.map(|found| found.value),
        log,
        memory,
        queue,
        serve,
        limits,
        dns,
        accounts,
        origin,
        stamp: None,
    })
}

fn default_account(top: &Section<'_>, names: &[&str]) -> Result<Option<String>, Error> {
    let known = |text| if names.contains(&text) { Ok(text.to_owned()) } else { Err(choose::unknown(text, names)) };
    Ok(match (top.parsed("default_account", known)?, names) {
        (Some(written), _) => Some(written.value),
        (None, [only]) => Some((*only).to_owned()),
        (None, _) => None,
    })
}

fn aliases(top: &Section<'_>) -> Result<Aliases, Error> {
    if top.is_none("aliases")? {
        return Ok(Aliases::None);
    }
    Ok(top.path("aliases")?.map_or(Aliases::Default, Aliases::File))
}

fn log(section: &Section<'_>, origin: &Origin, world: &dyn World) -> Result<Log, Error> {
    let file = if section.is_none("file")? { None } else { section.path("file")?.or_else(|| default_log(origin, world)) };
    let notation = section.word("syslog_tls", &Notation::ALL.map(|notation| (notation.as_str(), notation)))?;
    Ok(Log {
        file,
        syslog: section.boolean("syslog")?.unwrap_or(true),
        notation: notation.map_or(Notation::default(), |notation| notation.value),
    })
}

impl Log {
    /// Where a submission is logged that found no configuration it could read.
    pub fn without_config(world: &dyn World) -> Self {
        Self { file: default_log(&Origin::Environment, world), syslog: true, notation: Notation::default() }
    }
}

fn default_log(origin: &Origin, world: &dyn World) -> Option<PathBuf> {
    state(origin, world, Path::new("/var/log/sealpost")).map(|directory| directory.join("log.jsonl"))
}

fn memory(section: &Section<'_>, origin: &Origin, world: &dyn World) -> Result<Memory, Error> {
    if section.is_none("file")? {
        return Ok(Memory::None);
    }
    Ok(section.path("file")?.map_or_else(|| default_memory(origin, world), Memory::File))
}

impl Memory {
    /// Where it is kept when there is no configuration.
    pub fn without_config(world: &dyn World) -> Self {
        default_memory(&Origin::Environment, world)
    }
}

fn default_memory(origin: &Origin, world: &dyn World) -> Memory {
    let directory = state(origin, world, Path::new("/var/lib/sealpost"));
    directory.map_or(Memory::Nowhere, |directory| Memory::File(directory.join("memory.json")))
}

pub(super) fn dns(section: &Section<'_>) -> Result<Dns, Error> {
    Ok(Dns {
        servers: section.list("servers", values::server)?.into_iter().map(|found| found.value).collect(),
        trust_anchor: section.path("trust_anchor")?,
    })
}

fn limits(section: &Section<'_>) -> Result<Limits, Error> {
    let unlimited = |size| if size == 0 { u64::MAX } else { size };
    let recipients = section.integer("recipients", 1, 1_000_000)?.and_then(|n| usize::try_from(n).ok());
    Ok(Limits {
        message_size: section.size("message_size")?.map_or(u64::MAX, unlimited),
        connect: section.duration("connect_timeout")?.unwrap_or(CONNECT),
        timeouts: timeouts(section)?,
        recipients: recipients.unwrap_or(RECIPIENTS),
    })
}

/// `reply_timeout` stands for every key that is not written itself.
fn timeouts(section: &Section<'_>) -> Result<Timeouts, Error> {
    let every = section.duration("reply_timeout")?;
    let own = |key, default| Ok::<_, Error>(section.duration(key)?.or(every).unwrap_or(default));
    let default = Timeouts::default();
    Ok(Timeouts {
        handshake: own("handshake_timeout", default.handshake)?,
        greeting: own("greeting_timeout", default.greeting)?,
        command: own("command_timeout", default.command)?,
        mail: own("mail_timeout", default.mail)?,
        rcpt: own("rcpt_timeout", default.rcpt)?,
        data: own("data_timeout", default.data)?,
        block: own("block_timeout", default.block)?,
        end: own("end_timeout", default.end)?,
    })
}
