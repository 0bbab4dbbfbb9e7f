//! What did servers show before: STARTTLS, a key? And how is it that this never stops a mail? (sealpost(1), "The memory of servers")
//!
//! One small file, read by the sends that have use for it. Who has something to add takes the lock, reads again, adds it, and puts a
//! new file in the old one's place, so that a reader needs no lock and finds a whole file at any moment.

mod file;
mod servers;
#[cfg(test)]
mod tests;
mod text;

use std::net::SocketAddr;

pub use self::{
    servers::{Days, How, Key, Rival, Server, Servers, Sighting},
    text::{Unusable, digest},
};
use crate::{
    error::{Error, Exit},
    host::config::{self, Account, Target},
};

/// Why the memory can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What to tell a person.
    pub error: Error,
    /// The file is ours, and what is in it is no memory: it is set aside as soon as there is something to remember.
    pub spoilt: bool,
}

/// The name under which the server of an account is remembered: as it is configured, in lower case. One that nobody vouches for
/// is remembered as the service that led to it: a name that anybody may choose would be met for the first time again and again.
pub fn name(account: &Account) -> String {
    name_of(account.by_way_of.as_ref().unwrap_or(&account.target))
}

fn name_of(target: &Target) -> String {
    match target {
        Target::Name(host, port) => format!("{}:{port}", host.to_ascii_lowercase()),
        Target::Address(address, port) => SocketAddr::new(*address, *port).to_string(),
        Target::Unix(path) => format!("unix:{}", path.display()),
        Target::Service(domain) => format!("srv:{}", domain.to_ascii_lowercase()),
    }
}

/// Reads the memory; where there is none yet, nothing is remembered.
///
/// # Errors
/// Why it can't be used.
pub fn read(place: &config::Memory) -> Result<Servers, Trouble> {
    match place {
        config::Memory::None => Ok(Servers::default()),
        config::Memory::Nowhere => Err(nowhere()),
        config::Memory::File(path) => file::read(path),
    }
}

/// Changes the memory as it is at that moment, alone; nothing is written where nothing changes. A spoilt file is set aside first.
///
/// # Errors
/// Why that was not possible; nothing has changed then.
pub fn change<T>(place: &config::Memory, change: impl FnOnce(&mut Servers) -> T) -> Result<T, Trouble> {
    match place {
        config::Memory::None => Ok(change(&mut Servers::default())),
        config::Memory::Nowhere => Err(nowhere()),
        config::Memory::File(path) => file::change(path, change),
    }
}

fn nowhere() -> Trouble {
    let because = "no home directory is known to keep it in";
    let error = Error::new(Exit::Config, "looking for the memory of servers", because);
    Trouble { error: error.hint("name a file in [memory] (SEALPOST_MEMORY_FILE), or none with file = \"\""), spoilt: false }
}
