//! Does the client machine keep the contract in every situation there is? (no socket: it talks to the server machine in memory)

use std::sync::Arc;

use sealpost::{
    mail::{
        address::{Address, ReversePath},
        content::Facts,
        envelope::{Dsn, Envelope, Recipient},
        outcome::Fate,
        policy::{Channel, Demand, OnDowngrade, Policy, Prior, Reach, Request, Start, Tlsa, Trust},
        tls::{Failure, Finding, Standing},
    },
    smtp::{
        client::{self, Plan, Report, Session},
        sasl::{Choice, Credentials, Mechanism, Secret, verifier},
        server::{self, Seal, Stored, fault::Faults},
    },
};

use crate::contract::{Login, Outcome, Server, Situation};

const USER: &str = "cron";
const PASSWORD: &str = "correct-horse-Battery.9";

#[test]
fn every_situation_ends_as_the_contract_says() {
    let mut count = 0;
    let mut wrong = Vec::new();
    every(|situation| {
        count += 1;
        let (outcome, promise) = (play(situation), situation.promise());
        if outcome != promise {
            wrong.push(format!("{situation:?}\n  came to  {outcome:?}\n  promised {promise:?}"));
        }
    });
    assert!(count > 20_000, "{count} situations: are all dimensions there?");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n"));
}

/// What is promised of whole classes of situations holds for each of them: the contract's own table is checked too.
#[test]
fn no_situation_breaks_what_must_never_be() {
    every(|situation| {
        let outcome = play(situation);
        let sent = outcome.status == "sent";
        assert_eq!(sent, outcome.result != "none", "{situation:?}");
        if situation.policy == Policy::Required && sent {
            assert_ne!(outcome.result, "plaintext", "{situation:?}");
            assert_eq!(outcome.failure, None, "{situation:?}");
        }
        if outcome.result == "verified" {
            assert!(matches!(situation.server, Server::Known(Standing::Proven)) && situation.trust != Trust::Any, "{situation:?}");
        }
        let shown = outcome.said.contains(&"auth");
        assert!(!shown || situation.reach == Reach::Local, "a password crosses the network: {situation:?}");
        assert!(!outcome.said.contains(&"/") || !shown, "a password after a broken handshake: {situation:?}");
        assert!(outcome.said.iter().filter(|verb| **verb == "/").count() <= 1, "{situation:?}");
    });
}

/// Calls `visit` with every situation that can be configured.
fn every(mut visit: impl FnMut(Situation)) {
    for policy in [Policy::Off, Policy::Opportunistic, Policy::Required] {
        for trust in [Trust::System, Trust::Pin, Trust::Tofu, Trust::Dane, Trust::Any] {
            for start in [Start::Starttls, Start::Implicit] {
                if policy == Policy::Off && start == Start::Implicit {
                    continue;
                }
                for tlsa in tlsas(trust) {
                    for server in servers(start) {
                        for case in 0..64_u8 {
                            let flag = |bit: u8| case & bit != 0;
                            let login = [Login::Nobody, Login::Plain, Login::PlainToAnybody, Login::Scram][usize::from(case >> 4)];
                            // A proof is slow to make; what it may depend on is the channel alone.
                            if login == Login::Scram && (flag(2) || trust == Trust::Pin || trust == Trust::Tofu || flag(4)) {
                                continue;
                            }
                            let (sealed_before, waived) = (flag(1), flag(4));
                            let on_downgrade = if flag(2) { OnDowngrade::Refuse } else { OnDowngrade::Warn };
                            let reach = if flag(8) { Reach::Local } else { Reach::Network };
                            visit(Situation {
                                policy,
                                trust,
                                start,
                                on_downgrade,
                                tlsa,
                                waived,
                                sealed_before,
                                server,
                                login,
                                reach,
                            });
                        }
                    }
                }
            }
        }
    }
}

fn tlsas(trust: Trust) -> Vec<Tlsa> {
    if trust == Trust::Dane { vec![Tlsa::Usable, Tlsa::Unusable, Tlsa::Absent, Tlsa::Unasked] } else { vec![Tlsa::Unasked] }
}

fn servers(start: Start) -> Vec<Server> {
    let mut servers = vec![Server::Breaks, Server::BreaksLate];
    servers.extend([Standing::Proven, Standing::FirstUse, Standing::Unchecked].map(Server::Known));
    // What a verdict can be: the others are found before a handshake, or in place of one.
    let of_a_peer = |failure: &Failure| !matches!(failure, Failure::StarttlsNotSupported | Failure::DnssecInvalid);
    servers.extend(Failure::ALL.into_iter().filter(of_a_peer).map(Server::Bad));
    if start == Start::Starttls {
        servers.extend([Server::Silent, Server::Ancient, Server::Refuses, Server::Injects]);
    }
    servers
}

/// Submits a message as `cmd/deliver` does: what DNSSEC says first, then a connection, then at most one more in plaintext.
fn play(situation: Situation) -> Outcome {
    let demand = Demand {
        policy: situation.policy,
        trust: situation.trust,
        start: situation.start,
        on_downgrade: situation.on_downgrade,
        tlsa: Tlsa::Unasked,
        request: Request::Nothing,
    };
    let mut prior = Prior { sealed_before: situation.sealed_before, failed_handshake: None };
    let mut said = Vec::new();
    let demand = match demand.of_message(if situation.waived { Request::Waive } else { Request::Nothing }).informed(situation.tlsa)
    {
        Ok(demand) => demand,
        Err(finding) => return unmet(&finding, situation, said),
    };
    loop {
        let (report, stored) = Connection::new(situation, demand, &prior).run(&mut said);
        match report.retry_in_plaintext {
            Some(finding) if prior.failed_handshake.is_none() => {
                prior.failed_handshake = Some(finding);
                said.push("/");
            }
            _ => return told(&report, stored, situation, said),
        }
    }
}

/// What the record would say; what it says of the channel is held against what the server saw.
fn told(report: &Report, stored: Option<bool>, situation: Situation, said: Vec<&'static str>) -> Outcome {
    let fate = report.outcomes[0].fate;
    assert_eq!(fate == Fate::Accepted, stored.is_some(), "the server knows best: {situation:?}");
    let Some(met) = &report.met else {
        let Some(finding) = &report.finding else {
            return Outcome { status: fate.as_str(), result: "none", failure: None, downgrade: false, said };
        };
        return Outcome { status: fate.as_str(), ..unmet(finding, situation, said) };
    };
    let result = match met.channel() {
        Channel::Verified => "verified",
        Channel::Unverified => "unverified",
        Channel::Plaintext => "plaintext",
    };
    assert_eq!(stored, Some(result != "plaintext"), "it went as it is told: {situation:?}");
    let failure = met.finding().map(|finding| finding.failure);
    Outcome { status: fate.as_str(), result, failure, downgrade: met.downgrade(), said }
}

fn unmet(finding: &Finding, situation: Situation, said: Vec<&'static str>) -> Outcome {
    let downgrade = situation.sealed_before && finding.failure == Failure::StarttlsNotSupported;
    Outcome { status: "deferred", result: "none", failure: Some(finding.failure), downgrade, said }
}

/// Client and server machine, wired to each other.
struct Connection {
    situation: Situation,
    session: Session,
    server: server::Server,
    /// What the server said and the client has not read.
    unread: Vec<u8>,
    sealed: bool,
    /// A message was taken, under TLS or not.
    stored: Option<bool>,
    /// The handshake that the client believes in is about to fail.
    doomed: bool,
    closed: bool,
}

impl Connection {
    fn new(situation: Situation, demand: Demand, prior: &Prior) -> Self {
        let choice = Choice::Only(if situation.login == Login::Scram { Mechanism::ScramSha256 } else { Mechanism::Plain });
        let secret = || Secret::new(PASSWORD.to_owned());
        let allow_unverified = situation.login == Login::PlainToAnybody;
        let credentials = Credentials { user: USER.to_owned(), secret: secret(), choice, allow_unverified, server: None };
        let logs_in = situation.login != Login::Nobody;
        let plan = Plan {
            server: "mx.test:25".to_owned(),
            lmtp: false,
            hello: "me.test".to_owned(),
            demand,
            prior: prior.clone(),
            credentials: logs_in.then_some(credentials),
            reach: situation.reach,
            nonce: [7; 18],
            batch: 100,
            keep: false,
            handover: None,
        };
        let fault = match situation.server {
            Server::Silent => Some("no-starttls"),
            Server::Ancient => Some("no-ehlo"),
            Server::Refuses => Some("starttls-454"),
            Server::Injects => Some("starttls-garbage"),
            Server::Breaks | Server::BreaksLate | Server::Known(_) | Server::Bad(_) => None,
        };
        let login = verifier::Login { user: USER.to_owned(), password: secret() };
        let entropy = verifier::Entropy { nonce: [1; 18], salt: [2; 16] };
        let server = server::Server::new(server::Settings {
            seal: if situation.start == Start::Implicit { Seal::Up } else { Seal::Offered },
            // In the clear too, to tempt.
            auth: logs_in.then_some(server::Auth { login, entropy, in_clear: true }),
            message_size: 1000,
            recipients: 10,
            faults: Faults::named(fault),
            ..server::Settings::new("mx.test")
        });
        let session = Session::new(plan, envelope(), Facts { size: TEXT.len() as u64, ..Facts::default() });
        Self { situation, session, server, unread: Vec::new(), sealed: false, stored: None, doomed: false, closed: false }
    }

    fn run(mut self, said: &mut Vec<&'static str>) -> (Report, Option<bool>) {
        if self.situation.start == Start::Starttls {
            let actions = self.server.greet();
            self.serve(actions);
        }
        for _ in 0..1000 {
            match self.session.next_action() {
                client::Action::Say => self.say(said),
                client::Action::Listen { .. } if self.doomed => self.session.unsealed_late("the server's alert"),
                client::Action::Listen { .. } if self.unread.is_empty() => {
                    assert!(self.closed, "both wait: {:?}", self.situation);
                    self.session.lost("the server closed it");
                }
                client::Action::Listen { .. } | client::Action::Glance => {
                    let bytes = std::mem::take(&mut self.unread);
                    self.session.receive(&bytes);
                }
                client::Action::Handshake => self.shake_hands(),
                client::Action::Rewind(form) => self.session.rewound(TEXT.len() as u64, form),
                client::Action::Fetch(_) => {
                    self.session.content().extend_from_slice(TEXT);
                    self.session.fetched(true);
                }
                client::Action::Idle => panic!("nobody keeps it: {:?}", self.situation),
                client::Action::Done => return (self.session.report(), self.stored),
            }
        }
        panic!("the session does not end: {:?}", self.situation);
    }

    fn say(&mut self, said: &mut Vec<&'static str>) {
        let flight = self.session.flight();
        let bytes = [flight.head, flight.content, flight.tail].concat();
        let text = String::from_utf8(bytes.clone()).unwrap();
        // After MAIL all is as ever.
        let mailed = said.iter().rev().take_while(|verb| **verb != "/").any(|verb| verb.eq_ignore_ascii_case("MAIL"));
        if !mailed {
            said.extend(text.lines().take(1).filter_map(|line| self.verb(line)));
        }
        let actions = self.server.receive(&bytes);
        if self.doomed {
            return;
        }
        self.serve(actions);
    }

    /// The verb of a line, in capitals under TLS; `None` for what is no command.
    fn verb(&self, line: &str) -> Option<&'static str> {
        const VERBS: [(&str, &str); 6] =
            [("EHLO", "ehlo"), ("HELO", "helo"), ("STARTTLS", "starttls"), ("AUTH", "auth"), ("MAIL", "mail"), ("QUIT", "quit")];
        let verb = VERBS.iter().find(|(verb, _)| line.split(' ').next() == Some(verb))?;
        Some(if self.sealed { verb.0 } else { verb.1 })
    }

    /// Does what the server wants.
    fn serve(&mut self, actions: Vec<server::Action>) {
        for action in actions {
            match action {
                server::Action::Say(octets) => self.unread.extend(octets),
                server::Action::Deliver { .. } => {
                    self.stored = Some(self.sealed);
                    let actions = self.server.stored(&Stored::Kept("1".to_owned()));
                    return self.serve(actions);
                }
                server::Action::Close => self.closed = true,
                // The client begins it.
                server::Action::Handshake | server::Action::Begin(_) | server::Action::Body(_) | server::Action::Discard => {}
                server::Action::Flood(_) | server::Action::Stall | server::Action::Ask(_) => panic!("not asked for"),
            }
        }
    }

    fn shake_hands(&mut self) {
        let verdict = match self.situation.server {
            Server::Breaks => return self.session.unsealed("the server's alert"),
            Server::BreaksLate => {
                self.doomed = true;
                Ok(Standing::Proven)
            }
            Server::Known(standing) => Ok(standing),
            Server::Bad(failure) => Err(Finding::new(failure, "the words of the library")),
            other => panic!("a handshake with a server that is {other:?}"),
        };
        self.sealed = true;
        let actions = if self.situation.start == Start::Implicit { self.server.greet() } else { self.server.sealed() };
        self.serve(actions);
        self.session.sealed(verdict, None);
    }
}

const TEXT: &[u8] = b"Subject: x\r\n\r\nhi\r\n";

fn envelope() -> Arc<Envelope> {
    static ENVELOPE: std::sync::LazyLock<Arc<Envelope>> = std::sync::LazyLock::new(|| {
        Arc::new(Envelope {
            sender: ReversePath::Address(Address::parse("me@a.test").unwrap()),
            recipients: vec![Recipient { address: Address::parse("you@b.test").unwrap(), original: None, notify: None }],
            dsn: Dsn::default(),
            request: Request::Nothing,
        })
    });
    Arc::clone(&ENVELOPE)
}
