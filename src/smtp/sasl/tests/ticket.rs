//! How does a Kerberos ticket log in, and where does it stop at a server that lies? (RFC 4752)

use super::{
    super::gssapi::{Context, Holder, NoTicket, Step as Stride, Tickets},
    *,
};

/// Tickets of nobody: a token is its text, and what is wrapped stands in brackets.
pub(super) mod pretend {
    use std::{sync::Arc, time::Duration};

    use super::*;

    /// Every context takes this many tokens of the server's, "yes" each.
    struct Pretend(Holder, u8);

    struct Conversation(u8);

    pub(in super::super) fn secret(steps: u8) -> Secret {
        let holder = Holder { principal: "u@REALM".to_owned(), lifetime: Duration::from_secs(60) };
        Secret::tickets_of(Arc::new(Pretend(holder, steps)))
    }

    impl Tickets for Pretend {
        fn holder(&self) -> &Holder {
            &self.0
        }

        fn present(&self, host: Option<&str>) -> Result<(Box<dyn Context>, Message), NoTicket> {
            let none = || NoTicket { because: "no ticket for a socket".to_owned(), hint: "get one", lasting: true };
            let first = format!("for {}", host.ok_or_else(none)?).into_bytes();
            Ok((Box::new(Conversation(self.1)), Zeroizing::new(first)))
        }
    }

    impl Context for Conversation {
        fn step(&mut self, token: &[u8]) -> Result<Stride, String> {
            if token != b"yes" {
                return Err("wrong key".to_owned());
            }
            self.0 -= 1;
            let said = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
            Ok(if self.0 == 0 { Stride::Done(said("")) } else { Stride::Continue(said("more")) })
        }

        fn unwrap(&mut self, token: &[u8]) -> Result<Message, String> {
            let text = token.strip_prefix(b"[").and_then(|token| token.strip_suffix(b"]")).ok_or("not wrapped")?;
            Ok(Zeroizing::new(text.to_vec()))
        }

        fn wrap(&mut self, text: &[u8]) -> Result<Message, String> {
            Ok(Zeroizing::new([b"[", text, b"]"].concat()))
        }
    }
}

fn ticketed(user: &str, steps: u8) -> Exchange {
    let mine = Credentials { choice: Choice::Only(Mechanism::Gssapi), ..secret(user, pretend::secret(steps)) };
    begin(Mechanism::Gssapi, &mine, &permit(false)).unwrap()
}

#[test]
fn a_ticket_is_presented_and_no_security_layer_taken_whatever_else_is_offered() {
    for (user, steps, layers) in [("", 1, 1), ("cron", 1, 7), ("cron", 2, 3)] {
        for eager in [true, false] {
            let mut client = ticketed(user, steps);
            let first = if eager { client.initial(500) } else { None };
            assert_eq!(first.unwrap_or_else(|| client.answer(b"").unwrap()).as_slice(), b"for mx.test");
            for _ in 1..steps {
                assert_eq!(client.answer(b"yes").unwrap().as_slice(), b"more");
            }
            assert_eq!(client.answer(b"yes").unwrap().as_slice(), b"", "nothing to say, and it is said");
            assert!(client.finished(None).is_err(), "success before the layers were settled");
            let choice = client.answer(&[b'[', layers, 0xff, 0xff, 0xff, b']']).unwrap();
            assert_eq!(choice.as_slice(), [b"[\x01\0\0\0", user.as_bytes(), b"]"].concat());
            assert!(client.answer(b"").is_err(), "all is said");
            assert_eq!(client.finished(None), Ok(()));
        }
    }
}

#[test]
fn a_server_that_does_not_prove_itself_or_wants_a_layer_is_not_logged_in_to() {
    type Lie<'a> = (&'a [&'a [u8]], SaslError);
    let lies: [Lie; 5] = [
        (&[b"no"], SaslError::Token("wrong key".to_owned())),
        (&[b"yes", b"\x01\0\0\0"], SaslError::Token("not wrapped".to_owned())),
        (&[b"yes", b"[\x02\0\0\0]"], SaslError::Layered),
        (&[b"yes", b"[\x06\0\x10\0]"], SaslError::Layered),
        (&[b"yes", b"[\x01\0\0]"], SaslError::Broken("its offer of security layers is not 4 octets long")),
    ];
    for (challenges, expected) in lies {
        let mut client = ticketed("cron", 1);
        assert!(client.finished(None).is_err(), "success before anything was said");
        client.initial(500).unwrap();
        assert!(client.finished(None).is_err(), "success before the server proved anything");
        let (last, before) = challenges.split_last().unwrap();
        for challenge in before {
            client.answer(challenge).unwrap();
        }
        assert_eq!(client.answer(last), Err(expected), "{challenges:?}");
        assert!(client.finished(None).is_err());
    }
}

#[test]
fn without_a_ticket_nothing_is_begun_and_it_is_told_what_to_do() {
    let mine = secret("u", pretend::secret(1));
    let mine = Credentials { choice: Choice::Only(Mechanism::Gssapi), server: None, ..mine };
    let error = begin(Mechanism::Gssapi, &mine, &permit(true)).err().unwrap();
    assert_eq!((error.to_string().as_str(), error.advice()), ("no ticket for a socket", Some("get one")));
    assert!(matches!(error, SaslError::NoTicket(NoTicket { lasting: true, .. })));
}

#[test]
fn a_token_too_long_for_the_command_waits_for_a_challenge() {
    let mut client = ticketed("cron", 1);
    assert!(client.initial(5).is_none());
    assert_eq!(client.answer(b"").unwrap().as_slice(), b"for mx.test");
}
