//! Who gets the mail of names on a machine with a Postfix: aliases, a catch-all, or the relay? (aliases(5), virtual(5), postconf(5))

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        facts::{Facts, Sort, Table},
        shared,
    },
    Source,
    rewriting::{Rewriting, Rewritten},
};

/// Tables by which a recipient becomes another.
const TABLES: [&str; 4] = ["virtual_alias_maps", "recipient_canonical_maps", "canonical_maps", "smtp_generic_maps"];

/// Why nothing is to be carried over: mail for anybody went to one address, and would go to those it is for.
pub(super) fn redirected(source: &Source<'_>) -> Option<(String, &'static str)> {
    let rewritings = [Rewriting::of_recipients(source), Rewriting::of_all(source)];
    let address = rewritings.iter().find_map(Rewriting::for_all)?;
    let tables = TABLES.into_iter().filter(|parameter| source.parameters.get(parameter).is_some()).collect::<Vec<_>>().join(", ");
    let because = format!(
        "all mail goes to {address}, whomever it is for ({tables}); sealpost has no such setting, and would send it to them"
    );
    let hint = "if they are to get it, import a copy without that; sender_canonical_maps is for senders alone, and catch_all of sealpost gets \
                the mail of bare names";
    Some((because, hint))
}

/// Sets who gets the mail of bare names, and the domain that completes them.
pub(super) fn translate(source: &Source<'_>, facts: &mut Facts) {
    let (first, last) = (Rewriting::of_recipients(source), Rewriting::of_all(source));
    let of = |user: &Rewritten| {
        let before = first.apply(user);
        // What is delivered on this machine does not leave it.
        if source.is_local(&before.domain) { before } else { last.apply(&before) }
    };
    let anybody = of(&Rewritten::of_anybody(&source.origin));
    if anybody.is_anybody() && !anybody.domain.eq_ignore_ascii_case(&source.origin) {
        facts.set(Table::Top, "mail_domain", anybody.domain.as_str());
    }
    let users: BTreeSet<String> = first.users().chain(last.users()).collect();
    let changed = users.into_iter().map(|user| (of(&Rewritten::of(&user, &source.origin)), user));
    let mut changed: BTreeMap<String, Rewritten> = changed
        .filter(|(address, user)| address.address() != anybody.for_user(user))
        .map(|(address, user)| (user, address))
        .collect();
    // What is sent to a bare name is sent to root, mostly.
    let all = Some(anybody).filter(|all| !all.is_anybody());
    if let Some(catch_all) = changed.remove("root").or(all.clone())
        && let Some(address) = shared::whole(&catch_all.address(), None)
    {
        let others = match all {
            Some(all) if all.address() != address => ", and not the one that the table has for all",
            _ if catch_all.is_one_of_several => ", and none of the others that the table has for root",
            _ => "",
        };
        let text = format!(
            "{address} gets the mail of every name without a domain{others}; a name with the domain of this machine goes to the server"
        );
        facts.note(Sort::Changed, text);
        facts.set(Table::Top, "catch_all", address);
    }
    if !changed.is_empty() {
        let names: Vec<&str> = changed.keys().map(String::as_str).collect();
        let text =
            format!("recipients that a table makes others of: an alias file can have entries for them ({})", names.join(", "));
        facts.note(Sort::LeftOut, text);
    }
    aliases(source, facts);
    lone_users(source, facts);
}

/// The alias file that counts, if any does.
fn alias_file(source: &Source<'_>) -> Option<String> {
    source.parameters.list("alias_maps").into_iter().find_map(|name| {
        let (kind, path) = name.split_once(':')?;
        ["hash", "lmdb", "btree", "cdb", "dbm", "texthash"].contains(&kind).then(|| path.to_owned())
    })
}

fn aliases(source: &Source<'_>, facts: &mut Facts) {
    let names = source.parameters.list("alias_maps");
    if source.parameters.is_set("alias_maps") && names.is_empty() {
        return facts.set(Table::Top, "aliases", "");
    }
    if !source.is_local(&source.origin) {
        let why = "names without a domain are none of this machine here (myorigin is not in mydestination), so no alias counted";
        if alias_file(source).is_some_and(|file| file != "/etc/aliases") {
            facts.note(Sort::LeftOut, format!("alias_maps: {why}"));
        }
        return shared::no_aliases(source.texts, facts, why);
    }
    let file = alias_file(source);
    if names.len() > usize::from(file.is_some()) {
        facts.note(Sort::LeftOut, "alias_maps: one file is read, and no other kind of table");
    }
    shared::aliases(source.texts, facts, file.as_deref().unwrap_or("/etc/aliases"));
}

/// Users whom nobody knows.
fn lone_users(source: &Source<'_>, facts: &mut Facts) {
    let Some(written) = source.parameters.raw("luser_relay").filter(|_| source.is_local(&source.origin)) else { return };
    let address = if written.contains('$') { None } else { shared::whole(written, Some(&source.origin)) };
    match address {
        Some(address) => {
            facts.set(Table::Top, "catch_all", address);
            let text = "luser_relay: it gets the mail of every name without a domain that is no alias, those included that had a mailbox here; \
                        one with the domain of this machine goes to the server";
            facts.note(Sort::Changed, text);
        }
        None => facts.note(Sort::LeftOut, "luser_relay: a catch-all is one address; such names get mail_domain"),
    }
}
