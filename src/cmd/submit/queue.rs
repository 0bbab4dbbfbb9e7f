//! How does a submission get into the queue, at once or where it can't go now? (sealpost(1), "The queue")

use std::path::Path;

use super::{Desk, Ready, explain::explain};
use crate::{
    cmd::{
        background,
        caller::{ErrorMode, complain},
        deliver::Delivered,
        runner::{Runner, Setting, Wish, pausing, transition},
        sendmail,
    },
    error::{Error, Exit},
    host::{
        config::{Account, Config},
        journal::{Event, Happening, Record, Span, Status},
        spool::{Claim, Entry, Found, Head, Pauses, Place, Spool},
    },
    mail::{
        address::Address,
        bounce::{Kind, is_owed},
        content::Content as _,
        envelope::{Envelope, Recipient},
        outcome::{Fate, Outcome, exit_code, exit_code_kept},
        queued::Last,
        trouble::Trouble,
    },
};

impl Desk<'_> {
    /// `mode = "fallback"`: at once; what can't go now waits.
    pub(super) fn send_or_queue(&self, config: &Config, dir: &Path, mut ready: Ready<'_>) -> Result<(), Error> {
        let account = ready.account;
        // A queue that can't be looked at is met again where a message needs it.
        let spool = Spool::open(dir).ok().flatten();
        let pauses = spool.as_ref().map(Spool::pauses).unwrap_or_default();
        let now = self.world.timestamp();
        let is_resting = pausing::end_of_pauses(config, &pauses, account, now).is_some();
        if is_resting || self.asked.delivery == sendmail::Delivery::QueueOnly || self.is_told_by_mail(&ready) {
            return self.queue_and_send(config, dir, ready);
        }
        let rests = |name: &str| config.account(name).is_some_and(|a| pausing::end_of_pause(config, &pauses, a, now).is_some());
        let mut fault = None;
        let mut keep = |delivered: &Delivered, ready: &mut Ready<'_>| match self.keep(config, dir, delivered, ready) {
            Ok(is_kept) => is_kept,
            Err(error) => {
                fault = Some(error);
                false
            }
        };
        let delivered = self.attempt(config, &mut ready, Some(&rests), Some(&mut keep));
        let exit = exit_code(&delivered.outcomes);
        if exit == Exit::Ok {
            if let Some(fault) = fault {
                // It was sent, and a report that was asked for will not come.
                complain(self.program, self.asked.errors, &fault);
            }
            if let Some(spool) = spool {
                self.after_success(config, &spool, &pauses, account);
            }
            return Ok(());
        }
        if let Some(fault) = fault {
            return Err(explain(exit, account, &delivered, false).and(&fault));
        }
        if delivered.unpromised().is_some() {
            // The sender gets a report.
            return Ok(());
        }
        let needs_a_person = |(_, trouble): &(String, Trouble)| matches!(trouble, Trouble::LoginRefused | Trouble::Unusable);
        if exit == Exit::TempFail && !delivered.troubles.iter().any(needs_a_person) {
            return Ok(());
        }
        // Refused for good; or an account that only a person can mend: who goes on hearing nothing would never know.
        Err(explain(exit_code_kept(&delivered.outcomes), account, &delivered, true))
    }

    /// Whether the sender hears by mail of what fails, and the caller nothing: where there is something to tell already, which is no address;
    /// and under `-oee`, where the sender would get a report.
    fn is_told_by_mail(&self, ready: &Ready<'_>) -> bool {
        let Envelope { sender, recipients, .. } = &ready.envelope;
        let is_owed = |recipient: &Recipient| is_owed(sender, ready.envelope.notify(recipient), Kind::Failure);
        !ready.strays.is_empty() || (self.asked.errors == ErrorMode::Berkeley && recipients.iter().all(is_owed))
    }

    /// Queues those who may be reached later; of what was refused for good a copy is kept. Whether it waits now.
    fn keep(&self, config: &Config, dir: &Path, delivered: &Delivered, ready: &mut Ready<'_>) -> Result<bool, Error> {
        let any = |is: fn(&Outcome) -> bool| delivered.outcomes.iter().any(is);
        let waits = any(|outcome| matches!(outcome.fate, Fate::Deferred | Fate::Unknown));
        let fails = any(|outcome| outcome.fate == Fate::Refused);
        if !waits && !fails && delivered.unreported.is_empty() {
            return Ok(false);
        }
        let mut entry = self.entry(ready);
        let relayed = transition::relayed(&entry, &delivered.unreported);
        if !waits && !fails && relayed.is_empty() {
            return Ok(false);
        }
        entry.state = transition::after(self.world, &config.queue, &entry, delivered).state;
        // The caller gets the code of who was refused.
        entry.state.told = true;
        if delivered.unpromised().is_some() {
            // It is the queue that gives up at once, and its next run that tells the sender.
            (entry.state.told, entry.state.next) = (false, self.world.timestamp());
        }
        let spool = Spool::make(dir)?;
        let mut claim = spool.add(self.id, entry, &mut ready.message)?;
        if !relayed.is_empty()
            && let Err(error) = self.report_relayed(config, &spool, &claim, &relayed)
        {
            // What waits is safe all the same.
            complain(self.program, self.asked.errors, &error);
        }
        if !waits {
            if fails {
                claim.shift(Place::Failed)?;
            } else {
                claim.finish()?;
            }
            return Ok(false);
        }
        drop(claim);
        self.note_pauses(config, &spool, delivered);
        self.narrator.note(&format!("queued as {}", self.id));
        self.start_run(&spool);
        Ok(true)
    }

    /// `mode = "always"`, and what is not to be tried now: safe first.
    pub(super) fn queue_and_send(&self, config: &Config, dir: &Path, mut ready: Ready<'_>) -> Result<(), Error> {
        let account = ready.account;
        let recipients: Vec<Address> = ready.envelope.recipients.iter().map(|r| r.address.clone()).collect();
        let rejected = |error: &Error| self.log_rejection(error, Some(account), &recipients);
        let spool = Spool::make(dir).inspect_err(rejected)?;
        let claim = spool.add(self.id, self.entry(&ready), &mut ready.message).inspect_err(rejected)?;
        if !ready.strays.is_empty()
            && let Err(error) = self.runner(config, &spool).and_then(|runner| runner.report_strays(&claim, &ready.strays))
        {
            rejected(&error);
            // Nobody would hear of them, so nobody gets it.
            return claim.finish().and(Err(error));
        }
        self.narrator.note(&format!("queued as {}", self.id));
        if self.asked.delivery == sendmail::Delivery::Interactive {
            self.try_now(config, &spool, claim);
            return Ok(());
        }
        self.tell_queued(account, &claim, &recipients);
        drop(claim);
        if self.asked.delivery == sendmail::Delivery::Background {
            self.start_run(&spool);
        }
        Ok(())
    }

    /// `-odi`: the caller waits for the first attempt of what is safe.
    fn try_now<'s>(&self, config: &'s Config, spool: &'s Spool, claim: Claim<'s>) {
        match self.runner(config, spool) {
            Ok(runner) => runner.try_now(claim),
            Err(error) => drop(complain(self.program, self.asked.errors, &error)),
        }
        if has_due(spool, self.world.timestamp()) {
            self.start_run(spool);
        }
    }

    /// Queues the report for a sender who asked for one on success, where the server that took the message sends none.
    fn report_relayed<'s>(
        &self,
        config: &'s Config,
        spool: &'s Spool,
        claim: &Claim<'s>,
        relayed: &[(usize, Option<Last>)],
    ) -> Result<(), Error> {
        self.runner(config, spool)?.report_relayed(claim, relayed)?;
        self.start_run(spool);
        Ok(())
    }

    fn runner<'s>(&'s self, config: &'s Config, spool: &'s Spool) -> Result<Runner<'s>, Error> {
        let setting = Setting { world: self.world, config, spool, journal: &self.journal, narrator: &self.narrator };
        Runner::new(setting, Wish::default())
    }

    fn entry(&self, ready: &Ready<'_>) -> Entry {
        let (facts, arrived) = (ready.message.facts(), self.world.timestamp());
        let head = Head {
            arrived,
            uid: self.uid,
            user: self.login.clone(),
            account: ready.account.name.clone(),
            asked: ready.asked.clone(),
            envelope: ready.envelope.clone(),
            message_id: ready.message_id.clone(),
            size: facts.size,
            eight_bit: facts.eight_bit,
            tls_waived: facts.tls_waived,
            report: false,
        };
        Entry::new(head, arrived)
    }

    fn tell_queued(&self, account: &Account, claim: &Claim<'_>, recipients: &[Address]) {
        let head = &claim.entry.head;
        let submission = crate::host::journal::Submission {
            message_id: Some(&head.message_id),
            sender: Some(&head.envelope.sender),
            size: Some(head.size),
            queue: true,
            ..self.submission()
        };
        let span = Span { end: self.world.timestamp(), took: self.begun.elapsed() };
        let happening = Happening { event: Event::Queue, status: Status::Queued, account: Some(account), recipients, error: None };
        for unlogged in self.journal.write(&Record::happened(span, &submission, &happening)) {
            complain(self.program, self.asked.errors, &unlogged);
        }
    }

    /// The next process leaves alone what did not work. One server that had no room for one connection more is no such thing.
    fn note_pauses(&self, config: &Config, spool: &Spool, delivered: &Delivered) {
        let ailing = delivered.troubles.iter().filter(|(_, trouble)| *trouble != Trouble::Busy && trouble.is_worth_a_pause());
        let ailing = ailing.filter_map(|(name, trouble)| Some((config.account(name)?, *trouble)));
        for (account, trouble) in ailing {
            let noted = spool.change_pauses(|pauses| {
                let problem = delivered.problem.as_ref();
                pausing::pause(config, pauses, account, (trouble, problem), self.world);
            });
            if let Err(error) = noted {
                self.narrator.note(&error.summary());
            }
        }
    }

    /// An account that works is worth another try for what waits.
    fn after_success(&self, config: &Config, spool: &Spool, pauses: &Pauses, account: &Account) {
        let now = self.world.timestamp();
        let is_new = pausing::is_known(pauses, account) && pausing::end_of_pause(config, pauses, account, now).is_none();
        if is_new && let Err(error) = spool.change_pauses(|pauses| pauses.set(&account.name, None)) {
            self.narrator.note(&error.summary());
        }
        if has_due(spool, now) {
            self.start_run(spool);
        }
    }

    /// Starts a run of the queue behind the caller's back, if none is there.
    fn start_run(&self, spool: &Spool) {
        if let Err(error) = background::start(spool, self.asked.config.as_deref()) {
            self.narrator.note(&error.summary());
        }
    }
}

/// Whether something waits whose time has come.
fn has_due(spool: &Spool, now: jiff::Timestamp) -> bool {
    let names = spool.names(Place::Queue);
    names.is_ok_and(|mut names| names.any(|found| matches!(found, Found::Message(waiting) if waiting.due <= now)))
}
