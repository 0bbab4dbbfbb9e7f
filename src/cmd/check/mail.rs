//! How does a test mail go out by the ordinary way, log and all? (RFC 5322; sealpost(1), "sealpost check")

use lettre::message::{Mailbox, header::ContentType};

use crate::{
    cmd::{
        addressing::{self, MailDomain},
        deliver::Delivery,
        sendmail,
    },
    error::{Error, Exit},
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
        envelope::Envelope,
        message::Completion,
        outcome::{Fate, exit_code},
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
pub(super) struct Sent {
    /// Whom it was for.
    pub(super) to: String,
    /// What a send returns.
    pub(super) exit: Exit,
    /// What the server said of the first recipient.
    pub(super) reply: Option<String>,
    /// Why it did not arrive.
    pub(super) error: Option<Error>,
    /// What could not be logged.
    unlogged: Vec<Error>,
}

impl Letter {
    /// Writes it; `to` is read as `sendmail` reads its recipients, aliases included.
    ///
    /// # Errors
    /// `to` is no address, or there is no address that it could be from.
    pub(super) fn new(world: &dyn World, config: &Config, account: &Account, to: &str) -> Result<Self, Error> {
        let domain = MailDomain::new(world, config);
        let asked = sendmail::Submission { operands: vec![to.to_owned()], ..sendmail::Submission::default() };
        let recipients = addressing::recipients(&asked, None, &domain, config)?;
        let sender = addressing::sender(None, account, &domain)?;
        let mut random = [0; 10];
        world.random(&mut random)?;
        let id = Id::new(world.timestamp(), random);
        let message_id = format!("<{id}@{}>", domain.name());
        let from = match &sender {
            ReversePath::Address(address) => address.to_string(),
            ReversePath::Null => domain.own_address()?.to_string(),
        };
        let octets = compose(account, &from, &recipients, &message_id)
            .map_err(|error| Error::new(Exit::Software, "composing the test mail", error.to_string()))?;
        let options = Options { limit: config.limits.message_size, ignore_dots: true, temp_dir: None };
        let draft = Intake::read(Input::Stream(&mut octets.as_slice()), &options)?;
        let (nothing, same) = (String::new, |text: &str| text.to_owned());
        let completion = Completion {
            date: &|| world.now().strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
            message_id: &|| message_id.clone(),
            from: &nothing,
            replace_from: None,
            qualify: &|_| None,
            unstructured: &same,
            phrase: &same,
            gateway: false,
        };
        let message = draft.complete(&completion)?;
        let envelope = Envelope { sender, recipients, dsn: asked.dsn };
        Ok(Self { to: to.to_owned(), id, message_id, envelope, message })
    }

    /// Sends it through `account`, or its fallbacks, as any other mail, and with its record in the log.
    pub(super) fn send(mut self, world: &dyn World, config: &Config, account: &Account) -> Sent {
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
        Sent { to: self.to, exit, reply, error, unlogged: delivery.warnings }
    }
}

impl Sent {
    /// In a sentence.
    pub(super) fn told(&self) -> String {
        let reply = self.reply.as_deref().unwrap_or_default();
        let mut told = match &self.error {
            None => format!("sent to {}: {reply}", self.to),
            Some(error) => format!("not sent to {} (exit {}): {}", self.to, self.exit.code(), error.because()),
        };
        for error in &self.unlogged {
            told += &format!("; {}", error.summary());
        }
        told
    }
}

type Composed = Result<Vec<u8>, Box<dyn std::error::Error>>;

fn compose(account: &Account, from: &str, to: &[crate::mail::envelope::Recipient], message_id: &str) -> Composed {
    let mut builder = lettre::Message::builder().from(from.parse()?).message_id(Some(message_id.to_owned()));
    for recipient in to {
        builder = builder.to(Mailbox::new(None, recipient.address.to_string().parse()?));
    }
    let subject = format!("Test mail of sealpost, account {}", account.name);
    let body = format!(
        "This is a test mail. It was sent by `sealpost check --send` through the\naccount {} ({}), and means that this account works.\n",
        account.name, account.target
    );
    Ok(builder.subject(subject).header(ContentType::TEXT_PLAIN).body(body)?.formatted())
}
