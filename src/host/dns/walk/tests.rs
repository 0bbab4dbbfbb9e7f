//! Every way to be right, and the ways to lie: answers are signed here with hickory's signer, and bent.

use std::cell::Cell;

use hickory_proto::{
    dnssec::{
        Algorithm, DigestType, Nsec3HashAlgorithm, PublicKeyBuf, SigningKey, TBS,
        crypto::Ed25519SigningKey,
        rdata::{NSEC, NSEC3, RRSIG, sig::SigInput},
    },
    op::{MessageType, OpCode},
    rr::{
        DNSClass, RecordData, SerialNumber,
        rdata::{A, CNAME, NULL},
    },
};

use super::*;

/// What a zone signs to deny something.
type Proof = fn(&Signer) -> Vec<Record>;

const NOW: u32 = 1_800_000_000;

mod attacks;
mod chains;

/// A zone and its only key.
struct Signer {
    zone: Name,
    key: Ed25519SigningKey,
    dnskey: DNSKEY,
}

/// What a signature says beside what it covers.
#[derive(Clone, Copy)]
struct Claim {
    inception: u32,
    expiration: u32,
    labels: Option<u8>,
}

const SOUND: Claim = Claim { inception: NOW - 1000, expiration: NOW + 1000, labels: None };

impl Signer {
    fn new(zone: &str) -> Self {
        Self::with_flags(zone, 257)
    }

    fn with_flags(zone: &str, flags: u16) -> Self {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap();
        let dnskey = DNSKEY::with_flags(flags, key.to_public_key().unwrap());
        Self { zone: name(zone), key, dnskey }
    }

    /// The records with a signature, all of one owner and type.
    fn sign(&self, records: Vec<Record>) -> Vec<Record> {
        self.sign_as(records, SOUND)
    }

    fn sign_as(&self, mut records: Vec<Record>, claim: Claim) -> Vec<Record> {
        let owner = records[0].name.clone();
        let input = SigInput {
            type_covered: records[0].record_type(),
            algorithm: Algorithm::ED25519,
            num_labels: claim.labels.unwrap_or_else(|| owner.num_labels()),
            original_ttl: 60,
            sig_expiration: SerialNumber::new(claim.expiration),
            sig_inception: SerialNumber::new(claim.inception),
            key_tag: self.dnskey.calculate_key_tag().unwrap(),
            signer_name: self.zone.clone(),
        };
        let tbs = TBS::from_input(&owner, DNSClass::IN, &input, records.iter()).unwrap();
        let signature = RRSIG::from_sig(input, self.key.sign(&tbs).unwrap());
        records.push(Record::from_rdata(owner, 60, signature.into_rdata()));
        records
    }

    /// The DNSKEY records, signed by the zone's own key.
    fn keys(&self) -> Message {
        answer(self.sign(vec![record(&self.zone, self.dnskey.clone())]))
    }

    fn ds(&self) -> DS {
        self.ds_with(DigestType::SHA256)
    }

    fn ds_with(&self, digest: DigestType) -> DS {
        let value = self.dnskey.to_digest(&self.zone, digest).unwrap().as_ref().to_vec();
        DS::new(self.dnskey.calculate_key_tag().unwrap(), Algorithm::ED25519, digest, value)
    }

    /// A signed NSEC record.
    fn nsec(&self, owner: &str, next: &str, types: &[RecordType]) -> Vec<Record> {
        self.sign(vec![record(&name(owner), NSEC::new_cover_self(name(next), types.iter().copied()))])
    }

    /// A signed NSEC3 record from just before `owner`'s hash, or at it, to just behind it.
    fn nsec3(&self, owner: &str, at: bool, flags: (bool, u16), types: &[RecordType]) -> Vec<Record> {
        let hash = Nsec3HashAlgorithm::SHA1.hash(b"salt", &name(owner), flags.1).unwrap().as_ref().to_vec();
        let step = |by: i16| {
            let mut hash = hash.clone();
            let last = hash.last_mut().unwrap();
            *last = u8::try_from((i16::from(*last) + by).clamp(0, 255)).unwrap();
            hash
        };
        let first = if at { hash.clone() } else { step(-1) };
        let nsec3 = NSEC3::new(Nsec3HashAlgorithm::SHA1, flags.0, flags.1, b"salt".to_vec(), step(1), types.iter().copied());
        let label = base32(&first);
        self.sign(vec![record(&self.zone.prepend_label(label.as_bytes()).unwrap(), nsec3)])
    }
}

/// RFC 4648 7.
fn base32(octets: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let bits: Vec<u8> = octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1)).collect();
    bits.chunks(5).map(|five| char::from(DIGITS[five.iter().fold(0, |sum, bit| sum * 2 + usize::from(*bit))])).collect()
}

/// Answers as it was told to; whatever else is asked gets an empty answer.
#[derive(Default)]
struct Scene {
    answers: HashMap<Question, Message>,
    asked: Cell<u32>,
}

impl Exchange for Scene {
    fn ask(&self, question: &Question) -> Result<Message, Trouble> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.answers.get(question).cloned().unwrap_or_else(|| answer(Vec::new())))
    }
}

/// A root, the signed zone test. and what more a test puts there.
struct Stage {
    root: Signer,
    test: Signer,
    scene: Scene,
}

impl Stage {
    fn new() -> Self {
        let (root, test) = (Signer::new("."), Signer::new("test."));
        let mut stage = Self { root, test, scene: Scene::default() };
        stage.put(".", RecordType::DNSKEY, stage.root.keys());
        stage.put("test.", RecordType::DNSKEY, stage.test.keys());
        stage.put("test.", RecordType::DS, answer(stage.root.sign(vec![record(&name("test."), stage.test.ds())])));
        stage
    }

    fn put(&mut self, owner: &str, kind: RecordType, message: Message) {
        self.scene.answers.insert(Question { name: name(owner), kind }, message);
    }

    /// There is no zone cut at `owner`, says test.
    fn no_cut(&mut self, owner: &str) {
        let message = denial(self.test.nsec(owner, "zz.test.", &[RecordType::A]));
        self.put(owner, RecordType::DS, message);
    }

    fn anchors(&self) -> Vec<Anchor> {
        vec![Anchor { zone: Name::root(), key: Trusted::Digest(self.root.ds()) }]
    }

    /// What is believed of `owner` and `kind`, in a word or two; for what is false, why.
    fn told(&self, owner: &str, kind: RecordType) -> String {
        self.told_by(&self.anchors(), owner, kind)
    }

    fn told_by(&self, anchors: &[Anchor], owner: &str, kind: RecordType) -> String {
        match Validator::new(&self.scene, anchors, NOW).look(&name(owner), kind) {
            Ok(Answer { security, content }) => {
                let security = if security == Security::Secure { "secure" } else { "insecure" };
                let content = match content {
                    Content::Records(records) => format!("{} records", records.len()),
                    Content::Alias(target) => format!("alias {target}"),
                    Content::NoData { delegation: true } => "delegation".to_owned(),
                    Content::NoData { delegation: false } => "no data".to_owned(),
                    Content::NoName => "no name".to_owned(),
                };
                format!("{security} {content}")
            }
            Err(trouble) => {
                assert!(trouble.bogus);
                trouble.words.rsplit(": ").next().unwrap_or_default().to_owned()
            }
        }
    }
}

fn name(text: &str) -> Name {
    message::name(text).unwrap()
}

fn record(owner: &Name, data: impl RecordData) -> Record {
    Record::from_rdata(owner.clone(), 60, data.into_rdata())
}

fn address(owner: &str) -> Vec<Record> {
    vec![record(&name(owner), A::new(127, 0, 0, 1))]
}

fn answer(records: Vec<Record>) -> Message {
    let mut message = Message::new(1, MessageType::Response, OpCode::Query);
    message.answers = records;
    message
}

fn denial(records: Vec<Record>) -> Message {
    let mut message = answer(Vec::new());
    message.authorities = records;
    message
}

/// An answer with what proves that a wildcard applies.
fn with(mut message: Message, proof: Vec<Record>) -> Message {
    message.authorities.extend(proof);
    message
}
