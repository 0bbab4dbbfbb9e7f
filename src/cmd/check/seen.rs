//! What was found where an account was tried: addresses, servers, the login? (what a check tells on a page, as JSON and as advice)

use std::{borrow::Cow, net::SocketAddr, time::Duration};

use super::{opinions::Opinion, records::Records};
use crate::{
    cmd::deliver::words::no_connection,
    error::{Error, Exit},
    host::{
        config::{Account, Auth},
        dial::Unreachable,
        net::Link,
        probe::Sight,
    },
    mail::{
        address::ReversePath,
        policy::{self, Channel, SecretRule, Start},
    },
    smtp::sasl::{self, Choice, Mechanism, Terms, gssapi::Holder},
};

/// An account as it was found.
#[derive(Debug)]
pub(super) struct Examination<'c> {
    /// As it is configured.
    pub(super) wanted: &'c Account,
    /// The same; where it names a service, as one that names the server that a send would use.
    pub(super) account: Cow<'c, Account>,
    /// The envelope sender of a send that names none.
    pub(super) sender: Result<ReversePath, Error>,
    /// How long the name service took.
    pub(super) resolved: Duration,
    /// The addresses in the order in which a send tries them; one without address for a proxy or a unix socket.
    pub(super) contacts: Vec<Contact>,
    /// Which of them a send would take.
    pub(super) used: Option<usize>,
    /// Whether the secret can be had, and of a ticket whose it is; `None` without `[auth]`.
    pub(super) secret: Option<Result<Option<Holder>, Error>>,
    /// Other ports and beginnings that were tried for advice.
    pub(super) ways: Vec<Way>,
    /// What the DNS says, or why it was not asked.
    pub(super) records: Result<Records, &'static str>,
    /// What is less than before, or could not be compared with it.
    pub(super) warnings: Vec<Error>,
    /// How a send would be protected, or why it would fail.
    pub(super) verdict: Result<Channel, Error>,
}

/// One address, and what was seen there.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) address: Option<SocketAddr>,
    /// How long it took to connect, or why that failed.
    pub(super) connected: Result<Duration, String>,
    /// The connections made, the last one counts: a second one is the retry in plaintext of an opportunistic account.
    pub(super) visits: Vec<Visit>,
}

/// One connection, and what each kind of trust says of the server that was met there.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) sight: Sight,
    /// None without TLS.
    pub(super) opinions: Vec<Opinion>,
    /// The TLS library keeps all certificates but the server's own to itself.
    pub(super) hides_chain: bool,
}

/// How the login went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedIn {
    /// Which mechanism is used, or why none; `None` where it did not come to that.
    pub(super) mechanism: Option<Result<Mechanism, String>>,
    /// Whether the server took it; `None` where it was not tried.
    pub(super) accepted: Option<bool>,
}

impl Examination<'_> {
    /// What was seen on the connection that a send would have used.
    pub(super) fn visit(&self) -> Option<&Visit> {
        self.contacts.get(self.used?)?.visits.last()
    }

    /// The addresses beside the one that a send would use.
    pub(super) fn others(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter().enumerate().filter(|(index, _)| Some(*index) != self.used).map(|(_, contact)| contact)
    }

    /// How the login went; `None` without `[auth]`.
    pub(super) fn login(&self) -> Option<LoggedIn> {
        let auth = self.account.auth.as_ref()?;
        let Some(Visit { sight, .. }) = self.visit() else { return Some(LoggedIn { mechanism: None, accepted: None }) };
        // Which characters a secret has the login alone knows.
        let mechanism = sight.report.auth.map(Ok).or_else(|| mechanism(sight, auth, auth.choice));
        let tried = sight.tried_login && matches!(mechanism, Some(Ok(_)));
        let accepted = match (sight.report.auth, tried && sight.report.problem.is_some()) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => None,
        };
        Some(LoggedIn { mechanism, accepted })
    }

    /// Whether a send may go better later.
    pub(super) fn is_temporary(&self) -> bool {
        self.verdict.as_ref().is_err_and(|error| error.exit() == Exit::TempFail)
    }

    /// Notes which address answered first, or what it means that none did.
    pub(super) fn found(&mut self, dialled: Result<&Link, &Unreachable>, took: Duration) {
        match dialled {
            Ok(link) => {
                let peer = link.peer().filter(|_| self.account.proxy.is_none());
                let used = self.contacts.iter().position(|contact| contact.address == peer).unwrap_or_default();
                if let Some(contact) = self.contacts.get_mut(used) {
                    contact.connected = Ok(took);
                    self.used = Some(used);
                }
            }
            Err(why) => self.verdict = Err(no_connection(&self.account, why)),
        }
    }
}

/// Another port, or another beginning of TLS, that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) port: u16,
    pub(super) start: Start,
    /// Whether a handshake was finished.
    pub(super) speaks: bool,
    /// Why an account that requires TLS could not send this way; `None` where it could, but for the login.
    pub(super) problem: Option<String>,
}

/// Which mechanism would be used on this connection, by the rules of a send, for an account that wants this one.
pub(super) fn mechanism(sight: &Sight, auth: &Auth, choice: Choice) -> Option<Result<Mechanism, String>> {
    let (met, server) = (sight.met.as_ref()?, sight.server()?);
    let explicit_mechanism = matches!(choice, Choice::Only(_));
    let rule = SecretRule { allow_unverified: auth.allow_unverified, explicit_mechanism };
    let permit = policy::may_authenticate(met, sight.reach, rule);
    let offered: Vec<&str> = server.auth.iter().map(String::as_str).collect();
    let chosen = permit.map_err(str::to_owned).and_then(|permit| {
        let bindable = sight.tls.as_ref().is_some_and(|tls| tls.bindable);
        let kind = auth.source.kind();
        let chosen = sasl::choose(&Terms { offered: &offered, choice, kind, permit: &permit, login: None, bindable });
        chosen.map_err(|error| error.to_string())
    });
    Some(chosen)
}
