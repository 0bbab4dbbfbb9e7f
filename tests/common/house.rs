//! How do servers of other projects run for all tests of a binary, and end with it?

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
};

use super::Scratch;

/// Whether they may be started: by root, and all of `programs` are there (in /usr/sbin or /usr/bin, or a path from there).
pub(crate) fn can_start(programs: &[&str]) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("the servers want root".to_owned());
    }
    let is_missing = |program: &&&str| !["/usr/sbin", "/usr/bin"].iter().any(|d| Path::new(d).join(program).exists());
    match programs.iter().find(is_missing) {
        Some(program) => Err(format!("{program} is not installed (tests/run as root installs it)")),
        None => Ok(()),
    }
}

/// A directory for `what`. It outlives this process by a little, and the servers remove it once they have stopped. What a killed run
/// left behind, the next one clears.
pub(crate) fn directory(what: &str) -> PathBuf {
    let scratch = Scratch::new();
    let parent = scratch.path().parent().unwrap().to_owned();
    let prefix = format!("sealpost-{what}-");
    for entry in fs::read_dir(&parent).unwrap().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(&prefix).map(|pid| Path::new("/proc").join(pid));
        if owner.is_some_and(|process| !process.exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let directory = parent.join(format!("{prefix}{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    directory
}

/// Starts them by `script` (below `tests`), which is told `directory` first. They stop when the pipe closes, which the kernel does
/// however this process ends.
pub(crate) fn start(script: &str, directory: &Path, prepare: impl FnOnce(&mut Command)) -> Result<ChildStdin, String> {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script));
    command.arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    prepare(&mut command);
    let mut child = command.spawn().map_err(|why| why.to_string())?;
    let mut answer = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    // Installed and unable to start is a failure, never a reason to skip.
    assert_eq!(answer, "ready\n", "{script} did not start; see above, and the logs in {}", directory.display());
    Ok(child.stdin.take().unwrap())
}
