//! How is a person asked, and what if there is none? (one question a line, 80 columns; sealpost(1), "sealpost setup")

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write},
};

use crate::{
    cmd::{ink::Ink, wrap::wrapped},
    error::{Error, Exit, printable},
    host::{
        terminal::{self, Watch},
        world::World,
    },
    smtp::sasl::Secret,
};

/// Where the text of a row begins.
const INDENT: usize = 13;

/// A conversation, or with nobody a list of what was found.
pub(super) struct Dialogue<'a> {
    pub(super) talk: &'a mut dyn Write,
    watch: &'a Watch,
    /// Whether anybody answers.
    asks: bool,
    width: usize,
    pub(super) colour: bool,
}

/// A question, its usual answer, and the option that answers it without asking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'q> {
    pub(super) text: &'q str,
    pub(super) usual: Option<&'q str>,
    pub(super) option: &'q str,
}

impl<'a> Dialogue<'a> {
    /// Asks on the terminal, unless nothing is to be asked.
    ///
    /// # Errors
    /// There is something to be asked, and no terminal.
    pub(super) fn begin(world: &dyn World, talk: &'a mut dyn Write, watch: &'a Watch, asks: bool) -> Result<Self, Error> {
        if asks && !terminal::is_there() {
            let because = "standard input is no terminal, so nobody can be asked";
            return Err(Error::new(Exit::Usage, "setting up", because)
                .hint("add --non-interactive, and say the rest by options: see `sealpost setup --help`"));
        }
        let is_terminal = std::io::stderr().is_terminal();
        let colour = is_terminal && world.env("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self { talk, watch, asks, width: terminal::columns(), colour })
    }

    /// Whether anybody answers.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// A paragraph.
    pub(super) fn tell(&mut self, text: &str) {
        let lines = wrapped(&printable(text), self.width).join("\n");
        self.say(&format!("{lines}\n"));
    }

    /// A heading, a blank line above it.
    pub(super) fn title(&mut self, text: &str) {
        let lines: String =
            wrapped(&printable(text), self.width).iter().map(|line| Ink::Title.dye(line, self.colour) + "\n").collect();
        self.say(&format!("\n{lines}"));
    }

    /// A fact beside its label.
    pub(super) fn row(&mut self, label: &str, text: &str) {
        let mut rows = String::new();
        for (index, line) in wrapped(&printable(text), self.width - INDENT).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let _ = writeln!(rows, "  {}{line}", Ink::Label.dye(&format!("{label:<0$}", INDENT - 2), self.colour));
        }
        self.say(&rows);
    }

    /// An address of the web beside its label; one that is longer than a line is left to the terminal, which keeps it whole.
    pub(super) fn link(&mut self, label: &str, address: &str) {
        if address.len() <= self.width - INDENT {
            return self.row(label, address);
        }
        self.row(label, "");
        self.say(&format!("{}\n", printable(address)));
    }

    /// Something that is less than it should be.
    pub(super) fn warn(&mut self, text: &str) {
        let lines: String =
            wrapped(&printable(text), self.width).iter().map(|line| Ink::Doubtful.dye(line, self.colour) + "\n").collect();
        self.say(&lines);
    }

    /// Text that is laid out already.
    pub(super) fn show(&mut self, text: &str) {
        self.say(text);
    }

    /// The answer, as `read` understands it; asked again until it does. With nobody to answer, the usual one.
    ///
    /// # Errors
    /// With nobody to answer: there is no usual answer, or it can't be understood. Standard input ends.
    pub(super) fn ask<T>(&mut self, question: Question<'_>, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Error> {
        if !self.asks {
            let usual = question.usual.ok_or_else(|| missing(question))?;
            return read(usual).map_err(|why| Error::new(Exit::Usage, "setting up", why));
        }
        let usual = question.usual.filter(|usual| !usual.is_empty());
        let mark = usual.map_or_else(String::new, |usual| format!(" [{usual}]"));
        loop {
            let answer = self.answer(&format!("{}{mark}: ", question.text))?;
            let answer = match (answer.as_str(), question.usual) {
                ("", Some(usual)) => usual,
                ("", None) => continue,
                (answer, _) => answer,
            };
            match read(answer) {
                Ok(value) => return Ok(value),
                Err(why) => self.warn(&format!("{why}.")),
            }
        }
    }

    /// What nobody may see.
    ///
    /// # Errors
    /// There is nobody to answer, or no answer.
    pub(super) fn secret(&mut self, what: &str, option: &str) -> Result<Secret, Error> {
        if !self.asks {
            return Err(missing(Question { text: what, usual: None, option }));
        }
        // The terminal itself shows the last line of the question.
        let mut lines = wrapped(&printable(&format!("{what} (not shown): ")), self.width - 1);
        let last = lines.pop().unwrap_or_default();
        loop {
            for line in &lines {
                self.say(&format!("{line}\n"));
            }
            let asked = self.watch.secret(&last);
            let answer = match asked {
                Ok(answer) => answer,
                Err(error) => {
                    self.say("\n");
                    return Err(no_answer(&error.to_string()));
                }
            };
            if !answer.is_empty() {
                return Ok(Secret::new(answer));
            }
        }
    }

    /// Yes or no; with nobody to answer, as usual.
    ///
    /// # Errors
    /// Standard input ends.
    pub(super) fn agrees(&mut self, question: &str, usual: bool) -> Result<bool, Error> {
        if !self.asks {
            return Ok(usual);
        }
        let mark = if usual { "Y/n" } else { "y/N" };
        loop {
            match self.answer(&format!("{question} [{mark}] "))?.to_lowercase().as_str() {
                "" => return Ok(usual),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.warn("Please answer y or n."),
            }
        }
    }

    /// The next line, behind a question that may take several.
    fn answer(&mut self, question: &str) -> Result<String, Error> {
        let lines = wrapped(&printable(question), self.width - 1).join("\n");
        self.say(&lines);
        match terminal::line() {
            Ok(Some(line)) => Ok(line.trim().to_owned()),
            Ok(None) => {
                self.say("\n");
                Err(no_answer("standard input has ended"))
            }
            Err(error) => Err(no_answer(&error.to_string())),
        }
    }

    /// A terminal that is gone shows at the next question.
    fn say(&mut self, text: &str) {
        let _ = self.talk.write_all(text.as_bytes()).and_then(|()| self.talk.flush());
    }
}

fn missing(question: Question<'_>) -> Error {
    let what = question.text.split(" (").next().unwrap_or_default();
    Error::new(Exit::Usage, "setting up without questions", format!("nothing says this: {what}"))
        .hint(format!("add {}", question.option))
}

fn no_answer(why: &str) -> Error {
    let because = why.split_once(" (os error").map_or(why, |(words, _)| words);
    Error::new(Exit::NoInput, "setting up", format!("there is no answer: {because}")).hint("nothing was written")
}
