//! How does a message get from standard input to the smarthost? (sendmail(8))

mod explain;
mod hand_over;
mod queue;
mod send;
mod speak;

use std::{collections::BTreeSet, io, os::fd::AsFd, path::PathBuf, time::Instant};

use super::{
    addressing::{self, Addressed, MailDomain, Strays},
    caller::{ErrorMode, complain},
    completing::{Completer, from_field},
    door::{self, Door},
    sendmail::{Refusal, Submission},
};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Account, Config, Log, Mode},
        journal::{self, Journal, Record, Rejection, Sockets, Span},
        narrate::{Level, Narrator},
        store::{self, Input, Intake, Message, Options},
        world::{Machine, World},
    },
    mail::{
        address::{Address, ReversePath},
        bounce,
        envelope::Envelope,
        list::List,
        policy,
        recipients::{ResentToNobody, header_recipients},
        stray::Stray,
    },
};

/// Sends the message on standard input; the code for the caller. Silent when all is well.
pub fn run(program: &str, submission: &Submission) -> Exit {
    let world = Machine;
    let begun = Instant::now();
    let door = match door::find(&world, submission.config.as_deref()) {
        Ok(door) => door,
        Err(error) => {
            store::drain(io::stdin().as_fd());
            return Desk::without_config(&world, program, submission, begun).reject(&error, None, &[]);
        }
    };
    let Door { config, service } = door;
    let (service, mut link) = service.map(|service| (service.account, service.link)).unzip();
    let desk = Desk { service: service.as_ref(), ..Desk::new(&world, program, submission, &config.log, begun) };
    let done = match desk.prepare(&config) {
        Ok(mut ready) => match &mut link {
            Some(link) => desk.hand_over(&config, link, &mut ready),
            None => desk.dispatch(&config, ready),
        },
        Err(Refused { error, account, unread }) => {
            if unread {
                store::drain(io::stdin().as_fd());
            }
            return desk.reject(&error, account, &[]);
        }
    };
    match done {
        Ok(()) => Exit::Ok,
        Err(error) => complain(program, submission.errors, &error),
    }
}

/// Speaks SMTP on standard input and output; the code for the caller.
pub fn speak(program: &str, submission: &Submission) -> Exit {
    let world = Machine;
    let begun = Instant::now();
    let door = match door::find(&world, submission.config.as_deref()) {
        Ok(door) => door,
        Err(error) => return Desk::without_config(&world, program, submission, begun).reject(&error, None, &[]),
    };
    let desk = Desk::new(&world, program, submission, &door.config.log, begun);
    let spoken = match door.service {
        Some(service) => speak::by_service(service.link),
        None => speak::ourselves(&desk, &door.config),
    };
    match spoken {
        Ok(()) => Exit::Ok,
        Err(error) => complain(program, submission.errors, &error),
    }
}

/// Tells the log and the caller of a command line that could not be followed.
pub fn reject_usage(program: &str, refusal: &Refusal) -> Exit {
    let world = Machine;
    let submission = Submission { errors: refusal.errors, ..Submission::default() };
    let begun = Instant::now();
    match config::load(&world, refusal.config.as_deref()) {
        Ok(config) => Desk::new(&world, program, &submission, &config.log, begun).reject(&refusal.error, None, &[]),
        Err(_) => Desk::without_config(&world, program, &submission, begun).reject(&refusal.error, None, &[]),
    }
}

/// Where one submission is worked on.
struct Desk<'a> {
    world: &'a dyn World,
    program: &'a str,
    asked: &'a Submission,
    /// Stands for every account where the service takes the message.
    service: Option<&'a Account>,
    journal: Journal,
    narrator: Narrator,
    id: journal::Id,
    uid: u32,
    login: String,
    begun: Instant,
}

/// A submission that can be sent.
struct Ready<'c> {
    account: &'c Account,
    /// The sender that was asked for, by -f or by the header.
    asked: Option<ReversePath>,
    envelope: Envelope,
    /// Recipients, by their places, for whom the service is to look no alias up.
    verbatim: BTreeSet<usize>,
    message: Message,
    message_id: String,
    /// What was to be a recipient, and is no address: the sender is to be told.
    strays: Vec<Stray>,
}

/// A submission that ended before an attempt.
struct Refused<'c> {
    error: Error,
    account: Option<&'c Account>,
    /// Standard input was not read to its end.
    unread: bool,
}

impl<'a> Desk<'a> {
    fn new(world: &'a dyn World, program: &'a str, asked: &'a Submission, log: &Log, begun: Instant) -> Self {
        let level = match (asked.debug, asked.verbose) {
            (true, _) => Level::Debug,
            (_, true) => Level::Verbose,
            _ => Level::Quiet,
        };
        let mut random = [0; 10];
        // Without randomness the name of the submission is less unique, and that is all.
        let _ = world.random(&mut random);
        Self {
            world,
            program,
            asked,
            service: None,
            journal: Journal::new(log, asked.tag.as_deref(), Sockets::default()),
            narrator: Narrator::new(level),
            id: journal::Id::new(world.timestamp(), random),
            uid: world.uid(),
            login: world.user().login,
            begun,
        }
    }

    fn without_config(world: &'a dyn World, program: &'a str, asked: &'a Submission, begun: Instant) -> Self {
        Self::new(world, program, asked, &Log::without_config(world), begun)
    }

    /// Reads the message whole and finds out from whom, to whom and through whom it goes.
    fn prepare<'c>(&self, config: &'c Config) -> Result<Ready<'c>, Refused<'c>>
    where
        'a: 'c,
    {
        let early = |error| Refused { error, account: None, unread: true };
        let domain = MailDomain::new(self.world, config);
        let asked = self.asked.sender.as_deref().map(|text| addressing::asked_sender(text, &domain));
        let asked = asked.transpose().map_err(early)?;
        // What the header has to say first is not known before it is read; whatever else is wrong is said before.
        let chosen = match (&asked, self.asked.read_envelope_from) {
            (None, true) => None,
            _ => Some(self.choose(config, asked.as_ref()).map_err(early)?),
        };
        for note in &self.asked.notes {
            self.narrator.note(note);
        }
        let options = Options {
            limit: config.limits.message_size,
            ignore_dots: self.asked.ignore_dot,
            temp_dir: self.world.env("TMPDIR").map(PathBuf::from),
        };
        let unchosen = |error| Refused { error, account: chosen, unread: false };
        let draft = Intake::read(Input::Descriptor(io::stdin().as_fd()), &options).map_err(unchosen)?;
        let (asked, account) = if let Some(account) = chosen {
            (asked, account)
        } else {
            let author = addressing::header_sender(from_field(&draft), &domain).map_err(unchosen)?;
            let account = self.choose(config, author.as_ref()).map_err(unchosen)?;
            (author, account)
        };
        let late = |error| Refused { error, account: Some(account), unread: false };
        let sender = addressing::sender(asked.clone(), account, &domain).map_err(late)?;
        let named = if self.asked.read_recipients {
            Some(header_recipients(draft.fields().map(|field| (field.name, field.value))).map_err(|e| late(resent(e)))?)
        } else {
            None
        };
        let Addressed { recipients, verbatim, strays } = self.recipients(named, &domain, config).map_err(late)?;
        let strays = self.leave_out(config, &sender, strays).map_err(late)?;
        let envelope = Envelope { sender, recipients, dsn: self.asked.dsn.clone(), request: policy::Request::Nothing };
        let completer = Completer {
            world: self.world,
            domain: &domain,
            id: self.id,
            full_name: self.asked.full_name.as_deref(),
            gateway: self.asked.gateway,
            trace: None,
        };
        let (message, message_id) = completer.complete(draft, account, &envelope.sender).map_err(late)?;
        Ok(Ready { account, asked, envelope, verbatim, message, message_id, strays })
    }

    /// What is no address, where the message may go to the others and the sender is told by mail. Without a queue, or where no mail could
    /// or should tell of it, nobody gets the message: the caller still has it, and whoever corrects the address sends it once.
    fn leave_out(&self, config: &Config, sender: &ReversePath, strays: Option<Strays>) -> Result<Vec<Stray>, Error> {
        let Some(Strays { all, error }) = strays else { return Ok(Vec::new()) };
        let has_queue = self.service.is_some() || (config.queue.mode != Mode::Off && config.queue.dir.is_some());
        let is_told = self.asked.errors != ErrorMode::Quiet && bounce::is_owed(sender, self.asked.dsn.notify, bounce::Kind::Stray);
        if !has_queue || !is_told {
            return Err(error);
        }
        self.narrator.note(&format!("{}: the sender is told by mail, and the others get the message", error.summary()));
        Ok(all)
    }

    /// Whom it goes to; the service finds out itself who that is.
    fn recipients(&self, header: Option<List>, domain: &MailDomain<'_>, config: &Config) -> Result<Addressed, Error> {
        match self.service {
            None => addressing::recipients(self.asked, header, domain, config),
            Some(_) => addressing::unexpanded(self.asked, header),
        }
    }

    /// `-a`, else the account whose `match` covers the sender, else the caller's own, else the default one.
    fn choose<'c>(&self, config: &'c Config, sender: Option<&ReversePath>) -> Result<&'c Account, Error>
    where
        'a: 'c,
    {
        if let Some(service) = self.service {
            return Ok(service);
        }
        let address = sender.filter(|sender| **sender != ReversePath::Null).map(ToString::to_string);
        config.choose_for(self.asked.account.as_deref(), address.as_deref(), Some(&self.login))
    }

    /// Logs and says why nothing was attempted.
    fn reject(&self, error: &Error, account: Option<&Account>, recipients: &[Address]) -> Exit {
        self.log_rejection(error, account, recipients);
        complain(self.program, self.asked.errors, error)
    }

    fn log_rejection(&self, error: &Error, account: Option<&Account>, recipients: &[Address]) {
        let span = Span { end: self.world.timestamp(), took: self.begun.elapsed() };
        let record = Record::rejected(span, &self.submission(), &Rejection { account, recipients, error });
        for unlogged in self.journal.write(&record) {
            complain(self.program, self.asked.errors, &unlogged);
        }
    }

    fn submission(&self) -> journal::Submission<'_> {
        journal::Submission {
            id: self.id,
            message_id: None,
            uid: Some(self.uid),
            user: Some(&self.login),
            sender: None,
            size: None,
            queue: false,
        }
    }
}

fn resent(error: ResentToNobody) -> Error {
    Error::new(Exit::Usage, "reading the recipients of the header", error.to_string())
        .hint("add a Resent-To field, or name the recipients behind the options")
}
