//! How is the story of the demo told, on a terminal of 80 columns?

use std::{fmt::Write as _, path::Path};

use serde_json::Value;

use super::{COMMAND, Ending, SCENES, Scene, promises};
use crate::{
    cmd::{ink::Ink, wrap::wrapped},
    error::printable,
    host::listen::{Delivery, Kept},
};

/// The story fits into a terminal of this width.
pub(super) const WIDTH: usize = 80;
/// Where the text of a row begins, behind its label.
const INDENT: usize = 11;
/// Columns of a key in the log, and the gap behind it.
const KEY: usize = 9;
/// Enough for every error that `sendmail` has.
const STDERR_LINES: usize = 12;
/// Header lines of a message that are shown.
const HEADER_LINES: usize = 8;

/// How the story looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: bool,
}

impl Style {
    pub(super) fn opening(self) -> String {
        let text = "Four messages go through a real sendmail to a smarthost on this machine; nothing leaves it. \
                    Each scene shows the account's policy, what the server does, and what comes of it: for the caller, \
                    in the mailbox, and in the log.";
        format!("{}\n\n{}", self.dyed(Ink::Title, "sealpost demo"), paragraph(text))
    }

    pub(super) fn scene(self, number: usize, scene: &Scene, ending: &Ending, broken: &[String]) -> String {
        let mut text = format!("\n{}\n", self.dyed(Ink::Title, &format!("{number}. {}", scene.title)));
        text += &self.rows("account", &promises(scene));
        text += &self.row("server", scene.server);
        text += &self.row("command", COMMAND);
        text += &self.row("exit", &ending.exit.map_or("killed by a signal".to_owned(), exit_name));
        let stderr: Vec<&str> = ending.stderr.lines().take(STDERR_LINES).collect();
        text += &self.rows("stderr", &stderr);
        text += &self.arrived(ending.delivered.as_ref());
        text += &self.logged(ending.record.as_ref());
        if broken.is_empty() {
            text += &self.inked(("ok", Ink::Good), "", (scene.moral, Ink::Plain));
        }
        for phrase in broken {
            text += &self.inked(("BROKEN", Ink::Bad), "", (phrase, Ink::Bad));
        }
        text
    }

    pub(super) fn closing(self, kept: usize, directory: Option<&Path>) -> String {
        let verdict = format!("{kept} of {} scenes ended as promised.", SCENES.len());
        let ink = if kept == SCENES.len() { Ink::Good } else { Ink::Bad };
        let mut text = format!("\n{}\n", self.dyed(ink, &verdict));
        match directory {
            Some(directory) => text += &self.row("kept in", &directory.display().to_string()),
            None => {
                text += &paragraph(
                    "--json shows all that was logged, --keep leaves the files behind; `sealpost sink` is this smarthost for tries of your own.",
                );
            }
        }
        text
    }

    /// Envelope and header as they came out of the smarthost.
    fn arrived(self, delivery: Option<&Delivery>) -> String {
        let Some(delivery) = delivery else { return self.row("arrived", "nothing") };
        let to: Vec<&str> = delivery.transaction.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
        let mut lines =
            vec![format!("{} octets from {}", delivery.size, delivery.transaction.sender), format!("to {}", to.join(", "))];
        if let Kept::Memory(octets) = &delivery.kept {
            let message = String::from_utf8_lossy(octets);
            let header = message.lines().take_while(|line| !line.is_empty()).take(HEADER_LINES);
            lines.extend(header.map(|line| format!("| {line}")));
        }
        self.rows("arrived", &lines)
    }

    /// What matters of the log record.
    fn logged(self, record: Option<&Value>) -> String {
        let Some(record) = record else { return self.row("log", "no record") };
        let tls = &record["tls"];
        let mut facts =
            vec![("status", shown(&record["status"]), Ink::Plain), ("result", shown(&tls["result"]), ink_of(&tls["result"]))];
        if !tls["version"].is_null() {
            let [version, cipher, group] = ["version", "cipher", "group"].map(|key| shown(&tls[key]));
            facts.push(("version", format!("{version}  cipher {cipher}  group {group}"), Ink::Plain));
        }
        let certificate = &tls["certificate"];
        let rest = [
            ("failure", &tls["failure"]),
            ("detail", &tls["detail"]),
            ("subject", &certificate["subject"]),
            ("issuer", &certificate["issuer"]),
            ("expires", &certificate["not_after"]),
        ];
        facts.extend(rest.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, shown(value), Ink::Plain)));
        let rows = facts.iter().enumerate().map(|(index, (key, value, ink))| {
            let label = if index == 0 { "log" } else { "" };
            self.inked((label, Ink::Label), key, (value, *ink))
        });
        rows.collect()
    }

    fn row(self, label: &str, text: &str) -> String {
        self.inked((label, Ink::Label), "", (text, Ink::Plain))
    }

    /// Rows under one label.
    fn rows(self, label: &str, lines: &[impl AsRef<str>]) -> String {
        lines.iter().enumerate().map(|(index, line)| self.row(if index == 0 { label } else { "" }, line.as_ref())).collect()
    }

    /// A label, perhaps a key, and text beside them that is wrapped; what is foreign in it can't drive the terminal.
    fn inked(self, label: (&str, Ink), key: &str, text: (&str, Ink)) -> String {
        let column = if key.is_empty() { 0 } else { KEY };
        let mut rows = String::new();
        for (index, line) in wrapped(&printable(text.0), WIDTH - INDENT - column).iter().enumerate() {
            let (label_text, key) = if index == 0 { (label.0, key) } else { ("", "") };
            let head = self.dyed(label.1, &format!("{label_text:<0$}", INDENT - 2));
            let key = self.dyed(Ink::Label, &format!("{key:<column$}"));
            let _ = writeln!(rows, "{}", format!("  {head}{key}{}", self.dyed(text.1, line)).trim_end());
        }
        rows
    }

    fn dyed(self, ink: Ink, text: &str) -> String {
        ink.dye(text, self.colour)
    }
}

fn ink_of(result: &Value) -> Ink {
    match result.as_str() {
        Some("verified") => Ink::Good,
        Some("unverified" | "plaintext") => Ink::Doubtful,
        _ => Ink::Bad,
    }
}

fn exit_name(code: i32) -> String {
    match code {
        0 => "0: sent".to_owned(),
        75 => "75: EX_TEMPFAIL, may work later".to_owned(),
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn paragraph(text: &str) -> String {
    wrapped(text, WIDTH).join("\n") + "\n"
}
