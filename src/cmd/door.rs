//! Who takes a message: we ourselves, or the service of this machine? (sealpost(1), "Who goes where")

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Account, Config, Log, Standing},
        dial::{self, NoService},
        net::Link,
        world::World,
    },
};

/// The variable that names the service's socket, whatever else is configured.
const VARIABLE: &str = "SEALPOST_SOCKET";

/// The socket that the environment names.
pub(super) fn named_socket(world: &dyn World) -> Option<PathBuf> {
    world.env(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// How long the service may take to take the connection: its queue of connections may be full for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the service is kept waiting for a message that somebody still writes; after that it is called anew.
pub(super) const PATIENT: Duration = Duration::from_secs(30);

/// Stands where the system's configuration can't be read: nothing of it is used but its defaults.
const NOTHING_KNOWN: &str = "[accounts.service]\nhost = \"unix:/\"\n[accounts.service.tls]\npolicy = \"off\"\n";

/// Who takes a message.
pub(super) struct Door {
    /// What is configured, as far as it may be known.
    pub(super) config: Config,
    /// The service; without, we do it ourselves.
    pub(super) service: Option<Service>,
}

/// A connection to the service.
pub(super) struct Service {
    /// Stands for the service where an account is asked for.
    pub(super) account: Account,
    /// The connection.
    pub(super) link: Link,
}

/// A configuration of the caller's own sends directly; else the service takes it, where it listens; else the system's configuration,
/// where it may be read.
///
/// # Errors
/// A configuration of one's own with a fault; [`Exit::TempFail`]: the service is needed and does not answer; nothing of the three
/// is there, and the error says all three.
pub(super) fn find(world: &dyn World, explicit: Option<&Path>) -> Result<Door, Error> {
    if let Some(socket) = named_socket(world).filter(|_| explicit.is_none()) {
        return match dial::service(&socket, Instant::now() + PATIENCE) {
            Ok(link) => service(world, None, socket, link),
            Err(why) => Err(away(&socket, &why).hint(format!("{VARIABLE} names it: does the service run?"))),
        };
    }
    let system = match config::load_standing(world, explicit)? {
        Standing::Own(config) => return Ok(Door { config, service: None }),
        Standing::System(system) => system,
    };
    let socket = system.as_ref().map_or_else(|_| PathBuf::from(config::SOCKET), |config| config.serve.socket.clone());
    match (dial::service(&socket, Instant::now() + PATIENCE), system) {
        (Ok(link), system) => service(world, system.ok(), socket, link),
        (Err(_), Ok(config)) => Ok(Door { config, service: None }),
        (Err(NoService::Absent), Err(error)) => Err(error),
        (Err(why), Err(error)) => Err(neither(&socket, &why, &error)),
    }
}

/// Calls the service anew.
///
/// # Errors
/// [`Exit::TempFail`]: it is not there any more.
pub(super) fn again(account: &Account, link: &mut Link) -> Result<(), Error> {
    let config::Target::Unix(socket) = &account.target else { return Ok(()) };
    *link = dial::service(socket, Instant::now() + PATIENCE).map_err(|why| away(socket, &why).hint("does the service run?"))?;
    Ok(())
}

fn service(world: &dyn World, system: Option<Config>, socket: PathBuf, link: Link) -> Result<Door, Error> {
    let blank = config::parse(world, Path::new("the service"), NOTHING_KNOWN)?;
    let mut account =
        blank.accounts.first().cloned().ok_or_else(|| Error::new(Exit::Software, "asking the service", "no account"))?;
    account.target = config::Target::Unix(socket);
    let mut config = system.unwrap_or(blank);
    // What the service does is in its own log; what goes wrong before is the caller's.
    config.log = Log { file: Log::without_config(world).file, ..config.log };
    Ok(Door { config, service: Some(Service { account, link }) })
}

fn away(socket: &Path, why: &NoService) -> Error {
    Error::new(Exit::TempFail, format!("handing the message to the service at {}", socket.display()), why.to_string())
}

/// The service is away, and the system's configuration can't be used either.
fn neither(socket: &Path, why: &NoService, error: &Error) -> Error {
    let because = format!("{why}; there is no configuration of your own, and the system's can't be used: {}", error.summary());
    Error::new(Exit::TempFail, format!("handing the message to the service at {}", socket.display()), because)
        .hint("start the service (systemctl start sealpost), or write a configuration of your own (sealpost setup)")
}
