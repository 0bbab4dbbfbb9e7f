//! How does a test answer for any name, by a proxy and a web server under TLS? (RFC 1928, 9112)

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::certificate::Authority;

/// A SOCKS5 proxy for which names lead where a test says; nothing else exists.
pub(crate) struct Proxy {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start(places: &[(&str, SocketAddr)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("socks5://{}", listener.local_addr().unwrap());
        let places: BTreeMap<String, SocketAddr> = places.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (places, kept) = (places.clone(), Arc::clone(&kept));
                // A client that breaks off is no fault of ours.
                thread::spawn(move || serve(client, &places, &kept));
            }
        });
        Self { url, asked }
    }

    /// Whom anybody wanted to reach, as `name:port`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, places: &BTreeMap<String, SocketAddr>, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = [0; 3];
    client.read_exact(&mut head).ok()?;
    client.write_all(&[5, 0]).ok()?;
    let mut request = [0; 5];
    client.read_exact(&mut request).ok()?;
    assert_eq!(request[3], 3, "a name was looked up beside the proxy");
    let mut name = vec![0; usize::from(request[4]) + 2];
    client.read_exact(&mut name).ok()?;
    let port = u16::from_be_bytes([name.pop()?, 0]) >> 8 | u16::from(name.pop()?) << 8;
    let place = format!("{}:{port}", String::from_utf8(name).unwrap());
    asked.lock().unwrap().push(place.clone());
    let Some(server) = places.get(&place).and_then(|address| TcpStream::connect(address).ok()) else {
        return client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).ok();
    };
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || carry(from, to));
    carry(server, client);
    Some(())
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// A web server under TLS.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Answers `HOST PATH` with all of its octets, whatever query or form comes with it; a certificate of `authority` for these names.
    pub(crate) fn start(authority: &Authority, names: &[&str], answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (config, asked) = (authority.naming(names).server(), Arc::new(Mutex::new(Vec::new())));
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (config, kept, answer) = (Arc::clone(&config), Arc::clone(&kept), Arc::clone(&answer));
                thread::spawn(move || converse(client, config, &kept, &*answer));
            }
        });
        Self { address, asked }
    }

    /// Each `HOST PATH` that was asked for, with its query, and its form behind it.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn converse(
    client: TcpStream,
    config: Arc<ServerConfig>,
    asked: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Vec<u8>,
) -> Option<()> {
    client.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, client);
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).ok()?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |length| length.parse().unwrap());
    let mut form = vec![0; length];
    stream.read_exact(&mut form).ok()?;
    let wanted = format!("{host} {}", head.split(' ').nth(1)?);
    let form = String::from_utf8(form).unwrap();
    asked.lock().unwrap().push(if form.is_empty() { wanted.clone() } else { format!("{wanted} {form}") });
    stream.write_all(&answer(wanted.split('?').next()?)).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

/// An answer with this status, fields (`A: b\r\n`) and content.
pub(crate) fn reply(status: u16, fields: &str, content: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{content}", content.len()).into_bytes()
}
