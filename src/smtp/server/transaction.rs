//! How is a message taken in: who sends it, to whom, and its octets? (RFC 5321 3.3, 3030)

use super::{
    Action, Phase, Server, Step,
    body::Decoder,
    command::{Mail, Rcpt, Recipient},
};
use crate::mail::{envelope::Ret, stray::Stray};

/// Everything that was said of one message before its first octet. Foreign text, free of control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What the client called itself.
    pub hello: String,
    /// Who logged in.
    pub user: Option<String>,
    /// MAIL FROM without angle brackets, perhaps a bare local part; empty: `<>`.
    pub sender: String,
    /// Never empty when a message begins.
    pub recipients: Vec<Recipient>,
    /// SIZE.
    pub size: Option<u64>,
    /// BODY=8BITMIME.
    pub eight_bit: bool,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// REQUIRETLS.
    pub requiretls: bool,
    /// RET.
    pub ret: Option<Ret>,
    /// ENVID, decoded.
    pub envid: Option<String>,
    /// XACCOUNT: the account that is to be used.
    pub account: Option<String>,
    /// XDEFAULT: no sender was asked for, whatever `sender` says.
    pub any_sender: bool,
    /// XSTRAYS: what was to be a recipient, and is no address; the sender is to be told.
    pub strays: Vec<Stray>,
}

impl Transaction {
    pub(super) fn new(mail: Mail, hello: String, user: Option<String>) -> Self {
        let Mail { sender, size, eight_bit, smtputf8, requiretls, ret, envid, account, any_sender, strays, .. } = mail;
        let recipients = Vec::new();
        Self { hello, user, sender, recipients, size, eight_bit, smtputf8, requiretls, ret, envid, account, any_sender, strays }
    }
}

impl Server {
    pub(super) fn mail(&mut self, mail: Mail) {
        let hello = match &self.hello {
            Some((hello, _)) => hello.clone(),
            None if self.settings.hello_first => return self.mistake("503 5.5.1 say EHLO first"),
            None => String::new(),
        };
        if self.transaction.is_some() {
            return self.mistake("503 5.5.1 one sender is enough");
        }
        if self.settings.auth.is_some() && self.user.is_none() {
            return self.mistake(if self.offers("AUTH") { "530 5.7.0 log in first" } else { "530 5.7.0 STARTTLS first" });
        }
        if let Some(refusal) = self.refuses(&mail.keywords) {
            return self.mistake(refusal);
        }
        if mail.size.is_some_and(|size| size > self.message_size()) {
            return self.say("552 5.3.4 too big");
        }
        if !mail.smtputf8 && !mail.sender.is_ascii() {
            return self.mistake("553 5.6.7 that address needs SMTPUTF8");
        }
        if self.plays(Step::Mail) {
            return;
        }
        self.ask_sender(mail, hello);
    }

    pub(super) fn rcpt(&mut self, rcpt: Rcpt) {
        if let Some(refusal) = self.refuses(&rcpt.keywords) {
            return self.mistake(refusal);
        }
        let most = self.settings.recipients;
        let refusal = match &self.transaction {
            None => Some("503 5.5.1 say MAIL first"),
            Some(_) if self.begun => Some("503 5.5.1 the message has begun"),
            Some(transaction) if !transaction.smtputf8 && !rcpt.recipient.address.is_ascii() => {
                Some("553 5.6.7 that address needs SMTPUTF8")
            }
            Some(transaction) if transaction.recipients.len() >= most => Some("452 4.5.3 too many recipients"),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return self.mistake(refusal);
        }
        let is_first = !std::mem::replace(&mut self.seen_recipient, true);
        if (is_first && self.plays(Step::FirstRecipient)) || self.plays(Step::Recipient) {
            return;
        }
        self.ask_recipient(rcpt);
    }

    /// Why parameters can't be taken: their keyword is not offered.
    fn refuses(&self, keywords: &[&str]) -> Option<&'static str> {
        let is_known = |keyword: &&str| *keyword == "AUTH" || self.offers(keyword);
        (!keywords.iter().all(is_known)).then_some("555 5.5.4 a parameter that is not offered")
    }

    pub(super) fn data(&mut self, lone_lf: bool) {
        match &self.transaction {
            Some(_) if self.begun => return self.mistake("503 5.5.1 BDAT has begun"),
            Some(transaction) if !transaction.recipients.is_empty() => {}
            Some(_) => return self.mistake("554 5.5.1 no valid recipients"),
            None => return self.mistake("503 5.5.1 say MAIL first"),
        }
        if self.plays(Step::Data) {
            return;
        }
        self.say("354 end with a dot on a line of its own");
        self.begin();
        self.phase = Phase::Data(Decoder::new(lone_lf && self.settings.lone_lf));
        self.plays(Step::Body);
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) {
        let refusal = match &self.transaction {
            _ if !self.offers("CHUNKING") => Some("502 5.5.1 CHUNKING is not offered"),
            Some(transaction) if transaction.recipients.is_empty() => Some("554 5.5.1 no valid recipients"),
            Some(_) => None,
            None => Some("503 5.5.1 say MAIL first"),
        };
        let is_first = refusal.is_none() && !self.begun;
        if is_first && self.plays(Step::Data) {
            return;
        }
        self.phase = Phase::Chunk { left: size, last, refusal };
        if is_first {
            self.begin();
            self.plays(Step::Body);
        }
    }

    fn begin(&mut self) {
        if let Some(transaction) = &self.transaction {
            self.actions.push(Action::Begin(Box::new(transaction.clone())));
            self.begun = true;
            self.octets = 0;
        }
    }

    pub(super) fn take_data(&mut self) -> bool {
        let Phase::Data(decoder) = &mut self.phase else { return false };
        let mut piece = Vec::with_capacity(self.input.len());
        let (used, ended) = decoder.decode(&self.input, &mut piece);
        let bare_line_ends = decoder.saw_bare_line_end();
        self.input.drain(..used);
        self.keep(piece);
        if ended {
            self.whole(bare_line_ends);
        }
        ended
    }

    /// Takes what is there of a BDAT chunk; false where more must come (RFC 3030 section 2).
    pub(super) fn take_chunk(&mut self) -> bool {
        let Phase::Chunk { left, last, refusal } = &mut self.phase else { return false };
        let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len());
        *left -= here as u64;
        let (left, last, refusal) = (*left, *last, *refusal);
        let piece: Vec<u8> = self.input.drain(..here).collect();
        // The octets of a refused chunk are on their way all the same, and must not be taken for commands.
        if refusal.is_none() {
            self.keep(piece);
        }
        if left > 0 {
            return false;
        }
        match refusal {
            Some(refusal) => {
                self.phase = Phase::Commands;
                self.mistake(refusal);
            }
            None if last => self.whole(false),
            None if self.begun => {
                self.phase = Phase::Commands;
                self.say("250 2.0.0 and then?");
            }
            None => self.too_big(),
        }
        true
    }

    /// Hands a piece on, unless the message has grown too big.
    fn keep(&mut self, piece: Vec<u8>) {
        self.octets = self.octets.saturating_add(piece.len() as u64);
        if self.octets > self.message_size() {
            self.discard();
        } else if self.begun && !piece.is_empty() {
            self.actions.push(Action::Body(piece));
        }
    }

    fn whole(&mut self, bare_line_ends: bool) {
        if !self.begun {
            return self.too_big();
        }
        if self.plays(Step::End) {
            if !matches!(self.phase, Phase::Over) {
                self.reset();
            }
            return;
        }
        self.begun = false;
        self.actions.push(Action::Deliver { bare_line_ends });
        self.phase = Phase::Storing;
    }

    fn too_big(&mut self) {
        self.say_to_each("552 5.3.4 too big");
        self.reset();
    }
}
