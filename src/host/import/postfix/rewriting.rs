//! What becomes of an address on its way through a Postfix? (canonical(5), generic(5), virtual(5); Postfix's document on address rewriting)

use super::{Source, tables::Lookup};

/// A user of whom no table says anything: what becomes of it becomes of everybody.
const ANYBODY: &str = "anybody-of-whom-no-table-tells";

/// Which addresses something applies to, in the words of `canonical_classes`.
const HEADER_SENDER: &str = "header_sender";

/// The steps of one kind of address, in their order.
pub(super) struct Rewriting {
    steps: Vec<Step>,
    /// Completes bare names.
    origin: String,
    /// The domains of this machine: their users may stand in a table without one.
    local: Vec<String>,
}

enum Step {
    Tables { tables: Vec<Lookup>, in_header: bool },
    Masquerade { domains: Vec<String>, exceptions: Vec<String>, in_header: bool },
}

/// An address, and what it has come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) local: String,
    pub(super) domain: String,
    /// Something changed it that changes the header as well.
    pub(super) in_header: bool,
    /// It is the first of several.
    pub(super) is_one_of_several: bool,
}

impl Rewritten {
    /// The address of a user of this domain, as yet untouched.
    pub(super) fn of(user: &str, domain: &str) -> Self {
        Self { local: user.to_owned(), domain: domain.to_owned(), in_header: false, is_one_of_several: false }
    }

    /// Somebody of this domain.
    pub(super) fn of_anybody(domain: &str) -> Self {
        Self::of(ANYBODY, domain)
    }

    /// Whether everybody keeps the own name.
    pub(super) fn is_anybody(&self) -> bool {
        self.local == ANYBODY
    }

    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    /// What this is for a user, where it is what becomes of anybody.
    pub(super) fn for_user(&self, user: &str) -> String {
        if self.is_anybody() { format!("{user}@{}", self.domain) } else { self.address() }
    }
}

impl Rewriting {
    /// What cleanup(8) makes of senders.
    pub(super) fn of_senders(source: &Source<'_>) -> Self {
        let masquerade = Step::Masquerade {
            domains: source.parameters.list("masquerade_domains"),
            exceptions: source.parameters.list("masquerade_exceptions"),
            in_header: source.has_class("masquerade_classes", HEADER_SENDER),
        };
        let own = source.step("sender_canonical_maps", Some("sender_canonical_classes"), "envelope_sender");
        let all = source.step("canonical_maps", Some("canonical_classes"), "envelope_sender");
        let masquerade = Some(masquerade).filter(|_| source.has_class("masquerade_classes", "envelope_sender"));
        Self::new(source, own.into_iter().chain(all).chain(masquerade).collect())
    }

    /// What smtp(8) makes of every address that leaves.
    pub(super) fn of_all(source: &Source<'_>) -> Self {
        Self::new(source, source.step("smtp_generic_maps", None, "").into_iter().collect())
    }

    /// What becomes of recipients before they are looked up anywhere.
    pub(super) fn of_recipients(source: &Source<'_>) -> Self {
        let own = source.step("recipient_canonical_maps", Some("recipient_canonical_classes"), "envelope_recipient");
        let all = source.step("canonical_maps", Some("canonical_classes"), "envelope_recipient");
        let aliases = source.step("virtual_alias_maps", None, "");
        Self::new(source, own.into_iter().chain(all).chain(aliases).collect())
    }

    fn new(source: &Source<'_>, steps: Vec<Step>) -> Self {
        Self { steps, origin: source.origin.clone(), local: source.local.clone() }
    }

    /// What an address is in the end.
    pub(super) fn apply(&self, from: &Rewritten) -> Rewritten {
        let mut now = from.clone();
        for step in &self.steps {
            let (changed, in_header) = match step {
                Step::Tables { tables, in_header } => (self.look_up(tables, &now), *in_header),
                Step::Masquerade { domains, exceptions, in_header } => (masqueraded(domains, exceptions, &now), *in_header),
            };
            let Some(changed) = changed.filter(|changed| changed.address() != now.address()) else { continue };
            now = Rewritten {
                in_header: now.in_header || in_header,
                is_one_of_several: now.is_one_of_several || changed.is_one_of_several,
                ..changed
            };
        }
        now
    }

    fn look_up(&self, tables: &[Lookup], address: &Rewritten) -> Option<Rewritten> {
        let is_local = self.is_local(&address.domain);
        let keys = [Some(address.address()), is_local.then(|| address.local.clone()), Some(format!("@{}", address.domain))];
        let whole = |key: &str| tables.iter().find_map(|table| table.get(key).or_else(|| table.for_all()));
        let value = keys.iter().flatten().find_map(|key| whole(key))?;
        let mut words = value.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        // What is made of a pattern is not followed.
        let first = words.next().filter(|word| !word.contains('$'))?;
        let (local, domain) = match first.rsplit_once('@') {
            Some(("", domain)) => (address.local.as_str(), domain),
            Some((local, domain)) => (local, domain),
            None => (first, self.origin.as_str()),
        };
        Some(Rewritten { is_one_of_several: words.next().is_some(), ..Rewritten::of(local, domain) })
    }

    fn is_local(&self, domain: &str) -> bool {
        domain.eq_ignore_ascii_case(&self.origin) || self.local.iter().any(|name| name.eq_ignore_ascii_case(domain))
    }

    /// Users of this machine of whom a table tells, with or without their domain.
    pub(super) fn users(&self) -> impl Iterator<Item = String> {
        let tables = self.steps.iter().flat_map(|step| match step {
            Step::Tables { tables, .. } => tables.as_slice(),
            Step::Masquerade { .. } => &[],
        });
        let keys = tables.flat_map(Lookup::lines).filter_map(|(key, _)| self.user(key));
        let exceptions = self.steps.iter().flat_map(|step| match step {
            Step::Masquerade { exceptions, .. } => exceptions.as_slice(),
            Step::Tables { .. } => &[],
        });
        keys.chain(exceptions.cloned())
    }

    /// The user of this machine that a key of a table means.
    pub(super) fn user(&self, key: &str) -> Option<String> {
        let (user, domain) = key.rsplit_once('@').unwrap_or((key, &self.origin));
        (!user.is_empty() && self.is_local(domain)).then(|| user.to_owned())
    }

    /// Whether anything is done at all.
    pub(super) fn is_idle(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Masquerade { domains, .. } if domains.is_empty()))
    }

    /// Whether one address stands for all, in some table.
    pub(super) fn for_all(&self) -> Option<&str> {
        let tables = self.steps.iter().flat_map(|step| match step {
            Step::Tables { tables, .. } => tables.as_slice(),
            Step::Masquerade { .. } => &[],
        });
        tables.filter_map(Lookup::for_all).find(|value| !value.starts_with('@') && !value.contains(['$', ' ', ',']))
    }
}

/// The first of the domains that the address is below, in place of its own.
fn masqueraded(domains: &[String], exceptions: &[String], address: &Rewritten) -> Option<Rewritten> {
    if exceptions.iter().any(|user| user.eq_ignore_ascii_case(&address.local)) {
        return None;
    }
    let domain = address.domain.to_ascii_lowercase();
    for wanted in domains {
        let (keeps, wanted) = wanted.strip_prefix('!').map_or((false, wanted.as_str()), |kept| (true, kept));
        let wanted = wanted.to_ascii_lowercase();
        let is_below = domain.strip_suffix(&wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        match (is_below, keeps) {
            (true, true) => return None,
            (true, false) => return Some(Rewritten::of(&address.local, &wanted)),
            _ => {}
        }
    }
    None
}

impl Source<'_> {
    /// Whether a parameter that lists classes of addresses has this one, or has all where it is not set.
    fn has_class(&self, parameter: &str, class: &str) -> bool {
        !self.parameters.is_set(parameter) || self.parameters.list(parameter).iter().any(|item| item == class)
    }

    /// The tables of a parameter, if they apply to this class.
    fn step(&self, parameter: &str, classes: Option<&str>, class: &str) -> Option<Step> {
        let tables = self.tables(parameter);
        let applies = classes.is_none_or(|classes| self.has_class(classes, class));
        let in_header = classes.is_none_or(|classes| self.has_class(classes, HEADER_SENDER));
        (!tables.is_empty() && applies).then_some(Step::Tables { tables, in_header })
    }
}
