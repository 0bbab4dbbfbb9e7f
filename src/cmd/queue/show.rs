//! What is there to see of one message: its envelope, how it stands, what happened to it, its header? (`sealpost queue show`)

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    listed::{Fate, Heard, Listed},
    table::{Table, cut, short, span},
};
use crate::{
    cmd::{ink::Ink, wrap::wrapped},
    error::printable,
    host::spool::{Entry, Place, Stored},
};

/// Octets of a header that are shown.
const HEADER: usize = 64 << 10;
/// Columns of a label and the gaps around it.
const INDENT: usize = 13;
/// The page fits into a terminal of this width.
const WIDTH: usize = 80;

/// Everything about one message but its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// What a list says of it.
    #[serde(flatten)]
    pub(super) listed: Listed,
    /// It has an octet above 127.
    eight_bit: bool,
    /// NOTIFY, where it was asked for.
    notify: Option<String>,
    /// RET.
    ret: Option<String>,
    /// ENVID.
    envid: Option<String>,
    /// Its header, of which lines end in LF here; what is no UTF-8 is replaced.
    header: String,
}

impl Shown {
    /// What is known of a message.
    pub(super) fn new(listed: Listed, entry: &Entry, stored: &Stored) -> Self {
        let dsn = &entry.head.envelope.dsn;
        // What can't be read is missing on the page, and told by whoever sends it.
        let beginning = stored.beginning(HEADER).unwrap_or_default();
        let end = memchr::memmem::find(&beginning, b"\r\n\r\n").map_or(beginning.len(), |end| end + 2);
        Self {
            listed,
            eight_bit: entry.head.eight_bit,
            notify: dsn.notify.map(|notify| notify.to_string()),
            ret: dsn.ret.map(|ret| ret.as_str().to_owned()),
            envid: dsn.envid.clone(),
            header: String::from_utf8_lossy(&beginning[..end]).replace("\r\n", "\n"),
        }
    }

    /// The page for a person, in the zone of the reader; `history` are rows of the log.
    pub(super) fn page(&self, table: Table, zone: &TimeZone, history: &[String]) -> String {
        let listed = &self.listed;
        let mut page = Page { table, text: table.title(&format!("message {}", listed.id)) };
        let time = |time: Timestamp| time.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let ago = |then: Timestamp| format!("{}, {} ago", time(then), span(table.now.duration_since(then)));
        let tried = match (listed.attempts, listed.tried) {
            (0, _) | (_, None) => "not tried yet".to_owned(),
            (1, Some(tried)) => format!("tried once, {}", ago(tried)),
            (times, Some(tried)) => format!("tried {times} times, the last one {}", ago(tried)),
        };
        let (state, ink) = match listed.place {
            Place::Held => ("held: it waits until it is released".to_owned(), Ink::Doubtful),
            Place::Failed | Place::Odd => ("failed for good".to_owned(), Ink::Bad),
            Place::Queue => match listed.next.filter(|next| *next > table.now) {
                Some(next) => (format!("waits, next try in {}, {}", span(next.duration_since(table.now)), time(next)), Ink::Plain),
                None => ("waits, due now".to_owned(), Ink::Plain),
            },
        };
        page.row("state", ink, &state);
        page.row("", Ink::Plain, &tried);
        page.row("arrived", Ink::Plain, &ago(listed.arrived));
        page.row("from", Ink::Plain, &format!("<{}>, by {} (uid {})", short(&listed.from), short(&listed.user), listed.uid));
        page.row("account", Ink::Plain, &short(&listed.account));
        let kind = if listed.report { ", a report on another message" } else { "" };
        let bits = if self.eight_bit { ", 8-bit" } else { "" };
        page.row("size", Ink::Plain, &format!("{} octets{bits}{kind}", listed.size));
        page.row("message-id", Ink::Plain, &short(&listed.message_id));
        page.row("reports", Ink::Plain, &self.reports());
        if let Some(problem) = listed.problem.as_ref().and_then(Heard::words) {
            page.row("problem", Ink::Doubtful, &cut(&problem));
        }
        for (index, one) in listed.recipients.iter().enumerate() {
            let (state, ink) = match one.status {
                Fate::Waiting => ("waits", Ink::Plain),
                Fate::Delivered => ("delivered", Ink::Good),
                Fate::Failed => ("failed", Ink::Bad),
            };
            let heard = one.heard.words().map(|words| format!(", {}", cut(&words))).unwrap_or_default();
            page.row(if index == 0 { "to" } else { "" }, ink, &format!("{}: {state}{heard}", short(&one.address)));
        }
        page.block("history", history.iter().flat_map(|row| row.lines()).map(str::to_owned));
        page.block("header", self.header.lines().map(printable));
        table.screen.tame(page.text)
    }

    fn reports(&self) -> String {
        let wishes = [("NOTIFY", &self.notify), ("RET", &self.ret), ("ENVID", &self.envid)];
        let wishes: Vec<String> =
            wishes.iter().filter_map(|(name, value)| Some(format!("{name}={}", short(value.as_deref()?)))).collect();
        if wishes.is_empty() { "as usual".to_owned() } else { wishes.join(" ") }
    }
}

struct Page {
    table: Table,
    text: String,
}

impl Page {
    fn row(&mut self, label: &str, ink: Ink, text: &str) {
        let colour = self.table.screen.colour;
        for (index, line) in wrapped(text, WIDTH - INDENT).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let label = Ink::Label.dye(&format!("{label:<0$}", INDENT - 2), colour);
            self.text += format!("  {label}{}", ink.dye(line, colour)).trim_end();
            self.text.push('\n');
        }
    }

    /// Lines of their own under a label, broken where the terminal ends.
    fn block(&mut self, label: &str, lines: impl Iterator<Item = String>) {
        let mut lines = lines.peekable();
        if lines.peek().is_some() {
            self.row(label, Ink::Plain, "");
        }
        for line in lines {
            let broken = match self.table.screen.columns {
                // What holds colours is as wide as the terminal already.
                Some(columns) if !line.contains('\x1b') => wrapped(&line, columns.saturating_sub(4).max(2)),
                _ => vec![line],
            };
            for line in broken {
                self.text += format!("    {line}").trim_end();
                self.text.push('\n');
            }
        }
    }
}
