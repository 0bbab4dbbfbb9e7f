//! How does a person read what waits, and why, at a glance? (80 columns, or what the terminal has)

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::listed::{Fate, Heard, Item, Listed, Odd, Stands};
use crate::{
    cmd::{ink::Ink, screen::Screen, wrap::wrapped},
    error::printable,
    host::{journal::text::Text, spool::Place},
};

/// Columns before the sender, which has the rest.
const HEAD: usize = 56;
/// Recipients that are told one by one.
const RECIPIENTS: usize = 5;
/// Characters of an address, and of words that are foreign.
const ADDRESS: usize = 320;
const WORDS: usize = 400;
/// Before what does not fit in the row, and what is wrong.
const INDENT: &str = "    ";

/// How the rows look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// What standard output shows.
    pub(super) screen: Screen,
    /// From when ages and waits are counted.
    pub(super) now: Timestamp,
}

impl Table {
    /// The names of the columns.
    pub(super) fn heading(self) -> String {
        let text = format!("{:26}   age   size  tried  next    from", "id");
        self.dyed(Ink::Label, &text) + "\n"
    }

    /// A line between two queues.
    pub(super) fn title(self, text: &str) -> String {
        self.wrapped(Ink::Title, "", text)
    }

    /// A row, and lines below it for what is wrong and whom it waits for.
    pub(super) fn item(self, item: &Item) -> String {
        match item {
            Item::Message(listed) => self.row(listed),
            Item::Odd(odd) => self.odd(odd),
        }
    }

    fn row(self, listed: &Listed) -> String {
        let (next, ink) = self.next(listed);
        let age = span(self.now.duration_since(listed.arrived));
        let head = format!("{:26}  {age:>4}  {:>5}  {:>4}x  ", listed.id.to_string(), size(listed.size), listed.attempts);
        let head = head + &self.dyed(ink, &format!("{next:<6}")) + "  ";
        let from = if listed.from.is_empty() { "<>".to_owned() } else { short(&listed.from) };
        let mut row = String::new();
        if self.screen.columns.is_some_and(|columns| HEAD + from.chars().count() > columns) {
            row += head.trim_end();
            row.push('\n');
            row += &self.wrapped(Ink::Plain, INDENT, &format!("from {from}"));
        } else {
            row.extend([&head, &from, "\n"]);
        }
        let problem = listed.problem.as_ref().and_then(Heard::words);
        if let Some(problem) = &problem {
            row += &self.wrapped(Ink::Doubtful, INDENT, &cut(problem));
        }
        let told = listed.recipients.iter().filter(|one| one.status != Fate::Delivered).take(RECIPIENTS);
        let mut left = listed.recipients.len();
        for one in told {
            left -= 1;
            row += &self.recipient(one, problem.as_deref());
        }
        let delivered = listed.recipients.iter().filter(|one| one.status == Fate::Delivered).count();
        let rest = match (left - delivered, delivered) {
            (0, 0) => return self.screen.tame(row),
            (0, delivered) => format!("{delivered} more have it"),
            (more, 0) => format!("and {more} more"),
            (more, delivered) => format!("and {more} more; {delivered} have it"),
        };
        row += &self.wrapped(Ink::Plain, INDENT, &rest);
        self.screen.tame(row)
    }

    fn recipient(self, one: &Stands, problem: Option<&str>) -> String {
        let heard = one.heard.words().filter(|words| Some(words.as_str()) != problem);
        let why = heard.map(|words| format!(": {}", cut(&words))).unwrap_or_default();
        let (state, ink) = if one.status == Fate::Failed { (" failed", Ink::Bad) } else { ("", Ink::Plain) };
        self.wrapped(ink, INDENT, &format!("to {}{state}{why}", short(&one.address)))
    }

    fn odd(self, odd: &Odd) -> String {
        let text = format!("{}/{}: no message of sealpost's; it is never sent", odd.place.as_str(), short(&odd.odd));
        self.screen.tame(self.wrapped(Ink::Doubtful, "", &text))
    }

    fn next(self, listed: &Listed) -> (String, Ink) {
        match (listed.place, listed.next) {
            (Place::Held, _) => ("held".to_owned(), Ink::Doubtful),
            (Place::Failed, _) => ("failed".to_owned(), Ink::Bad),
            (_, Some(next)) if next > self.now => (format!("in {}", span(next.duration_since(self.now))), Ink::Plain),
            _ => ("now".to_owned(), Ink::Plain),
        }
    }

    fn wrapped(self, ink: Ink, indent: &str, text: &str) -> String {
        let lines = match self.screen.columns {
            Some(columns) => wrapped(text, columns.saturating_sub(indent.len()).max(2)),
            None => vec![text.to_owned()],
        };
        lines.iter().fold(String::new(), |mut rows, line| {
            let _ = writeln!(rows, "{indent}{}", self.dyed(ink, line.trim_end()));
            rows
        })
    }

    fn dyed(self, ink: Ink, text: &str) -> String {
        ink.dye(text, self.screen.colour)
    }
}

/// `45s`, `12m`, `3h`, `5d`, `99w`: the largest unit of which there is one.
pub(super) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        86_400..8_640_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}w", (seconds / 604_800).min(999)),
    }
}

/// `999`, `1.2K`, `34K`, `1.0M`: three digits at the most, rounded up.
pub(super) fn size(octets: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if octets < 1000 {
        return octets.to_string();
    }
    let mut tenths = u128::from(octets) * 10;
    for unit in UNITS {
        tenths = tenths.div_ceil(1024);
        if tenths < 100 {
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
        if tenths.div_ceil(10) < 1000 {
            return format!("{}{unit}", tenths.div_ceil(10));
        }
    }
    "-".to_owned()
}

/// An address, safe for a terminal.
pub(super) fn short(text: &str) -> String {
    printable(Text::<ADDRESS>::new(text).as_str())
}

/// Foreign words, as many as a person wants to read, safe for a terminal.
pub(super) fn cut(text: &str) -> String {
    printable(Text::<WORDS>::new(text).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_fit_their_columns() {
        for (seconds, text) in
            [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (90_000, "1d"), (8_639_999, "99d")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), text);
        }
        assert_eq!(span(SignedDuration::MAX), "999w");
        for (octets, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0K"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10_137, "9.9K"),
            (10_138, "10K"),
            (1_000_000, "977K"),
            (1_022_976, "999K"),
            (1_023_000, "1.0M"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(size(octets), text, "{octets}");
        }
    }
}
