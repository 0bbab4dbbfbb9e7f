//! How does the service of this machine get a message of ours? (SMTP over its socket; RFC 5321)

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Desk, Ready, explain::explain};
use crate::{
    cmd::{addressing, deliver::Delivered, door, runner::transition::chance},
    error::{Error, Exit},
    host::{
        config::{Account, Config},
        net::Link,
        pump::Pump,
    },
    mail::{
        address::Address,
        content::Content as _,
        outcome::exit_code,
        policy::{Prior, Reach},
        retry::Backoff,
    },
    smtp::{
        client::{Plan, Session},
        command::Handover,
    },
};

/// More recipients than anybody names: they stay one message, and so one entry of the queue.
const TOGETHER: usize = 1_000_000;
/// How long a caller waits where too many hand in at the same time, as when cron starts many jobs. Those before it have a moment each.
const LINE: Duration = Duration::from_secs(60);
/// How long it waits each time: from 5 to 10 milliseconds at first, from half a second to a second at last.
const TURN: Backoff = Backoff { first: Duration::from_micros(7500), most: Duration::from_millis(750), spread: 33 };

impl Desk<'_> {
    /// Gives the message to the service, which logs what becomes of it; nothing is said or logged here when it has taken it.
    pub(super) fn hand_over(&self, config: &Config, link: &mut Link, ready: &mut Ready<'_>) -> Result<(), Error> {
        let called = if self.begun.elapsed() > door::PATIENT { door::again(ready.account, link) } else { Ok(()) };
        let mut told = called.map(|()| self.tell_service(config, link, ready));
        let (until, mut turns) = (Instant::now() + LINE, 0);
        while matches!(told, Ok((_, true))) && Instant::now() < until {
            self.narrator.note("the service has no room for one client more: waiting in line");
            turns += 1;
            thread::sleep(TURN.after(turns, chance(self.world)));
            told = door::again(ready.account, link).map(|()| self.tell_service(config, link, ready));
        }
        let error = match told {
            Ok((delivered, _)) => match exit_code(&delivered.outcomes) {
                Exit::Ok => return Ok(()),
                exit => explain(exit, ready.account, &delivered, false),
            },
            Err(error) => error,
        };
        let recipients: Vec<Address> = ready.envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        self.log_rejection(&error, None, &recipients);
        Err(error)
    }

    /// Accepted means that it is safe in the service's queue. Who we are the service knows by itself. And whether it had no room for us
    /// (421), before anything was said of the message.
    fn tell_service(&self, config: &Config, link: &mut Link, ready: &mut Ready<'_>) -> (Delivered, bool) {
        let (account, narrator): (&Account, _) = (ready.account, &self.narrator);
        narrator.note(&format!("handing the message to the service at {}", account.target));
        let plan = Plan {
            server: account.target.to_string(),
            lmtp: false,
            hello: "localhost".to_owned(),
            demand: account.tls.demand,
            prior: Prior::default(),
            credentials: None,
            reach: Reach::Local,
            nonce: Default::default(),
            batch: TOGETHER,
            keep: false,
            handover: Some(Handover {
                account: self.asked.account.clone(),
                default_sender: ready.asked.is_none(),
                strays: ready.strays.clone(),
                verbatim: ready.verbatim.clone(),
            }),
        };
        let mut envelope = ready.envelope.clone();
        if let Some(bare) = self.asked.sender.as_deref().and_then(addressing::bare_sender) {
            envelope.sender = bare;
        }
        let mut session = Session::new(plan, envelope.into(), ready.message.facts());
        let timeouts = config.limits.timeouts;
        let mut pump = Pump {
            link,
            connector: None,
            timeouts,
            narrator,
            unfinished: crate::host::narrate::Unfinished::default(),
            until: None,
            witness: None,
            settled: None,
        };
        pump.run(&mut session, &mut ready.message);
        let report = session.report();
        let is_turned_away = report.met.is_none() && report.problem.iter().any(|p| p.reply.as_ref().is_some_and(|r| r.code == 421));
        (Delivered::of_session(account, report), is_turned_away)
    }
}
