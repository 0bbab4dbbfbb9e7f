//! Does a long run of the queue outlive its access tokens: one that the server no longer takes, one that has run out?

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    common::{MESSAGE, script::Server},
    fake::{Fake, json},
    kit::{ACCESS, account, as_written, give, kept},
    refresh::LATER,
};

/// A connection on which this token logs in (or is refused), two messages go, and a third is one too many.
fn connection(token: &str, is_last: bool) -> String {
    let login = STANDARD.encode(format!("user=cron\u{1}auth=Bearer {token}\u{1}\u{1}"));
    let transaction = "mail\nrcpt\ndata\naccept\n";
    let end = if is_last { "quit" } else { "C: MAIL FROM:*\nS: 421 4.7.0 enough for one connection\ngone" };
    format!("hello: AUTH XOAUTH2\nC: AUTH XOAUTH2 {login}\nS: 235 2.7.0 in\n{transaction}{transaction}{end}")
}

#[test]
fn a_run_goes_on_with_new_tokens_where_the_old_ones_end() {
    // The first lasts no longer than it takes to use it.
    let fake = Fake::start(|n, _| json(200, &format!(r#"{{"access_token":"token-{n}","expires_in":{}}}"#, [5, 3600][n.min(1)])));
    let refused = STANDARD.encode(format!("user=cron\u{1}auth=Bearer {ACCESS}\u{1}\u{1}"));
    let refusal = format!(
        "hello: AUTH XOAUTH2\nC: AUTH XOAUTH2 {refused}\nS: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: *\nS: 535 5.7.8 it has run out\nquit"
    );
    let script = [connection(ACCESS, false), refusal, connection("token-0", false), connection("token-1", true)].join("\n---\n");
    let server = Server::start(&script, None);
    let sealpost = account(server.port(), &format!("http://{}", fake.address), "");
    give(&sealpost, LATER);
    let path = sealpost.scratch.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("mode = \"off\"", "mode = \"always\"\nconnections = 1");
    sealpost.scratch.write("config.toml", text);
    for _ in 0..6 {
        assert_eq!(sealpost.send(&["-odq", "ok@sink.test"], MESSAGE.as_bytes()).code, 0);
    }
    let run = sealpost.command(&["run-the-queue-in-the-background", "0", &path.display().to_string()], b"");
    assert_eq!(run.code, 0, "{run:?}");
    let log = sealpost.log();
    let sent = log.iter().filter(|record| record["event"] == "send" && record["status"] == "sent").count();
    let others: Vec<_> = log.iter().filter(|record| record["event"] == "send" && record["status"] != "sent").collect();
    assert_eq!(sent, 6, "{log:#?}");
    // The one that was refused, and goes on with another at once.
    assert_eq!((others.len(), &others[0]["status"], &others[0]["code"]), (1, &"deferred".into(), &535.into()), "{others:#?}");
    as_written(server, 4);
    assert_eq!((fake.asked().len(), kept(&sealpost, "access_token")), (2, "token-1".to_owned()));
}
