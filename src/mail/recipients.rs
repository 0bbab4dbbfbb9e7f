//! Who gets the message: header and arguments in, RCPT out? (RFC 5322 3.6.6, RFC 3461 4.2)

use std::collections::BTreeSet;
use std::fmt;

use super::address::{self, Address, Key, Spec};
use super::aliases::{Aliases, Hosts};
use super::envelope::{Notify, Recipient};
use super::list::{self, List, Mailbox};
use super::resent::{DESTINATION, Latest, is_one_of};
use crate::error::{Error, Exit};

/// What the RCPT of one recipient asked for (RFC 3461 4).
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// ORCPT: the address before any that this program knows.
    pub original: Option<Address>,
    /// NOTIFY.
    pub notify: Option<Notify>,
}

/// Collects recipients: expands aliases, qualifies, and keeps the first of those that mean the same mailbox.
#[derive(Debug)]
pub struct Recipients<'a> {
    mail_domain: &'a str,
    hosts: &'a Hosts,
    aliases: &'a Aliases,
    named: Vec<Recipient>,
    seen: BTreeSet<Key>,
    /// What was asked for already, backslash or not, so that no name is expanded twice.
    asked: BTreeSet<(Key, bool)>,
}

impl<'a> Recipients<'a> {
    /// Nobody yet. Bare names that are no alias get `mail_domain`; pass empty `aliases` where they don't apply (`-n`).
    pub fn new(mail_domain: &'a str, hosts: &'a Hosts, aliases: &'a Aliases) -> Self {
        Self { mail_domain, hosts, aliases, named: Vec::new(), seen: BTreeSet::new(), asked: BTreeSet::new() }
    }

    /// Adds what the mailbox stands for.
    ///
    /// Fails where the mail domain is no domain (`EX_CONFIG`) or an alias leads nowhere (`EX_DATAERR`); nothing is added then.
    pub fn add(&mut self, mailbox: &Mailbox) -> Result<(), Error> {
        self.add_with(mailbox, &Wish::default())
    }

    /// As [`Recipients::add`], with what its RCPT asked for; whoever is named twice is treated as at first.
    pub fn add_with(&mut self, mailbox: &Mailbox, wish: &Wish) -> Result<(), Error> {
        let given = self.qualified(&mailbox.spec)?;
        if !self.asked.insert((given.key(), mailbox.verbatim)) {
            return Ok(());
        }
        let targets = self.aliases.expand(mailbox, self.hosts).map_err(|error| {
            Error::new(Exit::DataErr, format!("addressing \"{}\"", mailbox.spec), error.to_string())
                .hint("correct the aliases; programs, files and includes behind a name are never used")
        })?;
        let Some(targets) = targets else {
            let original = wish.original.clone().filter(|original| !original.same_mailbox(&given));
            self.push(Recipient { address: given, original, notify: wish.notify });
            return Ok(());
        };
        let addresses = targets.iter().map(|spec| self.qualified(spec)).collect::<Result<Vec<_>, _>>()?;
        let original = wish.original.as_ref().unwrap_or(&given);
        for address in addresses {
            let original = (!address.same_mailbox(original)).then(|| original.clone());
            self.push(Recipient { address, original, notify: wish.notify });
        }
        Ok(())
    }

    /// The recipients in the order in which they were first named.
    pub fn finish(self) -> Vec<Recipient> {
        self.named
    }

    fn push(&mut self, recipient: Recipient) {
        if self.seen.insert(recipient.address.key()) {
            self.named.push(recipient);
        }
    }

    /// The complete address; what is at `localhost` would mean the smarthost itself there, so it counts as bare.
    fn qualified(&self, spec: &Spec) -> Result<Address, Error> {
        let here = spec.domain().is_some_and(address::is_localhost);
        let bare = if here { Spec::Bare(spec.local().clone()) } else { spec.clone() };
        bare.qualify(self.mail_domain).map_err(|error| {
            Error::new(
                Exit::Config,
                format!("qualifying \"{spec}\" with the mail domain \"{}\"", self.mail_domain),
                format!("it {error}"),
            )
            .hint("set mail_domain in the configuration, or correct /etc/mailname")
        })
    }
}

/// The header has Resent- fields, but none that says to whom (the topmost of several blocks counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResentToNobody;

impl fmt::Display for ResentToNobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("resent headers without Resent-To")
    }
}

impl std::error::Error for ResentToNobody {}

/// Whom a header names, as `-t` means it: To, Cc and Bcc; where there are Resent- fields, their To, Cc and Bcc instead, those of the
/// [latest](Latest) block.
///
/// Takes names and raw values, folds included, in the order of the header; a name may have white space before the colon.
pub fn header_recipients<'h>(fields: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Result<List, ResentToNobody> {
    let (mut original, mut again) = (List::default(), None);
    let mut latest = Latest::default();
    for (name, value) in fields {
        let name = name.trim_end_matches([' ', '\t']);
        match latest.take(name) {
            Some(name) if is_one_of(name, &DESTINATION) => again.get_or_insert_with(List::default).extend(list::parse_bytes(value)),
            None if is_one_of(name, &DESTINATION) => original.extend(list::parse_bytes(value)),
            _ => {}
        }
    }
    match (latest.is_there(), again) {
        (false, _) => Ok(original),
        (true, again) => again.ok_or(ResentToNobody),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(words: &str, aliases: &str) -> Result<Vec<Recipient>, Error> {
        let (aliases, _) = Aliases::parse(aliases);
        let hosts = Hosts::new(["host.example"]);
        let mut recipients = Recipients::new("mail.example", &hosts, &aliases);
        list::parse_word(words).mailboxes.iter().try_for_each(|mailbox| recipients.add(mailbox))?;
        Ok(recipients.finish())
    }

    fn collected(words: &str, aliases: &str) -> String {
        let shown = |r: &Recipient| match &r.original {
            Some(original) => format!("{} ({original})", r.address),
            None => r.address.to_string(),
        };
        match collect(words, aliases) {
            Ok(recipients) => recipients.iter().map(shown).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{}: {error}", error.exit().code()),
        }
    }

    #[test]
    fn recipients_are_expanded_qualified_and_named_once() {
        let aliases = "root: admin@x\nbob: bob, bob@y\npair: a@x, b@x\nbad: |cmd\n";
        for (words, expected) in [
            ("", ""),
            ("carol", "carol@mail.example"),
            ("root", "admin@x (root@mail.example)"),
            ("root@localhost, root@HOST.example", "admin@x (root@mail.example)"),
            ("carol@localhost, carol@localhost.localdomain", "carol@mail.example"),
            ("carol@host.example", "carol@host.example"),
            ("root@mail.example", "root@mail.example"),
            (r"\root, root", "root@mail.example admin@x (root@mail.example)"),
            ("bob", "bob@mail.example bob@y (bob@mail.example)"),
            ("b@X, pair, b@x, B@x", "b@X a@x (pair@mail.example) B@x"),
            ("a@x, bad", "65: addressing \"bad\": the alias leads to no address"),
        ] {
            assert_eq!(collected(words, aliases), expected, "{words}");
        }
    }

    #[test]
    fn a_mail_domain_that_is_none_is_a_fault_of_the_configuration() {
        let (aliases, hosts) = (Aliases::default(), Hosts::default());
        let error = Recipients::new("no domain", &hosts, &aliases).add(&list::parse("root").mailboxes[0]).unwrap_err();
        assert_eq!(error.exit(), Exit::Config);
    }

    fn named(header: &str) -> String {
        let fields = header.split('|').filter_map(|field| field.split_once(':')).map(|(name, value)| (name, value.as_bytes()));
        match header_recipients(fields) {
            Ok(list) => {
                assert!(list.faults.is_empty());
                list.mailboxes.iter().map(|m| m.spec.to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_header_names_to_cc_and_bcc_or_the_topmost_resent_block() {
        let nobody = "resent headers without Resent-To";
        for (header, expected) in [
            ("From: f@x|TO: a@x,\r\n b@x|cc : c@x|Bcc\t: d@x|Apparently-To: e@x|Reply-To: g@x", "a@x b@x c@x d@x"),
            ("To: a@x|To: b@x", "a@x b@x"),
            ("Subject: none", ""),
            ("To: a@x|Resent-From: f@x|resent-to: r@x|Resent-Bcc: s@x", "r@x s@x"),
            ("Resent-To: r@x|To: a@x|Resent-Cc: c@x", "r@x c@x"),
            ("Resent-To: r@x|Resent-To: s@x|To: a@x", "r@x s@x"),
            ("Resent-From: f|Resent-To: r@x|Resent-From: g|Resent-To: s@x|Resent-Cc: t@x", "r@x"),
            ("Received: x|Resent-To: r@x|Received: by y|Resent-Cc: old@x|To: a@x", "r@x"),
            ("Resent-From: f@x|To: a@x", nobody),
            ("Resent-From: f@x|Resent-From: g@x|Resent-To: old@x", nobody),
            ("Resent-Date: x|Return-Path: y|Resent-To: old@x", nobody),
            ("Resent-To: |To: a@x", ""),
        ] {
            assert_eq!(named(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read(fields in prop::collection::vec(("(Resent-)?(To|Cc|Bcc|From|\u{e9}{4})", prop::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let _ = header_recipients(fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
        }

        #[test]
        fn nobody_is_named_twice_and_nobody_is_lost(words in "([abAB](@[xX])?,){0,10}") {
            let recipients = collect(&words, "a: b, c@x\nb: a@X\n").unwrap();
            let keys: BTreeSet<Key> = recipients.iter().map(|r| r.address.key()).collect();
            prop_assert_eq!(keys.len(), recipients.len());
            for mailbox in list::parse_word(&words).mailboxes {
                if let Spec::Full(address) = mailbox.spec {
                    prop_assert!(keys.contains(&address.key()));
                }
            }
        }
    }
}
