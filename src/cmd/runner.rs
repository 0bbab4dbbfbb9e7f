//! How does what waits leave the queue, without anybody being hammered, or sent the same thing twice? (RFC 5321 4.5.4.1)
//!
//! A run looks through the queue, hands what is due to the lane of its account, and ends when nothing is due (or never, in a
//! service). However many messages wait, it holds the names of a few thousand of them.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use jiff::Timestamp;

mod bounces;
mod debts;
mod lane;
mod look;
pub(super) mod pausing;
mod sender;
mod settle;
pub(super) mod transition;
mod work;

use debts::Debts;
use lane::Lane;
use look::Look;
pub use settle::{Done, Fared};

use super::caller::{ErrorMode, complain};

use crate::{
    error::Error,
    host::{
        alarm::{Alarm, Woken},
        config::Config,
        journal::{Event, Happening, Id, Journal, Record, Span, Status, Submission},
        narrate::Narrator,
        spool::{Entry, Lead, Pauses, Spool},
        world::World,
    },
};

/// What a run works with.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// The configuration.
    pub config: &'a Config,
    /// The queue.
    pub spool: &'a Spool,
    /// The send log.
    pub journal: &'a Journal,
    /// The terminal.
    pub narrator: &'a Narrator,
}

/// Whether a message is wanted.
pub type Choice<'a> = dyn Fn(Id, &Entry) -> bool + Sync + 'a;

/// What somebody wants of a run.
#[derive(Clone, Copy, Default)]
pub struct Wish<'a> {
    /// Each message is tried once whether it is due or not, and no account pauses for what was before.
    pub now: bool,
    /// These messages only.
    pub only: Option<&'a Choice<'a>>,
    /// Hears of each message that was worked on.
    pub told: Option<&'a (dyn Fn(Done) + Sync)>,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Nothing is due, and nothing will be within `patience`.
    Drained {
        /// How long the run waits for the next message to be due.
        patience: Duration,
    },
    /// [`Runner::stop`] is called.
    Stopped,
}

/// How a part of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do, or it was stopped.
    Over,
    /// It waited, and may go on.
    Rested,
}

/// A run of a queue. Threads may share it: one is in [`Runner::run`], others hand over, wake and stop.
pub struct Runner<'a> {
    setting: Setting<'a>,
    wish: Wish<'a>,
    began: Timestamp,
    alarm: Alarm,
    lanes: Vec<Lane<'a>>,
    inbox: Mutex<VecDeque<(Id, String)>>,
    pauses: Mutex<Pauses>,
    /// Pauses can't be written, so what is in the file is not all.
    keeps_pauses: AtomicBool,
    /// What was done and could not be written down.
    debts: Mutex<Debts<'a>>,
    /// Messages that could not be worked on since the last look, because the system would not have it.
    skipped: Mutex<HashSet<Id>>,
    /// The same, because others work on them.
    busy: Mutex<HashSet<Id>>,
    /// Messages that were worked on; not those that had to be skipped, for which another look would change nothing.
    acted: AtomicU64,
    is_look_wanted: AtomicBool,
    is_stopping: AtomicBool,
    /// What was complained of since the last sweep.
    said: Mutex<HashSet<String>>,
    swept: Mutex<Option<Instant>>,
}

/// A message for which there is no room here is found in the queue.
const INBOX: usize = 1024;
/// What is remembered of skipped messages, at the most.
const SKIPPED: usize = 10_000;
/// Complaints that are remembered, at the most.
const SAID: usize = 1000;
/// A service looks at its queue this often, whatever wakes it besides.
const OFTEN: Duration = Duration::from_secs(60);
/// And so often where there was something that could not be worked on: somebody may have made room.
const SOON: Duration = Duration::from_secs(5);
/// And so often where the system does not tell of files that come.
const BLIND: Duration = Duration::from_secs(2);
/// No wait is shorter than this.
const SHORT: Duration = Duration::from_millis(50);
/// Whoever works on a message for longer than this does not merely add it.
const LONG: Duration = Duration::from_secs(5);

impl<'a> Runner<'a> {
    /// A run that has not begun.
    ///
    /// # Errors
    /// The queue can't be opened, or the system has no descriptors left.
    pub fn new(setting: Setting<'a>, wish: Wish<'a>) -> Result<Self, Error> {
        let began = setting.world.timestamp();
        let alarm = Alarm::new(&setting.spool.arrivals()?).map_err(|error| look::no_alarm(&error))?;
        let width = setting.config.queue.connections;
        let lanes = setting.config.accounts.iter().map(|account| Lane::new(Some(account), width));
        let mut pauses = setting.spool.pauses();
        if wish.now {
            pauses.end_all(began);
        }
        Ok(Self {
            setting,
            wish,
            began,
            alarm,
            lanes: lanes.chain([Lane::new(None, 1)]).collect(),
            inbox: Mutex::default(),
            pauses: Mutex::new(pauses),
            keeps_pauses: AtomicBool::new(false),
            debts: Mutex::default(),
            skipped: Mutex::default(),
            busy: Mutex::default(),
            acted: AtomicU64::new(0),
            is_look_wanted: AtomicBool::new(true),
            is_stopping: AtomicBool::new(false),
            said: Mutex::default(),
            swept: Mutex::default(),
        })
    }

    /// Looks at the queue now.
    pub fn poke(&self) {
        self.is_look_wanted.store(true, Ordering::SeqCst);
        self.alarm.ring();
    }

    /// Hands over a message that was added just now and is due; its claim must have been dropped.
    pub fn offer(&self, id: Id, account: &str) {
        let mut inbox = lock(&self.inbox);
        if inbox.len() < INBOX {
            inbox.push_back((id, account.to_owned()));
        } else {
            self.is_look_wanted.store(true, Ordering::SeqCst);
        }
        drop(inbox);
        self.alarm.ring();
    }

    /// Ends the run after the messages that are being sent.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.lanes.iter().for_each(Lane::close);
        self.alarm.ring();
    }

    /// Works until the end; how many messages were worked on. A leader gives its lead back when nothing is due, and looks once
    /// more, since who added something meanwhile relies on it. Without a lead (somebody else has it) it works all the same: the
    /// messages have locks of their own.
    pub fn run(&self, mut lead: Option<Lead>, until: Until) -> u64 {
        while self.run_for_now(&mut lead, until) == Ended::Rested {}
        self.acted.load(Ordering::SeqCst)
    }

    /// As [`Runner::run`], up to the first rest: who goes on then may read the configuration anew.
    pub fn run_for_now(&self, lead: &mut Option<Lead>, until: Until) -> Ended {
        self.sweep_now_and_then();
        if self.wish.only.is_some() {
            // A leader must not leave the others' messages.
            *lead = None;
        }
        loop {
            self.lanes.iter().for_each(Lane::open);
            self.is_look_wanted.store(true, Ordering::SeqCst);
            let rest = thread::scope(|scope| {
                let rest = self.dispatch(scope, until, lead);
                self.lanes.iter().for_each(Lane::close);
                rest
            });
            if let Some(rest) = rest.filter(|_| !self.is_stopping()) {
                self.alarm.wait(Some(rest));
                return if self.is_stopping() { Ended::Over } else { Ended::Rested };
            }
            if self.is_stopping() || lead.take().is_none() || !self.has_missed_any() {
                return Ended::Over;
            }
            match self.setting.spool.lead() {
                Ok(None) => return Ended::Over,
                Ok(again) => *lead = again,
                Err(error) => {
                    self.complain(None, &error);
                    return Ended::Over;
                }
            }
        }
    }

    /// Works until nothing is left to do, or until the end; how long to wait for what will be due, where somebody has the patience.
    fn dispatch<'s>(&'s self, scope: &'s Scope<'s, '_>, until: Until, lead: &mut Option<Lead>) -> Option<Duration> {
        let mut look = Look::default();
        while !self.is_stopping() {
            let is_solvent = self.pay_debts();
            self.take_offers(&mut look);
            self.staff(scope);
            if is_solvent && look.may_be_repeated() && self.is_look_wanted.swap(false, Ordering::SeqCst) {
                // A service may have begun while another run had the lead.
                if until == Until::Stopped && lead.is_none() {
                    *lead = self.setting.spool.lead().ok().flatten();
                }
                look = self.look(scope, &look);
                continue;
            }
            let is_idle = self.lanes.iter().all(Lane::is_idle);
            let is_wanted = self.is_look_wanted.load(Ordering::SeqCst);
            if is_idle && !is_wanted && (look.is_partial || look.acted != self.acted.load(Ordering::SeqCst)) {
                self.is_look_wanted.store(true, Ordering::SeqCst);
                continue;
            }
            let wait = if is_solvent && !is_wanted { self.until_next(&look) } else { Some(look.rest().max(SHORT)) };
            if let Until::Drained { patience } = until
                && is_idle
                && (!is_wanted || !is_solvent)
            {
                match self.in_debt() {
                    Some(is_hopeless) if is_hopeless => return None,
                    Some(_) => {}
                    // Others may leave something to us, and who rests does not see when.
                    None if self.is_busy() && !patience.is_zero() => {}
                    // Without a watch it would not hear of what others add.
                    None => return wait.filter(|wait| *wait <= patience && self.alarm.watches()),
                }
            }
            // Who has just added a message holds it for a moment, and leaves it to us then.
            let wait = if self.is_busy() { Some(wait.unwrap_or(LONG).min(look.others())) } else { wait };
            let often = match self.alarm.watches() {
                false => BLIND,
                true if lock(&self.skipped).is_empty() => OFTEN,
                true => SOON,
            };
            let most = if until == Until::Stopped { Some(wait.unwrap_or(often).min(often)) } else { wait };
            let is_holding_back = self.lanes.iter().any(Lane::is_holding_back);
            let most = if is_holding_back { Some(most.unwrap_or(lane::HURRY).min(lane::HURRY)) } else { most };
            match if is_wanted { self.alarm.rest(most) } else { self.alarm.wait(most) } {
                Woken::Files => self.is_look_wanted.store(true, Ordering::SeqCst),
                Woken::Time if !is_holding_back => self.is_look_wanted.store(true, Ordering::SeqCst),
                Woken::Time | Woken::Ring => {}
            }
            self.sweep_now_and_then();
        }
        None
    }

    /// What was handed over and nobody takes for now waits in the queue with the rest.
    fn take_offers(&self, look: &mut Look) {
        let offers = std::mem::take(&mut *lock(&self.inbox));
        for (id, name) in offers {
            let lane = self.lane(&name);
            match lane.account.and_then(|account| self.paused_until(account, self.now())) {
                Some(end) => look.expect(end),
                None => lane.offer(id),
            }
        }
    }

    /// Sees to it that there is a worker wherever there is work.
    fn staff<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        for lane in &self.lanes {
            while lane.hire() {
                let hired = thread::Builder::new().spawn_scoped(scope, || self.work(lane));
                if let Err(error) = hired {
                    self.complain(None, &look::no_thread(&error));
                    // Better slowly than never.
                    self.work(lane);
                    break;
                }
            }
        }
    }

    /// The lane of an account; of none, where the configuration does not have it.
    fn lane(&self, account: &str) -> &Lane<'a> {
        let own = self.lanes.iter().find(|lane| lane.account.is_some_and(|known| known.name == account));
        own.unwrap_or(&self.lanes[self.lanes.len() - 1])
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// A message is being worked on: what was passed over meanwhile may have its turn now.
    fn has_acted(&self) {
        self.acted.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        self.setting.world.timestamp()
    }

    /// Tells the log, and whoever reads standard error, what keeps a message, or the run; the same words once an hour: what keeps one
    /// message mostly keeps others, and all of them are met again at every look.
    fn complain(&self, message: Option<(Id, &Entry)>, error: &Error) {
        let mut said = lock(&self.said);
        if said.len() >= SAID {
            said.clear();
        }
        if !said.insert(error.summary()) {
            return;
        }
        drop(said);
        let id = message.map_or_else(|| Id::new(self.now(), [0; 10]), |(id, _)| id);
        let status = Status::Deferred;
        let happening = Happening { event: Event::Queue, status, account: None, recipients: &[], error: Some(error) };
        let submission = match message {
            Some((_, entry)) => entry.head.submission(id),
            None => Submission { id, message_id: None, uid: None, user: None, sender: None, size: None, queue: true },
        };
        let span = Span { end: self.now(), took: Duration::ZERO };
        self.log(&Record::happened(span, &submission, &happening));
        complain("sealpost", ErrorMode::Print, error);
    }

    /// What still is as it was is said again.
    fn complain_anew(&self) {
        lock(&self.said).clear();
    }

    fn log(&self, record: &Record) {
        for unlogged in self.setting.journal.write(record) {
            complain("sealpost", ErrorMode::Print, &unlogged);
        }
    }
}

/// What a thread left behind that panicked is still what it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
