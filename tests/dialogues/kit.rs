//! How is a dialogue of the client machine written down and played? (text in, report out; no socket, no clock)
//!
//! A script is lines: `C:` what the client must say (lines in a row are one flight), `S:` what the server answers (lines in a row
//! arrive in one read), `TLS ok|untrusted|bindable|failed|lost`, `lost`, `S!` for what arrives while the client is still talking (`S!raw` without
//! a line end; `nothing` where nothing does), and `S~` for what was heard of a server that broke the link in the middle of the flight. Between two messages `next`
//! begins another one (`next wary`, `next to RECIPIENT`, `next from SENDER`), and `quit` ends it; `lost!` is a link that is seen to be lost there.

use std::{io, iter::Peekable, sync::Arc};

use sealpost::{
    mail::{
        address::{Address, ReversePath},
        content::{Content, Facts, Form},
        envelope::{Dsn, Envelope, Recipient},
        policy::{Demand, Policy, Prior, Reach, Request, Start, Trust},
        tls::{Failure, Finding, Standing},
    },
    smtp::{
        client::{Action, Plan, Report, Session},
        command::Handover,
        sasl::{Choice, Credentials, Mechanism, Secret},
    },
};

/// A message in memory; the seven-bit form of it says so.
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    pub(crate) eight_bit: bool,
    pub(crate) at: usize,
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), eight_bit: !text.is_ascii(), at: 0 }
    }
}

impl Content for Text {
    fn facts(&self) -> Facts {
        Facts { size: self.bytes.len() as u64, eight_bit: self.eight_bit, ..Facts::default() }
    }

    fn rewind(&mut self, form: Form) -> io::Result<u64> {
        self.at = 0;
        if form == Form::SevenBit {
            self.bytes = b"re-encoded\r\n".to_vec();
        }
        Ok(self.bytes.len() as u64)
    }

    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
        let end = self.bytes.len().min(self.at + limit);
        out.extend_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Ok(end == self.bytes.len())
    }
}

/// What a dialogue is about, with the plainest defaults.
pub(crate) struct Setup {
    pub(crate) plan: Plan,
    pub(crate) envelope: Envelope,
    pub(crate) text: Text,
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn setup() -> Setup {
    let demand = Demand::new(Policy::Off, Trust::System, Start::Starttls);
    Setup {
        plan: Plan {
            server: "mx.test:25".into(),
            lmtp: false,
            hello: "me.test".into(),
            demand,
            prior: Prior::default(),
            credentials: None,
            reach: Reach::Network,
            nonce: [7; 18],
            batch: 100,
            keep: false,
            handover: None,
        },
        envelope: Envelope {
            sender: ReversePath::Address(address("me@a.test")),
            recipients: vec![Recipient { address: address("you@b.test"), original: None, notify: None }],
            dsn: Dsn::default(),
            request: Request::Nothing,
        },
        text: Text::new("Subject: x\r\n\r\nhi\r\n"),
    }
}

impl Setup {
    pub(crate) fn policy(mut self, policy: Policy) -> Self {
        self.plan.demand.policy = policy;
        self
    }

    pub(crate) fn implicit(mut self) -> Self {
        self.plan.demand.start = Start::Implicit;
        self
    }

    /// The peer is the service of this machine.
    pub(crate) fn among_ourselves(mut self) -> Self {
        self.plan.handover = Some(Handover { default_sender: true, ..Handover::default() });
        self
    }

    pub(crate) fn trust(mut self, trust: Trust) -> Self {
        self.plan.demand.trust = trust;
        self
    }

    pub(crate) fn lmtp(mut self) -> Self {
        self.plan.lmtp = true;
        self
    }

    pub(crate) fn to(mut self, recipients: &[&str]) -> Self {
        self.envelope.recipients =
            recipients.iter().map(|r| Recipient { address: address(r), original: None, notify: None }).collect();
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.text = Text::new(text);
        self
    }

    pub(crate) fn login(self, choice: Choice) -> Self {
        self.secret(Secret::new("pass-w0rd".into()), choice)
    }

    pub(crate) fn secret(mut self, secret: Secret, choice: Choice) -> Self {
        let server = Some(("mx".to_owned(), 587));
        self.plan.credentials = Some(Credentials { user: "me".into(), secret, choice, allow_unverified: false, server });
        self
    }

    pub(crate) fn plain(self) -> Self {
        self.login(Choice::Only(Mechanism::Plain))
    }

    pub(crate) fn keeping(mut self) -> Self {
        self.plan.keep = true;
        self
    }

    /// Plays the script; panics where the client says something else than it says here.
    pub(crate) fn play(self, script: &str) -> Report {
        self.play_all(script).pop().unwrap()
    }

    /// The same for several messages; a report for each.
    pub(crate) fn play_all(mut self, script: &str) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut envelope = self.envelope.clone();
        let mut script = Script::new(script);
        let mut session = Session::new(self.plan, Arc::new(self.envelope), self.text.facts());
        for _ in 0..10_000 {
            match session.next_action() {
                Action::Say => script.is_said(&mut session),
                Action::Listen { .. } => script.answer(&mut session),
                Action::Glance => script.interrupt(&mut session),
                Action::Handshake => script.shake(&mut session),
                Action::Rewind(form) => {
                    let size = self.text.rewind(form).unwrap();
                    session.rewound(size, form);
                }
                Action::Fetch(limit) => {
                    let last = self.text.fill(session.content(), limit).unwrap();
                    session.fetched(last);
                }
                Action::Idle => {
                    assert!(session.is_idle());
                    reports.push(session.take_report());
                    let line = script.line();
                    if line == "quit" {
                        script.quit(&mut session);
                        return reports;
                    }
                    change(&mut envelope, line);
                    session.next(Arc::new(envelope.clone()), self.text.facts(), line == "next wary");
                }
                Action::Done => {
                    assert_eq!(script.0.next(), None, "the client ended before the script");
                    reports.push(session.report());
                    return reports;
                }
            }
        }
        panic!("the session does not end");
    }
}

/// What is left to be played, line by line.
struct Script<'s>(Peekable<std::vec::IntoIter<&'s str>>);

impl<'s> Script<'s> {
    fn new(script: &'s str) -> Self {
        let lines: Vec<&str> = script.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        Self(lines.into_iter().peekable())
    }

    fn line(&mut self) -> &'s str {
        self.0.next().unwrap_or("(end of script)")
    }

    /// The client says a flight: each of its lines, and no fewer.
    fn is_said(&mut self, session: &mut Session) {
        let said = flight_of(session);
        assert!(said.ends_with("\r\n"), "a flight is whole lines: {said:?}");
        for line in said.trim_end_matches("\r\n").split("\r\n") {
            assert_eq!(format!("C: {line}").trim(), self.line());
        }
        let due = self.0.peek().filter(|l| l.starts_with("C:"));
        assert!(due.is_none(), "one more line was due in this flight: {due:?}");
        if let Some(line) = self.0.next_if(|l| l.starts_with("S~")) {
            session.receive(format!("{}\r\n", &line[3..]).as_bytes());
            session.lost("the server reset it");
        }
    }

    /// The client listens.
    fn answer(&mut self, session: &mut Session) {
        match self.line() {
            "TLS lost" => session.unsealed_late("certificate required"),
            "lost" => session.lost("the server closed the connection"),
            line if line.starts_with("S:") => {
                let mut bytes = format!("{}\r\n", &line[3..]);
                while let Some(more) = self.0.next_if(|l| l.starts_with("S:")) {
                    bytes.push_str(&format!("{}\r\n", &more[3..]));
                }
                session.receive(bytes.as_bytes());
            }
            line if line.starts_with("S-raw:") => {
                session.receive(line[7..].replace("\\r", "\r").replace("\\n", "\n").as_bytes());
            }
            other => panic!("the client listens, the script has: {other}"),
        }
    }

    /// The client looks whether there is something to be heard, and does not wait for it.
    fn interrupt(&mut self, session: &mut Session) {
        if let Some(line) = self.0.next_if(|l| l.starts_with("S!raw")) {
            session.receive(&line.as_bytes()[6..]);
        } else if let Some(line) = self.0.next_if(|l| l.starts_with("S!")) {
            session.receive(format!("{}\r\n", &line[3..]).as_bytes());
        } else if self.0.next_if_eq(&"nothing").is_some() {
            // So that two flights in a row can be told apart.
        } else if self.0.next_if_eq(&"lost!").is_some() {
            session.lost("the server closed the connection");
        }
    }

    fn shake(&mut self, session: &mut Session) {
        match self.line() {
            "TLS ok" => session.sealed(Ok(Standing::Proven), None),
            "TLS first use" => session.sealed(Ok(Standing::FirstUse), None),
            "TLS unchecked" => session.sealed(Ok(Standing::Unchecked), None),
            "TLS untrusted" => session.sealed(Err(Finding::new(Failure::CertificateNotTrusted, "unknown issuer")), None),
            "TLS bindable" => session.sealed(Ok(Standing::Proven), Some([5; 32])),
            "TLS failed" => session.unsealed("handshake failure"),
            other => panic!("the client shakes hands, the script has: {other}"),
        }
    }

    fn quit(&mut self, session: &mut Session) {
        session.quit();
        assert_eq!((session.next_action(), flight_of(session)), (Action::Say, "QUIT\r\n".to_owned()));
        assert_eq!((session.next_action(), self.0.next()), (Action::Done, None));
    }
}

/// `next`, or `next to ADDRESS`, or `next from ADDRESS`: what is different about the next message.
fn change(envelope: &mut Envelope, line: &str) {
    let Some(next) = line.strip_prefix("next").map(str::trim) else { panic!("the session is idle, the script has: {line}") };
    if let Some(to) = next.strip_prefix("to ") {
        envelope.recipients = vec![Recipient { address: address(to), original: None, notify: None }];
    } else if let Some(from) = next.strip_prefix("from ") {
        envelope.sender = ReversePath::Address(address(from));
    }
}

fn flight_of(session: &Session) -> String {
    let flight = session.flight();
    String::from_utf8([flight.head, flight.content, flight.tail].concat()).unwrap()
}
