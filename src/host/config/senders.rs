//! As whom does an account send, for whoever calls? (`from`, `from_by_user`; sealpost.toml(5))

use std::collections::BTreeMap;

use super::{
    section::Section,
    values::{self, Fault, shown},
};
use crate::{
    error::{Error, Exit},
    mail::address::Address,
};

/// The addresses of an account as they are written: `%U` in them is the caller's login, `%H` the host's full name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    everybody: Option<String>,
    by_user: BTreeMap<String, String>,
}

impl Senders {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, Error> {
        let everybody = section.parsed("from", template)?.map(|found| found.value);
        Ok(Self { everybody, by_user: section.map("from_by_user", template)?.into_iter().collect() })
    }

    /// The address of who has this login; `None` where the account has none.
    ///
    /// # Errors
    /// What a placeholder stands for can't be in an address (`EX_CONFIG`).
    pub fn address(&self, login: impl Fn() -> String, host: impl Fn() -> String) -> Result<Option<Address>, Error> {
        let own = if self.by_user.is_empty() { None } else { self.by_user.get(&login()) };
        let Some(written) = own.or(self.everybody.as_ref()) else { return Ok(None) };
        let filled = fill(written, &login, &host).unwrap_or_else(|_| written.clone());
        let address = Address::parse(&filled).map_err(|why| {
            Error::new(Exit::Config, format!("making the sender of {} for {}", shown(written), login()), format!("{filled} {why}"))
                .hint("name an address for this user in from_by_user")
        })?;
        Ok(Some(address))
    }

    /// Whether who has this login has an address of its own.
    pub(super) fn names(&self, login: &str) -> bool {
        self.by_user.contains_key(login)
    }

    /// Whether `from` is written.
    pub(super) fn is_written(&self) -> bool {
        self.everybody.is_some()
    }
}

/// Text that is an address once its placeholders are filled.
fn template(text: &str) -> Result<String, Fault> {
    let example = fill(text, || "user".to_owned(), || "host.example.com".to_owned())?;
    values::address(&example).map(|_| text.to_owned())
}

fn fill(text: &str, login: impl Fn() -> String, host: impl Fn() -> String) -> Result<String, Fault> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '%' { rest.next() } else { None }) {
            ('%', Some('U')) => filled.push_str(&login()),
            ('%', Some('H')) => filled.push_str(&host()),
            ('%', Some('%')) => filled.push('%'),
            ('%', _) => {
                let fault = Fault::new(format!("{} has a % that stands for nothing", shown(text)));
                return Err(fault.hint("%U is the caller's login, %H the host's full name, %% a percent sign"));
            }
            (other, _) => filled.push(other),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn senders(everybody: &str, by_user: &[(&str, &str)]) -> Senders {
        let by_user = by_user.iter().map(|(user, address)| ((*user).to_owned(), (*address).to_owned())).collect();
        Senders { everybody: Some(everybody.to_owned()), by_user }
    }

    #[test]
    fn placeholders_stand_for_the_caller_and_the_host() {
        for (text, expected) in [
            ("cron@example.com", Ok("cron@example.com")),
            ("%U@example.com", Ok("alice@example.com")),
            ("ops+%U-%H@example.com", Ok("ops+alice-web.example@example.com")),
            ("%U@%H", Ok("alice@web.example")),
            ("a%%b@example.com", Ok("a%b@example.com")),
            ("%%U@example.com", Ok("%U@example.com")),
            ("%u@example.com", Err("stands for nothing")),
            ("%U", Err("not a mail address")),
            ("a%", Err("stands for nothing")),
            ("100%@example.com", Err("stands for nothing")),
        ] {
            let made = template(text).map(|text| {
                senders(&text, &[]).address(|| "alice".to_owned(), || "web.example".to_owned()).unwrap().unwrap().to_string()
            });
            match expected {
                Ok(address) => assert_eq!(made.ok().as_deref(), Some(address), "{text}"),
                Err(why) => assert!(made.unwrap_err().because.contains(why), "{text}"),
            }
        }
    }

    #[test]
    fn a_user_of_the_map_has_an_address_of_its_own_and_a_login_that_fits_in_none_is_an_error() {
        let senders = senders("%U@example.com", &[("root", "ops@example.com"), ("www", "web-%H@example.com")]);
        let address = |login: &str| senders.address(|| login.to_owned(), || "h.example".to_owned());
        assert_eq!(address("root").unwrap().unwrap().to_string(), "ops@example.com");
        assert_eq!(address("www").unwrap().unwrap().to_string(), "web-h.example@example.com");
        assert_eq!(address("bob").unwrap().unwrap().to_string(), "bob@example.com");
        assert_eq!(address("two words").unwrap_err().exit(), Exit::Config);
        assert_eq!(Senders::default().address(String::new, String::new), Ok(None));
    }
}
