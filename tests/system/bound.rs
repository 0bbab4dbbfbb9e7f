//! Does a login that is bound to the channel work at an independent server, and fail where somebody relays it? (RFC 5802, 9266)
//!
//! Neither Dovecot nor Postfix can bind. GNU SASL and GnuTLS can, as a small server that is compiled here.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock},
    thread,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::{
    common::{
        PASSWORD, Run, Scratch, Sealpost, USER,
        certificate::{Authority, Flaw},
        needs::or_skip,
    },
    smarthost::send,
};

/// A running server; it ends when its standard input closes, which it does however this process ends.
struct Server {
    child: Child,
    port: u16,
    authority: Authority,
    _scratch: Scratch,
}

impl Server {
    /// One that offers these mechanisms in EHLO; `None`, and said so, where it can't be built.
    fn start(offers: &str) -> Option<Self> {
        let program = program()?;
        let scratch = Scratch::new();
        let authority = Authority::new("the authority of the bound logins");
        let identity = authority.identity(Flaw::None);
        let pem = scratch.write("server.pem", &(identity.key_pem.clone() + &identity.certificate_pem));
        let mut child = Command::new(program)
            .arg(pem)
            .args([USER, PASSWORD])
            .args(offers.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Some(Self { child, port: port.trim().parse().unwrap(), authority, _scratch: scratch })
    }

    /// Sends a mail to `port`, by default to this server itself.
    fn mail(&self, port: Option<u16>, tls: &str, auth: &str) -> Run {
        let port = port.unwrap_or(self.port);
        let head = format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"cron@client.test\"\n");
        let tls = format!("[accounts.relay.tls]\nstart = \"implicit\"\nca_file = \"ca.pem\"\n{tls}\n");
        let client = Sealpost::with_limits(
            "reply_timeout = \"8s\"",
            &format!("{head}{tls}[accounts.relay.auth]\nuser = {USER:?}\n{auth}\n"),
        );
        client.scratch.write("ca.pem", self.authority.pem());
        send(&client, "bound", &["ok@sink.test"]).0
    }

    /// Somebody in between whose certificate is believed too: takes one connection, and passes everything on until the login's end.
    fn relay(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = self.authority.identity(Flaw::None).server();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusting = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let trusting = Arc::new(trusting.with_root_certificates(roots).with_no_client_auth());
        let server = self.port;
        thread::spawn(move || {
            let near = listener.accept()?.0;
            let far = TcpStream::connect(("127.0.0.1", server))?;
            let mut near = rustls::StreamOwned::new(ServerConnection::new(shown).map_err(io::Error::other)?, near);
            let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
            let mut far = rustls::StreamOwned::new(ClientConnection::new(trusting, name).map_err(io::Error::other)?, far);
            // Without pipelining the server speaks, then the client, a line each but for EHLO's reply. The login is enough.
            loop {
                let line = line(&mut far)?;
                near.write_all(&line)?;
                if line.starts_with(b"235") || line.starts_with(b"5") {
                    return near.sock.shutdown(Shutdown::Both);
                }
                if line.get(3) != Some(&b'-') {
                    far.write_all(&self::line(&mut near)?)?;
                }
            }
        });
        port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn line(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        line.push(octet[0]);
    }
    Ok(line)
}

/// The server's program, compiled once.
fn program() -> Option<&'static Path> {
    static ONE: LazyLock<Result<(Scratch, PathBuf), String>> = LazyLock::new(|| {
        let scratch = Scratch::new();
        let program = scratch.path().join("gsasl-server");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/gsasl-server.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source).args(["-lgsasl", "-lgnutls"]);
        match compiler.output() {
            Ok(output) if output.status.success() => Ok((scratch, program)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().take(3).collect::<Vec<_>>().join(" ")),
            Err(error) => Err(format!("no compiler: {error}")),
        }
    });
    or_skip(ONE.as_ref()).map(|(_, program)| program.as_path())
}

const BOTH: &str = "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1";

fn password(text: &str) -> String {
    format!("password = {text:?}\n")
}

#[test]
fn gnu_sasl_takes_a_bound_login_with_the_right_password_and_no_other() {
    for (offers, tls, mechanism, secret, exit, used) in [
        (BOTH, "", "auto", PASSWORD, 0, "SCRAM-SHA-256-PLUS"),
        (BOTH, "", "SCRAM-SHA-256-PLUS", "wrong", 77, ""),
        (BOTH, "", "SCRAM-SHA-1-PLUS", PASSWORD, 0, "SCRAM-SHA-1-PLUS"),
        (BOTH, "", "SCRAM-SHA-1-PLUS", "wrong", 77, ""),
        // Named, it is not bound, and the server is not led to think that its offer was taken away.
        (BOTH, "", "SCRAM-SHA-256", PASSWORD, 0, "SCRAM-SHA-256"),
        (BOTH, "", "SCRAM-SHA-1", "wrong", 77, ""),
        ("SCRAM-SHA-1-PLUS PLAIN", "", "auto", PASSWORD, 0, "SCRAM-SHA-1-PLUS"),
    ] {
        let Some(server) = Server::start(offers) else { return };
        let run = server.mail(None, tls, &format!("{}mechanism = {mechanism:?}", password(secret)));
        assert_eq!((run.code, run.field("/auth")), (exit, used), "{offers} {mechanism} {secret}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{offers} {mechanism}");
    }
}

#[test]
fn an_offer_of_bound_logins_that_was_stripped_is_found_out_by_gnu_sasl() {
    let Some(server) = Server::start("SCRAM-SHA-256 PLAIN") else { return };
    let run = server.mail(None, "", &password(PASSWORD));
    assert_eq!((run.code, run.field("/auth")), (77, ""), "{run:?}");
}

#[test]
fn a_login_that_is_relayed_reaches_nothing_if_it_is_bound() {
    let Some(server) = Server::start(BOTH) else { return };
    // The relay is good enough for everybody who does not look at the channel.
    let run = server.mail(Some(server.relay()), "", &format!("{}mechanism = \"SCRAM-SHA-256\"", password(PASSWORD)));
    assert_eq!(run.field("/auth"), "SCRAM-SHA-256", "{run:?}");
    let run = server.mail(Some(server.relay()), "", &password(PASSWORD));
    assert_eq!((run.code, run.field("/auth")), (77, ""), "{run:?}");
}
