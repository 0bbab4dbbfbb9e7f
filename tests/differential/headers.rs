//! What do headers look like that people, programs and mischief write? Generated, the same ones for the same seed.

/// A header, and whether all in it follows RFC 5322, obsolete syntax and bare names included.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) text: String,
    pub(crate) regular: bool,
}

/// A source of headers (`SplitMix64`, which is small and the same everywhere).
pub(crate) struct Generator {
    state: u64,
    regular: bool,
}

const LOCALS: [&str; 12] =
    ["bob", "a.b", "a+tag", "Zed", "x_y", "o'neil", "\"a b\"", "\"a.b\"", "\"a@b\"", "\"q\\\"q\"", "\"\"", "-dash"];
const DOMAINS: [&str; 9] =
    ["x.example", "Y.Example", "[192.0.2.1]", "sub.x.example", "x.example.", "localhost", "client.example", "a-b.example", "z"];
const COMMENTS: [&str; 7] = ["(c)", "(a, b)", "(nested (one))", "(esc \\) aped)", "()", "(c@d.example)", "(Grüße)"];
const NAMES: [&str; 11] = [
    "Bob",
    "Bob B. Builder",
    "\"Bob, B\"",
    "\"Bob <x@y>\"",
    "=?utf-8?q?J=C3=B6?=",
    "Jörg",
    "\"a \\\" b\"",
    "Bob (the) B",
    "J. Doe",
    "Dr.X",
    "a, b",
];
/// Names that want quotes.
const BAD_NAMES: [&str; 4] = ["@work", "Bob [x]", "Re: you", "bob@x.example"];
const GROUPS: [&str; 4] = ["undisclosed-recipients", "friends", "\"a: b\"", "My Group"];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, regular: true }
    }

    /// Some fields that end in LF or, all of them, CRLF.
    pub(crate) fn header(&mut self) -> Header {
        self.regular = true;
        let mut text = "From: me@client.example\nSubject: s\n".to_owned();
        for _ in 0..=self.below(3) {
            text += &self.field();
        }
        let text = if self.one_in(8) { text.replace('\n', "\r\n") } else { text };
        Header { text, regular: self.regular }
    }

    fn field(&mut self) -> String {
        let name = match self.below(24) {
            0..=9 => "To",
            10..=13 => "Cc",
            14..=16 => "Bcc",
            17 => "Resent-To",
            18 => "Resent-Cc",
            19 => "Resent-Bcc",
            20 => "Reply-To",
            21 => "X-To",
            22 => "Apparently-To",
            _ => "Errors-To",
        };
        let name = match self.below(8) {
            0 => name.to_uppercase(),
            1 => name.to_lowercase(),
            _ => name.to_owned(),
        };
        let colon = self.pick(&[":", ":", ":", ":", ": ", ": ", ": ", " :", ":\t", ":\n "]);
        let mut value = self.list();
        if self.one_in(20) {
            self.regular = false;
            value = self.spoil(&value);
        }
        format!("{name}{colon}{value}\n")
    }

    fn list(&mut self) -> String {
        let count = self.pick(&[0, 1, 1, 1, 1, 2, 2, 3]);
        let mut text = String::new();
        for at in 0..count {
            if at > 0 {
                text += if self.one_in(20) {
                    self.irregular(&[";", "; ", " "])
                } else {
                    self.pick(&[",", ", ", ", ", ",\n ", ",\n\t", ",,", " , ", ", ,"])
                };
            }
            text += &if self.one_in(12) { self.group() } else { self.mailbox() };
        }
        if self.one_in(15) {
            text += if self.one_in(4) { self.irregular(&[";"]) } else { self.pick(&[",", ", ", " (end)"]) };
        }
        text
    }

    fn group(&mut self) -> String {
        let name = self.pick(&GROUPS);
        let members: Vec<String> = (0..self.below(3)).map(|_| self.mailbox()).collect();
        let colon = self.pick(&[":", ": "]);
        format!("{name}{colon}{};", members.join(", "))
    }

    fn mailbox(&mut self) -> String {
        let spec = self.spec();
        match self.below(16) {
            0..=5 => spec,
            6 if self.one_in(4) => format!("{} <{spec}>", self.irregular(&BAD_NAMES)),
            6..=9 => format!("{} <{spec}>", self.pick(&NAMES)),
            10 => format!("<{spec}>"),
            11 => format!("{spec} {}", self.pick(&COMMENTS)),
            12 => format!("{} {spec}", self.pick(&COMMENTS)),
            13 => format!("{} {} <{spec}> {}", self.pick(&NAMES), self.pick(&COMMENTS), self.pick(&COMMENTS)),
            14 => format!("<@r.example,@s.example:{spec}>"),
            _ => format!("{}<{spec}>", self.pick(&NAMES)),
        }
    }

    fn spec(&mut self) -> String {
        let (local, domain) = (self.pick(&LOCALS), self.pick(&DOMAINS));
        match self.below(20) {
            0..=12 => format!("{local}@{domain}"),
            13 | 14 => local.to_owned(),
            15 => format!("{local} @ {domain}"),
            16 => format!("{local}{}@{domain}", self.pick(&COMMENTS)),
            17 => "user%x.example@gate.example".to_owned(),
            18 => format!("a . b@{domain}"),
            _ => "host!user".to_owned(),
        }
    }

    /// Takes away, adds or doubles a character.
    fn spoil(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        let at = self.below(letters.len().max(1));
        match self.below(3) {
            0 if !letters.is_empty() => drop(letters.remove(at)),
            1 if !letters.is_empty() => letters.insert(at, letters[at]),
            _ => letters.insert(at.min(letters.len()), self.pick(&['<', '>', '"', '(', ')', ',', ';', ':', '@', '\\', '.', ' '])),
        }
        // A line end that was moved could end the header, and then the rest is no matter of addresses.
        letters.into_iter().collect::<String>().replace("\n\n", "\n ")
    }

    fn irregular(&mut self, from: &[&'static str]) -> &'static str {
        self.regular = false;
        self.pick(from)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}
