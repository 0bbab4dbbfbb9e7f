use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::host::world::Pretend;

/// Who runs the tests.
fn world() -> Pretend {
    Pretend { uid: rustix::process::getuid().as_raw(), ..Pretend::default() }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn begin(path: &Path, of_system: bool) -> Growth {
    Growth::begin(&world(), path.to_owned(), of_system).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_its_owners_and_so_is_its_secret() {
    let scratch = tempfile::tempdir().unwrap();
    for (of_system, modes) in [(false, [0o700, 0o600]), (true, [0o755, 0o644])] {
        let directory = scratch.path().join(format!("{of_system}/below"));
        let path = directory.join("config.toml");
        let growth = begin(&path, of_system);
        assert_eq!(growth.text().unwrap(), None);
        let grown = growth.write("text\n", Some(("one", &Secret::new("s3cret".to_owned())))).unwrap();
        assert_eq!([mode(&directory), mode(&path)], modes);
        let secret = grown.secret.unwrap();
        assert_eq!((mode(&secret), mode(secret.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_to_string(secret).unwrap(), "s3cret\n");
        assert!(grown.backup.is_none());
        assert_eq!(growth.free_secret("one"), "one-2");
    }
}

#[test]
fn what_was_there_is_copied_each_time_and_keeps_its_mode() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("config.toml");
    fs::write(&path, "one").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    for (before, after, name) in [("one", "two", "config.toml.bak"), ("two", "three", "config.toml.bak-2")] {
        let growth = begin(&path, false);
        assert_eq!(growth.text().unwrap(), Some(before));
        let backup = growth.write(after, None).unwrap().backup.unwrap();
        assert_eq!(backup, scratch.path().join(name));
        assert_eq!((fs::read_to_string(&backup).unwrap().as_str(), mode(&backup)), (before, 0o600));
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), (after, 0o640));
    }
}

#[test]
fn what_fails_half_way_is_taken_back() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("below/config.toml");
    let growth = begin(&path, false);
    // Somebody else was faster.
    fs::create_dir(scratch.path().join("below")).unwrap();
    fs::write(&path, "theirs").unwrap();
    let secret = Secret::new("s".to_owned());
    let error = growth.write("ours", Some(("one", &secret))).unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    assert_eq!(
        (names(&scratch.path().join("below")), fs::read_to_string(&path).unwrap()),
        (vec!["config.toml".to_owned()], "theirs".to_owned())
    );
    let growth = begin(&path, false);
    fs::write(&path, "changed").unwrap();
    assert!(growth.write("ours", Some(("one", &secret))).unwrap_err().because().contains("somebody changed it"));
    assert_eq!(names(&scratch.path().join("below")), ["config.toml"]);
    // A directory in the place of the file.
    let wrong = scratch.path().join("other/config.toml");
    let growth = begin(&wrong, false);
    fs::create_dir_all(&wrong).unwrap();
    assert!(growth.write("ours", Some(("one", &secret))).is_err());
    assert_eq!(names(&scratch.path().join("other")), ["config.toml"]);
}

#[test]
fn a_link_of_ones_own_stays_one_and_a_strangers_file_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (path, target) = (scratch.path().join("config.toml"), scratch.path().join("dotfiles.toml"));
    fs::write(&target, "old").unwrap();
    symlink(&target, &path).unwrap();
    begin(&path, false).write("new", None).unwrap();
    assert!(path.is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    let stranger = Pretend { uid: 4_000_000, ..Pretend::default() };
    let error = Growth::begin(&stranger, target, false).err().unwrap();
    assert_eq!(error.exit(), Exit::NoPerm);
}

#[test]
fn the_place_is_the_variables_the_systems_or_the_users() {
    let world = Pretend { config_dir: Some("/home/alice/.config/sealpost".into()), etc: "/e".into(), ..Pretend::default() };
    let is = |world: &Pretend, of_system, wanted: &str| assert_eq!(place(world, of_system).unwrap(), Path::new(wanted));
    is(&world, false, "/home/alice/.config/sealpost/config.toml");
    is(&world, true, "/e/sealpost/config.toml");
    let world = world.with_env("SEALPOST_CONFIG", "/x.toml");
    is(&world, false, "/x.toml");
    is(&world, true, "/e/sealpost/config.toml");
    assert!(place(&Pretend::default(), false).is_err());
}
