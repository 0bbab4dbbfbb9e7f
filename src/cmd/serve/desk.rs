//! What do the clients of the service share, and who looks after each of them?

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{damper::Damper, generation::Generation, post::Post};
use crate::{
    cmd::caller::{ErrorMode, complain},
    error::{Error, Exit},
    host::{
        config::Config,
        journal::{Id, Record, Rejection, Span, Submission},
        service::{quota::Quota, supervisor::Supervisor},
        spool::Spool,
        world::World,
    },
};

/// How often a user may have accounts tried that are left alone for a while: a login that is refused again and again gets locked.
const HASTE: Duration = Duration::from_secs(300);

/// What the clients share.
pub(super) struct Desk {
    pub(super) world: &'static dyn World,
    spool: RwLock<Arc<Spool>>,
    pub(super) quota: Quota,
    generation: RwLock<Arc<Generation>>,
    post: Mutex<Vec<Post>>,
    damper: Damper,
    pub(super) supervisor: Arc<Supervisor>,
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
        let spool = self.last_spool();
        if spool.is_in_place() { Ok(spool) } else { self.open_again() }
    }

    /// The queue as it was last opened.
    pub(super) fn last_spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool.read().unwrap_or_else(PoisonError::into_inner))
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
        let post = Post::start(self.world, Arc::clone(&generation), self.last_spool())?;
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

/// A service that is confined, or has no right to, can't make a queue that was removed with all that is in it.
fn not_again(error: &Error) -> Error {
    let because = format!("somebody removed or replaced it under the service: {}: {}", error.doing(), error.because());
    Error::new(error.exit(), "opening the queue again", because).hint("restart the service: systemctl restart sealpost")
}
