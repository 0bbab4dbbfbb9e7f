//! What does the main.cf of a Postfix say that only sends, with the tables it names? (postconf(5), Postfix's documents on SASL and TLS)

use std::path::Path;

use parameters::Parameters;
use tables::Lookup;

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort},
    shared,
};

mod machine;
mod parameters;
mod security;
mod tables;

/// Whether this could be a line of main.cf.
pub(super) fn knows(line: &str) -> bool {
    let name = line.split_once('=').map(|(name, _)| name.trim()).unwrap_or_default();
    name.starts_with("smtp_")
        || name.starts_with("smtpd_")
        || ["relayhost", "myhostname", "myorigin", "mydestination", "mynetworks", "inet_interfaces", "compatibility_level"]
            .contains(&name)
}

/// What translating needs at every step.
struct Source<'a> {
    texts: &'a dyn Texts,
    directory: &'a Path,
    parameters: Parameters<'a>,
}

impl Source<'_> {
    /// The tables of a parameter.
    fn tables(&self, name: &str) -> Vec<Lookup> {
        self.parameters.get(name).map(|value| Lookup::all(self.texts, self.directory, &value)).unwrap_or_default()
    }
}

/// Reads main.cf.
pub(super) fn facts(texts: &dyn Texts, page: &Page) -> Facts {
    let mut facts = Facts::default();
    let directory = page.path.parent().unwrap_or(Path::new(""));
    let source = Source { texts, directory, parameters: Parameters::parse(&page.text) };
    for line in &source.parameters.faults {
        facts.note(Sort::LeftOut, format!("{}:{line}: it sets no parameter", page.name()));
    }
    let hosts = source.parameters.list("relayhost");
    let Some((first, next)) = hosts.split_first() else {
        let text = "there is no relayhost: this Postfix finds out itself who takes the mail of a domain, sealpost does not";
        facts.note(Sort::LeftOut, text);
        return facts;
    };
    let next =
        next.iter().cloned().chain(source.parameters.list("smtp_fallback_relay")).chain(source.parameters.list("fallback_relay"));
    let mut main = account(&source, first, None, &facts);
    let mut others: Vec<Account> = Vec::new();
    facts.default_account = Some(main.name.clone());
    for destination in next {
        let mut other = account(&source, &destination, None, &facts);
        while other.name == main.name || others.iter().any(|account| account.name == other.name) {
            other.name.push_str("-next");
        }
        main.fallback.push(other.name.clone());
        others.push(other);
    }
    facts.accounts.push(main);
    facts.accounts.extend(others);
    by_sender(&source, &mut facts);
    machine::translate(&source, &mut facts);
    facts
}

/// A next hop: `[host]:port`, `host:port`, `[host]` or `host`.
struct Hop<'a> {
    host: &'a str,
    port: String,
    /// Whether MX records are not looked up.
    bracketed: bool,
}

fn hop(destination: &str) -> Hop<'_> {
    let destination = destination.strip_prefix("smtp:").unwrap_or(destination);
    if let Some((host, rest)) = destination.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = rest.strip_prefix(':').filter(|port| !port.is_empty()).unwrap_or("25");
        return Hop { host: host.trim_start_matches("ipv6:"), port: shared::port(port), bracketed: true };
    }
    let (host, port) = destination.rsplit_once(':').unwrap_or((destination, "25"));
    Hop { host, port: shared::port(port), bracketed: false }
}

/// The account for a next hop, of all senders or of one.
fn account(source: &Source<'_>, destination: &str, sender: Option<&str>, facts: &Facts) -> Account {
    let hop = hop(destination);
    let mut name = shared::name_of_host(hop.host);
    while facts.accounts.iter().any(|account| account.name == name) {
        name.push_str("-next");
    }
    let mut account = Account { name, host: hop.host.to_owned(), port: Some(hop.port.clone()), ..Account::default() };
    if !hop.bracketed && hop.host.parse::<std::net::IpAddr>().is_err() {
        let text = format!(
            "mail went to the mail servers (MX records) of {0}; now it goes to {0} itself: name one of them, if that is not one",
            hop.host
        );
        account.note(Sort::Changed, text);
    }
    account.hello = source.parameters.get("smtp_helo_name").or_else(|| source.parameters.get("myhostname"));
    account.source_address = source.parameters.get("smtp_bind_address").or_else(|| source.parameters.get("smtp_bind_address6"));
    account.source_address = account.source_address.map(|address| address.trim_matches(['[', ']']).to_owned());
    account.login = login(source, destination, hop.host, sender, &mut account);
    security::translate(source, destination, hop.host, &mut account);
    account
}

/// Who logs in at a next hop.
fn login(source: &Source<'_>, destination: &str, host: &str, sender: Option<&str>, account: &mut Account) -> Option<Login> {
    if !source.parameters.is_on("smtp_sasl_auth_enable") {
        return None;
    }
    let tables = source.tables("smtp_sasl_password_maps");
    for table in &tables {
        if let Some(fault) = table.fault() {
            account.note(Sort::LeftOut, format!("the login in {}: {fault}", table.name()));
        }
    }
    let found = |key: &str| tables.iter().find_map(|table| table.get(key)).map(str::to_owned);
    let by_sender = source.parameters.is_on("smtp_sender_dependent_authentication");
    let keys = sender.filter(|_| by_sender).into_iter().chain([destination, host]);
    let entry = zeroize::Zeroizing::new(keys.into_iter().find_map(found)?);
    let (user, password) = entry.split_once(':').unwrap_or((&entry, ""));
    let mechanism = mechanism(&source.parameters.list("smtp_sasl_mechanism_filter"));
    if matches!(mechanism.as_deref(), Some("XOAUTH2" | "OAUTHBEARER")) {
        let text = "its access token, which a plug-in of SASL gets: name a token_command, or let sealpost get tokens itself (sealpost setup)";
        account.note(Sort::LeftOut, text);
        return Some(Login { user: user.to_owned(), mechanism: None, secret: super::facts::Source::Unsaid });
    }
    let secret = shared::password(password, account);
    Some(Login { user: user.to_owned(), mechanism, secret })
}

/// The one mechanism that a filter leaves.
fn mechanism(filter: &[String]) -> Option<String> {
    let allowed: Vec<String> = filter
        .iter()
        .map(|name| name.to_ascii_uppercase())
        .filter(|name| !name.starts_with('!') && name != "STATIC:REST")
        .collect();
    match allowed.as_slice() {
        [one] if !one.contains([':', '/']) => Some(one.clone()),
        _ => None,
    }
}

/// Senders that have a relayhost of their own.
fn by_sender(source: &Source<'_>, facts: &mut Facts) {
    for table in source.tables("sender_dependent_relayhost_maps") {
        if let Some(fault) = table.fault() {
            facts.note(Sort::LeftOut, format!("sender_dependent_relayhost_maps, {}: {fault}", table.name()));
        }
        for (sender, destination) in table.lines() {
            if destination.eq_ignore_ascii_case("dunno") || destination.is_empty() {
                continue;
            }
            let mut account = account(source, destination, Some(sender), facts);
            let is_domain = sender.starts_with('@');
            account.matches.push(if is_domain { format!("*{sender}") } else { sender.clone() });
            if !is_domain {
                account.from = Some(sender.clone());
            }
            facts.accounts.push(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_hop_is_a_host_maybe_in_brackets_and_maybe_a_port() {
        for (written, host, port, bracketed) in [
            ("[smtp.example.com]:587", "smtp.example.com", "587", true),
            ("[smtp.example.com]:submission", "smtp.example.com", "587", true),
            ("[smtp.example.com]", "smtp.example.com", "25", true),
            ("smtp.example.com:2525", "smtp.example.com", "2525", false),
            ("example.com", "example.com", "25", false),
            ("[192.0.2.1]:smtps", "192.0.2.1", "465", true),
            ("[ipv6:2001:db8::1]:25", "2001:db8::1", "25", true),
            ("smtp:[a.example]", "a.example", "25", true),
        ] {
            let hop = hop(written);
            assert_eq!((hop.host, hop.port.as_str(), hop.bracketed), (host, port, bracketed), "{written}");
        }
    }
}
