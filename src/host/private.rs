//! Can nobody else get at a file that holds a secret? (sealpost.toml(5), "FILES")

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::world::World;
use crate::error::{Error, Exit};

/// Refuses a file that holds a secret and that somebody else could read or exchange.
///
/// # Errors
/// The mode lets others in, or the owner is neither root nor the caller; the hint is the command that mends it.
pub(super) fn refuse_readable(world: &dyn World, path: &Path, file: &File, metadata: &Metadata, holds: &str) -> Result<(), Error> {
    refuse_modes(world, (path, file, metadata), 0o077, holds)
}

/// As [`refuse_readable`], with the bits of the mode that must not be set.
pub(super) fn refuse_modes(
    world: &dyn World,
    (path, file, metadata): (&Path, &File, &Metadata),
    forbidden: u32,
    holds: &str,
) -> Result<(), Error> {
    let (mode, owner, caller) = (metadata.mode() & 0o7777, metadata.uid(), world.uid());
    let doing = format!("reading {}", path.display());
    if owner != 0 && owner != caller {
        let because = format!("{holds}, and it belongs to uid {owner}, neither to you (uid {caller}) nor to root");
        return Err(Error::new(Exit::Config, doing, because).hint(format!("chown {caller} {}", quoted(path))));
    }
    if mode & forbidden != 0 && !is_handed_in(file) {
        let because = format!("{holds}, and others can get at it (mode {mode:04o})");
        return Err(Error::new(Exit::Config, doing, because).hint(format!("chmod 600 {}", quoted(path))));
    }
    Ok(())
}

/// Whether the file is on a read-only tmpfs or ramfs: that is how Docker, Kubernetes and systemd hand secrets in, with modes that
/// nobody inside can change (0444, or 0440 for a group), and where the container or the unit is the fence.
fn is_handed_in(file: &File) -> bool {
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::fstatfs(file).ok().and_then(|system| u64::try_from(system.f_type).ok());
    kind.is_some_and(|kind| IN_MEMORY.contains(&kind))
        && rustix::fs::fstatvfs(file).is_ok_and(|system| system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('-') { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_systemd_or_docker_hands_in_is_the_units_affair() {
        // /proc is no tmpfs: whoever has no such mount at hand can at least see that the others are told apart.
        let file = File::open("/proc/self/status").unwrap();
        assert!(!is_handed_in(&file));
    }

    #[test]
    fn a_path_is_quoted_for_the_shell() {
        for (path, wanted) in [("/a/b.c", "/a/b.c"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("-x", "'-x'")] {
            assert_eq!(quoted(Path::new(path)), wanted);
        }
    }
}
