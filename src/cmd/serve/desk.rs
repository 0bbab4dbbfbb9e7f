//! What do the clients of the service share, and who looks after each of them?

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{clerk::Clerk, damper::Damper, post::Post};
use crate::{
    cmd::{caller::complain, reception::Reception, sendmail::ErrorMode},
    error::{Error, Exit},
    host::{
        config::Config,
        converse::{Ending, Line, Patience, converse},
        journal::{Id, Journal, Record, Rejection, Sockets, Span, Submission},
        service::{Guest, Host, Turned, quota::Quota, supervisor::Supervisor},
        spool::Spool,
        world::{User, Visitor, World},
    },
    smtp::server::{Seal, Server, Settings, fault::Faults},
};

/// Most recipients of one message.
const RECIPIENTS: usize = 10_000;
/// How often a user may have accounts tried that are left alone for a while: a login that is refused again and again gets locked.
const HASTE: Duration = Duration::from_secs(300);

/// A configuration, and the log as it wants it; those who began with it end with it.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) config: Config,
    pub(super) journal: Journal,
}

impl Generation {
    pub(super) fn new(config: Config) -> Self {
        let journal = Journal::new(&config.log, None, Sockets::default());
        Self { config, journal }
    }

    pub(super) fn log(&self, record: &Record) {
        for unlogged in self.journal.write(record) {
            complain("sealpost", ErrorMode::Print, &unlogged);
        }
    }
}

/// What the clients share.
pub(super) struct Desk {
    pub(super) world: &'static dyn World,
    spool: RwLock<Arc<Spool>>,
    pub(super) quota: Quota,
    generation: RwLock<Arc<Generation>>,
    post: Mutex<Vec<Post>>,
    damper: Damper,
    supervisor: Arc<Supervisor>,
    /// Going through the whole queue for users is done for one at a time.
    pub(super) listing: Mutex<()>,
    hurried: Mutex<Option<Instant>>,
}

impl Desk {
    pub(super) fn new(
        world: &'static dyn World,
        generation: Arc<Generation>,
        spool: Arc<Spool>,
        quota: Quota,
        post: Post,
        supervisor: Arc<Supervisor>,
    ) -> Self {
        Self {
            world,
            spool: RwLock::new(spool),
            quota,
            generation: RwLock::new(generation),
            post: Mutex::new(vec![post]),
            damper: Damper::default(),
            supervisor,
            listing: Mutex::default(),
            hurried: Mutex::default(),
        }
    }

    /// The queue; the one at its path, where somebody has removed or replaced it under the service.
    ///
    /// # Errors
    /// It is gone, and can't be made again.
    pub(super) fn spool(&self) -> Result<Arc<Spool>, Error> {
        let spool = Arc::clone(&self.spool.read().unwrap_or_else(PoisonError::into_inner));
        if spool.is_in_place() { Ok(spool) } else { self.open_again() }
    }

    fn open_again(&self) -> Result<Arc<Spool>, Error> {
        let mut open = self.spool.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been here first.
        if !open.is_in_place() {
            let spool = Arc::new(Spool::make(open.path()).map_err(|error| not_again(&error))?);
            let post = Post::start(self.world, self.generation(), Arc::clone(&spool))
                .map_err(|error| super::unable("starting anew", &error))?;
            let because =
                format!("{} was removed or replaced: what waited there is gone, or waits for who moved it", spool.path().display());
            complain(
                "sealpost",
                ErrorMode::Print,
                &Error::new(Exit::Ok, "serving", because).hint("the service goes on with an empty queue"),
            );
            *open = spool;
            self.replace_post(post);
        }
        Ok(Arc::clone(&open))
    }

    fn replace_post(&self, post: Post) {
        let mut posts = self.posts();
        posts.iter().for_each(Post::stop);
        posts.retain(|post| !post.has_ended());
        posts.push(post);
    }

    pub(super) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What can't change while the service runs, and whether it is the same.
    pub(super) fn differences(&self, new: &Config) -> [(&'static str, bool); 3] {
        let old = &self.generation().config;
        [
            ("`dir` under [queue]", old.queue.dir == new.queue.dir),
            ("`socket` under [serve]", old.serve.socket == new.serve.socket),
            ("`listen` under [serve]", old.serve.listen == new.serve.listen),
        ]
    }

    /// From now on this configuration is in force; what is being sent is sent by the one before.
    ///
    /// # Errors
    /// There is no thread for it; nothing has changed then.
    pub(super) fn renew(&self, config: Config) -> io::Result<()> {
        let generation = Arc::new(Generation::new(config));
        let spool = self.spool.read().unwrap_or_else(PoisonError::into_inner);
        let post = Post::start(self.world, Arc::clone(&generation), Arc::clone(&spool))?;
        *self.generation.write().unwrap_or_else(PoisonError::into_inner) = generation;
        self.replace_post(post);
        Ok(())
    }

    /// Nothing more is begun.
    pub(super) fn stop(&self) {
        self.posts().iter().for_each(Post::stop);
    }

    /// Waits until what is being sent is sent.
    pub(super) fn close(&self) {
        let posts = std::mem::take(&mut *self.posts());
        posts.iter().for_each(Post::stop);
        posts.into_iter().for_each(Post::join);
    }

    /// A message is in the queue.
    pub(super) fn offer(&self, id: Id, account: &str) {
        if let Some(post) = self.posts().last() {
            post.offer(id, account);
        }
    }

    /// Somebody wants the queue to be looked at, and what waits to be tried.
    pub(super) fn hurry(&self, is_privileged: bool) {
        let mut hurried = self.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        let may = is_privileged || hurried.is_none_or(|last| last.elapsed() >= HASTE);
        if let Some(post) = self.posts().last() {
            if may {
                *hurried = Some(Instant::now());
                post.hurry();
            } else {
                post.look();
            }
        }
    }

    /// Tells the log why something was refused, unless the same user had that happen too often just now.
    pub(super) fn log_refusal(&self, caller: Option<(u32, &str)>, begun: Instant, error: &Error) {
        let Some(unlogged) = self.damper.admits(caller.map(|(uid, _)| uid)) else { return };
        let error = match unlogged {
            0 => error.clone(),
            n => Error::new(error.exit(), error.doing(), format!("{} ({n} refusals before it were not logged)", error.because())),
        };
        let mut random = [0; 10];
        // Without randomness the name is less unique, and that is all.
        let _ = self.world.random(&mut random);
        let now = self.world.timestamp();
        let submission = Submission {
            id: Id::new(now, random),
            message_id: None,
            uid: caller.map(|(uid, _)| uid),
            user: caller.map(|(_, login)| login),
            sender: None,
            size: None,
            queue: false,
        };
        let rejection = Rejection { account: None, recipients: &[], error: &error };
        let span = Span { end: now, took: begun.elapsed() };
        self.generation().log(&Record::rejected(span, &submission, &rejection));
    }

    fn posts(&self) -> MutexGuard<'_, Vec<Post>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        let world = Visitor::new(self.world, guest.uid, user);
        let free = is_own || config.serve.free_senders.contains(&login);
        let host = crate::cmd::reception::Host::Service { free };
        let spool = Arc::clone(&self.spool.read().unwrap_or_else(PoisonError::into_inner));
        let reception = Reception::new(&world, config, host, Some(spool.path().to_owned()));
        let server = Server::new(settings(config, guest.uid));
        let mut clerk = Clerk::new(self, (&generation, spool), &world, (guest.uid, &login, is_own), &reception);
        let line =
            Line { input: guest.stream.as_fd(), output: guest.stream.as_fd(), bell: Some(bell), patience: Patience::default() };
        let why = match converse(&line, server, &mut clerk) {
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

/// A service that is confined, or has no right to, can't make a queue that was removed with all that is in it.
fn not_again(error: &Error) -> Error {
    let because = format!("somebody removed or replaced it under the service: {}: {}", error.doing(), error.because());
    Error::new(error.exit(), "opening the queue again", because).hint("restart the service: systemctl restart sealpost")
}

fn settings(config: &Config, uid: u32) -> Settings {
    let own_share = if uid == 0 { u64::MAX } else { config.serve.bytes_per_user };
    Settings {
        name: "localhost".to_owned(),
        lmtp: false,
        seal: Seal::Never,
        auth: None,
        requiretls: crate::cmd::reception::promise(config),
        lone_lf: false,
        consult: true,
        private: true,
        message_size: config.limits.message_size.min(own_share),
        recipients: RECIPIENTS,
        faults: Faults::default(),
    }
}
