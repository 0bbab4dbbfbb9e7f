//! What can the system's own library do that rustls can't, and what does it keep from doing? (`backend = "native-tls"`)

use std::{
    io::{BufRead, Read, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command},
    thread,
};

use crate::{
    common::{BACKENDS, MESSAGE, Run, Scratch, Sealpost, contains},
    openssl::{Make, Server, absent},
};

/// What `openssl s_server` is to do when the message comes; a line with `r` makes it negotiate anew.
const ASIDE: &[u8] = b"r\n";

/// Answers the commands that the server prints as they come, each with one line; before the answer to MAIL comes `aside`.
fn answer(server: &mut Server, mut says: ChildStdin, aside: &[u8]) {
    let mut data = false;
    // Both ends may be gone at any time.
    let mut say = |text: &[u8]| drop(says.write_all(text).and_then(|()| says.flush()));
    for line in server.out.by_ref().lines().map_while(Result::ok) {
        match line.get(..4).unwrap_or(&line) {
            "." if data => {
                data = false;
                say(b"250 2.0.0 Ok: queued as OLD\r\n");
            }
            _ if data => {}
            // "CIPHER is": a handshake is finished.
            "CIPH" => say(b"220 old.test ESMTP\r\n"),
            "EHLO" => say(b"250 old.test\r\n"),
            "MAIL" => {
                say(aside);
                say(b"250 2.1.0 Ok\r\n");
            }
            "RCPT" => say(b"250 2.1.5 Ok\r\n"),
            "DATA" => {
                data = true;
                say(b"354 go on\r\n");
            }
            "QUIT" => say(b"221 2.0.0 Bye\r\n"),
            _ => {}
        }
    }
}

/// A server with these options and a certificate of its own authority.
struct Place {
    scratch: Scratch,
    options: Vec<&'static str>,
    aside: &'static [u8],
    /// Whether the account names the authority.
    names_authority: bool,
}

impl Place {
    fn new(key: Make, options: &[&'static str]) -> Self {
        let scratch = Scratch::new();
        Make("P-256", "sha256").issue(&scratch, "root", None);
        key.issue(&scratch, "leaf", Some("root"));
        Self { scratch, options: options.to_vec(), aside: b"", names_authority: true }
    }

    /// A send to it; `tls` are lines below `[accounts.relay.tls]`, `conf` an openssl.cnf.
    fn send(&self, tls: &str, conf: Option<&str>) -> Run {
        let environment = conf.map(|conf| ("OPENSSL_CONF", self.scratch.write("openssl.cnf", conf)));
        self.send_in(tls, environment.as_slice())
    }

    fn send_in(&self, tls: &str, environment: &[(&str, PathBuf)]) -> Run {
        let path = |name: &str| self.scratch.path().join(name);
        let mut server = Server::with(&path("leaf.pem"), &path("leaf.key"), &self.options);
        let says = server.child.stdin.take().unwrap();
        let (port, pid) = (server.port, rustix::process::Pid::from_child(&server.child));
        let aside = self.aside;
        let serving = thread::spawn(move || answer(&mut server, says, aside));
        let ca = if self.names_authority { format!("ca_file = \"{}\"\n", path("root.pem").display()) } else { String::new() };
        let mut sealpost = Sealpost::with_limits(
            "reply_timeout = \"5s\"",
            &format!(
                "[accounts.relay]\nhost = \"localhost\"\nport = {port}\n[accounts.relay.tls]\nstart = \"implicit\"\n{ca}{tls}\n"
            ),
        );
        sealpost.environment.extend(environment.iter().map(|(name, path)| ((*name).to_owned(), path.display().to_string())));
        let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        serving.join().unwrap();
        assert_eq!(run.oddities(), Vec::<String>::new());
        run
    }
}

const NATIVE: &str = "backend = \"native-tls\"";
const RSA: Make = Make("rsa:2048", "sha256");

/// What an administrator writes who lets OpenSSL speak what it has set aside.
const LAX: &str =
    "openssl_conf = c\n[c]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nCipherString = DEFAULT@SECLEVEL=0\nMinProtocol = TLSv1\n";

#[test]
fn servers_that_rustls_cant_talk_to_get_their_mail_and_the_record_says_how() {
    if absent() {
        return;
    }
    let lax = &["-cipher", "ALL:@SECLEVEL=0"];
    let table = [
        ("RSA key exchange", RSA, &["-tls1_2", "-cipher", "AES128-GCM-SHA256"][..], "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256 "),
        ("CBC", RSA, &["-tls1_2", "-cipher", "AES128-SHA"], "TLSv1.2 TLS_RSA_WITH_AES_128_CBC_SHA "),
        ("DHE", RSA, &["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"], "TLSv1.2 TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 "),
        (
            "P-521 before TLS 1.3",
            RSA,
            &["-tls1_2", "-curves", "P-521", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
            "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 secp521r1",
        ),
        ("P-521", RSA, &["-curves", "P-521"], "TLSv1.3 TLS_AES_256_GCM_SHA384 secp521r1"),
        ("a key of P-521", Make("P-521", "sha256"), &["-curves", "X448"], "TLSv1.3 TLS_AES_256_GCM_SHA384 x448"),
        ("TLS 1.1", RSA, &[lax, &["-tls1_1"][..]].concat(), "TLSv1.1 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA x25519"),
        ("TLS 1.0", RSA, &[lax, &["-tls1"][..]].concat(), "TLSv1.0 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA x25519"),
    ];
    for (what, key, options, agreed) in table {
        let place = Place::new(key, options);
        let old = what.starts_with("TLS");
        let run = if old { place.send(&format!("{NATIVE}\nmin_version = \"1.0\""), Some(LAX)) } else { place.send(NATIVE, None) };
        let seen = ["version", "cipher", "group"].map(|field| run.field(&format!("/tls/{field}")).to_owned()).join(" ");
        assert_eq!((run.code, run.field("/tls/result"), seen.as_str()), (0, "verified", agreed), "{what}: {run:?}");
        assert_eq!(run.last()["tls"]["resumed"], false, "{what}");
        let run = place.send("", None);
        assert_eq!((run.code, run.field("/tls/failure")), (75, "validation-failure"), "{what}: {run:?}");
        assert!(run.stderr.contains("backend = \"native-tls\""), "{what}: {run:?}");
    }
}

#[test]
fn an_old_version_is_spoken_only_where_account_and_system_agree() {
    if absent() {
        return;
    }
    let place = Place::new(RSA, &["-cipher", "ALL:@SECLEVEL=0", "-tls1_1"]);
    for (tls, conf) in [("", Some(LAX)), ("min_version = \"1.0\"", None)] {
        let run = place.send(&format!("{NATIVE}\n{tls}"), conf);
        assert_eq!((run.code, run.field("/tls/failure")), (75, "validation-failure"), "{tls}: {run:?}");
    }
}

#[test]
fn the_bundle_that_the_environment_names_is_the_only_one_with_either_library() {
    if absent() {
        return;
    }
    let mut place = Place::new(RSA, &[]);
    place.names_authority = false;
    let (root, leaf) = (place.scratch.path().join("root.pem"), place.scratch.path().join("leaf.pem"));
    Make("P-256", "sha256").issue(&place.scratch, "stranger", None);
    let stranger = place.scratch.path().join("stranger.pem");
    for backend in BACKENDS {
        let tls = format!("backend = {backend:?}");
        for (bundle, code, failure) in [
            (root.clone(), 0, ""),
            (leaf.clone(), 0, ""),
            (stranger.clone(), 75, "certificate-not-trusted"),
            ("/dev/null".into(), 75, "validation-failure"),
            ("/nonexistent/ca.pem".into(), 75, "validation-failure"),
        ] {
            let run = place.send_in(&tls, &[("SSL_CERT_FILE", bundle)]);
            assert_eq!((run.code, run.field("/tls/failure")), (code, failure), "{backend}: {run:?}");
            assert_eq!(run.records.len(), 1, "{backend}: {run:?}");
            assert_eq!(run.field("/tls/certificate/subject"), "CN=leaf", "{backend}: {run:?}");
        }
        let run = place.send_in(&tls, &[]);
        assert_eq!((run.code, run.field("/tls/failure")), (75, "certificate-not-trusted"), "{backend}: {run:?}");
    }
}

#[test]
fn who_negotiates_anew_is_left() {
    if absent() {
        return;
    }
    let mut place = Place::new(RSA, &["-tls1_2"]);
    assert_eq!(place.send(NATIVE, None).code, 0);
    place.aside = ASIDE;
    let run = place.send(NATIVE, None);
    assert_eq!((run.code, run.field("/status")), (75, "deferred"), "{run:?}");
    assert!(run.stderr.contains("negotiate TLS anew"), "{run:?}");
}

/// Makes a key and a certificate for it with these words of `openssl`; both in one file.
fn identity(scratch: &Scratch, words: &[&str]) {
    let key = scratch.path().join("own.pem");
    let made = Command::new("openssl").args(words).arg("-out").arg(&key).output().unwrap();
    assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    let certificate = Command::new("openssl").args(["req", "-x509", "-subj", "/CN=client", "-key"]).arg(&key).output().unwrap();
    assert!(certificate.status.success(), "{}", String::from_utf8_lossy(&certificate.stderr));
    let key = std::fs::read(&key).unwrap();
    scratch.write("own.pem", [certificate.stdout, key].concat());
}

fn says_begin(path: &Path, form: &str) -> bool {
    contains(&std::fs::read(path).unwrap(), format!("-----BEGIN {form}-----").as_bytes())
}

#[test]
fn a_client_key_may_have_any_form_that_openssl_writes() {
    if absent() {
        return;
    }
    let place = Place::new(RSA, &["-Verify", "1", "-tls1_2"]);
    let own = place.scratch.path().join("own.pem");
    let tls = format!("{NATIVE}\nclient_cert = {:?}", own.display().to_string());
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let table: [(&str, Vec<&str>); 6] = [
        ("RSA PRIVATE KEY", vec!["genrsa", "-traditional"]),
        ("PRIVATE KEY", vec!["genrsa"]),
        ("EC PRIVATE KEY", vec!["ecparam", "-genkey", "-noout", "-name", "prime256v1"]),
        ("EC PARAMETERS", vec!["ecparam", "-genkey", "-name", "secp384r1"]),
        ("PRIVATE KEY", [&["genpkey"][..], &curve].concat()),
        ("PRIVATE KEY", vec!["genpkey", "-algorithm", "ed25519"]),
    ];
    for (form, words) in table {
        identity(&place.scratch, &words);
        assert!(says_begin(&own, form), "{words:?} wrote no {form}");
        let run = place.send(&tls, None);
        assert_eq!(run.code, 0, "{form}, {words:?}: {run:?}");
    }
    let run = place.send(NATIVE, None);
    assert_eq!((run.code, run.field("/tls/failure")), (75, "validation-failure"), "{run:?}");
}
