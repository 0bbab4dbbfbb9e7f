//! Who may see the secret, and what a server's answers to AUTH mean. (RFC 4954, 4616; sealpost(1), "TLS policy")

use sealpost::{
    error::Exit,
    mail::{
        outcome::Fate,
        policy::{Policy, Reach},
    },
    smtp::sasl::{Choice, Mechanism},
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
