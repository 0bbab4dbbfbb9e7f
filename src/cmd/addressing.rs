//! From whom to whom does a submission go? (flags, header, account and aliases in; an envelope out; RFC 5321 3.3, 5322 3.6.6)

use std::{cell::OnceCell, collections::BTreeSet};

use super::{getopt::quoted, sendmail::Submission};
use crate::{
    error::{Error, Exit},
    host::{
        alias_file,
        config::{Account, Config, FromPolicy, Qualify},
        world::World,
    },
    mail::{
        address::{self, Address, LOCALHOST, ReversePath, Spec},
        aliases::{Aliases, Hosts},
        envelope::{Recipient, SenderArg, parse_sender},
        list::{self, List, Mailbox},
        recipients::Recipients,
        stray::Stray,
        words,
    },
};

/// What qualifies a bare name, found out when the first one is met.
pub struct MailDomain<'a> {
    world: &'a dyn World,
    config: &'a Config,
    login: Option<&'a str>,
    name: OnceCell<String>,
}

impl<'a> MailDomain<'a> {
    /// The domain of this configuration on this machine.
    pub fn new(world: &'a dyn World, config: &'a Config) -> Self {
        Self { world, config, login: None, name: OnceCell::new() }
    }

    /// The same for who has this login, whoever is asking.
    pub fn of(world: &'a dyn World, config: &'a Config, login: &'a str) -> Self {
        Self { login: Some(login), ..Self::new(world, config) }
    }

    /// `mail_domain`, else /etc/mailname, else the host's full name.
    pub fn name(&self) -> &str {
        self.name.get_or_init(|| {
            let configured = self.config.mail_domain.clone();
            configured.or_else(|| self.world.mail_name()).unwrap_or_else(|| self.world.host_name())
        })
    }

    /// The value of an address header with what `qualify` wants completed; `None` where nothing is to be.
    pub fn qualified(&self, value: &str) -> Option<String> {
        match self.config.qualify {
            Qualify::Off => None,
            Qualify::Bare => list::qualify_header(value, self.name(), false),
            Qualify::Local => list::qualify_header(value, self.name(), true),
        }
    }

    /// An address as [`MailDomain::qualified`] leaves it; `None` for a name that stays bare.
    pub fn named(&self, spec: &Spec) -> Option<Address> {
        let local = spec.domain().is_none_or(|domain| self.config.qualify == Qualify::Local && address::is_localhost(domain));
        match spec {
            Spec::Full(address) if !local => Some(address.clone()),
            Spec::Bare(_) if self.config.qualify == Qualify::Off => None,
            spec => Spec::Bare(spec.local().clone()).qualify(self.name()).ok(),
        }
    }

    /// The caller's login.
    pub fn login(&self) -> String {
        self.login.map_or_else(|| self.world.user().login, str::to_owned)
    }

    /// The address that an account has for this caller.
    ///
    /// # Errors
    /// What a placeholder in it stands for can't be in an address (`EX_CONFIG`).
    pub fn address_at(&self, account: &Account) -> Result<Option<Address>, Error> {
        account.senders.address(|| self.login(), || self.world.host_name())
    }

    /// The caller's own address: the login that the kernel knows, never what the environment claims.
    ///
    /// # Errors
    /// The login or the domain can't stand in an address.
    pub fn own_address(&self) -> Result<Address, Error> {
        let login = self.login();
        Address::parse(&format!("{login}@{}", self.name())).map_err(|error| {
            Error::new(Exit::Config, format!("making the sender's address of {login} and {}", self.name()), error.to_string())
                .hint("set mail_domain, or `from` of the account, in the configuration")
        })
    }
}

/// What `-f` asks for, where it is a bare name: as the service is told of it, which completes it.
pub fn bare_sender(text: &str) -> Option<ReversePath> {
    match parse_sender(text).ok()? {
        SenderArg::Spec(spec @ Spec::Bare(_)) => spec.qualify(LOCALHOST).ok().map(ReversePath::Address),
        _ => None,
    }
}

/// What `-f` asks for.
///
/// # Errors
/// It is no address (`EX_USAGE`).
pub fn asked_sender(text: &str, domain: &MailDomain<'_>) -> Result<ReversePath, Error> {
    parse_sender(text).and_then(|sender| sender.qualify(domain.name())).map_err(|error| {
        Error::new(Exit::Usage, format!("reading the sender {} of -f", quoted(&text.into())), format!("it {error}"))
            .hint("-f takes one address, a bare name, or '' for the null sender")
    })
}

/// What `--read-envelope-from` finds: the first author of the From field; `None` where nobody is named.
///
/// # Errors
/// It is no address (`EX_DATAERR`).
pub fn header_sender(from: Option<&[u8]>, domain: &MailDomain<'_>) -> Result<Option<ReversePath>, Error> {
    let authors = from.map(list::parse_bytes).unwrap_or_default();
    refuse_faults(&authors, "reading the sender of the header's From", Exit::DataErr)?;
    let Some(author) = authors.mailboxes.first() else { return Ok(None) };
    let address = author.spec.qualify(domain.name()).map_err(|error| {
        Error::new(Exit::DataErr, "reading the sender of the header's From", format!("\"{}\" {error}", author.spec))
    })?;
    Ok(Some(ReversePath::Address(address)))
}

/// The envelope sender: what the caller asked for as far as the account lets it choose.
///
/// # Errors
/// The caller's own address is wanted and can't be made (`EX_CONFIG`).
pub fn sender(asked: Option<ReversePath>, account: &Account, domain: &MailDomain<'_>) -> Result<ReversePath, Error> {
    sender_under(account.from_policy.unwrap_or(FromPolicy::Free), asked, account, domain)
}

/// The same where the policy is known.
///
/// # Errors
/// Those of [`sender`].
pub fn sender_under(
    policy: FromPolicy,
    asked: Option<ReversePath>,
    account: &Account,
    domain: &MailDomain<'_>,
) -> Result<ReversePath, Error> {
    let own = || match domain.address_at(account)? {
        Some(from) => Ok(from),
        None => domain.own_address(),
    };
    let allowed = match (policy, asked) {
        (FromPolicy::Free, asked) => asked,
        (FromPolicy::Login, Some(ReversePath::Address(address))) => {
            let login = domain.own_address()?;
            address.same_mailbox(&login).then_some(ReversePath::Address(address))
        }
        // A bounce has no sender whoever sends it (RFC 5321 4.5.5).
        (FromPolicy::Login, null) => null,
        (FromPolicy::Fixed, _) => None,
    };
    allowed.map_or_else(|| own().map(ReversePath::Address), Ok)
}

/// The envelope sender of a message that is handed to the service: what was asked for, where the caller may ask for it.
///
/// `free`: the caller may use any address, where the account's own policy does not say otherwise.
///
/// # Errors
/// It is neither the account's nor the caller's own (`EX_NOPERM`), or that one can't be made (`EX_CONFIG`).
pub fn claimed_sender(
    asked: Option<ReversePath>,
    account: &Account,
    domain: &MailDomain<'_>,
    free: bool,
) -> Result<ReversePath, Error> {
    let policy = account.from_policy.unwrap_or(FromPolicy::Login);
    let address = match asked {
        Some(ReversePath::Address(address)) if policy == FromPolicy::Login && !free => address,
        asked => return sender(asked, account, domain),
    };
    let allowed: Vec<Address> = domain.address_at(account)?.into_iter().chain(domain.own_address().ok()).collect();
    if allowed.iter().any(|allowed| allowed.same_mailbox(&address)) {
        return Ok(ReversePath::Address(address));
    }
    let allowed: Vec<String> = allowed.iter().map(|allowed| format!("<{allowed}>")).collect();
    Err(Error::new(
        Exit::NoPerm,
        format!("taking <{address}> as the sender"),
        format!("it is not yours; {} may send as {}", domain.login(), allowed.join(" or ")),
    )
    .hint("free_senders under [serve] lists who may choose, from_policy is the account's rule"))
}

/// The value of From: `-F`, else $NAME, else the full name of the password database, in front of the address.
pub fn author(world: &dyn World, given: Option<&str>, address: &Address) -> String {
    let named = given.map(str::to_owned).or_else(|| world.env("NAME").and_then(|name| name.into_string().ok()));
    let name = named.unwrap_or_else(|| world.user().full_name);
    if name.trim().is_empty() { address.to_string() } else { format!("{} <{address}>", words::phrase(&name)) }
}

/// Whom a submission names.
#[derive(Debug)]
pub struct Addressed {
    /// Who gets it; somebody.
    pub recipients: Vec<Recipient>,
    /// Those of them, by their places, for whom no alias is to be looked up any more; told of [`unexpanded`] ones only.
    pub verbatim: BTreeSet<usize>,
    /// What is no address.
    pub strays: Option<Strays>,
}

impl Addressed {
    /// The recipients, where nothing has to be left out.
    ///
    /// # Errors
    /// Something has.
    pub fn all_sound(self) -> Result<Vec<Recipient>, Error> {
        self.strays.map_or(Ok(self.recipients), |strays| Err(strays.error))
    }
}

/// What was to be a recipient, and is no address.
#[derive(Debug)]
pub struct Strays {
    /// Each of them.
    pub all: Vec<Stray>,
    /// What the caller reads where nothing is sent because of them (`EX_USAGE`, `EX_DATAERR`).
    pub error: Error,
}

/// The recipients: of the command line and, with `-t`, of the header, expanded and without duplicates.
///
/// # Errors
/// Nobody is addressed, or what should be is no address and nothing that can be left out (`EX_USAGE` on the command line, `EX_DATAERR` in
/// the header); or a name leads nowhere or may be an alias and the aliases can't be read (`EX_DATAERR`, `EX_CONFIG`).
pub fn recipients(
    submission: &Submission,
    header: Option<List>,
    domain: &MailDomain<'_>,
    config: &Config,
) -> Result<Addressed, Error> {
    let (named, strays) = named(submission, header)?;
    let directory = if submission.no_aliases { Directory::default() } else { Directory::load(domain, config) };
    let mut recipients = directory.nobody_yet(&named, domain)?;
    for mailbox in &named {
        recipients.add(mailbox)?;
    }
    Ok(Addressed { recipients: somebody(recipients.finish(), submission)?, verbatim: BTreeSet::new(), strays })
}

/// The recipients as the caller named them: for the service, which expands and completes them by the configuration of this machine. A
/// bare name is one at `localhost`, which counts as bare wherever a recipient is read.
///
/// # Errors
/// Nobody is addressed, or what should be is no address and nothing that can be left out (`EX_USAGE` on the command line, `EX_DATAERR` in
/// the header).
pub fn unexpanded(submission: &Submission, header: Option<List>) -> Result<Addressed, Error> {
    let (named, strays) = named(submission, header)?;
    let (mut seen, mut verbatim) = (BTreeSet::new(), BTreeSet::new());
    let mut recipients = Vec::new();
    for mailbox in named {
        let is_verbatim = mailbox.verbatim || submission.no_aliases;
        let address = mailbox
            .spec
            .qualify(LOCALHOST)
            .map_err(|error| Error::new(Exit::DataErr, format!("addressing \"{}\"", mailbox.spec), format!("it {error}")))?;
        if seen.insert((address.key(), is_verbatim)) {
            verbatim.extend(is_verbatim.then_some(recipients.len()));
            recipients.push(Recipient { address, original: None, notify: None });
        }
    }
    Ok(Addressed { recipients: somebody(recipients, submission)?, verbatim, strays })
}

/// Whom the command line and the header name, and what there is no address.
fn named(submission: &Submission, header: Option<List>) -> Result<(Vec<Mailbox>, Option<Strays>), Error> {
    let mut named = List::default();
    for word in &submission.operands {
        named.extend(list::parse_word(word));
    }
    let mut refused = refuse_faults(&named, "reading the recipients of the command line", Exit::Usage);
    if let Some(header) = header {
        refused = refused.and(refuse_faults(&header, "reading the recipients of the header", Exit::DataErr));
        named.extend(header);
    }
    let strays = match refused {
        Ok(()) => None,
        Err(error) => match Stray::all(&named.faults) {
            Some(all) if !named.mailboxes.is_empty() => Some(Strays { all, error }),
            _ => return Err(error),
        },
    };
    Ok((named.mailboxes, strays))
}

fn somebody(recipients: Vec<Recipient>, submission: &Submission) -> Result<Vec<Recipient>, Error> {
    if recipients.is_empty() {
        let because =
            if submission.read_recipients { "no recipients in the header or on the command line" } else { "no recipients" };
        return Err(Error::new(Exit::Usage, "addressing the message", because)
            .hint("name them behind the options, or use -t and give the message a To, Cc or Bcc field"));
    }
    Ok(recipients)
}

/// Whom names on this machine stand for.
#[derive(Debug, Default)]
pub struct Directory {
    aliases: Aliases,
    /// Why they could not be read.
    unread: Option<Error>,
    hosts: Hosts,
}

impl Directory {
    /// The aliases of the configuration; where they can't be read, that concerns only whom they may be about.
    pub fn load(domain: &MailDomain<'_>, config: &Config) -> Self {
        let (mut aliases, unread) = match alias_file::load(&config.aliases) {
            Ok(aliases) => (aliases, None),
            Err(error) => (Aliases::default(), Some(error)),
        };
        if let Some(address) = &config.catch_all {
            aliases.catch(Mailbox { display: None, spec: Spec::Full(address.clone()), verbatim: false });
        }
        let hosts = if aliases.is_empty() && unread.is_none() {
            Hosts::default()
        } else {
            Hosts::new([domain.world.host_name(), domain.name().to_owned()])
        };
        Self { aliases, unread, hosts }
    }

    /// A list of recipients to which `mailboxes` can be added; the mail domain is found out only where they need one.
    ///
    /// # Errors
    /// One of them may be an alias, and the aliases could not be read (`EX_CONFIG`).
    pub fn nobody_yet<'m>(&'m self, mailboxes: &[Mailbox], domain: &'m MailDomain<'_>) -> Result<Recipients<'m>, Error> {
        if let Some(error) = &self.unread
            && mailboxes.iter().any(|mailbox| self.hosts.has_mailbox(mailbox))
        {
            return Err(error.clone());
        }
        let bare = |mailbox: &Mailbox| mailbox.spec.domain().is_none_or(address::is_localhost);
        let needs_domain = mailboxes.iter().any(bare) || !self.aliases.is_empty();
        Ok(Recipients::new(if needs_domain { domain.name() } else { "" }, &self.hosts, &self.aliases))
    }
}

fn refuse_faults(list: &List, doing: &str, exit: Exit) -> Result<(), Error> {
    let Some(fault) = list.faults.first() else { return Ok(()) };
    let more = if list.faults.len() > 1 { format!(" (and {} more)", list.faults.len() - 1) } else { String::new() };
    Err(Error::new(exit, doing, format!("{} {}{more}", quoted(&(&fault.text).into()), fault.error))
        .hint("nothing was sent; correct the address"))
}
