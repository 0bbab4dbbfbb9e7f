//! What does an ssmtp.conf say, with the revaliases beside it? (ssmtp.conf(5), ssmtp(8))

use std::collections::BTreeMap;

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort, Table, Trust, Wanted},
    shared,
};

/// The keywords, in lower case.
const KEYWORDS: [&str; 20] = [
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
    let hub = word("mailhub").unwrap_or("mail");
    let mut account = account(hub);
    account.hello = word("hostname").map(str::to_owned);
    if let Some(domain) = word("rewritedomain").or(word("hostname")) {
        facts.set(Table::Top, "mail_domain", domain);
    }
    tls(&mut account, &is_on, &word);
    if let (Some(user), method) = (word("authuser"), word("authmethod").map(str::to_ascii_uppercase)) {
        let secret = shared::password(get("authpass").unwrap_or_default(), &mut account);
        account.login = Some(Login { user: user.to_owned(), mechanism: method.filter(|method| method == "CRAM-MD5"), secret });
    }
    if let Some(root) = word("root") {
        let text = format!(
            "root={root}, who gets the mail of root and other users of the system: write `root: {root}` into /etc/aliases, \
                            with the whole address, and likewise for the others"
        );
        facts.note(Sort::LeftOut, text);
    }
    if !is_on("fromlineoverride") {
        let text = "ssmtp put the caller's address into From; now a From that a mail has stays, and -f chooses the sender. \
                    rewrite_from and from_policy can forbid that";
        facts.note(Sort::Changed, text);
    }
    facts.accounts.push(account);
    let beside = page.path.with_file_name("revaliases");
    if let Ok(text) = texts.read(&beside) {
        reverse(&text, hub, &mut facts);
    }
    facts
}

/// The last word on each key. A password may have anything in it, so nothing is cut off here.
fn said<'a>(page: &'a Page, facts: &mut Facts) -> BTreeMap<String, &'a str> {
    let mut said = BTreeMap::new();
    for (index, line) in page.text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=').map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim())) {
            Some((key, value)) if KEYWORDS.contains(&key.as_str()) => {
                said.insert(key, value);
            }
            _ => facts.note(Sort::LeftOut, format!("{}:{}: ssmtp has no such keyword", page.name(), index + 1)),
        }
    }
    said
}

/// An account for `host` or `host:port`.
fn account(hub: &str) -> Account {
    let (host, port) = match hub.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (hub, "25"),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Account { name: shared::name_of_host(&host), host, port: Some(shared::port(port)), ..Account::default() }
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

/// `login:address:hub`: who a local user is to others.
fn reverse(text: &str, hub: &str, facts: &mut Facts) {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let entries: Vec<(&str, &str, &str)> = lines
        .filter_map(|line| {
            let (login, rest) = line.split_once(':')?;
            let (address, other) = rest.split_once(':').unwrap_or((rest, ""));
            Some((login.trim(), address.trim(), other.trim()))
        })
        .collect();
    let Some((login, address, _)) = entries.iter().find(|(login, ..)| *login == "root").or(entries.first()).copied() else {
        return;
    };
    let others: Vec<&str> = entries.iter().map(|(login, ..)| *login).filter(|other| *other != login).collect();
    let Some(first) = facts.accounts.first_mut() else { return };
    first.from = Some(address.to_owned());
    first.note(Sort::Changed, format!("revaliases gave {login} the sender {address}: whoever does not say -f has it now"));
    if !others.is_empty() {
        let text = format!("revaliases of {}: one `from` is for all, and -f chooses another", others.join(", "));
        first.note(Sort::LeftOut, text);
    }
    if entries.iter().any(|(_, _, other)| !other.is_empty() && *other != hub && !other.starts_with(&format!("{hub}:"))) {
        first.note(Sort::LeftOut, "revaliases name other servers than mailhub: add an account for each, with a match");
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
            let account = account(hub);
            assert_eq!((account.host.as_str(), account.port.as_deref()), (host, Some(port)), "{hub}");
        }
    }

    #[test]
    fn a_password_keeps_what_would_begin_a_comment_elsewhere() {
        let text = "mailhub=x.example\nAuthUser=me # not this\nAuthPass=a#b=c:d\n".to_owned();
        let texts = super::super::Below("/nonexistent".into());
        let facts = facts(&texts, &Page { path: "/etc/ssmtp/ssmtp.conf".into(), text: text.into() });
        let login = facts.accounts[0].login.as_ref().unwrap();
        let super::super::facts::Source::Password(secret) = &login.secret else { panic!() };
        assert_eq!((login.user.as_str(), secret.expose()), ("me", "a#b=c:d"));
    }
}
