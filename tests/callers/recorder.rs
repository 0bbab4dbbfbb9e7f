//! A smarthost on loopback that takes everything, notes what it was told, and finds fault with whatever RFC 5321 forbids.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// One transaction that ended in 250.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) from_params: Vec<String>,
    pub(crate) recipients: Vec<Recipient>,
    /// Lines that end in CRLF, dots unstuffed.
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    pub(crate) address: String,
    pub(crate) params: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) mails: Vec<Mail>,
    /// What the client did against the protocol.
    pub(crate) faults: Vec<String>,
}

pub(crate) struct Recorder {
    port: u16,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    listener: JoinHandle<()>,
}

impl Recorder {
    pub(crate) fn start(chunking: bool) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let listener = thread::spawn({
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            move || {
                let mut sessions = Vec::new();
                for stream in socket.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let (stream, seen) = (stream.unwrap(), Arc::clone(&seen));
                    sessions.push(thread::spawn(move || Session::new(stream, chunking, &seen).run()));
                }
                for session in sessions {
                    session.join().unwrap();
                }
            }
        });
        Self { port, stop, seen, listener }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What was seen since it was last asked for.
    #[allow(dead_code, reason = "for clients that come again")]
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// What was seen, once the client is gone.
    pub(crate) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        self.listener.join().unwrap();
        self.seen.lock().unwrap().clone()
    }
}

struct Session<'a> {
    input: BufReader<TcpStream>,
    output: TcpStream,
    chunking: bool,
    seen: &'a Mutex<Seen>,
    mail: Option<Mail>,
}

impl<'a> Session<'a> {
    fn new(stream: TcpStream, chunking: bool, seen: &'a Mutex<Seen>) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { input: BufReader::new(stream.try_clone().unwrap()), output: stream, chunking, seen, mail: None }
    }

    fn run(mut self) {
        self.say("220 recorder.example ESMTP");
        while let Some(line) = self.line() {
            let line = String::from_utf8_lossy(&line).into_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.capabilities(),
                "HELO" | "NOOP" => self.say("250 ok"),
                "RSET" => {
                    self.mail = None;
                    self.say("250 2.0.0 ok");
                }
                "MAIL" => self.mail_from(&line),
                "RCPT" => self.rcpt_to(&line),
                "DATA" => self.data(),
                "BDAT" if self.chunking => self.chunk(&line),
                "QUIT" => return self.say("221 2.0.0 bye"),
                _ => {
                    self.fault(format!("unknown command {line:?}"));
                    self.say("500 5.5.1 what?");
                }
            }
        }
    }

    fn capabilities(&mut self) {
        self.say("250-recorder.example");
        self.say("250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES");
        if self.chunking {
            self.say("250-CHUNKING");
        }
        self.say("250 SIZE 50000000");
    }

    fn mail_from(&mut self, line: &str) {
        match path(line, "MAIL FROM:", &["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"]) {
            Ok((from, from_params)) if self.mail.is_none() => {
                self.mail = Some(Mail { from, from_params, ..Mail::default() });
                self.say("250 2.1.0 ok");
            }
            other => self.refuse(line, &format!("{other:?}")),
        }
    }

    fn rcpt_to(&mut self, line: &str) {
        match (path(line, "RCPT TO:", &["NOTIFY", "ORCPT"]), &mut self.mail) {
            (Ok((address, params)), Some(mail)) if !address.is_empty() => {
                mail.recipients.push(Recipient { address, params });
                self.say("250 2.1.5 ok");
            }
            (other, _) => self.refuse(line, &format!("{other:?}")),
        }
    }

    fn data(&mut self) {
        if self.mail.as_ref().is_none_or(|mail| mail.recipients.is_empty()) {
            return self.refuse("DATA", "no recipients");
        }
        self.say("354 go on");
        let mut data = Vec::new();
        // A link that ends here ends the transaction with it.
        while let Some(line) = self.line() {
            if line == b"." {
                return self.accept(data);
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            data.extend_from_slice(b"\r\n");
        }
    }

    fn chunk(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (size, last) = (words.next().and_then(|size| size.parse::<usize>().ok()), words.next());
        let Some(size) = size else { return self.refuse(line, "no size") };
        let mut chunk = vec![0; size];
        if self.input.read_exact(&mut chunk).is_err() {
            return;
        }
        let Some(mail) = self.mail.as_mut().filter(|mail| !mail.recipients.is_empty()) else {
            return self.refuse(line, "no recipients");
        };
        mail.data.extend_from_slice(&chunk);
        if last.is_some_and(|word| word.eq_ignore_ascii_case("LAST")) {
            let data = std::mem::take(&mut mail.data);
            self.inspect(&data);
            self.accept(data);
        } else {
            self.say("250 2.0.0 more");
        }
    }

    fn accept(&mut self, data: Vec<u8>) {
        let mail = Mail { data, ..self.mail.take().unwrap_or_default() };
        self.seen.lock().unwrap().mails.push(mail);
        self.say("250 2.0.0 queued as 4XYZ");
    }

    /// BDAT has no lines of its own: every line of the data must still end in CRLF.
    fn inspect(&self, data: &[u8]) {
        if !data.is_empty() && !data.ends_with(b"\r\n") {
            self.fault("the last chunk does not end a line".to_owned());
        }
        for line in data.split_inclusive(|byte| *byte == b'\n') {
            self.complete(line);
        }
    }

    /// A line without its CRLF; None at the end of the connection.
    fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return None;
        }
        self.complete(&line);
        while matches!(line.last(), Some(b'\r' | b'\n')) {
            line.pop();
        }
        Some(line)
    }

    fn complete(&self, line: &[u8]) {
        let body = line.strip_suffix(b"\r\n").unwrap_or(line);
        if body.len() == line.len() || body.contains(&b'\r') || body.contains(&0) {
            self.fault(format!("a bare CR or LF, or a NUL, in {:?}", String::from_utf8_lossy(line)));
        }
        if line.len() > 1001 {
            self.fault(format!("a line of {} octets", line.len()));
        }
    }

    fn refuse(&mut self, line: &str, why: &str) {
        self.fault(format!("{line:?}: {why}"));
        self.say("501 5.5.4 no");
    }

    fn fault(&self, fault: String) {
        self.seen.lock().unwrap().faults.push(fault);
    }

    fn say(&mut self, reply: &str) {
        // A client that has hung up shows in what it sent, not here.
        let _ = self.output.write_all(format!("{reply}\r\n").as_bytes());
    }
}

/// `MAIL FROM:<a@b> SIZE=1` -> `a@b`, [`SIZE=1`]; a quoted local part may hold spaces and angle brackets.
fn path(line: &str, verb: &str, known: &[&str]) -> Result<(String, Vec<String>), String> {
    let rest = line.get(verb.len()..).filter(|_| line.to_ascii_uppercase().starts_with(verb)).ok_or("verb")?;
    let rest = rest.strip_prefix('<').ok_or("no angle bracket right behind the colon")?;
    let (mut quoted, mut escaped) = (false, false);
    let end = rest.find(|c| {
        let ends = c == '>' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let (address, params) = rest.split_at(end.ok_or("no end of the path")?);
    let params: Vec<String> = params[1..].split_ascii_whitespace().map(str::to_owned).collect();
    for param in &params {
        let name = param.split('=').next().unwrap_or_default().to_ascii_uppercase();
        if !known.contains(&name.as_str()) {
            return Err(format!("unknown parameter {param}"));
        }
    }
    Ok((address.to_owned(), params))
}

#[test]
fn the_recorder_keeps_what_it_was_told_and_finds_fault_with_a_bare_line_feed() {
    let recorder = Recorder::start(true);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, recorder.port())).unwrap();
    let dialogue = "EHLO c\r\nMAIL FROM:<> SIZE=3\r\nRCPT TO:<\"a> b\"@x> NOTIFY=NEVER\r\nDATA\r\n..a\nb\r\n.\r\n\
                    MAIL FROM:<f@x>\r\nRCPT TO:<g@x>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nQUIT\r\n";
    stream.write_all(dialogue.as_bytes()).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    let seen = recorder.finish();
    assert_eq!(seen.mails.len(), 2, "{replies}");
    assert_eq!((seen.mails[0].recipients[0].address.as_str(), seen.mails[0].data.as_slice()), ("\"a> b\"@x", &b".a\r\nb\r\n"[..]));
    assert_eq!((seen.mails[1].from.as_str(), seen.mails[1].data.as_slice()), ("f@x", &b"a\r\nb\r\n"[..]));
    assert_eq!(seen.faults.len(), 1, "{:?}", seen.faults);
}
