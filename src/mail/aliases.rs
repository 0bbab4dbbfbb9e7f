//! Which names stand for other addresses? (aliases(5), without programs, files and includes)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

mod reader;

use self::reader::Reader;
use super::address::{self, Local, Spec};
use super::list::Mailbox;

/// The names whose entries get the mail of bare names that are no alias themselves: msmtp's and dma's.
const CATCH_ALL: [&str; 2] = ["default", "*"];

/// Addresses that one name may lead to.
const TARGETS_MAX: usize = 1000;

/// The names by which this machine is meant in an address: an address there is a bare name with ornaments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// `own` are the machine's own names; `localhost` and `localhost.localdomain` are meant anyway.
    pub fn new<S: Into<String>>(own: impl IntoIterator<Item = S>) -> Self {
        Self { names: own.into_iter().map(Into::into).collect() }
    }

    /// Whether aliases apply to addresses at this domain.
    pub fn has(&self, domain: &str) -> bool {
        address::is_localhost(domain) || self.names.iter().any(|name| name.eq_ignore_ascii_case(domain))
    }

    /// Whether aliases may apply to this mailbox.
    pub fn has_mailbox(&self, mailbox: &Mailbox) -> bool {
        !mailbox.verbatim && mailbox.spec.domain().is_none_or(|domain| self.has(domain))
    }
}

/// The table: lower-case names, and what each stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    table: BTreeMap<String, Vec<Mailbox>>,
}

/// A piece of an aliases file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, for a person; names the piece (foreign text, not escaped).
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.why)
    }
}

/// Why a name that is an alias leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasError {
    /// Only programs, files or faulty entries stand behind it, or other names that lead nowhere.
    Nowhere,
    /// It leads back to itself only.
    Loop,
    /// It leads to more than 1000 addresses.
    TooMany,
}

impl fmt::Display for AliasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "the alias leads to no address",
            Self::Loop => "the alias leads back to itself only",
            Self::TooMany => "the alias leads to more than 1000 addresses",
        })
    }
}

impl std::error::Error for AliasError {}

impl Aliases {
    /// Reads an aliases file. What can't be used is left out and told of; the rest is good.
    ///
    /// A name all of whose entries are left out stays in the table: mail to it is an error and doesn't go elsewhere.
    pub fn parse(text: &str) -> (Self, Vec<Fault>) {
        let mut reader = Reader::default();
        // What editors of another system put in front would be part of the first name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            reader.read(index + 1, line);
        }
        (Self { table: reader.table }, reader.faults)
    }

    /// Reads a file that may not be UTF-8, which matters only in entries that have such bytes.
    pub fn parse_bytes(bytes: &[u8]) -> (Self, Vec<Fault>) {
        Self::parse(&String::from_utf8_lossy(bytes))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Sends the mail of bare names that are no alias to `mailbox`, where the file has no entry for them.
    pub fn catch(&mut self, mailbox: Mailbox) {
        if !CATCH_ALL.iter().any(|name| self.table.contains_key(*name)) {
            self.table.insert(CATCH_ALL[0].to_owned(), vec![mailbox]);
        }
    }

    /// What a mailbox of this machine stands for in the end, through aliases of aliases; `None` where it is no alias.
    ///
    /// A name among its own entries means itself, final (`bob: bob, bob@elsewhere`), like one with a backslash. Names met
    /// twice are followed once, so loops end.
    pub fn expand(&self, mailbox: &Mailbox, hosts: &Hosts) -> Result<Option<Vec<Spec>>, AliasError> {
        let Some((first, entries)) = self.entries(mailbox, hosts) else { return Ok(None) };
        let mut targets = Vec::new();
        let mut looped = false;
        let mut stack: Vec<(&str, &Mailbox)> = entries.iter().rev().map(|entry| (first, entry)).collect();
        let mut followed = BTreeSet::from([first]);
        while let Some((parent, entry)) = stack.pop() {
            match self.entries(entry, hosts).filter(|(name, _)| *name != parent) {
                None if targets.len() >= TARGETS_MAX => return Err(AliasError::TooMany),
                None => targets.push(entry.spec.clone()),
                Some((name, entries)) if followed.insert(name) => stack.extend(entries.iter().rev().map(|entry| (name, entry))),
                Some(_) => looped = true,
            }
        }
        match targets.is_empty() {
            false => Ok(Some(targets)),
            true if looped => Err(AliasError::Loop),
            true => Err(AliasError::Nowhere),
        }
    }

    /// The alias that a mailbox is, and what stands behind it: its own, else, where it is a bare name, that of all others.
    fn entries(&self, mailbox: &Mailbox, hosts: &Hosts) -> Option<(&str, &[Mailbox])> {
        if !hosts.has_mailbox(mailbox) {
            return None;
        }
        // An address in the domain of this host may be somebody's whom only the smarthost knows.
        let bare = mailbox.spec.domain().is_none_or(address::is_localhost);
        let own = key(mailbox.spec.local());
        let mut names = [own.as_str()].into_iter().chain(CATCH_ALL.into_iter().filter(|_| bare));
        let (name, entries) = names.find_map(|name| self.table.get_key_value(name))?;
        Some((name, entries))
    }
}

/// Names differ in more than ASCII case only (aliases(5)).
fn key(name: &Local) -> String {
    name.as_str().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::list;

    fn mailbox(text: &str) -> Mailbox {
        list::parse_word(text).mailboxes.remove(0)
    }

    fn expanded(text: &str, name: &str) -> String {
        let (aliases, _) = Aliases::parse(text);
        match aliases.expand(&mailbox(name), &Hosts::new(["host.example"])) {
            Ok(None) => "none".to_owned(),
            Ok(Some(targets)) => targets.iter().map(Spec::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn a_name_leads_to_its_addresses_through_other_names_without_loops() {
        let text = "# comment\n\
            root: admin, Bob B <bob@x>\n\
            Admin: carol@y,\n\tdave@y\n\n   # in between\n   erin@y\n\
            \"two words\": a@x\n\
            ring: ring2\nring2: ring\n\
            half: half2, h@x\nhalf2: half\n\
            self: self, \\self, s@x\n\
            host: root@localhost, root@HOST.example, root@elsewhere\n\
            prog: \"|cmd arg, x\", /dev/null, :include:/etc/passwd\n\
            part: |cmd, p@x\n\
            dead: prog\n\
            empty:\n\
            diamond: left, right\nleft: top\nright: top\ntop: t@x\n";
        for (name, expected) in [
            ("root", "carol@y dave@y erin@y bob@x"),
            ("ROOT", "carol@y dave@y erin@y bob@x"),
            ("nobody", "none"),
            ("\"two words\"", "a@x"),
            ("ring", "Loop"),
            ("half", "h@x"),
            ("self", "self self s@x"),
            ("host", "carol@y dave@y erin@y bob@x root@elsewhere"),
            ("prog", "Nowhere"),
            ("part", "p@x"),
            ("dead", "Nowhere"),
            ("empty", "Nowhere"),
            ("diamond", "t@x"),
        ] {
            assert_eq!(expanded(text, name), expected, "{name}");
        }
    }

    #[test]
    fn bare_names_that_are_no_alias_go_to_default() {
        let text = "root: ann@x\nteam: \\carl, dora\nblack: |cmd\n";
        for catch_all in ["default", "DEFAULT", "*"] {
            let text = format!("{text}{catch_all}: admin\nadmin: a@x\n");
            for (name, expected) in [
                ("www-data", "a@x"),
                ("root", "ann@x"),
                ("nobody@localhost", "a@x"),
                ("root@host.example", "ann@x"),
                ("nobody@host.example", "none"),
                ("nobody@elsewhere.example", "none"),
                ("team", "carl a@x"),
                ("black", "Nowhere"),
                ("\\bob", "none"),
            ] {
                assert_eq!(expanded(&text, name), expected, "{catch_all}: {name}");
            }
        }
        assert_eq!(expanded("default: bob", "carl"), "bob");
        assert_eq!(expanded("default: bob, default", "carl"), "bob default");
        assert_eq!(expanded("default: |cmd", "carl"), "Nowhere");
        assert_eq!(expanded("default: bob\nbob: carl\ncarl: bob", "dora"), "Loop");
    }

    #[test]
    fn who_catches_all_gives_way_to_the_file() {
        for (text, expected) in [("", "a@x"), ("root: r@x", "a@x"), ("default: d@x", "d@x"), ("*: d@x", "d@x")] {
            let (mut aliases, _) = Aliases::parse(text);
            aliases.catch(mailbox("a@x"));
            let targets = aliases.expand(&mailbox("bob"), &Hosts::default()).unwrap().unwrap();
            assert_eq!(targets[0].to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_faulty_line_is_told_with_line_and_column_and_spoils_no_other() {
        let text = "  lost\nno colon\nroot: a@x, |cmd, b@x\n\
            über: jö, /f,\n :include:/etc/x, c@x\n: x\nbad name: x\n  y\nROOT: z\n  |skipped\n";
        let (aliases, faults) = Aliases::parse(text);
        let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(
            told,
            [
                "1:1: a continuation line, but there is nothing to continue",
                "2:1: no ':' after the name",
                "3:12: \"|cmd\" is a program, not an address",
                "4:11: \"/f\" is a file, not an address",
                "5:2: \":include:/etc/x\" is a file to include, not an address",
                "6:1: no name before the ':'",
                "7:1: the name \"bad name\" has a space outside quotes",
                "9:1: \"ROOT\" is there a second time; the first one counts",
            ]
        );
        assert_eq!(aliases.len(), 2);
        assert_eq!(expanded(text, "root"), "a@x b@x");
        assert_eq!(expanded(text, "über"), "jö c@x");
    }

    #[test]
    fn a_comment_behind_the_addresses_and_a_mark_before_the_first_name_are_no_part_of_them() {
        let text = "\u{feff}root: a@x # who is on duty, b@x\nann: # nobody yet\n  c@x,\t# her\n  \"d # e\"@x\nno#ise: f#g@x,#h@x\n";
        for (name, expected) in [("root", "a@x"), ("ann", "c@x \"d # e\"@x"), ("no#ise", "f#g@x #h@x")] {
            assert_eq!(expanded(text, name), expected, "{name}");
        }
        assert_eq!(Aliases::parse(text).1, []);
    }

    #[test]
    fn a_name_with_too_many_addresses_is_refused() {
        let many = (0..=TARGETS_MAX).map(|n| format!("u{n}@x")).collect::<Vec<_>>().join(", ");
        assert_eq!(expanded(&format!("all: {many}"), "all"), "TooMany");
    }

    #[test]
    fn a_long_chain_of_names_is_followed_to_its_end() {
        let chain = (0..20_000).map(|n| format!("n{n}: n{}", n + 1)).collect::<Vec<_>>().join("\n");
        assert_eq!(expanded(&chain, "n0"), "n20000");
    }

    proptest! {
        #[test]
        fn any_file_can_be_read_and_any_name_expanded(text in "([ab]: ?[abc|/\\\\:@\", ]{0,6}\r?\n){0,8}[\\x00-\\x7fä]{0,20}") {
            let (aliases, faults) = Aliases::parse(&text);
            for name in ["a", "b", "c"] {
                if let Ok(Some(targets)) = aliases.expand(&mailbox(name), &Hosts::default()) {
                    prop_assert!(!targets.is_empty() && targets.len() <= TARGETS_MAX);
                }
            }
            prop_assert!(faults.iter().all(|f| f.line >= 1 && f.line <= text.lines().count() && f.column >= 1));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Aliases::parse_bytes(&bytes);
        }
    }
}
