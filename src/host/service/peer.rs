//! Who is at the other end of a local connection, by the kernel's word? (unix(7), proc(5))

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
};

use rustix::net::{getpeername, getsockname};

/// The kernel does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// The uid of whoever connected to a unix socket: its own at that time, whatever it passed the connection on to.
///
/// # Errors
/// The system has no such thing.
pub fn of_unix(stream: &impl AsFd) -> Result<u32, Unknown> {
    #[cfg(target_os = "linux")]
    return rustix::net::sockopt::socket_peercred(stream).map(|credentials| credentials.uid.as_raw()).map_err(|_| Unknown);
    #[cfg(not(target_os = "linux"))]
    nix::unistd::getpeereid(stream).map(|(uid, _)| uid.as_raw()).map_err(|_| Unknown)
}

/// The uid of whoever made the socket at the other end of a connection over the loopback.
///
/// # Errors
/// It is not in the kernel's tables, or not open any more: then it has no owner, which would look like root.
pub fn of_loopback(stream: &impl AsFd) -> Result<u32, Unknown> {
    let ours = getsockname(stream).ok().and_then(|address| SocketAddr::try_from(address).ok()).ok_or(Unknown)?;
    let theirs = getpeername(stream).ok().flatten().and_then(|address| SocketAddr::try_from(address).ok()).ok_or(Unknown)?;
    // A client with an IPv6 socket may be connected to an IPv4 one.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| File::open(path).ok());
    let mut lines = tables.flat_map(|table| BufReader::new(table).lines().map_while(Result::ok));
    lines.find_map(|line| owner(&line, theirs, ours)).ok_or(Unknown)
}

/// The uid in a line of the table, where it is of an established connection between these two.
fn owner(line: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let is_it = address(fields.next()?)? == canonical(local) && address(fields.next()?)? == canonical(remote);
    // Of a socket that was closed, or of no process any more, the table says uid 0.
    if !is_it || fields.next()? != "01" {
        return None;
    }
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?;
    (inode != "0").then_some(uid)
}

/// `0100007F:0019`: words in the order of the machine, and the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = (0..host.len()).step_by(8).map(|at| u32::from_str_radix(host.get(at..at + 8)?, 16).ok());
    let octets: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(&octets[..]) {
        Ok(octets) => IpAddr::from(Ipv4Addr::from(octets)),
        Err(_) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&octets[..]).ok()?)),
    };
    Some((ip.to_canonical(), port))
}

fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn the_kernel_knows_who_is_at_the_other_end() {
        let own = rustix::process::getuid().as_raw();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(of_unix(&ours), Ok(own));
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, _) = listener.accept().unwrap();
            assert_eq!(of_loopback(&ours), Ok(own), "{address}");
            drop(client);
            assert_eq!(of_loopback(&ours), Err(Unknown), "{address}: it would look like root");
        }
    }

    #[test]
    fn only_an_open_connection_between_the_two_has_an_owner() {
        let (local, remote) = ("127.0.0.1:52000".parse().unwrap(), "127.0.0.1:25".parse().unwrap());
        let line = |state: &str, inode: &str| {
            format!(
                "   1: 0100007F:CB20 0100007F:0019 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 20 4 30 10 -1"
            )
        };
        if cfg!(target_endian = "little") {
            assert_eq!(owner(&line("01", "4711"), local, remote), Some(1000));
            let mapped =
                "   1: 0000000000000000FFFF00000100007F:CB20 0000000000000000FFFF00000100007F:0019 01 0:0 00:0 0  1000 0 4711 1";
            assert_eq!(owner(mapped, local, remote), Some(1000));
        }
        assert_eq!(owner(&line("06", "4711"), local, remote), None);
        assert_eq!(owner(&line("01", "0"), local, remote), None);
        assert_eq!(owner(&line("01", "4711"), remote, local), None);
        for junk in [
            "",
            "  sl  local_address rem_address   st",
            "1: x y 01",
            "1: 0100007F:CB20 0100007F:0019 01",
            "1: é7F:1 0:0 01 0 0 0 0 0 1",
        ] {
            assert_eq!(owner(junk, local, remote), None);
        }
    }
}
