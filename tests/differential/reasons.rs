//! Where do sealpost and Postfix differ about a header, and why is that right?

use std::collections::BTreeSet;

use crate::{Found, headers::Header};

const LOCALHOST: &str = "localhost is another machine to the smarthost: the mail domain takes its place";
const BANG: &str = "a path of UUCP is a name as any other: nobody routes by it any more";
const PERCENT: &str = "a percent sign in a name is no @: nobody routes by it any more";
const DASH: &str = "a local part may begin with a dash (RFC 5321 4.1.2); no command line is made of it here";
const EMPTY: &str = "\"\"@domain is nobody's address: refused, and nothing is sent";
const QUOTED_AT: &str = "quotes keep an @ within a local part also where no domain follows";
const OLDER: &str = "a Resent field that comes again belongs to an older resending (RFC 5322 3.6.6), whose recipients have it";
const SEMICOLON: &str = "a semicolon between addresses, as some mailers write it, is a comma";
const PUNCTUATION: &str = "a colon or a bracket that belongs to nothing is no part of an address";
const UNOPENED: &str = "a bracket that nothing opened belongs to a name; Postfix makes addresses of what stands around it";
const IRREGULAR: &str = "a part of the header is no address: refused rather than guessed, and nothing is sent";

/// The reasons of a difference; `None` where they don't explain all of it, which is a fault.
pub(crate) fn why(header: &Header, theirs: Option<&Found>, ours: Option<&Found>) -> Option<Vec<&'static str>> {
    let Some(ours) = ours else {
        return match header {
            Header { regular: false, .. } => Some(vec![IRREGULAR]),
            Header { text, .. } if text.contains("\"\"") => Some(vec![EMPTY]),
            _ => None,
        };
    };
    let nobody = (BTreeSet::new(), false);
    let (mut theirs, mut ours) = (theirs.unwrap_or(&nobody).clone(), ours.clone());
    let mut reasons = Vec::new();
    let mut apply = |reason: &'static str, change: &dyn Fn(&mut BTreeSet<String>, &mut BTreeSet<String>)| {
        let before = (theirs.0.clone(), ours.0.clone());
        change(&mut theirs.0, &mut ours.0);
        if before != (theirs.0.clone(), ours.0.clone()) {
            reasons.push(reason);
        }
    };
    let irregular = |separator: char| !header.regular && header.text.contains(separator);
    apply(LOCALHOST, &|theirs, _| replace(theirs, |a| a.strip_suffix("@localhost").map(|local| format!("{local}@client.example"))));
    apply(BANG, &|theirs, _| {
        replace(theirs, |a| {
            let path = a.split_once('@').map(|(user, host)| format!("{host}!{}", user.trim_matches('"')))?;
            header.text.contains(&path).then(|| format!("{path}@client.example"))
        });
    });
    apply(PERCENT, &|theirs, _| {
        replace(theirs, |a| {
            let name = a.rsplit_once('@').map(|(user, host)| format!("{user}%{host}"))?;
            header.text.contains(&name).then(|| format!("{name}@client.example"))
        });
    });
    apply(QUOTED_AT, &|theirs, ours| {
        let kept =
            |a: &str| ours.iter().find(|own| own.replace("@client.example", "").replace('"', "") == a.replace('"', "")).cloned();
        replace(theirs, |a| kept(a).filter(|own| own.matches('@').count() > 1));
        // Without the quotes it would be nobody.
        ours.retain(|own| theirs.contains(own) || !["\"@", "@\"@client.example"].iter().any(|nobody| own.contains(nobody)));
    });
    let made_up = |a: &str| a.starts_with('"') && a.contains(['<', ':']);
    apply(PUNCTUATION, &|theirs, ours| theirs.retain(|a| header.regular || ours.contains(a) || !made_up(a)));
    apply(UNOPENED, &|theirs, ours| {
        let Some(before) = unopened(header) else { return };
        let stands_before = |a: &String| before.contains(first_word(a));
        let behind = header.text[before.len()..].trim_start_matches(['>', ' ']);
        theirs.retain(|a| ours.contains(a) || !(stands_before(a) || behind.starts_with(first_word(a))));
        ours.retain(|a| theirs.contains(a) || !stands_before(a));
    });
    apply(DASH, &|theirs, ours| ours.retain(|a| !a.starts_with('-') || theirs.contains(a)));
    apply(OLDER, &|theirs, ours| theirs.retain(|a| ours.contains(a) || !resent_again(&header.text)));
    apply(SEMICOLON, &|theirs, ours| ours.retain(|a| theirs.contains(a) || !irregular(';')));
    (theirs == ours).then_some(reasons)
}

fn replace(addresses: &mut BTreeSet<String>, by: impl Fn(&str) -> Option<String>) {
    *addresses = addresses.iter().map(|a| by(a).unwrap_or_else(|| a.clone())).collect();
}

/// What stands before a bracket that closes what was not opened.
fn unopened(header: &Header) -> Option<&str> {
    let mut is_open = false;
    let at = header.text.find(|c| {
        let closes = c == '>' && !is_open;
        is_open = c == '<' || (is_open && c != '>');
        closes
    });
    at.filter(|_| !header.regular).map(|at| &header.text[..at])
}

/// The first word of a local part.
fn first_word(address: &str) -> &str {
    address.trim_start_matches('"').split(['@', '"', ',', ' ', '\\']).next().unwrap_or_default()
}

/// Whether one of the Resent fields is there twice.
fn resent_again(header: &str) -> bool {
    let lower = header.to_ascii_lowercase();
    ["to", "cc", "bcc"].iter().any(|name| {
        let name = format!("resent-{name}");
        lower.lines().filter(|line| line.split(':').next().is_some_and(|field| field.trim_end() == name)).count() > 1
    })
}
