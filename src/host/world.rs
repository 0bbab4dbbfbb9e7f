//! What does the machine say of itself: time, chance, users, names, environment?

use std::{
    ffi::OsString,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use jiff::ZonedDateTime;

mod passwd;
mod pretend;
mod seen;

pub use self::{pretend::Pretend, seen::Seen};
use crate::error::{Error, Exit};

/// Everything that differs from one machine or moment to the next; each is found out only when it is asked for.
pub trait World: Sync {
    /// The time, in the caller's zone.
    fn now(&self) -> ZonedDateTime;

    /// The time alone: no zone is looked up for it.
    fn timestamp(&self) -> jiff::Timestamp;

    /// Fills `buffer` with unpredictable octets.
    ///
    /// # Errors
    /// The system has no source of randomness.
    fn random(&self, buffer: &mut [u8]) -> Result<(), Error>;

    /// The caller.
    fn uid(&self) -> u32;

    /// Whether this process keeps what it keeps in the system's places (/var), unless it is told otherwise.
    fn is_system(&self) -> bool {
        self.uid() == 0
    }

    /// The caller as a person.
    fn user(&self) -> User;

    /// The host's name, with its domain where that can be found out without the network.
    fn host_name(&self) -> String;

    /// The domain that mail of this host comes from: the first line of /etc/mailname, where it is a domain.
    fn mail_name(&self) -> Option<String>;

    /// A variable of the environment; one that is to name a directory of the caller's and holds no absolute path is not there (XDG Base
    /// Directory Specification, "Basics"): it would be another one wherever the caller stands, and a queue in it never be found again.
    fn env(&self, name: &str) -> Option<OsString>;

    /// The names of all variables; those that are not UTF-8 are left out.
    fn env_names(&self) -> Vec<String>;

    /// Where the caller keeps sealpost's configuration: `$XDG_CONFIG_HOME/sealpost`; `None` without a home.
    fn config_dir(&self) -> Option<PathBuf>;

    /// Where the caller keeps sealpost's state: `$XDG_STATE_HOME/sealpost`; `None` without a home.
    fn state_dir(&self) -> Option<PathBuf>;

    /// The directory of the system's configuration: /etc.
    fn etc(&self) -> PathBuf;
}

/// A user as the password database knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login; `uid<N>` for a uid that has no entry.
    pub login: String,
    /// The full name: GECOS up to the first comma, `&` standing for the login with a capital; may be empty.
    pub full_name: String,
}

impl User {
    /// Who has this uid, as the password database of the machine says; where it does not answer, somebody without an entry.
    pub fn of(uid: u32) -> Self {
        Self::find(uid).unwrap_or_else(|_| Self::without_entry(uid))
    }

    /// The same, for whom it makes a difference that the database does not answer.
    ///
    /// # Errors
    /// It does not answer now.
    pub fn find(uid: u32) -> std::io::Result<Self> {
        use nix::errno::Errno;
        if let Some(entry) = passwd::entry(Path::new("/etc"), uid) {
            return Ok(Self { full_name: full_name(&entry.gecos, &entry.login), login: entry.login });
        }
        match nix::unistd::User::from_uid(uid.into()) {
            Ok(Some(entry)) => {
                let full_name = full_name(&entry.gecos.to_string_lossy(), &entry.name);
                Ok(Self { login: entry.name, full_name })
            }
            // All of these are ways to say that there is none (getpwuid(3)).
            Ok(None) | Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(Self::without_entry(uid)),
            Err(error) => Err(error.into()),
        }
    }

    fn without_entry(uid: u32) -> Self {
        Self { login: format!("uid{uid}"), full_name: String::new() }
    }
}

/// The machine as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl World for Machine {
    fn now(&self) -> ZonedDateTime {
        // A clock set beyond the year 9999 is no reason to lose a mail.
        ZonedDateTime::try_from(std::time::SystemTime::now())
            .unwrap_or_else(|_| jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::UTC))
    }

    fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::new(Exit::OsErr, "asking the system for random octets", error.to_string())),
            }
        }
        Ok(())
    }

    fn uid(&self) -> u32 {
        rustix::process::getuid().as_raw()
    }

    fn user(&self) -> User {
        // The log, the sender and a missing From each ask.
        static CALLER: OnceLock<User> = OnceLock::new();
        CALLER.get_or_init(|| User::of(self.uid())).clone()
    }

    fn host_name(&self) -> String {
        let system = rustix::system::uname();
        let node = system.nodename().to_string_lossy();
        let hosts = || head(&self.etc().join("hosts"), 1 << 20);
        full_host_name(&node, hosts)
    }

    fn mail_name(&self) -> Option<String> {
        let text = head(&self.etc().join("mailname"), 4096)?;
        let name = text.lines().next().unwrap_or_default().trim();
        is_domain(name).then(|| name.to_owned())
    }

    fn env(&self, name: &str) -> Option<OsString> {
        let is_usable = |value: &OsString| !DIRECTORIES.contains(&name) || Path::new(value).is_absolute();
        std::env::var_os(name).filter(is_usable)
    }

    fn env_names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }

    fn config_dir(&self) -> Option<PathBuf> {
        let directories = directories::ProjectDirs::from("", "", "sealpost")?;
        anywhere(directories.config_dir())
    }

    fn state_dir(&self) -> Option<PathBuf> {
        anywhere(directories::ProjectDirs::from("", "", "sealpost")?.state_dir()?)
    }

    fn etc(&self) -> PathBuf {
        PathBuf::from("/etc")
    }
}

/// The variables that name directories of the caller's.
const DIRECTORIES: [&str; 2] = ["HOME", "XDG_RUNTIME_DIR"];

/// A place that is the same wherever the caller is: with a HOME that is a relative path, mail would wait in as many queues as there are
/// directories that something was sent from.
fn anywhere(place: &Path) -> Option<PathBuf> {
    place.is_absolute().then(|| place.to_owned())
}

/// passwd(5): the name is what precedes the first comma, `&` in it the login with a capital.
fn full_name(gecos: &str, login: &str) -> String {
    let name = gecos.split(',').next().unwrap_or_default().trim();
    if !name.contains('&') {
        return name.to_owned();
    }
    let mut letters = login.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    name.replace('&', &capital)
}

/// The node's name, completed from the lines of hosts(5) where it has no dot; `localhost` where it is no name at all.
fn full_host_name(node: &str, hosts: impl FnOnce() -> Option<String>) -> String {
    let node = node.trim_end_matches('.');
    if !is_domain(node) {
        return "localhost".to_owned();
    }
    if node.contains('.') {
        return node.to_owned();
    }
    hosts().and_then(|text| dotted(node, &text)).unwrap_or_else(|| node.to_owned())
}

/// A dotted name of `node` in hosts(5): one that begins with it, else the first name of a line that has it.
fn dotted(node: &str, hosts: &str) -> Option<String> {
    let lines = || {
        let fields = hosts.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1));
        fields.map(Iterator::collect::<Vec<&str>>)
    };
    let is_full = |name: &&str| name.contains('.') && is_domain(name);
    let begins = |name: &&str| name.split('.').next().is_some_and(|label| label.eq_ignore_ascii_case(node));
    let own = lines().flatten().find(|name| is_full(name) && begins(name));
    let canonical = || {
        let line = lines().find(|names| names.iter().any(|name| name.eq_ignore_ascii_case(node)))?;
        // A node that shares the loopback's line is not therefore called localhost.localdomain.
        line.first().copied().filter(|name| is_full(name) && !name.starts_with("localhost"))
    };
    own.or_else(canonical).map(str::to_owned)
}

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The beginning of a text file, where it can be read.
fn head(path: &Path, limit: u64) -> Option<String> {
    // Most fit; a buffer without room would be filled 32 octets at a time.
    let mut text = Vec::with_capacity(4096);
    File::open(path).ok()?.take(limit).read_to_end(&mut text).ok()?;
    // Whether it is UTF-8 is found out four times as fast as what of it is not.
    Some(String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_ends_at_the_first_comma_and_an_ampersand_is_the_login() {
        for (gecos, wanted) in
            [("Alice Example,Room 5,555", "Alice Example"), ("", ""), (",,,", ""), ("& Example", "Alice Example"), ("root", "root")]
        {
            assert_eq!(full_name(gecos, "alice"), wanted, "{gecos}");
        }
        assert_eq!(full_name("&", ""), "");
        assert_eq!(full_name("&", "élan"), "Élan");
    }

    #[test]
    fn a_name_without_a_dot_is_completed_from_hosts() {
        for (hosts, wanted) in [
            ("127.0.1.1 host.example.com host\n", "host.example.com"),
            ("127.0.1.1 host HOST.example.com # host.comment\n", "HOST.example.com"),
            ("127.0.0.1 localhost localhost.localdomain host\n", "host"),
            ("192.0.2.1 mail.example.com host\n", "mail.example.com"),
            ("# 192.0.2.1 host.example.com host\n", "host"),
            ("192.0.2.1 other.example.com other\n", "host"),
            ("", "host"),
        ] {
            assert_eq!(full_host_name("host", || Some(hosts.to_owned())), wanted, "{hosts}");
        }
        assert_eq!(full_host_name("host", || None), "host");
        assert_eq!(full_host_name("host.example.com.", || panic!("not asked")), "host.example.com");
        assert_eq!(full_host_name("(none)", || panic!("not asked")), "localhost");
        assert_eq!(full_host_name("", || panic!("not asked")), "localhost");
    }

    #[test]
    fn the_machine_knows_its_caller_and_gives_different_chances() {
        let world = Machine;
        assert!(!world.user().login.is_empty());
        assert!(!world.host_name().is_empty());
        let (mut one, mut other) = ([0; 300], [0; 300]);
        world.random(&mut one).unwrap();
        world.random(&mut other).unwrap();
        assert_ne!(one, other);
    }
}
