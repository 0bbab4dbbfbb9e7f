//! Can nobody else get at what holds a secret, a file or this process? (sealpost.toml(5), "FILES")

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::world::World;
use crate::error::{Error, Exit};

/// From now on the process leaves no core, and others of the same user can't look into it.
pub(crate) fn conceal() {
    // Where the system refuses there is nothing to be done about it, and a mail is not lost for that.
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(not(target_os = "linux"))]
    {
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _refused = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
}

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
    let mount = Mount::of(file);
    if mount.is_fence() || (mount.in_memory && owner == 0 && mode & 0o022 == 0 && path.starts_with(HANDED_IN)) {
        return Ok(());
    }
    let hint = |usual: String| if mount.is_files_own { format!("mount it read-only, or {usual}") } else { usual };
    if owner != 0 && owner != caller {
        let because = format!("{holds}, and it belongs to uid {owner}, neither to you (uid {caller}) nor to root");
        return Err(Error::new(Exit::Config, doing, because).hint(hint(format!("chown {caller} {}", quoted(path)))));
    }
    if mode & forbidden != 0 {
        let because = format!("{holds}, and others can get at it (mode {mode:04o})");
        return Err(Error::new(Exit::Config, doing, because).hint(hint(format!("chmod 600 {}", quoted(path)))));
    }
    Ok(())
}

/// Where container runtimes put secrets; Podman's can be written to, by root alone.
const HANDED_IN: &str = "/run/secrets";

/// How a file came here: runtimes hand secrets in with modes and owners that nobody inside can change, and the container or the unit is
/// the fence.
struct Mount {
    /// Nothing there can be written, whoever asks.
    is_read_only: bool,
    /// It is a tmpfs or ramfs, as Docker, Kubernetes and systemd use it.
    in_memory: bool,
    /// The file was mounted by itself, as Compose does with a file of the host.
    is_files_own: bool,
}

impl Mount {
    fn of(file: &File) -> Self {
        const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
        let kind = rustix::fs::fstatfs(file).ok().and_then(|system| u64::try_from(system.f_type).ok());
        let flags = rustix::fs::fstatvfs(file).ok().map(|system| system.f_flag);
        Self {
            is_read_only: flags.is_some_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::RDONLY)),
            in_memory: kind.is_some_and(|kind| IN_MEMORY.contains(&kind)),
            is_files_own: is_mounted_itself(file),
        }
    }

    fn is_fence(&self) -> bool {
        self.is_read_only && (self.in_memory || self.is_files_own)
    }
}

/// Kernels before 5.8 don't say.
#[cfg(target_os = "linux")]
fn is_mounted_itself(file: &File) -> bool {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
    statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mounted_itself(_: &File) -> bool {
    false
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
        // /proc is no tmpfs, and no file of it a mount: tests/containers.rs has such mounts.
        let mount = Mount::of(&File::open("/proc/self/status").unwrap());
        assert!(!mount.is_fence() && !mount.in_memory && !mount.is_files_own);
    }

    #[test]
    fn a_path_is_quoted_for_the_shell() {
        for (path, wanted) in [("/a/b.c", "/a/b.c"), ("/a b", "'/a b'"), ("/it's", "'/it'\\''s'"), ("-x", "'-x'")] {
            assert_eq!(quoted(Path::new(path)), wanted);
        }
    }
}
