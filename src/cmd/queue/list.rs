//! What waits, is held or failed? (`sealpost queue list`)

use std::ops::ControlFlow;

use super::{
    List, count,
    listed::{Item, Whose},
    out::{Out, line, say},
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
    let json = options.place.json;
    let titles = (!json && sources.are_two()).then(|| [Whose::Own, Whose::Service].map(|whose| sources.name(whose)));
    let mut page = Page { out: Out::new(), table: (!json).then_some(table), titles, last: None, messages: 0, octets: 0 };
    let make = |item: Item| {
        let (whose, size) = match &item {
            Item::Message(listed) if wanted.admits(listed) => (listed.source, Some(listed.size)),
            Item::Odd(odd) if options.filter.is_empty() => (odd.source, None),
            _ => return None,
        };
        let text = if json { line(&item) } else { table.item(&item).into_bytes() };
        Some(Row { whose, size, text })
    };
    for chosen in options.places() {
        sources.each(chosen, &make, &mut |row| page.add(&row))?;
    }
    let sum = page.sum();
    let exit = page.out.finish();
    if !json {
        let others = if options.is_plain() { others(&sources) } else { String::new() };
        say(&format!("{sum}{others}\n"));
    }
    Ok(exit)
}

/// What is printed of an item.
struct Row {
    whose: Whose,
    /// Octets of a message.
    size: Option<u64>,
    text: Vec<u8>,
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
    /// How it looks, where a person reads it.
    table: Option<Table>,
    /// What the queues are called, where there are two.
    titles: Option<[String; 2]>,
    /// Whose the last row was.
    last: Option<Whose>,
    messages: u64,
    octets: u64,
}

impl Page {
    fn add(&mut self, row: &Row) -> ControlFlow<()> {
        self.messages += u64::from(row.size.is_some());
        self.octets = self.octets.saturating_add(row.size.unwrap_or(0));
        if let Some(table) = self.table {
            if self.last.is_none() {
                self.out.put(table.heading().as_bytes())?;
            }
            if let Some(titles) = self.titles.as_ref().filter(|_| self.last != Some(row.whose)) {
                self.out.put(table.title(&titles[row.whose as usize]).as_bytes())?;
            }
        }
        self.last = Some(row.whose);
        self.out.put(&row.text)
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
