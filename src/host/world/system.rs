//! What does the machine say to a service of the system, whichever user it runs as?

use std::{ffi::OsString, path::PathBuf};

use jiff::ZonedDateTime;

use super::{User, World};
use crate::error::Error;

/// The machine for a process that serves all its users: it keeps things in the system's places, and has no home.
pub struct System<'a> {
    machine: &'a dyn World,
}

impl<'a> System<'a> {
    /// The machine as a service of its own sees it.
    pub const fn new(machine: &'a dyn World) -> Self {
        Self { machine }
    }
}

impl World for System<'_> {
    fn now(&self) -> ZonedDateTime {
        self.machine.now()
    }

    fn timestamp(&self) -> jiff::Timestamp {
        self.machine.timestamp()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), Error> {
        self.machine.random(buffer)
    }

    fn uid(&self) -> u32 {
        self.machine.uid()
    }

    fn is_system(&self) -> bool {
        true
    }

    fn user(&self) -> User {
        self.machine.user()
    }

    fn host_name(&self) -> String {
        self.machine.host_name()
    }

    fn mail_name(&self) -> Option<String> {
        self.machine.mail_name()
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.machine.env(name)
    }

    fn env_names(&self) -> Vec<String> {
        self.machine.env_names()
    }

    fn config_dir(&self) -> Option<PathBuf> {
        None
    }

    fn state_dir(&self) -> Option<PathBuf> {
        None
    }

    fn etc(&self) -> PathBuf {
        self.machine.etc()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Pretend, *};

    #[test]
    fn a_service_of_the_system_has_no_places_of_its_own() {
        let machine = Pretend { state_dir: Some("/home/x".into()), ..Pretend::default() };
        let system = System::new(&machine);
        assert!(system.is_system() && !machine.is_system());
        assert_eq!((system.state_dir(), system.uid()), (None, machine.uid()));
    }
}
