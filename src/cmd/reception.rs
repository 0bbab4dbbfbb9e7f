//! How does what an SMTP client hands in become a message that may wait or go? (RFC 5321 3.3, 4.4, 6409 8)
//!
//! Who holds the connection asks [`Reception::sender`] and [`Reception::recipient`] before it answers MAIL and RCPT, gives the
//! octets to the [`Parcel`] of [`Reception::begin`], and does with what comes of it what it likes: keep it, or send it at once.

use std::{cell::OnceCell, path::PathBuf};

use jiff::Timestamp;

use super::{
    addressing::{self, Directory, MailDomain},
    completing::{Completer, date},
};
use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Config},
        journal::Id,
        spool::{Entry, Head},
        store::{Intake, Message, Options},
        world::World,
    },
    mail::{
        address::{self, Address, ReversePath, Spec},
        content::Content as _,
        envelope::{Dsn, Envelope, parse_envid},
        list::Mailbox,
        policy::Request,
        recipients::Wish,
        stray::Stray,
    },
    smtp::server::{Promise, Recipient, Transaction},
};

mod refusal;

pub use self::refusal::{Moment, Refusal};

/// On whose behalf messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The caller's own process: it may do what its command line may.
    Caller,
    /// A service that others call.
    Service {
        /// This caller may choose any sender.
        free: bool,
    },
}

/// Whether what this machine's programs hand in may ask for REQUIRETLS: the queue remembers it, and an account could have it.
pub fn promise(config: &Config) -> Promise {
    let is_possible = config.accounts.iter().any(|account| account.tls.demand.can_promise());
    if is_possible { Promise::Local } else { Promise::Never }
}

/// Where one client hands in its messages.
pub struct Reception<'a> {
    /// The machine as the client sees it.
    world: &'a dyn World,
    config: &'a Config,
    host: Host,
    temp_dir: Option<PathBuf>,
    /// The name of the sender, where it is not the caller's own.
    full_name: Option<&'a str>,
    domain: MailDomain<'a>,
    directory: OnceCell<Directory>,
}

/// Whose message it is to be.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    /// The account that it goes through.
    pub account: &'a Account,
    /// The sender that was asked for: a fallback is asked for its own.
    pub asked: Option<ReversePath>,
    /// The envelope sender.
    pub sender: ReversePath,
}

/// A message on its way in.
#[derive(Debug)]
pub struct Parcel<'a> {
    id: Id,
    origin: Origin<'a>,
    envelope: Envelope,
    strays: Vec<Stray>,
    intake: Result<Intake, Error>,
}

/// A message that is whole.
#[derive(Debug)]
pub struct Received<'a> {
    /// Its name.
    pub id: Id,
    /// The account that it goes through.
    pub account: &'a Account,
    /// The sender that was asked for.
    pub asked: Option<ReversePath>,
    /// From whom to whom.
    pub envelope: Envelope,
    /// What was to be a recipient, and is no address: the sender is to be told.
    pub strays: Vec<Stray>,
    /// Its octets, as they are to leave.
    pub message: Message,
    /// Its Message-ID with the angle brackets.
    pub message_id: String,
}

impl<'a> Reception<'a> {
    /// A reception for the caller that `world` tells of. What does not stay in memory goes to `temp_dir` first.
    pub fn new(world: &'a dyn World, config: &'a Config, host: Host, temp_dir: Option<PathBuf>) -> Self {
        let domain = MailDomain::new(world, config);
        Self { world, config, host, temp_dir, full_name: None, domain, directory: OnceCell::new() }
    }

    /// The same where a From that is missing gets this name.
    #[must_use]
    pub fn named(self, full_name: Option<&'a str>) -> Self {
        Self { full_name, ..self }
    }

    /// Finds the account and the sender that a MAIL means.
    ///
    /// # Errors
    /// There is no such account, the sender is no address, or the caller may not use it.
    pub fn sender(&self, mail: &Transaction) -> Result<Origin<'a>, Refusal> {
        let refused = |error| Refusal::at(Moment::Mail, error);
        let asked = if mail.any_sender { None } else { Some(self.path(&mail.sender).map_err(refused)?) };
        let address = asked.as_ref().filter(|asked| **asked != ReversePath::Null).map(ToString::to_string);
        let caller = (self.config.accounts.len() > 1).then(|| self.domain.login());
        let account = self.config.choose_for(mail.account.as_deref(), address.as_deref(), caller.as_deref());
        let account = account.map_err(|error| match &mail.account {
            Some(_) => refused(error.with_exit(Exit::Usage)),
            None => refused(error),
        })?;
        if mail.requiretls && !account.tls.demand.can_promise() {
            let because = format!("account {} never verifies its server", account.name);
            let error = Error::new(Exit::Unavailable, "taking a message under REQUIRETLS", because);
            return Err(Refusal { code: "550 5.7.10", error });
        }
        let sender = match self.host {
            Host::Caller => addressing::sender(asked.clone(), account, &self.domain),
            Host::Service { free } => addressing::claimed_sender(asked.clone(), account, &self.domain, free),
        };
        Ok(Origin { account, asked, sender: sender.map_err(refused)? })
    }

    /// Looks whether a RCPT can be followed.
    ///
    /// # Errors
    /// It is no address, or an alias that leads nowhere.
    pub fn recipient(&self, named: &Recipient) -> Result<(), Refusal> {
        self.expand(std::slice::from_ref(named)).map(drop)
    }

    /// The envelope is known, and octets follow.
    ///
    /// # Errors
    /// As [`Reception::sender`] and [`Reception::recipient`].
    pub fn begin(&self, transaction: &Transaction) -> Result<Parcel<'a>, Refusal> {
        let origin = self.sender(transaction)?;
        let recipients = self.expand(&transaction.recipients)?;
        let envid = transaction
            .envid
            .as_deref()
            .map(parse_envid)
            .transpose()
            .map_err(|error| Refusal::at(Moment::Mail, Error::new(Exit::Usage, "reading ENVID", format!("it {error}"))))?;
        let dsn = Dsn { notify: None, ret: transaction.ret, envid };
        let request = if transaction.requiretls { Request::Require } else { Request::Nothing };
        let envelope = Envelope { sender: origin.sender.clone(), recipients, dsn, request };
        let options = Options { limit: self.config.limits.message_size, ignore_dots: true, temp_dir: self.temp_dir.clone() };
        let strays = transaction.strays.clone();
        Ok(Parcel { id: self.name(), origin, envelope, strays, intake: Ok(Intake::new(&options)) })
    }

    /// A name for a message, or for what became of the attempt to hand one in.
    pub fn name(&self) -> Id {
        let mut random = [0; 10];
        // Without randomness the name of the submission is less unique, and that is all.
        let _ = self.world.random(&mut random);
        Id::new(self.world.timestamp(), random)
    }

    fn path(&self, text: &str) -> Result<ReversePath, Error> {
        if text.is_empty() {
            return Ok(ReversePath::Null);
        }
        // As of a recipient: what is said to be at this machine is completed as a bare name is.
        let is_bare = |spec: &Spec| spec.domain().is_none_or(address::is_localhost);
        let address = Spec::parse(text).and_then(|spec| match is_bare(&spec) {
            true => Spec::Bare(spec.local().clone()).qualify(self.domain.name()),
            false => spec.qualify(""),
        });
        address.map(ReversePath::Address).map_err(|error| not_an_address("sender", text, &error.to_string()))
    }

    fn expand(&self, named: &[Recipient]) -> Result<Vec<crate::mail::envelope::Recipient>, Refusal> {
        let refused = |error| Refusal::at(Moment::Rcpt, error);
        let mailboxes = named.iter().map(mailbox).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        // Read once a connection: a changed file counts for the next one.
        let directory = self.directory.get_or_init(|| Directory::load(&self.domain, self.config));
        let mut recipients = directory.nobody_yet(&mailboxes, &self.domain).map_err(refused)?;
        for (mailbox, named) in mailboxes.iter().zip(named) {
            recipients.add_with(mailbox, &wish(named)).map_err(refused)?;
        }
        Ok(recipients.finish())
    }

    /// Who handed it in, when, and under which name it is found here (RFC 5321 4.4): the uid, which the kernel knows, and no more of
    /// the machine than addresses tell anyway.
    fn trace(&self, id: Id) -> Option<String> {
        let (uid, domain) = (self.world.uid(), self.domain.name());
        let trace = || format!("by {domain} (sealpost, from userid {uid})\n id {id}; {}", date(self.world));
        (self.host != Host::Caller).then(trace)
    }
}

impl<'a> Parcel<'a> {
    /// Its name.
    pub fn id(&self) -> Id {
        self.id
    }

    /// From whom to whom.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Takes a piece of the message; what is wrong with it is told by [`Parcel::finish`].
    pub fn push(&mut self, piece: &[u8]) {
        if let Ok(intake) = &mut self.intake
            && let Err(error) = intake.push(piece)
        {
            self.intake = Err(error);
        }
    }

    /// The message is whole.
    ///
    /// # Errors
    /// It can't be sent as it is, or there is no room to keep it.
    pub fn finish(self, reception: &Reception<'a>) -> Result<Received<'a>, Refusal> {
        let refused = |error| Refusal::at(Moment::Message, error);
        let draft = self.intake.and_then(Intake::finish).map_err(refused)?;
        let Origin { account, asked, sender } = self.origin;
        let trace = reception.trace(self.id);
        let completer = Completer {
            world: reception.world,
            domain: &reception.domain,
            id: self.id,
            full_name: reception.full_name,
            gateway: false,
            trace: trace.as_deref(),
        };
        let (message, message_id) = completer.complete(draft, account, &sender).map_err(refused)?;
        let Self { id, envelope, strays, .. } = self;
        Ok(Received { id, account, asked, envelope, strays, message, message_id })
    }
}

impl Received<'_> {
    /// What the queue is to know of it: handed in by the caller that `world` tells of, and due at once.
    pub fn entry(&self, world: &dyn World, now: Timestamp) -> Entry {
        let facts = self.message.facts();
        let head = Head {
            arrived: now,
            uid: world.uid(),
            user: world.user().login,
            account: self.account.name.clone(),
            asked: self.asked.clone(),
            envelope: self.envelope.clone(),
            message_id: self.message_id.clone(),
            size: facts.size,
            eight_bit: facts.eight_bit,
            tls_waived: facts.tls_waived,
            report: false,
        };
        Entry::new(head, now)
    }
}

/// A leading backslash says that no alias is meant, as in sendmail(8).
fn mailbox(named: &Recipient) -> Result<Mailbox, Error> {
    let spec = Spec::parse(plain(&named.address));
    let spec = spec.map_err(|error| not_an_address("recipient", &named.address, &error.to_string()))?;
    Ok(Mailbox { display: None, spec, verbatim: named.address.starts_with('\\') })
}

fn plain(address: &str) -> &str {
    address.strip_prefix('\\').unwrap_or(address)
}

fn wish(named: &Recipient) -> Wish {
    // Of another type it could not be said to the smarthost.
    let address = named.original.as_deref().and_then(|original| original.split_once(';'));
    let rfc822 = address.filter(|(kind, _)| kind.eq_ignore_ascii_case("rfc822"));
    // What RCPT itself says is completed, and the original is to be so, too.
    let other = rfc822.filter(|(_, address)| *address != plain(&named.address));
    Wish { original: other.and_then(|(_, address)| Address::parse(address).ok()), notify: named.notify }
}

fn not_an_address(what: &str, text: &str, why: &str) -> Error {
    Error::new(Exit::DataErr, format!("reading the {what} <{text}>"), format!("it {why}"))
}

#[cfg(test)]
mod tests;
