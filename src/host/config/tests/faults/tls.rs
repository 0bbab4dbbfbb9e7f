//! What could TLS and the DNS never do as an account asks for it, and is that said at once?

use super::{
    super::super::{Backend, Version},
    Case, cases, read,
};
use crate::error::Exit;

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
