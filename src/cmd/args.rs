//! Which commands does `sealpost` have besides the sendmail command line? (contract section 1)

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::{demo, sink};

/// The native command line.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, about = "Submits mail through a smarthost, under a TLS policy, and records what really happened", long_about = None)]
#[command(after_help = "Under the names sendmail, send-mail, mailq and newaliases it speaks their command lines: see sendmail(8).")]
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
    /// Look at the configuration
    Config {
        /// What to do with it.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Run a development smarthost on this machine
    Sink(sink::Options),
    /// Show the main job end to end, against a sink of its own
    Demo(demo::Options),
    /// Print the completions of a shell
    Completions {
        /// Whose
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
}

/// How to look at the configuration.
#[derive(Args, Debug)]
pub struct ConfigOptions {
    /// This file and no other
    #[arg(short = 'C', long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_of_clap_hold_together() {
        Cli::command().debug_assert();
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
