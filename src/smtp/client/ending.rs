//! How does a session end, and what does that mean for its recipients? (RFC 5321 3.8, 4.2; RFC 3207 6)

use super::{Problem, Session, State, TOO_MANY, UNCONFIRMED};
use crate::{
    error::Exit,
    mail::{
        outcome::{Fate, Outcome, Reply},
        policy::{self, Channel, Request, Unpromised},
        tls::{Failure, Finding},
        trouble::Trouble,
    },
    smtp::{
        action::Action,
        advice, command,
        sasl::{Kind, SaslError},
        transaction::Certainty,
    },
};

impl Session {
    /// The server could not prove that it knows the secret, or breaks the mechanism: it is not who it claims to be.
    pub(super) fn untrue_server(&mut self, error: &SaslError) {
        let otherwise = "this is not the server that knows your password, or it is broken; check the host and its certificate";
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: Exit::NoPerm,
            because: format!("the server's side of the login does not hold: {error}"),
            hint: Some(error.advice().unwrap_or(otherwise).to_owned()),
            reply: None,
            trouble: Some(Trouble::LoginRefused),
        });
        self.abandon();
    }

    pub(super) fn unsafe_secret(&mut self, why: &str) {
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: Exit::TempFail,
            because: format!("not logging in: {why}"),
            hint: Some(self.advice_on_peer(
                "make the server's certificate trusted (ca_file, or trust = \"pin\" with the digest in the log), or set allow_unverified = true",
            )),
            reply: None,
            trouble: Some(Trouble::TlsUnmet),
        });
    }

    /// The server would not pass the message on as the account wants it. Deferred like any TLS that is not met, and not refused as
    /// RFC 8689 4.2.1 has a relay do in the end: so the fallbacks are tried before the caller hears of it. Where it was the message that
    /// asked, and not the account, that is for good then: there is nothing to be mended here.
    pub(super) fn unpromised(&mut self, why: Unpromised) {
        let is_of_message = self.envelope.request == Request::Require;
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: if is_of_message { Exit::Unavailable } else { Exit::TempFail },
            because: why.because().to_owned(),
            hint: Some(self.advice_on_peer(why.advice())),
            reply: None,
            trouble: Some(Trouble::Unpromised(why)),
        });
    }

    /// A reply never answers a later command: while something is about to be said, nothing may be left over.
    pub(super) fn hold_in_step(&mut self) {
        let about_to_speak = !self.out.queue.is_empty() && !matches!(self.state, State::Ended);
        if !about_to_speak || self.parser.is_empty() {
            return;
        }
        match &mut self.state {
            // What is too many now is looked at on the way out.
            State::Parting => {}
            State::Mail(transaction) if transaction.is_between_batches() => {
                transaction.lost(Exit::Protocol, &mut self.out);
                self.close_if_over();
                let (fate, exit, because) = (Fate::Deferred, Exit::Protocol, TOO_MANY.to_owned());
                self.problem = Some(Problem { fate, exit, because, hint: None, reply: None, trouble: None });
            }
            _ => self.doubt(TOO_MANY),
        }
    }

    /// Replies and commands don't match: which reply was the answer to the message, or to that of an earlier batch, nobody can say, but
    /// where the dialogue was in step at that time.
    pub(super) fn doubt(&mut self, what: &str) {
        self.violated(what, None);
        for (outcome, certainty) in self.outcomes.iter_mut().flatten().zip(&self.certainty) {
            if outcome.fate == Fate::Accepted && *certainty != Certainty::Certain {
                outcome.fate = Fate::Unknown;
                outcome.exit = Exit::TempFail;
            }
        }
    }

    /// A reply too many, when all is answered; see [`Certainty`] for what it changes.
    pub(super) fn overhear(&mut self, reply: &Reply) {
        self.overheard += 1;
        // A server may say one for each recipient, of this message and of the one before; no end of them is waited for.
        let is_endless = self.overheard > self.certainty.len().max(1) + self.arrears;
        if self.is_disputable() && (reply.code != 250 || is_endless) {
            self.doubt(TOO_MANY);
        }
    }

    /// What comes when all is answered is no reply at all.
    pub(super) fn overhear_noise(&mut self) {
        if self.is_disputable() {
            return self.doubt(UNCONFIRMED);
        }
        self.state = State::Ended;
        self.out.silence();
    }

    /// The server is gone, or goes, without a goodbye.
    pub(super) fn leave_unconfirmed(&mut self) {
        let is_half_said = !self.parser.is_empty() && self.is_disputable();
        if self.is_unsure() || is_half_said {
            return self.doubt(UNCONFIRMED);
        }
        self.state = State::Ended;
        self.out.silence();
    }

    /// Whether a success counts only once the server has said goodbye.
    pub(super) fn is_unsure(&self) -> bool {
        self.accepted().any(|certainty| certainty == Certainty::Unsure)
    }

    /// Whether there is a success of which more replies than there should be may change what is known.
    fn is_disputable(&self) -> bool {
        self.accepted().any(|certainty| certainty != Certainty::Certain)
    }

    fn accepted(&self) -> impl Iterator<Item = Certainty> {
        let outcomes = self.outcomes.iter().flatten().zip(&self.certainty);
        outcomes.filter(|(outcome, _)| outcome.fate == Fate::Accepted).map(|(_, certainty)| *certainty)
    }

    pub(super) fn close_if_over(&mut self) {
        let State::Mail(transaction) = &self.state else { return };
        if !transaction.is_closed() {
            return;
        }
        let outcomes = transaction.outcomes();
        if let Some(problem) = transaction.problem() {
            let gravest = outcomes.iter().find(|o| o.reply.is_none() && o.fate != Fate::Accepted);
            let (fate, exit) = gravest.map_or((Fate::Deferred, Exit::TempFail), |o| (o.fate, o.exit));
            self.problem = Some(Problem { fate, exit, because: problem.to_owned(), hint: None, reply: None, trouble: None });
        }
        let in_step = transaction.is_in_step();
        self.certainty = transaction.certainty();
        self.open = transaction.is_open();
        self.mails += transaction.mails();
        self.outcomes = Some(outcomes);
        self.state = if in_step { State::Parting } else { State::Ended };
        if in_step {
            self.out.ask(Action::Glance);
        }
    }

    /// What to do where a peer is not verified that must be: where trust is of first use a person can vouch for its key.
    fn advice_on_peer(&self, otherwise: &str) -> String {
        let is_unverified = self.met.as_ref().is_some_and(|met| met.channel() == Channel::Unverified);
        if self.plan.demand.trusts_first_use() && is_unverified {
            return policy::advice_on_key(&self.plan.server);
        }
        otherwise.to_owned()
    }

    /// The peer is not who the account trusts.
    pub(super) fn distrusted(&mut self, finding: Finding) {
        let hint = self.plan.demand.trusts_first_use().then(|| policy::advice_on_key(&self.plan.server));
        self.unmet(finding);
        if let (Some(problem), Some(_)) = (&mut self.problem, &hint) {
            problem.hint = hint;
        }
    }

    /// The policy of the account is not met: nothing is sent, and it may work later.
    pub(super) fn unmet(&mut self, finding: Finding) {
        let is_stripped = finding.failure == Failure::StarttlsNotSupported && self.plan.prior.sealed_before;
        let hint = if is_stripped {
            policy::advice_on_downgrade(self.plan.demand, &self.plan.server)
        } else {
            finding.failure.advice().to_owned()
        };
        self.stop(Problem {
            fate: Fate::Deferred,
            exit: Exit::TempFail,
            because: format!("TLS policy \"{}\" not met: {finding}", self.plan.demand.policy.as_str()),
            hint: Some(hint),
            reply: None,
            trouble: Some(Trouble::TlsUnmet),
        });
        self.met = None;
        self.finding = Some(finding);
    }

    pub(super) fn rejected(&mut self, what: &str, reply: &Reply, permanent: Exit) {
        let (fate, exit) = if reply.is_permanent() { (Fate::Refused, permanent) } else { (Fate::Deferred, Exit::TempFail) };
        let reply = reply.shortened();
        let because = format!("the server refused {what}: {reply}");
        let hint = advice::after_refusal(&reply).filter(|_| !matches!(self.state, State::Auth { .. })).map(str::to_owned);
        let is_login = matches!(self.state, State::Auth { .. }) && reply.is_permanent();
        let trouble = Some(if is_login { Trouble::LoginRefused } else { Trouble::Busy });
        self.stop(Problem { fate, exit, because, hint, reply: Some(reply), trouble });
    }

    pub(super) fn violated(&mut self, what: &str, hint: Option<String>) {
        if self.is_mistaken_for_another() {
            return self.stale(what);
        }
        let is_early = self.outcomes.is_none() && !matches!(self.state, State::Mail(_));
        let trouble = is_early.then_some(Trouble::Broken);
        self.stop(Problem { fate: Fate::Deferred, exit: Exit::Protocol, because: what.to_owned(), hint, reply: None, trouble });
        self.abandon();
    }

    /// Ends the session with what is known; QUIT is said where the dialogue is in step.
    pub(super) fn stop(&mut self, mut problem: Problem) {
        self.explain_login(&mut problem);
        if let State::Mail(transaction) = &mut self.state {
            transaction.lost(problem.exit, &mut self.out);
            self.outcomes = Some(transaction.outcomes());
            self.certainty = transaction.certainty();
        }
        let in_step = matches!(
            self.state,
            State::Hello | State::Helo | State::Starttls | State::Auth { .. } | State::Waking | State::Resetting
        ) && self.parser.is_empty();
        let hung_up = problem.reply.as_ref().is_some_and(|r| r.code == 421);
        self.problem = Some(problem);
        self.state = State::Ended;
        if in_step && !hung_up {
            self.farewell();
        }
    }

    /// Where it is a login that ends: what the server said within it, what can be done, and whether it was the token.
    fn explain_login(&mut self, problem: &mut Problem) {
        let State::Auth { mechanism, exchange, .. } = &self.state else { return };
        let complaint = exchange.complaint();
        if let Some(complaint) = complaint {
            problem.because.push_str(&format!("; it gave as reason: {}", complaint.shown(&self.mask)));
        }
        let refused = complaint.is_some() || problem.reply.as_ref().is_some_and(Reply::is_permanent);
        self.token_refused = refused && mechanism.takes() == Kind::Token;
        if problem.hint.is_none() {
            problem.hint = advice::after_login(*mechanism, problem.reply.as_ref(), complaint).map(str::to_owned);
        }
    }

    pub(super) fn abandon(&mut self) {
        self.close_if_over();
        self.state = State::Ended;
        self.out.silence();
    }

    /// Rests until the next message, or says QUIT, as it does where there was a reply too many, or half of one.
    pub(super) fn part(&mut self) {
        let is_in_step = self.overheard == 0 && self.parser.is_empty();
        if is_in_step && self.may_rest() {
            self.state = State::Idle;
            return;
        }
        let wants_goodbye = self.is_unsure() || (!is_in_step && self.is_disputable());
        self.state = if wants_goodbye { State::Leaving } else { State::Ended };
        self.farewell();
    }

    /// QUIT is said and its reply is not waited for: what it could say changes nothing.
    pub(super) fn farewell(&mut self) {
        self.out.say(command::line("QUIT"));
    }

    pub(super) fn undecided(&self) -> Vec<Outcome> {
        let (fate, exit, reply) = match &self.problem {
            Some(problem) => (problem.fate, problem.exit, problem.reply.clone()),
            None => (Fate::Deferred, Exit::TempFail, None),
        };
        let outcome = |address: &crate::mail::address::Address| Outcome {
            recipient: address.clone(),
            fate,
            exit,
            reply: reply.clone(),
            server: None,
        };
        self.envelope.recipients.iter().map(|recipient| outcome(&recipient.address)).collect()
    }
}
