//! Is each outcome noted as Postfix would, and as the manual says?

use super::*;
use crate::{
    host::journal::tls::{Protection, Seen},
    mail::{
        policy::{Met, Next, Prior, Request, after_ehlo, judge},
        tls::{Facts, Finding, Standing},
    },
};

/// What happened on a connection.
#[derive(Clone, Copy, Debug)]
enum Event {
    Lost,
    NoStarttls,
    Handshake(Result<Standing, Failure>),
    HandshakeFailed,
    Stripped,
    RefusedLogin,
}

const ANYBODY: &str = "not dane";

const PROVEN: Event = Event::Handshake(Ok(Standing::Proven));
const FIRST_USE: Event = Event::Handshake(Ok(Standing::FirstUse));
const UNCHECKED: Event = Event::Handshake(Ok(Standing::Unchecked));
const EXPIRED: Event = Event::Handshake(Err(Failure::CertificateExpired));

fn demand(policy: Policy, trust: Trust) -> Demand {
    let tlsa = if trust == Trust::Dane { Tlsa::Usable } else { Tlsa::Unasked };
    Demand { tlsa, ..Demand::new(policy, trust, Start::Starttls) }
}

fn noted(demand: Demand, event: Event) -> String {
    let facts = Facts { version: Some("TLSv1.3".into()), ..Facts::default() };
    let (seen, weighed) = match event {
        Event::Lost | Event::RefusedLogin => (Seen::default(), None),
        Event::NoStarttls => (Seen::default(), Some(clear(demand, &Prior::default()))),
        Event::Stripped => (Seen::default(), Some(clear(demand, &Prior { sealed_before: true, failed_handshake: None }))),
        Event::HandshakeFailed => (Seen::default(), Some(Err(Finding::new(Failure::ValidationFailure, "alert")))),
        Event::Handshake(verdict) => (
            Seen { facts: Some(&facts), ..Seen::default() },
            Some(judge(demand, verdict.map_err(|failure| Finding::new(failure, "as the test has it")))),
        ),
    };
    let seen = if let Event::RefusedLogin = event { Seen { facts: Some(&facts), ..Seen::default() } } else { seen };
    let protection = match &weighed {
        Some(Ok(met)) => Protection::Met(met),
        Some(Err(finding)) => Protection::Unmet { finding, sealed_before: matches!(event, Event::Stripped) },
        None => Protection::Unreached,
    };
    postfix(&Tls::new(Some(demand), seen, protection)).unwrap()
}

fn clear(demand: Demand, prior: &Prior) -> Result<Met, Finding> {
    match after_ehlo(demand, false, prior) {
        Next::Clear(met) => Ok(met),
        Next::Stop(finding) => Err(finding),
        Next::Seal => panic!("nothing is offered"),
    }
}

#[test]
fn every_outcome_is_noted_as_the_manual_says() {
    use Policy::{Off, Opportunistic, Required};
    let implicit = |demand| Demand { start: Start::Implicit, ..demand };
    let refuse = |demand| Demand { on_downgrade: OnDowngrade::Refuse, ..demand };
    let absent = |demand| Demand { tlsa: Tlsa::Absent, ..demand };
    let unusable = |demand| Demand { tlsa: Tlsa::Unusable, ..demand };
    let may = demand(Opportunistic, Trust::System);
    let dane = demand(Opportunistic, Trust::Dane);
    let secure = demand(Required, Trust::System);
    let table = [
        ("off", "", "plaintext", "none", demand(Off, Trust::System), Event::NoStarttls),
        ("opportunistic", ANYBODY, "TLS, verified or not", "may", may, EXPIRED),
        ("", "", "no STARTTLS, plaintext", "may:none", may, Event::NoStarttls),
        ("", "", "handshake failed", "may?", may, Event::HandshakeFailed),
        ("", "", "failed, and \\(dqrefuse\\(dq", "!may", refuse(may), Event::HandshakeFailed),
        ("", "", "implicit TLS", "encrypt", implicit(may), EXPIRED),
        ("", "", "implicit TLS failed", "!encrypt", implicit(may), Event::HandshakeFailed),
        ("", "dane", "TLSA matched", "dane", dane, PROVEN),
        ("", "", "no match, or no TLS", "!dane", dane, EXPIRED),
        ("", "", "no TLSA, plaintext", "may:none", absent(dane), Event::NoStarttls),
        ("", "", "no usable TLSA, TLS", "encrypt", unusable(dane), EXPIRED),
        ("required", "system", "verified", "secure", secure, PROVEN),
        ("", "", "not trusted, or no TLS", "!secure", secure, EXPIRED),
        ("", "pin, tofu", "the key matched", "fingerprint", demand(Required, Trust::Pin), PROVEN),
        ("", "", "no match, or no TLS", "!fingerprint", demand(Required, Trust::Tofu), EXPIRED),
        ("", "tofu", "first met", "fingerprint:encrypt", demand(Required, Trust::Tofu), FIRST_USE),
        ("", "dane", "TLSA matched", "dane-only", demand(Required, Trust::Dane), PROVEN),
        ("", "", "no match, or no TLS", "!dane-only", demand(Required, Trust::Dane), Event::NoStarttls),
        ("", "any", "TLS", "encrypt", demand(Required, Trust::Any), UNCHECKED),
        ("", "", "no TLS", "!encrypt", demand(Required, Trust::Any), Event::NoStarttls),
        ("", "system", "no connection", "secure?", secure, Event::Lost),
    ];
    let mut rows = String::from(".It Sy policy Ta Sy trust Ta Sy what happened Ta Sy tls=\n");
    for (policy, trust, happened, note, demand, event) in table {
        assert_eq!(noted(demand, event), note, "{policy} {trust} {happened}");
        let cell = |text: &'static str| if text.is_empty() { "\\&" } else { text };
        rows += &format!(".It {} Ta {} Ta {happened} Ta {note}\n", cell(policy), cell(trust));
    }
    let manual = include_str!("../../../../man/sealpost.1");
    assert!(manual.contains(&rows), "the table in man/sealpost.1 must be:\n{rows}");
}

#[test]
fn what_the_table_leaves_out_is_noted_too() {
    let may = demand(Policy::Opportunistic, Trust::Any);
    for (demand, event, note) in [
        (may, Event::Lost, "may?"),
        (may, Event::RefusedLogin, "may"),
        (may, UNCHECKED, "may"),
        (may, Event::Stripped, "may:none"),
        (Demand { on_downgrade: OnDowngrade::Refuse, ..may }, Event::Stripped, "!may"),
        (Demand { on_downgrade: OnDowngrade::Refuse, ..may }, Event::NoStarttls, "may:none"),
        (demand(Policy::Off, Trust::System), Event::Lost, "none?"),
        (demand(Policy::Required, Trust::System), Event::RefusedLogin, "secure"),
        (demand(Policy::Required, Trust::Pin), Event::NoStarttls, "!fingerprint"),
        (demand(Policy::Required, Trust::Any), Event::HandshakeFailed, "!encrypt"),
    ] {
        assert_eq!(noted(demand, event), note, "{demand:?} {event:?}");
    }
    assert_eq!(postfix(&Tls::new(None, Seen::default(), Protection::Unreached)), None);
    // An opportunistic account that could not log in: the certificate was seen, and mattered to nobody.
    let finding = Finding::new(Failure::CertificateExpired, "expired in May");
    let facts = Facts { version: Some("TLSv1.3".into()), ..Facts::default() };
    let unmet = Protection::Unmet { finding: &finding, sealed_before: false };
    assert_eq!(postfix(&Tls::new(Some(may), Seen { facts: Some(&facts), ..Seen::default() }, unmet)).as_deref(), Some("may"));
    let offered = Finding::new(Failure::StarttlsNotSupported, "not offered");
    let unmet = Protection::Unmet { finding: &offered, sealed_before: false };
    assert_eq!(postfix(&Tls::new(Some(may), Seen::default(), unmet)).as_deref(), Some("may:none"));
}

#[test]
fn what_is_asked_for_the_rest_of_the_way_is_noted_behind_it() {
    let secure = demand(Policy::Required, Trust::System);
    let asked = |request, protection| {
        let seen = Seen { request, ..Seen::default() };
        postfix(&Tls::new(Some(Demand { request, ..secure }), seen, protection)).unwrap()
    };
    let met = judge(secure, Ok(Standing::Proven)).unwrap();
    assert_eq!(asked(Request::Require, Protection::Met(&met)), "secure/requiretls");
    assert_eq!(asked(Request::Require, Protection::Unreached), "secure?/requiretls?");
    assert_eq!(asked(Request::Nothing, Protection::Met(&met)), "secure");
    // TLSA records make nothing mandatory for a message that says "TLS-Required: No".
    let waived = Demand { request: Request::Waive, ..demand(Policy::Opportunistic, Trust::Dane) };
    assert_eq!(noted(waived, EXPIRED), "may");
}
