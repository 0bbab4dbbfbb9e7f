//! What does a server show to somebody who only looks? (a session without a message, each of its steps timed; RFC 5321 4.5.3.2)

use std::{
    io,
    time::{Duration, Instant},
};

use rustls::pki_types::CertificateDer;

use super::{
    config::Timeouts,
    narrate::{Narrator, Unfinished},
    net::Link,
    pump::{Pump, Witness},
    tls::{Connector, Handshake},
};
use crate::{
    mail::{
        content::{Content, Facts as ContentFacts, Form},
        outcome::Reply,
        policy::{Met, Reach},
        tls::{Certificate, Facts, Verdict},
    },
    smtp::{
        client::{Flight, Plan, Report, Session},
        leaf,
        reply::{Capabilities, Parser},
        sasl::Mechanism,
    },
};

/// Certificates of a chain that are described; honest ones have two to four.
const MOST_CERTIFICATES: usize = 10;

/// What one connection showed. No text of it holds the secret of the plan, whatever the server said.
#[derive(Clone, Debug)]
pub struct Sight {
    /// What was said and waited for, and how long each took.
    pub steps: Vec<(String, Duration)>,
    /// How the server introduced itself, its code included.
    pub greeting: Option<String>,
    /// What it said before TLS that it can; `None` where it was not asked, or did not say.
    pub clear: Option<Offer>,
    /// What it said under TLS.
    pub sealed: Option<Offer>,
    /// The TLS itself.
    pub tls: Option<Seal>,
    /// How far the account's policy was met, where it was.
    pub met: Option<Met>,
    /// Whether the bytes stayed on this machine.
    pub reach: Reach,
    /// Whether a login would have been tried, had it come to that.
    pub tried_login: bool,
    /// What the session came to.
    pub report: Report,
}

/// The reply to EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// As it is understood.
    pub known: Capabilities,
    /// Its lines behind the first; none where only HELO was answered.
    pub lines: Vec<String>,
}

/// A handshake, and what may be thought of the peer.
#[derive(Clone, Debug)]
pub struct Seal {
    /// What was agreed.
    pub facts: Facts,
    /// The certificates that were shown, the server's own first, as far as they are described.
    pub chain: Vec<Certificate>,
    /// All of them, as they came.
    pub ders: Vec<CertificateDer<'static>>,
    /// What the account's trust says.
    pub verdict: Verdict,
    /// Whether a login can be bound to it (SCRAM-...-PLUS).
    pub bindable: bool,
}

/// How long a look may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For each answer.
    pub timeouts: Timeouts,
    /// In all.
    pub until: Instant,
}

/// Runs a session without a message over `link`, to its end.
pub fn run(mut link: Link, connector: &Connector, patience: Patience, plan: Plan) -> Sight {
    let (reach, tried_login) = (plan.reach, plan.credentials.is_some());
    let mut watch = Watch::new();
    let mut session = Session::probe(plan);
    let narrator = Narrator::default();
    let Patience { timeouts, until } = patience;
    let mut pump = Pump {
        link: &mut link,
        connector: Some(connector),
        timeouts,
        narrator: &narrator,
        unfinished: Unfinished::default(),
        until: Some(until),
        witness: Some(&mut watch),
        settled: None,
    };
    pump.run(&mut session, &mut Nothing);
    let hidden = |text: String| session.mask().hide(&text).into_owned();
    let greeting = watch.greeting.map(|mut reply| {
        // The secret goes before anything is cut.
        session.mask().hide_lines(&mut reply.lines, false);
        reply.shortened().to_string()
    });
    let [clear, sealed] = [watch.clear, watch.sealed].map(|offer| offer.map(|offer| offer.shown(hidden)));
    let met = session.met().cloned();
    Sight { steps: watch.steps, greeting, clear, sealed, tls: watch.seal, met, reach, tried_login, report: session.report() }
}

impl Sight {
    /// What the server last said that it can.
    pub fn server(&self) -> Option<&Capabilities> {
        let offer = if self.tls.is_some() { &self.sealed } else { &self.clear };
        offer.as_ref().map(|offer| &offer.known)
    }
}

impl Offer {
    fn of(reply: Reply) -> Self {
        let known = Capabilities::of(&reply);
        Self { known, lines: reply.lines.into_iter().skip(1).collect() }
    }

    fn shown(mut self, hidden: impl Fn(String) -> String) -> Self {
        // What everybody calls a mechanism tells nothing of a password that sounds like it.
        let (known, strange): (Vec<_>, Vec<_>) = self.known.auth.into_iter().partition(|name| Mechanism::from_name(name).is_some());
        let strange = hidden(strange.join(" "));
        self.known.auth = known.into_iter().chain(strange.split_ascii_whitespace().map(str::to_owned)).collect();
        self.lines = self.lines.into_iter().map(hidden).collect();
        self
    }
}

/// A message that is never sent.
struct Nothing;

impl Content for Nothing {
    fn facts(&self) -> ContentFacts {
        ContentFacts::default()
    }

    fn rewind(&mut self, _: Form) -> io::Result<u64> {
        Ok(0)
    }

    fn fill(&mut self, _: &mut Vec<u8>, _: usize) -> io::Result<bool> {
        Ok(true)
    }
}

/// Takes the time of each step, and keeps what a session forgets.
struct Watch {
    steps: Vec<(String, Duration)>,
    greeting: Option<Reply>,
    clear: Option<Offer>,
    sealed: Option<Offer>,
    seal: Option<Seal>,
    /// What is waited for, and since when.
    asked: (String, Instant),
    /// Its time has been taken once: what comes now is more of the same reply.
    answered: bool,
    last: Instant,
    /// Gone once the server said what is no reply: the session ends there too.
    parser: Option<Parser>,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            steps: Vec::new(),
            greeting: None,
            clear: None,
            sealed: None,
            seal: None,
            asked: (GREETING.to_owned(), now),
            answered: false,
            last: now,
            parser: Some(Parser::default()),
        }
    }

    fn ask(&mut self, what: String) {
        self.asked = (what, Instant::now());
        self.answered = false;
    }

    fn on_reply(&mut self, reply: Reply) {
        let offer = match self.asked.0.as_str() {
            GREETING => {
                self.greeting.get_or_insert(reply);
                return;
            }
            "EHLO" | "LHLO" if reply.code == 250 => Offer::of(reply),
            "HELO" if reply.code == 250 => Offer::default(),
            _ => return,
        };
        let place = if self.seal.is_some() { &mut self.sealed } else { &mut self.clear };
        place.get_or_insert(offer);
    }
}

/// What is waited for first.
const GREETING: &str = "greeting";

impl Witness for Watch {
    fn said(&mut self, flight: Flight<'_>) {
        let words = flight.masked.map_or_else(|| String::from_utf8_lossy(flight.head), Into::into);
        // A step of AUTH beyond the first is shown as nothing but stars.
        let verb = words.split_ascii_whitespace().next().filter(|verb| *verb != "***").unwrap_or("AUTH");
        self.ask(verb.to_owned());
    }

    fn heard(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        let took = self.last.duration_since(self.asked.1);
        if self.answered {
            self.steps.pop();
        }
        self.answered = true;
        self.steps.push((self.asked.0.clone(), took));
        let Some(mut parser) = self.parser.take() else { return };
        parser.push(bytes);
        loop {
            match parser.next_reply() {
                Ok(Some(reply)) => self.on_reply(reply),
                Ok(None) => break self.parser = Some(parser),
                Err(_) => break,
            }
        }
    }

    fn sealed(&mut self, handshake: &Handshake) {
        self.steps.push(("TLS".to_owned(), self.last.elapsed()));
        self.parser = Some(Parser::default());
        self.seal = Some(Seal {
            facts: handshake.facts(),
            chain: handshake.chain().iter().take(MOST_CERTIFICATES).map(|der| leaf::describe(der)).collect(),
            bindable: handshake.channel_binding().is_some(),
            ders: handshake.chain().to_vec(),
            verdict: handshake.verdict(),
        });
        self.ask(GREETING.to_owned());
        self.last = self.asked.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight<'a>(head: &'a [u8], masked: Option<&'static str>) -> Flight<'a> {
        Flight { head, content: b"", tail: b"", masked }
    }

    #[test]
    fn each_step_has_one_time_however_many_reads_its_reply_takes() {
        let mut watch = Watch::new();
        watch.heard(b"220 mx\r\n");
        watch.said(flight(b"EHLO me.test\r\n", None));
        watch.heard(b"250-mx\r\n250-Size 10");
        watch.heard(b"00\r\n250 X-ODD thing\r\n");
        watch.said(flight(b"AUTH LOGIN\r\n", Some("AUTH ***")));
        watch.heard(b"334 \r\n");
        watch.said(flight(b"c2VjcmV0\r\n", Some("***")));
        watch.heard(b"235 ok\r\n");
        let names: Vec<&str> = watch.steps.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["greeting", "EHLO", "AUTH", "AUTH"]);
        assert_eq!(watch.greeting.unwrap().to_string(), "220 mx");
        let offer = watch.clear.unwrap();
        assert_eq!((offer.known.size, offer.lines), (Some(1000), vec!["Size 1000".to_owned(), "X-ODD thing".to_owned()]));
    }

    #[test]
    fn what_is_no_reply_ends_the_listening_and_not_the_watch() {
        let mut watch = Watch::new();
        watch.heard(b"\x16\x03\x01 noise\n");
        watch.said(flight(b"HELO me.test\r\n", None));
        watch.heard(b"250 mx\r\n");
        assert_eq!((watch.greeting, watch.clear, watch.steps.len()), (None, None, 2));
    }
}
