//! What does a server show to somebody who only looks? (a session without a message, each of its steps timed; RFC 5321 4.5.3.2)

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    config::{Timeouts, Tls},
    narrate::Narrator,
    net::Link,
    pump::{Pump, Witness},
    tls::{Connector, Handshake, Known},
};
use crate::{
    mail::{
        content::{Content, Facts as ContentFacts, Form},
        policy::{Met, Reach},
        tls::{Certificate, Facts, Verdict},
    },
    smtp::{
        client::{Flight, Plan, Report, Session},
        leaf,
        reply::Capabilities,
    },
};

/// Certificates of a chain that are described; honest ones have two to four.
const MOST_CERTIFICATES: usize = 10;

/// Other settings than the account's own, by the word under which their opinion of a peer is told.
pub type Judges = [(&'static str, Tls, Known)];

/// What one connection showed.
#[derive(Clone, Debug)]
pub struct Sight {
    /// What was said and waited for, and how long each took.
    pub steps: Vec<(String, Duration)>,
    /// What the server said that it can before TLS; `None` where nothing was asked before it.
    pub clear: Option<Capabilities>,
    /// What it said under TLS; `None` without TLS, or where it was not asked.
    pub sealed: Option<Capabilities>,
    /// The TLS itself.
    pub tls: Option<Seal>,
    /// How far the account's policy was met, where it was.
    pub met: Option<Met>,
    /// Whether the bytes stayed on this machine.
    pub reach: Reach,
    /// What the session came to.
    pub report: Report,
}

/// A handshake, and what may be thought of the peer.
#[derive(Clone, Debug)]
pub struct Seal {
    /// What was agreed.
    pub facts: Facts,
    /// The certificates that were shown, the server's own first.
    pub chain: Vec<Certificate>,
    /// What the account's trust says.
    pub verdict: Verdict,
    /// What other kinds of trust would say.
    pub opinions: Vec<(&'static str, Verdict)>,
    /// Whether a login can be bound to it (SCRAM-...-PLUS).
    pub bindable: bool,
}

/// Runs a session without a message over `link`, to its end.
pub fn run(link: Link, connector: &Connector, timeouts: Timeouts, plan: Plan, judges: &Judges) -> Sight {
    let reach = plan.reach;
    let mut watch = Watch::new(judges);
    let mut session = Session::probe(plan);
    let narrator = Narrator::default();
    let mut pump = Pump { link, connector, timeouts, narrator: &narrator, witness: Some(&mut watch) };
    pump.run(&mut session, &mut Nothing);
    let (before, learnt, met) = (session.clear().cloned(), session.server().clone(), session.met().cloned());
    let report = session.report();
    // A server that was never asked is not one that can do nothing.
    let learnt = (report.problem.is_none() || learnt != Capabilities::default()).then_some(learnt);
    let (clear, sealed) = if watch.seal.is_some() { (before, learnt) } else { (learnt, None) };
    Sight { steps: watch.steps, clear, sealed, tls: watch.seal, met, reach, report }
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

/// Takes the time of each step.
struct Watch<'j> {
    judges: &'j Judges,
    steps: Vec<(String, Duration)>,
    seal: Option<Seal>,
    /// What is waited for, and since when.
    asked: (String, Instant),
    /// Its time has been taken once: what comes now is more of the same reply.
    answered: bool,
    last: Instant,
}

impl Sight {
    /// What the server last said that it can.
    pub fn server(&self) -> Option<&Capabilities> {
        if self.tls.is_some() { self.sealed.as_ref() } else { self.clear.as_ref() }
    }
}

impl<'j> Watch<'j> {
    fn new(judges: &'j Judges) -> Self {
        let now = Instant::now();
        let asked = ("greeting".to_owned(), now);
        Self { judges, steps: Vec::new(), seal: None, asked, answered: false, last: now }
    }

    fn ask(&mut self, what: String) {
        self.asked = (what, Instant::now());
        self.answered = false;
    }
}

impl Witness for Watch<'_> {
    fn said(&mut self, flight: Flight<'_>) {
        let words = flight.masked.map_or_else(|| String::from_utf8_lossy(flight.head), Into::into);
        // A step of AUTH beyond the first is shown as nothing but stars.
        let verb = words.split_ascii_whitespace().next().filter(|verb| *verb != "***").unwrap_or("AUTH");
        self.ask(verb.to_owned());
    }

    fn heard(&mut self) {
        self.last = Instant::now();
        let took = self.last.duration_since(self.asked.1);
        if self.answered {
            self.steps.pop();
        }
        self.answered = true;
        self.steps.push((self.asked.0.clone(), took));
    }

    fn sealed(&mut self, handshake: &Handshake, verdict: &Verdict) {
        self.steps.push(("TLS".to_owned(), self.last.elapsed()));
        self.seal = Some(Seal {
            facts: handshake.facts(),
            chain: handshake.chain().iter().take(MOST_CERTIFICATES).map(|der| leaf::describe(der)).collect(),
            verdict: verdict.clone(),
            bindable: handshake.channel_binding().is_some(),
            opinions: self
                .judges
                .iter()
                .map(|(name, settings, known)| (*name, handshake.verdict_for(settings, known.clone())))
                .collect(),
        });
        self.ask("greeting".to_owned());
        self.last = Instant::now();
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
        let mut watch = Watch::new(&[]);
        watch.heard();
        watch.said(flight(b"EHLO me.test\r\n", None));
        watch.heard();
        watch.heard();
        watch.said(flight(b"AUTH LOGIN\r\n", Some("AUTH ***")));
        watch.heard();
        watch.said(flight(b"c2VjcmV0\r\n", Some("***")));
        watch.heard();
        let names: Vec<&str> = watch.steps.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["greeting", "EHLO", "AUTH", "AUTH"]);
    }
}
