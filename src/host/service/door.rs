//! How does a service get the sockets at which it listens: its own, or those that the system's manager opened for it? (`sd_listen_fds(3)`)

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FlockOperation, Mode, OFlags, chmodat, flock, open, renameat, unlinkat},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
};

use super::Door;
use crate::error::{Error, Exit};

/// Clients that wait to be let in: as many as the system allows.
const BACKLOG: i32 = 4096;

/// A socket of ours in the file system; its name goes when this is dropped, unless somebody else took it over.
#[derive(Debug)]
pub struct Name {
    path: PathBuf,
    file: (u64, u64),
}

/// The sockets that the process was started with (`$LISTEN_FDS`); empty where it was not.
///
/// # Errors
/// One of them is no stream socket that listens, on a path or on the loopback (`EX_CONFIG`).
pub fn handed() -> Result<Vec<Door>, Error> {
    let mut given = listenfd::ListenFd::from_env();
    (0..given.len()).map(|index| one(&mut given, index)).collect()
}

fn one(given: &mut listenfd::ListenFd, index: usize) -> Result<Door, Error> {
    let refuse = |why: &str| {
        let doing = format!("taking over socket {} of $LISTEN_FDS", index + 1);
        Error::new(Exit::Config, doing, why).hint("ListenStream= takes a path, or 127.0.0.1:PORT")
    };
    if let Ok(Some(listener)) = given.take_unix_listener(index) {
        return Ok(Door::Unix(listener, None));
    }
    let Ok(Some(listener)) = given.take_tcp_listener(index) else { return Err(refuse("it is no stream socket that listens")) };
    match listener.local_addr() {
        Ok(address) if address.ip().to_canonical().is_loopback() => Ok(Door::Loopback(listener)),
        Ok(address) => Err(refuse(&format!("{address} is not of the loopback: who is there can't be known"))),
        Err(error) => Err(refuse(&error.to_string())),
    }
}

/// Listens on the loopback.
///
/// # Errors
/// The address is taken, or not ours to take.
pub fn loopback(address: SocketAddr) -> Result<Door, Error> {
    let listening = TcpListener::bind(address).and_then(|listener| {
        // The library's own is shorter.
        listen(&listener, BACKLOG)?;
        Ok(Door::Loopback(listener))
    });
    listening.map_err(|error| {
        let told = Error::new(Exit::Unavailable, format!("listening on {address}"), error.to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied => told.hint("ports below 1024 want CAP_NET_BIND_SERVICE, or a socket unit of systemd"),
            io::ErrorKind::AddrInUse => told.hint("another program listens there: name another port in `listen` under [serve]"),
            _ => told.hint("look at `listen` under [serve]"),
        }
    })
}

/// Listens at `path`, for everybody to connect to. Its directory is made where it is missing. A socket that nobody listens at any
/// more is replaced in one step; anything else there stays.
///
/// # Errors
/// Somebody listens there, something else is there, others may write in the directory, or the system refuses.
pub fn unix(path: &Path) -> Result<Door, Error> {
    let doing = || format!("listening at {}", path.display());
    let fault = |error: io::Error| {
        let told = Error::new(Exit::Unavailable, doing(), error.to_string());
        told.hint("look at `socket` under [serve], and at who may write there")
    };
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = enter(directory).map_err(fault)?.map_err(|why| Error::new(Exit::Config, doing(), why))?;
    // Two that start at the same time take turns.
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| fault(error.into()))?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault(error)),
        Ok(there) if !there.file_type().is_socket() => {
            return Err(Error::new(Exit::CantCreat, doing(), "something else than a socket is there")
                .hint("remove it, or name another path"));
        }
        Ok(_) if somebody_listens(path) => {
            return Err(
                Error::new(Exit::Unavailable, doing(), "somebody listens there already").hint("does the service run? end it first")
            );
        }
        Ok(_) => {}
    }
    place(path).map_err(fault)
}

/// The directory, held open; or why it is no place for a socket.
fn enter(directory: &Path) -> io::Result<Result<OwnedFd, String>> {
    match fs::DirBuilder::new().mode(0o755).create(directory) {
        // Whatever the umask is: everybody has to get through.
        Ok(()) => chmodat(CWD, directory, Mode::from_raw_mode(0o755), rustix::fs::AtFlags::empty())?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let opened = open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&opened)?;
    if stat.st_mode & 0o022 != 0 {
        return Ok(Err(format!("others may write in {}, and could listen in our place", directory.display())));
    }
    Ok(Ok(opened))
}

fn somebody_listens(path: &Path) -> bool {
    match UnixStream::connect(path) {
        Err(error) => error.kind() != io::ErrorKind::ConnectionRefused && error.kind() != io::ErrorKind::NotFound,
        Ok(_) => true,
    }
}

/// The socket listens before it has its name, so nobody meets one that does not.
fn place(path: &Path) -> io::Result<Door> {
    let mut raw = path.as_os_str().to_owned();
    raw.push(format!(".{}", std::process::id()));
    let raw = PathBuf::from(raw);
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    let address = SocketAddrUnix::new(&raw)?;
    // What a process of the same number left behind.
    let _ = unlinkat(CWD, &raw, rustix::fs::AtFlags::empty());
    bind(&socket, &address)?;
    let named = (|| {
        chmodat(CWD, &raw, Mode::from_raw_mode(0o666), rustix::fs::AtFlags::empty())?;
        listen(&socket, BACKLOG)?;
        let there = fs::symlink_metadata(&raw)?;
        renameat(CWD, &raw, CWD, path)?;
        Ok(Name { path: path.to_owned(), file: (there.dev(), there.ino()) })
    })();
    match named {
        Ok(name) => Ok(Door::Unix(UnixListener::from(socket), Some(name))),
        Err(error) => {
            let _ = unlinkat(CWD, &raw, rustix::fs::AtFlags::empty());
            Err(error)
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.file);
        if is_ours {
            // It would be found stale by the next one.
            let _ = unlinkat(CWD, &self.path, rustix::fs::AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn everybody_may_connect_and_the_name_goes_with_the_service() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("run/submit.sock");
        let door = unix(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o666, 0o755));
        UnixStream::connect(&path).unwrap();
        assert_eq!(unix(&path).unwrap_err().because(), "somebody listens there already");
        UnixStream::connect(&path).unwrap();
        drop(door);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else_is() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("submit.sock");
        drop(UnixListener::bind(&path).unwrap());
        let door = unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        // Another one has its place meanwhile: that is not ours to remove.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        drop(door);
        assert_eq!(unix(&path).unwrap_err().because(), "something else than a socket is there");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(unix(&path).unwrap_err().because(), "something else than a socket is there");
    }

    #[test]
    fn a_directory_in_which_others_may_write_is_no_place_for_it() {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = unix(&scratch.path().join("submit.sock")).unwrap_err();
        assert!(error.because().contains("others may write"), "{error}");
        let long = scratch.path().join("x".repeat(200));
        assert!(unix(&long.join("submit.sock")).is_err());
    }
}
