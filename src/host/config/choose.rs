//! Which account does a message take?

use super::{
    Account, Config,
    spelling::{listed, nearest},
    values::{self, Fault, shown},
};
use crate::error::{Error, Exit};

impl Config {
    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The account for a message: `wanted` (`-a`), else the first whose `match` fits `sender` (`-f`), else the default.
    ///
    /// # Errors
    /// No account has the wanted name; several exist and nothing says which.
    pub fn choose(&self, wanted: Option<&str>, sender: Option<&str>) -> Result<&Account, Error> {
        self.choose_for(wanted, sender, None)
    }

    /// The same for who has the login `caller`: an account that names them in `from_by_user` is theirs, where nobody asks for an account
    /// or a sender; of several the default one, else the first.
    ///
    /// # Errors
    /// As [`Config::choose`].
    pub fn choose_for(&self, wanted: Option<&str>, sender: Option<&str>, caller: Option<&str>) -> Result<&Account, Error> {
        let error = |fault: Fault| {
            let error = Error::new(Exit::Config, "choosing an account", fault.because);
            error.hint(fault.hint.unwrap_or_default())
        };
        let all: Vec<&str> = self.accounts.iter().map(|account| account.name.as_str()).collect();
        if let Some(wanted) = wanted {
            return self.account(wanted).ok_or_else(|| error(unknown(wanted, &all)));
        }
        let fits =
            |account: &&Account| sender.is_some_and(|sender| account.matches.iter().any(|pattern| values::fits(pattern, sender)));
        if let Some(account) = self.accounts.iter().find(fits) {
            return Ok(account);
        }
        let default = self.default_account.as_deref().and_then(|name| self.account(name));
        let caller = caller.filter(|_| sender.is_none());
        let names = |account: &&Account| caller.is_some_and(|caller| account.senders.names(caller));
        let own = default.filter(names).or_else(|| self.accounts.iter().find(names));
        own.or(default).ok_or_else(|| {
            let fault = Fault::new("there are several, and nothing says which");
            error(fault.hint(format!("set `default_account`, or choose with -a: {}", listed(all.iter().copied(), "or"))))
        })
    }
}

impl Account {
    /// Whether the account may be used for `sender`: its own `from`, or what `match` covers.
    pub fn covers(&self, sender: &str) -> bool {
        let own = self.from.as_ref().is_some_and(|from| from.to_string().eq_ignore_ascii_case(sender));
        own || self.matches.iter().any(|pattern| values::fits(pattern, sender))
    }
}

/// What is wrong with a name that no account has.
pub(super) fn unknown(name: &str, names: &[&str]) -> Fault {
    let fault = Fault::new(format!("there is no account {}", shown(name)));
    let all = listed(names.iter().copied(), "and");
    let all = if names.len() == 1 { format!("the only account is {all}") } else { format!("the accounts are {all}") };
    match nearest(name, names.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`? {all}")),
        None => fault.hint(all),
    }
}
