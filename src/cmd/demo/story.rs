//! How is the story of the demo told, on a terminal of 80 columns?

use std::{fmt::Write as _, path::Path};

use serde_json::Value;

use super::{Ending, SCENES, Scene};
use crate::{
    error::printable,
    host::listen::{Delivery, Kept},
};

/// The story fits into a terminal of this width.
pub(super) const WIDTH: usize = 80;
/// Enough for every error that `sendmail` has.
const STDERR_LINES: usize = 12;

/// How the story looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: bool,
}

impl Style {
    pub(super) fn opening(self) -> String {
        let text = "Four messages go through a real sendmail to a smarthost on this machine; nothing leaves it. \
                    After each: what the caller sees, what arrived, and what the log says of TLS.";
        format!("{}\n{}", self.bold("sealpost demo"), wrapped(text, ""))
    }

    pub(super) fn scene(self, number: usize, scene: &Scene, ending: &Ending, broken: &[String]) -> String {
        let mut text = format!("\n{}\n{}", self.bold(&format!("{number}. {}", scene.title)), wrapped(scene.about, "   "));
        text.push_str(&folded("command", &ending.command));
        let exit = ending.exit.map_or("killed by a signal".to_owned(), exit_name);
        text.push_str(&folded("exit", &exit));
        for line in ending.stderr.lines().take(STDERR_LINES) {
            text.push_str(&folded("stderr", line));
        }
        text.push_str(&arrived(ending.delivered.as_ref()));
        text.push_str(&logged(ending.record.as_ref()));
        if broken.is_empty() {
            let _ = writeln!(text, "   {}", self.green("as promised"));
        }
        for phrase in broken {
            let _ = writeln!(text, "   {}", self.red(&format!("NOT AS PROMISED: {phrase}")));
        }
        text
    }

    pub(super) fn closing(self, kept: usize, directory: Option<&Path>) -> String {
        let verdict = format!("{kept} of {} scenes ended as promised.", SCENES.len());
        let mut text = format!("\n{}\n", if kept == SCENES.len() { self.green(&verdict) } else { self.red(&verdict) });
        if let Some(directory) = directory {
            text.push_str(&folded("kept in", &directory.display().to_string()));
        }
        text
    }

    fn bold(self, text: &str) -> String {
        self.dyed("1", text)
    }

    fn green(self, text: &str) -> String {
        self.dyed("32", text)
    }

    fn red(self, text: &str) -> String {
        self.dyed("1;31", text)
    }

    fn dyed(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn exit_name(code: i32) -> String {
    match code {
        0 => "0 (sent)".to_owned(),
        75 => "75 (EX_TEMPFAIL: may work later)".to_owned(),
        other => other.to_string(),
    }
}

/// Envelope and header as they came out of the smarthost.
fn arrived(delivery: Option<&Delivery>) -> String {
    let Some(delivery) = delivery else { return folded("arrived", "nothing") };
    let to: Vec<&str> = delivery.transaction.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    let mut text = folded("arrived", &format!("{} octets, {} -> {}", delivery.size, delivery.transaction.sender, to.join(", ")));
    if let Kept::Memory(octets) = &delivery.kept {
        let message = String::from_utf8_lossy(octets);
        for line in message.lines().take_while(|line| !line.is_empty()).take(8) {
            text.push_str(&folded("", line));
        }
    }
    text
}

/// The TLS part of the log record.
fn logged(record: Option<&Value>) -> String {
    let Some(record) = record else { return folded("log", "no record") };
    let tls = &record["tls"];
    let mut text = folded("log", &format!("status = {}", shown(&record["status"])));
    for key in ["policy", "trust", "start", "offered", "result", "version", "cipher", "group", "failure", "detail"] {
        text.push_str(&folded("", &format!("tls.{key} = {}", shown(&tls[key]))));
    }
    let certificate = &tls["certificate"];
    for key in ["subject", "issuer", "not_after", "sha256"] {
        if certificate.is_object() {
            text.push_str(&folded("", &format!("tls.certificate.{key} = {}", shown(&certificate[key]))));
        }
    }
    text
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A labelled line, folded to the width; what is foreign in it can't drive the terminal.
fn folded(label: &str, text: &str) -> String {
    let indent = 12;
    let mut folded = format!("   {label:<9}");
    let mut width = indent;
    for c in printable(text).chars() {
        if width == WIDTH {
            folded.push('\n');
            folded.extend(std::iter::repeat_n(' ', indent + 2));
            width = indent + 2;
        }
        folded.push(c);
        width += 1;
    }
    folded.push('\n');
    folded
}

/// Prose, broken between words.
fn wrapped(text: &str, indent: &str) -> String {
    let mut wrapped = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if indent.len() + line.chars().count() + word.chars().count() >= WIDTH {
            let _ = writeln!(wrapped, "{indent}{}", line.trim_end());
            line.clear();
        }
        line.push_str(word);
        line.push(' ');
    }
    let _ = writeln!(wrapped, "{indent}{}", line.trim_end());
    wrapped
}
