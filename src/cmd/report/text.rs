//! How does a person read the sums, on a terminal of 80 columns?

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Report, SOON};
use crate::{
    cmd::wrap::wrapped,
    error::printable,
    host::{
        journal::Status,
        ledger::{
            entry::TlsResult,
            summary::{Certificate, Counts, Host, Tally},
        },
    },
};

const WIDTH: usize = 80;
/// Columns of the chart, behind a gap of two.
const CHART: usize = 13;
/// Days that have a row of their own; older ones share one.
const ROWS: usize = 31;
/// Where the words of a line begin that is no row.
const INDENT: usize = 15;

/// How a result looks in the chart: its block, and its colour.
const BLOCKS: [(TlsResult, char, &str); 4] = [
    (TlsResult::Verified, '█', "32"),
    (TlsResult::Unverified, '▓', "33"),
    (TlsResult::Plaintext, '▒', "31"),
    (TlsResult::None, '░', "2"),
];

/// What the output can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// A bar for each day.
    pub(super) chart: bool,
    /// Colour.
    pub(super) colour: bool,
}

/// A section for each host, safe for a terminal.
pub(super) fn render(report: &Report, style: Style) -> String {
    let mut page = String::new();
    let summary = &report.summary;
    for (name, host) in &summary.hosts {
        let name = if name.is_empty() { "before any host was known" } else { name };
        page += &style.section(&printable(name), host, report.now);
        page.push('\n');
    }
    if summary.hosts.is_empty() {
        return "no attempts in that time\n".to_owned();
    }
    if summary.crowd > 0 {
        let _ = writeln!(page, "{} records of more hosts and days are left out", summary.crowd);
    }
    if style.chart {
        let legend =
            BLOCKS.map(|(result, block, shade)| format!("{} {}", style.painted(&block.to_string(), shade), result.as_str()));
        let _ = writeln!(page, "{}", legend.join("   "));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

impl Style {
    fn section(self, name: &str, host: &Host, now: Timestamp) -> String {
        let total = host.total();
        let mut text = format!("{name}\n  day         attempts  sent  verified  unverified  plaintext  none\n");
        let folded = host.days.len().saturating_sub(ROWS);
        let busiest = host.days.values().skip(folded).map(|counts| counts.attempts).max().unwrap_or(0);
        if folded > 0 {
            let older = host.days.values().take(folded).fold(Counts::default(), Counts::plus);
            text += &row("older", &older);
            text.push('\n');
        }
        for (day, counts) in host.days.iter().skip(folded) {
            text += &row(&day.to_string(), counts);
            if self.chart {
                text.extend(["  ", &self.bar(counts, busiest)]);
            }
            text.push('\n');
        }
        if host.days.len() > 1 {
            text += &row("together", &total);
            text.push('\n');
        }
        for (label, tally) in [("versions", &total.versions), ("ciphers", &total.ciphers), ("groups", &total.groups)] {
            text += &line(label, &listed(tally));
        }
        let failures: Vec<String> = total.failures.iter().map(|(failure, count)| format!("{failure} {count}")).collect();
        text += &line("failures", &failures.join(", "));
        if total.downgrades > 0 {
            let told = format!("{} sessions without the TLS that this host offered before", total.downgrades);
            text += &self.alarm(&line("downgrades", &told), "31");
        }
        let ending =
            host.certificate.as_ref().filter(|certificate| certificate.not_after <= now.saturating_add(SOON).unwrap_or(now));
        if let Some(certificate) = ending {
            let shade = if certificate.not_after < now { "31" } else { "33" };
            text += &self.alarm(&line("certificate", &end_of(certificate, now)), shade);
        }
        text
    }

    /// As long as the day was busy; what happened at all has a block as long as there is room.
    fn bar(self, counts: &Counts, busiest: u64) -> String {
        let columns = |count: u64| usize::try_from((count * CHART as u64).div_ceil(busiest.max(1))).unwrap_or(CHART).min(CHART);
        let length = columns(counts.attempts);
        let mut bar = String::new();
        let mut free = length;
        // From the worst to the best: a single mail in plaintext must not vanish beside a thousand verified ones.
        for (result, block, shade) in BLOCKS.iter().rev() {
            let width = match result {
                TlsResult::Verified if counts.with_result(*result) > 0 => free,
                _ => columns(counts.with_result(*result)).min(free),
            };
            free -= width;
            if width > 0 {
                bar = self.painted(&block.to_string().repeat(width), shade) + &bar;
            }
        }
        bar
    }

    fn painted(self, text: &str, shade: &str) -> String {
        if self.colour { format!("\x1b[{shade}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn alarm(self, lines: &str, shade: &str) -> String {
        if self.colour { self.painted(lines.trim_end(), shade) + "\n" } else { lines.to_owned() }
    }
}

fn row(day: &str, counts: &Counts) -> String {
    let [verified, unverified, plaintext, none] = TlsResult::ALL.map(|result| counts.with_result(result));
    let (attempts, sent) = (counts.attempts, counts.with_status(Status::Sent));
    format!("  {day:<10}  {attempts:>8} {sent:>5} {verified:>9} {unverified:>11} {plaintext:>10} {none:>5}")
}

/// The most frequent first.
fn listed(tally: &Tally) -> String {
    let mut words: Vec<(&String, &u64)> = tally.iter().collect();
    words.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    words.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
}

/// Nothing where there is nothing to say.
fn line(label: &str, words: &str) -> String {
    if words.is_empty() {
        return String::new();
    }
    let lines = wrapped(&printable(words), WIDTH - INDENT);
    let gap = format!("\n{:INDENT$}", "");
    format!("  {label:<width$}{}\n", lines.join(&gap), width = INDENT - 2)
}

fn end_of(certificate: &Certificate, now: Timestamp) -> String {
    let days = certificate.not_after.duration_since(now).as_hours().div_euclid(24);
    let when = match days {
        ..0 => "has expired".to_owned(),
        0 => "expires today".to_owned(),
        1 => "expires in 1 day".to_owned(),
        _ => format!("expires in {days} days"),
    };
    format!("{when}, at {:.0}: {}", certificate.not_after, certificate.subject)
}
