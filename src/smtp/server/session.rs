//! Who is the client, what may it use, and is the connection sealed? (RFC 5321 4.1.1.1, 3207, 4954)

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

use super::{Action, Phase, Promise, Seal, Server, Step, command::Hello};
use crate::smtp::sasl::{
    Mechanism,
    verifier::{self, Verifier},
};

impl Server {
    pub(super) fn hello(&mut self, kind: Hello, name: String) {
        if (kind == Hello::Lhlo) != self.settings.lmtp {
            return self.mistake(if self.settings.lmtp { "500 5.5.1 say LHLO" } else { "500 5.5.1 say EHLO" });
        }
        let extended = kind != Hello::Helo;
        if extended && self.plays(Step::Ehlo) {
            return;
        }
        self.reset();
        self.hello = Some((name, extended));
        if !extended {
            return self.say(&format!("250 {}", self.settings.name));
        }
        let mut lines = vec![self.settings.name.clone()];
        lines.extend(self.keywords());
        for (index, line) in lines.iter().enumerate() {
            let mark = if index + 1 == lines.len() { ' ' } else { '-' };
            self.say(&format!("250{mark}{line}"));
        }
    }

    fn keywords(&self) -> Vec<String> {
        let plain =
            ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING", "STARTTLS", "REQUIRETLS", "XSEALPOST"];
        let mut keywords: Vec<String> = plain.iter().filter(|word| self.offers(word)).map(ToString::to_string).collect();
        keywords.extend(self.settings.faults.mangled().filter(|_| self.settings.seal == Seal::Offered).map(str::to_owned));
        keywords.push(match self.message_size() {
            // RFC 1870 section 4: no fixed maximum.
            u64::MAX => "SIZE 0".to_owned(),
            size => format!("SIZE {size}"),
        });
        if self.offers("AUTH") {
            keywords.push(format!("AUTH {}", self.mechanisms().join(" ")));
        }
        keywords
    }

    fn mechanisms(&self) -> Vec<&'static str> {
        let Some(auth) = &self.settings.auth else { return Vec::new() };
        let bindable = self.binding.is_some() && !self.settings.faults.hides("-PLUS");
        Verifier::offered(auth.login.password.kind(), bindable).map(Mechanism::name).collect()
    }

    /// Whether this client may use what belongs to `keyword`.
    pub(super) fn offers(&self, keyword: &str) -> bool {
        let faults = &self.settings.faults;
        let extended = self.hello.as_ref().is_some_and(|(_, extended)| *extended);
        let fits = match keyword {
            "STARTTLS" => self.settings.seal == Seal::Offered,
            // Whoever strips STARTTLS does it to get at the password.
            "AUTH" => self
                .settings
                .auth
                .as_ref()
                .is_some_and(|a| a.in_clear || self.settings.seal == Seal::Up || faults.hides("STARTTLS")),
            "XSEALPOST" => self.settings.private,
            "REQUIRETLS" => match self.settings.requiretls {
                Promise::Never => false,
                Promise::Sealed => self.settings.seal == Seal::Up,
                Promise::Local => true,
            },
            _ => true,
        };
        extended && fits && !faults.hides(keyword)
    }

    pub(super) fn message_size(&self) -> u64 {
        self.settings.faults.size().unwrap_or(self.settings.message_size)
    }

    pub(super) fn starttls(&mut self) {
        if !self.offers("STARTTLS") {
            return self.mistake("502 5.5.1 STARTTLS is not offered");
        }
        if self.plays(Step::Starttls) {
            return;
        }
        self.say("220 2.0.0 go ahead");
        self.trail(Step::Starttls);
        // Whatever was sent in the same write as STARTTLS may be an attacker's: it must not be answered inside TLS.
        self.input.clear();
        self.actions.push(Action::Handshake);
        self.phase = Phase::Handshaking;
    }

    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.transaction.is_some() || self.user.is_some() {
            return self.mistake("503 5.5.1 not now");
        }
        let Some(auth) = self.settings.auth.clone().filter(|_| self.offers("AUTH")) else {
            return self.mistake("502 5.5.1 AUTH is not offered");
        };
        let mechanism = Mechanism::from_name(mechanism).filter(|mechanism| self.mechanisms().contains(&mechanism.name()));
        let lie = self.settings.faults.lie();
        let verifier = mechanism.and_then(|mechanism| Verifier::new(mechanism, auth.login, auth.entropy, self.binding, lie));
        let Some(verifier) = verifier else { return self.mistake("504 5.5.4 unknown mechanism") };
        if self.plays(Step::Auth) {
            return;
        }
        let prompt = verifier.prompt();
        self.phase = Phase::Auth(Box::new(verifier));
        match initial {
            // RFC 4954 section 4: an empty initial response is said as `=`.
            Some("=") => self.response(""),
            Some(initial) => self.response(initial),
            None => self.challenge(&prompt),
        }
    }

    pub(super) fn response(&mut self, line: &str) {
        let Phase::Auth(mut verifier) = std::mem::replace(&mut self.phase, Phase::Commands) else { return };
        if line == "*" {
            return self.mistake("501 5.7.0 given up");
        }
        let Ok(response) = BASE64.decode(line).map(Zeroizing::new) else {
            return self.mistake("501 5.5.2 that is not base64");
        };
        match verifier.step(&response) {
            verifier::Step::Challenge(challenge) => {
                self.phase = Phase::Auth(verifier);
                self.challenge(&challenge);
            }
            verifier::Step::Granted => {
                self.user = self.settings.auth.as_ref().map(|auth| auth.login.user.clone());
                self.say("235 2.7.0 welcome");
            }
            verifier::Step::Denied => self.mistake("535 5.7.8 authentication failed"),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        self.say(&format!("334 {}", BASE64.encode(challenge)));
    }
}
