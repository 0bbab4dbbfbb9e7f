//! What does a check find that never was? (examinations made by hand)

use std::{borrow::Cow, time::Duration};

use crate::{
    cmd::check::{
        opinions::Opinion,
        records::Records,
        seen::{Contact, Examination, Visit},
    },
    error::{Error, Exit},
    host::{
        config::{self, Config},
        dns::{self, Dane, Security, Service},
        probe::{Offer, Seal, Sight},
        world::{Pretend, World as _},
    },
    mail::{
        address::ReversePath,
        outcome::Fate,
        policy::{Channel, Reach, Start, Tlsa},
        tls::{Certificate, Facts, Failure, Finding, Standing},
    },
    smtp::{
        client::{Problem, Report},
        reply::Capabilities,
        tlsa::Record,
    },
};

/// 2026-11-23T22:53:01Z.
pub(super) fn now() -> jiff::Timestamp {
    Pretend::default().timestamp()
}

pub(super) fn config(text: &str) -> Config {
    let accounts = format!("[accounts.relay]\nhost = \"smtp.example.com\"\n{text}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, accounts).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    config::load(&Pretend { uid: rustix::process::getuid().as_raw(), ..Pretend::default() }, Some(&file)).unwrap()
}

/// A server that shows `foreign` wherever a server can.
pub(super) fn sight(foreign: &str) -> Sight {
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
    let known = Capabilities { auth: vec![foreign.to_owned(); 20], size: Some(10 << 20), ..Capabilities::default() };
    let offer = Offer { known, lines: vec![foreign.to_owned(); 20] };
    Sight {
        steps: vec![("greeting".to_owned(), Duration::from_millis(3)), (foreign.to_owned(), Duration::from_millis(1))],
        greeting: Some(foreign.to_owned()),
        clear: Some(offer.clone()),
        sealed: Some(offer),
        tls: Some(Seal {
            facts: Facts { version: Some("TLSv1.3".to_owned()), ..Facts::default() },
            chain: vec![certificate; 2],
            ders: vec![Vec::new().into(); 12],
            verdict: Err(finding.clone()),
            bindable: true,
        }),
        met: None,
        reach: Reach::Network,
        tried_login: true,
        report: Report {
            outcomes: Vec::new(),
            problem: Some(Problem {
                fate: Fate::Deferred,
                exit: Exit::TempFail,
                because: foreign.to_owned(),
                hint: None,
                reply: None,
                trouble: None,
            }),
            offered: Some(true),
            met: None,
            finding: Some(finding),
            requiretls: false,
            dsn: false,
            auth: None,
            token_refused: false,
            retry_in_plaintext: None,
            unseen: false,
            spent: false,
        },
    }
}

pub(super) fn opinions(foreign: &str) -> Vec<Opinion> {
    let refused = || Ok(Err(Finding::new(Failure::CertificateNotTrusted, foreign)));
    let all = [("system", refused()), ("ca_file", Ok(Ok(Standing::Proven))), ("pin", refused()), ("dane", Err(foreign.to_owned()))];
    all.into_iter().map(|(name, says)| Opinion { name, says }).collect()
}

/// What the DNS says where it, too, says `foreign`.
pub(super) fn records(foreign: &str) -> Records {
    let record = Record { usage: 3, selector: 1, matching: 1, data: vec![7; 90] };
    let offer = dns::Offer { host: foreign.to_owned(), port: 465, priority: 0, weight: 0 };
    Records {
        dane: Ok(Dane {
            host: foreign.to_owned(),
            expanded: foreign.to_owned(),
            security: Some(Security::Secure),
            addresses: Vec::new(),
            asked: vec![foreign.to_owned()],
            base: foreign.to_owned(),
            records: vec![record; 20],
            server: None,
            outcome: Ok(Tlsa::Usable),
            words: foreign.to_owned(),
        }),
        submission: Some((
            foreign.to_owned(),
            Ok(vec![Service {
                name: foreign.to_owned(),
                start: Start::Implicit,
                security: Security::Insecure,
                declined: false,
                offers: vec![offer; 20],
            }]),
        )),
    }
}

pub(super) fn examination(config: &Config, sight: Sight, opinions: Vec<Opinion>) -> Examination<'_> {
    let because = sight.report.problem.as_ref().map(|problem| problem.because.clone());
    Examination {
        wanted: &config.accounts[0],
        account: Cow::Borrowed(&config.accounts[0]),
        sender: Ok(ReversePath::Null),
        resolved: Duration::from_millis(2),
        contacts: vec![
            Contact {
                address: Some("192.0.2.1:587".parse().unwrap()),
                connected: Ok(Duration::from_millis(9)),
                visits: vec![Visit { sight, opinions, hides_chain: false }],
            },
            Contact {
                address: Some("[2001:db8::1]:587".parse().unwrap()),
                connected: Err("refused".to_owned()),
                visits: Vec::new(),
            },
        ],
        used: Some(0),
        secret: None,
        ways: Vec::new(),
        records: Err("not asked"),
        warnings: Vec::new(),
        verdict: because
            .map_or(Ok(Channel::Verified), |because| Err(Error::new(Exit::TempFail, "sending", because.clone()).hint(because))),
    }
}

/// A sight of which nothing bad can be said.
pub(super) fn good() -> Sight {
    let mut sight = sight("x");
    sight.report.problem = None;
    sight.report.finding = None;
    let known = Capabilities { starttls: true, ..Capabilities::default() };
    sight.clear = Some(Offer { known, lines: vec!["STARTTLS".to_owned()] });
    sight.sealed.as_mut().unwrap().known.auth.clear();
    sight.tls.as_mut().unwrap().verdict = Ok(Standing::Proven);
    sight
}

pub(super) fn trusted_by(names: &[&'static str]) -> Vec<Opinion> {
    names.iter().map(|name| Opinion { name, says: Ok(Ok(Standing::Proven)) }).collect()
}
