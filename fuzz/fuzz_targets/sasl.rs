//! Does no challenge make a client panic, believe a server that proved nothing, or show its secret twice?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::{
    mail::{
        policy::{AuthPermit, Demand, OnDowngrade, Policy, Reach, Request, SecretRule, Start, Tlsa, Trust, judge, may_authenticate},
        tls::Standing,
    },
    smtp::sasl::{Choice, Credentials, Exchange, Kind, Mechanism, Secret, Setting},
};

const SECRET: &str = "a.long.enough.secret";

fn permit() -> AuthPermit {
    let (policy, trust, start) = (Policy::Required, Trust::System, Start::Starttls);
    let (on_downgrade, tlsa, request) = (OnDowngrade::Warn, Tlsa::Unasked, Request::Nothing);
    let demand = Demand { policy, trust, start, on_downgrade, tlsa, request };
    let rule = SecretRule { allow_unverified: false, explicit_mechanism: false };
    may_authenticate(&judge(demand, Ok(Standing::Proven)).unwrap(), Reach::Network, rule).unwrap()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let mechanism = Mechanism::BEST_FIRST[usize::from(*which) % Mechanism::BEST_FIRST.len()];
    let secret = match mechanism.takes() {
        Kind::Password => Secret::new(SECRET.to_owned()),
        Kind::Token => Secret::token(SECRET.to_owned()),
        Kind::Nothing => Secret::nothing(),
        // It takes what a Kerberos library makes, and nothing that a parser of ours reads.
        Kind::Ticket => return,
    };
    let choice = Choice::Only(mechanism);
    let credentials = Credentials { user: "me".to_owned(), secret, choice, allow_unverified: false, server: None };
    let permit = permit();
    let setting = Setting { offered: &[mechanism.name()], permit: &permit, binding: Some([5; 32]), nonce: &[7; 18] };
    let (_, mut client) = Exchange::begin(&credentials, &setting).unwrap();
    let mut shown = 0;
    let mut see = |said: &[u8]| shown += usize::from(said.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    if which & 0x80 == 0
        && let Some(initial) = client.initial(372)
    {
        see(&initial);
    }
    for challenge in rest.split(|octet| *octet == b'\n') {
        if let Ok(said) = client.answer(challenge) {
            see(&said);
        }
    }
    assert!(shown <= 1, "{mechanism:?}");
    if mechanism.name().starts_with("SCRAM") {
        assert!(client.finished(None).is_err(), "{mechanism:?}");
    }
});
