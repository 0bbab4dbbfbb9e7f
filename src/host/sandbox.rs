//! Which files can a service still reach when something in it goes wrong? (landlock(7))

use std::path::{Path, PathBuf};

use crate::error::{Error, Exit};

/// What a service has to reach. What does not exist is left out.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Files and directories that are read.
    pub read: Vec<PathBuf>,
    /// Directories in which it writes.
    pub write: Vec<PathBuf>,
}

/// How far a service is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// To what it has to reach.
    Fully,
    /// As far as this kernel can.
    Partly,
    /// Not: this kernel can't.
    Not,
}

impl Reach {
    /// Adds what any program of this kind reads: the system's configuration, its certificates and libraries, its users and sockets.
    #[must_use]
    pub fn with_system(mut self) -> Self {
        let places = [
            "/etc",
            "/usr/share",
            "/usr/lib",
            "/usr/lib64",
            "/lib",
            "/lib64",
            "/usr/local/share",
            "/proc",
            "/run",
            "/var/lib/sss",
            "/dev",
        ];
        self.read.extend(places.into_iter().map(PathBuf::from));
        self
    }

    /// Whether all of another is within this, as far as names tell.
    pub fn covers(&self, other: &Self) -> bool {
        let is_in = |places: &[PathBuf], path: &Path| places.iter().any(|place| path.starts_with(place));
        other.write.iter().all(|path| is_in(&self.write, path))
            && other.read.iter().all(|path| is_in(&self.read, path) || is_in(&self.write, path))
    }

    /// Adds the directory of a file, so that the file may be replaced.
    pub fn reads_beside(&mut self, file: &Path) {
        self.read.extend(directory(file).map(Path::to_owned));
    }
}

/// Where a file is; a name alone is where the process stands.
pub fn directory(file: &Path) -> Option<&Path> {
    file.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Gives up, for good, all files but these, and starting programs. For this thread and those that it starts: to be called before
/// others are started.
///
/// # Errors
/// The system has Landlock, and refuses.
#[cfg(target_os = "linux")]
pub fn confine(reach: &Reach) -> Result<Confined, Error> {
    use landlock::{
        ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus, path_beneath_rules,
    };
    /// What newer kernels can do besides (sockets, signals) would need rules that older ones don't know.
    const KNOWN: ABI = ABI::V5;
    let refused = |error: landlock::RulesetError| {
        Error::new(Exit::OsErr, "confining the service to its own files", error.to_string())
            .hint("--no-sandbox does without; the unit file's restrictions remain")
    };
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    // Whether a program may be started is asked of Execute; of devices what is there is used, and nothing is made.
    let writing = AccessFs::from_all(KNOWN) & !AccessFs::Execute & !AccessFs::MakeBlock & !AccessFs::MakeChar;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(&reach.read, reading)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/dev/null"], reading | AccessFs::WriteFile)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&reach.write, writing)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(refused)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::Fully,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

/// Other systems have no such thing.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn confine(_: &Reach) -> Result<Confined, Error> {
    Ok(Confined::Not)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{fs, process::Command, thread};

    use super::*;

    #[test]
    fn whoever_is_confined_reads_and_writes_its_own_files_and_starts_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let place = |name: &str| scratch.path().join(name);
        for name in ["own", "read", "others"] {
            fs::create_dir(place(name)).unwrap();
            fs::write(place(name).join("file"), name).unwrap();
        }
        let reach = Reach { read: vec![place("read"), place("missing")], write: vec![place("own")] };
        // A thread of its own: the restriction ends with it.
        let confined = thread::scope(|scope| {
            let confined = scope.spawn(|| {
                if confine(&reach).unwrap() == Confined::Not {
                    return false;
                }
                assert_eq!(fs::read_to_string(place("read").join("file")).unwrap(), "read");
                assert!(fs::write(place("read").join("file"), "x").is_err());
                fs::write(place("own").join("new"), "x").unwrap();
                fs::rename(place("own").join("new"), place("own").join("file")).unwrap();
                fs::remove_file(place("own").join("file")).unwrap();
                assert!(fs::read_to_string(place("others").join("file")).is_err());
                assert!(Command::new("/bin/true").status().is_err());
                true
            });
            confined.join().unwrap()
        });
        // Without the kernel's help nothing of this holds, and nothing breaks.
        assert_eq!(Command::new("/bin/true").status().unwrap().code(), Some(0), "{confined}");
    }
}
