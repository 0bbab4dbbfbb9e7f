//! Which keys and signatures of a real OpenSSL server are believed, which are not, and which can't even shake hands?

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use sealpost::{
    host::{
        config,
        tls::{Broken, Connector, Known},
    },
    mail::{
        policy::{Demand, Policy, Start, Trust},
        tls::{Failure, Standing},
    },
};
use serde_json::Value;

use crate::common::{Scratch, needs::skip};

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The handshake is done and the chain believed.
    Verified,
    /// The handshake is done; what the verdict says.
    Doubted(Failure),
    /// The handshake fails.
    NoHandshake,
}

/// `openssl s_server` on a port of its own.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// What it prints, and what clients say to it.
    #[cfg_attr(not(feature = "native-tls"), allow(dead_code, reason = "kept open, so that it can print"))]
    pub(crate) out: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Server {
    fn start(certificate: &Path, key: &Path) -> Self {
        Self::with(certificate, key, &["-cipher", "ALL:@SECLEVEL=0"])
    }

    /// With these options besides.
    pub(crate) fn with(certificate: &Path, key: &Path, options: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0"]).args(options);
        command.arg("-cert").arg(certificate).arg("-key").arg(key);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let address = out.by_ref().lines().find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned));
        let port = address.and_then(|address| address.rsplit(':').next()?.parse().ok()).expect("s_server does not listen");
        Self { child, out, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shakes hands with the server as a send does.
fn end(server: &Server, ca_file: &Path, backend: config::Backend) -> (End, String) {
    let settings = config::Tls {
        ca_file: Some(ca_file.to_owned()),
        server_name: Some("localhost".to_owned()),
        backend,
        ..config::Tls::new(Demand::new(Policy::Required, Trust::System, Start::Implicit))
    };
    let target = config::Target::Name("localhost".to_owned(), server.port);
    let connector = Connector::new(&settings, &target, Known::Nothing).unwrap();
    match shake(server, &connector) {
        Err(Broken::Refused(finding)) => shake(server, &connector.looking_away(finding).unwrap()),
        shaken => shaken,
    }
    .unwrap_or_else(|broken| (End::NoHandshake, broken.to_string()))
}

fn shake(server: &Server, connector: &Connector) -> Result<(End, String), Broken> {
    let mut handshake = connector.start().unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    while handshake.is_handshaking() {
        let moved = match handshake.wants_write() {
            true => handshake.write_tls(&mut socket),
            false => handshake.read_tls(&mut socket),
        };
        assert_ne!(moved.unwrap(), 0, "the server hung up");
        if let Err(broken) = handshake.process() {
            // The server reads the alert before it meets the end.
            let _ = handshake.write_tls(&mut socket);
            return Err(broken);
        }
    }
    Ok(match handshake.verdict() {
        Ok(standing) => {
            assert_eq!(standing, Standing::Proven);
            (End::Verified, String::new())
        }
        Err(finding) => (End::Doubted(finding.failure), finding.detail),
    })
}

/// A key of this kind (`openssl req -newkey`), signed with this digest.
#[derive(Clone, Copy)]
pub(crate) struct Make(pub(crate) &'static str, pub(crate) &'static str);

impl Make {
    /// Writes `NAME.pem` and `NAME.key`.
    pub(crate) fn issue(self, scratch: &Scratch, name: &str, issuer: Option<&str>) -> [PathBuf; 2] {
        let Self(kind, digest) = self;
        let [certificate, key] = ["pem", "key"].map(|end| scratch.path().join(format!("{name}.{end}")));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "30", "-subj"]).arg(format!("/CN={name}"));
        match kind.strip_prefix("P-") {
            Some(_) => command.args(["-newkey", "ec", "-pkeyopt"]).arg(format!("ec_paramgen_curve:{kind}")),
            None => command.args(["-newkey", kind]),
        };
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        if !digest.is_empty() {
            command.arg(format!("-{digest}"));
        }
        if let Some(issuer) = issuer {
            command.arg("-CA").arg(scratch.path().join(format!("{issuer}.pem")));
            command.arg("-CAkey").arg(scratch.path().join(format!("{issuer}.key")));
            command.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        [certificate, key]
    }
}

/// `req -x509 -CA` came with OpenSSL 3.0.
pub(crate) fn absent() -> bool {
    let version = Command::new("openssl").arg("version").output();
    let absent = !version.is_ok_and(|output| output.stdout.starts_with(b"OpenSSL 3"));
    if absent {
        skip("openssl 3 is missing");
    }
    absent
}

#[test]
fn keys_and_signatures_are_believed_as_their_strength_allows() {
    const NOT_TRUSTED: End = End::Doubted(Failure::CertificateNotTrusted);
    if absent() {
        return;
    }
    let p256 = Make("P-256", "sha256");
    let table = [
        ("RSA-2048", Make("rsa:2048", "sha256"), Make("rsa:2048", "sha256"), End::Verified),
        ("RSA with SHA-512", Make("rsa:3072", "sha512"), Make("rsa:2048", "sha512"), End::Verified),
        ("P-256", p256, p256, End::Verified),
        ("P-384", Make("P-384", "sha384"), Make("P-384", "sha384"), End::Verified),
        ("P-384 below P-256", p256, Make("P-384", "sha384"), End::Verified),
        ("Ed25519", Make("ed25519", ""), Make("ed25519", ""), End::Verified),
        ("RSA below Ed25519", Make("ed25519", ""), Make("rsa:2048", ""), End::Verified),
        ("SHA-1 of RSA", Make("rsa:2048", "sha256"), Make("rsa:2048", "sha1"), NOT_TRUSTED),
        ("SHA-1 of P-256", p256, Make("P-256", "sha1"), NOT_TRUSTED),
        ("signed by RSA-1024", Make("rsa:1024", "sha256"), p256, NOT_TRUSTED),
        ("signed by P-521", Make("P-521", "sha512"), p256, NOT_TRUSTED),
        ("RSA-1024 itself", p256, Make("rsa:1024", "sha256"), End::NoHandshake),
        ("P-521 itself", p256, Make("P-521", "sha256"), End::NoHandshake),
    ];
    for (what, root, leaf, expected) in table {
        let scratch = Scratch::new();
        let [ca_file, _] = root.issue(&scratch, "root", None);
        let [certificate, key] = leaf.issue(&scratch, "leaf", Some("root"));
        let server = Server::start(&certificate, &key);
        let (seen, why) = end(&server, &ca_file, config::Backend::Rustls);
        assert_eq!(seen, expected, "{what}: {why}");
        assert_eq!(why.contains("RSA below 2048 bits"), what.contains("RSA-1024"), "{what}: {why}");
        if cfg!(feature = "native-tls") {
            let (seen, why) = end(&server, &ca_file, config::Backend::NativeTls);
            // OpenSSL knows one curve more, and finishes a handshake with a key that it then refuses to believe.
            let expected = match what {
                "signed by P-521" | "P-521 itself" => End::Verified,
                "RSA-1024 itself" => NOT_TRUSTED,
                _ => expected,
            };
            assert_eq!(seen, expected, "native-tls, {what}: {why}");
        }
    }
}

/// Whose chain check alone would pass: `tests/limbo.rs` leaves them to the handshake.
#[test]
fn a_servers_key_of_a_kind_that_is_not_accepted_never_finishes_a_handshake() {
    if absent() {
        return;
    }
    let file: Value = serde_json::from_str(include_str!("../data/limbo/x509-limbo.json")).unwrap();
    for id in ["webpki::forbidden-p192-leaf", "webpki::forbidden-dsa-leaf", "webpki::forbidden-weak-rsa-in-leaf"] {
        let case = file["testcases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap();
        let scratch = Scratch::new();
        let write = |name: &str, text: &Value| scratch.write(name, text.as_str().unwrap());
        let server =
            Server::start(&write("leaf.pem", &case["peer_certificate"]), &write("leaf.key", &case["peer_certificate_key"]));
        let ca_file = write("root.pem", &case["trusted_certs"][0]);
        let (seen, why) = end(&server, &ca_file, config::Backend::Rustls);
        assert_eq!(seen, End::NoHandshake, "{id}: {why}");
        if cfg!(feature = "native-tls") {
            let (seen, why) = end(&server, &ca_file, config::Backend::NativeTls);
            assert_ne!(seen, End::Verified, "native-tls, {id}: {why}");
        }
    }
}
