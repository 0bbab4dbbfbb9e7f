//! Does a person at a terminal get from an address to an account that sends?

use std::fs;

use sealpost::{
    host::listen::Tls,
    smtp::sasl::{Secret, verifier::Login},
};

use crate::{
    common::{PASSWORD, USER, certificate::Flaw, reveals_secret},
    kit::{Home, delivered, sink},
    terminal::Terminal,
    web::{Proxy, Web, reply},
};

/// The options that name a server of this machine, where only the rest is to be asked.
fn at<'a>(port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["me@example.com", "--host", "localhost", "--port", port, "--start", "starttls"], more].concat()
}

#[test]
fn questions_lead_to_an_account_that_sends() {
    let home = Home::new();
    let sink = home.sink(Tls::Implicit);
    let port = sink.address.port().to_string();
    let mut terminal = Terminal::start(&home.setup(&[]));
    let manners = terminal.manners();
    terminal.answer("send from: ", "me");
    terminal.until("is not a mail address");
    terminal.answer("send from: ", "me@nowhere.test");
    terminal.until("Known providers");
    terminal.answer("or provider: ", "smtp://localhost");
    terminal.until("is a URL");
    terminal.answer("or provider: ", "localhost");
    terminal.answer("Port [587]: ", &port);
    terminal.answer("[starttls]: ", "implicit");
    terminal.answer("[me@nowhere.test]: ", USER);
    terminal.whisper("Password for cron (not shown): ", "wrong");
    terminal.until("refused the login");
    terminal.answer("(q)uit? [l]: ", "");
    terminal.answer("[me@nowhere.test]: ", USER);
    terminal.whisper("(not shown): ", PASSWORD);
    terminal.until("this account would send now");
    terminal.answer("(Enter: to nobody): ", "you@sink.test");
    terminal.until("sent to you@sink.test");
    terminal.until("[accounts.nowhere-test]");
    assert!(!home.path(".config").exists(), "written before somebody agreed");
    terminal.answer("Write it? [Y/n] ", "y");
    terminal.until("Written");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen);
    assert_eq!(delivered(&sink), 1);
    assert_eq!(terminal.manners(), manners, "the terminal is another one");
    assert!(!reveals_secret(terminal.screen.as_bytes()) && !terminal.screen.contains("wrong\n"), "{}", terminal.screen);
    assert_eq!(home.configured(), ["0600 config.toml", "0600 secrets/nowhere-test", "0700 secrets"]);
    assert_eq!(fs::read_to_string(home.path(".config/sealpost/secrets/nowhere-test")).unwrap(), format!("{PASSWORD}\n"));
    assert!(!home.written().contains("auto") && !home.written().contains("opportunistic"), "{}", home.written());
}

#[test]
fn every_line_fits_into_eighty_columns() {
    let home = Home::new();
    let sink = home.sink_with(Flaw::SelfSigned, Tls::Starttls, None);
    let port = sink.address.port().to_string();
    // What is asked next, and whether the answer is not shown.
    for (provider, question, is_secret) in [
        ("gmail", "with a client of your own)", false),
        ("office365", "Client id: ", false),
        ("ses", "SMTP user name", false),
        ("mailgun", "SMTP login", false),
        ("proton-bridge", "shown): ", true),
        ("zoho", "shown): ", true),
    ] {
        let args = [
            "somebody.with.a.long.name@mail.of.a.long.domain.example.com",
            "--provider",
            provider,
            "--host",
            "localhost",
            "--port",
            &port,
            "--start",
            "starttls",
        ];
        let mut terminal = Terminal::start(&home.setup(&args));
        terminal.until("see");
        terminal.until(question);
        terminal.await_echo(!is_secret);
        terminal.press("\u{4}");
        assert_eq!(terminal.end(), 66, "{}", terminal.screen);
        assert_narrow(&terminal.screen);
    }
    let mut terminal = Terminal::start(&home.setup(&at(&port, &["--no-login"])));
    terminal.answer("Is that the server's key? [y/N] ", "n");
    terminal.answer("(q)uit? [l]: ", "q");
    assert_eq!(terminal.end(), 75, "{}", terminal.screen);
    assert_narrow(&terminal.screen);
    assert!(!home.path(".config").exists());
}

/// Colour takes no columns, and a link is not broken.
fn assert_narrow(screen: &str) {
    for line in screen.lines() {
        let mut bare = String::new();
        let mut rest = line;
        while let Some((before, behind)) = rest.split_once("\u{1b}[") {
            bare.push_str(before);
            rest = behind.split_once('m').map_or("", |(_, rest)| rest);
        }
        bare.push_str(rest);
        let is_link = bare.starts_with("https://");
        assert!(is_link || bare.chars().count() <= 80, "{bare:?} in\n{screen}");
    }
}

#[test]
fn a_key_that_somebody_knows_is_pinned() {
    let home = Home::new();
    let sink = home.sink_with(Flaw::SelfSigned, Tls::Starttls, Some(PASSWORD));
    let port = sink.address.port().to_string();
    let mut terminal = Terminal::start(&home.setup(&at(&port, &["--user", USER])));
    terminal.whisper("(not shown): ", PASSWORD);
    terminal.answer("Is that the server's key? [y/N] ", "y");
    terminal.until("this account would send now");
    terminal.answer("(Enter: to nobody): ", "");
    terminal.answer("[Y/n] ", "");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen);
    assert!(home.written().contains("trust = \"pin\"\npins = [\"sha256:"), "{}", home.written());
    assert_eq!(delivered(&sink), 0);
}

#[test]
fn who_does_not_want_it_finds_nothing_written() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    let mut terminal = Terminal::start(&home.setup(&at(&port, &["--user", USER])));
    terminal.whisper("(not shown): ", PASSWORD);
    terminal.answer("(Enter: to nobody): ", "");
    terminal.answer("[Y/n] ", "no");
    assert_eq!(terminal.end(), 66, "{}", terminal.screen);
    assert_eq!(home.found(), Vec::<String>::new());
}

#[test]
fn another_server_can_be_named_when_the_first_does_not_do() {
    let home = Home::new();
    let sink = home.sink_with(Flaw::None, Tls::Starttls, None);
    let port = sink.address.port().to_string();
    let closed = crate::common::zone::free_port().to_string();
    let mut terminal = Terminal::start(&home.setup(&at(&closed, &["--no-login"])));
    terminal.until("would not send now");
    terminal.answer("(q)uit? [l]: ", "s");
    terminal.answer("or provider: ", "localhost");
    terminal.answer("Port [587]: ", &port);
    terminal.answer("[starttls]: ", "");
    terminal.until("this account would send now");
    terminal.answer("(Enter: to nobody): ", "");
    terminal.answer("[Y/n] ", "");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen);
    assert!(home.written().contains(&format!("port = {port}")), "{}", home.written());
}

#[test]
fn a_configuration_that_is_there_is_named_and_kept() {
    let home = Home::new();
    let sink = home.sink_with(Flaw::None, Tls::Starttls, None);
    let port = sink.address.port().to_string();
    home.has("# mine\n[accounts.gmail]\nhost = \"old.example\"\n");
    let args = ["me@gmail.com", "--host", "localhost", "--port", &port, "--start", "starttls", "--no-login", "--provider", "gmail"];
    let mut terminal = Terminal::start(&home.setup(&args));
    terminal.until("it is kept, and gets one account more");
    terminal.until("there is an account gmail already");
    terminal.answer("Name of the new account: ", "gmail");
    terminal.until("there is an account gmail already");
    terminal.answer("Name of the new account: ", "second");
    terminal.answer("(Enter: to nobody): ", "");
    terminal.until("a copy of what it was stays beside it");
    terminal.answer("[Y/n] ", "");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen);
    let text = home.written();
    assert!(text.starts_with("# mine\ndefault_account = \"gmail\"\n[accounts.gmail]\nhost = \"old.example\"\n\n"), "{text}");
    assert!(terminal.screen.contains("gmail, as before; for this one say -a second"), "{}", terminal.screen);
}

#[test]
fn an_account_by_oauth2_is_agreed_to_before_it_is_written_and_tested_after() {
    const BEGUN: &str =
        r#"{"device_code":"dev","user_code":"AB-CD","verification_uri":"https://id.test/d","expires_in":600,"interval":1}"#;
    const TOKENS: &str =
        r#"{"access_token":"access-Token.1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-Token.1"}"#;
    let home = Home::new();
    let login = Login { user: "me@outlook.com".to_owned(), password: Secret::token("access-Token.1".to_owned()) };
    let sink = sink(&home.authority.naming(&["smtp-mail.outlook.com"]), Tls::Starttls, Some(login));
    let provider = "login.microsoftonline.com";
    let web = Web::start(&home.authority, &[provider], |wanted| {
        let content = if wanted.ends_with("/devicecode") { BEGUN } else { TOKENS };
        reply(200, "Content-Type: application/json\r\n", content)
    });
    let places = [(format!("{provider}:443"), web.address), ("smtp-mail.outlook.com:587".to_owned(), sink.address)];
    let places: Vec<_> = places.iter().map(|(name, address)| (name.as_str(), *address)).collect();
    let proxy = Proxy::start(&places);
    let mut terminal = Terminal::start(&home.setup(&["me@outlook.com", "--proxy", &proxy.url]));
    terminal.until("Outlook.com takes OAuth2 alone");
    terminal.answer("Client id: ", "an-id");
    terminal.answer("Does the client have a secret? [y/N] ", "y");
    terminal.whisper("Client secret (not shown): ", PASSWORD);
    terminal.answer("Write it? [Y/n] ", "y");
    terminal.until("AB-CD");
    terminal.until("this account would send now");
    terminal.answer("(Enter: to nobody): ", "you@sink.test");
    terminal.until("sent to you@sink.test");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen);
    assert_eq!(delivered(&sink), 1);
    assert!(web.asked().iter().all(|asked| asked.contains(&format!("client_secret={PASSWORD}"))), "{:?}", web.asked());
    let text = home.written();
    assert!(text.contains("client_secret_file = \"secrets/outlook\"") && text.contains("mechanism = \"XOAUTH2\""), "{text}");
    assert_eq!(fs::read_to_string(home.path(".config/sealpost/secrets/outlook")).unwrap(), format!("{PASSWORD}\n"));
    for secret in [PASSWORD, "access-Token", "refresh-Token"] {
        assert!(!terminal.screen.contains(secret) && !text.contains(secret), "{secret}: {}", terminal.screen);
    }
    assert!(home.found().iter().any(|name| name.starts_with("0600 ") && name.contains("secrets/oauth-")), "{:?}", home.found());
}

#[test]
fn who_declines_in_the_browser_finds_nothing_written() {
    let home = Home::new();
    let web = Web::start(&home.authority, &["login.microsoftonline.com"], |wanted| {
        if wanted.ends_with("/devicecode") {
            reply(
                200,
                "",
                r#"{"device_code":"dev","user_code":"AB-CD","verification_uri":"https://id.test/d","expires_in":600,"interval":1}"#,
            )
        } else {
            reply(400, "", r#"{"error":"access_denied"}"#)
        }
    });
    let proxy = Proxy::start(&[("login.microsoftonline.com:443", web.address)]);
    let mut terminal = Terminal::start(&home.setup(&["me@outlook.com", "--proxy", &proxy.url, "--client-id", "an-id", "--yes"]));
    terminal.answer("Does the client have a secret? [y/N] ", "n");
    terminal.until("it was declined");
    assert_eq!(terminal.end(), 77, "{}", terminal.screen);
    assert_eq!(home.found(), Vec::<String>::new());
}
