//! How does a file get a new content so that no reader ever sees half of it? (rename(2))

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::error::{Error, Exit};

/// Puts `bytes` in place of what `path` held, with this mode whatever the umask: into a file beside it, which then takes its
/// name. What is no regular file (a terminal, a pipe) is written to; a symbolic link stays, and what it points to is replaced.
///
/// # Errors
/// The file can't be made or written; [`Exit::CantCreat`].
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let target = fs::canonicalize(path);
    let done = match &target {
        Ok(target) if !target.is_file() => File::options().write(true).open(target).and_then(|mut file| file.write_all(bytes)),
        Ok(target) => swap(target, bytes, mode),
        Err(_) => swap(path, bytes, mode),
    };
    done.map_err(|error| {
        let because = error.to_string();
        let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
        Error::new(Exit::CantCreat, format!("writing {}", path.display()), because)
            .hint("does its directory exist, and may you write there?")
    })
}

fn swap(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::IsADirectory.into()) };
    // A name that begins with a dot and ends in no usual way: a directory of *.prom files is being read while this is written.
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = fill(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let make = || File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match make() {
        // Left behind by an earlier process of this number that was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(path).and_then(|()| make())?,
        made => made?,
    };
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_reader_of_the_old_file_keeps_it_and_nothing_is_left_beside_the_new_one() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sealpost.prom");
        replace(&path, b"old\n", 0o644).unwrap();
        let (before, old) = (fs::metadata(&path).unwrap(), File::open(&path).unwrap());
        replace(&path, b"new\n", 0o644).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((io::read_to_string(old).unwrap(), fs::read_to_string(&path).unwrap()), ("old\n".into(), "new\n".into()));
        assert_ne!(before.ino(), after.ino());
        assert_eq!(after.mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let scratch = tempfile::tempdir().unwrap();
        let (file, link) = (scratch.path().join("file"), scratch.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"new", 0o600).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let null = scratch.path().join("null");
        symlink("/dev/null", &null).unwrap();
        replace(&null, b"nothing", 0o600).unwrap();
        assert!(null.is_symlink() && !Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_place_that_does_not_exist_is_an_error_with_a_hint() {
        let error = replace(Path::new("/nonexistent/x.prom"), b"", 0o644).unwrap_err();
        assert_eq!(error.exit(), Exit::CantCreat);
        assert!(error.render("sealpost").contains("writing /nonexistent/x.prom: No such file"), "{error}");
    }
}
