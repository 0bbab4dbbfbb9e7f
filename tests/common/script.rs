//! How does a server behave that follows a script, lies included?
//!
//! A script has one step a line; `---` starts the next connection.
//!
//! | step | the server |
//! |---|---|
//! | `S: TEXT` | says the line; the lines of a run of `S:` leave in one write |
//! | `S-raw: TEXT` | says these bytes, with `\r \n \0 \\ \xHH`, and adds nothing |
//! | `S-bytes: TEXT` | as `S-raw`, every byte in a segment of its own |
//! | `S-drip: TEXT` | as `S-raw`, over and over, a byte each 50 ms, until the client goes |
//! | `S-flood: TEXT` | as `S-raw`, over and over, as fast as it can, until the client goes |
//! | `C: PATTERN` | reads a line that must match; `*` stands for anything |
//! | `maybe: PATTERN` | reads such a line, or the client goes here, saying QUIT at most, and the script is over |
//! | `C-data` | reads to the lone dot |
//! | `C-bytes: N` | reads that many octets of the client's |
//! | `tls` | shakes hands; a failure ends the connection and is kept |
//! | `close`, `rst` | ends the connection, orderly or not |
//! | `wait` | reads whatever comes, until the client goes |
//! | `gone` | the client must go now, saying QUIT at most |
//! | `bell` | goes on when the test rings (`Server::ring`) |
//! | `stall` | neither reads nor writes until the test is over |
//! | `hello: A, B` | greets and answers EHLO with the keywords; `ehlo: A, B` without the greeting |
//! | `mail`, `rcpt`, `data`, `accept`, `quit` | the ordinary steps of a transaction; `session` is all five |

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use self::language::{matches, steps, unescape};

mod language;

/// No step takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A flood ends here, in case the client drinks it all.
const FLOOD: usize = 256 << 20;

/// What a server heard on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// What was said before or without TLS, the handshake's own bytes excepted.
    pub(crate) clear: Vec<u8>,
    /// What was said under TLS.
    pub(crate) sealed: Vec<u8>,
    /// Why the handshake failed, where it did.
    pub(crate) handshake: Option<String>,
    /// Where the client left the script.
    pub(crate) deviation: Option<String>,
}

/// Something that the test says once.
type Signal = Arc<(Mutex<bool>, Condvar)>;

/// A server on a port of its own.
pub(crate) struct Server {
    address: SocketAddr,
    over: Signal,
    bell: Signal,
    acceptor: JoinHandle<Vec<JoinHandle<Heard>>>,
}

impl Server {
    pub(crate) fn start(script: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let scripts: Vec<Vec<String>> = script.split("---").map(steps).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (over, bell) = (Signal::default(), Signal::default());
        let (end, rung) = (Arc::clone(&over), Arc::clone(&bell));
        let acceptor = thread::spawn(move || {
            let mut connections = Vec::new();
            for stream in listener.incoming() {
                if *end.0.lock().unwrap() {
                    break;
                }
                let unexpected = || vec!["S: 421 a connection too many".to_owned(), "wait".to_owned()];
                let steps = scripts.get(connections.len()).cloned().unwrap_or_else(unexpected);
                let (stream, tls, end, bell) = (stream.unwrap(), tls.clone(), Arc::clone(&end), Arc::clone(&rung));
                connections.push(thread::spawn(move || Connection::new(stream, tls, (end, bell)).play(&steps)));
            }
            connections
        });
        Self { address, over, bell, acceptor }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets the connections go on that wait at a `bell`.
    pub(crate) fn ring(&self) {
        *self.bell.0.lock().unwrap() = true;
        self.bell.1.notify_all();
    }

    /// What was heard, connection by connection; to be asked once the client is gone.
    pub(crate) fn finish(self) -> Vec<Heard> {
        self.ring();
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
        // Wakes the acceptor, which looks at `over` first.
        drop(TcpStream::connect(self.address));
        self.acceptor.join().unwrap().into_iter().map(|c| c.join().unwrap()).collect()
    }
}

enum Wire {
    Clear(TcpStream),
    Sealed(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

impl Wire {
    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Clear(socket) => Some(socket),
            Self::Sealed(stream) => Some(&stream.sock),
            Self::Gone => None,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(socket) => socket.write_all(bytes),
            Self::Sealed(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.read(buffer),
            Self::Sealed(stream) => stream.read(buffer),
            Self::Gone => Ok(0),
        }
    }
}

struct Connection {
    wire: Wire,
    tls: Option<Arc<ServerConfig>>,
    over: Signal,
    bell: Signal,
    /// Read and not yet asked for.
    pending: Vec<u8>,
    heard: Heard,
}

impl Connection {
    fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>, (over, bell): (Signal, Signal)) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { wire: Wire::Clear(socket), tls, over, bell, pending: Vec::new(), heard: Heard::default() }
    }

    fn play(mut self, steps: &[String]) -> Heard {
        let mut flight = String::new();
        for (at, step) in steps.iter().enumerate() {
            if let Some(text) = step.strip_prefix("S: ") {
                flight.push_str(text);
                flight.push_str("\r\n");
                if steps.get(at + 1).is_some_and(|next| next.starts_with("S: ")) {
                    continue;
                }
                // A client that is gone shows in the next `C:`.
                let _ = self.wire.write(std::mem::take(&mut flight).as_bytes());
            } else if let Err(why) = self.step(step) {
                self.heard.deviation.get_or_insert(format!("at `{step}`: {why}"));
                break;
            }
            if matches!(self.wire, Wire::Gone) {
                break;
            }
        }
        self.heard
    }

    fn step(&mut self, step: &str) -> Result<(), String> {
        let (word, rest) = step.split_once(": ").unwrap_or((step, ""));
        match word {
            "S-raw" => drop(self.wire.write(&unescape(rest))),
            "S-bytes" => drop(unescape(rest).iter().try_for_each(|byte| self.wire.write(&[*byte]))),
            "S-drip" => self.drip(&unescape(rest)),
            "S-flood" => self.flood(&unescape(rest)),
            "C" => self.line(rest)?,
            "maybe" => self.perhaps(rest)?,
            "C-data" => self.data()?,
            "C-bytes" => self.octets(rest.parse().map_err(|_| "not a number".to_owned())?)?,
            "quit" => self.quit(),
            "tls" => self.handshake(),
            "close" => self.close(),
            "rst" => self.reset(),
            "wait" => drop(self.rest()),
            "gone" => {
                let rest = self.rest();
                if !rest.is_empty() && rest != b"QUIT\r\n" {
                    return Err(format!("the client went on: {:?}", String::from_utf8_lossy(&rest)));
                }
            }
            "bell" => drop(wait_for(&self.bell, PATIENCE)),
            "stall" => self.stall(),
            _ => return Err("no such step".to_owned()),
        }
        Ok(())
    }

    /// Reads some more; 0 at the end, a reset or a lost patience.
    fn more(&mut self) -> usize {
        let mut buffer = [0; 16384];
        let count = self.wire.read(&mut buffer).unwrap_or(0);
        let record = if matches!(self.wire, Wire::Sealed(_)) { &mut self.heard.sealed } else { &mut self.heard.clear };
        record.extend_from_slice(&buffer[..count]);
        self.pending.extend_from_slice(&buffer[..count]);
        count
    }

    fn line(&mut self, pattern: &str) -> Result<(), String> {
        let Some(line) = self.next_line() else { return Err("the client was gone".to_owned()) };
        if matches(pattern, &line) { Ok(()) } else { Err(format!("the client said {line:?}")) }
    }

    fn perhaps(&mut self, pattern: &str) -> Result<(), String> {
        match self.next_line() {
            Some(line) if matches(pattern, &line) => return Ok(()),
            Some(line) if line != "QUIT" => return Err(format!("the client said {line:?}")),
            _ => {}
        }
        self.rest();
        self.wire = Wire::Gone;
        Ok(())
    }

    fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.more() == 0 {
                return None;
            }
        }
    }

    fn data(&mut self) -> Result<(), String> {
        let mut looked = 0;
        loop {
            let from = looked.max(5) - 5;
            let end = memchr::memmem::find(&self.pending[from..], b"\r\n.\r\n").map(|at| from + at + 5);
            if let Some(end) = if self.pending.starts_with(b".\r\n") { Some(3) } else { end } {
                self.pending.drain(..end);
                return Ok(());
            }
            looked = self.pending.len();
            if self.more() == 0 {
                return Err("the client went before the final dot".to_owned());
            }
        }
    }

    fn octets(&mut self, count: usize) -> Result<(), String> {
        while self.pending.len() < count {
            if self.more() == 0 {
                return Err("the client was gone".to_owned());
            }
        }
        self.pending.drain(..count);
        Ok(())
    }

    /// QUIT is polite, not owed.
    fn quit(&mut self) {
        if self.next_line().is_some_and(|line| line == "QUIT") {
            let _ = self.wire.write(b"221 2.0.0 Bye\r\n");
        }
        self.rest();
    }

    fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.pending)
    }

    fn handshake(&mut self) {
        let config = self.tls.clone().expect("the script says `tls`, the test gave no certificate");
        let Wire::Clear(socket) = std::mem::replace(&mut self.wire, Wire::Gone) else { return };
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        while stream.conn.is_handshaking() {
            if let Err(why) = stream.conn.complete_io(&mut stream.sock) {
                self.heard.handshake = Some(why.to_string());
                return;
            }
        }
        self.wire = Wire::Sealed(Box::new(stream));
    }

    /// A FIN after what was said, without `close_notify`; what the client says meanwhile is heard, so that no RST overtakes a reply.
    fn close(&mut self) {
        if let Some(socket) = self.wire.socket() {
            let _ = socket.shutdown(std::net::Shutdown::Write);
        }
        self.rest();
        self.wire = Wire::Gone;
    }

    fn reset(&mut self) {
        if let Some(socket) = self.wire.socket() {
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
        self.wire = Wire::Gone;
    }

    /// Slower than any sensible line, faster than a deadline per read would notice.
    fn drip(&mut self, bytes: &[u8]) {
        let started = Instant::now();
        for byte in bytes.iter().cycle() {
            if started.elapsed() > PATIENCE || self.wire.write(&[*byte]).is_err() || self.pause(Duration::from_millis(50)) {
                return;
            }
        }
    }

    fn flood(&mut self, bytes: &[u8]) {
        let block = bytes.repeat(65536 / bytes.len().max(1) + 1);
        let mut said = 0;
        while said < FLOOD && self.wire.write(&block).is_ok() {
            said += block.len();
        }
    }

    fn stall(&mut self) {
        self.pause(PATIENCE);
    }

    /// Until the time is up or the test is over; true when it is over.
    fn pause(&self, time: Duration) -> bool {
        wait_for(&self.over, time)
    }
}

/// Whether the signal came within the time.
fn wait_for(signal: &Signal, time: Duration) -> bool {
    let (lock, bell) = &**signal;
    *bell.wait_timeout_while(lock.lock().unwrap(), time, |came| !*came).unwrap().0
}
