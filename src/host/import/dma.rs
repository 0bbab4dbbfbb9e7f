//! What does a dma.conf say, with the auth.conf that it names? (dma(8))

use std::{collections::BTreeMap, path::Path};

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort, Table, Trust, Wanted},
    shared,
};

/// The parameters of dma.conf.
const PARAMETERS: [&str; 20] = [
    "SMARTHOST",
    "PORT",
    "ALIASES",
    "SPOOLDIR",
    "AUTHPATH",
    "SECURETRANS",
    "SECURETRANSFER",
    "STARTTLS",
    "FINGERPRINT",
    "OPPORTUNISTIC_TLS",
    "CERTFILE",
    "SECURE",
    "INSECURE",
    "DEFER",
    "FULLBOUNCE",
    "MAILNAME",
    "MASQUERADE",
    "NULLCLIENT",
    "VIRTPATH",
    "BOUNCE",
];

/// Whether dma would know what this line is.
pub(super) fn knows(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|word| PARAMETERS.contains(&word))
}

/// Reads dma.conf, and what it names.
pub(super) fn facts(texts: &dyn Texts, page: &Page) -> Facts {
    let mut facts = Facts::default();
    let said = said(page, &mut facts);
    let get = |key: &str| said.get(key).filter(|value| !value.is_empty()).map(String::as_str);
    let has = |key: &str| said.contains_key(key);
    let Some(host) = get("SMARTHOST") else {
        facts.note(Sort::LeftOut, "there is no SMARTHOST: dma found out itself who takes the mail of a domain, sealpost does not");
        return facts;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = Some(shared::port(get("PORT").unwrap_or("25")));
    let mut account = Account { name: shared::name_of_host(host), host: bare, port, ..Account::default() };
    tls(&said, &mut account);
    if let Some(path) = get("AUTHPATH") {
        account.login = login(texts, page, path, host, &mut account);
    }
    let mail_name = mail_name(texts, get("MAILNAME"));
    account.hello.clone_from(&mail_name);
    let domain = masquerade(texts, get("MASQUERADE"), mail_name.as_deref(), &mut account);
    if let Some(domain) = domain.or(mail_name) {
        facts.set(Table::Top, "mail_domain", domain);
    }
    if has("NULLCLIENT") {
        facts.set(Table::Top, "aliases", "");
    } else {
        shared::aliases(texts, &mut facts, get("ALIASES").unwrap_or("/etc/aliases"));
        let text =
            "mail to local users without an alias was put into their mailboxes; sealpost has none, and sends it to the server";
        facts.note(Sort::Changed, text);
    }
    if has("FULLBOUNCE") {
        facts.note(Sort::LeftOut, "FULLBOUNCE: a bounce has the header of the mail alone");
    }
    if has("DEFER") {
        facts.note(Sort::Changed, "DEFER: a mail is tried at once, and does not wait for a flush of the queue");
    }
    shared::queue(&mut facts, "dma put every mail into its queue first, whatever became of it");
    facts.accounts.push(account);
    facts
}

/// The last word on each parameter.
fn said(page: &Page, facts: &mut Facts) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for (index, line) in page.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if PARAMETERS.contains(&name) {
            said.insert(name.to_owned(), value.trim().to_owned());
        } else {
            facts.note(Sort::LeftOut, format!("{}:{}: dma has no such parameter", page.name(), index + 1));
        }
    }
    said
}

fn tls(said: &BTreeMap<String, String>, account: &mut Account) {
    let has = |key: &str| said.contains_key(key);
    let get = |key: &str| said.get(key).filter(|value| !value.is_empty()).cloned();
    if !has("SECURETRANS") && !has("SECURETRANSFER") {
        return;
    }
    let starttls = has("STARTTLS");
    account.tls.wanted = if starttls && has("OPPORTUNISTIC_TLS") { Wanted::Perhaps } else { Wanted::Always };
    account.tls.implicit = !starttls;
    account.tls.trust = get("FINGERPRINT").map_or(Trust::Unchecked, |digest| Trust::Pins(vec![digest]));
    account.tls.client_cert = get("CERTFILE");
}

/// The line of auth.conf for the smarthost: `user|smarthost:password`.
fn login(texts: &dyn Texts, page: &Page, path: &str, smarthost: &str, account: &mut Account) -> Option<Login> {
    // A copy of the configuration may have its files beside it.
    let beside = Path::new(path).file_name().map(|name| page.path.with_file_name(name));
    let text = texts.read(Path::new(path)).or_else(|error| beside.map_or(Err(error), |beside| texts.read(&beside)));
    let text = match text {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) => {
            account.note(Sort::LeftOut, format!("the login in {path}, which can't be read: {error}"));
            return None;
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| {
        let (user, rest) = line.split_once('|')?;
        let (host, password) = rest.split_once([':', ' ', '\t'])?;
        Some((user, host, password))
    });
    // Of several lines for a host the last counts.
    let (user, _, password) = entries.rev().find(|(_, host, _)| *host == smarthost)?;
    let secret = shared::password(password, account);
    Some(Login { user: user.to_owned(), mechanism: None, secret })
}

/// What the host is called: a name, or the first line of a file; none where that is what sealpost takes itself.
fn mail_name(texts: &dyn Texts, said: Option<&str>) -> Option<String> {
    match said {
        Some("/etc/mailname") | None => None,
        Some(path) if path.starts_with('/') => first_line(texts, path),
        Some(name) => Some(name.to_owned()),
    }
}

fn first_line(texts: &dyn Texts, path: &str) -> Option<String> {
    let text = texts.read(Path::new(path)).ok()?;
    Some(text.lines().next()?.trim().to_owned()).filter(|name| !name.is_empty())
}

/// `user@host`, `user@` or `host`: what every sender becomes, whole or in part. The domain, where it is said for all.
fn masquerade(texts: &dyn Texts, said: Option<&str>, mail_name: Option<&str>, account: &mut Account) -> Option<String> {
    let said = said?;
    let (user, host) = said.rsplit_once('@').unwrap_or(("", said));
    let from = match (user, host) {
        ("", "") => return None,
        ("", host) => {
            account
                .note(Sort::Changed, "MASQUERADE: a sender that -f names keeps its domain, which not every version of dma left it");
            account.from = Some(format!("%U@{}", shared::literal(host)));
            return Some(host.to_owned());
        }
        (user, "") => {
            let host = mail_name.map(str::to_owned).or_else(|| first_line(texts, "/etc/mailname"));
            let host = host.map_or_else(|| "%H".to_owned(), |name| shared::literal(&name));
            account.note(Sort::Changed, "MASQUERADE: whoever says -f sends from this host, too, where dma kept the host of -f");
            format!("{}@{host}", shared::literal(user))
        }
        _ => shared::literal(said),
    };
    account.from = Some(from);
    account.from_policy = Some("fixed");
    None
}
