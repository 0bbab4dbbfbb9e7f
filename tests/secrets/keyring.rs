//! Is an entry found that secret-tool(1) or msmtp has made, and is a keyring that can't be had said to be so?

use std::fs;

use crate::{
    common::{MESSAGE, PASSWORD, USER},
    kit::{account, installed, ours, smarthost},
};

#[test]
fn a_password_that_secret_tool_stored_logs_in() {
    let server = smarthost(false, "S: 235 2.7.0 in\nsession");
    let Some(sealpost) = account("keyring", server.port()) else { return };
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!((run.code, run.field("/auth")), (0, "PLAIN"), "{run:?}");
    server.finish();
}

#[test]
fn an_entry_of_somebody_else_is_not_taken() {
    let Some(sealpost) = account("keyring", 9) else { return };
    let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    sealpost.scratch.write("config.toml", config.replace(&format!("user = \"{USER}\""), "user = \"other\""));
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 75, "{run:?}");
    assert!(ours(&run).contains("the keyring has no entry with host 127.0.0.1, service smtp, user other"), "{run:?}");
    assert!(ours(&run).contains("secret-tool store --label=127.0.0.1 host 127.0.0.1 service smtp user other"), "{run:?}");
}

#[test]
fn a_locked_keyring_is_told_from_an_empty_one() {
    let Some(sealpost) = account("keyring", 9) else { return };
    let path = sealpost.scratch.path().join("keyring.sh");
    let script = fs::read_to_string(&path).unwrap();
    // Locked by its own interface: secret-tool(1) has crashed over that.
    let lock = "dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
                org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login >&2";
    if !installed(&["dbus-send"]) {
        return;
    }
    fs::write(&path, script.replace("exec \"$@\"", &format!("{lock}\nexec \"$@\""))).unwrap();
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("relay: the keyring is locked, and nobody unlocked it"), "{run:?}");
    assert!(!ours(&run).contains("secret-tool store"), "{run:?}");
}

#[test]
fn a_keyring_without_a_bus_is_a_clear_word_at_once() {
    let Some(mut sealpost) = account("keyring", 9) else { return };
    sealpost.wrapper.clear();
    sealpost.environment.push(("DBUS_SESSION_BUS_ADDRESS".to_owned(), "unix:path=/nonexistent/bus".to_owned()));
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("the command failed") && run.stderr.contains("does a session bus run?"), "{run:?}");
}

#[test]
fn a_keyring_that_nothing_asks_for_us_says_what_to_install() {
    let Some(mut sealpost) = account("keyring", 9) else { return };
    sealpost.wrapper.clear();
    sealpost.environment.push(("PATH".to_owned(), "/nonexistent".to_owned()));
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 78, "{run:?}");
    assert!(run.stderr.contains("secret-tool is not installed") && run.stderr.contains("libsecret-tools"), "{run:?}");
}

#[test]
fn a_refresh_token_can_live_in_the_keyring() {
    let server = smarthost(true, "S: 235 2.7.0 in\nsession");
    let Some(sealpost) = account("oauth, refreshed", server.port()) else { return };
    if !installed(&["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]) {
        return;
    }
    let mut sealpost = sealpost;
    let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    let endpoint = config.split("token_endpoint = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // In the place of the user's own configuration, so that the lock is in the user's own state.
    fs::create_dir(sealpost.scratch.path().join("sealpost")).unwrap();
    let config = config.replace("token_file = \"oauth.json\"", "keyring = true");
    let config = sealpost.scratch.write("sealpost/config.toml", config).display().to_string();
    // What is kept is shown behind the send, to see that the new refresh token took the place of the old one.
    let attributes = format!("application sealpost token_endpoint {endpoint} user {USER}");
    let script = format!(
        "printf x | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n\
         secret-tool store --label=x {attributes} <\"$HOME/oauth.json\"\n\"$@\" && secret-tool lookup {attributes} >\"$HOME/after\"\n"
    );
    let script = sealpost.scratch.write("keyring.sh", script).display().to_string();
    let runtime = sealpost.scratch.path().display().to_string();
    sealpost.environment.push(("XDG_RUNTIME_DIR".to_owned(), runtime.clone()));
    sealpost.environment.push(("XDG_CONFIG_HOME".to_owned(), runtime));
    sealpost.wrapper = ["dbus-run-session", "--", "sh", &script].map(str::to_owned).to_vec();
    let run = sealpost.command(&["sendmail", "-C", &config, "ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(sealpost.scratch.path().join(".local/state/sealpost/secrets").is_dir());
    let after = fs::read_to_string(sealpost.scratch.path().join("after")).unwrap();
    assert!(after.contains(&format!("\"refresh_token\":\"{PASSWORD}.r2\"")), "{after}");
    server.finish();
}
