//! How is a server of HTTP asked, and its answer read? (RFC 9110, 9112; a POST or a GET a connection, for tokens and settings)

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{
    config::{Account, Endpoint, Tls},
    dial::{self, Way},
    net::{Link, Lost},
    tls::{Connector, Known},
};
use crate::{
    error::{Error, Exit},
    mail::{policy::Reach, tls::Standing},
    smtp::client::Flight,
};

pub mod answer;

pub use answer::Answer;
use answer::Reader;

/// From the name's resolution to the answer's last octet.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pairs of a form as it is sent (`application/x-www-form-urlencoded`); overwritten when dropped.
pub struct Form(Zeroizing<String>);

impl Form {
    /// A form of these pairs.
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        // An octet becomes three at most: the buffer never grows, and leaves no copy behind.
        let room = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
        let mut text = Zeroizing::new(String::with_capacity(room));
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            encode(&mut text, name);
            text.push('=');
            encode(&mut text, value);
        }
        Self(text)
    }

    /// The form as text, for the query of an address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sends the form by POST, by the account's way into the network, and returns the answer, whatever its status. A redirect is not
/// followed: it would carry the secrets of the form to wherever it points.
///
/// # Errors
/// `EX_TEMPFAIL`: the server can't be reached, is not the one that it should be, breaks off, takes too long, or speaks no HTTP.
/// `EX_CONFIG`: the form would cross a network in plaintext.
pub fn post(account: &Account, endpoint: &Endpoint, ca_file: Option<&std::path::Path>, form: &Form) -> Result<Answer, Error> {
    let deadline = Instant::now() + PATIENCE;
    // What leads to a proxy on this machine goes on from there.
    if !endpoint.secure && account.proxy.is_some() {
        return Err(exposed(endpoint));
    }
    let link = connect(account.into(), endpoint, ca_file, deadline)?;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nUser-Agent: sealpost/{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        endpoint.path,
        endpoint.authority,
        env!("CARGO_PKG_VERSION"),
        form.0.len()
    );
    converse(link, endpoint, &head, form.0.as_bytes(), deadline)
}

/// Asks for a document in XML by GET, and returns the answer, whatever its status; a redirect is for the caller to follow, or not.
///
/// # Errors
/// Those of [`post`].
pub fn get(way: Way<'_>, endpoint: &Endpoint, budget: Duration) -> Result<Answer, Error> {
    let deadline = Instant::now() + budget;
    let link = connect(way, endpoint, None, deadline)?;
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/xml, text/xml\r\nUser-Agent: sealpost/{}\r\nConnection: close\r\n\r\n",
        endpoint.path,
        endpoint.authority,
        env!("CARGO_PKG_VERSION")
    );
    converse(link, endpoint, &head, b"", deadline)
}

/// Connects, and shakes hands where TLS is spoken, with nobody who is not verified.
fn connect(way: Way<'_>, endpoint: &Endpoint, ca_file: Option<&std::path::Path>, deadline: Instant) -> Result<Link, Error> {
    let budget = deadline.saturating_duration_since(Instant::now());
    let mut link = dial::dial_by(way, &endpoint.target, budget).map_err(|why| failed(endpoint, &why.to_string()))?;
    if endpoint.secure {
        let tls = Tls::verified(ca_file.map(std::path::Path::to_path_buf));
        let connector = Connector::new(&tls, &endpoint.target, Known::Nothing)?;
        let handshake = link.seal(connector.start()?, deadline).map_err(|why| failed(endpoint, &why.to_string()))?;
        match handshake.verdict() {
            Ok(Standing::Proven) => {}
            Ok(_) => return Err(failed(endpoint, "nobody vouches for its certificate")),
            Err(finding) => return Err(failed(endpoint, &finding.to_string())),
        }
    } else if link.reach() != Reach::Local {
        return Err(exposed(endpoint));
    }
    Ok(link)
}

fn converse(mut link: Link, endpoint: &Endpoint, head: &str, content: &[u8], deadline: Instant) -> Result<Answer, Error> {
    let flight = Flight { head: head.as_bytes(), content, tail: b"", masked: None };
    let answer = link.say(flight, deadline).map_err(|lost| lost.to_string()).and_then(|()| read(&mut link, deadline));
    link.wipe();
    answer.map_err(|why| failed(endpoint, &why))
}

fn read(link: &mut Link, deadline: Instant) -> Result<Answer, String> {
    let mut reader = Reader::default();
    loop {
        let answer = match link.hear(deadline) {
            Ok(octets) => reader.push(octets),
            Err(Lost::Broken(why)) => return reader.end().map_err(|fault| format!("connection lost: {why} ({fault})")),
            Err(lost) => return Err(lost.to_string()),
        };
        if let Some(answer) = answer.map_err(|fault| fault.to_string())? {
            return Ok(answer);
        }
    }
}

fn failed(endpoint: &Endpoint, why: &str) -> Error {
    Error::new(Exit::TempFail, format!("asking {}", endpoint.url), why)
}

fn exposed(endpoint: &Endpoint) -> Error {
    Error::new(
        Exit::Config,
        format!("asking {}", endpoint.url),
        "it is not on this machine, and secrets cross no network in plaintext",
    )
    .hint("give the address that begins with https://")
}

/// RFC 3986 2.3: what is not unreserved is written as its octets.
fn encode(text: &mut String, value: &str) {
    for octet in value.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(octet)),
            _ => {
                text.push('%');
                text.extend(
                    [octet >> 4, octet & 15]
                        .iter()
                        .filter_map(|digit| char::from_digit((*digit).into(), 16))
                        .map(|d| d.to_ascii_uppercase()),
                );
            }
        }
    }
}

/// What `value` of a form or a query stands for; `None` where its octets are no text.
pub fn decode(value: &str) -> Option<Zeroizing<String>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut rest = value.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            octet => octet,
        });
    }
    std::str::from_utf8(&octets).ok().map(|text| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_form_is_written_as_browsers_write_it() {
        assert_eq!(
            Form::new(&[("a", "b c"), ("scope", "https://x/é"), ("e", "")]).as_str(),
            "a=b%20c&scope=https%3A%2F%2Fx%2F%C3%A9&e="
        );
        assert_eq!(Form::new(&[]).as_str(), "");
    }

    #[test]
    fn nothing_is_said_in_plaintext_to_who_is_not_on_this_machine() {
        use std::net::{Ipv4Addr, TcpListener, UdpSocket};

        use crate::host::{config, config::Target, world::Pretend};
        let own = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
            socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
            socket.local_addr()
        });
        let listen = |address| TcpListener::bind((address, 0)).unwrap();
        let text = "[accounts.relay]\nhost = \"smtp.example.com\"\n";
        let path = std::path::Path::new("/etc/config.toml");
        let direct = config::parse(&Pretend::default(), path, text).unwrap();
        let proxy = listen(Ipv4Addr::LOCALHOST.into());
        let by_proxy = format!("{text}proxy = \"socks5://{}\"\n", proxy.local_addr().unwrap());
        let by_proxy = config::parse(&Pretend::default(), path, &by_proxy).unwrap();
        // A machine without a network has no address of its own but those of the loopback interface.
        let elsewhere = own.ok().filter(|own| !own.ip().is_loopback()).map(|own| (&direct, listen(own.ip())));
        for (config, listener) in elsewhere.into_iter().chain([(&by_proxy, listen(Ipv4Addr::LOCALHOST.into()))]) {
            let address = listener.local_addr().unwrap();
            let endpoint = Endpoint {
                url: format!("http://{address}/"),
                secure: false,
                target: Target::Address(address.ip(), address.port()),
                authority: address.to_string(),
                path: "/".to_owned(),
            };
            let error = post(&config.accounts[0], &endpoint, None, &Form::new(&[("refresh_token", "secret")])).err().unwrap();
            assert_eq!(error.exit(), Exit::Config);
            assert!(error.summary().ends_with("it is not on this machine, and secrets cross no network in plaintext"), "{error}");
            listener.set_nonblocking(true).unwrap();
            if let Ok((mut stream, _)) = listener.accept() {
                let mut heard = Vec::new();
                std::io::Read::read_to_end(&mut stream, &mut heard).unwrap();
                assert!(heard.is_empty(), "{heard:?}");
            }
        }
        proxy.set_nonblocking(true).unwrap();
        assert!(proxy.accept().is_err(), "the proxy was asked");
    }

    #[test]
    fn a_value_that_is_no_text_is_none() {
        for value in ["%", "%4", "%zz", "%ff", "a%"] {
            assert_eq!(decode(value), None, "{value}");
        }
        assert_eq!(decode("a+b%2Bc").unwrap().as_str(), "a b+c");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(name in "\\PC{0,10}", value in ".{0,30}") {
            let form = Form::new(&[(&name, &value)]);
            let (before, after) = form.as_str().split_once('=').unwrap();
            prop_assert_eq!(&*decode(before).unwrap(), &name);
            prop_assert_eq!(&*decode(after).unwrap(), &value);
            prop_assert!(form.0.capacity() >= form.0.len());
        }
    }
}
