//! Is a system that is short of something told from a configuration that is wrong? (`EX_TEMPFAIL` against `EX_CONFIG`)

use crate::{
    common::{MESSAGE, PASSWORD, Sealpost, USER, certificate::Authority},
    kit::installed,
};

#[test]
fn a_file_that_the_system_can_not_open_just_now_is_no_fault_of_the_configuration() {
    if !installed(&["strace"]) {
        return;
    }
    let client = Authority::new("clients").client("me");
    let login = |auth: &str| format!("auth = {{ user = {USER:?}, mechanism = \"PLAIN\", {auth} }}\n");
    let identity = "client_cert = \"client.pem\", client_key = \"client.key\"";
    for (file, tls, auth) in [
        ("secret", "", login("password_file = \"secret\"")),
        ("relay", "", login("credential = \"relay\"")),
        (".netrc", "", login("netrc = true")),
        ("client.pem", identity, String::new()),
        ("client.key", identity, String::new()),
        ("config.toml", "", String::new()),
        ("aliases", "", String::new()),
    ] {
        let account = format!("[accounts.relay]\nhost = \"localhost\"\nport = 9\ntls = {{ {tls} }}\n{auth}");
        let mut sealpost = Sealpost::new(&account);
        sealpost.scratch.write("secret", PASSWORD);
        sealpost.scratch.write("relay", PASSWORD);
        sealpost.scratch.write(".netrc", format!("machine localhost login {USER} password {PASSWORD}\n"));
        sealpost.scratch.write("client.pem", &client.certificate_pem);
        sealpost.scratch.write("client.key", &client.key_pem);
        sealpost.scratch.write("aliases", "root: ok@sink.test\n");
        let config = sealpost.scratch.path().join("config.toml");
        let text = std::fs::read_to_string(&config).unwrap().replace("aliases = \"\"", "aliases = \"aliases\"");
        sealpost.scratch.write("config.toml", text);
        sealpost.environment.push(("CREDENTIALS_DIRECTORY".to_owned(), sealpost.scratch.path().display().to_string()));
        let path = sealpost.scratch.path().join(file).display().to_string();
        for errno in ["EMFILE", "ENFILE", "ENOMEM", "EIO"] {
            let inject = format!("inject=open,openat:error={errno}");
            let words = ["strace", "-qq", "-o", "/dev/null", "-P", &path, "-e", &inject];
            sealpost.wrapper = words.map(str::to_owned).to_vec();
            let run = sealpost.send(&["root"], MESSAGE.as_bytes());
            assert_eq!(run.code, 75, "{file}, {errno}: {run:?}");
            assert!(run.stderr.contains(file), "{file}, {errno}: {run:?}");
            assert!(!run.stderr.contains("may you read it"), "{file}, {errno}: {run:?}");
        }
    }
}
