//! Does whoever breaks off, wherever that is, find the terminal and the files as they were?

use rustix::process::Signal;
use sealpost::host::listen::Tls;

use crate::{
    common::{PASSWORD, USER, run},
    kit::Home,
    terminal::Terminal,
};

/// Every question on the way, with its answer; the one without echo begins with `!`.
fn questions(port: &str) -> Vec<(&'static str, String)> {
    vec![
        ("send from: ", "me@nowhere.test".to_owned()),
        ("or provider: ", "localhost".to_owned()),
        ("Port [587]: ", port.to_owned()),
        ("[starttls]: ", String::new()),
        ("[me@nowhere.test]: ", USER.to_owned()),
        ("!Password for cron (not shown): ", PASSWORD.to_owned()),
        ("(Enter: to nobody): ", String::new()),
        ("Write it? [Y/n] ", "y".to_owned()),
    ]
}

/// Answers the first questions, waits for the next one, and does something else.
fn break_off(home: &Home, port: &str, at: usize, how: impl FnOnce(&mut Terminal)) -> (i32, String) {
    let mut terminal = Terminal::start(&home.setup(&[]));
    let manners = terminal.manners();
    for (index, (question, answer)) in questions(port).iter().enumerate() {
        let hidden = question.strip_prefix('!');
        if index == at {
            terminal.until(hidden.unwrap_or(question));
            terminal.await_echo(hidden.is_none());
            break;
        }
        match hidden {
            Some(question) => terminal.whisper(question, answer),
            None => terminal.answer(question, answer),
        }
    }
    how(&mut terminal);
    let code = terminal.end();
    assert!(terminal.echoes(), "question {at}: the terminal stays silent");
    assert_eq!(terminal.manners(), manners, "question {at}");
    assert_eq!(home.found(), Vec::<String>::new(), "question {at}: {}", terminal.screen);
    (code, terminal.screen.clone())
}

#[test]
fn ctrl_c_at_any_question_leaves_nothing() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    for at in 0..questions(&port).len() {
        let (code, screen) = break_off(&home, &port, at, |terminal| terminal.press("\u{3}"));
        assert_eq!(code, -2, "question {at}: {screen}");
    }
}

#[test]
fn other_signals_leave_nothing_either() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    for (signal, number) in [(Signal::TERM, -15), (Signal::HUP, -1), (Signal::INT, -2)] {
        // The one without echo, and another.
        for at in [0, 5] {
            let (code, screen) = break_off(&home, &port, at, |terminal| terminal.signal(signal));
            assert_eq!(code, number, "question {at}: {screen}");
        }
    }
}

#[test]
fn the_end_of_input_is_an_error_that_says_so() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    for at in 0..questions(&port).len() {
        let (code, screen) = break_off(&home, &port, at, |terminal| terminal.press("\u{4}"));
        assert_eq!(code, 66, "question {at}: {screen}");
        assert!(screen.contains("there is no answer: ") && screen.contains("nothing was written"), "question {at}: {screen}");
    }
}

#[test]
fn without_a_terminal_it_says_how_to_do_without() {
    let home = Home::new();
    for (input, args) in [("me@nowhere.test\n", &[][..]), ("", &["me@gmail.com"])] {
        let run = home.silent(args, input);
        assert_eq!(run.code, 64, "{}", run.stderr);
        assert!(run.stderr.contains("standard input is no terminal") && run.stderr.contains("--non-interactive"), "{}", run.stderr);
    }
    assert_eq!(home.found(), Vec::<String>::new());
}

#[test]
fn a_password_that_a_send_asks_for_is_broken_off_as_cleanly() {
    let home = Home::new();
    let sink = home.sink(Tls::Starttls);
    let port = sink.address.port().to_string();
    let args = ["me@client.test", "--non-interactive", "--host", "localhost", "--port", &port, "--no-login", "--no-test"];
    assert_eq!(run(home.setup(&args), b"").code, 0);
    let text = home.written() + "[accounts.client-test.auth]\nuser = \"cron\"\n";
    home.has(&text);
    let config = home.config();
    let mut terminal = Terminal::start(&home.command(&["check", "-C", config.to_str().unwrap()]));
    let manners = terminal.manners();
    terminal.until("Password for cron (client-test): ");
    terminal.await_echo(false);
    terminal.press("\u{3}");
    assert_eq!(terminal.end(), -2, "{}", terminal.screen);
    assert_eq!(terminal.manners(), manners);
}

#[test]
fn a_name_without_an_at_sign_is_an_accounts() {
    let home = Home::new();
    let run = home.silent(&["gmail"], "");
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("sealpost setup gmail@example.com"), "{}", run.stderr);
}
