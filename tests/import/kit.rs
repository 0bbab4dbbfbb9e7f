//! The cases, and what one run of the import leaves behind.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::common::{Run, Sealpost};

/// A machine with a configuration to import.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) root: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// All of them, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let mut names: Vec<String> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let case = |name: String| {
        let root = directory.join(&name);
        let arguments = fs::read_to_string(root.join("arguments")).unwrap().split_whitespace().map(str::to_owned).collect();
        Case { name, root, arguments }
    };
    names.into_iter().map(case).collect()
}

/// A caller whose home is /home/ann, on whatever machine `--root` says.
pub(crate) fn ann() -> Sealpost {
    let mut sealpost = Sealpost::new("");
    sealpost.environment = vec![("HOME".to_owned(), "/home/ann".to_owned())];
    sealpost
}

impl Case {
    /// `sealpost config import` of it, with more `words`.
    pub(crate) fn import(&self, sealpost: &Sealpost, words: &[&str]) -> Run {
        let mut all = vec!["config", "import", "--root", self.root.to_str().unwrap()];
        all.extend(self.arguments.iter().map(String::as_str));
        all.extend(words);
        sealpost.command(&all, b"")
    }
}

/// The files in `secrets` beside a configuration, with what they hold, checked to be their owner's alone.
pub(crate) fn secrets(beside: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(beside.join("secrets")) else { return Vec::new() };
    assert_eq!(mode(&beside.join("secrets")), 0o700);
    let mut secrets: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    secrets.sort();
    secrets
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
