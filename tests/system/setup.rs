//! Does `sealpost setup` write an account that a real Postfix and a real Dovecot take mail from?

use std::process::Command;

use crate::{
    common::{PASSWORD, Scratch, USER, binary, run},
    smarthost::smarthost,
};

#[test]
fn a_set_up_account_sends_its_test_mail_and_the_next_one() {
    let Some(smarthost) = smarthost() else { return };
    for (service, start) in
        [("starttls-good-auth-scram", "starttls"), ("implicit-good-auth", "implicit"), ("starttls-good-auth", "starttls")]
    {
        let scratch = Scratch::new();
        let (config, port) = (scratch.path().join(".config/sealpost/config.toml"), smarthost.port(service).to_string());
        let sealpost = |args: &[&str], input: &str| {
            let mut command = Command::new(binary());
            command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", scratch.path());
            run(command, input.as_bytes())
        };
        let ca = smarthost.file("ca.pem");
        let config = config.to_str().unwrap();
        let setup = sealpost(
            &[
                "setup",
                "cron@client.test",
                "--non-interactive",
                "-C",
                config,
                "--host",
                "127.0.0.1",
                "--port",
                &port,
                "--start",
                start,
                "--user",
                USER,
                "--password-file",
                "-",
                "--ca-file",
                ca.trim_matches('"'),
                "--account",
                service,
                "--send",
                "ok@sink.test",
            ],
            &format!("{PASSWORD}\n"),
        );
        assert_eq!(setup.code, 0, "{service}: {}", setup.stderr);
        let mail = smarthost.delivered(&format!("account {service}"));
        assert!(String::from_utf8_lossy(&mail).contains("From: "), "{service}");
        let mark = format!("after-setup-{service}@client.test");
        let message = format!("To: ok@sink.test\nMessage-ID: <{mark}>\n\nhello\n");
        let sent = sealpost(&["sendmail", "-C", config, "ok@sink.test"], &message);
        assert_eq!(sent.code, 0, "{service}: {}", sent.stderr);
        smarthost.delivered(&mark);
    }
}
