//! Is what the DNS says signed from a trusted key down, proven to be unsigned, or false? (RFC 4035 5, 6840)
//!
//! One question gives one verdict. Where an answer bears signatures, the keys of the zones that claim to have made them are
//! established from an anchor down, each by the DS record of the zone above. Where it bears none, somebody on the way must be
//! proven to have no DS record: else signatures were stripped, and the answer is false. hickory-proto reads the messages and checks
//! single signatures. Its validator lives in another crate, works on async streams, and gives a verdict per record, from which what
//! an answer as a whole may be believed for has still to be concluded; hence this one.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use hickory_proto::{
    dnssec::{
        DigestType, Verifier as _,
        rdata::{DNSKEY, DNSSECRData, DS},
    },
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::{
    Security, Trouble,
    anchor::{Anchor, Trusted},
    denial::{Evidence, Nothing},
    message::{self, Question, shown},
    signature::{Set, usable},
};

/// Questions for one send; an honest chain takes about ten.
const QUESTIONS: u32 = 150;
/// Signatures that are checked for one send: each may cost a millisecond.
const SIGNATURES: u32 = 400;
/// DS records and keys of one zone that are compared: more are for making work (CVE-2023-50387).
const KEYS: usize = 16;
/// Records of one denial that are looked at.
const DENIALS: usize = 16;

/// Who answers questions; whether the answer is true is not for it to say.
pub(super) trait Exchange {
    /// The answer to the question, or why there is none.
    fn ask(&self, question: &Question) -> Result<Message, Trouble>;
}

/// What the DNS has of a name and a type.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Records(Vec<Record>),
    /// The name is another name for this one.
    Alias(Name),
    /// The name has no such records.
    NoData {
        /// A zone begins at the name, and is not signed (for DS).
        delegation: bool,
    },
    /// There is no such name.
    NoName,
}

/// An answer that may be used, as far as its security reaches.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) security: Security,
    pub(super) content: Content,
}

/// Asks and validates. Lives as long as one send, so nothing that it knows gets old.
pub(super) struct Validator<'e> {
    exchange: &'e dyn Exchange,
    anchors: &'e [Anchor],
    now: u32,
    questions: Cell<u32>,
    signatures: Cell<u32>,
    answers: RefCell<HashMap<Question, Answer>>,
    zones: RefCell<HashMap<Name, Option<Rc<[DNSKEY]>>>>,
}

impl<'e> Validator<'e> {
    /// Trust begins with `anchors`; `now` is in seconds since 1970, of which DNSSEC knows the lower half.
    pub(super) fn new(exchange: &'e dyn Exchange, anchors: &'e [Anchor], now: u32) -> Self {
        Self {
            exchange,
            anchors,
            now,
            questions: Cell::new(QUESTIONS),
            signatures: Cell::new(SIGNATURES),
            answers: RefCell::default(),
            zones: RefCell::default(),
        }
    }

    /// What the DNS has of `name` and `kind`; an alias is told, not followed.
    ///
    /// # Errors
    /// Nobody answers, or the answer is false.
    pub(super) fn look(&self, name: &Name, kind: RecordType) -> Result<Answer, Trouble> {
        let question = Question { name: name.to_lowercase(), kind };
        if let Some(known) = self.answers.borrow().get(&question) {
            return Ok(known.clone());
        }
        let message = self.ask(&question)?;
        let answer = self.judge(&question, &message)?;
        self.answers.borrow_mut().insert(question, answer.clone());
        Ok(answer)
    }

    fn ask(&self, question: &Question) -> Result<Message, Trouble> {
        let left = self.questions.get().checked_sub(1);
        let left = left.ok_or_else(|| bogus(question, "the way to it takes more questions than anybody needs"))?;
        self.questions.set(left);
        self.exchange.ask(question)
    }

    fn judge(&self, question: &Question, message: &Message) -> Result<Answer, Trouble> {
        let Question { name, kind } = question;
        let set = Set::find(&message.answers, name, *kind);
        if !set.records.is_empty() {
            let content = Content::Records(set.records.iter().map(|record| (*record).clone()).collect());
            return Ok(Answer { security: self.signed(question, &set, message)?, content });
        }
        let alias = Set::find(&message.answers, name, RecordType::CNAME);
        if let [record] = alias.records.as_slice()
            && let RData::CNAME(target) = &record.data
        {
            // A CNAME that a server made of a DNAME above is not signed; the DNAME is (RFC 6672 5.3.1).
            if let Some((set, made)) = redirection(name, message).filter(|_| alias.signatures.is_empty()) {
                return Ok(Answer { security: self.signed(question, &set, message)?, content: Content::Alias(made) });
            }
            let security = self.signed(question, &alias, message)?;
            return Ok(Answer { security, content: Content::Alias(target.0.clone()) });
        }
        if !alias.records.is_empty() {
            return Err(bogus(question, "it is an alias of several names"));
        }
        self.denied(question, message)
    }

    /// How far the records of `set` may be believed, which answer `question`.
    fn signed(&self, question: &Question, set: &Set<'_>, message: &Message) -> Result<Security, Trouble> {
        let mut why = "it bears no signature".to_owned();
        let mut insecure = false;
        for signer in self.anchored(question, set.signers()) {
            let Some(keys) = self.zone(&signer)? else {
                insecure = true;
                continue;
            };
            match set.verify(&signer, &keys, self.now, &self.signatures) {
                Ok(labels) if labels < set.name.num_labels() => {
                    let evidence = self.evidence(&signer, &keys, message);
                    match evidence.no_closer(set.name, labels) {
                        Some(security) => return Ok(security),
                        None => "nothing proves that the wildcard it came of applies".clone_into(&mut why),
                    }
                }
                Ok(_) => return Ok(Security::Secure),
                Err(error) => why = error,
            }
        }
        if insecure {
            return Ok(Security::Insecure);
        }
        self.unsigned(question, &why)
    }

    /// How far it may be believed that there is nothing.
    fn denied(&self, question: &Question, message: &Message) -> Result<Answer, Trouble> {
        let Question { name, kind } = question;
        let told = match message.metadata.response_code {
            ResponseCode::NXDomain => Content::NoName,
            _ => Content::NoData { delegation: false },
        };
        let mut insecure = false;
        let mut why = "nothing proves that there is none";
        for signer in self.anchored(question, deniers(question, message)) {
            let Some(keys) = self.zone(&signer)? else {
                insecure = true;
                continue;
            };
            why = "its denial is not proven";
            let content = match self.evidence(&signer, &keys, message).nothing(name, *kind) {
                Some(Nothing::Name) => Content::NoName,
                Some(Nothing::Data { delegation }) => Content::NoData { delegation },
                Some(Nothing::Unsigned) => return Ok(Answer { security: Security::Insecure, content: told }),
                None => continue,
            };
            return Ok(Answer { security: Security::Secure, content });
        }
        if !insecure {
            self.unsigned(question, why)?;
        }
        Ok(Answer { security: Security::Insecure, content: told })
    }

    /// How many labels the nearest anchor has that vouches for an answer; `None` without one.
    fn top(&self, question: &Question) -> Option<usize> {
        let above = |anchor: &&Anchor| anchor.zone.zone_of(&question.name) && question.may_be_signed_by(&anchor.zone);
        self.anchors.iter().filter(above).map(|anchor| anchor.zone.iter().count()).max()
    }

    /// Those of `signers` that stand below the nearest anchor: of one above it nothing is known, not even that it is unsigned.
    fn anchored(&self, question: &Question, signers: Vec<Name>) -> Vec<Name> {
        let top = self.top(question).unwrap_or(usize::MAX);
        signers.into_iter().filter(|signer| signer.iter().count() >= top && question.may_be_signed_by(signer)).collect()
    }

    /// Proves that the name lies in a zone that is not signed.
    fn unsigned(&self, question: &Question, why: &str) -> Result<Security, Trouble> {
        let Some(top) = self.top(question) else { return Ok(Security::Insecure) };
        let labels = question.name.iter().count();
        // DS records are the zone's above.
        let last = if question.kind == RecordType::DS { labels.saturating_sub(1) } else { labels };
        for count in top + 1..=last {
            let cut = question.name.trim_to(count);
            let Answer { security, content } = self.look(&cut, RecordType::DS)?;
            match (security, content) {
                (Security::Insecure, _) | (_, Content::NoData { delegation: true }) => return Ok(Security::Insecure),
                (_, Content::Records(_)) if self.zone(&cut)?.is_none() => return Ok(Security::Insecure),
                (_, Content::NoName) => break,
                _ => {}
            }
        }
        Err(bogus(question, &format!("its zone is signed, and {why}")))
    }

    /// The keys of a zone that are established; `None` where the zone is proven not to be signed, or not by any way that is known
    /// here (RFC 4035 5.2).
    fn zone(&self, apex: &Name) -> Result<Option<Rc<[DNSKEY]>>, Trouble> {
        let apex = apex.to_lowercase();
        if let Some(known) = self.zones.borrow().get(&apex) {
            return Ok(known.clone());
        }
        let own: Vec<&Trusted> = self.anchors.iter().filter(|anchor| anchor.zone == apex).map(|anchor| &anchor.key).collect();
        let keys = if own.is_empty() { self.delegated(&apex)? } else { Some(self.keys(&apex, &own)?) };
        self.zones.borrow_mut().insert(apex, keys.clone());
        Ok(keys)
    }

    /// The keys of a zone for which the one above speaks.
    fn delegated(&self, apex: &Name) -> Result<Option<Rc<[DNSKEY]>>, Trouble> {
        if !self.anchors.iter().any(|anchor| anchor.zone.zone_of(apex)) {
            return Ok(None);
        }
        let question = Question { name: apex.clone(), kind: RecordType::DS };
        let records = match self.look(apex, RecordType::DS)? {
            Answer { security: Security::Insecure, .. } | Answer { content: Content::NoData { delegation: true }, .. } => {
                return Ok(None);
            }
            Answer { content: Content::Records(records), .. } => records,
            _ => return Err(bogus(&question, "signatures name it as a zone, and it is none")),
        };
        let digests: Vec<Trusted> = known(&records).into_iter().map(Trusted::Digest).collect();
        if digests.is_empty() {
            return Ok(None);
        }
        self.keys(apex, &digests.iter().collect::<Vec<_>>()).map(Some)
    }

    /// The keys of `apex`, signed by one that is `trusted`.
    fn keys(&self, apex: &Name, trusted: &[&Trusted]) -> Result<Rc<[DNSKEY]>, Trouble> {
        let question = Question { name: apex.clone(), kind: RecordType::DNSKEY };
        let message = self.ask(&question)?;
        let set = Set::find(&message.answers, apex, RecordType::DNSKEY);
        let keys: Vec<DNSKEY> = set.records.iter().filter_map(|record| key(record)).filter(usable).take(KEYS).collect();
        let entry: Vec<DNSKEY> = keys.iter().filter(|key| trusted.iter().any(|trust| trust.vouches(apex, key))).cloned().collect();
        if entry.is_empty() {
            let why = if keys.is_empty() { "the zone shows no key" } else { "the zone has none of the keys that are trusted" };
            return Err(bogus(&question, why));
        }
        match set.verify(apex, &entry, self.now, &self.signatures) {
            Ok(_) => Ok(keys.into()),
            Err(why) => Err(bogus(&question, &why)),
        }
    }

    /// What a zone's good signatures say that there is not.
    fn evidence<'m>(&self, zone: &Name, keys: &[DNSKEY], message: &'m Message) -> Evidence<'m> {
        let mut evidence = Evidence { zone: zone.clone(), ..Evidence::default() };
        for record in message.authorities.iter().filter(|record| is_denial(record)).take(DENIALS) {
            let set = Set::find(&message.authorities, &record.name, record.record_type());
            // A denial that came of a wildcard would be one of another name.
            let good = set.verify(zone, keys, self.now, &self.signatures).is_ok_and(|labels| labels == record.name.num_labels());
            match &record.data {
                RData::DNSSEC(DNSSECRData::NSEC(nsec)) if good => evidence.nsec.push((&record.name, nsec)),
                RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) if good => evidence.nsec3.push((&record.name, nsec3)),
                _ => {}
            }
        }
        evidence
    }
}

impl Trusted {
    fn vouches(&self, apex: &Name, key: &DNSKEY) -> bool {
        match self {
            Self::Key(own) => own.algorithm() == key.algorithm() && public(own) == public(key),
            Self::Digest(ds) => {
                let named = ds.algorithm() == key.algorithm() && key.calculate_key_tag().is_ok_and(|tag| tag == ds.key_tag());
                named && ds.covers(&apex.to_lowercase(), key).unwrap_or(false)
            }
        }
    }
}

fn public(key: &DNSKEY) -> &[u8] {
    use hickory_proto::dnssec::PublicKey as _;
    key.public_key().public_bytes()
}

/// The DS records of a way that is known here; SHA-1 does not count beside a better digest (RFC 4509 3).
fn known(records: &[Record]) -> Vec<DS> {
    let all = records.iter().take(KEYS).filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) if ds.algorithm().is_supported() && ds.digest_type().is_supported() => Some(ds.clone()),
        _ => None,
    });
    let all: Vec<DS> = all.collect();
    let better = all.iter().any(|ds| ds.digest_type() != DigestType::SHA1);
    all.into_iter().filter(|ds| !better || ds.digest_type() != DigestType::SHA1).collect()
}

fn key(record: &Record) -> Option<DNSKEY> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key.clone()),
        _ => None,
    }
}

fn is_denial(record: &Record) -> bool {
    matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
}

/// The zones that claim to deny, the nearest first: those that the name lies in, for DS only those above it.
fn deniers(question: &Question, message: &Message) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    for record in message.authorities.iter().filter(|record| is_denial(record)).take(DENIALS) {
        for signer in Set::find(&message.authorities, &record.name, record.record_type()).signers() {
            if signer.zone_of(&question.name) && !found.contains(&signer) {
                found.push(signer);
            }
        }
    }
    found.sort_by_key(|signer| std::cmp::Reverse(signer.iter().count()));
    found
}

/// The DNAME above `name` in an answer, and what it makes of the name (RFC 6672 2.2).
fn redirection<'m>(name: &Name, message: &'m Message) -> Option<(Set<'m>, Name)> {
    let above = |record: &&Record| record.record_type() == RecordType::DNAME && record.name.zone_of(name) && record.name != *name;
    let record = message.answers.iter().find(above)?;
    let set = Set::find(&message.answers, &record.name, RecordType::DNAME);
    let ([_], RData::Unknown { rdata, .. }) = (set.records.as_slice(), &record.data) else { return None };
    let target = message::wire_name(&rdata.anything)?;
    let kept = name.iter().count() - record.name.iter().count();
    let made = Name::from_labels(name.iter().take(kept).chain(target.iter())).ok()?;
    Some((set, made))
}

/// The answer is false.
fn bogus(question: &Question, why: &str) -> Trouble {
    let Question { name, kind } = question;
    Trouble { bogus: true, words: format!("DNSSEC: the answer for {} {kind} can't be believed: {why}", shown(name)) }
}

#[cfg(test)]
mod tests;
