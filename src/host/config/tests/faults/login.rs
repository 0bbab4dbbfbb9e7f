//! Which logins could never work, and is that said at once?

use super::read;
use crate::smtp::sasl::Kind;

#[test]
fn a_login_that_could_never_work_is_refused() {
    const ID: &str = "client_id = \"x\"";
    for (lines, because) in [
        ("credential = \"../x\"", "it is not the name of a credential"),
        ("credential = \"..\"", "it is not the name of a credential"),
        ("keyring = true\nnetrc = true", "`netrc` contradicts `keyring`"),
        ("password_file = \"x\"\ntoken_command = \"y\"", "`token_command` contradicts `password_file`"),
        ("password_file = \"x\"\ntoken_cache = false", "there is no token to be kept"),
        ("oauth = {}", "[accounts.a.auth.oauth] has no `provider`"),
        ("oauth = { provider = \"google\" }", "[accounts.a.auth.oauth] has no `client_id`"),
        (&format!("oauth = {{ provider = \"google\", tenant = \"x\", {ID} }}"), "only provider \"microsoft\" has tenants"),
        (&format!("oauth = {{ provider = \"microsoft\", tenant = \"a/b\", {ID} }}"), "it is not the name or number of a tenant"),
        (&format!("oauth = {{ token_endpoint = \"https://h/t\", {ID} }}"), "[accounts.a.auth.oauth] has no `device_endpoint`"),
        (
            &format!("oauth = {{ provider = \"google\", {ID}, client_secret = \"a\", client_secret_file = \"b\" }}"),
            "`client_secret_file` contradicts `client_secret`",
        ),
        (
            &format!("oauth = {{ provider = \"google\", {ID}, keyring = true, token_file = \"b\" }}"),
            "`token_file` contradicts `keyring`",
        ),
        (&format!("oauth = {{ provider = \"google\", {ID}, scope = \"a  b\" }}"), "it is not a scope: words with a space between"),
        (
            &format!("oauth = {{ provider = \"google\", {ID}, device_endpoint = \"http://id.example.com/\" }}"),
            "it is not the address of an endpoint: secrets cross a network under `https://` only",
        ),
    ] {
        let error = read(&format!("[accounts.a]\nhost = \"h\"\n[accounts.a.auth]\nuser = \"u\"\n{lines}\n")).expect_err(lines);
        assert_eq!(error.because(), because, "{lines}");
        assert!(
            error.advice().is_some() || because.contains("not the name or number") || because.contains("not a scope"),
            "{lines}"
        );
    }
    let socket = "[accounts.a]\nhost = \"unix:/run/x\"\ntls.policy = \"off\"\nauth = { user = \"u\", keyring = true }\n";
    assert_eq!(read(socket).unwrap_err().because(), "keyring is asked by the name of a host, and a unix socket has none");
}

#[test]
fn a_mechanism_that_contradicts_what_the_account_has_is_pointed_at() {
    let case = |auth: &str, tls: &str| {
        let text = format!("[accounts.a]\nhost = \"h\"\n{tls}\n[accounts.a.auth]\nuser = \"u\"\n{auth}\n");
        let error = read(&text).expect_err(auth);
        assert!(error.summary().contains(":6:13"), "the place of the mechanism: {}", error.render("t"));
        assert!(error.render("t").contains("^^^"), "{}", error.render("t"));
        (error.because().to_owned(), error.advice().unwrap().to_owned())
    };
    for (auth, tls, because, hint) in [
        ("mechanism = \"XOAUTH2\"\npassword_env = \"P\"", "", "takes an access token", "token_command"),
        ("mechanism = \"oauthbearer\"", "", "takes an access token", "token_command"),
        ("mechanism = \"PLAIN\"\ntoken_command = \"x\"", "", "takes a password", "OAUTHBEARER"),
        ("mechanism = \"scram-sha-256-plus\"\ntoken_command = \"x\"", "", "takes a password", "XOAUTH2"),
        ("mechanism = \"EXTERNAL\"", "", "there is none", "client_cert"),
        ("mechanism = \"EXTERNAL\"\npassword_env = \"P\"", "tls.client_cert = \"c\"", "takes no secret", "leave the secret out"),
        ("mechanism = \"SCRAM-SHA-256-PLUZ\"\npassword_env = \"P\"", "", "is not known here", "`SCRAM-SHA-256-PLUS`"),
        ("mechanism = \"CRAM\"\npassword_env = \"P\"", "", "is not known here", "CRAM-MD5"),
    ] {
        let told = case(auth, tls);
        assert!(told.0.contains(because) && told.1.contains(hint), "{auth}: {told:?}");
    }
    let off =
        "[accounts.a]\nhost = \"127.0.0.1\"\ntls.policy = \"off\"\ntls.client_cert = \"c\"\n[accounts.a.auth]\nuser = \"u\"\n";
    for (auth, because) in [
        ("mechanism = \"SCRAM-SHA-1-PLUS\"\npassword_env = \"P\"", "binds the login to TLS"),
        ("mechanism = \"EXTERNAL\"", "shows a certificate in TLS"),
    ] {
        let error = read(&format!("{off}{auth}\n")).expect_err(auth);
        assert!(error.summary().contains(because), "{}", error.summary());
    }
    let certificate = "[accounts.a]\nhost = \"h\"\ntls.client_cert = \"c\"\n[accounts.a.auth]\nmechanism = \"EXTERNAL\"\n";
    let config = read(certificate).unwrap();
    assert_eq!(config.accounts[0].auth.as_ref().unwrap().user, "", "the certificate says who it is");
}

#[test]
fn a_ticket_wants_a_library_and_a_server_with_a_name_and_no_secret() {
    let account = |host: &str, auth: &str| {
        let policy = if host.starts_with("unix:") { "off" } else { "required" };
        read(&format!("[accounts.a]\nhost = {host:?}\ntls.policy = {policy:?}\n[accounts.a.auth]\n{auth}"))
    };
    let plain = "mechanism = \"gssapi\"\n";
    let mut cases = vec![("h", plain, "was built without GSSAPI", "cargo build --release --features gssapi")];
    if cfg!(feature = "gssapi") {
        let auth = account("h", plain).unwrap().accounts.remove(0).auth.unwrap();
        assert_eq!((auth.user.as_str(), auth.source.kind()), ("", Kind::Ticket), "the principal says who it is");
        cases = vec![
            ("h", "mechanism = \"GSSAPI\"\npassword_env = \"P\"\n", "takes no secret", "leave the secret out"),
            ("192.0.2.1", plain, "by its name, and it has none", "server_name"),
            ("unix:/run/mta", plain, "by its name, and it has none", "server_name"),
        ];
        let named = "[accounts.a]\nhost = \"192.0.2.1\"\ntls.server_name = \"mx.test\"\n[accounts.a.auth]\n";
        assert!(read(&format!("{named}{plain}")).is_ok());
        let off = "[accounts.a]\nhost = \"h\"\ntls.policy = \"off\"\n[accounts.a.auth]\n";
        assert!(read(&format!("{off}{plain}")).unwrap_err().summary().contains("the ticket could never be sent"));
        let here = "[accounts.a]\nhost = \"localhost\"\ntls.policy = \"off\"\n[accounts.a.auth]\n";
        assert!(read(&format!("{here}{plain}")).is_ok());
    }
    for (host, auth, because, hint) in cases {
        let error = account(host, auth).expect_err(auth);
        assert!(error.summary().contains(":5:"), "the place of the mechanism: {}", error.render("t"));
        let told = (error.because(), error.advice().unwrap());
        assert!(told.0.contains(because) && told.1.contains(hint), "{host}: {told:?}");
    }
}
