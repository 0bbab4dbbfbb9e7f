//! How are several messages held, released or removed by one command? (`sealpost queue hold`, `release`, `remove`)

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    ops::ControlFlow,
};

use serde_json::json;

use super::{
    Change,
    act::{self, Came, Deed, Hands},
    busy, find,
    listed::{Item, Whose},
    missing,
    out::{Out, say},
    select::Short,
    source::Sources,
};
use crate::{
    cmd::caller::{ErrorMode, complain},
    error::{Error, Exit},
    host::{
        journal::{Id, Journal, Sockets},
        spool::Place,
        world::World,
    },
};

/// What it is to be done to.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// In the own queue.
    pub(super) own: Vec<(Place, Id)>,
    /// In the service's; it finds them itself.
    pub(super) service: Vec<String>,
}

/// Does it to all that are meant; what can't be done is told, and does not stop the others.
pub(super) fn run(world: &dyn World, deed: Deed, places: &[Place], options: &Change) -> Result<Exit, Error> {
    if options.id.is_empty() && options.filter.is_empty() && !options.all {
        let error = Error::new(Exit::Usage, format!("choosing what to {}", deed.as_str()), "no message is named");
        return Err(error.hint("name ids, or say which: --from, --to, --account, --older-than, --all"));
    }
    let mut sources = Sources::find(world, options.place.file.as_deref())?;
    let (targets, mut refused) = targets(world, &mut sources, options, places)?;
    let count = targets.own.len() + targets.service.len();
    if options.all && count > 0 {
        consent(deed, count, options.yes)?;
    }
    let mut done = Vec::new();
    let mut note = |name: String, result: Result<(), Error>| match result {
        Ok(()) => done.push(name),
        Err(error) => refused.push((name, error)),
    };
    if let (Some(spool), Some(config)) = (&sources.own, &sources.config) {
        let journal = Journal::new(&config.log, None, Sockets::default());
        let hands = Hands { world, config, spool, journal: &journal };
        for (place, id) in targets.own {
            note(id.to_string(), one(hands, deed, place, id));
        }
    }
    if let Some(service) = &mut sources.service {
        for name in targets.service {
            let asked = service.ask(&format!("{} {name}", deed.as_str()), &mut |_| ControlFlow::Continue(()));
            note(name, asked);
        }
    }
    let exit = tell(deed, options, &done, &refused);
    sources.finish(exit)
}

/// What is meant, and what could not be found.
fn targets(
    world: &dyn World,
    sources: &mut Sources,
    options: &Change,
    places: &[Place],
) -> Result<(Targets, Vec<(String, Error)>), Error> {
    let mut targets = Targets::default();
    let mut refused = Vec::new();
    for short in &options.id {
        if let Err(error) = targets.add(sources, short, places) {
            refused.push((short.to_string(), error));
        }
    }
    if options.id.is_empty() {
        let wanted = options.filter.wanted(world);
        for place in places {
            let place = std::slice::from_ref(place);
            let make = |item| match item {
                Item::Message(listed) if wanted.admits(&listed) => Some((listed.source, act::target(&listed))),
                _ => None,
            };
            sources.each((place, word(place)), &make, &mut |(whose, (place, id))| {
                match whose {
                    Whose::Own => targets.own.push((place, id)),
                    Whose::Service => targets.service.push(id.to_string()),
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok((targets, refused))
}

impl Targets {
    /// Finds the message that somebody means: in the own queue, else it is for the service to find.
    pub(super) fn add(&mut self, sources: &Sources, short: &Short, places: &[Place]) -> Result<(), Error> {
        let own = sources.own.as_ref().map(|spool| find(spool, short, places)).transpose()?.flatten();
        match own {
            Some(at) if self.own.contains(&at) => {}
            Some(at) => self.own.push(at),
            None if sources.service.is_some() => self.service.push(short.to_string()),
            None => return Err(missing(short)),
        }
        Ok(())
    }
}

/// The word of XQUEUE for one place.
pub(super) fn word(place: &[Place]) -> &'static str {
    match place {
        [Place::Held] => "held",
        [Place::Failed] => "failed",
        _ => "",
    }
}

fn one(hands: Hands<'_>, deed: Deed, place: Place, id: Id) -> Result<(), Error> {
    let mut unlogged = Vec::new();
    let came = hands.act(deed, (place, id), &|_| true, &mut unlogged)?;
    for error in unlogged {
        complain("sealpost", ErrorMode::Print, &error);
    }
    match came {
        Came::Done => Ok(()),
        Came::Busy => Err(busy(id)),
        Came::Gone => Err(Error::new(Exit::NoInput, format!("looking for message {id}"), "it is gone since")),
        Came::Odd(why) => Err(Error::new(Exit::DataErr, format!("looking at {}/{id}", place.as_str()), format!("it {why}"))),
    }
}

/// Whether it may be done to all: by `--yes`, or by whoever sits at the terminal.
fn consent(deed: Deed, count: usize, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    let what = if count == 1 { "the only message".to_owned() } else { format!("all {count} messages") };
    let doing = format!("being about to {} {what}", deed.as_str());
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Error::new(Exit::Usage, doing, "there is no terminal to ask on").hint("add --yes to do it"));
    }
    let verb = deed.as_str();
    say(&format!("{}{} {what}? [y/N] ", verb[..1].to_ascii_uppercase(), &verb[1..]));
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    let is_yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    if is_yes { Ok(()) } else { Err(Error::new(Exit::NoPerm, doing, "the answer was no")) }
}

fn tell(deed: Deed, options: &Change, done: &[String], refused: &[(String, Error)]) -> Exit {
    let word = deed.status().as_str();
    let exit = refused.iter().map(|(_, error)| error.exit()).max_by_key(|exit| exit.code() != Exit::TempFail.code());
    if options.place.json {
        let refused: Vec<_> = refused.iter().map(|(id, error)| json!({"id": id, "error": error.summary()})).collect();
        let mut out = Out::new();
        let _ = out.object(&json!({"status": word, "done": done, "refused": refused}));
        out.finish();
        return exit.unwrap_or(Exit::Ok);
    }
    for id in done {
        say(&format!("{word}: {id}\n"));
    }
    for (_, error) in refused {
        complain("sealpost", ErrorMode::Print, error);
    }
    if done.is_empty() && refused.is_empty() {
        say("no message is so\n");
    }
    exit.unwrap_or(Exit::Ok)
}
