//! Does `sealpost config` say what is configured, and nothing secret?

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use super::*;
use crate::host::world::{Machine, Pretend};

struct Fixture {
    root: tempfile::TempDir,
    world: Pretend,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = Pretend {
            uid: Machine.uid(),
            config_dir: Some(root.path().join("home")),
            state_dir: Some(root.path().join("state")),
            etc: root.path().join("etc"),
            ..Pretend::default()
        };
        Self { root, world }
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// The warnings on an account's lines.
    fn warnings(&self, lines: &str) -> Vec<String> {
        let path = self.file("warned.toml", &format!("[accounts.a]\nhost = \"smtp.example.com\"\n{lines}\n"), 0o600);
        let json: Value = serde_json::from_str(&check(&self.world, Some(&path), true).unwrap()).unwrap();
        serde_json::from_value(json["warnings"].clone()).unwrap()
    }
}

const WHOLE: &str = r#"
default_account = "b c"
[accounts.a]
host = "smtp.example.com"
match = ["*@example.com"]
[accounts.a.tls]
policy = "opportunistic"
[accounts.a.auth]
user = "u"
password = "hunter2"
[accounts."b.c"]
host = "2001:db8::1"
proxy = "socks5://[::1]:9050"
fallback = ["a"]
[accounts."b.c".tls]
trust = "pin"
pins = ["sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]
[limits]
message_size = "10 MiB"
end_timeout = "90s"
block_timeout = "1500ms"
reply_timeout = "7s"
"#;

#[test]
fn a_sound_file_is_said_to_be_sound() {
    let fixture = Fixture::new();
    let path = fixture.file("c.toml", "[accounts.a]\nhost = \"h\"\n[accounts.b]\nhost = \"h\"\n", 0o600);
    let shown = path.display();
    assert_eq!(
        check(&fixture.world, Some(&path), false).unwrap(),
        format!(
            "{shown}: ok, accounts: a, b\n{shown}: warning: no default_account: mail that no `match` and no -a chooses an account for is refused\n"
        )
    );
    let path = fixture.file("d.toml", "[accounts.a]\nhost = \"h\"\n", 0o644);
    assert_eq!(check(&fixture.world, Some(&path), false).unwrap(), format!("{}: ok, account: a\n", path.display()));
}

#[test]
fn what_is_unwise_is_warned_of() {
    let fixture = Fixture::new();
    let open = fixture.file("open", "x", 0o644).display().to_string();
    let missing = fixture.root.path().join("missing").display().to_string();
    for (lines, wanted) in [
        (String::new(), &[][..]),
        ("tls.policy = \"off\"".into(), &["policy \"off\": mail crosses the network"][..]),
        ("tls.trust = \"any\"".into(), &["trust \"any\""]),
        (
            "tls = { trust = \"any\", ca_file = \"/dev/null\" }".into(),
            &["trust \"any\"", "ca_file has no effect", "ca_file /dev/null can't be read"],
        ),
        (format!("tls.ca_file = \"{missing}\""), &["can't be read: No such file"]),
        (format!("tls.client_cert = \"{open}\""), &["can be read by others"]),
        (
            "tls.policy = \"opportunistic\"\nauth = { user = \"u\", password = \"p\" }".into(),
            &["policy \"opportunistic\" with a login"],
        ),
        ("auth = { user = \"u\", password = \"p\", allow_unverified = true }".into(), &["allow_unverified"]),
        ("auth = { user = \"u\" }".into(), &["asked for on the terminal"]),
        (format!("auth = {{ user = \"u\", password_file = \"{open}\" }}"), &["chmod 600"]),
        ("auth = { user = \"u\", password_env = \"MISSING\" }".into(), &["MISSING is not set"]),
    ] {
        let warnings = fixture.warnings(&lines);
        assert_eq!(warnings.len(), wanted.len(), "{lines}: {warnings:?}");
        for (warning, wanted) in warnings.iter().zip(wanted) {
            assert!(warning.starts_with("account a: ") && warning.contains(wanted), "{lines}: {warning}");
        }
    }
}

#[test]
fn a_trust_anchor_that_can_not_be_used_is_warned_of_where_the_dns_is_asked() {
    let fixture = Fixture::new();
    let garbage = fixture.file("root.key", "root:x:0:0\n", 0o644).display().to_string();
    let sound = fixture.file("sound.key", ". DS 1 8 2 ABCD\n", 0o644).display().to_string();
    for (anchor, because) in
        [("/nonexistent", Some("No such file")), (garbage.as_str(), Some("line 1: it has no type")), (sound.as_str(), None)]
    {
        let dns = format!("[dns]\ntrust_anchor = \"{anchor}\"");
        assert_eq!(fixture.warnings(&dns), [""; 0], "nobody asks");
        let warnings = fixture.warnings(&format!("tls.trust = \"dane\"\n{dns}"));
        assert_eq!(warnings.len(), usize::from(because.is_some()), "{warnings:?}");
        for (warning, because) in warnings.iter().zip(because) {
            assert!(warning.starts_with(&format!("can't use trust_anchor {anchor}: ")) && warning.contains(because), "{warning}");
        }
    }
}

#[test]
fn a_fallback_that_asks_less_of_tls_is_warned_of() {
    let fixture = Fixture::new();
    let warns = |ours: &str, host: &str, theirs: &str| {
        let lines = format!("fallback = [\"b\"]\ntls = {{ {ours} }}\n[accounts.b]\nhost = \"{host}\"\ntls = {{ {theirs} }}");
        fixture.warnings(&lines).iter().any(|warning| warning == "account a: its fallback b asks less of TLS")
    };
    assert!(warns("", "h", "policy = \"opportunistic\"") && warns("", "h", "policy = \"off\""));
    for (ours, host, theirs) in [
        ("", "h", ""),
        ("", "localhost", "policy = \"off\""),
        ("policy = \"opportunistic\"", "h", "policy = \"off\""),
        ("policy = \"opportunistic\"", "h", ""),
    ] {
        assert!(!warns(ours, host, theirs), "{ours}, {host}, {theirs}");
    }
}

#[test]
fn a_file_that_others_may_change_is_warned_of() {
    let fixture = Fixture::new();
    let path = fixture.file("c.toml", "[accounts.a]\nhost = \"h\"\n", 0o666);
    assert!(check(&fixture.world, Some(&path), false).unwrap().contains("others can change this file"));
}

#[test]
fn what_is_shown_has_its_place_and_no_password() {
    let fixture = Fixture::new();
    let path = fixture.file("c.toml", &WHOLE.replace("b c", "b.c"), 0o600);
    let shown = show(&fixture.world, Some(&path), false).unwrap();
    let place = path.display();
    for line in [
        format!("password = \"***\"  # {place}:10"),
        format!("policy = \"opportunistic\"  # {place}:7"),
        "policy = \"required\"  # default".into(),
        "start = \"starttls\"  # default".into(),
        "[accounts.\"b.c\".tls]".into(),
        format!("block_timeout = \"1500ms\"  # {place}:21"),
        format!("data_timeout = \"7s\"  # {place}:22"),
        "# hello is not set: the host's full name, else an address literal".into(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("hunter2"));
    let json = show(&fixture.world, Some(&path), true).unwrap();
    assert!(!json.contains("hunter2"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["settings"]["accounts.a.tls.policy"], json!({"value": "opportunistic", "from": format!("{place}:7")}));
    assert_eq!(json["settings"]["limits.message_size"]["value"], 10 << 20);
}

#[test]
fn what_the_queue_and_the_service_do_is_shown() {
    let fixture = Fixture::new();
    let text = "[queue]\nmode = \"fallback\"\nwarn_after = \"\"\nretry_first = \"90s\"\n[serve]\nlisten = [\"127.0.0.1:25\"]\n\
                free_space = \"1 MiB\"\n[accounts.a]\nhost = \"h\"\n";
    let path = fixture.file("c.toml", text, 0o600);
    let shown = show(&fixture.world, Some(&path), false).unwrap();
    let (place, state) = (path.display(), fixture.root.path().join("state/queue"));
    let is_root = fixture.world.uid == 0;
    let dir = if is_root { Path::new("/var/spool/sealpost") } else { &state };
    for line in [
        format!("mode = \"fallback\"  # {place}:2"),
        format!("dir = \"{}\"  # default", dir.display()),
        "max_age = \"5d\"  # default".into(),
        "keep_failed = \"30d\"  # default".into(),
        format!("retry_first = \"90s\"  # {place}:4"),
        "retry_most = \"4h\"  # default".into(),
        "socket = \"/run/sealpost/submit.sock\"  # default".into(),
        format!("listen = [\"127.0.0.1:25\"]  # {place}:6"),
        "free_senders = []  # default".into(),
        "messages_per_hour = 1000  # default".into(),
        "queue_per_user = 5000  # default".into(),
        "bytes_per_user = 1073741824  # default".into(),
        format!("free_space = 1048576  # {place}:7"),
        "# from_policy is not set: free; login for those of whom the service sends".into(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(shown.lines().any(|line| line.starts_with("warn_after = \"\"") && line.contains("never")), "{shown}");
    let keys = |table: &str| {
        let section = shown.split(&format!("[{table}]\n")).nth(1).unwrap().split("\n\n").next().unwrap();
        section.lines().count()
    };
    assert_eq!((keys("queue"), keys("serve")), (8, 9), "{shown}");
}

#[test]
fn what_is_shown_can_be_read_again_and_means_the_same() {
    let fixture = Fixture::new();
    let path = fixture.file("c.toml", &WHOLE.replace("b c", "b.c"), 0o600);
    let values = |path: &Path| {
        let mut json: Value = serde_json::from_str(&show(&fixture.world, Some(path), true).unwrap()).unwrap();
        let settings = json["settings"].as_object_mut().unwrap();
        settings.values_mut().for_each(|setting| drop(setting.as_object_mut().unwrap().remove("from")));
        json["settings"].take()
    };
    let again = fixture.file("again.toml", &show(&fixture.world, Some(&path), false).unwrap(), 0o600);
    assert_eq!(values(&path), values(&again));
}

#[test]
fn the_environment_is_shown_by_its_variables() {
    let world = Pretend::default().with_env("SMTP_HOST", "h").with_env("SMTP_USER", "u").with_env("SMTP_PASS", "hunter2");
    let shown = show(&world, None, false).unwrap();
    assert!(shown.starts_with("# environment\n"));
    assert!(shown.contains("\nhost = \"h\"  # SMTP_HOST\n"), "{shown}");
    assert!(shown.contains("\npassword_env = \"SMTP_PASS\"  # SMTP_PASS\n"), "{shown}");
    assert!(!shown.contains("hunter2"));
}

#[test]
fn the_path_is_followed_by_the_places_before_it() {
    let fixture = Fixture::new();
    let system = fixture.file("etc/sealpost/config.toml", "", 0o644);
    let own = fixture.root.path().join("home/config.toml");
    assert_eq!(
        path(&fixture.world, None, false).unwrap(),
        format!("{}\n# before it: $SEALPOST_CONFIG (not set)\n# before it: {} (does not exist)\n", system.display(), own.display())
    );
    let json: Value = serde_json::from_str(&path(&fixture.world, Some(&system), true).unwrap()).unwrap();
    assert_eq!(json, json!({"origin": system, "passed": []}));
}
