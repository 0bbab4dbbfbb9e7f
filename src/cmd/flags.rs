//! Which flags does sendmail mode have, what does each take, and what does it do here? (sendmail(8); LSB baselib-sendmail-1)
//!
//! The one table: the parser, `sendmail --help` and the check of man/sendmail.8 all read it. A letter that is not here is
//! nobody's option and ends in `EX_USAGE`; one that has no meaning here says why it is ignored.

use super::wrap::wrapped;

/// Columns of `--help`, and the one where the texts of the flags begin.
const WIDTH: usize = 80;
const COLUMN: usize = 24;

/// One flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// `f` in `-f`.
    pub letter: Option<char>,
    /// `account` in `--account`.
    pub long: Option<&'static str>,
    /// What follows it.
    pub takes: Takes,
    /// What it does.
    pub effect: Effect,
    /// One line for `--help`; what an ignored flag says is its reason.
    pub help: &'static str,
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A value, in the same word or the next; the text is its name in the help.
    Value(&'static str),
    /// A value only in the same word (`-q30m`), else none: the next word may be a recipient.
    Attached(&'static str),
}

/// What a flag does; the parser in `cmd/sendmail` gives each its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `-a`
    Account,
    /// `-B`
    BodyType,
    /// `-b`
    Mode,
    /// `-C`
    Config,
    /// `--debug`
    Debug,
    /// `-e`
    Errors,
    /// `-F`
    FullName,
    /// `-f`, `-r`
    Sender,
    /// `-G`
    Gateway,
    /// `--help`
    Help,
    /// `-I`
    Newaliases,
    /// `-i`
    IgnoreDots,
    /// `-L`
    Tag,
    /// `-N`
    Notify,
    /// `-n`
    NoAliases,
    /// `-O`
    LongOption,
    /// `-o`
    ShortOption,
    /// `-q`
    Queue,
    /// `-R`
    Return,
    /// `--read-envelope-from`
    SenderFromHeader,
    /// `-t`
    RecipientsFromHeader,
    /// `-V`
    EnvelopeId,
    /// `-v`
    Verbose,
    /// `--version`
    Version,
    /// `-X`
    Traffic,
    /// Accepted without effect, because of what `help` says.
    Ignored,
}

/// Every flag of sendmail mode, in the order of the manual.
pub const FLAGS: &[Flag] = &[
    ignored('A', Takes::Value("cm"), "there is one configuration, for submission and all else"),
    Flag { long: Some("account"), ..does('a', Takes::Value("account"), Effect::Account, "send through this account") },
    does('B', Takes::Value("type"), Effect::BodyType, "7BIT or 8BITMIME; accepted, but the body itself is looked at"),
    does(
        'b',
        Takes::Value("mode"),
        Effect::Mode,
        "m send (default), s SMTP on standard input, p list the queue, P count it, i check the aliases",
    ),
    Flag { long: Some("file"), ..does('C', Takes::Value("file"), Effect::Config, "read this sealpost configuration and no other") },
    ignored('c', Takes::Nothing, "there is no mailer that would be too expensive to connect to"),
    ignored('d', Takes::Attached("level"), "the debugging levels of Sendmail mean nothing here; see --debug"),
    long("debug", Effect::Debug, "show the SMTP dialogue on standard error, secrets masked"),
    does('e', Takes::Value("mode"), Effect::Errors, "as -oe"),
    does('F', Takes::Value("name"), Effect::FullName, "full name of the sender, for a message without From"),
    does('f', Takes::Value("address"), Effect::Sender, "envelope sender; empty or <> is the null sender; the last one wins"),
    does('G', Takes::Nothing, Effect::Gateway, "the message is relayed: nothing is added to its header or completed in it"),
    ignored('h', Takes::Value("hops"), "the Received fields of the message itself tell how far it came"),
    long("help", Effect::Help, "print this and exit"),
    does('I', Takes::Nothing, Effect::Newaliases, "as -bi"),
    does('i', Takes::Nothing, Effect::IgnoreDots, "a line with only a dot is text, also as the very last one"),
    does('L', Takes::Value("tag"), Effect::Tag, "tag of the syslog lines"),
    ignored('m', Takes::Nothing, "the sender is never taken out of a list of recipients"),
    does('N', Takes::Value("when"), Effect::Notify, "never, or some of success,failure,delay: when to report (DSN)"),
    does('n', Takes::Nothing, Effect::NoAliases, "do not look recipients up in the alias file"),
    does('O', Takes::Value("name=value"), Effect::LongOption, "DeliveryMode, ErrorMode, IgnoreDots, Verbose; others are ignored"),
    does(
        'o',
        Takes::Value("xvalue"),
        Effect::ShortOption,
        "option x: d delivery mode, e error mode, i as -i, v as -v; others are ignored",
    ),
    ignored('p', Takes::Value("protocol"), "where a message came from does not change how it is sent"),
    does(
        'q',
        Takes::Attached("what"),
        Effect::Queue,
        "send what waits: all now; a time: what is due; I, R, S: where the id, a recipient, the sender has this in it, ! where not",
    ),
    does('R', Takes::Value("what"), Effect::Return, "full or hdrs: how much of the message a report returns (DSN)"),
    does('r', Takes::Value("address"), Effect::Sender, "as -f"),
    long("read-envelope-from", Effect::SenderFromHeader, "take the envelope sender from the From field where -f is not given"),
    ignored('s', Takes::Nothing, "a first line \"From ...\" of an mbox always goes"),
    Flag {
        long: Some("read-recipients"),
        ..does('t', Takes::Nothing, Effect::RecipientsFromHeader, "recipients from To, Cc and Bcc, besides those given")
    },
    ignored('U', Takes::Nothing, "every submission is an initial one"),
    does('V', Takes::Value("envid"), Effect::EnvelopeId, "envelope identifier that reports carry (DSN)"),
    does('v', Takes::Nothing, Effect::Verbose, "tell on standard error what is done"),
    long("version", Effect::Version, "print the version and exit"),
    does('X', Takes::Value("file"), Effect::Traffic, "accepted, but the file is never written; see --debug"),
    ignored('x', Takes::Nothing, "an old mailx passes it; it never meant anything"),
];

/// The flag of a letter.
pub fn by_letter(letter: u8) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.letter == Some(char::from(letter)))
}

/// The flag of a long name, spelt out.
pub fn by_name(name: &[u8]) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.long.is_some_and(|long| long.as_bytes() == name))
}

impl Flag {
    /// `-f` or `--debug`.
    pub fn spelling(&self) -> String {
        match (self.letter, self.long) {
            (Some(letter), _) => format!("-{letter}"),
            (None, long) => format!("--{}", long.unwrap_or_default()),
        }
    }

    /// `-a ACCOUNT, --account=ACCOUNT`, `-q[WHAT]`.
    fn synopsis(&self) -> String {
        let letter = self.letter.map(|letter| match self.takes {
            Takes::Nothing => format!("-{letter}"),
            Takes::Value(name) => format!("-{letter} {}", name.to_uppercase()),
            Takes::Attached(name) => format!("-{letter}[{}]", name.to_uppercase()),
        });
        let long = self.long.map(|long| match self.takes {
            Takes::Value(name) => format!("--{long}={}", name.to_uppercase()),
            _ => format!("--{long}"),
        });
        [letter, long].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The text of `sendmail --help`.
pub fn help() -> String {
    let mut text = String::from(
        "Send a message from standard input through the configured smarthost.\n\n\
         Usage: sendmail [flags] recipient ...\n       sendmail -t [flags] [recipient ...]\n       mailq\n       newaliases\n\n",
    );
    for flag in FLAGS {
        let because = if flag.effect == Effect::Ignored { "ignored: " } else { "" };
        let help = wrapped(&format!("{because}{}", flag.help), WIDTH - COLUMN).join(&format!("\n{:COLUMN$}", ""));
        let synopsis = format!("  {}", flag.synopsis());
        // A synopsis that would touch its text gets a line of its own.
        let head = if synopsis.len() + 2 > COLUMN { format!("{synopsis}\n{:COLUMN$}", "") } else { format!("{synopsis:<COLUMN$}") };
        text.extend([&head, &help, "\n"]);
    }
    text.push_str(
        "\nFlags go before recipients, and -- ends them. The exit code is 0 when the\n\
         smarthost has taken the message for all recipients, else one of sysexits.h.\n\n\
         Examples:\n  sendmail -t -i < message                send it to those whom its header names\n  \
         report | sendmail -i -f cron@example.com you@example.com\n  \
         echo hi | sendmail -v -C new.toml you@example.com\n\n\
         See sendmail(8); `sealpost --help` shows the other commands.\n",
    );
    text
}

const fn does(letter: char, takes: Takes, effect: Effect, help: &'static str) -> Flag {
    Flag { letter: Some(letter), long: None, takes, effect, help }
}

const fn long(name: &'static str, effect: Effect, help: &'static str) -> Flag {
    Flag { letter: None, long: Some(name), takes: Takes::Nothing, effect, help }
}

const fn ignored(letter: char, takes: Takes, because: &'static str) -> Flag {
    does(letter, takes, Effect::Ignored, because)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Whether a flag takes a value, by its spelling, as man/sendmail.8 lists it: `.It Fl f Ar address , Fl -long Ns = Ns Ar x`.
    fn manual() -> BTreeMap<String, bool> {
        let mut flags = BTreeMap::new();
        for line in include_str!("../../man/sendmail.8").lines().filter(|line| line.starts_with(".It Fl ")) {
            for item in line.split("Fl ").skip(1) {
                let (name, rest) = item.split_once(' ').unwrap_or((item, ""));
                assert_eq!(flags.insert(format!("-{name}"), rest.contains("Ar ")), None, "{name} is listed twice");
            }
        }
        flags
    }

    #[test]
    fn the_manual_lists_exactly_the_flags_of_the_table() {
        let mut table = BTreeMap::new();
        for flag in FLAGS {
            let spellings = flag.letter.map(|l| format!("-{l}")).into_iter().chain(flag.long.map(|l| format!("--{l}")));
            table.extend(spellings.map(|spelling| (spelling, flag.takes != Takes::Nothing)));
        }
        assert_eq!(manual(), table);
    }

    /// The table as man/sendmail.8 shows it.
    fn table() -> String {
        let mut table = String::from(".Bl -column \"\\-\\-read\\-envelope\\-from\" \"effect\"\n");
        for flag in FLAGS {
            let because = if flag.effect == Effect::Ignored { "ignored: " } else { "" };
            let text = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq");
            table += &format!(".It \"{}\" Ta \"{because}{}\"\n", text(&flag.synopsis()), text(flag.help));
        }
        table + ".El\n"
    }

    #[test]
    fn the_manual_shows_the_table() {
        let manual = include_str!("../../man/sendmail.8");
        assert!(manual.contains(&table()), "man/sendmail.8 lacks, or has otherwise:\n{}", table());
    }

    #[test]
    fn the_letters_are_those_of_the_recommended_getopt_table_and_msmtps_account() {
        let mut getopt = String::new();
        for flag in FLAGS {
            getopt.extend(flag.letter);
            getopt.push_str(match flag.takes {
                _ if flag.letter.is_none() => "",
                Takes::Nothing => "",
                Takes::Value(_) => ":",
                Takes::Attached(_) => "::",
            });
        }
        assert_eq!(getopt, "A:a:B:b:C:cd::e:F:f:Gh:IiL:mN:nO:o:p:q::R:r:stUV:vX:x");
    }

    #[test]
    fn every_flag_has_its_own_spelling_and_a_line_of_help() {
        let spellings: BTreeSet<String> = FLAGS.iter().map(Flag::spelling).collect();
        assert_eq!(spellings.len(), FLAGS.len());
        let help = help();
        assert!(help.lines().all(|line| line.len() <= WIDTH), "a line of the help is too long:\n{help}");
        let unwrapped = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for flag in FLAGS {
            assert!(help.contains(&format!("  {}", flag.synopsis())) && unwrapped.contains(flag.help), "{}", flag.spelling());
        }
    }
}
