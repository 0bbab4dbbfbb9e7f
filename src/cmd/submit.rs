//! How does a message get from standard input to the smarthost? (sendmail(8))

use std::{io, os::fd::AsFd, path::PathBuf, time::Instant};

use super::{
    addressing::{self, MailDomain},
    caller::complain,
    completing::{Completer, from_field},
    deliver::{Delivered, Delivery},
    sendmail::{Refusal, Submission},
};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Account, Config, Log},
        journal::{self, Journal, Record, Rejection, Sockets, Span},
        narrate::{Level, Narrator},
        store::{self, Input, Intake, Message, Options},
        world::{Machine, World},
    },
    mail::{
        address::{Address, ReversePath},
        envelope::Envelope,
        outcome::{Fate, Outcome, exit_code},
        recipients::{ResentToNobody, header_recipients},
    },
    smtp::advice,
};

/// Sends the message on standard input; the code for the caller. Silent when all is well.
pub fn run(program: &str, submission: &Submission) -> Exit {
    let world = Machine;
    let begun = Instant::now();
    let config = match config::load(&world, submission.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            store::drain(io::stdin().as_fd());
            return Desk::without_config(&world, program, submission, begun).reject(&error, None, &[]);
        }
    };
    let desk = Desk::new(&world, program, submission, &config.log, begun);
    match desk.prepare(&config) {
        Ok(mut ready) => desk.send(&config, &mut ready),
        Err(Refused { error, account, unread }) => {
            if unread {
                store::drain(io::stdin().as_fd());
            }
            desk.reject(&error, account, &[])
        }
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
    message: Message,
    message_id: String,
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
    fn prepare<'c>(&self, config: &'c Config) -> Result<Ready<'c>, Refused<'c>> {
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
        let recipients = addressing::recipients(self.asked, named, &domain, config).map_err(late)?;
        let envelope = Envelope { sender, recipients, dsn: self.asked.dsn.clone() };
        let completer = Completer {
            world: self.world,
            domain: &domain,
            id: self.id,
            full_name: self.asked.full_name.as_deref(),
            gateway: self.asked.gateway,
            trace: None,
        };
        let (message, message_id) = completer.complete(draft, account, &envelope.sender).map_err(late)?;
        Ok(Ready { account, asked, envelope, message, message_id })
    }

    /// `-a`, else the account whose `match` covers the sender, else the default one.
    fn choose<'c>(&self, config: &'c Config, sender: Option<&ReversePath>) -> Result<&'c Account, Error> {
        let address = sender.filter(|sender| **sender != ReversePath::Null).map(ToString::to_string);
        config.choose(self.asked.account.as_deref(), address.as_deref())
    }

    fn send(&self, config: &Config, ready: &mut Ready<'_>) -> Exit {
        let submission = journal::Submission {
            message_id: Some(&ready.message_id),
            sender: Some(&ready.envelope.sender),
            size: Some(crate::mail::content::Content::facts(&ready.message).size),
            ..self.submission()
        };
        let domain = MailDomain::new(self.world, config);
        let sender = |account: &Account| addressing::sender(ready.asked.clone(), account, &domain);
        let mut delivery = Delivery::new(self.world, config, &self.journal, &self.narrator, submission, &sender);
        let delivered = delivery.run(ready.account, &ready.envelope, &mut ready.message);
        for error in &delivery.warnings {
            complain(self.program, self.asked.errors, error);
        }
        let exit = exit_code(&delivered.outcomes);
        if exit == Exit::Ok {
            return Exit::Ok;
        }
        complain(self.program, self.asked.errors, &explain(exit, ready.account, &delivered))
    }

    /// Logs and says why nothing was attempted.
    fn reject(&self, error: &Error, account: Option<&Account>, recipients: &[Address]) -> Exit {
        let span = Span { end: self.world.timestamp(), took: self.begun.elapsed() };
        let record = Record::rejected(span, &self.submission(), &Rejection { account, recipients, error });
        for unlogged in self.journal.write(&record) {
            complain(self.program, self.asked.errors, &unlogged);
        }
        complain(self.program, self.asked.errors, error)
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

/// What to know before a message whose end was not confirmed is sent again (RFC 1047).
const MAY_HAVE_ARRIVED: &str = "the smarthost may have kept the message all the same: sent again, it may arrive twice";

/// What the caller reads when not everybody got the message.
fn explain(exit: Exit, account: &Account, delivered: &Delivered) -> Error {
    let refused: Vec<&Outcome> = delivered.outcomes.iter().filter(|o| o.fate != Fate::Accepted).collect();
    let all = delivered.outcomes.len();
    let accepted = all - refused.len();
    let error = match &delivered.problem {
        Some(problem) if accepted == 0 && refused.iter().all(|o| o.reply.is_none() || o.exit == problem.exit()) => {
            problem.clone().with_exit(exit)
        }
        problem => {
            let otherwise = problem.as_ref().map_or("not sent", Error::because);
            Error::new(exit, format!("sending through account {} ({})", account.name, account.target), told(&refused, otherwise))
        }
    };
    let may_have_arrived = refused.iter().any(|o| o.fate == Fate::Unknown) && error.advice().is_none();
    match (&delivered.setback, accepted) {
        (None, 0) if may_have_arrived => error.hint(MAY_HAVE_ARRIVED),
        (None, 0) => match refused.iter().find_map(|outcome| advice::after_refusal(outcome.reply.as_ref()?)) {
            Some(advice) if error.advice().is_none() => error.hint(advice),
            _ => error,
        },
        (Some(setback), 0) => error.hint(format!("the fallback was of no help: {setback}")),
        _ => error.hint(format!("{accepted} of {all} recipients were accepted: do not send it to them again")),
    }
}

/// The first recipients that the message did not reach and why, those with the same reason together.
fn told(refused: &[&Outcome], otherwise: &str) -> String {
    const MOST: usize = 5;
    let mut groups: Vec<(String, String)> = Vec::new();
    for outcome in refused.iter().take(MOST) {
        let name = format!("<{}>", outcome.recipient);
        let why = outcome.reply.as_ref().map_or_else(|| otherwise.to_owned(), ToString::to_string);
        let what = format!("{}: {why}", outcome.fate.as_str());
        match groups.last_mut().filter(|(_, last)| *last == what) {
            Some((names, _)) => names.extend([", ", &name]),
            None => groups.push((name, what)),
        }
    }
    let mut told: Vec<String> = groups.into_iter().map(|(names, what)| format!("{names} {what}")).collect();
    if refused.len() > MOST {
        told.push(format!("and {} more", refused.len() - MOST));
    }
    told.join("; ")
}

fn resent(error: ResentToNobody) -> Error {
    Error::new(Exit::Usage, "reading the recipients of the header", error.to_string())
        .hint("add a Resent-To field, or name the recipients behind the options")
}
