//! `sealpost serve`: the service that takes mail of local programs, keeps it safe, and sends it; it alone holds the account's secret.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use clap::{Args, ValueHint};

use self::{desk::Desk, generation::Generation, post::Post};
use super::caller::{ErrorMode, complain};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Config},
        sandbox::{self, Confined, Reach},
        service::{Caps, Door, Service, door, quota::Quota, supervisor::Supervisor},
        signals::{self, Order, Orders},
        spool::Spool,
        world::{Machine, Seen, World},
    },
};

mod clerk;
mod damper;
mod desk;
mod generation;
mod guests;
mod post;
mod reach;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  systemctl enable --now sealpost.socket   as packaging/systemd sets it up
  sealpost serve                           in the foreground, as the user who
                                           owns /var/spool/sealpost
  sealpost serve --user                    for yourself alone: your own queue
  kill -HUP PID                            read the configuration again";

/// Take mail of local programs on a socket, keep it safe, and send it: until it is told to end.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Use this configuration and no other
    #[arg(short = 'C', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Serve the own user alone: with the own configuration and queue, at
    /// `$XDG_RUNTIME_DIR/sealpost/submit.sock`
    #[arg(long)]
    user: bool,
    /// Don't give up (by Landlock) the files that it has no business with
    #[arg(long)]
    no_sandbox: bool,
}

/// The machine as a service of the system sees it.
static SYSTEM: Seen<'static> = Seen::by_service(&Machine);

/// Serves until a signal ends it.
///
/// # Errors
/// It can't begin: the configuration, the queue or a socket can't be used.
pub fn run(options: &Options) -> Result<Exit, Error> {
    signals::outlive_file_size_limit();
    // Before any thread begins: signals, and what the environment says of sockets.
    let orders = Orders::take().map_err(|error| unable("waiting for signals", &error))?;
    let handed = door::handed()?;
    let world: &'static dyn World = if options.user { &Machine } else { &SYSTEM };
    let supervisor = Arc::new(Supervisor::of(world));
    let files = signals::raise_file_limit();
    let config = load(world, options)?;
    let spool = Arc::new(open(world, &config)?);
    let doors = doors(&config, handed)?;
    let quota = Quota::new(&spool)?;
    let confined = confine(world, options, &config, &spool);
    let service = Service::new(doors, caps(&config, files), supervisor.pulse()).map_err(|error| unable("listening", &error))?;
    let generation = Arc::new(Generation::new(config));
    let post = Post::start(world, Arc::clone(&generation), Arc::clone(&spool)).map_err(|error| unable("starting", &error))?;
    let desk = Arc::new(Desk::new(world, generation, spool, quota, post, Arc::clone(&supervisor)));
    House { world, options, orders, files, confined, service: Arc::new(service), desk, supervisor }.run()
}

/// All that runs.
struct House<'a> {
    world: &'static dyn World,
    options: &'a Options,
    orders: Orders,
    /// How many it may have open.
    files: u64,
    /// What it has not given up; `None`: it is not confined.
    confined: Option<Reach>,
    service: Arc<Service>,
    desk: Arc<Desk>,
    supervisor: Arc<Supervisor>,
}

impl House<'_> {
    /// Follows signals until everything has ended.
    fn run(&self) -> Result<Exit, Error> {
        let has_ended = Arc::new(AtomicBool::new(false));
        let (service, desk) = (Arc::clone(&self.service), Arc::clone(&self.desk));
        let (orders, ended) = (self.orders, Arc::clone(&has_ended));
        let serving = thread::Builder::new().name("serve".to_owned()).spawn(move || {
            service.run(&*desk);
            desk.close();
            ended.store(true, Ordering::SeqCst);
            orders.done();
        });
        serving.map_err(|error| unable("starting", &error))?;
        self.supervisor.ready();
        let mut is_stopping = false;
        loop {
            match self.orders.wait().map_err(|error| unable("waiting for signals", &error))? {
                // Whoever says so twice does not want to wait: all that was acknowledged is safe in any case.
                Order::Stop if is_stopping => return Ok(Exit::Ok),
                Order::Stop => {
                    is_stopping = true;
                    self.supervisor.stopping();
                    self.service.stop();
                    self.desk.stop();
                }
                Order::Reload if is_stopping => {}
                Order::Reload => self.reload(),
                Order::Done if has_ended.load(Ordering::SeqCst) => return Ok(Exit::Ok),
                Order::Done => {}
            }
        }
    }

    /// Reads the configuration again; one that can't be used changes nothing.
    fn reload(&self) {
        self.supervisor.reloading();
        if let Err(error) = self.renew() {
            complain("sealpost", ErrorMode::Print, &error);
        }
        self.supervisor.ready();
    }

    fn renew(&self) -> Result<(), Error> {
        let config = load(self.world, self.options)?;
        let within = ("what the service needs to read, write or start", self.has_what_it_needs(&config));
        for (what, is_same) in self.desk.differences(&config).into_iter().chain([within]) {
            if !is_same {
                let error = Error::new(Exit::Config, "reading the configuration again", format!("{what} has changed"));
                complain("sealpost", ErrorMode::Print, &error.hint("that takes a restart; the rest is in force now"));
            }
        }
        self.service.set_caps(caps(&config, self.files));
        self.desk.renew(config).map_err(|error| unable("starting anew", &error))
    }

    /// Whether a configuration asks for nothing that was given up.
    fn has_what_it_needs(&self, config: &Config) -> bool {
        let needs = || reach::of(self.world, config, self.options.file.as_deref(), &self.desk.last_spool());
        self.confined.as_ref().is_none_or(|confined| reach::commander(config).is_none() && confined.covers(&needs()))
    }
}

fn load(world: &dyn World, options: &Options) -> Result<Config, Error> {
    let mut config = config::load(world, options.file.as_deref())?;
    if options.user && config.serve.socket == Path::new(config::SOCKET) {
        let directory = world.env("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).ok_or_else(|| {
            Error::new(Exit::Config, "choosing where to listen", "XDG_RUNTIME_DIR is not set")
                .hint("set it, or `socket` under [serve]")
        })?;
        config.serve.socket = Path::new(&directory).join("sealpost/submit.sock");
    }
    Ok(config)
}

fn open(world: &dyn World, config: &Config) -> Result<Spool, Error> {
    let dir = config.queue.dir.as_deref().ok_or_else(|| {
        Error::new(Exit::Config, "opening the queue", "no home directory is known to put one in")
            .hint("name one: `dir` under [queue] (SEALPOST_QUEUE_DIR)")
    })?;
    Spool::make(dir).map_err(|error| match world.is_system() && world.uid() != 0 {
        // Most likely somebody tries it out.
        true if error.advice().is_none_or(|advice| !advice.contains("--user")) => {
            let advice = error.advice().unwrap_or("it belongs to who runs the service").to_owned();
            error.hint(format!("{advice}; --user serves with a queue of your own"))
        }
        _ => error,
    })
}

/// What was handed over stands for the path of the configuration, and for its own addresses.
fn doors(config: &Config, handed: Vec<Door>) -> Result<Vec<Door>, Error> {
    let mut doors = handed;
    let taken: Vec<_> = doors.iter().filter_map(Door::address).collect();
    if !doors.iter().any(Door::is_unix) {
        doors.push(door::unix(&config.serve.socket)?);
    }
    for address in config.serve.listen.iter().filter(|address| !taken.contains(address)) {
        doors.push(door::loopback(*address)?);
    }
    Ok(doors)
}

/// No more clients than there are files for: one that is let in is not to fail later.
fn caps(config: &Config, files: u64) -> Caps {
    /// Sockets, locks, the log, connections to smarthosts.
    const OWN: u64 = 40;
    /// Of a client: its connection, its message on the way in, its message in the queue, and what is looked up for it.
    const EACH: u64 = 4;
    let room = usize::try_from((files.saturating_sub(OWN) / EACH).max(1)).unwrap_or(usize::MAX);
    Caps { all: config.serve.connections.min(room), each: config.serve.connections_per_user }
}

/// Gives up what the service has no business with, before it listens to anybody. Where that can't be it goes on, and says so: it is
/// one guard of several. What it has not given up; `None`: nothing was.
fn confine(world: &dyn World, options: &Options, config: &Config, spool: &Spool) -> Option<Reach> {
    if options.no_sandbox {
        return None;
    }
    let reach = reach::of(world, config, options.file.as_deref(), spool);
    let why = match reach::commander(config) {
        // Its command may need anything.
        Some(account) => format!("account {account} starts a program for its secret"),
        None => match sandbox::confine(&reach) {
            Ok(Confined::Fully | Confined::Partly) => return Some(reach),
            Ok(Confined::Not) => "this kernel has no Landlock".to_owned(),
            Err(error) => error.because().to_owned(),
        },
    };
    let error = Error::new(Exit::Ok, "confining the service to its own files", why);
    complain("sealpost", ErrorMode::Print, &error.hint("it goes on without; --no-sandbox says that this is meant"));
    None
}

fn unable(doing: &str, error: &io::Error) -> Error {
    Error::new(Exit::OsErr, doing, error.to_string())
}
