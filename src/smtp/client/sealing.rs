//! What comes of a handshake, done, failed or spoilt? (RFC 3207)

use super::{Session, State};
use crate::{
    mail::{
        policy::{self, Start},
        tls::{Failure, Finding, Verdict},
    },
    smtp::{
        reply::{Capabilities, Parser},
        sasl::Binding,
    },
};

impl Session {
    /// The handshake is done; this is what trust says of the peer, and what a login can be bound to.
    pub fn sealed(&mut self, verdict: Verdict, binding: Option<Binding>) {
        self.parser = Parser::default();
        self.binding = binding;
        // All that was learnt in plaintext is forgotten (RFC 3207 4.2).
        self.server = Capabilities::default();
        match policy::judge(self.plan.demand, verdict) {
            Ok(met) => self.met = Some(met),
            Err(finding) => return self.distrusted(finding),
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
        if policy::may_retry_in_plaintext(self.plan.demand) {
            self.retry = Some(finding.clone());
        }
        self.unmet(finding);
        self.out.silence();
    }

    /// The library ended the handshake because it does not believe the certificate, and did not show it. What policy makes of such
    /// a server is for a connection on which it is seen.
    pub fn unseen(&mut self, finding: Finding) {
        self.unseen = true;
        self.unmet(finding);
        self.out.silence();
    }

    /// TLS broke. Before the server's first word under it that is a handshake that failed: a TLS 1.3 server that wants a
    /// certificate of ours says so only then (RFC 8446 4.4.2.4).
    pub fn unsealed_late(&mut self, detail: &str) {
        let first = matches!(self.state, State::Greeting | State::Hello);
        if first { self.unsealed(detail) } else { self.lost(&format!("connection lost: TLS: {detail}")) }
    }

    /// Plaintext waits behind the 220 of STARTTLS: it would be taken for a reply inside TLS (RFC 3207 6). Never sent, never retried
    /// in plaintext: somebody interferes.
    pub fn injected(&mut self) {
        self.unmet(Finding::new(Failure::ValidationFailure, "plaintext behind the reply to STARTTLS: somebody interferes"));
        self.abandon();
    }
}
