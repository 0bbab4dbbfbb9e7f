//! What is a person told of an account that could not do it?

use std::{fmt, net::SocketAddr};

use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Target},
        dial::Unreachable,
    },
    mail::{policy::Policy, tls::Finding},
    smtp::client::Report,
};

/// What it means for a message that its smarthost can't be reached.
pub(in crate::cmd) fn no_connection(account: &Account, why: &Unreachable) -> Error {
    let (exit, hint) = match why {
        Unreachable::NoSuchHost(_) => (Exit::NoHost, "check the spelling of host in the configuration"),
        Unreachable::NotNow(_) => (Exit::TempFail, "check host and port; the message is still with the caller"),
    };
    Error::new(exit, doing(account), format!("cannot connect: {why}")).hint(hint)
}

/// What it means for a message that enough is known of its smarthost to send it nothing.
pub(in crate::cmd) fn withheld(account: &Account, finding: &Finding) -> Error {
    let because = format!("TLS policy \"{}\" not met: {finding}", account.tls.demand.policy.as_str());
    Error::new(Exit::TempFail, doing(account), because).hint(finding.failure.advice())
}

/// What ended a session early, as the caller reads it.
pub(in crate::cmd) fn problem_of(account: &Account, report: &Report) -> Option<Error> {
    let problem = report.problem.as_ref()?;
    let error = Error::new(problem.exit, doing(account), problem.because.clone());
    Some(match &problem.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    })
}

/// What was being done.
pub(in crate::cmd) fn doing(account: &Account) -> String {
    let sealed = if account.tls.demand.policy == Policy::Off { ", without TLS" } else { "" };
    format!("sending through account {} ({}{sealed})", account.name, account.target)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Address(address, port) => SocketAddr::new(*address, *port).fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Service(domain) => write!(f, "srv:{domain}"),
        }
    }
}
