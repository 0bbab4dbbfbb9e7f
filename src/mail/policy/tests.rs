//! The whole table of "TLS policy" in sealpost(1): demand, what the server does, trust, memory; and the rule for secrets.

use super::*;

/// What a server does with TLS on a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Silent,
    Refuses,
    Breaks,
    Untrusted,
    Trusted,
}

use Server::{Breaks, Refuses, Silent, Trusted, Untrusted};

/// Columns: which demands a cell of the table speaks of.
fn demands(policy: Policy, trusts: &[Trust], on_downgrade: &[OnDowngrade]) -> Vec<Demand> {
    let mut all = Vec::new();
    for trust in trusts {
        for on_downgrade in on_downgrade {
            all.push(Demand { on_downgrade: *on_downgrade, ..Demand::new(policy, *trust, Start::Starttls) });
        }
    }
    all
}

const CHECKED: &[Trust] = &[Trust::System, Trust::Pin, Trust::Tofu];
const EVERY: &[Trust] = &[Trust::System, Trust::Pin, Trust::Tofu, Trust::Dane, Trust::Any];
const EITHER: &[OnDowngrade] = &[OnDowngrade::Warn, OnDowngrade::Refuse];

fn finding(failure: Failure) -> Finding {
    Finding::new(failure, "detail")
}

/// Plays one submission as a client does: the outcome in the words of the log, then the failure, then `downgrade`.
fn play(demand: Demand, server: Server, sealed_before: bool) -> String {
    let prior = Prior { sealed_before, failed_handshake: None };
    let mut next = after_ehlo(demand, server != Silent, &prior);
    if next == Next::Seal {
        next = match server {
            Refuses => after_refusal(demand, "454 not now", &prior),
            Breaks if may_retry_in_plaintext(demand) => {
                let prior = Prior { failed_handshake: Some(finding(Failure::ValidationFailure)), ..prior };
                after_ehlo(demand, true, &prior)
            }
            Breaks => Next::Stop(finding(Failure::ValidationFailure)),
            _ => {
                let known = if demand.trust == Trust::Any { Standing::Unchecked } else { Standing::Proven };
                let verdict = if server == Trusted { Ok(known) } else { Err(finding(Failure::CertificateNotTrusted)) };
                judge(demand, verdict).map_or_else(Next::Stop, Next::Clear)
            }
        };
    }
    match next {
        Next::Seal => "asks again".to_owned(),
        Next::Stop(finding) => format!("none {}", finding.failure),
        Next::Clear(met) => {
            let channel = match met.channel() {
                Channel::Verified => "verified",
                Channel::Unverified => "unverified",
                Channel::Plaintext => "plaintext",
            };
            let failure = met.finding().map(|finding| format!(" {}", finding.failure)).unwrap_or_default();
            format!("{channel}{failure}{}", if met.downgrade() { " downgrade" } else { "" })
        }
    }
}

fn assert_table(demands: &[Demand], rows: &[(Server, bool, &str)]) {
    assert_eq!(rows.len(), 10, "five servers, with and without memory");
    for demand in demands {
        for (server, before, expected) in rows {
            assert_eq!(play(*demand, *server, *before), *expected, "{demand:?}, {server:?}, TLS seen before: {before}");
        }
    }
}

#[test]
fn off_is_plaintext_whatever_the_server_does() {
    for demand in demands(Policy::Off, EVERY, EITHER) {
        for server in [Silent, Refuses, Breaks, Untrusted, Trusted] {
            for before in [false, true] {
                assert_eq!(play(demand, server, before), "plaintext");
            }
        }
    }
}

#[test]
fn required_sends_only_to_a_trusted_peer() {
    let rows = [
        (Silent, false, "none starttls-not-supported"),
        (Silent, true, "none starttls-not-supported"),
        (Refuses, false, "none starttls-not-supported"),
        (Refuses, true, "none starttls-not-supported"),
        (Breaks, false, "none validation-failure"),
        (Breaks, true, "none validation-failure"),
        (Untrusted, false, "none certificate-not-trusted"),
        (Untrusted, true, "none certificate-not-trusted"),
        (Trusted, false, "verified"),
        (Trusted, true, "verified"),
    ];
    assert_table(&demands(Policy::Required, CHECKED, EITHER), &rows);
    // Usable TLSA records make opportunistic TLS the same as required (RFC 7672).
    assert_table(&demands(Policy::Required, &[Trust::Dane], EITHER), &rows);
    assert_table(&demands(Policy::Opportunistic, &[Trust::Dane], EITHER), &rows);
}

#[test]
fn opportunistic_goes_on_and_records_why_it_was_less() {
    let rows = [
        (Silent, false, "plaintext starttls-not-supported"),
        (Silent, true, "plaintext starttls-not-supported downgrade"),
        (Refuses, false, "plaintext starttls-not-supported"),
        (Refuses, true, "plaintext starttls-not-supported downgrade"),
        (Breaks, false, "plaintext validation-failure"),
        (Breaks, true, "plaintext validation-failure downgrade"),
        (Untrusted, false, "unverified certificate-not-trusted"),
        (Untrusted, true, "unverified certificate-not-trusted"),
        (Trusted, false, "verified"),
        (Trusted, true, "verified"),
    ];
    assert_table(&demands(Policy::Opportunistic, CHECKED, &[OnDowngrade::Warn]), &rows);
}

#[test]
fn opportunistic_that_refuses_downgrades_sends_no_plaintext_where_tls_was_seen() {
    let rows = [
        (Silent, false, "plaintext starttls-not-supported"),
        (Silent, true, "none starttls-not-supported"),
        (Refuses, false, "plaintext starttls-not-supported"),
        (Refuses, true, "none starttls-not-supported"),
        (Breaks, false, "none validation-failure"),
        (Breaks, true, "none validation-failure"),
        (Untrusted, false, "unverified certificate-not-trusted"),
        (Untrusted, true, "unverified certificate-not-trusted"),
        (Trusted, false, "verified"),
        (Trusted, true, "verified"),
    ];
    assert_table(&demands(Policy::Opportunistic, CHECKED, &[OnDowngrade::Refuse]), &rows);
}

#[test]
fn trusting_anybody_is_never_called_verified() {
    for policy in [Policy::Opportunistic, Policy::Required] {
        for demand in demands(policy, &[Trust::Any], EITHER) {
            assert_eq!(play(demand, Trusted, false), "unverified");
        }
    }
}

#[test]
fn a_key_that_is_met_for_the_first_time_is_taken_and_not_called_verified() {
    for policy in [Policy::Opportunistic, Policy::Required] {
        for demand in demands(policy, &[Trust::Tofu], EITHER) {
            let met = judge(demand, Ok(Standing::FirstUse)).unwrap();
            assert_eq!((met.channel(), met.finding(), met.first_use()), (Channel::Unverified, None, true));
        }
    }
}

#[test]
fn the_past_matters_to_who_trusts_it_and_to_who_could_go_without_tls() {
    for policy in [Policy::Off, Policy::Opportunistic, Policy::Required] {
        for demand in demands(policy, EVERY, EITHER) {
            let tofu = demand.trust == Trust::Tofu && policy != Policy::Off;
            assert_eq!(demand.minds_the_past(), tofu || policy == Policy::Opportunistic, "{demand:?}");
            let implicit = Demand { start: Start::Implicit, ..demand };
            assert_eq!(implicit.minds_the_past(), tofu, "{implicit:?}");
        }
    }
}

#[test]
fn what_dnssec_says_of_tlsa_records_decides_over_a_dane_account() {
    let dane = |policy| demands(policy, &[Trust::Dane], EITHER);
    // TLSA records, then for an opportunistic account: must encrypt, must trust; for a required one: why nothing is sent.
    let table = [
        (Tlsa::Usable, (true, true), None),
        (Tlsa::Unusable, (true, false), Some(Failure::TlsaInvalid)),
        (Tlsa::Absent, (false, false), Some(Failure::DaneRequired)),
    ];
    for (tlsa, opportunistic, required) in table {
        for demand in dane(Policy::Opportunistic) {
            let demand = demand.informed(tlsa).unwrap();
            assert_eq!((demand.must_encrypt(), demand.must_trust()), opportunistic, "{tlsa:?}");
        }
        for demand in dane(Policy::Required) {
            let informed = demand.informed(tlsa);
            assert_eq!(informed.as_ref().err().map(|finding| finding.failure), required, "{tlsa:?}");
            assert!(informed.is_err() || demand.must_encrypt() && demand.must_trust());
        }
        for demand in dane(Policy::Off) {
            let demand = demand.informed(tlsa).unwrap();
            assert!(!demand.must_encrypt() && !demand.must_trust());
        }
    }
    for demand in demands(Policy::Required, &[Trust::System, Trust::Any], EITHER) {
        assert_eq!(demand.informed(Tlsa::Absent), Ok(Demand { tlsa: Tlsa::Absent, ..demand }), "no other trust cares");
    }
}

#[test]
fn without_tlsa_records_an_opportunistic_account_finds_no_fault_in_the_server() {
    let verdict = || Err(finding(Failure::DaneRequired));
    for demand in demands(Policy::Opportunistic, &[Trust::Dane], EITHER) {
        let met = judge(demand.informed(Tlsa::Absent).unwrap(), verdict()).unwrap();
        assert_eq!((met.channel(), met.finding()), (Channel::Unverified, None));
        let met = judge(demand.informed(Tlsa::Unusable).unwrap(), verdict()).unwrap();
        assert_eq!((met.channel(), met.finding()), (Channel::Unverified, Some(&finding(Failure::DaneRequired))));
        assert!(judge(demand.informed(Tlsa::Usable).unwrap(), verdict()).is_err());
    }
    for demand in demands(Policy::Required, &[Trust::Dane], EITHER) {
        for tlsa in [Tlsa::Unasked, Tlsa::Usable, Tlsa::Unusable, Tlsa::Absent] {
            assert!(judge(Demand { tlsa, ..demand }, verdict()).is_err(), "{tlsa:?}");
        }
    }
    for demand in demands(Policy::Opportunistic, CHECKED, EITHER) {
        assert!(judge(Demand { tlsa: Tlsa::Absent, ..demand }, verdict()).unwrap().finding().is_some(), "no other trust cares");
    }
}

#[test]
fn a_port_with_implicit_tls_has_no_plaintext_to_fall_back_to() {
    let failed = Prior { sealed_before: false, failed_handshake: Some(finding(Failure::ValidationFailure)) };
    for policy in [Policy::Opportunistic, Policy::Required] {
        for mut demand in demands(policy, EVERY, EITHER) {
            demand.start = Start::Implicit;
            assert!(!may_retry_in_plaintext(demand));
            assert!(matches!(after_ehlo(demand, true, &failed), Next::Stop(_)), "{demand:?}");
        }
    }
}

#[test]
fn only_an_opportunistic_account_ever_retries_in_plaintext() {
    for policy in [Policy::Off, Policy::Opportunistic, Policy::Required] {
        for demand in demands(policy, EVERY, EITHER) {
            let may = policy == Policy::Opportunistic && demand.trust != Trust::Dane && demand.on_downgrade == OnDowngrade::Warn;
            assert_eq!(may_retry_in_plaintext(demand), may, "{demand:?}");
        }
    }
}

#[test]
fn a_refusal_is_recorded_in_the_words_of_the_server() {
    let demand = demands(Policy::Required, &[Trust::System], &[OnDowngrade::Warn])[0];
    let Next::Stop(finding) = after_refusal(demand, "454 4.7.0 no key", &Prior::default()) else { panic!() };
    assert!(finding.detail.contains("454 4.7.0 no key"));
}

#[test]
fn a_message_that_waives_tls_sets_aside_what_the_server_publishes_and_nothing_else() {
    for policy in [Policy::Off, Policy::Opportunistic, Policy::Required] {
        for demand in demands(policy, EVERY, EITHER) {
            for tlsa in [Tlsa::Unasked, Tlsa::Usable, Tlsa::Unusable, Tlsa::Absent] {
                let demand = Demand { tlsa, ..demand };
                let waived = demand.of_message(Request::Waive);
                let required = policy == Policy::Required;
                assert_eq!((waived.must_encrypt(), waived.must_trust()), (required, required), "{demand:?}");
                assert!(!waived.obeys_dane() && waived.trusts_dane() == demand.trusts_dane());
                assert_eq!(demand.of_message(Request::Nothing), demand);
                assert_eq!(Demand { request: Request::Nothing, ..waived }, demand, "nothing else changes");
            }
            let promised = Demand { request: Request::Require, ..demand };
            assert_eq!(promised.of_message(Request::Waive), promised, "REQUIRETLS wins");
        }
    }
}

#[test]
fn a_message_that_waives_tls_goes_where_dane_would_hold_it_back() {
    let dane = demands(Policy::Opportunistic, &[Trust::Dane], &[OnDowngrade::Warn])[0].informed(Tlsa::Usable).unwrap();
    for (server, held, waived) in [
        (Silent, "none starttls-not-supported", "plaintext starttls-not-supported"),
        (Refuses, "none starttls-not-supported", "plaintext starttls-not-supported"),
        (Breaks, "none validation-failure", "plaintext validation-failure"),
        (Untrusted, "none certificate-not-trusted", "unverified certificate-not-trusted"),
        (Trusted, "verified", "verified"),
    ] {
        assert_eq!(
            (play(dane, server, false), play(dane.of_message(Request::Waive), server, false)),
            (held.into(), waived.into()),
            "{server:?}"
        );
    }
}

#[test]
fn requiretls_is_said_to_a_verified_server_that_offers_it_or_the_message_stays() {
    use Unpromised::{NotOffered, Unverified};
    let demand = demands(Policy::Required, &[Trust::System], &[OnDowngrade::Warn])[0];
    let promised = Demand { request: Request::Require, ..demand };
    // Offered, a bounce; then to a verified and to an unverified server, and in plaintext.
    for (offered, bounce, expected) in [
        (true, false, [Ok(true), Err(Unverified), Err(Unverified)]),
        (true, true, [Ok(true), Err(Unverified), Err(Unverified)]),
        (false, false, [Err(NotOffered), Err(Unverified), Err(Unverified)]),
        (false, true, [Ok(false), Err(Unverified), Err(Unverified)]),
    ] {
        let channels = [Channel::Verified, Channel::Unverified, Channel::Plaintext].map(|channel| met(channel, None));
        assert_eq!(channels.clone().map(|met| may_require_tls(promised, &met, offered, bounce)), expected, "{offered}, {bounce}");
        for demand in [demand, demand.of_message(Request::Waive)] {
            assert!(channels.iter().all(|met| may_require_tls(demand, met, offered, bounce) == Ok(false)));
        }
        // A report on such a message has it where it can, and goes in any case.
        let report = demand.of_message(Request::Prefer);
        assert_eq!(channels.map(|met| may_require_tls(report, &met, offered, bounce)), [Ok(offered), Ok(false), Ok(false)]);
    }
}

fn met(channel: Channel, finding: Option<Finding>) -> Met {
    Met { channel, finding, downgrade: false, first_use: false }
}

/// Whether a reusable secret may go, only a proof, or nothing.
fn secret(met: &Met, reach: Reach, allow_unverified: bool, explicit_mechanism: bool) -> &'static str {
    match may_authenticate(met, reach, SecretRule { allow_unverified, explicit_mechanism }) {
        Ok(permit) if permit.allows_reusable() => "password",
        Ok(_) => "proof",
        Err(_) => "nothing",
    }
}

#[test]
fn secrets_go_only_where_policy_lets_them() {
    let failed = Some(finding(Failure::ValidationFailure));
    let absent = Some(finding(Failure::StarttlsNotSupported));
    let untrusted = Some(finding(Failure::CertificateNotTrusted));
    let verified = met(Channel::Verified, None);
    let unverified = met(Channel::Unverified, untrusted);
    let clear = met(Channel::Plaintext, None);
    let not_offered = met(Channel::Plaintext, absent);
    let retried = met(Channel::Plaintext, failed);
    // Where, then for (allow_unverified, explicit mechanism): (no, no) (no, yes) (yes, no) (yes, yes)
    let table = [
        (&verified, Reach::Network, ["password", "password", "password", "password"]),
        (&verified, Reach::Local, ["password", "password", "password", "password"]),
        (&unverified, Reach::Network, ["proof", "proof", "password", "password"]),
        (&unverified, Reach::Local, ["proof", "proof", "password", "password"]),
        (&clear, Reach::Network, ["nothing", "nothing", "nothing", "nothing"]),
        (&clear, Reach::Local, ["nothing", "password", "nothing", "password"]),
        (&not_offered, Reach::Network, ["nothing", "nothing", "nothing", "nothing"]),
        (&not_offered, Reach::Local, ["nothing", "password", "nothing", "password"]),
        (&retried, Reach::Network, ["nothing", "nothing", "nothing", "nothing"]),
        (&retried, Reach::Local, ["nothing", "nothing", "nothing", "nothing"]),
    ];
    for (met, reach, expected) in table {
        let seen = [(false, false), (false, true), (true, false), (true, true)]
            .map(|(allow, explicit)| secret(met, reach, allow, explicit));
        assert_eq!(seen, expected, "{met:?} {reach:?}");
    }
}
