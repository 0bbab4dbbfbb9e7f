//! How is a client of the service let in, looked after, and seen out?

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    time::Instant,
};

use super::{clerk::Clerk, desk::Desk};
use crate::{
    cmd::reception::{self, Reception},
    error::{Error, Exit},
    host::{
        config::Config,
        converse::{Broken, Ending, Line, Patience, converse},
        service::{Guest, Host, Turned},
        world::{Seen, User},
    },
    smtp::server::{Server, Settings},
};

/// Most recipients of one message.
const RECIPIENTS: usize = 10_000;

impl Host for Desk {
    fn serve(&self, guest: Guest, bell: BorrowedFd<'_>) {
        let begun = Instant::now();
        let generation = self.generation();
        let config = &generation.config;
        let user = match User::find(guest.uid) {
            Ok(user) => user,
            Err(error) => {
                // Under a wrong name it would be refused for good.
                let _ = rustix::io::write(&guest.stream, b"421 4.3.0 the user database does not answer, try again later\r\n");
                let error = Error::new(Exit::TempFail, "looking up who a client is", error.to_string());
                return self.log_refusal(Some((guest.uid, &format!("uid{}", guest.uid))), begun, &error);
            }
        };
        let login = user.login.clone();
        let is_own = guest.uid == 0 || guest.uid == rustix::process::geteuid().as_raw();
        let world = Seen::by_guest(self.world, guest.uid, user);
        let free = is_own || config.serve.free_senders.contains(&login);
        let host = reception::Host::Service { free };
        let spool = self.last_spool();
        let reception = Reception::new(&world, config, host, Some(spool.path().to_owned()));
        let server = Server::new(settings(config, guest.uid));
        let mut clerk = Clerk::new(self, (&generation, spool), &world, (guest.uid, &login, is_own), &reception);
        let stream = guest.stream.as_fd();
        let line = Line { input: stream, output: stream, bell: Some(bell), patience: Patience::default(), at_once: false };
        let why = match converse(&line, server, &mut clerk).or_else(Broken::left) {
            Ok(Ending::Closed | Ending::Rung | Ending::Left { busy: false }) => return,
            Ok(Ending::Left { busy: true }) => "the client left in the middle of its message".to_owned(),
            Ok(Ending::Late) => "the client took too long".to_owned(),
            Err(error) => error.to_string(),
        };
        self.log_refusal(Some((guest.uid, &login)), begun, &Error::new(Exit::Protocol, "taking a message from a client", why));
    }

    fn turned_away(&self, why: Turned) {
        let (uid, words) = match why {
            Turned::Full => (None, "all connections are in use"),
            Turned::Greedy(uid) => (Some(uid), "all connections of this user are in use"),
            Turned::Unknown => (None, "the system does not say whose connection it is"),
            Turned::Unstaffed => (None, "the system has no thread for it"),
        };
        let user = uid.map(|uid| (uid, User::of(uid).login));
        let caller = user.as_ref().map(|(uid, login)| (*uid, login.as_str()));
        self.log_refusal(caller, Instant::now(), &Error::new(Exit::TempFail, "letting a client in", words));
    }

    fn tick(&self) {
        self.supervisor.alive();
    }
}

fn settings(config: &Config, uid: u32) -> Settings {
    let own_share = if uid == 0 { u64::MAX } else { config.serve.bytes_per_user };
    Settings {
        requiretls: reception::promise(config),
        lone_lf: true,
        hello_first: false,
        consult: true,
        private: true,
        message_size: config.limits.message_size.min(own_share),
        recipients: RECIPIENTS,
        ..Settings::new("localhost")
    }
}
