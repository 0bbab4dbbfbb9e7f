//! As whom does mail leave a machine with a Postfix, and by which of its relays? (canonical(5), generic(5), postconf(5))

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        facts::{Account, Facts, Sort},
        shared,
    },
    Source,
    rewriting::{Rewriting, Rewritten},
};
use crate::mail::list;

/// Tables that change senders.
const TABLES: [&str; 3] = ["sender_canonical_maps", "canonical_maps", "smtp_generic_maps"];

/// What becomes of the senders that this machine makes itself.
struct Senders {
    /// Before the relay is chosen, and after that.
    first: Rewriting,
    last: Rewriting,
    origin: String,
}

impl Senders {
    fn of(&self, user: &Rewritten) -> (Rewritten, Rewritten) {
        let before = self.first.apply(user);
        let after = self.last.apply(&before);
        (before, after)
    }
}

/// Gives each account its senders. `relays`: the accounts of single senders, by the keys of their table; the others are for all.
pub(super) fn translate(source: &Source<'_>, relays: &BTreeMap<String, String>, facts: &mut Facts) {
    for parameter in TABLES {
        untold(source, parameter, facts);
    }
    let senders = Senders { first: Rewriting::of_senders(source), last: Rewriting::of_all(source), origin: source.origin.clone() };
    let (before, anybody) = senders.of(&Rewritten::of_anybody(&senders.origin));
    if senders.first.for_all().is_some() && !anybody.is_anybody() {
        fix(&anybody, facts);
    } else {
        by_login(&senders, (&before, &anybody), relays, facts);
    }
    header_checks(source, facts);
}

/// Every sender is one address, in the envelope and in From.
fn fix(sender: &Rewritten, facts: &mut Facts) {
    for account in &mut facts.accounts {
        account.from = Some(shared::literal(&sender.address()));
        account.from_policy = Some("fixed");
        account.rewrite_from = sender.in_header;
        account.matches.clear();
        if sender.in_header {
            account
                .note(Sort::Changed, "a From that is replaced by `from` gets the name of the caller; the author becomes Reply-To");
        }
    }
}

/// By which of the relays does a sender go?
struct Routes<'a> {
    /// Those of single senders, by the keys of their table.
    single: &'a BTreeMap<String, String>,
    /// That of all the others.
    main: String,
}

impl Routes<'_> {
    fn of(&self, sender: &Rewritten) -> &str {
        let key = sender.address().to_lowercase();
        let domain = format!("@{}", sender.domain).to_lowercase();
        self.single.get(&key).or_else(|| self.single.get(&domain)).unwrap_or(&self.main)
    }
}

/// What the tables make of the users of this machine.
struct Users {
    /// The address of everybody, as `from` says it.
    from: Option<String>,
    /// Those of single users, by the account that they go by.
    single: BTreeMap<String, BTreeMap<String, String>>,
    /// Whose addresses these are, as far as they are not the machine's own.
    domains: BTreeSet<String>,
    /// Whether From has them, too.
    in_header: bool,
}

impl Users {
    fn of(senders: &Senders, routes: &Routes<'_>, default: &str, anybody: &Rewritten, facts: &mut Facts) -> Self {
        let from = match anybody {
            same if same.is_anybody() && same.domain.eq_ignore_ascii_case(&senders.origin) => None,
            moved if moved.is_anybody() => Some(format!("%U@{}", shared::literal(&moved.domain))),
            one => Some(shared::literal(&one.address())),
        };
        // Addresses of this machine itself are what is to be replaced.
        let is_foreign = |domain: &str| senders.first.user(&format!("x@{domain}")).is_none();
        let domains = from.iter().map(|_| anybody.domain.clone()).filter(|domain| is_foreign(domain)).collect();
        let mut users = Self { from, single: BTreeMap::new(), domains, in_header: anybody.in_header };
        let routed = routes.single.keys().filter_map(|key| senders.first.user(key));
        let names: BTreeSet<String> = senders.first.users().chain(senders.last.users()).chain(routed).collect();
        for name in names {
            let (before, after) = senders.of(&Rewritten::of(&name, &senders.origin));
            let relay = routes.of(&before);
            if relay == default && after.address() == anybody.for_user(&name) {
                continue;
            }
            users.in_header |= after.in_header;
            if after.in_header && is_foreign(&after.domain) {
                users.domains.insert(after.domain.clone());
            }
            let Some(address) = shared::whole(&after.address(), None) else {
                facts.note(Sort::LeftOut, format!("the sender of {name}: what a table makes of it is no address"));
                continue;
            };
            users.single.entry(relay.to_owned()).or_default().insert(name, shared::literal(&address));
        }
        users
    }
}

/// Each user has the address that the tables give, else what they give everybody.
fn by_login(senders: &Senders, (before, anybody): (&Rewritten, &Rewritten), relays: &BTreeMap<String, String>, facts: &mut Facts) {
    let routes = Routes { single: relays, main: facts.default_account.clone().unwrap_or_default() };
    let (main, default) = (&routes.main, routes.of(before).to_owned());
    let users = Users::of(senders, &routes, &default, anybody, facts);
    let fallback =
        facts.accounts.iter().find(|account| account.name == *main).map(|main| main.fallback.clone()).unwrap_or_default();
    let idle = senders.first.is_idle() && senders.last.is_idle();
    let changes = (users.from.is_some() || !users.single.is_empty()) && !idle;
    for account in &mut facts.accounts {
        let name = if fallback.contains(&account.name) { main } else { &account.name };
        if account.from.is_none() {
            account.from.clone_from(&users.from);
        }
        account.from_by_user = users.single.get(name).cloned().unwrap_or_default();
        if changes && users.in_header && (account.from.is_some() || !account.from_by_user.is_empty()) {
            rewrite(account, &users.domains, !relays.is_empty());
        }
    }
    if changes {
        let text = "the tables of senders: whoever says -f sends as that, which Postfix would have looked up, too";
        facts.note(Sort::Changed, text);
    }
    if default != *main {
        // What nothing else is for still goes by the relay of all.
        facts.default_account = Some(default);
        if let Some(at) = facts.accounts.iter().position(|account| account.name == *main) {
            let mut last = facts.accounts.remove(at);
            last.matches.push("*".to_owned());
            facts.accounts.push(last);
        }
    }
}

/// From is replaced where it is none of the addresses that the tables lead to.
fn rewrite(account: &mut Account, domains: &BTreeSet<String>, several: bool) {
    account.rewrite_from = true;
    // With several accounts a pattern would choose one as well.
    if !several && !domains.is_empty() {
        account.matches.extend(domains.iter().map(|domain| format!("*@{domain}")));
    }
    let text = "a From that neither is `from` nor fits match is replaced, and its author becomes Reply-To; Postfix replaced only what stood in \
                its tables";
    account.note(Sort::Changed, text);
}

/// What of the tables could not be read, or not followed.
fn untold(source: &Source<'_>, parameter: &str, facts: &mut Facts) {
    for table in source.tables(parameter) {
        if let Some(fault) = table.fault() {
            facts.note(Sort::LeftOut, format!("{parameter}, {}: {fault}", table.name()));
        } else if table.has_patterns() && table.for_all().is_none_or(|value| value.contains('$')) {
            let text =
                format!("{parameter}, {}: patterns are not followed; from_by_user gives single users an address", table.name());
            facts.note(Sort::LeftOut, text);
        }
    }
}

/// Checks of the header that put one author into From; the others can't be had.
fn header_checks(source: &Source<'_>, facts: &mut Facts) {
    for parameter in ["smtp_header_checks", "header_checks"] {
        for table in source.tables(parameter) {
            let author = table.patterns().iter().find_map(|(pattern, action)| author(pattern, action));
            let Some(author) = author else {
                let because = table.fault().unwrap_or("no field of a header is changed or looked at");
                facts.note(Sort::LeftOut, format!("{parameter}, {}: {because}", table.name()));
                continue;
            };
            for account in &mut facts.accounts {
                account.rewrite_from = true;
                account.from.get_or_insert_with(|| shared::literal(&author));
            }
            let text = format!(
                "{parameter}: From is replaced by `from`, which is the sender of the envelope, too; the author becomes Reply-To"
            );
            facts.note(Sort::Changed, text);
        }
    }
}

/// The address that `/^From:.*/ REPLACE From: …` puts there.
fn author(pattern: &str, action: &str) -> Option<String> {
    let pattern = pattern.trim_start_matches(['/', '^']).to_ascii_lowercase();
    let (verb, field) = action.trim().split_once(char::is_whitespace)?;
    let (name, value) = field.split_once(':')?;
    let is_from = pattern.starts_with("from:") && verb.eq_ignore_ascii_case("replace") && name.trim().eq_ignore_ascii_case("from");
    if !is_from || value.contains('$') {
        return None;
    }
    let authors = list::parse(value);
    shared::whole(&authors.mailboxes.first()?.spec.to_string(), None)
}
