//! How do rows of a label and wrapped text look, in colour and without? (80 columns)

use std::{fmt::Write as _, time::Duration};

pub(super) use crate::cmd::ink::Ink;
use crate::{cmd::wrap::wrapped, error::printable};

/// The page fits into a terminal of this width.
const WIDTH: usize = 80;
/// Where the text of a row begins, behind its label.
pub(super) const INDENT: usize = 13;
/// Columns of a key within a row, and the gap behind it.
const KEY: usize = 9;
/// A space that does not break: a number stays beside its unit.
pub(super) const TIED: char = '\u{a0}';
/// Characters of one sentence that are shown.
const LONGEST: usize = 800;

/// How the page looks.
#[derive(Clone, Copy, Debug)]
pub(in crate::cmd::check) struct Style {
    pub(in crate::cmd::check) colour: bool,
}

impl Style {
    pub(super) fn title(self, text: &str) -> String {
        wrapped(&shown(text), WIDTH).iter().map(|line| self.dyed(Ink::Title, line) + "\n").collect()
    }

    pub(super) fn row(self, label: &str, text: &str) -> String {
        self.inked(label, "", (text, Ink::Plain))
    }

    pub(super) fn keyed(self, key: &str, text: &str) -> String {
        self.inked("", key, (text, Ink::Plain))
    }

    /// Rows under one label.
    pub(super) fn rows(self, label: &str, lines: &[String]) -> String {
        lines.iter().enumerate().map(|(index, line)| self.row(if index == 0 { label } else { "" }, line)).collect()
    }

    /// A label, perhaps a key, and text beside them that is wrapped; what is foreign in it can't drive the terminal.
    pub(super) fn inked(self, label: &str, key: &str, (text, ink): (&str, Ink)) -> String {
        let column = if key.is_empty() { 0 } else { KEY };
        let mut rows = String::new();
        for (index, line) in wrapped(&shown(text), WIDTH - INDENT - column).iter().enumerate() {
            let (label, key) = if index == 0 { (label, key) } else { ("", "") };
            let label = self.dyed(Ink::Label, &format!("{label:<0$}", INDENT - 2));
            let key = self.dyed(Ink::Label, &format!("{key:<column$}"));
            let line = self.dyed(ink, &line.replace(TIED, " "));
            let _ = writeln!(rows, "{}", format!("  {label}{key}{line}").trim_end());
        }
        rows
    }

    fn dyed(self, ink: Ink, text: &str) -> String {
        ink.dye(text, self.colour)
    }
}

/// To a tenth of a millisecond.
pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.1}{TIED}ms", duration.as_secs_f64() * 1000.0)
}

/// As much of a sentence as a person wants to read.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Cut before it is made safe, so that there is little to do, and again, since an escape is longer than what it stands for. A setting
/// stays on one line, where it fits.
fn shown(text: &str) -> String {
    cut(&printable(&cut(text))).replace(" = ", &format!("{TIED}={TIED}"))
}
