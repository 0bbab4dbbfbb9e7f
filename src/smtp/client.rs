//! What does a submission client say, and when? (RFC 5321, 3207, 4954, 2033; bytes in, actions out)
//!
//! The machine knows no socket and no clock: the pump does what [`Action`] says and brings back what it saw. A MAIL can't be said
//! without [`Met`], nor a secret used without the permit that `policy` makes of it.

mod ending;
mod kept;
mod opening;
mod report;
mod sealing;

use std::{borrow::Cow, sync::Arc};

pub use self::report::{Problem, Report};
pub use super::action::{Action, Flight, Wait};
use super::{
    action::Outbox,
    command,
    reply::{Capabilities, Malformed, Parser},
    sasl::{Binding, Credentials, Exchange, Mask, Mechanism},
    transaction::{Certainty, Terms, Transaction},
};
use crate::{
    error::Exit,
    mail::{
        address::ReversePath,
        content::{Facts, Form},
        envelope::{Dsn, Envelope},
        outcome::{Fate, Outcome, Reply},
        policy::{Demand, Met, Prior, Reach, Request, Start},
        tls::Finding,
        trouble::Trouble,
    },
};

const TOO_MANY: &str = "the server sent more replies than there were commands";
const UNCONFIRMED: &str = "the server's last word reads like a reply to MAIL or RCPT, and it did not confirm that nothing followed";

/// What one connection is for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server as the command line names it, for hints.
    pub server: String,
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
    /// Another message may follow: after one that leaves the dialogue in step, nothing is said before somebody decides (`Action::Idle`).
    pub keep: bool,
    /// What the server is told where it is the service of this machine.
    pub handover: Option<command::Handover>,
}

/// One connection to a smarthost, from greeting to QUIT.
pub struct Session {
    plan: Plan,
    envelope: Arc<Envelope>,
    facts: Facts,
    mask: Mask,
    parser: Parser,
    out: Outbox,
    state: State,
    server: Capabilities,
    form: Form,
    saying: bool,
    /// How certain it is, of each outcome, that the reply which decided was the one to the message.
    certainty: Vec<Certainty>,
    /// Replies too many, behind the last that was asked for.
    overheard: usize,
    /// As many of them may belong to the message before: a second answer to it that crossed this one.
    arrears: usize,
    /// MAIL was said: from then on the message met what `met` permits.
    begun: bool,
    turn: u32,
    offered: Option<bool>,
    met: Option<Met>,
    requiretls: bool,
    finding: Option<Finding>,
    auth: Option<Mechanism>,
    token_refused: bool,
    /// What a login can be bound to.
    binding: Option<Binding>,
    retry: Option<Finding>,
    unseen: bool,
    problem: Option<Problem>,
    outcomes: Option<Vec<Outcome>>,
    /// This message is not the first one of the connection.
    again: bool,
    /// How careful that one is, and whether it came to nothing; see `next`.
    wary: bool,
    spent: bool,
    /// A transaction is open at the server, and how often MAIL was said before it.
    open: bool,
    mails: u32,
    /// The server said 421: it is about to hang up.
    dismissed: bool,
}

enum State {
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
    Mail(Box<Transaction>),
    /// Every recipient has its outcome; one look whether the server said more than it was asked, then QUIT.
    Parting,
    /// Between two messages.
    Idle,
    /// The next message is there; one look whether the server said something in the meantime, then MAIL.
    Waking,
    /// RSET was said, for what the message before left open.
    Resetting,
    /// QUIT was said and its reply is waited for.
    Leaving,
    /// QUIT is on its way, or nothing more can be said.
    Ended,
}

impl Session {
    /// A session that has just been connected.
    pub fn new(plan: Plan, envelope: Arc<Envelope>, facts: Facts) -> Self {
        let implicit = plan.demand.start == Start::Implicit && plan.demand.policy.wants_tls();
        let mut session = Self {
            mask: plan.credentials.as_ref().map(Mask::new).unwrap_or_default(),
            plan,
            envelope,
            facts,
            parser: Parser::default(),
            out: Outbox::default(),
            state: if implicit { State::Handshake } else { State::Greeting },
            server: Capabilities::default(),
            form: Form::EightBit,
            saying: false,
            certainty: Vec::new(),
            overheard: 0,
            arrears: 0,
            begun: false,
            turn: 0,
            offered: None,
            met: None,
            requiretls: false,
            finding: None,
            auth: None,
            token_refused: false,
            binding: None,
            retry: None,
            unseen: false,
            problem: None,
            outcomes: None,
            again: false,
            wary: false,
            spent: false,
            open: false,
            mails: 0,
            dismissed: false,
        };
        if implicit {
            session.out.ask(Action::Handshake);
        }
        session
    }

    /// A session without a message: all that a send would do before MAIL, login included, then QUIT.
    pub fn probe(plan: Plan) -> Self {
        // Nobody writes to nobody: such a session ends where MAIL would be said.
        let nothing =
            Envelope { sender: ReversePath::Null, recipients: Vec::new(), dsn: Dsn::default(), request: Request::Nothing };
        Self::new(plan, Arc::new(nothing), Facts::default())
    }

    /// How far the policy is met so far; `None` where nothing may be sent.
    pub fn met(&self) -> Option<&Met> {
        self.met.as_ref()
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
        if self.out.queue.is_empty() {
            match self.state {
                State::Parting => self.part(),
                State::Waking => self.wake(),
                _ => {}
            }
        }
        match self.out.queue.pop_front() {
            Some(action) => {
                self.saying = action == Action::Say;
                self.begun |= self.saying && matches!(self.state, State::Mail(_));
                action
            }
            None if matches!(self.state, State::Ended) => Action::Done,
            None if self.is_idle() => Action::Idle,
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
                    let reply = self.without_secret(reply);
                    self.on_reply(&reply);
                    self.hold_in_step();
                }
                Ok(None) => return self.hold_in_step(),
                Err(_) if matches!(self.state, State::Parting | State::Leaving) => return self.overhear_noise(),
                Err(malformed) => {
                    let malformed = malformed.masked(&self.mask);
                    return self.violated(&malformed.to_string(), protocol_hint(&malformed));
                }
            }
        }
    }

    /// Whether somebody is to log in, so that a channel binding is worth its computation.
    pub fn logs_in(&self) -> bool {
        self.plan.credentials.is_some()
    }

    /// The link broke or a deadline passed.
    pub fn lost(&mut self, why: &str) {
        if matches!(self.state, State::Ended | State::Idle) {
            // All is said and answered; who hangs up first changes nothing.
            self.state = State::Ended;
            return self.out.silence();
        }
        if matches!(self.state, State::Parting | State::Leaving) {
            return self.leave_unconfirmed();
        }
        if self.is_unharmed() {
            return self.stale(why);
        }
        let hint = match &self.state {
            State::Greeting if self.met.is_none() => {
                Some("if the port speaks TLS from the first byte (465), set start = \"implicit\"".to_owned())
            }
            _ => None,
        };
        let trouble = (!matches!(self.state, State::Mail(_))).then_some(Trouble::Unreachable);
        self.stop(Problem { fate: Fate::Deferred, exit: Exit::TempFail, because: why.to_owned(), hint, reply: None, trouble });
        self.out.silence();
    }

    /// What foreign text must pass, for whoever shows or keeps it.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The secret goes before anything is cut. What a mechanism or EHLO says is read, not shown, and stays as it is.
    fn without_secret(&self, mut reply: Reply) -> Reply {
        let is_read = reply.code == 334 || (reply.is_positive() && matches!(self.state, State::Hello));
        if !is_read {
            reply.lines.iter_mut().for_each(|line| *line = self.mask.hide(line).into_owned());
            // What is left of it goes over the end of a line.
            if let Cow::Owned(folded) = self.mask.hide(&reply.lines.concat()) {
                reply.lines = vec![folded];
            }
        }
        reply
    }

    fn wait(&self) -> Wait {
        match &self.state {
            State::Greeting => Wait::Greeting,
            State::Mail(transaction) => transaction.wait(),
            State::Leaving => Wait::Quit,
            _ => Wait::Command,
        }
    }

    fn on_reply(&mut self, reply: &Reply) {
        self.dismissed |= reply.code == 421;
        match &mut self.state {
            State::Greeting => self.on_greeting(reply),
            State::Hello => self.on_hello(reply),
            State::Helo if reply.code == 250 => self.introduced(Capabilities::default()),
            State::Helo => self.rejected("HELO", reply, Exit::Unavailable),
            State::Starttls => self.on_starttls(reply),
            State::Auth { .. } => self.on_auth(reply),
            State::Mail(transaction) => {
                if self.again && reply.code == 421 && transaction.is_untouched() {
                    return self.stale(&reply.to_string());
                }
                if transaction.on_reply(reply, &mut self.out).is_err() {
                    return self.doubt(&format!("the server answered what was not asked: {reply}"));
                }
                self.close_if_over();
            }
            // A server may take its leave unasked (RFC 5321 3.8); anything else was meant for an earlier question.
            State::Parting if reply.code == 421 => {}
            State::Leaving if reply.code == 221 => self.state = State::Ended,
            State::Leaving if reply.code == 421 => self.leave_unconfirmed(),
            State::Parting | State::Leaving => self.overhear(reply),
            State::Idle | State::Waking => self.stale(&reply.to_string()),
            State::Resetting => self.on_reset(reply),
            State::Handshake | State::Ended => {}
        }
    }

    fn mail(&mut self) {
        let terms = Terms {
            envelope: Arc::clone(&self.envelope),
            facts: self.facts,
            server: self.server.clone(),
            lmtp: self.plan.lmtp,
            requiretls: self.requiretls,
            handover: self.plan.handover.clone(),
            batch: self.plan.batch,
            wary: self.wary,
        };
        self.state = State::Mail(Box::new(Transaction::begin(terms, &mut self.out)));
        self.close_if_over();
    }

    fn command(&mut self, words: &str) {
        self.out.say(command::line(words));
    }

    fn secret_command(&mut self, words: &str, shown: &'static str) {
        self.command(words);
        self.out.masked = Some(shown);
    }
}

fn protocol_hint(malformed: &Malformed) -> Option<String> {
    let Malformed::NotAReply(start) = malformed else { return None };
    let first = start.chars().next()?;
    (first.is_control()).then(|| "the port seems to speak TLS from the first byte: start = \"implicit\"".to_owned())
}
