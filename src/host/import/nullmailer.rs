//! What do nullmailer's files say: remotes, and those beside it? (nullmailer-send(8), nullmailer-inject(1), nullmailer-queue(8))

use std::path::Path;

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort, Table, Trust, Wanted},
    shared, shell,
};

/// Files of one line without a meaning here, and why that is.
const LEFT_OUT: [(&str, &str); 4] = [
    ("bounceto", "a bounce goes to the sender of the mail"),
    ("bouncelines", "a bounce has the header of the mail"),
    ("sendtimeout", "each step of a session has its own deadline, see [limits]"),
    ("doublebounceto", "a bounce that can't be sent is kept under failed, in the queue"),
];

/// Reads remotes and the files beside it.
pub(super) fn facts(texts: &dyn Texts, page: &Page) -> Facts {
    let mut facts = Facts::default();
    let directory = page.path.parent().unwrap_or(Path::new(""));
    let line = |name: &str| {
        let text = texts.read(&directory.join(name)).ok()?;
        let line = text.lines().next().unwrap_or_default().trim();
        (!line.is_empty()).then(|| line.to_owned())
    };
    for (index, remote) in page.text.lines().enumerate() {
        let remote = remote.trim();
        if !remote.is_empty() && !remote.starts_with('#') {
            self::remote(remote, index + 1, &mut facts);
        }
    }
    let names: Vec<String> = facts.accounts.iter().map(|account| account.name.clone()).collect();
    facts.default_account = names.first().cloned();
    if let Some(first) = facts.accounts.first_mut() {
        first.fallback = names.get(1..).unwrap_or_default().to_vec();
    }
    let me = line("me");
    let hello = line("helohost").or(me.clone());
    let all_from = line("allmailfrom");
    for account in &mut facts.accounts {
        account.hello.clone_from(&hello);
        account.from = all_from.as_deref().map(shared::literal);
        account.from_policy = all_from.as_ref().map(|_| "fixed");
    }
    domains(texts, &line, me.as_deref(), &mut facts);
    shared::no_aliases(texts, &mut facts, "nullmailer had no aliases, so neither has this");
    for (name, why) in LEFT_OUT {
        if line(name).is_some() {
            facts.note(Sort::LeftOut, format!("{name}: {why}"));
        }
    }
    times(&line, &mut facts);
    shared::queue(&mut facts, "nullmailer put every mail into its queue first, whatever became of it");
    facts
}

/// Which domain completes a name, and who gets the mail of this host.
fn domains(texts: &dyn Texts, line: &dyn Fn(&str) -> Option<String>, me: Option<&str>, facts: &mut Facts) {
    let mail_name = texts.read(Path::new("/etc/mailname")).ok();
    let me = me.map(str::to_owned).or(mail_name.and_then(|text| text.lines().next().map(|line| line.trim().to_owned())));
    let domain = line("defaultdomain");
    // A name without a dot gets the default domain.
    let whole = |host: String| match &domain {
        Some(domain) if !host.contains('.') && host != "localhost" => format!("{host}.{domain}"),
        _ => host,
    };
    let host = line("defaulthost").map(whole);
    if let Some(host) = host.clone().or(line("me")) {
        facts.set(Table::Top, "mail_domain", host);
    }
    if domain.is_some() {
        facts.note(Sort::LeftOut, "defaultdomain: an address at a host without a dot keeps it; mail_domain has its domain already");
    }
    let id_host = line("idhost").map(whole);
    if id_host.is_some() && id_host != host.clone().or(me.clone()) {
        facts.note(Sort::LeftOut, "idhost: a Message-ID that is missing gets mail_domain");
    }
    if let Some(written) = line("adminaddr") {
        let is_ours = host.is_none() || host == me || host.as_deref() == Some("localhost");
        administrator(&written, is_ours, host.or(me).as_deref(), facts);
    }
}

/// Who gets all mail to users of this host; of several the first, since a catch-all is one.
fn administrator(written: &str, is_ours: bool, domain: Option<&str>, facts: &mut Facts) {
    if !is_ours {
        let text = format!(
            "adminaddr {written}: names without a domain got defaulthost, which is no name of this host, and so they went there; write \
             catch_all to have the administrator get their mail"
        );
        return facts.note(Sort::LeftOut, text);
    }
    let mut addresses = written.split(',').filter_map(|address| shared::whole(address, domain));
    let Some(first) = addresses.next() else {
        return facts.note(Sort::LeftOut, format!("adminaddr {written}: it is no address"));
    };
    let others: Vec<String> = addresses.collect();
    facts.set(Table::Top, "catch_all", first);
    if !others.is_empty() {
        let text = format!(
            "adminaddr: {}, for catch_all is one address; `default: ` and all of them in an alias file is for several",
            others.join(", ")
        );
        facts.note(Sort::LeftOut, text);
    }
    facts.note(Sort::Changed, "adminaddr: mail to user@host, with the name of this host in full, goes to the server");
}

/// How long mail waits.
fn times(line: &dyn Fn(&str) -> Option<String>, facts: &mut Facts) {
    for (name, key) in [("queuelifetime", "max_age"), ("pausetime", "retry_first"), ("maxpause", "retry_most")] {
        if let Some(duration) = line(name).as_deref().and_then(shared::seconds) {
            facts.set(Table::Queue, key, duration);
        }
    }
}

/// `host [protocol [option …]]`
fn remote(line: &str, number: usize, facts: &mut Facts) {
    let Some(words) = shell::words(line) else {
        return facts.note(Sort::LeftOut, format!("remotes:{number}: a quote has no end"));
    };
    let mut words = words.into_iter();
    let host = words.next().unwrap_or_default();
    let protocol = words.next().unwrap_or_else(|| "smtp".to_owned());
    if protocol != "smtp" {
        let why = if protocol == "qmqp" { "QMQP is not spoken" } else { "its protocol is not known" };
        return facts.note(Sort::LeftOut, format!("remotes:{number}, {host}: {why}"));
    }
    let mut name = shared::name_of_host(&host);
    while facts.accounts.iter().any(|account| account.name == name) {
        name.push_str("-next");
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut account = Account { name, host, ..Account::default() };
    let options: Vec<String> = words.collect();
    let get = |key: &str| {
        let found = options.iter().rev().map(|option| option.trim_start_matches("--").split_once('='));
        found.flatten().find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let has = |key: &str| options.iter().any(|option| option.trim_start_matches("--") == key);
    let implicit = has("tls") || has("ssl");
    let default = if implicit { "465" } else { "25" };
    account.port = Some(shared::port(get("port").unwrap_or(default)));
    account.source_address = get("source").map(str::to_owned);
    if implicit || has("starttls") {
        let file = |key: &str| get(key).filter(|_| !has("x509fmtder")).map(str::to_owned);
        account.tls.wanted = Wanted::Always;
        account.tls.implicit = implicit;
        account.tls.trust = if has("insecure") { Trust::Anybody } else { Trust::Authorities };
        account.tls.ca_file = file("x509cafile").filter(|path| !shared::is_system_store(path));
        account.tls.crl_file = file("x509crlfile");
        account.tls.client_cert = file("x509certfile");
        account.tls.client_key = file("x509keyfile");
    }
    if has("x509fmtder") {
        account
            .note(Sort::LeftOut, "files of certificates in DER (x509fmtder): convert them to PEM, with openssl x509 -inform der");
    }
    if has("tls-anon-auth") {
        account.note(Sort::LeftOut, "tls-anon-auth: a server without a certificate is not talked to");
    }
    if let Some(user) = get("user") {
        let secret = shared::password(get("pass").unwrap_or_default(), &mut account);
        account.login = Some(Login { user: user.to_owned(), mechanism: has("auth-login").then(|| "LOGIN".to_owned()), secret });
    }
    if options.iter().any(|option| !is_known(option)) {
        // Which one is not said: it may be the rest of a password that lacks its quotes.
        account.note(Sort::LeftOut, format!("remotes:{number}: nullmailer has no such option as one that stands there"));
    }
    facts.accounts.push(account);
}

fn is_known(option: &str) -> bool {
    let flags = ["auth-login", "tls", "ssl", "starttls", "x509fmtder", "insecure", "tls-anon-auth"];
    let keys = ["port", "user", "pass", "source", "x509certfile", "x509keyfile", "x509cafile", "x509crlfile"];
    match option.trim_start_matches("--").split_once('=') {
        Some((key, _)) => keys.contains(&key),
        None => flags.contains(&option.trim_start_matches("--")),
    }
}
