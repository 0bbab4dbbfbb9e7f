//! Which commands does `sealpost` have besides the sendmail command line? (sealpost(1))

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::{check, demo, import, log, queue, report, serve, setup, sink, trust};

/// What `sealpost --help` ends with.
const EXAMPLES: &str = "\
Under the names sendmail, send-mail, mailq and newaliases it speaks their
command lines: see sendmail(8). The manual is sealpost(1).

Examples:
  sealpost demo                         the main job, without any set-up
  sealpost setup me@example.com         an account, by questions, tested
  sealpost config check                 is the configuration right?
  sealpost check                        would a mail go out now, and how sealed?
  echo hi | sealpost sendmail -v you@example.com
                                        send, and tell what happens
  sealpost queue list                   what waits, and why
  sealpost serve                        take mail of all local programs
  sealpost log --follow                 what becomes of each mail
  sealpost report --since 7d            what was encrypted, in sums
  sealpost trust list                   whose keys are believed, and since when
  ln -s $(command -v sealpost) /usr/sbin/sendmail
                                        take the place of sendmail";

/// What `sealpost config --help` ends with.
const CONFIG_EXAMPLES: &str = "\
The configuration is explained in sealpost.toml(5). The first that exists is
read: -C FILE, $SEALPOST_CONFIG, ~/.config/sealpost/config.toml,
/etc/sealpost/config.toml, or the variables SEALPOST_HOST and so on.

Examples:
  sealpost config check -C new.toml     before it is used
  sealpost config show                  what is in force, and where it stands
  sealpost config path --json           which file that is, for a script
  sealpost config import ~/.msmtprc     what another program's would be here";

/// The native command line.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, long_about = None)]
#[command(about = "Submits mail through a smarthost, under a TLS policy, and records what TLS really did")]
#[command(after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One native command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send the message on standard input: the sendmail command line, under any name
    #[command(disable_help_flag = true)]
    Sendmail {
        /// As sendmail(8) says; `sealpost sendmail --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Say whether an account would send now, what its server shows, and what could be better
    Check(check::Options),
    /// Set up an account: find its server, test it, write the configuration; or agree anew to OAuth2
    Setup(Box<setup::Options>),
    /// Check, show or import a configuration, or say which one is in force
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        /// What to do with it.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// See and change what waits: list, show, flush, hold, release, remove
    Queue(Box<queue::Options>),
    /// Show the log: a line for each attempt, with what TLS did for it
    Log(Box<log::Options>),
    /// Sum up what TLS did: per host and day, with failures, downgrades and certificates that end soon
    Report(Box<report::Options>),
    /// See and change what is remembered of servers: keys that are believed, and who had TLS
    Trust(Box<trust::Options>),
    /// Take mail of local programs on a socket, keep it safe, and send it
    Serve(serve::Options),
    /// Be a smarthost for development: TLS with a throw-away CA, AUTH, a Maildir, faults on request
    Sink(Box<sink::Options>),
    /// Show the main job end to end, without any set-up, against a sink of its own
    Demo(demo::Options),
    /// Print the completions of a shell, to be saved where it looks for them
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Say whether the configuration is right, and where it is not
    Check(ConfigOptions),
    /// Show the values in effect, secrets masked, with where each came from
    Show(ConfigOptions),
    /// Say which file is read
    Path(ConfigOptions),
    /// Make one of another program's: msmtp, ssmtp, nullmailer, dma, esmtp, Postfix
    Import(import::Options),
}

/// How to look at the configuration.
#[derive(Args, Debug)]
pub struct ConfigOptions {
    /// Look at this file and no other
    #[arg(short = 'C', long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::smtp::server::fault::FAULTS;

    #[test]
    fn the_definitions_of_clap_hold_together() {
        Cli::command().debug_assert();
    }

    /// The part of man/sealpost.1 under a heading.
    fn manual(heading: &str) -> &'static str {
        let page = include_str!("../../man/sealpost.1");
        let (_, section) = page.split_once(&format!(".Ss {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
        let end = [".Ss ", ".Sh "].iter().filter_map(|next| section.find(next)).min().unwrap_or(section.len());
        &section[..end]
    }

    #[test]
    fn the_manual_lists_every_option_of_a_command_and_no_other() {
        let cli = Cli::command();
        for name in ["check", "setup", "config import", "sink", "demo", "log", "report", "trust", "queue", "serve"] {
            let mut table = std::collections::BTreeMap::new();
            let command = name.split(' ').fold(&cli, |command, name| command.find_subcommand(name).unwrap());
            let commands = std::iter::once(command).chain(command.get_subcommands());
            for option in commands.flat_map(clap::Command::get_arguments) {
                table.extend(option.get_long().map(|name| (name, option.get_action().takes_values())));
            }
            table.remove("help");
            let section = manual(&format!("sealpost {name}"));
            let items = section.lines().filter_map(|line| line.strip_prefix(".It Fl -"));
            let listed = items.map(|item| (item.split(' ').next().unwrap(), item.contains("Ar "))).collect();
            assert_eq!(table, listed, "sealpost {name}");
        }
    }

    #[test]
    fn the_manual_explains_every_fault_as_the_table_does() {
        let listed: Vec<(&str, String)> = manual("Faults of the sink")
            .split(".It Cm ")
            .skip(1)
            .map(|item| item.split_once('\n').unwrap())
            .map(|(name, about)| (name, about.lines().take_while(|line| !line.starts_with(".El")).collect::<Vec<_>>().join(" ")))
            .collect();
        let sentence = |about: &str| format!("{}{}.", about[..1].to_uppercase(), about[1..].replace('"', "\\(dq"));
        let table: Vec<(&str, String)> = FAULTS.iter().map(|fault| (fault.name, sentence(fault.about))).collect();
        assert_eq!(listed, table);
    }

    #[test]
    fn every_command_that_reads_takes_json() {
        for action in ["check", "show", "path"] {
            let cli = Cli::try_parse_from(["sealpost", "config", action, "--json", "-C", "x.toml"]).unwrap();
            let Command::Config {
                action: ConfigAction::Check(options) | ConfigAction::Show(options) | ConfigAction::Path(options),
            } = cli.command
            else {
                panic!("{action}");
            };
            assert!(options.json && options.file.is_some());
        }
    }
}
