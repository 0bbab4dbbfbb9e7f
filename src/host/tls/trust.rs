//! What does an account's trust say of a peer? (RFC 5280, RFC 9525; sealpost(1), "TLS policy")

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::Known;
#[cfg(feature = "native-tls")]
use crate::smtp::tlsa::{Record, Usage};
use crate::{
    host::{careful, config},
    mail::{
        policy::Trust,
        tls::{Failure, Finding, Standing, Verdict},
    },
    smtp::{
        anchors::{Anchors, Search},
        certificate::{self, Authorities, Peer},
    },
};

/// Where systems keep their authorities as one file: Debian, Fedora, RHEL, openSUSE, Alpine and the BSDs, FreeBSD, NetBSD.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/openssl/certs/ca-certificates.crt",
];

/// The largest bundle or revocation list, in octets; real ones have a few hundred KiB.
const LARGEST: u64 = 64 << 20;

/// What an account asks of the peer.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) name: ServerName<'static>,
    trust: Trust,
    ca_file: Option<PathBuf>,
    crl_file: Option<PathBuf>,
    pins: Vec<[u8; 32]>,
    known: Known,
}

impl Rules {
    pub(super) fn new(settings: &config::Tls, name: ServerName<'static>, known: Known) -> Self {
        Self {
            name,
            known,
            trust: settings.demand.trust,
            ca_file: settings.ca_file.clone(),
            crl_file: settings.crl_file.clone(),
            pins: settings.pins.clone(),
        }
    }

    pub(super) fn verdict(&self, chain: &[CertificateDer<'_>]) -> Verdict {
        match (self.trust, &self.known) {
            (Trust::Any, _) => Ok(Standing::Unchecked),
            (Trust::Pin, _) => certificate::by_pin(chain, &self.pins),
            (Trust::System, _) => self.by_authority(chain),
            (Trust::Tofu, Known::Key(remembered)) => certificate::by_first_use(chain, remembered.as_ref()),
            (Trust::Dane, Known::Tlsa { records, names }) => {
                let names: Vec<_> = names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok()).collect();
                certificate::by_tlsa(chain, records, &names, UnixTime::now())
            }
            (Trust::Tofu | Trust::Dane, _) => {
                Err(Finding::new(Failure::ValidationFailure, "nothing was found out about the server beforehand"))
            }
        }
    }

    fn by_authority(&self, chain: &[CertificateDer<'_>]) -> Verdict {
        let (origin, bundle) = self.bundle()?;
        let anchors = search(bundle, chain).map_err(|error| unreadable("the certificate authorities in", &origin, &error))?;
        let lists = match &self.crl_file {
            Some(path) => Some(careful::read(path, LARGEST).map_err(|error| unreadable("crl_file", path, &error))?),
            None => None,
        };
        let authorities = Authorities { anchors: anchors.as_ref(), origin: &origin.to_string_lossy(), revoked: lists.as_deref() };
        certificate::by_authority(self.peer(chain), authorities)
    }

    fn peer<'a>(&'a self, chain: &'a [CertificateDer<'a>]) -> Peer<'a> {
        Peer { chain, name: &self.name, now: UnixTime::now() }
    }

    /// The certificates of those who are believed, and where they come from.
    fn bundle(&self) -> Result<(PathBuf, io::Take<File>), Finding> {
        match &self.ca_file {
            Some(path) => {
                careful::open_bounded(path, LARGEST).map(|file| (path.clone(), file)).map_err(|e| unreadable("ca_file", path, &e))
            }
            None => system_bundle(std::env::var_os("SSL_CERT_FILE"), SYSTEM_BUNDLES)
                .map_err(|why| Finding::new(Failure::ValidationFailure, why)),
        }
    }
}

/// For a library that looks at the chain itself.
#[cfg(feature = "native-tls")]
impl Rules {
    /// Whether anybody's authority matters.
    pub(super) fn needs_authorities(&self) -> bool {
        self.trust == Trust::System
    }

    /// Whether certificates above the server's own may matter, although no authority is asked: DANE-TA(2) speaks of them.
    pub(super) fn needs_chain(&self) -> bool {
        let Known::Tlsa { records, .. } = &self.known else { return false };
        records.iter().filter_map(Record::association).any(|association| association.usage == Usage::Authority)
    }

    /// The certificates of those who are believed; none where they are those whom the system's library knows by itself.
    pub(super) fn roots(&self) -> Result<Vec<Vec<u8>>, Finding> {
        let named = self.ca_file.is_some() || std::env::var_os("SSL_CERT_FILE").is_some_and(|path| !path.is_empty());
        if !named {
            return Ok(Vec::new());
        }
        let (origin, mut bundle) = self.bundle()?;
        let mut pem = Vec::new();
        bundle.read_to_end(&mut pem).map_err(|error| unreadable("the certificate authorities in", &origin, &error))?;
        match crate::smtp::anchors::every(&pem) {
            roots if roots.is_empty() => Err(certificate::nobody(&origin.to_string_lossy())),
            roots => Ok(roots),
        }
    }

    /// The verdict on a server whose chain the library accepted.
    pub(super) fn vouched(&self, chain: &[CertificateDer<'_>]) -> Verdict {
        certificate::by_name(self.peer(chain))
    }

    /// The verdict on a server whose chain the library refused for `finding`. One thing it can't be told: that a certificate
    /// which is itself among the trusted ones needs nobody above it.
    pub(super) fn refused(&self, chain: &[CertificateDer<'_>], finding: &Finding) -> Verdict {
        let own = chain.get(..1).unwrap_or_default();
        let found = self.bundle().ok().and_then(|(origin, bundle)| Some((origin, search(bundle, own).ok()??)));
        match found.filter(|(_, anchors)| anchors.lists_leaf()) {
            Some((origin, anchors)) => {
                let origin = origin.to_string_lossy();
                certificate::by_authority(self.peer(own), Authorities { anchors: Some(&anchors), origin: &origin, revoked: None })
            }
            None => Err(certificate::also_by_name(self.peer(own), finding)),
        }
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Finding {
    Finding::new(Failure::ValidationFailure, format!("can't read {what} {}: {error}", path.display()))
}

/// The bundle that `named` (`SSL_CERT_FILE`, as OpenSSL has it) says, else the first of `places` that exists.
pub(super) fn system_bundle(named: Option<OsString>, places: &[&str]) -> Result<(PathBuf, io::Take<File>), String> {
    let unreadable =
        |path: &Path, error: &io::Error| format!("can't read the certificate authorities in {}: {error}", path.display());
    if let Some(path) = named.filter(|path| !path.is_empty()).map(PathBuf::from) {
        return careful::open_bounded(&path, LARGEST).map_err(|error| unreadable(&path, &error)).map(|file| (path, file));
    }
    for path in places.iter().map(PathBuf::from) {
        match careful::open_bounded(&path, LARGEST) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Err("this system has no bundle of certificate authorities: install ca-certificates, or set ca_file".to_owned())
}

/// Reads the bundle through once, without keeping it.
fn search(mut bundle: io::Take<File>, chain: &[CertificateDer<'_>]) -> io::Result<Option<Anchors>> {
    let mut search = Search::new(chain);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match bundle.read(&mut buffer) {
            Ok(0) => return Ok(search.finish()),
            Ok(length) => search.feed(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
