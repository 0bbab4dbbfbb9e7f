//! How do the words of a sendmail command line split into flags, values and operands? (POSIX XBD 12.2, without permutation)
//!
//! Written here rather than taken from lexopt, which drops the `=` of `-F=?utf-8?q?Jos=C3=A9?=` and goes on looking for flags
//! behind a recipient: a recipient that an attacker chose must never become a flag.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::flags::{self, Flag, Takes};
use crate::error::{Error, Exit};

/// The words of a command line, read as getopt(3) does.
pub struct Words<I> {
    rest: I,
    /// What is left of a word like `-itf`.
    bundle: std::vec::IntoIter<u8>,
    /// `--` was seen.
    ended: bool,
    /// An operand was seen.
    operands: bool,
}

/// One piece of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    /// A flag, with its value where it takes one.
    Flag(&'static Flag, OsString),
    /// A recipient or a list of them.
    Operand(OsString),
}

impl<I: Iterator<Item = OsString>> Words<I> {
    /// Reads `words`, which don't include the name of the program.
    pub fn new(words: I) -> Self {
        Self { rest: words, bundle: Vec::new().into_iter(), ended: false, operands: false }
    }

    fn letter(&mut self, letter: u8) -> Result<Word, Error> {
        let flag = flags::by_letter(letter).ok_or_else(|| unknown(&OsString::from_vec(vec![b'-', letter])))?;
        let value = match flag.takes {
            Takes::Nothing => OsString::new(),
            Takes::Value(_) if self.bundle.len() == 0 => self.separate(flag)?,
            Takes::Value(_) | Takes::Attached(_) => OsString::from_vec(self.bundle.by_ref().collect()),
        };
        Ok(Word::Flag(flag, value))
    }

    fn long(&mut self, word: &OsString) -> Result<Word, Error> {
        let text = word.as_bytes().get(2..).unwrap_or_default();
        let (name, value) = match text.iter().position(|byte| *byte == b'=') {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            None => (text, None),
        };
        let flag = flags::by_name(name).ok_or_else(|| unknown(word))?;
        let value = match (flag.takes, value) {
            (Takes::Value(_), Some(value)) => OsString::from_vec(value.to_vec()),
            (Takes::Value(_), None) => self.separate(flag)?,
            (_, Some(_)) => return Err(usage(format!("--{} takes no value", String::from_utf8_lossy(name)))),
            (_, None) => OsString::new(),
        };
        Ok(Word::Flag(flag, value))
    }

    fn separate(&mut self, flag: &Flag) -> Result<OsString, Error> {
        self.rest.next().ok_or_else(|| usage(format!("{} needs a value", flag.spelling())))
    }
}

impl<I: Iterator<Item = OsString>> Iterator for Words<I> {
    type Item = Result<Word, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(letter) = self.bundle.next() {
            return Some(self.letter(letter));
        }
        let mut word = self.rest.next()?;
        if !self.ended && !self.operands && word == "--" {
            self.ended = true;
            word = self.rest.next()?;
        }
        if self.ended || !word.as_bytes().starts_with(b"-") {
            self.operands = true;
            return Some(Ok(Word::Operand(word)));
        }
        if self.operands {
            return Some(Err(usage(format!("{} stands behind a recipient", quoted(&word)))
                .hint("flags go before the recipients; a recipient that starts with a dash goes behind --")));
        }
        if word == "-" {
            return Some(Err(usage("a lone dash is no recipient").hint("the message is always read from standard input")));
        }
        if word.as_bytes().starts_with(b"--") {
            return Some(self.long(&word));
        }
        self.bundle = word.into_vec().into_iter();
        self.bundle.next();
        self.next()
    }
}

/// A mistake on the command line.
pub fn usage(because: impl Into<String>) -> Error {
    Error::new(Exit::Usage, "reading the command line", because)
}

/// A word of the command line within quotes, shortened: it may be anything.
pub fn quoted(word: &OsString) -> String {
    let text = word.to_string_lossy();
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("\"{short}...\"") } else { format!("\"{short}\"") }
}

fn unknown(word: &OsString) -> Error {
    usage(format!("unknown flag {}", quoted(word))).hint("`sendmail --help` lists the flags")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &[&str]) -> Result<String, String> {
        let mut text = Vec::new();
        for word in Words::new(words.iter().map(OsString::from)) {
            text.push(match word.map_err(|e| e.summary())? {
                Word::Flag(flag, value) if flag.takes == Takes::Nothing => flag.spelling() + &value.to_string_lossy(),
                Word::Flag(flag, value) => format!("{}={}", flag.spelling(), value.to_string_lossy()),
                Word::Operand(word) => format!("<{}>", word.to_string_lossy()),
            });
        }
        Ok(text.join(" "))
    }

    #[test]
    fn words_are_split_as_getopt_does() {
        let table: &[(&[&str], &str)] = &[
            (&[], ""),
            (&["-it"], "-i -t"),
            (&["-itf", "a@x", "b@x"], "-i -t -f=a@x <b@x>"),
            (&["-tfa@x"], "-t -f=a@x"),
            (&["-f=a@x"], "-f==a@x"),
            (&["-F=?utf-8?q?J=C3=B6?="], "-F==?utf-8?q?J=C3=B6?="),
            (&["-f", "", "b"], "-f= <b>"),
            (&["-f", "--", "b"], "-f=-- <b>"),
            (&["-f", "-t", "b"], "-f=-t <b>"),
            (&["-oi", "-o", "em"], "-o=i -o=em"),
            (&["-q", "b@x"], "-q= <b@x>"),
            (&["-q30m"], "-q=30m"),
            (&["-d", "b@x"], "-d= <b@x>"),
            (&["-id0.1", "b@x"], "-i -d=0.1 <b@x>"),
            (&["-i", "--", "-x@y", "--", "-"], "-i <-x@y> <--> <->"),
            (&["--"], ""),
            (&["", "b@x"], "<> <b@x>"),
            (&["--account=a=b", "x"], "-a=a=b <x>"),
            (&["--account", "a", "x"], "-a=a <x>"),
            (&["--file=", "x"], "-C= <x>"),
            (&["--read-recipients", "--debug"], "-t --debug"),
        ];
        for (words, expected) in table {
            assert_eq!(split(words).as_deref(), Ok(*expected), "{words:?}");
        }
    }

    #[test]
    fn what_is_nobodys_flag_is_refused() {
        for letter in [
            "D", "E", "H", "J", "K", "M", "P", "Q", "S", "T", "W", "Y", "Z", "1", "4", "6", "%", "g", "j", "k", "l", "u", "w", "y",
            "z",
        ] {
            assert!(split(&[&format!("-{letter}"), "b@x"]).is_err(), "-{letter}");
        }
        for words in
            [&["--foo"][..], &["--acc=x"], &["--debug=1"], &["-f"], &["-if"], &["--account"], &["-"], &["b", "-"], &["b", "--"]]
        {
            assert!(split(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_flag_behind_a_recipient_is_refused_with_advice() {
        let error = Words::new(["b@x", "-f", "c@x"].map(OsString::from).into_iter()).find_map(Result::err).unwrap();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.advice().unwrap().contains("before the recipients"));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_and_not_choked_on() {
        let error = Words::new([OsString::from_vec(b"-\xff".to_vec())].into_iter()).find_map(Result::err).unwrap();
        assert_eq!(error.exit(), Exit::Usage);
    }
}
