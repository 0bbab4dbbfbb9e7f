//! What a resolv.conf says; how servers are asked is tested against real sockets in tests/dane.

use super::*;

fn shown(text: &str) -> Vec<String> {
    named(text).iter().map(ToString::to_string).collect()
}

#[test]
fn servers_are_read_as_the_c_library_reads_them() {
    let text = "# nameserver 192.0.2.9\nsearch example.com\n nameserver 192.0.2.8\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 \n\
                nameserver fe80::1%eth0\nnameserver\nnameserver one\noptions edns0\n; nameserver 192.0.2.7\nNAMESERVER 192.0.2.6\n";
    assert_eq!(shown(text), ["192.0.2.8:53", "192.0.2.1:53", "[2001:db8::1]:53"]);
    assert_eq!(shown(&"nameserver 192.0.2.1\n".repeat(9)).len(), SERVERS);
}

#[test]
fn without_any_the_one_on_this_machine_is_asked() {
    let here = vec![SocketAddr::from(([127, 0, 0, 1], 53))];
    assert_eq!(system(Path::new("/nonexistent/resolv.conf")), here);
    assert_eq!(system(Path::new("/dev/null")), here);
}
