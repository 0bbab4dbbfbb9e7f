//! What do the tests of OAuth share: an account, what it has been given, a smarthost that hears its tokens?

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::common::{MESSAGE, Run, Sealpost, script::Server};

/// Another's word for what it was given, which is long enough to be a secret.
pub(crate) const REFRESH: &str = "refresh-Token.0/abc";
pub(crate) const ACCESS: &str = "access-Token.0/abc";

/// An account that logs in at a script on this machine, by XOAUTH2, with tokens of the provider at `base`.
pub(crate) fn account(port: u16, base: &str, more: &str) -> Sealpost {
    Sealpost::with_limits(
        "reply_timeout = \"8s\"",
        &format!(
            "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls.policy = \"off\"\n\
             [accounts.relay.auth]\nuser = \"cron\"\nmechanism = \"XOAUTH2\"\n\
             [accounts.relay.auth.oauth]\nclient_id = \"public\"\ntoken_endpoint = \"{base}/token\"\nauthorization_endpoint = \"{base}/auth\"\n\
             device_endpoint = \"{base}/device/auth\"\nscope = \"openid offline_access mail\"\ntoken_file = \"token.json\"\n{more}\n"
        ),
    )
}

/// Where the account's tokens are.
pub(crate) fn token_file(sealpost: &Sealpost) -> PathBuf {
    sealpost.scratch.path().join("token.json")
}

/// Gives the account a refresh token, and an access token that lasts until `end` (seconds since 1970).
pub(crate) fn give(sealpost: &Sealpost, end: i64) {
    let text = format!("{{\"refresh_token\":\"{REFRESH}\",\"access_token\":\"{ACCESS}\",\"expires_at\":{end}}}\n");
    sealpost.scratch.write("token.json", text);
}

/// One of the texts that are kept for the account.
pub(crate) fn kept(sealpost: &Sealpost, name: &str) -> String {
    let text = fs::read_to_string(token_file(sealpost)).unwrap();
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    object[name].as_str().unwrap_or_default().to_owned()
}

/// A smarthost whose connections take these tokens, in this order, or refuse them (`!` in front).
pub(crate) fn smarthost(tokens: &[&str]) -> Server {
    let connection = |token: &&str| {
        let (refused, token) = token.strip_prefix('!').map_or((false, *token), |token| (true, token));
        let login = STANDARD.encode(format!("user=cron\u{1}auth=Bearer {token}\u{1}\u{1}"));
        let login = if token == "*" { "*".to_owned() } else { login };
        let then =
            if refused { "S: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: *\nS: 535 5.7.8 no\nquit" } else { "S: 235 2.7.0 in\nsession" };
        format!("hello: AUTH XOAUTH2\nC: AUTH XOAUTH2 {login}\n{then}")
    };
    Server::start(&tokens.iter().map(connection).collect::<Vec<_>>().join("\n---\n"), None)
}

pub(crate) fn send(sealpost: &Sealpost) -> Run {
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    let told = format!("{run:?}");
    for secret in [REFRESH, ACCESS] {
        assert!(!told.contains(secret), "a token in {told}");
    }
    run
}

/// Asserts that every connection of the smarthost went as its script says.
pub(crate) fn as_written(server: Server, connections: usize) {
    let heard = server.finish();
    let deviations: Vec<_> = heard.iter().filter_map(|heard| heard.deviation.clone()).collect();
    assert!(deviations.is_empty(), "{deviations:?}");
    assert_eq!(heard.len(), connections, "connections");
}
