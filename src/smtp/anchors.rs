//! Which certificates of a PEM bundle can vouch for a chain? (RFC 7468, RFC 5280 6.1)

use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memmem::{self, Finder};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// A block that has not ended after so many octets never does.
const LONGEST_BLOCK: usize = 256 * 1024;

/// The certificates of a bundle that one chain can end in.
#[derive(Debug, Default)]
pub struct Anchors {
    candidates: Vec<CertificateDer<'static>>,
    lists_leaf: bool,
}

impl Anchors {
    /// Certificates that may be an issuer's.
    pub fn candidates(&self) -> &[CertificateDer<'static>] {
        &self.candidates
    }

    /// Whether the leaf itself, byte for byte, is in the bundle.
    pub fn lists_leaf(&self) -> bool {
        self.lists_leaf
    }
}

/// Looks through a bundle, piece by piece, for what matters to one chain.
///
/// A system's bundle holds about 145 authorities of which a chain needs one, and reading them all as X.509 would cost more than
/// the rest of the handshake, keeping them all more memory. So each is only decoded, and kept where it holds the bytes of an
/// issuer's name: a superset of those whose subject is that name, which path building then compares exactly.
pub struct Search<'c> {
    leaf: Option<&'c CertificateDer<'c>>,
    issuers: Vec<Finder<'static>>,
    found: Anchors,
    count: usize,
    unread: Vec<u8>,
    text: Vec<u8>,
    der: Vec<u8>,
}

impl<'c> Search<'c> {
    /// For `chain`, the leaf first.
    pub fn new(chain: &'c [CertificateDer<'c>]) -> Self {
        Self {
            leaf: chain.first(),
            issuers: issuers(chain).iter().map(|name| Finder::new(name).into_owned()).collect(),
            found: Anchors::default(),
            count: 0,
            unread: Vec::new(),
            text: Vec::new(),
            der: Vec::new(),
        }
    }

    /// Takes the next piece of the bundle, PEM. Blocks that are not base64 are passed over.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(piece);
        let mut rest = unread.as_slice();
        while let Some((body, behind)) = block(rest) {
            self.weigh(body);
            rest = behind;
        }
        let keep = if rest.len() > LONGEST_BLOCK { BEGIN.len() } else { rest.len() };
        let done = unread.len() - keep;
        unread.drain(..done);
        self.unread = unread;
    }

    /// What was found; `None` where the bundle holds no certificate at all.
    pub fn finish(self) -> Option<Anchors> {
        (self.count > 0).then_some(self.found)
    }

    fn weigh(&mut self, body: &[u8]) {
        self.text.clear();
        self.der.clear();
        for line in body.split(|byte| *byte == b'\n') {
            self.text.extend_from_slice(line.trim_ascii());
        }
        if STANDARD.decode_vec(&self.text, &mut self.der).is_err() {
            return;
        }
        self.count += 1;
        self.found.lists_leaf |= self.leaf.is_some_and(|leaf| leaf.as_ref() == self.der);
        if self.issuers.iter().any(|issuer| issuer.find(&self.der).is_some()) {
            self.found.candidates.push(CertificateDer::from(self.der.clone()));
        }
    }
}

/// Every certificate of a bundle in PEM. Blocks that are not base64 are passed over.
pub fn every(pem: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = pem;
    while let Some((body, behind)) = block(rest) {
        rest = behind;
        let text: Vec<u8> = body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        found.extend(STANDARD.decode(text));
    }
    found
}

/// The names of the issuers in a chain, as DER without the outer SEQUENCE.
fn issuers(chain: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> =
        chain.iter().filter_map(|der| Some(EndEntityCert::try_from(der).ok()?.issuer().to_vec())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What stands between the BEGIN and END lines of the first certificate, and what is behind it.
fn block(pem: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = pem.get(memmem::find(pem, BEGIN)? + BEGIN.len()..)?;
    let length = memmem::find(body, END)?;
    Some((body.get(..length)?, body.get(length + END.len()..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    impl Anchors {
        /// All in one piece, or octet by octet: it makes no difference.
        fn select(pem: &[u8], chain: &[CertificateDer<'_>]) -> Option<Self> {
            let (mut whole, mut drops) = (Search::new(chain), Search::new(chain));
            whole.feed(pem);
            for octet in pem {
                drops.feed(&[*octet]);
            }
            let (whole, drops) = (whole.finish(), drops.finish());
            let told = |found: &Option<Self>| found.as_ref().map(|f| (f.candidates.clone(), f.lists_leaf));
            assert_eq!(told(&whole), told(&drops));
            whole
        }
    }

    fn authority(name: &str) -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), Issuer::new(params, key))
    }

    fn leaf(issuer: &Issuer<'static, KeyPair>) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap();
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    #[test]
    fn only_the_authorities_that_a_chain_names_are_kept() {
        let ((one, issuer), (two, _)) = (authority("one"), authority("two"));
        let chain = [leaf(&issuer)];
        let found = Anchors::select(format!("# one\n{}\n# two\n{}", one.pem(), two.pem()).as_bytes(), &chain).unwrap();
        assert_eq!(found.candidates(), [one.der().clone()]);
        assert!(!found.lists_leaf());
    }

    #[test]
    fn line_ends_of_any_kind_and_indentation_are_read() {
        let (one, issuer) = authority("one");
        for pem in [
            one.pem().replace("\r\n", "\n"),
            one.pem().replace("\r\n", "\n").replace('\n', "\r\n"),
            one.pem().replace('\n', "\n  "),
        ] {
            assert_eq!(Anchors::select(pem.as_bytes(), &[leaf(&issuer)]).unwrap().candidates().len(), 1);
        }
    }

    #[test]
    fn a_damaged_block_hides_none_of_the_others() {
        let (one, issuer) = authority("one");
        let pem = format!("-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n{}", one.pem());
        assert_eq!(Anchors::select(pem.as_bytes(), &[leaf(&issuer)]).unwrap().candidates().len(), 1);
    }

    #[test]
    fn a_bundle_without_certificates_is_told_from_one_that_lacks_the_issuer() {
        let ((_, issuer), (two, _)) = (authority("one"), authority("two"));
        let chain = [leaf(&issuer)];
        assert!(Anchors::select(b"", &chain).is_none());
        assert!(Anchors::select(b"-----BEGIN CERTIFICATE-----\n", &chain).is_none());
        assert!(Anchors::select(two.pem().as_bytes(), &chain).unwrap().candidates().is_empty());
    }

    #[test]
    fn the_leaf_itself_is_recognised() {
        let (one, _) = authority("one");
        assert!(Anchors::select(one.pem().as_bytes(), &[one.der().clone()]).unwrap().lists_leaf());
    }

    proptest! {
        #[test]
        fn hostile_bundles_and_chains_never_panic(pem in "(-----(BEGIN|END) CERTIFICATE-----|[A-Za-z0-9+/=\r\n -]{0,40}){0,8}",
                                                  chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..3)) {
            let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
            let _ = Anchors::select(pem.as_bytes(), &chain);
        }
    }
}
