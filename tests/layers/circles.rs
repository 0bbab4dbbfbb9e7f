//! Which modules that stand side by side need each other in a circle?

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::source::Source;

/// A module, from the root: `["mail", "policy"]`.
type Module = Vec<String>;

/// The arrows among the children of one module: who needs whom, and where it says so first.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// Every circle, the shortest through its first module: `mail: outcome -> policy -> outcome (mail/outcome.rs:3, …)`.
///
/// A name that a module takes from a child of its own is the child's, whoever asks the module for it: a circle can't hide so.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let sources: Vec<&Source> = sources.iter().filter(|source| !source.is_test()).collect();
    let mut found = Vec::new();
    for (parent, arrows) in families(&sources) {
        let mut told = BTreeSet::new();
        for start in arrows.keys() {
            let Some(circle) = circle(&arrows, start).filter(|_| !told.contains(start)) else { continue };
            let places: Vec<&str> = circle.windows(2).map(|pair| arrows[&pair[0]][&pair[1]].as_str()).collect();
            found.push(format!("{}: {} ({})", parent.join("::"), circle.join(" -> "), places.join(", ")));
            told.extend(circle);
        }
    }
    found
}

fn families(sources: &[&Source]) -> BTreeMap<Module, Arrows> {
    let modules: BTreeSet<Module> = sources.iter().flat_map(|source| prefixes(&source.module())).collect();
    let handed_on = handed_on(sources, &modules);
    let mut families: BTreeMap<Module, Arrows> = BTreeMap::new();
    for source in sources {
        let own = source.module();
        for mention in source.mentions().iter().filter(|mention| mention.path[0] == "crate") {
            let theirs = home(&mention.path[1..], &modules, &handed_on);
            let common = own.iter().zip(&theirs).take_while(|(one, other)| one == other).count();
            if let (Some(from), Some(to)) = (own.get(common), theirs.get(common)) {
                let family = families.entry(own[..common].to_vec()).or_default();
                let place = || format!("{}:{}", source.path, mention.line);
                family.entry(from.clone()).or_default().entry(to.clone()).or_insert_with(place);
            }
        }
    }
    families
}

/// The module itself and those that it stands in.
fn prefixes(module: &[String]) -> Vec<Module> {
    (1..=module.len()).map(|length| module[..length].to_vec()).collect()
}

/// Names that a module takes from below itself, and what they are there.
fn handed_on(sources: &[&Source], modules: &BTreeSet<Module>) -> BTreeMap<Module, Module> {
    let mut handed_on = BTreeMap::new();
    for source in sources {
        let own = source.module();
        for mention in source.mentions().into_iter().filter(|mention| mention.is_import) {
            let path = match mention.path.split_first() {
                Some((first, rest)) if first == "crate" => rest.to_vec(),
                _ => [own.clone(), mention.path].concat(),
            };
            let is_below = path.starts_with(&own) && path.len() > own.len() + 1 && modules.contains(&path[..=own.len()]);
            if let (true, Some(name)) = (is_below, path.last()) {
                handed_on.insert([own.clone(), vec![name.clone()]].concat(), path);
            }
        }
    }
    handed_on
}

/// The module where what is mentioned is written down.
fn home(path: &[String], modules: &BTreeSet<Module>, handed_on: &BTreeMap<Module, Module>) -> Module {
    let mut path = path.to_vec();
    loop {
        let known = prefixes(&path).into_iter().rev().find(|prefix| modules.contains(prefix)).unwrap_or_default();
        let next = path.get(..=known.len()).and_then(|name| handed_on.get(name));
        match next {
            Some(there) => path = there.clone(),
            None => return known,
        }
    }
}

/// The shortest way from `start` back to it.
fn circle(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    let mut waiting = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = waiting.pop_front() {
        for next in way.last().and_then(|last| arrows.get(last)).into_iter().flat_map(BTreeMap::keys) {
            let way = [way.as_slice(), std::slice::from_ref(next)].concat();
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                waiting.push_back(way);
            }
        }
    }
    None
}
