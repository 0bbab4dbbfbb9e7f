//! How is what waits tried now, by the process of who asks? (`sealpost queue flush`, `sendmail -q`)

use std::{collections::HashSet, ffi::OsString, ops::ControlFlow, os::unix::process::CommandExt as _, thread, time::Duration};

use serde_json::json;

use super::{
    Flush,
    change::Targets,
    count,
    listed::{Item, Listed, Whose},
    out::{Out, say},
    progress::{Progress, Tally},
    source::Sources,
    walk::Walk,
};
use crate::{
    cmd::{
        background,
        caller::{ErrorMode, complain},
        runner::{Done, Runner, Setting, Until, Wish},
    },
    error::{Error, Exit},
    host::{
        config::Config,
        inquiry::Service,
        journal::{Id, Journal, Sockets},
        narrate::Narrator,
        signals::{Order, Orders},
        spool::{Entry, Lead, Place, Spool},
        world::World,
    },
};

/// Which messages a run is for.
type Wanted<'a> = dyn Fn(&Listed) -> bool + Sync + 'a;

/// What is tried, and how.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    /// Whether it is due or not, and whatever is left alone for a while; false: obeying both.
    pub(super) now: bool,
    /// These only.
    pub(super) wanted: Option<&'a Wanted<'a>>,
    /// Tells the terminal of each session.
    pub(super) narrator: Narrator,
    /// Shows no bar.
    pub(super) is_quiet: bool,
}

pub(super) fn run(world: &dyn World, options: &Flush) -> Result<Exit, Error> {
    if options.background {
        return again_in_background();
    }
    let mut sources = Sources::find(world, options.place.file.as_deref())?;
    let mut targets = Targets::default();
    let mut exit = Exit::Ok;
    for short in &options.id {
        if let Err(error) = targets.add(&sources, short, &[Place::Queue]) {
            exit = complain("sealpost", ErrorMode::Print, &error);
        }
    }
    let named: HashSet<Id> = targets.own.iter().map(|(_, id)| *id).collect();
    let filter = options.filter.wanted(world);
    let by_id = |listed: &Listed| named.contains(&listed.id);
    let by_filter = |listed: &Listed| filter.admits(listed);
    let wanted: Option<&Wanted<'_>> = match (options.id.is_empty(), options.filter.is_empty()) {
        (false, _) => Some(&by_id),
        (true, false) => Some(&by_filter),
        (true, true) => None,
    };
    let plan = Plan { now: !options.due, wanted, narrator: Narrator::default(), is_quiet: options.place.json };
    let has_own = options.id.is_empty() || !named.is_empty();
    let mut tally = None;
    if let (Some(spool), Some(config), true) = (&sources.own, &sources.config, has_own) {
        tally = Some(own(world, config, spool, plan)?);
    }
    let mut asked = None;
    if let Some(service) = sources.service.as_mut().filter(|_| !options.due) {
        asked = match (wanted, targets.service.is_empty()) {
            (_, false) => Some(ask_for(service, &targets.service)?),
            (Some(_), true) if !options.id.is_empty() => None,
            (wanted, true) => Some(ask(service, wanted)?),
        };
    }
    let exit = tell(options, tally, asked, exit);
    sources.finish(exit)
}

/// Tries what waits in a queue of one's own, and what became of it.
///
/// # Errors
/// The queue can't be read.
pub(super) fn own(world: &dyn World, config: &Config, spool: &Spool, plan: Plan<'_>) -> Result<Tally, Error> {
    let total = match plan.wanted {
        None => count(spool, Place::Queue)?,
        Some(wanted) => {
            let make = |item| matches!(item, Item::Message(listed) if wanted(&listed)).then_some(());
            Walk::new(spool, Place::Queue, &make)?.count()
        }
    };
    let progress = Progress::new(total as u64, plan.is_quiet);
    let lead = if plan.wanted.is_none() { spool.lead()? } else { None };
    if !plan.now && lead.is_none() && plan.wanted.is_none() {
        // Who leads tries what is due.
        return Ok(Tally::default());
    }
    let journal = Journal::new(&config.log, None, Sockets::default());
    let setting = Setting { world, config, spool, journal: &journal, narrator: &plan.narrator };
    let only =
        |id: Id, entry: &Entry| plan.wanted.is_none_or(|wanted| wanted(&Listed::new(id, Place::Queue, Whose::Own, entry.clone())));
    let told = |done: Done| progress.count(done.fared);
    let wish = Wish { now: plan.now, only: plan.wanted.is_some().then_some(&only), told: Some(&told) };
    run_until_stopped(&Runner::new(setting, wish)?, lead);
    Ok(progress.finish())
}

/// Whoever stops the run (control-C, SIGTERM) waits for the messages that are under way, lest they arrive twice; a second time the
/// process ends at once.
fn run_until_stopped(runner: &Runner<'_>, lead: Option<Lead>) {
    // Without them the run is ended as the system ends it.
    let orders = Orders::take().ok();
    thread::scope(|scope| {
        if let Some(orders) = orders {
            scope.spawn(move || {
                if orders.wait().is_ok_and(|order| order != Order::Done) {
                    orders.give_back();
                    runner.stop();
                    say("\nending after the messages that are under way; once more to end at once\n");
                }
            });
        }
        runner.run(lead, Until::Drained { patience: Duration::ZERO });
        if let Some(orders) = orders {
            orders.done();
        }
    });
}

/// Has the service try what is so; how many messages that are.
///
/// # Errors
/// The service is away.
pub(super) fn ask(service: &mut Service, wanted: Option<&Wanted<'_>>) -> Result<u64, Error> {
    let Some(wanted) = wanted else { return flushed(service, "flush") };
    let mut names = Vec::new();
    super::source::listen(service, "", &mut |item| {
        if let Item::Message(listed) = item
            && wanted(&listed)
        {
            names.push(listed.id.to_string());
        }
        ControlFlow::Continue(())
    })?;
    ask_for(service, &names)
}

fn ask_for(service: &mut Service, names: &[String]) -> Result<u64, Error> {
    names.iter().try_fold(0, |all, name| Ok(all + flushed(service, &format!("flush {name}"))?))
}

fn flushed(service: &mut Service, query: &str) -> Result<u64, Error> {
    let mut count = 0;
    service.ask(query, &mut |line| {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        count = answer["flushed"].as_u64().unwrap_or(0);
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// Starts the same command again, by itself.
fn again_in_background() -> Result<Exit, Error> {
    let words: Vec<OsString> = std::env::args_os().skip(1).filter(|word| word != "--background").collect();
    let started = background::again(|command| {
        command.args(&words).process_group(0);
        Ok(())
    });
    started.map(|()| Exit::Ok).map_err(|error| {
        Error::new(Exit::OsErr, "starting a run of the queue in the background", error.to_string()).hint("leave --background out")
    })
}

fn tell(options: &Flush, tally: Option<Tally>, asked: Option<u64>, exit: Exit) -> Exit {
    let own = tally.unwrap_or_default();
    if options.place.json {
        let mut out = Out::new();
        let _ = out.object(&json!({
            "sent": own.sent, "deferred": own.deferred, "failed": own.failed, "untried": own.untried, "asked_of_service": asked,
        }));
        out.finish();
    } else {
        report(tally, asked);
    }
    match own {
        _ if exit != Exit::Ok || options.due => exit,
        Tally { deferred: 1.., .. } | Tally { untried: 1.., .. } => Exit::TempFail,
        Tally { failed: 1.., .. } => Exit::Unavailable,
        _ => Exit::Ok,
    }
}

/// Cron mails whatever is printed: only a person at a terminal reads it.
fn report(tally: Option<Tally>, asked: Option<u64>) {
    use std::io::IsTerminal as _;
    if !std::io::stderr().is_terminal() {
        return;
    }
    if let Some(Tally { sent, deferred, failed, untried }) = tally {
        let untold = if untried > 0 { format!(", not tried {untried}") } else { String::new() };
        let hint = if deferred > 0 { " (`sealpost queue list` tells why)" } else { "" };
        say(&format!("sent {sent}, deferred {deferred}, failed {failed}{untold}{hint}\n"));
    }
    match asked {
        Some(count) => say(&format!("the service tries {count} of its messages now\n")),
        None if tally.is_none() => say("nothing waits\n"),
        None => {}
    }
}
