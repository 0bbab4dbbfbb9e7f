//! What does the service answer to who asks it about its queue? (XQUEUE, a private verb on its socket)

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    ops::ControlFlow,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt},
};

use crate::error::{Error, Exit};

/// How long a socket may keep us waiting whose queue of connections is full.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a line may take: a service may have to look at many messages for one.
const LINE: Duration = Duration::from_secs(60);
/// A message has 100 000 recipients at the most.
const LONGEST: u64 = 64 << 20;

/// A service that listens.
#[derive(Debug)]
pub struct Service {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Service {
    /// Meets the service at a socket; `None`: nobody listens there.
    ///
    /// # Errors
    /// Somebody does, and is no service of ours, or does not answer.
    pub fn meet(path: &Path) -> Result<Option<Self>, Error> {
        let stream = match connect(path) {
            Ok(stream) => stream,
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(away(path, io::Error::from(error).to_string())),
        };
        let mut service = Self { path: path.to_owned(), stream: BufReader::new(stream) };
        service.reply(&mut |_| ControlFlow::Continue(()))?;
        let mut is_ours = false;
        service.say("EHLO localhost", &mut |line| {
            is_ours |= line.eq_ignore_ascii_case("XSEALPOST") || line.to_ascii_uppercase().starts_with("XSEALPOST ");
            ControlFlow::Continue(())
        })?;
        if is_ours { Ok(Some(service)) } else { Err(away(path, "who listens there is no sealpost")) }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks, and shows each line of the answer to `hear`; where that breaks, the service is of no more use.
    ///
    /// # Errors
    /// The service refuses, with its words; it is away, or speaks in riddles.
    pub fn ask(&mut self, query: &str, hear: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        self.say(&format!("XQUEUE {query}"), hear)
    }

    fn say(&mut self, line: &str, hear: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        let sent = self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes());
        sent.map_err(|error| away(&self.path, words(&error)))?;
        self.reply(hear)
    }

    /// Reads one reply of any number of lines.
    fn reply(&mut self, hear: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        let mut line = Vec::new();
        loop {
            self.line(&mut line).map_err(|error| away(&self.path, words(&error)))?;
            let (code, more, text) = split(&line).ok_or_else(|| away(&self.path, "its answer is no reply of SMTP"))?;
            match code {
                200..=299 if more && hear(&text).is_break() => return Ok(()),
                200..=299 if more => {}
                200..=299 => {
                    let _ = hear(&text);
                    return Ok(());
                }
                _ => return Err(refusal(&self.path, code, &text)),
            }
        }
    }

    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        line.clear();
        let deadline = Instant::now() + LINE;
        while line.last() != Some(&b'\n') {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || line.len() as u64 >= LONGEST {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.get_ref().set_read_timeout(Some(left))?;
            let available = self.stream.fill_buf()?.len() as u64;
            if available == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Only what is there: no octet is waited for beyond the deadline.
            self.stream.by_ref().take(available).read_until(b'\n', line)?;
        }
        Ok(())
    }
}

/// Waits where the queue of connections is full: only a blocking connect does (unix(7)).
fn connect(path: &Path) -> Result<UnixStream, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(CONNECT))?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&fd, &address))?;
    Ok(fd.into())
}

/// `250-text`: the code, whether more lines follow, the text.
fn split(line: &[u8]) -> Option<(u16, bool, String)> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    let code = text.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let more = text.as_bytes().get(3) == Some(&b'-');
    Some((code, more, text.get(4..).unwrap_or_default().to_owned()))
}

/// What the service does not do, in its words.
fn refusal(path: &Path, code: u16, text: &str) -> Error {
    let exit = match code {
        400..=499 => Exit::TempFail,
        550 => Exit::NoInput,
        553 | 554 => Exit::NoPerm,
        _ => Exit::Unavailable,
    };
    let is_enhanced = |word: &str| word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let because = text.split_once(' ').filter(|(word, _)| is_enhanced(word)).map_or(text, |(_, words)| words);
    Error::new(exit, format!("asking the service at {}", path.display()), because)
}

fn away(path: &Path, because: impl Into<String>) -> Error {
    Error::new(Exit::TempFail, format!("asking the service at {}", path.display()), because)
        .hint("is sealpost serve running there? Its log tells more")
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it does not answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof => "it ended the connection".to_owned(),
        _ => error.to_string(),
    }
}
