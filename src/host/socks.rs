//! How does a SOCKS5 proxy connect us? (RFC 1928, no authentication; the proxy resolves the name)

use std::{net::IpAddr, time::Instant};

use super::net::{Link, Lost};
use crate::smtp::client::Flight;

/// Asks the proxy at the other end of `link` for a connection to `host` and `port`; from then on the link leads there.
///
/// # Errors
/// What the proxy said, for a person.
pub(super) fn connect(link: &mut Link, host: &str, port: u16, deadline: Instant) -> Result<(), String> {
    let mut unread = Vec::new();
    say(link, &[5, 1, 0], deadline)?;
    let greeting = take(link, &mut unread, 2, deadline)?;
    if greeting != [5, 0] {
        return Err("it is no SOCKS5 proxy, or wants a login".to_owned());
    }
    say(link, &request(host, port)?, deadline)?;
    let reply = take(link, &mut unread, 4, deadline)?;
    if reply[0] != 5 || reply[1] != 0 {
        return Err(refusal(reply[1]).to_owned());
    }
    let rest = match reply[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(take(link, &mut unread, 1, deadline)?[0]),
        _ => return Err("it answered with an unknown kind of address".to_owned()),
    };
    take(link, &mut unread, rest + 2, deadline)?;
    // An SMTP server may greet behind the proxy's reply, in the same segment: that belongs to whoever listens next.
    link.give_back(unread);
    Ok(())
}

fn request(host: &str, port: u16) -> Result<Vec<u8>, String> {
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| "the host name is longer than SOCKS5 can say".to_owned())?;
            request.extend([3, length]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

fn say(link: &mut Link, head: &[u8], deadline: Instant) -> Result<(), String> {
    link.say(Flight { head, content: b"", tail: b"", masked: None }, deadline).map_err(|lost| lost.to_string())
}

fn take(link: &mut Link, unread: &mut Vec<u8>, octets: usize, deadline: Instant) -> Result<Vec<u8>, String> {
    while unread.len() < octets {
        unread.extend_from_slice(link.hear(deadline).map_err(|lost: Lost| lost.to_string())?);
    }
    Ok(unread.drain(..octets).collect())
}

fn refusal(code: u8) -> &'static str {
    match code {
        2 => "its rules forbid the connection",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "it does not know CONNECT",
        8 => "it does not know this kind of address",
        _ => "general failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_left_to_the_proxy_and_an_address_goes_as_octets() {
        assert_eq!(request("mx.test", 587).unwrap(), b"\x05\x01\x00\x03\x07mx.test\x02\x4b");
        assert_eq!(request("192.0.2.1", 25).unwrap(), b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19");
        assert_eq!(request("::1", 25).unwrap().len(), 4 + 16 + 2);
        assert!(request(&"x".repeat(256), 25).is_err());
    }
}
