//! Which messages of the queue does somebody mean? (sealpost(1), "sealpost queue"; sendmail(8), -q)

use clap::Args;
use jiff::Timestamp;

use super::listed::Listed;
use crate::{
    cmd::{
        sendmail::{Match, What},
        when::When,
    },
    error::{Error, Exit},
    host::{journal::Id, world::World},
};

/// What a message must be; what is not given demands nothing.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Whose envelope sender has this in it
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// That wait for a recipient whose address has this in it
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// That came before this: 2h, 3d, yesterday, 2026-11-23
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    older_than: Option<When>,
}

/// The same, with the moment that is meant.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    filter: Filter,
    before: Option<Timestamp>,
}

impl Filter {
    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.account.is_none() && self.older_than.is_none()
    }

    /// With `now` for the times.
    pub fn wanted(&self, world: &dyn World) -> Wanted {
        let before = self.older_than.as_ref().map(|when| when.resolve(&world.now(), false));
        Wanted { filter: self.clone(), before }
    }
}

impl Wanted {
    /// Whether a message is meant.
    pub fn admits(&self, listed: &Listed) -> bool {
        let Filter { from, to, account, older_than: _ } = &self.filter;
        from.as_ref().is_none_or(|part| contains(&listed.from, part))
            && to.as_ref().is_none_or(|part| has_recipient(listed, part))
            && account.as_ref().is_none_or(|name| *name == listed.account)
            && self.before.is_none_or(|before| listed.arrived < before)
    }
}

/// Whether a message is meant by conditions: of those that look at the same thing one must hold, and so for each thing.
pub fn admits(matches: &[Match], listed: &Listed) -> bool {
    [What::Id, What::Recipient, What::Sender].into_iter().all(|what| {
        let mut of_this = matches.iter().filter(|one| one.what == what).peekable();
        of_this.peek().is_none() || of_this.any(|one| holds(one, listed))
    })
}

fn holds(condition: &Match, listed: &Listed) -> bool {
    let holds = match condition.what {
        What::Id => listed.id.to_string().contains(&condition.part.to_ascii_uppercase()),
        What::Recipient => has_recipient(listed, &condition.part),
        What::Sender => contains(&listed.from, &condition.part),
    };
    holds != condition.not
}

/// The beginning or the end of a name, as somebody types it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short(String);

impl Short {
    /// Reads it.
    ///
    /// # Errors
    /// It can't be part of a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_part = (1..=26).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
        if is_part { Ok(Self(text.to_ascii_uppercase())) } else { Err("this is no id of a message, nor a part of one".to_owned()) }
    }

    /// Whether it may mean this message.
    pub fn means(&self, id: Id) -> bool {
        let name = id.to_string();
        name.starts_with(&self.0) || name.ends_with(&self.0)
    }

    /// The only one of the names that it may mean; `None`: it means none of them.
    ///
    /// # Errors
    /// It means several.
    pub fn find<T: Copy>(&self, names: impl Iterator<Item = (Id, T)>) -> Result<Option<(Id, T)>, Error> {
        let mut found = names.filter(|(id, _)| self.means(*id)).collect::<Vec<_>>();
        found.dedup_by_key(|(id, _)| *id);
        match found.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            [(one, _), (other, _), ..] => {
                let because = format!("{} messages are called so, {one} and {other} among them", found.len());
                Err(Error::new(Exit::Usage, format!("looking for message {}", self.0), because).hint("write more of the id"))
            }
        }
    }
}

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn has_recipient(listed: &Listed, part: &str) -> bool {
    // Of what failed for good nobody waits any more.
    let waits = listed.waiting().any(|_| true);
    let meant = |one: &&super::listed::Stands| !waits || one.status == super::listed::Fate::Waiting;
    listed.recipients.iter().filter(meant).any(|one| contains(&one.address, part))
}

/// Domains have no case, and of local parts nobody remembers it.
fn contains(address: &str, part: &str) -> bool {
    address.to_lowercase().contains(&part.to_lowercase())
}
