//! Is the page readable whatever a server says, and is the advice the right one?

use std::time::Duration;

use proptest::prelude::*;

use super::{
    examine::{Contact, examine_at},
    *,
};
use crate::{
    error::is_treacherous,
    host::{
        dial::Unreachable,
        listen::{Settings, Sink},
        probe::{Seal, Sight},
        world::Pretend,
    },
    mail::{
        policy::{Channel, Reach},
        tls::{Certificate, Facts, Failure, Finding, Standing},
    },
    smtp::{
        client::{Problem, Report},
        reply::Capabilities,
        server::fault::Faults,
    },
};

/// 2026-11-23T22:53:01Z.
fn now() -> jiff::Timestamp {
    Pretend::default().timestamp()
}

fn config(text: &str) -> Config {
    let accounts = format!("[accounts.relay]\nhost = \"smtp.example.com\"\n{text}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, accounts).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    config::load(&Pretend { uid: rustix::process::getuid().as_raw(), ..Pretend::default() }, Some(&file)).unwrap()
}

/// A server that shows `foreign` wherever a server can.
fn sight(foreign: &str) -> Sight {
    let certificate = Certificate {
        subject: foreign.to_owned(),
        issuer: foreign.to_owned(),
        names: vec![foreign.to_owned(); 20],
        not_before: foreign.to_owned(),
        not_after: "2027-11-23T22:53:01Z".to_owned(),
        sha256: "ab".repeat(32),
        spki_sha256: "cd".repeat(32),
    };
    let finding = Finding::new(Failure::CertificateNotTrusted, foreign);
    let server = Capabilities { auth: vec![foreign.to_owned(); 20], size: Some(10 << 20), ..Capabilities::default() };
    Sight {
        steps: vec![("greeting".to_owned(), Duration::from_millis(3)), (foreign.to_owned(), Duration::from_millis(1))],
        clear: Some(server.clone()),
        sealed: Some(server),
        tls: Some(Seal {
            facts: Facts { version: Some("TLSv1.3".to_owned()), ..Facts::default() },
            chain: vec![certificate; 2],
            verdict: Err(finding.clone()),
            opinions: vec![("system", Err(finding.clone())), ("ca_file", Ok(Standing::Proven)), ("pin", Err(finding.clone()))],
            bindable: true,
        }),
        met: None,
        reach: Reach::Network,
        report: Report {
            outcomes: Vec::new(),
            problem: Some(Problem {
                fate: crate::mail::outcome::Fate::Deferred,
                exit: Exit::TempFail,
                because: foreign.to_owned(),
                hint: None,
                reply: None,
            }),
            offered: Some(true),
            met: None,
            finding: Some(finding),
            auth: None,
            token_refused: false,
            retry_in_plaintext: None,
        },
    }
}

fn examination(config: &Config, sight: Sight) -> Examination<'_> {
    let because = sight.report.problem.as_ref().map(|problem| problem.because.clone());
    Examination {
        account: &config.accounts[0],
        resolved: Duration::from_millis(2),
        contacts: vec![
            Contact {
                address: Some("192.0.2.1:587".parse().unwrap()),
                connected: Ok(Duration::from_millis(9)),
                sights: vec![sight],
            },
            Contact {
                address: Some("[2001:db8::1]:587".parse().unwrap()),
                connected: Err("refused".to_owned()),
                sights: Vec::new(),
            },
        ],
        used: Some(0),
        secret: None,
        implicit_too: None,
        verdict: because
            .map_or(Ok(Channel::Verified), |because| Err(Error::new(Exit::TempFail, "sending", because.clone()).hint(because))),
    }
}

/// A sight of which nothing bad can be said.
fn good() -> Sight {
    let mut sight = sight("x");
    sight.report.problem = None;
    sight.report.finding = None;
    sight.clear = Some(Capabilities { starttls: true, ..Capabilities::default() });
    sight.sealed.as_mut().unwrap().auth.clear();
    let tls = sight.tls.as_mut().unwrap();
    tls.verdict = Ok(Standing::Proven);
    tls.opinions = vec![("system", Ok(Standing::Proven))];
    sight
}

proptest! {
    #[test]
    fn no_server_can_widen_the_page_or_drive_the_terminal(foreign in "(\\PC|[\x00-\x1f\x7f-\u{9f}\u{202a}-\u{202e} \n]){0,900}") {
        let config = config("[accounts.relay.auth]\nuser = \"me\"\npassword = \"pw\"\n");
        let seen = examination(&config, sight(&foreign));
        let advice = advice::of(&seen, &config, now());
        let page = Style { colour: false }.page(&foreign, &seen, &advice, None);
        for line in page.lines() {
            prop_assert!(line.chars().count() <= 80, "{line}");
        }
        prop_assert!(!page.chars().any(|c| is_treacherous(c) && c != '\n'));
        prop_assert!(page.lines().count() < 400);
        let checked = [Checked { seen, advice, mail: None }];
        let line = as_json(&config, Exit::TempFail, &checked).unwrap();
        prop_assert!(!line.trim_end_matches('\n').chars().any(is_treacherous));
        let value: Value = serde_json::from_str(&line).unwrap();
        let wanted = format!("sending: {}", crate::error::printable(&foreign));
        prop_assert_eq!(value["accounts"][0]["error"].as_str(), Some(wanted.as_str()));
    }
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let config = config("");
    let seen = examination(&config, good());
    let plain = Style { colour: false }.page("here", &seen, &[], None);
    let dyed = Style { colour: true }.page("here", &seen, &[], None);
    let stripped: String = dyed
        .split('\x1b')
        .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest))
        .collect();
    assert_ne!(plain, dyed);
    assert_eq!(plain, stripped);
}

/// What is advised after `change`, for an account with `more` settings.
fn advised(more: &str, change: impl FnOnce(&mut Examination<'_>)) -> Vec<String> {
    let config = config(more);
    let mut seen = examination(&config, good());
    seen.contacts.truncate(1);
    change(&mut seen);
    advice::of(&seen, &config, now())
}

fn tls_of<'s>(seen: &'s mut Examination<'_>) -> &'s mut Seal {
    seen.contacts[0].sights[0].tls.as_mut().unwrap()
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
}

#[test]
fn advice_fits_what_was_seen() {
    type Change = fn(&mut Examination<'_>);
    let untrusted: Change = |seen| tls_of(seen).verdict = Err(Finding::new(Failure::CertificateNotTrusted, "x"));
    let elsewhere: Change = |seen| {
        let mut other = good();
        other.tls.as_mut().unwrap().chain[0].sha256 = "other".to_owned();
        let address = Some("192.0.2.2:587".parse().unwrap());
        seen.contacts.push(Contact { address, connected: Ok(Duration::ZERO), sights: vec![other] });
    };
    let silent: Change = |seen| {
        let address = Some("192.0.2.2:587".parse().unwrap());
        seen.contacts.push(Contact { address, connected: Err("connection refused".to_owned()), sights: Vec::new() });
    };
    let failing: Change = |seen| {
        let address = Some("192.0.2.2:587".parse().unwrap());
        seen.contacts.push(Contact { address, connected: Ok(Duration::ZERO), sights: vec![sight("no TLS there")] });
    };
    let scram: Change = |seen| seen.contacts[0].sights[0].sealed.as_mut().unwrap().auth = vec!["SCRAM-SHA-256".to_owned()];
    let nothing: Change = |_| ();
    let offers: Change = |seen| {
        let sight = &mut seen.contacts[0].sights[0];
        (sight.tls, sight.sealed) = (None, None);
        seen.verdict = Ok(Channel::Plaintext);
    };
    let stripped: Change = |seen| {
        let sight = &mut seen.contacts[0].sights[0];
        (sight.tls, sight.sealed) = (None, None);
        sight.clear = Some(Capabilities::default());
        seen.verdict = Ok(Channel::Plaintext);
    };
    let table: [(&str, Change, &str); 15] = [
        ("[accounts.relay.tls]\npolicy = \"opportunistic\"", nothing, "\"required\" would work"),
        ("[accounts.relay.tls]\ntrust = \"any\"", nothing, "trust = \"system\" would work"),
        ("", untrusted, "trust = \"pin\""),
        ("[accounts.relay.tls]\nca_file = \"/x.pem\"", untrusted, "leave ca_file out"),
        ("[accounts.relay.tls]\npolicy = \"off\"", offers, "offers STARTTLS"),
        ("[accounts.relay.tls]\npolicy = \"opportunistic\"", stripped, "in plaintext"),
        ("", stripped, "somebody on the way"),
        ("[limits]\nmessage_size = \"100 MiB\"", nothing, "SIZE 10 MiB is smaller than message_size, 100 MiB"),
        ("", elsewhere, "another certificate"),
        ("", silent, "192.0.2.2:587 does not answer (connection refused)"),
        ("", failing, "192.0.2.2:587 would fail: no TLS there"),
        ("", |seen| seen.implicit_too = Some(true), "port 465"),
        ("", scram, "no [auth]"),
        ("[accounts.relay.auth]\nuser = \"me\"\npassword = \"pw\"\nmechanism = \"PLAIN\"", scram, "leave mechanism out"),
        (
            "fallback = [\"spare\"]\n[accounts.spare]\nhost = \"::1\"",
            |seen| seen.verdict = Err(Error::new(Exit::TempFail, "x", "y")),
            "the fallback: spare",
        ),
    ];
    for (more, change, wanted) in table {
        let advice = advised(more, change);
        assert_eq!(advice.len(), 1, "{wanted}: {advice:?}");
        assert!(advice[0].contains(wanted), "{wanted}: {advice:?}");
    }
}

#[test]
fn every_address_is_looked_at_and_only_the_one_that_answers_first_is_used() {
    let sinks = [&[][..], &["self-signed"]].map(|faults| {
        let faults = Faults::named(faults.iter().copied());
        Sink::start(Settings { faults, ..Settings::default() }).unwrap()
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, sinks[0].ca_pem.as_deref().unwrap()).unwrap();
    let config = config(&format!("[accounts.relay.tls]\nserver_name = \"localhost\"\nca_file = {ca:?}\n"));
    let addresses = vec![closed, sinks[0].address, sinks[1].address];
    let seen = examine_at(&Pretend::default(), &config, &config.accounts[0], Ok(addresses));
    assert_eq!((seen.used, &seen.verdict), (Some(1), &Ok(Channel::Verified)));
    assert!(seen.contacts[0].connected.as_ref().unwrap_err().ends_with("connection refused"));
    assert!(seen.sight().unwrap().tls.as_ref().unwrap().verdict.is_ok());
    let advice = advice::of(&seen, &config, now());
    assert!(advice[0].contains("does not answer (connection refused)"), "{advice:?}");
    assert!(advice[1].contains("would fail: TLS policy \"required\" not met: certificate-not-trusted"), "{advice:?}");
}

#[test]
fn where_no_name_leads_anywhere_the_verdict_is_a_sends() {
    let config = config("");
    for (why, exit) in
        [(Unreachable::NoSuchHost("no".to_owned()), Exit::NoHost), (Unreachable::NotNow("no".to_owned()), Exit::TempFail)]
    {
        let seen = examine_at(&Pretend::default(), &config, &config.accounts[0], Err(why));
        assert_eq!(seen.verdict.as_ref().unwrap_err().exit(), exit);
        assert!(seen.contacts.is_empty() && seen.sight().is_none());
        assert!(Style { colour: false }.page("here", &seen, &[], None).contains("addresses  none"));
    }
}
