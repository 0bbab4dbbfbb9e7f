//! Which certificate does the sink show, and who vouches for it? (RFC 5280, 9525)

use std::{io, path::Path, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};

use super::{Certificate, Settings};
use crate::{host::hybrid, smtp::server::fault::Link};

/// A TLS configuration, and the CA that a client needs to believe it.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) ca_pem: Option<String>,
}

impl Identity {
    pub(super) fn load(settings: &Settings) -> io::Result<Self> {
        let (chain, key, ca_pem) = match &settings.certificate {
            Certificate::Files { chain, key } => {
                (read_chain(chain)?, PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, error))?, None)
            }
            Certificate::ThrowAway => {
                let (chain, key, ca) = throw_away(settings).map_err(io::Error::other)?;
                (chain, key, Some(ca))
            }
        };
        let config = ServerConfig::builder_with_provider(Arc::new(hybrid::provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}

fn read_chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|error| named(path, error))?.collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(named(path, "no certificate in it")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(named(path, error)),
    }
}

fn named(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

type Made = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String);

/// A CA, and a certificate of it with the faults that were asked for.
fn throw_away(settings: &Settings) -> Result<Made, rcgen::Error> {
    let this_year = i32::from(TimeZone::UTC.to_datetime(Timestamp::now()).year());
    let authority = new_authority("sealpost sink: throw-away CA", this_year)?;

    let faults = &settings.faults;
    let names = if faults.spoils(Link::WrongName) { vec!["wrong.example".to_owned()] } else { names(settings) };
    let mut leaf = params("sealpost sink", names, this_year)?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    if faults.spoils(Link::Expired) {
        leaf.not_before = date_time_ymd(this_year - 3, 1, 1);
        leaf.not_after = date_time_ymd(this_year - 2, 1, 1);
    }
    if faults.spoils(Link::NotYetValid) {
        leaf.not_before = date_time_ymd(this_year + 1, 12, 31);
    }
    let key = KeyPair::generate()?;
    let certificate = if faults.spoils(Link::SelfSigned) {
        leaf.self_signed(&key)?
    } else if faults.spoils(Link::UnknownAuthority) {
        let stranger = new_authority("an authority that nobody knows", this_year)?;
        leaf.signed_by(&key, &stranger)?
    } else {
        leaf.signed_by(&key, &authority)?
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], key, authority.pem()))
}

fn new_authority(name: &str, this_year: i32) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = params(name, Vec::new(), this_year)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn params(name: &str, names: Vec<String>, this_year: i32) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A year of slack on both sides: the clock of a container may be off.
    params.not_before = date_time_ymd(this_year - 1, 1, 1);
    params.not_after = date_time_ymd(this_year + 2, 1, 1);
    Ok(params)
}

fn names(settings: &Settings) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let ip = settings.address.ip();
    if !ip.is_loopback() && !ip.is_unspecified() {
        names.push(ip.to_string());
    }
    names
}
