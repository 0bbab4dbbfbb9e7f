//! STARTTLS, implicit TLS and what policy makes of them. (RFC 3207, 8314; sealpost(1), "TLS policy")

use sealpost::{
    error::Exit,
    mail::{
        outcome::Fate,
        policy::{Channel, OnDowngrade, Policy, Trust},
        tls::{Failure, Finding},
    },
};

use crate::kit::setup;

const SENT_IN_THE_CLEAR: &str = "
    C: MAIL FROM:<me@a.test>
    S: 250 ok
    C: RCPT TO:<you@b.test>
    S: 250 ok
    C: DATA
    S: 354 go
    C: Subject: x
    C:
    C: hi
    C: .
    S: 250 2.0.0 queued
    C: QUIT";

#[test]
fn all_that_was_said_before_the_handshake_is_forgotten() {
    let report = setup().policy(Policy::Required).play(
        "S: 220 mx
         C: EHLO me.test
         S: 250-mx
         S: 250-PIPELINING
         S: 250-CHUNKING
         S: 250 STARTTLS
         C: STARTTLS
         S: 220 go
         TLS ok
         C: EHLO me.test
         S: 250 mx
         C: MAIL FROM:<me@a.test>
         S: 250 ok
         C: RCPT TO:<you@b.test>
         S: 250 ok
         C: DATA
         S: 354 go
         C: Subject: x
         C:
         C: hi
         C: .
         S: 250 2.0.0 queued
         C: QUIT",
    );
    assert_eq!(report.outcomes[0].fate, Fate::Accepted);
    assert_eq!(report.met.unwrap().channel(), Channel::Verified);
    assert_eq!(report.offered, Some(true));
}

#[test]
fn required_says_no_mail_where_starttls_is_not_offered() {
    for ehlo in ["S: 250 mx", "S: 250-mx\nS: 250 XXXXXXXA"] {
        let report = setup().policy(Policy::Required).plain().play(&format!("S: 220 mx\nC: EHLO me.test\n{ehlo}\nC: QUIT"));
        assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Deferred, Exit::TempFail));
        assert_eq!(report.finding.unwrap().failure, Failure::StarttlsNotSupported);
        assert!(report.met.is_none());
    }
}

#[test]
fn required_does_not_even_say_helo_where_ehlo_is_refused() {
    let report = setup().policy(Policy::Required).play("S: 220 mx\nC: EHLO me.test\nS: 502 what\nC: QUIT");
    assert_eq!(report.finding.unwrap().failure, Failure::StarttlsNotSupported);
    assert_eq!(report.outcomes[0].fate, Fate::Deferred);
}

#[test]
fn opportunistic_goes_on_in_plaintext_and_says_so() {
    let report = setup().policy(Policy::Opportunistic).play(&format!("S: 220 mx\nC: EHLO me.test\nS: 250 mx\n{SENT_IN_THE_CLEAR}"));
    let met = report.met.unwrap();
    assert_eq!(met.channel(), Channel::Plaintext);
    assert_eq!(met.finding().unwrap().failure, Failure::StarttlsNotSupported);
    assert_eq!(report.outcomes[0].fate, Fate::Accepted);
}

#[test]
fn opportunistic_goes_on_after_any_refusal_of_starttls_on_the_same_connection() {
    for refusal in ["454 4.7.0 not now", "501 no", "502 no", "250 ok", "354 go"] {
        let report = setup().policy(Policy::Opportunistic).play(&format!(
            "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: {refusal}\n{SENT_IN_THE_CLEAR}"
        ));
        assert_eq!(report.met.unwrap().channel(), Channel::Plaintext, "{refusal}");
        assert_eq!(report.offered, Some(true));
    }
}

#[test]
fn required_stops_at_any_refusal_of_starttls() {
    for refusal in ["454 4.7.0 not now", "501 no", "250 ok", "354 go"] {
        let report = setup()
            .policy(Policy::Required)
            .play(&format!("S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: {refusal}\nC: QUIT"));
        assert_eq!(report.finding.unwrap().failure, Failure::StarttlsNotSupported, "{refusal}");
        assert_eq!(report.outcomes[0].exit, Exit::TempFail);
    }
}

#[test]
fn plaintext_behind_the_220_ends_the_connection_whatever_the_policy() {
    for policy in [Policy::Opportunistic, Policy::Required] {
        for behind in ["220 go\\r\\n250 injected\\r\\n", "220 go\\r\\n2", "220 go\\r\\n220-"] {
            let report = setup()
                .policy(policy)
                .play(&format!("S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS-raw: {behind}"));
            assert_eq!(report.finding.unwrap().failure, Failure::ValidationFailure, "{behind}");
            assert_eq!(report.outcomes[0].fate, Fate::Deferred);
            assert_eq!(report.retry_in_plaintext, None);
        }
    }
}

#[test]
fn a_failed_handshake_asks_for_a_new_connection_only_where_policy_allows() {
    let script = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS failed";
    let report = setup().policy(Policy::Opportunistic).play(script);
    assert_eq!(report.retry_in_plaintext.unwrap().failure, Failure::ValidationFailure);
    assert!(setup().policy(Policy::Required).play(script).retry_in_plaintext.is_none());
    assert!(setup().policy(Policy::Opportunistic).trust(Trust::Dane).play(script).retry_in_plaintext.is_none());
    assert!(setup().policy(Policy::Opportunistic).implicit().play("TLS failed").retry_in_plaintext.is_none());
}

#[test]
fn a_handshake_that_fails_after_our_last_word_of_it_is_no_other_failure() {
    // TLS 1.3: a server that wants a certificate of ours says so when we believe to be through.
    let script = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS ok\nC: EHLO me.test\n";
    let report = setup().policy(Policy::Opportunistic).play(&format!("{script}TLS lost"));
    assert_eq!(report.retry_in_plaintext.unwrap().failure, Failure::ValidationFailure);
    let report = setup().policy(Policy::Required).play(&format!("{script}TLS lost"));
    assert!(report.retry_in_plaintext.is_none());
    assert_eq!(report.finding.unwrap().failure, Failure::ValidationFailure);
    // Later it is a link that is lost.
    let report = setup().policy(Policy::Opportunistic).play(&format!("{script}S: 250 mx\nC: MAIL FROM:<me@a.test>\nTLS lost"));
    assert!(report.retry_in_plaintext.is_none());
    assert_eq!((report.outcomes[0].fate, report.finding), (Fate::Deferred, None));
}

#[test]
fn the_retry_in_plaintext_does_not_ask_for_tls_again_and_keeps_the_reason() {
    let mut retry = setup().policy(Policy::Opportunistic);
    retry.plan.prior.failed_handshake = Some(Finding::new(Failure::ValidationFailure, "no shared cipher"));
    let report = retry.play(&format!("S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\n{SENT_IN_THE_CLEAR}"));
    assert_eq!(report.met.unwrap().finding().unwrap().detail, "no shared cipher");
}

#[test]
fn an_untrusted_peer_is_told_nothing_under_required_and_recorded_under_opportunistic() {
    let start = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS untrusted";
    let report = setup().policy(Policy::Required).plain().play(start);
    assert_eq!(report.finding.unwrap().failure, Failure::CertificateNotTrusted);
    assert_eq!((report.outcomes[0].fate, report.outcomes[0].exit), (Fate::Deferred, Exit::TempFail));

    let script = format!("{start}\nC: EHLO me.test\nS: 250 mx\n{SENT_IN_THE_CLEAR}");
    let met = setup().policy(Policy::Opportunistic).play(&script).met.unwrap();
    assert_eq!((met.channel(), met.finding().unwrap().failure), (Channel::Unverified, Failure::CertificateNotTrusted));
}

#[test]
fn trusting_anybody_is_never_called_verified() {
    for (trust, tls) in [(Trust::Any, "TLS unchecked"), (Trust::Any, "TLS ok"), (Trust::Tofu, "TLS first use")] {
        let script = format!(
            "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n{tls}\nC: EHLO me.test\nS: 250 mx\n{SENT_IN_THE_CLEAR}"
        );
        let met = setup().policy(Policy::Required).trust(trust).play(&script).met.unwrap();
        assert_eq!(met.channel(), Channel::Unverified);
    }
}

#[test]
fn what_kept_a_mail_for_want_of_a_known_key_says_how_to_accept_it() {
    let start = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go";
    let changed = format!("{start}\nTLS untrusted");
    let unknown = format!("{start}\nTLS first use\nC: EHLO me.test\nS: 250-mx\nS: 250 AUTH PLAIN\nC: QUIT");
    for (trust, script, advises) in [
        (Trust::Tofu, &changed, true),
        (Trust::System, &changed, false),
        (Trust::Tofu, &unknown, true),
        (Trust::Any, &unknown, false),
    ] {
        let report = setup().policy(Policy::Required).trust(trust).plain().play(script);
        let hint = report.problem.unwrap().hint.unwrap();
        assert_eq!(hint.contains("sealpost trust add mx.test:25"), advises, "{trust:?}: {hint}");
        assert_eq!(report.met, None);
    }
}

#[test]
fn implicit_tls_shakes_hands_before_the_greeting() {
    let script = format!("TLS ok\nS: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\n{SENT_IN_THE_CLEAR}");
    let report = setup().policy(Policy::Required).implicit().play(&script);
    assert_eq!(report.met.unwrap().channel(), Channel::Verified);
    assert_eq!(report.offered, None, "STARTTLS inside TLS is ignored");
}

#[test]
fn off_says_no_starttls_even_where_it_is_offered() {
    let report = setup().play(&format!("S: 220 mx\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\n{SENT_IN_THE_CLEAR}"));
    let met = report.met.unwrap();
    assert_eq!((met.channel(), met.finding()), (Channel::Plaintext, None));
}

#[test]
fn a_host_that_had_tls_yesterday_is_a_downgrade_today() {
    let script = "S: 220 mx\nC: EHLO me.test\nS: 250 mx";
    let mut stripped = setup().policy(Policy::Opportunistic);
    stripped.plan.prior.sealed_before = true;
    assert!(stripped.play(&format!("{script}\n{SENT_IN_THE_CLEAR}")).met.unwrap().downgrade());

    let mut stripped = setup().policy(Policy::Opportunistic);
    stripped.plan.prior.sealed_before = true;
    stripped.plan.demand.on_downgrade = OnDowngrade::Refuse;
    let report = stripped.play(&format!("{script}\nC: QUIT"));
    assert_eq!(report.outcomes[0].fate, Fate::Deferred);
    assert!(report.problem.unwrap().hint.unwrap().contains("sealpost trust forget mx.test:25"));
}
