//! Does a service let in whom it may, and go on whatever one of them does?

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::mpsc::{Sender, channel},
};

use super::*;

/// Tells of each client, and keeps it until it leaves or the service stops.
struct Porter(Mutex<Sender<String>>);

impl Host for Porter {
    fn serve(&self, guest: Guest, bell: BorrowedFd<'_>) {
        self.tell(format!("in {}", guest.uid));
        rustix::io::write(&guest.stream, b"welcome\r\n").unwrap();
        let mut fds = [PollFd::new(&guest.stream, PollFlags::IN), PollFd::new(&bell, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
    }

    fn turned_away(&self, why: Turned) {
        self.tell(format!("{why:?}"));
    }

    fn tick(&self) {}
}

impl Porter {
    fn tell(&self, what: String) {
        self.0.lock().unwrap().send(what).unwrap();
    }
}

fn first_line(stream: impl io::Read) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn nobody_has_more_than_a_share_and_what_is_given_back_is_free_again() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("socket");
    let unix = door::unix(&path).unwrap();
    let loopback = door::loopback("127.0.0.1:0".parse().unwrap()).unwrap();
    let Door::Loopback(listener) = &loopback else { panic!() };
    let address = listener.local_addr().unwrap();
    let own = rustix::process::getuid().as_raw();
    let all = if own == 0 { 2 } else { 10 };
    let service = Service::new(vec![unix, loopback], Caps { all, each: 3 }, None).unwrap();
    let (tell, told) = channel();
    thread::scope(|scope| {
        let running = scope.spawn(|| service.run(&Porter(Mutex::new(tell))));
        let mut inside = Vec::new();
        // Root is not greedy, but has no more than all others and the reserve.
        let most = if own == 0 { all + RESERVE } else { 3 };
        for _ in 0..most {
            let stream = UnixStream::connect(&path).unwrap();
            assert_eq!(first_line(&stream), "welcome\r\n");
            inside.push(stream);
        }
        assert!(first_line(UnixStream::connect(&path).unwrap()).starts_with("421 4."));
        assert!(first_line(TcpStream::connect(address).unwrap()).starts_with("421 4."));
        inside.clear();
        // It takes a moment until they are seen to have left.
        let welcomed = (0..1000).any(|_| {
            thread::yield_now();
            first_line(TcpStream::connect(address).unwrap()) == "welcome\r\n"
        });
        assert!(welcomed);
        service.stop();
        running.join().unwrap();
    });
    drop(service);
    let told: Vec<String> = told.iter().collect();
    assert!(
        told.contains(&format!("in {own}")) && told.iter().any(|what| what == "Full" || what.starts_with("Greedy")),
        "{told:?}"
    );
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn those_that_are_in_hear_the_bell() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("socket");
    let unix = door::unix(&path).unwrap();
    let service = Service::new(vec![unix], Caps { all: 10, each: 10 }, None).unwrap();
    let (tell, told) = channel();
    thread::scope(|scope| {
        let running = scope.spawn(|| service.run(&Porter(Mutex::new(tell))));
        let mut streams: Vec<UnixStream> = (0..5).map(|_| UnixStream::connect(&path).unwrap()).collect();
        (0..5).for_each(|_| assert!(told.recv().unwrap().starts_with("in ")));
        service.stop();
        running.join().unwrap();
        for stream in &mut streams {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "welcome\r\n");
        }
    });
}
