//! What must be known of a server before it is connected to? (sealpost(1), "TLS policy")

use crate::{
    host::{config::Account, tls::Known},
    mail::{
        policy::{Demand, Prior, Tlsa},
        tls::Finding,
    },
};

/// What was found out.
pub(super) struct Before {
    /// What the connection must meet: the account's demand, and what DNSSEC adds to it.
    pub(super) demand: Demand,
    /// What the account's trust compares the peer with.
    pub(super) known: Known,
    /// What the server showed on earlier days.
    pub(super) prior: Prior,
}

/// Finds out what the account's trust and policy need, and nothing for those that need nothing.
///
/// # Errors
/// Why nothing may be sent, whatever the server will say.
pub(super) fn find_out(account: &Account) -> Result<Before, Finding> {
    let demand = account.tls.demand.informed(Tlsa::Unasked)?;
    Ok(Before { demand, known: Known::Nothing, prior: Prior::default() })
}
