//! How does the service begin: with its own sockets or those of the system's manager, and never where another one serves?

use std::{fs, net::TcpStream, os::unix::net::UnixStream, path::Path, process::Command};

use crate::{
    client::Client,
    common::{binary, run, say},
    kit::{Service, arrive, can_be_others, free_port, sink},
};

/// Passes listening sockets as systemd does: the first argument is a path, the second a port, then the command.
const ACTIVATE: &str = r"
import os, socket, sys
u = socket.socket(socket.AF_UNIX); u.bind(sys.argv[1]); u.listen(100)
t = socket.socket(); t.bind(('127.0.0.1', int(sys.argv[2]))); t.listen(100)
for want, s in ((10, u), (11, t)):
    os.dup2(s.fileno(), want)
u.close(); t.close()
os.dup2(10, 3); os.dup2(11, 4)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])
";

#[test]
fn sockets_that_are_handed_over_are_used_and_stay_when_the_service_ends() {
    if !can_be_others("sockets_that_are_handed_over_are_used_and_stay_when_the_service_ends") {
        return;
    }
    let (sink, port) = (sink(), free_port());
    let mut service = Service::new(sink.address, &format!("listen = [\"127.0.0.1:{port}\"]"));
    let path = service.scratch.path().join("handed.sock");
    let words = ["/usr/bin/python3", "-c", ACTIVATE, &path.display().to_string(), &port.to_string()].map(str::to_owned);
    service.wrapper = words.into();
    let service = service.start();
    let mut client = Client::new(UnixStream::connect(&path).unwrap());
    client.hello();
    client.message("root", &["you@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    let mut client = Client::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    client.hello();
    client.message("root", &["you@sink.test"], "Subject: y\r\n\r\nhi\r\n");
    arrive(&sink, 2);
    assert!(!service.socket().exists(), "the configured one is not made beside it");
    service.ends();
    assert!(path.exists(), "it is the manager's");
}

#[test]
fn the_manager_that_starts_services_on_demand_can_start_this_one() {
    if !Path::new("/usr/bin/systemd-socket-activate").exists() {
        say("SKIPPED: the_manager_that_starts_services_on_demand_can_start_this_one: no systemd-socket-activate\n");
        return;
    }
    let sink = sink();
    let mut service = Service::new(sink.address, "");
    let path = service.scratch.path().join("handed.sock");
    // It passes on no variables but those that are named.
    let notify = format!("NOTIFY_SOCKET={}", service.scratch.path().join("notify").display());
    let words = ["/usr/bin/systemd-socket-activate", "-E", &notify, "-E", "HOME=/nonexistent", "-l", &path.display().to_string()];
    service.wrapper = words.map(str::to_owned).into();
    let service = service.start_by(|| {
        // It begins when somebody comes; until the socket is there nobody can.
        loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break Client::new(stream),
                Err(_) => std::thread::yield_now(),
            }
        }
    });
    let (service, mut client) = service;
    client.hello();
    client.message("root", &["you@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    arrive(&sink, 1);
    service.ends();
}

#[test]
fn a_second_service_does_not_take_the_first_ones_place() {
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let second = run(
        {
            let mut c = Command::new(binary());
            c.args(["serve", "-C"]).arg(service.config());
            c
        },
        b"",
    );
    assert_eq!(second.code, 69, "{second:?}");
    assert!(second.stderr.contains("somebody listens there already"), "{second:?}");
    service.client().hello();
}

#[test]
fn what_is_in_the_way_of_the_socket_stays() {
    let service = Service::new(([127, 0, 0, 1], 9).into(), "");
    fs::create_dir(service.scratch.path().join("run")).unwrap();
    fs::write(service.socket(), "precious").unwrap();
    let refused = run(
        {
            let mut c = Command::new(binary());
            c.args(["serve", "-C"]).arg(service.config());
            c
        },
        b"",
    );
    assert_eq!((refused.code, fs::read_to_string(service.socket()).unwrap().as_str()), (73, "precious"), "{refused:?}");
    let nowhere = run(
        {
            let mut c = Command::new(binary());
            c.args(["serve", "-C", "/nonexistent.toml"]);
            c
        },
        b"",
    );
    assert_eq!(nowhere.code, 78, "{nowhere:?}");
}

#[test]
fn the_supervisor_gets_its_signs_of_life() {
    let sink = sink();
    let mut service = Service::new(sink.address, "");
    service.environment.push(("WATCHDOG_USEC".to_owned(), "100000".to_owned()));
    let service = service.start();
    (0..3).for_each(|_| service.until_told("WATCHDOG=1"));
}

#[test]
fn the_units_that_are_shipped_are_right() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        say("SKIPPED: the_units_that_are_shipped_are_right: no systemd-analyze\n");
        return;
    }
    let scratch = crate::common::Scratch::new();
    let program = scratch.path().join("sealpost");
    crate::common::install(&program);
    for (name, user) in [
        ("sealpost.service", false),
        ("sealpost.socket", false),
        ("user/sealpost.service", true),
        ("user/sealpost-queue.service", true),
        ("user/sealpost-queue.timer", true),
    ] {
        let text = fs::read_to_string(units.join(name)).unwrap();
        // Where the program is on this machine.
        let text = text.replace("/usr/bin/sealpost", &program.display().to_string());
        let place = scratch.path().join(if user { "user" } else { "system" });
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(Path::new(name).file_name().unwrap()), text).unwrap();
    }
    for (place, user) in [("system", false), ("user", true)] {
        for entry in fs::read_dir(scratch.path().join(place)).unwrap() {
            let mut verify = Command::new("systemd-analyze");
            verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(user.then_some("--user")).arg(entry.unwrap().path());
            verify.env("XDG_RUNTIME_DIR", scratch.path());
            let verified = run(verify, b"");
            let ours: Vec<&str> = verified.stderr.lines().filter(|line| line.contains("sealpost")).collect();
            assert_eq!(ours, [""; 0], "{verified:?}");
        }
    }
}
