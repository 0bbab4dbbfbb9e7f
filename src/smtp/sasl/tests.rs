//! Does each mechanism say what its RFC wants, and stop at a lying server?

use proptest::prelude::*;

use super::{
    verifier::{Entropy, Login, Step, Verifier},
    *,
};
use crate::mail::{
    policy::{Demand, Met, OnDowngrade, Policy, Reach, Request, SecretRule, Start, Tlsa, Trust, judge, may_authenticate},
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
    Credentials { user: user.to_owned(), secret: Secret::new(password.to_owned()), choice: Choice::Auto, allow_unverified: false }
}

/// Lets client and server talk to the end; whether the server granted it and what the client says of that.
fn talk(mechanism: Mechanism, mine: &Credentials, login: Login, honest: bool, eager: bool) -> (bool, Result<(), SaslError>) {
    let mut client = Exchange::new(mechanism, mine, &permit(true), &[1; 18]).unwrap();
    let mut server = Verifier::new(mechanism, login, ENTROPY, honest);
    let mut step = match if eager { client.initial() } else { None } {
        Some(message) => server.step(&message),
        None => Step::Challenge(server.prompt()),
    };
    loop {
        match step {
            Step::Challenge(challenge) => match client.answer(&challenge) {
                Ok(message) => step = server.step(&message),
                Err(error) => return (false, Err(error)),
            },
            Step::Granted => return (true, client.finished(None)),
            Step::Denied => return (false, Ok(())),
        }
    }
}

fn login(user: &str, password: &str) -> Login {
    Login { user: user.to_owned(), password: Secret::new(password.to_owned()) }
}

/// Offered, the account's choice, whether the server is verified, what is chosen.
type Case<'a> = (&'a [&'a str], Choice, bool, Result<Mechanism, SaslError>);

#[test]
fn the_strongest_mechanism_that_the_permit_allows_is_chosen() {
    use Mechanism::{Login, Plain, ScramSha256};
    let only = Choice::Only;
    let none = |offered: &str| SaslError::NotOffered { offered: offered.to_owned() };
    let cases: [Case; 10] = [
        (&["PLAIN", "LOGIN", "SCRAM-SHA-256"], Choice::Auto, true, Ok(ScramSha256)),
        (&["LOGIN", "plain"], Choice::Auto, true, Ok(Plain)),
        (&["LOGIN"], Choice::Auto, true, Ok(Login)),
        (&["LOGIN", "PLAIN", "scram-sha-256"], Choice::Auto, false, Ok(ScramSha256)),
        (&["LOGIN", "PLAIN"], Choice::Auto, false, Err(SaslError::NotPermitted(Plain))),
        (&["PLAIN", "SCRAM-SHA-256"], only(Plain), true, Ok(Plain)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Plain), false, Err(SaslError::NotPermitted(Plain))),
        (&["PLAIN"], only(ScramSha256), true, Err(none("PLAIN"))),
        (&["XOAUTH2"], Choice::Auto, true, Err(none("XOAUTH2"))),
        (&[], Choice::Auto, true, Err(none(""))),
    ];
    for (offered, choice, verified, expected) in cases {
        assert_eq!(choose(offered, choice, &permit(verified)), expected, "{offered:?} {choice:?} verified: {verified}");
    }
}

#[test]
fn an_exchange_that_would_show_the_secret_can_not_even_be_made_without_permission() {
    for mechanism in Mechanism::BEST_FIRST {
        let made = Exchange::new(mechanism, &credentials("u", "p"), &permit(false), &[0; 18]);
        assert_eq!(made.is_ok(), mechanism == Mechanism::ScramSha256, "{mechanism:?}");
    }
}

#[test]
fn the_right_password_is_granted_and_a_wrong_one_denied_in_every_mechanism() {
    for mechanism in Mechanism::BEST_FIRST {
        for eager in [true, false] {
            let mine = credentials("cron,=\u{e9}", "p\u{e9}ncil");
            assert_eq!(talk(mechanism, &mine, login("cron,=\u{e9}", "p\u{e9}ncil"), true, eager), (true, Ok(())), "{mechanism:?}");
            assert!(!talk(mechanism, &mine, login("cron,=\u{e9}", "pencil"), true, eager).0, "{mechanism:?}");
            assert!(!talk(mechanism, &mine, login("other", "p\u{e9}ncil"), true, eager).0, "{mechanism:?}");
        }
    }
}

#[test]
fn an_impostor_that_grants_everything_is_unmasked_by_scram() {
    let (granted, said) = talk(Mechanism::ScramSha256, &credentials("u", "p"), login("u", "p"), false, true);
    assert!(!granted);
    assert!(matches!(said, Err(SaslError::Impostor(_))), "{said:?}");
}

#[test]
fn plain_is_said_as_rfc_4616_wants_and_never_twice() {
    let mut exchange = Exchange::new(Mechanism::Plain, &credentials("tim", "tanstaaftanstaaf"), &permit(true), &[]).unwrap();
    assert!(exchange.finished(None).is_err(), "success before anything was said");
    assert_eq!(exchange.initial().unwrap().as_slice(), b"\0tim\0tanstaaftanstaaf");
    assert!(exchange.answer(b"").is_err());
    assert!(exchange.finished(None).is_ok());
    let nul = Exchange::new(Mechanism::Plain, &credentials("tim\0root", "x"), &permit(true), &[]);
    assert!(matches!(nul.err(), Some(SaslError::Unfit(_))));
}

#[test]
fn login_answers_by_order_whatever_the_prompts() {
    for prompts in [["Username:", "Password:"], ["User Name\0", "Password\0"], ["", ""], ["Password:", "Username:"]] {
        let mut exchange = Exchange::new(Mechanism::Login, &credentials("tim", "secret"), &permit(true), &[]).unwrap();
        assert!(exchange.initial().is_none());
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
        for mechanism in Mechanism::BEST_FIRST {
            let mut server = Verifier::new(mechanism, login("user", "a long enough password"), ENTROPY, true);
            for response in &responses {
                prop_assert_ne!(server.step(response), Step::Granted);
            }
        }
    }

    #[test]
    fn client_and_server_agree_whatever_the_name_and_password(user in "[!-~]{1,30}", password in "[ -~]{1,30}") {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            let (granted, _) = talk(mechanism, &credentials(&user, &password), login(&user, &password), true, true);
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
}
