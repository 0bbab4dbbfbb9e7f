//! How does a person read the sums, on a terminal of 80 columns?

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Report, SOON};
use crate::{
    cmd::{screen::Screen, wrap::wrapped},
    error::printable,
    host::{
        journal::Status,
        ledger::{
            entry::TlsResult,
            summary::{Certificate, Counts, Host, Tally, times},
        },
    },
};

const WIDTH: usize = 80;
/// Columns of the chart, behind a gap of two.
const CHART: usize = 11;
/// Days that have a row of their own; older ones share one.
const ROWS: usize = 31;
/// Where the words of a line begin that is no row.
const INDENT: usize = 15;

/// How a result looks in the chart: its block, the sign where there are no such characters, and its colour.
const BLOCKS: [(TlsResult, char, char, &str); 4] = [
    (TlsResult::Verified, '█', '#', "32"),
    (TlsResult::Unverified, '▓', '=', "33"),
    (TlsResult::Plaintext, '▒', '!', "31"),
    (TlsResult::None, '░', '.', "2"),
];

/// How the page is made for a screen: on a terminal each day has a bar.
#[derive(Clone, Copy, Debug)]
struct Style(Screen);

/// A section for each host, safe for a terminal.
pub(super) fn render(report: &Report, screen: Screen) -> String {
    let style = Style(screen);
    let mut page = String::new();
    let summary = &report.summary;
    for (name, host) in &summary.hosts {
        let name = if name.is_empty() { "before any host was known" } else { name };
        page += &style.section(&printable(name), host, report.now);
        page.push('\n');
    }
    if summary.hosts.is_empty() {
        return "no attempts\n".to_owned();
    }
    if summary.crowd > 0 {
        let _ = writeln!(page, "{} records of more hosts and days are left out\n", summary.crowd);
    }
    if style.has_chart() {
        let legend = BLOCKS.map(|(result, block, sign, shade)| {
            let block = if screen.utf8 { block } else { sign };
            format!("{} {}", style.painted(&block.to_string(), shade), result.as_str())
        });
        let _ = writeln!(page, "{}", legend.join("   "));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    screen.tame(page)
}

impl Style {
    fn has_chart(self) -> bool {
        self.0.columns.is_some_and(|columns| columns >= WIDTH)
    }

    fn section(self, name: &str, host: &Host, now: Timestamp) -> String {
        let total = host.total();
        let mut text = format!("{name}\n  day         attempts   sent  verified unverified  plaintext  none\n");
        let folded = host.days.len().saturating_sub(ROWS);
        let busiest = host.days.values().skip(folded).map(|counts| counts.attempts).max().unwrap_or(0);
        if folded > 0 {
            let older = host.days.values().take(folded).fold(Counts::default(), |sum, counts| sum.plus(counts));
            text += &row("older", &older);
            text.push('\n');
        }
        for (day, counts) in host.days.iter().skip(folded) {
            text += &row(&day.to_string(), counts);
            if self.has_chart() {
                text.extend(["  ", &self.bar(counts, busiest)]);
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        if host.days.len() > 1 {
            text += &row("together", &total);
            text.push('\n');
        }
        text + &self.facts(&total) + &self.endings(host, now)
    }

    /// What was used, and what went wrong; nothing where there is nothing to say.
    fn facts(self, total: &Counts) -> String {
        let without = |tally: &Tally, known: &[&str]| -> Tally {
            tally.iter().filter(|(word, _)| !known.contains(&word.as_str())).map(|(word, count)| (word.clone(), *count)).collect()
        };
        let strange = without(&total.results, &TlsResult::ALL.map(TlsResult::as_str));
        let mut text = line("not sent", &listed(&without(&total.statuses, &[Status::Sent.as_str()])));
        for (label, tally) in [
            ("other TLS", &strange),
            ("versions", &total.versions),
            ("ciphers", &total.ciphers),
            ("groups", &total.groups),
            ("failures", &total.failures),
        ] {
            text += &line(label, &listed(tally));
        }
        if total.downgrades > 0 {
            let told = format!("{} without the TLS that this host offered before", total.downgrades);
            text += &self.alarm(&line("downgrades", &told), "31");
        }
        text
    }

    /// The certificates in use that end soon.
    fn endings(self, host: &Host, now: Timestamp) -> String {
        let soon = now.saturating_add(SOON).unwrap_or(now);
        let ending = host.certificates().into_iter().take_while(|certificate| certificate.not_after <= soon);
        let told = ending.map(|certificate| {
            let shade = if certificate.not_after < now { "31" } else { "33" };
            self.alarm(&line("certificate", &end_of(certificate, now)), shade)
        });
        told.collect()
    }

    /// As long as the day was busy; whatever happened has a block: a single mail in plaintext does not vanish beside a thousand
    /// verified ones.
    fn bar(self, counts: &Counts, busiest: u64) -> String {
        let part = |count: u64, of: u64, columns: u64| usize::try_from(count * columns / of.max(1)).unwrap_or(CHART);
        let length = part(counts.attempts, busiest, CHART as u64).max(usize::from(counts.attempts > 0));
        let results = BLOCKS.map(|(result, ..)| times(&counts.results, result));
        let mut widths = results.map(|count| part(count, counts.attempts, length as u64).max(usize::from(count > 0)));
        // The most frequent result gets what rounding left, or gives what the rare ones took.
        let most = results.iter().copied().max().unwrap_or(0);
        let others: usize = results.iter().zip(widths).filter(|(count, _)| **count != most).map(|(_, width)| width).sum();
        let equals = results.iter().filter(|count| **count == most).count();
        for (count, width) in results.iter().zip(&mut widths) {
            if *count == most && most > 0 {
                *width = (length.saturating_sub(others) / equals).max(1);
            }
        }
        BLOCKS.iter().zip(widths).filter(|(_, width)| *width > 0).fold(String::new(), |bar, ((_, block, sign, shade), width)| {
            let block = if self.0.utf8 { block } else { sign };
            bar + &self.painted(&block.to_string().repeat(width), shade)
        })
    }

    fn painted(self, text: &str, shade: &str) -> String {
        if self.0.colour { format!("\x1b[{shade}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn alarm(self, lines: &str, shade: &str) -> String {
        if self.0.colour { self.painted(lines.trim_end(), shade) + "\n" } else { lines.to_owned() }
    }
}

fn row(day: &str, counts: &Counts) -> String {
    let [verified, unverified, plaintext, none] = TlsResult::ALL.map(|result| times(&counts.results, result));
    let (attempts, sent) = (counts.attempts, times(&counts.statuses, Status::Sent));
    format!("  {day:<10}  {attempts:>8} {sent:>6} {verified:>9} {unverified:>10} {plaintext:>10} {none:>5}")
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
    let days = certificate.not_after.duration_since(now).as_secs().div_euclid(86_400);
    let when = match days {
        ..0 => "has expired".to_owned(),
        0 => "expires today".to_owned(),
        1 => "expires in 1 day".to_owned(),
        _ => format!("expires in {days} days"),
    };
    format!("{when}, at {:.0}: {}", certificate.not_after, certificate.subject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ledger::entry::Entry;

    const PLAIN: Screen = Screen { columns: Some(WIDTH), colour: false, utf8: true };

    fn counts(results: [u64; 4]) -> Counts {
        let results = TlsResult::ALL.map(|result| result.as_str().to_owned()).into_iter().zip(results).collect();
        let mut counts = Counts { results, ..Counts::default() };
        counts.attempts = counts.results.values().sum();
        counts
    }

    #[test]
    fn a_bar_is_as_long_as_the_day_was_busy_and_hides_nothing_that_happened() {
        for (results, busiest, bar) in [
            ([11, 0, 0, 0], 11, "███████████"),
            ([1000, 1, 1, 1], 1003, "████████▓▒░"),
            ([0, 0, 0, 1], 1000, "░"),
            ([500, 0, 0, 0], 1000, "█████"),
            ([0, 6, 5, 0], 11, "▓▓▓▓▓▓▒▒▒▒▒"),
            ([1, 1, 1, 1], 4, "██▓▓▒▒░░"),
            ([1, 1, 1, 1], 4000, "█▓▒░"),
            ([0, 0, 0, 0], 0, ""),
        ] {
            assert_eq!(Style(PLAIN).bar(&counts(results), busiest), bar, "{results:?}");
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_told_for_three_weeks_before_it() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (not_after, told) in [
            ("2026-12-14T12:00:01Z", None),
            ("2026-12-14T12:00:00Z", Some("expires in 21 days, at")),
            ("2026-12-02T13:00:00Z", Some("expires in 9 days, at")),
            ("2026-11-24T13:00:00Z", Some("expires in 1 day, at")),
            ("2026-11-23T13:00:00Z", Some("expires today, at")),
            ("2026-11-23T11:59:00Z", Some("has expired, at")),
        ] {
            let certificate = format!(r#"{{"subject":"CN=a","not_after":"{not_after}"}}"#);
            let line = format!(
                r#"{{"time":"2026-11-23T00:00:00Z","event":"send","status":"sent","host":"a","tls":{{"result":"verified","certificate":{certificate}}}}}"#
            );
            let mut summary = crate::host::ledger::summary::Summary::new(jiff::tz::TimeZone::UTC);
            summary.add(&Entry::parse(line.as_bytes()).unwrap().1);
            let page = render(&Report { summary, strangers: 0, unread: 0, now, since: None, until: None }, PLAIN);
            let words = page.lines().find_map(|line| line.strip_prefix("  certificate  "));
            assert_eq!(words.map(|words| words.split(" 2026").next().unwrap()), told, "{not_after}: {page}");
        }
    }

    #[test]
    fn days_beyond_a_month_share_a_row_and_foreign_names_forge_none() {
        let mut summary = crate::host::ledger::summary::Summary::new(jiff::tz::TimeZone::UTC);
        for day in 0..40 {
            let time = Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap();
            let line = format!(
                r#"{{"time":"{time}","event":"send","status":"sent","host":"a\n\u001b[2J","tls":{{"result":"verified"}}}}"#
            );
            summary.add(&Entry::parse(line.as_bytes()).unwrap().1);
        }
        let page =
            render(&Report { summary, strangers: 0, unread: 0, now: Timestamp::UNIX_EPOCH, since: None, until: None }, PLAIN);
        let rows: Vec<&str> = page.lines().collect();
        assert_eq!(rows[0], r"a\n\u{1b}[2j");
        assert!(rows[2].starts_with("  older              9      9         9"), "{page}");
        assert_eq!(rows.iter().filter(|row| row.starts_with("  2026-")).count(), ROWS);
        assert!(rows.iter().all(|row| row.chars().count() <= WIDTH), "{page}");
    }
}
