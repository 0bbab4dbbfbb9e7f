//! How does somebody agree in a browser on this machine? (a redirect to the loopback interface, RFC 8252, with PKCE, RFC 7636)

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use zeroize::Zeroizing;

use super::{Given, Refusal, base64url, exchange, unguessable};
use crate::{
    error::{Error, Exit},
    host::{
        config::{Endpoint, OAuth},
        http::{Form, decode},
        net::timespec,
        secrets::Errand,
    },
};

/// How long somebody may take to agree.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a browser may take to say what it wants: some connect ahead of time, and say nothing.
const REQUEST: Duration = Duration::from_secs(2);
/// The longest head of a request, or pasted line.
const LONGEST: usize = 16 * 1024;

/// Somebody who is sent to the provider, and is expected back.
pub struct Visit {
    /// The page to open.
    pub page: String,
    listener: TcpListener,
    redirect: String,
    state: Zeroizing<String>,
    verifier: Zeroizing<String>,
}

/// What a redirect brings.
#[derive(Debug)]
enum Brought {
    Code(Zeroizing<String>),
    Refused(Refusal),
    /// Not what was asked for: an old page, or somebody who guesses.
    Strange,
}

/// Begins: where a person has to go.
///
/// # Errors
/// There is no port to listen on, or no randomness.
pub fn begin(errand: &Errand<'_>, client: &OAuth, endpoint: &Endpoint) -> Result<Visit, Error> {
    let (state, verifier) = (unguessable(errand)?, unguessable(errand)?);
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    });
    let (listener, port) = listening
        .map_err(|error| Error::new(Exit::OsErr, errand.doing(), format!("no port of 127.0.0.1 can be listened on: {error}")))?;
    let redirect = format!("http://{}:{port}/", client.redirect_host);
    let challenge = base64url(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()).as_ref());
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", &client.client_id),
        ("redirect_uri", &redirect),
        ("state", &state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("login_hint", &errand.auth.user),
    ];
    if !client.scope.is_empty() {
        pairs.push(("scope", &client.scope));
    }
    pairs.extend(client.extra);
    let mark = if endpoint.url.contains('?') { '&' } else { '?' };
    let page = format!("{}{mark}{}", endpoint.url, Form::new(&pairs).as_str());
    Ok(Visit { page, listener, redirect, state, verifier })
}

impl Visit {
    /// Waits for the browser to come back, or for the address that it was sent to on standard input: the browser may be on another
    /// machine. `strange` is called where something else comes.
    ///
    /// # Errors
    /// Nobody agreed, or the provider does not take the code.
    pub fn wait(self, errand: &Errand<'_>, client: &OAuth, strange: &mut dyn FnMut()) -> Result<Given, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pasted = Pasted { input: Some(io::stdin()), unread: Zeroizing::new(Vec::with_capacity(LONGEST)) };
        let code = loop {
            let brought = match self.next(&mut pasted, deadline) {
                Ok(Some(brought)) => brought,
                Ok(None) => {
                    let error = Error::new(Exit::TempFail, errand.doing(), "nobody came back from the provider within 10 minutes");
                    return Err(error.hint(format!("run `sealpost setup {}` again", errand.account.name)));
                }
                Err(error) => return Err(Error::new(Exit::OsErr, errand.doing(), format!("waiting for the browser: {error}"))),
            };
            match brought {
                Brought::Code(code) => break code,
                Brought::Refused(refusal) => return Err(refusal.into_error(errand, client)),
                Brought::Strange => strange(),
            }
        };
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", &self.redirect),
            ("code_verifier", &self.verifier),
        ];
        exchange(errand, client, &pairs).map_err(|refusal| refusal.into_error(errand, client))
    }

    /// The next who comes; `None` when time is up.
    fn next(&self, pasted: &mut Pasted, deadline: Instant) -> io::Result<Option<Brought>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(line) = pasted.line() {
                return Ok(Some(self.brought(query(&line).unwrap_or_default())));
            }
            let mut waited = vec![PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN)];
            waited.extend(pasted.input.as_ref().map(|input| PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)));
            match poll(&mut waited, Some(&timespec(left))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = waited.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready.first() == Some(&true)
                && let Some(target) = self.visitor()
                && let Some(brought) = target
            {
                return Ok(Some(brought));
            }
            if ready.get(1) == Some(&true) {
                pasted.take();
            }
        }
    }

    /// One connection to the listener; `None`: nobody there after all, `Some(None)`: somebody with another question (favicon.ico).
    #[expect(clippy::option_option, reason = "nobody, somebody else, the one that is waited for")]
    fn visitor(&self) -> Option<Option<Brought>> {
        let (mut stream, _) = self.listener.accept().ok()?;
        let target = requested(&mut stream)?;
        let Some(query) = target.strip_prefix("/?") else {
            answer(&mut stream, "404 Not Found", "There is nothing here.");
            return Some(None);
        };
        let brought = self.brought(query);
        match &brought {
            Brought::Code(_) => answer(&mut stream, "200 OK", "sealpost has its answer. You may close this window."),
            Brought::Refused(_) => answer(&mut stream, "200 OK", "It was declined. You may close this window."),
            Brought::Strange => answer(&mut stream, "400 Bad Request", "This is not the answer that sealpost waits for."),
        }
        Some(Some(brought))
    }

    /// What a query says. Without our state nothing in it is believed: anybody's page can send a browser here (RFC 6749 10.12).
    fn brought(&self, query: &str) -> Brought {
        let find = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| decode(value)).filter(|value| !value.is_empty())
        };
        let is_ours = find("state").is_some_and(|state| state.as_str() == self.state.as_str());
        match (is_ours, find("error"), find("code")) {
            (true, Some(code), _) => {
                let words = find("error_description").map_or_else(|| code.to_string(), |more| format!("{}: {}", *code, *more));
                Brought::Refused(Refusal::Said { code: code.to_string(), words })
            }
            (true, None, Some(code)) => Brought::Code(code),
            _ => Brought::Strange,
        }
    }
}

/// Lines that somebody pastes, until there is nobody. Read as they come: what a buffer held back, no poll would tell of.
struct Pasted {
    input: Option<io::Stdin>,
    unread: Zeroizing<Vec<u8>>,
}

impl Pasted {
    /// The next line of those that are there.
    fn line(&mut self) -> Option<Zeroizing<String>> {
        let end = self.unread.iter().position(|octet| *octet == b'\n')?;
        let line = Zeroizing::new(String::from_utf8_lossy(self.unread.get(..end)?).into_owned());
        self.unread.drain(..=end);
        Some(line)
    }

    /// Takes what is there; at the end of the input there is nobody ever again. A line without end is none.
    fn take(&mut self) {
        let mut chunk = Zeroizing::new([0; 2048]);
        let Some(input) = &self.input else { return };
        match rustix::io::read(input, &mut *chunk) {
            Ok(count) if count > 0 && self.unread.len() + count <= LONGEST => {
                self.unread.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => self.input = None,
            Ok(_) => self.unread.clear(),
        }
    }
}

/// What follows the question mark of an address.
fn query(address: &str) -> Option<&str> {
    address.trim().split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default())
}

/// The target of a GET request, read within bounds of time and size.
fn requested(stream: &mut TcpStream) -> Option<Zeroizing<String>> {
    stream.set_nonblocking(false).ok()?;
    let deadline = Instant::now() + REQUEST;
    let mut head = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut chunk = Zeroizing::new([0; 2048]);
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut fields);
        if request.parse(&head).ok()?.is_complete() {
            return request.path.filter(|_| request.method == Some("GET")).map(|path| Zeroizing::new(path.to_owned()));
        }
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        let count = stream.read(&mut *chunk).ok().filter(|count| *count > 0 && head.len() + count <= LONGEST)?;
        head.extend_from_slice(chunk.get(..count)?);
    }
}

/// A page of one sentence, with nothing in it that came from elsewhere. A browser that has gone is no loss.
fn answer(stream: &mut TcpStream, status: &str, sentence: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>sealpost</title><p>{sentence}\n");
    let _ = stream.set_write_timeout(Some(REQUEST));
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
}
