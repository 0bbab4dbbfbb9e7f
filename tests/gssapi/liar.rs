//! How does a server behave that has the right key and says of security layers what a test wants?
//!
//! Its library finds the key by the environment, which a process can't change of itself without `unsafe`: so it is this test binary
//! once more, with the key in its environment and [`the_liar`] alone to run.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libgssapi::context::{SecurityContext as _, ServerCtx};

use crate::kit::Realm;

/// The offer of layers as hexadecimal digits, or a word for one that is not wrapped.
const OFFER: &str = "LIAR_OFFER";

/// A server for one connection.
pub(crate) struct Liar {
    pub(crate) port: u16,
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Liar {
    pub(crate) fn start(realm: &Realm, offer: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "liar::the_liar", "--nocapture"])
            .env("KRB5_CONFIG", realm.file("krb5.conf"))
            .env("KRB5_KTNAME", realm.file("server.keytab"))
            .env("KRB5RCACHENAME", "none:")
            .env(OFFER, offer)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let port = after(&mut said, "port ").unwrap().parse().unwrap();
        Self { port, child, said }
    }

    /// What the client chose, its first four octets as digits; empty where it left before that.
    pub(crate) fn heard(mut self) -> String {
        let heard = after(&mut self.said, "heard ").unwrap();
        assert!(self.child.wait().unwrap().success());
        heard
    }
}

/// The rest of the first line with `word`, whatever the harness prints before it.
fn after(lines: &mut impl std::io::BufRead, word: &str) -> Option<String> {
    lines.lines().find_map(|line| Some(line.unwrap().split_once(word)?.1.to_owned()))
}

#[test]
#[ignore = "it is a server for the others"]
fn the_liar() {
    let Ok(offer) = env::var(OFFER) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("\nport {}", listener.local_addr().unwrap().port());
    let (socket, _) = listener.accept().unwrap();
    println!("\nheard {}", serve(&socket, &offer).unwrap_or_default());
}

/// The dialogue up to where the client leaves; what it chose.
fn serve(socket: &TcpStream, offer: &str) -> Option<String> {
    let mut lines = BufReader::new(socket).lines();
    let mut ask = |said: &str| {
        (&*socket).write_all(format!("{said}\r\n").as_bytes()).ok()?;
        lines.next()?.ok()
    };
    let token = |line: String| STANDARD.decode(line).unwrap();
    ask("220 liar.test ESMTP")?;
    ask("250-liar.test\r\n250 AUTH GSSAPI")?;
    let first = token(ask("334 ")?);
    let mut context = ServerCtx::new(None);
    let answer = context.step(&first, None).unwrap().unwrap();
    assert_eq!(ask(&format!("334 {}", STANDARD.encode(&*answer)))?, "", "the client has nothing to add");
    let layers: Option<Vec<u8>> =
        (0..offer.len()).step_by(2).map(|at| u8::from_str_radix(offer.get(at..at + 2)?, 16).ok()).collect();
    let layers = layers.map_or_else(|| offer.as_bytes().to_vec(), |layers| context.wrap(false, &layers).unwrap().to_vec());
    let choice = token(ask(&format!("334 {}", STANDARD.encode(layers)))?);
    let choice = context.unwrap(&choice).unwrap();
    for said in ["235 2.7.0 in", "250 2.1.0 Ok", "250 2.1.5 Ok", "354 go on"] {
        ask(said)?;
    }
    let mut line = String::new();
    while line != "." {
        line = lines.next()?.ok()?;
    }
    (&*socket).write_all(b"250 2.0.0 Ok\r\n").ok()?;
    lines.next()?.ok()?;
    (&*socket).write_all(b"221 2.0.0 bye\r\n").ok()?;
    let digits = choice.iter().take(4).fold(String::new(), |digits, octet| format!("{digits}{octet:02x}"));
    Some(digits + &String::from_utf8_lossy(choice.get(4..)?))
}
