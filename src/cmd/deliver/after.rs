//! What is remembered of an attempt, and what does the memory say of it? (sealpost(1), "The memory of servers")

use super::{before::Before, words::doing};
use crate::{
    error::{Error, Exit},
    host::{
        config::{Account, Config},
        memory::{self, Rival, Server, Sighting, Trouble, digest},
        world::World,
    },
    mail::{
        policy::{self, Channel, Demand, Met, Start},
        tls::{Facts, Failure},
    },
    smtp::{client::Report, leaf},
};

/// What an attempt looks like beside what is remembered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cmd) struct After {
    /// The server had TLS before.
    pub(super) sealed_before: bool,
    /// What the record says besides.
    pub(super) remark: Option<String>,
    /// What to do where the mail was not sent, better than what the session knew.
    pub(in crate::cmd) hint: Option<String>,
    /// What the caller should hear, although it does not stop the mail.
    pub(in crate::cmd) warnings: Vec<Error>,
}

/// Remembers what is new, and tells what is less than before. Nothing here decides over the mail any more.
pub(super) fn look_back(
    world: &dyn World,
    config: &Config,
    account: &Account,
    before: &Before,
    report: &Report,
    facts: Option<&Facts>,
) -> After {
    let mut after = After::default();
    let known = &before.recollection;
    if known.is_kept {
        after.remember(config, account, before, &sighting(world, account, report, facts));
    }
    after.look(config, account, before, report);
    after
}

/// The same for somebody who sends nothing: nothing is remembered.
pub(in crate::cmd) fn compare(config: &Config, account: &Account, before: &Before, report: &Report) -> After {
    let mut after = After::default();
    after.look(config, account, before, report);
    after
}

impl After {
    fn remember(&mut self, config: &Config, account: &Account, before: &Before, seen: &Sighting) {
        let known = &before.recollection;
        let name = memory::name(account);
        if let Some(trouble) = &known.trouble {
            let remark = || format!("the memory can't be used, so this counts as the first time: {}", trouble.error.summary());
            self.remark = seen.first_use.map(|_| remark());
            self.warnings.push(trouble.error.clone());
        }
        let is_writable = known.trouble.as_ref().is_none_or(|trouble| trouble.spoilt);
        if !is_writable || !known.server.would_learn(seen) {
            return;
        }
        match memory::change(&config.memory, |servers| servers.entry(&name).notice(seen)) {
            Ok(Ok(())) => {}
            Ok(Err(Rival(first))) => {
                let second = seen.first_use.map(|key| leaf::hex(&key)).unwrap_or_default();
                let because = format!(
                    "two mails at once met two keys for the first time: sha256:{} is remembered, sha256:{second} is not",
                    leaf::hex(&first)
                );
                self.remark = Some(because.clone());
                let hint = format!("one of them is not the server's: ask its owner, then sealpost trust add {name}");
                self.warnings.push(Error::new(Exit::TempFail, doing(account), because).hint(hint));
            }
            Err(trouble) => {
                self.remark = seen.first_use.map(|_| format!("it could not be remembered: {}", trouble.error.summary()));
                self.warnings.push(trouble.error);
            }
        }
    }

    fn look(&mut self, config: &Config, account: &Account, before: &Before, report: &Report) {
        let known = &before.recollection;
        if let Some(trouble) = &known.trouble {
            self.wonder(before.demand, trouble, report);
        } else if known.is_kept {
            self.compare(account, &known.server, report);
        } else if is_stripped(report) {
            // An account that never goes without TLS has no use for a memory; only who reads why it failed has.
            let servers = memory::read(&config.memory).unwrap_or_default();
            if let Some(server) = servers.get(&memory::name(account)) {
                self.compare(account, server, report);
            }
        }
    }

    /// Tells where TLS is missing, and nobody knows whether it is gone.
    fn wonder(&mut self, demand: Demand, trouble: &Trouble, report: &Report) {
        let in_plaintext = report.met.as_ref().is_some_and(|met| met.channel() == Channel::Plaintext);
        if !in_plaintext && !is_stripped(report) {
            return;
        }
        let unknown = format!("whether TLS was there before is not known: {}", trouble.error.summary());
        if !in_plaintext && !demand.must_encrypt() {
            // Nothing but the memory held it back, and nothing can be forgotten of one that can't be read.
            self.hint = trouble.error.advice().map(|advice| format!("{unknown} ({advice})"));
        }
        self.remark = Some(unknown);
    }

    /// Tells where TLS is gone.
    fn compare(&mut self, account: &Account, server: &Server, report: &Report) {
        self.sealed_before = server.was_sealed();
        let in_plaintext = report.met.as_ref().is_some_and(Met::downgrade);
        if !self.sealed_before || !(in_plaintext || is_stripped(report)) {
            return;
        }
        let before = server.last_seen().map(|day| format!("TLS was there before, last on {day}"));
        let before = before.unwrap_or_else(|| "TLS was there before".to_owned());
        let advice = policy::advice_on_downgrade(account.tls.demand, &memory::name(account));
        if in_plaintext {
            let because = format!("{before}; this mail goes in plaintext");
            self.warnings.push(Error::new(Exit::TempFail, doing(account), because).hint(advice));
        } else {
            self.hint = Some(advice);
        }
        self.remark = Some(before);
    }
}

/// What the attempt showed. A key counts as met only where the mail went to it: what was turned away for want of trust must not
/// pass at the second try, when nobody has looked at the key yet.
fn sighting(world: &dyn World, account: &Account, report: &Report, facts: Option<&Facts>) -> Sighting {
    let met = report.met.as_ref();
    let key = facts.and_then(|facts| digest(&facts.certificate.as_ref()?.spki_sha256));
    Sighting {
        when: world.timestamp(),
        starttls: facts.is_some() && account.tls.demand.start == Start::Starttls,
        verified: met.is_some_and(|met| met.channel() == Channel::Verified),
        first_use: key.filter(|_| met.is_some_and(Met::first_use)),
    }
}

/// Whether nothing was sent, and no STARTTLS was there.
fn is_stripped(report: &Report) -> bool {
    report.met.is_none() && report.finding.as_ref().is_some_and(|finding| finding.failure == Failure::StarttlsNotSupported)
}
