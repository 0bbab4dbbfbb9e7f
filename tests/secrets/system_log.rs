//! Does the system's log, journald's or syslog's, get the record and nothing of the secret?

use std::{fs, os::unix::net::UnixDatagram, process::Command};

use crate::{
    common::{MESSAGE, PASSWORD, Sealpost, contains, needs::skip, script::Server},
    kit::{SOURCES, account, is_token, reveals, smarthost},
};

/// A mount namespace in which the sockets of the system's log are the test's own; `$1` is where they are, and the daemon that is there.
const NAMESPACE: &str = r#"
set -e
here=$1 daemon=$2
shift 2
mkdir -p "$here/dev"
mount --rbind /dev "$here/dev"
mount -t tmpfs none /run
mount -t tmpfs none /dev
for device in null zero random urandom tty; do
    touch "/dev/$device"
    mount --bind "$here/dev/$device" "/dev/$device"
done
case $daemon in
journald) mkdir -p /run/systemd/journal && place=/run/systemd/journal/socket ;;
syslog) place=/dev/log ;;
esac
touch "$place"
mount --bind "$here/$daemon" "$place"
exec "$@"
"#;

/// The system's log of a run, where a run can have one of its own.
struct Log {
    socket: UnixDatagram,
}

impl Log {
    /// Puts `sealpost` where this daemon listens; `None`, and said so, where that can't be done here.
    fn of(sealpost: &mut Sealpost, daemon: &str) -> Option<Self> {
        let here = sealpost.scratch.path().display().to_string();
        let socket = UnixDatagram::bind(sealpost.scratch.path().join(daemon)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let script = sealpost.scratch.write("namespace.sh", NAMESPACE).display().to_string();
        let words = ["unshare", "--map-root-user", "--mount", "sh", &script, &here, daemon].map(str::to_owned);
        if !Command::new(&words[0]).args(&words[1..]).arg("true").status().is_ok_and(|status| status.success()) {
            skip("no mount namespace can be had here");
            return None;
        }
        sealpost.wrapper.splice(0..0, words);
        Some(Self { socket })
    }

    /// Everything that was told it.
    fn heard(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut datagram = vec![0; 1 << 17];
        while let Ok(count) = self.socket.recv(&mut datagram) {
            all.extend_from_slice(&datagram[..count]);
            all.push(b'\n');
        }
        all
    }
}

#[test]
fn no_place_for_a_secret_shows_it_to_the_systems_log() {
    for daemon in ["journald", "syslog"] {
        for source in SOURCES {
            let server = smarthost(is_token(source), "S: 235 2.7.0 in\nsession");
            let Some(mut sealpost) = account(source, server.port()) else { continue };
            let Some(log) = Log::of(&mut sealpost, daemon) else { return };
            let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
            assert_eq!(run.code, 0, "{source}: {run:?}");
            let heard = log.heard();
            let told = String::from_utf8_lossy(&heard);
            assert!(contains(&heard, b"status=sent") && contains(&heard, b"auth="), "{source}, {daemon}: {told}");
            assert!(!reveals(&heard), "{source}, {daemon}: {told}");
            server.finish();
        }
    }
}

#[test]
fn what_goes_wrong_shows_it_to_the_systems_log_neither() {
    let echo = format!("S: 535 5.7.8 wrong: {PASSWORD}\nquit");
    for daemon in ["journald", "syslog"] {
        for (source, answer, word) in [
            ("password", echo.as_str(), "535 5.7.8 wrong: ***"),
            ("token_command", &echo, "535 5.7.8 wrong: ***"),
            ("password_command", "", "the command failed"),
        ] {
            let mechanism = if is_token(source) { "XOAUTH2" } else { "PLAIN" };
            let server = Server::start(&format!("hello: AUTH {mechanism}\nC: AUTH *\n{answer}"), None);
            let mut sealpost = account(source, server.port()).unwrap();
            let Some(log) = Log::of(&mut sealpost, daemon) else { return };
            let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
            let failing = "password_command = \"cat secret; cat secret >&2; false\"";
            let line = config.lines().find(|line| line.starts_with("password_command")).unwrap_or("never");
            sealpost.scratch.write("config.toml", config.replace(line, failing));
            let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
            assert_ne!(run.code, 0, "{source}: {run:?}");
            let heard = log.heard();
            let told = String::from_utf8_lossy(&heard);
            assert!(contains(&heard, word.as_bytes()), "{source}, {daemon}: {told}");
            assert!(!reveals(&heard), "{source}, {daemon}: {told}");
            server.finish();
        }
    }
}
