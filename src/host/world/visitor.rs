//! What does the machine say to somebody on whose behalf another process works?

use std::{ffi::OsString, path::PathBuf};

use jiff::ZonedDateTime;

use super::{User, World};
use crate::error::Error;

/// The machine, with a caller that the kernel named in place of who runs this process. The environment, the home and the state of the
/// process are none of that caller's: there are none.
pub struct Visitor<'a> {
    machine: &'a dyn World,
    uid: u32,
    user: User,
}

impl<'a> Visitor<'a> {
    /// The machine as `user`, whose uid is `uid`, may see it.
    pub fn new(machine: &'a dyn World, uid: u32, user: User) -> Self {
        Self { machine, uid, user }
    }
}

impl World for Visitor<'_> {
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
        self.uid
    }

    fn is_system(&self) -> bool {
        false
    }

    fn user(&self) -> User {
        self.user.clone()
    }

    fn host_name(&self) -> String {
        self.machine.host_name()
    }

    fn mail_name(&self) -> Option<String> {
        self.machine.mail_name()
    }

    fn env(&self, _: &str) -> Option<OsString> {
        None
    }

    fn env_names(&self) -> Vec<String> {
        Vec::new()
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
    fn a_visitor_is_who_the_kernel_says_and_has_nothing_of_the_process() {
        let machine = Pretend::default().with_env("NAME", "the service");
        let visitor = Visitor::new(&machine, 33, User { login: "www-data".to_owned(), full_name: String::new() });
        assert_eq!((visitor.uid(), visitor.user().login.as_str()), (33, "www-data"));
        assert_eq!((visitor.env("NAME"), visitor.host_name()), (None, machine.host_name()));
    }
}
