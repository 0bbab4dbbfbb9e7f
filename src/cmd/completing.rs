//! What does the header of a message lack, and where does that come from? (RFC 5322 3.6; sealpost.toml(5))

use std::cell::OnceCell;

use super::addressing::{self, MailDomain};
use crate::{
    error::Error,
    host::{
        config::Account,
        journal::Id,
        store::{Draft, Message},
        world::World,
    },
    mail::{
        address::{Address, ReversePath, Spec},
        authors::Authority,
        header::Field,
        message::Completion,
        words,
    },
};

/// What is the same whatever the message turns out to lack.
pub struct Completer<'a> {
    /// Clock and caller.
    pub world: &'a dyn World,
    /// What qualifies bare names.
    pub domain: &'a MailDomain<'a>,
    /// The name of the submission: of it a Message-ID is made.
    pub id: Id,
    /// The full name of the author (`-F`), in place of what the system knows.
    pub full_name: Option<&'a str>,
    /// The message only passes through (`-G`).
    pub gateway: bool,
    /// The value of a Received field of our own.
    pub trace: Option<&'a str>,
}

impl Completer<'_> {
    /// Adds what the header lacks, each value made only where it is missing; the message, and its Message-ID.
    ///
    /// # Errors
    /// As [`Draft::complete`]; or an address of the caller's own is wanted and can't be made (`EX_CONFIG`).
    pub fn complete(&self, draft: Draft, account: &Account, sender: &ReversePath) -> Result<(Message, String), Error> {
        let made_id = OnceCell::new();
        let message_id = || made_id.get_or_init(|| format!("<{}@{}>", self.id, self.domain.name())).clone();
        let seen_id = draft.fields().find(|f| f.is("Message-ID") && !f.value.is_empty()).map(|f| f.text().trim().to_owned());
        let own = match sender {
            ReversePath::Address(address) => address.clone(),
            ReversePath::Null => self.domain.own_address()?,
        };
        let author = |address: &Address| addressing::author(self.world, self.full_name, address);
        let allowed = if account.rewrite_from { Some(self.allowed(account)?) } else { None };
        let covers = |spec: &Spec| allowed.as_ref().is_none_or(|allowed| self.covers(account, allowed, spec));
        let authority = allowed.as_ref().map(|address| Authority { covers: &covers, address, author: &author });
        let from = || match &allowed {
            Some(allowed) if !covers(&Spec::Full(own.clone())) => author(allowed),
            _ => author(&own),
        };
        let completion = Completion {
            trace: self.trace,
            date: &|| date(self.world),
            message_id: &message_id,
            from: &from,
            authority,
            qualify: &|value| self.domain.qualified(value),
            unstructured: &words::unstructured,
            phrase: &words::phrase,
            gateway: self.gateway,
        };
        let message = draft.complete(&completion)?;
        let id = seen_id.or_else(|| made_id.get().cloned()).unwrap_or_default();
        Ok((message, id))
    }

    /// The address that an account with `rewrite_from` has for this caller.
    fn allowed(&self, account: &Account) -> Result<Address, Error> {
        self.domain.address_at(account)?.map_or_else(|| self.domain.own_address(), Ok)
    }

    /// Whether the account may use an author, as the header will name it: its own address for this caller, or what `match` covers.
    fn covers(&self, account: &Account, own: &Address, author: &Spec) -> bool {
        let named = match author {
            // Then nothing is qualified.
            Spec::Bare(_) if self.gateway => None,
            Spec::Full(address) if self.gateway => Some(address.clone()),
            author => self.domain.named(author),
        };
        let named = named.map(|address| address.to_string());
        named.is_some_and(|author| author.eq_ignore_ascii_case(&own.to_string()) || account.covers(&author))
    }
}

/// Now, as a header says it.
pub fn date(world: &dyn World) -> String {
    world.now().strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// The author field of a draft.
pub fn from_field(draft: &Draft) -> Option<&[u8]> {
    draft.fields().find(|f: &Field<'_>| f.is("From")).map(|f| f.value)
}
