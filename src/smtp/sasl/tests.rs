//! Does each mechanism say what its RFC wants, and stop at a lying server?

use proptest::prelude::*;

use super::{
    verifier::{Entropy, Lie, Login, Step, Verifier},
    *,
};
use crate::mail::{
    policy::{AuthPermit, Demand, Met, Policy, Reach, SecretRule, Start, Trust, judge, may_authenticate},
    tls::{Failure, Finding, Standing, Verdict},
};

mod choice;
mod mask;
mod ticket;

const ENTROPY: Entropy = Entropy { nonce: [7; 18], salt: [9; 16] };

fn met(verdict: Verdict) -> Met {
    let demand = Demand::new(Policy::Opportunistic, Trust::System, Start::Starttls);
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
