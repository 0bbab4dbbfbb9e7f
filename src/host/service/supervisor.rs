//! How does the system's manager learn how a service is? (sd_notify(3), systemd.service(5))

use std::{
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt as _, net::UnixDatagram},
    time::Duration,
};

use crate::host::world::World;

/// Who started the service and wants to know how it is; often nobody.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub fn of(world: &dyn World) -> Self {
        let number = |name| world.env(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0).map(Duration::from_micros);
        Self { socket: world.env("NOTIFY_SOCKET").filter(|name| !name.is_empty()), watchdog }
    }

    /// How often it wants a sign of life, at the least: half of what it waits.
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|most| most / 2)
    }

    /// It serves now.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=taking messages");
    }

    /// It reads its configuration again; [`Supervisor::ready`] is to follow.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// It ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is under way");
    }

    /// A sign of life.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// Whoever does not listen is not told.
    fn tell(&self, words: &str) {
        let Some(name) = &self.socket else { return };
        let Ok(socket) = UnixDatagram::unbound() else { return };
        let _ = match name.as_bytes().split_first() {
            Some((b'@', name)) => send_abstract(&socket, name, words),
            _ => socket.send_to(words.as_bytes(), OsStr::new(name)),
        };
    }
}

#[cfg(target_os = "linux")]
fn send_abstract(socket: &UnixDatagram, name: &[u8], words: &str) -> std::io::Result<usize> {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
    socket.send_to_addr(words.as_bytes(), &SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn send_abstract(_: &UnixDatagram, _: &[u8], _: &str) -> std::io::Result<usize> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::world::Pretend;

    #[test]
    fn it_is_told_where_it_listens_and_alive_where_it_waits_for_that() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard = || {
            let mut text = [0; 200];
            let length = socket.recv(&mut text).unwrap();
            String::from_utf8(text[..length].to_vec()).unwrap()
        };
        let world = Pretend::default().with_env("NOTIFY_SOCKET", &path).with_env("WATCHDOG_USEC", "3000000");
        let supervisor = Supervisor::of(&world);
        assert_eq!(supervisor.pulse(), Some(Duration::from_millis(1500)));
        supervisor.ready();
        assert!(heard().starts_with("READY=1\n"));
        supervisor.alive();
        assert_eq!(heard(), "WATCHDOG=1");
        supervisor.reloading();
        assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        let other = Supervisor::of(&world.with_env("WATCHDOG_PID", "1"));
        assert_eq!(other.pulse(), None);
        Supervisor::of(&Pretend::default()).ready();
    }
}
