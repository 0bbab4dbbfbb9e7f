//! Does `sealpost setup` lead somebody through, and take nothing from anybody else?

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sealpost::host::http::decode;

use crate::{
    common::{Sealpost, binary},
    fake::{Fake, json, tokens},
    kit::{account, kept, token_file},
};

/// A run of `sealpost setup` that somebody follows.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    told: String,
}

impl Running {
    pub(crate) fn start(sealpost: &Sealpost, args: &[&str]) -> Self {
        let config = sealpost.scratch.path().join("config.toml");
        let mut command = Command::new(binary());
        command.args(["setup", "relay", "-C"]).arg(config).args(args).env_clear().env("HOME", sealpost.scratch.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines, told: String::new() }
    }

    /// The next line that is an address or a code, indented.
    pub(crate) fn shown(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "nothing is shown: {}", self.told);
            self.told.push_str(&line);
            if let Some(shown) = line.strip_prefix("  ") {
                return shown.trim_end().to_owned();
            }
        }
    }

    /// Pastes a line into the terminal.
    fn paste(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for the end: the code, and all that was told.
    pub(crate) fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let killer = rustix::process::Pid::from_child(&self.child);
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            if told.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
                let _ = rustix::process::kill_process(killer, rustix::process::Signal::KILL);
            }
        });
        self.lines.read_to_string(&mut self.told).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        tell.send(()).unwrap();
        watch.join().unwrap();
        (code, self.told)
    }
}

/// A parameter of an address.
pub(crate) fn parameter(address: &str, name: &str) -> String {
    let (_, query) = address.split_once('?').unwrap();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(own, _)| *own == name).unwrap_or_else(|| panic!("no {name} in {address}"));
    decode(value).unwrap().to_string()
}

/// What a browser is told that opens this path on the port of the redirect.
fn browse(page: &str, path: &str) -> String {
    let redirect = parameter(page, "redirect_uri");
    let port = redirect.trim_end_matches('/').rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn fake_for_codes() -> Fake {
    Fake::start(|_, asked| match asked.field("code") {
        "the-code" => tokens("token-1", "refresh-1"),
        _ => json(400, r#"{"error":"invalid_grant"}"#),
    })
}

#[test]
fn the_answer_of_a_browser_is_taken_with_our_state_only() {
    let fake = fake_for_codes();
    let sealpost = account(9, &format!("http://{}", fake.address), "");
    let mut setup = Running::start(&sealpost, &["--browser"]);
    let page = setup.shown();
    assert_eq!(
        (parameter(&page, "code_challenge_method"), parameter(&page, "client_id")),
        ("S256".to_owned(), "public".to_owned())
    );
    let state = parameter(&page, "state");
    assert!(state.len() >= 43, "{state}");
    let silent = TcpStream::connect((
        "127.0.0.1",
        parameter(&page, "redirect_uri").trim_matches('/').rsplit(':').next().unwrap().parse().unwrap(),
    ));
    assert!(browse(&page, "/favicon.ico").starts_with("HTTP/1.1 404"));
    for wrong in
        ["/?code=the-code", "/?code=the-code&state=", "/?code=the-code&state=guessed", "/?error=access_denied", "/?state=x"]
    {
        assert!(browse(&page, wrong).starts_with("HTTP/1.1 400"), "{wrong}");
    }
    assert!(fake.asked().is_empty(), "a stranger's code was brought to the provider");
    assert!(browse(&page, &format!("/?code=the-code&state={state}&iss=x")).starts_with("HTTP/1.1 200"));
    let (code, told) = setup.end();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("Something came that is not the answer"), "{told}");
    assert!(
        told.contains(&format!("Account relay may send now; the right to it is kept in {}", token_file(&sealpost).display())),
        "{told}"
    );
    assert_eq!((kept(&sealpost, "refresh_token"), kept(&sealpost, "access_token")), ("refresh-1".to_owned(), "token-1".to_owned()));
    let [asked] = &fake.asked()[..] else { panic!("{:?}", fake.asked()) };
    assert_eq!(asked.field("redirect_uri"), parameter(&page, "redirect_uri"));
    // RFC 7636 4.6.
    let digest = ring::digest::digest(&ring::digest::SHA256, asked.field("code_verifier").as_bytes());
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    assert_eq!(challenge, parameter(&page, "code_challenge"));
    drop(silent);
}

#[test]
fn the_address_of_the_last_page_can_be_pasted() {
    let fake = fake_for_codes();
    let sealpost = account(9, &format!("http://{}", fake.address), "");
    let mut setup = Running::start(&sealpost, &["--browser"]);
    let page = setup.shown();
    setup.paste("what?");
    setup.paste("http://127.0.0.1:1/?code=the-code&state=guessed");
    setup.paste(&format!("http://127.0.0.1:1/?state={}&code=the-code", parameter(&page, "state")));
    let (code, told) = setup.end();
    assert_eq!(code, 0, "{told}");
    assert_eq!(kept(&sealpost, "refresh_token"), "refresh-1");
}

#[test]
fn who_declines_is_told_so_and_nothing_is_kept() {
    let fake = fake_for_codes();
    let sealpost = account(9, &format!("http://{}", fake.address), "");
    let mut setup = Running::start(&sealpost, &["--browser"]);
    let page = setup.shown();
    browse(&page, &format!("/?error=access_denied&error_description=not+today%1b%5b2J&state={}", parameter(&page, "state")));
    let (code, told) = setup.end();
    assert_eq!(code, 77, "{told}");
    assert!(told.contains("it was declined") && told.contains("access_denied: not today\\u{1b}[2J"), "{told}");
    assert!(!token_file(&sealpost).exists());
}

#[test]
fn every_end_of_the_device_flow_has_its_word() {
    const BEGUN: &str = r#"{"device_code":"dev","user_code":"AB-CD","verification_uri":"https://id.test/d","verification_url":"x","expires_in":600,"interval":1}"#;
    for (begun, answers, code, words) in [
        (BEGUN, vec![json(400, r#"{"error":"authorization_pending"}"#), tokens("token-1", "refresh-1")], 0, "may send now"),
        // A provider that is away for a moment.
        (BEGUN, vec![json(503, ""), tokens("token-1", "refresh-1")], 0, "may send now"),
        (BEGUN, vec![json(400, r#"{"error":"access_denied"}"#)], 77, "it was declined"),
        (BEGUN, vec![json(400, r#"{"error":"expired_token"}"#)], 75, "nobody agreed in time"),
        (BEGUN, vec![json(401, r#"{"error":"invalid_client"}"#)], 78, "client_id"),
        (BEGUN, vec![json(200, r#"{"access_token":"token-1"}"#)], 78, "no refresh token"),
        (
            r#"{"device_code":"dev","user_code":"AB-CD","verification_uri":"https://id.test/d","expires_in":2,"interval":1}"#,
            vec![json(400, r#"{"error":"authorization_pending"}"#); 3],
            75,
            "the code has run out",
        ),
        // Nobody waits an hour for a code that is good for a second.
        (
            r#"{"device_code":"dev","user_code":"AB-CD","verification_uri":"https://id.test/d","expires_in":1,"interval":3600}"#,
            vec![json(400, r#"{"error":"authorization_pending"}"#)],
            75,
            "the code has run out",
        ),
    ] {
        let shown = format!("{answers:?}");
        let fake = Fake::start(move |number, asked| match asked.path.as_str() {
            "/device/auth" => json(200, begun),
            _ => answers[number - 1].clone(),
        });
        let sealpost = account(9, &format!("http://{}", fake.address), "");
        let mut setup = Running::start(&sealpost, &[]);
        assert_eq!((setup.shown(), setup.shown()), ("https://id.test/d".to_owned(), "AB-CD".to_owned()));
        let (ended, told) = setup.end();
        assert_eq!(ended, code, "{shown}: {told}");
        assert!(told.contains(words), "{shown}: {told}");
        assert_eq!(token_file(&sealpost).exists(), code == 0, "{shown}");
        let asked = fake.asked();
        assert_eq!(asked[0].field("scope"), "openid offline_access mail");
        assert_eq!(
            (asked[1].field("device_code"), asked[1].field("grant_type")),
            ("dev", "urn:ietf:params:oauth:grant-type:device_code")
        );
    }
}

#[test]
fn nobody_is_sent_to_a_page_that_anybody_could_have_written() {
    let code = "x".repeat(3000);
    for (page, code, words) in [
        ("http://id.test/d", "AB-CD", "no page under https://"),
        ("javascript:alert(1)", "AB-CD", "no page under https://"),
        ("https://id.test/d\\u001b[2J", "AB-CD", "no page under https://"),
        ("https://id.test@elsewhere.test/d", "AB-CD", "no page under https://"),
        ("https://id.test/d", code.as_str(), "nobody would type"),
    ] {
        let begun = format!(r#"{{"device_code":"dev","user_code":"{code}","verification_uri":"{page}"}}"#);
        let fake = Fake::start(move |_, _| json(200, &begun));
        let sealpost = account(9, &format!("http://{}", fake.address), "");
        let config = sealpost.scratch.path().join("config.toml").display().to_string();
        let run = sealpost.command(&["setup", "-C", &config, "relay", "--device"], b"");
        assert!(run.code == 75 && run.stderr.contains(words) && !run.stderr.contains("Open this page"), "{page}: {run:?}");
    }
}

#[test]
fn what_cannot_be_set_up_says_why_before_anybody_is_asked() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"h\"\nauth = { user = \"u\", password_env = \"P\" }\n");
    let (code, told) = Running::start(&sealpost, &[]).end();
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("account relay does not log in by OAuth2"), "{told}");
    let fake = Fake::start(|_, _| panic!("asked"));
    let sealpost = account(9, &format!("http://{}", fake.address), "");
    std::fs::create_dir(token_file(&sealpost).with_file_name("token.json.lock")).unwrap();
    let (code, told) = Running::start(&sealpost, &[]).end();
    assert_eq!(code, 75, "{told}");
    assert!(told.contains("locking "), "{told}");
}
