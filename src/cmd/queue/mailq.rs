//! What do mailq, `sendmail -bp`, `-bP` and `-q` answer, for whom has scripts that read it? (sendmail(8); the form of Postfix)

use std::ops::ControlFlow;

use jiff::tz::TimeZone;

use super::{
    count,
    flush::{self, Plan},
    listed::{Heard, Item, Listed},
    out::Out,
    select,
    source::Sources,
    table::{cut, short},
};
use crate::{
    cmd::sendmail::Request,
    error::{Error, Exit},
    host::{
        narrate::{Level, Narrator},
        spool::Place,
        world::World,
    },
};

/// Columns before a recipient, where those of a short name end, and before the end of a reason.
const INDENT: usize = 57;
const REASON: usize = 78;

/// What mailq shows of a queue: what waits, and what is held.
const PLACES: [(&[Place], &str); 2] = [(&[Place::Queue], ""), (&[Place::Held], "held")];

/// Prints what waits.
///
/// # Errors
/// The configuration, the queue or the service can't be used.
pub fn list(world: &dyn World, request: &Request) -> Result<Exit, Error> {
    let mut sources = Sources::find(world, request.config.as_deref())?;
    let zone = world.now().time_zone().clone();
    let mut out = Out::new();
    let (mut messages, mut octets) = (0_u64, 0_u64);
    let make = |item| match item {
        Item::Message(listed) if select::admits(&request.matches, &listed) => Some((listed.size, entry(&listed, &zone))),
        _ => None,
    };
    for places in PLACES {
        sources.each(places, &make, &mut |(size, text)| {
            messages += 1;
            octets = octets.saturating_add(size);
            let head = if messages == 1 { HEADING } else { "\n" };
            out.put(head.as_bytes())?;
            out.put(text.as_bytes())
        })?;
    }
    let end = match messages {
        0 => "Mail queue is empty\n".to_owned(),
        1 => format!("\n-- {} Kbytes in 1 Request.\n", octets / 1024),
        many => format!("\n-- {} Kbytes in {many} Requests.\n", octets / 1024),
    };
    let _ = out.put(end.as_bytes());
    let exit = out.finish();
    sources.finish(exit)
}

const HEADING: &str = "-Queue ID-                  --Size-- ---Arrival Time---- -Sender/Recipient-------\n";

/// One message; what has it already is left out, as it waits for nothing.
fn entry(listed: &Listed, zone: &TimeZone) -> String {
    let mark = if listed.place == Place::Held { '!' } else { ' ' };
    let time = listed.arrived.to_zoned_datetime(zone.clone()).strftime("%a %b %e %H:%M:%S");
    let from = if listed.from.is_empty() { "MAILER-DAEMON".to_owned() } else { short(&listed.from) };
    let mut text = format!("{:26}{mark} {:>8} {time} {from}\n", listed.id.to_string(), listed.size);
    let mut last = None;
    for one in listed.waiting() {
        let why = one.heard.words().or_else(|| listed.problem.as_ref().and_then(Heard::words)).map(|words| cut(&words));
        if why.is_some() && why != last {
            let reason = format!("({})", why.as_deref().unwrap_or_default());
            text += &format!("{reason:>REASON$}\n");
        }
        last = why;
        text += &format!("{:INDENT$}{}\n", "", short(&one.address));
    }
    text
}

/// Prints how many messages wait or are held.
///
/// # Errors
/// The configuration, the queue or the service can't be used.
pub fn size(world: &dyn World, request: &Request) -> Result<Exit, Error> {
    let mut sources = Sources::find(world, request.config.as_deref())?;
    let mut messages = 0;
    if let Some(spool) = &sources.own {
        messages += (count(spool, Place::Queue)? + count(spool, Place::Held)?) as u64;
    }
    if let Some(service) = &mut sources.service {
        service.ask("count", &mut |line| {
            let counts: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            messages += ["queue", "held"].iter().filter_map(|key| counts[key].as_u64()).sum::<u64>();
            ControlFlow::Continue(())
        })?;
    }
    let exit = crate::cmd::caller::print(&format!("{messages}\n"));
    sources.finish(exit)
}

/// Tries what waits; silent when all is well, whether it went or waits on.
///
/// # Errors
/// The configuration, the queue or the service can't be used.
pub fn flush(world: &dyn World, request: &Request) -> Result<Exit, Error> {
    let mut sources = Sources::find(world, request.config.as_deref())?;
    let level = match (request.debug, request.verbose) {
        (true, _) => Level::Debug,
        (_, true) => Level::Verbose,
        _ => Level::Quiet,
    };
    let wanted = |listed: &Listed| select::admits(&request.matches, listed);
    let wanted: Option<&(dyn Fn(&Listed) -> bool + Sync)> = if request.matches.is_empty() { None } else { Some(&wanted) };
    let plan = Plan { now: !request.due, wanted, narrator: Narrator::new(level), is_quiet: level > Level::Quiet };
    if request.due {
        plan.narrator.note("a time behind -q: the queue is run once, for what is due; `sealpost serve` runs it again and again");
    }
    if let (Some(spool), Some(config)) = (&sources.own, &sources.config) {
        flush::own(world, config, spool, plan)?;
    }
    // A service looks after what is due by itself.
    if let Some(service) = sources.service.as_mut().filter(|_| !request.due) {
        flush::ask(service, wanted)?;
    }
    sources.finish(Exit::Ok)
}
