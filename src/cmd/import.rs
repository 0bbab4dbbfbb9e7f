//! `sealpost config import`: how does somebody change over from another program? (sealpost(1))

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint, builder::PossibleValuesParser};

use super::wrap::wrapped;
use crate::{
    error::{Error, Exit, printable},
    host::{
        config,
        import::{Below, Draft, Kind, Note, Sort, Texts, import},
        private,
        terminal::Watch,
        world::World,
    },
};

/// What `--help` ends with.
const EXAMPLES: &str = "\
The configuration goes to standard output, without passwords; with --write or
-o it goes to a file, and the passwords to files beside it. What changes is told
on standard error. No command of the other configuration is run.

Examples:
  sealpost config import ~/.msmtprc         look at it first
  sealpost config import /etc/msmtprc ~/.msmtprc --write
                                            both files of msmtp, for use
  sealpost config import /etc/ssmtp/ssmtp.conf -o new.toml
  sealpost config import /etc/nullmailer    all files of nullmailer
  sealpost config import /etc/postfix       main.cf and the tables that it names
  sealpost config import --root /mnt /etc/dma/dma.conf
                                            of a machine that is mounted there";

/// Columns of what is told.
const WIDTH: usize = 79;

/// Make a configuration of another program's: msmtp, ssmtp, nullmailer, dma, esmtp, or a Postfix that only sends
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The configuration to import, or its directory; of msmtp also the system's and the user's
    #[arg(required = true, num_args = 1..=2, value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Whose configuration it is, where its name and its words don't say it
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    from: Option<String>,
    /// Write to this file, and passwords to files beside it
    #[arg(short, long, value_name = "FILE", conflicts_with = "write", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Write to the usual place: /etc/sealpost for root, else ~/.config/sealpost
    #[arg(long)]
    write: bool,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Take this directory for the root of the machine whose files are read
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true, value_hint = ValueHint::DirPath)]
    root: PathBuf,
}

/// Imports, and tells on `talk` what became of what.
///
/// # Errors
/// What is there can't be read or carried over, or ours can't be written.
pub fn run(world: &dyn World, options: &Options, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Error> {
    private::conceal();
    // Before there are other threads.
    let watch = Watch::begin();
    let texts = Below(options.root.clone());
    let kind = options.from.as_deref().and_then(|word| Kind::ALL.into_iter().find(|kind| kind.as_str() == word));
    let draft = import(world, &texts, kind, &options.files)?;
    let path = match (&options.output, options.write) {
        (Some(path), _) => Some(path.clone()),
        (None, true) => Some(config::usual(world).ok_or_else(homeless)?),
        (None, false) => None,
    };
    let mut told = told(&draft, &options.files);
    match &path {
        Some(path) => {
            if draft.sources.iter().any(|file| texts.is_same(file, path)) {
                let because = "it is what is being imported, and would be gone";
                return Err(
                    Error::new(Exit::CantCreat, format!("writing {}", path.display()), because).hint("name another with -o")
                );
            }
            let public = is_public(world, &texts, &draft, path);
            let files = watch.whole(|| draft.write(path, public, options.force))?;
            told += &written(&files, public, &draft);
        }
        None => told += &shown(&draft),
    }
    told += &format!("\nWould it work? {}\n", check(options.output.as_deref(), path.is_some()));
    // A terminal that is gone, or a reader that has seen enough, takes nothing from what was written.
    let _ = talk.write_all(told.as_bytes());
    if path.is_none() {
        return Ok(match out.write_all(draft.toml.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::IoErr,
            _ => Exit::Ok,
        });
    }
    Ok(Exit::Ok)
}

/// What became of what, the most urgent first.
fn told(draft: &Draft, files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| printable(&file.display().to_string())).collect();
    let noun = if draft.accounts.len() == 1 { "account" } else { "accounts" };
    let accounts = printable(&draft.accounts.join(", "));
    let mut text =
        lines("", &format!("{} is a configuration of {}, with the {noun} {accounts}.", files.join(" and "), draft.kind.title()));
    for (sort, title) in [
        (Sort::Stricter, "Stricter than before:"),
        (Sort::Weak, "Unwise, and as it was:"),
        (Sort::Changed, "Changed:"),
        (Sort::LeftOut, "Left out:"),
    ] {
        let notes = together(draft.notes.iter().filter(|note| note.sort == sort));
        if notes.is_empty() {
            continue;
        }
        text += &format!("\n{title}\n");
        for (accounts, note) in notes {
            // With one account nobody asks which.
            let whose =
                if draft.accounts.len() == 1 || accounts.is_empty() { String::new() } else { format!("{}: ", accounts.join(", ")) };
            text += &lines("- ", &printable(&format!("{whose}{note}")));
        }
    }
    text
}

/// Notes that say the same of several accounts are one.
fn together<'a>(notes: impl Iterator<Item = &'a Note>) -> Vec<(Vec<&'a str>, &'a str)> {
    let mut together: Vec<(Vec<&str>, &str)> = Vec::new();
    for note in notes {
        let account = note.account.as_deref();
        match together.iter_mut().find(|(_, text)| *text == note.text) {
            Some((accounts, _)) => accounts.extend(account.filter(|name| !accounts.contains(name))),
            None => together.push((account.into_iter().collect(), &note.text)),
        }
    }
    together
}

/// What was written, and where.
fn written(files: &[PathBuf], public: bool, draft: &Draft) -> String {
    let names: Vec<String> = files.iter().map(|file| printable(&file.display().to_string())).collect();
    let Some((config, secrets)) = names.split_first() else { return String::new() };
    let mut text = format!("\n{}", lines("", &format!("Written: {config} ({})", if public { "0644" } else { "0600" })));
    if !secrets.is_empty() {
        text += &lines("", &format!("Passwords: {} (0600)", secrets.join(", ")));
    }
    if public && !draft.secrets.is_empty() {
        text += &lines("", "Only root can read the passwords: mail of other users goes by way of sealpost serve.");
    }
    text
}

/// What is not on standard output.
fn shown(draft: &Draft) -> String {
    let paths: Vec<String> = draft.secrets.iter().map(|secret| secret.path.display().to_string()).collect();
    if paths.is_empty() {
        return String::new();
    }
    let text = format!("Passwords are not shown: --write or -o puts them into {}, beside the configuration.", paths.join(", "));
    format!("\n{}", lines("", &text))
}

fn check(output: Option<&Path>, is_written: bool) -> String {
    match output {
        Some(path) => format!("sealpost check --all -C {}", printable(&path.display().to_string())),
        None if is_written => "sealpost check --all".to_owned(),
        None => "Write it to a file, then: sealpost check --all".to_owned(),
    }
}

/// The system's configuration is for all to read, since no password is in it; but not a command that not all could read before.
fn is_public(world: &dyn World, texts: &dyn Texts, draft: &Draft, path: &Path) -> bool {
    let is_system = path.parent() == Some(world.etc().join("sealpost").as_path());
    is_system && (!draft.has_commands || draft.sources.iter().all(|file| texts.is_public(file)))
}

/// Lines that fit a terminal, the first of which begins with `sign`, the others with as many spaces.
fn lines(sign: &str, text: &str) -> String {
    let margin = " ".repeat(sign.len());
    wrapped(text, WIDTH - sign.len()).join(&format!("\n{margin}")).replacen("", sign, 1) + "\n"
}

fn homeless() -> Error {
    Error::new(Exit::Config, "writing the configuration", "no home directory is known").hint("name a file with -o")
}

#[cfg(test)]
mod tests;
