//! Is the advice the right one?

use std::time::Duration;

use super::kit::*;
use crate::{
    cmd::check::{
        advice,
        opinions::Opinion,
        seen::{Contact, Examination, Visit, Way},
    },
    error::{Error, Exit},
    host::{
        probe::{Offer, Seal, Sight},
        pump::NO_ANSWER,
    },
    mail::{
        policy::{self, Channel, Start, Tlsa},
        tls::{Failure, Finding, Standing},
    },
};

/// What is advised after `change`, for an account with `more` settings.
fn advised(more: &str, change: impl FnOnce(&mut Examination<'_>)) -> Vec<String> {
    let config = config(more);
    let mut seen = examination(&config, good(), trusted_by(&["system", "dane"]));
    seen.contacts.truncate(1);
    change(&mut seen);
    advice::of(&seen, &config, now())
}

fn sight_of<'s>(seen: &'s mut Examination<'_>) -> &'s mut Sight {
    &mut seen.contacts[0].visits[0].sight
}

fn tls_of<'s>(seen: &'s mut Examination<'_>) -> &'s mut Seal {
    sight_of(seen).tls.as_mut().unwrap()
}

#[test]
fn a_good_server_needs_no_advice() {
    assert_eq!(advised("", |_| ()), Vec::<String>::new());
}

#[test]
fn a_certificate_that_ends_soon_is_worth_a_word() {
    for (date, wanted) in [
        ("2026-12-02T22:53:02Z", Some("the certificate expires in 9 days")),
        ("2026-12-14T23:00:00Z", Some("the certificate expires in 21 days")),
        ("2026-12-15T23:00:00Z", None),
        ("2026-11-24T23:00:00Z", Some("the certificate expires tomorrow")),
        ("2026-11-24T00:00:00Z", Some("the certificate expires within a day")),
        ("2026-11-23T22:53:00Z", Some("the certificate has expired")),
        ("nonsense", None),
    ] {
        let advice = advised("", |seen| tls_of(seen).chain[0].not_after = date.to_owned());
        assert_eq!(advice.len(), usize::from(wanted.is_some()), "{date}: {advice:?}");
        assert!(advice.iter().all(|sentence| sentence.starts_with(wanted.unwrap())), "{date}: {advice:?}");
    }
    let advice = advised("", |seen| tls_of(seen).chain[1].not_after = "2026-11-26T00:00:00Z".to_owned());
    assert_eq!(advice, ["certificate 2 of the chain expires in 2 days"]);
    let advice = advised("", |seen| tls_of(seen).chain[1].not_after = "2026-11-20T00:00:00Z".to_owned());
    assert_eq!(advice, ["certificate 2 of the chain has expired: this machine does without it, others may not"]);
    let advice = advised("", |seen| tls_of(seen).chain[0].not_before = "2026-12-01T00:00:00Z".to_owned());
    assert_eq!(advice, ["the certificate is not valid before 2026-12-01T00:00:00Z: is this machine's clock right?"]);
}

type Change = fn(&mut Examination<'_>);

/// Each row: settings of the account (`KEY` and `LEAF` stand for the digests of the server), what is different from a good server, and
/// the one piece of advice that follows, or none.
fn hold(table: &[(&str, Change, &str)]) {
    for (more, change, wanted) in table {
        let more = more.replace("KEY", &"cd".repeat(32)).replace("LEAF", &"ab".repeat(32));
        let advice = advised(&more, change);
        assert_eq!(advice.len(), usize::from(!wanted.is_empty()), "{wanted}: {advice:?}");
        assert!(advice.iter().all(|sentence| sentence.contains(wanted)), "{wanted}: {advice:?}");
    }
}

fn untrusted(seen: &mut Examination<'_>) {
    tls_of(seen).verdict = Err(Finding::new(Failure::CertificateNotTrusted, "x"));
}

fn by_nobody(seen: &mut Examination<'_>) {
    untrusted(seen);
    seen.contacts[0].visits[0].opinions.clear();
}

fn other(seen: &mut Examination<'_>, connected: Result<Duration, String>, visits: Vec<Visit>) {
    seen.contacts.push(Contact { address: Some("192.0.2.2:587".parse().unwrap()), connected, visits });
}

fn in_plaintext(seen: &mut Examination<'_>) {
    let sight = sight_of(seen);
    (sight.tls, sight.sealed) = (None, None);
    seen.verdict = Ok(Channel::Plaintext);
}

fn stripped(seen: &mut Examination<'_>) {
    in_plaintext(seen);
    sight_of(seen).clear = Some(Offer::default());
}

fn fails(seen: &mut Examination<'_>, because: &str) {
    seen.verdict = Err(Error::new(Exit::TempFail, "x", because));
}

fn way(seen: &mut Examination<'_>, port: u16, start: Start, problem: Option<&str>) {
    seen.ways.push(Way { port, start, speaks: true, problem: problem.map(str::to_owned) });
}

#[test]
fn advice_on_trust_fits_what_was_seen() {
    hold(&[
        ("[accounts.relay.tls]\npolicy = \"opportunistic\"", |_| (), "\"required\" would work"),
        ("[accounts.relay.tls]\npolicy = \"opportunistic\"", by_nobody, "pin it so: trust = \"pin\", pins = [\"sha256:zc3N"),
        ("[accounts.relay.tls]\ntrust = \"any\"", |_| (), "trust = \"system\" would work"),
        ("[accounts.relay.tls]\ntrust = \"any\"", |seen| seen.contacts[0].visits[0].opinions.clear(), "pin it so"),
        ("", by_nobody, "pin it so"),
        ("[accounts.relay.tls]\nca_file = \"/x.pem\"", untrusted, "leave ca_file out"),
        ("[accounts.relay.tls]\ntrust = \"pin\"\npins = [\"sha256:KEY\"]", untrusted, "trust = \"system\" would work"),
        ("[accounts.relay.tls]\ntrust = \"pin\"\npins = [\"sha256:KEY\"]", |_| (), ""),
        ("[accounts.relay.tls]\ntrust = \"pin\"\npins = [\"sha256:LEAF\"]", |_| (), "may outlive the renewal"),
    ]);
}

#[test]
fn advice_on_the_connection_fits_what_was_seen() {
    hold(&[
        ("[accounts.relay.tls]\npolicy = \"opportunistic\"", stripped, "in plaintext"),
        ("", stripped, "somebody on the way"),
        ("[limits]\nmessage_size = \"100 MiB\"", |_| (), "SIZE 10 MiB is smaller than message_size, 100 MiB"),
        ("", |seen| sight_of(seen).sealed.as_mut().unwrap().known.size = Some(1000), "SIZE 1000 is little"),
        ("", |seen| seen.resolved = Duration::from_secs(5), "the name service took 5.0 s"),
        ("[limits]\nreply_timeout = \"29s\"\nhandshake_timeout = \"29s\"", |seen| fails(seen, NO_ANSWER), ""),
        ("", |seen| fails(seen, NO_ANSWER), "a send waits for an answer longer than the 30 s of a check, up to 300 s"),
        ("", |seen| fails(seen, "the server hung up"), ""),
        ("fallback = [\"spare\"]\n[accounts.spare]\nhost = \"::1\"", |seen| fails(seen, "x"), "the fallback: spare"),
    ]);
}

#[test]
fn advice_on_other_addresses_fits_what_was_seen() {
    let elsewhere: Change = |seen| {
        let mut sight = good();
        sight.tls.as_mut().unwrap().chain[0].sha256 = "other".to_owned();
        other(seen, Ok(Duration::ZERO), vec![Visit { sight, opinions: Vec::new(), hides_chain: false }]);
    };
    let failing: Change = |seen| {
        other(seen, Ok(Duration::ZERO), vec![Visit { sight: sight("no TLS there"), opinions: Vec::new(), hides_chain: false }]);
    };
    hold(&[
        ("", elsewhere, "another certificate"),
        (
            "",
            |seen| other(seen, Err("connection refused".to_owned()), Vec::new()),
            "192.0.2.2:587 does not answer (connection refused)",
        ),
        ("", failing, "192.0.2.2:587 would fail: no TLS there"),
        ("", |seen| other(seen, Ok(Duration::ZERO), vec![Visit { sight: good(), opinions: Vec::new(), hides_chain: false }]), ""),
    ]);
}

#[test]
fn advice_on_other_ways_fits_what_was_seen() {
    hold(&[
        ("", |seen| way(seen, 465, Start::Implicit, None), "this server offers 465, TLS from the first byte: port = 465 saves two"),
        ("", |seen| way(seen, 465, Start::Implicit, Some("untrusted")), ""),
        (
            "",
            |seen| {
                fails(seen, "x");
                way(seen, 465, Start::Implicit, None);
            },
            "on port 465: set port = 465",
        ),
        (
            "",
            |seen| {
                fails(seen, "x");
                way(seen, 587, Start::Implicit, Some("untrusted"));
            },
            "port 587 speaks TLS from the first byte: set start = \"implicit\"",
        ),
        (
            "port = 465",
            |seen| {
                fails(seen, "x");
                way(seen, 587, Start::Starttls, None);
            },
            "port 587 begins in plaintext and offers STARTTLS",
        ),
        ("", |seen| seen.ways.push(Way { port: 465, start: Start::Implicit, speaks: false, problem: Some("x".to_owned()) }), ""),
        (
            "[accounts.relay.tls]\npolicy = \"off\"",
            |seen| {
                in_plaintext(seen);
                way(seen, 587, Start::Starttls, None);
            },
            "policy = \"required\" would use it",
        ),
        (
            "[accounts.relay.tls]\npolicy = \"off\"",
            |seen| {
                in_plaintext(seen);
                way(seen, 587, Start::Starttls, Some("untrusted"));
            },
            "policy = \"opportunistic\" would use it",
        ),
    ]);
}

#[test]
fn advice_on_the_login_fits_what_was_seen() {
    let scram: Change = |seen| offer(seen, &["SCRAM-SHA-256"]);
    let auth = "[accounts.relay.auth]\nuser = \"me\"\npassword = \"pw\"\n";
    let only = |mechanism: &str| format!("{auth}mechanism = {mechanism:?}");
    let token = "[accounts.relay.auth]\nuser = \"me\"\ntoken_command = \"t\"\nmechanism = \"XOAUTH2\"";
    hold(&[
        ("", scram, "no [auth]"),
        (auth, scram, ""),
        (&only("PLAIN"), scram, "it offers SCRAM-SHA-256 too, which does not: leave mechanism out"),
        (&only("LOGIN"), |seen| offer(seen, &["LOGIN", "SCRAM-SHA-1"]), "it offers SCRAM-SHA-1 too"),
        (&only("PLAIN"), |seen| offer(seen, &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]), "it offers SCRAM-SHA-256-PLUS too"),
        (&only("PLAIN"), |seen| offer(seen, &["PLAIN", "CRAM-MD5"]), ""),
        (&only("PLAIN"), |_| (), ""),
        (&only("CRAM-MD5"), scram, "\"CRAM-MD5\" is weaker than SCRAM-SHA-256, which the server offers too"),
        (&only("CRAM-MD5"), |seen| offer(seen, &["PLAIN", "CRAM-MD5"]), ""),
        (&only("SCRAM-SHA-256"), scram, ""),
        (token, |seen| offer(seen, &["XOAUTH2", "SCRAM-SHA-256"]), ""),
        (&format!("{auth}allow_unverified = true"), scram, "leave it out"),
    ]);
}

/// The server is trusted, and offers these mechanisms under TLS.
fn offer(seen: &mut Examination<'_>, mechanisms: &[&str]) {
    let demand = seen.account.tls.demand;
    sight_of(seen).met = Some(policy::judge(demand, Ok(Standing::Proven)).unwrap());
    sight_of(seen).sealed.as_mut().unwrap().known.auth = mechanisms.iter().map(|name| (*name).to_owned()).collect();
}

#[test]
fn advice_on_the_dns_fits_what_it_says() {
    let named: Change = |seen| seen.records = Ok(records("mx.example"));
    let unmatched: Change = |seen| {
        seen.contacts[0].visits[0].opinions.retain(|opinion| opinion.name != "dane");
        let refused = Ok(Err(Finding::new(Failure::TlsaInvalid, "x")));
        seen.contacts[0].visits[0].opinions.push(Opinion { name: "dane", says: refused });
        let mut found = records("mx.example");
        found.submission = None;
        seen.records = Ok(found);
    };
    assert_eq!(
        advised("", named),
        [
            "TLSA records exist: trust = \"dane\" would work",
            "mx.example names mx.example:465 for submission, and the account goes elsewhere"
        ]
    );
    hold(&[
        ("", unmatched, "they don't match this server"),
        (
            "",
            |seen| {
                let mut found = records("smtp.example.com");
                found.submission.as_mut().unwrap().1.as_mut().unwrap()[0].offers[0].port = 587;
                found.dane.as_mut().unwrap().outcome = Ok(Tlsa::Absent);
                seen.records = Ok(found);
            },
            "",
        ),
    ]);
}
