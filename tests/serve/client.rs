//! How does a client of the service talk to it, line by line?

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
};

use crate::kit::PATIENCE;

/// A client on a connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    reader: BufReader<S>,
}

pub(crate) trait Stream: Read + Write + Sized {
    fn copy(&self) -> io::Result<Self>;
}

impl Stream for UnixStream {
    fn copy(&self) -> io::Result<Self> {
        self.set_read_timeout(Some(PATIENCE))?;
        self.try_clone()
    }
}

impl Stream for TcpStream {
    fn copy(&self) -> io::Result<Self> {
        self.set_read_timeout(Some(PATIENCE))?;
        self.try_clone()
    }
}

impl<S: Stream> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        let reader = BufReader::new(stream.copy().unwrap());
        Self { stream, reader }
    }

    /// A whole reply; empty where the connection has ended.
    pub(crate) fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let begin = reply.len();
            match self.reader.read_line(&mut reply) {
                Ok(0) => return reply,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return reply,
                Err(error) => panic!("{error} after {reply:?}"),
            }
            if reply.as_bytes().get(begin + 3) != Some(&b'-') {
                return reply;
            }
        }
    }

    pub(crate) fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Says a line, and expects an answer that begins so.
    pub(crate) fn says(&mut self, line: &str, expected: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        let reply = self.reply();
        assert!(reply.starts_with(expected), "{line}: {reply:?}");
        reply
    }

    /// What is offered.
    pub(crate) fn hello(&mut self) -> String {
        assert!(self.reply().starts_with("220 "));
        self.says("EHLO client", "250-")
    }

    pub(crate) fn envelope(&mut self, from: &str, to: &[&str]) {
        self.says(&format!("MAIL FROM:<{from}>"), "250 ");
        for to in to {
            self.says(&format!("RCPT TO:<{to}>"), "250 ");
        }
        self.says("DATA", "354 ");
    }

    /// Hands in a message; the name under which it is kept.
    pub(crate) fn message(&mut self, from: &str, to: &[&str], text: &str) -> String {
        self.envelope(from, to);
        let reply = self.says(&format!("{text}."), "250 2.0.0 kept as ");
        reply.trim().rsplit(' ').next().unwrap().to_owned()
    }
}
