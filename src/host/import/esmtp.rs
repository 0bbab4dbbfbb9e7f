//! What does an esmtprc say: a default, and identities? (esmtprc(5))

use super::{
    Page,
    facts::{Account, Facts, Login, Sort, Table, Wanted},
    shared,
};

/// The options.
const KEYWORDS: [&str; 14] = [
    "hostname",
    "username",
    "password",
    "starttls",
    "certificate_passphrase",
    "helo",
    "qualifydomain",
    "force",
    "message_id",
    "preconnect",
    "identity",
    "default",
    "mda",
    "force_mda",
];

/// Whether esmtp would know what this line is.
pub(super) fn knows(line: &str) -> bool {
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
    KEYWORDS.contains(&line.get(..end).unwrap_or_default())
}

/// Reads esmtprc.
pub(super) fn facts(page: &Page) -> Facts {
    let mut facts = Facts::default();
    let mut identities = vec![Identity::default()];
    for option in options(page, &mut facts) {
        if option.keyword == "identity" {
            identities.push(Identity { address: Some(option.value), ..Identity::default() });
        } else if let Some(identity) = identities.last_mut() {
            identity.options.push(option);
        }
    }
    // Without options before the first identity that one is the default.
    if identities.first().is_some_and(|default| default.get("hostname").is_none()) && identities.len() > 1 {
        let general = identities.remove(0);
        machine(&general, &mut facts);
    }
    for identity in &identities {
        let account = account(identity, &mut facts);
        facts.default_account.get_or_insert_with(|| account.name.clone());
        facts.accounts.push(account);
        machine(identity, &mut facts);
    }
    facts
}

/// The options of one identity; the default one has no address.
#[derive(Default)]
struct Identity {
    address: Option<String>,
    options: Vec<Setting>,
}

struct Setting {
    keyword: &'static str,
    /// What is forced, with `force`.
    what: String,
    value: String,
}

impl Identity {
    fn get(&self, keyword: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|option| option.keyword == keyword);
        found.map(|option| option.value.as_str()).filter(|value| !value.is_empty())
    }

    fn forced(&self, what: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|option| option.keyword == "force" && option.what == what);
        found.map(|option| option.value.as_str())
    }
}

fn account(identity: &Identity, facts: &mut Facts) -> Account {
    let written = identity.get("hostname").unwrap_or("localhost");
    let (host, port) = written.rsplit_once(':').unwrap_or((written, "587"));
    let name = identity.address.as_deref().map_or_else(|| shared::name_of_host(host), shared::name);
    let taken = facts.accounts.iter().filter(|account| account.name == name).count();
    let name = if taken == 0 { name } else { format!("{name}-{}", facts.accounts.len()) };
    let mut account = Account { name, host: host.to_owned(), port: Some(shared::port(port)), ..Account::default() };
    account.hello = identity.get("helo").map(str::to_owned);
    account.tls.wanted = match identity.get("starttls") {
        Some("required") => Wanted::Always,
        Some("enabled") => Wanted::Perhaps,
        _ => Wanted::Never,
    };
    if let Some(address) = &identity.address {
        account.from = Some(shared::literal(address));
        account.matches.push(address.clone());
    }
    if let Some(path) = identity.forced("reverse_path") {
        account.from = Some(template(path));
        account.from_policy = Some("fixed");
    }
    if let Some(user) = identity.get("username") {
        let secret = shared::password(identity.get("password").unwrap_or_default(), &mut account);
        account.login = Some(Login { user: user.to_owned(), mechanism: None, secret });
    }
    if identity.get("certificate_passphrase").is_some() {
        account.note(Sort::LeftOut, "certificate_passphrase: a key for client_key has none here");
    }
    if identity.forced("sender").is_some() {
        account.note(Sort::LeftOut, "force sender: the Sender of a mail stays as it is");
    }
    if let Some(command) = identity.get("preconnect") {
        let text = format!("preconnect, whose command was not run: `{command}`. Let a service of its own keep the way open");
        account.note(Sort::LeftOut, text);
    }
    account
}

/// A sender in our words: `%u` is the caller, `%%` a percent sign.
fn template(path: &str) -> String {
    let mut template = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        template += before;
        template += if after.starts_with('u') { "%U" } else { "%%" };
        rest = after.strip_prefix(['u', '%']).unwrap_or(after);
    }
    template + rest
}

/// What is for all mail, whichever identity says it.
fn machine(identity: &Identity, facts: &mut Facts) {
    let own = identity.forced("reverse_path").and_then(|path| path.strip_prefix("%u@"));
    if let Some(domain) = identity.get("qualifydomain").or(own) {
        facts.set(Table::Top, "mail_domain", domain);
    }
    if identity.get("mda").is_some() || identity.get("force_mda").is_some() {
        facts.note(
            Sort::LeftOut,
            "mda: mail to local users is not put into mailboxes here, but sent to the server or to their aliases",
        );
    }
    if identity.get("message_id") == Some("disabled") {
        facts.note(Sort::LeftOut, "message_id disabled: a Message-ID that is missing is added (RFC 6409 8.3)");
    }
}

/// The options in their order.
fn options(page: &Page, facts: &mut Facts) -> Vec<Setting> {
    let mut options = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        let mut rest = line.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        let word = |rest: &mut &str| {
            let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            *rest = after.trim_start();
            word.to_owned()
        };
        let first = word(&mut rest);
        let Some(keyword) = KEYWORDS.iter().find(|known| **known == first).copied() else {
            facts.note(Sort::LeftOut, format!("{}:{}: esmtp has no such option", page.name(), index + 1));
            continue;
        };
        let what = if keyword == "force" { word(&mut rest) } else { String::new() };
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        options.push(Setting { keyword, what, value: value(rest) });
    }
    options
}

/// A value: in quotes with the escapes of C, or a word.
fn value(text: &str) -> String {
    let Some(quote) = text.chars().next().filter(|c| ['"', '\''].contains(c)) else {
        let end = text.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(text.len());
        return text.get(..end).unwrap_or_default().to_owned();
    };
    let mut value = String::new();
    let mut chars = text.chars().skip(1);
    while let Some(c) = chars.next().filter(|c| *c != quote) {
        value.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(c) => c,
                None => break,
            },
            c => c,
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_word_or_stands_in_quotes() {
        for (text, expected) in
            [("smtp:25 # x", "smtp:25"), ("\"a \\\"b\\\" #c\" d", "a \"b\" #c"), ("'it\\'s'", "it's"), ("", ""), ("\"open", "open")]
        {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
