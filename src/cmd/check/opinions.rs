//! What would each kind of trust say of a server that was met? (sealpost.toml(5), `trust`)

use std::path::PathBuf;

use super::records::Records;
use crate::{
    host::{
        config::{self, Account, Backend, Config, Tls},
        memory,
        probe::Seal,
        tls::{self, Known},
    },
    mail::{
        policy::{Demand, OnDowngrade, Policy, Tlsa, Trust},
        tls::{Finding, Standing, Verdict},
    },
};

/// Why nothing is said of a chain.
const HIDDEN: &str = "not told by this backend";

/// One kind of trust, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Opinion {
    /// As it is configured; `ca_file` is apart from `system`.
    pub(super) name: &'static str,
    /// What it says, or why it says nothing.
    pub(super) says: Result<Verdict, String>,
}

impl Opinion {
    pub(super) fn trusts(&self) -> bool {
        self.says == Ok(Ok(Standing::Proven))
    }
}

/// Every kind of trust; pins come last, for the lines that would pin the server follow.
///
/// What hangs on a chain that the library keeps to itself (`hidden`) is for nobody but the account's own trust to say.
pub(super) fn of(
    config: &Config,
    account: &Account,
    (seal, hidden): (&Seal, bool),
    records: Result<&Records, &&str>,
) -> Vec<Opinion> {
    let with = |trust, ca_file| {
        let demand = Demand { policy: Policy::Required, trust, on_downgrade: OnDowngrade::Warn, ..account.tls.demand };
        Tls { demand, ca_file, ..account.tls.clone() }
    };
    let ask = |settings: &Tls, known| tls::opinion(settings, &account.target, known, &seal.ders);
    let by_authority = |file: Option<PathBuf>| match account.tls.backend {
        Backend::Rustls => Ok(ask(&with(Trust::System, file), Known::Nothing)),
        // It weighs a chain only while it shakes hands, and shows us the server's own certificate alone.
        Backend::NativeTls if account.tls.demand.trust == Trust::System && account.tls.ca_file == file => Ok(seal.verdict.clone()),
        Backend::NativeTls => Err(HIDDEN.to_owned()),
    };
    let system = by_authority(None);
    let ca_file = match &account.tls.ca_file {
        Some(path) => by_authority(Some(path.clone())),
        None => Err("none is configured".to_owned()),
    };
    let pin = match account.tls.pins.as_slice() {
        [] => Err("none is configured; these lines would pin this server:".to_owned()),
        _ => Ok(ask(&with(Trust::Pin, None), Known::Nothing)),
    };
    let tofu = remembered(config, account).map(|key| ask(&with(Trust::Tofu, None), Known::Key(key)));
    let dane = published(records).map(|known| known.and_then(|known| ask(&with(Trust::Dane, None), known)));
    let dane = match dane {
        Ok(Err(_)) if hidden && account.tls.demand.trust != Trust::Dane => Err(HIDDEN.to_owned()),
        other => other,
    };
    let any = Ok(Ok(Standing::Unchecked));
    let all = [("system", system), ("ca_file", ca_file), ("tofu", tofu), ("dane", dane), ("any", any), ("pin", pin)];
    all.into_iter().map(|(name, says)| Opinion { name, says }).collect()
}

/// The key that the server showed first, where one is remembered.
fn remembered(config: &Config, account: &Account) -> Result<Option<[u8; 32]>, String> {
    if config.memory == config::Memory::None {
        return Err("no memory is configured".to_owned());
    }
    let servers = memory::read(&config.memory).map_err(|trouble| trouble.error.summary())?;
    Ok(servers.get(&memory::name(&account.target)).and_then(|server| Some(server.key.as_ref()?.sha256)))
}

/// What DNSSEC says of the server, and why DANE has nothing to go by.
fn published(records: Result<&Records, &&str>) -> Result<Result<Known, Finding>, String> {
    let dane = records.map_err(|why| (*why).to_owned())?.dane.as_ref().map_err(ToString::to_string)?;
    match &dane.outcome {
        Ok(Tlsa::Absent | Tlsa::Unasked) => Err(dane.words.clone()),
        Ok(Tlsa::Usable | Tlsa::Unusable) => Ok(Ok(Known::Tlsa { records: dane.records.clone(), names: dane.names() })),
        Err(finding) => Ok(Err(finding.clone())),
    }
}
