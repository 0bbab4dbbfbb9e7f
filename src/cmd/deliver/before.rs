//! What must be known of a server before it is connected to? (sealpost(1), "TLS policy")

use super::recollection::Recollection;
use crate::{
    host::{
        config::{Account, Config},
        tls::Known,
        world::World,
    },
    mail::{
        policy::{Demand, Prior, Tlsa},
        tls::Finding,
    },
};

/// What was found out.
pub(in crate::cmd) struct Before {
    /// What the connection must meet: the account's demand, and what DNSSEC adds to it.
    pub(in crate::cmd) demand: Demand,
    /// What the account's trust compares the peer with.
    pub(in crate::cmd) known: Known,
    /// What the server showed on earlier days.
    pub(in crate::cmd) prior: Prior,
    /// Where that comes from.
    pub(in crate::cmd) recollection: Recollection,
}

impl Before {
    /// What there is to go by where nothing could be found out.
    pub(in crate::cmd) fn nothing(account: &Account) -> Self {
        let recollection = Recollection::default();
        Self { demand: account.tls.demand, known: Known::Nothing, prior: Prior::default(), recollection }
    }
}

/// Finds out what the account's trust and policy need, and nothing for those that need nothing; `demand` is the account's for this
/// message.
///
/// # Errors
/// Why nothing may be sent, whatever the server will say.
pub(in crate::cmd) fn find_out(_: &dyn World, config: &Config, account: &Account, demand: Demand) -> Result<Before, Finding> {
    let demand = demand.informed(Tlsa::Unasked)?;
    let recollection = Recollection::of(config, account);
    let known = recollection.known(demand)?;
    let prior = Prior { sealed_before: recollection.sealed_before(demand), failed_handshake: None };
    Ok(Before { demand, known, prior, recollection })
}
