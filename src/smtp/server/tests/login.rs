//! Who may log in to the server, and when must it be done? (RFC 4954)

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    super::{fault::Faults, *},
    play, with_login,
};
use crate::{
    mail::{
        policy::{Demand, Policy, Reach, SecretRule, Start, Trust, judge, may_authenticate},
        tls::Standing,
    },
    smtp::sasl::{Choice, Credentials, Exchange, Secret, Setting},
};

#[test]
fn a_login_is_offered_under_tls_only_and_needed_before_mail() {
    play(
        with_login(Seal::Up),
        r"
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-SIZE 100
        S: 250 AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5
        C: MAIL FROM:<a@b>
        S: 530 5.7.0 log in first
        C: AUTH KERBEROS
        S: 504 5.5.4 unknown mechanism
        C: AUTH PLAIN AHRpbQBwdw
        S: 501 5.5.2 that is not base64
        C: AUTH PLAIN AHRpbQB4
        S: 535 5.7.8 authentication failed
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: *
        S: 501 5.7.0 given up
        C: AUTH LOGIN dGlt
        S: 334 UGFzc3dvcmQ6
        C: cHc=
        S: 235 2.7.0 welcome
        C: AUTH LOGIN
        S: 503 5.5.1 not now
        C: MAIL FROM:<a@b>
        S: 250 2.1.0 ok
        ",
    );
    play(
        with_login(Seal::Offered),
        r"
        hello: STARTTLS
        C: AUTH PLAIN AHRpbQBwdw==
        S: 502 5.5.1 AUTH is not offered
        C: MAIL FROM:<a@b>
        S: 530 5.7.0 STARTTLS first
        ",
    );
}

#[test]
fn a_stripped_starttls_tempts_with_a_login_in_the_clear_and_login_faults_refuse_it() {
    for (fault, reply) in [
        ("no-starttls", "235 2.7.0 welcome\r\n"),
        ("auth-535", "535 5.7.8 authentication failed\r\n"),
        ("auth-454", "454 4.7.0 temporary authentication failure\r\n"),
        ("no-auth", "502 5.5.1 AUTH is not offered\r\n"),
    ] {
        let seal = if fault == "no-starttls" { Seal::Offered } else { Seal::Up };
        let mut server = Server::new(Settings { faults: Faults::named([fault]), ..with_login(seal) });
        let _ = server.receive(b"EHLO x\r\n");
        assert_eq!(server.receive(b"AUTH PLAIN AHRpbQBwdw==\r\n"), [Action::Say(reply.into())], "{fault}");
    }
}

#[test]
fn scram_runs_through_the_dialogue_and_a_forged_signature_is_noticed_by_its_client() {
    for (faults, honest) in [(&[][..], true), (&["bad-scram"], false)] {
        let mut server = Server::new(Settings { faults: Faults::named(faults.iter().copied()), ..with_login(Seal::Up) });
        let mut client = scram_client();
        let _ = server.receive(b"EHLO x\r\n");
        let mut say = |line: String| match &server.receive(format!("{line}\r\n").as_bytes())[..] {
            [Action::Say(reply)] => String::from_utf8(reply.clone()).unwrap(),
            other => panic!("{other:?}"),
        };
        let mut reply = say(format!("AUTH SCRAM-SHA-256 {}", BASE64.encode(client.initial(500).unwrap())));
        let outcome = loop {
            let Some(challenge) = reply.strip_prefix("334 ") else { break client.finished(None) };
            match client.answer(&BASE64.decode(challenge.trim_end()).unwrap()) {
                Ok(answer) => reply = say(BASE64.encode(answer)),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(outcome.is_ok(), honest, "{outcome:?}");
        assert_eq!(reply.starts_with("235"), honest, "{reply}");
    }
}

fn scram_client() -> Exchange {
    let demand = Demand::new(Policy::Required, Trust::System, Start::Starttls);
    let rule = SecretRule { allow_unverified: false, explicit_mechanism: false };
    let permit = may_authenticate(&judge(demand, Ok(Standing::Proven)).unwrap(), Reach::Network, rule).unwrap();
    let secret = Secret::new("pw".to_owned());
    let credentials = Credentials { user: "tim".to_owned(), secret, choice: Choice::Auto, allow_unverified: false, server: None };
    let setting = Setting { offered: &["SCRAM-SHA-256"], permit: &permit, binding: None, nonce: &[3; 18] };
    Exchange::begin(&credentials, &setting).unwrap().1
}
