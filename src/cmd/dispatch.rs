//! Which command is meant? (sealpost(1), sendmail(8))

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::AsFd,
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use super::{
    aliases,
    args::{Cli, Command, ConfigAction},
    background,
    caller::{ErrorMode, complain, print},
    check, config, demo, flags, import, log,
    queue::{self, mailq},
    report,
    sendmail::{self, Invocation, Name, Refusal},
    serve, setup, sink, submit, trust,
};
use crate::{
    error::{Error, Exit},
    host::{signals, store, world::Machine},
};

/// Runs the command that the name of the program and the first word ask for.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let program = args.first().and_then(|name| Path::new(name).file_name()).unwrap_or(OsStr::new("sealpost")).to_owned();
    if let Some(name) = Name::of(&program) {
        return compatible(name, &program, args.drain(1..)).into();
    }
    // Before clap, which would keep a `--` for itself.
    if args.get(1).is_some_and(|word| word == "sendmail") {
        return compatible(Name::Sendmail, OsStr::new("sendmail"), args.drain(2..)).into();
    }
    if args.get(1).is_some_and(|word| word == background::WORD) {
        return background::run(args.get(2..).unwrap_or_default()).into();
    }
    native(args).into()
}

/// The sendmail command line: silent when all is well, one write to standard error when it is not.
fn compatible(name: Name, program: &OsStr, words: impl Iterator<Item = OsString>) -> Exit {
    let program = &program.to_string_lossy();
    signals::outlive_file_size_limit();
    match sendmail::parse(name, words) {
        Ok(invocation) => answer(program, invocation),
        Err(refusal) => refuse(program, &refusal),
    }
}

fn answer(program: &str, invocation: Invocation) -> Exit {
    match invocation {
        Invocation::Submit(submission) => submit::run(program, &submission),
        Invocation::Mailq(request) => queued(program, mailq::list(&Machine, &request)),
        Invocation::QueueSize(request) => queued(program, mailq::size(&Machine, &request)),
        Invocation::Flush(request) => queued(program, mailq::flush(&Machine, &request)),
        Invocation::Nothing => Exit::Ok,
        Invocation::Newaliases(config) => match aliases::check(config.as_deref()) {
            Ok(()) => Exit::Ok,
            Err(error) => complain(program, ErrorMode::Print, &error),
        },
        Invocation::SmtpOnStdin(submission) => submit::speak(program, &submission),
        Invocation::NotHere(error) => complain(program, ErrorMode::Print, &error),
        Invocation::Help => print(&flags::help()),
        Invocation::Version => print(concat!("sealpost ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn queued(program: &str, result: Result<Exit, Error>) -> Exit {
    result.unwrap_or_else(|error| complain(program, ErrorMode::Print, &error))
}

/// Tells the caller of a command line that can't be followed, after it had the chance to write its message.
fn refuse(program: &str, refusal: &Refusal) -> Exit {
    if !refusal.submission {
        return complain(program, refusal.errors, &refusal.error);
    }
    store::drain(io::stdin().as_fd());
    submit::reject_usage(program, refusal)
}

fn native(args: Vec<OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    match cli.command {
        Command::Sendmail { args } => compatible(Name::Sendmail, OsStr::new("sendmail"), args.into_iter()),
        Command::Check(options) => finish(check::run(&Machine, &options, &mut io::stdout())),
        Command::Setup(options) => finish(setup::run(&Machine, &options, &mut io::stderr())),
        Command::Config { action } => configuration(&action),
        Command::Queue(options) => finish(queue::run(&Machine, &options)),
        Command::Log(options) => finish(log::run(&Machine, &options)),
        Command::Report(options) => finish(report::run(&Machine, &options)),
        Command::Trust(options) => finish(trust::run(&Machine, &options)),
        Command::Serve(options) => finish(serve::run(&options)),
        Command::Sink(options) => finish(sink::run(&options, &mut io::stdout(), &mut io::stderr())),
        Command::Demo(options) => finish(demo::run(&options, &mut io::stdout(), &mut io::stderr())),
        Command::Completions { shell } => completions(shell),
    }
}

fn configuration(action: &ConfigAction) -> Exit {
    let (told, json) = match action {
        ConfigAction::Check(options) => (config::check(&Machine, options.file.as_deref(), options.json), options.json),
        ConfigAction::Show(options) => (config::show(&Machine, options.file.as_deref(), options.json), options.json),
        ConfigAction::Path(options) => (config::path(&Machine, options.file.as_deref(), options.json), options.json),
        ConfigAction::Import(options) => return finish(import::run(&Machine, options, &mut io::stdout(), &mut io::stderr())),
    };
    match told {
        Ok(text) => print(&text),
        Err(error) => {
            if json {
                print(&config::fault(&error));
            }
            complain("sealpost", ErrorMode::Print, &error)
        }
    }
}

fn finish(result: Result<Exit, Error>) -> Exit {
    result.unwrap_or_else(|error| complain("sealpost", ErrorMode::Print, &error))
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sealpost", &mut script);
    print(&String::from_utf8_lossy(&script))
}
