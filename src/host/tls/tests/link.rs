//! How does a sealed connection carry flights, small and large, and when does it give up? (a rustls server behind a socket pair)

use super::*;

#[test]
fn a_small_flight_is_one_record() {
    for settings in with_each_backend(&settings(Trust::Any)) {
        let identity = World::new().issue(|_| {});
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let serving = std::thread::spawn(move || {
            let mut server = server(&identity);
            rustls::Stream::new(&mut server, &mut theirs).read_exact(&mut [0; 6]).unwrap();
            rustls::Stream::new(&mut server, &mut theirs).write_all(b"250 mx\r\n").unwrap();
            let mut raw = Vec::new();
            theirs.read_to_end(&mut raw).unwrap();
            raw
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut link = Link::new(ours.into(), None);
        link.seal(handshake(&settings), deadline).unwrap();
        let flight = |head, content, tail| Flight { head, content, tail, masked: None };
        link.say(flight(b"EHLO\r\n", b"", b""), deadline).unwrap();
        assert_eq!(link.hear(deadline).unwrap(), b"250 mx\r\n");
        link.say(flight(b"BDAT 4 LAST\r\n", b"hi\r\n", b"tail"), deadline).unwrap();
        drop(link);
        let raw = serving.join().unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([raw[3], raw[4]])), raw.len() - 5, "more than one record: {raw:?}");
    }
}

#[test]
fn a_large_flight_arrives_whole_however_it_is_cut() {
    let content: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for settings in with_each_backend(&settings(Trust::Any)) {
        let identity = World::new().issue(|_| {});
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let length = content.len() + 8;
        let serving = std::thread::spawn(move || {
            let mut server = server(&identity);
            let mut stream = rustls::Stream::new(&mut server, &mut theirs);
            let mut heard = vec![0; length];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(&heard).unwrap();
            heard
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut link = Link::new(ours.into(), None);
        link.seal(handshake(&settings), deadline).unwrap();
        link.say(Flight { head: b"head", content: &content, tail: b"tail", masked: None }, deadline).unwrap();
        let mut echo = Vec::new();
        while echo.len() < length {
            echo.extend_from_slice(link.hear(deadline).unwrap());
        }
        assert!(echo == [b"head", content.as_slice(), b"tail"].concat() && echo == serving.join().unwrap());
        assert_eq!(link.hear(deadline), Err(Lost::Broken("the server closed it".to_owned())));
    }
}

#[test]
fn records_that_say_nothing_do_not_keep_the_deadline_from_being_looked_at() {
    for settings in with_each_backend(&settings(Trust::Any)) {
        let identity = World::new().issue(|_| {});
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut socket = ours.try_clone().unwrap();
        let serving = std::thread::spawn(move || {
            let mut server = server_of(&identity, |config| config.send_tls13_tickets = 4000);
            server.set_buffer_limit(None);
            // Until the socket is full of tickets, and nobody reads.
            theirs.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
            let stuck = rustls::Stream::new(&mut server, &mut theirs).read_exact(&mut [0; 6]);
            assert_eq!(stuck.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            theirs
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut link = Link::new(ours.into(), None);
        link.seal(handshake(&settings), deadline).unwrap();
        link.say(Flight { head: b"EHLO\r\n", content: b"", tail: b"", masked: None }, deadline).unwrap();
        let _theirs = serving.join().unwrap();
        assert_eq!(link.hear(Instant::now()), Err(Lost::TimedOut));
        assert!(socket.read(&mut [0; 1]).is_ok(), "it read to the end of what never ends");
    }
}

#[test]
fn a_handshake_that_never_gets_anywhere_ends_at_its_deadline() {
    // HelloRequest, which OpenSSL passes over before TLS 1.3 as often as it comes.
    let nothing = [22, 3, 3, 0, 4, 0, 0, 0, 0].repeat(1000);
    for settings in with_each_backend(&settings(Trust::Any)) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        let nothing = nothing.clone();
        let talking =
            std::thread::spawn(move || while begun.elapsed() < Duration::from_secs(10) && theirs.write_all(&nothing).is_ok() {});
        let mut link = Link::new(ours.into(), None);
        assert!(link.seal(handshake(&settings), begun + Duration::from_millis(300)).is_err());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        drop(link);
        talking.join().unwrap();
    }
}
