//! How does a test mail go out by the ordinary way, log and all? (RFC 5322; sealpost(1), "sealpost check")

use crate::{
    cmd::{
        addressing::{self, MailDomain},
        deliver::Delivery,
        sendmail,
    },
    error::{Error, Exit, printable},
    host::{
        config::{Account, Config},
        journal::{Id, Journal, Sockets, Submission},
        narrate::Narrator,
        store::{Input, Intake, Message, Options},
        world::World,
    },
    mail::{
        address::ReversePath,
        content::Content as _,
        envelope::{Envelope, Recipient},
        message::Completion,
        outcome::{Fate, exit_code},
        policy, words,
    },
};

/// A test mail that is ready to go.
pub(super) struct Letter {
    to: String,
    id: Id,
    message_id: String,
    envelope: Envelope,
    message: Message,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Posted {
    /// Whom it was for.
    pub(super) to: String,
    /// What a send returns.
    pub(super) exit: Exit,
    /// What the server said of the recipient that fared worst.
    pub(super) reply: Option<String>,
    /// Why it did not arrive.
    pub(super) error: Option<Error>,
    /// What could not be logged or remembered, or is less than before.
    pub(super) warnings: Vec<Error>,
}

impl Letter {
    /// Writes it; `to` is read as `sendmail` reads its recipients, aliases included.
    ///
    /// # Errors
    /// `to` is no address, or there is no address that it could be from.
    pub(super) fn new(world: &dyn World, config: &Config, account: &Account, to: &str) -> Result<Self, Error> {
        let domain = MailDomain::new(world, config);
        let asked = sendmail::Submission { operands: vec![to.to_owned()], ..sendmail::Submission::default() };
        let addressed = addressing::recipients(&asked, None, &domain, config)?;
        let recipients = addressed.all_sound()?;
        let sender = addressing::sender(None, account, &domain)?;
        let mut random = [0; 10];
        world.random(&mut random)?;
        let id = Id::new(world.timestamp(), random);
        let message_id = format!("<{id}@{}>", domain.name());
        let own = match &sender {
            ReversePath::Address(address) => address.clone(),
            ReversePath::Null => domain.own_address()?,
        };
        let options = Options { limit: config.limits.message_size, ignore_dots: true, temp_dir: None };
        let draft = Intake::read(Input::Stream(&mut text(account, &recipients).as_bytes()), &options)?;
        // What a header lacks is added as to any other mail.
        let completion = Completion {
            trace: None,
            date: &|| world.now().strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
            message_id: &|| message_id.clone(),
            from: &|| addressing::author(world, None, &own),
            authority: None,
            qualify: &|value| domain.qualified(value),
            unstructured: &words::unstructured,
            phrase: &words::phrase,
            gateway: false,
        };
        let message = draft.complete(&completion)?;
        let envelope = Envelope { sender, recipients, dsn: asked.dsn, request: policy::Request::Nothing };
        Ok(Self { to: to.to_owned(), id, message_id, envelope, message })
    }

    /// It stays here, for the account would not send it.
    pub(super) fn keep(self, error: &Error) -> Posted {
        let error = Error::new(error.exit(), "sending the test mail", "the account would not send it");
        Posted { to: self.to, exit: error.exit(), reply: None, error: Some(error), warnings: Vec::new() }
    }

    /// Sends it through `account`, or its fallbacks, as any other mail, and with its record in the log.
    pub(super) fn send(mut self, world: &dyn World, config: &Config, account: &Account) -> Posted {
        let journal = Journal::new(&config.log, None, Sockets::default());
        let narrator = Narrator::default();
        let login = world.user().login;
        let submission = Submission {
            id: self.id,
            message_id: Some(&self.message_id),
            uid: Some(world.uid()),
            user: Some(&login),
            sender: Some(&self.envelope.sender),
            size: Some(self.message.facts().size),
            queue: false,
        };
        let domain = MailDomain::new(world, config);
        let sender = |account: &Account| addressing::sender(None, account, &domain);
        let mut delivery = Delivery::new(world, config, &journal, &narrator, submission, &sender);
        let delivered = delivery.run(account, &self.envelope, &mut self.message);
        let exit = exit_code(&delivered.outcomes);
        let worst = delivered.outcomes.iter().find(|outcome| outcome.exit == exit);
        let reply = worst.and_then(|outcome| outcome.reply.as_ref()).map(ToString::to_string);
        let refused = || {
            let fate = worst.map_or(Fate::Deferred, |outcome| outcome.fate).as_str();
            let because = reply.as_ref().map_or_else(|| fate.to_owned(), |reply| format!("{fate}: {reply}"));
            Error::new(exit, "sending the test mail", because)
        };
        let error = (exit != Exit::Ok).then(|| delivered.problem.clone().unwrap_or_else(refused));
        Posted { to: self.to, exit, reply, error, warnings: delivery.warnings }
    }
}

impl Posted {
    /// In a sentence.
    pub(super) fn told(&self) -> String {
        match &self.error {
            None => format!("sent to {}: {}", self.to, self.reply.as_deref().unwrap_or_default()),
            Some(error) => format!("not sent to {} (exit {}): {}", self.to, self.exit.code(), error.because()),
        }
    }
}

/// What a person would write; the name of an account may hold anything that TOML has.
fn text(account: &Account, to: &[Recipient]) -> String {
    let to: Vec<String> = to.iter().map(|recipient| recipient.address.to_string()).collect();
    let (name, to) = (printable(&account.name), to.join(",\n "));
    format!(
        "To: {to}\nSubject: Test mail of sealpost, account {name}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\nThis is a test mail. It was sent by `sealpost check --send` through the\n\
         account {name} ({}),\nand means that this account works.\n",
        printable(&account.target.to_string())
    )
}
