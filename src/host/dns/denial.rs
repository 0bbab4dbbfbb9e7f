//! Do signed NSEC or NSEC3 records prove that there is nothing? (RFC 4035 5.4, 5155 8, 6840 4, 9276)

use hickory_proto::{
    dnssec::rdata::{NSEC, NSEC3},
    rr::{Name, RecordType},
};

use super::Security;

/// Beyond it nobody should follow (RFC 9276 3.2); honest zones have none at all, or a few.
const ITERATIONS: u16 = 500;

/// A zone begins at the name, which none does at a wildcard (RFC 4592 4.2).
const CUT: Nothing = Nothing::Data { delegation: true };

/// What is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// Nobody bears the name.
    Name,
    /// The name has no record of the type.
    Data {
        /// A zone without a DS record begins there: it is not signed.
        delegation: bool,
    },
    /// The name may lie in a zone that is not signed (opt-out, RFC 5155 6).
    Unsigned,
}

/// Records of one zone whose signatures are good.
#[derive(Debug, Default)]
pub(super) struct Evidence<'m> {
    pub(super) zone: Name,
    pub(super) nsec: Vec<(&'m Name, &'m NSEC)>,
    pub(super) nsec3: Vec<(&'m Name, &'m NSEC3)>,
}

impl Evidence<'_> {
    /// What is proven of `name` and `kind`; `None`: nothing.
    pub(super) fn nothing(&self, name: &Name, kind: RecordType) -> Option<Nothing> {
        let chain = Hashed::new(self);
        self.by_name(name, kind).or_else(|| chain?.nothing(name, kind))
    }

    /// Whether no name is closer to `name` than the wildcard of `labels` labels that answered for it, and how sure that is.
    pub(super) fn no_closer(&self, name: &Name, labels: u8) -> Option<Security> {
        let encloser = name.trim_to(usize::from(labels));
        let covering = self.nsec.iter().find(|(owner, nsec)| covers(owner, nsec, name));
        if let Some((owner, nsec)) = covering {
            return (closest(name, owner, nsec.next_domain_name()) == encloser).then_some(Security::Secure);
        }
        let next = name.trim_to(usize::from(labels) + 1);
        let chain = Hashed::new(self)?;
        let (_, nsec3) = chain.covering(&next)?;
        Some(if nsec3.opt_out() { Security::Insecure } else { Security::Secure })
    }

    fn by_name(&self, name: &Name, kind: RecordType) -> Option<Nothing> {
        if let Some((_, nsec)) = self.nsec.iter().find(|(owner, _)| *owner == name) {
            return lacks(nsec.type_set().iter(), kind, name.is_root());
        }
        let (owner, nsec) = self.nsec.iter().find(|(owner, nsec)| covers(owner, nsec, name))?;
        if name.zone_of(nsec.next_domain_name()) {
            // A name with nothing but names below it.
            return Some(Nothing::Data { delegation: false });
        }
        let wildcard = star(&closest(name, owner, nsec.next_domain_name()))?;
        if let Some((_, nsec)) = self.nsec.iter().find(|(owner, _)| **owner == wildcard) {
            return lacks(nsec.type_set().iter(), kind, false).filter(|nothing| *nothing != CUT);
        }
        self.nsec.iter().any(|(owner, nsec)| covers(owner, nsec, &wildcard)).then_some(Nothing::Name)
    }
}

/// The NSEC3 records of one chain.
struct Hashed<'e> {
    zone: &'e Name,
    chain: Vec<(Vec<u8>, &'e NSEC3)>,
}

impl<'e> Hashed<'e> {
    fn new(evidence: &'e Evidence<'_>) -> Option<Self> {
        let (_, first) = evidence.nsec3.first()?;
        let same = |nsec3: &NSEC3| {
            (nsec3.hash_algorithm(), nsec3.iterations(), nsec3.salt()) == (first.hash_algorithm(), first.iterations(), first.salt())
        };
        if first.iterations() > ITERATIONS {
            return None;
        }
        let own = |(owner, nsec3): &(&Name, &'e NSEC3)| {
            let label = owner.iter().next()?;
            // Flags that are not known yet may change what it means (RFC 5155 8.2).
            let fits = same(nsec3) && nsec3.flags() <= 1 && owner.base_name() == evidence.zone;
            fits.then_some((base32(label)?, *nsec3))
        };
        Some(Self { zone: &evidence.zone, chain: evidence.nsec3.iter().filter_map(own).collect() })
    }

    fn nothing(&self, name: &Name, kind: RecordType) -> Option<Nothing> {
        if let Some(nsec3) = self.matching(name) {
            return lacks(nsec3.type_set().iter(), kind, name.is_root());
        }
        let labels = name.iter().count();
        let own = self.zone.iter().count();
        let encloser = (own..labels).rev().find_map(|count| {
            let candidate = name.trim_to(count);
            self.matching(&candidate).map(|nsec3| (count, candidate, nsec3))
        });
        let (count, encloser, nsec3) = encloser?;
        // What lies below a zone cut, or has another name (DNAME), is not for this zone to deny (RFC 5155 8.3).
        if is_cut(nsec3.type_set().iter()) {
            return None;
        }
        let (_, covering) = self.covering(&name.trim_to(count + 1))?;
        if covering.opt_out() {
            return Some(Nothing::Unsigned);
        }
        let wildcard = star(&encloser)?;
        if let Some(nsec3) = self.matching(&wildcard) {
            return lacks(nsec3.type_set().iter(), kind, false).filter(|nothing| *nothing != CUT);
        }
        self.covering(&wildcard).map(|_| Nothing::Name)
    }

    fn matching(&self, name: &Name) -> Option<&'e NSEC3> {
        let hash = self.hash(name)?;
        self.chain.iter().find(|(owner, _)| *owner == hash).map(|(_, nsec3)| *nsec3)
    }

    fn covering(&self, name: &Name) -> Option<&(Vec<u8>, &'e NSEC3)> {
        let hash = self.hash(name)?;
        self.chain.iter().find(|(owner, nsec3)| between(owner.as_slice(), &hash, nsec3.next_hashed_owner_name()))
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        let (_, nsec3) = self.chain.first()?;
        let digest = nsec3.hash_algorithm().hash(nsec3.salt(), &name.to_lowercase(), nsec3.iterations()).ok()?;
        Some(digest.as_ref().to_vec())
    }
}

/// What a record that matches the name says of `kind`: nothing, where the type, or an alias, is there, or where it stands on the
/// wrong side of a zone cut to know (RFC 6840 4.1, 4.4).
fn lacks(types: impl Iterator<Item = RecordType>, kind: RecordType, is_root: bool) -> Option<Nothing> {
    let types: Vec<RecordType> = types.collect();
    let has = |kind| types.contains(&kind);
    let parent = has(RecordType::NS) && !has(RecordType::SOA);
    let wrong_side = if kind == RecordType::DS { has(RecordType::SOA) && !is_root } else { parent };
    if has(kind) || has(RecordType::CNAME) || wrong_side {
        return None;
    }
    Some(Nothing::Data { delegation: kind == RecordType::DS && parent })
}

/// Whether a name's types make it one below which another zone, or another name, speaks.
fn is_cut(types: impl Iterator<Item = RecordType>) -> bool {
    let types: Vec<RecordType> = types.collect();
    let has = |kind| types.contains(&kind);
    has(RecordType::DNAME) || (has(RecordType::NS) && !has(RecordType::SOA))
}

/// Whether `name` would stand between the owner and the next name, were it there.
fn covers(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let below_cut = owner.zone_of(name) && is_cut(nsec.type_set().iter());
    !below_cut && between(owner, name, nsec.next_domain_name())
}

/// The last of a chain points back to its first.
fn between<T: Ord + ?Sized>(owner: &T, it: &T, next: &T) -> bool {
    if owner < next { owner < it && it < next } else { owner < it || it < next }
}

/// The nearest ancestor of `name` that exists, as the neighbours show it (RFC 4592 3.3.1).
fn closest(name: &Name, owner: &Name, next: &Name) -> Name {
    let shared = |other: &Name| name.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    name.trim_to(shared(owner).max(shared(next)))
}

fn star(name: &Name) -> Option<Name> {
    name.prepend_label(b"*".as_slice()).ok()
}

/// RFC 4648 7, extended hex, as NSEC3 owners are written.
fn base32(label: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(label.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in label {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'v' => digit - b'a' + 10,
            b'A'..=b'V' => digit - b'A' + 10,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(octets)
}
