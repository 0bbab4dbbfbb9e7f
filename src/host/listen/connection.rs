//! How does one connection of the sink run: socket, TLS, dialogue, and where its messages go?

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

use super::{Delivery, Event, Kept, Shared, Store, Tls, maildir::Draft};
use crate::{
    mail::tls::Facts,
    smtp::{
        sasl::{Binding, verifier::Entropy},
        server::{self, Action, Answer, Promise, Seal, Server, Stored, Transaction, fault::Link},
    },
};

/// RFC 5321 section 4.5.3.2.7: a server waits this long for the next command.
const IDLE: Duration = Duration::from_secs(300);
/// A client that takes nothing for this long is gone.
const WRITE: Duration = Duration::from_secs(60);
/// How long a stalled connection is held open: as long as the longest deadline of RFC 5321 section 4.5.3.2.
const STALL: Duration = Duration::from_secs(600);
/// Octets that are read at once.
const PIECE: usize = 16 << 10;

/// One connection.
pub(super) struct Connection<'a> {
    shared: &'a Shared,
    events: &'a Sender<Event>,
    peer: SocketAddr,
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    server: Server,
    draft: Option<Open>,
}

/// A message under way.
struct Open {
    transaction: Transaction,
    size: u64,
    body: Body,
}

enum Body {
    Memory {
        so_far: Vec<u8>,
        /// Octets that are still kept.
        room: usize,
    },
    File(Draft),
    /// The file could not be written: the client is told at the end.
    Lost(io::Error),
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    On,
    Over,
}

impl<'a> Connection<'a> {
    pub(super) fn new(shared: &'a Shared, events: &'a Sender<Event>, stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(WRITE))?;
        let server = Server::new(machine(shared)?);
        Ok(Self { shared, events, peer, stream, tls: None, server, draft: None })
    }

    /// Runs the dialogue to its end.
    pub(super) fn serve(mut self) -> io::Result<()> {
        if is_implicit(self.shared) && self.handshake()? == Next::Over {
            return Ok(());
        }
        let actions = self.server.greet();
        let mut next = self.perform(actions)?;
        let mut piece = vec![0; PIECE];
        while next == Next::On {
            let actions = match self.read(&mut piece)? {
                0 => return Ok(()),
                n => self.server.receive(piece.get(..n).unwrap_or_default()),
            };
            next = self.perform(actions)?;
        }
        self.close()
    }

    fn perform(&mut self, actions: Vec<Action>) -> io::Result<Next> {
        for action in actions {
            match action {
                Action::Say(octets) => self.say(&octets)?,
                Action::Begin(transaction) => self.draft = Some(self.begin(*transaction)),
                Action::Body(piece) => self.keep(&piece),
                Action::Discard => self.draft = None,
                // Both are the last action of their batch: the dialogue waits for what comes of them.
                Action::Handshake if self.handshake()? == Next::Over => return Ok(Next::Over),
                Action::Handshake => {
                    let actions = self.server.sealed();
                    return self.perform(actions);
                }
                Action::Deliver { bare_line_ends } => {
                    let stored = self.deliver(bare_line_ends);
                    let actions = self.server.stored(&stored);
                    return self.perform(actions);
                }
                // The settings ask for no such thing.
                Action::Ask(_) => {
                    let actions = self.server.answered(Answer::Fine);
                    return self.perform(actions);
                }
                Action::Close => return Ok(Next::Over),
                Action::Flood(octets) => {
                    while !self.shared.pause(Duration::ZERO) {
                        self.say(&octets)?;
                    }
                    return Ok(Next::Over);
                }
                Action::Stall => {
                    self.shared.pause(STALL);
                    return Ok(Next::Over);
                }
            }
        }
        Ok(Next::On)
    }

    fn handshake(&mut self) -> io::Result<Next> {
        if self.shared.spoils(Link::Noise) {
            // In place of the answer to the hello: behind the 220 it would be what `starttls-garbage` is.
            if self.stream.read(&mut [0; PIECE])? == 0 {
                return Err(left_early());
            }
            self.say(b"is this a handshake? no, it is noise\r\n")?;
            return Ok(Next::Over);
        }
        if self.shared.spoils(Link::Old) || self.shared.spoils(Link::Silent) {
            return self.refuse_to_seal();
        }
        let mut tls = ServerConnection::new(Arc::clone(&self.shared.config)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            let (read, _) = tls.complete_io(&mut self.stream).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => left_early(),
                kind => io::Error::new(kind, format!("TLS handshake failed: {error}")),
            })?;
            if read == 0 && tls.is_handshaking() {
                return Err(left_early());
            }
        }
        self.server.bind(channel_binding(&tls));
        self.tls = Some(Box::new(tls));
        Ok(Next::On)
    }

    fn refuse_to_seal(&mut self) -> io::Result<Next> {
        if self.stream.read(&mut [0; PIECE])? == 0 {
            return Err(left_early());
        }
        if self.shared.spoils(Link::Silent) {
            self.shared.pause(STALL);
        } else {
            // A fatal alert, protocol_version (RFC 8446 6), in a record of TLS 1.0.
            self.say(&[21, 3, 1, 0, 2, 2, 70])?;
        }
        Ok(Next::Over)
    }

    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.stream).read(piece),
            None => self.stream.read(piece),
        };
        match read {
            // Left without close_notify, or after a reset: the dialogue has its own end.
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => Ok(0),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the client said nothing for five minutes"))
            }
            other => other,
        }
    }

    fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        if !self.shared.spoils(Link::Slow) {
            return self.write(octets);
        }
        for octet in octets {
            self.write(std::slice::from_ref(octet))?;
            if self.shared.pause(Duration::from_millis(100)) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the sink was stopped in the middle of a slow reply"));
            }
        }
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => {
                let mut stream = rustls::Stream::new(tls.as_mut(), &mut self.stream);
                stream.write_all(octets)?;
                stream.flush()
            }
            None => self.stream.write_all(octets),
        }
    }

    fn close(mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut self.stream)?;
            }
        }
        self.stream.shutdown(Shutdown::Write)
    }

    fn begin(&self, transaction: Transaction) -> Open {
        let body = match (&self.shared.settings.store, &self.shared.maildir) {
            (Store::Maildir(_), Some(maildir)) => maildir.begin().map_or_else(Body::Lost, Body::File),
            (Store::Beginning(most), _) => Body::Memory { so_far: Vec::new(), room: *most },
            _ => Body::Memory { so_far: Vec::new(), room: usize::MAX },
        };
        Open { transaction, size: 0, body }
    }

    fn keep(&mut self, piece: &[u8]) {
        let Some(open) = &mut self.draft else { return };
        open.size += piece.len() as u64;
        let written = match &mut open.body {
            Body::Memory { so_far, room } => {
                let kept = piece.get(..*room).unwrap_or(piece);
                so_far.extend_from_slice(kept);
                *room -= kept.len();
                Ok(())
            }
            Body::File(draft) => draft.write(piece),
            Body::Lost(_) => Ok(()),
        };
        if let Err(error) = written {
            open.body = Body::Lost(error);
        }
    }

    /// Keeps the message for good and tells of it.
    fn deliver(&mut self, bare_line_ends: bool) -> Stored {
        let Some(Open { transaction, size, body }) = self.draft.take() else {
            return Stored::NotNow("there is no message".to_owned());
        };
        let kept = match body {
            Body::Memory { so_far, .. } => Ok(Kept::Memory(so_far)),
            Body::File(draft) => draft.keep().map(Kept::File),
            Body::Lost(error) => Err(error),
        };
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => return Stored::NotNow(format!("it can't be kept: {error}")),
        };
        let word = match &kept {
            Kept::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Kept::Memory(_) => format!("{size} octets"),
        };
        let (tls, sni) = self.tls.as_deref().map(|tls| (facts(tls), tls.server_name().map(str::to_owned))).unzip();
        let delivery = Delivery { peer: self.peer, transaction, tls, sni: sni.flatten(), size, bare_line_ends, kept };
        // Nobody listens any more: the message is kept all the same.
        let _ = self.events.send(Event::Delivered(Box::new(delivery)));
        Stored::Kept(word)
    }
}

/// `tls-exporter` (RFC 9266), as [`crate::host::tls::Handshake::channel_binding`] has it for the client.
fn channel_binding(tls: &ServerConnection) -> Option<Binding> {
    let sealed = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let export = || tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).ok();
    if sealed { export() } else { None }
}

fn left_early() -> io::Error {
    let what = "the client left during the TLS handshake: it may not trust the certificate";
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

fn is_implicit(shared: &Shared) -> bool {
    shared.settings.tls == Tls::Implicit && !shared.spoils(Link::Plaintext)
}

fn machine(shared: &Shared) -> io::Result<server::Settings> {
    let settings = &shared.settings;
    let mut entropy = Entropy { nonce: [0; 18], salt: [0; 16] };
    let random = SystemRandom::new();
    random
        .fill(&mut entropy.nonce)
        .and_then(|()| random.fill(&mut entropy.salt))
        .map_err(|_| io::Error::other("the system gives no randomness"))?;
    let in_clear = settings.auth_in_clear;
    Ok(server::Settings {
        lmtp: settings.lmtp,
        seal: match settings.tls {
            Tls::Starttls => Seal::Offered,
            Tls::Implicit if is_implicit(shared) => Seal::Up,
            Tls::Implicit => Seal::Never,
        },
        auth: settings.login.clone().map(|login| server::Auth { login, entropy, in_clear }),
        requiretls: if settings.requiretls { Promise::Sealed } else { Promise::Never },
        message_size: settings.message_size,
        faults: settings.faults.clone(),
        ..server::Settings::new("localhost")
    })
}

fn facts(tls: &ServerConnection) -> Facts {
    let version = tls.protocol_version().map(|version| match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        other => format!("{other:?}"),
    });
    // rustls marks the suites of TLS 1.3 with a prefix that IANA does not know.
    let cipher = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_"));
    Facts {
        version,
        cipher,
        group: tls.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
        resumed: tls.handshake_kind().map(|kind| kind == HandshakeKind::Resumed),
        certificate: None,
    }
}
