//! Which signed DNS do tests ask: a root of our own, zones below it, an authoritative server and a validating resolver on loopback?
//!
//! nsd serves, ldns signs, unbound resolves. Nothing needs root, and nothing outside the scratch directory is touched.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Scratch,
    needs::{find, has},
};

/// How a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// With NSEC.
    Nsec,
    /// With NSEC3.
    Nsec3,
    /// With NSEC3 that leaves unsigned zones out.
    OptOut,
    /// With signatures that ended long ago.
    Expired,
    /// The zone above has no DS record for it.
    None,
    /// As with [`Signing::Nsec`], but the zone above has the DS record of another key.
    WrongKey,
}

/// A zone to be served.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// Its name, without the last dot; the zone above is served too, or is the root.
    pub(crate) name: &'static str,
    pub(crate) signing: Signing,
    /// Its records in zone file form, names relative to it.
    pub(crate) records: String,
    /// What happens to the text of the signed zone before it is served.
    pub(crate) spoil: fn(String) -> String,
}

impl Zone {
    pub(crate) fn new(name: &'static str, signing: Signing, records: impl Into<String>) -> Self {
        Self { name, signing, records: records.into(), spoil: |text| text }
    }
}

/// The servers; they end with the value, or with this process.
pub(crate) struct Dns {
    /// unbound, which validates, and resolves what nsd has.
    pub(crate) resolver: SocketAddr,
    /// nsd, which answers for the zones alone.
    pub(crate) authority: SocketAddr,
    /// The key of the root in zone file form, as `trust_anchor` takes it.
    pub(crate) anchor: PathBuf,
    scratch: Scratch,
    keeper: Option<Child>,
}

/// Runs what follows `--`, two programs with four words each, until its input ends; then nothing is left of them.
const KEEPER: &str = r#"
"$2" "$3" "$4" "$5" </dev/null >"$1/nsd.log" 2>&1 & first=$!
"$6" "$7" "$8" "$9" </dev/null >"$1/unbound.log" 2>&1 & second=$!
read -r _
kill "$first" "$second"
wait
rm -rf "$1"
"#;

impl Dns {
    /// Signs and serves `zones`; `None`, after a word on it, where the programs are not installed.
    pub(crate) fn start(zones: &[Zone]) -> Option<Self> {
        let programs = ["nsd", "unbound", "ldns-keygen", "ldns-signzone", "ldns-key2ds"];
        if !programs.into_iter().all(has) {
            return None;
        }
        let scratch = Scratch::new();
        let ports = [free_port(), free_port()];
        let [authority, resolver] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut dns = Self { resolver, authority, anchor: scratch.path().join("root.key"), scratch, keeper: None };
        // Zones below others first: a DS record is made of the child's key.
        let mut names: Vec<&str> = zones.iter().map(|zone| zone.name).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.split('.').count()));
        let mut delegations: Vec<(String, String)> = Vec::new();
        for name in names {
            let zone = zones.iter().find(|zone| zone.name == name).unwrap();
            let ds = dns.sign(zone, &delegated(&mut delegations, name));
            delegations.push((name.to_owned(), ds));
        }
        let root = Zone::new("", Signing::Nsec, "");
        let records: String = delegations.iter().map(|(_, records)| records.as_str()).collect();
        dns.sign(&root, &records);
        dns.serve(zones);
        Some(dns)
    }

    /// `[dns]` of a configuration that asks the resolver.
    pub(crate) fn table(&self) -> String {
        self.table_of(&[self.resolver])
    }

    /// `[dns]` of a configuration that asks `servers`.
    pub(crate) fn table_of(&self, servers: &[SocketAddr]) -> String {
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        format!("[dns]\nservers = {servers:?}\ntrust_anchor = \"{}\"\n", self.anchor.display())
    }

    /// Writes the zone and its signed form; returns what the zone above has of it.
    fn sign(&self, zone: &Zone, below: &str) -> String {
        let (path, file) = (self.scratch.path(), format!("{}.zone", zone.name));
        let origin = format!("{}.", zone.name);
        let records = format!(
            "$ORIGIN {origin}\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{}\n{below}",
            zone.records
        );
        fs::write(path.join(&file), records).unwrap();
        let delegation = format!("{origin} NS ns.{origin}\nns.{origin} A 127.0.0.1\n");
        if zone.signing == Signing::None {
            fs::rename(path.join(&file), path.join(format!("{file}.signed"))).unwrap();
            return delegation;
        }
        let algorithm = if zone.name.is_empty() { "RSASHA256" } else { "ECDSAP256SHA256" };
        let key = self.key(algorithm, &origin);
        let mut sign = Command::new(find("ldns-signzone").unwrap());
        sign.current_dir(path).args(["-o", &origin]);
        match zone.signing {
            Signing::Nsec3 => sign.args(["-n", "-t", "3", "-s", "cafe"]),
            Signing::OptOut => sign.args(["-n", "-p"]),
            Signing::Expired => sign.args(["-i", "20200101000000", "-e", "20200201000000"]),
            _ => &mut sign,
        };
        succeed(sign.args([&file, &key]));
        let signed = path.join(format!("{file}.signed"));
        fs::write(&signed, (zone.spoil)(fs::read_to_string(&signed).unwrap())).unwrap();
        if zone.name.is_empty() {
            fs::copy(path.join(format!("{key}.key")), &self.anchor).unwrap();
        }
        let key = if zone.signing == Signing::WrongKey { self.key(algorithm, &origin) } else { key };
        let ds = succeed(Command::new(find("ldns-key2ds").unwrap()).current_dir(path).args(["-n", "-2", &format!("{key}.key")]));
        format!("{delegation}{ds}")
    }

    fn key(&self, algorithm: &str, origin: &str) -> String {
        let mut keygen = Command::new(find("ldns-keygen").unwrap());
        keygen.current_dir(self.scratch.path()).args(["-r", "/dev/urandom", "-k", "-a", algorithm]);
        if algorithm == "RSASHA256" {
            keygen.args(["-b", "2048"]);
        }
        succeed(keygen.arg(origin)).trim().to_owned()
    }

    fn serve(&mut self, zones: &[Zone]) {
        let path = self.scratch.path().to_owned();
        let place = path.display();
        // Of the zone dead. there is nothing to load, so that nsd can say no more than that it fails.
        let served = || zones.iter().map(|zone| zone.name).chain(["", "dead"]);
        let mut nsd = format!(
            "server:\n ip-address: 127.0.0.1@{}\n zonesdir: \"{place}\"\n zonelistfile: \"{place}/zone.list\"\n database: \"\"\n \
             xfrdfile: \"{place}/xfrd\"\n xfrdir: \"{place}\"\n pidfile: \"\"\n username: \"\"\n chroot: \"\"\n server-count: 1\n rrl-ratelimit: 0\n\
             remote-control:\n control-enable: no\n",
            self.authority.port()
        );
        let mut unbound = format!(
            "server:\n interface: 127.0.0.1@{}\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n \
             trust-anchor-file: \"{}\"\n do-not-query-localhost: no\n local-zone: \"test.\" nodefault\n local-zone: \"localhost.\" nodefault\n do-ip6: no\n num-threads: 1\n \
             access-control: 127.0.0.0/8 allow\n msg-cache-size: 1m\n rrset-cache-size: 1m\n\
             remote-control:\n control-enable: no\n",
            self.resolver.port(),
            self.anchor.display(),
        );
        for name in served() {
            nsd += &format!("zone:\n name: \"{name}.\"\n zonefile: \"{name}.zone.signed\"\n");
            unbound += &format!("stub-zone:\n name: \"{name}.\"\n stub-addr: {}@{}\n", self.authority.ip(), self.authority.port());
        }
        let file = |name: &str, text: String| self.scratch.write(name, text).into_os_string();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(path);
        keeper.arg(find("nsd").unwrap()).args(["-d", "-c"]).arg(file("nsd.conf", nsd));
        keeper.arg(find("unbound").unwrap()).args(["-dp", "-c"]).arg(file("unbound.conf", unbound));
        self.keeper = Some(keeper.stdin(Stdio::piped()).spawn().unwrap());
        self.await_answer("nsd", self.authority);
        self.await_answer("unbound", self.resolver);
    }

    /// Until the server answers a question for the root's SOA.
    fn await_answer(&self, program: &str, address: SocketAddr) {
        const QUESTION: &[u8] = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\0\0\x06\0\x01";
        let begun = Instant::now();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        loop {
            let mut buffer = [0; 1500];
            let _ = socket.send_to(QUESTION, address);
            // The answer section holds something: zones are loaded.
            if socket.recv(&mut buffer).is_ok_and(|length| length > 12 && buffer[7] > 0) && TcpStream::connect(address).is_ok() {
                return;
            }
            let log = || fs::read_to_string(self.scratch.path().join(format!("{program}.log"))).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not answer at {address}: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// The delegations of zones directly below `name`, taken out of those that are still to be placed.
fn delegated(waiting: &mut Vec<(String, String)>, name: &str) -> String {
    let is_below = |child: &str| child.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    let (below, others) = std::mem::take(waiting).into_iter().partition(|(child, _)| is_below(child));
    *waiting = others;
    let below: Vec<(String, String)> = below;
    below.into_iter().map(|(_, records)| records).collect()
}

/// A port that is free for datagrams and connections, for the moment.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
