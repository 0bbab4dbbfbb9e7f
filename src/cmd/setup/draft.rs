//! What does a new account look like in the configuration, and the configuration with it? (sealpost.toml(5))

use std::fmt::Write as _;

use super::login::{Keep, Login};
use crate::{
    error::{Error, Exit},
    host::config::{Config, grow::SECRETS, quoted},
    mail::policy::Start,
};

/// A name that nobody gives an account.
const ANY: &str = "no-account-at-all";

/// A new account, before it is written.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) start: Start,
    pub(super) from: String,
    /// No other sender is accepted.
    pub(super) strict: bool,
    pub(super) hello: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) pin: Option<String>,
    pub(super) mechanism: Option<&'static str>,
    pub(super) login: Login,
    /// The name of its file in the directory of secrets.
    pub(super) secret_name: String,
    /// What is said of it in a comment.
    pub(super) remark: String,
}

impl Draft {
    /// Its tables.
    pub(super) fn text(&self) -> String {
        let mut text = format!("# {}\n[accounts.{}]\n", self.remark, self.name);
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "{key} = {value}");
        };
        line("host", &quoted(&self.host));
        line("port", &self.port.to_string());
        // What looks like %U there is part of the address.
        line("from", &quoted(&self.from.replace('%', "%%")));
        if self.strict {
            line("from_policy", "\"fixed\"");
            line("rewrite_from", "true");
        }
        for (key, value) in [("hello", &self.hello), ("proxy", &self.proxy)] {
            if let Some(value) = value {
                line(key, &quoted(value));
            }
        }
        let _ = write!(text, "\n[accounts.{}.tls]\npolicy = \"required\"\nstart = \"{}\"\n", self.name, self.start.as_str());
        if let Some(pin) = &self.pin {
            let _ = writeln!(text, "trust = \"pin\"\npins = [{}]", quoted(pin));
        }
        if let Some(file) = &self.ca_file {
            let _ = writeln!(text, "ca_file = {}", quoted(file));
        }
        self.auth(&mut text);
        text
    }

    fn auth(&self, text: &mut String) {
        let user = match &self.login {
            Login::Nothing => return,
            Login::Password { user, .. } | Login::OAuth { user, .. } => user,
        };
        let _ = write!(text, "\n[accounts.{}.auth]\nuser = {}\n", self.name, quoted(user));
        if let Some(mechanism) = self.mechanism {
            let _ = writeln!(text, "mechanism = \"{mechanism}\"");
        }
        match &self.login {
            Login::Nothing => {}
            Login::Password { keep, .. } => text.push_str(&self.place("password_file", keep)),
            Login::OAuth { provider, client, secret, .. } => {
                let _ = write!(
                    text,
                    "\n[accounts.{}.auth.oauth]\nprovider = \"{provider}\"\nclient_id = {}\n",
                    self.name,
                    quoted(client)
                );
                if let Some(keep) = secret {
                    text.push_str(&self.place("client_secret_file", keep));
                }
            }
        }
    }

    fn place(&self, key: &str, keep: &Keep) -> String {
        match keep {
            Keep::At(path) => format!("{key} = {}\n", quoted(&path.display().to_string())),
            // Beside the configuration, wherever that is.
            Keep::File(_) => format!("{key} = {}\n", quoted(&format!("{SECRETS}/{}", self.secret_name))),
            Keep::Keyring(_) => "keyring = true\n".to_owned(),
        }
    }
}

/// A configuration with another account, or with its first one; `parse` reads what came of it. `before` is the text that is there, and what
/// it means, if it has an account.
///
/// # Errors
/// It can't be had by adding to it.
pub(super) fn grown(
    before: Option<(&str, Option<&Config>)>,
    account: &str,
    queue: Option<&str>,
    parse: impl Fn(&str) -> Result<Config, Error>,
) -> Result<(String, Config), Error> {
    let queue = queue.map(|mode| format!("\n[queue]\nmode = \"{mode}\"\n"));
    let Some((text, config)) = before else {
        let text = format!("# The configuration of sealpost: see sealpost.toml(5).\n\n{account}{}", queue.unwrap_or_default());
        let config = parse(&text)?;
        return Ok((text, config));
    };
    let is_so = |queue: &String| config.is_some_and(|config| queue.contains(&format!("\"{}\"", config.queue.mode.as_str())));
    let queue = queue.filter(|queue| !is_so(queue));
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let whole = format!("{text}{end}\n{account}{}", queue.as_deref().unwrap_or_default());
    let add = |error: Error| {
        let because = format!("the account can't be added at its end: {}", error.because());
        let hint = if queue.is_some() {
            "if it has a table [queue], set the mode there, and leave --queue out"
        } else {
            "add the account yourself: see sealpost.toml(5)"
        };
        Error::new(Exit::Config, "growing the configuration", because).hint(hint)
    };
    let after = parse(&whole).map_err(add)?;
    match (config.and_then(|config| config.default_account.as_ref()), &after.default_account) {
        // The only account was the default one without a word.
        (Some(only), None) => {
            let whole = with_default(&whole, only);
            let after = parse(&whole).map_err(add)?;
            Ok((whole, after))
        }
        _ => Ok((whole, after)),
    }
}

/// The text with an account of no meaning, which shows whether an account is all that it lacks.
pub(super) fn with_any_account(text: &str) -> String {
    format!("{text}\n[accounts.{ANY}]\nhost = \"{ANY}.invalid\"\n")
}

/// The text with a `default_account`, above the first line that is no comment.
fn with_default(text: &str, account: &str) -> String {
    let is_remark = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let at: usize = text.split_inclusive('\n').take_while(is_remark).map(str::len).sum();
    let (head, rest) = text.split_at(at);
    format!("{head}default_account = {}\n{rest}", quoted(account))
}

#[cfg(test)]
mod tests;
