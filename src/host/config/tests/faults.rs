//! Every kind of fault: its place, its caret, its words, its hint.

use super::{
    super::{Backend, Version},
    read,
};
use crate::{error::Exit, smtp::sasl::Kind};

/// One fault: the lines after a sound beginning, where it is, what stands under it, why, and what to do.
struct Case {
    text: &'static str,
    place: &'static str,
    /// The excerpt's last two lines without the gutter.
    shown: &'static str,
    because: &'static str,
    hint: &'static str,
}

fn cases(cases: &[Case]) {
    for case in cases {
        let error = read(case.text).expect_err(case.text);
        let rendered = error.render("t");
        let excerpt: Vec<&str> =
            rendered.lines().skip(2).take(2).filter_map(|line| line.split_once(" | ").map(|(_, rest)| rest)).collect();
        let wanted = format!("reading /etc/sealpost/config.toml:{}: {}", case.place, case.because);
        assert_eq!(error.summary(), wanted, "\n{rendered}");
        assert_eq!(excerpt.join("\n"), case.shown, "\n{rendered}");
        assert_eq!(error.advice().unwrap_or_default(), case.hint, "\n{rendered}");
        assert_eq!(error.exit(), Exit::Config);
    }
}

#[test]
fn a_fault_of_syntax_shows_its_place() {
    cases(&[
        Case {
            text: "[accounts.relay]\nhost = smtp.example.com\n",
            place: "2:8",
            shown: "host = smtp.example.com\n       ^^^^^^^^^^^^^^^^",
            because: "text must stand in quotes",
            hint: "put the value in double quotes",
        },
        Case {
            text: "[accounts.relay]\nhost \"smtp.example.com\"\n",
            place: "2:6",
            shown: "host \"smtp.example.com\"\n     ^",
            because: "not valid TOML: key with no value, expected `=`",
            hint: "",
        },
        Case {
            text: "[accounts.relay\nhost = \"a\"\n",
            place: "1:16",
            shown: "[accounts.relay\n               ^",
            because: "not valid TOML: unclosed table, expected `]`",
            hint: "",
        },
        Case {
            text: "[accounts.relay]\r\nhost = \"a\"\r\nhost = \"b\"\r\n",
            place: "3:1",
            shown: "host = \"b\"\n^^^^",
            because: "not valid TOML: duplicate key",
            hint: "",
        },
    ]);
}

#[test]
fn an_unknown_key_is_met_with_the_right_one_or_the_list() {
    cases(&[
        Case {
            text: "[acounts.relay]\nhost = \"a\"\n",
            place: "1:2",
            shown: "[acounts.relay]\n ^^^^^^^",
            because: "unknown key `acounts` at the top of the file",
            hint: "did you mean `accounts`?",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.tls]\n\tpolcy = \"required\"\n",
            place: "4:2",
            shown: " polcy = \"required\"\n ^^^^^",
            because: "unknown key `polcy` in [accounts.relay.tls]",
            hint: "did you mean `policy`?",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\npolicy = \"off\"\n",
            place: "3:1",
            shown: "policy = \"off\"\n^^^^^^",
            because: "unknown key `policy` in [accounts.relay]",
            hint: "`policy` belongs in [accounts.relay.tls]",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\npolcy = \"off\"\n",
            place: "3:1",
            shown: "polcy = \"off\"\n^^^^^",
            because: "unknown key `polcy` in [accounts.relay]",
            hint: "did you mean `policy`? It belongs in [accounts.relay.tls]",
        },
        Case {
            text: "[log]\nzebra = 1\n[accounts.relay]\nhost = \"a\"\n",
            place: "2:1",
            shown: "zebra = ***\n^^^^^",
            because: "unknown key `zebra` in [log]",
            hint: "the keys here are `file`, `syslog` and `syslog_tls`",
        },
    ]);
}

#[test]
fn a_wrong_value_says_what_would_be_right() {
    cases(&[
        Case {
            text: "[accounts.relay]\nhost = \"a\"\ntls.policy = \"requird\"\n",
            place: "3:14",
            shown: "tls.policy = \"requird\"\n             ^^^^^^^^^",
            because: "`requird` is not known here",
            hint: "did you mean `required`? it takes `off`, `opportunistic` or `required`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nport = \"587\"\n",
            place: "3:8",
            shown: "port = \"587\"\n       ^^^^^",
            because: "`port` is text",
            hint: "`port` takes a number without quotes",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nport = 65536\n",
            place: "3:8",
            shown: "port = 65536\n       ^^^^^",
            because: "`port` must be a whole number, from 1 to 65535",
            hint: "",
        },
        Case {
            text: "[limits]\nreply_timeout = 30\n[accounts.relay]\nhost = \"a\"\n",
            place: "2:17",
            shown: "reply_timeout = 30\n                ^^",
            because: "`reply_timeout` needs a unit",
            hint: "write it in quotes: `\"30s\"`, `\"5m\"`, `\"2h\"` or `\"5d\"`",
        },
        Case {
            text: "[log]\nsyslog = \"yes\"\n[accounts.relay]\nhost = \"a\"\n",
            place: "2:10",
            shown: "syslog = \"yes\"\n         ^^^^^",
            because: "`syslog` is text",
            hint: "`syslog` takes `true` or `false`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nmatch = \"*@a\"\n",
            place: "3:9",
            shown: "match = \"*@a\"\n        ^^^^^",
            because: "`match` is text",
            hint: "`match` takes a list: put it in square brackets",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nmatch = [\n  \"a é\",\n]\n",
            place: "4:3",
            shown: "  \"a é\",\n  ^^^^^",
            because: "`a é` is not a pattern",
            hint: "like `*@example.com`; `*` stands for anything",
        },
        Case {
            text: "mail_domain = \"\"\n[accounts.relay]\nhost = \"a\"\n",
            place: "1:15",
            shown: "mail_domain = \"\"\n              ^^",
            because: "it is empty",
            hint: "leave the key out, or give it a value",
        },
        Case {
            text: "accounts = 5\n",
            place: "1:12",
            shown: "accounts = ***\n           ^",
            because: "`accounts` is a number",
            hint: "`accounts` takes tables: `[accounts.NAME]`",
        },
    ]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    cases(&[
        Case {
            text: "default_account = \"rely\"\n[accounts.relay]\nhost = \"a\"\n",
            place: "1:19",
            shown: "default_account = \"rely\"\n                  ^^^^^^",
            because: "there is no account `rely`",
            hint: "did you mean `relay`? the only account is `relay`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nfallback = [\"x\", \"relay\"]\n[accounts.x]\nhost = \"b\"\n",
            place: "3:18",
            shown: "fallback = [\"x\", \"relay\"]\n                 ^^^^^^^",
            because: "account `relay` falls back on itself",
            hint: "name other accounts",
        },
        Case {
            text: "[accounts.relay]\nport = 25\n",
            place: "1:1",
            shown: "[accounts.relay]\n^^^^^^^^^^^^^^^^",
            because: "[accounts.relay] has no `host`",
            hint: "name the smarthost, like `host = \"smtp.example.com\"`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\ntls.trust = \"pin\"\n",
            place: "3:13",
            shown: "tls.trust = \"pin\"\n            ^^^^^",
            because: "there is no pin to trust",
            hint: "add `pins`: the log shows the digest of a server that was refused (certificate.sha256)",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.tls]\npins = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n",
            place: "4:1",
            shown: "pins = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n^^^^",
            because: "pins have no meaning with trust \"system\"",
            hint: "set `trust` to \"pin\", or leave `pins` out",
        },
        Case {
            text: "[accounts.relay]\nhost = \"unix:/run/x\"\nport = 24\n",
            place: "3:1",
            shown: "port = 24\n^^^^",
            because: "a unix socket has no port",
            hint: "leave `port` out",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.tls]\nstart = \"implicit\"\npolicy = \"off\"\n",
            place: "4:9",
            shown: "start = \"implicit\"\n        ^^^^^^^^^^",
            because: "without TLS there is no implicit TLS",
            hint: "leave `start` out, or choose another policy",
        },
        Case {
            text: "[accounts.relay]\nhost = \"192.0.2.1\"\nsource_address = \"::1\"\n",
            place: "3:1",
            shown: "source_address = \"::1\"\n^^^^^^^^^^^^^^",
            because: "192.0.2.1 can't be reached from ::1: one is IPv4, the other IPv6",
            hint: "name an address of the same family",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.auth]\npassword_env = \"P\"\n",
            place: "3:1",
            shown: "[accounts.relay.auth]\n^^^^^^^^^^^^^^^^^^^^^",
            because: "[accounts.relay.auth] has no `user`",
            hint: "name the login, like `user = \"cron@example.com\"`",
        },
    ]);
}

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

#[test]
fn requiretls_wants_a_server_that_is_verified_all_the_way() {
    let promised = "REQUIRETLS is only for a server that is verified, and ";
    let case = |lines: &'static str, place, shown, because: String, hint| Case {
        text: lines,
        place,
        shown,
        because: because.leak(),
        hint,
    };
    cases(&[
        case(
            "[accounts.a]\nhost = \"h\"\n[accounts.a.tls]\npolicy = \"opportunistic\"\nrequiretls = true\n",
            "5:1",
            "requiretls = true\n^^^^^^^^^^",
            format!("{promised}`policy` is \"opportunistic\""),
            "choose the `policy` \"required\", or leave `requiretls` out",
        ),
        case(
            "[accounts.a]\nhost = \"h\"\ntls = { policy = \"off\", requiretls = true }\n",
            "3:25",
            "tls = { policy = \"off\", requiretls = true }\n                        ^^^^^^^^^^",
            format!("{promised}`policy` is \"off\""),
            "choose the `policy` \"required\", or leave `requiretls` out",
        ),
        case(
            "[accounts.a]\nhost = \"h\"\ntls = { trust = \"any\", requiretls = true }\n",
            "3:24",
            "tls = { trust = \"any\", requiretls = true }\n                       ^^^^^^^^^^",
            format!("{promised}`trust` is \"any\""),
            "choose a `trust` that verifies the server, or leave `requiretls` out",
        ),
        case(
            "[accounts.a]\nhost = \"h\"\nfallback = [\"b\"]\ntls.requiretls = true\n[accounts.b]\nhost = \"i\"\n",
            "3:13",
            "fallback = [\"b\"]\n            ^^^",
            "account `b` has no requiretls, and `a` has".to_owned(),
            "add `requiretls = true` there, or name another account",
        ),
    ]);
    for sound in ["requiretls = false, policy = \"off\"", "requiretls = true", "requiretls = false, trust = \"any\""] {
        read(&format!("[accounts.a]\nhost = \"h\"\ntls = {{ {sound} }}\n")).expect(sound);
    }
}

#[test]
fn what_the_dns_can_t_do_is_refused() {
    for (text, because) in [
        ("host = \"192.0.2.1\"\ntls.trust = \"dane\"", "192.0.2.1 is an address, and TLSA records belong to a name"),
        ("host = \"unix:/s\"\ntls.trust = \"dane\"", "TLSA records belong to a host's name, and a unix socket has none"),
        (
            "host = \"h\"\ntls = { trust = \"dane\", server_name = \"i\" }",
            "with trust \"dane\" the DNS says which name the certificate must have",
        ),
        (
            "host = \"h\"\nproxy = \"socks5://p:1\"\ntls.trust = \"dane\"",
            "TLSA and SRV records would be asked for beside the proxy, for all to see whom you talk to",
        ),
        ("host = \"srv:example.com\"\nport = 25", "SRV records name the port too"),
        ("host = \"srv:example.com\"\ntls.start = \"starttls\"", "SRV records say how TLS begins too"),
        ("host = \"srv:192.0.2.1\"", "192.0.2.1 is an address, and SRV records belong to a domain"),
        ("host = \"srv:[2001:db8::1]\"", "2001:db8::1 is an address, and SRV records belong to a domain"),
        ("host = \"srv:example.com:465\"", "`example.com:465` holds a port"),
        ("host = \"srv:a b\"", "`a b` is not a host name: it is made of letters, digits, `-` and `.`"),
        ("host = \"h\"\n[dns]\nservers = [\"localhost\"]", "`localhost` is not the address of a name server"),
        ("host = \"h\"\n[dns]\nservers = [\"127.0.0.1:0\"]", "`127.0.0.1:0` is not the address of a name server"),
    ] {
        let error = read(&format!("[accounts.a]\n{text}\n")).expect_err(text);
        assert!(error.summary().ends_with(because), "{}", error.summary());
        assert!(error.advice().is_some(), "{text}");
    }
}

#[test]
fn revocation_lists_that_nobody_would_look_at_are_refused() {
    for (trust, more) in
        [("pin", format!("pins = [\"sha256:{}\"], ", "0".repeat(64))), ("tofu", String::new()), ("any", String::new())]
    {
        let text = format!("[accounts.a]\nhost = \"h\"\ntls = {{ trust = \"{trust}\", {more}crl_file = \"crl.pem\" }}\n");
        let error = read(&text).expect_err(trust);
        assert_eq!(error.exit(), Exit::Config);
        assert!(error.summary().ends_with(&format!("revocation lists have no meaning with trust \"{trust}\"")), "{error}");
        assert!(error.advice().is_some_and(|advice| advice.contains("`crl_file`")), "{error}");
    }
    let text = "[accounts.a]\nhost = \"h.test\"\ntls = { trust = \"dane\", crl_file = \"crl.pem\" }\n";
    assert!(read(text).expect_err("dane").summary().ends_with("with trust \"dane\""));
}

#[test]
fn what_a_backend_cant_do_is_said_where_it_is_asked_for() {
    let built = cfg!(feature = "native-tls");
    let native = if built { "does not look at revocation lists" } else { "was built without native-tls" };
    for (lines, because, hint) in [
        ("min_version = \"1.1\"", "nothing older than TLS 1.2, so not 1.1", "backend \"native-tls\""),
        ("backend = \"rustls\"\nmin_version = \"1.0\"", "nothing older than TLS 1.2, so not 1.0", "backend \"native-tls\""),
        ("backend = \"native-tls\"\ncrl_file = \"crl.pem\"", native, "leave"),
        ("backend = \"schannel\"", "`schannel` is not known here", "`rustls` or `native-tls`"),
    ] {
        let error = read(&format!("[accounts.a]\nhost = \"h\"\n[accounts.a.tls]\n{lines}\n")).expect_err(lines);
        assert_eq!(error.exit(), Exit::Config);
        assert!(error.summary().contains(because), "{}", error.summary());
        assert!(error.advice().is_some_and(|advice| advice.contains(hint)), "{lines}: {:?}", error.advice());
    }
    let native = read("[accounts.a]\nhost = \"h\"\n[accounts.a.tls]\nbackend = \"native-tls\"\nmin_version = \"1.0\"\n");
    match native {
        Ok(config) => {
            let tls = &config.account("a").unwrap().tls;
            assert_eq!((tls.backend, tls.min_version, built), (Backend::NativeTls, Version::Tls10, true));
        }
        Err(error) => {
            let advice = error.advice().unwrap_or_default();
            assert!(!built && advice.contains("cargo build --release --features native-tls"), "{advice}");
        }
    }
}

#[test]
fn a_password_is_never_in_the_excerpt() {
    for (line, shown) in [
        ("password = \"hunter2", "password = ***"),
        ("password = hunter2", "password = ***"),
        ("password: hunter2", "***"),
        ("password \"hunter2\"", "***"),
        ("pasword = \"hunter2\"", "pasword = ***"),
        ("pwd = \"hunter2\"", "pwd = ***"),
        ("PASSWORD = \"hunter2\"", "PASSWORD = ***"),
        ("\"pass\\u0077ord\" = \"hunter2", "\"pass\\u0077ord\" = ***"),
        ("allow_unverified = 5, password = \"hunter2\"", "allow_unverified = 5, password = ***"),
        ("password = \"\"\"\nhunter2\n\"\"\"\nallow_unverified = 5", "***"),
        ("password = '''\nx''', hunter2", "***"),
        ("password = \"a\nhunter2\"", "password = ***"),
        ("password = [\"hunter2\"]", "password = ***"),
        ("oauth.client_secret = \"hunter2", "oauth.client_secret = ***"),
        ("oauth.client_secrt = \"hunter2\"", "oauth.client_secrt = ***"),
        ("oauth = { client_secret = \"hunter2\" }", "oauth = ***"),
        ("oauth.client_secret \"hunter2\"", "***"),
    ] {
        let error = read(&format!("[accounts.a]\nhost = \"h\"\n[accounts.a.auth]\nuser = \"u\"\n{line}\n")).expect_err(line);
        let rendered = error.render("t");
        assert!(!rendered.contains("hunter2"), "{rendered}");
        assert!(rendered.contains(&format!(" | {shown}\n")), "{line}: {rendered}");
    }
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let text = format!("[accounts.a]\nhost = \"h\"\nmatch = [{}\"a b\", {}]\n", "\"x\", ".repeat(5000), "\"y\", ".repeat(5000));
    let rendered = read(&text).unwrap_err().render("t");
    assert!(rendered.len() < 600, "{rendered}");
    let lines: Vec<&str> = rendered.lines().collect();
    let caret = lines[3].chars().position(|c| c == '^').unwrap();
    let above: String = lines[2].chars().skip(caret).take(5).collect();
    assert_eq!(above, "\"a b\"");
}
