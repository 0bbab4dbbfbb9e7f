//! How does the service of this machine get a message of ours? (SMTP over its socket; RFC 5321)

use super::deliver::Delivered;
use crate::{
    error::Error,
    host::{
        config::{Account, Config},
        narrate::Narrator,
        net::Link,
        pump::Pump,
        store::Message,
        tls::{Connector, Known},
        world::World,
    },
    mail::{
        content::Content,
        envelope::Envelope,
        policy::{Prior, Reach},
    },
    smtp::{
        client::{Plan, Session},
        command::Handover,
    },
};

/// More recipients than anybody names: they stay one message, and so one entry of the queue.
const TOGETHER: usize = 1_000_000;

/// Hands the message over; accepted means that it is safe in the service's queue. The service knows by itself who we are.
///
/// # Errors
/// The session can't even be begun.
pub(super) fn hand_over(
    (world, config, narrator): (&dyn World, &Config, &Narrator),
    (account, link): (&Account, &mut Link),
    told: Handover,
    envelope: &Envelope,
    message: &mut Message,
) -> Result<Delivered, Error> {
    narrator.note(&format!("handing the message to the service at {}", account.target));
    let connector = Connector::new(&account.tls, &account.target, Known::Nothing)?;
    let plan = Plan {
        server: account.target.to_string(),
        lmtp: false,
        hello: world.host_name(),
        demand: account.tls.demand,
        prior: Prior::default(),
        credentials: None,
        reach: Reach::Local,
        nonce: Default::default(),
        batch: TOGETHER,
        keep: false,
        handover: Some(told),
    };
    let mut session = Session::new(plan, envelope.clone().into(), message.facts());
    let timeouts = config.limits.timeouts;
    Pump { link, connector: &connector, timeouts, narrator, until: None, witness: None, settled: None }.run(&mut session, message);
    Ok(Delivered::of_session(account, session.report()))
}
