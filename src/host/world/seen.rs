//! What does the machine say in a process that serves others: to itself, and to each of them?

use std::{ffi::OsString, path::PathBuf};

use jiff::ZonedDateTime;

use super::{User, World};
use crate::error::Error;

/// The machine as somebody sees it who has no home there.
pub struct Seen<'a> {
    machine: &'a dyn World,
    by: By,
}

enum By {
    Service,
    Guest { uid: u32, user: User },
}

impl<'a> Seen<'a> {
    /// As a service of the system sees it, whichever user that runs as: it keeps things in the system's places.
    pub const fn by_service(machine: &'a dyn World) -> Self {
        Self { machine, by: By::Service }
    }

    /// As `user` may see it, whose uid is `uid`: a caller that the kernel named in place of who runs this process. The environment of
    /// the process is none of that caller's.
    pub fn by_guest(machine: &'a dyn World, uid: u32, user: User) -> Self {
        Self { machine, by: By::Guest { uid, user } }
    }
}

impl World for Seen<'_> {
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
        match &self.by {
            By::Service => self.machine.uid(),
            By::Guest { uid, .. } => *uid,
        }
    }

    fn is_system(&self) -> bool {
        matches!(self.by, By::Service)
    }

    fn user(&self) -> User {
        match &self.by {
            By::Service => self.machine.user(),
            By::Guest { user, .. } => user.clone(),
        }
    }

    fn host_name(&self) -> String {
        self.machine.host_name()
    }

    fn mail_name(&self) -> Option<String> {
        self.machine.mail_name()
    }

    fn env(&self, name: &str) -> Option<OsString> {
        match &self.by {
            By::Service => self.machine.env(name),
            By::Guest { .. } => None,
        }
    }

    fn env_names(&self) -> Vec<String> {
        match &self.by {
            By::Service => self.machine.env_names(),
            By::Guest { .. } => Vec::new(),
        }
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
        let system = Seen::by_service(&machine);
        assert!(system.is_system() && !machine.is_system());
        assert_eq!((system.state_dir(), system.uid()), (None, machine.uid()));
    }

    #[test]
    fn a_guest_is_who_the_kernel_says_and_has_nothing_of_the_process() {
        let machine = Pretend::default().with_env("NAME", "the service");
        let guest = Seen::by_guest(&machine, 33, User { login: "www-data".to_owned(), full_name: String::new() });
        assert_eq!((guest.uid(), guest.user().login.as_str()), (33, "www-data"));
        assert_eq!((guest.env("NAME"), guest.host_name()), (None, machine.host_name()));
    }
}
