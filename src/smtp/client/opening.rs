//! How does a session come to the point where it may send? (greeting, EHLO, STARTTLS, AUTH; RFC 5321 3.1, 3207, 4954)

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Problem, Session, State};
use crate::{
    error::Exit,
    mail::{
        address::ReversePath,
        outcome::{Fate, Reply},
        policy::{self, Next, SecretRule},
        tls::Finding,
        trouble::Trouble,
    },
    smtp::{
        action::Action,
        reply::Capabilities,
        sasl::{self, Exchange, SaslError, Setting},
    },
};

/// A command line, CRLF included (RFC 5321 4.5.3.1.4); an initial response that makes AUTH longer waits for a challenge.
const LONGEST_LINE: usize = 512;
/// Most 334 challenges of one AUTH; the longest mechanism needs three.
const CHALLENGES: u8 = 8;

impl Session {
    pub(super) fn on_greeting(&mut self, reply: &Reply) {
        match reply.code {
            220 if self.is_among_ourselves() => self.state = State::Hello,
            220 => self.hello(),
            _ if reply.is_positive() || reply.code / 100 == 3 => self.violated(&format!("the server greeted with {reply}"), None),
            _ => self.rejected("the connection", reply, Exit::Unavailable),
        }
    }

    /// Whether the peer is the service of this machine: it reads what was said before it greeted, and each wait is two switches of
    /// processes, so EHLO does not wait for the greeting (as it would have to elsewhere, RFC 5321 4.3.1).
    pub(super) fn is_among_ourselves(&self) -> bool {
        self.plan.handover.is_some()
    }

    pub(super) fn hello(&mut self) {
        self.state = State::Hello;
        self.say_hello();
    }

    pub(super) fn say_hello(&mut self) {
        let verb = if self.plan.lmtp { "LHLO" } else { "EHLO" };
        self.command(&format!("{verb} {}", self.plan.hello));
    }

    pub(super) fn on_hello(&mut self, reply: &Reply) {
        let understood = reply.code == 250;
        if understood {
            return self.introduced(Capabilities::of(reply));
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
    pub(super) fn introduced(&mut self, server: Capabilities) {
        let starttls = server.starttls;
        self.server = server;
        if self.met.is_some() {
            return self.permitted();
        }
        self.offered = Some(starttls);
        match policy::after_ehlo(self.plan.demand, starttls, &self.plan.prior) {
            Next::Seal => {
                self.state = State::Starttls;
                self.command("STARTTLS");
            }
            Next::Clear(met) => {
                self.met = Some(met);
                self.permitted();
            }
            Next::Stop(finding) => self.unmet(finding),
        }
    }

    pub(super) fn on_starttls(&mut self, reply: &Reply) {
        if reply.code == 220 {
            if !self.parser.is_empty() {
                return self.injected();
            }
            self.state = State::Handshake;
            self.out.ask(Action::Handshake);
            return;
        }
        match policy::after_refusal(self.plan.demand, &self.mask.hide(&reply.to_string()), &self.plan.prior) {
            Next::Seal => self.violated("policy asked for STARTTLS twice", None),
            Next::Clear(met) => {
                self.met = Some(met);
                self.permitted();
            }
            Next::Stop(finding) => self.unmet(finding),
        }
    }

    /// The policy is met: is there more to ask of the server than that? Before the login, for nothing would follow it.
    pub(super) fn permitted(&mut self) {
        let Some(met) = &self.met else { return };
        // A session without a message stands for those that have a sender.
        let bounce = self.envelope.sender == ReversePath::Null && !self.envelope.recipients.is_empty();
        match policy::may_require_tls(self.plan.demand, met, self.server.requiretls, bounce) {
            Ok(requiretls) => {
                self.requiretls = requiretls;
                self.authenticate();
            }
            Err(why) => self.unpromised(why),
        }
    }

    pub(super) fn authenticate(&mut self) {
        let (Some(credentials), Some(met), None) = (&self.plan.credentials, &self.met, self.auth) else { return self.mail() };
        let rule = SecretRule {
            allow_unverified: credentials.allow_unverified,
            explicit_mechanism: matches!(credentials.choice, sasl::Choice::Only(_)),
        };
        let permit = match policy::may_authenticate(met, self.plan.reach, rule) {
            Ok(permit) => permit,
            Err(why) => return self.unsafe_secret(why),
        };
        let offered: Vec<&str> = self.server.auth.iter().map(String::as_str).collect();
        let setting = Setting { offered: &offered, permit: &permit, binding: self.binding, nonce: &self.plan.nonce };
        match Exchange::begin(credentials, &setting) {
            Ok((mechanism, mut exchange)) => {
                let mut words = Zeroizing::new(format!("AUTH {}", mechanism.name()));
                let room = LONGEST_LINE - words.len() - " \r\n".len();
                if let Some(initial) = exchange.initial(room / 4 * 3) {
                    words.push(' ');
                    words.push_str(&encode(&initial));
                }
                self.state = State::Auth { mechanism, exchange: Box::new(exchange), challenges: 0 };
                self.secret_command(&words, "AUTH ***");
            }
            Err(error @ SaslError::NotPermitted(_)) => self.unsafe_secret(&error.to_string()),
            Err(error) => {
                // Nobody refused anything where a ticket is missing; another one may be there soon.
                let (fate, exit) = match &error {
                    SaslError::NoTicket(why) if why.lasting => (Fate::Deferred, Exit::NoPerm),
                    SaslError::NoTicket(_) => (Fate::Deferred, Exit::TempFail),
                    _ => (Fate::Refused, Exit::NoPerm),
                };
                let (because, hint) = (error.to_string(), error.advice().map(str::to_owned));
                let trouble = Some(if fate == Fate::Refused { Trouble::LoginRefused } else { Trouble::Unusable });
                self.stop(Problem { fate, exit, because, hint, reply: None, trouble });
            }
        }
    }

    pub(super) fn on_auth(&mut self, reply: &Reply) {
        let State::Auth { mechanism, exchange, challenges } = &mut self.state else { return };
        let mechanism = *mechanism;
        if reply.code == 334 {
            *challenges += 1;
            if *challenges > CHALLENGES {
                return self.violated("the server asks on and on in AUTH", None);
            }
            let answer = STANDARD
                .decode(reply.text().trim())
                .map_err(|_| SaslError::Broken("the challenge is not base64"))
                .and_then(|challenge| exchange.answer(&challenge));
            return match answer {
                Ok(answer) => self.secret_command(&Zeroizing::new(STANDARD.encode(&answer)), "***"),
                Err(error) => self.untrue_server(&error),
            };
        }
        match reply.code {
            235 => match exchange.finished(None) {
                Ok(()) => {
                    self.auth = Some(mechanism);
                    self.mail();
                }
                Err(error) => self.untrue_server(&error),
            },
            _ if reply.is_positive() || reply.code / 100 == 3 => {
                self.violated(&format!("the server ended AUTH with {reply}"), None);
            }
            _ => self.rejected(&format!("the login by {}", mechanism.name()), reply, Exit::NoPerm),
        }
    }
}

/// Base64; an initial response of no octets is said as "=" (RFC 4954 4).
fn encode(initial: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(if initial.is_empty() { "=".to_owned() } else { STANDARD.encode(initial) })
}
