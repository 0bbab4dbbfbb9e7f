//! What does one account say: where it goes, under which TLS, as whom? (sealpost.toml(5))

use std::{net::IpAddr, os::unix::ffi::OsStrExt as _, path::PathBuf};

use super::{
    Account, Backend, FromPolicy, Protocol, Senders, Target, Tls, Version, WITHOUT_NATIVE_TLS, auth, keys,
    section::{Found, Section},
    values::{self, Fault, Host, shown},
};
use crate::{
    error::Error,
    mail::policy::{Demand, OnDowngrade, Policy, Request, Start, Tlsa, Trust},
};

/// Submission under STARTTLS (RFC 6409).
const SUBMISSION: u16 = 587;
/// Submission under implicit TLS (RFC 8314).
const SUBMISSIONS: u16 = 465;
/// Where LMTP servers usually listen; RFC 2033 names no port, and forbids 25.
const LMTP: u16 = 24;

/// Reads `[accounts.NAME]`. Whether the accounts in `fallback` exist is for [`fallbacks`], when all are known.
pub(super) fn read(name: &str, section: &Section<'_>) -> Result<Account, Error> {
    let tls_section = section.section("tls", &keys::TLS)?;
    let auth_section = section.section("auth", &keys::AUTH)?;
    let protocol = section.word("protocol", &[("smtp", Protocol::Smtp), ("lmtp", Protocol::Lmtp)])?;
    let protocol = protocol.map_or(Protocol::Smtp, |found| found.value);
    let start = tls_section.word("start", &[("starttls", Start::Starttls), ("implicit", Start::Implicit)])?;
    let target = target(section, protocol, start.as_ref().map(|found| found.value))?;
    let tls = tls(&tls_section, &target, start)?;
    refuse_leak(section, &target, &tls)?;
    let auth = auth::read(&auth_section, &target, &tls)?;
    let from_policies = [("free", FromPolicy::Free), ("login", FromPolicy::Login), ("fixed", FromPolicy::Fixed)];
    let from_policy = section.word("from_policy", &from_policies)?;
    let senders = Senders::read(section)?;
    let from = senders.address(|| section.world.user().login, || section.world.host_name())?;
    if let Some(policy) = &from_policy
        && policy.value == FromPolicy::Fixed
        && !senders.is_written()
    {
        let fault = Fault::new("a fixed sender needs an address");
        return Err(policy.error(fault.hint(format!("add `{}`", section.called("from")))));
    }
    Ok(Account {
        name: name.to_owned(),
        protocol,
        from,
        senders,
        matches: section.list("match", values::pattern)?.into_iter().map(|found| found.value).collect(),
        from_policy: from_policy.map(|found| found.value),
        rewrite_from: section.boolean("rewrite_from")?.unwrap_or(false),
        hello: section.parsed("hello", values::hello)?.map(|found| found.value),
        fallback: Vec::new(),
        source_address: source_address(section, &target)?,
        proxy: section.parsed("proxy", values::proxy)?.map(|found| found.value),
        target,
        by_way_of: None,
        tls,
        auth,
    })
}

/// Reads the `fallback` of `account`, whose names are among `all`.
pub(super) fn fallbacks(account: &Account, section: &Section<'_>, all: &[Account]) -> Result<Vec<String>, Error> {
    let mut fallback: Vec<String> = Vec::new();
    for found in section.list("fallback", |text| Ok(text.to_owned()))? {
        if found.value == account.name {
            let fault = Fault::new(format!("account {} falls back on itself", shown(&account.name)));
            return Err(found.error(fault.hint("name other accounts")));
        }
        let Some(other) = all.iter().find(|other| other.name == found.value) else {
            let names: Vec<&str> = all.iter().map(|other| other.name.as_str()).collect();
            return Err(found.error(super::choose::unknown(&found.value, &names)));
        };
        // What was asked for a message is not lost on the way to the second server.
        if account.tls.demand.request == Request::Require && other.tls.demand.request != Request::Require {
            let because = format!("account {} has no requiretls, and {} has", shown(&other.name), shown(&account.name));
            return Err(found.error(Fault::new(because).hint("add `requiretls = true` there, or name another account")));
        }
        if !fallback.contains(&found.value) {
            fallback.push(found.value);
        }
    }
    Ok(fallback)
}

fn target(section: &Section<'_>, protocol: Protocol, start: Option<Start>) -> Result<Target, Error> {
    let port = section.integer("port", 1, u64::from(u16::MAX))?.and_then(|port| u16::try_from(port).ok());
    let default = match (start, protocol) {
        (Some(Start::Implicit), Protocol::Smtp) => SUBMISSIONS,
        (_, Protocol::Smtp) => SUBMISSION,
        (_, Protocol::Lmtp) => LMTP,
    };
    let host = section.parsed("host", |text| {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket(path).map(Target::Unix);
        }
        if let Some(domain) = text.strip_prefix("srv:") {
            let hint = "write the domain of the provider's mail addresses, like `srv:example.com`";
            return values::service(domain).map(Target::Service).map_err(|fault| fault.hint(hint));
        }
        let port = port.unwrap_or(default);
        Ok(match values::host(text)? {
            Host::Name(name) => Target::Name(name, port),
            Host::Address(address) => Target::Address(address, port),
        })
    })?;
    let found = host.ok_or_else(|| section.missing("host", "the smarthost", "smtp.example.com"))?;
    let fault = match (&found.value, protocol) {
        (Target::Unix(_), _) => Fault::new("a unix socket has no port"),
        (Target::Service(_), Protocol::Lmtp) => {
            return Err(found.error(Fault::new("SRV records name servers of SMTP").hint("name the LMTP server itself")));
        }
        (Target::Service(_), _) => Fault::new("SRV records name the port too"),
        _ => return Ok(found.value),
    };
    match section.place("port") {
        Some(port) => Err(port.error(fault.hint(format!("leave `{}` out", section.called("port"))))),
        None => Ok(found.value),
    }
}

/// A socket's absolute path, as long as the kernel takes one (unix(7)).
fn socket(path: &str) -> Result<PathBuf, Fault> {
    const LONGEST: usize = 107;
    let socket = PathBuf::from(path);
    if !socket.is_absolute() {
        return Err(Fault::new(format!("{} is not an absolute path", shown(path))).hint("like `unix:/run/dovecot/lmtp`"));
    }
    if socket.as_os_str().as_bytes().len() > LONGEST {
        return Err(Fault::new(format!("the path of a unix socket has at most {LONGEST} octets")));
    }
    Ok(socket)
}

fn source_address(section: &Section<'_>, target: &Target) -> Result<Option<IpAddr>, Error> {
    let source = section.ip("source_address")?;
    let (Some(source), Some(place)) = (source, section.place("source_address")) else { return Ok(None) };
    match target {
        Target::Unix(_) => Err(place.error(Fault::new("a unix socket is reached from no address").hint("leave it out"))),
        Target::Address(host, _) if host.is_ipv4() != source.is_ipv4() => Err(place.error(
            Fault::new(format!("{host} can't be reached from {source}: one is IPv4, the other IPv6"))
                .hint("name an address of the same family"),
        )),
        _ => Ok(Some(source)),
    }
}

fn tls(section: &Section<'_>, target: &Target, start: Option<Found<'_, Start>>) -> Result<Tls, Error> {
    let policies = [("off", Policy::Off), ("opportunistic", Policy::Opportunistic), ("required", Policy::Required)];
    let policy = section.word("policy", &policies)?.map_or(Policy::Required, |found| found.value);
    let implicit_port = matches!(target, Target::Name(_, SUBMISSIONS) | Target::Address(_, SUBMISSIONS));
    let begin = match &start {
        Some(found) => found.value,
        None if implicit_port => Start::Implicit,
        None => Start::Starttls,
    };
    if policy == Policy::Off && begin == Start::Implicit {
        return Err(match start {
            Some(found) => {
                let hint = format!("leave `{}` out, or choose another policy", section.called("start"));
                found.error(Fault::new("without TLS there is no implicit TLS").hint(hint))
            }
            None => section.error(Fault::new("port 465 speaks nothing but TLS").hint("choose another policy, or another port")),
        });
    }
    if let (Target::Service(_), Some(found)) = (target, &start) {
        let fault = Fault::new("SRV records say how TLS begins too");
        return Err(found.error(fault.hint(format!("leave `{}` out", section.called("start")))));
    }
    let (trust, pins) = trust(section)?;
    if trust == Trust::Dane {
        refuse_impossible_dane(section, target)?;
    }
    let server_name = server_name(section)?;
    if let Target::Unix(_) = target
        && policy != Policy::Off
        && trust == Trust::System
        && server_name.is_none()
    {
        let hint = "add `policy = \"off\"` (what goes through a unix socket stays on this machine), or `server_name`";
        return Err(section.error(Fault::new("TLS over a unix socket has no name to verify").hint(hint)));
    }
    let backend = backend(section)?;
    let downgrades = [("warn", OnDowngrade::Warn), ("refuse", OnDowngrade::Refuse)];
    let on_downgrade = section.word("on_downgrade", &downgrades)?.map_or(OnDowngrade::Warn, |found| found.value);
    let request = request(section, policy, trust)?;
    Ok(Tls {
        demand: Demand { policy, trust, start: begin, on_downgrade, tlsa: Tlsa::Unasked, request },
        ca_file: section.path("ca_file")?,
        crl_file: crl_file(section, trust)?,
        pins,
        server_name,
        min_version: min_version(section, backend)?,
        backend,
        client_identity: client_identity(section)?,
    })
}

fn trust(section: &Section<'_>) -> Result<(Trust, Vec<[u8; 32]>), Error> {
    let words = [("system", Trust::System), ("pin", Trust::Pin), ("tofu", Trust::Tofu), ("dane", Trust::Dane), ("any", Trust::Any)];
    let found = section.word("trust", &words)?;
    let trust = found.as_ref().map_or(Trust::System, |found| found.value);
    let pins: Vec<_> = section.list("pins", values::pin)?.into_iter().map(|found| found.value).collect();
    let (trust_key, pins_key) = (section.called("trust"), section.called("pins"));
    match (trust, section.place("pins")) {
        (Trust::Pin, _) if pins.is_empty() => {
            let fault = Fault::new("there is no pin to trust")
                .hint(format!("add `{pins_key}`: the log shows the digest of a server that was refused (certificate.sha256)"));
            Err(match found {
                Some(found) => found.error(fault),
                None => section.error(fault),
            })
        }
        (Trust::Pin, _) | (_, None) => Ok((trust, pins)),
        (_, Some(place)) => {
            let fault = Fault::new(format!("pins have no meaning with {trust_key} \"{}\"", trust.as_str()));
            Err(place.error(fault.hint(format!("set `{trust_key}` to \"pin\", or leave `{pins_key}` out"))))
        }
    }
}

/// Only where an authority is believed is there one that revokes: elsewhere nobody would look, and nobody would know.
fn crl_file(section: &Section<'_>, trust: Trust) -> Result<Option<PathBuf>, Error> {
    match section.place("crl_file") {
        Some(place) if trust != Trust::System => {
            let (trust_key, key) = (section.called("trust"), section.called("crl_file"));
            let fault = Fault::new(format!("revocation lists have no meaning with {trust_key} \"{}\"", trust.as_str()));
            Err(place.error(fault.hint(format!("leave `{key}` out, or set `{trust_key}` to \"system\""))))
        }
        _ => section.path("crl_file"),
    }
}

/// REQUIRETLS may only be said to a server that was verified (RFC 8689 2), so no mail would ever leave another account.
fn request(section: &Section<'_>, policy: Policy, trust: Trust) -> Result<Request, Error> {
    let (true, Some(place)) = (section.boolean("requiretls")?.unwrap_or(false), section.place("requiretls")) else {
        return Ok(Request::Nothing);
    };
    let (key, value, right) = match (policy, trust) {
        (Policy::Required, Trust::Any) => ("trust", trust.as_str(), "a `trust` that verifies the server"),
        (Policy::Required, _) => return Ok(Request::Require),
        _ => ("policy", policy.as_str(), "the `policy` \"required\""),
    };
    let fault =
        Fault::new(format!("REQUIRETLS is only for a server that is verified, and `{}` is \"{value}\"", section.called(key)));
    Err(place.error(fault.hint(format!("choose {right}, or leave `{}` out", section.called("requiretls")))))
}

/// TLSA records are a name's, and they say which name the certificate must have.
fn refuse_impossible_dane(section: &Section<'_>, target: &Target) -> Result<(), Error> {
    let place = section.place("trust");
    let pointed = |fault: Fault| place.as_ref().map_or_else(|| section.error(Fault::new("")), |place| place.error(fault));
    match target {
        Target::Name(..) | Target::Service(_) => {}
        Target::Address(address, _) => {
            let fault = Fault::new(format!("{address} is an address, and TLSA records belong to a name"));
            return Err(pointed(fault.hint("write the smarthost's name as `host`, or use trust \"pin\"")));
        }
        Target::Unix(_) => {
            let fault = Fault::new("TLSA records belong to a host's name, and a unix socket has none");
            return Err(pointed(fault.hint("leave `trust` out, and add `policy = \"off\"`: it stays on this machine")));
        }
    }
    match section.place("server_name") {
        Some(name) => {
            let fault = Fault::new("with trust \"dane\" the DNS says which name the certificate must have");
            Err(name.error(fault.hint(format!("leave `{}` out", section.called("server_name")))))
        }
        None => Ok(()),
    }
}

/// Whoever hides behind a proxy does not want to be seen asking the DNS beside it.
fn refuse_leak(section: &Section<'_>, target: &Target, tls: &Tls) -> Result<(), Error> {
    let (Some(place), true) = (section.place("proxy"), tls.demand.trusts_dane() || matches!(target, Target::Service(_))) else {
        return Ok(());
    };
    let fault = Fault::new("TLSA and SRV records would be asked for beside the proxy, for all to see whom you talk to");
    Err(place.error(fault.hint("name the smarthost itself, with trust \"system\" or \"pin\"; or leave the proxy out")))
}

fn server_name(section: &Section<'_>) -> Result<Option<String>, Error> {
    let found = section.parsed("server_name", |text| {
        Ok(match values::host(text)? {
            Host::Name(name) => name,
            Host::Address(address) => address.to_string(),
        })
    })?;
    Ok(found.map(|found| found.value))
}

fn backend(section: &Section<'_>) -> Result<Backend, Error> {
    let words = [Backend::Rustls, Backend::NativeTls].map(|backend| (backend.as_str(), backend));
    let Some(found) = section.word("backend", &words)?.filter(|found| found.value == Backend::NativeTls) else {
        return Ok(Backend::Rustls);
    };
    if !cfg!(feature = "native-tls") {
        let hint = "leave it out: it is rustls; or build one with `cargo build --release --features native-tls`";
        return Err(found.error(Fault::new(WITHOUT_NATIVE_TLS).hint(hint)));
    }
    if let Some(place) = section.place("crl_file") {
        let fault = Fault::new("native-tls does not look at revocation lists");
        return Err(place.error(fault.hint(format!("leave `{}` out: rustls does", section.called("backend")))));
    }
    Ok(Backend::NativeTls)
}

fn min_version(section: &Section<'_>, backend: Backend) -> Result<Version, Error> {
    let found = section.word("min_version", &Version::WORDS)?;
    if let Some(old) = found.as_ref().filter(|found| backend == Backend::Rustls && found.value < Version::Tls12) {
        let fault = Fault::new(format!("rustls speaks nothing older than TLS 1.2, so not {}", old.value.as_str()));
        return Err(
            old.error(fault.hint(format!("{} \"native-tls\" may, where the system's OpenSSL does", section.called("backend"))))
        );
    }
    Ok(found.map_or(Version::Tls12, |found| found.value))
}

/// One PEM file may hold both the chain and the key.
fn client_identity(section: &Section<'_>) -> Result<Option<(PathBuf, PathBuf)>, Error> {
    match (section.path("client_cert")?, section.path("client_key")?, section.place("client_key")) {
        (Some(chain), Some(key), _) => Ok(Some((chain, key))),
        (Some(chain), None, _) => Ok(Some((chain.clone(), chain))),
        (None, Some(_), Some(place)) => {
            Err(place
                .error(Fault::new("there is a key and no certificate").hint(format!("add `{}`", section.called("client_cert")))))
        }
        (None, ..) => Ok(None),
    }
}
