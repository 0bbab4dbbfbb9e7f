//! Who may see the secret, and what a server's answers to AUTH mean. (RFC 4954, 4616; sealpost(1), "TLS policy")

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealpost::{
    error::Exit,
    mail::{
        outcome::Fate,
        policy::{Policy, Reach},
    },
    smtp::sasl::{
        Choice, Mechanism, Message, Secret,
        gssapi::{Context, Holder, NoTicket, Tickets},
    },
};

use crate::kit::{Setup, setup};

/// base64 of NUL me NUL pass-w0rd.
const PLAIN: &str = "AG1lAHBhc3MtdzByZA==";
const VERIFIED: &str = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS ok\nC: EHLO me.test\nS: 250-mx\nS: 250 AUTH LOGIN PLAIN\n";
const UNVERIFIED: &str = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS untrusted\nC: EHLO me.test\nS: 250-mx\nS: 250 AUTH LOGIN PLAIN\n";
const REFUSED_MAIL: &str = "C: MAIL FROM:<me@a.test>\nS: 451 later\nC: QUIT";

fn required() -> Setup {
    setup().policy(Policy::Required)
}

/// A verified session whose AUTH offers `mechanisms`; `tls` is the word for the handshake.
fn offering(tls: &str, mechanisms: &str) -> String {
    VERIFIED.replace("TLS ok", tls).replace("AUTH LOGIN PLAIN", &format!("AUTH {mechanisms}"))
}

fn token(choice: Choice) -> Setup {
    required().secret(Secret::token("ya29.token".to_owned()), choice)
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn ends(setup: Setup, script: &str) -> (Fate, Exit) {
    let outcome = setup.play(script).outcomes.remove(0);
    (outcome.fate, outcome.exit)
}

#[test]
fn plain_goes_with_its_initial_response() {
    let report = required().plain().play(&format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: 235 in\n{REFUSED_MAIL}"));
    assert_eq!(report.auth, Some(Mechanism::Plain));
}

#[test]
fn login_answers_the_prompts_in_their_order() {
    let script = format!(
        "{VERIFIED}C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: bWU=\nS: 334 UGFzc3dvcmQ6\nC: cGFzcy13MHJk\nS: 235 in\n{REFUSED_MAIL}"
    );
    assert_eq!(required().login(Choice::Only(Mechanism::Login)).play(&script).auth, Some(Mechanism::Login));
}

#[test]
fn refused_for_good_and_for_now_are_told_apart() {
    let with = |reply: &str| ends(required().plain(), &format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: {reply}\nC: QUIT"));
    assert_eq!(with("535 5.7.8 bad"), (Fate::Refused, Exit::NoPerm));
    assert_eq!(with("454 4.7.0 later"), (Fate::Deferred, Exit::TempFail));
    assert_eq!(with("432 4.7.12 change it"), (Fate::Deferred, Exit::TempFail));
    // A server that hangs up hears no farewell.
    let hung_up = ends(required().plain(), &format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: 421 4.7.0 too often"));
    assert_eq!(hung_up, (Fate::Deferred, Exit::TempFail));
}

#[test]
fn anything_but_235_is_not_in() {
    for reply in ["250 ok", "220 ok", "354 go", "235-a\nS: 550 b"] {
        let (fate, exit) = ends(required().plain(), &format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: {reply}"));
        assert_eq!((fate, exit), (Fate::Deferred, Exit::Protocol), "{reply}");
    }
}

#[test]
fn a_server_without_auth_gets_no_mail_from_an_account_that_logs_in() {
    let script = VERIFIED.replace("S: 250-mx\nS: 250 AUTH LOGIN PLAIN\n", "S: 250 mx\n");
    assert_eq!(ends(required().plain(), &format!("{script}C: QUIT")).1, Exit::NoPerm);
}

#[test]
fn a_secret_is_not_shown_to_an_unverified_server() {
    let setup_ = || setup().policy(Policy::Opportunistic);
    assert_eq!(ends(setup_().plain(), &format!("{UNVERIFIED}C: QUIT")), (Fate::Deferred, Exit::TempFail));
    assert_eq!(ends(setup_().login(Choice::Auto), &format!("{UNVERIFIED}C: QUIT")), (Fate::Deferred, Exit::TempFail));
    let mut willing = setup_().plain();
    willing.plan.credentials.as_mut().unwrap().allow_unverified = true;
    assert_eq!(willing.play(&format!("{UNVERIFIED}C: AUTH PLAIN {PLAIN}\nS: 235 in\n{REFUSED_MAIL}")).auth, Some(Mechanism::Plain));
}

#[test]
fn a_secret_crosses_plaintext_only_on_this_machine_and_by_name() {
    let script = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 AUTH PLAIN\n";
    assert_eq!(ends(setup().plain(), &format!("{script}C: QUIT")), (Fate::Deferred, Exit::TempFail));
    let mut local = setup().plain();
    local.plan.reach = Reach::Local;
    assert_eq!(local.play(&format!("{script}C: AUTH PLAIN {PLAIN}\nS: 235 in\n{REFUSED_MAIL}")).auth, Some(Mechanism::Plain));
    let mut local = setup().login(Choice::Auto);
    local.plan.reach = Reach::Local;
    assert_eq!(ends(local, &format!("{script}C: QUIT")), (Fate::Deferred, Exit::TempFail));
}

#[test]
fn endless_challenges_end() {
    let script = format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: 334 eA==");
    assert_eq!(ends(required().plain(), &script).1, Exit::NoPerm);
}

#[test]
fn a_challenge_that_is_no_base64_is_no_server() {
    assert_eq!(
        ends(required().login(Choice::Only(Mechanism::Login)), &format!("{VERIFIED}C: AUTH LOGIN\nS: 334 !!!")).1,
        Exit::NoPerm
    );
}

#[test]
fn a_server_that_repeats_the_login_is_not_quoted() {
    for reply in ["500 what? AUTH PLAIN AG1lAHBhc3MtdzByZA==", "535 pass-w0rd is wrong", "454 cGFzcy13MHJk", "250 pass-w0rd"] {
        let report = required().plain().play(&format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: {reply}{}", quits(reply)));
        let told = format!("{report:?}");
        for secret in ["pass-w0rd", "cGFzcy13MHJk", "AG1lAHBhc3MtdzByZA"] {
            assert!(!told.contains(secret), "{reply}: {told}");
        }
    }
    // What does not repeat it is told as ever.
    let report = required().plain().play(&format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: 535 5.7.8 bad\nC: QUIT"));
    assert!(report.problem.unwrap().because.ends_with("535 5.7.8 bad"));
}

/// A success that does not belong ends the dialogue without a farewell.
fn quits(reply: &str) -> &'static str {
    if reply.starts_with('2') { "" } else { "\nC: QUIT" }
}

#[test]
fn cram_md5_answers_the_challenge_and_shows_nothing() {
    // HMAC-MD5 of the challenge, keyed by "pass-w0rd".
    let digest = "me 6a0319270ae269b0f7401a97c1050e2a";
    for (verified, tls) in [(true, "TLS ok"), (false, "TLS untrusted")] {
        let setup = if verified { required() } else { setup().policy(Policy::Opportunistic) };
        let script = format!(
            "{}C: AUTH CRAM-MD5\nS: 334 {}\nC: {}\nS: 235 in\n{REFUSED_MAIL}",
            offering(tls, "CRAM-MD5"),
            base64("<1896.697170952@postoffice.reston.mci.net>"),
            base64(digest)
        );
        assert_eq!(setup.login(Choice::Auto).play(&script).auth, Some(Mechanism::CramMd5));
    }
}

#[test]
fn a_token_goes_with_its_initial_response_and_to_nobody_unverified() {
    for (offered, said, mechanism) in [
        ("XOAUTH2 PLAIN", "user=me\x01auth=Bearer ya29.token\x01\x01", Mechanism::Xoauth2),
        ("XOAUTH2 OAUTHBEARER", "n,a=me,\x01host=mx\x01port=587\x01auth=Bearer ya29.token\x01\x01", Mechanism::OauthBearer),
    ] {
        let script = offering("TLS ok", offered);
        let name = mechanism.name();
        let script = format!("{script}C: AUTH {name} {}\nS: 235 in\n{REFUSED_MAIL}", base64(said));
        assert_eq!(token(Choice::Auto).play(&script).auth, Some(mechanism));
        let unverified = setup().policy(Policy::Opportunistic).secret(Secret::token("ya29.token".to_owned()), Choice::Auto);
        let script = format!("{}C: QUIT", offering("TLS untrusted", offered));
        assert_eq!(ends(unverified, &script), (Fate::Deferred, Exit::TempFail));
    }
}

#[test]
fn the_json_of_a_refused_token_is_acknowledged_and_told_without_the_token() {
    let json = r#"{"status":"401","schemes":"bearer","echo":"ya29.token"}"#;
    for (mechanism, initial, acknowledgement) in [
        (Mechanism::Xoauth2, "user=me\x01auth=Bearer ya29.token\x01\x01", ""),
        (Mechanism::OauthBearer, "n,a=me,\x01host=mx\x01port=587\x01auth=Bearer ya29.token\x01\x01", "AQ=="),
    ] {
        let begin = format!(
            "{}C: AUTH {} {}\nS: 334 {}\nC: {acknowledgement}\n",
            offering("TLS ok", mechanism.name()),
            mechanism.name(),
            base64(initial),
            base64(json)
        );
        for (end, fate, exit) in [
            ("S: 535 5.7.8 no\nC: QUIT", Fate::Refused, Exit::NoPerm),
            ("S: 454 4.7.0 later\nC: QUIT", Fate::Deferred, Exit::TempFail),
            ("lost", Fate::Deferred, Exit::TempFail),
            // After its own error a success is none.
            ("S: 235 in", Fate::Deferred, Exit::NoPerm),
        ] {
            let report = token(Choice::Auto).play(&format!("{begin}{end}"));
            assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit, report.auth), (fate, exit, None), "{mechanism:?} {end}");
            assert!(report.token_refused, "{mechanism:?} {end}");
            let problem = report.problem.unwrap();
            assert!(problem.because.contains(r#"{"status":"401","schemes":"bearer","echo":"***"}"#), "{}", problem.because);
            assert!(problem.hint.is_some(), "{mechanism:?} {end}");
        }
    }
}

#[test]
fn a_refused_token_is_told_apart_from_a_refused_password_and_from_a_bad_moment() {
    let initial = base64("user=me\x01auth=Bearer ya29.token\x01\x01");
    for (reply, refused) in [("535 5.7.3 no", true), ("454 4.7.0 later", false)] {
        let script = format!("{}C: AUTH XOAUTH2 {initial}\nS: {reply}\nC: QUIT", offering("TLS ok", "XOAUTH2"));
        assert_eq!(token(Choice::Auto).play(&script).token_refused, refused, "{reply}");
    }
    let script = format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: 535 5.7.8 no\nC: QUIT");
    assert!(!required().plain().play(&script).token_refused);
}

#[test]
fn a_long_token_waits_for_a_challenge() {
    let long = "t".repeat(1000);
    let script = format!(
        "{}C: AUTH XOAUTH2\nS: 334\nC: {}\nS: 235 in\n{REFUSED_MAIL}",
        offering("TLS ok", "XOAUTH2"),
        base64(&format!("user=me\x01auth=Bearer {long}\x01\x01"))
    );
    let report = required().secret(Secret::token(long), Choice::Auto).play(&script);
    assert_eq!(report.auth, Some(Mechanism::Xoauth2));
}

#[test]
fn a_certificate_is_named_by_an_empty_response_or_by_the_user() {
    for (user, initial) in [("", "=".to_owned()), ("me", base64("me"))] {
        let mut setup = required().secret(Secret::nothing(), Choice::Only(Mechanism::External));
        setup.plan.credentials.as_mut().unwrap().user = user.to_owned();
        let script = format!("{}C: AUTH EXTERNAL {initial}\nS: 235 in\n{REFUSED_MAIL}", offering("TLS ok", "PLAIN EXTERNAL"));
        assert_eq!(setup.play(&script).auth, Some(Mechanism::External));
    }
}

#[test]
fn a_mechanism_that_failed_is_the_last_one() {
    let scram = base64("n,,n=me,r=BwcHBwcHBwcHBwcHBwcHBwcH");
    for reply in ["535 5.7.8 no", "504 5.5.4 not that one", "454 4.7.0 later"] {
        let script = format!(
            "{}C: AUTH SCRAM-SHA-256 {scram}\nS: {reply}\nC: QUIT",
            offering("TLS ok", "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5")
        );
        assert_eq!(required().login(Choice::Auto).play(&script).auth, None, "{reply}");
    }
}

#[test]
fn what_the_session_knows_of_the_channel_is_in_the_first_message() {
    let name = "n=me,r=BwcHBwcHBwcHBwcHBwcHBwcH";
    for (tls, offered, mechanism, flag) in [
        ("TLS ok", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256", "n,,"),
        ("TLS bindable", "SCRAM-SHA-256", "SCRAM-SHA-256", "y,,"),
        ("TLS bindable", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,"),
        ("TLS bindable", "SCRAM-SHA-1-PLUS SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "p=tls-exporter,,"),
    ] {
        let first = base64(&format!("{flag}{name}"));
        let script = format!("{}C: AUTH {mechanism} {first}\nS: 535 5.7.8 no\nC: QUIT", offering(tls, offered));
        required().login(Choice::Auto).play(&script);
    }
}

#[test]
fn the_refusals_that_people_meet_come_with_advice() {
    for (reply, word) in [
        (
            "535-5.7.8 Username and Password not accepted\nS: 535 5.7.8 https://support.google.com/mail/?p=BadCredentials",
            "app password",
        ),
        ("534-5.7.9 Application-specific password required\nS: 534 5.7.9 x", "app password"),
        ("534-5.7.14 Please log in via your web browser\nS: 534 5.7.14 x", "web browser"),
        ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "token_command"),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", "token_command"),
        ("454 4.7.0 Too many login attempts, please try again later.", "wait"),
    ] {
        let report = required().plain().play(&format!("{VERIFIED}C: AUTH PLAIN {PLAIN}\nS: {reply}\nC: QUIT"));
        let hint = report.problem.unwrap().hint.unwrap_or_default();
        assert!(hint.contains(word), "{reply}: {hint}");
    }
}

#[test]
fn a_server_that_takes_another_kind_of_secret_is_explained() {
    for (setup, offered, word) in [
        (required().login(Choice::Auto), "XOAUTH2", "token_command"),
        (token(Choice::Auto), "PLAIN LOGIN", "password"),
        (required().login(Choice::Only(Mechanism::ScramSha256Plus)), "SCRAM-SHA-256-PLUS", "without -PLUS"),
    ] {
        let report = setup.play(&format!("{}C: QUIT", offering("TLS ok", offered)));
        let problem = report.problem.unwrap();
        assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains(word)), "{problem:?}");
        assert_eq!(problem.exit, Exit::NoPerm);
    }
}

/// Tickets for no server.
struct NoTickets(Holder, NoTicket);

impl Tickets for NoTickets {
    fn holder(&self) -> &Holder {
        &self.0
    }

    fn present(&self, _: Option<&str>) -> Result<(Box<dyn Context>, Message), NoTicket> {
        Err(self.1.clone())
    }
}

#[test]
fn a_ticket_that_is_missing_when_the_server_is_known_defers_the_mail_and_is_told_with_its_hint() {
    for (lasting, exit) in [(false, Exit::TempFail), (true, Exit::NoPerm)] {
        let holder = Holder { principal: "me@REALM".to_owned(), lifetime: Duration::ZERO };
        let why = NoTicket { because: "no ticket for smtp@mx.test".to_owned(), hint: "ask the KDC", lasting };
        let tickets = Secret::tickets_of(Arc::new(NoTickets(holder, why)));
        // Without trust, where a proof may be shown too: so it is not that which keeps it from logging in.
        let setup = setup().policy(Policy::Opportunistic).secret(tickets, Choice::Only(Mechanism::Gssapi));
        let report = setup.play(&format!("{}C: QUIT", UNVERIFIED.replace("LOGIN PLAIN", "GSSAPI")));
        let problem = report.problem.unwrap();
        assert_eq!((problem.fate, problem.exit), (Fate::Deferred, exit));
        assert_eq!((problem.because.as_str(), problem.hint.as_deref()), ("no ticket for smtp@mx.test", Some("ask the KDC")));
    }
}
