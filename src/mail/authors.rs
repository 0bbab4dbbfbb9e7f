//! Whom may a header say that it is from, where a provider takes its customers' own addresses only? (RFC 5322 3.6.2, 6409 8)

use super::{
    address::{Address, Spec},
    header,
    list::{self, List},
};

/// What an account may call itself.
#[derive(Clone, Copy)]
pub struct Authority<'a> {
    /// Whether an address, bare names included, may stand in a field that says who sent a message.
    pub covers: &'a dyn Fn(&Spec) -> bool,
    /// The address that takes the place of one that may not.
    pub address: &'a Address,
    /// The value of From with an address, where nothing of the old one can be kept.
    pub author: &'a dyn Fn(&Address) -> String,
}

impl Authority<'_> {
    /// What From, or Resent-From, has to say in place of all its `values`; `None` where they may stay, or where there are none.
    ///
    /// The name of a single author, or the comment that tells it, is kept: that is who wrote the message, whatever the address. One
    /// without a name gets the caller's.
    pub fn instead(&self, values: &[&[u8]]) -> Option<String> {
        let authors = values.iter().fold(List::default(), |mut all, value| {
            all.extend(list::parse_bytes(value));
            all
        });
        let understood = authors.faults.is_empty() && !authors.mailboxes.is_empty();
        match values {
            [] => None,
            _ if understood && authors.mailboxes.iter().all(|author| (self.covers)(&author.spec)) => None,
            [value] if understood => {
                list::readdress(&header::text(value), self.address).or_else(|| Some((self.author)(self.address)))
            }
            _ => Some((self.author)(self.address)),
        }
    }

    /// Whether this value of Sender, or Resent-Sender, may stay.
    pub fn allows(&self, value: &[u8]) -> bool {
        let senders = list::parse_bytes(value);
        let understood = senders.faults.is_empty() && !senders.mailboxes.is_empty();
        understood && senders.mailboxes.iter().all(|sender| (self.covers)(&sender.spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_authority<T>(ask: impl FnOnce(&Authority<'_>) -> T) -> T {
        let address = Address::parse("shop@x").unwrap();
        let covers = |spec: &Spec| spec.domain().is_none_or(|domain| domain == "x");
        ask(&Authority { covers: &covers, address: &address, author: &|address| format!("Me <{address}>") })
    }

    fn instead(values: &[&str]) -> Option<String> {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        with_authority(|authority| authority.instead(&values))
    }

    #[test]
    fn who_may_not_stand_in_from_is_replaced_and_the_name_stays() {
        for (value, expected) in [
            ("ann@x", None),
            ("root (Cron Daemon)", None),
            ("ann@x, bob", None),
            ("ann@y", Some("Me <shop@x>")),
            (" < ann@y > ", Some("Me <shop@x>")),
            ("ann@y (Ann)", Some("shop@x (Ann)")),
            ("\"A, Ann\" <ann@y> (work)", Some("\"A, Ann\" <shop@x> (work)")),
            ("=?utf-8?q?J=C3=B6?=\r\n <@r,@s:jo@y>", Some("=?utf-8?q?J=C3=B6?= <shop@x>")),
            ("Jörg <a . b @ y>", Some("Jörg <shop@x>")),
            ("\"Re: us\" <ann@y>", Some("\"Re: us\" <shop@x>")),
            ("Us: ann@y;", Some("Me <shop@x>")),
            ("ann@x, bob@y", Some("Me <shop@x>")),
            ("ann@y b", Some("Me <shop@x>")),
            ("<>", Some("Me <shop@x>")),
            ("(nobody)", Some("Me <shop@x>")),
            ("", Some("Me <shop@x>")),
        ] {
            assert_eq!(instead(&[value]).as_deref(), expected, "{value}");
        }
        assert_eq!(instead(&[]), None);
        assert_eq!(instead(&["ann@x", "bob"]), None);
        assert_eq!(instead(&["ann@x", "bob@y"]).as_deref(), Some("Me <shop@x>"));
        assert_eq!(instead(&["", "ann@x"]), None);
    }

    #[test]
    fn a_sender_stays_where_it_is_understood_and_covered() {
        for (value, expected) in
            [("ann@x", true), ("root", true), ("Ann <ann@y>", false), ("", false), ("a b", false), ("a@x, b@y", false)]
        {
            assert_eq!(with_authority(|authority| authority.allows(value.as_bytes())), expected, "{value}");
        }
    }
}
