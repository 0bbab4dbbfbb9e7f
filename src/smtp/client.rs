//! What does a submission client say, and when? (RFC 5321, 3207, 4954, 2033; bytes in, actions out)
//!
//! The machine knows no socket and no clock: the pump does what [`Action`] says and brings back what it saw. A MAIL can't be said
//! without [`Met`], nor a secret used without the permit that `policy` makes of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

pub use super::action::{Action, Flight, Wait};
use super::{
    action::Outbox,
    command,
    reply::{Capabilities, Malformed, Parser},
    sasl::{self, Credentials, Exchange, Mechanism, SaslError},
    transaction::{Terms, Transaction},
};
use crate::{
    error::Exit,
    mail::{
        content::{Facts, Form},
        envelope::Envelope,
        outcome::{Fate, Outcome, Reply},
        policy::{self, Demand, Met, Next, Prior, Reach, SecretRule, Start},
        tls::{Failure, Finding, Verdict},
    },
};

/// Most 334 challenges of one AUTH; the longest mechanism needs three.
const CHALLENGES: u8 = 8;

const TOO_MANY: &str = "the server sent more replies than there were commands";

/// What one connection is for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// LHLO and a reply per recipient (RFC 2033).
    pub lmtp: bool,
    /// What EHLO says: a domain or an address literal.
    pub hello: String,
    /// What the account asks of TLS.
    pub demand: Demand,
    /// What is known of the server.
    pub prior: Prior,
    /// Who logs in; without, no AUTH is done.
    pub credentials: Option<Credentials>,
    /// Where the bytes go.
    pub reach: Reach,
    /// Fresh randomness for mechanisms that want it.
    pub nonce: [u8; 18],
    /// Most recipients of one MAIL.
    pub batch: usize,
}

/// Why the session ended before every recipient had a reply of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What becomes of the recipients that nothing else decided.
    pub fate: Fate,
    /// The exit code that goes with it.
    pub exit: Exit,
    /// What happened, for a person; may hold foreign text.
    pub because: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The reply that ended it.
    pub reply: Option<Reply>,
}

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each recipient, in their order.
    pub outcomes: Vec<Outcome>,
    /// What ended it early, if anything did.
    pub problem: Option<Problem>,
    /// Whether STARTTLS was offered; `None` where EHLO was not reached or TLS is implicit.
    pub offered: Option<bool>,
    /// How the message was protected, where the policy was met.
    pub met: Option<Met>,
    /// Why the policy was not met.
    pub finding: Option<Finding>,
    /// The mechanism that authenticated us.
    pub auth: Option<Mechanism>,
    /// The handshake failed in a way that policy answers with a new connection in plaintext.
    pub retry_in_plaintext: Option<Finding>,
}

/// One connection to a smarthost, from greeting to QUIT.
pub struct Session<'m> {
    plan: Plan,
    envelope: &'m Envelope,
    facts: Facts,
    parser: Parser,
    out: Outbox,
    state: State<'m>,
    server: Capabilities,
    form: Form,
    saying: bool,
    turn: u32,
    offered: Option<bool>,
    met: Option<Met>,
    finding: Option<Finding>,
    auth: Option<Mechanism>,
    retry: Option<Finding>,
    problem: Option<Problem>,
    outcomes: Option<Vec<Outcome>>,
}

enum State<'m> {
    Greeting,
    /// EHLO or LHLO was said.
    Hello,
    /// HELO was said, after EHLO was not understood.
    Helo,
    Starttls,
    Handshake,
    Auth {
        mechanism: Mechanism,
        exchange: Box<Exchange>,
        challenges: u8,
    },
    Mail(Box<Transaction<'m>>),
    /// Every recipient has its outcome; one look whether the server said more than it was asked, then QUIT.
    Parting,
    /// QUIT is on its way, or nothing more can be said.
    Ended,
}

impl<'m> Session<'m> {
    /// A session that has just been connected.
    pub fn new(plan: Plan, envelope: &'m Envelope, facts: Facts) -> Self {
        let implicit = plan.demand.start == Start::Implicit && plan.demand.policy.wants_tls();
        let mut session = Self {
            plan,
            envelope,
            facts,
            parser: Parser::default(),
            out: Outbox::default(),
            state: if implicit { State::Handshake } else { State::Greeting },
            server: Capabilities::default(),
            form: Form::EightBit,
            saying: false,
            turn: 0,
            offered: None,
            met: None,
            finding: None,
            auth: None,
            retry: None,
            problem: None,
            outcomes: None,
        };
        if implicit {
            session.out.ask(Action::Handshake);
        }
        session
    }

    /// What to do next.
    pub fn next_action(&mut self) -> Action {
        if std::mem::take(&mut self.saying)
            && let State::Mail(transaction) = &mut self.state
        {
            transaction.said();
        }
        if self.out.queue.is_empty()
            && let State::Mail(transaction) = &mut self.state
        {
            transaction.advance(&mut self.out);
        }
        if self.out.queue.is_empty() && matches!(self.state, State::Parting) {
            self.state = State::Ended;
            self.farewell();
        }
        match self.out.queue.pop_front() {
            Some(action) => {
                self.saying = action == Action::Say;
                action
            }
            None if matches!(self.state, State::Ended) => Action::Done,
            None => Action::Listen { wait: self.wait(), turn: self.turn },
        }
    }

    /// What [`Action::Say`] says.
    pub fn flight(&self) -> Flight<'_> {
        Flight { head: &self.out.head, content: &self.out.content, tail: &self.out.tail, masked: self.out.masked }
    }

    /// Where [`Action::Fetch`] puts content.
    pub fn content(&mut self) -> &mut Vec<u8> {
        &mut self.out.content
    }

    /// The content starts over in the form that was asked for, `size` octets long.
    pub fn rewound(&mut self, size: u64, form: Form) {
        self.form = form;
        if let State::Mail(transaction) = &mut self.state {
            transaction.rewound(size, form, &mut self.out);
        }
        self.close_if_over();
    }

    /// Content was fetched; `last` when that was all.
    pub fn fetched(&mut self, last: bool) {
        if let State::Mail(transaction) = &mut self.state {
            transaction.fetched(last, &mut self.out);
        }
    }

    /// The content can't be read (`Deferred`) or can't be put into the form that the server needs (`Refused`).
    pub fn unreadable(&mut self, why: &str, fate: Fate, exit: Exit) {
        if let State::Mail(transaction) = &mut self.state {
            transaction.unreadable(why, fate, exit, &mut self.out);
        }
        // A message that broke off must not be ended by a polite QUIT in the middle of its data.
        self.abandon();
    }

    /// Bytes came from the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.parser.push(bytes);
        while !matches!(self.state, State::Ended | State::Handshake) {
            match self.parser.next_reply() {
                Ok(Some(reply)) => {
                    self.turn += 1;
                    self.on_reply(reply);
                    self.hold_in_step();
                }
                Ok(None) => return,
                Err(malformed) => return self.violated(&malformed.to_string(), protocol_hint(&malformed)),
            }
        }
    }

    /// Plaintext waits behind the 220 of STARTTLS: it would be taken for a reply inside TLS (RFC 3207 6). Never sent, never retried
    /// in plaintext: somebody interferes.
    pub fn injected(&mut self) {
        self.unmet(Finding::new(Failure::ValidationFailure, "plaintext behind the reply to STARTTLS: somebody interferes"));
        self.abandon();
    }

    /// The handshake is done, and this is what trust says of the peer.
    pub fn sealed(&mut self, verdict: Verdict) {
        self.parser = Parser::default();
        // All that was learnt in plaintext is forgotten (RFC 3207 4.2).
        self.server = Capabilities::default();
        match policy::judge(self.plan.demand, verdict) {
            Ok(met) => self.met = Some(met),
            Err(finding) => return self.unmet(finding),
        }
        if self.plan.demand.start == Start::Implicit {
            self.state = State::Greeting;
        } else {
            self.hello();
        }
    }

    /// The handshake failed; that connection is dead.
    pub fn unsealed(&mut self, detail: &str) {
        let finding = Finding::new(Failure::ValidationFailure, detail);
        if policy::may_retry_in_plaintext(self.plan.demand, &self.plan.prior) {
            self.retry = Some(finding.clone());
        }
        self.unmet(finding);
        self.out.silence();
    }

    /// The link broke or a deadline passed.
    pub fn lost(&mut self, why: &str) {
        if matches!(self.state, State::Ended) {
            return;
        }
        let hint = match &self.state {
            State::Greeting if self.met.is_none() => {
                Some("if the port speaks TLS from the first byte (465), set start = \"implicit\"".to_owned())
            }
            _ => None,
        };
        self.stop(Problem { fate: Fate::Deferred, exit: Exit::TempFail, because: why.to_owned(), hint, reply: None });
        self.out.silence();
    }

    /// What it came to; every recipient has an outcome.
    pub fn report(mut self) -> Report {
        let outcomes = self.outcomes.take().unwrap_or_else(|| self.undecided());
        Report {
            outcomes,
            problem: self.problem,
            offered: self.offered,
            met: self.met,
            finding: self.finding,
            auth: self.auth,
            retry_in_plaintext: self.retry,
        }
    }

    fn wait(&self) -> Wait {
        match &self.state {
            State::Greeting => Wait::Greeting,
            State::Mail(transaction) => transaction.wait(),
            _ => Wait::Command,
        }
    }

    fn on_reply(&mut self, reply: Reply) {
        match &mut self.state {
            State::Greeting => self.on_greeting(reply),
            State::Hello => self.on_hello(reply),
            State::Helo if reply.code == 250 => self.introduced(Capabilities::default()),
            State::Helo => self.rejected("HELO", reply, Exit::Unavailable),
            State::Starttls => self.on_starttls(&reply),
            State::Auth { .. } => self.on_auth(reply),
            State::Mail(transaction) => {
                if transaction.on_reply(reply.clone(), &mut self.out).is_err() {
                    return self.violated(&format!("the server answered what was not asked: {reply}"), None);
                }
                self.close_if_over();
            }
            // A server may take its leave unasked (RFC 5321 3.8); anything else was meant for an earlier question.
            State::Parting if reply.code == 421 => {}
            State::Parting => self.doubt(),
            State::Handshake | State::Ended => {}
        }
    }

    /// A reply never answers a later command: while something is about to be said, nothing may be left over.
    fn hold_in_step(&mut self) {
        let about_to_speak = !self.out.queue.is_empty() && !matches!(self.state, State::Ended);
        if !about_to_speak || self.parser.is_empty() {
            return;
        }
        if matches!(self.state, State::Parting) {
            self.doubt();
        } else {
            self.violated(TOO_MANY, None);
        }
    }

    /// There were more replies than commands: which of them was the answer to the message, nobody can say.
    fn doubt(&mut self) {
        for outcome in self.outcomes.iter_mut().flatten().filter(|o| o.fate == Fate::Accepted) {
            outcome.fate = Fate::Unknown;
            outcome.exit = Exit::TempFail;
        }
        self.violated(TOO_MANY, None);
    }

    fn on_greeting(&mut self, reply: Reply) {
        match reply.code {
            220 => self.hello(),
            _ if reply.is_positive() || reply.code / 100 == 3 => self.violated(&format!("the server greeted with {reply}"), None),
            _ => self.rejected("the connection", reply, Exit::Unavailable),
        }
    }

    fn hello(&mut self) {
        let verb = if self.plan.lmtp { "LHLO" } else { "EHLO" };
        self.state = State::Hello;
        self.command(&format!("{verb} {}", self.plan.hello));
    }

    fn on_hello(&mut self, reply: Reply) {
        let understood = reply.code == 250;
        if understood {
            return self.introduced(Capabilities::of(&reply));
        }
        if !reply.is_permanent() || self.plan.lmtp || self.met.is_some() {
            return self.rejected(if self.plan.lmtp { "LHLO" } else { "EHLO" }, reply, Exit::Unavailable);
        }
        // HELO knows no extension: where TLS must be there is no point in asking.
        if let Next::Stop(finding) = policy::after_ehlo(self.plan.demand, false, &self.plan.prior) {
            self.offered = Some(false);
            return self.unmet(Finding::new(finding.failure, format!("the server refused EHLO, so it can't STARTTLS: {reply}")));
        }
        self.state = State::Helo;
        self.command(&format!("HELO {}", self.plan.hello));
    }

    /// The server has said what it can.
    fn introduced(&mut self, server: Capabilities) {
        let starttls = server.starttls;
        self.server = server;
        if self.met.is_some() {
            return self.authenticate();
        }
        self.offered = Some(starttls);
        match policy::after_ehlo(self.plan.demand, starttls, &self.plan.prior) {
            Next::Seal => {
                self.state = State::Starttls;
                self.command("STARTTLS");
            }
            Next::Clear(met) => {
                self.met = Some(met);
                self.authenticate();
            }
            Next::Stop(finding) => self.unmet(finding),
        }
    }

    fn on_starttls(&mut self, reply: &Reply) {
        if reply.code == 220 {
            if !self.parser.is_empty() {
                return self.injected();
            }
            self.state = State::Handshake;
            self.out.ask(Action::Handshake);
            return;
        }
        match policy::after_refusal(self.plan.demand, &reply.to_string(), &self.plan.prior) {
            Next::Seal => self.violated("policy asked for STARTTLS twice", None),
            Next::Clear(met) => {
                self.met = Some(met);
                self.authenticate();
            }
            Next::Stop(finding) => self.unmet(finding),
        }
    }

    fn authenticate(&mut self) {
        let (Some(credentials), Some(met)) = (&self.plan.credentials, &self.met) else { return self.mail() };
        let rule = SecretRule {
            allow_unverified: credentials.allow_unverified,
            explicit_mechanism: matches!(credentials.choice, sasl::Choice::Only(_)),
        };
        let permit = match policy::may_authenticate(met, self.plan.reach, rule) {
            Ok(permit) => permit,
            Err(why) => return self.unsafe_secret(why),
        };
        let offered: Vec<&str> = self.server.auth.iter().map(String::as_str).collect();
        let exchange = sasl::choose(&offered, credentials.choice, &permit)
            .and_then(|mechanism| Ok((mechanism, Exchange::new(mechanism, credentials, &permit, &self.plan.nonce)?)));
        match exchange {
            Ok((mechanism, mut exchange)) => {
                let mut words = Zeroizing::new(format!("AUTH {}", mechanism.name()));
                if let Some(initial) = exchange.initial() {
                    words.push(' ');
                    words.push_str(&encode(&initial));
                }
                self.state = State::Auth { mechanism, exchange: Box::new(exchange), challenges: 0 };
                self.secret_command(&words, "AUTH ***");
            }
            Err(error @ SaslError::NotPermitted(_)) => self.unsafe_secret(&error.to_string()),
            Err(error) => self.stop(Problem {
                fate: Fate::Refused,
                exit: Exit::NoPerm,
                because: error.to_string(),
                hint: None,
                reply: None,
            }),
        }
    }

    fn on_auth(&mut self, reply: Reply) {
        let State::Auth { mechanism, exchange, challenges } = &mut self.state else { return };
        let mechanism = *mechanism;
        if reply.code == 334 {
            *challenges += 1;
            if *challenges > CHALLENGES {
                return self.violated("the server asks on and on in AUTH", None);
            }
            let answer = STANDARD
                .decode(reply.text().trim())
                .map_err(|_| "the challenge is not base64".to_owned())
                .and_then(|challenge| exchange.answer(&challenge).map_err(|e| e.to_string()));
            return match answer {
                Ok(answer) => self.secret_command(&Zeroizing::new(STANDARD.encode(&answer)), "***"),
                Err(why) => self.untrue_server(&why),
            };
        }
        match reply.code {
            235 => match exchange.finished(None) {
                Ok(()) => {
                    self.auth = Some(mechanism);
                    self.mail();
                }
                Err(error) => self.untrue_server(&error.to_string()),
            },
            _ if reply.is_positive() || reply.code / 100 == 3 => self.violated(&format!("the server ended AUTH with {reply}"), None),
            _ => self.rejected(&format!("the login by {}", mechanism.name()), reply, Exit::NoPerm),
        }
    }

    /// The server could not prove that it knows the secret, or breaks the mechanism: it is not who it claims to be.
    fn untrue_server(&mut self, why: &str) {
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: Exit::NoPerm,
            because: format!("the server's side of the login does not hold: {why}"),
            hint: Some("this is not the server that knows your password, or it is broken; check the host and its certificate".to_owned()),
            reply: None,
        });
        self.abandon();
    }

    fn unsafe_secret(&mut self, why: &str) {
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: Exit::TempFail,
            because: format!("not logging in: {why}"),
            hint: Some(
                "make the server's certificate trusted (ca_file, or trust = \"pin\" with the digest in the log), or set allow_unverified = true"
                    .to_owned(),
            ),
            reply: None,
        });
    }

    fn mail(&mut self) {
        let terms = Terms {
            envelope: self.envelope,
            facts: self.facts,
            server: self.server.clone(),
            lmtp: self.plan.lmtp,
            batch: self.plan.batch,
        };
        self.state = State::Mail(Box::new(Transaction::begin(terms, &mut self.out)));
        self.close_if_over();
    }

    fn close_if_over(&mut self) {
        let State::Mail(transaction) = &self.state else { return };
        if !transaction.is_closed() {
            return;
        }
        let outcomes = transaction.outcomes();
        if let Some(problem) = transaction.problem() {
            let gravest = outcomes.iter().find(|o| o.reply.is_none() && o.fate != Fate::Accepted);
            let (fate, exit) = gravest.map_or((Fate::Deferred, Exit::TempFail), |o| (o.fate, o.exit));
            self.problem = Some(Problem { fate, exit, because: problem.to_owned(), hint: None, reply: None });
        }
        let in_step = transaction.is_in_step();
        self.outcomes = Some(outcomes);
        self.state = if in_step { State::Parting } else { State::Ended };
        if in_step {
            self.out.ask(Action::Glance);
        }
    }

    /// The policy of the account is not met: nothing is sent, and it may work later.
    fn unmet(&mut self, finding: Finding) {
        let hint = match finding.failure {
            Failure::StarttlsNotSupported => "policy = \"opportunistic\" would send in plaintext; ask the provider for its TLS port first",
            Failure::CertificateHostMismatch => "host (or server_name) must be a name that the certificate has",
            Failure::CertificateExpired => "the server's operator must renew the certificate; check this machine's clock too",
            Failure::CertificateNotTrusted => "ca_file names another authority; trust = \"pin\" believes this one certificate",
            _ => "the log's tls.detail and certificate say what was seen",
        };
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: Exit::TempFail,
            because: format!("TLS policy \"{}\" not met: {finding}", self.plan.demand.policy.as_str()),
            hint: Some(hint.to_owned()),
            reply: None,
        });
        self.met = None;
        self.finding = Some(finding);
    }

    fn rejected(&mut self, what: &str, reply: Reply, permanent: Exit) {
        let (fate, exit) = if reply.is_permanent() { (Fate::Refused, permanent) } else { (Fate::Deferred, Exit::TempFail) };
        let because = format!("the server refused {what}: {reply}");
        self.stop(Problem { fate, exit, because, hint: None, reply: Some(reply) });
    }

    fn violated(&mut self, what: &str, hint: Option<String>) {
        self.stop(Problem { fate: Fate::Deferred, exit: Exit::Protocol, because: what.to_owned(), hint, reply: None });
        self.abandon();
    }

    /// Ends the session with what is known; QUIT is said where the dialogue is in step.
    fn stop(&mut self, problem: Problem) {
        if let State::Mail(transaction) = &mut self.state {
            transaction.lost(problem.exit, &mut self.out);
            self.outcomes = Some(transaction.outcomes());
        }
        let in_step = matches!(self.state, State::Hello | State::Helo | State::Starttls | State::Auth { .. }) && self.parser.is_empty();
        let hung_up = problem.reply.as_ref().is_some_and(|r| r.code == 421);
        self.problem = Some(problem);
        self.state = State::Ended;
        if in_step && !hung_up {
            self.farewell();
        }
    }

    fn abandon(&mut self) {
        self.close_if_over();
        self.state = State::Ended;
        self.out.silence();
    }

    /// QUIT is said and its reply is not waited for: what it could say changes nothing.
    fn farewell(&mut self) {
        self.out.say(command::line("QUIT"));
    }

    fn command(&mut self, words: &str) {
        self.out.say(command::line(words));
    }

    fn secret_command(&mut self, words: &str, shown: &'static str) {
        self.command(words);
        self.out.masked = Some(shown);
    }

    fn undecided(&self) -> Vec<Outcome> {
        let (fate, exit, reply) = match &self.problem {
            Some(problem) => (problem.fate, problem.exit, problem.reply.clone()),
            None => (Fate::Deferred, Exit::TempFail, None),
        };
        let outcome = |address: &crate::mail::address::Address| Outcome { recipient: address.clone(), fate, exit, reply: reply.clone() };
        self.envelope.recipients.iter().map(|recipient| outcome(&recipient.address)).collect()
    }
}

/// Base64; an initial response of no octets is said as "=" (RFC 4954 4).
fn encode(initial: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(if initial.is_empty() { "=".to_owned() } else { STANDARD.encode(initial) })
}

fn protocol_hint(malformed: &Malformed) -> Option<String> {
    let Malformed::NotAReply(start) = malformed else { return None };
    let first = start.chars().next()?;
    (first.is_control()).then(|| "the port seems to speak TLS from the first byte: start = \"implicit\"".to_owned())
}
