//! What does an ssmtp.conf say, with the revaliases beside it? (ssmtp.conf(5), ssmtp(8))

use std::collections::BTreeMap;

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort, Source, Table, Trust, Wanted},
    shared,
};

/// The keywords, in lower case.
const KEYWORDS: [&str; 22] = [
    "root",
    "mailhub",
    "rewritedomain",
    "hostname",
    "fromlineoverride",
    "usetls",
    "usestarttls",
    "usetlscert",
    "tlscert",
    "tlskey",
    "tls_ca_file",
    "tls_ca_dir",
    "authuser",
    "authpass",
    "authmethod",
    "useoldauth",
    "debug",
    "minuserid",
    "port",
    "remoteport",
    "addheader",
    "sender",
];

/// Where the certificate for `UseTLSCert` is, where nothing else is said.
const CERTIFICATE: &str = "/etc/ssl/certs/ssmtp.pem";

/// Whether ssmtp would know what this line is.
pub(super) fn knows(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| KEYWORDS.contains(&key.trim().to_ascii_lowercase().as_str()))
}

/// Reads ssmtp.conf, and revaliases in the same directory.
pub(super) fn facts(texts: &dyn Texts, page: &Page) -> Facts {
    let mut facts = Facts::default();
    let said = said(page, &mut facts);
    let get = |key: &str| said.get(key).copied().filter(|value| !value.is_empty());
    let word = |key: &str| get(key).map(|value| value.split([' ', '\t', '#']).next().unwrap_or_default());
    let is_on = |key: &str| word(key).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let hub = Hub::parse(word("mailhub").unwrap_or("mailhub"), word("remoteport"));
    let mut account = hub.account();
    account.hello = word("hostname").map(str::to_owned);
    // Of an address ssmtp takes the domain.
    let domain = word("rewritedomain").and_then(|domain| domain.rsplit('@').next()).or(word("hostname"));
    if let Some(domain) = domain {
        facts.set(Table::Top, "mail_domain", domain);
    }
    tls(&mut account, &is_on, &word);
    if let (Some(user), method) = (word("authuser"), word("authmethod").map(str::to_ascii_uppercase)) {
        let secret = password(get("authpass").unwrap_or_default(), &mut account);
        account.login = Some(Login { user: user.to_owned(), mechanism: method.filter(|method| method == "CRAM-MD5"), secret });
    }
    let reverse = texts.read(&page.path.with_file_name("revaliases")).map(|text| reverse(&text, &hub)).unwrap_or_default();
    sender(is_on("fromlineoverride"), domain, !reverse.is_empty(), &mut account);
    facts.default_account = Some(account.name.clone());
    facts.accounts.push(account);
    by_user(reverse, &hub, domain, &mut facts);
    root(word("root"), domain, &mut facts);
    shared::no_aliases(texts, &mut facts, "ssmtp had no aliases, so neither has this");
    if get("addheader").is_some() {
        facts.note(Sort::LeftOut, "AddHeader: no field is added to a mail");
    }
    facts
}

/// What counts of several lines for one key: the last, but of a login the first. A password may have anything in it, so nothing is
/// cut off here.
fn said<'a>(page: &'a Page, facts: &mut Facts) -> BTreeMap<String, &'a str> {
    let mut said = BTreeMap::new();
    for (index, line) in page.text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=').map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim())) {
            Some((key, value)) if ["authuser", "authpass", "authmethod"].contains(&key.as_str()) => {
                said.entry(key).or_insert(value);
            }
            Some((key, value)) if KEYWORDS.contains(&key.as_str()) => {
                // Whoever switches TLS off switches STARTTLS off with it.
                if key == "usetls" && !value.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("yes")) {
                    said.remove("usestarttls");
                }
                said.insert(key, value);
            }
            _ => facts.note(Sort::LeftOut, format!("{}:{}: ssmtp has no such keyword", page.name(), index + 1)),
        }
    }
    said
}

/// A server, as `host` or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hub {
    host: String,
    port: String,
}

impl Hub {
    fn parse(text: &str, usual: Option<&str>) -> Self {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
            _ => (text, usual.unwrap_or("25")),
        };
        Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port: shared::port(port) }
    }

    fn account(&self) -> Account {
        let name = shared::name_of_host(&self.host);
        Account { name, host: self.host.clone(), port: Some(self.port.clone()), ..Account::default() }
    }
}

fn tls<'a>(account: &mut Account, is_on: &dyn Fn(&str) -> bool, word: &dyn Fn(&str) -> Option<&'a str>) {
    // UseSTARTTLS alone has ssmtp speak TLS too.
    if !is_on("usetls") && !is_on("usestarttls") {
        return;
    }
    account.tls.wanted = Wanted::Always;
    account.tls.implicit = !is_on("usestarttls");
    account.tls.trust = Trust::Unchecked;
    account.tls.ca_file = word("tls_ca_file").filter(|file| !shared::is_system_store(file)).map(str::to_owned);
    if word("tls_ca_dir").is_some_and(|directory| !shared::is_system_store(directory)) {
        account.note(Sort::LeftOut, "TLS_CA_Dir: ca_file names one file with all authorities");
    }
    if is_on("usetlscert") || word("tlscert").is_some() {
        account.tls.client_cert = Some(word("tlscert").unwrap_or(CERTIFICATE).to_owned());
        account.tls.client_key = word("tlskey").map(str::to_owned);
    }
}

/// A password ends where a comment begins behind a space. ssmtp itself stops at the first space, and gets nowhere with such a password.
fn password(text: &str, account: &mut Account) -> Source {
    let comment = text.match_indices('#').map(|(at, _)| at).find(|at| text[..*at].ends_with([' ', '\t']));
    let text = text.get(..comment.unwrap_or(text.len())).unwrap_or_default().trim_end();
    if text.contains([' ', '\t']) {
        account.note(Sort::Changed, "the password has spaces in it: all of it is taken, where ssmtp stopped at the first");
    }
    shared::password(text, account)
}

/// Whose mail it is: with ssmtp no caller chooses the sender of the envelope, only the one in the header.
fn sender(overridden: bool, domain: Option<&str>, has_reverse: bool, account: &mut Account) {
    if overridden {
        let text = "FromLineOverride: the address in From was the sender of the envelope too, whatever -f said; now that is what -f says, \
                    else `from`. sendmail --read-envelope-from takes it from From";
        return account.note(Sort::Changed, text);
    }
    let from = domain.map(|domain| format!("%U@{}", shared::literal(domain))).or(has_reverse.then(|| "%U@%H".to_owned()));
    account.from_policy = Some(if from.is_some() { "fixed" } else { "login" });
    account.from = from;
    let text = "a From that a mail has stays, as with the ssmtp of Debian; others put the sender of the envelope into it, which \
                rewrite_from = true does";
    account.note(Sort::Changed, text);
}

/// A line of revaliases.
struct Reverse {
    login: String,
    address: String,
    hub: Hub,
}

/// `login:address:hub:port`: who a local user is to others, and by which server.
fn reverse(text: &str, main: &Hub) -> Vec<Reverse> {
    let line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let (login, rest) = line.split_once(':')?;
        let mut fields = rest.split(':').map(|field| field.split_whitespace().next().unwrap_or_default());
        let address = fields.next().filter(|address| !address.is_empty())?.to_owned();
        // A server without a port has that of mailhub.
        let mut more = fields.filter(|field| !field.is_empty());
        let hub = more.next().map(|host| Hub::parse(host, more.next().or(Some(&main.port))));
        Some(Reverse { login: login.trim().to_owned(), address, hub: hub.unwrap_or_else(|| main.clone()) })
    };
    text.lines().filter_map(line).collect()
}

/// Users who are somebody else to others, some of them by a server of their own, which has the same TLS and the same login.
fn by_user(entries: Vec<Reverse>, main: &Hub, domain: Option<&str>, facts: &mut Facts) {
    let mut hubs = vec![main.clone()];
    if entries.iter().any(|entry| entry.hub != *main) {
        let text = "revaliases: mail of a user with a server of its own goes by that, except where -f is given";
        facts.note(Sort::Changed, text);
    }
    for Reverse { login, address, hub } in entries {
        let Some(address) = shared::whole(&address, domain) else {
            facts.note(Sort::LeftOut, format!("revaliases of {login}: its address is none"));
            continue;
        };
        let at = hubs.iter().position(|known| *known == hub).unwrap_or_else(|| {
            let fresh = facts.accounts.first().map(|first| of_hub(first, &hub, facts));
            facts.accounts.extend(fresh);
            hubs.push(hub);
            hubs.len() - 1
        });
        // The last line for a user counts.
        for account in &mut facts.accounts {
            account.from_by_user.remove(&login);
        }
        if let Some(account) = facts.accounts.get_mut(at) {
            account.from_by_user.insert(login, shared::literal(&address));
        }
    }
}

/// An account like the first one at another server.
fn of_hub(first: &Account, hub: &Hub, facts: &Facts) -> Account {
    let login = first.login.as_ref().map(|login| Login {
        user: login.user.clone(),
        mechanism: login.mechanism.clone(),
        secret: match &login.secret {
            Source::Password(secret) => Source::Password(secret.clone()),
            _ => Source::Unsaid,
        },
    });
    let bare = hub.account();
    Account {
        name: facts.free_name(&bare.name),
        from: first.from.clone(),
        from_policy: first.from_policy,
        hello: first.hello.clone(),
        tls: first.tls.clone(),
        login,
        ..bare
    }
}

/// Who gets the mail of the system's users.
fn root(root: Option<&str>, domain: Option<&str>, facts: &mut Facts) {
    let Some(root) = root else { return };
    match shared::whole(root, domain) {
        Some(address) => {
            facts.set(Table::Top, "catch_all", address);
            let text = "root: it gets the mail of every name without a domain now, and with ssmtp only that of users with a number below 1000; \
                        an alias file can name others";
            facts.note(Sort::Changed, text);
        }
        None => facts.note(Sort::LeftOut, format!("root={root}: it is no whole address; write one as catch_all")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_a_host_and_maybe_a_port() {
        for (hub, host, port) in [
            ("mail", "mail", "25"),
            ("smtp.example.com:587", "smtp.example.com", "587"),
            ("smtp.example.com:submission", "smtp.example.com", "587"),
            ("192.0.2.1:465", "192.0.2.1", "465"),
            ("[2001:db8::1]:25", "2001:db8::1", "25"),
            ("2001:db8::1", "2001:db8::1", "25"),
        ] {
            let parsed = Hub::parse(hub, None);
            assert_eq!((parsed.host.as_str(), parsed.port.as_str()), (host, port), "{hub}");
        }
    }

    #[test]
    fn a_password_keeps_what_would_begin_a_comment_elsewhere() {
        let text = "mailhub=x.example\nAuthUser=me # not this\nAuthPass=a#b=c:d\n".to_owned();
        let texts = super::super::Below("/nonexistent".into());
        let facts = facts(&texts, &Page { path: "/etc/ssmtp/ssmtp.conf".into(), text: text.into() });
        let login = facts.accounts[0].login.as_ref().unwrap();
        let Source::Password(secret) = &login.secret else { panic!() };
        assert_eq!((login.user.as_str(), secret.expose()), ("me", "a#b=c:d"));
    }

    #[test]
    fn a_comment_behind_a_password_is_none_of_it() {
        for (written, expected) in
            [("pw # old", "pw"), ("pw\t#old", "pw"), ("p#w # x", "p#w"), ("p#w", "p#w"), ("a b", "a b"), ("#x", "#x")]
        {
            let Source::Password(secret) = password(written, &mut Account::default()) else { panic!("{written}") };
            assert_eq!(secret.expose(), expected);
        }
    }

    #[test]
    fn the_last_word_on_tls_counts_and_the_first_on_a_login() {
        let facts = |text: &str| {
            let texts = super::super::Below("/nonexistent".into());
            facts(&texts, &Page { path: "/etc/ssmtp/ssmtp.conf".into(), text: text.to_owned().into() })
        };
        let wanted = |text: &str| facts(text).accounts[0].tls.wanted;
        assert_eq!(wanted("UseSTARTTLS=YES\nUseTLS=NO\n"), Wanted::Never);
        assert_eq!(wanted("UseTLS=NO\nUseSTARTTLS=YES\n"), Wanted::Always);
        let facts = facts("AuthUser=first\nAuthUser=second\nAuthPass=x\n");
        assert_eq!(facts.accounts[0].login.as_ref().unwrap().user, "first");
        assert_eq!(facts.accounts[0].host, "mailhub");
    }
}
