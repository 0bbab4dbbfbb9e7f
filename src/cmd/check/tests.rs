//! Is the page readable whatever a server says, and is every address looked at?

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use super::{
    examine::{Outset, examine_at},
    *,
};
use crate::{
    cmd::deliver::Delivery,
    error::is_treacherous,
    host::{
        dial::{self, Unreachable},
        listen::{Settings, Sink},
        probe::{self, Patience},
        tls::{Connector, Known},
        world::Pretend,
    },
    mail::policy::{Channel, Prior, Start},
    smtp::server::fault::Faults,
};

mod advising;
mod kit;

use kit::*;

proptest! {
    #[test]
    fn no_server_can_widen_the_page_or_drive_the_terminal(foreign in "(\\PC|[\x00-\x1f\x7f-\u{9f}\u{202a}-\u{202e} \n]){0,400}") {
        let config = config("[accounts.relay.auth]\nuser = \"me\"\npassword = \"pw\"\n");
        let mut seen = examination(&config, sight(&foreign), opinions(&foreign));
        seen.records = Ok(records(&foreign));
        let advice = advice::of(&seen, &config, now());
        let error = Some(Error::new(Exit::TempFail, "sending", foreign.as_str()));
        let mail = Some(Posted { to: foreign.clone(), exit: Exit::TempFail, reply: Some(foreign.clone()), error, warnings: Vec::new() });
        let checked = [Checked { seen, advice, mail }];
        let page = Style { colour: false }.page(&foreign, &checked[0], now());
        for line in page.lines() {
            prop_assert!(line.width() <= 80, "{line}");
        }
        prop_assert!(!page.chars().any(|c| is_treacherous(c) && c != '\n'));
        prop_assert!(page.lines().count() < 600);
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
    let seen = examination(&config, good(), opinions("x"));
    let checked = Checked { seen, advice: vec!["x".to_owned()], mail: None };
    let plain = Style { colour: false }.page("here", &checked, now());
    let dyed = Style { colour: true }.page("here", &checked, now());
    let stripped: String = dyed
        .split('\x1b')
        .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest))
        .collect();
    assert_ne!(plain, dyed);
    assert_eq!(plain, stripped);
}

#[test]
fn what_an_account_logs_in_with_is_called_by_its_name() {
    let certificate = "[accounts.relay.tls]\nclient_cert = \"c\"\n[accounts.relay.auth]\nmechanism = \"EXTERNAL\"\n";
    let of_user = "[accounts.relay.auth]\nuser = \"me\"\n";
    let gone = || Err(Error::new(Exit::Config, "fetching", "it is gone"));
    for (account, secret, wanted) in [
        (format!("{of_user}password = \"pw\""), Ok(None), "login      as me: the password can be had\n"),
        (format!("{of_user}netrc = true"), gone(), "login      as me: the password can't be had: it is gone\n"),
        (of_user.to_owned(), Ok(None), "login      as me: the password was asked for on the terminal\n"),
        (format!("{of_user}token_command = \"t\""), Ok(None), "login      as me: the access token can be had\n"),
        (format!("{of_user}token_command = \"t\""), gone(), "login      as me: the access token can't be had: it is gone\n"),
        (certificate.to_owned(), Ok(None), "login      as whom the server takes us for: by the client certificate,"),
        (format!("{certificate}user = \"me\""), Ok(None), "login      as me: by the client certificate, without a secret\n"),
    ] {
        let config = config(&account);
        let seen = Examination { secret: Some(secret), ..examination(&config, good(), opinions("x")) };
        let page = Style { colour: false }.page("here", &Checked { seen, advice: Vec::new(), mail: None }, now());
        assert!(page.contains(wanted), "{account}: {wanted}\n{page}");
    }
}

fn examined(config: &Config, addresses: Result<Vec<SocketAddr>, Unreachable>) -> Examination<'_> {
    let (world, account) = (Pretend::default(), &config.accounts[0]);
    examine_at(
        &world,
        config,
        &Outset::of(&world, config, account),
        &Cow::Borrowed(account),
        (Some(addresses), config.limits.connect),
    )
    .0
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
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = format!("[accounts.relay.tls]\nserver_name = \"localhost\"\nca_file = {ca:?}\n");
    let config = config(&format!("{tls}[limits]\ngreeting_timeout = \"500ms\"\n"));
    let addresses = vec![closed, sinks[0].address, sinks[1].address, silent.local_addr().unwrap()];
    let seen = examined(&config, Ok(addresses));
    assert_eq!((seen.used, &seen.verdict), (Some(1), &Ok(Channel::Verified)));
    assert!(seen.contacts[0].connected.as_ref().unwrap_err().ends_with("connection refused"));
    assert!(seen.visit().unwrap().sight.tls.as_ref().unwrap().verdict.is_ok());
    let advice = advice::of(&seen, &config, now());
    assert!(advice[0].contains("does not answer (connection refused)"), "{advice:?}");
    assert!(advice[2].contains("would fail: no answer in time: the greeting"), "{advice:?}");
    assert!(advice[1].contains("would fail: TLS policy \"required\" not met: certificate-not-trusted"), "{advice:?}");
}

#[test]
fn where_no_name_leads_anywhere_the_verdict_is_a_sends() {
    let config = config("");
    for (why, exit) in
        [(Unreachable::NoSuchHost("no".to_owned()), Exit::NoHost), (Unreachable::NotNow("no".to_owned()), Exit::TempFail)]
    {
        let seen = examined(&config, Err(why));
        assert_eq!(seen.verdict.as_ref().unwrap_err().exit(), exit);
        assert!(seen.contacts.is_empty() && seen.visit().is_none());
        let checked = Checked { seen, advice: Vec::new(), mail: None };
        assert!(Style { colour: false }.page("here", &checked, now()).contains("addresses  none"));
    }
}

/// The keys of every object within `value`, by the key that holds the object; what holds one kind of trust is any of them.
fn keys(name: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(object) => {
            found.entry(name.to_owned()).or_default().extend(object.keys().cloned());
            object.iter().for_each(|(key, value)| keys(if name == "trust" { "trust.*" } else { key }, value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| keys(name, value, found)),
        _ => {}
    }
}

/// The same as the manual has it.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = include_str!("../../../man/sealpost.1");
    let (_, section) = page.split_once(".Ss The object of a check\n").unwrap();
    let section = section.split_once(".El").unwrap().0;
    let words =
        |line: &str| line.split([' ', ',', ':', ';', '.']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut found = BTreeMap::new();
    for item in section.split(".It Ic ").skip(1) {
        let (names, text) = item.split_once('\n').unwrap();
        let text: BTreeSet<String> = text.lines().filter_map(|line| line.strip_prefix(".Cm ")).flat_map(words).collect();
        found.extend(names.split(" , ").map(|name| (name.to_owned(), text.clone())));
    }
    found
}

#[test]
fn the_manual_lists_every_key_of_the_object_and_no_other() {
    let config = config("[accounts.relay.auth]\nuser = \"me\"\npassword = \"pw\"\n");
    let all = ["system", "ca_file", "tofu", "dane", "any", "pin"];
    let mut seen = examination(&config, sight("x"), trusted_by(&all));
    seen.records = Ok(records("x"));
    seen.ways.push(seen::Way { port: 465, start: Start::Implicit, speaks: true, problem: None });
    let mail = Posted { to: "x".to_owned(), exit: Exit::Ok, reply: None, error: None, warnings: Vec::new() };
    let checked = [Checked { seen, advice: Vec::new(), mail: Some(mail) }];
    let value: Value = serde_json::from_str(&as_json(&config, Exit::Ok, &checked).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    keys("object", &value, &mut found);
    assert_eq!(found, documented());
}

#[test]
fn a_look_is_over_when_its_time_is_over_however_long_an_answer_may_take() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (begun, address) = (Instant::now(), silent.local_addr().unwrap());
    let config = config("");
    let account = &config.accounts[0];
    let link = dial::race(&[address], None, begun + Duration::from_secs(5)).unwrap();
    let known = (account.tls.demand, &Prior::default());
    let plan = Delivery::plan(&Pretend::default(), &config, account, &link, None, known);
    let connector = Connector::new(&account.tls, &account.target, Known::Nothing).unwrap();
    let patience = Patience { timeouts: config.limits.timeouts, until: begun + Duration::from_millis(200) };
    let sight = probe::run(link, &connector, patience, plan);
    assert_eq!(sight.report.problem.unwrap().because, "no answer in time: the greeting did not come");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
