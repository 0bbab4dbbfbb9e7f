//! How is the sender of a message that waits told of it, and how is it that this happens once? (RFC 3464, RFC 5321 6.1)

use std::{io, time::Duration};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::{Runner, transition::later};
use crate::{
    cmd::addressing::MailDomain,
    error::{Error, Exit},
    host::{
        config::Account,
        journal::{Event, Happening, Id, Record, Span, Status, id::RANDOM},
        spool::{Claim, Entry, Head},
    },
    mail::{
        address::{Address, ReversePath},
        bounce::{self, Kind, Notice, RETURNED, Told, Whom, is_owed},
        content::{Content, Facts, Form},
        envelope::{Dsn, Envelope, Recipient},
        policy::Request,
        queued::Last,
        stray::Stray,
    },
};

impl<'a> Runner<'a> {
    /// Queues a report of these recipients, with what was heard last of each, where one is owed; whether it was. Asked again, it is queued once all the same: its name
    /// follows from the message's, and from what is reported.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn report(&self, claim: &Claim<'a>, kind: Kind, about: &[(usize, Option<Last>)]) -> Result<bool, Error> {
        let head = &claim.entry.head;
        let ReversePath::Address(to) = &head.envelope.sender else { return Ok(false) };
        let is_owed = |(place, _): &&(usize, Option<Last>)| {
            let recipient = head.envelope.recipients.get(*place);
            recipient.is_some_and(|recipient| is_owed(&head.envelope.sender, head.envelope.notify(recipient), kind))
        };
        let about: Vec<&(usize, Option<Last>)> = about.iter().filter(is_owed).collect();
        if head.report || about.is_empty() {
            return Ok(false);
        }
        let places: Vec<usize> = about.iter().map(|(place, _)| *place).collect();
        let id = name(claim, kind, &places);
        if self.setting.spool.find(id)?.is_some() {
            return Ok(true);
        }
        let tried = claim.entry.state.tried.map(|time| self.date(time));
        let mut told = Vec::with_capacity(about.len());
        for (place, last) in about {
            let Some(recipient) = head.envelope.recipients.get(*place) else { continue };
            let server = last.as_ref().filter(|last| last.code.is_some()).and_then(|last| last.server.as_deref());
            told.push(Told { whom: Whom::Recipient(recipient), last: last.as_ref(), server, tried: tried.as_deref() });
        }
        self.post(claim, (id, kind), to, &told, None)?;
        Ok(true)
    }

    /// Queues a report of what was to be a recipient, and is no address. Whoever leaves it out has asked whether a report is owed.
    ///
    /// # Errors
    /// It can't be written.
    pub(in crate::cmd) fn report_strays(&self, claim: &Claim<'a>, strays: &[Stray]) -> Result<(), Error> {
        let ReversePath::Address(to) = &claim.entry.head.envelope.sender else { return Ok(()) };
        let lasts: Vec<Last> = strays.iter().map(Stray::last).collect();
        let mut told = Vec::with_capacity(strays.len());
        for (stray, last) in strays.iter().zip(&lasts) {
            told.push(Told { whom: Whom::Stray(&stray.text), last: Some(last), server: None, tried: None });
        }
        let names: Vec<String> = strays.iter().map(Stray::to_string).collect();
        let error = Error::new(Exit::Ok, "addressing the message", names.join("; "));
        self.post(claim, (name(claim, Kind::Stray, &[]), Kind::Stray), to, &told, Some(&error))
    }

    fn post(
        &self,
        claim: &Claim<'a>,
        (id, kind): (Id, Kind),
        to: &Address,
        told: &[Told<'_>],
        error: Option<&Error>,
    ) -> Result<(), Error> {
        let head = &claim.entry.head;
        let mut letter = self.letter(claim, (id, kind), to, told)?;
        let entry = self.entry(head, to, id, &letter);
        drop(self.setting.spool.add(id, entry, &mut letter)?);
        self.tell(claim, to, error);
        self.offer(id, &head.account);
        Ok(())
    }

    fn letter(&self, claim: &Claim<'a>, (id, kind): (Id, Kind), to: &Address, told: &[Told<'_>]) -> Result<Letter, Error> {
        let (world, config) = (self.setting.world, self.setting.config);
        let head = &claim.entry.head;
        let account = config.account(&head.account);
        let domain = MailDomain::new(world, config);
        let from = Address::parse(&format!("MAILER-DAEMON@{}", domain.name()));
        let from = from.map_err(|error| unwritable(claim.id, &error.to_string()))?;
        let (start, size) = start(claim).map_err(|error| unwritable(claim.id, &error.to_string()))?;
        let until = self.date(later(head.arrived, config.queue.max_age));
        let notice = Notice {
            kind,
            id: &claim.id.to_string(),
            message_id: &format!("<{id}@{}>", domain.name()),
            date: &self.date(self.now()),
            host: &world.host_name(),
            from: &from,
            to,
            envid: head.envelope.dsn.envid.as_deref(),
            ret: head.envelope.dsn.ret,
            requiretls: is_under_requiretls(account, head),
            arrived: &self.date(head.arrived),
            until: Some(until.as_str()).filter(|_| kind == Kind::Delay),
            recipients: told,
            start: &start,
            size,
        };
        bounce::write(&notice).map(Letter::new)
    }

    fn entry(&self, of: &Head, to: &Address, id: Id, letter: &Letter) -> Entry {
        let (now, facts) = (self.now(), letter.facts());
        let request = if of.envelope.request == Request::Require { Request::Prefer } else { Request::Nothing };
        let recipients = vec![Recipient { address: to.clone(), original: None, notify: None }];
        let head = Head {
            arrived: now,
            uid: of.uid,
            user: of.user.clone(),
            account: of.account.clone(),
            asked: Some(ReversePath::Null),
            envelope: Envelope { sender: ReversePath::Null, recipients, dsn: Dsn::default(), request },
            message_id: format!("<{id}@{}>", MailDomain::new(self.setting.world, self.setting.config).name()),
            size: facts.size,
            eight_bit: facts.eight_bit,
            tls_waived: false,
            report: true,
        };
        Entry::new(head, now)
    }

    fn date(&self, time: Timestamp) -> String {
        let zone = self.setting.world.now().time_zone().clone();
        time.to_zoned_datetime(zone).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }

    fn tell(&self, claim: &Claim<'a>, to: &Address, error: Option<&Error>) {
        let account = self.setting.config.account(&claim.entry.head.account);
        let recipients = std::slice::from_ref(to);
        let happening = Happening { event: Event::Bounce, status: Status::Queued, account, recipients, error };
        let span = Span { end: self.now(), took: Duration::ZERO };
        self.log(&Record::happened(span, &claim.entry.head.submission(claim.id), &happening));
    }
}

/// What the report is called: always the same for the same recipients of the same message, after the same attempt.
fn name(claim: &Claim<'_>, kind: Kind, places: &[usize]) -> Id {
    let Entry { head, state } = &claim.entry;
    let hash = digest(&SHA256, format!("{kind:?} {} {places:?}", claim.id).as_bytes());
    let mut random = [0; RANDOM];
    random.iter_mut().zip(hash.as_ref()).for_each(|(octet, from)| *octet = *from);
    Id::new(state.tried.unwrap_or(head.arrived), random)
}

fn is_under_requiretls(account: Option<&Account>, head: &Head) -> bool {
    head.envelope.request == Request::Require || account.is_some_and(|account| account.tls.demand.request == Request::Require)
}

/// The start of the message, and how long the whole is; in seven bits where that can be had: no report is kept back for it.
fn start(claim: &Claim<'_>) -> io::Result<(Vec<u8>, u64)> {
    let mut content = claim.content()?;
    let size = content.rewind(Form::SevenBit).or_else(|_| content.rewind(Form::EightBit))?;
    let most = usize::try_from(RETURNED.min(size)).unwrap_or(usize::MAX);
    let mut start = Vec::new();
    loop {
        let room = most - start.len();
        if room == 0 || content.fill(&mut start, room)? {
            break;
        }
    }
    Ok((start, size))
}

fn unwritable(id: Id, because: &str) -> Error {
    Error::new(Exit::TempFail, format!("writing a report on message {id} of the queue"), because)
}

/// A report, as the queue takes it.
struct Letter {
    octets: Vec<u8>,
    given: usize,
}

impl Letter {
    fn new(octets: Vec<u8>) -> Self {
        Self { octets, given: 0 }
    }
}

impl Content for Letter {
    fn facts(&self) -> Facts {
        Facts { size: self.octets.len() as u64, eight_bit: !self.octets.is_ascii(), tls_waived: false }
    }

    fn rewind(&mut self, _: Form) -> io::Result<u64> {
        self.given = 0;
        Ok(self.octets.len() as u64)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        let end = self.octets.len().min(self.given + limit);
        out.extend_from_slice(&self.octets[self.given..end]);
        self.given = end;
        Ok(end == self.octets.len())
    }
}
