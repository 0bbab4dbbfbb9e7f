//! How does a message get from standard input to the smarthost? (sendmail(8))

mod explain;
mod queue;
mod send;

use std::{cell::OnceCell, io, os::fd::AsFd, path::PathBuf, time::Instant};

use super::{
    addressing::{self, MailDomain},
    caller::complain,
    sendmail::{Refusal, Submission},
};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Account, Config, Log},
        journal::{self, Journal, Record, Rejection, Sockets, Span},
        narrate::{Level, Narrator},
        store::{self, Draft, Input, Intake, Message, Options},
        world::{Machine, World},
    },
    mail::{
        address::{Address, ReversePath},
        envelope::Envelope,
        list,
        message::Completion,
        recipients::{ResentToNobody, header_recipients},
        words,
    },
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
        Ok(ready) => desk.dispatch(&config, ready),
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
        let (message, message_id) = self.complete(draft, account, &envelope.sender, &domain).map_err(late)?;
        Ok(Ready { account, asked, envelope, message, message_id })
    }

    /// `-a`, else the account whose `match` covers the sender, else the default one.
    fn choose<'c>(&self, config: &'c Config, sender: Option<&ReversePath>) -> Result<&'c Account, Error> {
        let address = sender.filter(|sender| **sender != ReversePath::Null).map(ToString::to_string);
        config.choose(self.asked.account.as_deref(), address.as_deref())
    }

    /// Adds what the header lacks; each value is made only where it is missing.
    fn complete(
        &self,
        draft: Draft,
        account: &Account,
        sender: &ReversePath,
        domain: &MailDomain<'_>,
    ) -> Result<(Message, String), Error> {
        let made_id = OnceCell::new();
        let message_id = || made_id.get_or_init(|| format!("<{}@{}>", self.id, domain.name())).clone();
        let seen_id = draft.fields().find(|f| f.is("Message-ID")).map(|f| f.text().trim().to_owned());
        let own = match sender {
            ReversePath::Address(address) => address.clone(),
            ReversePath::Null => domain.own_address()?,
        };
        let author = |address: &Address| addressing::author(self.world, self.asked.full_name.as_deref(), address);
        let from = || author(&own);
        let replaced = account.from.as_ref().filter(|_| account.rewrite_from && !covered(&draft, account)).map(author);
        let completion = Completion {
            date: &|| self.world.now().strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
            message_id: &message_id,
            from: &from,
            replace_from: replaced.as_deref(),
            qualify: &|value| list::qualify_header(value, domain.name()),
            unstructured: &words::unstructured,
            phrase: &words::phrase,
            gateway: self.asked.gateway,
        };
        let message = draft.complete(&completion)?;
        let id = seen_id.or_else(|| made_id.get().cloned()).unwrap_or_default();
        Ok((message, id))
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

fn from_field(draft: &Draft) -> Option<&[u8]> {
    draft.fields().find(|f| f.is("From")).map(|f| f.value)
}

/// Whether the account may use every author of the From field: `from` itself or what `match` covers.
fn covered(draft: &Draft, account: &Account) -> bool {
    let authors = from_field(draft).map(list::parse_bytes).unwrap_or_default();
    authors.mailboxes.iter().all(|author| account.covers(&author.spec.to_string()))
}

fn resent(error: ResentToNobody) -> Error {
    Error::new(Exit::Usage, "reading the recipients of the header", error.to_string())
        .hint("add a Resent-To field, or name the recipients behind the options")
}
