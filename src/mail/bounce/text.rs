//! How is a person told what became of a message, why, and what to do?

use std::collections::HashMap;

use super::{Kind, Notice, Told, Whom, status::tls_failure};
use crate::{error::printable, mail::queued::Last};

/// Columns of a line.
const WIDTH: usize = 76;

/// The words; lines end in LF.
pub(super) fn of(notice: &Notice<'_>, whole: bool) -> String {
    let mut text = Text::default();
    text.paragraph("", &format!("This is the mail system of {}.", printable(notice.host)));
    text.paragraph("", &opening(notice));
    for (reason, recipients) in grouped(notice) {
        for told in recipients {
            text.line("  ", &name(told));
        }
        text.gap();
        for line in reason.lines {
            text.line("    ", &line);
        }
        text.gap();
        if let Some(advice) = reason.advice {
            text.paragraph("  ", &advice);
        }
    }
    let rest = if whole { "the message itself" } else { "the header of the message" };
    let host = printable(notice.host);
    text.paragraph("", &format!("Below are the same facts for programs, and {rest}. The log of {host} has more:"));
    text.line("  ", &format!("sealpost log --id {}", printable(notice.id)));
    text.0
}

fn opening(notice: &Notice<'_>) -> String {
    let message = format!("Your message of {}", printable(notice.arrived));
    match notice.kind {
        Kind::Stray => {
            format!("{message} is on its way to everybody else, but not to these, which are no addresses that mail can be sent to:")
        }
        Kind::Failure => format!("{message} could not be delivered to these recipients, and is not tried again:"),
        Kind::Delay => {
            let until = notice.until.map_or_else(|| "for some days".to_owned(), |until| format!("until {}", printable(until)));
            format!(
                "{message} is late: it still waits for these recipients. You need not do anything: it is tried again {until}, and \
                 if it can't be delivered by then, you are told."
            )
        }
        Kind::Relayed => format!(
            "{message} was passed on for these recipients, as you asked to be told, to a server that sends no reports of success. \
             This is the last word on it, unless it fails further on:"
        ),
    }
}

/// Why, and what to do: what is the same for several recipients is said once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reason {
    lines: Vec<String>,
    advice: Option<String>,
}

/// Recipients by their reasons, in the order in which the reasons come up.
fn grouped<'n>(notice: &'n Notice<'_>) -> Vec<(Reason, Vec<&'n Told<'n>>)> {
    let mut groups: Vec<(Reason, Vec<&Told<'_>>)> = Vec::new();
    let mut places: HashMap<Reason, usize> = HashMap::new();
    for told in notice.recipients {
        let reason = Reason { lines: reason(told), advice: advice(notice.kind, told.last) };
        let place = *places.entry(reason).or_insert_with_key(|reason| {
            groups.push((reason.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(told);
    }
    groups
}

fn name(told: &Told<'_>) -> String {
    let recipient = match told.whom {
        Whom::Recipient(recipient) => recipient,
        Whom::Stray(text) => return printable(text),
    };
    let address = printable(&recipient.address.to_string());
    match &recipient.original {
        Some(original) => format!("{address} (you wrote to {})", printable(&original.to_string())),
        None => address,
    }
}

fn reason(told: &Told<'_>) -> Vec<String> {
    let Some(last) = told.last else { return vec!["There was no attempt yet.".to_owned()] };
    let server = told.server.map_or_else(|| "The server".to_owned(), printable);
    let mut lines = match last.code {
        Some(_) => vec![format!("{server} said:"), printable(&last.said())],
        None if last.text.trim().is_empty() => vec!["It is not known why.".to_owned()],
        None => vec![printable(&last.text)],
    };
    lines.extend(last.tls.as_deref().map(|tls| format!("TLS: {}", printable(tls))));
    lines
}

/// What a person can do about it.
fn advice(kind: Kind, last: Option<&Last>) -> Option<String> {
    if kind == Kind::Stray {
        return Some("Correct the address, and send the message again to that one alone.".to_owned());
    }
    let last = last.filter(|_| kind == Kind::Failure)?;
    if last.unknown > 0 {
        let times = if last.unknown == 1 { "once".to_owned() } else { format!("{} times", last.unknown) };
        return Some(format!(
            "It may have arrived all the same: {times} the message was sent whole, and the server did not say whether it took it. \
             Ask the recipient before you send it again."
        ));
    }
    if let Some(tls) = &last.tls {
        let how = tls_failure(tls).map(|failure| format!(" What can be done: {}.", failure.advice())).unwrap_or_default();
        return Some(format!(
            "Nothing was sent, since the connection was not as secure as the account demands.{how} Then send the message again."
        ));
    }
    if !last.is_permanent() {
        return Some("This was to be a passing fault, but lasted too long. Send the message again when it is mended.".to_owned());
    }
    let about = last.enhanced.map(|enhanced| (enhanced.subject, enhanced.detail));
    let advice = match about {
        Some((1, 7 | 8)) => "The server does not take the address of the sender: check it, and send the message again.",
        Some((1, _)) => "Check the address, and send the message again.",
        Some((2, 2)) => "The mailbox is full: its owner has to make room. Then send the message again.",
        Some((2 | 3, 3 | 4)) => "The message is too large for that server: send less, or a link.",
        Some((7, _)) => "The server does not want this message, or its sender. Whoever runs it can say why.",
        _ if last.code.is_some() => "The words above are the server's; whoever runs it can say more.",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Text in lines that are not too wide.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    /// A paragraph and an empty line.
    fn paragraph(&mut self, indent: &str, words: &str) {
        self.line(indent, words);
        self.gap();
    }

    /// Words in as many lines as they take; white space in them counts as one space.
    fn line(&mut self, indent: &str, words: &str) {
        let mut column = 0;
        for word in words.split_whitespace() {
            let width = word.chars().count();
            if column > 0 && column + 1 + width > WIDTH {
                self.0.push('\n');
                column = 0;
            }
            let before = if column == 0 { indent } else { " " };
            self.0.push_str(before);
            self.0.push_str(word);
            column += before.len() + width;
        }
        self.0.push('\n');
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}
