//! What does the main.cf of a Postfix say that only sends, with the tables it names? (postconf(5), Postfix's documents on SASL and TLS)

use std::{collections::BTreeMap, path::Path};

use parameters::Parameters;
use tables::Lookup;

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort},
    shared,
};
use crate::host::world::World;

mod machine;
mod parameters;
mod recipients;
mod rewriting;
mod security;
mod senders;
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
    /// The domain of bare names.
    origin: String,
    /// The domains whose mail this machine delivers to itself.
    local: Vec<String>,
}

impl Source<'_> {
    /// Whether mail to this domain stays on the machine.
    fn is_local(&self, domain: &str) -> bool {
        // What stands in a table or in a file may be any domain.
        self.local.iter().any(|name| name.eq_ignore_ascii_case(domain) || name.contains([':', '/']))
    }

    /// The tables of a parameter.
    fn tables(&self, name: &str) -> Vec<Lookup> {
        self.parameters.get(name).map(|value| Lookup::all(self.texts, self.directory, &value)).unwrap_or_default()
    }
}

/// Reads main.cf.
pub(super) fn facts(world: &dyn World, texts: &dyn Texts, page: &Page) -> Facts {
    let mut facts = Facts::default();
    let source = source(world, texts, page);
    for line in &source.parameters.faults {
        facts.note(Sort::LeftOut, format!("{}:{line}: it sets no parameter", page.name()));
    }
    let hosts = relays(&source);
    let Some((first, next)) = hosts.split_first() else {
        let text = "there is no relayhost: this Postfix finds out itself who takes the mail of a domain, sealpost does not";
        facts.note(Sort::LeftOut, text);
        return facts;
    };
    facts.refusal = recipients::redirected(&source);
    if facts.refusal.is_some() {
        return facts;
    }
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
    let relays = by_sender(&source, &mut facts);
    machine::translate(&source, &mut facts);
    senders::translate(&source, &relays, &mut facts);
    recipients::translate(&source, &mut facts);
    facts
}

fn source<'a>(world: &dyn World, texts: &'a dyn Texts, page: &'a Page) -> Source<'a> {
    let parameters = Parameters::parse(&page.text).at(world.host_name());
    let written = parameters.in_force("myorigin");
    let origin = if written.starts_with('/') {
        let text = texts.read(Path::new(&written)).unwrap_or_default();
        let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
        line.map_or_else(|| parameters.in_force("myhostname"), str::to_owned)
    } else {
        written.trim().to_owned()
    };
    let local = parameters.in_force("mydestination");
    let local = local.split([',', ' ', '\t']).filter(|item| !item.is_empty()).map(str::to_owned).collect();
    Source { texts, directory: page.path.parent().unwrap_or(Path::new("")), parameters, origin, local }
}

/// Where all mail goes, the first that is said: `relayhost`, else a transport for everything.
fn relays(source: &Source<'_>) -> Vec<String> {
    let hosts = source.parameters.list("relayhost");
    if !hosts.is_empty() {
        return hosts;
    }
    let all = source.tables("transport_maps").iter().find_map(|table| table.get("*").or(table.for_all()).map(str::to_owned));
    let transport = all.or_else(|| source.parameters.get("default_transport"));
    let hop = transport.and_then(|transport| {
        let hop = transport.strip_prefix("smtp:").or_else(|| transport.strip_prefix("relay:"))?;
        (!hop.is_empty()).then(|| hop.to_owned())
    });
    hop.into_iter().collect()
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

/// Senders that have a relayhost of their own: which account each key of the table has.
fn by_sender(source: &Source<'_>, facts: &mut Facts) -> BTreeMap<String, String> {
    let mut relays = BTreeMap::new();
    for table in source.tables("sender_dependent_relayhost_maps") {
        if let Some(fault) = table.fault() {
            facts.note(Sort::LeftOut, format!("sender_dependent_relayhost_maps, {}: {fault}", table.name()));
        } else if table.has_patterns() {
            let text = format!("sender_dependent_relayhost_maps, {}: patterns are not followed", table.name());
            facts.note(Sort::LeftOut, text);
        }
        for (sender, destination) in table.lines() {
            if destination.eq_ignore_ascii_case("dunno") || destination.is_empty() || relays.contains_key(&sender.to_lowercase()) {
                continue;
            }
            let mut account = account(source, destination, Some(sender), facts);
            let is_domain = sender.starts_with('@');
            account.matches.push(if is_domain { format!("*{sender}") } else { sender.clone() });
            if !is_domain {
                account.from = Some(shared::literal(sender));
            }
            relays.insert(sender.to_lowercase(), account.name.clone());
            facts.accounts.push(account);
        }
    }
    relays
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
