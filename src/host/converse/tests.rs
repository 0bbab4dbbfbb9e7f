//! Does a conversation end in time, whatever its client does, and is each message either kept or forgotten?

use std::{
    io::{Read as _, Write as _},
    os::{
        fd::AsFd as _,
        unix::net::{UnixDatagram, UnixStream},
    },
    thread,
};

use super::*;
use crate::smtp::server::Settings;

/// Writes down what it is told, and says yes.
#[derive(Default)]
struct Diary {
    seen: Vec<String>,
    open: bool,
}

impl Clerk for Diary {
    fn ask(&mut self, query: Query, say: &mut dyn FnMut(Vec<String>) -> io::Result<()>) -> io::Result<Answer> {
        match query {
            Query::Queue(_) => {
                for n in 0..3000 {
                    say(vec![format!("250-{n}")])?;
                }
                say(vec!["250 end".to_owned()])?;
                Ok(Answer::Fine)
            }
            Query::Recipient(to) if to.address == "no" => Ok(Answer::Refused("550 5.1.1 no".to_owned())),
            _ => Ok(Answer::Fine),
        }
    }

    fn begin(&mut self, transaction: Transaction) {
        self.open = true;
        self.seen.push(format!("begin {}", transaction.recipients.len()));
    }

    fn body(&mut self, piece: &[u8]) {
        self.seen.push(format!("{} octets", piece.len()));
    }

    fn discard(&mut self) {
        if std::mem::take(&mut self.open) {
            self.seen.push("discard".to_owned());
        }
    }

    fn deliver(&mut self) -> Stored {
        self.open = false;
        self.seen.push("deliver".to_owned());
        Stored::Kept("x".to_owned())
    }
}

fn server() -> Server {
    Server::new(Settings { consult: true, private: true, message_size: 1 << 20, recipients: 100_000, ..Settings::new("here") })
}

const LONG: Patience = Patience {
    command: Duration::from_secs(60),
    message: Duration::from_secs(60),
    reply: Duration::from_secs(60),
    farewell: Duration::from_secs(60),
};

/// Converses with a client that does `client`; how it ended, and what the clerk saw.
fn with(
    patience: Patience,
    bell: Option<BorrowedFd<'_>>,
    client: impl FnOnce(UnixStream) + Send,
) -> (io::Result<Ending>, Vec<String>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut diary = Diary::default();
    let ended = thread::scope(|scope| {
        scope.spawn(move || client(theirs));
        let line = Line { input: ours.as_fd(), output: ours.as_fd(), bell, patience, at_once: false };
        let ended = converse(&line, server(), &mut diary).or_else(Broken::left);
        drop(ours);
        ended
    });
    (ended, diary.seen)
}

/// Reads until a line that begins so.
fn until(stream: &mut UnixStream, start: &str) -> String {
    let (mut text, mut octet) = (String::new(), [0]);
    loop {
        assert_eq!(stream.read(&mut octet).unwrap(), 1, "ended after {text}");
        text.push(char::from(octet[0]));
        if text.ends_with('\n') && text.lines().last().unwrap().starts_with(start) {
            return text;
        }
    }
}

#[test]
fn a_message_is_delivered_and_quit_ends_it() {
    let (ended, seen) = with(LONG, None, |mut stream| {
        stream.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<no>\r\nRCPT TO:<c@d>\r\nDATA\r\n").unwrap();
        until(&mut stream, "354");
        stream.write_all(b"hi\r\n.\r\nQUIT\r\n").unwrap();
        until(&mut stream, "221");
    });
    assert_eq!((ended.unwrap(), seen.join(", ")), (Ending::Closed, "begin 1, 4 octets, deliver".to_owned()));
}

#[test]
fn ten_thousand_pipelined_recipients_are_asked_about_on_a_small_stack() {
    let stack = thread::Builder::new().stack_size(512 << 10);
    let talk = || {
        with(LONG, None, |mut stream| {
            let mut said = b"EHLO x\r\nMAIL FROM:<a@b>\r\n".to_vec();
            (0..10_000).for_each(|n| said.extend_from_slice(format!("RCPT TO:<r{n}@d>\r\n").as_bytes()));
            said.extend_from_slice(b"BDAT 2 LAST\r\nhiQUIT\r\n");
            let mut reader = stream.try_clone().unwrap();
            let reading = thread::spawn(move || until(&mut reader, "221"));
            stream.write_all(&said).unwrap();
            assert_eq!(reading.join().unwrap().matches("250 2.1.5").count(), 10_000);
        })
    };
    let (ended, seen) = stack.spawn(talk).unwrap().join().unwrap();
    assert_eq!((ended.unwrap(), seen.join(", ")), (Ending::Closed, "begin 10000, 2 octets, deliver".to_owned()));
}

#[test]
fn a_long_answer_is_streamed() {
    let (ended, _) = with(LONG, None, |mut stream| {
        stream.write_all(b"EHLO x\r\nXQUEUE list\r\n").unwrap();
        let text = until(&mut stream, "250 end");
        assert!(text.ends_with("250-2999\r\n250 end\r\n"));
    });
    assert_eq!(ended.unwrap(), Ending::Left { busy: false });
}

#[test]
fn a_client_that_vanishes_in_its_message_takes_it_along() {
    for half in ["DATA\r\nhalf", "BDAT 100 LAST\r\nhalf", "BDAT 4\r\nhalf"] {
        let (ended, seen) = with(LONG, None, |mut stream| {
            stream.write_all(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n").unwrap();
            until(&mut stream, "250 2.1.5");
            // One write: it is there as a whole when the client is gone.
            stream.write_all(half.as_bytes()).unwrap();
        });
        assert_eq!(ended.unwrap(), Ending::Left { busy: true }, "{half}");
        assert_eq!(seen.join(", "), "begin 1, 4 octets, discard", "{half}");
    }
}

#[test]
fn whoever_is_too_slow_is_told_so_and_half_a_command_buys_no_time() {
    let short = Duration::from_millis(50);
    let dripping = |mut stream: UnixStream| {
        // It ends because the other side does.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
    };
    let (ended, _) = with(Patience { command: short, ..LONG }, None, dripping);
    assert_eq!(ended.unwrap(), Ending::Late);
    let (ended, seen) = with(Patience { message: short, ..LONG }, None, |mut stream| {
        stream.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").unwrap();
        until(&mut stream, "354");
        dripping(stream);
    });
    assert_eq!(ended.unwrap(), Ending::Late);
    assert_eq!(seen.last().map(String::as_str), Some("discard"));
}

#[test]
fn a_client_that_takes_no_replies_is_left() {
    let (ended, _) = with(Patience { reply: Duration::from_millis(50), ..LONG }, None, |mut stream| {
        stream.write_all(b"EHLO x\r\n").unwrap();
        // Answers fill the socket; nobody reads them.
        while stream.write_all(b"XQUEUE list\r\n").is_ok() {}
    });
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

/// What is written at once when all of a short dialogue is there from the beginning.
fn pieces(at_once: bool) -> Vec<String> {
    let (mut client, input) = UnixStream::pair().unwrap();
    let (heard, output) = UnixDatagram::pair().unwrap();
    client.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n").unwrap();
    let line = Line { input: input.as_fd(), output: output.as_fd(), bell: None, patience: Patience::ENDLESS, at_once };
    assert_eq!(converse(&line, server(), &mut Diary::default()).unwrap(), Ending::Closed);
    heard.set_nonblocking(true).unwrap();
    let mut piece = [0; 4096];
    std::iter::from_fn(|| heard.recv(&mut piece).ok().map(|length| String::from_utf8_lossy(&piece[..length]).into_owned()))
        .collect()
}

#[test]
fn replies_leave_together_or_before_what_follows_is_done() {
    let (together, at_once) = (pieces(false), pieces(true));
    let codes = |pieces: &[String]| pieces.iter().map(|piece| piece[..3].to_owned()).collect::<Vec<_>>();
    assert_eq!(codes(&together), ["220", "250"]);
    assert_eq!(codes(&at_once), ["220", "250", "250", "250", "250"]);
    assert_eq!(together.concat(), at_once.concat());
    assert!(at_once[3].contains("\r\n354 ") && at_once[4].contains("kept"), "{at_once:?}");
}

#[test]
fn a_line_that_breaks_says_at_which_end() {
    let (client, stream) = UnixStream::pair().unwrap();
    let broken = |input: BorrowedFd<'_>, output: BorrowedFd<'_>| {
        let line = Line { input, output, bell: None, patience: Patience::ENDLESS, at_once: true };
        let Broken { side, error, .. } = converse(&line, server(), &mut Diary::default()).unwrap_err();
        (side, error.kind())
    };
    let directory = std::fs::File::open("/").unwrap();
    assert_eq!(broken(directory.as_fd(), stream.as_fd()), (Side::Input, io::ErrorKind::IsADirectory));
    drop(client);
    assert_eq!(broken(stream.as_fd(), stream.as_fd()), (Side::Output, io::ErrorKind::BrokenPipe));
}

#[test]
fn the_bell_ends_idle_conversations_and_lets_a_message_be_finished() {
    let (ear, mut bell) = io::pipe().unwrap();
    bell.write_all(&[0]).unwrap();
    let (ended, _) = with(LONG, Some(ear.as_fd()), |mut stream| {
        assert!(until(&mut stream, "421").contains("220 here"));
    });
    assert_eq!(ended.unwrap(), Ending::Rung);

    let (ear, mut bell) = io::pipe().unwrap();
    let (ended, seen) = with(LONG, Some(ear.as_fd()), |mut stream| {
        stream.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").unwrap();
        until(&mut stream, "354");
        bell.write_all(&[0]).unwrap();
        stream.write_all(b"hi\r\n.\r\n").unwrap();
        until(&mut stream, "250 2.0.0 kept");
        until(&mut stream, "421");
    });
    assert_eq!(ended.unwrap(), Ending::Rung);
    assert_eq!(seen.last().map(String::as_str), Some("deliver"));

    let (ear, mut bell) = io::pipe().unwrap();
    let hurried = Patience { farewell: Duration::from_millis(50), ..LONG };
    let (ended, seen) = with(hurried, Some(ear.as_fd()), |mut stream| {
        stream.write_all(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").unwrap();
        until(&mut stream, "354");
        bell.write_all(&[0]).unwrap();
        until(&mut stream, "421");
    });
    assert_eq!(ended.unwrap(), Ending::Late);
    assert_eq!(seen.last().map(String::as_str), Some("discard"));
}
