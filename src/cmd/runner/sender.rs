//! Who may be the sender of a message that waits, at an account that it falls back to? (sealpost.toml(5), `from_policy`)

use crate::{
    cmd::addressing::{self, MailDomain},
    error::Error,
    host::{
        config::{Account, Config, FromPolicy},
        spool::Head,
        world::World,
    },
    mail::address::ReversePath,
};

/// The envelope sender that an account allows to who handed the message in.
///
/// # Errors
/// The account has no `from`, and the login can't stand in an address.
pub(super) fn of(world: &dyn World, config: &Config, head: &Head, account: &Account) -> Result<ReversePath, Error> {
    let domain = MailDomain::of(world, config, &head.user);
    // What another user handed in came through the service, which asks more of a sender than a direct send does.
    let is_own = head.uid == world.uid() || head.uid == 0 || config.serve.free_senders.contains(&head.user);
    let usual = if is_own { FromPolicy::Free } else { FromPolicy::Login };
    addressing::sender_under(account.from_policy.unwrap_or(usual), head.asked.clone(), account, &domain)
}
