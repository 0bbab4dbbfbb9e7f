//! Which files beside the log are older parts of it, and in which order were they written? (logrotate(8))

use std::{
    cmp::Reverse,
    fs, io,
    path::{Path, PathBuf},
};

/// How the files end that a rotation compressed.
const COMPRESSED: [&str; 6] = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z"];

/// Digits of the least date (`20261124`); what is shorter counts the rotations.
const DATE: usize = 6;

/// The rotated parts of a log that stand beside it, the oldest first.
///
/// # Errors
/// The directory can't be listed.
pub(super) fn beside(log: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(current) = log.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let directory = log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(in_order(current, names).into_iter().map(|name| directory.join(name)).collect())
}

/// When a part was written, as far as its name tells; earlier is less. A configuration that changed from numbers to dates, or
/// back, is told apart by nothing: the dated ones are taken to be older.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// `-20261124`, `-20261124-0301`, `.2026-11-24`, `-1795474381`: its digits.
    Dated(String),
    /// `.1` is the youngest.
    Numbered(Reverse<u32>),
}

fn in_order(current: &str, names: Vec<String>) -> Vec<String> {
    let mut parts: Vec<(Age, String)> = names.into_iter().filter_map(|name| Some((age(current, &name)?, name))).collect();
    parts.sort();
    // Where both are there the compression is still going on: `x` sorts before `x.gz`, and is whole.
    parts.dedup_by(|later, kept| plain(&later.1) == plain(&kept.1));
    parts.into_iter().map(|(_, name)| name).collect()
}

/// `log.jsonl.1.gz` and, as with logrotate's `extension`, `log-20261124.jsonl.gz`; `None` for what is no part of the log.
fn age(current: &str, name: &str) -> Option<Age> {
    let name = plain(name);
    let in_between = || {
        let (stem, extension) = current.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
        name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')
    };
    let mark = name.strip_prefix(current).or_else(in_between)?.strip_prefix(['.', '-', '_'])?;
    let digits: String = mark.chars().filter(char::is_ascii_digit).collect();
    let tame = mark.starts_with(|c: char| c.is_ascii_digit())
        && mark.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T'));
    match tame {
        false => None,
        true if digits.len() < DATE && digits == mark => Some(Age::Numbered(Reverse(digits.parse().ok()?))),
        true => Some(Age::Dated(digits)),
    }
}

fn plain(name: &str) -> &str {
    COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_told_from_strangers_and_sorted_by_age() {
        let table: [(&[&str], &[&str]); 5] = [
            (
                &["log.jsonl.1", "log.jsonl.10.gz", "log.jsonl.2.gz", "log.jsonl"],
                &["log.jsonl.10.gz", "log.jsonl.2.gz", "log.jsonl.1"],
            ),
            (
                &["log.jsonl-20261124", "log.jsonl-20261123-0301.gz", "log.jsonl-20261123.xz"],
                &["log.jsonl-20261123.xz", "log.jsonl-20261123-0301.gz", "log.jsonl-20261124"],
            ),
            (
                &["log-20261124.jsonl", "log-20251124.jsonl.gz", "log.1.jsonl"],
                &["log-20251124.jsonl.gz", "log-20261124.jsonl", "log.1.jsonl"],
            ),
            (&["log.jsonl.1.gz", "log.jsonl.1", "log.jsonl.2"], &["log.jsonl.2", "log.jsonl.1"]),
            (
                &[
                    "log.jsonl.bak",
                    "log.jsonl~",
                    "log.jsonl.",
                    "log.jsonl.1.swp",
                    ".log.jsonl.1",
                    "log.jsonlx.1",
                    "other.jsonl.1",
                    "log.jsonl.gz",
                    "log.jsonl.-1",
                    "log..jsonl",
                    "log.txt.1",
                    "log-2026x.jsonl",
                ],
                &[],
            ),
        ];
        for (names, order) in table {
            assert_eq!(in_order("log.jsonl", names.iter().map(|name| (*name).to_owned()).collect()), order);
        }
    }

    proptest! {
        #[test]
        fn no_name_is_too_odd(current in "\\PC{0,8}", name in "\\PC{0,12}") {
            prop_assert_eq!(age(&current, &current), None);
            let _ = age(&current, &name);
            let _ = age("log.jsonl", &format!("log{name}.jsonl"));
        }
    }
}
