//! What does each command of an account of msmtp mean in ours? (msmtp(1))

use std::{borrow::Cow, collections::BTreeSet, path::Path};

use super::{
    super::{
        Texts,
        facts::{Account, Facts, Login, Sort, Source, Table, Trust, Wanted},
        shared,
    },
    Section,
};
use crate::host::{secrets::netrc, world::World};

/// Commands without a meaning here, and why that is.
const LEFT_OUT: [(&str, &str); 7] = [
    ("ntlmdomain", "NTLM is not spoken"),
    ("tls_priorities", "TLS 1.2 and 1.3 with forward secrecy are spoken, nothing older, and min_version can ask for 1.3"),
    ("tls_min_dh_prime_bits", "no Diffie-Hellman with such primes is spoken"),
    ("dsn_notify", "sendmail takes it as -N, for each mail"),
    ("dsn_return", "sendmail takes it as -R, for each mail"),
    ("logfile_time_format", "the log has times of RFC 3339, and sealpost log shows them in the own zone"),
    ("from_full_name", "the name is that of -F, of NAME in the environment, or of the caller in the password database"),
];

/// Translates all accounts, and what they say that we say once for all.
pub(super) fn translate(world: &dyn World, texts: &dyn Texts, sections: &[Section], facts: &mut Facts) {
    let several = sections.len() > 1;
    for section in sections {
        let Some(mut account) = target(section, facts) else { continue };
        tls(section, &mut account);
        sender(texts, section, &mut account, several);
        header(section, &mut account);
        account.login = login(world, texts, section, &mut account);
        for (command, why) in LEFT_OUT.iter().filter(|(command, _)| section.get(command).is_some_and(|value| value != "off")) {
            account.note(Sort::LeftOut, format!("{command}: {why}"));
        }
        facts.accounts.push(account);
    }
    once(world, texts, sections, facts);
}

/// The account with the server it sends to.
fn target(section: &Section, facts: &mut Facts) -> Option<Account> {
    let host = match (section.get("socket"), section.get("host")) {
        (Some(path), _) => format!("unix:{path}"),
        (None, Some(host)) => host.to_owned(),
        (None, None) => {
            facts.note(Sort::LeftOut, format!("account {}: it has no host", section.name));
            return None;
        }
    };
    let implicit = section.is_on("tls", false) && !section.is_on("tls_starttls", true);
    let lmtp = section.get("protocol") == Some("lmtp");
    let default = match (lmtp, implicit) {
        (true, _) => "24",
        (false, true) => "465",
        (false, false) => "25",
    };
    let proxy = section.get("proxy_host").filter(|_| section.get("socket").is_none());
    Some(Account {
        name: section.name.clone(),
        host,
        port: Some(shared::port(section.get("port").unwrap_or(default))),
        lmtp,
        hello: hello(section),
        source_address: section.get("source_ip").map(str::to_owned),
        proxy: proxy.map(|host| self::proxy(host, section.get("proxy_port").unwrap_or("1080"))),
        ..Account::default()
    })
}

fn proxy(host: &str, port: &str) -> String {
    if host.contains(':') { format!("socks5://[{host}]:{port}") } else { format!("socks5://{host}:{port}") }
}

/// What EHLO says; a pattern is the name of the host, which is our default.
fn hello(section: &Section) -> Option<String> {
    match section.get("domain") {
        // Whoever hides behind a proxy does not want to be called by name; and msmtp says nothing else.
        None if section.get("proxy_host").is_some() => Some("localhost".to_owned()),
        domain => domain.filter(|domain| !domain.contains('%')).map(str::to_owned),
    }
}

fn tls(section: &Section, account: &mut Account) {
    let tls = &mut account.tls;
    if !section.is_on("tls", false) {
        return;
    }
    let text = |command: &str| section.get(command).map(str::to_owned);
    tls.wanted = Wanted::Always;
    tls.implicit = !section.is_on("tls_starttls", true);
    tls.server_name = text("tls_host_override");
    let trust_file = section.get("tls_trust_file").filter(|file| *file != "system" && !shared::is_system_store(file));
    tls.trust = match section.get("tls_fingerprint") {
        _ if !section.is_on("tls_certcheck", true) => Trust::Anybody,
        Some(digest) => Trust::Pins(vec![digest.to_owned()]),
        None => {
            tls.ca_file = trust_file.map(str::to_owned);
            tls.crl_file = text("tls_crl_file");
            Trust::Authorities
        }
    };
    match (text("tls_cert_file"), text("tls_key_file")) {
        (Some(cert), _) if cert.contains(':') => {
            account.note(Sort::LeftOut, "tls_cert_file: certificates come from files here, not from devices");
        }
        (cert, key) => (tls.client_cert, tls.client_key) = (cert, key),
    }
}

/// Who mail is from, and which senders choose the account.
fn sender(texts: &dyn Texts, section: &Section, account: &mut Account, several: bool) {
    let fixed = !section.is_on("allow_from_override", true);
    account.from_policy = fixed.then_some("login");
    let automatic = section.settings.contains_key("auto_from") && section.is_on("auto_from", false);
    let written = match (automatic, section.get("maildomain")) {
        // Without a domain it is the login alone, which mail_domain completes.
        (true, domain) => domain.map(|domain| Cow::Owned(format!("%U@{domain}"))),
        (false, _) => section.get("from").map(Cow::Borrowed),
    };
    let Some(written) = written else { return };
    if written.contains(['?', '[']) {
        let text = format!("from {written}: only * stands for something in a pattern here");
        return account.note(Sort::LeftOut, text);
    }
    if written.contains('*') {
        return account.matches.push(written.into_owned());
    }
    let demanded = fixed || section.settings.get("set_from_header").is_some_and(|said| said == "on" || said.is_empty());
    // The caller's login at what /etc/mailname says is our default, on whatever machine this is read.
    if written == "%U@%M" && !demanded {
        return;
    }
    let Some(from) = template(texts, &written, account) else { return };
    if let (true, false, Some((local, domain))) = (several, written.contains('%'), written.rsplit_once('@')) {
        account.matches.extend([written.to_string(), format!("{local}+*@{domain}")]);
    }
    account.from = Some(from);
    account.from_policy = fixed.then_some("fixed");
}

/// A sender with what stands for the caller and for the host in our words.
fn template(texts: &dyn Texts, written: &str, account: &mut Account) -> Option<String> {
    let mut template = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('%') {
        template += before;
        let (stands, more) = match after.chars().next() {
            Some('U') => ("%U".to_owned(), 1),
            Some(name @ ('H' | 'C')) => {
                if name == 'H' {
                    account.note(Sort::Changed, format!("from {written}: %H is the full name of the host, whatever HOSTNAME says"));
                }
                ("%H".to_owned(), 1)
            }
            Some('M') => {
                let text = texts.read(Path::new("/etc/mailname")).unwrap_or_default();
                let Some(name) = text.lines().next().map(str::trim).filter(|name| !name.is_empty()) else {
                    account.note(Sort::LeftOut, format!("from {written}: /etc/mailname, which %M stands for, can't be read"));
                    return None;
                };
                (shared::literal(name), 1)
            }
            _ => ("%%".to_owned(), 0),
        };
        template += &stands;
        rest = after.get(more..).unwrap_or_default();
    }
    Some(template + rest)
}

/// What msmtp did to the header.
fn header(section: &Section, account: &mut Account) {
    let says = |command: &str, value: &str| section.settings.get(command).is_some_and(|said| said == value);
    let mut left_out = Vec::new();
    if says("set_from_header", "on") || says("set_from_header", "") {
        account.rewrite_from = account.from.is_some();
        if account.from.is_none() {
            left_out.push("set_from_header on: From is replaced only by a `from`, and there is none in this account");
        } else {
            let whatever = if account.from_policy.is_none() { ", whatever -f says" } else { "" };
            let text = format!(
                "set_from_header on: From is replaced by `from` where it is neither that nor fits match{whatever}; the author who is \
                 replaced becomes Reply-To"
            );
            account.note(Sort::Changed, text);
        }
    }
    if says("set_from_header", "off") || says("set_date_header", "off") || says("set_msgid_header", "off") {
        left_out.push("set_…_header off: a From, Date or Message-ID that is missing is added (RFC 5322 3.6, RFC 6409 8)");
    }
    if says("remove_bcc_headers", "off") {
        left_out.push("remove_bcc_headers off: Bcc never leaves");
    }
    if section.settings.contains_key("undisclosed_recipients") && section.is_on("undisclosed_recipients", false) {
        left_out.push("undisclosed_recipients: To and Cc are sent as they are; whoever writes the mail may leave them out");
    }
    for text in left_out {
        account.note(Sort::LeftOut, text);
    }
}

fn login(world: &dyn World, texts: &dyn Texts, section: &Section, account: &mut Account) -> Option<Login> {
    let method = section.settings.get("auth")?.to_ascii_lowercase();
    if method == "off" {
        return None;
    }
    let user = section.get("user").unwrap_or_default().to_owned();
    let mechanism = match method.as_str() {
        "" | "on" => None,
        "digest-md5" | "ntlm" => {
            account.note(Sort::Changed, format!("auth {method} is not spoken: the best is taken that the server offers"));
            None
        }
        _ => Some(method.to_ascii_uppercase()),
    };
    let needs_token = matches!(mechanism.as_deref(), Some("OAUTHBEARER" | "XOAUTH2"));
    if matches!(mechanism.as_deref(), Some("EXTERNAL" | "GSSAPI")) {
        return Some(Login { user, mechanism, secret: Source::Nowhere });
    }
    if user.is_empty() {
        account.note(Sort::LeftOut, format!("auth {method}: there is no user, so nobody logs in"));
        return None;
    }
    let secret = match (section.get("password"), section.get("passwordeval")) {
        (None, Some(command)) if needs_token => Source::TokenCommand(command.to_owned()),
        _ if needs_token => {
            let text =
                "its access token, which would run out: name a token_command, or let sealpost get tokens itself (sealpost setup)";
            account.note(Sort::LeftOut, text);
            return Some(Login { user, mechanism: None, secret: Source::Unsaid });
        }
        (Some(password), _) => shared::password(password, account),
        (None, Some(command)) => shared::command(command, account),
        (None, None) => unsaid(world, texts, section, &user, account),
    };
    Some(Login { user, mechanism, secret })
}

/// msmtp looks into the keyring and into ~/.netrc, and then asks; ours is told where it is.
fn unsaid(world: &dyn World, texts: &dyn Texts, section: &Section, user: &str, account: &mut Account) -> Source {
    let host = section.get("host").unwrap_or_default();
    let path = world.env("HOME").map(|home| Path::new(&home).join(".netrc"));
    let text = path.and_then(|path| texts.read(&path).ok()).map(zeroize::Zeroizing::new);
    if text.is_some_and(|text| netrc::password(&text, host, user).is_ok_and(|found| found.is_some())) {
        account.note(Sort::Changed, "the password is in ~/.netrc, and not looked for elsewhere");
        return Source::Netrc;
    }
    let text = "the password is looked for in the keyring alone, where msmtp also looked into ~/.netrc and asked for it: see netrc and \
                password_file in sealpost.toml(5)";
    account.note(Sort::Changed, text);
    Source::Keyring
}

/// What each account of msmtp says for itself, and we once.
fn once(world: &dyn World, texts: &dyn Texts, sections: &[Section], facts: &mut Facts) {
    let values = |command: &str| sections.iter().filter_map(|section| section.get(command)).collect::<BTreeSet<&str>>();
    let default = facts.default_account.clone();
    let default = sections.iter().find(|section| Some(&section.name) == default.as_ref());
    if let Some(domain) = default.or(sections.first().filter(|_| sections.len() == 1)).and_then(domain) {
        facts.set(Table::Top, "mail_domain", domain);
    }
    match preferred(sections, default, |section| section.get("aliases")) {
        Some(path) => shared::aliases(texts, facts, &home(world, path)),
        None => shared::no_aliases(texts, facts, "msmtp was not told to read it"),
    }
    if values("aliases").len() > 1 {
        facts.note(Sort::LeftOut, "the aliases of all accounts but one: one file is for all of them");
    }
    if let Some(timeout) = preferred(sections, default, |section| section.get("timeout")).and_then(shared::seconds) {
        facts.set(Table::Limits, "connect_timeout", timeout.as_str());
        facts.set(Table::Limits, "reply_timeout", timeout.as_str());
        facts.set(Table::Limits, "end_timeout", "10m");
        let text = "timeout is for connecting and for each reply, of all accounts; but the reply to the end of a mail may take 10 minutes \
                    (RFC 5321), since whoever gives up before may send it twice";
        facts.note(Sort::Changed, text);
    }
    if !values("logfile").is_empty() {
        let text =
            "logfile: the log of msmtp stays as it is. sealpost keeps its own, with what TLS did for each mail: see sealpost log";
        facts.note(Sort::Changed, text);
    }
    let facilities: BTreeSet<&str> =
        sections.iter().filter_map(|section| section.settings.get("syslog")).map(String::as_str).collect();
    if facilities.iter().any(|facility| !["off", "LOG_MAIL"].contains(facility)) {
        facts.note(Sort::Changed, "syslog: the facility is mail");
    }
    if !facilities.is_empty() && facilities.iter().all(|facility| *facility == "off") {
        facts.set(Table::Log, "syslog", false);
    }
}

/// A path, with the caller's home in place of a tilde.
fn home(world: &dyn World, path: &str) -> String {
    match (path.strip_prefix("~/"), world.env("HOME").and_then(|home| home.into_string().ok())) {
        (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

/// The value of the default account, else the first there is.
fn preferred<'a>(
    sections: &'a [Section],
    default: Option<&'a Section>,
    value: impl Fn(&'a Section) -> Option<&'a str>,
) -> Option<&'a str> {
    default.and_then(&value).or_else(|| sections.iter().find_map(&value))
}

/// The domain of callers that say nothing of themselves.
fn domain(section: &Section) -> Option<&str> {
    let from = section.get("from").and_then(|from| from.strip_prefix("%U@")).filter(|domain| !domain.contains('%'));
    let automatic = section.settings.contains_key("auto_from") && section.is_on("auto_from", false);
    from.or_else(|| section.get("maildomain").filter(|domain| automatic && !domain.contains('%')))
}
