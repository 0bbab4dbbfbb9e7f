//! How does a protocol machine meet the wire? (actions in, bytes through; deadlines from RFC 5321 4.5.3.2)

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    config::Timeouts,
    narrate::{Narrator, Unfinished},
    net::{Link, Lost},
    tls::{Broken, Connector, Handshake},
};
use crate::{
    error::Exit,
    mail::{
        content::Content,
        outcome::{Fate, Outcome},
        tls::Facts,
    },
    smtp::client::{Action, Flight, Session, Wait},
};

/// How long the reply to QUIT may take where it matters: the message is over, and somebody waits for us.
const GOODBYE: Duration = Duration::from_secs(10);

/// How every sentence begins that says that a server was waited for in vain.
pub const NO_ANSWER: &str = "no answer in time";

/// Who looks on while a session runs, and changes nothing.
pub trait Witness {
    /// A flight leaves.
    fn said(&mut self, flight: Flight<'_>);
    /// This came from the server.
    fn heard(&mut self, bytes: &[u8]);
    /// A handshake was finished, and nobody judged the peer yet.
    fn sealed(&mut self, handshake: &Handshake);
}

/// Who is told between two MAILs of one message who is settled already, before the next one is said.
pub type Settled<'a> = dyn FnMut(&[Outcome]) -> io::Result<()> + 'a;

/// The means of one connection.
pub struct Pump<'a> {
    /// The connection.
    pub link: &'a mut Link,
    /// Makes handshakes; `None` where no session will ask for one.
    pub connector: Option<&'a Connector>,
    /// How long everything may take.
    pub timeouts: Timeouts,
    /// Who tells the terminal.
    pub narrator: &'a Narrator,
    /// What the narrator has yet to tell.
    pub unfinished: Unfinished,
    /// When all is over at the latest, whatever `timeouts` say; `None`: a session ends when it ends.
    pub until: Option<Instant>,
    /// Who looks on.
    pub witness: Option<&'a mut dyn Witness>,
    /// Who wants to know what stays true whatever comes; that this fails ends the message where it is.
    pub settled: Option<&'a mut Settled<'a>>,
}

impl Pump<'_> {
    /// Runs the session to its end, or until it rests; the facts of the handshake, where one was finished.
    pub fn run(&mut self, session: &mut Session, content: &mut dyn Content) -> Option<Facts> {
        let mut facts = None;
        let mut listening = (0, Instant::now());
        loop {
            match session.next_action() {
                Action::Say => self.say(session),
                Action::Listen { wait, turn } => {
                    if listening.0 != turn + 1 {
                        listening = (turn + 1, self.deadline(self.time_for(wait)));
                    }
                    self.listen(session, wait, listening.1);
                }
                Action::Glance => match self.link.glance() {
                    Ok(bytes) => {
                        self.narrator.heard(&mut self.unfinished, bytes, session.mask());
                        session.receive(bytes);
                    }
                    Err(lost) => session.lost(&lost.to_string()),
                },
                Action::Handshake => facts = self.seal(session),
                Action::Rewind(form) => match self.settle(session).and_then(|()| content.rewind(form)) {
                    Ok(size) => session.rewound(size, form),
                    Err(error) => unreadable(session, &error),
                },
                Action::Fetch(limit) => match content.fill(session.content(), limit) {
                    Ok(last) => session.fetched(last),
                    Err(error) => unreadable(session, &error),
                },
                Action::Idle | Action::Done => {
                    self.narrator.broke_off(&mut self.unfinished, session.mask());
                    return facts;
                }
            }
        }
    }

    fn settle(&mut self, session: &Session) -> io::Result<()> {
        let Some(settled) = &mut self.settled else { return Ok(()) };
        let outcomes = session.settled();
        if outcomes.is_empty() { Ok(()) } else { settled(&outcomes) }
    }

    fn say(&mut self, session: &mut Session) {
        self.narrator.broke_off(&mut self.unfinished, session.mask());
        let flight = session.flight();
        self.narrator.said(flight);
        if let Some(witness) = &mut self.witness {
            witness.said(flight);
        }
        let deadline = self.deadline(self.timeouts.block);
        let Err(lost) = self.link.say(flight, deadline) else { return };
        // A server that refuses in the middle closes behind its reply: the reply is worth more than "broken pipe".
        if let Ok(bytes) = self.link.glance() {
            self.narrator.heard(&mut self.unfinished, bytes, session.mask());
            session.receive(bytes);
        }
        session.lost(&lost.to_string());
    }

    fn listen(&mut self, session: &mut Session, wait: Wait, deadline: Instant) {
        match self.link.hear(deadline) {
            Ok(bytes) => {
                if let Some(witness) = &mut self.witness {
                    witness.heard(bytes);
                }
                self.narrator.heard(&mut self.unfinished, bytes, session.mask());
                session.receive(bytes);
            }
            Err(Lost::TimedOut) if self.until.is_some_and(|until| until <= deadline) => {
                session.lost(&format!("{NO_ANSWER}: {} did not come", wait.describe()));
            }
            Err(Lost::TimedOut) => {
                let seconds = self.time_for(wait).as_secs_f64();
                session.lost(&format!("{NO_ANSWER}: {} did not come within {seconds} s", wait.describe()));
            }
            Err(Lost::Tls(why)) => session.unsealed_late(&why),
            Err(lost) => session.lost(&format!("{lost} (while waiting for {})", wait.describe())),
        }
    }

    fn seal(&mut self, session: &mut Session) -> Option<Facts> {
        self.narrator.broke_off(&mut self.unfinished, session.mask());
        if !self.link.is_quiet() {
            session.injected();
            return None;
        }
        let deadline = self.deadline(self.timeouts.handshake);
        let Some(connector) = self.connector else {
            session.unsealed("nothing is ready for TLS");
            return None;
        };
        let started = connector.start().map_err(|error| Broken::Failed(error.summary()));
        let sealed = started.and_then(|handshake| self.link.seal(handshake, deadline));
        match sealed {
            Ok(handshake) => {
                if let Some(witness) = &mut self.witness {
                    witness.sealed(handshake);
                }
                let facts = handshake.facts();
                let verdict = handshake.verdict();
                self.narrator.sealed(&facts, &verdict);
                let binding = if session.logs_in() { handshake.channel_binding() } else { None };
                session.sealed(verdict, binding);
                Some(facts)
            }
            Err(broken) => {
                self.narrator.note(&format!("TLS handshake failed: {broken}"));
                match (broken, connector.refusal()) {
                    (Broken::Failed(why), None) => session.unsealed(&why),
                    (Broken::Failed(why), Some(before)) => {
                        session.unsealed(&format!("{why}; on the connection before: {}", before.detail));
                    }
                    (Broken::Refused(finding), _) => session.unseen(finding),
                }
                None
            }
        }
    }

    fn deadline(&self, patience: Duration) -> Instant {
        let own = Instant::now() + patience;
        self.until.map_or(own, |until| until.min(own))
    }

    fn time_for(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Greeting => self.timeouts.greeting,
            Wait::Command => self.timeouts.command,
            Wait::Mail => self.timeouts.mail,
            Wait::Rcpt => self.timeouts.rcpt,
            Wait::Data => self.timeouts.data,
            Wait::Block => self.timeouts.block,
            Wait::End => self.timeouts.end,
            Wait::Quit => self.timeouts.command.min(GOODBYE),
        }
    }
}

/// A form that the message can't take is its own fault and for good; a store that fails is the machine's and may pass.
fn unreadable(session: &mut Session, error: &io::Error) {
    let (fate, exit) = match error.kind() {
        io::ErrorKind::InvalidData => (Fate::Refused, Exit::DataErr),
        _ => (Fate::Deferred, Exit::TempFail),
    };
    session.unreadable(&format!("the message: {error}"), fate, exit);
}
