//! What waits, why, and how does a person hasten, hold or remove it? (`sealpost queue`)

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use self::{
    act::Deed,
    select::{Filter, Short},
};
use crate::{
    error::{Error, Exit},
    host::{
        journal::Id,
        signals,
        spool::{Found, Place, Spool},
        world::World,
    },
};

pub mod act;
pub mod answer;
mod change;
mod flush;
mod list;
pub mod listed;
pub mod mailq;
mod out;
mod progress;
pub mod select;
mod show;
mod source;
mod table;
mod view;
mod walk;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  sealpost queue list                   what waits, and why
  sealpost queue list --all --json      held and failed too, for a program
  sealpost queue show 01M859            all about one; a part of the id is enough
  sealpost queue flush                  try everything now, and watch
  sealpost queue flush --due            what is due only: for a timer
  sealpost queue hold --to example.com  keep back what goes there
  sealpost queue release 01M859         let it go on, also from failed
  sealpost queue remove --failed --older-than 7d";

/// See and change what waits: list, show, flush, hold, release, remove.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// List what waits, with whom it waits for and why
    List(List),
    /// Show one message: its envelope, how it stands, what happened to it, its header
    Show(Show),
    /// Try messages now, due or not: all, these ones, or those that are so
    Flush(Flush),
    /// Keep messages back until they are released
    Hold(Change),
    /// Let messages go on that were held, or that failed for good
    Release(Change),
    /// Remove messages; nobody is told
    Remove(Remove),
}

#[derive(Args, Clone, Debug)]
struct List {
    /// What is held
    #[arg(long)]
    held: bool,
    /// What failed for good
    #[arg(long)]
    failed: bool,
    /// Everything: what waits, is held or failed, and what is no message
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Config,
}

#[derive(Args, Clone, Debug)]
struct Show {
    /// Its id, or the beginning or the end of it
    #[arg(value_parser = Short::parse)]
    id: Short,
    /// Print the message itself, as it will be sent
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    place: Config,
}

#[derive(Args, Clone, Debug)]
struct Flush {
    /// These only: ids, or the beginnings or the ends of them
    #[arg(value_parser = Short::parse)]
    id: Vec<Short>,
    #[command(flatten)]
    filter: Filter,
    /// Only what is due, and no account that is left alone for a while
    #[arg(long, conflicts_with = "id")]
    due: bool,
    /// Do not wait for it
    #[arg(long)]
    background: bool,
    #[command(flatten)]
    place: Config,
}

#[derive(Args, Clone, Debug)]
struct Change {
    /// These: ids, or the beginnings or the ends of them
    #[arg(value_parser = Short::parse)]
    id: Vec<Short>,
    #[command(flatten)]
    filter: Filter,
    /// All of them
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Do it to all without a question
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Config,
}

#[derive(Args, Clone, Debug)]
struct Remove {
    /// Only of what is held
    #[arg(long)]
    held: bool,
    /// Only of what failed for good
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    change: Change,
}

/// Which configuration, and how to answer.
#[derive(Args, Clone, Debug)]
struct Config {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// The queue of this configuration and no other
    #[arg(short = 'C', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Does it; the exit code.
///
/// # Errors
/// There is no such message, or the configuration, the queue or the service can't be used.
pub fn run(world: &dyn World, options: &Options) -> Result<Exit, Error> {
    signals::outlive_file_size_limit();
    match &options.action {
        Action::List(options) => list::run(world, options),
        Action::Show(options) => view::run(world, options),
        Action::Flush(options) => flush::run(world, options),
        Action::Hold(options) => change::run(world, Deed::Hold, Deed::Hold.places(), options),
        Action::Release(options) => change::run(world, Deed::Release, Deed::Release.places(), options),
        Action::Remove(options) => {
            let places: &[Place] = match (options.held, options.failed) {
                (false, false) => Deed::Remove.places(),
                (true, false) => &[Place::Held],
                (false, true) => &[Place::Failed],
                (true, true) => &[Place::Held, Place::Failed],
            };
            change::run(world, Deed::Remove, places, &options.change)
        }
    }
}

/// The names of the messages in a place, in no order.
///
/// # Errors
/// The directory can't be read.
fn ids(spool: &Spool, place: Place) -> Result<Vec<Id>, Error> {
    let names = spool.names(place)?;
    Ok(names.filter_map(|found| if let Found::Message(waiting) = found { Some(waiting.id) } else { None }).collect())
}

/// How many messages there are.
///
/// # Errors
/// The directory can't be read.
fn count(spool: &Spool, place: Place) -> Result<usize, Error> {
    Ok(spool.names(place)?.filter(|found| matches!(found, Found::Message(_))).count())
}

/// Where the only message is that somebody may mean; `None`: there is none.
///
/// # Errors
/// There are several, or a directory can't be read.
fn find(spool: &Spool, short: &Short, places: &[Place]) -> Result<Option<(Place, Id)>, Error> {
    let mut names = Vec::new();
    for place in places {
        names.extend(ids(spool, *place)?.into_iter().map(|id| (id, *place)));
    }
    Ok(short.find(names.into_iter())?.map(|(id, place)| (place, id)))
}

fn missing(short: &Short) -> Error {
    Error::new(
        Exit::NoInput,
        format!("looking for message {short}"),
        "no message of the queue is called so, or nothing can be done to it",
    )
    .hint("`sealpost queue list --all` shows them")
}

fn busy(id: Id) -> Error {
    Error::new(Exit::TempFail, format!("looking at message {id}"), "it is being sent just now").hint("try again in a moment")
}
