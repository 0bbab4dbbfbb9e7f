//! Is a server found by what a domain publishes, and is nobody believed who could be anybody? (RFC 6186, 8314; autoconfig)

use std::{
    net::SocketAddr,
    sync::{Mutex, OnceLock},
};

use sealpost::host::listen::{Sink, Tls};

use crate::{
    common::{
        Run,
        certificate::{Authority, Flaw},
        zone::{Dns, Signing, Zone},
    },
    kit::Home,
    terminal::Terminal,
    web::{Proxy, Web, reply},
};

fn document(host: &str, port: u16, socket: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<clientConfig version=\"1.1\"><emailProvider id=\"corp.test\">\
         <outgoingServer type=\"smtp\"><hostname>{host}</hostname><port>{port}</port><socketType>{socket}</socketType>\
         <username>%EMAILLOCALPART%</username><authentication>none</authentication></outgoingServer></emailProvider></clientConfig>"
    )
}

/// What a set-up of me@corp.test comes to, where the web server answers so, and the smarthost is mx.corp.test.
fn found(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Home, Run, Web, Proxy) {
    found_by(None, answer)
}

fn found_by(stranger: Option<&Authority>, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Home, Run, Web, Proxy) {
    let home = Home::new();
    let names = ["autoconfig.corp.test", "corp.test", "elsewhere.test"];
    let web = Web::start(stranger.unwrap_or(&home.authority), &names, answer);
    let places: Vec<(String, SocketAddr)> = names.iter().map(|name| (format!("{name}:443"), web.address)).collect();
    let places: Vec<(&str, SocketAddr)> = places.iter().map(|(name, address)| (name.as_str(), *address)).collect();
    let proxy = Proxy::start(&places);
    let run = home.silent(&["me@corp.test", "--non-interactive", "--no-test", "--proxy", &proxy.url], "");
    (home, run, web, proxy)
}

#[test]
fn the_document_of_a_domain_names_the_server() {
    for (place, asked) in [
        (
            "autoconfig.corp.test /mail/config-v1.1.xml",
            &["autoconfig.corp.test /mail/config-v1.1.xml?emailaddress=me%40corp.test"][..],
        ),
        (
            "corp.test /.well-known/autoconfig/mail/config-v1.1.xml",
            &[
                "autoconfig.corp.test /mail/config-v1.1.xml?emailaddress=me%40corp.test",
                "corp.test /.well-known/autoconfig/mail/config-v1.1.xml",
            ],
        ),
    ] {
        let (home, run, web, proxy) = found(move |wanted| {
            if wanted == place { reply(200, "", &document("mx.%EMAILDOMAIN%", 2465, "SSL")) } else { reply(404, "", "<html/>") }
        });
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(web.asked(), asked);
        assert!(proxy.asked().iter().all(|place| place.ends_with("corp.test:443")), "{:?}", proxy.asked());
        let text = home.written();
        for words in ["host = \"mx.corp.test\"", "port = 2465", "start = \"implicit\"", "proxy = \"socks5://"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("auth"), "{text}");
    }
}

#[test]
fn redirects_are_followed_under_tls_and_to_nobody_else() {
    let good = |wanted: &str, to: &str| match wanted {
        "autoconfig.corp.test /mail/config-v1.1.xml" => reply(302, &format!("Location: {to}\r\n"), ""),
        "elsewhere.test /there" | "autoconfig.corp.test /there" => reply(200, "", &document("mx.corp.test", 587, "STARTTLS")),
        _ => reply(404, "", ""),
    };
    for to in ["https://elsewhere.test/there", "/there"] {
        let (home, run, ..) = found(move |wanted| good(wanted, to));
        assert_eq!(run.code, 0, "{to}: {}", run.stderr);
        assert!(home.written().contains("mx.corp.test"));
    }
    for (to, why) in [
        ("http://elsewhere.test/there", "without TLS"),
        ("http://127.0.0.1/there", "without TLS"),
        ("//elsewhere.test/there", "without TLS"),
        ("ftp://elsewhere.test/", "without TLS"),
        ("https://me:pw@elsewhere.test/there", "a login"),
        ("/mail/config-v1.1.xml", "again and again"),
        ("https://unknown.test/", "host unreachable"),
    ] {
        let (home, run, web, _) = found(move |wanted| good(wanted, to));
        assert_eq!(run.code, 64, "{to}: {}", run.stderr);
        assert!(flat(&run.stderr).contains(why), "{to}: {}", run.stderr);
        assert!(!web.asked().iter().any(|asked| asked.contains("/there")), "{to}");
        assert_eq!(home.found(), Vec::<String>::new());
    }
}

/// Text without the breaks of its lines.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_hostile_document_is_refused() {
    let server = document("mx.corp.test", 587, "STARTTLS");
    let bomb = format!(
        "<!DOCTYPE l [<!ENTITY a \"{}\"><!ENTITY b \"{}\"><!ENTITY c \"{}\">]>{}",
        "a".repeat(50),
        "&a;".repeat(50),
        "&b;".repeat(50),
        server.replace("mx.corp.test", "&c;")
    );
    for (what, answer, why) in [
        ("an entity bomb", reply(200, "", &bomb), "it has a DTD"),
        ("a file", reply(200, "", &format!("<!DOCTYPE l SYSTEM \"file:///etc/passwd\">{server}")), "it has a DTD"),
        ("a page", reply(200, "Content-Type: text/html\r\n", "<!doctype html><html></html>"), "it has a DTD"),
        ("something huge", reply(200, "", &format!("{server}{}", " ".repeat(200_000))), "longer than 128 KiB"),
        ("no end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n".to_vec(), "longer than 128 KiB"),
        ("gzip", reply(200, "Content-Encoding: gzip\r\n", &server), "compressed"),
        ("a port of words", reply(200, "", &server.replace("587", "many")), "a port"),
        ("octets", [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"<clientConfig>\xff\xfe"].concat(), "it is not UTF-8"),
        ("a socket", reply(200, "", &server.replace("mx.corp.test", "unix:/run/x")), "a server that can't be"),
        ("a second line", reply(200, "", &server.replace("mx.corp.test", "mx&#10;[accounts.evil]")), "is none"),
        ("escape codes", reply(200, "", &server.replace("mx.corp.test", "mx&#155;2J&#x202e;evil")), ""),
        ("plaintext", reply(200, "", &server.replace("STARTTLS", "plain")), "names no server with TLS"),
        ("opportunism", reply(200, "", &server.replace("STARTTLS", "auto")), "names no server with TLS"),
        ("nothing", Vec::new(), ""),
        ("no HTTP", b"220 mx.corp.test ESMTP\r\n".to_vec(), "not HTTP"),
    ] {
        let (home, run, ..) =
            found(move |wanted| if wanted.starts_with("autoconfig.") { answer.clone() } else { reply(404, "", "") });
        assert_eq!(run.code, 64, "{what}: {}", run.stderr);
        assert!(flat(&run.stderr).contains(why), "{what}: {}", run.stderr);
        assert!(flat(&run.stderr).contains("add --host HOST"), "{what}: {}", run.stderr);
        assert!(!run.stderr.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{what}: {:?}", run.stderr);
        assert_eq!(home.found(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn nobody_is_believed_whose_certificate_nobody_vouches_for() {
    let stranger = Authority::new("an authority nobody knows");
    let (home, run, web, _) = found_by(Some(&stranger), |_| reply(200, "", &document("evil.test", 587, "STARTTLS")));
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(flat(&run.stderr).contains("certificate-not-trusted"), "{}", run.stderr);
    assert_eq!((web.asked(), home.found()), (Vec::new(), Vec::new()));
}

struct World {
    dns: Dns,
    home: Home,
    /// The ports of the smarthosts.
    starttls: u16,
    implicit: u16,
    _sinks: Mutex<[Sink; 2]>,
}

fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD
        .get_or_init(|| {
            let mut home = Home::new();
            let (starttls, implicit) =
                (home.sink_with(Flaw::None, Tls::Starttls, None), home.sink_with(Flaw::None, Tls::Implicit, None));
            let srv = |service: &str, domain: &str, port: u16| format!("_{service}._tcp.{domain} SRV 0 0 {port} localhost.\n");
            let (clear, sealed) = (starttls.address.port(), implicit.address.port());
            let signed = [
                srv("submissions", "both", sealed),
                srv("submission", "both", clear),
                srv("submission", "clear", clear),
                "_submissions._tcp.declined SRV 0 0 0 .\n".to_owned(),
                srv("submission", "declined", clear),
                "google MX 10 aspmx.l.google.com.\n".to_owned(),
            ];
            let zones = [
                Zone::new("test", Signing::Nsec, signed.concat()),
                Zone::new("plain", Signing::None, srv("submission", "far", clear)),
                Zone::new("bogus", Signing::WrongKey, srv("submission", "false", clear)),
            ];
            let dns = Dns::start(&zones)?;
            home.environment.push(("SEALPOST_DNS_SERVERS".to_owned(), dns.resolver.to_string()));
            home.environment.push(("SEALPOST_DNS_TRUST_ANCHOR".to_owned(), dns.anchor.display().to_string()));
            Some(World { dns, home, starttls: clear, implicit: sealed, _sinks: Mutex::new([starttls, implicit]) })
        })
        .as_ref()
}

impl World {
    /// What a set-up of me@DOMAIN comes to, with a configuration of its own.
    fn setup(&self, domain: &str) -> (Run, String) {
        let config = self.home.path(&format!("{domain}.toml"));
        let address = format!("me@{domain}");
        let args = ["setup", &address, "--non-interactive", "--no-login", "-C", config.to_str().unwrap()];
        let run = crate::common::run(self.home.command(&args), b"");
        (run, std::fs::read_to_string(config).unwrap_or_default())
    }
}

#[test]
fn srv_records_that_are_signed_are_believed_and_implicit_tls_comes_first() {
    let Some(world) = world() else { return };
    for (domain, port, start) in [
        ("both.test", world.implicit, "implicit"),
        ("clear.test", world.starttls, "starttls"),
        ("declined.test", world.starttls, "starttls"),
    ] {
        let (run, text) = world.setup(domain);
        assert_eq!(run.code, 0, "{domain}: {}", run.stderr);
        for words in ["host = \"localhost\"", &format!("port = {port}"), &format!("start = \"{start}\"")] {
            assert!(text.contains(words), "{domain}: {words}: {text}");
        }
    }
}

#[test]
fn what_anybody_may_have_said_is_taken_only_if_somebody_agrees() {
    let Some(world) = world() else { return };
    let (run, text) = world.setup("far.plain");
    assert_eq!((run.code, text.as_str()), (64, ""), "{}", run.stderr);
    let hint = format!("add --host localhost --port {}", world.starttls);
    assert!(flat(&run.stderr).contains(&hint), "{}", run.stderr);
    let config = world.home.path("agreed.toml");
    let args = ["setup", "me@far.plain", "--no-login", "-C", config.to_str().unwrap()];
    for (answer, is_taken) in [("n", false), ("y", true)] {
        let mut terminal = Terminal::start(&world.home.command(&args));
        terminal.until("Take care");
        terminal.answer("your provider's server? [y/N] ", answer);
        if is_taken {
            terminal.until("this account would send now");
        } else {
            terminal.until("or provider: ");
        }
    }
    let (run, _) = world.setup("false.bogus");
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(flat(&run.stderr).contains("DNSSEC"), "{}", run.stderr);
}

#[test]
fn a_domain_whose_mail_a_provider_takes_is_that_providers_if_somebody_agrees() {
    let Some(world) = world() else { return };
    let _ = &world.dns;
    let mut terminal = Terminal::start(&world.home.setup(&["me@google.test"]));
    terminal.until("Mail to google.test goes to Gmail.");
    terminal.answer("Is Gmail your provider? [Y/n] ", "");
    terminal.until("smtp.gmail.com, port 465, TLS from the first byte");
    terminal.answer("Log in by app password?", "y");
    terminal.until("App password for me@google.test (not shown): ");
}
