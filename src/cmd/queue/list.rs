//! What waits, is held or failed? (`sealpost queue list`)

use std::ops::ControlFlow;

use super::{
    List, count,
    listed::{Item, Whose},
    out::{Out, say},
    source::Sources,
    table::{Table, size},
};
use crate::{
    cmd::screen::Screen,
    error::{Error, Exit},
    host::{spool::Place, world::World},
};

/// Prints the list.
pub(super) fn run(world: &dyn World, options: &List) -> Result<Exit, Error> {
    let mut sources = Sources::find(world, options.place.file.as_deref())?;
    let wanted = options.filter.wanted(world);
    let table = Table { screen: Screen::of_stdout(world), now: world.timestamp() };
    let mut page = Page { out: Out::new(), table, json: options.place.json, titles: None, last: None, messages: 0, octets: 0 };
    if sources.are_two() {
        page.titles = Some([Whose::Own, Whose::Service].map(|whose| sources.name(whose)));
    }
    let mut faulty = None;
    for chosen in options.places() {
        sources.each(chosen, &mut |item| {
            let is_wanted = match &item {
                Item::Message(listed) => wanted.admits(listed),
                Item::Odd(_) => options.filter.is_empty(),
            };
            match if is_wanted { page.add(&item) } else { Ok(ControlFlow::Continue(())) } {
                Ok(flow) => flow,
                Err(error) => {
                    faulty = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
    }
    if let Some(error) = faulty {
        return Err(error);
    }
    let sum = page.sum();
    let exit = page.out.finish();
    if !options.place.json {
        let others = if options.is_plain() { others(&sources) } else { String::new() };
        say(&format!("{sum}{others}\n"));
    }
    Ok(exit)
}

impl List {
    /// The places that are wanted, and the word of XQUEUE for them.
    fn places(&self) -> Vec<(&'static [Place], &'static str)> {
        if self.all || (self.held && self.failed) {
            let all: &[Place] = if self.all { &Place::ALL } else { &[Place::Held, Place::Failed] };
            return if self.all { vec![(all, "all")] } else { vec![(&all[..1], "held"), (&all[1..], "failed")] };
        }
        match (self.held, self.failed) {
            (true, _) => vec![(&[Place::Held], "held")],
            (_, true) => vec![(&[Place::Failed], "failed")],
            _ => vec![(&[Place::Queue], "")],
        }
    }

    fn is_plain(&self) -> bool {
        !self.all && !self.held && !self.failed && self.filter.is_empty()
    }
}

struct Page {
    out: Out,
    table: Table,
    json: bool,
    /// What the queues are called, where there are two.
    titles: Option<[String; 2]>,
    /// Whose the last row was.
    last: Option<Whose>,
    messages: u64,
    octets: u64,
}

impl Page {
    fn add(&mut self, item: &Item) -> Result<ControlFlow<()>, Error> {
        let whose = match item {
            Item::Message(listed) => {
                self.messages += 1;
                self.octets = self.octets.saturating_add(listed.size);
                listed.source
            }
            Item::Odd(odd) => odd.source,
        };
        if self.json {
            return self.out.object(item);
        }
        let mut text = String::new();
        if self.last.is_none() {
            text += &self.table.heading();
        }
        if let Some(titles) = self.titles.as_ref().filter(|_| self.last != Some(whose)) {
            text += &self.table.title(&titles[whose as usize]);
        }
        self.last = Some(whose);
        text += &self.table.item(item);
        Ok(self.out.put(text.as_bytes()))
    }

    fn sum(&self) -> String {
        let unit = if self.octets < 1000 { " octets" } else { "" };
        let messages = match self.messages {
            0 => return "no message".to_owned(),
            1 => "1 message".to_owned(),
            many => format!("{many} messages"),
        };
        format!("{messages}, {}{unit}", size(self.octets))
    }
}

/// How many are held or failed in the own queue, beside those that are listed.
fn others(sources: &Sources) -> String {
    let Some(spool) = &sources.own else { return String::new() };
    let counts = [Place::Held, Place::Failed].map(|place| (count(spool, place).unwrap_or(0), place.as_str()));
    let told: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if told.is_empty() { String::new() } else { format!("; besides {} (--all)", told.join(" and ")) }
}
