//! How is one message found and shown? (`sealpost queue show`)

use std::{
    io::{self, IsTerminal as _},
    ops::ControlFlow,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    Show,
    act::Deed,
    find,
    listed::{Item, Listed, Whose},
    missing,
    out::Out,
    select::Short,
    show::Shown,
    source::{Sources, puzzled},
    table::Table,
};
use crate::{
    cmd::{log::history, screen::Screen},
    error::{Error, Exit, printable},
    host::{
        config::Config,
        inquiry::Service,
        journal::Id,
        spool::{Place, Spool, Stored},
        world::World,
    },
    mail::content::{Content as _, Form},
};

/// Octets of a message that are printed at once.
const PIECE: usize = 64 << 10;

/// Prints what there is to see of it.
pub(super) fn run(world: &dyn World, options: &Show) -> Result<Exit, Error> {
    let mut sources = Sources::find(world, options.place.file.as_deref())?;
    let found = match &sources.own {
        Some(spool) => find(spool, &options.id, Deed::Remove.places())?.map(|at| (spool, at)),
        None => None,
    };
    if let Some((spool, (place, id))) = found {
        let (entry, stored) = spool.glance(place, id)?.ok_or_else(|| odd(spool, place, id))?;
        if options.raw {
            return raw(stored);
        }
        let listed = Listed::new(id, place, Whose::Own, entry.clone());
        return Ok(page(world, options, sources.config.as_ref(), &Shown::new(listed, &entry, &stored)));
    }
    let service = sources.service.as_mut().ok_or_else(|| missing(&options.id))?;
    if options.raw {
        return raw_of_service(service, &options.id);
    }
    let shown = ask(service, &options.id)?;
    Ok(page(world, options, None, &shown))
}

fn page(world: &dyn World, options: &Show, config: Option<&Config>, shown: &Shown) -> Exit {
    let mut out = Out::new();
    let id = shown.listed.id;
    if options.place.json {
        let _ = out.object(shown);
        return out.finish();
    }
    let screen = Screen::of_stdout(world);
    let log = config.and_then(|config| config.log.file.as_deref());
    let history = log.map(|log| history(world, log, (id, shown.listed.arrived), screen)).unwrap_or_default();
    let table = Table { screen, now: world.timestamp() };
    let _ = out.put(shown.page(table, world.now().time_zone(), &history).as_bytes());
    out.finish()
}

fn ask(service: &mut Service, id: &Short) -> Result<Shown, Error> {
    let mut answer = String::new();
    service.ask(&format!("show {id}"), &mut |line| {
        line.clone_into(&mut answer);
        ControlFlow::Continue(())
    })?;
    serde_json::from_str(&answer).map_err(|error| puzzled(&error.to_string()))
}

/// What is printed of the message itself: its octets, on a terminal made safe for it.
struct Raw {
    out: Out,
    terminal: bool,
    /// A line of which the end is to come.
    line: Vec<u8>,
}

impl Raw {
    fn new() -> Self {
        Self { out: Out::new(), terminal: io::stdout().is_terminal(), line: Vec::new() }
    }

    fn put(&mut self, octets: &[u8]) -> ControlFlow<()> {
        if !self.terminal {
            return self.out.put(octets);
        }
        self.line.extend_from_slice(octets);
        let Some(end) = memchr::memrchr(b'\n', &self.line) else { return ControlFlow::Continue(()) };
        let lines: Vec<u8> = self.line.drain(..=end).collect();
        self.out.put(tame(&lines).as_bytes())
    }

    fn finish(mut self) -> Exit {
        if !self.line.is_empty() {
            let rest = tame(&self.line);
            let _ = self.out.put(rest.as_bytes());
        }
        self.out.finish()
    }
}

/// Whole lines, with everything escaped that could drive a terminal.
fn tame(lines: &[u8]) -> String {
    let text = String::from_utf8_lossy(lines);
    let lines = text.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\t').map(printable).collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn raw(mut stored: Stored) -> Result<Exit, Error> {
    let unreadable = |error: io::Error| Error::new(Exit::IoErr, "reading a message of the queue", error.to_string());
    let mut raw = Raw::new();
    stored.rewind(Form::EightBit).map_err(unreadable)?;
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        let is_last = stored.fill(&mut piece, PIECE).map_err(unreadable)?;
        if raw.put(&piece).is_break() || is_last {
            return Ok(raw.finish());
        }
    }
}

fn raw_of_service(service: &mut Service, id: &Short) -> Result<Exit, Error> {
    let mut raw = Raw::new();
    let mut trouble = None;
    service.ask(&format!("raw {id}"), &mut |line| {
        if let Ok(octets) = STANDARD.decode(line) {
            return raw.put(&octets);
        }
        let end = serde_json::from_str::<Value>(line).unwrap_or_default();
        if end["end"] != true {
            trouble = Some(end["error"].as_str().unwrap_or("it ended in the middle of the message").to_owned());
        }
        ControlFlow::Break(())
    })?;
    let exit = raw.finish();
    trouble.map_or(Ok(exit), |why| Err(puzzled(&why)))
}

fn odd(spool: &Spool, place: Place, id: Id) -> Error {
    let because = match super::walk::look(spool, place, id) {
        Some(Item::Odd(_)) => "what stands there is no message of sealpost's",
        _ => "it is gone since",
    };
    Error::new(Exit::NoInput, format!("reading {}", spool.path().join(place.as_str()).join(id.to_string()).display()), because)
        .hint("`sealpost queue list --all` shows what is there")
}
