use std::path::{Path, PathBuf};

use super::*;
use crate::{
    cmd::setup::presets::{Host, PRESETS, Preset, User},
    host::{config, world::Pretend},
    mail::policy::{Policy, Trust},
    smtp::sasl::Secret,
};

fn draft(name: &str, login: Login) -> Draft {
    Draft {
        name: name.to_owned(),
        host: "smtp.example.com".to_owned(),
        port: 465,
        start: Start::Implicit,
        from: "me@example.com".to_owned(),
        strict: false,
        hello: None,
        proxy: None,
        ca_file: None,
        pin: None,
        mechanism: None,
        login,
        secret_name: name.to_owned(),
        remark: "A remark.".to_owned(),
    }
}

fn password(keep: Keep) -> Login {
    Login::Password { user: "me \"quoted\\\" ü".to_owned(), keep }
}

fn parse(text: &str) -> Result<Config, Error> {
    let world = Pretend { state_dir: Some(PathBuf::from("/s")), ..Pretend::default() };
    config::parse(&world, Path::new("/c/config.toml"), text)
}

fn logins(preset: &Preset) -> Vec<Login> {
    let user = match preset.user {
        User::Is(user) => user,
        _ => "me@example.com",
    };
    let mut logins = Vec::new();
    if preset.secret().is_some() {
        logins.push(Login::Password { user: user.to_owned(), keep: Keep::File(Secret::new("s".to_owned())) });
    }
    if let Some(provider) = preset.oauth() {
        logins.push(Login::OAuth { user: user.to_owned(), provider, client: "id".to_owned(), secret: None });
    }
    if logins.is_empty() {
        logins.push(Login::Nothing);
    }
    logins
}

#[test]
fn every_provider_makes_an_account_that_is_read_again_and_demands_tls() {
    for preset in &PRESETS {
        let host = match preset.host {
            Host::Is(host) => host.to_owned(),
            Host::By(pattern, _, usual) => pattern.replace('*', usual),
            Host::Asked => "mail.example.com".to_owned(),
        };
        for login in logins(preset) {
            let is_oauth = matches!(login, Login::OAuth { .. });
            let draft = Draft {
                host: host.clone(),
                port: preset.port,
                start: preset.start,
                strict: preset.strict,
                hello: preset.says_domain.then(|| "example.com".to_owned()),
                mechanism: preset.mechanism.filter(|_| is_oauth),
                ..draft(preset.id, login)
            };
            let (text, config) = grown(None, &draft.text(), None, parse).unwrap_or_else(|error| panic!("{}: {error}", preset.id));
            let account = config.account(preset.id).unwrap();
            let demand = account.tls.demand;
            assert_eq!((demand.policy, demand.trust, demand.start), (Policy::Required, Trust::System, preset.start), "{text}");
            assert_eq!(account.auth.is_none(), preset.secret().is_none() && preset.oauth().is_none(), "{text}");
            for word in ["auto", "opportunistic"] {
                assert!(!text.contains(word), "{text}");
            }
        }
        assert!(preset.page.starts_with("https://") && preset.advice.ends_with('.'), "{}", preset.id);
        assert!(PRESETS.iter().filter(|other| other.id == preset.id).count() == 1, "{} twice", preset.id);
    }
}

#[test]
fn a_provider_is_known_by_its_domains_and_its_mail_exchangers() {
    let id = |preset: Option<&'static Preset>| preset.map(|preset| preset.id);
    assert_eq!(id(Preset::of_domain("GMail.com")), Some("gmail"));
    assert_eq!(id(Preset::of_domain("example.com")), None);
    for (host, wanted) in [
        ("aspmx.l.google.com.", Some("gmail")),
        ("example-com.mail.protection.outlook.com", Some("office365")),
        ("outlook-com.olc.protection.outlook.com", Some("outlook")),
        ("in1-smtp.messagingengine.com", Some("fastmail")),
        ("mx.evilgoogle.com", None),
        ("mx.example.com", None),
    ] {
        assert_eq!(id(Preset::of_exchanger(host)), wanted, "{host}");
    }
}

#[test]
fn the_help_names_every_provider() {
    let help = crate::cmd::setup::EXAMPLES.replace('\n', " ");
    for preset in &PRESETS {
        assert!(help.contains(&format!(" {}", preset.id)), "{}", preset.id);
    }
}

#[test]
fn what_people_write_reaches_the_configuration_as_it_is() {
    let draft = Draft {
        pin: Some(format!("sha256:{}", "ab".repeat(32))),
        proxy: Some("socks5://127.0.0.1:9050".to_owned()),
        ..draft("a", password(Keep::At(PathBuf::from("/p/\"x\\"))))
    };
    let (text, config) = grown(None, &draft.text(), Some("fallback"), parse).unwrap();
    let auth = config.accounts[0].auth.as_ref().unwrap();
    assert_eq!(auth.user, "me \"quoted\\\" ü");
    assert!(matches!(&auth.source, config::SecretSource::File(path) if path == Path::new("/p/\"x\\")), "{text}");
    assert_eq!(config.accounts[0].tls.demand.trust, Trust::Pin);
    assert_eq!(config.queue.mode.as_str(), "fallback");
}

#[test]
fn an_account_is_added_and_everything_else_stays() {
    let old = "# mine\n\n# two\naliases = \"\" # kept\n\n[accounts.one]\nhost = \"one.example\" # the first";
    let before = parse(old).unwrap();
    let add = |name: &str, queue| grown(Some((old, Some(&before))), &draft(name, Login::Nothing).text(), queue, parse);
    let (text, config) = add("two", None).unwrap();
    assert_eq!(config.default_account.as_deref(), Some("one"));
    let without = text.replace("default_account = \"one\"\n", "");
    assert!(without.starts_with(old), "{text}");
    assert!(text.starts_with("# mine\n\n# two\ndefault_account = \"one\"\naliases"), "{text}");
    assert!(add("one", None).is_err(), "a table twice");
    assert_eq!(add("two", Some("always")).unwrap().1.queue.mode.as_str(), "always");
    assert!(!add("two", Some("off")).unwrap().0.contains("[queue]"), "what is so already is not written");
}

#[test]
fn what_can_not_be_added_is_said_and_not_bent() {
    let old = "accounts = { one = { host = \"one.example\" } }\n";
    let before = parse(old).unwrap();
    let error = grown(Some((old, Some(&before))), &draft("two", Login::Nothing).text(), None, parse).unwrap_err();
    assert!(error.because().starts_with("the account can't be added at its end"), "{error}");
    let old = "[accounts.one]\nhost = \"one.example\"\n[queue]\nmode = \"off\"\n";
    let before = parse(old).unwrap();
    let error = grown(Some((old, Some(&before))), &draft("two", Login::Nothing).text(), Some("fallback"), parse).unwrap_err();
    assert!(error.advice().unwrap().contains("table [queue]"), "{error}");
}

#[test]
fn a_text_without_an_account_gets_its_first_one_at_its_end() {
    for old in ["", "# as the package brings it\n# [accounts.relay]\n", "[log]\nsyslog = false"] {
        assert!(parse(old).is_err() && parse(&with_any_account(old)).is_ok(), "{old}");
        let (text, config) = grown(Some((old, None)), &draft("one", Login::Nothing).text(), Some("off"), parse).unwrap();
        assert!(text.starts_with(old) && !text.contains(ANY), "{text}");
        assert_eq!(config.default_account.as_deref(), Some("one"), "{text}");
    }
    // What is wrong besides stays wrong.
    assert!(parse(&with_any_account("[log]\nsylog = false\n")).is_err());
}

#[test]
fn a_percent_sign_in_an_address_is_no_word_for_the_login() {
    let draft = Draft { from: "me%U@example.com".to_owned(), ..draft("one", Login::Nothing) };
    assert!(draft.text().contains("from = \"me%%U@example.com\""), "{}", draft.text());
    assert!(parse(&draft.text()).is_ok());
}
