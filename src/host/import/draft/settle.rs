//! Which of our settings do what an account did, where the two differ the stricter?

use std::path::Path;

use super::{
    super::facts::{Account, Kind, Login, Sort, Source, Trust, Value, Wanted},
    Group, Part,
};
use crate::{host::config, smtp::sasl::Secret};

/// What our account asks of TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Off,
    Opportunistic,
    Required,
}

/// The settings of an account in the order of a file, the first of them those without which there is none; and its secret, for `path`.
pub(super) fn groups(kind: Kind, account: &mut Account, path: &Path) -> (Vec<Group>, Option<Secret>) {
    let policy = policy(kind, account);
    let mut groups = vec![base(account, policy)];
    groups.extend(plain(account));
    if policy != Policy::Off {
        groups.extend(tls(kind, account, policy));
    }
    let login = account.login.take();
    let (logins, secret) = login.map_or((Vec::new(), None), |login| logins(account, login, policy, path));
    groups.extend(logins);
    (groups, secret)
}

/// TLS where the program had it and where a password goes out, and else where the server can.
fn policy(kind: Kind, account: &mut Account) -> Policy {
    let unnamed = account.host.starts_with("unix:") && account.tls.server_name.is_none();
    let local = unnamed || config::is_loopback(&account.host);
    match (account.tls.wanted, account.login.is_some()) {
        (Wanted::Always | Wanted::Perhaps, _) if unnamed => Policy::Off,
        (Wanted::Never, _) if local => Policy::Off,
        (Wanted::Always, _) => Policy::Required,
        (Wanted::Never, true) => {
            let text = format!(
                "{} would have logged in without TLS; a password crosses no network in plaintext now, so TLS is required, and a \
                 server that has none gets no mail",
                kind.title()
            );
            account.note(Sort::Stricter, text);
            Policy::Required
        }
        (Wanted::Perhaps, true) => {
            let text =
                "TLS was used where the server could; with a login it is required now, for the password never goes out without";
            account.note(Sort::Stricter, text);
            Policy::Required
        }
        (Wanted::Never, false) => {
            account.note(
                Sort::Changed,
                "mail went in plaintext; now it goes under TLS where the server can, and in plaintext where not",
            );
            Policy::Opportunistic
        }
        (Wanted::Perhaps, false) => Policy::Opportunistic,
    }
}

/// Without these the reader takes no account: a socket needs a word on TLS.
fn base(account: &Account, policy: Policy) -> Group {
    let mut settings = vec![(Part::Account, "host", Value::Text(account.host.clone()))];
    // Nobody who hides behind a proxy is to be shown because it could not be carried over.
    settings.extend(account.proxy.as_ref().map(|proxy| (Part::Account, "proxy", Value::Text(proxy.clone()))));
    if account.lmtp {
        settings.push((Part::Account, "protocol", "lmtp".into()));
    }
    match (policy, &account.tls.server_name) {
        (Policy::Off, _) => settings.push((Part::Tls, "policy", "off".into())),
        (_, Some(name)) if account.host.starts_with("unix:") => settings.push((Part::Tls, "server_name", name.as_str().into())),
        _ => {}
    }
    Group { about: "host", settings }
}

/// What stands in the table of the account itself.
fn plain(account: &mut Account) -> Vec<Group> {
    let one = |key: &'static str, text: &Option<String>| text.as_ref().map(|text| Group::one(Part::Account, key, text.as_str()));
    let port = account.port.as_ref().filter(|_| !account.host.starts_with("unix:"));
    let port = port.map(|port| port.parse().map_or_else(|_| Value::Text(port.clone()), Value::Number));
    let (patterns, odd): (Vec<String>, Vec<String>) =
        std::mem::take(&mut account.matches).into_iter().partition(|pattern| is_pattern(pattern));
    let mut from = one("from", &account.from);
    if let Some(policy) = account.from_policy {
        // A sender that is fixed needs an address: both, or none.
        let group = from.get_or_insert_with(|| Group { about: "from_policy", settings: Vec::new() });
        group.settings.push((Part::Account, "from_policy", policy.into()));
    }
    let by_user = std::mem::take(&mut account.from_by_user);
    let groups = [
        port.map(|port| Group::one(Part::Account, "port", port)),
        from,
        (!by_user.is_empty()).then(|| Group::one(Part::Account, "from_by_user", by_user)),
        (!patterns.is_empty()).then(|| Group::one(Part::Account, "match", patterns)),
        account.rewrite_from.then(|| Group::one(Part::Account, "rewrite_from", true)),
        one("hello", &account.hello),
        one("source_address", &account.source_address),
    ];
    if !odd.is_empty() {
        account.note(Sort::LeftOut, "a pattern of senders that has spaces in it");
    }
    groups.into_iter().flatten().collect()
}

fn is_pattern(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// What stands in the table `tls`, where there is TLS.
fn tls(kind: Kind, account: &mut Account, policy: Policy) -> Vec<Group> {
    let by_port = account.port.as_deref() == Some("465");
    let start = if account.tls.implicit { "implicit" } else { "starttls" };
    let is_socket = account.host.starts_with("unix:");
    let mut groups = Vec::new();
    groups.extend((account.tls.implicit != by_port).then(|| Group::one(Part::Tls, "start", start)));
    groups.extend((policy == Policy::Opportunistic).then(|| Group::one(Part::Tls, "policy", "opportunistic")));
    let trust = trust(kind, account, policy);
    let by_authority = trust.is_none();
    groups.extend(trust);
    let tls = &account.tls;
    let one = |key: &'static str, text: &Option<String>| text.as_ref().map(|text| Group::one(Part::Tls, key, text.as_str()));
    if by_authority {
        groups.extend(one("ca_file", &tls.ca_file));
        groups.extend(one("crl_file", &tls.crl_file));
    }
    groups.extend(one("server_name", &tls.server_name).filter(|_| !is_socket));
    groups.extend(tls.min_version.map(|version| Group::one(Part::Tls, "min_version", version)));
    if let Some(cert) = &tls.client_cert {
        let mut settings = vec![(Part::Tls, "client_cert", Value::from(cert.as_str()))];
        settings
            .extend(tls.client_key.as_ref().filter(|key| *key != cert).map(|key| (Part::Tls, "client_key", key.as_str().into())));
        groups.push(Group { about: "client_cert", settings });
    }
    groups
}

/// Who is believed, where it is not the authorities.
fn trust(kind: Kind, account: &mut Account, policy: Policy) -> Option<Group> {
    let group = |trust: &str| Some(Group::one(Part::Tls, "trust", trust));
    match std::mem::take(&mut account.tls.trust) {
        Trust::Authorities => None,
        Trust::Dane => group("dane"),
        Trust::Pins(written) => {
            let pins: Vec<String> = written.iter().map(|pin| digest(pin)).filter(|pin| config::pin(pin).is_ok()).collect();
            if pins.is_empty() {
                let text = "its fingerprint is no SHA-256 digest, and no other pins a certificate, so the certificate must be one that an \
                            authority vouches for; sealpost check shows the line that pins it";
                account.note(Sort::Stricter, text);
                return None;
            }
            let settings = vec![(Part::Tls, "trust", "pin".into()), (Part::Tls, "pins", pins.into())];
            Some(Group { about: "pins", settings })
        }
        // An opportunistic account sends whoever answers, and notes what trust would have said.
        Trust::Anybody | Trust::Unchecked if policy == Policy::Opportunistic => None,
        Trust::Anybody => {
            account.note(Sort::Weak, "nobody checks who the server is, so whoever sits in between can read along and lie");
            if account.login.is_some() {
                let text = "the password is not shown to a server that nobody has verified (SCRAM and CRAM-MD5 don't show it): use the \
                            line that sealpost check has for a pin, or trust = \"tofu\"; with allow_unverified = true under auth all is as \
                            it was";
                account.note(Sort::Stricter, text);
            }
            group("any")
        }
        Trust::Unchecked => {
            let text = format!(
                "{} took any certificate; now it must be valid for the name of the server, from an authority that this system \
                 knows. If sealpost check says that it is not, it shows the line that pins it (trust = \"pin\"); trust = \"tofu\" \
                 believes what was met first",
                kind.title()
            );
            account.note(Sort::Stricter, text);
            None
        }
    }
}

/// A digest as ours are written.
fn digest(written: &str) -> String {
    let digits: String = written.trim().chars().filter(|c| *c != ':').collect();
    format!("sha256:{}", digits.to_ascii_lowercase())
}

/// The login, and for where the reader does not take its mechanism, the same without it.
fn logins(account: &mut Account, login: Login, policy: Policy, path: &Path) -> (Vec<Group>, Option<Secret>) {
    let Login { user, mut mechanism, secret } = login;
    if policy == Policy::Off && mechanism.is_none() {
        account.note(Sort::Changed, "without TLS a login is named, and nothing says which the server takes: PLAIN may be another");
        mechanism = Some("PLAIN".to_owned());
    }
    let user = (!user.is_empty()).then_some((Part::Auth, "user", Value::Text(user)));
    let mechanism = mechanism.map(|name| (Part::Auth, "mechanism", Value::Text(name)));
    let mut kept = None;
    let source = match secret {
        Source::Password(secret) => {
            kept = Some(secret);
            Some((Part::Auth, "password_file", path.to_string_lossy().into_owned().into()))
        }
        Source::Command(command) => Some((Part::Auth, "password_command", command.into())),
        Source::TokenCommand(command) => Some((Part::Auth, "token_command", command.into())),
        Source::Keyring => Some((Part::Auth, "keyring", true.into())),
        Source::Netrc => Some((Part::Auth, "netrc", true.into())),
        Source::Unsaid => {
            account
                .note(Sort::Changed, "nothing says where the password is, so it is asked for on the terminal, which cron has not");
            None
        }
        Source::Nowhere => None,
    };
    let without: Vec<_> = user.iter().chain(&source).cloned().collect();
    let mut logins = Vec::new();
    let has_both = mechanism.is_some() && source.is_some();
    logins.push(Group { about: "the login", settings: user.into_iter().chain(mechanism).chain(source).collect() });
    if has_both {
        logins.push(Group { about: "the login", settings: without });
    }
    (logins, kept)
}
