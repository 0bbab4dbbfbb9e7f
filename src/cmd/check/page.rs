//! How is a check told on a terminal of 80 columns, whatever a hostile server says? (`NO_COLOR` is obeyed by whoever asks)

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Checked,
    letter::Posted,
    seen::{Contact, Examination, Visit},
};
use crate::{
    error::Error,
    host::config::{Auth, Backend, Protocol, SecretSource, Target},
    mail::policy::{Channel, Policy, Request},
    smtp::sasl::{Choice, Kind, gssapi::Holder},
};

mod dns;
mod server;
mod sheet;

pub(super) use sheet::Style;
use sheet::{Ink, cut, milliseconds};

impl Style {
    /// Everything about one account.
    pub(super) fn page(self, origin: &str, checked: &Checked<'_>, now: Timestamp) -> String {
        let seen = &checked.seen;
        let account = &seen.account;
        let demand = account.tls.demand;
        let protocol = if account.protocol == Protocol::Lmtp { ", LMTP" } else { "" };
        let mut text = self.title(&format!("account {} ({}{protocol})", account.name, seen.wanted.target));
        text += &self.row("config", origin);
        let further = if demand.request == Request::Require { ", and REQUIRETLS for the rest of the way" } else { "" };
        let policy = match demand.policy {
            Policy::Off => "off: no TLS".to_owned(),
            policy => format!("{}, trust {}, start {}", policy.as_str(), demand.trust.as_str(), demand.start.as_str()),
        };
        let backend = if account.tls.backend == Backend::NativeTls { ", by native-tls" } else { "" };
        text += &self.row("policy", &format!("{policy}{further}{backend}"));
        if let Ok(sender) = &seen.sender {
            text += &self.row("sender", &format!("{sender}, where a mail names no other"));
        }
        if let (Target::Service(domain), Target::Name(..)) = (&seen.wanted.target, &account.target) {
            text += &self.row("server", &format!("{}, named by the SRV records of {domain}", account.target));
        }
        text += &self.contacts(seen);
        text += &seen.records.as_ref().map_or_else(|_| String::new(), |records| self.dns(records));
        let visits = seen.used.and_then(|used| seen.contacts.get(used)).map(|contact| contact.visits.as_slice());
        let visits = visits.unwrap_or_default();
        for (index, visit) in visits.iter().enumerate() {
            if let Some(before) = index.checked_sub(1).and_then(|before| visits.get(before)) {
                text += &self.row("once more", why_again(before));
            }
            text += &self.visit(visit, now);
            // A verdict against the account says why itself, and the second visit has it of the first.
            let finding = visit.sight.report.finding.as_ref().filter(|_| visit.sight.tls.is_none());
            if let Some(finding) = finding.filter(|_| index == 0 && seen.verdict.is_ok()) {
                text += &self.inked("TLS", "", (&format!("none: {finding}"), Ink::Doubtful));
            }
        }
        text += &self.login(seen);
        text += &self.verdict(seen);
        let sentences: Vec<String> = checked.advice.iter().map(|sentence| format!("- {sentence}")).collect();
        text += &self.rows("advice", &sentences);
        text + &checked.mail.as_ref().map_or_else(String::new, |mail| self.mail(mail))
    }

    fn contacts(self, seen: &Examination<'_>) -> String {
        let told = |(index, contact): (usize, &Contact)| {
            let name = contact.address.map_or_else(|| way(seen), |address| address.to_string());
            match &contact.connected {
                Ok(took) if seen.used == Some(index) => format!("{name} connected in {}, used", milliseconds(*took)),
                Ok(took) => format!("{name} connected in {}", milliseconds(*took)),
                Err(why) => format!("{name} {why}"),
            }
        };
        let mut lines: Vec<String> = seen.contacts.iter().enumerate().map(told).collect();
        if lines.is_empty() {
            lines.push("none".to_owned());
        }
        if matches!(seen.account.target, Target::Name(..)) && seen.account.proxy.is_none() {
            lines.push(format!("the name service took {}", milliseconds(seen.resolved)));
        }
        self.rows("addresses", &lines)
    }

    fn login(self, seen: &Examination<'_>) -> String {
        let (Some(auth), Some(login)) = (&seen.account.auth, seen.login()) else {
            return self.row("login", "none is configured");
        };
        let ink = if matches!(seen.secret, Some(Err(_))) { Ink::Bad } else { Ink::Plain };
        let mut text = self.inked("login", "", (&secret(auth, seen.secret.as_ref()), ink));
        let (told, ink) = match (&login.mechanism, login.accepted) {
            (None, _) => ("not tried: it did not come to that".to_owned(), Ink::Doubtful),
            (Some(Err(why)), _) => (format!("not tried: {why}"), Ink::Bad),
            (Some(Ok(mechanism)), accepted) => {
                let why = match auth.choice {
                    Choice::Auto => "the best that both know and this connection allows",
                    Choice::Only(_) => "as the account says",
                };
                let (end, ink) = match accepted {
                    Some(true) => ("accepted", Ink::Good),
                    Some(false) => ("failed, see below", Ink::Bad),
                    None => ("not tried", Ink::Doubtful),
                };
                (format!("{} ({why}): {end}", mechanism.name()), ink)
            }
        };
        text += &self.inked("", "", (&told, ink));
        text
    }

    fn verdict(self, seen: &Examination<'_>) -> String {
        match &seen.verdict {
            Ok(channel) => {
                let (how, ink) = match channel {
                    Channel::Verified => ("under TLS, the server verified", Ink::Good),
                    Channel::Unverified => ("under TLS, the server not verified", Ink::Doubtful),
                    Channel::Plaintext => ("in plaintext", Ink::Doubtful),
                };
                self.inked("verdict", "", (&format!("this account would send now, {how}"), ink))
            }
            Err(error) => {
                let exit = error.exit();
                let why = cut(error.because());
                let told = format!("this account would not send now (exit {}, {}): {why}", exit.code(), exit.name());
                let hint = error.advice().map(|hint| self.row("hint", hint));
                self.inked("verdict", "", (&told, Ink::Bad)) + &hint.unwrap_or_default()
            }
        }
    }

    fn mail(self, mail: &Posted) -> String {
        let ink = if mail.error.is_none() { Ink::Good } else { Ink::Bad };
        let hint = mail.error.as_ref().and_then(|error| error.advice()).map(|hint| self.row("hint", hint));
        let mut text = self.inked("test mail", "", (&mail.told(), ink)) + &hint.unwrap_or_default();
        for error in &mail.warnings {
            text += &self.inked("", "", (&error.summary(), Ink::Doubtful));
        }
        text
    }
}

/// Who logs in, and whether the secret can be had.
fn secret(auth: &Auth, found: Option<&Result<Option<Holder>, Error>>) -> String {
    let what = match auth.source.kind() {
        Kind::Token => "access token",
        Kind::Ticket => "ticket",
        Kind::Password | Kind::Nothing => "password",
    };
    let told = match (found, &auth.source) {
        (Some(Err(error)), _) => format!("the {what} can't be had: {}", error.because()),
        (Some(Ok(Some(holder))), _) => format!("there is a ticket of {}, {}", holder.principal, good_for(holder.lifetime)),
        (_, SecretSource::Prompt) => format!("the {what} was asked for on the terminal"),
        (_, SecretSource::Nowhere) => "by the client certificate, without a secret".to_owned(),
        _ => format!("the {what} can be had"),
    };
    format!("{}: {told}", as_whom(auth))
}

/// Without a user the server makes one of the certificate or the principal.
fn as_whom(auth: &Auth) -> String {
    if auth.user.is_empty() { "as whom the server takes us for".to_owned() } else { format!("as {}", auth.user) }
}

/// To the minute; a keytab's ticket is got anew when it runs out.
fn good_for(lifetime: Duration) -> String {
    let minutes = lifetime.as_secs() / 60;
    format!("good for {} h {} min", minutes / 60, minutes % 60)
}

/// Why there was another connection, from what the one before it came to.
fn why_again(before: &Visit) -> &'static str {
    if before.sight.report.token_refused {
        "with a new access token, as the server refused the other"
    } else {
        "in plaintext, as the policy allows after a failed handshake"
    }
}

/// How the server is reached where it has no address that we know.
fn way(seen: &Examination<'_>) -> String {
    match &seen.account.proxy {
        Some(proxy) => format!("through the proxy {}:{}", proxy.host, proxy.port),
        None => seen.account.target.to_string(),
    }
}
