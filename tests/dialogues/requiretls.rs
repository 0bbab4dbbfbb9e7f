//! To whom is REQUIRETLS said, and what stays where it can't be? (RFC 8689)

use sealpost::{
    error::Exit,
    mail::{
        address::ReversePath,
        outcome::Fate,
        policy::{Channel, Policy, Request, Trust},
    },
};

use crate::kit::{Setup, setup};

const SEALED: &str = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS ok\nC: EHLO me.test";
const REST: &str =
    "S: 250 ok\nC: RCPT TO:<you@b.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: x\nC:\nC: hi\nC: .\nS: 250 queued\nC: QUIT";

fn promised() -> Setup {
    let mut setup = setup().policy(Policy::Required);
    setup.plan.demand.request = Request::Require;
    setup
}

#[test]
fn a_verified_server_that_offers_it_is_asked_for_it() {
    let said = format!("{SEALED}\nS: 250-mx\nS: 250 REQUIRETLS\nC: MAIL FROM:<me@a.test> REQUIRETLS\n{REST}");
    let report = promised().play(&said);
    assert_eq!((report.outcomes[0].fate, report.requiretls), (Fate::Accepted, true));
    let implicit = "TLS ok\nS: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 REQUIRETLS\nC: MAIL FROM:<me@a.test> REQUIRETLS";
    assert!(promised().implicit().play(&format!("{implicit}\n{REST}")).requiretls);
    // Nobody asks who was not told to.
    let unasked = format!("{SEALED}\nS: 250-mx\nS: 250 REQUIRETLS\nC: MAIL FROM:<me@a.test>\n{REST}");
    assert!(!setup().policy(Policy::Required).play(&unasked).requiretls);
}

#[test]
fn a_server_that_does_not_offer_it_gets_neither_the_mail_nor_the_password() {
    let plain = SEALED.replace("S: 250 STARTTLS", "S: 250-REQUIRETLS\nS: 250 STARTTLS");
    for (what, sealed) in [("never", SEALED), ("before TLS only", plain.as_str())] {
        for ehlo in ["S: 250-mx\nS: 250 AUTH PLAIN", "S: 250-mx\nS: 250-AUTH PLAIN\nS: 250 XREQUIRETLS"] {
            let report = promised().plain().play(&format!("{sealed}\n{ehlo}\nC: QUIT"));
            assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Deferred, Exit::TempFail), "{what}");
            let problem = report.problem.unwrap();
            assert!(problem.because.contains("does not offer REQUIRETLS (5.7.30)") && problem.hint.is_some(), "{problem:?}");
            assert_eq!((report.met, report.finding, report.auth), (None, None, None), "of TLS nothing was wrong");
        }
    }
}

#[test]
fn a_key_that_is_met_for_the_first_time_is_not_enough() {
    let script = SEALED.replace("TLS ok", "TLS first use");
    let report = promised().trust(Trust::Tofu).play(&format!("{script}\nS: 250-mx\nS: 250 REQUIRETLS\nC: QUIT"));
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Deferred, Exit::TempFail));
    let problem = report.problem.unwrap();
    assert!(problem.because.contains("5.7.10") && problem.hint.unwrap().contains("sealpost trust add mx.test:25"));
    assert!(report.met.is_none(), "so nobody remembers the key as one that mail went to");
}

#[test]
fn a_bounce_goes_on_without_the_promise_but_never_without_tls() {
    let bounce = || {
        let mut setup = promised();
        setup.envelope.sender = ReversePath::Null;
        setup
    };
    let report = bounce().play(&format!("{SEALED}\nS: 250 mx\nC: MAIL FROM:<>\n{REST}"));
    assert_eq!((report.outcomes[0].fate, report.requiretls), (Fate::Accepted, false));
    assert_eq!(report.met.unwrap().channel(), Channel::Verified);
    let report = bounce().play(&format!("{SEALED}\nS: 250-mx\nS: 250 REQUIRETLS\nC: MAIL FROM:<> REQUIRETLS\n{REST}"));
    assert!(report.requiretls);
    assert_eq!(bounce().play("S: 220 mx\nC: EHLO me.test\nS: 250 mx\nC: QUIT").outcomes[0].fate, Fate::Deferred);
}

#[test]
fn lmtp_knows_it_too() {
    let script = format!("{SEALED}\nS: 250-mx\nS: 250 REQUIRETLS\nC: MAIL FROM:<me@a.test> REQUIRETLS\n{REST}");
    assert!(promised().lmtp().play(&script.replace("EHLO", "LHLO")).requiretls);
    let report = promised().lmtp().play(&format!("{SEALED}\nS: 250 mx\nC: QUIT").replace("EHLO", "LHLO"));
    assert_eq!(report.outcomes[0].fate, Fate::Deferred);
}
