//! Where does sealpost keep what it has to remember: the system's place, or the caller's own? (sealpost.toml(5), "FILES")

use std::path::{Path, PathBuf};

use super::{Config, Origin, names};
use crate::host::world::World;

impl Config {
    /// Where sealpost keeps what it has to remember; the caller may have no place for it.
    pub fn state_dir(&self, world: &dyn World) -> Option<PathBuf> {
        state(&self.origin, world, Path::new("/var/lib/sealpost"))
    }
}

/// The system's place for root, except with a configuration of root's own; else the caller's state directory, where it has one.
pub(super) fn state(origin: &Origin, world: &dyn World, system: &Path) -> Option<PathBuf> {
    let usual = || world.config_dir().map(|directory| directory.join(names::FILE));
    let is_own = || matches!(origin, Origin::File(path) if path.ends_with(names::FILE) && usual().as_ref() == Some(path));
    if world.is_system() && !is_own() { Some(system.to_owned()) } else { world.state_dir() }
}
