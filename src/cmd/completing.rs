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
        address::{Address, ReversePath},
        header::Field,
        list,
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
        let seen_id = draft.fields().find(|f| f.is("Message-ID")).map(|f| f.text().trim().to_owned());
        let own = match sender {
            ReversePath::Address(address) => address.clone(),
            ReversePath::Null => self.domain.own_address()?,
        };
        let author = |address: &Address| addressing::author(self.world, self.full_name, address);
        let from = || author(&own);
        let allowed = if account.rewrite_from { self.domain.address_at(account)? } else { None };
        let replaced = allowed.filter(|allowed| !covered(&draft, account, allowed)).map(|allowed| author(&allowed));
        let completion = Completion {
            trace: self.trace,
            date: &|| date(self.world),
            message_id: &message_id,
            from: &from,
            replace_from: replaced.as_deref(),
            qualify: &|value| list::qualify_header(value, self.domain.name()),
            unstructured: &words::unstructured,
            phrase: &words::phrase,
            gateway: self.gateway,
        };
        let message = draft.complete(&completion)?;
        let id = seen_id.or_else(|| made_id.get().cloned()).unwrap_or_default();
        Ok((message, id))
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

/// Whether the account may use every author of the From field: its own address for this caller, or what `match` covers.
fn covered(draft: &Draft, account: &Account, own: &Address) -> bool {
    let authors = from_field(draft).map(list::parse_bytes).unwrap_or_default();
    authors.mailboxes.iter().all(|author| {
        let author = author.spec.to_string();
        author.eq_ignore_ascii_case(&own.to_string()) || account.covers(&author)
    })
}
