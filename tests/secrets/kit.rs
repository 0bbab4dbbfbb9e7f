//! What do the tests of secrets share: every place for one, set up, and a smarthost that hears it?

use std::{fs, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::common::{PASSWORD, Run, Sealpost, USER, contains, needs::has, script::Server};

/// Each place, by the key that names it.
pub(crate) const SOURCES: [&str; 10] = [
    "password",
    "password_file",
    "password_command",
    "password_env",
    "credential",
    "netrc",
    "keyring",
    "token_command",
    "oauth",
    "oauth, refreshed",
];

/// What a smarthost hears of the secret.
fn login(is_token: bool) -> (&'static str, String) {
    if is_token {
        ("XOAUTH2", STANDARD.encode(format!("user={USER}\u{1}auth=Bearer {PASSWORD}\u{1}\u{1}")))
    } else {
        ("PLAIN", STANDARD.encode(format!("\0{USER}\0{PASSWORD}")))
    }
}

/// Whether the secret can be read out of `bytes` in any form in which it crosses the wire.
pub(crate) fn reveals(bytes: &[u8]) -> bool {
    crate::common::reveals_secret(bytes) || contains(bytes, login(true).1.trim_end_matches('=').as_bytes())
}

/// A smarthost on this machine that takes the login and goes on with `then`.
pub(crate) fn smarthost(is_token: bool, then: &str) -> Server {
    let (mechanism, response) = login(is_token);
    Server::start(&format!("hello: AUTH {mechanism}\nC: AUTH {mechanism} {response}\n{then}"), None)
}

pub(crate) fn is_token(source: &str) -> bool {
    source.starts_with("token") || source.starts_with("oauth")
}

/// An account whose secret is in this place; `None`, and said so, where the machine has none such.
pub(crate) fn account(source: &str, port: u16) -> Option<Sealpost> {
    let (table, text) = match source {
        "password" => (format!("password = \"{PASSWORD}\""), ""),
        // A text with an escape is not merely a piece of the file.
        "password, escaped" => (format!("password = \"\\u{:04x}{}\"", u32::from(PASSWORD.as_bytes()[0]), &PASSWORD[1..]), ""),
        "password_file" => ("password_file = \"secret\"".to_owned(), ""),
        "password_command" => ("password_command = \"cat secret\"".to_owned(), ""),
        "password_env" => ("password_env = \"RELAY_PASSWORD\"".to_owned(), ""),
        "credential" => ("credential = \"relay\"".to_owned(), ""),
        "netrc" => ("netrc = true".to_owned(), ""),
        "keyring" => ("keyring = true".to_owned(), ""),
        "token_command" => ("token_command = \"cat token.json\"".to_owned(), ""),
        _ => (
            String::new(),
            "[accounts.relay.auth.oauth]\nclient_id = \"x\"\ntoken_endpoint = \"http://127.0.0.1:PROVIDER/token\"\n\
             device_endpoint = \"http://127.0.0.1:9/\"\ntoken_file = \"oauth.json\"\n",
        ),
    };
    let mechanism = login(is_token(source)).0;
    let mut sealpost = Sealpost::with_limits(
        "reply_timeout = \"8s\"",
        &format!(
            "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls.policy = \"off\"\n\
             [accounts.relay.auth]\nuser = \"{USER}\"\nmechanism = \"{mechanism}\"\n{table}\n{text}"
        ),
    );
    let scratch = &sealpost.scratch;
    let here = scratch.path().display().to_string();
    // A command is run where the caller is.
    let config = fs::read_to_string(scratch.path().join("config.toml")).unwrap();
    scratch.write("config.toml", config.replace("\"cat ", &format!("\"cat {here}/")).replace("syslog = false", "syslog = true"));
    let mut set = |name: &str, value: &str| sealpost.environment.push((name.to_owned(), value.to_owned()));
    match source {
        "password_file" | "password_command" => drop(scratch.write("secret", format!("{PASSWORD}\n"))),
        "password_env" => set("RELAY_PASSWORD", PASSWORD),
        "credential" => {
            fs::create_dir(scratch.path().join("credentials")).unwrap();
            scratch.write("credentials/relay", PASSWORD);
            set("CREDENTIALS_DIRECTORY", &format!("{here}/credentials"));
        }
        "netrc" => drop(scratch.write(".netrc", format!("machine 127.0.0.1 login {USER} password {PASSWORD}\n"))),
        "token_command" => {
            scratch.write("token.json", format!("{{\"access_token\":\"{PASSWORD}\",\"expires_in\":3600}}"));
            set("XDG_RUNTIME_DIR", &here);
        }
        "oauth" => {
            // Nobody is asked: port 9 has nobody.
            scratch.write("config.toml", fs::read_to_string(scratch.path().join("config.toml")).unwrap().replace("PROVIDER", "9"));
            let grant = format!("{{\"refresh_token\":\"{PASSWORD}.r\",\"access_token\":\"{PASSWORD}\",\"expires_at\":4000000000}}");
            scratch.write("oauth.json", grant);
        }
        "oauth, refreshed" => {
            scratch.write("oauth.json", format!("{{\"refresh_token\":\"{PASSWORD}.r\",\"expires_at\":0}}"));
            let provider = provider();
            let config = fs::read_to_string(scratch.path().join("config.toml")).unwrap();
            scratch.write("config.toml", config.replace("PROVIDER", &provider.to_string()));
        }
        "keyring" => return with_keyring(sealpost),
        _ => {}
    }
    Some(sealpost)
}

/// The port of a provider that gives the secret out, once.
fn provider() -> u16 {
    let body = format!("{{\"access_token\":\"{PASSWORD}\",\"refresh_token\":\"{PASSWORD}.r2\",\"expires_in\":3600}}");
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 1024];
        while !contains(&request, b"client_id=x") {
            let count = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
    });
    port
}

/// Runs everything on a session bus of its own, with an unlocked GNOME Keyring in which the secret lies.
fn with_keyring(mut sealpost: Sealpost) -> Option<Sealpost> {
    if !installed(&["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]) {
        return None;
    }
    let script = format!(
        "printf x | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n\
         secret-tool store --label=mail host 127.0.0.1 service smtp user {USER} <\"$HOME/kept\"\nexec \"$@\"\n"
    );
    sealpost.scratch.write("kept", PASSWORD);
    let script = sealpost.scratch.write("keyring.sh", script).display().to_string();
    let runtime = sealpost.scratch.path().join("run").display().to_string();
    fs::create_dir(&runtime).unwrap();
    sealpost.environment.push(("XDG_RUNTIME_DIR".to_owned(), runtime));
    sealpost.wrapper = ["dbus-run-session", "--", "sh", &script].map(str::to_owned).to_vec();
    Some(sealpost)
}

/// Whether these programs are there; where one is not, that is said, and in CI it is a failure.
pub(crate) fn installed(programs: &[&str]) -> bool {
    programs.iter().all(|program| has(program))
}

/// The daemon of a bus complains about limits that nobody asked it for; the rest is ours.
pub(crate) fn ours(run: &Run) -> String {
    run.stderr.lines().filter(|line| !line.starts_with("dbus-daemon[")).fold(String::new(), |text, line| text + line + "\n")
}
