//! How are keys agreed so that what is recorded today stays closed to tomorrow's quantum computers?
//! (draft-ietf-tls-ecdhe-mlkem: X25519MLKEM768; FIPS 203)

use libcrux_ml_kem::mlkem768::{
    MlKem768Ciphertext, MlKem768PrivateKey, MlKem768PublicKey, decapsulate, encapsulate, generate_key_pair, validate_public_key,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{
        ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, GetRandomFailed, SharedSecret, SupportedKxGroup,
        ring::kx_group::{SECP256R1, SECP384R1, X25519},
    },
    ffdhe_groups::FfdheGroup,
};
use zeroize::Zeroizing;

/// Octets of an ML-KEM-768 encapsulation key: the client's share, before its X25519 half.
const ENCAPSULATION_KEY: usize = 1184;
/// Octets of an ML-KEM-768 ciphertext: the server's share, before its X25519 half.
const CIPHERTEXT: usize = 1088;

/// The cryptography of every connection: ring, with X25519MLKEM768 preferred.
///
/// The hybrid comes first, so rustls sends its share and that of plain X25519 together, and a server that knows only the
/// latter needs no second round trip.
pub fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![&Hybrid, X25519, SECP256R1, SECP384R1], ..rustls::crypto::ring::default_provider() }
}

/// X25519MLKEM768: both shares side by side, the post-quantum half first, and both secrets in the same order.
#[derive(Debug)]
struct Hybrid;

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let keys = generate_key_pair(*random::<64>()?);
        let classical = X25519.start()?;
        let share = [keys.pk().as_slice(), classical.pub_key()].concat();
        let (secret, _) = keys.into_parts();
        Ok(Box::new(Active { secret, classical, share }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, classical) = split::<ENCAPSULATION_KEY>(share)?;
        let key = MlKem768PublicKey::from(key);
        if !validate_public_key(&key) {
            return Err(INVALID);
        }
        let classical = X25519.start_and_complete(classical)?;
        let (ciphertext, secret) = encapsulate(&key, *random::<32>()?);
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [&ciphertext.as_slice()[..], &classical.pub_key].concat(),
            secret: SharedSecret::from([&secret, classical.secret.secret_bytes()].concat()),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// A client's key exchange under way.
struct Active {
    secret: MlKem768PrivateKey,
    classical: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, classical) = split::<CIPHERTEXT>(share)?;
        let classical = self.classical.complete(classical)?;
        let secret = decapsulate(&self.secret, &MlKem768Ciphertext::from(ciphertext));
        Ok(SharedSecret::from([&secret, classical.secret_bytes()].concat()))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.classical.group(), self.classical.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        self.classical.complete(share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// The post-quantum part of `N` octets, and the rest, whose length X25519 checks.
fn split<const N: usize>(share: &[u8]) -> Result<([u8; N], &[u8]), Error> {
    share.split_first_chunk::<N>().map(|(first, rest)| (*first, rest)).ok_or(INVALID)
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| GetRandomFailed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ml_kem::{DecapsulationKey, EncapsulationKey, KeyExport, MlKem768, kem::Decapsulate};

    use super::*;

    #[test]
    fn both_sides_agree_on_64_octets_and_shares_have_the_registered_lengths() {
        let client = Hybrid.start().unwrap();
        assert_eq!(client.pub_key().len(), 1216);
        let server = Hybrid.start_and_complete(client.pub_key()).unwrap();
        assert_eq!(server.pub_key.len(), 1120);
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 64);
    }

    #[test]
    fn an_independent_ml_kem_derives_the_same_keys_and_opens_our_ciphertexts() {
        let seed = *random::<64>().unwrap();
        let ours = generate_key_pair(seed);
        let theirs = DecapsulationKey::<MlKem768>::from_seed(seed.into());
        assert_eq!(theirs.encapsulation_key().to_bytes().as_slice(), ours.pk().as_slice());
        let (ciphertext, secret) = encapsulate(ours.public_key(), *random::<32>().unwrap());
        assert_eq!(theirs.decapsulate(&(*ciphertext.as_slice()).into()).as_slice(), secret);
    }

    #[test]
    fn we_open_the_ciphertexts_of_an_independent_ml_kem() {
        let ours = generate_key_pair([7; 64]);
        let theirs = EncapsulationKey::<MlKem768>::new(&(*ours.pk()).into()).unwrap();
        let (ciphertext, secret) = theirs.encapsulate_deterministic(&[9; 32].into());
        let opened = decapsulate(
            ours.private_key(),
            &MlKem768Ciphertext::from(<[u8; CIPHERTEXT]>::try_from(ciphertext.as_slice()).unwrap()),
        );
        assert_eq!(opened.as_slice(), secret.as_slice());
    }

    #[test]
    fn a_peer_that_knows_only_x25519_uses_the_same_share() {
        let client = Hybrid.start().unwrap();
        let (group, share) = client.hybrid_component().unwrap();
        assert_eq!(group, NamedGroup::X25519);
        assert!(client.pub_key().ends_with(share));
        let server = X25519.start_and_complete(share).unwrap();
        let secret = client.complete_hybrid_component(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
    }

    #[test]
    fn shares_of_a_wrong_length_or_outside_the_field_are_refused() {
        let good = Hybrid.start().unwrap().pub_key().to_vec();
        for share in [&[][..], &good[..1215], &[&good[..], &[0]].concat(), &good[..100]] {
            assert!(Hybrid.start_and_complete(share).is_err());
        }
        // FIPS 203 7.2: a coefficient of 0xfff is not below q = 3329.
        let outside = [&[0xff; 3], &good[3..]].concat();
        assert!(Hybrid.start_and_complete(&outside).is_err());
        let server = Hybrid.start_and_complete(&good).unwrap().pub_key;
        for share in [&[][..], &server[..1119], &[&server[..], &[0]].concat()] {
            assert!(Hybrid.start().unwrap().complete(share).is_err());
        }
    }

    #[test]
    fn a_changed_ciphertext_gives_another_secret() {
        let client = Hybrid.start().unwrap();
        let mut server = Hybrid.start_and_complete(client.pub_key()).unwrap();
        server.pub_key[0] ^= 1;
        assert_ne!(client.complete(&server.pub_key).unwrap().secret_bytes(), server.secret.secret_bytes());
    }
}
