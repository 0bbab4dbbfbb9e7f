//! What does a netrc file say of a host and a login? (ftp(1), curl's and GNU's rules where they differ)

use zeroize::Zeroizing;

/// Why a netrc file can't be understood, and in which line. Never holds what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub because: &'static str,
}

/// An entry: what follows `machine` or `default`.
#[derive(Default)]
struct Entry {
    login: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
}

/// The password that `text` has for `login` at `host`: of the first `machine` of that name which says this login or none, else of
/// `default`. Names of hosts are compared without case.
///
/// # Errors
/// The text is no netrc.
pub fn password(text: &str, host: &str, login: &str) -> Result<Option<Zeroizing<String>>, Fault> {
    let mut words = Words { rest: text, line: 1 };
    let mut entry: Option<Entry> = None;
    while let Some(word) = words.next()? {
        let fault = |because| Err(Fault { line: word.line, because });
        match (word.text.as_str(), word.quoted) {
            ("machine" | "default", false) => {
                if let Some(found) = entry.take().and_then(|entry| entry.password_of(login)) {
                    return Ok(Some(found));
                }
                let is_ours = word.text.as_str() == "default" || words.value(word.line)?.eq_ignore_ascii_case(host);
                entry = is_ours.then(Entry::default);
            }
            ("macdef", false) => {
                words.value(word.line)?;
                words.skip_macro();
            }
            (key @ ("login" | "user" | "password" | "passwd" | "account" | "port" | "protocol"), false) => {
                let value = words.value(word.line)?;
                match (&mut entry, key) {
                    (Some(entry), "login" | "user") => entry.login = Some(value),
                    (Some(entry), "password" | "passwd") => entry.password = Some(value),
                    _ => {}
                }
            }
            _ => return fault("neither machine, default, login, password, account nor macdef stands there"),
        }
    }
    Ok(entry.and_then(|entry| entry.password_of(login)))
}

impl Entry {
    fn password_of(self, login: &str) -> Option<Zeroizing<String>> {
        let is_for_us = self.login.is_none_or(|own| own.as_str() == login);
        self.password.filter(|_| is_for_us)
    }
}

/// A word, and where it stands.
struct Word {
    text: Zeroizing<String>,
    quoted: bool,
    line: usize,
}

/// The words of the text that have not been read yet.
struct Words<'t> {
    rest: &'t str,
    line: usize,
}

impl Words<'_> {
    /// The next word; comments are passed over. `#` begins one where a word could: in a value it is a letter like any other.
    fn next(&mut self) -> Result<Option<Word>, Fault> {
        loop {
            self.skip_space();
            if !self.rest.starts_with('#') {
                return self.word();
            }
            self.skip_while(|c| c != '\n');
        }
    }

    /// The value that must follow the key on line `line`.
    fn value(&mut self, line: usize) -> Result<Zeroizing<String>, Fault> {
        self.skip_space();
        let word = self.word()?;
        word.map(|word| word.text).ok_or(Fault { line, because: "the value is missing" })
    }

    fn word(&mut self) -> Result<Option<Word>, Fault> {
        let line = self.line;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        // Room for all that may follow: a text that grew would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(self.rest.len()));
        let quoted = first == '"';
        let mut letters = self.rest.char_indices();
        if quoted {
            letters.next();
        }
        let mut end = None;
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' if quoted => end = Some(at + 1),
                '\n' if quoted => break,
                c if !quoted && c.is_ascii_whitespace() => end = Some(at),
                '\\' => text.extend(letters.next().map(|(_, escaped)| if quoted { unescaped(escaped) } else { escaped })),
                letter => text.push(letter),
            }
            if end.is_some() {
                break;
            }
        }
        let end = match end {
            None if quoted => return Err(Fault { line, because: "a quotation mark is not closed" }),
            end => end.unwrap_or(self.rest.len()),
        };
        self.advance(end);
        text.shrink_to_fit();
        Ok(Some(Word { text, quoted, line }))
    }

    fn skip_space(&mut self) {
        self.skip_while(|c| c.is_ascii_whitespace());
    }

    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        self.skip_while(|c| c != '\n');
        while let Some(rest) = self.rest.strip_prefix('\n') {
            self.advance(1);
            let line = rest.split('\n').next().unwrap_or_default();
            if line.trim_end_matches('\r').is_empty() {
                return;
            }
            self.advance(line.len());
        }
    }

    fn skip_while(&mut self, belongs: impl Fn(char) -> bool) {
        self.advance(self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len()));
    }

    fn advance(&mut self, octets: usize) {
        let (read, rest) = self.rest.split_at(octets);
        self.line += read.bytes().filter(|octet| *octet == b'\n').count();
        self.rest = rest;
    }
}

fn unescaped(letter: char) -> char {
    match letter {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Option<String> {
        password(text, "smtp.example.com", "cron").unwrap().map(|password| password.to_string())
    }

    #[test]
    fn the_first_entry_for_host_and_login_is_taken() {
        for (text, wanted) in [
            ("machine smtp.example.com login cron password hunter2", Some("hunter2")),
            ("machine SMTP.Example.com\n\tlogin cron\n\tpassword hunter2\n", Some("hunter2")),
            ("machine smtp.example.com password hunter2 login cron", Some("hunter2")),
            ("machine smtp.example.com password hunter2", Some("hunter2")),
            ("machine smtp.example.com login other password no", None),
            ("machine smtp.example.com login other password no machine smtp.example.com login cron password yes", Some("yes")),
            ("machine imap.example.com login cron password no\nmachine smtp.example.com login cron password yes", Some("yes")),
            ("machine imap.example.com login cron password no\ndefault login cron password yes", Some("yes")),
            ("default password yes", Some("yes")),
            ("machine smtp.example.com port 587 login cron account x password yes", Some("yes")),
            ("machine smtp.example.com user cron passwd yes", Some("yes")),
            ("machine smtp.example.com login cron", None),
            ("", None),
            ("# nothing but words\n", None),
        ] {
            assert_eq!(of(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn quotes_escapes_comments_and_macros_are_read_as_others_read_them() {
        for (text, wanted) in [
            ("# mine\nmachine smtp.example.com # yes\n login cron # it is\n password hunter2 # no\n", "hunter2"),
            ("machine smtp.example.com login cron password #hash", "#hash"),
            ("machine smtp.example.com login cron password a#b", "a#b"),
            (r#"machine smtp.example.com login "cron" password "two words""#, "two words"),
            (r#"machine smtp.example.com login cron password "q\"b\\t\t.""#, "q\"b\\t\t."),
            (r"machine smtp.example.com login cron password a\ b", "a b"),
            (r#"machine smtp.example.com login cron password a"b"#, "a\"b"),
            (
                "macdef init\nmachine smtp.example.com login cron password no\n\nmachine smtp.example.com login cron password yes",
                "yes",
            ),
            ("machine x login y password z\nmacdef m\r\n  cd /\r\n\r\ndefault password yes", "yes"),
            ("machine smtp.example.com login cron password login", "login"),
            ("machine smtp.example.com login cron password pässwörd", "pässwörd"),
        ] {
            assert_eq!(of(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_netrc_is_said_with_its_line_and_without_its_words() {
        for (text, line, because) in [
            ("machine a login b\n\nhunter2\n", 3, "neither machine, default, login, password, account nor macdef stands there"),
            ("machine a\nlogin", 2, "the value is missing"),
            ("machine a login b password \"hunter2\n", 1, "a quotation mark is not closed"),
            ("\n\nmachine", 3, "the value is missing"),
            ("macdef", 1, "the value is missing"),
        ] {
            assert_eq!(password(text, "h", "l").map(|_| ()), Err(Fault { line, because }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end_or_refused_with_one_of_its_lines(text in "[a-z\"\\\\# \n\r\t.]{0,60}|(machine|default|login|password|macdef|a|\"|\n| |#){0,40}") {
            if let Err(fault) = password(&text, "a", "a") {
                prop_assert!((1..=text.lines().count().max(1)).contains(&fault.line), "{fault:?}");
            }
        }

        #[test]
        fn a_password_that_is_quoted_comes_back(secret in "\\PC{1,30}", before in "(machine [a-z]{1,5} login [a-z]{1,5} password [a-z#]{1,5}\n){0,3}") {
            let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{before}machine smtp.example.com login cron password \"{quoted}\"\n");
            prop_assert_eq!(of(&text), Some(secret));
        }
    }
}
