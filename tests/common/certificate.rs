//! Which certificates does a test server show: a good one, and each bad kind?

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// It is its own issuer and nobody's anchor.
    SelfSigned,
    /// Its issuer is nobody's anchor.
    UnknownCa,
    /// It names another server.
    WrongName,
    /// It ended years ago.
    Expired,
}

impl Flaw {
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::SelfSigned, Self::UnknownCa, Self::WrongName, Self::Expired];

    /// What `tls.failure` says of it under `trust = "system"`.
    pub(crate) fn failure(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::SelfSigned | Self::UnknownCa => Some("certificate-not-trusted"),
            Self::WrongName => Some("certificate-host-mismatch"),
            Self::Expired => Some("certificate-expired"),
        }
    }

    /// Whether `backend` ends the handshake by itself, so that a second connection is to show who is there. Names are never for the
    /// library to judge.
    pub(crate) fn is_refused_unseen(self, backend: &str) -> bool {
        backend == "native-tls" && matches!(self, Self::SelfSigned | Self::UnknownCa | Self::Expired)
    }
}

/// A throw-away certification authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for 127.0.0.1 and localhost with the flaw.
    pub(crate) fn identity(&self, flaw: Flaw) -> Identity {
        let names = if flaw == Flaw::WrongName {
            vec!["other.test".to_owned()]
        } else {
            vec!["127.0.0.1".to_owned(), "localhost".to_owned()]
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "smarthost.test");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if flaw == Flaw::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            Flaw::UnknownCa => params.signed_by(&key, &Self::new("an authority nobody knows").0),
            _ => params.signed_by(&key, &self.0),
        };
        Identity::new(&certificate.unwrap(), &key)
    }

    /// A certificate for these names.
    pub(crate) fn naming(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        Identity::new(&CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap(), &key)
    }

    /// A client's certificate, which names `user`.
    pub(crate) fn client(&self, user: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        Identity::new(&params.signed_by(&key, &self.0).unwrap(), &key)
    }
}

impl Identity {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        }
    }

    /// A TLS server that shows it.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_no_client_auth().with_single_cert(vec![self.certificate.clone()], key).unwrap())
    }

    /// What `pins` wants to see.
    pub(crate) fn pin(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.certificate);
        digest.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }
}
