//! What is said where a test lacks what it needs? (with `CI=true` it fails: there nothing may be lacking)

use std::{
    env,
    fmt::Display,
    path::{Path, PathBuf},
    thread,
};

/// Says that this test is skipped, and why.
pub(crate) fn skip(why: impl Display) {
    assert!(!env::var("CI").is_ok_and(|ci| ci == "true"), "it must run in CI: {why}");
    super::say(&format!("SKIPPED: {}: {why}", thread::current().name().unwrap_or("a test")));
}

/// What the test needs; `None`, and said so, where it can't be had.
pub(crate) fn or_skip<T>(needed: Result<T, impl Display>) -> Option<T> {
    needed.map_err(skip).ok()
}

/// Whether a program is there; says so where it is not.
pub(crate) fn has(program: &str) -> bool {
    let found = find(program).is_some();
    if !found {
        skip(format_args!("{program} is not installed (tests/run installs it)"));
    }
    found
}

/// Whether this is root; says so where it is not.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("it takes root");
    }
    root
}

/// Where a program is, for root or not.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|directory| directory.join(program)).find(|file| Path::new(file).is_file())
}
