//! Does each mechanism say what its RFC wants, and stop at a lying server?

use proptest::prelude::*;

use super::{
    gssapi::{Context, Holder, NoTicket, Step as Stride, Tickets},
    verifier::{Entropy, Lie, Login, Step, Verifier},
    *,
};
use crate::mail::{
    policy::{
        AuthPermit, Demand, Met, Next, OnDowngrade, Policy, Prior, Reach, Request, SecretRule, Start, Tlsa, Trust, after_ehlo,
        judge, may_authenticate,
    },
    tls::{Failure, Finding, Standing, Verdict},
};

const ENTROPY: Entropy = Entropy { nonce: [7; 18], salt: [9; 16] };

fn met(verdict: Verdict) -> Met {
    let demand = Demand {
        policy: Policy::Opportunistic,
        trust: Trust::System,
        start: Start::Starttls,
        on_downgrade: OnDowngrade::Warn,
        tlsa: Tlsa::Unasked,
        request: Request::Nothing,
    };
    judge(demand, verdict).unwrap()
}

fn permit(verified: bool) -> AuthPermit {
    let verdict = if verified { Ok(Standing::Proven) } else { Err(Finding::new(Failure::CertificateNotTrusted, "")) };
    may_authenticate(&met(verdict), Reach::Network, SecretRule { allow_unverified: false, explicit_mechanism: false }).unwrap()
}

fn credentials(user: &str, password: &str) -> Credentials {
    secret(user, Secret::new(password.to_owned()))
}

fn secret(user: &str, secret: Secret) -> Credentials {
    let server = Some(("mx.test".to_owned(), 587));
    Credentials { user: user.to_owned(), secret, choice: Choice::Auto, allow_unverified: false, server }
}

fn login(user: &str, password: &str) -> Login {
    Login { user: user.to_owned(), password: Secret::new(password.to_owned()) }
}

/// The exchange of a server that offers nothing but `mechanism`.
fn begin(mechanism: Mechanism, mine: &Credentials, permit: &AuthPermit) -> Result<Exchange, SaslError> {
    let setting = Setting { offered: &[mechanism.name()], permit, binding: mechanism.binds().then_some(CHANNEL), nonce: &[1; 18] };
    Exchange::begin(mine, &setting).map(|(_, exchange)| exchange)
}

const CHANNEL: Binding = [5; 32];

/// Lets client and server talk to the end; whether the server granted it and what the client says of that.
fn talk(client: &mut Exchange, mut server: Verifier, eager: bool) -> (bool, Result<(), SaslError>) {
    let mut step = match if eager { client.initial(500) } else { None } {
        Some(message) => server.step(&message),
        None => Step::Challenge(server.prompt()),
    };
    for _ in 0..10 {
        match step {
            Step::Challenge(challenge) => match client.answer(&challenge) {
                Ok(message) => step = server.step(&message),
                Err(error) => return (false, Err(error)),
            },
            Step::Granted => return (true, client.finished(None)),
            Step::Denied => return (false, Ok(())),
        }
    }
    panic!("they talk and talk");
}

/// Both sides with one mechanism; the server's side knows `login`.
fn meet(mechanism: Mechanism, mine: &Credentials, login: Login, lie: Option<Lie>, eager: bool) -> (bool, Result<(), SaslError>) {
    let mut client = begin(mechanism, mine, &permit(true)).unwrap();
    let binding = mechanism.binds().then_some(CHANNEL);
    talk(&mut client, Verifier::new(mechanism, login, ENTROPY, binding, lie).unwrap(), eager)
}

/// Offered, the account's choice, its secret, whether the server is verified, whether TLS can be bound to, what is chosen.
type Case<'a> = (&'a [&'a str], Choice, Kind, bool, bool, Result<Mechanism, SaslError>);

#[test]
fn the_strongest_mechanism_that_server_secret_and_connection_allow_is_chosen() {
    use Kind::{Nothing, Password, Ticket, Token};
    use Mechanism::*;
    let (auto, only) = (Choice::Auto, Choice::Only);
    let none = |offered: &str, lacks| Err(SaslError::NotOffered { offered: offered.to_owned(), lacks });
    let all = Mechanism::BEST_FIRST.map(Mechanism::name);
    let hidden = SaslError::NotPermitted;
    let cases: [Case; 38] = [
        (&all, auto, Password, true, true, Ok(ScramSha256Plus)),
        (&all, auto, Password, true, false, Ok(ScramSha256)),
        (&all, auto, Password, false, true, Ok(ScramSha256Plus)),
        (&all, auto, Token, true, true, Ok(OauthBearer)),
        (&all, auto, Token, false, true, Err(hidden(OauthBearer))),
        (&["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"], auto, Password, true, true, Ok(ScramSha1Plus)),
        (&["SCRAM-SHA-1", "PLAIN", "CRAM-MD5"], auto, Password, true, true, Ok(ScramSha1)),
        (&["PLAIN", "LOGIN", "SCRAM-SHA-256"], auto, Password, true, false, Ok(ScramSha256)),
        (&["CRAM-MD5", "LOGIN", "plain"], auto, Password, true, false, Ok(Plain)),
        (&["CRAM-MD5", "LOGIN"], auto, Password, true, false, Ok(Login)),
        (&["CRAM-MD5"], auto, Password, true, false, Ok(CramMd5)),
        // What is shown to nobody unverified makes room for what shows nothing.
        (&["LOGIN", "PLAIN", "CRAM-MD5"], auto, Password, false, false, Ok(CramMd5)),
        (&["LOGIN", "PLAIN", "scram-sha-256"], auto, Password, false, false, Ok(ScramSha256)),
        (&["LOGIN", "PLAIN"], auto, Password, false, false, Err(hidden(Plain))),
        (&["LOGIN", "XOAUTH2"], auto, Token, true, false, Ok(Xoauth2)),
        (&["LOGIN", "XOAUTH2"], auto, Password, true, false, Ok(Login)),
        (&["XOAUTH2"], auto, Password, true, false, none("XOAUTH2", Some(Token))),
        (&["PLAIN"], auto, Token, true, false, none("PLAIN", Some(Password))),
        (&["GSSAPI", "EXTERNAL"], auto, Password, true, false, none("GSSAPI EXTERNAL", None)),
        (&[], auto, Password, true, false, none("", None)),
        // Bound to what can't be bound to.
        (&["SCRAM-SHA-256-PLUS"], auto, Password, true, false, Err(SaslError::Unbindable(ScramSha256Plus))),
        (&["SCRAM-SHA-256-PLUS", "PLAIN"], auto, Password, false, false, Err(hidden(Plain))),
        (
            &["SCRAM-SHA-256-PLUS", "PLAIN"],
            only(ScramSha256Plus),
            Password,
            true,
            false,
            Err(SaslError::Unbindable(ScramSha256Plus)),
        ),
        // One that is named is taken, or none.
        (&all, only(ScramSha1), Password, true, true, Ok(ScramSha1)),
        (&all, only(CramMd5), Password, false, true, Ok(CramMd5)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Plain), Password, true, false, Ok(Plain)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Plain), Password, false, false, Err(hidden(Plain))),
        (&["PLAIN"], only(ScramSha256), Password, true, false, none("PLAIN", None)),
        (&["OAUTHBEARER", "XOAUTH2"], only(Xoauth2), Token, true, false, Ok(Xoauth2)),
        (&["OAUTHBEARER"], only(OauthBearer), Token, false, false, Err(hidden(OauthBearer))),
        // A certificate shows no secret.
        (&["PLAIN", "EXTERNAL"], only(External), Nothing, true, false, Ok(External)),
        (&["PLAIN", "EXTERNAL"], only(External), Nothing, false, false, Ok(External)),
        (&["PLAIN"], only(External), Nothing, true, false, none("PLAIN", None)),
        // Nor does a ticket.
        (&["PLAIN", "GSSAPI"], only(Gssapi), Ticket, true, false, Ok(Gssapi)),
        (&["PLAIN", "gssapi"], only(Gssapi), Ticket, false, false, Ok(Gssapi)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Gssapi), Ticket, true, true, none("PLAIN SCRAM-SHA-256", None)),
        (&["GSSAPI"], auto, Token, true, false, none("GSSAPI", None)),
        (
            &["GSSAPI"],
            only(Gssapi),
            Password,
            true,
            false,
            Err(SaslError::Unfit("the mechanism takes a Kerberos ticket and no secret")),
        ),
    ];
    for (offered, choice, kind, verified, bindable, expected) in cases {
        let permit = permit(verified);
        let chosen = choose(&Terms { offered, choice, kind, permit: &permit, bindable });
        assert_eq!(chosen, expected, "{offered:?} {choice:?} {kind:?} verified: {verified} bindable: {bindable}");
    }
}

#[test]
fn what_is_in_the_clear_shows_no_certificate() {
    let demand = Demand {
        policy: Policy::Off,
        trust: Trust::System,
        start: Start::Starttls,
        on_downgrade: OnDowngrade::Warn,
        tlsa: Tlsa::Unasked,
        request: Request::Nothing,
    };
    let Next::Clear(met) = after_ehlo(demand, false, &Prior::default()) else { panic!() };
    let rule = SecretRule { allow_unverified: false, explicit_mechanism: true };
    let permit = may_authenticate(&met, Reach::Local, rule).unwrap();
    let choice = Choice::Only(Mechanism::External);
    let terms = Terms { offered: &["EXTERNAL"], choice, kind: Kind::Nothing, permit: &permit, bindable: false };
    assert!(matches!(choose(&terms), Err(SaslError::Unfit(_))));
}

#[test]
fn an_exchange_that_would_show_the_secret_can_not_even_be_made_without_permission() {
    for mechanism in Mechanism::BEST_FIRST {
        let mine = match mechanism.takes() {
            Kind::Password => credentials("u", "p"),
            Kind::Token => secret("u", Secret::token("t".to_owned())),
            Kind::Ticket => Credentials { choice: Choice::Only(mechanism), ..secret("u", pretend::secret(1)) },
            Kind::Nothing => Credentials { choice: Choice::Only(mechanism), ..secret("u", Secret::nothing()) },
        };
        assert_eq!(begin(mechanism, &mine, &permit(false)).is_ok(), !mechanism.shows_secret(), "{mechanism:?}");
        assert!(begin(mechanism, &mine, &permit(true)).is_ok(), "{mechanism:?}");
    }
}

#[test]
fn the_right_secret_is_granted_and_a_wrong_one_denied_in_every_mechanism() {
    for mechanism in Verifier::offered(Kind::Password, true) {
        for eager in [true, false] {
            let mine = credentials("cron,=\u{e9}", "p\u{e9}ncil");
            let meet = |user, password| meet(mechanism, &mine, login(user, password), None, eager);
            assert_eq!(meet("cron,=\u{e9}", "p\u{e9}ncil"), (true, Ok(())), "{mechanism:?}");
            assert!(!meet("cron,=\u{e9}", "pencil").0, "{mechanism:?}");
            assert!(!meet("other", "p\u{e9}ncil").0, "{mechanism:?}");
        }
    }
    for mechanism in Verifier::offered(Kind::Token, true) {
        for eager in [true, false] {
            let token = |text: &str| Secret::token(text.to_owned());
            let mine = secret("me@a.test", token("ya29.x-_~+/="));
            let meet =
                |user: &str, text| meet(mechanism, &mine, Login { user: user.to_owned(), password: token(text) }, None, eager);
            assert_eq!(meet("me@a.test", "ya29.x-_~+/="), (true, Ok(())), "{mechanism:?}");
            assert!(!meet("me@a.test", "ya29").0, "{mechanism:?}");
            assert!(!meet("other", "ya29.x-_~+/=").0, "{mechanism:?}");
        }
    }
}

#[test]
fn a_server_that_lies_is_not_believed() {
    let shows_nothing = |m: &Mechanism| m.name().starts_with("SCRAM");
    for mechanism in Verifier::offered(Kind::Password, true).filter(shows_nothing) {
        for lie in [Lie::Signature, Lie::Nonce, Lie::Iterations(1), Lie::Iterations(2_000_000_000), Lie::Endless, Lie::Hasty] {
            let (_, said) = meet(mechanism, &credentials("u", "p"), login("u", "p"), Some(lie), true);
            assert!(said.is_err(), "{mechanism:?} {lie:?}");
        }
    }
    let forged = meet(Mechanism::ScramSha256, &credentials("u", "p"), login("u", "p"), Some(Lie::Signature), true);
    assert!(matches!(forged.1, Err(SaslError::Impostor(_))), "{forged:?}");
}

#[test]
fn a_login_that_is_relayed_over_another_channel_is_refused() {
    for mechanism in [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus] {
        let mut client = begin(mechanism, &credentials("u", "p"), &permit(true)).unwrap();
        let server = Verifier::new(mechanism, login("u", "p"), ENTROPY, Some([6; 32]), None).unwrap();
        assert!(!talk(&mut client, server, true).0);
        assert_eq!(client.complaint().unwrap().shown(&Mask::default()), "channel-bindings-dont-match");
    }
}

#[test]
fn an_offer_of_bound_logins_that_was_stripped_on_the_way_is_found_out() {
    let (mine, permit) = (credentials("u", "p"), permit(true));
    for (offered, binding, granted) in [
        // The server can bind, and says so: bound.
        (&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"][..], Some(CHANNEL), true),
        // It can, and its offer was taken away: it hears that we saw none.
        (&["SCRAM-SHA-256"][..], Some(CHANNEL), false),
        // It can't.
        (&["SCRAM-SHA-256"][..], None, true),
    ] {
        let setting = Setting { offered, permit: &permit, binding: Some(CHANNEL), nonce: &[1; 18] };
        let (mechanism, mut client) = Exchange::begin(&mine, &setting).unwrap();
        assert_eq!(mechanism.name(), offered[0]);
        let server = Verifier::new(mechanism, login("u", "p"), ENTROPY, binding, None).unwrap();
        assert_eq!(talk(&mut client, server, true).0, granted, "{offered:?} {binding:?}");
        let complaint = (!granted).then(|| "server-does-support-channel-binding".to_owned());
        assert_eq!(client.complaint().map(|complaint| complaint.shown(&Mask::default())), complaint);
    }
    // Who names an unbound one sees the offer and does not want it, which is no attack.
    let mine = Credentials { choice: Choice::Only(Mechanism::ScramSha256), ..mine };
    let offered = &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
    let (mechanism, mut client) =
        Exchange::begin(&mine, &Setting { offered, permit: &permit, binding: Some(CHANNEL), nonce: &[1; 18] }).unwrap();
    let server = Verifier::new(mechanism, login("u", "p"), ENTROPY, Some(CHANNEL), None).unwrap();
    assert_eq!(talk(&mut client, server, true), (true, Ok(())));
}

#[test]
fn the_error_of_a_token_is_acknowledged_as_each_mechanism_asks_and_kept_to_be_told() {
    let json = b"{\"status\":\"401\",\r\n \"scope\":\"mail\"}";
    for (mechanism, acknowledgement) in [(Mechanism::OauthBearer, &b"\x01"[..]), (Mechanism::Xoauth2, b"")] {
        let mut client = begin(mechanism, &secret("u", Secret::token("t".to_owned())), &permit(true)).unwrap();
        client.initial(500).unwrap();
        assert!(client.complaint().is_none());
        assert_eq!(client.answer(json).unwrap().as_slice(), acknowledgement);
        assert_eq!(client.complaint().unwrap().shown(&Mask::default()), "{\"status\":\"401\", \"scope\":\"mail\"}");
        assert!(client.finished(None).is_err(), "success after an error");
        assert!(client.answer(json).is_err(), "once is enough");
    }
    let mut client = begin(Mechanism::Xoauth2, &secret("u", Secret::token("t".to_owned())), &permit(true)).unwrap();
    client.initial(500).unwrap();
    client.answer("\u{e9} ".repeat(4000).as_bytes()).unwrap();
    assert!(client.complaint().unwrap().shown(&Mask::default()).chars().count() <= 1000);
}

#[test]
fn external_says_who_or_leaves_it_to_the_certificate_and_nothing_more() {
    for user in ["", "me"] {
        let mine = Credentials { choice: Choice::Only(Mechanism::External), ..secret(user, Secret::nothing()) };
        let mut client = begin(Mechanism::External, &mine, &permit(true)).unwrap();
        assert_eq!(client.initial(500).unwrap().as_slice(), user.as_bytes());
        assert!(client.answer(b"").is_err());
        assert!(client.finished(None).is_ok());
    }
}

/// Tickets of nobody: a token is its text, and what is wrapped stands in brackets.
mod pretend {
    use std::{sync::Arc, time::Duration};

    use super::*;

    /// Every context takes this many tokens of the server's, "yes" each.
    struct Pretend(Holder, u8);

    struct Conversation(u8);

    pub(super) fn secret(steps: u8) -> Secret {
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

#[test]
fn a_response_too_long_for_the_command_waits_for_a_challenge_and_one_too_long_for_any_line_is_not_begun() {
    let token = |length| secret("u", Secret::token("t".repeat(length)));
    for mechanism in Verifier::offered(Kind::Token, false) {
        let mut client = begin(mechanism, &token(2000), &permit(true)).unwrap();
        assert!(client.initial(372).is_none());
        assert!(client.finished(None).is_err(), "nothing was said yet");
        assert!(client.answer(b"").unwrap().len() > 2000);
        assert!(client.finished(None).is_ok());
        assert!(matches!(begin(mechanism, &token(9300), &permit(true)).err(), Some(SaslError::Unfit(_))));
    }
}

#[test]
fn plain_is_said_as_rfc_4616_wants_and_never_twice() {
    let mut exchange = begin(Mechanism::Plain, &credentials("tim", "tanstaaftanstaaf"), &permit(true)).unwrap();
    assert!(exchange.finished(None).is_err(), "success before anything was said");
    assert_eq!(exchange.initial(500).unwrap().as_slice(), b"\0tim\0tanstaaftanstaaf");
    assert!(exchange.answer(b"").is_err());
    assert!(exchange.finished(None).is_ok());
    let nul = begin(Mechanism::Plain, &credentials("tim\0root", "x"), &permit(true));
    assert!(matches!(nul.err(), Some(SaslError::Unfit(_))));
}

#[test]
fn login_answers_by_order_whatever_the_prompts() {
    for prompts in [["Username:", "Password:"], ["User Name\0", "Password\0"], ["", ""], ["Password:", "Username:"]] {
        let mut exchange = begin(Mechanism::Login, &credentials("tim", "secret"), &permit(true)).unwrap();
        assert!(exchange.initial(500).is_none());
        assert_eq!(exchange.answer(prompts[0].as_bytes()).unwrap().as_slice(), b"tim");
        assert!(exchange.finished(None).is_err(), "success before the password");
        assert_eq!(exchange.answer(prompts[1].as_bytes()).unwrap().as_slice(), b"secret");
        assert!(exchange.answer(b"Again:").is_err());
        assert!(exchange.finished(None).is_ok());
    }
}

#[test]
fn no_error_shows_the_secret() {
    let shown = format!("{:?}", credentials("tim", "hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest! {
    #[test]
    fn no_response_makes_the_server_panic_or_grant(responses in proptest::collection::vec(any::<Vec<u8>>(), 1..5)) {
        let token = Login { user: "user".to_owned(), password: Secret::token("a.long.enough.token".to_owned()) };
        for login in [login("user", "a long enough password"), token] {
            for mechanism in Verifier::offered(login.password.kind(), true) {
                let mut server = Verifier::new(mechanism, login.clone(), ENTROPY, Some(CHANNEL), None).unwrap();
                for response in &responses {
                    prop_assert_ne!(server.step(response), Step::Granted);
                }
            }
        }
    }

    #[test]
    fn no_challenge_makes_a_client_panic_or_show_its_secret_twice(challenges in proptest::collection::vec(any::<Vec<u8>>(), 1..6)) {
        for mechanism in Mechanism::BEST_FIRST.into_iter().filter(|m| m.shows_secret()) {
            let text = "a.long.enough.secret";
            let kind = if mechanism.takes() == Kind::Token { Secret::token(text.to_owned()) } else { Secret::new(text.to_owned()) };
            let mut client = begin(mechanism, &secret("user", kind), &permit(true)).unwrap();
            let answers = challenges.iter().filter_map(|challenge| client.answer(challenge).ok());
            let shown = answers.filter(|said| said.windows(text.len()).any(|window| window == text.as_bytes())).count();
            prop_assert!(shown <= 1);
        }
    }

    #[test]
    fn client_and_server_agree_whatever_the_name_and_password(user in "[!-~]{1,30}", password in "[ -~]{1,30}") {
        for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5] {
            let (granted, _) = meet(mechanism, &credentials(&user, &password), login(&user, &password), None, true);
            prop_assert!(granted);
        }
    }
}

#[test]
fn a_mask_hides_the_secret_in_each_of_its_forms_and_nothing_else() {
    let mask = Mask::new(&credentials("me", "pass-w0rd"));
    for (text, wanted) in [
        ("5.7.8 no", "5.7.8 no"),
        ("\"pass-w0rd\" is wrong, me: pass-w0rd!", "\"***\" is wrong, me: ***!"),
        ("AUTH PLAIN AG1lAHBhc3MtdzByZA==", "AUTH PLAIN ***=="),
        ("cGFzcy13MHJk", "***"),
    ] {
        assert_eq!(mask.hide(text), wanted);
    }
    assert_eq!(format!("{mask:?}"), "***");
    assert_eq!(Mask::default().hide("pass-w0rd"), "pass-w0rd");
    assert_eq!(Mask::new(&credentials("me", "")).hide("AG1lAA"), "***");
    let token = secret("me@a.test", Secret::token("ya29.token".to_owned()));
    let mask = Mask::new(&token);
    for (mechanism, shown) in [(Mechanism::Xoauth2, "***"), (Mechanism::OauthBearer, "***")] {
        let said = begin(mechanism, &token, &permit(true)).unwrap().initial(500).unwrap();
        let told = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &said);
        assert_eq!(mask.hide(&told).trim_end_matches('='), shown);
    }
    assert_eq!(mask.hide("ya29.token"), "***");
    assert_eq!(Mask::new(&secret("me", Secret::nothing())).hide("me"), "me");
}

#[test]
fn what_breaks_off_within_the_secret_ends_before_it() {
    let mask = Mask::new(&credentials("me", "pass-w0rd"));
    for (text, wanted) in [
        ("no pass-w0rd", "no ***"),
        ("pass-w0rd, pass-w0r", "***, ***"),
        ("no pass", "no ***"),
        ("no pas", "no pas"),
        ("passpass-w", "pass***"),
        ("pass it on", "pass it on"),
        ("AUTH PLAIN AG1lAHBhc3Mtd", "AUTH PLAIN ***"),
        ("\u{fffd}pass", "\u{fffd}***"),
        ("", ""),
    ] {
        assert_eq!(mask.hide_broken_off(text), wanted);
    }
    assert_eq!(Mask::default().hide_broken_off("pass"), "pass");
}
