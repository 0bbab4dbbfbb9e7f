//! What is a connection of an account for, and who do we say that we are? (RFC 5321 4.1.4)

use super::{Delivery, login::Login};
use crate::{
    host::{
        config::{Account, Config, Protocol, Target},
        memory,
        net::Link,
        world::World,
    },
    mail::policy::{Demand, Prior, Reach},
    smtp::{client::Plan, sasl::Credentials},
};

impl Delivery<'_> {
    /// What a connection of this account is for.
    pub(in crate::cmd) fn plan(
        world: &dyn World,
        config: &Config,
        account: &Account,
        link: &Link,
        credentials: Option<Login>,
        (demand, prior): (Demand, &Prior),
    ) -> Plan {
        let (credentials, nonce) = credentials.unzip();
        // Of a service this is the server that it came to.
        let server = match &account.target {
            Target::Name(host, port) => Some((host.clone(), *port)),
            Target::Address(address, port) => Some((address.to_string(), *port)),
            Target::Unix(_) | Target::Service(_) => None,
        };
        let credentials = credentials.map(|credentials| Credentials { server, ..credentials });
        Plan {
            server: memory::name(account),
            lmtp: account.protocol == Protocol::Lmtp,
            hello: account.hello.clone().unwrap_or_else(|| hello(world, link)),
            demand,
            prior: prior.clone(),
            credentials,
            // What leads to a proxy on this machine goes on from there.
            reach: if account.proxy.is_some() { Reach::Network } else { link.reach() },
            nonce: nonce.unwrap_or_default(),
            batch: config.limits.recipients,
            keep: false,
            handover: None,
        }
    }
}

/// The host's full name, else an address literal (RFC 5321 4.1.4).
fn hello(world: &dyn World, link: &Link) -> String {
    let name = world.host_name();
    match link.local().map(|local| local.ip().to_canonical()) {
        Some(std::net::IpAddr::V4(address)) if !name.contains('.') => format!("[{address}]"),
        Some(std::net::IpAddr::V6(address)) if !name.contains('.') => format!("[IPv6:{address}]"),
        _ => name,
    }
}
