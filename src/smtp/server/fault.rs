//! What can a server do wrong on purpose, so that a client can show that it copes? (RFC 3207, 4954, 5321)
//!
//! Faults are data: each is one row that says at which step of the session what is said instead. The server asks the table at
//! each step, and knows no fault by name.

use crate::smtp::sasl::verifier::Lie;

/// One thing that goes wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The word on the command line.
    pub name: &'static str,
    /// What happens, for a person.
    pub about: &'static str,
    effect: Effect,
}

/// A moment in the session at which a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    Mail,
    FirstRecipient,
    Recipient,
    /// DATA or the first BDAT.
    Data,
    /// The message's own octets are next.
    Body,
    /// The message is whole and not stored yet.
    End,
    /// The message is stored, and the client waits to hear so.
    Stored,
}

/// What happens at a step instead of the right thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    /// This is said, and the command has no other effect; empty: silence.
    Answer(&'static str),
    /// This is said, and the connection closed.
    Cut(&'static str),
    /// This is said again and again.
    Flood(&'static str),
    /// Nothing is read any more.
    Stall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    At(Step, Twist),
    /// This follows the right reply to the step in the same write.
    Trail(Step, &'static str),
    /// This keyword is missing from EHLO, and what belongs to it is refused.
    Hide(&'static str),
    /// This stands in EHLO where STARTTLS should, which is refused.
    Mangle(&'static str),
    /// SIZE announces this many octets, and more are refused.
    Size(u64),
    /// Who verifies the login lies like this.
    Lie(Lie),
    /// Not the dialogue's: the listener's.
    Link(Link),
}

/// A fault of the certificate or of the transport, played by whoever holds the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The certificate is signed by itself.
    SelfSigned,
    /// The certificate has expired.
    Expired,
    /// The certificate is of next year.
    NotYetValid,
    /// The certificate is signed by an authority that nobody knows.
    UnknownAuthority,
    /// The certificate names another host.
    WrongName,
    /// The port of implicit TLS speaks plaintext.
    Plaintext,
    /// What comes instead of a TLS handshake is noise.
    Noise,
    /// What comes instead of a TLS handshake is the alert of a server that knows no TLS as new as the client's.
    Old,
    /// The TLS handshake is not answered.
    Silent,
    /// One octet at a time.
    Slow,
}

/// What a server must do, or the fault never strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Premise {
    /// Demand a login with a password.
    Login,
    /// Demand a login with an access token.
    Token,
    /// Begin TLS by STARTTLS.
    Starttls,
    /// Begin TLS before the greeting.
    Implicit,
    /// Make its certificate itself.
    OwnCertificate,
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<&'static Fault>);

impl Faults {
    /// The faults of these names, as far as there are such; see [`Fault::named`] to find out.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(Fault::named).collect())
    }

    /// The names, in the order in which they were asked for.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|fault| fault.name)
    }

    /// Whether the connection itself is to be spoilt like this.
    pub fn spoils(&self, link: Link) -> bool {
        self.0.iter().any(|fault| fault.effect == Effect::Link(link))
    }

    pub(super) fn at(&self, step: Step) -> Option<Twist> {
        self.first(|effect| match effect {
            Effect::At(when, twist) if when == step => Some(twist),
            _ => None,
        })
    }

    pub(super) fn trailing(&self, step: Step) -> Option<&'static str> {
        self.first(|effect| match effect {
            Effect::Trail(when, text) if when == step => Some(text),
            _ => None,
        })
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.first(|effect| if let Effect::Size(octets) = effect { Some(octets) } else { None })
    }

    pub(super) fn hides(&self, keyword: &str) -> bool {
        self.0.iter().any(|fault| match fault.effect {
            Effect::Hide(hidden) => hidden == keyword,
            Effect::Mangle(_) => keyword == "STARTTLS",
            _ => false,
        })
    }

    pub(super) fn mangled(&self) -> Option<&'static str> {
        self.first(|effect| if let Effect::Mangle(word) = effect { Some(word) } else { None })
    }

    pub(super) fn lie(&self) -> Option<Lie> {
        self.first(|effect| if let Effect::Lie(lie) = effect { Some(lie) } else { None })
    }

    fn first<T>(&self, pick: impl Fn(Effect) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|fault| pick(fault.effect))
    }
}

impl Fault {
    /// The fault of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.name == name)
    }

    /// What it needs; most need nothing.
    pub fn premise(&self) -> Option<Premise> {
        match self.effect {
            Effect::Lie(Lie::Token) => Some(Premise::Token),
            Effect::At(Step::Auth, _) | Effect::Lie(_) | Effect::Hide("AUTH" | "-PLUS") => Some(Premise::Login),
            Effect::At(Step::Starttls, _) | Effect::Trail(Step::Starttls, _) | Effect::Hide("STARTTLS") | Effect::Mangle(_) => {
                Some(Premise::Starttls)
            }
            Effect::Link(Link::Plaintext) => Some(Premise::Implicit),
            Effect::Link(Link::SelfSigned | Link::Expired | Link::NotYetValid | Link::UnknownAuthority | Link::WrongName) => {
                Some(Premise::OwnCertificate)
            }
            _ => None,
        }
    }
}

const fn row(name: &'static str, about: &'static str, effect: Effect) -> Fault {
    Fault { name, about, effect }
}

const fn answer(step: Step, text: &'static str) -> Effect {
    Effect::At(step, Twist::Answer(text))
}

const fn cut(step: Step, text: &'static str) -> Effect {
    Effect::At(step, Twist::Cut(text))
}

/// Every fault there is.
pub static FAULTS: [Fault; 53] = [
    row("greeting-554", "the greeting is 554, and the connection ends", cut(Step::Greeting, "554 5.3.2 no service here\r\n")),
    row("greeting-421", "the greeting is 421, and the connection ends", cut(Step::Greeting, "421 4.3.2 come back later\r\n")),
    row("silent-greeting", "no greeting ever comes", answer(Step::Greeting, "")),
    row("no-ehlo", "EHLO is refused, only HELO works", answer(Step::Ehlo, "502 5.5.1 EHLO? never heard of it\r\n")),
    row("endless-reply", "the reply to EHLO never ends", Effect::At(Step::Ehlo, Twist::Flood("250-and another thing\r\n"))),
    row("no-starttls", "STARTTLS is stripped; AUTH is offered in the clear, to tempt", Effect::Hide("STARTTLS")),
    row("mangled-starttls", "STARTTLS arrives as XXXXXXXA, as some firewalls make it", Effect::Mangle("XXXXXXXA")),
    row("no-pipelining", "PIPELINING is not offered, and refused", Effect::Hide("PIPELINING")),
    row("no-chunking", "CHUNKING is not offered, BDAT refused", Effect::Hide("CHUNKING")),
    row("no-8bitmime", "8BITMIME is not offered, BODY refused", Effect::Hide("8BITMIME")),
    row("no-smtputf8", "SMTPUTF8 is not offered, and refused", Effect::Hide("SMTPUTF8")),
    row("no-dsn", "DSN is not offered, NOTIFY and its kin refused", Effect::Hide("DSN")),
    row("no-auth", "AUTH is not offered, though a login is needed", Effect::Hide("AUTH")),
    row("tiny-size", "SIZE allows 1000 octets", Effect::Size(1000)),
    row("starttls-454", "STARTTLS is offered, then refused", answer(Step::Starttls, "454 4.7.0 TLS not available\r\n")),
    row("starttls-502", "STARTTLS is offered, then unknown", answer(Step::Starttls, "502 5.5.1 STARTTLS? never heard of it\r\n")),
    row(
        "starttls-garbage",
        "a second, unencrypted reply follows the 220 to STARTTLS (injection)",
        Effect::Trail(Step::Starttls, "250 2.0.0 injected\r\n"),
    ),
    row("starttls-close", "the connection ends after the 220 to STARTTLS", cut(Step::Starttls, "220 2.0.0 go ahead\r\n")),
    row("handshake-garbage", "noise comes instead of a TLS handshake", Effect::Link(Link::Noise)),
    row("handshake-silence", "the TLS handshake is not answered", Effect::Link(Link::Silent)),
    row("old-tls", "the server knows no TLS as new as the client's, and says so", Effect::Link(Link::Old)),
    row("self-signed", "the certificate is signed by itself", Effect::Link(Link::SelfSigned)),
    row("expired", "the certificate has expired", Effect::Link(Link::Expired)),
    row("not-yet-valid", "the certificate is valid from next year on", Effect::Link(Link::NotYetValid)),
    row("unknown-ca", "the certificate's authority is not the one that is told of", Effect::Link(Link::UnknownAuthority)),
    row("wrong-name", "the certificate is for wrong.example", Effect::Link(Link::WrongName)),
    row("plaintext-on-implicit", "the implicit TLS port speaks plaintext", Effect::Link(Link::Plaintext)),
    row("auth-535", "every login is refused for good", answer(Step::Auth, "535 5.7.8 authentication failed\r\n")),
    row("auth-454", "logging in fails for now", answer(Step::Auth, "454 4.7.0 temporary authentication failure\r\n")),
    row("auth-garbage", "the challenge of a login is no base64", answer(Step::Auth, "334 what?\r\n")),
    row("auth-hasty", "every login is granted before the server has proven anything", Effect::Lie(Lie::Hasty)),
    row("auth-endless", "the server asks on and on in a login", Effect::Lie(Lie::Endless)),
    row("bad-scram", "the server's SCRAM signature is wrong: an impostor", Effect::Lie(Lie::Signature)),
    row("scram-nonce", "the server's SCRAM nonce does not extend the client's", Effect::Lie(Lie::Nonce)),
    row("scram-few", "SCRAM with a single iteration, to guess the password from", Effect::Lie(Lie::Iterations(1))),
    row("scram-many", "SCRAM with 2000000000 iterations, to keep the client busy", Effect::Lie(Lie::Iterations(2_000_000_000))),
    row("no-plus", "SCRAM-...-PLUS is stripped from the offer, as between the two", Effect::Hide("-PLUS")),
    row("token-refused", "the right access token is refused", Effect::Lie(Lie::Token)),
    row("mail-451", "MAIL is deferred", answer(Step::Mail, "451 4.3.0 not now\r\n")),
    row("mail-550", "MAIL is refused", answer(Step::Mail, "550 5.7.1 sender refused\r\n")),
    row("rcpt-451", "the first recipient of each message is deferred", answer(Step::FirstRecipient, "451 4.2.1 mailbox busy\r\n")),
    row("rcpt-550", "the first recipient of each message is refused", answer(Step::FirstRecipient, "550 5.1.1 no such user\r\n")),
    row("rcpt-550-all", "every recipient is refused", answer(Step::Recipient, "550 5.1.1 no such user\r\n")),
    row("data-421", "DATA or BDAT is answered by 421, and the connection ends", cut(Step::Data, "421 4.3.2 shutting down\r\n")),
    row("data-452", "the whole message is deferred after its last octet", answer(Step::End, "452 4.3.1 disk full\r\n")),
    row("data-554", "the whole message is refused after its last octet", answer(Step::End, "554 5.6.0 not this content\r\n")),
    row("drop-after-dot", "the message is kept, but the connection ends before the 250", cut(Step::Stored, "")),
    row("half-reply", "the message is kept, but only \"25\" of the 250 arrives", cut(Step::Stored, "25")),
    row("reply-354-after-dot", "the message is kept, but answered with 354", answer(Step::Stored, "354 go on\r\n")),
    row("unsolicited", "a 250 that nobody asked for follows the one to MAIL", Effect::Trail(Step::Mail, "250 2.1.5 ok\r\n")),
    row("stop-reading", "nothing is read of the message", Effect::At(Step::Body, Twist::Stall)),
    row("slow", "replies come one octet at a time, ten a second", Effect::Link(Link::Slow)),
    row("greeting-twice", "a second 220 line follows the greeting", Effect::Trail(Step::Greeting, "220 and welcome again\r\n")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_is_explained_within_a_line() {
        for (index, fault) in FAULTS.iter().enumerate() {
            assert!(FAULTS.iter().skip(index + 1).all(|other| other.name != fault.name && other.effect != fault.effect));
            assert_eq!(Fault::named(fault.name), Some(fault));
            assert!(fault.name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'), "{}", fault.name);
            assert!(fault.about.len() < 72, "{}", fault.about);
        }
    }
}
