//! Does a person at a terminal get from an address to an account that sends?

use std::fs;

use sealpost::host::listen::Tls;

use crate::{
    common::{PASSWORD, USER, certificate::Flaw, reveals_secret},
    kit::{Home, delivered},
    terminal::Terminal,
};

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
    assert!(!home.path("etc").exists(), "written before somebody agreed");
    terminal.answer("(mode 0600)? [Y/n] ", "y");
    terminal.until("secret");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen);
    assert_eq!(delivered(&sink), 1);
    assert_eq!(terminal.manners(), manners, "the terminal is another one");
    assert!(!reveals_secret(terminal.screen.as_bytes()) && !terminal.screen.contains("wrong\n"), "{}", terminal.screen);
    let found: Vec<String> = home.found().into_iter().filter(|name| name.contains("etc")).collect();
    assert_eq!(found, ["0600 etc/config.toml", "0600 etc/secrets/nowhere-test", "0700 etc", "0700 etc/secrets"]);
    assert_eq!(fs::read_to_string(home.path("etc/secrets/nowhere-test")).unwrap(), format!("{PASSWORD}\n"));
    assert!(!home.written().contains("auto") && !home.written().contains("opportunistic"), "{}", home.written());
}

#[test]
fn every_line_fits_into_eighty_columns() {
    let home = Home::new();
    let sink = home.sink_with(Flaw::SelfSigned, Tls::Starttls, None);
    let port = sink.address.port().to_string();
    for provider in ["gmail", "office365", "ses", "proton-bridge", "zoho", "mailgun"] {
        let mut terminal = Terminal::start(&home.setup(&[
            "me@example.com",
            "--provider",
            provider,
            "--host",
            "localhost",
            "--port",
            &port,
            "--start",
            "starttls",
        ]));
        terminal.until("see");
        // Whatever is asked next.
        terminal.press("\u{4}");
        let _ = terminal.end();
        assert_narrow(&terminal.screen);
    }
    let mut terminal = Terminal::start(&home.setup(&[
        "me@example.com",
        "--host",
        "localhost",
        "--port",
        &port,
        "--start",
        "starttls",
        "--no-login",
    ]));
    terminal.answer("Is that the server's key? [y/N] ", "n");
    terminal.answer("(q)uit? [l]: ", "q");
    assert_eq!(terminal.end(), 75, "{}", terminal.screen);
    assert_narrow(&terminal.screen);
    assert!(!home.path("etc").exists());
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
    let args = ["me@example.com", "--host", "localhost", "--port", &port, "--start", "starttls", "--user", USER];
    let mut terminal = Terminal::start(&home.setup(&args));
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
    let args = ["me@example.com", "--host", "localhost", "--port", &port, "--start", "starttls", "--user", USER];
    let mut terminal = Terminal::start(&home.setup(&args));
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
    let args = ["me@example.com", "--host", "localhost", "--port", &closed, "--start", "starttls", "--no-login"];
    let mut terminal = Terminal::start(&home.setup(&args));
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
    fs::create_dir(home.path("etc")).unwrap();
    home.scratch.write("etc/config.toml", "# mine\n[accounts.gmail]\nhost = \"old.example\"\n");
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
