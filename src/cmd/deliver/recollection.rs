//! What is remembered of an account's server, as far as the account has use for it? (sealpost(1), "The memory of servers")

use crate::{
    host::{
        config::{self, Account, Config},
        memory::{self, Server, Trouble},
        tls::Known,
    },
    mail::{
        policy::{Demand, OnDowngrade},
        tls::{Failure, Finding},
    },
};

/// What is remembered of a server.
#[derive(Debug, Default)]
pub(in crate::cmd) struct Recollection {
    /// The account has use for a memory; without, none was looked at.
    pub(super) is_kept: bool,
    /// What the server showed; nothing where it is new, or nothing could be read.
    pub(super) server: Server,
    /// Why the memory could not be read.
    pub(in crate::cmd) trouble: Option<Trouble>,
}

impl Recollection {
    /// Reads the memory, if the account has use for it.
    pub(super) fn of(config: &Config, account: &Account) -> Self {
        if !account.tls.demand.minds_the_past() || config.memory == config::Memory::None {
            return Self::default();
        }
        match memory::read(&config.memory) {
            Ok(servers) => {
                let server = servers.get(&memory::name(&account.target)).cloned().unwrap_or_default();
                Self { is_kept: true, server, trouble: None }
            }
            Err(trouble) => Self { is_kept: true, server: Server::default(), trouble: Some(trouble) },
        }
    }

    /// What `trust = "tofu"` compares the server's key with.
    ///
    /// # Errors
    /// The memory can't be read, and the account refuses what might be less than before. (Any other takes the server for new, since
    /// a memory is no reason to lose mail: that is said, and logged.)
    pub(super) fn known(&self, demand: Demand) -> Result<Known, Finding> {
        match &self.trouble {
            _ if !demand.trusts_first_use() => Ok(Known::Nothing),
            Some(trouble) if demand.on_downgrade == OnDowngrade::Refuse && demand.must_trust() => {
                let advice = trouble.error.advice().unwrap_or_default();
                let why = format!("the server's key can't be known: {} ({advice})", trouble.error.summary());
                Err(Finding::new(Failure::ValidationFailure, why))
            }
            _ => Ok(Known::Key(self.server.key.as_ref().map(|key| key.sha256))),
        }
    }

    /// Whether plaintext would be less than before. Who refuses that refuses it too where nobody can tell.
    pub(super) fn sealed_before(&self, demand: Demand) -> bool {
        let may_have_been = self.trouble.is_some() && demand.on_downgrade == OnDowngrade::Refuse;
        self.server.was_sealed() || may_have_been
    }
}
