//! How does one connection serve several messages, and which ones? (RFC 5321 3.3; one login and one handshake for all of them)

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Delivered, Delivery, Ended, after::After};
use crate::{
    host::{config::Account, net::Link, tls::Connector},
    mail::{content::Content, envelope::Envelope, policy::Demand, tls::Facts},
    smtp::client::Session,
};

/// How long a connection serves: then DNSSEC, certificates and the memory are asked again.
const LONGEST: Duration = Duration::from_secs(300);
/// After so much idleness a server may have hung up without our knowing yet.
const LONG_IDLE: Duration = Duration::from_secs(1);
/// How long the farewell may take that nobody waits for.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection to an account's server that waits for its next message, logged in. It belongs to the configuration under which it was made:
/// who reads another one drops it. Says QUIT when it is dropped.
pub struct Kept {
    /// The account; where it names a service, as one that names the server.
    route: Account,
    line: Line,
    link: Link,
    connector: Connector,
    session: Session,
    opened: Instant,
    used: Instant,
    messages: u32,
}

/// What every record of one connection tells of it.
pub(super) struct Line {
    pub(super) demand: Demand,
    pub(super) peer: Option<SocketAddr>,
    pub(super) facts: Option<Facts>,
    /// What the memory said of it.
    pub(super) after: After,
}

impl Delivery<'_> {
    /// As [`Delivery::run`], on the connection that is kept where that fits, and leaves one behind where one is good for another message.
    /// A connection that turns out to be gone before the server had the message counts for nothing: the message goes on a new one at once.
    pub fn run_kept(
        &mut self,
        kept: &mut Option<Kept>,
        account: &Account,
        envelope: &Envelope,
        content: &mut dyn Content,
    ) -> Delivered {
        self.keeps = true;
        self.kept = kept.take();
        let delivered = self.run(account, envelope, content);
        *kept = self.kept.take();
        delivered
    }

    /// The message on the connection that is kept; `None` where there is none for it, or it is gone.
    pub(super) fn along_kept(&mut self, account: &Account, envelope: &Arc<Envelope>, content: &mut dyn Content) -> Option<Ended> {
        let demand = account.tls.demand.of_message(self.asked);
        let mut kept = self.kept.take_if(|kept| kept.is_of(account))?;
        if !kept.suits(demand) {
            return None;
        }
        let begun = Instant::now();
        let Kept { session, link, connector, route, line, used, messages, .. } = &mut kept;
        self.narrator.note(&format!("account {}: on the connection that is there", route.name));
        session.next(Arc::clone(envelope), content.facts(), used.elapsed() > LONG_IDLE);
        self.pump(link, connector, session, content);
        let report = session.take_report();
        if report.spent {
            let why = report.problem.map_or_else(|| "it is gone".to_owned(), |problem| problem.because);
            self.narrator.note(&format!("{why}: on a new connection"));
            return None;
        }
        let ended = self.conclude(route, envelope, report, line, begun);
        *used = Instant::now();
        *messages += 1;
        self.kept = Some(kept).filter(|kept| kept.session.is_idle());
        Some(ended)
    }
}

impl Kept {
    /// A connection that has served its first message, which began at `opened`.
    pub(super) fn new(
        route: &Account,
        line: Line,
        (link, connector, session): (Link, &Connector, Session),
        opened: Instant,
    ) -> Self {
        Self { route: route.clone(), line, link, connector: connector.clone(), session, opened, used: Instant::now(), messages: 1 }
    }

    /// The name of its account.
    pub fn account(&self) -> &str {
        &self.route.name
    }

    /// How many messages were said on it.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Whether the server has hung up, or said something that nobody asked for: then it is good for nothing but to be dropped.
    pub fn is_gone(&mut self) -> bool {
        if self.session.is_idle() && !matches!(self.link.glance(), Ok([])) {
            self.session.lost("it was not quiet");
        }
        !self.session.is_idle()
    }

    /// How long it has been waiting.
    pub fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    fn is_of(&self, account: &Account) -> bool {
        self.route.name == account.name
    }

    /// Whether what it met is what the message asks for, and not too long ago.
    fn suits(&self, demand: Demand) -> bool {
        // What DNSSEC says, and so what must be met, depends on the request.
        self.line.demand.request == demand.request && self.opened.elapsed() < LONGEST
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.session.is_idle() {
            self.session.quit();
            // Who does not hear it, or has gone, has missed nothing.
            let _ = self.link.say(self.session.flight(), Instant::now() + FAREWELL);
        }
    }
}
