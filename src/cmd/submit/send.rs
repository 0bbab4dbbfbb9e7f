//! What becomes of a submission: is it sent now, or does it wait? (sealpost.toml(5), `[queue]`)

use super::{Desk, Ready, explain::explain};
use crate::{
    cmd::{
        addressing::{self, MailDomain},
        caller::complain,
        deliver::{Delivered, Delivery},
    },
    error::{Error, Exit},
    host::{
        config::{Account, Config, Mode},
        journal,
    },
    mail::{
        content::Content as _,
        outcome::{Outcome, exit_code},
    },
};

/// Takes what was not delivered into the queue; whether it waits there now.
pub(super) type Keep<'k> = dyn FnMut(&Delivered, &mut Ready<'_>) -> bool + 'k;

impl Desk<'_> {
    /// Sends or queues it.
    ///
    /// # Errors
    /// What the caller is to know; logged already.
    pub(super) fn dispatch(&self, config: &Config, mut ready: Ready<'_>) -> Result<(), Error> {
        match (config.queue.mode, &config.queue.dir) {
            (Mode::Fallback, Some(dir)) => self.send_or_queue(config, dir, ready),
            (Mode::Always, Some(dir)) => self.queue_and_send(config, dir, ready),
            (Mode::Off, _) | (_, None) => {
                let account = ready.account;
                let mut delivered = self.attempt(config, &mut ready, None, None);
                delivered.outcomes.iter_mut().for_each(Outcome::conclude);
                let exit = exit_code(&delivered.outcomes);
                if exit == Exit::Ok { Ok(()) } else { Err(explain(exit, account, &delivered, false)) }
            }
        }
    }

    /// Tries it at once, without the accounts that are to be left alone. Where a queue may keep it, nothing is logged before
    /// `keep` has said whether it does.
    pub(super) fn attempt(
        &self,
        config: &Config,
        ready: &mut Ready<'_>,
        resting: Option<&dyn Fn(&str) -> bool>,
        keep: Option<&mut Keep<'_>>,
    ) -> Delivered {
        let (message_id, asked, envelope) = (ready.message_id.clone(), ready.asked.clone(), ready.envelope.clone());
        let submission = journal::Submission {
            message_id: Some(&message_id),
            sender: Some(&envelope.sender),
            size: Some(ready.message.facts().size),
            ..self.submission()
        };
        let domain = MailDomain::new(self.world, config);
        let sender = |account: &Account| addressing::sender(asked.clone(), account, &domain);
        let mut delivery = Delivery::new(self.world, config, &self.journal, &self.narrator, submission, &sender);
        delivery.resting = resting;
        delivery.late = keep.is_some().then(Vec::new);
        let delivered = delivery.run(ready.account, &envelope, &mut ready.message);
        if let Some(keep) = keep {
            let is_kept = keep(&delivered, ready);
            delivery.publish(is_kept);
        }
        for error in &delivery.warnings {
            complain(self.program, self.asked.errors, error);
        }
        delivered
    }
}
